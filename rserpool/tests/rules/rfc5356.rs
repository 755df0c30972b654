//! The policies of RFC 5356, as a registrar's users see them.

use std::collections::BTreeMap;

use rserpool::registrar::AssocKey;
use rserpool::registrar::config::Rate;
use rserpool::wire::{AsapMessage, PolicyParam, PoolElement};

use crate::bed::*;

/// A pool whose elements, 1 and so on, have these policies; and a user of it.
struct Pool {
    bed: Bed,
    user: AssocKey,
}

impl Pool {
    fn new(policies: &[PolicyParam]) -> Self {
        let mut bed = Bed::with(|cfg| cfg.rate = Rate { per_second: 1_000_000, burst: 1_000_000 });
        for (id, policy) in (1..).zip(policies) {
            register(&mut bed, id, policy);
        }
        let user = bed.client(99);
        Self { bed, user }
    }

    fn resolve(&mut self, items: u32) -> Vec<u32> {
        self.bed.resolve(self.user, ECHO, Some(items))
    }

    /// How often each element is the first of so many answers.
    fn shares(&mut self, answers: u32) -> Vec<u32> {
        let mut count = BTreeMap::new();
        for _ in 0..answers {
            *count.entry(self.resolve(1)[0]).or_insert(0) += 1;
        }
        count.into_values().collect()
    }

    /// Answers of all lengths name each element at most once, and as many as were asked for if there are as many.
    fn names_each_once(&mut self, members: usize) {
        for items in (1..=8).cycle().take(400) {
            let mut ids = self.resolve(items);
            assert_eq!(ids.len(), members.min(items as usize));
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), members.min(items as usize));
        }
    }
}

fn register(bed: &mut Bed, id: u32, policy: &PolicyParam) {
    let host = u8::try_from(id).unwrap();
    let assoc = bed.client(host);
    let e = PoolElement { policy: policy.clone(), ..element(id, host) };
    assert!(matches!(bed.ask(assoc, &registration(ECHO, e)), AsapMessage::RegistrationResponse { reject: false, .. }));
}

/// A load: so many hundredths.
fn load(percent: u32) -> u32 {
    u32::MAX / 100 * percent
}

/// Whether `a` to `b` is as `x` to `y`, give or take a tenth.
#[track_caller]
fn as_shares(a: u32, b: u32, x: u32, y: u32) {
    let (left, right) = (u64::from(a) * u64::from(y), u64::from(b) * u64::from(x));
    assert!(left.abs_diff(right) * 10 < left.max(right), "{a}:{b} is not {x}:{y}");
}

/// RFC 5356 rows: 4.1.1-1.
#[test]
fn round_robin_is_there() {
    let mut p = Pool::new(&[PolicyParam::RoundRobin {}, PolicyParam::RoundRobin {}]);
    assert_eq!(p.shares(100), [50, 50]);
}

/// RFC 5356 rows: 4.2.2-1.
#[test]
fn weighted_round_robin_takes_elements_as_often_as_their_weights_say() {
    let weight = |weight| PolicyParam::WeightedRoundRobin { weight };
    let mut p = Pool::new(&[weight(1), weight(3), weight(4)]);
    for _ in 0..10 {
        assert_eq!(p.shares(8), [1, 3, 4]);
    }
    p.names_each_once(3);
}

/// RFC 5356 rows: 4.3.2-1.
#[test]
fn random_names_each_element_once() {
    let mut p = Pool::new(&[const { PolicyParam::Random {} }; 5]);
    p.names_each_once(5);
    let shares = p.shares(5_000);
    assert!(shares.len() == 5 && shares.iter().all(|n| (850..1150).contains(n)), "{shares:?}");
}

/// RFC 5356 rows: 4.4.2-1, 4.4.2-2.
#[test]
fn weighted_random_draws_by_weight_and_names_each_element_once() {
    let weight = |weight| PolicyParam::WeightedRandom { weight };
    let mut p = Pool::new(&[weight(1), weight(2), weight(5)]);
    p.names_each_once(3);
    let shares = p.shares(8_000);
    as_shares(shares[0], shares[1], 1, 2);
    as_shares(shares[1], shares[2], 2, 5);
}

