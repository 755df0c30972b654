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

    use super::super::Policies;
    use crate::wire::PolicyParam;

    #[test]
    fn in_turn_by_the_first_one_of_each_list() {
        let mut policy = Policies::standard().of_number(1).unwrap();
        let mut rng = SeededEntropy::new(1);
        for _ in 0..3 {
            policy.join(&PolicyParam::RoundRobin {});
        }
        let mut lists = Vec::new();
        for _ in 0..4 {
            let mut out = Vec::new();
            policy.select(2, Some(1), &mut rng, &mut out);
            lists.push(out);
        }
        assert_eq!(lists, [[0, 1], [1, 2], [2, 0], [0, 1]]);
        // A renewal changes no turn, a new element comes last; the last one moves to the seat of one that leaves.
        policy.renew(1, &PolicyParam::RoundRobin {});
        policy.join(&PolicyParam::RoundRobin {});
        policy.leave(2);
        let mut out = Vec::new();
        policy.select(10, Some(10), &mut rng, &mut out);
        assert_eq!(out, [1, 0, 2]);
    }
}
