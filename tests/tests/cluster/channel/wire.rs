//! Connects, chunks on their way, and what ends find out about each other.

use core::time::Duration;
use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;
use rserpool::registrar::{ConnectToken, Service};
use sctp_user::Time;

use super::end::{Chunk, End, EndId, Name, Peer, Phase, Place};
use super::host::State;
use super::{Arrival, DETECTION, INITS, Item, Net, RETRANSMIT, SPEAKS};

impl Net {
    // ---- connects ----------------------------------------------------------------------------------------------

    /// A host wants an association; `false` if it has one between these two ports, or nobody has the address.
    pub(super) fn connect(&mut self, host: usize, port: u16, name: Name, token: Option<ConnectToken>, addrs: &[SocketAddr]) -> bool {
        let peer = addrs.iter().find_map(|a| Some((*self.by_addr.get(&a.ip())?, a.port())));
        let Some((peer, peer_port)) = peer else { return false };
        let place = Place { host, port, peer, peer_port };
        if self.places.contains_key(&place) || peer == host {
            return false;
        }
        let end = self.new_end(place, name, token, Phase::Connecting);
        self.schedule(self.now, Item::Init { end, n: 0 });
        true
    }

    /// The end of an association between this port and that address, if it is up.
    pub(super) fn end_to(&self, host: usize, port: u16, addr: SocketAddr) -> Option<EndId> {
        let place = Place { host, port, peer: *self.by_addr.get(&addr.ip())?, peer_port: addr.port() };
        self.places.get(&place).copied().filter(|id| self.ends.get(id).is_some_and(|e| e.phase == Phase::Up))
    }

    fn new_end(&mut self, place: Place, name: Name, token: Option<ConnectToken>, phase: Phase) -> EndId {
        self.next_end += 1;
        let id = EndId(self.next_end);
        let stalled = VecDeque::new();
        let end = End { place, name, token, phase, other: None, peer: Peer::Answers, epoch: 0, last_arrival: self.now, stalled };
        self.ends.insert(id, end);
        self.places.insert(place, id);
        self.names.insert((place.host, name), id);
        id
    }

    pub(super) fn init(&mut self, id: EndId, n: usize) {
        let Some(end) = self.ends.get(&id).filter(|e| e.phase == Phase::Connecting && e.other.is_none()) else { return };
        let place = end.place;
        if self.hosts[place.host].state != State::Up {
            // A frozen process sends its INITs later.
            self.schedule(self.now + RETRANSMIT, Item::Init { end: id, n });
            return;
        }
        if n >= INITS.len() {
            self.give_up_connecting(id);
            return;
        }
        self.schedule(self.now + INITS[n], Item::Init { end: id, n: n + 1 });
        let lost = self.chance(2 * self.weather.loss.min(500));
        if lost || !self.two_way(place.host, place.peer) {
            return;
        }
        let (there, back) = (self.link(place.host, place.peer).delay, self.link(place.peer, place.host).delay);
        match self.hosts[place.peer].state {
            State::Up if self.hosts[place.peer].has_port(place.peer_port) => {
                self.arrive_at(self.now + there + back + there, place.peer, Arrival::Established { from: id });
            }
            State::Up | State::Ended => self.schedule(self.now + there + back, Item::Refused { end: id }),
            State::Frozen | State::Off => {}
        }
    }

    pub(super) fn refused(&mut self, id: EndId) {
        if self.ends.get(&id).is_some_and(|e| e.phase == Phase::Connecting && e.other.is_none()) {
            self.give_up_connecting(id);
        }
    }

    fn give_up_connecting(&mut self, id: EndId) {
        if let Some(end) = self.remove_end(id) {
            let host = end.place.host;
            self.schedule(self.now, Item::ConnectFailed { host, life: self.hosts[host].life, name: end.name, token: end.token });
        }
    }

    /// The COOKIE ECHO arrives: an association comes into being, two connects become one, or an old one restarts.
    pub(super) fn established(&mut self, from: EndId) {
        let Some(active) = self.ends.get(&from).filter(|e| e.phase == Phase::Connecting && e.other.is_none()) else { return };
        let place = active.place.turned();
        let back = self.link(place.host, place.peer).delay;
        let at = self.now + back;
        let old = self.places.get(&place).copied();
        let passive = match old.and_then(|id| self.ends.get(&id)).map(|e| e.phase) {
            // A collision (RFC 9260 section 5.2.1).
            Some(Phase::Connecting) => old,
            Some(_) => self.restart(old, from),
            None => {
                let name = self.hosts[place.host].new_name();
                name.map(|name| self.new_end(place, name, None, Phase::Up))
            }
        };
        let Some(passive) = passive else { return };
        self.marry(passive, from, at);
        self.arrive_at(at, place.peer, Arrival::Up { end: from });
        match old {
            Some(_) if self.ends.get(&passive).is_some_and(|e| e.phase == Phase::Connecting) => self.up(passive),
            Some(_) => self.tell_restarted(passive),
            None => self.tell_passive(passive),
        }
        // Whoever was asked may have refused.
        self.assess(from);
    }

