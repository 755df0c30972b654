//! Least used with delay penalty factor (draft-dreibholz-rserpool-delay): distance counts as load.

use super::dpf::penalty;
use super::sorted::Load;
use crate::wire::PolicyParam;

/// The load of least used with delay penalty factor.
#[derive(Default, Debug)]
pub(super) struct LeastUsedDpf;

impl Load for LeastUsedDpf {
    const NUMBER: u32 = 0xb000_2002;

    fn load(values: &PolicyParam) -> Option<(u32, u32)> {
        match *values {
            PolicyParam::LeastUsedDpf { load, load_dpf, distance } => Some((load.saturating_add(penalty(distance, load_dpf)), 0)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{first_of_each, of};
    use crate::wire::PolicyParam;

    #[test]
    fn distance_counts_as_load() {
        let mut policy = of(&[
            PolicyParam::LeastUsedDpf { load: 100, load_dpf: 2, distance: 300 },
            PolicyParam::LeastUsedDpf { load: 500, load_dpf: 2, distance: 50 },
            PolicyParam::LeastUsedDpf { load: 0, load_dpf: u32::MAX, distance: 2 },
        ]);
        assert_eq!(first_of_each(policy.as_mut(), 2), [1, 1], "600 is less than 700, and the far one is full");
    }
}
