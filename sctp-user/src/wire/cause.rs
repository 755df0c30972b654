//! Error causes of ABORT and ERROR (RFC 9260 section 3.3.10).

use super::chunk::Encode;
use super::cursor::{Reader, Writer};
use super::tlv::{Tlv, TlvError, TlvIter};
use crate::num::{StreamId, Tsn};

/// Cause codes.
pub mod code {
    /// Invalid Stream Identifier.
    pub const INVALID_STREAM: u16 = 1;
    /// Missing Mandatory Parameter.
    pub const MISSING_PARAM: u16 = 2;
    /// Stale Cookie.
    pub const STALE_COOKIE: u16 = 3;
    /// Out of Resource.
    pub const OUT_OF_RESOURCE: u16 = 4;
    /// Unresolvable Address.
    pub const UNRESOLVABLE_ADDRESS: u16 = 5;
    /// Unrecognized Chunk Type.
    pub const UNRECOGNIZED_CHUNK: u16 = 6;
    /// Invalid Mandatory Parameter.
    pub const INVALID_MANDATORY_PARAM: u16 = 7;
    /// Unrecognized Parameters.
    pub const UNRECOGNIZED_PARAMS: u16 = 8;
    /// No User Data.
    pub const NO_USER_DATA: u16 = 9;
    /// Cookie Received While Shutting Down.
    pub const COOKIE_WHILE_SHUTTING_DOWN: u16 = 10;
    /// Restart of an Association with New Addresses.
    pub const RESTART_NEW_ADDRESSES: u16 = 11;
    /// User-Initiated Abort.
    pub const USER_ABORT: u16 = 12;
    /// Protocol Violation.
    pub const PROTOCOL_VIOLATION: u16 = 13;
    /// Request to Delete Last Remaining IP Address (RFC 5061).
    pub const DELETE_LAST_ADDRESS: u16 = 0xa0;
    /// Operation Refused Due to Resource Shortage (RFC 5061).
    pub const RESOURCE_SHORTAGE: u16 = 0xa1;
    /// Request to Delete Source IP Address (RFC 5061).
    pub const DELETE_SOURCE_ADDRESS: u16 = 0xa2;
    /// Association Aborted Due to Illegal ASCONF-ACK (RFC 5061).
    pub const ILLEGAL_ASCONF_ACK: u16 = 0xa3;
    /// Request Refused - No Authorization (RFC 5061).
    pub const NO_AUTHORIZATION: u16 = 0xa4;
    /// Unsupported HMAC Identifier (RFC 4895).
    pub const UNSUPPORTED_HMAC: u16 = 0x0105;
}

