//! Parameters in general (RFC 5354 sections 2 and 3): numbers, reading with the rules for unknown ones, writing.

use core::fmt;

use arrayvec::ArrayVec;
use sctp_user::wire::cursor::Reader;
use sctp_user::wire::tlv::{Action, Tlv, TlvIter};
use thiserror::Error;

use super::cause::{CauseCode, ErrorCause, OperationError};

/// Parameter types (RFC 5354 section 3, table 1).
pub mod kind {
    /// IPv4 address.
    pub const IPV4: u16 = 0x0001;
    /// IPv6 address.
    pub const IPV6: u16 = 0x0002;
    /// DCCP transport.
    pub const DCCP: u16 = 0x0003;
    /// SCTP transport.
    pub const SCTP: u16 = 0x0004;
    /// TCP transport.
    pub const TCP: u16 = 0x0005;
    /// UDP transport.
    pub const UDP: u16 = 0x0006;
    /// UDP-Lite transport.
    pub const UDP_LITE: u16 = 0x0007;
    /// Pool member selection policy.
    pub const POLICY: u16 = 0x0008;
    /// Pool handle.
    pub const POOL_HANDLE: u16 = 0x0009;
    /// Pool element.
    pub const POOL_ELEMENT: u16 = 0x000a;
    /// Server information.
    pub const SERVER_INFORMATION: u16 = 0x000b;
    /// Operation error.
    pub const ERROR: u16 = 0x000c;
    /// Cookie.
    pub const COOKIE: u16 = 0x000d;
    /// Identifier of a pool element.
    pub const ELEMENT_ID: u16 = 0x000e;
    /// Checksum over a registrar's elements.
    pub const CHECKSUM: u16 = 0x000f;
    /// Opaque transport.
    pub const OPAQUE: u16 = 0x0010;
    /// How many elements a handle resolution asks for (draft-dreibholz-rserpool-asap-hropt); "skip if unknown".
    pub const RESOLUTION_OPTION: u16 = 0x803f;
}

/// A message was not understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("{kind} at offset {offset}")]
pub struct DecodeError {
    /// Where the offending parameter begins, in bytes from the message's start; of a missing one, where it should be.
    pub offset: usize,
    /// What is wrong.
    pub kind: DecodeErrorKind,
}

/// What is wrong with a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// Shorter than a header, or than its own length field says.
    Truncated,
    /// An unknown message type.
    UnknownMessage(u8),
    /// A parameter's length does not fit.
    BadLength,
    /// An unknown parameter whose action bits end the processing.
    UnknownParameter(u16),
    /// A parameter of this type is missing.
    Missing(u16),
    /// A parameter of this type does not belong here, or not twice.
    Unexpected(u16),
    /// A parameter of this type holds a value that is not allowed.
    Invalid(u16),
    /// A Handle Update asks for something that is neither adding nor deleting (RFC 5353 section 2.4).
    UnknownAction(u16),
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("message cut short"),
            Self::UnknownMessage(k) => write!(f, "unknown message type 0x{k:02x}"),
            Self::BadLength => f.write_str("parameter with a length that does not fit"),
            Self::UnknownParameter(k) => write!(f, "unknown parameter 0x{k:04x}"),
            Self::Missing(k) => write!(f, "missing parameter 0x{k:04x}"),
            Self::Unexpected(k) => write!(f, "unexpected parameter 0x{k:04x}"),
            Self::Invalid(k) => write!(f, "invalid value in parameter 0x{k:04x}"),
            Self::UnknownAction(n) => write!(f, "unknown update action 0x{n:04x}"),
        }
    }
}

/// Longest piece of a peer's message, in bytes, that is sent back to it in an error.
const MAX_QUOTE: usize = 1024;

