//! Least used with degradation and delay penalty factor (draft-dreibholz-rserpool-delay).

use super::dpf::penalty;
use super::sorted::Load;
use crate::wire::PolicyParam;

/// The load of least used with degradation and delay penalty factor.
#[derive(Default, Debug)]
pub(super) struct LeastUsedDegradationDpf;

impl Load for LeastUsedDegradationDpf {
    const NUMBER: u32 = 0xb000_2003;
    const DEGRADES: bool = true;

    fn load(values: &PolicyParam) -> Option<(u32, u32)> {
        match *values {
            PolicyParam::LeastUsedDegradationDpf { load, degradation, load_dpf, distance } => {
                Some((load.saturating_add(penalty(distance, load_dpf)), degradation))
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
    fn distance_and_use_count_as_load() {
        let mut policy = of(&[
            PolicyParam::LeastUsedDegradationDpf { load: 0, degradation: 10, load_dpf: 1, distance: 0 },
            PolicyParam::LeastUsedDegradationDpf { load: 0, degradation: 10, load_dpf: 1, distance: 25 },
        ]);
        assert_eq!(first_of_each(policy.as_mut(), 6), [0, 0, 0, 1, 0, 1], "0, 10, 20, 30 against 25, 35");
    }
}
