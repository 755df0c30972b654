//! Our side: what the peer shall know of our addresses, and how it is told (RFC 5061 sections 5.1 and 5.3).

use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;

use super::{Asconf, Work, may_change};
use crate::assoc::core::{Context, Control, Core, Encoded};
use crate::assoc::path::{Path, PathId, source};
use crate::num::Serial;
use crate::time::Time;
use crate::wire::Cause;
use crate::wire::chunk::{AddressRequest, Asconf as Chunk, AsconfAck, AsconfParam, AsconfParams, AsconfResponse, Encode as _, kind};
use crate::wire::packet::COMMON_HEADER_LEN;

/// Room in bytes that is left for an AUTH chunk before the ASCONF (RFC 4895).
const AUTH_ROOM: usize = 48;

/// What the peer shall know of our addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Goal {
    /// Exactly these, at least one, at most 64.
    Addresses(Vec<IpAddr>),
    /// We are behind a NAT, and this is our own address now: the peer takes the one that it sees (rulings section 1 row 13).
    BehindNat(IpAddr),
}

impl Goal {
    /// Our own addresses that packets may leave from, once the goal is reached.
    pub(super) fn addrs(&self) -> &[IpAddr] {
        match self {
            Self::Addresses(all) => all,
            Self::BehindNat(one) => core::slice::from_ref(one),
        }
    }
}

/// A request of the ASCONF under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Request {
    request: AddressRequest,
    /// Our own address that it is about.
    addr: IpAddr,
    correlation: u32,
    outcome: Outcome,
}

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// It is done.
    Done,
    /// It was refused, and would be again.
    Refused,
    /// It was not looked at, since one before it was refused; as all are before the answer.
    Open,
}

/// An ASCONF that waits for its answer.
#[derive(Debug)]
pub(super) struct Flight {
    serial: Serial,
    /// The chunk, the same at every transmission (section 5.1 rule B4).
    chunk: Bytes,
    requests: Vec<Request>,
    /// Where it was sent to and from, the last one last, until all ways had their turn: at most two for each path.
    tried: Vec<(IpAddr, Option<IpAddr>)>,
    /// Whether there was a way for it when it was to be sent last.
    out: bool,
    /// T4-rto.
    t4: Option<Time>,
}

impl Flight {
    pub(super) fn deadline(&self) -> Option<Time> {
        self.t4
    }

    pub(super) fn forgive(&mut self, now: Time, grace: Duration) {
        if let Some(at) = self.t4.as_mut().filter(|at| **at <= now) {
            *at = now + grace;
        }
    }

    /// The association is about to end: nothing is sent again.
    pub(super) fn give_up(&mut self) {
        self.t4 = None;
    }

    pub(super) fn adds(&self, ip: IpAddr) -> bool {
        self.requests.iter().any(|r| r.addr == ip && r.request == AddressRequest::Add)
    }

    pub(super) fn deletes(&self, ip: IpAddr) -> bool {
        self.requests.iter().any(|r| r.addr == ip && r.request == AddressRequest::Delete)
    }
}

impl Work {
    /// Makes and sends an ASCONF with number `serial`, if there is something to ask for that the peer understands.
    pub(super) fn ask(&mut self, core: &mut Core, now: Time, serial: Serial, (changes, primary): (bool, bool)) -> bool {
        if self.flight.is_some() {
            return false;
        }
        if !changes {
            self.goal = None;
        }
        if !primary {
            self.primary = None;
        }
        let requests = self.plan(core, serial);
        if requests.is_empty() {
            // All of the goal is reached, or refused.
            self.goal = None;
            self.primary = None;
            return false;
        }
        let wildcard = matches!(self.goal, Some(Goal::BehindNat(_)));
        let address = lookup_address(core, &requests, wildcard);
        let mut params: Vec<_> = requests.iter().map(|r| r.param(wildcard)).collect();
        if wildcard {
            // One deletes them all.
            let mut deletes = 0;
            params.retain(|p| {
                deletes += u8::from(matches!(p, AsconfParam::Request { request: AddressRequest::Delete, .. }));
                deletes < 2 || !matches!(p, AsconfParam::Request { request: AddressRequest::Delete, .. })
            });
        }
        let chunk = Chunk { serial, address, params: AsconfParams::List(&params) }.to_vec();
        // An address that is being deleted is no source any more (rules F4 and F6).
        let leaving: Vec<_> = requests.iter().filter(|r| r.request == AddressRequest::Delete).map(|r| r.addr).collect();
        self.flight = Some(Flight { serial, chunk: Bytes::from(chunk), requests, tried: Vec::new(), out: false, t4: None });
        for addr in leaving {
            core.leave_source(now, addr);
        }
        self.send(core, now);
        true
    }