impl DecodeError {
    /// What to tell the sender of `message`, if anything: unknown messages and parameters by their action bits
    /// (RFC 5354 sections 3 and 4), everything else as Invalid Values with the offending parameter.
    #[must_use]
    pub fn to_report(&self, message: &[u8]) -> Option<OperationError> {
        let quote = |bytes: Option<&[u8]>| bytes.filter(|b| b.len() <= MAX_QUOTE).map(<[u8]>::to_vec).unwrap_or_default();
        let at = message.get(self.offset..);
        let param = at.and_then(|b| TlvIter::new(b).next()?.ok()).map(|t| t.raw);
        let (code, data) = match self.kind {
            DecodeErrorKind::UnknownMessage(k) if Action::of_chunk(k) == Action::StopAndReport => {
                (CauseCode::UNRECOGNIZED_MESSAGE, quote(Some(message)))
            }
            DecodeErrorKind::UnknownMessage(_) => return None,
            DecodeErrorKind::UnknownParameter(k) if Action::of_param(k).reports() => (CauseCode::UNRECOGNIZED_PARAMETER, quote(param)),
            DecodeErrorKind::UnknownParameter(_) => return None,
            DecodeErrorKind::Unexpected(_) | DecodeErrorKind::Invalid(_) => (CauseCode::INVALID_VALUES, quote(param)),
            DecodeErrorKind::Truncated | DecodeErrorKind::BadLength | DecodeErrorKind::Missing(_) | DecodeErrorKind::UnknownAction(_) => {
                (CauseCode::INVALID_VALUES, Vec::new())
            }
        };
        Some(OperationError::from(ErrorCause { code, data }))
    }
}

/// A parameter while it is decoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Param<'a> {
    pub(crate) kind: u16,
    pub(crate) value: &'a [u8],
    /// Header and value, without padding.
    pub(crate) raw: &'a [u8],
    /// Where it begins in the message.
    pub(crate) offset: usize,
}

impl<'a> Param<'a> {
    pub(crate) const fn invalid(&self) -> DecodeError {
        DecodeError { offset: self.offset, kind: DecodeErrorKind::Invalid(self.kind) }
    }

    pub(crate) const fn unexpected(&self) -> DecodeError {
        DecodeError { offset: self.offset, kind: DecodeErrorKind::Unexpected(self.kind) }
    }

    pub(crate) const fn reader(&self) -> Reader<'a> {
        Reader::new(self.value)
    }

    /// The parameters nested behind what `r`, a reader of this one's value, has read.
    pub(crate) fn nested(&self, r: &Reader<'a>) -> Params<'a> {
        Params::new(r.rest(), self.offset + 4 + (self.value.len() - r.len()))
    }

    /// A value of exactly 32 bits.
    pub(crate) fn u32(&self) -> Result<u32, DecodeError> {
        let mut r = self.reader();
        r.u32().filter(|_| r.is_empty()).ok_or_else(|| self.invalid())
    }
}

/// The parameters of a message or of another parameter, one by one.
#[derive(Clone, Debug)]
pub(crate) struct Params<'a> {
    iter: TlvIter<'a>,
    len: usize,
    base: usize,
    /// Whether the last parameter seen had a length that is no multiple of four.
    pub(crate) ragged: bool,
}

impl<'a> Params<'a> {
    /// The parameters in `bytes`, which begin `base` bytes into the message.
    pub(crate) const fn new(bytes: &'a [u8], base: usize) -> Self {
        Self { iter: TlvIter::new(bytes), len: bytes.len(), base, ragged: false }
    }

    /// Those not looked at yet.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.iter.rest()
    }

    pub(crate) fn next(&mut self) -> Result<Option<Param<'a>>, DecodeError> {
        let offset = self.base + (self.len - self.iter.rest().len());
        match self.iter.next() {
            None => Ok(None),
            Some(Ok(Tlv { kind, value, raw })) => {
                self.ragged = !raw.len().is_multiple_of(4);
                Ok(Some(Param { kind, value, raw, offset }))
            }
            Some(Err(_)) => Err(DecodeError { offset, kind: DecodeErrorKind::BadLength }),
        }
    }
}

