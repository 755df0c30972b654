//! A vector in segments: it grows without moving what is in it, but for the last segment.

use core::ops::{Index, IndexMut};

/// In unit tests segments are tiny, so that small models have several.
const BITS: u32 = if cfg!(test) { 4 } else { 9 };
const SEGMENT: usize = 1 << BITS;

/// A vector of up to 2^32 values in segments of 512. Indices are 32 bits wide: half the size of pointers.
#[derive(Clone, Debug)]
pub(crate) struct Segmented<T> {
    /// Small ones, and most are, need no second allocation.
    first: Vec<T>,
    /// All full but the last, which has at least one value.
    more: Vec<Vec<T>>,
}

impl<T> Segmented<T> {
    pub(crate) const fn new() -> Self {
        Self { first: Vec::new(), more: Vec::new() }
    }

    /// Appends a value; returns its index.
    pub(crate) fn push(&mut self, value: T) -> u32 {
        let index = self.len();
        if self.first.len() < SEGMENT {
            self.first.push(value);
        } else {
            match self.more.last_mut() {
                Some(last) if last.len() < SEGMENT => last.push(value),
                _ => self.more.push(vec![value]),
            }
        }
        index
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        let Some(last) = self.more.last_mut() else { return self.first.pop() };
        let value = last.pop();
        if last.is_empty() {
            self.more.pop();
        }
        value
    }

    /// Takes a value out; the last one moves to its place.
    pub(crate) fn swap_remove(&mut self, index: u32) -> Option<T> {
        let last = self.pop()?;
        match self.get_mut(index) {
            Some(value) => Some(core::mem::replace(value, last)),
            None => Some(last),
        }
    }

    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        let index = index as usize;
        match index.checked_sub(SEGMENT) {
            None => self.first.get(index),
            Some(beyond) => self.more.get(beyond >> BITS)?.get(beyond & (SEGMENT - 1)),
        }
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        let index = index as usize;
        match index.checked_sub(SEGMENT) {
            None => self.first.get_mut(index),
            Some(beyond) => self.more.get_mut(beyond >> BITS)?.get_mut(beyond & (SEGMENT - 1)),
        }
    }

    /// The values from `index` to the end of its segment.
    pub(crate) fn rest_of_segment(&self, index: u32) -> &[T] {
        let index = index as usize;
        let segment = match index.checked_sub(SEGMENT) {
            None => Some(&self.first),
            Some(beyond) => self.more.get(beyond >> BITS),
        };
        segment.and_then(|s| s.get(index & (SEGMENT - 1)..)).unwrap_or_default()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(self.more.iter().flatten())
    }

    /// How many there are: at most 2^32 - 1, for the limits of a handlespace are below.
    #[allow(clippy::cast_possible_truncation, reason = "bounded by the handlespace")]
    pub(crate) fn len(&self) -> u32 {
        match self.more.last() {
            None => self.first.len() as u32,
            Some(last) => (self.more.len() * SEGMENT + last.len()) as u32,
        }
    }
}

/// For indices that the handlespace itself keeps; what comes from outside goes through [`Segmented::get`].
impl<T> Index<u32> for Segmented<T> {
    type Output = T;

    #[inline]
    fn index(&self, index: u32) -> &T {
        let index = index as usize;
        match index.checked_sub(SEGMENT) {
            None => &self.first[index],
            Some(beyond) => &self.more[beyond >> BITS][beyond & (SEGMENT - 1)],
        }
    }
}

impl<T> IndexMut<u32> for Segmented<T> {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut T {
        let index = index as usize;
        match index.checked_sub(SEGMENT) {
            None => &mut self.first[index],
            Some(beyond) => &mut self.more[beyond >> BITS][beyond & (SEGMENT - 1)],
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn like_a_vector(ops in proptest::collection::vec((0u8..4, any::<u32>()), 0..4000)) {
            let (mut ours, mut theirs) = (Segmented::new(), Vec::new());
            for (op, n) in ops {
                match op {
                    0 if !theirs.is_empty() => {
                        let at = n % u32::try_from(theirs.len()).unwrap();
                        prop_assert_eq!(ours.swap_remove(at), Some(theirs.swap_remove(at as usize)));
                    }
                    _ => {
                        prop_assert_eq!(ours.push(n) as usize, theirs.len());
                        theirs.push(n);
                    }
                }
                prop_assert_eq!(ours.len() as usize, theirs.len());
            }
            prop_assert!(ours.iter().eq(theirs.iter()));
            for (i, value) in (0u32..).zip(&theirs) {
                prop_assert_eq!(&ours[i], value);
            }
            prop_assert_eq!(ours.get(ours.len()), None);
        }
    }
}
