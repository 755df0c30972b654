//! SACK (RFC 9260 section 3.3.4).

use super::entries::{Entries, Entry};
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

impl Entry for GapBlock {
    type Wire = [u8; 4];

    fn split(wire: &[u8]) -> &[[u8; 4]] {
        wire.as_chunks().0
    }

    fn decode([a, b, c, d]: [u8; 4]) -> Self {
        Self { start: u16::from_be_bytes([a, b]), end: u16::from_be_bytes([c, d]) }
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u16(self.start);
        w.u16(self.end);
    }
}

impl Entry for Tsn {
    type Wire = [u8; 4];

    fn split(wire: &[u8]) -> &[[u8; 4]] {
        wire.as_chunks().0
    }

    fn decode(bytes: [u8; 4]) -> Self {
        Self(u32::from_be_bytes(bytes))
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.0);
    }
}

/// The gap ack blocks; nothing is promised about their sense or order.
pub type Gaps<'a> = Entries<'a, GapBlock>;
/// The duplicate TSNs.
pub type Duplicates<'a> = Entries<'a, Tsn>;

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

    /// Reads the chunk, which is of this type; `None` if it is too short.
    pub(crate) fn decode(raw: &RawChunk<'a>) -> Option<Self> {
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
        // As with DATA, what is always there is put together first and written at once.
        let number = |n: usize| u16::try_from(n).unwrap_or(u16::MAX).to_be_bytes();
        let mut head = [0; Self::FIXED_LEN];
        head[0] = kind::SACK;
        head[2..4].copy_from_slice(&number(Self::FIXED_LEN + 4 * (gaps + dups)));
        head[4..8].copy_from_slice(&self.cum_tsn.0.to_be_bytes());
        head[8..12].copy_from_slice(&self.a_rwnd.to_be_bytes());
        head[12..14].copy_from_slice(&number(gaps));
        head[14..].copy_from_slice(&number(dups));
        w.bytes(&head);
        self.gaps.encode(gaps, w);
        self.dups.encode(dups, w);
    }
}
