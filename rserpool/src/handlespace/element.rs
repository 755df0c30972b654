//! An element of a pool, as it is looked at.

use sctp_user::Time;

use crate::wire::{ElementId, Life, PolicyParam, PoolElement, PoolHandle, RegistrarId, Transport};

/// Names an element from its registration to its removal, renewals and changes of its home included. No two elements have the
/// same key, not even one after the other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ElementKey {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

/// What is kept of an element.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) handle: PoolHandle,
    pub(super) info: PoolElement,
    pub(super) generation: u32,
    pub(super) seat: u32,
    pub(super) since: Time,
    pub(super) renewed: Time,
    pub(super) expires: Option<Time>,
    pub(super) assoc: Option<u32>,
    pub(super) marked: bool,
}

/// An element of a pool, to look at.
#[derive(Clone, Copy, Debug)]
pub struct ElementRef<'a> {
    pub(super) key: ElementKey,
    pub(super) record: &'a Record,
}

impl<'a> ElementRef<'a> {
    /// Its name in the handlespace.
    #[must_use]
    pub const fn key(&self) -> ElementKey {
        self.key
    }

    /// Its identifier within the pool.
    #[must_use]
    pub const fn id(&self) -> ElementId {
        self.record.info.id
    }

    /// Its pool.
    #[must_use]
    pub const fn handle(&self) -> &'a PoolHandle {
        &self.record.handle
    }

    /// Its home registrar.
    #[must_use]
    pub const fn home(&self) -> RegistrarId {
        self.record.info.home
    }

    /// Its registration life, as it was registered.
    #[must_use]
    pub const fn life(&self) -> Life {
        self.record.info.life
    }

    /// Where its users reach it.
    #[must_use]
    pub fn user(&self) -> Transport {
        self.record.info.user.clone()
    }

    /// The pool's policy with the element's values.
    #[must_use]
    pub fn policy(&self) -> PolicyParam {
        self.record.info.policy.clone()
    }

    /// Where registrars reach it, if that is known.
    #[must_use]
    pub fn asap(&self) -> Option<Transport> {
        self.record.info.asap.clone()
    }

    /// All that travels of it.
    #[must_use]
    pub fn info(&self) -> PoolElement {
        self.record.info.clone()
    }

    /// When it joined the pool.
    #[must_use]
    pub const fn since(&self) -> Time {
        self.record.since
    }

    /// When it last renewed its registration.
    #[must_use]
    pub const fn renewed(&self) -> Time {
        self.record.renewed
    }

    /// When the registration ends unless it is renewed; `None` for never.
    #[must_use]
    pub const fn expires(&self) -> Option<Time> {
        self.record.expires
    }

    /// The association that it is registered over, as told by [`set_assoc`](super::Handlespace::set_assoc).
    #[must_use]
    pub const fn assoc(&self) -> Option<u32> {
        self.record.assoc
    }

    /// Whether it was marked and has not been registered since.
    #[must_use]
    pub const fn is_marked(&self) -> bool {
        self.record.marked
    }
}

/// What a registration did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Registered {
    /// The element.
    pub key: ElementKey,
    /// Whether it was not in the pool before.
    pub new_element: bool,
    /// Whether it is the pool's first.
    pub new_pool: bool,
    /// Whether the element is new, or anything that travels of it (its home included) is not what it was.
    pub changed: bool,
    /// Its home before, if that was another registrar.
    pub moved_from: Option<RegistrarId>,
}

/// What was removed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Removed {
    /// The pool.
    pub handle: PoolHandle,
    /// The element's identifier.
    pub id: ElementId,
    /// Who was its home.
    pub home: RegistrarId,
    /// Whether the pool went with its last element.
    pub pool_gone: bool,
}
