//! Stream reconfiguration as most associations have it: agreed on, and never used. Its state is made when it is.

use super::Reconfig;
use crate::assoc::core::Core;
use crate::assoc::rx::Rx;
use crate::wire::Chunk;

/// Stream reconfiguration, which is negotiated.
#[derive(Debug)]
pub(crate) struct LazyReconfig {
    /// The number of our first request, and of the peer's (RFC 6525 section 4.1: the initial TSNs).
    first: (u32, u32),
    used: Option<Box<Reconfig>>,
}

impl LazyReconfig {
    /// At its beginning, if both sides have it.
    pub(in crate::assoc::ext) fn negotiate(core: &Core) -> Option<Self> {
        let peer_tsn = core.rx.as_ref().map(Rx::cum_tsn)?.next();
        core.agreed().reconfig.then_some(Self { first: (core.local_tsn.0, peer_tsn.0), used: None })
    }

    /// Its state, from now on.
    pub(crate) fn in_use(&mut self) -> &mut Reconfig {
        let (ours, theirs) = self.first;
        self.used.get_or_insert_with(|| Box::new(Reconfig::new(ours, theirs)))
    }

    /// Its state, if there is any or `chunk` calls for it.
    pub(in crate::assoc::ext) fn for_chunk(&mut self, chunk: &Chunk<'_>) -> Option<&mut Reconfig> {
        if matches!(chunk, Chunk::Reconfig(_)) { Some(self.in_use()) } else { self.used_mut() }
    }

    /// Its state, if there is any.
    pub(in crate::assoc::ext) fn used(&self) -> Option<&Reconfig> {
        self.used.as_deref()
    }

    /// The same, to be changed.
    pub(in crate::assoc::ext) fn used_mut(&mut self) -> Option<&mut Reconfig> {
        self.used.as_deref_mut()
    }
}
