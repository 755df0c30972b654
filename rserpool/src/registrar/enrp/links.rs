//! Associations with peers. They are opened from the ENRP port, for RSPLIB takes a presence only from where it says that
//! its sender is reached.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use sctp_user::Time;
use sctp_user::net::canonical;

use super::peers::PeerState;
use super::table::Session;
use super::{EnrpTimer, SPREAD_PERMILLE};
use crate::registrar::client::is_of_host;
use crate::registrar::{AssocKey, CloseHow, ConnectToken, Output, RefusalReason, Registrar, RegistrarEvent, Service};
use crate::wire::{
    CauseCode, DecodeError, ENRP_PPID, EncodeOptions, EnrpMessage, ErrorCause, MAX_ADDRESSES, OperationError, RegistrarId, Scope,
};

/// Tokens of ENRP begin here; ASAP's count from zero.
const FIRST_TOKEN: u64 = 1 << 63;

/// An association at the ENRP port.
#[derive(Debug)]
pub(super) struct Link {
    /// The other end's addresses with its port.
    pub(super) places: Vec<SocketAddr>,
    pub(super) on_this_host: bool,
    /// Who is there, as its messages say.
    pub(super) peer: Option<RegistrarId>,
    /// Our table, on its way there.
    pub(super) session: Option<Session>,
    pub(super) last_heard: Time,
    /// The round-trip time to it, once measured.
    pub(super) rtt: Option<Duration>,
    /// Which configured peer it was opened to.
    contact: Option<usize>,
}

impl Link {
    /// The scope that an address must have to be of use to this peer.
    pub(super) fn reach(&self) -> Scope {
        if self.on_this_host { Scope::Loopback } else { Scope::SiteLocal }
    }
}

/// Why an association is being opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    Peer(RegistrarId),
    Contact(usize),
}

/// A configured peer.
#[derive(Debug)]
pub(super) struct Contact {
    addrs: Vec<SocketAddr>,
    connecting: bool,
    link: Option<AssocKey>,
}

impl Contact {
    pub(super) const fn new(addrs: Vec<SocketAddr>) -> Self {
        Self { addrs, connecting: false, link: None }
    }

    /// Whether it may yet turn out to be there.
    pub(super) const fn is_promising(&self) -> bool {
        self.connecting || self.link.is_some()
    }
}

impl Registrar {
    pub(in crate::registrar) fn enrp_connected(&mut self, now: Time, assoc: AssocKey, token: Option<ConnectToken>, peer: &[SocketAddr]) {
        let purpose = token.and_then(|t| self.enrp.connects.remove(&t));
        let addr = peer.first().map_or(IpAddr::from([0; 4]), |p| canonical(p.ip()));
        let full = self.enrp.links.len() >= self.cfg.enrp.max_peers.saturating_mul(2);
        let allowed = self.cfg.access.allows_registrar(addr);
        if full || !allowed || self.stopping || peer.is_empty() || self.enrp.links.contains_key(&assoc) {
            let why = if allowed { RefusalReason::Peers } else { RefusalReason::RegistrarNotAllowed };
            self.refused(now, why, RegistrarEvent::Denied { assoc: Some(assoc), addr, why });
            self.outputs.push_back(Output::Close { assoc, how: CloseHow::Abort });
            if let Some(purpose) = purpose {
                self.enrp_connect_failed(now, purpose);
            }
            return;
        }
        let places: Vec<SocketAddr> = peer.iter().take(MAX_ADDRESSES).map(|a| SocketAddr::new(canonical(a.ip()), a.port())).collect();
        let addrs: Vec<IpAddr> = places.iter().map(SocketAddr::ip).collect();
        let on_this_host = is_of_host(&addrs, &self.local);
        let link = Link { places, on_this_host, peer: None, session: None, last_heard: now, rtt: None, contact: None };
        self.enrp.links.insert(assoc, link);
        match purpose {
            Some(Purpose::Peer(id)) => self.reached_peer(assoc, id),
            Some(Purpose::Contact(n)) => {
                if let Some(contact) = self.enrp.contacts.get_mut(n) {
                    contact.connecting = false;
                    contact.link = Some(assoc);
                }
                if let Some(link) = self.enrp.links.get_mut(&assoc) {
                    link.contact = Some(n);
                }
                self.present(assoc, RegistrarId::UNDEFINED, true);
            }
            None => {}
        }
        self.count_remote_peers();
        // A registrar that was told of no peers has not sent heartbeats so far.
        let at = now + self.spread(self.cfg.enrp.timers.heartbeat, SPREAD_PERMILLE);
        self.enrp_timer_unless_set(EnrpTimer::Heartbeat, at);
    }

