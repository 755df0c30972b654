//! What the kernel tells about a received datagram besides its bytes.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

/// An ECN mark of the IP header (RFC 3168 section 5). "Not ECT" is `None` wherever an `Option<Ecn>` stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ecn {
    /// ECT(1): the sender understands ECN.
    Ect1 = 0b01,
    /// ECT(0): the sender understands ECN.
    Ect0 = 0b10,
    /// CE: a router on the way was congested.
    Ce = 0b11,
}

impl Ecn {
    /// The mark in the two low bits of a TOS or traffic class octet; `None` for "not ECT".
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits & 0b11 {
            0b01 => Some(Self::Ect1),
            0b10 => Some(Self::Ect0),
            0b11 => Some(Self::Ce),
            _ => None,
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) const fn to_quinn(self) -> quinn_udp::EcnCodepoint {
        match self {
            Self::Ect0 => quinn_udp::EcnCodepoint::Ect0,
            Self::Ect1 => quinn_udp::EcnCodepoint::Ect1,
            Self::Ce => quinn_udp::EcnCodepoint::Ce,
        }
    }
}

/// Where a datagram came from and what the IP header said. IPv4-mapped IPv6 addresses never appear here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatagramMeta {
    /// Source address and UDP port; the scope identifier is set where the address is link-local.
    pub src: SocketAddr,
    /// The local address that the datagram was sent to, where the system tells.
    pub dst_ip: Option<IpAddr>,
    /// Index of the interface that it came in by, where the system tells.
    pub ifindex: Option<u32>,
    /// The ECN mark.
    pub ecn: Option<Ecn>,
}

/// One read from the socket: a single datagram, or a train of datagrams that the kernel glued together because they came
/// from one UDP source and are of equal size (GRO). Only the last one of a train may be shorter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Common to all datagrams of the train.
    pub meta: DatagramMeta,
    /// The UDP payloads, one behind the other; never empty.
    pub bytes: Bytes,
    /// Size of each datagram but the last, at least 1.
    pub stride: usize,
}

impl Received {
    /// Takes off what lies behind the first `at` bytes, which are whole datagrams.
    pub(crate) fn split_off(&mut self, at: usize) -> Self {
        let bytes = self.bytes.split_off(at);
        self.stride = self.stride.min(at);
        Self { meta: self.meta, stride: self.stride.min(bytes.len()), bytes }
    }

    /// The datagrams of the train, without copying.
    pub fn packets(&self) -> impl Iterator<Item = Bytes> + '_ {
        let stride = self.stride.max(1);
        (0..self.bytes.len().div_ceil(stride)).map(move |i| {
            let from = i.saturating_mul(stride);
            let to = from.saturating_add(stride).min(self.bytes.len());
            self.bytes.slice(from..to)
        })
    }
}

/// The address without the disguise of `::ffff:0:0/96`, and without the flow label of the packet that it stood in.
pub(crate) fn unmapped(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V6(mut v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(IpAddr::V4(v4), v6.port()),
            None => {
                v6.set_flowinfo(0);
                v6.into()
            }
        },
        SocketAddr::V4(_) => addr,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_survive_the_round_trip_through_bits() {
        assert_eq!(Ecn::from_bits(0), None);
        for bits in 1..4u8 {
            let mark = Ecn::from_bits(bits | 0xfc).unwrap();
            assert_eq!(mark as u8, bits);
        }
    }

    #[test]
    fn a_train_ends_with_a_short_packet() {
        let train = Received {
            meta: DatagramMeta { src: "127.0.0.1:1".parse().unwrap(), dst_ip: None, ifindex: None, ecn: None },
            bytes: Bytes::from_static(b"aaabbbc"),
            stride: 3,
        };
        let packets: Vec<_> = train.packets().collect();
        assert_eq!(packets, [&b"aaa"[..], b"bbb", b"c"]);
    }

    #[test]
    fn mapped_addresses_are_unmapped() {
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:7".parse().unwrap();
        assert_eq!(unmapped(mapped), "192.0.2.1:7".parse().unwrap());
        let own: SocketAddr = "[2001:db8::1]:7".parse().unwrap();
        assert_eq!(unmapped(own), own);
    }
}
