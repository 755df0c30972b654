//! Round robin (RFC 5356 section 4.1): everyone in turn.

use super::sorted::Order;
use crate::wire::PolicyParam;

/// The order of round robin: nothing but the turn.
#[derive(Debug)]
pub(super) struct RoundRobin;

impl Order for RoundRobin {
    type Key = ();
    type State = ();

    fn number(&self) -> u32 {
        PolicyParam::RoundRobin {}.number()
    }

    fn state(&self, param: &PolicyParam, _old: Option<&()>) -> Option<()> {
        matches!(param, PolicyParam::RoundRobin {}).then_some(())
    }

    fn key(&self, _state: &()) {}
}

#[cfg(test)]
mod tests {
    use sctp_user::SeededEntropy;

    use super::super::of_number;
    use crate::wire::{ElementId, PolicyParam};

    #[test]
    fn in_turn_by_the_first_one_of_each_list() {
        let mut policy = of_number(1).unwrap();
        let mut rng = SeededEntropy::new(1);
        for id in [3, 1, 2] {
            policy.update(ElementId(id), &PolicyParam::RoundRobin {});
        }
        let mut lists = Vec::new();
        for _ in 0..4 {
            let mut out = Vec::new();
            policy.select(2, 1, &mut rng, &mut out);
            lists.push(out.iter().map(|id| id.0).collect::<Vec<_>>());
        }
        assert_eq!(lists, [[3, 1], [1, 2], [2, 3], [3, 1]]);
        // A renewal changes no turn, a new element comes last, a removed one is gone.
        policy.update(ElementId(1), &PolicyParam::RoundRobin {});
        policy.update(ElementId(9), &PolicyParam::RoundRobin {});
        policy.remove(ElementId(2));
        let mut out = Vec::new();
        policy.select(10, 10, &mut rng, &mut out);
        assert_eq!(out, [ElementId(1), ElementId(3), ElementId(9)]);
        assert!(policy.contains(ElementId(9)) && !policy.contains(ElementId(2)));
    }
}
