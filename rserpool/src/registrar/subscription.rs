//! Subscriptions: who wants to be told when a pool changes (RFC 5352 sections 2.2.5 and 2.2.6).
//!
//! A subscription begins with a Handle Resolution that has the S flag set and is answered by elements; the answer then has
//! the A flag set. It ends with the association, or with an update that tells an error: the pool is gone, and one of the same
//! name that comes later is another pool (section 2.2.5: a negative response ends the updates). An update is what a resolution would be answered at that time.
//!
//! Changes are collected: the subscribers of a pool get one update in [`SubscriptionConfig::interval`] however often it
//! changes, and are served in batches, so that no single change keeps the registrar busy for long.

use core::ops::Bound;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use sctp_user::Time;
use sctp_user::stack::deadline::DeadlineSet;

use super::config::SubscriptionConfig;
use super::{AssocKey, Registrar};
use crate::wire::PoolHandle;

/// How many subscribers of a pool are served at once, and when the next ones are.
const BATCH: usize = 32;
const BATCH_GAP: Duration = Duration::from_millis(1);

/// All subscriptions; the bounds are those of [`SubscriptionConfig`].
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    pools: BTreeMap<PoolHandle, Subscribed>,
    of: BTreeMap<AssocKey, BTreeSet<PoolHandle>>,
    count: usize,
    due: DeadlineSet<PoolHandle>,
}

/// A subscriber, and how many elements it asked for.
type Subscriber = (AssocKey, Option<u32>);

/// The subscriptions to one pool.
#[derive(Debug, Default)]
struct Subscribed {
    /// Who, and how many elements it asked for.
    who: BTreeMap<AssocKey, Option<u32>>,
    /// Whether it has changed since the last round of updates began.
    changed: bool,
    /// The last one served in a round that is not over.
    round: Option<AssocKey>,
    /// When the next round may begin.
    next_round: Time,
}

impl Subscriptions {
    /// Subscribes; `false` if there is no room. Who subscribes again may ask for another number of elements.
    fn add(&mut self, assoc: AssocKey, handle: &PoolHandle, items: Option<u32>, cfg: &SubscriptionConfig) -> bool {
        let known = self.pools.get(handle).is_some_and(|s| s.who.contains_key(&assoc));
        let of_pool = self.pools.get(handle).map_or(0, |s| s.who.len());
        let of_assoc = self.of.get(&assoc).map_or(0, BTreeSet::len);
        if !known && (of_pool >= cfg.per_pool || of_assoc >= cfg.per_association || self.count >= cfg.total) {
            return false;
        }
        self.pools.entry(handle.clone()).or_default().who.insert(assoc, items);
        self.of.entry(assoc).or_default().insert(handle.clone());
        self.count += usize::from(!known);
        true
    }

    fn remove(&mut self, assoc: AssocKey, handle: &PoolHandle) {
        let Some(subscribed) = self.pools.get_mut(handle) else { return };
        self.count -= usize::from(subscribed.who.remove(&assoc).is_some());
        if subscribed.who.is_empty() {
            self.pools.remove(handle);
            self.due.set(handle.clone(), None);
        }
        if let Some(handles) = self.of.get_mut(&assoc) {
            handles.remove(handle);
            if handles.is_empty() {
                self.of.remove(&assoc);
            }
        }
    }

    /// Ends all subscriptions of an association.
    pub(super) fn forget(&mut self, assoc: AssocKey) {
        for handle in self.of.get(&assoc).cloned().unwrap_or_default() {
            self.remove(assoc, &handle);
        }
    }

    /// Whether an association has subscribed to anything.
    pub(super) fn has(&self, assoc: AssocKey) -> bool {
        self.of.contains_key(&assoc)
    }

    /// How many there are.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// When the next updates are due.
    pub(super) fn next(&self) -> Option<Time> {
        self.due.next()
    }

    fn changed(&mut self, now: Time, handle: &PoolHandle) {
        let Some(subscribed) = self.pools.get_mut(handle) else { return };
        subscribed.changed = true;
        if self.due.get(handle).is_none() {
            self.due.set(handle.clone(), Some(subscribed.next_round.max(now)));
        }
    }

    /// The next subscribers to be told about a change, and of which pool.
    fn pop_due(&mut self, now: Time, interval: Duration) -> Option<(PoolHandle, Vec<Subscriber>)> {
        let handle = self.due.pop_expired(now)?;
        let Some(subscribed) = self.pools.get_mut(&handle) else { return Some((handle, Vec::new())) };
        let from = subscribed.round.map_or(Bound::Unbounded, Bound::Excluded);
        if subscribed.round.is_none() {
            subscribed.changed = false;
            subscribed.next_round = now + interval;
        }
        let batch: Vec<_> = subscribed.who.range((from, Bound::Unbounded)).take(BATCH).map(|(a, n)| (*a, *n)).collect();
        subscribed.round = batch.last().map(|(a, _)| *a).filter(|_| batch.len() == BATCH);
        let next = match subscribed.round {
            Some(_) => Some(now + BATCH_GAP),
            None => subscribed.changed.then_some(subscribed.next_round.max(now + BATCH_GAP)),
        };
        self.due.set(handle.clone(), next);
        Some((handle, batch))
    }
}

impl Registrar {
    /// Subscribes a client that has just been given elements of a pool; whether it is accepted becomes the A flag.
    pub(super) fn subscribe(&mut self, assoc: AssocKey, handle: &PoolHandle, items: Option<u32>) -> bool {
        self.subscriptions.add(assoc, handle, items, &self.cfg.subscriptions)
    }

    /// A pool has changed, whoever is the home of the element concerned: those who subscribed to it are told soon.
    pub(super) fn pool_changed(&mut self, now: Time, handle: &PoolHandle) {
        self.subscriptions.changed(now, handle);
    }

    /// Tells subscribers whose updates are due.
    pub(super) fn update_subscribers(&mut self, now: Time) {
        while let Some((handle, batch)) = self.subscriptions.pop_due(now, self.cfg.subscriptions.interval) {
            for (assoc, items) in batch {
                let Some(reach) = self.clients.get(&assoc).map(super::client::Client::reach) else { continue };
                let (update, elements) = self.answer(&handle, items, reach, true);
                if elements == 0 {
                    self.subscriptions.remove(assoc, &handle);
                }
                self.stats.updates_sent += 1;
                self.send(now, assoc, &update);
            }
        }
    }
}