    /// What is to be asked for next: as much as fits a packet.
    fn plan(&self, core: &Core, serial: Serial) -> Vec<Request> {
        let known = &core.local_addrs;
        let wanted = self.goal.as_ref().map_or(known.as_slice(), Goal::addrs);
        let refused = |request, addr: &IpAddr| self.refused.contains(&(request, *addr));
        let adds = wanted.iter().filter(|a| !known.contains(a) && !refused(AddressRequest::Add, a));
        let adds: Vec<_> = adds.map(|a| (AddressRequest::Add, *a)).collect();
        let gone = |a: &&IpAddr| !wanted.contains(a) && !refused(AddressRequest::Delete, a);
        let mut deletes: Vec<_> = known.iter().filter(gone).map(|a| (AddressRequest::Delete, *a)).collect();
        let left = known.len().saturating_sub(deletes.len());
        if matches!(self.goal, Some(Goal::BehindNat(_))) {
            // The wildcard deletes all that the peer has but the source: only beside a new source.
            if adds.is_empty() {
                deletes.clear();
            }
        } else if left + adds.len() == 0 {
            // Rule F5: the last one stays.
            deletes.clear();
        }
        // Where an address remains, the others go first: a peer that is full of addresses has room then (rule F11).
        let mut all = if left > 0 { [deletes, adds].concat() } else { [adds, deletes].concat() };
        let part = |a: &IpAddr| known.contains(a) || all.contains(&(AddressRequest::Add, *a));
        if let Some(a) = self.primary.filter(|a| part(a) && !all.contains(&(AddressRequest::Delete, *a))) {
            all.push((AddressRequest::SetPrimary, a));
        }
        let numbered = all.into_iter().zip(serial.0..);
        let mut room = room(core);
        numbered
            .map(|((request, addr), correlation)| Request { request, addr, correlation, outcome: Outcome::Open })
            .take_while(|r| {
                let len = AsconfParam::request_len(r.addr);
                let fits = len <= room;
                room = room.saturating_sub(len);
                fits
            })
            .collect()
    }

    /// (Re)transmits the ASCONF under way. A retransmission goes elsewhere if it can (rule B4).
    fn send(&mut self, core: &mut Core, now: Time) {
        let goal = self.goal.as_ref().map_or(&[][..], Goal::addrs);
        let Some(flight) = &mut self.flight else { return };
        // Rule F6: not from an address that it deletes, even if we have that again.
        let goal: Vec<_> = goal.iter().copied().filter(|a| !flight.deletes(*a)).collect();
        let ways = ways(core, &goal);
        let named = |(path, source): Way| Some((core.paths.get(path)?.addr, source));
        let fresh = |way: &&Way| named(**way).is_some_and(|way| !flight.tried.contains(&way));
        let way = ways.iter().find(fresh).or_else(|| ways.first()).copied();
        if flight.tried.len() >= ways.len() {
            flight.tried.clear();
        }
        flight.tried.extend(way.and_then(named));
        flight.out = way.is_some();
        let path = way.map_or_else(|| core.paths.data_path(), |(path, _)| path);
        let p = core.paths.get(path);
        flight.t4 = Some(now + p.map_or(core.cfg.rto_initial, Path::rto));
        let Some((path, source)) = way else { return };
        core.counters.rare().out_asconfs += 1;
        let chunk = Control::Encoded(Encoded { kind: kind::ASCONF, bytes: flight.chunk.clone(), path: Some(path), source });
        if core.is_stranded(path) {
            // Everything else waits for it.
            core.lead_control(chunk);
        } else {
            core.push_control(chunk);
        }
    }

