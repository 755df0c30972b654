//! What changes at an element's home is told to all peers, and what they tell is taken in (RFC 5353 section 3.3).
//!
//! Every renewal is told, also one that changes nothing: the RFC wants it (section 3.3.1), and a peer takes an element for
//! gone whose registration life passes without an update. Saving some of them would need a timer at home for each element
//! to be right for every rhythm of renewals.

use sctp_user::Time;

use super::event::EnrpEvent;
use super::table::shown;
use crate::handlespace::ElementKey;
use crate::registrar::{Registrar, RemovalReason};
use crate::wire::{ElementId, EnrpMessage, PoolElement, PoolHandle, RegistrarId, Scope, UpdateAction};

impl Registrar {
    /// An element whose home we are was added, renewed, or is about to be removed.
    pub(in crate::registrar) fn tell_peers(&mut self, key: ElementKey, action: UpdateAction) {
        if self.stopping || self.enrp.peers.is_empty() {
            return;
        }
        let Some((handle, info)) = self.space.element(key).map(|e| (e.handle().clone(), e.info())) else { return };
        if info.home != self.id {
            return;
        }
        // What a peer can use of the addresses depends on where it is.
        let peers = self.enrp.told();
        for reach in [Scope::Loopback, Scope::SiteLocal] {
            let mut receivers = peers.iter().filter(|(_, r)| *r == reach).map(|(id, _)| *id).peekable();
            if receivers.peek().is_none() {
                continue;
            }
            let Some(element) = shown(info.clone(), reach) else { continue };
            if let Some(bytes) = self.enrp_encode(&self.update(RegistrarId::UNDEFINED, action, false, handle.clone(), element)) {
                receivers.for_each(|id| self.tell_bytes(id, &bytes));
            }
        }
        if action == UpdateAction::Add && self.cfg.enrp.suggest_takeovers {
            self.suggest(&handle, info);
        }
    }

    const fn update(
        &self,
        receiver: RegistrarId,
        action: UpdateAction,
        takeover_suggested: bool,
        handle: PoolHandle,
        element: PoolElement,
    ) -> EnrpMessage {
        EnrpMessage::HandleUpdate { sender: self.id, receiver, action, takeover_suggested, handle, element }
    }

    /// The registrar whose identifier differs most from the element's, if that is not us, gets a hint that it should be the
    /// element's home: so elements spread over the registrars (draft-dreibholz-rserpool-enrp-takeover).
    fn suggest(&mut self, handle: &PoolHandle, element: PoolElement) {
        let id = element.id.0;
        let best = self.enrp.peers.active().into_iter().max_by_key(|peer| peer.0 ^ id);
        if let Some(best) = best.filter(|peer| peer.0 ^ id > self.id.0 ^ id) {
            let reach = self.enrp.reach_of(best);
            if let Some(element) = shown(element, reach) {
                let message = self.update(best, UpdateAction::Add, true, handle.clone(), element);
                self.tell(best, &message);
            }
        }
    }

    /// A peer tells of an element that it is the home of (RFC 5353 section 3.3.1).
    pub(super) fn added(&mut self, now: Time, from: RegistrarId, handle: &PoolHandle, element: PoolElement, takeover_suggested: bool) {
        let id = element.id;
        self.learn(now, from, handle, element, false);
        if takeover_suggested && self.cfg.enrp.suggest_takeovers {
            self.pull(now, handle, id);
        }
    }

    /// A peer tells that an element is gone (RFC 5353 section 3.3.2). Only its home knows that. Of a home that is dead,
    /// whoever cares may tell.
    pub(super) fn deleted(&mut self, now: Time, from: RegistrarId, handle: &PoolHandle, id: ElementId) {
        let Some(key) = self.space.find(handle, id) else { return };
        let Some(home) = self.space.element(key).map(|e| e.home()) else { return };
        if home == from || (home != self.id && self.enrp.peers.get(home).is_none_or(|p| !p.is_active())) {
            self.remove(now, key, RemovalReason::HomeSaidSo);
        } else {
            self.claim_withdrawn(key, from);
        }
    }

    /// Takes in what a peer says of an element: in a table, complete or of its own elements, or as an update.
    pub(super) fn learn(&mut self, now: Time, from: RegistrarId, handle: &PoolHandle, mut element: PoolElement, complete: bool) {
        if element.home.is_undefined() {
            element.home = from;
        }
        let acceptable = element.id.0 != 0 && element.life.0 != 0 && handle.as_bytes().len() <= self.cfg.max_handle;
        // Of what belongs to others only a mentor tells.
        if !acceptable || (element.home != from && !complete) {
            self.event(EnrpEvent::Ignored { from, handle: handle.clone(), id: element.id, why: "what is said of it is impossible" });
            return;
        }
        let known = self.space.find(handle, element.id);
        let ours = known.filter(|key| self.space.element(*key).is_some_and(|e| e.home() == self.id));
        if element.home == self.id {
            // It was ours before we restarted with the same identifier, it seems.
            if known.is_none()
                && let Some(key) = self.take_in(now, from, handle, &element)
            {
                self.adopt(now, key);
            }
        } else if let Some(key) = ours {
            self.claimed(now, key, element);
        } else if self.know_home(now, element.home) {
            self.take_in(now, from, handle, &element);
        } else {
            self.event(EnrpEvent::Ignored { from, handle: handle.clone(), id: element.id, why: "too many registrars" });
        }
    }

    /// An element's home is a peer, if only one that nothing else is known of: should it not appear, it is taken over.
    pub(super) fn know_home(&mut self, now: Time, home: RegistrarId) -> bool {
        if self.enrp.peers.contains(home) {
            return true;
        }
        let added = self.enrp.peers.add(now, home, Vec::new(), true);
        if added {
            self.arm_peer(now, home);
        }
        added
    }

    pub(super) fn take_in(&mut self, now: Time, from: RegistrarId, handle: &PoolHandle, element: &PoolElement) -> Option<ElementKey> {
        let mut further = None;
        if element.policy.clone().distance_mut().is_some() {
            let mut e = element.clone();
            if let Some(distance) = e.policy.distance_mut() {
                *distance = distance.saturating_add(self.distance_of_peer(from));
            }
            further = Some(e);
        }
        match self.space.register(now, handle, further.as_ref().unwrap_or(element)) {
            Ok(r) => {
                if r.changed {
                    self.pool_changed(now, handle);
                }
                Some(r.key)
            }
            Err(_) => {
                let why = "it does not fit into its pool, or there is no room";
                self.event(EnrpEvent::Ignored { from, handle: handle.clone(), id: element.id, why });
                None
            }
        }
    }
}