    fn marry(&mut self, a: EndId, b: EndId, at: Time) {
        for (one, other) in [(a, b), (b, a)] {
            if let Some(end) = self.ends.get_mut(&one) {
                end.other = Some(other);
                end.last_arrival = end.last_arrival.max(at);
                end.peer = Peer::Answers;
                end.epoch += 1;
            }
        }
    }

    /// An association of which the other side knows nothing any more begins anew; what was on its way is gone.
    fn restart(&mut self, old: Option<EndId>, _by: EndId) -> Option<EndId> {
        let end = self.ends.get_mut(&old?)?;
        let stalled = core::mem::take(&mut end.stalled);
        end.phase = Phase::Up;
        self.backlog -= stalled.iter().map(Chunk::len).sum::<usize>();
        old
    }

    /// The end is up, as its own host sees it.
    pub(super) fn up(&mut self, id: EndId) {
        if let Some(end) = self.ends.get_mut(&id).filter(|e| e.phase == Phase::Connecting) {
            end.phase = Phase::Up;
            self.tell_connected(id);
        }
        self.assess(id);
    }

    // ---- chunks ------------------------------------------------------------------------------------------------

    pub(super) fn send(&mut self, id: EndId, chunk: Chunk) {
        let Some(end) = self.ends.get_mut(&id) else { return };
        let (place, blocked) = (end.place, end.peer == Peer::Silent || !end.stalled.is_empty());
        if blocked || self.link(place.host, place.peer).cut {
            self.backlog += chunk.len();
            self.longest = self.longest.max(self.backlog);
            if let Some(end) = self.ends.get_mut(&id) {
                end.stalled.push_back(chunk);
            }
            return;
        }
        self.transmit(id, chunk, Duration::ZERO);
    }

    fn transmit(&mut self, id: EndId, chunk: Chunk, wait: Duration) {
        let mut late = wait;
        let mut pause = RETRANSMIT;
        while self.chance(self.weather.loss) && pause < SPEAKS * 3 {
            late += pause;
            pause *= 2;
        }
        let Some(end) = self.ends.get(&id) else { return };
        let (place, other) = (end.place, end.other);
        let at = (self.now + self.link(place.host, place.peer).delay + late).max(end.last_arrival);
        if let Some(end) = self.ends.get_mut(&id) {
            end.last_arrival = at;
        }
        if let Some(to) = other {
            self.arrive_at(at, place.peer, Arrival::Chunk { from: id, to, chunk });
        }
    }

    /// What waited for the partition to heal goes on, after what is left of the last back-off.
    fn flush(&mut self, id: EndId) {
        let wait = self.draw(SPEAKS);
        let Some(end) = self.ends.get_mut(&id) else { return };
        let stalled = core::mem::take(&mut end.stalled);
        self.backlog -= stalled.iter().map(Chunk::len).sum::<usize>();
        for chunk in stalled {
            self.transmit(id, chunk, wait);
        }
    }

    pub(super) fn take_chunk(&mut self, from: EndId, to: EndId, chunk: Chunk) {
        let Some(end) = self.ends.get(&to).filter(|e| e.other == Some(from)) else {
            return self.deny(from);
        };
        let (name, host) = (end.name, end.place.host);
        match chunk {
            Chunk::Data { ppid, sid, bytes } => self.tell_message(to, ppid, sid, &bytes),
            Chunk::Shutdown => {
                let place = end.place;
                self.remove_end(to);
                let back = self.link(host, place.peer).delay;
                self.arrive_at(self.now + back, place.peer, Arrival::ShutdownComplete { end: from });
                self.tell_lost(host, self.hosts[host].life, name, false);
            }
        }
    }

    /// Who spoke to an end that is not there is told so by the machine.
    fn deny(&mut self, id: EndId) {
        let Some(place) = self.ends.get(&id).map(|e| e.place) else { return };
        if self.two_way(place.host, place.peer) && self.hosts[place.peer].state != State::Off {
            let at = self.now + self.link(place.peer, place.host).delay;
            self.arrive_at(at, place.host, Arrival::Abort { end: id, bare: true });
        }
    }

    // ---- ends --------------------------------------------------------------------------------------------------

    pub(super) fn shutdown(&mut self, id: EndId) {
        let Some(end) = self.ends.get_mut(&id) else { return };
        match end.phase {
            Phase::Connecting => self.give_up_connecting(id),
            Phase::Up => {
                end.phase = Phase::Closing;
                self.send(id, Chunk::Shutdown);
            }
            Phase::Closing => {}
        }
    }

    /// Ends an association at once; the other end hears of it if it can. Returns what was known of it.
    pub(super) fn abort(&mut self, id: EndId) -> Option<End> {
        let end = self.remove_end(id)?;
        let place = end.place;
        if let Some(other) = end.other {
            if !self.link(place.host, place.peer).cut && !self.chance(self.weather.loss) {
                let at = (self.now + self.link(place.host, place.peer).delay).max(end.last_arrival);
                self.arrive_at(at, place.peer, Arrival::Abort { end: other, bare: false });
            }
            self.assess(other);
        }
        Some(end)
    }

