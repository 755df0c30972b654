//! I-DATA (RFC 8260 section 2.1).

use super::data::{B_BIT, E_BIT, I_BIT, U_BIT};
use super::{Encode, kind};
use crate::num::{Fsn, Mid, Ppid, StreamId, Tsn};
use crate::wire::cursor::{Reader, Writer};
use crate::wire::packet::RawChunk;

/// Length of an I-DATA chunk without user data, in bytes.
pub const I_DATA_CHUNK_HEADER_LEN: usize = 20;

/// An I-DATA chunk: DATA whose fragments are found by message identifier and fragment number in place of the TSN, so that those of
/// other streams may come between.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IData<'a> {
    /// I bit: the sender asks for an immediate SACK.
    pub immediate: bool,
    /// U bit: unordered.
    pub unordered: bool,
    /// E bit: last fragment of a message.
    pub end: bool,
    /// Transmission sequence number.
    pub tsn: Tsn,
    /// Stream identifier.
    pub sid: StreamId,
    /// Message identifier; ordered and unordered messages of a stream are counted each for themselves.
    pub mid: Mid,
    /// Which fragment of the message it is.
    pub place: Place,
    /// User data. Empty is decoded, since the answer to it needs the TSN.
    pub payload: &'a [u8],
}

/// What the B bit says, and the field whose meaning depends on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// The first fragment of a message, whose number is 0: it has the payload protocol identifier.
    First(Ppid),
    /// A later fragment: its number.
    Later(Fsn),
}

impl Place {
    /// Whether it is the first fragment (B bit).
    #[must_use]
    pub const fn is_first(self) -> bool {
        matches!(self, Self::First(_))
    }

    /// The number of the fragment.
    #[must_use]
    pub const fn fsn(self) -> Fsn {
        match self {
            Self::First(_) => Fsn(0),
            Self::Later(fsn) => fsn,
        }
    }
}

impl<'a> IData<'a> {
    pub(super) fn decode(raw: &RawChunk<'a>) -> Option<Self> {
        let mut r = Reader::new(raw.value);
        let tsn = Tsn(r.u32()?);
        let sid = StreamId(r.u16()?);
        // Reserved: to be ignored.
        r.u16()?;
        let mid = Mid(r.u32()?);
        let number = r.u32()?;
        Some(Self {
            immediate: raw.flags & I_BIT != 0,
            unordered: raw.flags & U_BIT != 0,
            end: raw.flags & E_BIT != 0,
            tsn,
            sid,
            mid,
            place: if raw.flags & B_BIT != 0 { Place::First(Ppid(number)) } else { Place::Later(Fsn(number)) },
            payload: r.rest(),
        })
    }
}

impl Encode for IData<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        let bit = |on: bool, bit: u8| if on { bit } else { 0 };
        let begin = bit(self.place.is_first(), B_BIT);
        let flags = bit(self.immediate, I_BIT) | bit(self.unordered, U_BIT) | begin | bit(self.end, E_BIT);
        w.chunk(kind::I_DATA, flags, |w| {
            w.u32(self.tsn.0);
            w.u16(self.sid.0);
            w.u16(0);
            w.u32(self.mid.0);
            w.u32(match self.place {
                Place::First(ppid) => ppid.0,
                Place::Later(fsn) => fsn.0,
            });
            w.bytes(self.payload);
        });
    }
}
