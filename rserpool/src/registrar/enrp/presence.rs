//! Telling that we are there, hearing who else is, and noticing who is no longer (RFC 5353 section 3.4).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sctp_user::Time;
use sctp_user::net::canonical;

use super::audit::OWNS_NOTHING;
use super::event::EnrpEvent;
use super::peers::PeerState;
use super::{EnrpTimer, SPREAD_PERMILLE, first};
use crate::registrar::{AssocKey, CloseHow, Output, RefusalReason, Registrar, Service, Timer};
use crate::wire::{EnrpMessage, RegistrarId, Scope, ServerInformation, Transport, TransportUse};

impl Registrar {
    /// Our presence. It always has both parameters, for RSPLIB hears none without.
    fn own_presence(&self, receiver: RegistrarId, reply_required: bool, reach: Scope, fallback: Option<IpAddr>) -> EnrpMessage {
        let usable = self.local.iter().copied().filter(|a| Scope::of(*a) >= reach);
        let mut transport = Transport::sctp(self.cfg.enrp_port, TransportUse::DATA, usable);
        if transport.addrs.is_empty() {
            // A transport without addresses is none. Over an association the receiver knows better anyway.
            transport.addrs.push(fallback.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        }
        let server = Some(ServerInformation { id: self.id, transport });
        EnrpMessage::Presence { sender: self.id, receiver, reply_required, checksum: Some(self.space.checksum(self.id)), server }
    }

    /// Sends our presence over an association.
    pub(super) fn present(&mut self, assoc: AssocKey, receiver: RegistrarId, reply_required: bool) {
        let Some(link) = self.enrp.links.get(&assoc) else { return };
        let message = self.own_presence(receiver, reply_required, link.reach(), None);
        self.reply(assoc, &message);
    }

    /// Sends our presence to a peer; the association that may have to be opened for it begins with a presence by itself.
    fn present_to(&mut self, id: RegistrarId, reply_required: bool) {
        match self.enrp.peers.get(id).and_then(|p| p.link) {
            Some(assoc) => self.present(assoc, id, reply_required),
            None => self.connect_peer(id),
        }
    }

    /// Tells everybody that we are there: by multicast, and over each association (RFC 5353 section 3.4.2).
    pub(super) fn present_to_all(&mut self) {
        for target in self.cfg.enrp.targets.clone() {
            let reach = if target.source.is_loopback() { Scope::Loopback } else { Scope::SiteLocal };
            let message = self.own_presence(RegistrarId::UNDEFINED, false, reach, Some(target.source));
            if let Some(bytes) = self.enrp_encode(&message) {
                self.outputs.push_back(Output::Announce { service: Service::Enrp, target, bytes });
            }
        }
        for id in self.enrp.peers.active() {
            self.present_to(id, false);
        }
    }

    /// PEER-HEARTBEAT-CYCLE is over.
    pub(super) fn heartbeat(&mut self, now: Time) {
        self.present_to_all();
        self.contact_all();
        self.sweep_links(now);
        let enrp = &self.enrp;
        if self.stopping || (enrp.links.is_empty() && enrp.peers.is_empty() && enrp.contacts.is_empty() && self.cfg.enrp.targets.is_empty())
        {
            return;
        }
        let at = now + self.spread(self.cfg.enrp.timers.heartbeat, SPREAD_PERMILLE);
        self.enrp_timer(EnrpTimer::Heartbeat, Some(at));
    }

    /// Somebody sent a message over an association: who it is becomes known by it. `None` if there is no room for another
    /// peer. A new one is asked for its presence (RFC 5353 section 3.4.1).
    pub(super) fn met(&mut self, now: Time, assoc: AssocKey, id: RegistrarId) -> Option<bool> {
        let link = self.enrp.links.get_mut(&assoc)?;
        let first_time = link.peer != Some(id);
        link.peer = Some(id);
        let places = link.places.clone();
        let is_new = match self.enrp.peers.get_mut(id) {
            Some(peer) => {
                // The latest association counts: a peer that came back elsewhere is where it speaks from.
                if first_time || peer.link.is_none() {
                    peer.link = Some(assoc);
                }
                let unheard = !peer.confirmed || peer.addrs.is_empty();
                peer.confirmed = true;
                if peer.addrs.is_empty() {
                    peer.addrs.clone_from(&places);
                }
                unheard
            }
            None => {
                if !self.enrp.peers.add(now, id, places.clone(), true) {
                    self.limited(now, assoc, RefusalReason::Peers);
                    return None;
                }
                if let Some(peer) = self.enrp.peers.get_mut(id) {
                    peer.link = Some(assoc);
                }
                true
            }
        };
        if first_time {
            self.replaced(now, id, &places);
        }
        self.heard(now, id);
        if is_new {
            self.event(EnrpEvent::PeerFound { id, at: first(&places) });
            self.present(assoc, id, true);
            self.welcome(now, id);
        }
        Some(is_new)
    }

    /// A registrar is heard where another one was: that one has restarted under another identifier, or moved. It is asked
    /// at once, without the wait for its silence.
    fn replaced(&mut self, now: Time, id: RegistrarId, places: &[SocketAddr]) {
        for other in self.enrp.peers.at(places) {
            if other != id {
                if let Some(peer) = self.enrp.peers.get_mut(other) {
                    peer.link = peer.link.filter(|l| self.enrp.links.get(l).is_some_and(|l| l.peer == Some(other)));
                }
                self.ask_peer(now, other);
            }
        }
    }

    /// Where a peer is reached, as it says over an association.
    pub(super) fn located(&mut self, assoc: AssocKey, id: RegistrarId, server: Option<&ServerInformation>) {
        let Some(link) = self.enrp.links.get(&assoc) else { return };
        // Of what it says of itself only addresses count that the association has: nobody can send us elsewhere. RSPLIB
        // listens on the very port that it sends from.
        let said = server.map(|s| s.transport.socket_addrs()).into_iter().flatten();
        let mut addrs: Vec<SocketAddr> = said
            .map(|a| SocketAddr::new(canonical(a.ip()), a.port()))
            .filter(|a| a.port() != 0 && link.places.iter().any(|p| p.ip() == a.ip()))
            .collect();
        if addrs.is_empty() {
            addrs.clone_from(&link.places);
        }
        if let Some(peer) = self.enrp.peers.get_mut(id) {
            peer.addrs = addrs;
        }
    }

    /// A presence by multicast. It is taken as news of a peer that we do not know, and as a sign of life of one that we
    /// know to be there; more should not be believed that anybody can send (RFC 5355).
    pub(in crate::registrar) fn presence_heard(&mut self, now: Time, src: SocketAddr, bytes: &[u8]) {
        let Ok(decoded) = EnrpMessage::decode(bytes) else { return };
        let EnrpMessage::Presence { sender: id, checksum, server: Some(server), .. } = decoded.message else { return };
        let place = SocketAddr::new(canonical(src.ip()), server.transport.port);
        if id.is_undefined() || place.port() == 0 || self.stopping {
            return;
        }
        if id == self.id {
            if !self.is_own_place(place) && !self.local.is_empty() {
                self.duplicate_id(now, checksum);
            }
            return;
        }
        let Some(peer) = self.enrp.peers.get_mut(id) else {
            if self.enrp.peers.add(now, id, vec![place], false) {
                self.arm_peer(now, id);
                self.connect_peer(id);
            }
            return;
        };
        if peer.addrs.contains(&place) {
            self.heard(now, id);
            // It has restarted, it seems: it hears at once that we know it, and can ask what it owned.
            if checksum == Some(OWNS_NOTHING) && self.space.owned_count(id) > 0 {
                // The old association may be one with its predecessor.
                self.present_to(id, true);
                self.connect_peer_at(id, vec![place]);
            }
        } else {
            // It may have come back elsewhere: it has to answer there before it counts.
            if peer.link.is_none() {
                peer.addrs = vec![place];
            }
            self.connect_peer_at(id, vec![place]);
        }
    }

    /// A sign of life of a peer (`peer_last_heard`, RFC 5353 section 3.4.3). Whatever was begun because it seemed dead ends
    /// (section 3.5.1).
    pub(super) fn heard(&mut self, now: Time, id: RegistrarId) {
        let Some(peer) = self.enrp.peers.get_mut(id) else { return };
        (peer.last_heard, peer.rounds) = (now, 0);
        let before = core::mem::replace(&mut peer.state, PeerState::Active);
        if before == PeerState::Active && self.timers.get(&Timer::Enrp(EnrpTimer::Peer(id))).is_some() {
            return;
        }
        self.arm_peer(now, id);
        if self.enrp.takeovers.remove(&id).is_some() {
            self.event(EnrpEvent::TakeoverLost { target: id, why: "it lives" });
        }
    }

    pub(super) fn arm_peer(&mut self, now: Time, id: RegistrarId) {
        let at = now + self.cfg.enrp.timers.max_time_last_heard;
        self.enrp_timer(EnrpTimer::Peer(id), Some(at));
    }

    /// A peer was silent for MAX-TIME-LAST-HEARD, or something speaks against it: it has MAX-TIME-NO-RESPONSE to answer
    /// (RFC 5353 section 3.4.3).
    pub(super) fn ask_peer(&mut self, now: Time, id: RegistrarId) {
        let until = now + self.cfg.enrp.timers.max_time_no_response;
        let Some(peer) = self.enrp.peers.get_mut(id).filter(|p| p.state == PeerState::Active) else { return };
        peer.state = PeerState::Asked { until };
        let nowhere = peer.addrs.is_empty();
        self.enrp_timer(EnrpTimer::Peer(id), Some(until));
        if nowhere {
            self.peer_died(now, id);
        } else {
            self.present_to(id, true);
        }
    }

    pub(super) fn peer_timeout(&mut self, now: Time, id: RegistrarId) {
        let Some(peer) = self.enrp.peers.get(id) else { return };
        match peer.state {
            PeerState::Active => {
                let due = peer.last_heard + self.cfg.enrp.timers.max_time_last_heard;
                if due > now {
                    self.enrp_timer(EnrpTimer::Peer(id), Some(due));
                } else {
                    self.ask_peer(now, id);
                }
            }
            PeerState::Asked { .. } => self.peer_died(now, id),
            PeerState::Inactive { .. } => self.bury(now, id),
            PeerState::TakingOver => self.takeover_expired(now, id),
        }
    }

    /// A peer did not answer in time, or cannot be reached.
    pub(super) fn peer_died(&mut self, now: Time, id: RegistrarId) {
        self.abort_sync(now, id);
        let Some(peer) = self.enrp.peers.get_mut(id) else { return };
        peer.take_queue();
        peer.state = PeerState::Inactive { until: now };
        self.event(EnrpEvent::PeerLost { id, elements: self.space.owned_count(id) });
        self.strike_off(now, id);
        self.mentor_lost(now, id);
        self.bury(now, id);
    }

    /// A dead peer is forgotten, once nobody's home is there.
    fn bury(&mut self, now: Time, id: RegistrarId) {
        if self.space.owned_count(id) == 0 {
            self.remove_peer(id, true);
        } else {
            self.begin_takeover(now, id);
        }
    }

    /// Forgets a peer; `close` its association as well, or go on with it should it be heard on it again.
    pub(super) fn remove_peer(&mut self, id: RegistrarId, close: bool) {
        self.enrp_timer(EnrpTimer::Peer(id), None);
        self.enrp_timer(EnrpTimer::Sync(id), None);
        self.enrp.takeovers.remove(&id);
        let Some(peer) = self.enrp.peers.remove(id) else { return };
        if let Some(token) = peer.connecting {
            self.enrp.connects.remove(&token);
        }
        if let Some(assoc) = peer.link.filter(|_| close) {
            self.close_link(assoc, CloseHow::Abort);
        }
    }
}
