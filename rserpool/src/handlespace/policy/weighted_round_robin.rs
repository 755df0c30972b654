//! Weighted round robin (RFC 5356 section 4.2): in each round everyone has as many turns as its weight.

use super::super::store::heap::Rank as _;
use super::sorted::{Order, SortKey};
use crate::wire::PolicyParam;

/// The order of weighted round robin: the round, then who has most turns left in it.
///
/// RSPLIB serves those with the fewest turns left first. The shares are the same, but the turns of an element with a large
/// weight come all in a row there; here they are spread over the round. A weight of 0 counts as 1.
#[derive(Default, Debug)]
pub(super) struct WeightedRoundRobin;

/// A place in the order.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Place {
    /// Counts up to 2^48, which takes longer than a pool lives.
    round: u64,
    /// How many turns are left in the round.
    left: u32,
}

impl SortKey for Place {
    /// 48 bits of the round, 32 for the turns that are left, 48 of the turn.
    type Rank = [u32; 4];

    #[allow(clippy::cast_possible_truncation, reason = "taken in pieces")]
    fn rank(self, turn: u64) -> [u32; 4] {
        let round_and_left = u128::from(self.round) << 32 | u128::from(!self.left);
        let value = round_and_left << 48 | u128::from(turn & ((1 << 48) - 1));
        [(value >> 96) as u32, (value >> 64) as u32, (value >> 32) as u32, value as u32]
    }

    #[allow(clippy::cast_possible_truncation, reason = "taken in pieces")]
    fn parts(rank: [u32; 4]) -> (Self, u64) {
        let value = rank.value();
        (Self { round: (value >> 80) as u64, left: !((value >> 48) as u32) }, value as u64 & ((1 << 48) - 1))
    }
}

fn weight(values: &PolicyParam) -> u32 {
    match *values {
        PolicyParam::WeightedRoundRobin { weight } => weight.max(1),
        _ => 1,
    }
}

impl Order for WeightedRoundRobin {
    type Key = Place;
    /// The weight.
    type State = u32;

    const NUMBER: u32 = 2;

    fn join(values: &PolicyParam, first: Option<Place>) -> (Place, u32) {
        let weight = weight(values);
        (Place { round: first.map_or(0, |p| p.round), left: weight }, weight)
    }

    fn renew(values: &PolicyParam, Place { round, left }: Place, _weight: u32) -> (Place, u32) {
        let weight = weight(values);
        (Place { round, left: left.min(weight) }, weight)
    }

    fn used(Place { round, left }: Place, weight: u32) -> Place {
        if left > 1 { Place { round, left: left - 1 } } else { Place { round: round + 1, left: weight } }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{of, select};
    use crate::wire::PolicyParam;

    #[test]
    fn as_many_turns_in_a_round_as_the_weight() {
        let weights = [3, 1, 2];
        let mut policy = of(&weights.map(|weight| PolicyParam::WeightedRoundRobin { weight }));
        for _ in 0..5 {
            let round: Vec<u32> = (0..6).map(|_| select(policy.as_mut(), 1, None)[0]).collect();
            assert_eq!(round, [0, 2, 0, 1, 2, 0], "3, 1 and 2 turns, spread over the round");
        }
        // Less weight takes effect at once, more with the next round.
        policy.renew(0, &PolicyParam::WeightedRoundRobin { weight: 1 });
        policy.renew(1, &PolicyParam::WeightedRoundRobin { weight: 2 });
        let turns: Vec<u32> = (0..4 + 5).map(|_| select(policy.as_mut(), 1, None)[0]).collect();
        let count = |turns: &[u32]| [0, 1, 2].map(|seat| turns.iter().filter(|t| **t == seat).count());
        assert_eq!((count(&turns[..4]), count(&turns[4..])), ([1, 1, 2], [1, 2, 2]));
    }

    #[test]
    fn a_new_element_begins_in_the_present_round() {
        let mut policy = of(&[PolicyParam::WeightedRoundRobin { weight: 2 }]);
        (0..1000).for_each(|_| drop(select(policy.as_mut(), 1, None)));
        policy.join(&PolicyParam::WeightedRoundRobin { weight: 2 });
        let turns = (0..40).filter(|_| select(policy.as_mut(), 1, None) == [1]).count();
        assert_eq!(turns, 20);
    }
}
