//! RSPLIB: priority least used with degradation, which counts the requests so far and one more.

use super::sorted::Load;
use crate::wire::PolicyParam;

/// The load of priority least used with degradation.
#[derive(Default, Debug)]
pub(super) struct PriorityLeastUsedDegradation;

impl Load for PriorityLeastUsedDegradation {
    const NUMBER: u32 = 0xb000_1003;
    const DEGRADES: bool = true;

    fn load(values: &PolicyParam) -> Option<(u32, u32)> {
        match *values {
            PolicyParam::PriorityLeastUsedDegradation { load, degradation } => Some((load.saturating_add(degradation), degradation)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{first_of_each, of};
    use crate::wire::PolicyParam;

    #[test]
    fn the_load_after_the_requests_so_far_and_one_more() {
        let mut policy = of(&[
            PolicyParam::PriorityLeastUsedDegradation { load: 0, degradation: 30 },
            PolicyParam::PriorityLeastUsedDegradation { load: 20, degradation: 10 },
        ]);
        assert_eq!(first_of_each(policy.as_mut(), 6), [0, 1, 1, 1, 0, 1], "30, 60, 90 against 30, 40, 50, 60, 70");
    }
}