    /// T4 may have expired (section 5.1 rules B1 to B5).
    pub(super) fn on_t4(&mut self, core: &mut Core, now: Time) {
        let Some(flight) = self.flight.as_mut().filter(|f| f.t4.is_some_and(|at| at <= now)) else { return };
        core.counters.rare().t4_expireds += 1;
        let path = flight.tried.last().filter(|_| flight.out).and_then(|(a, _)| core.paths.find(*a));
        match path {
            Some(path) => {
                core.path_error(now, path);
                if let Some(p) = core.paths.get_mut(path) {
                    p.back_off();
                }
            }
            // It could not be sent; but there is an end to waiting.
            None => core.back_off(),
        }
        if core.count_error(core.cfg.assoc_max_retrans) {
            self.send(core, now);
        }
    }

    /// The peer will not answer what is under way: everything is as before.
    pub(super) fn cancel(&mut self, core: &mut Core, now: Time) {
        (self.goal, self.primary) = (None, None);
        let Some(flight) = self.flight.take() else { return };
        for r in flight.requests.iter().filter(|r| r.request == AddressRequest::Delete) {
            core.gain_source(now, r.addr);
        }
    }

    /// What became of the requests of an ASCONF that is answered.
    fn settle(&mut self, core: &mut Core, now: Time, requests: &[Request]) {
        let until = now + core.rto() * 2;
        for r in requests {
            if r.outcome == Outcome::Refused && r.request != AddressRequest::SetPrimary {
                self.refused.push((r.request, r.addr));
            }
            match (r.request, r.outcome) {
                (AddressRequest::Add, Outcome::Done) => {
                    self.lingering.retain(|(a, _)| *a != r.addr);
                    core.gain_source(now, r.addr);
                }
                // Section 5.3: no longer than two RTOs.
                (AddressRequest::Delete, Outcome::Done) => {
                    self.lingering.retain(|(a, _)| *a != r.addr);
                    self.lingering.push((r.addr, until));
                }
                // It still is one of ours to the peer.
                (AddressRequest::Delete, _) => core.gain_source(now, r.addr),
                // Rule F10.
                (AddressRequest::Add, _) => {}
                (AddressRequest::SetPrimary, Outcome::Open) => {}
                (AddressRequest::SetPrimary, _) => {
                    self.primary.take_if(|a| *a == r.addr);
                }
            }
        }
        let excess = self.lingering.len().saturating_sub(64);
        self.lingering.drain(..excess);
    }
}

impl Asconf {
    /// An ASCONF-ACK (section 5.1 rules A5 to A8, section 5.3 rule F0).
    pub(super) fn on_ack(&mut self, core: &mut Core, ctx: &mut Context<'_>, ack: &AsconfAck<'_>) {
        if !may_change(core.state) {
            return;
        }
        core.counters.rare().in_asconf_acks += 1;
        let under_way = self.work.as_mut().and_then(|w| w.flight.take_if(|f| f.serial == ack.serial));
        let Some(mut flight) = under_way else {
            // An answer to what was answered already is late; one to what was never asked is an attack.
            if !ack.serial.before(self.next) {
                core.violate("ASCONF-ACK that nothing asked for", &Cause::IllegalAsconfAck);
            }
            return;
        };
        core.errors = 0;
        if let Some(p) = flight.tried.last().and_then(|(a, _)| core.paths.find(*a)).and_then(|id| core.paths.get_mut(id)) {
            p.on_answer();
            p.end_back_off();
        }
        self.read_responses(&mut flight, ack);
        if let Some(work) = &mut self.work {
            work.settle(core, ctx.now, &flight.requests);
        }
        self.proceed(core, ctx);
    }

