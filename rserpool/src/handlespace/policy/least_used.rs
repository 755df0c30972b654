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

    use super::super::of_number;
    use crate::wire::{ElementId, PolicyParam};

    #[test]
    fn lowest_load_first_and_equals_in_turn() {
        let mut policy = of_number(0x4000_0001).unwrap();
        let mut rng = SeededEntropy::new(1);
        for (id, load) in [(1, 50), (2, 10), (3, 10), (4, 90)] {
            policy.update(ElementId(id), &PolicyParam::LeastUsed { load });
        }
        let mut select = |n| {
            let mut out = Vec::new();
            policy.select(n, 1, &mut rng, &mut out);
            out.into_iter().map(|id| id.0).collect::<Vec<_>>()
        };
        assert_eq!(select(3), [2, 3, 1]);
        assert_eq!(select(3), [3, 2, 1]);
        assert_eq!(select(1), [2]);
        policy.update(ElementId(4), &PolicyParam::LeastUsed { load: 0 });
        // Values of another policy are none.
        policy.update(ElementId(4), &PolicyParam::Random {});
        let mut out = Vec::new();
        policy.select(1, 1, &mut rng, &mut out);
        assert_eq!(out, [ElementId(4)]);
    }
}