/// A decoded error cause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Cause<'a> {
    /// DATA on a stream that does not exist.
    InvalidStream(StreamId),
    /// Mandatory parameters are missing: their types, as 16-bit numbers.
    MissingParams(&'a [u8]),
    /// The cookie was too old by this many microseconds.
    StaleCookie(u32),
    /// Out of resource.
    OutOfResource,
    /// The address parameter that could not be resolved.
    UnresolvableAddress(&'a [u8]),
    /// The chunk that was not known, header included.
    UnrecognizedChunk(&'a [u8]),
    /// A mandatory parameter has an invalid value.
    InvalidMandatoryParam,
    /// The parameters that were not known, headers included.
    UnrecognizedParams(&'a [u8]),
    /// DATA without user data.
    NoUserData(Tsn),
    /// COOKIE ECHO in SHUTDOWN-ACK-SENT.
    CookieWhileShuttingDown,
    /// The INIT of a restart added these address parameters.
    RestartNewAddresses(&'a [u8]),
    /// The user's reason.
    UserAbort(&'a [u8]),
    /// What was wrong.
    ProtocolViolation(&'a [u8]),
    /// The request, header included, would delete the last address (RFC 5061).
    DeleteLastAddress(&'a [u8]),
    /// There is no room for the request, header included (RFC 5061).
    ResourceShortage(&'a [u8]),
    /// The request, header included, would delete the address that it came from (RFC 5061).
    DeleteSourceAddress(&'a [u8]),
    /// An ASCONF-ACK that answers nothing (RFC 5061).
    IllegalAsconfAck,
    /// The request, header included, is not allowed (RFC 5061).
    NotAuthorized(&'a [u8]),
    /// The HMAC identifier of an AUTH chunk that was not offered.
    UnsupportedHmac(u16),
    /// A code that is not known here, or a value that does not suit its code.
    Unknown(Tlv<'a>),
}

impl<'a> Cause<'a> {
    /// Decodes one cause.
    #[must_use]
    pub fn decode(tlv: Tlv<'a>) -> Self {
        Self::decode_known(tlv).unwrap_or(Self::Unknown(tlv))
    }

    fn decode_known(tlv: Tlv<'a>) -> Option<Self> {
        let v = tlv.value;
        let mut r = Reader::new(v);
        Some(match tlv.kind {
            code::INVALID_STREAM => Self::InvalidStream(StreamId(r.u16()?)),
            code::MISSING_PARAM => {
                let n = usize::try_from(r.u32()?).ok()?;
                Self::MissingParams(r.take(n.checked_mul(2)?)?)
            }
            code::STALE_COOKIE => Self::StaleCookie(r.u32()?),
            code::OUT_OF_RESOURCE => Self::OutOfResource,
            code::UNRESOLVABLE_ADDRESS => Self::UnresolvableAddress(v),
            code::UNRECOGNIZED_CHUNK => Self::UnrecognizedChunk(v),
            code::INVALID_MANDATORY_PARAM => Self::InvalidMandatoryParam,
            code::UNRECOGNIZED_PARAMS => Self::UnrecognizedParams(v),
            code::NO_USER_DATA => Self::NoUserData(Tsn(r.u32()?)),
            code::COOKIE_WHILE_SHUTTING_DOWN => Self::CookieWhileShuttingDown,
            code::RESTART_NEW_ADDRESSES => Self::RestartNewAddresses(v),
            code::USER_ABORT => Self::UserAbort(v),
            code::PROTOCOL_VIOLATION => Self::ProtocolViolation(v),
            code::DELETE_LAST_ADDRESS => Self::DeleteLastAddress(v),
            code::RESOURCE_SHORTAGE => Self::ResourceShortage(v),
            code::DELETE_SOURCE_ADDRESS => Self::DeleteSourceAddress(v),
            code::ILLEGAL_ASCONF_ACK => Self::IllegalAsconfAck,
            code::NO_AUTHORIZATION => Self::NotAuthorized(v),
            code::UNSUPPORTED_HMAC => Self::UnsupportedHmac(r.u16()?),
            _ => return None,
        })
    }
}

impl Encode for Cause<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        match self {
            Self::InvalidStream(sid) => w.tlv(code::INVALID_STREAM, |w| {
                w.u16(sid.0);
                w.u16(0);
            }),
            Self::MissingParams(types) => w.tlv(code::MISSING_PARAM, |w| {
                w.u32(u32::try_from(types.len() / 2).unwrap_or(u32::MAX));
                w.bytes(types);
            }),
            Self::StaleCookie(us) => w.tlv(code::STALE_COOKIE, |w| w.u32(*us)),
            Self::OutOfResource => w.tlv(code::OUT_OF_RESOURCE, |_| {}),
            Self::UnresolvableAddress(v) => w.tlv(code::UNRESOLVABLE_ADDRESS, |w| w.bytes(v)),
            Self::UnrecognizedChunk(v) => w.tlv(code::UNRECOGNIZED_CHUNK, |w| w.bytes(v)),
            Self::InvalidMandatoryParam => w.tlv(code::INVALID_MANDATORY_PARAM, |_| {}),
            Self::UnrecognizedParams(v) => w.tlv(code::UNRECOGNIZED_PARAMS, |w| w.bytes(v)),
            Self::NoUserData(tsn) => w.tlv(code::NO_USER_DATA, |w| w.u32(tsn.0)),
            Self::CookieWhileShuttingDown => w.tlv(code::COOKIE_WHILE_SHUTTING_DOWN, |_| {}),
            Self::RestartNewAddresses(v) => w.tlv(code::RESTART_NEW_ADDRESSES, |w| w.bytes(v)),
            Self::UserAbort(v) => w.tlv(code::USER_ABORT, |w| w.bytes(v)),
            Self::ProtocolViolation(v) => w.tlv(code::PROTOCOL_VIOLATION, |w| w.bytes(v)),
            Self::DeleteLastAddress(v) => w.tlv(code::DELETE_LAST_ADDRESS, |w| w.bytes(v)),
            Self::ResourceShortage(v) => w.tlv(code::RESOURCE_SHORTAGE, |w| w.bytes(v)),
            Self::DeleteSourceAddress(v) => w.tlv(code::DELETE_SOURCE_ADDRESS, |w| w.bytes(v)),
            Self::IllegalAsconfAck => w.tlv(code::ILLEGAL_ASCONF_ACK, |_| {}),
            Self::NotAuthorized(v) => w.tlv(code::NO_AUTHORIZATION, |w| w.bytes(v)),
            Self::UnsupportedHmac(id) => w.tlv(code::UNSUPPORTED_HMAC, |w| w.u16(*id)),
            Self::Unknown(tlv) => tlv.encode(w),
        }
    }
}

/// Iterates over error causes; ends after the first that does not fit.
#[derive(Clone, Copy, Debug)]
pub struct Causes<'a> {
    items: TlvIter<'a>,
}

impl<'a> Causes<'a> {
    /// The causes in `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { items: TlvIter::new(bytes) }
    }
}

impl<'a> Iterator for Causes<'a> {
    type Item = Result<Cause<'a>, TlvError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.items.next()?.map(Cause::decode))
    }
}
