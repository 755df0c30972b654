//! A pool element, as simple as can be: one home association, an answer to every keep-alive, another registrar if the
//! present one is lost.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use rserpool::wire::{
    ASAP_PPID, AsapMessage, ElementId, EncodeOptions, Life, PolicyParam, PoolElement, PoolHandle, RegistrarId, Transport, TransportUse,
};
use sctp_user::Time;

use super::bus::{Arrival, Bus, End, Host};

/// The port that elements have.
pub(crate) const PORT: u16 = 50_000;
const RENEWAL: Duration = Duration::from_secs(10);
/// Longer than any test that wants elements not to renew.
const LIFE: Life = Life(120_000);

pub(crate) struct Element {
    pub(crate) host: Host,
    pub(crate) addr: IpAddr,
    pub(crate) pool: PoolHandle,
    pub(crate) id: ElementId,
    /// Where registrars are, the next one first.
    pub(crate) registrars: Vec<SocketAddr>,
    home: Option<u32>,
    pub(crate) home_id: RegistrarId,
    connecting: bool,
    next: Option<Time>,
    /// Whether it renews its registration.
    pub(crate) renewing: bool,
    /// Whether it keeps the association with a former home, and answers there.
    pub(crate) keeps_old: bool,
    former: Option<u32>,
    /// How many times it found itself with a home that it had not chosen.
    pub(crate) moves: u32,
    pub(crate) alive: bool,
}

impl Element {
    pub(crate) fn new(host: Host, addr: IpAddr, pool: &str, id: u32, registrars: Vec<SocketAddr>) -> Self {
        let pool = PoolHandle::new(pool).unwrap();
        let home_id = RegistrarId::UNDEFINED;
        Self {
            host,
            addr,
            pool,
            id: ElementId(id),
            registrars,
            home: None,
            home_id,
            connecting: false,
            next: Some(Time::ZERO),
            renewing: true,
            keeps_old: false,
            former: None,
            moves: 0,
            alive: true,
        }
    }

    pub(crate) const fn next(&self) -> Option<Time> {
        self.next
    }

    pub(crate) const fn end(&self) -> Option<u32> {
        self.home
    }

    fn say(&self, now: Time, bus: &mut Bus, key: u32, message: &AsapMessage) {
        let bytes = Bytes::from(message.encode(EncodeOptions::default()).unwrap());
        bus.send(now, End { host: self.host, key }, ASAP_PPID, bytes);
    }

    fn register(&mut self, now: Time, bus: &mut Bus) {
        let Some(key) = self.home else { return };
        let element = PoolElement {
            id: self.id,
            home: RegistrarId::UNDEFINED,
            life: LIFE,
            user: Transport::sctp(4711, TransportUse::DATA, [self.addr]),
            policy: PolicyParam::RoundRobin {},
            asap: None,
        };
        self.say(now, bus, key, &AsapMessage::Registration { handle: self.pool.clone(), element });
        self.next = self.renewing.then_some(now + RENEWAL);
    }

    /// Registers with its former home again, and keeps the association with the present one.
    pub(crate) fn go_back(&mut self, now: Time, bus: &mut Bus) {
        core::mem::swap(&mut self.home, &mut self.former);
        self.register(now, bus);
    }

    pub(crate) fn timeout(&mut self, now: Time, bus: &mut Bus) {
        if self.next.is_none_or(|t| t > now) {
            return;
        }
        self.next = None;
        if self.home.is_some() {
            self.register(now, bus);
        } else if !self.connecting && !self.registrars.is_empty() {
            self.connecting = true;
            let to = self.registrars[0];
            self.registrars.rotate_left(1);
            bus.connect(now, self.host, SocketAddr::new(self.addr, PORT), 0, &[to]);
        }
    }

    pub(crate) fn take(&mut self, now: Time, bus: &mut Bus, arrival: Arrival) {
        match arrival {
            Arrival::Connected { key, token: Some(_), .. } => {
                self.connecting = false;
                if self.home.is_some() {
                    bus.close(now, End { host: self.host, key });
                    return;
                }
                self.home = Some(key);
                self.register(now, bus);
            }
            Arrival::Failed { .. } => {
                self.connecting = false;
                self.next = Some(now + Duration::from_secs(1));
            }
            Arrival::Lost { key, .. } if self.home == Some(key) => {
                self.home = None;
                self.next = Some(now + Duration::from_secs(1));
            }
            Arrival::Message { key, bytes, .. } if self.alive => {
                if let AsapMessage::KeepAlive { new_home, registrar, handle, id } = AsapMessage::decode(&bytes).unwrap().message {
                    assert_eq!((&handle, id), (&self.pool, Some(self.id)));
                    if new_home && self.home != Some(key) {
                        let old = self.home.replace(key);
                        if self.keeps_old {
                            self.former = old;
                        } else if let Some(old) = old {
                            bus.close(now, End { host: self.host, key: old });
                        }
                        self.moves += 1;
                        self.next = self.renewing.then_some(now + RENEWAL);
                    }
                    if self.home == Some(key) {
                        self.home_id = registrar;
                    }
                    self.say(now, bus, key, &AsapMessage::KeepAliveAck { handle, id: self.id });
                }
            }
            _ => {}
        }
    }
}
