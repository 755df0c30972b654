//! The handlespace: all pools with all their elements, whoever owns them (RFC 5353 section 2).
//!
//! ```
//! use rserpool::handlespace::{Handlespace, Limits};
//! use rserpool::wire::{ElementId, Life, LifeUnit, PolicyParam, PoolElement, PoolHandle, RegistrarId, Transport, TransportUse};
//! use sctp_user::{SeededEntropy, Time};
//!
//! let mut space = Handlespace::new(Limits::default(), LifeUnit::Milliseconds);
//! let pool = PoolHandle::new("EchoPool")?;
//! let element = PoolElement {
//!     id: ElementId(1),
//!     home: RegistrarId(7),
//!     life: Life(90_000),
//!     user: Transport::sctp(4711, TransportUse::DATA, ["10.1.1.2".parse()?]),
//!     policy: PolicyParam::RoundRobin {},
//!     asap: None,
//! };
//! space.register(Time::ZERO, &pool, element)?;
//! let mut chosen = Vec::new();
//! space.select(&pool, 3, 1, &mut SeededEntropy::new(1), &mut chosen);
//! assert_eq!(chosen.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod audit;
mod checksum;
mod element;
pub mod policy;
mod pool;

#[cfg(test)]
mod model_test;

use std::collections::{BTreeMap, BTreeSet};

use sctp_user::stack::deadline::DeadlineSet;
use sctp_user::{Entropy, Time};
use slab::Slab;
use thiserror::Error;

pub use checksum::Checksum;
pub use element::{Element, ElementKey};
pub use pool::Pool;

use crate::wire::{ElementId, LifeUnit, PolicyParam, PoolElement, PoolHandle, RegistrarId, Transport};

/// How much a handlespace takes in; beyond, registrations are refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Most pools.
    pub pools: usize,
    /// Most elements in all pools together.
    pub elements: usize,
    /// Most elements in one pool.
    pub elements_per_pool: usize,
}

impl Default for Limits {
    /// 100,000 pools, 500,000 elements (about 1 KiB each), as many as that in one pool.
    fn default() -> Self {
        Self { pools: 100_000, elements: 500_000, elements_per_pool: 500_000 }
    }
}

/// Why an element was not taken in.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// No policy of this number is implemented.
    #[error("policy 0x{0:08x} is not supported")]
    UnsupportedPolicy(u32),
    /// The pool has another policy: this one, with the values of one of its elements.
    #[error("the pool's policy is {0}")]
    InconsistentPolicy(PolicyParam),
    /// The pool has another kind of transport: that of this one of its elements.
    #[error("the pool's transport is {}", .0.protocol)]
    InconsistentTransport(Transport),
    /// The pool's elements use their transports otherwise for control.
    #[error("the pool's elements use their transports otherwise for control")]
    InconsistentControl,
    /// A limit is reached.
    #[error("too many {0}")]
    Full(&'static str),
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
}

/// What a registrar owns.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Owned {
    checksum: Checksum,
    elements: BTreeSet<(PoolHandle, ElementId)>,
}

/// All pools with all their elements.
#[derive(Debug)]
pub struct Handlespace {
    pools: BTreeMap<PoolHandle, Pool>,
    elements: Slab<Element>,
    owners: BTreeMap<RegistrarId, Owned>,
    expiry: DeadlineSet<ElementKey>,
    limits: Limits,
    life_unit: LifeUnit,
}

impl Handlespace {
    /// An empty one; registration lives are counted in `life_unit`.
    #[must_use]
    pub fn new(limits: Limits, life_unit: LifeUnit) -> Self {
        Self { pools: BTreeMap::new(), elements: Slab::new(), owners: BTreeMap::new(), expiry: DeadlineSet::default(), limits, life_unit }
    }

    /// Takes an element into the pool, which comes into being with its first one, or replaces what is known of it
    /// (RFC 5352 section 3.1, rules 1 to 3). The element's registration life begins now.
    ///
    /// # Errors
    /// It does not fit into the pool, or there is no room; nothing has changed then.
    pub fn register(&mut self, now: Time, handle: &PoolHandle, info: PoolElement) -> Result<Registered, RegisterError> {
        self.check(handle, &info)?;
        let expires = info.life.duration(self.life_unit).map(|life| now + life);
        let id = info.id;
        let new_pool = !self.pools.contains_key(handle);
        let pool = match self.pools.get_mut(handle) {
            Some(pool) => pool,
            None => {
                let number = info.policy.number();
                let policy = policy::of_number(number).ok_or(RegisterError::UnsupportedPolicy(number))?;
                self.pools.entry(handle.clone()).or_insert_with(|| Pool::new(handle.clone(), policy, &info))
            }
        };
        pool.policy.update(id, &info.policy);
        let handle = pool.handle.clone();
        let old = pool.members.get(&id).copied();
        let key = old.unwrap_or_else(|| ElementKey(self.elements.vacant_key()));
        let home = info.home;
        if let Some(e) = old.and_then(|k| self.elements.get_mut(k.0)) {
            let before = core::mem::replace(&mut e.info, info).home;
            e.renewed = now;
            e.expires = expires;
            if before != home {
                self.disown(before, &handle, id);
                self.own(home, handle, id);
            }
        } else {
            pool.members.insert(id, key);
            self.elements.insert(Element { handle: handle.clone(), info, since: now, renewed: now, expires });
            self.own(home, handle, id);
        }
        self.expiry.set(key, expires);
        Ok(Registered { key, new_element: old.is_none(), new_pool })
    }

