//! Randomised least used (RFC 5356 section 5.4): at random, in proportion to what is free.

use super::weighted::{Chance, free};
use crate::wire::PolicyParam;

/// The chance of randomised least used. An element that is full has the least chance, not none.
#[derive(Default, Debug)]
pub(super) struct RandomizedLeastUsed;

impl Chance for RandomizedLeastUsed {
    const NUMBER: u32 = 0x4000_0004;
    const INCREMENT: usize = 1;

    fn weight(values: &PolicyParam) -> Option<(u32, u32)> {
        match *values {
            PolicyParam::RandomizedLeastUsed { load } => Some((free(load), 0)),
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
            PolicyParam::RandomizedLeastUsed { load: 0 },
            PolicyParam::RandomizedLeastUsed { load: 60 * PERCENT },
            PolicyParam::RandomizedLeastUsed { load: 90 * PERCENT },
            PolicyParam::RandomizedLeastUsed { load: u32::MAX },
        ]);
        // Not counted as used: the shares remain.
        shares(&[100, 40, 10, 0], 20_000, |_| select(policy.as_mut(), 1, Some(0))[0]);
    }

    #[test]
    fn all_full_is_all_alike() {
        let mut policy = of(&vec![PolicyParam::RandomizedLeastUsed { load: u32::MAX }; 2]);
        shares(&[1, 1], 10_000, |_| select(policy.as_mut(), 1, None)[0]);
    }
}
