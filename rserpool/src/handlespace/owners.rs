//! The registrars that own elements: checksums, lists, and marks.
//!
//! Marking all elements of an owner takes no time: a round of marking begins, and whatever was not confirmed in it counts
//! as marked. An element that is confirmed moves to the end of its owner's list, so that those that are marked come first.

use std::collections::BTreeMap;

use super::Checksum;
use super::record::{Record, Records};
use super::store::list::{List, NONE, OWNER};
use super::store::segmented::Segmented;
use crate::wire::RegistrarId;

#[derive(Debug)]
pub(super) struct Owner {
    pub(super) id: RegistrarId,
    pub(super) checksum: Checksum,
    pub(super) list: List<OWNER>,
    round: u32,
}

impl Owner {
    pub(super) const fn is_marked(&self, record: &Record) -> bool {
        record.confirmed != self.round
    }
}

/// All owners that own something.
#[derive(Debug)]
pub(super) struct Owners {
    by_id: BTreeMap<RegistrarId, u32>,
    pub(super) all: Segmented<Owner>,
    vacant: Vec<u32>,
    /// The one that was asked for last: most likely the next one too.
    last: u32,
}

impl Owners {
    pub(super) const fn new() -> Self {
        Self { by_id: BTreeMap::new(), all: Segmented::new(), vacant: Vec::new(), last: NONE }
    }

    pub(super) fn find(&self, id: RegistrarId) -> Option<&Owner> {
        self.by_id.get(&id).and_then(|index| self.all.get(*index))
    }

    fn index(&mut self, id: RegistrarId) -> u32 {
        if self.all.get(self.last).is_some_and(|o| o.id == id && o.list.len() > 0) {
            return self.last;
        }
        self.last = match self.by_id.get(&id) {
            Some(index) => *index,
            None => {
                let owner = Owner { id, checksum: Checksum::default(), list: List::new(), round: 0 };
                let index = match self.vacant.pop() {
                    Some(index) => {
                        self.all[index] = owner;
                        index
                    }
                    None => self.all.push(owner),
                };
                self.by_id.insert(id, index);
                index
            }
        };
        self.last
    }

    /// An element, which has no owner, gets one. `share` is its part of the checksum.
    pub(super) fn own(&mut self, records: &mut Records, slot: u32, id: RegistrarId, share: u64) {
        let index = self.index(id);
        let owner = &mut self.all[index];
        owner.checksum.add_share(share);
        owner.list.push(&mut records.slots, slot);
        let record = &mut records.slots[slot];
        (record.owner, record.confirmed) = (index, owner.round);
    }

    /// An element has no owner any more.
    pub(super) fn disown(&mut self, records: &mut Records, slot: u32, share: u64) {
        let index = records.slots[slot].owner;
        let owner = &mut self.all[index];
        owner.checksum.sub_share(share);
        owner.list.remove(&mut records.slots, slot);
        if owner.list.len() == 0 {
            self.by_id.remove(&owner.id);
            self.vacant.push(index);
        }
    }

    pub(super) fn home(&self, record: &Record) -> RegistrarId {
        self.all.get(record.owner).map_or(RegistrarId::UNDEFINED, |o| o.id)
    }

    /// Begins a round of marking.
    pub(super) fn mark(&mut self, id: RegistrarId) {
        if let Some(index) = self.by_id.get(&id) {
            let round = &mut self.all[*index].round;
            *round = round.wrapping_add(1);
        }
    }

    /// Takes the mark off an element.
    pub(super) fn confirm(&mut self, records: &mut Records, slot: u32) {
        let record = &mut records.slots[slot];
        let owner = &mut self.all[record.owner];
        if owner.is_marked(record) {
            record.confirmed = owner.round;
            owner.list.remove(&mut records.slots, slot);
            owner.list.push(&mut records.slots, slot);
        }
    }

    /// The first element that is marked.
    pub(super) fn first_marked(&self, records: &Records, id: RegistrarId) -> Option<u32> {
        let owner = self.find(id)?;
        let first = records.slots.get(owner.list.head)?;
        owner.is_marked(first).then_some(owner.list.head)
    }

    pub(super) fn audit(&self, records: &Records, shares: impl Fn(&Record) -> u64) -> Result<usize, String> {
        let mut owned = 0;
        for (id, index) in &self.by_id {
            let owner = self.all.get(*index).filter(|o| o.id == *id).ok_or_else(|| format!("{id} is nobody"))?;
            let (mut checksum, mut len, mut confirmed) = (Checksum::default(), 0, false);
            for slot in owner.list.iter(&records.slots) {
                let record = &records.slots[slot];
                len += 1;
                checksum.add_share(shares(record));
                if record.serial == 0 || record.owner != *index {
                    return Err(format!("{id} does not own slot {slot}"));
                }
                if confirmed && owner.is_marked(record) {
                    return Err(format!("{id}: slot {slot} is marked, but not one before it"));
                }
                confirmed = !owner.is_marked(record);
            }
            if len == 0 || len != owner.list.len() || checksum != owner.checksum {
                return Err(format!("{id} owns {len} elements, not {}, or the checksum is wrong", owner.list.len()));
            }
            owned += len as usize;
        }
        Ok(owned)
    }
}
