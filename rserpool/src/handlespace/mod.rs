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

#![allow(clippy::indexing_slicing, reason = "slots and seats are our own; what comes from outside is looked up")]

mod audit;
mod checksum;
mod config;
mod deadlines;
mod element;
mod lists;
mod owners;
pub mod policy;
mod pool;
mod record;
mod register;
mod roll;
mod store;
mod table;

#[cfg(test)]
mod model_test;
#[cfg(test)]
mod policy_model;

use sctp_user::{Entropy, Time};

pub use checksum::Checksum;
pub use config::{Config, Limits};
pub use element::{ElementKey, ElementRef, Registered, Removed};
pub use pool::Pool;
pub use register::RegisterError;
pub use table::TableCursor;

use crate::wire::{ElementId, PoolHandle};
use deadlines::{Deadlines, EXPIRY, TIMER};
use store::index::{Index, Secret};

/// All pools with all their elements.
#[derive(Debug)]
pub struct Handlespace {
    config: Config,
    pools: pool::Pools,
    records: record::Records,
    /// The elements by pool and identifier.
    elements: Index,
    /// The first element of each association.
    assocs: Index,
    owners: owners::Owners,
    expiry: Deadlines<EXPIRY>,
    timers: Deadlines<TIMER>,
    secret: Secret,
    /// Room to work in.
    seats: Vec<u32>,
}

impl Handlespace {
    /// An empty one. `entropy` gives the secret that keeps others from choosing names that are slow to find.
    #[must_use]
    pub fn new(config: Config, entropy: &mut dyn Entropy) -> Self {
        let secret = Secret::new(entropy);
        Self {
            config,
            pools: pool::Pools::new(secret),
            records: record::Records::new(),
            elements: Index::new(),
            assocs: Index::new(),
            owners: owners::Owners::new(),
            expiry: Deadlines::new(),
            timers: Deadlines::new(),
            secret,
            seats: Vec::new(),
        }
    }

    /// Sets an element's timer, of which the handlespace knows only the time; `None` stops it.
    pub fn set_timer(&mut self, key: ElementKey, at: Option<Time>) {
        let Some(slot) = self.records.slot(key) else { return };
        match at {
            Some(at) => self.timers.set(&mut self.records.slots, slot, at),
            None => Deadlines::<TIMER>::clear(&mut self.records.slots, slot),
        }
    }

    /// The time to call [`Handlespace::pop_due`]: never later than the first timer, perhaps earlier.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        self.timers.next()
    }

    /// An element whose timer is not after `now`, the earliest first; the timer is stopped.
    pub fn pop_due(&mut self, now: Time) -> Option<ElementKey> {
        let slot = self.timers.pop(&mut self.records.slots, now)?;
        Some(self.records.slots[slot].key(slot))
    }

    /// The time to call [`Handlespace::pop_expired`]: never later than the first registration expires, perhaps earlier.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Time> {
        self.expiry.next()
    }

    /// An element whose registration has expired by `now`, the earliest first; it remains until it is removed but is not
    /// named again.
    pub fn pop_expired(&mut self, now: Time) -> Option<ElementKey> {
        let slot = self.expiry.pop(&mut self.records.slots, now)?;
        Some(self.records.slots[slot].key(slot))
    }

    /// Appends up to `n` elements of the pool, chosen by its policy, the best first. The first `max_increment` of them count
    /// as used (RSPLIB: MaxIncrement); `None` stands for what suits the policy.
    pub fn select(
        &mut self,
        handle: &PoolHandle,
        n: usize,
        max_increment: Option<usize>,
        rng: &mut dyn Entropy,
        out: &mut Vec<ElementKey>,
    ) {
        let Some(pool) = self.pools.find(handle).and_then(|slot| self.pools.get_mut(slot)) else { return };
        self.seats.clear();
        pool.policy.select(n, max_increment, rng, &mut self.seats);
        let slots = self.seats.iter().filter_map(|seat| pool.seats.get(*seat));
        out.extend(slots.map(|slot| {
            let record = &mut self.records.slots[*slot];
            if pool.forgets {
                record.mark_used();
            }
            record.key(*slot)
        }));
    }

    /// The pool of this name.
    #[must_use]
    pub fn pool(&self, handle: &PoolHandle) -> Option<&Pool> {
        self.pools.get(self.pools.find(handle)?)
    }

    /// All pools, ordered by their handles; they are sorted for this.
    pub fn pools(&self) -> impl Iterator<Item = &Pool> {
        let mut pools: Vec<&Pool> = self.pools.iter().map(|(_, pool)| pool).collect();
        pools.sort_unstable_by(|a, b| a.handle.cmp(&b.handle));
        pools.into_iter()
    }

    /// The elements of a pool, in the order in which they joined.
    pub fn members(&self, handle: &PoolHandle) -> impl Iterator<Item = ElementRef<'_>> {
        let slots = self.pool(handle).map(|p| p.roll.iter(&self.records.slots));
        slots.into_iter().flatten().filter_map(|slot| self.view(slot))
    }

    /// The element with this key.
    #[must_use]
    pub fn element(&self, key: ElementKey) -> Option<ElementRef<'_>> {
        self.view(self.records.slot(key)?)
    }

    fn view(&self, slot: u32) -> Option<ElementRef<'_>> {
        let record = self.records.slots.get(slot)?;
        Some(ElementRef { slot, record, pool: self.pools.get(record.pool)?, owner: self.owners.all.get(record.owner)? })
    }

    /// The key of an element by its names.
    #[must_use]
    pub fn find(&self, handle: &PoolHandle, id: ElementId) -> Option<ElementKey> {
        let slot = self.find_in(self.pools.find(handle)?, id)?;
        Some(self.records.slots[slot].key(slot))
    }

    fn find_in(&self, pool: u32, id: ElementId) -> Option<u32> {
        let hash = self.secret.of_numbers(pool, id.0);
        self.elements.find(hash, |slot| self.records.slots.get(slot).is_some_and(|e| e.id == id && e.pool == pool))
    }

    /// How many pools there are.
    #[must_use]
    pub const fn pool_count(&self) -> usize {
        self.pools.len()
    }

    /// How many elements there are.
    #[must_use]
    pub const fn element_count(&self) -> usize {
        self.records.len()
    }
}
