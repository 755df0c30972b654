//! DATA (RFC 9260 section 3.3.1).

use super::{Encode, kind};
use crate::num::{Ppid, Ssn, StreamId, Tsn};
use crate::wire::cursor::{Reader, Writer};
use crate::wire::packet::RawChunk;

/// Length of a DATA chunk without user data, in bytes.
pub const DATA_CHUNK_HEADER_LEN: usize = 16;

/// Most user data that the length of a chunk can tell of; more is cut off, as [`Writer::chunk`] does.
const MAX_PAYLOAD: usize = u16::MAX as usize - DATA_CHUNK_HEADER_LEN;

pub(super) const E_BIT: u8 = 1;
pub(super) const B_BIT: u8 = 2;
pub(super) const U_BIT: u8 = 4;
pub(super) const I_BIT: u8 = 8;

/// A DATA chunk. An empty payload is decoded, since the answer to it needs the TSN (RFC 9260 section 6.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Data<'a> {
    /// I bit: the sender asks for an immediate SACK.
    pub immediate: bool,
    /// U bit: unordered.
    pub unordered: bool,
    /// B bit: first fragment of a message.
    pub begin: bool,
    /// E bit: last fragment of a message.
    pub end: bool,
    /// Transmission sequence number.
    pub tsn: Tsn,
    /// Stream identifier.
    pub sid: StreamId,
    /// Stream sequence number; without meaning if unordered.
    pub ssn: Ssn,
    /// Payload protocol identifier.
    pub ppid: Ppid,
    /// User data.
    pub payload: &'a [u8],
}

impl<'a> Data<'a> {
    /// Reads the chunk, which is of this type; `None` if it is too short.
    pub(crate) fn decode(raw: &RawChunk<'a>) -> Option<Self> {
        let mut r = Reader::new(raw.value);
        Some(Self {
            immediate: raw.flags & I_BIT != 0,
            unordered: raw.flags & U_BIT != 0,
            begin: raw.flags & B_BIT != 0,
            end: raw.flags & E_BIT != 0,
            tsn: Tsn(r.u32()?),
            sid: StreamId(r.u16()?),
            ssn: Ssn(r.u16()?),
            ppid: Ppid(r.u32()?),
            payload: r.rest(),
        })
    }
}

impl Encode for Data<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        let bit = |on: bool, bit: u8| if on { bit } else { 0 };
        let flags = bit(self.immediate, I_BIT) | bit(self.unordered, U_BIT) | bit(self.begin, B_BIT) | bit(self.end, E_BIT);
        // The chunk of which there are the most: its header is put together first and written at once.
        let payload = self.payload.get(..MAX_PAYLOAD).unwrap_or(self.payload);
        let len = u16::try_from(DATA_CHUNK_HEADER_LEN + payload.len()).unwrap_or(u16::MAX);
        let mut header = [0; DATA_CHUNK_HEADER_LEN];
        (header[0], header[1]) = (kind::DATA, flags);
        header[2..4].copy_from_slice(&len.to_be_bytes());
        header[4..8].copy_from_slice(&self.tsn.0.to_be_bytes());
        header[8..10].copy_from_slice(&self.sid.0.to_be_bytes());
        header[10..12].copy_from_slice(&self.ssn.0.to_be_bytes());
        header[12..].copy_from_slice(&self.ppid.0.to_be_bytes());
        w.bytes(&header);
        w.bytes(payload);
        w.pad4();
    }
}
