//! Transport and address parameters (RFC 5354 sections 3.1 to 3.7 and 3.16).

use core::fmt;
use std::net::{IpAddr, SocketAddr};

use sctp_user::net::canonical;

use super::param::{ParamWriter, kind};

/// Most addresses in one transport parameter.
pub const MAX_ADDRESSES: usize = 64;

/// The protocol of a transport.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Protocol {
    /// SCTP (RFC 9260): the only one with several addresses and with a control channel.
    Sctp,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// UDP-Lite (RFC 3828).
    UdpLite,
    /// DCCP (RFC 4340) with a service code.
    Dccp {
        /// The service code.
        service: u32,
    },
    /// Something that only the application understands; the transport has neither port nor addresses.
    Opaque(Vec<u8>),
}

impl Protocol {
    /// Whether both are of one kind, whatever their service codes or opaque values.
    #[must_use]
    pub fn same_kind(&self, other: &Self) -> bool {
        core::mem::discriminant(self) == core::mem::discriminant(other)
    }

    const fn param(&self) -> u16 {
        match self {
            Self::Dccp { .. } => kind::DCCP,
            Self::Sctp => kind::SCTP,
            Self::Tcp => kind::TCP,
            Self::Udp => kind::UDP,
            Self::UdpLite => kind::UDP_LITE,
            Self::Opaque(_) => kind::OPAQUE,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sctp => "SCTP",
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::UdpLite => "UDP-Lite",
            Self::Dccp { .. } => "DCCP",
            Self::Opaque(_) => "opaque",
        })
    }
}

/// What an SCTP transport is used for (RFC 5354 section 3.4). In the other transports these 16 bits are reserved;
/// RSPLIB fills them for TCP as well.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct TransportUse(pub u16);

impl TransportUse {
    /// Data only.
    pub const DATA: Self = Self(0);
    /// Data plus control: the peers of a session exchange ASAP messages on it.
    pub const DATA_PLUS_CONTROL: Self = Self(1);

    /// Whether RFC 5354 section 3.4 gives the value a meaning.
    #[must_use]
    pub const fn is_defined(self) -> bool {
        matches!(self, Self::DATA | Self::DATA_PLUS_CONTROL)
    }
}

/// A transport: where something is reached, and how.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Transport {
    /// The protocol.
    pub protocol: Protocol,
    /// The port, 0 for an opaque transport.
    pub port: u16,
    /// What it is used for.
    pub usage: TransportUse,
    /// SCTP: 1 to [`MAX_ADDRESSES`] addresses; opaque: none; others: exactly one.
    pub addrs: Vec<IpAddr>,
}

impl Transport {
    /// An SCTP transport. IPv4 addresses in IPv6 disguise are uncovered, and beyond [`MAX_ADDRESSES`] the rest is cut off.
    #[must_use]
    pub fn sctp(port: u16, usage: TransportUse, addrs: impl IntoIterator<Item = IpAddr>) -> Self {
        let addrs = addrs.into_iter().map(canonical).take(MAX_ADDRESSES).collect();
        Self { protocol: Protocol::Sctp, port, usage, addrs }
    }

    /// A transport over a protocol with one address.
    #[must_use]
    pub fn single(protocol: Protocol, addr: SocketAddr) -> Self {
        Self { protocol, port: addr.port(), usage: TransportUse::DATA, addrs: vec![canonical(addr.ip())] }
    }

    /// The addresses with the port.
    pub fn socket_addrs(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.addrs.iter().map(|&ip| SocketAddr::new(ip, self.port))
    }

    pub(crate) fn encode(&self, w: &mut ParamWriter<'_>) {
        w.param(self.protocol.param(), |w| {
            if let Protocol::Opaque(value) = &self.protocol {
                w.bytes(value);
                return;
            }
            w.u16(self.port);
            w.u16(self.usage.0);
            if let Protocol::Dccp { service } = self.protocol {
                w.u32(service);
            }
            for addr in &self.addrs {
                match addr {
                    IpAddr::V4(a) => w.param(kind::IPV4, |w| w.bytes(&a.octets())),
                    IpAddr::V6(a) => w.param(kind::IPV6, |w| w.bytes(&a.octets())),
                }
            }
        });
    }

    /// The length of the parameter on the wire, in bytes, without padding.
    pub(crate) fn raw_len(&self) -> usize {
        let addr = |a: &IpAddr| if a.is_ipv4() { 8 } else { 20 };
        match &self.protocol {
            Protocol::Opaque(value) => 4 + value.len(),
            Protocol::Dccp { .. } => 12 + self.addrs.iter().map(addr).sum::<usize>(),
            _ => 8 + self.addrs.iter().map(addr).sum::<usize>(),
        }
    }

    /// The parameter alone, as the data of an error cause (RFC 5354 section 3.12.8).
    #[must_use]
    pub fn to_param(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut ParamWriter::new(&mut out));
        out
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.protocol)?;
        if let Protocol::Opaque(value) = &self.protocol {
            return write!(f, " of {} bytes", value.len());
        }
        write!(f, " port {} at ", self.port)?;
        for (i, addr) in self.addrs.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{addr}")?;
        }
        if self.usage == TransportUse::DATA_PLUS_CONTROL { f.write_str(" +control") } else { Ok(()) }
    }
}

/// How far an address reaches, from nowhere to everywhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Scope {
    /// No address of a host: unspecified, broadcast, multicast.
    None,
    /// This host.
    Loopback,
    /// This link.
    LinkLocal,
    /// This site: the private IPv4 networks, `fec0::/10`.
    SiteLocal,
    /// Everywhere. Unique local IPv6 addresses count as global, as in RSPLIB.
    Global,
}

impl Scope {
    /// The scope of `ip`; an IPv4 address in IPv6 disguise counts as what it is.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        match canonical(ip) {
            IpAddr::V4(a) if a.is_unspecified() || a.is_broadcast() || a.is_multicast() => Self::None,
            IpAddr::V4(a) if a.is_loopback() => Self::Loopback,
            IpAddr::V4(a) if a.is_link_local() => Self::LinkLocal,
            IpAddr::V4(a) if a.is_private() => Self::SiteLocal,
            IpAddr::V6(a) if a.is_unspecified() || a.is_multicast() => Self::None,
            IpAddr::V6(a) if a.is_loopback() => Self::Loopback,
            IpAddr::V6(a) if a.is_unicast_link_local() => Self::LinkLocal,
            IpAddr::V6(a) if a.segments().first().is_some_and(|s| s & 0xffc0 == 0xfec0) => Self::SiteLocal,
            _ => Self::Global,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes() {
        let table = [
            ("0.0.0.0", Scope::None),
            ("239.0.0.50", Scope::None),
            ("127.3.4.5", Scope::Loopback),
            ("::ffff:127.0.0.1", Scope::Loopback),
            ("::1", Scope::Loopback),
            ("169.254.1.1", Scope::LinkLocal),
            ("fe80::1", Scope::LinkLocal),
            ("10.1.1.2", Scope::SiteLocal),
            ("172.31.0.1", Scope::SiteLocal),
            ("fec0::1", Scope::SiteLocal),
            ("fd77:1::11", Scope::Global),
            ("192.0.2.1", Scope::Global),
            ("2001:db8::5", Scope::Global),
        ];
        for (ip, scope) in table {
            assert_eq!(Scope::of(ip.parse().unwrap()), scope, "{ip}");
        }
    }
}
