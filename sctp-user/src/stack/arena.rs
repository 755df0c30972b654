//! The associations, addressed by ids that are not reused soon.

use core::num::NonZeroU32;

use slab::Slab;

use crate::assoc::Association;
use crate::event::AssocId;

/// Bits of the index in an [`AssocId`]; the rest is the generation.
const INDEX_BITS: u32 = 20;
const GENERATIONS: u32 = 1 << (32 - INDEX_BITS);

/// Associations by id.
#[derive(Debug, Default)]
pub(super) struct Arena {
    /// Boxed: growing moves words, not associations, and what is reserved ahead costs little.
    slots: Slab<(u32, Box<Association>)>,
    generation: u32,
}

impl Arena {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Makes room for an association that is told its id. `None` if the index space is full.
    pub(super) fn insert_with(&mut self, make: impl FnOnce(AssocId) -> Box<Association>) -> Option<AssocId> {
        let entry = self.slots.vacant_entry();
        let index = u32::try_from(entry.key()).ok().filter(|i| *i < 1 << INDEX_BITS)?;
        // Generation 0 is left out, so that the ids 0 to 2, which RFC 6458 gives a meaning, never occur.
        self.generation = self.generation % (GENERATIONS - 1) + 1;
        let id = AssocId(NonZeroU32::new(self.generation << INDEX_BITS | index)?);
        entry.insert((id.get(), make(id)));
        Some(id)
    }

    fn index(id: AssocId) -> usize {
        usize::try_from(id.get() & ((1 << INDEX_BITS) - 1)).unwrap_or(usize::MAX)
    }

    pub(super) fn get(&self, id: AssocId) -> Option<&Association> {
        self.slots.get(Self::index(id)).filter(|(full, _)| *full == id.get()).map(|(_, a)| &**a)
    }

    pub(super) fn get_mut(&mut self, id: AssocId) -> Option<&mut Association> {
        self.slots.get_mut(Self::index(id)).filter(|(full, _)| *full == id.get()).map(|(_, a)| &mut **a)
    }

    pub(super) fn remove(&mut self, id: AssocId) -> Option<Box<Association>> {
        self.get(id)?;
        self.slots.try_remove(Self::index(id)).map(|(_, a)| a)
    }

    /// All associations in the order of their slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Association> {
        self.slots.iter().map(|(_, (_, a))| &**a)
    }

    /// The ids in the order of their slots.
    pub(super) fn ids(&self) -> Vec<AssocId> {
        self.slots.iter().map(|(_, (_, a))| a.core.id).collect()
    }
}
