//! What is kept of an element: 160 bytes, however it came in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sctp_user::Time;

use super::element::ElementKey;
use super::store::list::{Link, NONE};
use super::store::segmented::Segmented;
use crate::wire::{ElementId, Life, PolicyParam, PoolElement, Protocol, Transport, TransportUse};

/// An element, or a vacant slot. Millions of these are kept, so indices have 32 bits, and what is rare (transports with several
/// addresses, policies of the application's own) is apart in `rest`.
#[derive(Debug)]
pub(super) struct Record {
    /// Counts registrations of new elements, in all pools together; 0 in a vacant slot. Its lower half is in the key.
    pub(super) serial: u64,
    pub(super) since: Time,
    /// The deadlines of [`super::deadlines`], their times and where they are queued. They belong to the slot: what is queued
    /// stays so when the element goes.
    pub(super) due_at: [Time; 2],
    pub(super) due_place: [u32; 2],
    rest: Option<Box<Rest>>,
    pub(super) id: ElementId,
    pub(super) pool: u32,
    /// The index of its home registrar among the owners.
    pub(super) owner: u32,
    pub(super) life: Life,
    /// See [`Record::seat`] and [`Record::mark_used`].
    seat_and_use: u32,
    pub(super) assoc: u32,
    pub(super) links: [Link; 3],
    /// The round of marking in which it was last confirmed, see [`super::owners`].
    pub(super) confirmed: u32,
    values: [u32; 4],
    user: Place,
    asap: Place,
}

/// In [`Record::seat_and_use`]; the other bits are the seat, which is enough for the memory of any machine.
const USED: u32 = 1 << 31;

/// No association.
pub(super) const NO_ASSOC: u32 = u32::MAX;

/// What does not fit into a record.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Rest {
    user: Option<Transport>,
    asap: Option<Transport>,
    policy: Option<PolicyParam>,
}

/// What of an element is stored: also the form in which an old and a new registration are compared.
pub(super) struct Facts {
    rest: Option<Box<Rest>>,
    values: [u32; 4],
    user: Place,
    asap: Place,
}

impl Facts {
    pub(super) fn of(info: &PoolElement) -> Self {
        let user = Place::of(&info.user);
        let asap = info.asap.as_ref().map_or(Some(Place::ABSENT), Place::of);
        let values = info.policy.words();
        let rest = (user.is_none() || asap.is_none() || values.is_none()).then(|| {
            Box::new(Rest {
                user: user.is_none().then(|| info.user.clone()),
                asap: if asap.is_none() { info.asap.clone() } else { None },
                policy: values.is_none().then(|| info.policy.clone()),
            })
        });
        Self { rest, values: values.unwrap_or_default(), user: user.unwrap_or(Place::APART), asap: asap.unwrap_or(Place::APART) }
    }
}

impl Record {
    pub(super) fn new(serial: u64, now: Time, id: ElementId, pool: u32, facts: Facts) -> Self {
        Self {
            serial,
            since: now,
            due_at: [Time::ZERO; 2],
            due_place: [NONE; 2],
            rest: facts.rest,
            id,
            pool,
            owner: NONE,
            life: Life(0),
            seat_and_use: 0,
            assoc: NO_ASSOC,
            links: [Link::NOWHERE; 3],
            confirmed: 0,
            values: facts.values,
            user: facts.user,
            asap: facts.asap,
        }
    }

    /// Takes new facts over. Returns whether the policy's values, and whether anything, is not what it was.
    pub(super) fn learn(&mut self, facts: Facts) -> (bool, bool) {
        let policy = |rest: &Option<Box<Rest>>| rest.as_ref().and_then(|r| r.policy.clone());
        let same_values = self.values == facts.values && (self.rest == facts.rest || policy(&self.rest) == policy(&facts.rest));
        let same = same_values && self.user == facts.user && self.asap == facts.asap && self.rest == facts.rest;
        (self.values, self.user, self.asap, self.rest) = (facts.values, facts.user, facts.asap, facts.rest);
        (!same_values, !same)
    }

    /// The seat in its pool.
    pub(super) const fn seat(&self) -> u32 {
        self.seat_and_use & !USED
    }

    pub(super) fn set_seat(&mut self, seat: u32) {
        self.seat_and_use = seat | self.seat_and_use & USED;
    }

    /// A policy that a renewal makes a difference to has chosen it.
    pub(super) fn mark_used(&mut self) {
        self.seat_and_use |= USED;
    }

    /// Whether that was so since it registered; it registers now.
    pub(super) fn take_used(&mut self) -> bool {
        let used = self.seat_and_use & USED != 0;
        self.seat_and_use &= !USED;
        used
    }

    /// The slot is vacant; nothing but its deadlines' entries remains.
    pub(super) fn vacate(&mut self) {
        self.serial = 0;
        self.rest = None;
    }

    #[allow(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    pub(super) const fn key(&self, slot: u32) -> ElementKey {
        ElementKey { slot, generation: self.serial as u32 }
    }

    pub(super) fn user(&self) -> Transport {
        let apart = self.rest.as_ref().and_then(|r| r.user.as_ref());
        apart.cloned().or_else(|| self.user.transport()).unwrap_or_else(|| Transport::sctp(0, TransportUse::DATA, []))
    }

    pub(super) fn asap(&self) -> Option<Transport> {
        self.rest.as_ref().and_then(|r| r.asap.clone()).or_else(|| self.asap.transport())
    }

    /// The policy's values, if the pool's policy has this number.
    pub(super) fn policy(&self, number: u32) -> PolicyParam {
        let apart = self.rest.as_ref().and_then(|r| r.policy.clone());
        apart.or_else(|| PolicyParam::from_words(number, self.values)).unwrap_or(PolicyParam::Other { number, values: Vec::new() })
    }
}

