//! FORWARD TSN (RFC 3758 section 3.2) and I-FORWARD-TSN (RFC 8260 section 2.3.1).

use super::entries::{Entries, Entry};
use super::{Encode, kind};
use crate::num::{Mid, Ssn, StreamId, Tsn};
use crate::wire::cursor::{Reader, Writer};
use crate::wire::packet::RawChunk;

/// U bit of an entry of an I-FORWARD-TSN.
const U_BIT: u16 = 1;

/// Up to where an ordered stream is skipped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SkippedSsn {
    /// The stream.
    pub sid: StreamId,
    /// The largest stream sequence number that is skipped.
    pub ssn: Ssn,
}

impl Entry for SkippedSsn {
    type Wire = [u8; 4];

    fn split(wire: &[u8]) -> &[[u8; 4]] {
        wire.as_chunks().0
    }

    fn decode([a, b, c, d]: [u8; 4]) -> Self {
        Self { sid: StreamId(u16::from_be_bytes([a, b])), ssn: Ssn(u16::from_be_bytes([c, d])) }
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u16(self.sid.0);
        w.u16(self.ssn.0);
    }
}

/// Up to where the ordered or the unordered messages of a stream are skipped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SkippedMid {
    /// The stream.
    pub sid: StreamId,
    /// U bit: whether it is about the unordered messages.
    pub unordered: bool,
    /// The largest message identifier that is skipped.
    pub mid: Mid,
}

impl Entry for SkippedMid {
    type Wire = [u8; 8];

    fn split(wire: &[u8]) -> &[[u8; 8]] {
        wire.as_chunks().0
    }

    fn decode([a, b, c, d, e, f, g, h]: [u8; 8]) -> Self {
        Self {
            sid: StreamId(u16::from_be_bytes([a, b])),
            unordered: u16::from_be_bytes([c, d]) & U_BIT != 0,
            mid: Mid(u32::from_be_bytes([e, f, g, h])),
        }
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u16(self.sid.0);
        w.u16(if self.unordered { U_BIT } else { 0 });
        w.u32(self.mid.0);
    }
}

/// A FORWARD TSN chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ForwardTsn<'a> {
    /// New Cumulative TSN: nothing up to here is to be waited for any more.
    pub cum_tsn: Tsn,
    /// Streams with ordered messages among what is skipped.
    pub skipped: Entries<'a, SkippedSsn>,
}

impl<'a> ForwardTsn<'a> {
    /// Length of the chunk without streams, in bytes.
    pub const FIXED_LEN: usize = 8;
    /// Length of each stream, in bytes.
    pub const ENTRY_LEN: usize = 4;

    pub(super) fn decode(raw: &RawChunk<'a>) -> Option<Self> {
        let mut r = Reader::new(raw.value);
        let cum_tsn = Tsn(r.u32()?);
        r.len().is_multiple_of(Self::ENTRY_LEN).then(|| Self { cum_tsn, skipped: Entries::Wire(r.rest()) })
    }
}

impl Encode for ForwardTsn<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.chunk(kind::FORWARD_TSN, 0, |w| {
            w.u32(self.cum_tsn.0);
            self.skipped.encode(usize::MAX, w);
        });
    }
}

/// An I-FORWARD-TSN chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IForwardTsn<'a> {
    /// New Cumulative TSN: nothing up to here is to be waited for any more.
    pub cum_tsn: Tsn,
    /// Streams with messages among what is skipped.
    pub skipped: Entries<'a, SkippedMid>,
}

impl<'a> IForwardTsn<'a> {
    /// Length of the chunk without streams, in bytes.
    pub const FIXED_LEN: usize = 8;
    /// Length of each stream, in bytes.
    pub const ENTRY_LEN: usize = 8;

    pub(super) fn decode(raw: &RawChunk<'a>) -> Option<Self> {
        let mut r = Reader::new(raw.value);
        let cum_tsn = Tsn(r.u32()?);
        r.len().is_multiple_of(Self::ENTRY_LEN).then(|| Self { cum_tsn, skipped: Entries::Wire(r.rest()) })
    }
}

impl Encode for IForwardTsn<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.chunk(kind::I_FORWARD_TSN, 0, |w| {
            w.u32(self.cum_tsn.0);
            self.skipped.encode(usize::MAX, w);
        });
    }
}
