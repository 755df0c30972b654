//! Who owns an element, over which association it is registered, and marks.

use super::Handlespace;
use super::checksum::share_of_id;
use super::element::ElementKey;
use super::record::NO_ASSOC;
use super::store::list::{ASSOC, Link};
use crate::wire::RegistrarId;

impl Handlespace {
    /// Gives an element another home registrar; a mark is taken off.
    pub fn set_home(&mut self, key: ElementKey, home: RegistrarId) {
        if let Some(slot) = self.records.slot(key) {
            self.move_home(slot, home);
        }
    }

    /// Returns the home before, if it was another one.
    pub(super) fn move_home(&mut self, slot: u32, home: RegistrarId) -> Option<RegistrarId> {
        let record = &self.records.slots[slot];
        let before = self.owners.home(record);
        if before == home {
            self.owners.confirm(&mut self.records, slot);
            return None;
        }
        let share = share_of_id(record.id) + self.pools.get(record.pool).map_or(0, |p| p.share);
        self.owners.disown(&mut self.records, slot, share);
        self.owners.own(&mut self.records, slot, home, share);
        Some(before)
    }

    /// The elements that a registrar owns: those that are marked first.
    pub fn owned_by(&self, owner: RegistrarId) -> impl Iterator<Item = ElementKey> + '_ {
        let slots = self.owners.find(owner).map(|o| o.list.iter(&self.records.slots));
        slots.into_iter().flatten().map(|slot| self.records.slots[slot].key(slot))
    }

    /// How many elements a registrar owns.
    #[must_use]
    pub fn owned_count(&self, owner: RegistrarId) -> usize {
        self.owners.find(owner).map_or(0, |o| o.list.len() as usize)
    }

    /// The checksum over what a registrar owns (RFC 5353 section 3.6.2).
    #[must_use]
    pub fn checksum(&self, owner: RegistrarId) -> u16 {
        self.owners.find(owner).map(|o| o.checksum).unwrap_or_default().value()
    }

    /// Marks all that a registrar owns, in no time. What it still owns is then registered again, or
    /// [unmarked](Handlespace::unmark); [`Handlespace::pop_marked`] finds the rest (RFC 5353 section 3.6.2).
    pub fn mark_owned(&mut self, owner: RegistrarId) {
        self.owners.mark(owner);
    }

    /// Takes the mark off an element.
    pub fn unmark(&mut self, key: ElementKey) {
        if let Some(slot) = self.records.slot(key) {
            self.owners.confirm(&mut self.records, slot);
        }
    }

    /// An element of this registrar that is marked; the mark is taken off.
    pub fn pop_marked(&mut self, owner: RegistrarId) -> Option<ElementKey> {
        let slot = self.owners.first_marked(&self.records, owner)?;
        self.owners.confirm(&mut self.records, slot);
        Some(self.records.slots[slot].key(slot))
    }

    /// Tells over which association an element is registered; `None`: over none. `u32::MAX` is none either.
    pub fn set_assoc(&mut self, key: ElementKey, assoc: Option<u32>) {
        let Some(slot) = self.records.slot(key) else { return };
        let assoc = assoc.unwrap_or(NO_ASSOC);
        let before = self.records.slots[slot].assoc;
        if before == assoc {
            return;
        }
        if before != NO_ASSOC {
            self.leave_assoc(slot, before);
        }
        self.records.slots[slot].assoc = assoc;
        if assoc != NO_ASSOC {
            self.join_assoc(slot, assoc);
        }
    }

    /// An association's elements are a ring, of which the index knows the first.
    fn join_assoc(&mut self, slot: u32, assoc: u32) {
        let slots = &mut self.records.slots;
        let hash = self.secret.of_numbers(NO_ASSOC, assoc);
        let Some(head) = self.assocs.find(hash, |n| n != slot && slots[n].assoc == assoc) else {
            slots[slot].links[ASSOC] = Link { prev: slot, next: slot };
            let secret = self.secret;
            self.assocs.insert(hash, slot, |n| secret.of_numbers(NO_ASSOC, slots[n].assoc));
            return;
        };
        let tail = core::mem::replace(&mut slots[head].links[ASSOC].prev, slot);
        slots[tail].links[ASSOC].next = slot;
        slots[slot].links[ASSOC] = Link { prev: tail, next: head };
    }

    fn leave_assoc(&mut self, slot: u32, assoc: u32) {
        let slots = &mut self.records.slots;
        let hash = self.secret.of_numbers(NO_ASSOC, assoc);
        let Link { prev, next } = core::mem::replace(&mut slots[slot].links[ASSOC], Link::NOWHERE);
        if next == slot {
            self.assocs.remove(hash, slot);
            return;
        }
        slots[prev].links[ASSOC].next = next;
        slots[next].links[ASSOC].prev = prev;
        // Does nothing if it was not the first.
        self.assocs.replace(hash, slot, next);
    }

    /// The elements that are registered over an association, in the order in which that was told.
    pub fn on_assoc(&self, assoc: u32) -> impl Iterator<Item = ElementKey> + '_ {
        let slots = &self.records.slots;
        let hash = self.secret.of_numbers(NO_ASSOC, assoc);
        let head = self.assocs.find(hash, |n| slots[n].assoc == assoc);
        let following = move |slot: &u32| Some(slots[*slot].links[ASSOC].next).filter(|n| Some(*n) != head);
        core::iter::successors(head, following).map(move |slot| slots[slot].key(slot))
    }
}
