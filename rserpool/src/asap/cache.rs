//! What a user remembers: resolved handles, and elements that failed lately.

use core::time::Duration;
use std::collections::BTreeMap;

use sctp_user::{Entropy, Time};

use crate::handlespace::policy::{Policies, Policy};
use crate::wire::{ElementId, PolicyParam, PoolElement, PoolHandle, Transport};

/// Most pools in the cache; the one that was resolved longest ago makes room.
pub const MAX_CACHED_POOLS: usize = 256;

/// Most elements that are excluded at once; the one that comes back soonest makes room.
pub const MAX_EXCLUDED: usize = 1024;

/// A resolved pool.
#[derive(Debug)]
struct Entry {
    /// When the registrar answered.
    at: Time,
    /// At most as many elements as one message holds, each in the seat that is its index; none: there is no such pool.
    elements: Vec<PoolElement>,
    /// Chooses among the seats; `None` if the policy is not implemented: then the registrar's order is kept.
    policy: Option<Box<dyn Policy>>,
}

/// What a registrar says about a pool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Listing {
    /// The pool's policy, whatever those of its elements say (RFC 5352 section 2.2.6).
    policy: PolicyParam,
    /// The elements in the registrar's order; none: there is no such pool.
    pub(super) elements: Vec<PoolElement>,
}

impl Listing {
    /// Without a policy, that is round robin.
    pub(super) fn new(policy: Option<PolicyParam>, elements: Vec<PoolElement>) -> Self {
        Self { policy: policy.unwrap_or(PolicyParam::RoundRobin {}), elements }
    }

    pub(super) fn none() -> Self {
        Self::new(None, Vec::new())
    }
}

/// Resolved handles (RFC 5352 section 3.3, C1 to C4).
#[derive(Debug, Default)]
pub(super) struct Cache {
    pools: BTreeMap<PoolHandle, Entry>,
}

impl Cache {
    /// Keeps the answer to a resolution.
    pub(super) fn store(&mut self, now: Time, handle: &PoolHandle, listing: &Listing) {
        if self.pools.len() >= MAX_CACHED_POOLS && !self.pools.contains_key(handle) {
            let oldest = self.pools.iter().min_by_key(|(_, e)| e.at).map(|(h, _)| h.clone());
            if let Some(oldest) = oldest {
                self.pools.remove(&oldest);
            }
        }
        let mut policy = Policies::standard().of_number(listing.policy.number());
        if let Some(policy) = &mut policy {
            for e in &listing.elements {
                let own = e.policy.number() == listing.policy.number();
                policy.join(if own { &e.policy } else { &listing.policy });
            }
        }
        self.pools.insert(handle.clone(), Entry { at: now, elements: listing.elements.clone(), policy });
    }

    /// What is known about a pool is right until now.
    pub(super) fn touch(&mut self, now: Time, handle: &PoolHandle) {
        if let Some(entry) = self.pools.get_mut(handle) {
            entry.at = now;
        }
    }

    /// Forgets a pool.
    pub(super) fn purge(&mut self, handle: &PoolHandle) {
        self.pools.remove(handle);
    }

    /// Whether elements of a pool are known, however long ago.
    pub(super) fn holds(&self, handle: &PoolHandle) -> bool {
        self.pools.get(handle).is_some_and(|e| !e.elements.is_empty())
    }

    /// Whether a registrar has said lately that there is no such pool.
    pub(super) fn is_negative(&self, now: Time, handle: &PoolHandle, stale: Duration) -> bool {
        self.pools.get(handle).is_some_and(|e| e.elements.is_empty() && now.saturating_since(e.at) < stale)
    }

    /// The pool's elements in the order in which they are to be tried; `None` if the entry is older than `stale`. The first
    /// `increment` of them count as used; `None`: as many as suits the policy.
    pub(super) fn select(
        &mut self,
        now: Time,
        handle: &PoolHandle,
        stale: Duration,
        increment: Option<usize>,
        rng: &mut dyn Entropy,
    ) -> Option<Vec<PoolElement>> {
        let entry = self.pools.get_mut(handle)?;
        if entry.elements.is_empty() || now.saturating_since(entry.at) >= stale {
            return None;
        }
        let Some(policy) = &mut entry.policy else { return Some(entry.elements.clone()) };
        let mut seats = Vec::new();
        policy.select(entry.elements.len(), increment, rng, &mut seats);
        Some(seats.iter().filter_map(|seat| entry.elements.get(*seat as usize)).cloned().collect())
    }

