//! The handlespace: all pools with all their elements, whoever owns them (RFC 5353 section 2).
//!
//! ```
//! use rserpool::handlespace::{Config, Handlespace};
//! use rserpool::wire::{ElementId, Life, PolicyParam, PoolElement, PoolHandle, RegistrarId, Transport, TransportUse};
//! use sctp_user::{SeededEntropy, Time};
//!
//! let mut entropy = SeededEntropy::new(1);
//! let mut space = Handlespace::new(Config::default(), &mut entropy);
//! let pool = PoolHandle::new("EchoPool")?;
//! let element = PoolElement {
//!     id: ElementId(1),
//!     home: RegistrarId(7),
//!     life: Life(90_000),
//!     user: Transport::sctp(4711, TransportUse::DATA, ["10.1.1.2".parse()?]),
//!     policy: PolicyParam::RoundRobin {},
//!     asap: None,
//! };
//! space.register(Time::ZERO, &pool, &element)?;
//! let mut chosen = Vec::new();
//! space.select(&pool, 3, None, &mut entropy, &mut chosen);
//! assert_eq!(chosen.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod audit;
mod checksum;
mod config;
mod element;
pub mod policy;
mod pool;
mod table;

#[cfg(test)]
mod model_test;

use std::collections::{BTreeMap, BTreeSet};

use sctp_user::stack::deadline::DeadlineSet;
use sctp_user::{Entropy, Time};
use slab::Slab;
use thiserror::Error;

pub use checksum::Checksum;
pub use config::{Config, Limits};
pub use element::{ElementKey, ElementRef, Registered, Removed};
pub use pool::Pool;
pub use table::TableCursor;

use crate::wire::{ElementId, PolicyParam, PoolElement, PoolHandle, RegistrarId, Transport};
use element::Record;

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

/// What a registrar owns.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Owned {
    checksum: Checksum,
    elements: BTreeSet<ElementKey>,
}

/// All pools with all their elements.
#[derive(Debug)]
pub struct Handlespace {
    config: Config,
    pools: BTreeMap<PoolHandle, Pool>,
    records: Slab<Record>,
    owners: BTreeMap<RegistrarId, Owned>,
    assocs: BTreeMap<u32, BTreeSet<ElementKey>>,
    expiry: DeadlineSet<ElementKey>,
    timers: DeadlineSet<ElementKey>,
    generation: u32,
}

impl Handlespace {
    /// An empty one. `entropy` gives the secret that keeps others from choosing names that are slow to find.
    #[must_use]
    pub fn new(config: Config, entropy: &mut dyn Entropy) -> Self {
        let mut secret = [0; 16];
        entropy.fill_secret(&mut secret);
        Self {
            config,
            pools: BTreeMap::new(),
            records: Slab::new(),
            owners: BTreeMap::new(),
            assocs: BTreeMap::new(),
            expiry: DeadlineSet::default(),
            timers: DeadlineSet::default(),
            generation: 0,
        }
    }

    /// Takes an element into the pool, which comes into being with its first one, or replaces what is known of it
    /// (RFC 5352 section 3.1, rules 1 to 3). The element's registration life begins now; a mark is taken off.
    ///
    /// # Errors
    /// It does not fit into the pool, or there is no room; nothing has changed then.
    pub fn register(&mut self, now: Time, handle: &PoolHandle, info: &PoolElement) -> Result<Registered, RegisterError> {
        self.check(handle, info)?;
        let expires = info.life.duration(self.config.life_unit).map(|life| now + life);
        if let Some(key) = self.find(handle, info.id) {
            return Ok(self.renew(now, key, info, expires));
        }
        let new_pool = !self.pools.contains_key(handle);
        let pool = match self.pools.get_mut(handle) {
            Some(pool) => pool,
            None => {
                let number = info.policy.number();
                let policy = self.config.policies.of_number(number).ok_or(RegisterError::UnsupportedPolicy(number))?;
                self.pools.entry(handle.clone()).or_insert_with(|| Pool::new(handle.clone(), policy, info))
            }
        };
        self.generation = self.generation.wrapping_add(1);
        let slot = self.records.vacant_key();
        let key = ElementKey { slot: u32::try_from(slot).map_err(|_| RegisterError::Full("elements"))?, generation: self.generation };
        pool.policy.join(&info.policy);
        let seat = u32::try_from(pool.seats.len()).unwrap_or(u32::MAX);
        pool.seats.push(key);
        pool.members.insert(info.id, key);
        self.records.insert(Record {
            handle: pool.handle.clone(),
            info: info.clone(),
            generation: key.generation,
            seat,
            since: now,
            renewed: now,
            expires,
            assoc: None,
            marked: false,
        });
        self.own(info.home, handle, info.id, key);
        self.expiry.set(key, expires);
        Ok(Registered { key, new_element: true, new_pool, changed: true, moved_from: None })
    }

