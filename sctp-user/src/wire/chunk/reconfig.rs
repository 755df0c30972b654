//! RE-CONFIG (RFC 6525 sections 3 and 4): a list of requests and responses.

use super::entries::{Entries, Entry};
use super::{Encode, kind};
use crate::num::{StreamId, Tsn};
use crate::wire::cursor::{Reader, Writer};
use crate::wire::items::{Item, Items};
use crate::wire::packet::RawChunk;
use crate::wire::param;
use crate::wire::tlv::{Tlv, TlvError};

/// RE-CONFIG. Which parameters may stand together is the procedures' to judge (section 3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reconfig<'a> {
    /// The requests and responses.
    pub params: ReconfigParams<'a>,
}

/// The parameters of a RE-CONFIG chunk: as they came, or as a list to send.
pub type ReconfigParams<'a> = Items<'a, ReconfigParam<'a>>;

impl<'a> Reconfig<'a> {
    pub(super) const fn decode(raw: &RawChunk<'a>) -> Self {
        Self { params: ReconfigParams::Wire(raw.value) }
    }

    /// The parameters that came, one by one; it ends after the first malformed one. None if this chunk was made to be sent.
    pub fn params(&self) -> impl Iterator<Item = Result<ReconfigParam<'a>, TlvError>> + Clone + use<'a> {
        self.params.iter().map(|param| param.map(|(param, _)| param))
    }
}

impl Encode for Reconfig<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.chunk(kind::RE_CONFIG, 0, |w| self.params.encode(w));
    }
}

/// Streams by their identifiers; none stands for all.
pub type StreamList<'a> = Entries<'a, StreamId>;

impl Entry for StreamId {
    type Wire = [u8; 2];

    fn split(wire: &[u8]) -> &[[u8; 2]] {
        wire.as_chunks().0
    }

    fn decode(bytes: [u8; 2]) -> Self {
        Self(u16::from_be_bytes(bytes))
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u16(self.0);
    }
}

/// The streams that `bytes` list, if there are whole identifiers only.
fn streams(bytes: &[u8]) -> Option<StreamList<'_>> {
    bytes.len().is_multiple_of(2).then_some(Entries::Wire(bytes))
}

/// What became of a request (RFC 6525 section 4.4, table 3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ReconfigResult(pub u32);

impl ReconfigResult {
    /// Success, nothing to do.
    pub const NOTHING_TO_DO: Self = Self(0);
    /// Success, performed.
    pub const PERFORMED: Self = Self(1);
    /// Denied.
    pub const DENIED: Self = Self(2);
    /// Error, wrong SSN: a stream that does not exist.
    pub const WRONG_SSN: Self = Self(3);
    /// Error, a request is already in progress.
    pub const ALREADY_IN_PROGRESS: Self = Self(4);
    /// Error, bad sequence number.
    pub const BAD_SEQUENCE_NUMBER: Self = Self(5);
    /// In progress: the request is to be repeated.
    pub const IN_PROGRESS: Self = Self(6);

    /// Whether it is one of the two successes.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 <= Self::PERFORMED.0
    }
}

/// A parameter of RE-CONFIG (RFC 6525 section 4). Request numbers are serial numbers of each sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReconfigParam<'a> {
    /// Outgoing SSN Reset Request.
    OutgoingReset {
        /// Re-configuration Request Sequence Number.
        request: u32,
        /// The number of the incoming request that this answers, or the last one seen.
        response: u32,
        /// Sender's Last Assigned TSN.
        last_tsn: Tsn,
        /// Which of the sender's outgoing streams.
        streams: StreamList<'a>,
    },
    /// Incoming SSN Reset Request.
    IncomingReset {
        /// Re-configuration Request Sequence Number.
        request: u32,
        /// Which of the receiver's outgoing streams.
        streams: StreamList<'a>,
    },
    /// SSN/TSN Reset Request.
    TsnReset {
        /// Re-configuration Request Sequence Number.
        request: u32,
    },
    /// Re-configuration Response.
    Response {
        /// The number of the request.
        response: u32,
        /// What became of it.
        result: ReconfigResult,
        /// Sender's Next TSN and Receiver's Next TSN, for SSN/TSN resets.
        next_tsns: Option<(Tsn, Tsn)>,
    },
    /// Add Outgoing Streams Request.
    AddOutgoing {
        /// Re-configuration Request Sequence Number.
        request: u32,
        /// Number of new streams.
        count: u16,
    },
    /// Add Incoming Streams Request.
    AddIncoming {
        /// Re-configuration Request Sequence Number.
        request: u32,
        /// Number of new streams.
        count: u16,
    },
    /// A type that is not known here.
    Unknown(Tlv<'a>),
}

