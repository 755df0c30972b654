//! Type-length-value items: SCTP parameters and error causes, and the parameters of RSerPool, share this form.

use thiserror::Error;

use super::chunk::{Encode, Verbatim};
use super::cursor::{Reader, Writer, padded};

/// What to do with an item of an unknown type, by its two highest bits (RFC 9260 section 3.2.1, RFC 5354 section 3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// 00: stop, say nothing.
    Stop,
    /// 01: stop, report the item.
    StopAndReport,
    /// 10: skip it, say nothing.
    Skip,
    /// 11: skip it, report it.
    SkipAndReport,
}

impl Action {
    /// From the two highest bits of a 16-bit type.
    #[must_use]
    pub const fn of_param(kind: u16) -> Self {
        Self::of_bits((kind >> 14) as u8)
    }

    /// From the two highest bits of a chunk type.
    #[must_use]
    pub const fn of_chunk(kind: u8) -> Self {
        Self::of_bits(kind >> 6)
    }

    const fn of_bits(bits: u8) -> Self {
        match bits {
            0 => Self::Stop,
            1 => Self::StopAndReport,
            2 => Self::Skip,
            _ => Self::SkipAndReport,
        }
    }

    /// Whether processing goes on behind the item.
    #[must_use]
    pub const fn continues(self) -> bool {
        matches!(self, Self::Skip | Self::SkipAndReport)
    }

    /// Whether the sender is told.
    #[must_use]
    pub const fn reports(self) -> bool {
        matches!(self, Self::StopAndReport | Self::SkipAndReport)
    }
}

/// One item: `raw` is the item as it came without padding, header included, for reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tlv<'a> {
    /// Its type.
    pub kind: u16,
    /// Its value, without header and padding.
    pub value: &'a [u8],
    /// Header and value.
    pub raw: &'a [u8],
}

impl Encode for Tlv<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        Verbatim(self.raw).encode(w);
    }
}

/// A list of items broke off: a length below 4 or beyond the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("item at offset {offset} has a length that does not fit")]
pub struct TlvError {
    /// Where the item begins, in bytes from the list's start.
    pub offset: usize,
}

/// Iterates over items; ends after the first error. The last item's padding may be missing.
#[derive(Clone, Copy, Debug)]
pub struct TlvIter<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> TlvIter<'a> {
    /// The items in `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, offset: 0 }
    }

    /// Where the next item begins, in bytes from the list's start.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// The bytes not looked at yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for TlvIter<'a> {
    type Item = Result<Tlv<'a>, TlvError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let mut r = Reader::new(self.rest);
        let parsed = (|| {
            let kind = r.u16()?;
            let len = usize::from(r.u16()?);
            let value = r.take(len.checked_sub(4)?)?;
            let raw = self.rest.get(..len)?;
            Some((Tlv { kind, value, raw }, len))
        })();
        let Some((tlv, len)) = parsed else {
            self.rest = &[];
            return Some(Err(TlvError { offset: self.offset }));
        };
        self.rest = self.rest.get(padded(len)..).unwrap_or(&[]);
        self.offset += padded(len);
        Some(Ok(tlv))
    }
}
