//! What the tests of the policies have in common.

use sctp_user::SeededEntropy;

use super::{Policies, Policy};
use crate::wire::PolicyParam;

/// The policy with an element for each of these values, in their order.
pub(super) fn of(values: &[PolicyParam]) -> Box<dyn Policy> {
    let mut policy = Policies::standard().of_number(values[0].number()).unwrap();
    values.iter().for_each(|v| policy.join(v));
    policy
}

/// A selection; all selections of a thread draw from one seeded source.
pub(super) fn select(policy: &mut dyn Policy, n: usize, increment: Option<usize>) -> Vec<u32> {
    thread_local! {
        static RNG: core::cell::RefCell<SeededEntropy> = core::cell::RefCell::new(SeededEntropy::new(5356));
    }
    let mut out = Vec::new();
    RNG.with_borrow_mut(|rng| policy.select(n, increment, rng, &mut out));
    assert_eq!(policy.audit(), Ok(()));
    out
}

/// Who comes first in each of so many selections of one.
pub(super) fn first_of_each(policy: &mut dyn Policy, selections: usize) -> Vec<u32> {
    (0..selections).map(|_| select(policy, 1, None)[0]).collect()
}

/// Checks that each of `draws` draws falls on a seat with a probability in proportion to its weight. The number of hits has
/// a binomial distribution; it may be five standard deviations off, which chance does once in a million times.
pub(super) fn shares(weights: &[u32], draws: u64, draw: impl FnMut(u64) -> u32) {
    let total: u64 = weights.iter().copied().map(u64::from).sum();
    let mut hits = vec![0u64; weights.len()];
    (0..draws).map(draw).for_each(|seat| hits[seat as usize] += 1);
    for (weight, hits) in weights.iter().copied().map(u64::from).zip(&hits) {
        // Everything times `total`, to stay with whole numbers: variance = draws * p * (1 - p).
        let off = (hits * total).abs_diff(draws * weight);
        let variance = draws * weight * (total - weight);
        assert!(off * off <= 25 * variance, "{hits} hits of {draws} for a weight of {weight} in {total}");
    }
}