    /// Forgets an element that failed.
    pub(super) fn remove(&mut self, handle: &PoolHandle, id: ElementId) {
        let Some(entry) = self.pools.get_mut(handle) else { return };
        while let Some(seat) = entry.elements.iter().position(|e| e.id == id) {
            entry.elements.swap_remove(seat);
            if let (Some(policy), Ok(seat)) = (&mut entry.policy, u32::try_from(seat)) {
                policy.leave(seat);
            }
        }
        if entry.elements.is_empty() {
            self.pools.remove(handle);
        }
    }
}

/// An element that failed and is not chosen for a while.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Excluded {
    /// Until when, unless it registers anew before.
    pub until: Time,
    /// Where it was when it failed; elsewhere it is another incarnation.
    transport: Option<Transport>,
    /// A complete list of the pool lacked it: when it shows up again, it has registered anew.
    gone: bool,
}

/// Elements that failed lately (rulings, section 3.3).
#[derive(Debug, Default)]
pub(super) struct Exclusions {
    all: BTreeMap<(PoolHandle, ElementId), Excluded>,
}

impl Exclusions {
    pub(super) fn insert(&mut self, now: Time, handle: &PoolHandle, id: ElementId, transport: Option<Transport>, span: Duration) {
        self.all.retain(|_, e| e.until > now);
        let key = (handle.clone(), id);
        if self.all.len() >= MAX_EXCLUDED && !self.all.contains_key(&key) {
            let soonest = self.all.iter().min_by_key(|(_, e)| e.until).map(|(k, _)| k.clone());
            if let Some(soonest) = soonest {
                self.all.remove(&soonest);
            }
        }
        self.all.insert(key, Excluded { until: now + span, transport, gone: false });
    }

    /// Takes what a registrar answered into account. `complete` says that the pool has no other elements.
    pub(super) fn learn(&mut self, handle: &PoolHandle, elements: &[PoolElement], complete: bool) {
        self.all.retain(|(pool, id), excluded| {
            if pool != handle {
                return true;
            }
            match elements.iter().find(|e| e.id == *id) {
                Some(e) => !excluded.gone && excluded.transport.as_ref().is_none_or(|t| *t == e.user),
                None => {
                    excluded.gone |= complete;
                    true
                }
            }
        });
    }

    pub(super) fn contains(&self, now: Time, handle: &PoolHandle, id: ElementId) -> bool {
        self.all.get(&(handle.clone(), id)).is_some_and(|e| e.until > now)
    }

