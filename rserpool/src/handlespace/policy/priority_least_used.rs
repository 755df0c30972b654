//! Priority least used (RFC 5356 section 5.3): the lowest load after one more request.

use super::sorted::Load;
use crate::wire::PolicyParam;

/// The load of priority least used: what it would be with one more request.
#[derive(Default, Debug)]
pub(super) struct PriorityLeastUsed;

impl Load for PriorityLeastUsed {
    const NUMBER: u32 = 0x4000_0003;

    fn load(values: &PolicyParam) -> Option<(u32, u32)> {
        match *values {
            PolicyParam::PriorityLeastUsed { load, degradation } => Some((load.saturating_add(degradation), 0)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{first_of_each, of};
    use crate::wire::PolicyParam;

    #[test]
    fn the_load_after_one_more_request() {
        let mut policy = of(&[
            PolicyParam::PriorityLeastUsed { load: 10, degradation: 50 },
            PolicyParam::PriorityLeastUsed { load: 40, degradation: 5 },
            PolicyParam::PriorityLeastUsed { load: 30, degradation: 15 },
        ]);
        assert_eq!(first_of_each(policy.as_mut(), 4), [1, 2, 1, 2], "45 and 45 before 60");
    }
}
