//! The roll of a pool: its elements in the order in which they joined, which never changes, so that a walk through them
//! can be resumed.

use super::record::Record;
use super::store::list::{List, NONE, POOL};
use super::store::segmented::Segmented;

/// Every so many elements there is an anchor; unit tests want many.
const SPAN: u32 = if cfg!(test) { 3 } else { 64 };

/// A list with anchors, by which the place of an element that is gone is found.
#[derive(Debug)]
pub(super) struct Roll {
    list: List<POOL>,
    /// Serial number and slot, ascending.
    anchors: Vec<(u64, u32)>,
    /// How many elements joined since the last anchor.
    since_anchor: u32,
}

impl Roll {
    pub(super) const fn new() -> Self {
        Self { list: List::new(), anchors: Vec::new(), since_anchor: 0 }
    }

    pub(super) fn push(&mut self, records: &mut Segmented<Record>, slot: u32) {
        self.list.push(records, slot);
        self.since_anchor += 1;
        if self.since_anchor == SPAN {
            self.since_anchor = 0;
            self.anchors.push((records[slot].serial, slot));
        }
    }

    pub(super) fn remove(&mut self, records: &mut Segmented<Record>, slot: u32) {
        let (serial, next) = (records[slot].serial, records[slot].links[POOL].next);
        self.list.remove(records, slot);
        // The next one takes over if this was an anchor, unless it is one itself.
        let Ok(at) = self.anchors.binary_search_by_key(&serial, |a| a.0) else { return };
        let heir = records.get(next).map(|r| (r.serial, next));
        match heir.filter(|h| self.anchors.get(at + 1).is_none_or(|a| a.0 != h.0)) {
            Some(heir) => self.anchors[at] = heir,
            None => {
                self.anchors.remove(at);
            }
        }
    }

    pub(super) const fn first(&self) -> u32 {
        self.list.head
    }

    /// The first one that joined after `serial`; `hint` is the slot which that one had.
    pub(super) fn after(&self, records: &Segmented<Record>, serial: u64, hint: u32) -> u32 {
        if let Some(record) = records.get(hint).filter(|r| r.serial == serial) {
            return record.links[POOL].next;
        }
        let anchor = self.anchors.partition_point(|a| a.0 <= serial).checked_sub(1).and_then(|i| self.anchors.get(i));
        let mut slot = anchor.map_or(self.list.head, |a| a.1);
        while let Some(record) = records.get(slot).filter(|r| r.serial <= serial) {
            slot = record.links[POOL].next;
        }
        slot
    }

    pub(super) fn iter<'a>(&self, records: &'a Segmented<Record>) -> impl Iterator<Item = u32> + use<'a> {
        self.list.iter(records)
    }

    pub(super) const fn len(&self) -> u32 {
        self.list.len()
    }

    pub(super) fn audit(&self, records: &Segmented<Record>) -> Result<(), String> {
        let serials: Vec<(u64, u32)> = self.iter(records).map(|slot| (records[slot].serial, slot)).collect();
        if !serials.is_sorted() || serials.len() != self.len() as usize || self.list.tail != serials.last().map_or(NONE, |s| s.1) {
            return Err(format!("a roll of {} is out of order", self.len()));
        }
        let mut last = 0;
        for anchor in &self.anchors {
            if anchor.0 <= last || serials.binary_search(anchor).is_err() {
                return Err(format!("{anchor:?} is no anchor"));
            }
            last = anchor.0;
        }
        Ok(())
    }
}