    /// The excluded elements of a pool.
    pub(super) fn of(&self, now: Time, handle: &PoolHandle) -> Vec<(ElementId, Excluded)> {
        let all = self.all.iter().filter(|((pool, _), e)| pool == handle && e.until > now);
        all.map(|((_, id), e)| (*id, e.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use sctp_user::SeededEntropy;

    use super::*;
    use crate::wire::{Life, PolicyParam, RegistrarId, TransportUse};

    fn element(id: u32, port: u16) -> PoolElement {
        PoolElement {
            id: ElementId(id),
            home: RegistrarId(1),
            life: Life(90_000),
            user: Transport::sctp(port, TransportUse::DATA_PLUS_CONTROL, ["127.0.0.1".parse().unwrap()]),
            policy: PolicyParam::RoundRobin {},
            asap: None,
        }
    }

    fn listing(elements: Vec<PoolElement>) -> Listing {
        Listing::new(None, elements)
    }

    #[test]
    fn the_policy_is_the_pools_and_not_that_of_an_element() {
        let pool = PoolHandle::new("p").unwrap();
        let (mut cache, mut rng) = (Cache::default(), SeededEntropy::new(1));
        let mut odd = element(1, 10);
        odd.policy = PolicyParam::LeastUsed { load: 7 };
        cache.store(Time::ZERO, &pool, &listing(vec![odd.clone(), element(2, 20)]));
        let mut first = |cache: &mut Cache| cache.select(Time::ZERO, &pool, Duration::MAX, None, &mut rng).unwrap()[0].id.0;
        let turns: Vec<_> = (0..4).map(|_| first(&mut cache)).collect();
        assert!(turns[0] != turns[1] && turns[..2] == turns[2..], "round robin without a policy: {turns:?}");
        let least_used = Listing::new(Some(PolicyParam::LeastUsed { load: 9 }), vec![odd, element(2, 20)]);
        cache.store(Time::ZERO, &pool, &least_used);
        let turns: Vec<_> = (0..4).map(|_| first(&mut cache)).collect();
        assert_eq!(turns, [1; 4], "what says nothing about its load counts as the pool's parameter does");
    }

    #[test]
    fn cache_takes_turns_and_expires() {
        let pool = PoolHandle::new("p").unwrap();
        let (mut cache, mut rng) = (Cache::default(), SeededEntropy::new(1));
        let (t0, second) = (Time::ZERO, Duration::from_secs(1));
        cache.store(t0, &pool, &listing(vec![element(1, 10), element(2, 20)]));
        let mut first = |now| cache.select(now, &pool, second, None, &mut rng).map(|e| e[0].id.0);
        let turns: Vec<_> = (0..4).map(|_| first(t0)).collect();
        assert_eq!((turns[0], turns[1]), (turns[2], turns[3]));
        assert_ne!(turns[0], turns[1]);
        assert_eq!(first(t0 + second), None);
        cache.remove(&pool, ElementId(1));
        assert_eq!(cache.select(t0, &pool, second, None, &mut rng).unwrap().len(), 1);
        cache.remove(&pool, ElementId(2));
        assert_eq!(cache.select(t0, &pool, second, None, &mut rng), None);
    }

    #[test]
    fn cache_is_bounded() {
        let mut cache = Cache::default();
        for i in 0..MAX_CACHED_POOLS + 10 {
            let pool = PoolHandle::new(format!("pool {i}")).unwrap();
            cache.store(Time::from_millis(i as u64), &pool, &listing(vec![element(1, 1)]));
        }
        assert_eq!(cache.pools.len(), MAX_CACHED_POOLS);
        assert!(!cache.pools.contains_key(&PoolHandle::new("pool 3").unwrap()));
    }

    #[test]
    fn exclusion_ends_by_time_or_by_a_new_registration() {
        let pool = PoolHandle::new("p").unwrap();
        let mut x = Exclusions::default();
        let (t0, span) = (Time::ZERO, Duration::from_secs(30));
        let (a, moved) = (element(1, 10), element(1, 11));
        let exclude = |x: &mut Exclusions| x.insert(t0, &pool, a.id, Some(a.user.clone()), span);
        let excluded = |x: &Exclusions, now| x.contains(now, &pool, a.id);

        exclude(&mut x);
        assert!(excluded(&x, t0 + Duration::from_millis(29_999)));
        assert!(!excluded(&x, t0 + span));

        x.learn(&pool, std::slice::from_ref(&a), true);
        assert!(excluded(&x, t0), "the registrar just has not noticed yet");
        x.learn(&pool, &[element(2, 20)], false);
        x.learn(&pool, std::slice::from_ref(&a), false);
        assert!(excluded(&x, t0), "an incomplete list proves nothing");
        x.learn(&pool, &[], true);
        assert!(excluded(&x, t0));
        x.learn(&pool, std::slice::from_ref(&a), true);
        assert!(!excluded(&x, t0), "it was gone and is back");

        exclude(&mut x);
        x.learn(&pool, &[moved], true);
        assert!(!excluded(&x, t0), "another port: another incarnation");
    }

    #[test]
    fn exclusions_are_bounded() {
        let pool = PoolHandle::new("p").unwrap();
        let mut x = Exclusions::default();
        for i in 1..u32::try_from(MAX_EXCLUDED).unwrap() + 5 {
            x.insert(Time::from_millis(i.into()), &pool, ElementId(i), None, Duration::from_secs(3600));
        }
        assert_eq!(x.all.len(), MAX_EXCLUDED);
    }
}