    /// Whether the element would be taken in.
    ///
    /// # Errors
    /// As of [`Handlespace::register`].
    pub fn check(&self, handle: &PoolHandle, info: &PoolElement) -> Result<(), RegisterError> {
        let Some(pool) = self.pools.get(handle) else {
            let number = info.policy.number();
            if policy::of_number(number).is_none() {
                return Err(RegisterError::UnsupportedPolicy(number));
            }
            if self.pools.len() >= self.limits.pools {
                return Err(RegisterError::Full("pools"));
            }
            return self.check_room(0);
        };
        let sample = pool.members.first_key_value().and_then(|(_, key)| self.element(*key)).map(|e| &e.info);
        if pool.policy.number() != info.policy.number() {
            let policy = sample.map_or(PolicyParam::RoundRobin {}, |s| s.policy.clone());
            return Err(RegisterError::InconsistentPolicy(policy));
        }
        if !pool.protocol.same_kind(&info.user.protocol) {
            let user = sample.unwrap_or(info).user.clone();
            return Err(RegisterError::InconsistentTransport(user));
        }
        if pool.usage != pool::usage_of(info) {
            return Err(RegisterError::InconsistentControl);
        }
        if pool.members.contains_key(&info.id) { Ok(()) } else { self.check_room(pool.len()) }
    }

    fn check_room(&self, in_pool: usize) -> Result<(), RegisterError> {
        if self.elements.len() >= self.limits.elements {
            Err(RegisterError::Full("elements"))
        } else if in_pool >= self.limits.elements_per_pool {
            Err(RegisterError::Full("elements in the pool"))
        } else {
            Ok(())
        }
    }

    /// Removes an element, and its pool if it was the last one; returns what it was and whether the pool is gone.
    pub fn remove(&mut self, key: ElementKey) -> Option<(Element, bool)> {
        let element = self.elements.try_remove(key.0)?;
        self.expiry.set(key, None);
        self.disown(element.info.home, &element.handle, element.info.id);
        let mut pool_gone = false;
        if let Some(pool) = self.pools.get_mut(&element.handle) {
            pool.members.remove(&element.info.id);
            pool.policy.remove(element.info.id);
            pool_gone = pool.members.is_empty();
        }
        if pool_gone {
            self.pools.remove(&element.handle);
        }
        Some((element, pool_gone))
    }

    /// When the next registration expires.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Time> {
        self.expiry.next()
    }

    /// An element whose registration has expired by `now`; it remains until it is removed but is not named again.
    pub fn pop_expired(&mut self, now: Time) -> Option<ElementKey> {
        self.expiry.pop_expired(now)
    }

    /// Appends up to `n` elements of the pool, chosen by its policy, the best first. The first `increment` of them count
    /// as used.
    pub fn select(&mut self, handle: &PoolHandle, n: usize, increment: usize, rng: &mut dyn Entropy, out: &mut Vec<ElementKey>) {
        let Some(pool) = self.pools.get_mut(handle) else { return };
        let mut ids = Vec::new();
        pool.policy.select(n, increment, rng, &mut ids);
        out.extend(ids.iter().filter_map(|id| pool.members.get(id)));
    }

    /// The pool of this name.
    #[must_use]
    pub fn pool(&self, handle: &PoolHandle) -> Option<&Pool> {
        self.pools.get(handle)
    }

    /// All pools, ordered by their handles.
    pub fn pools(&self) -> impl Iterator<Item = &Pool> {
        self.pools.values()
    }

    /// The element with this key.
    #[must_use]
    pub fn element(&self, key: ElementKey) -> Option<&Element> {
        self.elements.get(key.0)
    }

    /// The key of an element by its names.
    #[must_use]
    pub fn find(&self, handle: &PoolHandle, id: ElementId) -> Option<ElementKey> {
        self.pools.get(handle)?.members.get(&id).copied()
    }

    /// What a registrar owns, ordered by handle and identifier.
    pub fn owned_by(&self, owner: RegistrarId) -> impl Iterator<Item = (&PoolHandle, ElementId)> {
        self.owners.get(&owner).into_iter().flat_map(|o| o.elements.iter().map(|(h, id)| (h, *id)))
    }

    /// The checksum over what a registrar owns (RFC 5353 section 3.6.2).
    #[must_use]
    pub fn checksum(&self, owner: RegistrarId) -> u16 {
        self.owners.get(&owner).map_or(Checksum::default(), |o| o.checksum).value()
    }

    /// How many pools there are.
    #[must_use]
    pub fn pool_count(&self) -> usize {
        self.pools.len()
    }

    /// How many elements there are.
    #[must_use]
    pub fn element_count(&self) -> usize {
        self.elements.len()
    }

    fn own(&mut self, owner: RegistrarId, handle: PoolHandle, id: ElementId) {
        let owned = self.owners.entry(owner).or_default();
        owned.checksum.add(&handle, id);
        owned.elements.insert((handle, id));
    }

    fn disown(&mut self, owner: RegistrarId, handle: &PoolHandle, id: ElementId) {
        let Some(owned) = self.owners.get_mut(&owner) else { return };
        if owned.elements.remove(&(handle.clone(), id)) {
            owned.checksum.sub(handle, id);
        }
        if owned.elements.is_empty() {
            self.owners.remove(&owner);
        }
    }
}