    /// An association to a peer is up: what waits for it leaves. It need not be the peer that we meant who is there.
    fn reached_peer(&mut self, assoc: AssocKey, id: RegistrarId) {
        let Some(peer) = self.enrp.peers.get_mut(id) else {
            self.close_link(assoc, CloseHow::Shutdown);
            return;
        };
        peer.connecting = None;
        peer.link.get_or_insert(assoc);
        for bytes in peer.take_queue() {
            self.outputs.push_back(Output::Send { assoc, ppid: ENRP_PPID, sid: 0, bytes });
        }
        self.present(assoc, id, true);
    }

    pub(in crate::registrar) fn enrp_token_failed(&mut self, now: Time, token: ConnectToken) -> bool {
        let purpose = self.enrp.connects.remove(&token);
        if let Some(purpose) = purpose {
            self.enrp_connect_failed(now, purpose);
        }
        purpose.is_some()
    }

    /// A peer that is asked because it was silent, and cannot be reached, is dead (RFC 5353 section 3.4.3: "if the send
    /// fails").
    fn enrp_connect_failed(&mut self, now: Time, purpose: Purpose) {
        match purpose {
            Purpose::Contact(n) => {
                if let Some(contact) = self.enrp.contacts.get_mut(n) {
                    contact.connecting = false;
                }
                self.contact_failed(now);
            }
            Purpose::Peer(id) => {
                let Some(peer) = self.enrp.peers.get_mut(id) else { return };
                peer.connecting = None;
                peer.take_queue();
                if matches!(peer.state, PeerState::Asked { .. }) && peer.link.is_none() {
                    self.peer_died(now, id);
                } else if !peer.confirmed && self.space.owned_count(id) == 0 {
                    self.remove_peer(id, true);
                } else if !peer.confirmed {
                    // A mentor told of it, and of its elements: somebody has to be their home.
                    self.ask_peer(now, id);
                }
            }
        }
    }

    /// An association at the ENRP port is gone. Its peer is asked at once over a new one; if its process is known to be
    /// dead, that will fail soon.
    pub(in crate::registrar) fn enrp_lost(&mut self, now: Time, assoc: AssocKey) {
        for id in self.forget_link(assoc) {
            self.abort_sync(now, id);
            if !self.stopping {
                self.ask_peer(now, id);
            }
        }
    }

    /// Forgets an association; returns the peers that we have none with any more.
    fn forget_link(&mut self, assoc: AssocKey) -> Vec<RegistrarId> {
        let Some(link) = self.enrp.links.remove(&assoc) else { return Vec::new() };
        if let Some(contact) = link.contact.and_then(|n| self.enrp.contacts.get_mut(n)) {
            contact.link = contact.link.filter(|a| *a != assoc);
        }
        let links = &self.enrp.links;
        let mut cut_off = Vec::new();
        for (id, peer) in self.enrp.peers.iter_mut().filter(|(_, p)| p.link == Some(assoc)) {
            // There may be a second one: both ends may have opened one at the same time.
            peer.link = links.iter().find(|(_, l)| l.peer == Some(id)).map(|(a, _)| *a);
            if peer.link.is_none() {
                cut_off.push(id);
            }
        }
        self.count_remote_peers();
        cut_off
    }

    pub(super) fn close_link(&mut self, assoc: AssocKey, how: CloseHow) {
        if self.enrp.has_link(assoc) {
            self.forget_link(assoc);
            self.outputs.push_back(Output::Close { assoc, how });
        }
    }

