//! RSPLIB: randomised priority least used: at random, in proportion to what is free after one more request.

use super::weighted::{Chance, free};
use crate::wire::PolicyParam;

/// The chance of randomised priority least used.
#[derive(Default, Debug)]
pub(super) struct RandomizedPriorityLeastUsed;

impl Chance for RandomizedPriorityLeastUsed {
    const NUMBER: u32 = 0xb000_1001;
    const INCREMENT: usize = 1;

    fn weight(values: &PolicyParam) -> Option<(u32, u32)> {
        match *values {
            PolicyParam::RandomizedPriorityLeastUsed { load, degradation } => Some((free(load.saturating_add(degradation)), 0)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{of, select, shares};
    use crate::wire::PolicyParam;

    const PERCENT: u32 = u32::MAX / 100;

    #[test]
    fn shares_are_what_is_free() {
        let mut policy = of(&[
            PolicyParam::RandomizedPriorityLeastUsed { load: 0, degradation: 20 * PERCENT },
            PolicyParam::RandomizedPriorityLeastUsed { load: 50 * PERCENT, degradation: 10 * PERCENT },
            PolicyParam::RandomizedPriorityLeastUsed { load: 50 * PERCENT, degradation: 60 * PERCENT },
        ]);
        // Not counted as used: the shares remain.
        shares(&[80, 40, 0], 20_000, |_| select(policy.as_mut(), 1, Some(0))[0]);
    }
}
