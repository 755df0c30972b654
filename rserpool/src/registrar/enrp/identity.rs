//! Two registrars with one identifier.
//!
//! RFC 5353 section 3.2.1 thinks that this does no harm. It does: the others see one registrar that says now this, now that
//! of what it owns, and throw away the elements of either in turn. So one of the two takes a new identifier, as if it had
//! been rebooted (which is the only way that the RFC knows), but keeps its elements: the peers learn of them as of a new
//! registrar's. Who owns nothing gives way to who owns something; else each gives way with a chance of one half, each time
//! that it hears the other.

use sctp_user::Time;

use super::audit::OWNS_NOTHING;
use super::event::EnrpEvent;
use super::peers::PeerState;
use crate::registrar::{AssocKey, Registrar};
use crate::wire::{EnrpMessage, RegistrarId};

impl Registrar {
    /// Somebody at the other end of an association calls itself what we are called.
    pub(super) fn own_id_heard(&mut self, now: Time, assoc: AssocKey, message: &EnrpMessage) {
        let EnrpMessage::Presence { checksum, .. } = message else { return };
        // An association with ourselves, by an address that we do not know to be ours.
        if self.enrp.links.get(&assoc).is_some_and(|l| l.places.iter().any(|p| self.is_own_place(*p))) {
            self.close_link(assoc, crate::registrar::CloseHow::Abort);
            return;
        }
        self.duplicate_id(now, *checksum);
        // The other one has to notice, too. By now we may be another.
        self.present(assoc, RegistrarId::UNDEFINED, false);
    }

    pub(super) fn duplicate_id(&mut self, now: Time, theirs: Option<u16>) {
        let we_own_nothing = self.space.checksum(self.id) == OWNS_NOTHING;
        let they_own_nothing = theirs == Some(OWNS_NOTHING);
        // A new identifier is drawn at random, so the next one that is taken is a lie: who forges presences shall not keep us
        // busy with changing our elements' home.
        let recently = self.enrp.renumbered.is_some_and(|t| now.saturating_since(t) < self.cfg.enrp.timers.takeover_expiry);
        let give_way = !recently
            && match (we_own_nothing, they_own_nothing) {
                (true, false) => true,
                (false, true) => false,
                _ => self.entropy.below(2) == 0,
            };
        let old = self.id;
        if give_way {
            self.renumber(now);
        }
        self.event(EnrpEvent::DuplicateId { id: old, new: give_way.then_some(self.id) });
        if give_way {
            self.present_to_all();
        }
    }

    fn renumber(&mut self, now: Time) {
        let old = self.id;
        self.enrp.renumbered = Some(now);
        while self.id == old || self.id.is_undefined() || self.enrp.peers.contains(self.id) {
            self.id = RegistrarId(self.entropy.u32());
        }
        for key in self.keys_owned_by(old) {
            self.space.set_home(key, self.id);
        }
        // Takeovers under the old name are nobody's now.
        let targets: Vec<RegistrarId> = self.enrp.takeovers.keys().copied().collect();
        self.enrp.takeovers.clear();
        for target in targets {
            if let Some(peer) = self.enrp.peers.get_mut(target) {
                peer.state = PeerState::Inactive { until: now };
                self.enrp_timer(super::EnrpTimer::Peer(target), Some(now));
            }
        }
    }
}
