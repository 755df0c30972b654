//! What the messages of ASAP and ENRP have in common: the header and the length (RFC 5354 section 4).

use sctp_user::wire::cursor::{Reader, padded};
use thiserror::Error;

use super::param::{DecodeError, DecodeErrorKind, ParamWriter, Params};

/// How a message is written.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct EncodeOptions {
    /// Whether the message length counts the padding of the last parameter. RFC 5354 section 4 says no; RSPLIB does it.
    pub count_padding: bool,
}

/// A message does not fit into its length field.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("message of {len} bytes, at most 65535 are possible")]
pub struct EncodeError {
    /// Its length in bytes.
    pub len: usize,
}

/// The message ends too early.
pub(crate) const TRUNCATED: DecodeError = DecodeError { offset: 0, kind: DecodeErrorKind::Truncated };

/// Length of the header.
const HEADER: usize = 4;

/// A message while it is decoded: the header, and the body as long as the header says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) number: u8,
    pub(crate) flags: u8,
    body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads the header of a message whose type is one of `1..=last`.
    pub(crate) fn open(bytes: &'a [u8], last: u8) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let (Some(number), Some(flags), Some(len)) = (r.u8(), r.u8(), r.u16()) else {
            return Err(TRUNCATED);
        };
        if !(1..=last).contains(&number) {
            return Err(DecodeError { offset: 0, kind: DecodeErrorKind::UnknownMessage(number) });
        }
        let body = usize::from(len).checked_sub(HEADER).and_then(|n| r.take(n)).ok_or(TRUNCATED)?;
        Ok(Self { number, flags, body })
    }

    /// For the fixed fields in front of the parameters.
    pub(crate) const fn reader(&self) -> Reader<'a> {
        Reader::new(self.body)
    }

    /// The parameters behind what `r`, a reader of this message, has read.
    pub(crate) fn params(&self, r: &Reader<'a>) -> Params<'a> {
        Params::new(r.rest(), HEADER + (self.body.len() - r.len()))
    }

    /// How the message was written, told by its parameters, all of which have been read.
    pub(crate) const fn options(&self, params: &Params<'a>) -> EncodeOptions {
        EncodeOptions { count_padding: params.ragged && self.body.len().is_multiple_of(4) }
    }
}

/// Appends a message with what `body` writes to `out`, padding included. If it is too long, `out` stays as it was.
pub(crate) fn write(
    out: &mut Vec<u8>,
    (number, flags): (u8, u8),
    options: EncodeOptions,
    body: impl FnOnce(&mut ParamWriter<'_>),
) -> Result<(), EncodeError> {
    let start = out.len();
    let mut w = ParamWriter::new(out);
    w.u8(number);
    w.u8(flags);
    w.u16(0);
    body(&mut w);
    let len = if options.count_padding { padded(w.len()) } else { w.len() };
    if let Ok(field) = u16::try_from(len) {
        w.patch_u16(2, field);
        w.pad4();
        return Ok(());
    }
    out.truncate(start);
    Err(EncodeError { len })
}
