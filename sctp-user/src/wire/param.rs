//! Parameters of INIT, INIT ACK and HEARTBEAT (RFC 9260 sections 3.3.2.1, 3.3.3.1 and 3.3.5).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::chunk::{Encode, decode_request, encode_request};
use super::cursor::Writer;
use super::items::{Decoded, Item};
use super::tlv::Tlv;

/// Parameter type numbers.
pub mod kind {
    /// Heartbeat Info.
    pub const HEARTBEAT_INFO: u16 = 1;
    /// IPv4 Address.
    pub const IPV4: u16 = 5;
    /// IPv6 Address.
    pub const IPV6: u16 = 6;
    /// State Cookie.
    pub const STATE_COOKIE: u16 = 7;
    /// Unrecognized Parameter.
    pub const UNRECOGNIZED: u16 = 8;
    /// Cookie Preservative.
    pub const COOKIE_PRESERVATIVE: u16 = 9;
    /// Host Name Address: must not be sent, is refused.
    pub const HOST_NAME: u16 = 11;
    /// Supported Address Types.
    pub const SUPPORTED_ADDRESS_TYPES: u16 = 12;
    /// Outgoing SSN Reset Request of RE-CONFIG (RFC 6525 section 4.1).
    pub const OUTGOING_SSN_RESET: u16 = 13;
    /// Incoming SSN Reset Request of RE-CONFIG (RFC 6525 section 4.2).
    pub const INCOMING_SSN_RESET: u16 = 14;
    /// SSN/TSN Reset Request of RE-CONFIG (RFC 6525 section 4.3).
    pub const SSN_TSN_RESET: u16 = 15;
    /// Re-configuration Response of RE-CONFIG (RFC 6525 section 4.4).
    pub const RECONFIG_RESPONSE: u16 = 16;
    /// Add Outgoing Streams Request of RE-CONFIG (RFC 6525 section 4.5).
    pub const ADD_OUTGOING_STREAMS: u16 = 17;
    /// Add Incoming Streams Request of RE-CONFIG (RFC 6525 section 4.6).
    pub const ADD_INCOMING_STREAMS: u16 = 18;
    /// ECN Capable (reserved; RFC 4960 Appendix A).
    pub const ECN_CAPABLE: u16 = 0x8000;
    /// Zero Checksum Acceptable (RFC 9653 section 4).
    pub const ZERO_CHECKSUM: u16 = 0x8001;
    /// Random (RFC 4895 section 3.1).
    pub const RANDOM: u16 = 0x8002;
    /// Chunk List (RFC 4895 section 3.2).
    pub const CHUNKS: u16 = 0x8003;
    /// Requested HMAC Algorithm (RFC 4895 section 3.3).
    pub const HMAC_ALGO: u16 = 0x8004;
    /// Supported Extensions (RFC 5061 section 4.2.7).
    pub const SUPPORTED_EXTENSIONS: u16 = 0x8008;
    /// Forward-TSN-Supported (RFC 3758 section 3.1).
    pub const FORWARD_TSN_SUPPORTED: u16 = 0xc000;
    /// Add IP Address (RFC 5061 section 4.2.1).
    pub const ADD_IP: u16 = 0xc001;
    /// Delete IP Address (RFC 5061 section 4.2.2).
    pub const DELETE_IP: u16 = 0xc002;
    /// Error Cause Indication (RFC 5061 section 4.2.3).
    pub const ERROR_CAUSE: u16 = 0xc003;
    /// Set Primary IP Address (RFC 5061 section 4.2.4).
    pub const SET_PRIMARY: u16 = 0xc004;
    /// Success Indication (RFC 5061 section 4.2.5).
    pub const SUCCESS: u16 = 0xc005;
    /// Adaptation Layer Indication (RFC 5061 section 4.2.6).
    pub const ADAPTATION: u16 = 0xc006;
}

