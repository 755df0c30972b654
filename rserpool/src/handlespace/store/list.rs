//! Lists through the records: an element is in the list of its pool, of its owner and of its association without any
//! memory but its own.

use super::super::record::Record;
use super::segmented::Segmented;

/// No slot.
pub(crate) const NONE: u32 = u32::MAX;

/// The list of a pool, in the order in which its elements joined.
pub(crate) const POOL: usize = 0;
/// The list of an owner: those that are marked first.
pub(crate) const OWNER: usize = 1;
/// The list of an association, a ring.
pub(crate) const ASSOC: usize = 2;

/// The neighbours in a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) prev: u32,
    pub(crate) next: u32,
}

impl Link {
    pub(crate) const NOWHERE: Self = Self { prev: NONE, next: NONE };
}

/// A list through the links number `KIND` of the records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List<const KIND: usize> {
    pub(crate) head: u32,
    pub(crate) tail: u32,
    len: u32,
}

impl<const KIND: usize> List<KIND> {
    pub(crate) const fn new() -> Self {
        Self { head: NONE, tail: NONE, len: 0 }
    }

    pub(crate) fn push(&mut self, records: &mut Segmented<Record>, slot: u32) {
        records[slot].links[KIND] = Link { prev: self.tail, next: NONE };
        match records.get_mut(self.tail) {
            Some(tail) => tail.links[KIND].next = slot,
            None => self.head = slot,
        }
        self.tail = slot;
        self.len += 1;
    }

    pub(crate) fn remove(&mut self, records: &mut Segmented<Record>, slot: u32) {
        let Link { prev, next } = core::mem::replace(&mut records[slot].links[KIND], Link::NOWHERE);
        match records.get_mut(prev) {
            Some(prev) => prev.links[KIND].next = next,
            None => self.head = next,
        }
        match records.get_mut(next) {
            Some(next) => next.links[KIND].prev = prev,
            None => self.tail = prev,
        }
        self.len -= 1;
    }

    pub(crate) fn iter<'a>(&self, records: &'a Segmented<Record>) -> impl Iterator<Item = u32> + use<'a, KIND> {
        let mut at = self.head;
        core::iter::from_fn(move || {
            let slot = at;
            at = records.get(slot)?.links[KIND].next;
            Some(slot)
        })
    }

    pub(crate) const fn len(&self) -> u32 {
        self.len
    }
}
