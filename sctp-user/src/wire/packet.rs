//! The common header and the packet around chunks (RFC 9260 section 3).

use thiserror::Error;

use super::checksum;
use super::chunk::{Chunk, ChunkError, Encode};
use super::cursor::{Reader, Writer, padded};
use super::tlv::Action;
use crate::num::Vtag;

/// Length of the common header in bytes.
pub const COMMON_HEADER_LEN: usize = 12;
/// Length of a chunk header in bytes.
pub const CHUNK_HEADER_LEN: usize = 4;

/// The common header (RFC 9260 section 3.1); its checksum is computed when a packet is sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CommonHeader {
    /// Sender's SCTP port.
    pub src_port: u16,
    /// Receiver's SCTP port.
    pub dst_port: u16,
    /// Verification tag.
    pub vtag: Vtag,
}

/// Why a packet is dropped before any chunk is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum PacketError {
    /// Shorter than a common header and one chunk header.
    #[error("packet of {0} bytes is too short")]
    TooShort(usize),
    /// The CRC32c is wrong.
    #[error("wrong checksum")]
    Checksum,
    /// A port number is zero (RFC 9260 section 3.1).
    #[error("port zero")]
    PortZero,
}

/// A received packet: the header is valid, chunks are decoded one by one as they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The common header.
    pub header: CommonHeader,
    body: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Checks length, checksum and ports of `bytes`.
    ///
    /// # Errors
    /// What makes the packet worthless; it is to be dropped silently (RFC 9260 section 6.8).
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PacketError> {
        if bytes.len() < COMMON_HEADER_LEN + CHUNK_HEADER_LEN {
            return Err(PacketError::TooShort(bytes.len()));
        }
        if !checksum::verify(bytes) {
            return Err(PacketError::Checksum);
        }
        let (header, body) = Self::split(bytes).ok_or(PacketError::TooShort(bytes.len()))?;
        if header.src_port == 0 || header.dst_port == 0 {
            return Err(PacketError::PortZero);
        }
        Ok(Self { header, body })
    }

    /// Header and body of `bytes` without any check: for packets quoted by ICMP, which are cut off. Eight bytes are enough
    /// (RFC 792): they hold all of the header that is looked at.
    #[must_use]
    pub fn parse_quoted(bytes: &'a [u8]) -> Option<Self> {
        let (header, body) = Self::split(bytes)?;
        Some(Self { header, body })
    }

    fn split(bytes: &'a [u8]) -> Option<(CommonHeader, &'a [u8])> {
        let mut r = Reader::new(bytes);
        let header = CommonHeader { src_port: r.u16()?, dst_port: r.u16()?, vtag: Vtag(r.u32()?) };
        Some((header, r.rest().get(4..).unwrap_or(&[])))
    }

    /// The chunks in order.
    #[must_use]
    pub const fn chunks(&self) -> Chunks<'a> {
        Chunks { rest: self.body, offset: COMMON_HEADER_LEN }
    }
}

/// A chunk as it stands in the packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawChunk<'a> {
    /// Chunk type.
    pub kind: u8,
    /// Chunk flags.
    pub flags: u8,
    /// Its value: what the length covers behind the header.
    pub value: &'a [u8],
    /// Header and value without padding, for error causes.
    pub raw: &'a [u8],
    /// Offset in the packet, in bytes.
    pub offset: usize,
}

impl<'a> RawChunk<'a> {
    /// Decodes the value by the type.
    ///
    /// # Errors
    /// The value is shorter than the type demands or inconsistent.
    pub fn decode(&self) -> Result<Chunk<'a>, ChunkError> {
        Chunk::decode(self)
    }

    /// What to do if the type is unknown.
    #[must_use]
    pub const fn action(&self) -> Action {
        Action::of_chunk(self.kind)
    }
}

/// Iterates over the chunks of a packet; ends after the first error.
#[derive(Clone, Copy, Debug)]
pub struct Chunks<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<RawChunk<'a>, ChunkError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let offset = self.offset;
        let parsed = (|| {
            let mut r = Reader::new(self.rest);
            let (kind, flags) = (r.u8()?, r.u8()?);
            let len = usize::from(r.u16()?);
            let value = r.take(len.checked_sub(CHUNK_HEADER_LEN)?)?;
            let raw = self.rest.get(..len)?;
            Some((RawChunk { kind, flags, value, raw, offset }, len))
        })();
        let Some((chunk, len)) = parsed else {
            let kind = self.rest.first().copied().unwrap_or(0);
            self.rest = &[];
            return Some(Err(ChunkError { kind, offset, what: "chunk length does not fit" }));
        };
        self.rest = self.rest.get(padded(len)..).unwrap_or(&[]);
        self.offset = offset.saturating_add(padded(len));
        Some(Ok(chunk))
    }
}

/// Builds one packet at the end of a buffer, never longer than `max` bytes.
#[derive(Debug)]
pub struct PacketWriter<'a> {
    buf: &'a mut Vec<u8>,
    start: usize,
    max: usize,
}

impl<'a> PacketWriter<'a> {
    /// Begins a packet of at most `max` bytes (common header included) behind what `buf` holds.
    pub fn new(buf: &'a mut Vec<u8>, header: CommonHeader, max: usize) -> Self {
        let start = buf.len();
        let mut w = Writer::new(buf);
        w.u16(header.src_port);
        w.u16(header.dst_port);
        w.u32(header.vtag.0);
        w.u32(0);
        Self { buf, start, max }
    }

    /// Length so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buf.len() - self.start
    }

    /// Whether there is no chunk yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() <= COMMON_HEADER_LEN
    }

    /// How many bytes of chunks still fit.
    #[must_use]
    pub fn room(&self) -> usize {
        self.max.saturating_sub(self.len())
    }

    /// Whether a chunk of `len` bytes (header included, padding not) fits.
    #[must_use]
    pub fn fits(&self, len: usize) -> bool {
        padded(len) <= self.room()
    }

    /// Appends a chunk, whether it fits or not: callers ask [`Self::fits`] where it matters.
    pub fn push(&mut self, chunk: &impl Encode) {
        chunk.encode(&mut Writer::new(self.buf));
    }

    /// Seals the packet with its checksum and answers its length.
    pub fn finish(self) -> usize {
        let len = self.buf.len() - self.start;
        if let Some(packet) = self.buf.get_mut(self.start..) {
            checksum::seal(packet);
        }
        len
    }

    /// Gives the packet up: the buffer is as before.
    pub fn discard(self) {
        self.buf.truncate(self.start);
    }
}
