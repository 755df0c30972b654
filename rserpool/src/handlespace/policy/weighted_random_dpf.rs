//! Weighted random with delay penalty factor (draft-dreibholz-rserpool-delay): the farther, the less likely.

use super::dpf::{part, penalty};
use super::weighted::Chance;
use crate::wire::PolicyParam;

/// The chance of weighted random with delay penalty factor: distance takes a part of the weight, but never all of it.
#[derive(Default, Debug)]
pub(super) struct WeightedRandomDpf;

impl Chance for WeightedRandomDpf {
    const NUMBER: u32 = 0xb000_2001;
    const INCREMENT: usize = 0;

    fn weight(values: &PolicyParam) -> Option<(u32, u32)> {
        match *values {
            PolicyParam::WeightedRandomDpf { weight, weight_dpf, distance } => {
                let left = weight - part(weight, penalty(distance, weight_dpf));
                Some((left.max(weight.min(1)), 0))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{of, select, shares};
    use crate::wire::PolicyParam;

    #[test]
    fn shares_fall_with_distance() {
        let percent = u32::MAX / 100;
        let pool = [0, 50, 90, 1_000_000].map(|distance| PolicyParam::WeightedRandomDpf { weight: 100, weight_dpf: percent, distance });
        let mut policy = of(&pool);
        shares(&[100, 50, 10, 1], 20_000, |_| select(policy.as_mut(), 1, None)[0]);
        policy.join(&PolicyParam::WeightedRandomDpf { weight: 0, weight_dpf: percent, distance: 1 });
        assert_eq!(select(policy.as_mut(), 9, None).len(), 4, "who has no weight is never chosen");
    }
}
