//! IP packets as bytes: for captures, and for devices that carry whole packets.

use std::net::IpAddr;

use etherparse::{IpDscp, IpEcn, IpNumber, IpSlice, Ipv4Header, Ipv6FlowLabel, Ipv6Header, UdpHeader};

use crate::net::Ecn;

/// Time-to-live and hop limit of packets that are built here.
const HOPS: u8 = 64;

/// An IP packet that carries SCTP, or a UDP datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IpPacket<'a> {
    /// Of one family with `dst`.
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    /// Source and destination port of the UDP header; without one the packet is of protocol 132.
    pub(crate) ports: Option<(u16, u16)>,
    pub(crate) ecn: Option<Ecn>,
    /// 0 to 63.
    pub(crate) dscp: u8,
    /// IPv6 flow label, 20 bits.
    pub(crate) flow_label: u32,
    /// `Some` if routers may fragment it, on IPv4: what tells its fragments from those of others.
    pub(crate) fragment_id: Option<u16>,
    pub(crate) payload: &'a [u8],
}

impl IpPacket<'_> {
    /// Appends the packet from its IP header on, with right checksums; `None` if a length field cannot hold it, or the addresses are
    /// of two families.
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Option<()> {
        let number = if self.ports.is_some() { IpNumber::UDP } else { IpNumber::SCTP };
        let len = self.payload.len().checked_add(if self.ports.is_some() { UdpHeader::LEN } else { 0 })?;
        let ecn = match self.ecn {
            None => IpEcn::ZERO,
            Some(Ecn::Ect1) => IpEcn::ONE,
            Some(Ecn::Ect0) => IpEcn::TWO,
            Some(Ecn::Ce) => IpEcn::THREE,
        };
        let dscp = IpDscp::try_new(self.dscp).unwrap_or(IpDscp::ZERO);
        let udp = match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let mut ip = Ipv4Header::new(u16::try_from(len).ok()?, HOPS, number, src.octets(), dst.octets()).ok()?;
                (ip.ecn, ip.dscp) = (ecn, dscp);
                if let Some(id) = self.fragment_id {
                    (ip.dont_fragment, ip.identification) = (false, id);
                }
                ip.header_checksum = ip.calc_header_checksum();
                out.extend_from_slice(&ip.to_bytes());
                self.ports.map(|(from, to)| UdpHeader::with_ipv4_checksum(from, to, &ip, self.payload)).transpose().ok()?
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let mut ip = Ipv6Header {
                    traffic_class: 0,
                    flow_label: Ipv6FlowLabel::try_new(self.flow_label & 0xf_ffff).ok()?,
                    payload_length: u16::try_from(len).ok()?,
                    next_header: number,
                    hop_limit: HOPS,
                    source: src.octets(),
                    destination: dst.octets(),
                };
                ip.set_ecn(ecn);
                ip.set_dscp(dscp);
                out.extend_from_slice(&ip.to_bytes());
                self.ports.map(|(from, to)| UdpHeader::with_ipv6_checksum(from, to, &ip, self.payload)).transpose().ok()?
            }
            _ => return None,
        };
        if let Some(udp) = udp {
            out.extend_from_slice(&udp.to_bytes());
        }
        out.extend_from_slice(self.payload);
        Some(())
    }
}

/// What a device that carries whole packets brought.
#[cfg(all(feature = "tun", target_os = "linux"))]
pub(crate) mod received {
    use bytes::Bytes;

    use super::{Ecn, IpAddr, IpNumber, IpSlice};
    use crate::net::NetErrorKind;

    /// A packet that concerns SCTP.
    #[derive(PartialEq, Eq, Debug)]
    pub(crate) enum Arrival {
        /// Protocol 132.
        Sctp { src: IpAddr, dst: IpAddr, ecn: Option<Ecn>, payload: Bytes },
        /// An ICMP message about a packet that `src` had sent to `dst`; `quoted` is the beginning of its SCTP packet.
        Error { kind: NetErrorKind, src: IpAddr, dst: IpAddr, quoted: Bytes },
    }

    /// Reads a packet from its IP header on; `None` if it is damaged, a fragment, or about something else.
    pub(crate) fn parse(packet: &[u8]) -> Option<Arrival> {
        let ip = IpSlice::from_slice(packet).ok()?;
        if ip.is_fragmenting_payload() {
            // Peers find the path MTU and send in one piece; only a handshake of unusual length would be lost.
            return None;
        }
        let (src, dst, payload) = (ip.source_addr(), ip.destination_addr(), ip.payload());
        match ip.payload_ip_number() {
            IpNumber::SCTP => {
                let ecn = match &ip {
                    IpSlice::Ipv4(v4) => v4.header().ecn().value(),
                    IpSlice::Ipv6(v6) => v6.header().traffic_class() & 0b11,
                };
                let ecn = match ecn {
                    1 => Some(Ecn::Ect1),
                    2 => Some(Ecn::Ect0),
                    3 => Some(Ecn::Ce),
                    _ => None,
                };
                Some(Arrival::Sctp { src, dst, ecn, payload: Bytes::copy_from_slice(payload.payload) })
            }
            IpNumber::ICMP if src.is_ipv4() => error(payload.payload, true),
            IpNumber::IPV6_ICMP if src.is_ipv6() => error(payload.payload, false),
            _ => None,
        }
    }

