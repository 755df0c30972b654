//! Walking through the handlespace piece by piece: the transfer of a handle table (RFC 5353 section 3.2.3).

use super::store::list::NONE;
use super::{ElementRef, Handlespace};
use crate::wire::RegistrarId;

/// Where a walk is. It starts at the beginning and survives whatever happens to the handlespace in between.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct TableCursor {
    /// The slot of the pool.
    pool: u32,
    /// The serial number of the element in it that was taken last, and its slot.
    last: Option<(u64, u32)>,
}

/// An owner of at most so many elements is served from its list, which has to be sorted for that. (Unit tests see
/// both ways with few.)
const FEW: usize = if cfg!(test) { 3 } else { 1024 };
/// Most elements that are passed by in one call: a walk takes well below a millisecond.
const MAX_PASSED: usize = if cfg!(test) { 4 } else { 4096 };

impl Handlespace {
    /// Walks on, pool by pool, through all elements or, with `owner`, through those that it owns, and shows them to `take`
    /// until that returns `false`: the element which it refused is the next one then. Returns whether there is more.
    ///
    /// An element that is there (and owned by `owner`) from the first call to the last is shown and taken exactly once,
    /// whatever comes and goes besides. With `owner`, a call may end early, even with nothing taken, if it has passed by
    /// thousands of others.
    pub fn table(&self, cursor: &mut TableCursor, owner: Option<RegistrarId>, mut take: impl FnMut(ElementRef<'_>) -> bool) -> bool {
        match owner {
            Some(owner) if self.owned_count(owner) <= FEW => self.table_of_few(cursor, owner, take),
            Some(owner) => self.walk(cursor, |e| e.home() != owner, take),
            None => self.walk(cursor, |_| false, &mut take),
        }
    }

    fn walk(&self, cursor: &mut TableCursor, skip: impl Fn(ElementRef<'_>) -> bool, mut take: impl FnMut(ElementRef<'_>) -> bool) -> bool {
        let slots = &self.records.slots;
        let mut passed = 0;
        while cursor.pool < self.pools.slots.len() {
            let roll = self.pools.get(cursor.pool).map(|p| &p.roll);
            let mut next = roll.map_or(NONE, |roll| match cursor.last {
                Some((serial, hint)) => roll.after(slots, serial, hint),
                None => roll.first(),
            });
            while let Some(e) = self.view(next) {
                if skip(e) {
                    passed += 1;
                    if passed > MAX_PASSED {
                        return true;
                    }
                } else if !take(e) {
                    return true;
                }
                cursor.last = Some((e.record.serial, next));
                let [in_pool, ..] = e.record.links;
                next = in_pool.next;
            }
            *cursor = TableCursor { pool: cursor.pool + 1, last: None };
        }
        false
    }

    /// The same order, but found from the other end.
    fn table_of_few(&self, cursor: &mut TableCursor, owner: RegistrarId, mut take: impl FnMut(ElementRef<'_>) -> bool) -> bool {
        let after = (cursor.pool, cursor.last.map_or(0, |(serial, _)| serial));
        let mut few: Vec<(u32, u64, u32)> =
            self.owned_by(owner).filter_map(|key| self.element(key)).map(|e| (e.record.pool, e.record.serial, e.slot)).collect();
        few.retain(|(pool, serial, _)| (*pool, *serial) > after);
        few.sort_unstable();
        for (pool, serial, slot) in few {
            if self.view(slot).is_some_and(|e| !take(e)) {
                return true;
            }
            *cursor = TableCursor { pool, last: Some((serial, slot)) };
        }
        false
    }
}
