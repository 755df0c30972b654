//! A dead peer's elements find a new home (RFC 5353 section 3.5).
//!
//! Who notices first announces it, and waits until every other peer has acknowledged. If two announce it, the identifiers
//! decide who goes on. What else can happen ends well in time: a peer that dies is not waited for; a takeover that comes
//! to no end is tried again after a random time, by whoever still sees elements of the dead one; and after some rounds
//! without a word against it, it is as good as acknowledged, for elements must not be orphans because one registrar
//! never answers.

use core::time::Duration;
use std::collections::BTreeSet;

use sctp_user::Time;

use super::EnrpTimer;
use super::event::EnrpEvent;
use super::peers::PeerState;
use crate::registrar::{AssocKey, Registrar};
use crate::wire::{EnrpMessage, RegistrarId};

/// How many rounds are waited for acknowledgements.
const MAX_ROUNDS: u32 = 3;
/// How often at most we object to being taken over to everybody.
const OBJECTION_INTERVAL: Duration = Duration::from_millis(100);

/// Who has not yet acknowledged a takeover.
pub(super) type Acks = BTreeSet<RegistrarId>;

impl Registrar {
    /// A dead peer owns elements: we want to be their home (RFC 5353 section 3.5.1).
    pub(super) fn begin_takeover(&mut self, now: Time, target: RegistrarId) {
        if !self.enrp.is_serving() || self.stopping {
            self.put_off(now, target);
            return;
        }
        let waiting: Acks = self.enrp.peers.active().into_iter().filter(|id| *id != target).collect();
        let Some(peer) = self.enrp.peers.get_mut(target) else { return };
        peer.state = PeerState::TakingOver;
        let enough = peer.rounds >= MAX_ROUNDS;
        peer.rounds = peer.rounds.saturating_add(1);
        self.event(EnrpEvent::TakeoverBegun { target, peers: waiting.len() });
        let message = EnrpMessage::InitTakeover { sender: self.id, receiver: RegistrarId::UNDEFINED, target };
        self.tell_all(&message);
        // The target may yet object; as long as there is an association with it, it is among them.
        if self.enrp.peers.get(target).is_some_and(|p| p.link.is_none()) {
            self.tell(target, &message);
        }
        if waiting.is_empty() || enough {
            self.complete_takeover(now, target);
        } else {
            self.enrp.takeovers.insert(target, waiting);
            self.enrp_timer(EnrpTimer::Peer(target), Some(now + self.cfg.enrp.timers.takeover_expiry));
        }
    }

    /// Leaves a dead peer to others, or for later: if nobody has taken it over by then, we try.
    fn put_off(&mut self, now: Time, target: RegistrarId) {
        let expiry = self.cfg.enrp.timers.takeover_expiry;
        let until = now + expiry + self.up_to(expiry);
        if let Some(peer) = self.enrp.peers.get_mut(target) {
            peer.state = PeerState::Inactive { until };
            self.enrp_timer(EnrpTimer::Peer(target), Some(until));
        }
    }

    /// Not everybody has acknowledged in time.
    pub(super) fn takeover_expired(&mut self, now: Time, target: RegistrarId) {
        self.enrp.takeovers.remove(&target);
        self.event(EnrpEvent::TakeoverLost { target, why: "not all peers have acknowledged it" });
        let pause = self.up_to(self.cfg.enrp.timers.takeover_expiry);
        if let Some(peer) = self.enrp.peers.get_mut(target) {
            peer.state = PeerState::Inactive { until: now + pause };
            self.enrp_timer(EnrpTimer::Peer(target), Some(now + pause));
        }
    }

    /// A dead peer's acknowledgement is not waited for.
    pub(super) fn strike_off(&mut self, now: Time, dead: RegistrarId) {
        let targets: Vec<RegistrarId> = self.enrp.takeovers.keys().copied().collect();
        for target in targets {
            self.takeover_acknowledged(now, dead, target);
        }
    }

    /// A peer does not object.
    pub(super) fn takeover_acknowledged(&mut self, now: Time, from: RegistrarId, target: RegistrarId) {
        let Some(waiting) = self.enrp.takeovers.get_mut(&target) else { return };
        waiting.remove(&from);
        if waiting.is_empty() {
            self.complete_takeover(now, target);
        }
    }

    /// A peer wants to take over another one (RFC 5353 section 3.5.1, rules 1 to 3).
    pub(super) fn takeover_announced(&mut self, now: Time, assoc: AssocKey, from: RegistrarId, target: RegistrarId) {
        if target == self.id {
            self.object(now, assoc, from);
            return;
        }
        if self.enrp.takeovers.contains_key(&target) {
            if !self.cfg.enrp.arbitration.prefers(from, self.id) {
                return;
            }
            self.enrp.takeovers.remove(&target);
            self.event(EnrpEvent::TakeoverLost { target, why: "another registrar goes before" });
        }
        if self.enrp.peers.contains(target) {
            self.abort_sync(now, target);
            self.put_off(now, target);
        }
        self.reply(assoc, &EnrpMessage::InitTakeoverAck { sender: self.id, receiver: from, target });
    }

    /// We are said to be dead, and are not.
    fn object(&mut self, now: Time, assoc: AssocKey, from: RegistrarId) {
        self.event(EnrpEvent::Suspecting { by: from });
        self.present(assoc, from, false);
        if self.enrp.objected.is_none_or(|t| now.saturating_since(t) >= OBJECTION_INTERVAL) {
            self.enrp.objected = Some(now);
            self.present_to_all();
        }
    }

    /// Nobody objects: the elements are ours (RFC 5353 section 3.5.2).
    fn complete_takeover(&mut self, now: Time, target: RegistrarId) {
        self.enrp.takeovers.remove(&target);
        self.tell_all(&EnrpMessage::TakeoverServer { sender: self.id, receiver: RegistrarId::UNDEFINED, target });
        let keys = self.keys_owned_by(target);
        for key in &keys {
            self.space.set_home(*key, self.id);
            self.adopt(now, *key);
        }
        self.remove_peer(target, true);
        self.event(EnrpEvent::TakenOver { target, by: self.id, elements: keys.len() });
    }

    /// A peer has taken over another one, perhaps us.
    pub(super) fn taken_over(&mut self, now: Time, by: RegistrarId, target: RegistrarId) {
        let keys = self.keys_owned_by(target);
        self.event(EnrpEvent::TakenOver { target, by, elements: keys.len() });
        if target == self.id {
            // We live, and our elements know us: each is asked whose it is.
            for key in keys {
                self.claimed_unseen(now, key, by);
            }
            return;
        }
        for key in keys {
            self.space.set_home(key, by);
        }
        let silent = self.enrp.peers.get(target).is_some_and(|p| !p.is_active());
        self.remove_peer(target, silent);
        // Of others that we want to take over, it is no longer waited for.
        self.strike_off(now, target);
    }
}
