//! ASCONF and ASCONF-ACK (RFC 5061 section 4.1) with their parameters (section 4.2).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Encode, kind};
use crate::num::Serial;
use crate::wire::cause::Causes;
use crate::wire::cursor::{Reader, Writer};
use crate::wire::items::{Item, Items};
use crate::wire::packet::RawChunk;
use crate::wire::param::{self, Param};
use crate::wire::tlv::Tlv;

/// Length of the header that a request has before its address parameter: type, length, correlation identifier.
const REQUEST_HEADER_LEN: usize = 8;
/// Length of an address parameter for IPv4 and for IPv6.
const ADDRESS_LEN: (usize, usize) = (8, 20);

/// What one request of an ASCONF asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddressRequest {
    /// Add IP Address (RFC 5061 section 4.2.1).
    Add,
    /// Delete IP Address (section 4.2.2).
    Delete,
    /// Set Primary IP Address (section 4.2.4).
    SetPrimary,
}

impl AddressRequest {
    /// Its parameter type.
    #[must_use]
    pub const fn kind(self) -> u16 {
        match self {
            Self::Add => param::kind::ADD_IP,
            Self::Delete => param::kind::DELETE_IP,
            Self::SetPrimary => param::kind::SET_PRIMARY,
        }
    }
}

/// A parameter of an ASCONF.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AsconfParam<'a> {
    /// A change of the sender's addresses.
    Request {
        /// What is asked for.
        request: AddressRequest,
        /// What the answer is known by; opaque.
        correlation: u32,
        /// The sender's address; unspecified (0.0.0.0 or ::) stands for the source of the packet, or for all others.
        addr: IpAddr,
    },
    /// A type that is not known here, or is out of place.
    Unknown(Tlv<'a>),
}

impl<'a> Item<'a> for AsconfParam<'a> {
    /// `None` also if what it wraps is no address.
    fn decode(tlv: Tlv<'a>) -> Option<Self> {
        let request = match tlv.kind {
            param::kind::ADD_IP => AddressRequest::Add,
            param::kind::DELETE_IP => AddressRequest::Delete,
            param::kind::SET_PRIMARY => AddressRequest::SetPrimary,
            _ => return Some(Self::Unknown(tlv)),
        };
        let (correlation, addr) = decode_request(tlv.value)?;
        Some(Self::Request { request, correlation, addr })
    }
}

impl Encode for AsconfParam<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        match self {
            Self::Request { request, correlation, addr } => encode_request(request.kind(), *correlation, *addr, w),
            Self::Unknown(tlv) => tlv.encode(w),
        }
    }
}

impl AsconfParam<'_> {
    /// Length of a request about `addr` in bytes.
    #[must_use]
    pub const fn request_len(addr: IpAddr) -> usize {
        REQUEST_HEADER_LEN + address_len(addr)
    }
}

/// The value of a request: correlation identifier and address parameter.
pub(crate) fn decode_request(value: &[u8]) -> Option<(u32, IpAddr)> {
    let mut r = Reader::new(value);
    let correlation = r.u32()?;
    let (addr, rest) = split_address(r.rest())?;
    rest.is_empty().then_some((correlation, addr))
}

/// Appends a request.
pub(crate) fn encode_request(kind: u16, correlation: u32, addr: IpAddr, w: &mut Writer<'_>) {
    w.tlv(kind, |w| {
        w.u32(correlation);
        Param::Address(addr).encode(w);
    });
}

const fn address_len(addr: IpAddr) -> usize {
    if addr.is_ipv4() { ADDRESS_LEN.0 } else { ADDRESS_LEN.1 }
}

/// The address parameter that `bytes` begin with, and what follows. A host name is no address (RFC 5061 section 4.1.1).
fn split_address(bytes: &[u8]) -> Option<(IpAddr, &[u8])> {
    let mut r = Reader::new(bytes);
    let addr = match (r.u16()?, usize::from(r.u16()?)) {
        (param::kind::IPV4, len) if len == ADDRESS_LEN.0 => Ipv4Addr::from(r.array::<4>()?).into(),
        (param::kind::IPV6, len) if len == ADDRESS_LEN.1 => Ipv6Addr::from(r.array::<16>()?).into(),
        _ => return None,
    };
    Some((addr, r.rest()))
}