    fn renew(&mut self, now: Time, key: ElementKey, info: &PoolElement, expires: Option<Time>) -> Registered {
        let same = Registered { key, new_element: false, new_pool: false, changed: false, moved_from: None };
        let Some(e) = self.records.get_mut(key.slot as usize) else { return same };
        let home = e.info.home;
        let changed = e.info != *info;
        e.info = info.clone();
        (e.renewed, e.expires, e.marked) = (now, expires, false);
        let (handle, seat) = (e.handle.clone(), e.seat);
        if let Some(pool) = self.pools.get_mut(&handle) {
            pool.policy.renew(seat, &info.policy);
        }
        self.expiry.set(key, expires);
        let moved_from = (home != info.home).then_some(home);
        if moved_from.is_some() {
            self.disown(home, &handle, info.id, key);
            self.own(info.home, &handle, info.id, key);
        }
        Registered { changed, moved_from, ..same }
    }

    /// Whether the element would be taken in.
    ///
    /// # Errors
    /// As of [`Handlespace::register`].
    pub fn check(&self, handle: &PoolHandle, info: &PoolElement) -> Result<(), RegisterError> {
        let limits = &self.config.limits;
        let Some(pool) = self.pools.get(handle) else {
            let number = info.policy.number();
            if !self.config.policies.contains(number) {
                return Err(RegisterError::UnsupportedPolicy(number));
            }
            if self.pools.len() >= limits.pools {
                return Err(RegisterError::Full("pools"));
            }
            return self.check_room(0);
        };
        let sample = pool.seats.first().and_then(|key| self.element(*key));
        if pool.policy.number() != info.policy.number() {
            let policy = sample.map_or(PolicyParam::RoundRobin {}, |s| s.policy());
            return Err(RegisterError::InconsistentPolicy(policy));
        }
        if !pool.protocol.same_kind(&info.user.protocol) {
            let user = sample.map_or_else(|| info.user.clone(), |s| s.user());
            return Err(RegisterError::InconsistentTransport(user));
        }
        if pool.usage != pool::usage_of(info) {
            return Err(RegisterError::InconsistentControl);
        }
        if pool.members.contains_key(&info.id) { Ok(()) } else { self.check_room(pool.len()) }
    }

    fn check_room(&self, in_pool: usize) -> Result<(), RegisterError> {
        if self.records.len() >= self.config.limits.elements {
            Err(RegisterError::Full("elements"))
        } else if in_pool >= self.config.limits.elements_per_pool {
            Err(RegisterError::Full("elements in the pool"))
        } else {
            Ok(())
        }
    }

    /// Removes an element, and its pool if it was the last one.
    pub fn remove(&mut self, key: ElementKey) -> Option<Removed> {
        self.element(key)?;
        self.set_assoc(key, None);
        let e = self.records.try_remove(key.slot as usize)?;
        self.expiry.set(key, None);
        self.timers.set(key, None);
        let (handle, id, home) = (e.handle, e.info.id, e.info.home);
        self.disown(home, &handle, id, key);
        let mut pool_gone = false;
        if let Some(pool) = self.pools.get_mut(&handle) {
            pool.members.remove(&id);
            pool.policy.leave(e.seat);
            pool.seats.swap_remove(e.seat as usize);
            if let Some(moved) = pool.seats.get(e.seat as usize).and_then(|key| self.records.get_mut(key.slot as usize)) {
                moved.seat = e.seat;
            }
            pool_gone = pool.members.is_empty();
        }
        if pool_gone {
            self.pools.remove(&handle);
        }
        Some(Removed { handle, id, home, pool_gone })
    }

    /// Gives an element another home registrar; a mark is taken off.
    pub fn set_home(&mut self, key: ElementKey, home: RegistrarId) {
        if self.element(key).is_none() {
            return;
        }
        let Some(e) = self.records.get_mut(key.slot as usize) else { return };
        let before = core::mem::replace(&mut e.info.home, home);
        e.marked = false;
        if before != home {
            let (handle, id) = (e.handle.clone(), e.info.id);
            self.disown(before, &handle, id, key);
            self.own(home, &handle, id, key);
        }
    }

    /// Tells over which association an element is registered; `None`: over none.
    pub fn set_assoc(&mut self, key: ElementKey, assoc: Option<u32>) {
        if self.element(key).is_none() {
            return;
        }
        let Some(e) = self.records.get_mut(key.slot as usize) else { return };
        if let Some(before) = core::mem::replace(&mut e.assoc, assoc)
            && let Some(list) = self.assocs.get_mut(&before)
        {
            list.remove(&key);
            if list.is_empty() {
                self.assocs.remove(&before);
            }
        }
        if let Some(assoc) = assoc {
            self.assocs.entry(assoc).or_default().insert(key);
        }
    }

