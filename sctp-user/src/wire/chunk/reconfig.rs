//! RE-CONFIG (RFC 6525 sections 3 and 4): a list of requests and responses.

use super::{Encode, kind};
use crate::num::{StreamId, Tsn};
use crate::wire::cursor::{Reader, Writer};
use crate::wire::packet::RawChunk;
use crate::wire::param;
use crate::wire::tlv::{Tlv, TlvError, TlvIter};

/// RE-CONFIG. Which parameters may stand together is the procedures' to judge (section 3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reconfig<'a> {
    /// The requests and responses.
    pub params: ReconfigParams<'a>,
}

/// The parameters of a RE-CONFIG chunk: as they came, or as a list to send.
#[derive(Clone, Copy, Debug)]
pub enum ReconfigParams<'a> {
    /// Undecoded bytes.
    Wire(&'a [u8]),
    /// To be encoded.
    List(&'a [ReconfigParam<'a>]),
}

impl PartialEq for ReconfigParams<'_> {
    fn eq(&self, other: &Self) -> bool {
        let bytes = |p: &Self| {
            let mut buf = Vec::new();
            p.encode(&mut Writer::new(&mut buf));
            buf
        };
        bytes(self) == bytes(other)
    }
}

impl Eq for ReconfigParams<'_> {}

impl ReconfigParams<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        match self {
            Self::Wire(bytes) => w.bytes(bytes),
            Self::List(list) => {
                for p in *list {
                    p.encode(w);
                }
                w.trim_padding();
            }
        }
    }
}

impl<'a> Reconfig<'a> {
    pub(super) const fn decode(raw: &RawChunk<'a>) -> Self {
        Self { params: ReconfigParams::Wire(raw.value) }
    }

    /// The parameters that came, one by one; it ends after the first malformed one. None if this chunk was made to be sent.
    pub fn params(&self) -> impl Iterator<Item = Result<ReconfigParam<'a>, TlvError>> + use<'a> {
        let bytes = match self.params {
            ReconfigParams::Wire(bytes) => bytes,
            ReconfigParams::List(_) => &[],
        };
        let mut items = TlvIter::new(bytes);
        core::iter::from_fn(move || {
            let offset = items.offset();
            let param = match items.next()? {
                Ok(tlv) => ReconfigParam::decode(tlv).ok_or(TlvError { offset }),
                Err(e) => Err(e),
            };
            if param.is_err() {
                items = TlvIter::new(&[]);
            }
            Some(param)
        })
    }
}

impl Encode for Reconfig<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.chunk(kind::RE_CONFIG, 0, |w| self.params.encode(w));
    }
}

/// Streams by their identifiers, two bytes each; none stands for all.
#[derive(Clone, Copy, Debug)]
pub enum StreamList<'a> {
    /// Undecoded bytes.
    Wire(&'a [u8]),
    /// To be encoded.
    List(&'a [StreamId]),
}

impl<'a> StreamList<'a> {
    fn decode(bytes: &'a [u8]) -> Option<Self> {
        bytes.len().is_multiple_of(2).then_some(Self::Wire(bytes))
    }

    /// The identifiers as they stand in the parameter.
    pub fn iter(&self) -> impl Iterator<Item = StreamId> + use<'a> {
        let (wire, list) = match *self {
            Self::Wire(bytes) => (bytes, [].as_slice()),
            Self::List(list) => (&[] as &[u8], list),
        };
        wire.as_chunks::<2>().0.iter().map(|b| StreamId(u16::from_be_bytes(*b))).chain(list.iter().copied())
    }

    /// Number of identifiers.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Wire(bytes) => bytes.len() / 2,
            Self::List(list) => list.len(),
        }
    }

    /// Whether no stream is named, which stands for all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn encode(&self, w: &mut Writer<'_>) {
        self.iter().for_each(|sid| w.u16(sid.0));
    }
}

impl PartialEq for StreamList<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for StreamList<'_> {}

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

impl<'a> ReconfigParam<'a> {
    /// Decodes one item; `None` if its length does not suit its type.
    #[must_use]
    pub fn decode(tlv: Tlv<'a>) -> Option<Self> {
        let mut r = Reader::new(tlv.value);
        let param = match tlv.kind {
            param::kind::OUTGOING_SSN_RESET => {
                let (request, response, last_tsn) = (r.u32()?, r.u32()?, Tsn(r.u32()?));
                return Some(Self::OutgoingReset { request, response, last_tsn, streams: StreamList::decode(r.rest())? });
            }
            param::kind::INCOMING_SSN_RESET => {
                return Some(Self::IncomingReset { request: r.u32()?, streams: StreamList::decode(r.rest())? });
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

    /// Appends it with header and padding.
    pub fn encode(&self, w: &mut Writer<'_>) {
        match *self {
            Self::OutgoingReset { request, response, last_tsn, streams } => w.tlv(param::kind::OUTGOING_SSN_RESET, |w| {
                w.u32(request);
                w.u32(response);
                w.u32(last_tsn.0);
                streams.encode(w);
            }),
            Self::IncomingReset { request, streams } => w.tlv(param::kind::INCOMING_SSN_RESET, |w| {
                w.u32(request);
                streams.encode(w);
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
