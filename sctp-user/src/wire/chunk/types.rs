//! A set of chunk types.

use core::fmt;

/// A set of chunk types, as CHUNKS lists them (RFC 4895 section 3.2).
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct ChunkTypes([u64; 4]);

impl ChunkTypes {
    /// The types of a list.
    #[must_use]
    pub fn of(list: &[u8]) -> Self {
        list.iter().fold(Self::default(), |set, kind| set.with(*kind))
    }

    /// With one more.
    #[must_use]
    pub fn with(mut self, kind: u8) -> Self {
        if let Some(word) = self.0.get_mut(usize::from(kind / 64)) {
            *word |= 1 << (kind % 64);
        }
        self
    }

    /// Without one.
    #[must_use]
    pub fn without(mut self, kind: u8) -> Self {
        if let Some(word) = self.0.get_mut(usize::from(kind / 64)) {
            *word &= !(1 << (kind % 64));
        }
        self
    }

    /// Whether one is in it.
    #[must_use]
    pub fn has(&self, kind: u8) -> bool {
        self.0.get(usize::from(kind / 64)).is_some_and(|word| word >> (kind % 64) & 1 != 0)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// All of them, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u8> {
        // Word by word, bit by bit that is set: mostly there are two.
        [0, 64, 128, 192].into_iter().zip(self.0).flat_map(|(first, mut word): (u8, u64)| {
            core::iter::from_fn(move || {
                let lowest = u8::try_from(word.trailing_zeros()).ok().filter(|_| word != 0)?;
                word &= word - 1;
                Some(first + lowest)
            })
        })
    }
}

impl fmt::Debug for ChunkTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_in_it_or_not() {
        let set = ChunkTypes::of(&[0, 63, 64, 193, 255, 193]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 64, 193, 255]);
        assert!(set.has(64) && !set.has(65) && !set.is_empty());
        assert_eq!(set.without(64).without(1), ChunkTypes::of(&[0, 63, 193, 255]));
        assert!(ChunkTypes::default().is_empty());
    }
}
