//! How the oracle looks into a registrar.

use rserpool::asap::ElementKey;
use rserpool::registrar::Registrar;
use rserpool::wire::{PoolElement, PoolHandle, RegistrarId};

/// An element in a handlespace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    pub(crate) handle: PoolHandle,
    pub(crate) info: PoolElement,
}

/// All elements, ordered by pool and identifier.
pub(crate) fn elements(registrar: &Registrar) -> Vec<Seen> {
    let space = registrar.handlespace();
    let mut all: Vec<Seen> =
        space.pools().flat_map(|p| space.members(p.handle())).map(|e| Seen { handle: e.handle().clone(), info: e.info() }).collect();
    all.sort_by(|a, b| (&a.handle, a.info.id).cmp(&(&b.handle, b.info.id)));
    all
}

pub(crate) fn checksum(registrar: &Registrar, owner: RegistrarId) -> u16 {
    registrar.handlespace().checksum(owner)
}

pub(crate) fn audit(registrar: &Registrar) -> Result<(), String> {
    registrar.handlespace().audit()
}

/// Whether a registrar believes that it is the home of an element.
pub(crate) fn is_watched(registrar: &Registrar, key: &ElementKey) -> bool {
    let space = registrar.handlespace();
    space.find(&key.handle, key.id).and_then(|k| space.element(k)).is_some_and(|e| e.home() == registrar.id())
}