    /// Notes what became of the requests.
    fn read_responses(&mut self, flight: &mut Flight, ack: &AsconfAck<'_>) {
        // For want of room, an addition fails with all changes behind it (rule F11): those are tried again.
        let (mut failed, mut full) = (false, false);
        let responses: Vec<_> = ack.responses.iter().flatten().map(|(r, _)| r).collect();
        for r in &mut flight.requests {
            let said = responses.iter().find_map(|response| match response {
                AsconfResponse::Success { correlation } if *correlation == r.correlation => Some(None),
                AsconfResponse::Error { correlation, .. } if *correlation == r.correlation => Some(Some(response)),
                _ => None,
            });
            match said {
                Some(Some(error)) => {
                    failed = true;
                    r.outcome = if full { Outcome::Open } else { Outcome::Refused };
                    for cause in error.causes().map_while(Result::ok) {
                        full |= matches!(cause, Cause::ResourceShortage(_)) && r.request == AddressRequest::Add;
                        if matches!(cause, Cause::UnrecognizedParams(_)) {
                            // Rules F3a and F3b.
                            match r.request {
                                AddressRequest::SetPrimary => self.refuses_primary = true,
                                AddressRequest::Add | AddressRequest::Delete => self.refuses_changes = true,
                            }
                        }
                    }
                }
                Some(None) => r.outcome = Outcome::Done,
                // Rules A7 and A8.
                None => r.outcome = if failed { Outcome::Open } else { Outcome::Done },
            }
        }
    }
}

impl Request {
    fn param(&self, wildcard: bool) -> AsconfParam<'static> {
        let addr = if wildcard { unspecified(self.addr) } else { self.addr };
        AsconfParam::Request { request: self.request, correlation: self.correlation, addr }
    }
}

/// Bytes of requests that fit a packet on the path in use (section 5.1.1 rule C5).
fn room(core: &Core) -> usize {
    let packet = core.paths.iter().filter(|(_, p)| p.confirmed).map(|(_, p)| p.max_packet()).min().unwrap_or(576);
    packet.saturating_sub(COMMON_HEADER_LEN + AUTH_ROOM + Chunk::header_len(Ipv6Addr::UNSPECIFIED.into()))
}

/// The address by which the peer finds the association if the source is new to it: one that stays if there is one.
fn lookup_address(core: &Core, requests: &[Request], wildcard: bool) -> IpAddr {
    let deleted = |a: &&IpAddr| requests.iter().any(|r| r.addr == **a && r.request == AddressRequest::Delete);
    let one = core.local_addrs.iter().find(|a| !deleted(a)).or_else(|| core.local_addrs.first());
    match one {
        Some(a) if wildcard => unspecified(*a),
        Some(a) => *a,
        None => Ipv4Addr::UNSPECIFIED.into(),
    }
}

fn unspecified(like: IpAddr) -> IpAddr {
    if like.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

/// A path, and the source that a packet on it leaves from.
type Way = (PathId, Option<IpAddr>);

/// The ways that an ASCONF may go, the best first: where data goes, other paths, and the same from addresses that we want to have: nothing
/// but an ASCONF may leave from there (section 5.3 rule F1), and if the old ones are of no use any more, nothing else helps (section 5.3.2).
fn ways(core: &Core, goal: &[IpAddr]) -> Vec<Way> {
    let data = core.paths.data_path();
    let new: Vec<_> = goal.iter().copied().filter(|a| !core.local_addrs.contains(a)).collect();
    // An address that is not confirmed gets nothing but HEARTBEATs (RFC 9260 section 5.4). Only if we have no source at all, so that there
    // can be no HEARTBEAT, it is the last resort.
    let cut_off = core.paths.iter().all(|(_, p)| p.stranded);
    let mut all = Vec::new();
    for (id, p) in core.paths.iter().filter(|(_, p)| p.confirmed || cut_off) {
        let rank = |from_new: bool| (from_new, !p.confirmed, p.has_failed(), id != data, id);
        let known = (!p.stranded).then_some((rank(false), (id, p.local)));
        let other = source::for_attempt(&new, None, p.addr, 0).map(|a| (rank(true), (id, Some(a))));
        all.extend(known.into_iter().chain(other));
    }
    all.sort_unstable_by_key(|(rank, _)| *rank);
    all.into_iter().map(|(_, way)| way).collect()
}
