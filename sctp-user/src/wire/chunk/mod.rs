//! Chunks of RFC 9260 section 3.3: one struct each that borrows its variable parts and is used to read and to write.

mod asconf;
mod auth;
mod control;
mod data;
mod entries;
mod forward_tsn;
mod idata;
mod init;
mod pad;
mod reconfig;
mod sack;
mod types;

use thiserror::Error;

pub use self::asconf::{AddressRequest, Asconf, AsconfAck, AsconfParam, AsconfParams, AsconfResponse, AsconfResponses};
pub(crate) use self::asconf::{decode_request, encode_request};
pub use self::auth::{AUTH_HEADER_LEN, Auth};
pub use self::control::{Abort, CookieEcho, ErrorChunk, Heartbeat, Shutdown, ShutdownComplete};
pub use self::data::{DATA_CHUNK_HEADER_LEN, Data};
pub use self::entries::{Entries, Entry};
pub use self::forward_tsn::{ForwardTsn, IForwardTsn, SkippedMid, SkippedSsn};
pub use self::idata::{I_DATA_CHUNK_HEADER_LEN, IData, Place};
pub(crate) use self::init::INIT_LEN;
pub use self::init::{Init, InitParams};
pub use self::pad::Pad;
pub use self::reconfig::{Reconfig, ReconfigParam, ReconfigParams, ReconfigResult, StreamList};
pub use self::sack::{Duplicates, GapBlock, Gaps, Sack};
pub use self::types::ChunkTypes;
use super::cursor::{Reader, Writer};
use super::packet::RawChunk;
use crate::num::Tsn;

/// Chunk type numbers (RFC 9260 section 3.2).
pub mod kind {
    /// Payload data.
    pub const DATA: u8 = 0;
    /// Initiation.
    pub const INIT: u8 = 1;
    /// Initiation acknowledgement.
    pub const INIT_ACK: u8 = 2;
    /// Selective acknowledgement.
    pub const SACK: u8 = 3;
    /// Heartbeat request.
    pub const HEARTBEAT: u8 = 4;
    /// Heartbeat acknowledgement.
    pub const HEARTBEAT_ACK: u8 = 5;
    /// Abort.
    pub const ABORT: u8 = 6;
    /// Shutdown.
    pub const SHUTDOWN: u8 = 7;
    /// Shutdown acknowledgement.
    pub const SHUTDOWN_ACK: u8 = 8;
    /// Operation error.
    pub const ERROR: u8 = 9;
    /// State cookie.
    pub const COOKIE_ECHO: u8 = 10;
    /// Cookie acknowledgement.
    pub const COOKIE_ACK: u8 = 11;
    /// Explicit congestion notification echo (reserved; RFC 4960 Appendix A).
    pub const ECNE: u8 = 12;
    /// Congestion window reduced (reserved; RFC 4960 Appendix A).
    pub const CWR: u8 = 13;
    /// Shutdown complete.
    pub const SHUTDOWN_COMPLETE: u8 = 14;
    /// Authentication (RFC 4895).
    pub const AUTH: u8 = 0x0f;
    /// Payload data that can be interleaved (RFC 8260).
    pub const I_DATA: u8 = 0x40;
    /// Address configuration acknowledgement (RFC 5061).
    pub const ASCONF_ACK: u8 = 0x80;
    /// Re-configuration (RFC 6525).
    pub const RE_CONFIG: u8 = 0x82;
    /// Padding (RFC 4820).
    pub const PAD: u8 = 0x84;
    /// Forward cumulative TSN (RFC 3758).
    pub const FORWARD_TSN: u8 = 0xc0;
    /// Address configuration change (RFC 5061).
    pub const ASCONF: u8 = 0xc1;
    /// Forward cumulative TSN with interleaving (RFC 8260).
    pub const I_FORWARD_TSN: u8 = 0xc2;
}

/// Why a chunk cannot be decoded, and where it begins in the packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("chunk type {kind} at offset {offset}: {what}")]
pub struct ChunkError {
    /// Its type; 0 if not even that is known.
    pub kind: u8,
    /// Offset in the packet, in bytes.
    pub offset: usize,
    /// What is wrong.
    pub what: &'static str,
}

/// Something that can be appended to a packet.
pub trait Encode {
    /// Appends it with header and padding.
    fn encode(&self, w: &mut Writer<'_>);

    /// Header and value without the padding, which the length of what it is the last part of does not count (RFC 9260 section 3.2).
    fn to_vec(&self) -> Vec<u8> {
        let mut buf = Vec::new();
        self.encode(&mut Writer::new(&mut buf));
        let mut header = Reader::new(&buf);
        let len = header.u16().and_then(|_| header.u16()).map_or(buf.len(), usize::from);
        buf.truncate(len);
        buf
    }
}

/// Something that was encoded before: header and value, to which the padding is added.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verbatim<'a>(pub &'a [u8]);

impl Encode for Verbatim<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.bytes(self.0);
        w.pad4();
    }
}