    /// The elements that are registered over an association.
    pub fn on_assoc(&self, assoc: u32) -> impl Iterator<Item = ElementKey> + '_ {
        self.assocs.get(&assoc).into_iter().flatten().copied()
    }

    /// Sets an element's timer, of which the handlespace knows only the time; `None` stops it.
    pub fn set_timer(&mut self, key: ElementKey, at: Option<Time>) {
        if self.element(key).is_some() {
            self.timers.set(key, at);
        }
    }

    /// The time to call [`Handlespace::pop_due`]: never later than the first timer, perhaps earlier.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        self.timers.next()
    }

    /// An element whose timer is not after `now`, the earliest first; the timer is stopped.
    pub fn pop_due(&mut self, now: Time) -> Option<ElementKey> {
        self.timers.pop_expired(now)
    }

    /// The time to call [`Handlespace::pop_expired`]: never later than the first registration expires, perhaps earlier.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Time> {
        self.expiry.next()
    }

    /// An element whose registration has expired by `now`; it remains until it is removed but is not named again.
    pub fn pop_expired(&mut self, now: Time) -> Option<ElementKey> {
        self.expiry.pop_expired(now)
    }

    /// Marks all that a registrar owns. What it still owns is then registered again, or [unmarked](Handlespace::unmark);
    /// [`Handlespace::pop_marked`] finds the rest (RFC 5353 section 3.6.2).
    pub fn mark_owned(&mut self, owner: RegistrarId) {
        for key in self.owners.get(&owner).into_iter().flat_map(|o| &o.elements) {
            if let Some(e) = self.records.get_mut(key.slot as usize) {
                e.marked = true;
            }
        }
    }

    /// Takes the mark off an element.
    pub fn unmark(&mut self, key: ElementKey) {
        if self.element(key).is_some()
            && let Some(e) = self.records.get_mut(key.slot as usize)
        {
            e.marked = false;
        }
    }

    /// An element of this registrar that is marked; the mark is taken off.
    pub fn pop_marked(&mut self, owner: RegistrarId) -> Option<ElementKey> {
        let key = self.owned_by(owner).find(|key| self.element(*key).is_some_and(|e| e.is_marked()))?;
        self.unmark(key);
        Some(key)
    }

    /// Appends up to `n` elements of the pool, chosen by its policy, the best first. The first `max_increment` of them count
    /// as used; `None` stands for what suits the policy.
    pub fn select(
        &mut self,
        handle: &PoolHandle,
        n: usize,
        max_increment: Option<usize>,
        rng: &mut dyn Entropy,
        out: &mut Vec<ElementKey>,
    ) {
        let Some(pool) = self.pools.get_mut(handle) else { return };
        let mut seats = Vec::new();
        pool.policy.select(n, max_increment, rng, &mut seats);
        out.extend(seats.iter().filter_map(|seat| pool.seats.get(*seat as usize)));
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

    /// The elements of a pool.
    pub fn members(&self, handle: &PoolHandle) -> impl Iterator<Item = ElementRef<'_>> {
        self.pools.get(handle).into_iter().flat_map(|p| p.members.values()).filter_map(|key| self.element(*key))
    }

    /// The element with this key.
    #[must_use]
    pub fn element(&self, key: ElementKey) -> Option<ElementRef<'_>> {
        let record = self.records.get(key.slot as usize).filter(|e| e.generation == key.generation)?;
        Some(ElementRef { key, record })
    }

    /// The key of an element by its names.
    #[must_use]
    pub fn find(&self, handle: &PoolHandle, id: ElementId) -> Option<ElementKey> {
        self.pools.get(handle)?.members.get(&id).copied()
    }

    /// The elements that a registrar owns.
    pub fn owned_by(&self, owner: RegistrarId) -> impl Iterator<Item = ElementKey> + '_ {
        self.owners.get(&owner).into_iter().flat_map(|o| &o.elements).copied()
    }

    /// How many elements a registrar owns.
    #[must_use]
    pub fn owned_count(&self, owner: RegistrarId) -> usize {
        self.owners.get(&owner).map_or(0, |o| o.elements.len())
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
        self.records.len()
    }

    fn own(&mut self, owner: RegistrarId, handle: &PoolHandle, id: ElementId, key: ElementKey) {
        let owned = self.owners.entry(owner).or_default();
        owned.checksum.add(handle, id);
        owned.elements.insert(key);
    }

    fn disown(&mut self, owner: RegistrarId, handle: &PoolHandle, id: ElementId, key: ElementKey) {
        let Some(owned) = self.owners.get_mut(&owner) else { return };
        if owned.elements.remove(&key) {
            owned.checksum.sub(handle, id);
        }
        if owned.elements.is_empty() {
            self.owners.remove(&owner);
        }
    }
}
