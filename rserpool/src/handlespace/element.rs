//! An element of a pool as the handlespace keeps it.

use sctp_user::Time;

use crate::wire::{PoolElement, PoolHandle};

/// Names an element while it is registered; afterwards the key may come to name another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ElementKey(pub(super) usize);

/// An element of a pool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Element {
    /// Its pool.
    pub handle: PoolHandle,
    /// What it registered, its home registrar, and where registrars reach it.
    pub info: PoolElement,
    /// When it joined the pool.
    pub since: Time,
    /// When it last renewed its registration.
    pub renewed: Time,
    /// When the registration ends unless it is renewed; `None` for never.
    pub expires: Option<Time>,
}
