//! RSPLIB: priority least used with delay penalty factor. RSPLIB has no codec for it: the layout is ours.

use super::dpf::penalty;
use super::sorted::Load;
use crate::wire::PolicyParam;

/// The load of priority least used with delay penalty factor.
#[derive(Default, Debug)]
pub(super) struct PriorityLeastUsedDpf;

impl Load for PriorityLeastUsedDpf {
    const NUMBER: u32 = 0xb000_2004;

    fn load(values: &PolicyParam) -> Option<(u32, u32)> {
        match *values {
            PolicyParam::PriorityLeastUsedDpf { load, degradation, load_dpf, distance } => {
                Some((load.saturating_add(degradation).saturating_add(penalty(distance, load_dpf)), 0))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{first_of_each, of};
    use crate::wire::PolicyParam;

    #[test]
    fn one_more_request_and_distance_count_as_load() {
        let mut policy = of(&[
            PolicyParam::PriorityLeastUsedDpf { load: 10, degradation: 50, load_dpf: 1, distance: 0 },
            PolicyParam::PriorityLeastUsedDpf { load: 10, degradation: 0, load_dpf: 1, distance: 60 },
            PolicyParam::PriorityLeastUsedDpf { load: 10, degradation: 20, load_dpf: 1, distance: 20 },
        ]);
        assert_eq!(first_of_each(policy.as_mut(), 2), [2, 2], "50 is less than 60 and 70");
    }
}
