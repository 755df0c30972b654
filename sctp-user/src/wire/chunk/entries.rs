//! Lists of fields of equal length at the end of a chunk.

use crate::wire::cursor::Writer;

/// Something of which a chunk lists any number.
pub trait Entry: Copy + Eq {
    /// Its bytes.
    type Wire: Copy + 'static;
    /// A list as it came, entry by entry; bytes that are left over are dropped.
    fn split(wire: &[u8]) -> &[Self::Wire];
    /// From its bytes.
    fn decode(wire: Self::Wire) -> Self;
    /// Appends its bytes.
    fn encode(&self, w: &mut Writer<'_>);
}

/// A list of a chunk: as it came, or as it is to be sent.
#[derive(Clone, Copy, Debug)]
pub enum Entries<'a, T> {
    /// Undecoded bytes.
    Wire(&'a [u8]),
    /// To be encoded.
    List(&'a [T]),
}

impl<'a, T: Entry> Entries<'a, T> {
    /// The entries in the order of the chunk.
    pub fn iter(&self) -> impl Iterator<Item = T> + Clone + use<'a, T> {
        let (wire, list) = match *self {
            Self::Wire(bytes) => (bytes, [].as_slice()),
            Self::List(list) => (&[] as &[u8], list),
        };
        T::split(wire).iter().map(|bytes| T::decode(*bytes)).chain(list.iter().copied())
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Wire(bytes) => T::split(bytes).len(),
            Self::List(list) => list.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends the first `most` entries.
    pub(super) fn encode(&self, most: usize, w: &mut Writer<'_>) {
        self.iter().take(most).for_each(|entry| entry.encode(w));
    }
}

impl<T: Entry> PartialEq for Entries<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<T: Entry> Eq for Entries<'_, T> {}
