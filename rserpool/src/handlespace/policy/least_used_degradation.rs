//! Least used with degradation (RFC 5356 section 5.2): the lowest load, which each use raises until the element registers again.

use super::sorted::Load;
use crate::wire::PolicyParam;

/// The load of least used with degradation. RSPLIB counts each use twice; here it counts once, as the RFC says.
#[derive(Default, Debug)]
pub(super) struct LeastUsedDegradation;

impl Load for LeastUsedDegradation {
    const NUMBER: u32 = 0x4000_0002;
    const DEGRADES: bool = true;

    fn load(values: &PolicyParam) -> Option<(u32, u32)> {
        match *values {
            PolicyParam::LeastUsedDegradation { load, degradation } => Some((load, degradation)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{first_of_each, of};
    use crate::wire::PolicyParam;

    #[test]
    fn each_use_raises_the_load() {
        let mut policy = of(&[
            PolicyParam::LeastUsedDegradation { load: 0, degradation: 10 },
            PolicyParam::LeastUsedDegradation { load: 20, degradation: 10 },
            PolicyParam::LeastUsedDegradation { load: 40, degradation: 10 },
        ]);
        assert_eq!(first_of_each(policy.as_mut(), 9), [0, 0, 1, 0, 1, 0, 2, 1, 0], "loads 0, 20, 40 with steps of 10");
        policy.renew(0, &PolicyParam::LeastUsedDegradation { load: 0, degradation: 10 });
        assert_eq!(first_of_each(policy.as_mut(), 6), [0, 0, 0, 0, 0, 2], "a registration takes the degradation back");
        policy.renew(0, &PolicyParam::LeastUsedDegradation { load: u32::MAX - 1, degradation: u32::MAX });
        policy.leave(1);
        policy.leave(1);
        assert_eq!(first_of_each(policy.as_mut(), 3), [0, 0, 0], "loads saturate");
    }
}
