//! Registration: taking an element in, or what is new of it; and letting it go.

use sctp_user::Time;
use thiserror::Error;

use super::checksum::share_of_id;
use super::deadlines::{Deadlines, EXPIRY, TIMER};
use super::element::{ElementKey, Registered, Removed};
use super::record::Facts;
use super::{Handlespace, pool};
use crate::wire::{PolicyParam, PoolElement, PoolHandle, Transport};

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

impl Handlespace {
    /// Takes an element into the pool, which comes into being with its first one, or replaces what is known of it
    /// (RFC 5352 section 3.1, rules 1 to 3). The element's registration life begins now; a mark is taken off.
    ///
    /// # Errors
    /// It does not fit into the pool, or there is no room; nothing has changed then.
    pub fn register(&mut self, now: Time, handle: &PoolHandle, info: &PoolElement) -> Result<Registered, RegisterError> {
        let Some(pool) = self.pools.find(handle) else {
            self.check_new_pool(info)?;
            let number = info.policy.number();
            let policy = self.config.policies.of_number(number).ok_or(RegisterError::UnsupportedPolicy(number))?;
            let pool = self.pools.insert(handle, policy, info, self.config.life_unit);
            return Ok(Registered { new_pool: true, ..self.join(now, pool, info) });
        };
        self.check_fits(pool, info)?;
        match self.find_in(pool, info.id) {
            Some(slot) => Ok(self.renew(now, pool, slot, info)),
            None => {
                self.check_room(self.pools.get(pool).map_or(0, pool::Pool::len))?;
                Ok(self.join(now, pool, info))
            }
        }
    }

    /// Whether the element would be taken in.
    ///
    /// # Errors
    /// As of [`Handlespace::register`].
    pub fn check(&self, handle: &PoolHandle, info: &PoolElement) -> Result<(), RegisterError> {
        let Some(pool) = self.pools.find(handle) else { return self.check_new_pool(info) };
        self.check_fits(pool, info)?;
        match self.find_in(pool, info.id) {
            Some(_) => Ok(()),
            None => self.check_room(self.pools.get(pool).map_or(0, pool::Pool::len)),
        }
    }

    fn check_new_pool(&self, info: &PoolElement) -> Result<(), RegisterError> {
        if !self.config.policies.contains(info.policy.number()) {
            return Err(RegisterError::UnsupportedPolicy(info.policy.number()));
        }
        if self.pools.len() >= self.config.limits.pools {
            return Err(RegisterError::Full("pools"));
        }
        self.check_room(0)
    }

    fn check_fits(&self, pool: u32, info: &PoolElement) -> Result<(), RegisterError> {
        let Some(pool) = self.pools.get(pool) else { return Ok(()) };
        let sample = || self.records.slots.get(pool.roll.first());
        if pool.number != info.policy.number() {
            let policy = sample().map_or(PolicyParam::RoundRobin {}, |s| s.policy(pool.number));
            return Err(RegisterError::InconsistentPolicy(policy));
        }
        if !pool.protocol.same_kind(&info.user.protocol) {
            return Err(RegisterError::InconsistentTransport(sample().map_or_else(|| info.user.clone(), |s| s.user())));
        }
        if pool.usage == pool::usage_of(info) { Ok(()) } else { Err(RegisterError::InconsistentControl) }
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

    fn join(&mut self, now: Time, pool: u32, info: &PoolElement) -> Registered {
        let slot = self.records.insert(now, info.id, pool, Facts::of(info));
        let (records, secret) = (&self.records.slots, self.secret);
        let hash_of = |slot: u32| records.get(slot).map_or(0, |e| secret.of_numbers(e.pool, e.id.0));
        self.elements.insert(secret.of_numbers(pool, info.id.0), slot, hash_of);
        let mut share = share_of_id(info.id);
        if let Some(pool) = self.pools.get_mut(pool) {
            pool.seat(&mut self.records, slot, info);
            share += pool.share;
        }
        self.owners.own(&mut self.records, slot, info.home, share);
        self.begin_life(now, slot, info);
        let key = self.records.slots[slot].key(slot);
        Registered { key, new_element: true, new_pool: false, changed: true, moved_from: None }
    }

    fn renew(&mut self, now: Time, pool: u32, slot: u32, info: &PoolElement) -> Registered {
        let record = &mut self.records.slots[slot];
        let (new_values, mut changed) = record.learn(Facts::of(info));
        let (seat, key) = (record.seat(), record.key(slot));
        changed |= record.life != info.life;
        let used = record.take_used();
        if (new_values || used)
            && let Some(pool) = self.pools.get_mut(pool)
        {
            pool.policy.renew(seat, &info.policy);
        }
        self.begin_life(now, slot, info);
        let moved_from = self.move_home(slot, info.home);
        Registered { key, new_element: false, new_pool: false, changed: changed || moved_from.is_some(), moved_from }
    }

    fn begin_life(&mut self, now: Time, slot: u32, info: &PoolElement) {
        self.records.slots[slot].life = info.life;
        match info.life.duration(self.config.life_unit) {
            Some(life) => self.expiry.set(&mut self.records.slots, slot, now + life),
            None => self.expiry.remember(&mut self.records.slots, slot, now),
        }
    }

    /// Removes an element, and its pool if it was the last one.
    pub fn remove(&mut self, key: ElementKey) -> Option<Removed> {
        let slot = self.records.slot(key)?;
        self.set_assoc(key, None);
        Deadlines::<EXPIRY>::clear(&mut self.records.slots, slot);
        Deadlines::<TIMER>::clear(&mut self.records.slots, slot);
        let record = &self.records.slots[slot];
        let (id, in_pool, home) = (record.id, record.pool, self.owners.home(record));
        self.elements.remove(self.secret.of_numbers(in_pool, id.0), slot);
        let pool = self.pools.get_mut(in_pool)?;
        pool.unseat(&mut self.records, slot);
        let (handle, pool_gone) = (pool.handle.clone(), pool.len() == 0);
        self.owners.disown(&mut self.records, slot, pool.share + share_of_id(id));
        if pool_gone {
            self.pools.remove(in_pool);
        }
        self.records.remove(slot);
        Some(Removed { handle, id, home, pool_gone })
    }
}
