//! SACK (RFC 9260 section 3.3.4).

use super::{Encode, kind};
use crate::num::Tsn;
use crate::wire::cursor::{Reader, Writer};
use crate::wire::packet::RawChunk;

/// A gap ack block: offsets from the cumulative TSN ack, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GapBlock {
    /// First TSN received in this block, relative to the cumulative TSN ack.
    pub start: u16,
    /// Last TSN of this block.
    pub end: u16,
}

/// Something of which a SACK lists any number, in four bytes each.
pub trait Entry: Copy + Eq {
    /// From its four bytes.
    fn decode(bytes: [u8; 4]) -> Self;
}

impl Entry for GapBlock {
    fn decode([a, b, c, d]: [u8; 4]) -> Self {
        Self { start: u16::from_be_bytes([a, b]), end: u16::from_be_bytes([c, d]) }
    }
}

impl Entry for Tsn {
    fn decode(bytes: [u8; 4]) -> Self {
        Self(u32::from_be_bytes(bytes))
    }
}

/// The gap ack blocks; nothing is promised about their sense or order.
pub type Gaps<'a> = Entries<'a, GapBlock>;
/// The duplicate TSNs.
pub type Duplicates<'a> = Entries<'a, Tsn>;

/// A list of a SACK: as it came, or as it is to be sent.
#[derive(Clone, Copy, Debug)]
pub enum Entries<'a, T> {
    /// Undecoded bytes, four per entry.
    Wire(&'a [u8]),
    /// To be encoded.
    List(&'a [T]),
}

impl<'a, T: Entry> Entries<'a, T> {
    /// The entries in the order of the chunk.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'a, T> {
        let (wire, list) = match *self {
            Self::Wire(bytes) => (bytes, [].as_slice()),
            Self::List(list) => (&[] as &[u8], list),
        };
        wire.as_chunks::<4>().0.iter().map(|bytes| T::decode(*bytes)).chain(list.iter().copied())
    }

    /// Number of entries.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Wire(bytes) => bytes.len() / 4,
            Self::List(list) => list.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: Entry> PartialEq for Entries<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<T: Entry> Eq for Entries<'_, T> {}

/// A SACK chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sack<'a> {
    /// Cumulative TSN ack.
    pub cum_tsn: Tsn,
    /// Advertised receiver window credit in bytes.
    pub a_rwnd: u32,
    /// Gap ack blocks.
    pub gaps: Gaps<'a>,
    /// Duplicate TSNs.
    pub dups: Duplicates<'a>,
}

impl<'a> Sack<'a> {
    /// Length of the chunk without blocks and duplicates, in bytes.
    pub const FIXED_LEN: usize = 16;
    /// Gap ack blocks and duplicates that fit into one chunk together.
    pub const MAX_ENTRIES: usize = (u16::MAX as usize - Self::FIXED_LEN) / 4;

    pub(super) fn decode(raw: &RawChunk<'a>) -> Option<Self> {
        let mut r = Reader::new(raw.value);
        let (cum_tsn, a_rwnd) = (Tsn(r.u32()?), r.u32()?);
        let (gaps, dups) = (usize::from(r.u16()?), usize::from(r.u16()?));
        Some(Self { cum_tsn, a_rwnd, gaps: Gaps::Wire(r.take(gaps * 4)?), dups: Duplicates::Wire(r.take(dups * 4)?) })
    }
}

impl Encode for Sack<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        // The counts must agree with what the 16-bit chunk length can cover, whatever list the caller brings.
        let gaps = self.gaps.len().min(Self::MAX_ENTRIES);
        let dups = self.dups.len().min(Self::MAX_ENTRIES - gaps);
        w.chunk(kind::SACK, 0, |w| {
            w.u32(self.cum_tsn.0);
            w.u32(self.a_rwnd);
            w.u16(u16::try_from(gaps).unwrap_or(u16::MAX));
            w.u16(u16::try_from(dups).unwrap_or(u16::MAX));
            for g in self.gaps.iter().take(gaps) {
                w.u16(g.start);
                w.u16(g.end);
            }
            for t in self.dups.iter().take(dups) {
                w.u32(t.0);
            }
        });
    }
}
