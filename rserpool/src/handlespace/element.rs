//! An element of a pool, as it is looked at.

use sctp_user::Time;

use super::deadlines::{Deadlines, TIMER};
use super::owners::Owner;
use super::pool::Pool;
use super::record::{NO_ASSOC, Record};
use crate::wire::{ElementId, Life, PolicyParam, PoolElement, PoolHandle, RegistrarId, Transport};

/// Names an element from its registration to its removal, renewals and changes of its home included. No two elements have the
/// same key, not even one after the other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ElementKey {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

/// An element of a pool, to look at.
#[derive(Clone, Copy, Debug)]
pub struct ElementRef<'a> {
    pub(super) slot: u32,
    pub(super) record: &'a Record,
    pub(super) pool: &'a Pool,
    pub(super) owner: &'a Owner,
}

impl<'a> ElementRef<'a> {
    /// Its name in the handlespace.
    #[must_use]
    pub const fn key(&self) -> ElementKey {
        self.record.key(self.slot)
    }

    /// Its identifier within the pool.
    #[must_use]
    pub const fn id(&self) -> ElementId {
        self.record.id
    }

    /// Its pool.
    #[must_use]
    pub const fn handle(&self) -> &'a PoolHandle {
        &self.pool.handle
    }

    /// Its home registrar.
    #[must_use]
    pub const fn home(&self) -> RegistrarId {
        self.owner.id
    }

    /// Its registration life, as it was registered.
    #[must_use]
    pub const fn life(&self) -> Life {
        self.record.life
    }

    /// Where its users reach it.
    #[must_use]
    pub fn user(&self) -> Transport {
        self.record.user()
    }

    /// The pool's policy with the element's values.
    #[must_use]
    pub fn policy(&self) -> PolicyParam {
        self.record.policy(self.pool.number)
    }

    /// Where registrars reach it, if that is known.
    #[must_use]
    pub fn asap(&self) -> Option<Transport> {
        self.record.asap()
    }

    /// All that travels of it.
    #[must_use]
    pub fn info(&self) -> PoolElement {
        PoolElement { id: self.id(), home: self.home(), life: self.life(), user: self.user(), policy: self.policy(), asap: self.asap() }
    }

    /// When it joined the pool.
    #[must_use]
    pub const fn since(&self) -> Time {
        self.record.since
    }

    /// When it last renewed its registration.
    #[must_use]
    pub fn renewed(&self) -> Time {
        // What is kept is the end of the life, or its beginning if it has no end.
        let [noted, _] = self.record.due_at;
        match self.record.life.duration(self.pool.life_unit) {
            Some(life) => Time::ZERO + noted.saturating_since(Time::ZERO).saturating_sub(life),
            None => noted,
        }
    }

    /// When the registration ends unless it is renewed; `None` for never.
    #[must_use]
    pub fn expires(&self) -> Option<Time> {
        let [noted, _] = self.record.due_at;
        (self.record.life != Life::INFINITE).then_some(noted)
    }

    /// The time of its timer, if that runs.
    #[must_use]
    pub const fn timer(&self) -> Option<Time> {
        Deadlines::<TIMER>::get(self.record)
    }

    /// The association that it is registered over, as told by [`set_assoc`](super::Handlespace::set_assoc).
    #[must_use]
    pub fn assoc(&self) -> Option<u32> {
        (self.record.assoc != NO_ASSOC).then_some(self.record.assoc)
    }

    /// Whether it was [marked](super::Handlespace::mark_owned) and not confirmed since.
    #[must_use]
    pub const fn is_marked(&self) -> bool {
        self.owner.is_marked(self.record)
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