    pub(super) fn remove_end(&mut self, id: EndId) -> Option<End> {
        let end = self.ends.remove(&id)?;
        self.backlog -= end.stalled.iter().map(Chunk::len).sum::<usize>();
        if self.places.get(&end.place) == Some(&id) {
            self.places.remove(&end.place);
        }
        self.names.remove(&(end.place.host, end.name));
        if let Some(other) = end.other {
            self.assess(other);
        }
        Some(end)
    }

    /// A process is gone, and with it all its ends.
    pub(super) fn drop_ends_of(&mut self, host: usize) {
        let gone: Vec<EndId> = self.ends.iter().filter(|(_, e)| e.place.host == host).map(|(id, _)| *id).collect();
        for id in gone {
            self.remove_end(id);
        }
        self.assess_around(host);
    }

    /// All ends of a host, and all that speak to it, look anew.
    pub(super) fn assess_around(&mut self, host: usize) {
        let touched = self.ends.iter().filter(|(_, e)| e.place.host == host || e.place.peer == host);
        for id in touched.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.assess(id);
        }
    }

    pub(super) fn assess_between(&mut self, a: usize, b: usize) {
        let between = |e: &End| (e.place.host, e.place.peer) == (a, b) || (e.place.host, e.place.peer) == (b, a);
        for id in self.ends.iter().filter(|(_, e)| between(e)).map(|(id, _)| *id).collect::<Vec<_>>() {
            self.assess(id);
        }
    }

    /// What the other end of an association does at present, and when this end finds out.
    pub(super) fn assess(&mut self, id: EndId) {
        let Some(end) = self.ends.get(&id).filter(|e| e.other.is_some() && e.phase != Phase::Connecting) else { return };
        let (place, before) = (end.place, end.peer);
        let there = end.other.and_then(|o| self.ends.get(&o)).is_some_and(|o| o.other == Some(id));
        let passes = self.two_way(place.host, place.peer);
        let peer = match self.hosts[place.peer].state {
            State::Up if passes && there => Peer::Answers,
            State::Up | State::Ended if passes && !there => Peer::Denies,
            _ => Peer::Silent,
        };
        if peer == before {
            return;
        }
        let after = match peer {
            Peer::Answers => None,
            Peer::Denies => Some(self.draw(SPEAKS)),
            Peer::Silent => Some(DETECTION[0] + self.draw(DETECTION[1] - DETECTION[0])),
        };
        let Some(end) = self.ends.get_mut(&id) else { return };
        end.peer = peer;
        end.epoch += 1;
        let epoch = end.epoch;
        match after {
            None => self.flush(id),
            Some(after) => self.schedule(self.now + after, Item::Verdict { end: id, epoch }),
        }
    }

    /// An end finds out that the other one is not there any more.
    pub(super) fn verdict(&mut self, id: EndId, epoch: u64) {
        let Some(end) = self.ends.get(&id).filter(|e| e.epoch == epoch) else { return };
        let (host, name, denied) = (end.place.host, end.name, end.peer == Peer::Denies);
        if self.hosts[host].state == State::Frozen {
            // It counts its retransmissions when it goes on.
            let again = self.draw(DETECTION[0]) + RETRANSMIT;
            self.schedule(self.now + again, Item::Verdict { end: id, epoch });
            return;
        }
        self.remove_end(id);
        self.tell_lost(host, self.hosts[host].life, name, denied);
    }

    pub(super) fn aborted(&mut self, id: EndId, bare: bool) {
        if let Some(end) = self.remove_end(id) {
            let host = end.place.host;
            self.tell_lost(host, self.hosts[host].life, end.name, bare);
        }
    }

    pub(super) fn shutdown_complete(&mut self, id: EndId) {
        if let Some(end) = self.remove_end(id) {
            let host = end.place.host;
            self.tell_lost(host, self.hosts[host].life, end.name, false);
        }
    }

    // ---- multicast ---------------------------------------------------------------------------------------------

    pub(super) fn multicast(&mut self, from: usize, service: Service, group: SocketAddr, bytes: &Bytes) {
        let port = self.hosts[from].port(service);
        let src = SocketAddr::new(self.hosts[from].addr, port);
        for to in 0..self.hosts.len() {
            let listens = (group == self.asap_group && to != from) || (group == self.enrp_group && self.hosts[to].is_registrar());
            if !listens || self.link(from, to).cut || self.hosts[to].state != State::Up {
                continue;
            }
            let copies = 1 + usize::from(self.chance(self.weather.multicast_twice));
            for _ in 0..copies {
                if self.chance(self.weather.multicast_loss) {
                    continue;
                }
                let at = self.now + self.link(from, to).delay + self.draw(self.weather.multicast_delay);
                self.arrive_at(at, to, Arrival::Datagram { service, src, bytes: bytes.clone() });
            }
        }
    }
}
