//! The chunk that authenticates those behind it (RFC 4895 section 5.1).

use super::{Encode, kind};
use crate::num::KeyId;
use crate::wire::cursor::{Reader, Writer};
use crate::wire::packet::RawChunk;

/// Length of an AUTH chunk without its MAC, header included.
pub const AUTH_HEADER_LEN: usize = 8;

/// AUTH (RFC 4895 section 5.1): a message authentication code of itself, its MAC set to zero, and of all that follows in the packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Auth<'a> {
    /// The endpoint pair shared key that was used.
    pub key: KeyId,
    /// The HMAC identifier: 1 is SHA-1, 3 is SHA-256. Others are decoded too, what to do about them is the association's.
    pub hmac: u16,
    /// The message authentication code.
    pub mac: &'a [u8],
}

impl<'a> Auth<'a> {
    pub(super) fn decode(raw: &RawChunk<'a>) -> Option<Self> {
        let mut r = Reader::new(raw.value);
        Some(Self { key: KeyId(r.u16()?), hmac: r.u16()?, mac: r.rest() })
    }
}

impl Encode for Auth<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.chunk(kind::AUTH, 0, |w| {
            w.u16(self.key.0);
            w.u16(self.hmac);
            w.bytes(self.mac);
        });
    }
}
