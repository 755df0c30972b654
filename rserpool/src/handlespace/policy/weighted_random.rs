//! Weighted random (RFC 5356 section 4.4): at random, in proportion to the weights.

use super::weighted::Chance;
use crate::wire::PolicyParam;

/// The chance of weighted random. An element of weight 0 is never chosen, and a pool of such elements names none.
#[derive(Default, Debug)]
pub(super) struct WeightedRandom;

impl Chance for WeightedRandom {
    const NUMBER: u32 = 4;
    const INCREMENT: usize = 0;

    fn weight(values: &PolicyParam) -> Option<(u32, u32)> {
        match *values {
            PolicyParam::WeightedRandom { weight } => Some((weight, 0)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{of, select, shares};
    use crate::wire::PolicyParam;

    #[test]
    fn shares_are_the_weights() {
        let weights = [3, 1, 0, 6];
        let mut policy = of(&weights.map(|weight| PolicyParam::WeightedRandom { weight }));
        shares(&weights, 20_000, |_| select(policy.as_mut(), 1, None)[0]);
        // The first of a list has the same shares, and the second those that are left: of 10 lists, 3 begin with 0.
        shares(&weights, 20_000, |_| select(policy.as_mut(), 3, None)[0]);
        let given_3 = |_| loop {
            if let [3, second, _] = *select(policy.as_mut(), 3, None) {
                break second;
            }
        };
        shares(&[3, 1, 0, 0], 10_000, given_3);
        assert_eq!(select(policy.as_mut(), 9, None).len(), 3, "who has no weight is never chosen");
    }

    #[test]
    fn nobody_has_weight() {
        let mut policy = of(&vec![PolicyParam::WeightedRandom { weight: 0 }; 3]);
        assert!(select(policy.as_mut(), 3, None).is_empty());
        policy.renew(1, &PolicyParam::WeightedRandom { weight: u32::MAX });
        assert_eq!(select(policy.as_mut(), 3, None), [1]);
    }
}
