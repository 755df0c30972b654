//! Priority (RFC 5356 section 4.5): the highest priority, equal ones in turn.

use super::sorted::Order;
use crate::wire::PolicyParam;

/// The order of priority.
#[derive(Default, Debug)]
pub(super) struct Priority;

impl Order for Priority {
    /// The complement of the priority.
    type Key = u32;
    type State = ();

    const NUMBER: u32 = 5;

    fn join(values: &PolicyParam, _first: Option<u32>) -> (u32, ()) {
        match *values {
            PolicyParam::Priority { priority } => (!priority, ()),
            _ => (u32::MAX, ()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{of, select};
    use crate::wire::PolicyParam;

    #[test]
    fn the_highest_ones_in_turn() {
        let mut policy = of(&[5, 9, 1, 9, 9].map(|priority| PolicyParam::Priority { priority }));
        let chosen: Vec<u32> = (0..7).map(|_| select(policy.as_mut(), 1, None)[0]).collect();
        assert_eq!(chosen, [1, 3, 4, 1, 3, 4, 1]);
        assert_eq!(select(policy.as_mut(), 9, Some(0)), [3, 4, 1, 0, 2]);
        policy.renew(2, &PolicyParam::Priority { priority: u32::MAX });
        assert_eq!(select(policy.as_mut(), 1, None), [2]);
    }
}
