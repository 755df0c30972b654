//! The small control chunks: HEARTBEAT, ABORT, SHUTDOWN, ERROR, COOKIE ECHO and their answers.

use super::{Encode, kind};
use crate::num::Tsn;
use crate::wire::cause::Causes;
use crate::wire::cursor::{Reader, Writer};
use crate::wire::packet::RawChunk;
use crate::wire::param;
use crate::wire::tlv::TlvIter;

pub(super) const T_BIT: u8 = 1;

/// HEARTBEAT or HEARTBEAT ACK (RFC 9260 sections 3.3.5 and 3.3.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heartbeat<'a> {
    /// All parameters of the chunk as they came or shall go: an answer returns them unchanged.
    pub tlvs: &'a [u8],
}

impl<'a> Heartbeat<'a> {
    pub(super) fn decode(raw: &RawChunk<'a>) -> Option<Self> {
        // The Heartbeat Info parameter is mandatory.
        let this = Self { tlvs: raw.value };
        this.info().map(|_| this)
    }

    pub(super) fn encode_as(&self, kind: u8, w: &mut Writer<'_>) {
        w.chunk(kind, 0, |w| w.bytes(self.tlvs));
    }

    /// The sender's heartbeat information.
    #[must_use]
    pub fn info(&self) -> Option<&'a [u8]> {
        TlvIter::new(self.tlvs).map_while(Result::ok).find(|t| t.kind == param::kind::HEARTBEAT_INFO).map(|t| t.value)
    }
}

/// ABORT (RFC 9260 section 3.3.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Abort<'a> {
    /// T bit: the verification tag is the receiver's own view, reflected.
    pub t: bool,
    /// Error causes, undecoded.
    pub causes: &'a [u8],
}

impl<'a> Abort<'a> {
    /// The causes one by one.
    #[must_use]
    pub const fn causes(&self) -> Causes<'a> {
        Causes::new(self.causes)
    }
}

impl Encode for Abort<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.chunk(kind::ABORT, u8::from(self.t) * T_BIT, |w| w.bytes(self.causes));
    }
}

/// ERROR (RFC 9260 section 3.3.10).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ErrorChunk<'a> {
    /// Error causes, undecoded.
    pub causes: &'a [u8],
}

impl<'a> ErrorChunk<'a> {
    /// The causes one by one.
    #[must_use]
    pub const fn causes(&self) -> Causes<'a> {
        Causes::new(self.causes)
    }
}

impl Encode for ErrorChunk<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.chunk(kind::ERROR, 0, |w| w.bytes(self.causes));
    }
}

/// SHUTDOWN (RFC 9260 section 3.3.8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shutdown {
    /// Cumulative TSN ack.
    pub cum_tsn: Tsn,
}

impl Shutdown {
    pub(super) fn decode(raw: &RawChunk<'_>) -> Option<Self> {
        decode_tsn(raw).map(|cum_tsn| Self { cum_tsn })
    }
}

impl Encode for Shutdown {
    fn encode(&self, w: &mut Writer<'_>) {
        w.chunk(kind::SHUTDOWN, 0, |w| w.u32(self.cum_tsn.0));
    }
}

/// SHUTDOWN COMPLETE (RFC 9260 section 3.3.13).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ShutdownComplete {
    /// T bit, as in [`Abort`].
    pub t: bool,
}

impl Encode for ShutdownComplete {
    fn encode(&self, w: &mut Writer<'_>) {
        w.chunk(kind::SHUTDOWN_COMPLETE, u8::from(self.t) * T_BIT, |_| {});
    }
}

/// COOKIE ECHO (RFC 9260 section 3.3.11).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CookieEcho<'a> {
    /// The State Cookie as the INIT ACK brought it.
    pub cookie: &'a [u8],
}

impl Encode for CookieEcho<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.chunk(kind::COOKIE_ECHO, 0, |w| w.bytes(self.cookie));
    }
}

/// The value of a chunk that holds one TSN.
pub(super) fn decode_tsn(raw: &RawChunk<'_>) -> Option<Tsn> {
    Reader::new(raw.value).u32().map(Tsn)
}
