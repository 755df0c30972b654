//! A pool: what its elements have in common, and who they are.

use std::collections::BTreeMap;

use super::element::ElementKey;
use super::policy::Policy;
use crate::wire::{ElementId, PoolElement, PoolHandle, Protocol, TransportUse};

/// A pool. It exists as long as it has elements; its first one decided on the policy and the kind of transport
/// (RFC 5352 section 3.1, rule 1).
#[derive(Debug)]
pub struct Pool {
    pub(super) handle: PoolHandle,
    pub(super) policy: Box<dyn Policy>,
    pub(super) protocol: Protocol,
    pub(super) usage: Option<TransportUse>,
    pub(super) members: BTreeMap<ElementId, ElementKey>,
    pub(super) seats: Vec<ElementKey>,
}

impl Pool {
    pub(super) fn new(handle: PoolHandle, policy: Box<dyn Policy>, first: &PoolElement) -> Self {
        let protocol = first.user.protocol.clone();
        Self { handle, policy, usage: usage_of(first), protocol, members: BTreeMap::new(), seats: Vec::new() }
    }

    /// Its name.
    #[must_use]
    pub const fn handle(&self) -> &PoolHandle {
        &self.handle
    }

    /// The number of its policy.
    #[must_use]
    pub fn policy_number(&self) -> u32 {
        self.policy.number()
    }

    /// How many elements it has: at least one.
    #[allow(clippy::len_without_is_empty, reason = "a pool is never empty")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }
}

/// Only SCTP has a use for control; in other transports the field is reserved (RFC 5354 sections 3.3 to 3.7).
pub(super) fn usage_of(e: &PoolElement) -> Option<TransportUse> {
    (e.user.protocol == Protocol::Sctp).then_some(e.user.usage)
}
