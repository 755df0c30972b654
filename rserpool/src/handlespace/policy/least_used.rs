//! Least used (RFC 5356 section 5.1): the lowest load, equal loads in turn.

use super::sorted::Order;
use crate::wire::PolicyParam;

/// The order of least used: the load as registered.
#[derive(Debug)]
pub(super) struct LeastUsed;

impl Order for LeastUsed {
    type Key = u32;
    type State = u32;

    fn number(&self) -> u32 {
        PolicyParam::LeastUsed { load: 0 }.number()
    }

    fn state(&self, param: &PolicyParam, _old: Option<&u32>) -> Option<u32> {
        match *param {
            PolicyParam::LeastUsed { load } => Some(load),
            _ => None,
        }
    }

    fn key(&self, load: &u32) -> u32 {
        *load
    }
}

#[cfg(test)]
mod tests {
    use sctp_user::SeededEntropy;

    use super::super::Policies;
    use crate::wire::PolicyParam;

    #[test]
    fn lowest_load_first_and_equals_in_turn() {
        let mut policy = Policies::standard().of_number(0x4000_0001).unwrap();
        let mut rng = SeededEntropy::new(1);
        for load in [50, 10, 10, 90] {
            policy.join(&PolicyParam::LeastUsed { load });
        }
        let mut select = |policy: &mut dyn super::super::Policy, n| {
            let mut out = Vec::new();
            policy.select(n, None, &mut rng, &mut out);
            out
        };
        assert_eq!(select(policy.as_mut(), 3), [1, 2, 0]);
        assert_eq!(select(policy.as_mut(), 3), [2, 1, 0]);
        assert_eq!(select(policy.as_mut(), 1), [1]);
        policy.renew(3, &PolicyParam::LeastUsed { load: 0 });
        // Values of another policy are none.
        policy.renew(3, &PolicyParam::Random {});
        assert_eq!(select(policy.as_mut(), 1), [3]);
    }
}