    fn count_remote_peers(&mut self) {
        self.remote_peers = self.enrp.links.values().filter(|l| !l.on_this_host).count();
    }

    /// The host's addresses changed.
    pub(in crate::registrar) fn enrp_addresses(&mut self) {
        for link in self.enrp.links.values_mut() {
            let addrs: Vec<IpAddr> = link.places.iter().map(SocketAddr::ip).collect();
            link.on_this_host = is_of_host(&addrs, &self.local);
        }
        self.count_remote_peers();
    }

    /// The other end's SCTP has restarted: what was going on over the association is over.
    pub(in crate::registrar) fn enrp_restarted(&mut self, now: Time, assoc: AssocKey) {
        let Some(link) = self.enrp.links.get_mut(&assoc) else { return };
        link.session = None;
        if let Some(id) = link.peer {
            self.abort_sync(now, id);
            self.present(assoc, id, true);
        }
    }

    /// A message on an association at the ENRP port.
    pub(in crate::registrar) fn enrp_message(&mut self, now: Time, assoc: AssocKey, ppid: u32, bytes: &[u8]) {
        let Some(link) = self.enrp.links.get_mut(&assoc) else { return };
        link.last_heard = now;
        if ppid != ENRP_PPID {
            self.refused(now, RefusalReason::WrongProtocol, RegistrarEvent::WrongProtocol { assoc, ppid });
            return;
        }
        match EnrpMessage::decode(bytes) {
            Ok(decoded) => {
                let sender = decoded.message.sender();
                if sender.is_undefined() {
                    self.limited(now, assoc, RefusalReason::NoSender);
                } else if sender == self.id {
                    self.own_id_heard(now, assoc, &decoded.message);
                } else {
                    self.enrp_dispatch(now, assoc, decoded.message);
                    for data in decoded.reports {
                        self.enrp_report(assoc, sender, ErrorCause { code: CauseCode::UNRECOGNIZED_PARAMETER, data }.into());
                    }
                }
            }
            Err(error) => self.enrp_malformed(now, assoc, bytes, error),
        }
    }

    /// What is not understood is answered by an error if it wants to be (RFC 5353 section 3.7), but no error is.
    fn enrp_malformed(&mut self, now: Time, assoc: AssocKey, bytes: &[u8], error: DecodeError) {
        self.refused(now, RefusalReason::Malformed, RegistrarEvent::Malformed { assoc, error });
        let sender = EnrpMessage::sender_of(bytes).unwrap_or(RegistrarId::UNDEFINED);
        if bytes.first() != Some(&EnrpMessage::ERROR)
            && let Some(report) = error.to_report(bytes)
        {
            self.enrp_report(assoc, sender, report);
        }
    }

    fn enrp_report(&mut self, assoc: AssocKey, receiver: RegistrarId, error: OperationError) {
        self.reply(assoc, &EnrpMessage::Error { sender: self.id, receiver, error });
    }

    pub(super) fn enrp_encode(&mut self, message: &EnrpMessage) -> Option<Bytes> {
        let encoded = message.encode(EncodeOptions { count_padding: self.cfg.count_padding });
        if encoded.is_err() {
            self.stats.count_refusal(RefusalReason::Length);
        }
        encoded.ok().map(Bytes::from)
    }

    /// Sends over this very association.
    pub(super) fn reply(&mut self, assoc: AssocKey, message: &EnrpMessage) {
        if let Some(bytes) = self.enrp_encode(message) {
            self.outputs.push_back(Output::Send { assoc, ppid: ENRP_PPID, sid: 0, bytes });
        }
    }

    /// Sends to a peer, over a new association if there is none.
    pub(super) fn tell(&mut self, id: RegistrarId, message: &EnrpMessage) {
        if let Some(bytes) = self.enrp_encode(message) {
            self.tell_bytes(id, &bytes);
        }
    }