/// A decoded chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Chunk<'a> {
    /// DATA.
    Data(Data<'a>),
    /// INIT.
    Init(Init<'a>),
    /// INIT ACK.
    InitAck(Init<'a>),
    /// SACK.
    Sack(Sack<'a>),
    /// HEARTBEAT.
    Heartbeat(Heartbeat<'a>),
    /// HEARTBEAT ACK.
    HeartbeatAck(Heartbeat<'a>),
    /// ABORT.
    Abort(Abort<'a>),
    /// SHUTDOWN.
    Shutdown(Shutdown),
    /// SHUTDOWN ACK.
    ShutdownAck,
    /// ERROR.
    Error(ErrorChunk<'a>),
    /// COOKIE ECHO.
    CookieEcho(CookieEcho<'a>),
    /// COOKIE ACK.
    CookieAck,
    /// ECNE: the lowest TSN of a packet with a congestion mark.
    Ecne(Tsn),
    /// CWR: the TSN up to which the sender has reacted.
    Cwr(Tsn),
    /// SHUTDOWN COMPLETE.
    ShutdownComplete(ShutdownComplete),
    /// RE-CONFIG.
    Reconfig(Reconfig<'a>),
    /// AUTH.
    Auth(Auth<'a>),
    /// I-DATA.
    IData(IData<'a>),
    /// PAD.
    Pad(Pad<'a>),
    /// ASCONF.
    Asconf(Asconf<'a>),
    /// ASCONF-ACK.
    AsconfAck(AsconfAck<'a>),
    /// FORWARD TSN.
    ForwardTsn(ForwardTsn<'a>),
    /// I-FORWARD-TSN.
    IForwardTsn(IForwardTsn<'a>),
    /// A type that neither RFC 9260 nor an extension known here defines.
    Unknown(RawChunk<'a>),
}

impl<'a> Chunk<'a> {
    pub(super) fn decode(raw: &RawChunk<'a>) -> Result<Self, ChunkError> {
        let parsed = match raw.kind {
            kind::DATA => Data::decode(raw).map(Self::Data),
            kind::INIT => Init::decode(raw).map(Self::Init),
            kind::INIT_ACK => Init::decode(raw).map(Self::InitAck),
            kind::SACK => Sack::decode(raw).map(Self::Sack),
            kind::HEARTBEAT => Heartbeat::decode(raw).map(Self::Heartbeat),
            kind::HEARTBEAT_ACK => Heartbeat::decode(raw).map(Self::HeartbeatAck),
            kind::ABORT => Some(Self::Abort(Abort { t: raw.flags & control::T_BIT != 0, causes: raw.value })),
            kind::SHUTDOWN => Shutdown::decode(raw).map(Self::Shutdown),
            kind::SHUTDOWN_ACK => Some(Self::ShutdownAck),
            kind::ERROR => Some(Self::Error(ErrorChunk { causes: raw.value })),
            kind::COOKIE_ECHO => Some(Self::CookieEcho(CookieEcho { cookie: raw.value })),
            kind::COOKIE_ACK => Some(Self::CookieAck),
            kind::ECNE => control::decode_tsn(raw).map(Self::Ecne),
            kind::CWR => control::decode_tsn(raw).map(Self::Cwr),
            kind::SHUTDOWN_COMPLETE => Some(Self::ShutdownComplete(ShutdownComplete { t: raw.flags & control::T_BIT != 0 })),
            kind::RE_CONFIG => Some(Self::Reconfig(Reconfig::decode(raw))),
            kind::AUTH => Auth::decode(raw).map(Self::Auth),
            kind::I_DATA => IData::decode(raw).map(Self::IData),
            kind::PAD => Some(Self::Pad(Pad::decode(raw))),
            kind::ASCONF => Asconf::decode(raw).map(Self::Asconf),
            kind::ASCONF_ACK => AsconfAck::decode(raw).map(Self::AsconfAck),
            kind::FORWARD_TSN => ForwardTsn::decode(raw).map(Self::ForwardTsn),
            kind::I_FORWARD_TSN => IForwardTsn::decode(raw).map(Self::IForwardTsn),
            _ => Some(Self::Unknown(*raw)),
        };
        parsed.ok_or(ChunkError { kind: raw.kind, offset: raw.offset, what: "too short or inconsistent" })
    }
}

impl Encode for Chunk<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        match self {
            Self::Data(c) => c.encode(w),
            Self::Init(c) => c.encode_as(kind::INIT, w),
            Self::InitAck(c) => c.encode_as(kind::INIT_ACK, w),
            Self::Sack(c) => c.encode(w),
            Self::Heartbeat(c) => c.encode_as(kind::HEARTBEAT, w),
            Self::HeartbeatAck(c) => c.encode_as(kind::HEARTBEAT_ACK, w),
            Self::Abort(c) => c.encode(w),
            Self::Shutdown(c) => c.encode(w),
            Self::ShutdownAck => w.chunk(kind::SHUTDOWN_ACK, 0, |_| {}),
            Self::Error(c) => c.encode(w),
            Self::CookieEcho(c) => c.encode(w),
            Self::CookieAck => w.chunk(kind::COOKIE_ACK, 0, |_| {}),
            Self::Ecne(tsn) => w.chunk(kind::ECNE, 0, |w| w.u32(tsn.0)),
            Self::Cwr(tsn) => w.chunk(kind::CWR, 0, |w| w.u32(tsn.0)),
            Self::ShutdownComplete(c) => c.encode(w),
            Self::Reconfig(c) => c.encode(w),
            Self::Auth(c) => c.encode(w),
            Self::IData(c) => c.encode(w),
            Self::Pad(c) => c.encode(w),
            Self::Asconf(c) => c.encode(w),
            Self::AsconfAck(c) => c.encode(w),
            Self::ForwardTsn(c) => c.encode(w),
            Self::IForwardTsn(c) => c.encode(w),
            Self::Unknown(raw) => Verbatim(raw.raw).encode(w),
        }
    }
}
