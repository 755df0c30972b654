//! The padding chunk (RFC 4820): it makes a packet as long as a probe of the path MTU has to be.

use super::{Encode, kind};
use crate::wire::cursor::Writer;
use crate::wire::packet::{CHUNK_HEADER_LEN, RawChunk};

/// PAD (RFC 4820 section 3): discarded by whoever receives it. Who does not know it skips it in silence, as the two high bits
/// of its type demand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pad<'a> {
    /// Bytes without meaning.
    pub padding: &'a [u8],
}

impl<'a> Pad<'a> {
    /// Longest padding of one chunk, in bytes.
    pub const MAX: usize = u16::MAX as usize - CHUNK_HEADER_LEN;

    pub(super) const fn decode(raw: &RawChunk<'a>) -> Self {
        Self { padding: raw.value }
    }
}

impl Encode for Pad<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.chunk(kind::PAD, 0, |w| w.bytes(self.padding));
    }
}