/// RFC 5356 rows: 4.5.2-1, 4.5.2-2.
#[test]
fn priority_takes_the_highest_first() {
    let priority = |priority| PolicyParam::Priority { priority };
    let mut p = Pool::new(&[priority(5), priority(u32::MAX), priority(0), priority(1 << 31)]);
    for _ in 0..3 {
        assert_eq!(p.resolve(1), [2]);
        assert_eq!(p.resolve(3), [2, 4, 1]);
        assert_eq!(p.resolve(9), [2, 4, 1, 3]);
    }
}

/// RFC 5356 rows: 5.1.2-1, 5.1.2-2, 5.1.2-3, 5.1.2-5.
#[test]
fn least_used_lists_the_lowest_loads_first() {
    let used = |percent| PolicyParam::LeastUsed { load: load(percent) };
    let mut p = Pool::new(&[used(50), used(10), used(90), used(0), used(100)]);
    assert_eq!(p.resolve(2), [4, 2]);
    assert_eq!(p.resolve(4), [4, 2, 1, 3]);
    p.names_each_once(5);
    register(&mut p.bed, 4, &used(95));
    assert_eq!(p.resolve(9), [2, 1, 3, 4, 5]);
}

/// RFC 5356 rows: 5.1.2-4.
#[test]
fn least_used_takes_turns_among_equal_loads() {
    let used = |percent| PolicyParam::LeastUsed { load: load(percent) };
    let mut p = Pool::new(&[used(10), used(10), used(10), used(50)]);
    for _ in 0..5 {
        assert_eq!(p.shares(3), [1, 1, 1]);
    }
}

/// Each selection raises what an element counts as, until it registers anew.
///
/// RFC 5356 rows: 5.2.2-1, 5.2.2-2, 5.2.2-3, 5.2.2-4.
#[test]
fn least_used_with_degradation_counts_selections() {
    let used = |percent, step| PolicyParam::LeastUsedDegradation { load: load(percent), degradation: load(step) };
    let mut p = Pool::new(&[used(0, 10), used(25, 10)]);
    // 0, 10, 20: then 25 is lower than 30, and 30 lower than 35.
    let turns: Vec<u32> = (0..5).map(|_| p.resolve(1)[0]).collect();
    assert_eq!(turns, [1, 1, 1, 2, 1]);
    // It stands at 40 %, and the other at 35 %. A registration anew makes it 0 again.
    register(&mut p.bed, 1, &used(0, 10));
    let turns: Vec<u32> = (0..5).map(|_| p.resolve(1)[0]).collect();
    assert_eq!(turns, [1, 1, 1, 1, 2], "0, 10, 20, 30; then 35 is lower than 40");
}

/// RFC 5356 rows: 5.3.2-1, 5.3.2-2, 5.3.2-3, 5.3.2-5.
#[test]
fn priority_least_used_lists_the_lowest_sums_first() {
    let used = |percent, step| PolicyParam::PriorityLeastUsed { load: load(percent), degradation: load(step) };
    let mut p = Pool::new(&[used(50, 5), used(10, 60), used(20, 10), used(0, 90)]);
    for _ in 0..3 {
        assert_eq!(p.resolve(2), [3, 1]);
        assert_eq!(p.resolve(9), [3, 1, 2, 4]);
    }
    p.names_each_once(4);
}

/// RFC 5356 rows: 5.3.2-4.
#[test]
fn priority_least_used_takes_turns_among_equal_sums() {
    let used = |percent, step| PolicyParam::PriorityLeastUsed { load: load(percent), degradation: load(step) };
    let mut p = Pool::new(&[used(20, 10), used(10, 20), used(25, 5), used(40, 0)]);
    for _ in 0..5 {
        assert_eq!(p.shares(3), [1, 1, 1]);
    }
}

/// RFC 5356 rows: 5.4.2-1.
#[test]
fn randomised_least_used_draws_by_what_is_free() {
    let used = |percent| PolicyParam::RandomizedLeastUsed { load: load(percent) };
    let mut p = Pool::new(&[used(0), used(50), used(80)]);
    p.names_each_once(3);
    let shares = p.shares(8_000);
    as_shares(shares[0], shares[1], 100, 50);
    as_shares(shares[1], shares[2], 50, 20);
}
