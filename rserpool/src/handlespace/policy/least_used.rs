//! Least used (RFC 5356 section 5.1): the lowest load, equal loads in turn.

use super::sorted::Load;
use crate::wire::PolicyParam;

/// The load of least used: as registered.
#[derive(Default, Debug)]
pub(super) struct LeastUsed;

impl Load for LeastUsed {
    const NUMBER: u32 = 0x4000_0001;

    fn load(values: &PolicyParam) -> Option<(u32, u32)> {
        match *values {
            PolicyParam::LeastUsed { load } => Some((load, 0)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{first_of_each, of};
    use crate::wire::PolicyParam;

    #[test]
    fn lowest_load_first_and_equals_in_turn() {
        let mut policy = of(&[
            PolicyParam::LeastUsed { load: 50 },
            PolicyParam::LeastUsed { load: 10 },
            PolicyParam::LeastUsed { load: 10 },
            PolicyParam::LeastUsed { load: 90 },
        ]);
        assert_eq!(first_of_each(policy.as_mut(), 5), [1, 2, 1, 2, 1], "the lowest load");
        policy.renew(3, &PolicyParam::LeastUsed { load: 0 });
        assert_eq!(first_of_each(policy.as_mut(), 2), [3, 3]);
        policy.renew(3, &PolicyParam::Random {});
        assert_eq!(first_of_each(policy.as_mut(), 2), [2, 1], "values of another policy are the worst");
    }
}