/// Elements in their slots.
#[derive(Debug)]
pub(super) struct Records {
    pub(super) slots: Segmented<Record>,
    /// The vacant slots, linked by their first links.
    vacant: u32,
    len: usize,
    serial: u64,
}

impl Records {
    pub(super) const fn new() -> Self {
        Self { slots: Segmented::new(), vacant: NONE, len: 0, serial: 0 }
    }

    pub(super) fn insert(&mut self, now: Time, id: ElementId, pool: u32, facts: Facts) -> u32 {
        self.serial += 1;
        self.len += 1;
        let mut record = Record::new(self.serial, now, id, pool, facts);
        let Some(vacant) = self.slots.get_mut(self.vacant) else { return self.slots.push(record) };
        let slot = self.vacant;
        self.vacant = vacant.links[0].next;
        (record.due_at, record.due_place) = (vacant.due_at, vacant.due_place);
        *vacant = record;
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) {
        let record = &mut self.slots[slot];
        record.vacate();
        record.links[0].next = self.vacant;
        self.vacant = slot;
        self.len -= 1;
    }

    /// The slot of an element, if it is still there.
    #[allow(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    pub(super) fn slot(&self, key: ElementKey) -> Option<u32> {
        let record = self.slots.get(key.slot)?;
        (record.serial != 0 && record.serial as u32 == key.generation).then_some(key.slot)
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }
}

/// A transport with one address, in 22 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    addr: [u8; 16],
    port: u16,
    usage: u16,
    /// The protocol, plus [`V4`] if only four bytes of the address count.
    kind: u8,
}

const V4: u8 = 0x80;

impl Place {
    const ABSENT: Self = Self { addr: [0; 16], port: 0, usage: 0, kind: 0 };
    /// The transport is kept in [`Rest`].
    const APART: Self = Self { kind: 0x7f, ..Self::ABSENT };

    fn of(t: &Transport) -> Option<Self> {
        let protocol = match t.protocol {
            Protocol::Sctp => 1,
            Protocol::Tcp => 2,
            Protocol::Udp => 3,
            Protocol::UdpLite => 4,
            Protocol::Dccp { .. } | Protocol::Opaque(_) => return None,
        };
        let (addr, family) = match *t.addrs.as_slice() {
            [IpAddr::V4(a)] => (a.to_ipv6_compatible().octets(), V4),
            [IpAddr::V6(a)] => (a.octets(), 0),
            _ => return None,
        };
        Some(Self { addr, port: t.port, usage: t.usage.0, kind: protocol | family })
    }

    fn transport(self) -> Option<Transport> {
        let protocol = match self.kind & !V4 {
            1 => Protocol::Sctp,
            2 => Protocol::Tcp,
            3 => Protocol::Udp,
            4 => Protocol::UdpLite,
            _ => return None,
        };
        let [.., a, b, c, d] = self.addr;
        let addr: IpAddr = if self.kind & V4 == 0 { Ipv6Addr::from(self.addr).into() } else { Ipv4Addr::new(a, b, c, d).into() };
        Some(Transport { protocol, port: self.port, usage: TransportUse(self.usage), addrs: vec![addr] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::RegistrarId;

    #[test]
    fn is_as_small_as_it_says() {
        assert_eq!(size_of::<Record>(), 160);
    }

    #[test]
    fn gives_back_what_was_put_in() {
        let [v4, v6]: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        let users = [
            Transport::sctp(1, TransportUse::DATA_PLUS_CONTROL, [v4]),
            Transport::sctp(2, TransportUse::DATA, [v6, v4]),
            Transport::single(Protocol::Tcp, (v6, 3).into()),
            Transport::single(Protocol::Udp, (v4, 4).into()),
            Transport::single(Protocol::UdpLite, (v4, 5).into()),
            Transport::single(Protocol::Dccp { service: 9 }, (v4, 6).into()),
            Transport { protocol: Protocol::Opaque(vec![1, 2]), port: 0, usage: TransportUse::DATA, addrs: Vec::new() },
            Transport::sctp(8, TransportUse::DATA, []),
        ];
        let policies = [
            PolicyParam::RoundRobin {},
            PolicyParam::LeastUsedDegradationDpf { load: 1, degradation: 2, load_dpf: 3, distance: 4 },
            PolicyParam::Other { number: 77, values: vec![1, 2, 3] },
        ];
        let mut last = None;
        for user in &users {
            for asap in users.iter().map(Some).chain([None]) {
                for policy in &policies {
                    let info = PoolElement {
                        id: ElementId(1),
                        home: RegistrarId(2),
                        life: Life(3),
                        user: user.clone(),
                        policy: policy.clone(),
                        asap: asap.cloned(),
                    };
                    let record = Record::new(1, Time::ZERO, info.id, 0, Facts::of(&info));
                    assert_eq!((record.user(), record.asap()), (info.user.clone(), info.asap.clone()));
                    assert_eq!(record.policy(policy.number()), *policy);
                    let mut other = last.replace(info.clone()).map_or(record, |i| Record::new(1, Time::ZERO, i.id, 0, Facts::of(&i)));
                    other.learn(Facts::of(&info));
                    assert_eq!(other.learn(Facts::of(&info)), (false, false));
                    assert_eq!((other.user(), other.asap()), (info.user, info.asap));
                }
            }
        }
    }
}
