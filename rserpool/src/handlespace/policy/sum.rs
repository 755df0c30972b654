//! Sums of weights, in which the one that a number falls on is found quickly.

use super::super::store::segmented::Segmented;

/// Numbers that are summed up in one: a cache line of weights.
const FAN: u32 = 16;

/// Weights with the sums of each sixteen of them, the sums of each sixteen of those, and so on.
#[derive(Debug)]
pub(super) struct SumTree {
    weights: Segmented<u32>,
    /// The levels from the bottom up, until one has at most [`FAN`] sums.
    levels: Vec<Segmented<u64>>,
    total: u64,
}

impl SumTree {
    pub(super) const fn new() -> Self {
        Self { weights: Segmented::new(), levels: Vec::new(), total: 0 }
    }

    pub(super) fn push(&mut self, weight: u32) {
        let at = self.weights.push(0);
        // The levels grow with the weights, each when the one below begins a new group.
        let mut group = at / FAN;
        for level in &mut self.levels {
            if group == level.len() {
                level.push(0);
            }
            group /= FAN;
        }
        if self.levels.last().map_or(self.weights.len(), Segmented::len) > FAN {
            // The top is one too many: two groups, of which the second is new and has nothing but zeros yet.
            let mut top = Segmented::new();
            top.push(self.total);
            top.push(0);
            self.levels.push(top);
        }
        self.set(at, weight);
    }

    /// Removes a weight; the last one moves to its place.
    pub(super) fn swap_remove(&mut self, at: u32) {
        let Some(last) = self.weights.len().checked_sub(1) else { return };
        let moved = self.set(last, 0);
        if at != last {
            self.set(at, moved);
        }
        self.weights.pop();
        let mut below = self.weights.len();
        for level in &mut self.levels {
            while level.len() > below.div_ceil(FAN) {
                level.pop();
            }
            below = level.len();
        }
        // With one level more than needed a pool that breathes does not build it again and again.
        while let [.., under, _] = self.levels.as_slice()
            && under.len() <= 1
        {
            self.levels.pop();
        }
    }

    /// Changes a weight; returns what it was.
    pub(super) fn set(&mut self, at: u32, weight: u32) -> u32 {
        let Some(known) = self.weights.get_mut(at) else { return 0 };
        let before = core::mem::replace(known, weight);
        let change = u64::from(weight).wrapping_sub(u64::from(before));
        let mut group = at / FAN;
        for level in &mut self.levels {
            if let Some(sum) = level.get_mut(group) {
                *sum = sum.wrapping_add(change);
            }
            group /= FAN;
        }
        self.total = self.total.wrapping_add(change);
        before
    }

    /// The index on which `number`, less than the total, falls if each index has as many numbers as its weight.
    pub(super) fn find(&self, mut number: u64) -> u32 {
        let mut at = 0;
        // A group is in one segment, for segments are whole groups.
        for level in self.levels.iter().rev() {
            at = (at + pass(&mut number, level.rest_of_segment(at).iter().copied())) * FAN;
        }
        at + pass(&mut number, self.weights.rest_of_segment(at).iter().map(|w| u64::from(*w)))
    }

    pub(super) fn get(&self, at: u32) -> u32 {
        self.weights.get(at).copied().unwrap_or(0)
    }

    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn len(&self) -> u32 {
        self.weights.len()
    }

    /// Whether all sums are those of the weights.
    pub(super) fn is_right(&self) -> bool {
        let mut below: Vec<u64> = self.weights.iter().copied().map(u64::from).collect();
        for level in &self.levels {
            let sums: Vec<u64> = below.chunks(FAN as usize).map(|c| c.iter().sum()).collect();
            if !level.iter().eq(&sums) {
                return false;
            }
            below = sums;
        }
        below.len() <= FAN as usize && below.iter().sum::<u64>() == self.total
    }
}

/// How many of the first [`FAN`] sums `number` is beyond; it is reduced by these. Where it stops cannot be guessed, so that
/// all are looked at, without a branch.
#[inline]
fn pass(number: &mut u64, sums: impl Iterator<Item = u64>) -> u32 {
    let (mut sum, mut passed, mut below) = (0, 0, 0);
    for value in sums.take(FAN as usize) {
        sum += value;
        let beyond = *number >= sum;
        passed += u32::from(beyond);
        below = if beyond { sum } else { below };
    }
    *number -= below;
    passed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn like_a_list(ops in proptest::collection::vec((0u8..5, any::<u32>(), 0u32..9), 0..600)) {
            let (mut tree, mut list) = (SumTree::new(), Vec::new());
            for (op, at, weight) in ops {
                let at = at.checked_rem(u32::try_from(list.len()).unwrap());
                match (op, at) {
                    (0, Some(at)) => {
                        tree.swap_remove(at);
                        list.swap_remove(at as usize);
                    }
                    (1, Some(at)) => {
                        prop_assert_eq!(tree.set(at, weight), list[at as usize]);
                        list[at as usize] = weight;
                    }
                    _ => {
                        tree.push(weight);
                        list.push(weight);
                    }
                }
                prop_assert!(tree.is_right());
                prop_assert_eq!(tree.total(), list.iter().copied().map(u64::from).sum::<u64>());
            }
            let owners: Vec<u32> = (0u32..).zip(&list).flat_map(|(i, w)| core::iter::repeat_n(i, *w as usize)).collect();
            for (number, owner) in (0u64..).zip(owners) {
                prop_assert_eq!(tree.find(number), owner);
            }
        }
    }
}
