//! RSPLIB: randomised priority least used with degradation: at random, in proportion to what is free after the requests so far and one more.

use super::weighted::{Chance, free};
use crate::wire::PolicyParam;

/// The chance of randomised priority least used with degradation. RSPLIB never degrades it; here each use counts.
#[derive(Default, Debug)]
pub(super) struct RandomizedPriorityLeastUsedDegradation;

impl Chance for RandomizedPriorityLeastUsedDegradation {
    const NUMBER: u32 = 0xb000_1004;
    const DEGRADES: bool = true;
    const INCREMENT: usize = 1;

    fn weight(values: &PolicyParam) -> Option<(u32, u32)> {
        match *values {
            PolicyParam::RandomizedPriorityLeastUsedDegradation { load, degradation } => {
                Some((free(load.saturating_add(degradation)), degradation))
            }
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
            PolicyParam::RandomizedPriorityLeastUsedDegradation { load: 0, degradation: 20 * PERCENT },
            PolicyParam::RandomizedPriorityLeastUsedDegradation { load: 50 * PERCENT, degradation: 10 * PERCENT },
        ]);
        // Not counted as used: the shares remain.
        shares(&[80, 40], 20_000, |_| select(policy.as_mut(), 1, Some(0))[0]);
    }

    #[test]
    fn use_lowers_the_share_until_the_next_registration() {
        let values = PolicyParam::RandomizedPriorityLeastUsedDegradation { load: 0, degradation: PERCENT };
        let mut policy = of(&[values.clone(), PolicyParam::RandomizedPriorityLeastUsedDegradation { load: 67 * PERCENT, degradation: 0 }]);
        // A hundred uses take all there is; RSPLIB never lowers a share.
        let uses = (0..2000).filter(|_| select(policy.as_mut(), 1, None) == [0]).count();
        assert!((99..=101).contains(&uses), "{uses}");
        shares(&[0, 1], 20_000, |_| select(policy.as_mut(), 1, Some(0))[0]);
        policy.renew(0, &values);
        shares(&[99, 33], 20_000, |_| select(policy.as_mut(), 1, Some(0))[0]);
    }
}
