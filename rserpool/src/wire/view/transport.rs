//! Transports and their addresses.

use core::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::super::param::{DecodeError, Param, Params, Reports, kind};
use super::super::transport::{MAX_ADDRESSES, Protocol, Transport, TransportUse};
use super::list::Item;

/// A [`Transport`] within a message.
#[derive(Clone, Copy)]
pub struct TransportView<'a> {
    kind: u16,
    /// The port, 0 for an opaque transport.
    pub port: u16,
    /// What it is used for.
    pub usage: TransportUse,
    /// DCCP's service code, otherwise 0.
    service: u32,
    /// The address parameters; of an opaque transport, its value.
    rest: &'a [u8],
}

impl<'a> TransportView<'a> {
    /// Whether it is SCTP.
    #[must_use]
    pub const fn is_sctp(&self) -> bool {
        self.kind == kind::SCTP
    }

    /// Its protocol; the value of an opaque transport is copied.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        match self.kind {
            kind::SCTP => Protocol::Sctp,
            kind::TCP => Protocol::Tcp,
            kind::UDP => Protocol::Udp,
            kind::UDP_LITE => Protocol::UdpLite,
            kind::DCCP => Protocol::Dccp { service: self.service },
            _ => Protocol::Opaque(self.rest.to_vec()),
        }
    }

    /// The addresses, in their order.
    #[must_use]
    pub const fn addrs(&self) -> Addresses<'a> {
        let bytes = if self.kind == kind::OPAQUE { &[] } else { self.rest };
        Addresses { params: Params::new(bytes, 0) }
    }

    /// The addresses with the port.
    pub fn socket_addrs(&self) -> impl Iterator<Item = SocketAddr> + use<'a> {
        let port = self.port;
        self.addrs().map(move |ip| SocketAddr::new(ip, port))
    }
}

impl<'a> Item<'a> for TransportView<'a> {
    fn is_kind(k: u16) -> bool {
        matches!(k, kind::DCCP..=kind::UDP_LITE | kind::OPAQUE)
    }

    #[allow(private_interfaces, reason = "see the trait")]
    fn decode(p: &Param<'a>, reports: &mut Reports<'a>) -> Result<Self, DecodeError> {
        let mut r = p.reader();
        if p.kind == kind::OPAQUE {
            return Ok(Self { kind: p.kind, port: 0, usage: TransportUse::DATA, service: 0, rest: r.rest() });
        }
        let port = r.u16().ok_or_else(|| p.invalid())?;
        let usage = TransportUse(r.u16().ok_or_else(|| p.invalid())?);
        let (service, most) = match p.kind {
            kind::SCTP => (0, MAX_ADDRESSES),
            kind::TCP | kind::UDP | kind::UDP_LITE => (0, 1),
            kind::DCCP => (r.u32().ok_or_else(|| p.invalid())?, 1),
            _ => return Err(p.unexpected()),
        };
        let mut count = 0;
        let mut items = p.nested(&r);
        while let Some(item) = items.next()? {
            match address(&item) {
                Some(addr) => {
                    addr.ok_or_else(|| item.invalid())?;
                    count += 1;
                }
                None => reports.unknown(&item)?,
            }
        }
        if (1..=most).contains(&count) { Ok(Self { kind: p.kind, port, usage, service, rest: r.rest() }) } else { Err(p.invalid()) }
    }
}

/// If it is an address parameter, the address, if its length is right.
fn address(p: &Param<'_>) -> Option<Option<IpAddr>> {
    match p.kind {
        kind::IPV4 => Some(<[u8; 4]>::try_from(p.value).ok().map(|b| Ipv4Addr::from(b).into())),
        kind::IPV6 => Some(<[u8; 16]>::try_from(p.value).ok().map(|b| Ipv6Addr::from(b).into())),
        _ => None,
    }
}

impl fmt::Debug for TransportView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransportView({})", Transport::from(*self))
    }
}

impl From<TransportView<'_>> for Transport {
    fn from(view: TransportView<'_>) -> Self {
        Self { protocol: view.protocol(), port: view.port, usage: view.usage, addrs: view.addrs().collect() }
    }
}

/// The addresses of a transport.
#[derive(Clone, Debug)]
pub struct Addresses<'a> {
    params: Params<'a>,
}

impl Iterator for Addresses<'_> {
    type Item = IpAddr;

    fn next(&mut self) -> Option<IpAddr> {
        // Errors were found when the transport was checked.
        loop {
            let p = self.params.next().ok()??;
            if let Some(addr) = address(&p) {
                return addr;
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let bytes = self.params.rest().len();
        (bytes.div_ceil(20), Some(bytes / 8))
    }
}