impl ReconfigParam<'_> {
    /// The number of a request.
    #[must_use]
    pub const fn request(&self) -> Option<u32> {
        match *self {
            Self::OutgoingReset { request, .. }
            | Self::IncomingReset { request, .. }
            | Self::TsnReset { request }
            | Self::AddOutgoing { request, .. }
            | Self::AddIncoming { request, .. } => Some(request),
            Self::Response { .. } | Self::Unknown(_) => None,
        }
    }
}

impl<'a> Item<'a> for ReconfigParam<'a> {
    fn decode(tlv: Tlv<'a>) -> Option<Self> {
        let mut r = Reader::new(tlv.value);
        let param = match tlv.kind {
            param::kind::OUTGOING_SSN_RESET => {
                let (request, response, last_tsn) = (r.u32()?, r.u32()?, Tsn(r.u32()?));
                return Some(Self::OutgoingReset { request, response, last_tsn, streams: streams(r.rest())? });
            }
            param::kind::INCOMING_SSN_RESET => {
                return Some(Self::IncomingReset { request: r.u32()?, streams: streams(r.rest())? });
            }
            param::kind::SSN_TSN_RESET => Self::TsnReset { request: r.u32()? },
            param::kind::RECONFIG_RESPONSE => {
                let (response, result) = (r.u32()?, ReconfigResult(r.u32()?));
                // Section 4.4: both optional fields, or none.
                let next_tsns = if r.is_empty() { None } else { Some((Tsn(r.u32()?), Tsn(r.u32()?))) };
                Self::Response { response, result, next_tsns }
            }
            param::kind::ADD_OUTGOING_STREAMS => {
                let (request, count, _reserved) = (r.u32()?, r.u16()?, r.u16()?);
                Self::AddOutgoing { request, count }
            }
            param::kind::ADD_INCOMING_STREAMS => {
                let (request, count, _reserved) = (r.u32()?, r.u16()?, r.u16()?);
                Self::AddIncoming { request, count }
            }
            _ => return Some(Self::Unknown(tlv)),
        };
        r.is_empty().then_some(param)
    }
}

impl Encode for ReconfigParam<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        match *self {
            Self::OutgoingReset { request, response, last_tsn, streams } => w.tlv(param::kind::OUTGOING_SSN_RESET, |w| {
                w.u32(request);
                w.u32(response);
                w.u32(last_tsn.0);
                streams.encode(usize::MAX, w);
            }),
            Self::IncomingReset { request, streams } => w.tlv(param::kind::INCOMING_SSN_RESET, |w| {
                w.u32(request);
                streams.encode(usize::MAX, w);
            }),
            Self::TsnReset { request } => w.tlv(param::kind::SSN_TSN_RESET, |w| w.u32(request)),
            Self::Response { response, result, next_tsns } => w.tlv(param::kind::RECONFIG_RESPONSE, |w| {
                w.u32(response);
                w.u32(result.0);
                if let Some((sender, receiver)) = next_tsns {
                    w.u32(sender.0);
                    w.u32(receiver.0);
                }
            }),
            Self::AddOutgoing { request, count } => w.tlv(param::kind::ADD_OUTGOING_STREAMS, |w| {
                w.u32(request);
                w.u16(count);
                w.u16(0);
            }),
            Self::AddIncoming { request, count } => w.tlv(param::kind::ADD_INCOMING_STREAMS, |w| {
                w.u32(request);
                w.u16(count);
                w.u16(0);
            }),
            Self::Unknown(tlv) => tlv.encode(w),
        }
    }
}