/// The parameters of an ASCONF: as they came, all of which decode, or as a list to send.
pub type AsconfParams<'a> = Items<'a, AsconfParam<'a>>;
/// The responses of an ASCONF-ACK: as they came, all of which decode, or as a list to send.
pub type AsconfResponses<'a> = Items<'a, AsconfResponse<'a>>;

/// ASCONF (RFC 5061 section 4.1.1). One with an item that does not decode is malformed as a whole, so that it is either done or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asconf<'a> {
    /// Sequence number.
    pub serial: Serial,
    /// An address of the sender that is part of the association; unspecified if none shall be looked for.
    pub address: IpAddr,
    /// What is asked for.
    pub params: AsconfParams<'a>,
}

impl<'a> Asconf<'a> {
    pub(super) fn decode(raw: &RawChunk<'a>) -> Option<Self> {
        let mut r = Reader::new(raw.value);
        let serial = Serial(r.u32()?);
        let (address, rest) = split_address(r.rest())?;
        Some(Self { serial, address, params: AsconfParams::checked(rest)? })
    }

    /// Length in bytes of an ASCONF without requests.
    #[must_use]
    pub const fn header_len(address: IpAddr) -> usize {
        8 + address_len(address)
    }
}

impl Encode for Asconf<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.chunk(kind::ASCONF, 0, |w| {
            w.u32(self.serial.0);
            Param::Address(self.address).encode(w);
            self.params.encode(w);
        });
    }
}

/// A parameter of an ASCONF-ACK.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AsconfResponse<'a> {
    /// Success Indication (RFC 5061 section 4.2.5).
    Success {
        /// What the request is known by.
        correlation: u32,
    },
    /// Error Cause Indication (section 4.2.3).
    Error {
        /// What the request is known by.
        correlation: u32,
        /// Error causes, undecoded.
        causes: &'a [u8],
    },
    /// A type that is not known here, or is out of place.
    Unknown(Tlv<'a>),
}

impl<'a> Item<'a> for AsconfResponse<'a> {
    fn decode(tlv: Tlv<'a>) -> Option<Self> {
        let mut r = Reader::new(tlv.value);
        Some(match tlv.kind {
            param::kind::SUCCESS => {
                let correlation = r.u32()?;
                return r.is_empty().then_some(Self::Success { correlation });
            }
            param::kind::ERROR_CAUSE => Self::Error { correlation: r.u32()?, causes: r.rest() },
            _ => Self::Unknown(tlv),
        })
    }
}

impl Encode for AsconfResponse<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        match self {
            Self::Success { correlation } => w.tlv(param::kind::SUCCESS, |w| w.u32(*correlation)),
            Self::Error { correlation, causes } => w.tlv(param::kind::ERROR_CAUSE, |w| {
                w.u32(*correlation);
                w.bytes(causes);
            }),
            Self::Unknown(tlv) => tlv.encode(w),
        }
    }
}

impl<'a> AsconfResponse<'a> {
    /// The causes of an error, one by one.
    #[must_use]
    pub const fn causes(&self) -> Causes<'a> {
        match self {
            Self::Error { causes, .. } => Causes::new(causes),
            Self::Success { .. } | Self::Unknown(_) => Causes::new(&[]),
        }
    }
}

/// ASCONF-ACK (RFC 5061 section 4.1.2). What is not mentioned in it was done, unless something before it failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AsconfAck<'a> {
    /// Sequence number of the ASCONF that it answers.
    pub serial: Serial,
    /// What became of the requests.
    pub responses: AsconfResponses<'a>,
}

impl<'a> AsconfAck<'a> {
    pub(super) fn decode(raw: &RawChunk<'a>) -> Option<Self> {
        let mut r = Reader::new(raw.value);
        Some(Self { serial: Serial(r.u32()?), responses: AsconfResponses::checked(r.rest())? })
    }
}

impl Encode for AsconfAck<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.chunk(kind::ASCONF_ACK, 0, |w| {
            w.u32(self.serial.0);
            self.responses.encode(w);
        });
    }
}