/// Fills `slot` with what parameter `p` was decoded to; a second parameter of its type is one too many.
pub(crate) fn once<T>(slot: &mut Option<T>, p: &Param<'_>, value: Result<T, DecodeError>) -> Result<(), DecodeError> {
    if slot.is_some() {
        return Err(p.unexpected());
    }
    *slot = Some(value?);
    Ok(())
}

/// A parameter of type `k` is missing from the message.
pub(crate) const fn missing(k: u16) -> DecodeError {
    DecodeError { offset: 4, kind: DecodeErrorKind::Missing(k) }
}

/// Most unknown parameters of one message that are reported to its sender.
const MAX_REPORTS: usize = 8;

/// Unknown parameters that were skipped and whose sender wants to know (RFC 5354 section 3, action 11), at most eight.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Reports<'a>(ArrayVec<&'a [u8], MAX_REPORTS>);

impl<'a> Reports<'a> {
    /// Deals with a parameter that the decoder has no use for, by its action bits (RFC 5354 section 3).
    pub(crate) fn unknown(&mut self, p: &Param<'a>) -> Result<(), DecodeError> {
        if matches!(p.kind, kind::IPV4..=kind::OPAQUE) {
            return Err(p.unexpected());
        }
        let action = Action::of_param(p.kind);
        if !action.continues() {
            return Err(DecodeError { offset: p.offset, kind: DecodeErrorKind::UnknownParameter(p.kind) });
        }
        if action.reports() && p.raw.len() <= MAX_QUOTE {
            // Beyond the eighth they go unreported.
            let _full = self.0.try_push(p.raw);
        }
        Ok(())
    }

    /// The parameters as they came, without padding.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.0.iter().copied()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A copy that outlives the message.
    #[must_use]
    pub fn to_vecs(&self) -> Vec<Vec<u8>> {
        self.iter().map(<[u8]>::to_vec).collect()
    }
}

/// Writes parameters. Padding goes *in front* of the parameter that needs it, so that a length covers the padding
/// between nested parameters but not the last one's, as RFC 5354 section 2 wants it.
#[derive(Debug)]
pub(crate) struct ParamWriter<'a> {
    buf: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> ParamWriter<'a> {
    /// Appends to `buf`; alignment counts from its present end.
    pub(crate) const fn new(buf: &'a mut Vec<u8>) -> Self {
        let start = buf.len();
        Self { buf, start }
    }

    /// Bytes written so far.
    pub(crate) const fn len(&self) -> usize {
        self.buf.len() - self.start
    }

    pub(crate) fn u8(&mut self, v: u8) {
        self.buf.push(v);
    }

    pub(crate) fn u16(&mut self, v: u16) {
        self.bytes(&v.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, v: u32) {
        self.bytes(&v.to_be_bytes());
    }

    pub(crate) fn bytes(&mut self, v: &[u8]) {
        self.buf.extend_from_slice(v);
    }

    pub(crate) fn pad4(&mut self) {
        while !self.len().is_multiple_of(4) {
            self.u8(0);
        }
    }

    /// Appends a parameter with the value that `value` writes. A length beyond 16 bits is written as 65535: the message
    /// around it is too long then as well, which its encoder finds.
    pub(crate) fn param(&mut self, kind: u16, value: impl FnOnce(&mut Self)) {
        self.pad4();
        let at = self.len();
        self.u16(kind);
        self.u16(0);
        value(self);
        let len = u16::try_from(self.len() - at).unwrap_or(u16::MAX);
        self.patch_u16(at + 2, len);
    }

    /// Overwrites 16 bits at `at` bytes from the start.
    pub(crate) fn patch_u16(&mut self, at: usize, v: u16) {
        let at = self.start + at;
        if let Some(field) = self.buf.get_mut(at..at + 2) {
            field.copy_from_slice(&v.to_be_bytes());
        }
    }
}