    pub(super) fn tell_bytes(&mut self, id: RegistrarId, bytes: &Bytes) {
        let Some(peer) = self.enrp.peers.get_mut(id) else { return };
        if let Some(assoc) = peer.link {
            self.outputs.push_back(Output::Send { assoc, ppid: ENRP_PPID, sid: 0, bytes: bytes.clone() });
        } else if !peer.addrs.is_empty() {
            peer.enqueue(bytes);
            self.connect_peer(id);
        }
    }

    /// Sends to all peers that live: what RFC 5353 section 1.1 calls a group-cast, one copy over each association.
    pub(super) fn tell_all(&mut self, message: &EnrpMessage) {
        let Some(bytes) = self.enrp_encode(message) else { return };
        for (id, _) in self.enrp.told() {
            self.tell_bytes(id, &bytes);
        }
    }

    /// Opens an association to a peer if there is none. Its own presence is the first thing that the peer hears.
    pub(super) fn connect_peer(&mut self, id: RegistrarId) {
        if let Some(peer) = self.enrp.peers.get(id).filter(|p| p.link.is_none()) {
            self.connect_peer_at(id, peer.addrs.clone());
        }
    }

    /// Opens an association to where a peer may be, whatever there is already; one at a time.
    pub(super) fn connect_peer_at(&mut self, id: RegistrarId, addrs: Vec<SocketAddr>) {
        let token = ConnectToken(FIRST_TOKEN | self.enrp.next_token);
        let Some(peer) = self.enrp.peers.get_mut(id) else { return };
        if peer.connecting.is_some() || addrs.is_empty() || self.stopping {
            return;
        }
        peer.connecting = Some(token);
        self.enrp.next_token += 1;
        self.enrp.connects.insert(token, Purpose::Peer(id));
        self.outputs.push_back(Output::Connect { token, service: Service::Enrp, addrs });
    }

    /// Opens associations to the configured peers that there are none with.
    pub(super) fn contact_all(&mut self) {
        for n in 0..self.enrp.contacts.len() {
            let Some(contact) = self.enrp.contacts.get(n) else { continue };
            let addrs = contact.addrs.clone();
            // It may have been found by other means, or it may be ourselves.
            let known = self.enrp.links.values().any(|l| l.places.iter().any(|p| addrs.contains(p)));
            let ourselves = addrs.iter().any(|a| self.is_own_place(*a));
            if contact.is_promising() || known || ourselves || self.stopping {
                continue;
            }
            if let Some(contact) = self.enrp.contacts.get_mut(n) {
                contact.connecting = true;
            }
            let token = ConnectToken(FIRST_TOKEN | self.enrp.next_token);
            self.enrp.next_token += 1;
            self.enrp.connects.insert(token, Purpose::Contact(n));
            self.outputs.push_back(Output::Connect { token, service: Service::Enrp, addrs });
        }
    }

    /// Whether this is where our own ENRP service is reached.
    pub(super) fn is_own_place(&self, place: SocketAddr) -> bool {
        let ip = canonical(place.ip());
        place.port() == self.cfg.enrp_port && (ip.is_loopback() || self.local.contains(&ip))
    }

    /// Ends associations over which nothing was heard for long, with whoever does not take part.
    pub(super) fn sweep_links(&mut self, now: Time) {
        let t = self.cfg.enrp.timers;
        let patience: Duration = t.max_time_last_heard.saturating_add(t.max_time_no_response).saturating_mul(2);
        let silent = |l: &Link| now.saturating_since(l.last_heard) > patience;
        let idle: Vec<AssocKey> = self.enrp.links.iter().filter(|(_, l)| silent(l)).map(|(a, _)| *a).collect();
        for assoc in idle {
            self.close_link(assoc, CloseHow::Shutdown);
        }
        for link in self.enrp.links.values_mut() {
            link.session = link.session.take().filter(|s| s.until() > now);
        }
    }

    /// Shuts all associations with peers down.
    pub(in crate::registrar) fn enrp_stop(&mut self) {
        let all: Vec<AssocKey> = self.enrp.links.keys().copied().collect();
        for assoc in all {
            self.close_link(assoc, CloseHow::Shutdown);
        }
    }
}
