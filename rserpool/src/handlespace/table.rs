//! Walking through the handlespace piece by piece: the transfer of a handle table (RFC 5353 section 3.2.3).

use super::{ElementRef, Handlespace};
use crate::wire::{ElementId, PoolHandle, RegistrarId};

/// Where a walk is. It starts at the beginning and survives whatever happens to the handlespace in between.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct TableCursor {
    last: Option<(PoolHandle, ElementId)>,
}

impl Handlespace {
    /// Walks on, pool by pool, through all elements or, with `owner`, through those that it owns, and shows them to `take`
    /// until that returns `false`: the element which it refused is the next one then. Returns whether there is more.
    ///
    /// An element that is there (and owned by `owner`) from the first call to the last is shown and taken exactly once,
    /// whatever comes and goes besides.
    pub fn table(&self, cursor: &mut TableCursor, owner: Option<RegistrarId>, mut take: impl FnMut(ElementRef<'_>) -> bool) -> bool {
        let start = cursor.last.clone();
        for (handle, pool) in &self.pools {
            if start.as_ref().is_some_and(|(h, _)| handle < h) {
                continue;
            }
            for (id, key) in &pool.members {
                if start.as_ref().is_some_and(|(h, last)| handle == h && id <= last) {
                    continue;
                }
                let Some(e) = self.element(*key).filter(|e| owner.is_none_or(|o| e.home() == o)) else { continue };
                if !take(e) {
                    return true;
                }
                cursor.last = Some((handle.clone(), *id));
            }
        }
        false
    }
}