    /// An ICMP error and the packet that it quotes (RFC 792, RFC 4443).
    fn error(message: &[u8], v4: bool) -> Option<Arrival> {
        let (kind, code) = (*message.first()?, *message.get(1)?);
        let word: [u8; 4] = message.get(4..8)?.try_into().ok()?;
        let mtu = u32::from_be_bytes(word);
        let kind = match (v4, kind, code) {
            (true, 3, 2) | (false, 4, 1) => NetErrorKind::ProtocolUnreachable,
            (true, 3, 3) | (false, 1, 4) => NetErrorKind::PortUnreachable,
            (true, 3, 4) => NetErrorKind::TooBig { mtu: mtu & 0xffff },
            (false, 2, _) => NetErrorKind::TooBig { mtu },
            (true, 3 | 11 | 12, _) | (false, 1 | 3 | 4, _) => NetErrorKind::Unreachable,
            _ => return None,
        };
        let (src, dst, quoted) = quoted(message.get(8..)?)?;
        Some(Arrival::Error { kind, src, dst, quoted: Bytes::copy_from_slice(quoted) })
    }

    /// Addresses and payload of a quoted packet of protocol 132, of which only the beginning may be there.
    fn quoted(packet: &[u8]) -> Option<(IpAddr, IpAddr, &[u8])> {
        let first = *packet.first()?;
        match first >> 4 {
            4 => {
                let header = usize::from(first & 0x0f) * 4;
                let src: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
                let dst: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
                let sctp = packet.get(9) == Some(&IpNumber::SCTP.0) && header >= 20;
                sctp.then_some((src.into(), dst.into(), packet.get(header..)?))
            }
            6 => {
                let src: [u8; 16] = packet.get(8..24)?.try_into().ok()?;
                let dst: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
                (packet.get(6) == Some(&IpNumber::SCTP.0)).then_some((src.into(), dst.into(), packet.get(40..)?))
            }
            _ => None,
        }
    }

    #[cfg(test)]
    mod tests {
        use super::super::IpPacket;
        use super::*;

        fn packet(src: &str, dst: &str, ports: Option<(u16, u16)>, payload: &[u8]) -> Vec<u8> {
            let mut out = Vec::new();
            let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
            let ip = IpPacket { src, dst, ports, ecn: Some(Ecn::Ce), dscp: 46, flow_label: 0xa_bcde, fragment_id: Some(7), payload };
            ip.write(&mut out).unwrap();
            out
        }

        #[test]
        fn what_is_built_is_read_again() {
            for (src, dst) in [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")] {
                let bytes = packet(src, dst, None, b"SCTP packet");
                let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
                let payload = Bytes::from_static(b"SCTP packet");
                assert_eq!(parse(&bytes), Some(Arrival::Sctp { src, dst, ecn: Some(Ecn::Ce), payload }));
                for len in 0..bytes.len() {
                    assert_eq!(parse(&bytes[..len]), None, "cut to {len}");
                }
            }
            assert_eq!(parse(&packet("192.0.2.1", "192.0.2.2", Some((9899, 9899)), b"SCTP packet")), None, "UDP is another way");
        }

        #[test]
        fn fragments_are_dropped() {
            let mut bytes = packet("192.0.2.1", "192.0.2.2", None, b"SCTP packet");
            bytes[6] |= 0x20;
            assert_eq!(parse(&bytes), None);
        }

        /// Wraps `quoted` into an ICMP message; its checksum is the kernel's business.
        fn icmp(v4: bool, kind: u8, code: u8, word: u32, quoted: &[u8]) -> Vec<u8> {
            let mut message = vec![kind, code, 0, 0];
            message.extend(word.to_be_bytes());
            message.extend(quoted);
            let (src, dst) = if v4 { ("192.0.2.9", "192.0.2.1") } else { ("2001:db8::9", "2001:db8::1") };
            let mut bytes = packet(src, dst, None, &message);
            bytes[if v4 { 9 } else { 6 }] = if v4 { IpNumber::ICMP.0 } else { IpNumber::IPV6_ICMP.0 };
            bytes
        }

        #[test]
        fn reports_name_the_packet_that_they_quote() {
            use NetErrorKind::{PortUnreachable, ProtocolUnreachable, TooBig, Unreachable};
            let cases = [
                (true, 3, 2, 0, ProtocolUnreachable),
                (true, 3, 3, 0, PortUnreachable),
                (true, 3, 4, 0x1234_0500, TooBig { mtu: 1280 }),
                (true, 11, 0, 0, Unreachable),
                (false, 4, 1, 6, ProtocolUnreachable),
                (false, 2, 0, 70_000, TooBig { mtu: 70_000 }),
                (false, 1, 0, 0, Unreachable),
            ];
            for (v4, kind, code, word, expected) in cases {
                let (src, dst) = if v4 { ("192.0.2.1", "192.0.2.2") } else { ("2001:db8::1", "2001:db8::2") };
                let header = if v4 { 20 } else { 40 };
                let quoted = packet(src, dst, None, &[5; 30]);
                let report = icmp(v4, kind, code, word, &quoted[..header + 8]);
                let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
                let expected = Arrival::Error { kind: expected, src, dst, quoted: Bytes::from_static(&[5; 8]) };
                assert_eq!(parse(&report), Some(expected));
                // About UDP, or no error at all.
                assert_eq!(parse(&icmp(v4, kind, code, word, &packet("192.0.2.1", "192.0.2.2", Some((1, 2)), b"x"))), None);
                assert_eq!(parse(&icmp(v4, if v4 { 8 } else { 128 }, 0, 0, &quoted)), None);
                for len in 0..header + 8 {
                    let _ = parse(&icmp(v4, kind, code, word, &quoted[..len]));
                }
            }
        }
    }
}