/// A decoded parameter. One whose length does not suit its type counts as malformed, see [`Params`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Param<'a> {
    /// Heartbeat Info: opaque to the peer.
    HeartbeatInfo(&'a [u8]),
    /// An IPv4 or IPv6 address.
    Address(IpAddr),
    /// The State Cookie.
    StateCookie(&'a [u8]),
    /// A parameter of the INIT that the peer did not know, with its header.
    Unrecognized(&'a [u8]),
    /// Wished increment of the cookie's life, in milliseconds.
    CookiePreservative(u32),
    /// A host name.
    HostName(&'a [u8]),
    /// Address types that the sender can use: a list of 16-bit numbers.
    SupportedAddressTypes(&'a [u8]),
    /// ECN is wanted.
    EcnCapable,
    /// The sender takes packets with a checksum of zero if this error detection method is in use.
    ZeroChecksum(u32),
    /// The sender's part of the key of authentication.
    Random(&'a [u8]),
    /// Chunk types that the sender wants authenticated, a byte each.
    Chunks(&'a [u8]),
    /// HMAC algorithms that the sender can verify, the preferred one first: a list of 16-bit numbers.
    HmacAlgo(&'a [u8]),
    /// Chunk types of extensions that the sender supports, a byte each.
    SupportedExtensions(&'a [u8]),
    /// The sender supports FORWARD TSN.
    ForwardTsnSupported,
    /// Adaptation layer indication.
    Adaptation(u32),
    /// The sender's address that it would like to be the primary path.
    SetPrimary {
        /// Opaque; nobody answers it in INIT and INIT ACK.
        correlation: u32,
        /// The address.
        addr: IpAddr,
    },
    /// A type that is not known here.
    Unknown(Tlv<'a>),
}

impl<'a> Item<'a> for Param<'a> {
    fn decode(tlv: Tlv<'a>) -> Option<Self> {
        let param = match tlv.kind {
            kind::HEARTBEAT_INFO => Self::HeartbeatInfo(tlv.value),
            kind::IPV4 => Self::Address(Ipv4Addr::from(<[u8; 4]>::try_from(tlv.value).ok()?).into()),
            kind::IPV6 => Self::Address(Ipv6Addr::from(<[u8; 16]>::try_from(tlv.value).ok()?).into()),
            kind::STATE_COOKIE => Self::StateCookie(tlv.value),
            kind::UNRECOGNIZED => Self::Unrecognized(tlv.value),
            kind::COOKIE_PRESERVATIVE => Self::CookiePreservative(u32::from_be_bytes(tlv.value.try_into().ok()?)),
            kind::HOST_NAME => Self::HostName(tlv.value),
            kind::SUPPORTED_ADDRESS_TYPES => Self::SupportedAddressTypes(tlv.value),
            kind::ECN_CAPABLE => Self::EcnCapable,
            kind::ZERO_CHECKSUM => Self::ZeroChecksum(u32::from_be_bytes(tlv.value.try_into().ok()?)),
            kind::RANDOM => Self::Random(tlv.value),
            kind::CHUNKS => Self::Chunks(tlv.value),
            kind::HMAC_ALGO => Self::HmacAlgo(tlv.value),
            kind::SUPPORTED_EXTENSIONS => Self::SupportedExtensions(tlv.value),
            kind::FORWARD_TSN_SUPPORTED => Self::ForwardTsnSupported,
            kind::ADAPTATION => Self::Adaptation(u32::from_be_bytes(tlv.value.try_into().ok()?)),
            kind::SET_PRIMARY => {
                let (correlation, addr) = decode_request(tlv.value)?;
                Self::SetPrimary { correlation, addr }
            }
            _ => Self::Unknown(tlv),
        };
        Some(param)
    }
}

impl Encode for Param<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        match self {
            Self::HeartbeatInfo(v) => w.tlv(kind::HEARTBEAT_INFO, |w| w.bytes(v)),
            Self::Address(IpAddr::V4(a)) => w.tlv(kind::IPV4, |w| w.bytes(&a.octets())),
            Self::Address(IpAddr::V6(a)) => w.tlv(kind::IPV6, |w| w.bytes(&a.octets())),
            Self::StateCookie(v) => w.tlv(kind::STATE_COOKIE, |w| w.bytes(v)),
            Self::Unrecognized(v) => w.tlv(kind::UNRECOGNIZED, |w| w.bytes(v)),
            Self::CookiePreservative(ms) => w.tlv(kind::COOKIE_PRESERVATIVE, |w| w.u32(*ms)),
            Self::HostName(v) => w.tlv(kind::HOST_NAME, |w| w.bytes(v)),
            Self::SupportedAddressTypes(v) => w.tlv(kind::SUPPORTED_ADDRESS_TYPES, |w| w.bytes(v)),
            Self::EcnCapable => w.tlv(kind::ECN_CAPABLE, |_| {}),
            Self::ZeroChecksum(method) => w.tlv(kind::ZERO_CHECKSUM, |w| w.u32(*method)),
            Self::Random(v) => w.tlv(kind::RANDOM, |w| w.bytes(v)),
            Self::Chunks(v) => w.tlv(kind::CHUNKS, |w| w.bytes(v)),
            Self::HmacAlgo(v) => w.tlv(kind::HMAC_ALGO, |w| w.bytes(v)),
            Self::SupportedExtensions(v) => w.tlv(kind::SUPPORTED_EXTENSIONS, |w| w.bytes(v)),
            Self::ForwardTsnSupported => w.tlv(kind::FORWARD_TSN_SUPPORTED, |_| {}),
            Self::Adaptation(n) => w.tlv(kind::ADAPTATION, |w| w.u32(*n)),
            Self::SetPrimary { correlation, addr } => encode_request(kind::SET_PRIMARY, *correlation, *addr, w),
            Self::Unknown(tlv) => tlv.encode(w),
        }
    }
}

/// Iterates over parameters; ends after the first malformed one.
pub type Params<'a> = Decoded<'a, Param<'a>>;
