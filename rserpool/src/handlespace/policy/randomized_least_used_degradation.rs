//! RSPLIB: randomised least used with degradation: at random, in proportion to what is free after the requests so far.

use super::weighted::{Chance, free};
use crate::wire::PolicyParam;

/// The chance of randomised least used with degradation. RSPLIB never degrades it; here each use counts, as the name says.
#[derive(Default, Debug)]
pub(super) struct RandomizedLeastUsedDegradation;

impl Chance for RandomizedLeastUsedDegradation {
    const NUMBER: u32 = 0xb000_1002;
    const DEGRADES: bool = true;
    const INCREMENT: usize = 1;

    fn weight(values: &PolicyParam) -> Option<(u32, u32)> {
        match *values {
            PolicyParam::RandomizedLeastUsedDegradation { load, degradation } => Some((free(load), degradation)),
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
            PolicyParam::RandomizedLeastUsedDegradation { load: 0, degradation: PERCENT },
            PolicyParam::RandomizedLeastUsedDegradation { load: 75 * PERCENT, degradation: PERCENT },
        ]);
        // Not counted as used: the shares remain.
        shares(&[100, 25], 20_000, |_| select(policy.as_mut(), 1, Some(0))[0]);
    }

    #[test]
    fn use_lowers_the_share_until_the_next_registration() {
        let values = PolicyParam::RandomizedLeastUsedDegradation { load: 0, degradation: PERCENT };
        let mut policy = of(&[values.clone(), PolicyParam::RandomizedLeastUsedDegradation { load: 50 * PERCENT, degradation: 0 }]);
        // A hundred uses take all there is; RSPLIB never lowers a share.
        let uses = (0..2000).filter(|_| select(policy.as_mut(), 1, None) == [0]).count();
        assert!((99..=101).contains(&uses), "{uses}");
        shares(&[0, 1], 20_000, |_| select(policy.as_mut(), 1, Some(0))[0]);
        policy.renew(0, &values);
        shares(&[2, 1], 20_000, |_| select(policy.as_mut(), 1, Some(0))[0]);
    }
}
