//! Weighted round robin (RFC 5356 section 4.2): in each round everyone has as many turns as its weight.

use super::sorted::Order;
use crate::wire::PolicyParam;

/// The order of weighted round robin: the round, then who has most turns left in it.
///
/// RSPLIB serves those with the fewest turns left first. The shares are the same, but the turns of an element with a large
/// weight come all in a row there; here they are spread over the round. A weight of 0 counts as 1.
#[derive(Default, Debug)]
pub(super) struct WeightedRoundRobin;

/// The round in 64 bits, in halves so that it needs no padding, and the complement of the turns that are left in it.
type Key = [u32; 3];

#[allow(clippy::cast_possible_truncation, reason = "taken in halves")]
const fn key(round: u64, turns: u32) -> Key {
    [(round >> 32) as u32, round as u32, !turns]
}

const fn parts([high, low, complement]: Key) -> (u64, u32) {
    ((high as u64) << 32 | low as u64, !complement)
}

fn weight(values: &PolicyParam) -> u32 {
    match *values {
        PolicyParam::WeightedRoundRobin { weight } => weight.max(1),
        _ => 1,
    }
}

impl Order for WeightedRoundRobin {
    type Key = Key;
    /// The weight.
    type State = u32;

    const NUMBER: u32 = 2;

    fn join(values: &PolicyParam, first: Option<Key>) -> (Key, u32) {
        let weight = weight(values);
        (key(first.map_or(0, |k| parts(k).0), weight), weight)
    }

    fn renew(values: &PolicyParam, before: Key, _weight: u32) -> (Key, u32) {
        let (round, turns) = parts(before);
        let weight = weight(values);
        (key(round, turns.min(weight)), weight)
    }

    fn used(before: Key, weight: u32) -> Key {
        let (round, turns) = parts(before);
        if turns > 1 { key(round, turns - 1) } else { key(round + 1, weight) }
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
