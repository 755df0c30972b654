//! What was read.

use std::collections::BTreeMap;

use crate::handlespace::Checksum;
use crate::wire::{ElementId, PoolElement, PoolHandle, RegistrarId, ServerInformation, Transport};

/// The handlespace and the peers of a registrar, as it told them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Snapshot {
    /// The registrar.
    pub registrar: RegistrarId,
    /// Where its ENRP service is, by its own word, if it told.
    pub server: Option<Transport>,
    /// The checksum over the elements that it owns, by its own word, if it told.
    pub checksum: Option<u16>,
    /// Its peers, in its order. RSPLIB lists configured peers that it has not heard yet with the undefined identifier.
    pub peers: Vec<ServerInformation>,
    /// Pools and their elements.
    pub pools: BTreeMap<PoolHandle, BTreeMap<ElementId, PoolElement>>,
}

impl Snapshot {
    /// All elements with their pools, by pool and identifier.
    pub fn elements(&self) -> impl Iterator<Item = (&PoolHandle, &PoolElement)> {
        self.pools.iter().flat_map(|(handle, pool)| pool.values().map(move |element| (handle, element)))
    }

    /// The registrars that own elements: how many, and the checksum over these (RFC 5353 section 3.6.2). Registrars that agree
    /// have the same ones.
    #[must_use]
    pub fn owners(&self) -> BTreeMap<RegistrarId, (usize, u16)> {
        let mut sums: BTreeMap<RegistrarId, (usize, Checksum)> = BTreeMap::new();
        for (handle, element) in self.elements() {
            let (count, sum) = sums.entry(element.home).or_default();
            *count += 1;
            sum.add(handle, element.id);
        }
        sums.into_iter().map(|(id, (count, sum))| (id, (count, sum.value()))).collect()
    }
}
