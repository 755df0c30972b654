//! RSPLIB: priority least used with degradation and delay penalty factor. RSPLIB has no codec for it: the layout is ours.

use super::dpf::penalty;
use super::sorted::Load;
use crate::wire::PolicyParam;

/// The load of priority least used with degradation and delay penalty factor.
#[derive(Default, Debug)]
pub(super) struct PriorityLeastUsedDegradationDpf;

impl Load for PriorityLeastUsedDegradationDpf {
    const NUMBER: u32 = 0xb000_2005;
    const DEGRADES: bool = true;

    fn load(values: &PolicyParam) -> Option<(u32, u32)> {
        match *values {
            PolicyParam::PriorityLeastUsedDegradationDpf { load, degradation, load_dpf, distance } => {
                Some((load.saturating_add(degradation).saturating_add(penalty(distance, load_dpf)), degradation))
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
    fn one_more_request_distance_and_use_count_as_load() {
        let mut policy = of(&[
            PolicyParam::PriorityLeastUsedDegradationDpf { load: 0, degradation: 30, load_dpf: 1, distance: 0 },
            PolicyParam::PriorityLeastUsedDegradationDpf { load: 0, degradation: 10, load_dpf: 1, distance: 25 },
        ]);
        assert_eq!(first_of_each(policy.as_mut(), 6), [0, 1, 1, 1, 0, 1], "30, 60, 90 against 35, 45, 55, 65");
    }
}
