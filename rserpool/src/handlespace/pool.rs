//! A pool: what its elements have in common, and who they are.

use super::checksum::share_of_handle;
use super::policy::Policy;
use super::record::{Record, Records};
use super::roll::Roll;
use super::store::index::{Index, Secret};
use super::store::segmented::Segmented;
use crate::wire::{LifeUnit, PoolElement, PoolHandle, Protocol, TransportUse};

/// A pool. It exists as long as it has elements; its first one decided on the policy and the kind of transport
/// (RFC 5352 section 3.1, rule 1).
#[derive(Debug)]
pub struct Pool {
    pub(super) handle: PoolHandle,
    /// What the handle adds to a checksum.
    pub(super) share: u64,
    pub(super) number: u32,
    pub(super) life_unit: LifeUnit,
    /// Whether the policy wants to know of renewals with the same values.
    pub(super) forgets: bool,
    pub(super) policy: Box<dyn Policy>,
    pub(super) protocol: Protocol,
    pub(super) usage: Option<TransportUse>,
    pub(super) roll: Roll,
    /// The slots of the elements, by their seats.
    pub(super) seats: Segmented<u32>,
}

impl Pool {
    fn new(handle: PoolHandle, policy: Box<dyn Policy>, first: &PoolElement, life_unit: LifeUnit) -> Self {
        Self {
            share: share_of_handle(&handle),
            handle,
            number: first.policy.number(),
            life_unit,
            forgets: policy.forgets(),
            policy,
            protocol: first.user.protocol.clone(),
            usage: usage_of(first),
            roll: Roll::new(),
            seats: Segmented::new(),
        }
    }

    /// Its name.
    #[must_use]
    pub const fn handle(&self) -> &PoolHandle {
        &self.handle
    }

    /// The number of its policy.
    #[must_use]
    pub const fn policy_number(&self) -> u32 {
        self.number
    }

    /// How many elements it has: at least one.
    #[allow(clippy::len_without_is_empty, reason = "a pool is never empty")]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.roll.len() as usize
    }

    /// An element joins.
    pub(super) fn seat(&mut self, records: &mut Records, slot: u32, info: &PoolElement) {
        self.policy.join(&info.policy);
        let seat = self.seats.push(slot);
        records.slots[slot].set_seat(seat);
        self.roll.push(&mut records.slots, slot);
    }

    /// An element leaves.
    pub(super) fn unseat(&mut self, records: &mut Records, slot: u32) {
        self.roll.remove(&mut records.slots, slot);
        let seat = records.slots[slot].seat();
        self.policy.leave(seat);
        self.seats.swap_remove(seat);
        if let Some(moved) = self.seats.get(seat) {
            records.slots[*moved].set_seat(seat);
        }
    }

    pub(super) fn audit(&self, records: &Segmented<Record>) -> Result<(), String> {
        self.roll.audit(records)?;
        self.policy.audit()?;
        let (members, seats, known) = (self.len(), self.seats.len() as usize, self.policy.len());
        if members == 0 || members != seats || members != known {
            return Err(format!("{members} members, {seats} seats, {known} known to the policy"));
        }
        for slot in self.roll.iter(records) {
            if self.seats.get(records[slot].seat()) != Some(&slot) {
                return Err(format!("slot {slot} is not in its seat"));
            }
        }
        Ok(())
    }
}

/// Only SCTP has a use for control; in other transports the field is reserved (RFC 5354 sections 3.3 to 3.7).
pub(super) fn usage_of(e: &PoolElement) -> Option<TransportUse> {
    (e.user.protocol == Protocol::Sctp).then_some(e.user.usage)
}

/// All pools, each in a slot as long as it lives.
#[derive(Debug)]
pub(super) struct Pools {
    pub(super) slots: Segmented<Option<Pool>>,
    vacant: Vec<u32>,
    names: Index,
    secret: Secret,
}

impl Pools {
    pub(super) fn new(secret: Secret) -> Self {
        Self { slots: Segmented::new(), vacant: Vec::new(), names: Index::new(), secret }
    }

    pub(super) fn find(&self, handle: &PoolHandle) -> Option<u32> {
        self.names.find(self.secret.of_bytes(handle.as_bytes()), |slot| self.get(slot).is_some_and(|p| p.handle == *handle))
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Pool> {
        self.slots.get(slot)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Pool> {
        self.slots.get_mut(slot)?.as_mut()
    }

    pub(super) fn insert(&mut self, handle: &PoolHandle, policy: Box<dyn Policy>, first: &PoolElement, unit: LifeUnit) -> u32 {
        let pool = Pool::new(handle.clone(), policy, first, unit);
        let slot = match self.vacant.pop() {
            Some(slot) => {
                self.slots[slot] = Some(pool);
                slot
            }
            None => self.slots.push(Some(pool)),
        };
        let (slots, secret) = (&self.slots, self.secret);
        let hash_of = |slot: u32| slots.get(slot).and_then(|p| p.as_ref()).map_or(0, |p| secret.of_bytes(p.handle.as_bytes()));
        self.names.insert(secret.of_bytes(handle.as_bytes()), slot, hash_of);
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) {
        let Some(pool) = self.slots.get_mut(slot).and_then(Option::take) else { return };
        self.names.remove(self.secret.of_bytes(pool.handle.as_bytes()), slot);
        self.vacant.push(slot);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Pool)> {
        (0u32..).zip(self.slots.iter()).filter_map(|(slot, pool)| Some((slot, pool.as_ref()?)))
    }

    pub(super) const fn len(&self) -> usize {
        self.names.len()
    }
}
