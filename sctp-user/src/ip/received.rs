//! What a device that carries whole packets brought.

use std::net::IpAddr;

use bytes::Bytes;
use etherparse::{IpNumber, IpSlice};

pub(crate) use super::reassembly::Reassembler;
use crate::net::{Ecn, NetErrorKind};
use crate::time::Time;

/// A packet that concerns SCTP.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Arrival {
    /// Protocol 132.
    Sctp { src: IpAddr, dst: IpAddr, ecn: Option<Ecn>, payload: Bytes },
    /// An ICMP message about a packet that `src` had sent to `dst`; `quoted` is the beginning of its SCTP packet.
    Error { kind: NetErrorKind, src: IpAddr, dst: IpAddr, quoted: Bytes },
}

/// Reads a packet from its IP header on; `None` if it is damaged, a part of one that is not complete, or about something else.
pub(crate) fn parse(packet: &[u8], parts: &mut Reassembler, now: Time) -> Option<Arrival> {
    let ip = IpSlice::from_slice(packet).ok()?;
    let (src, dst, payload) = (ip.source_addr(), ip.destination_addr(), ip.payload());
    match ip.payload_ip_number() {
        IpNumber::SCTP => {
            let ecn = ecn_of(&ip);
            let payload = if ip.is_fragmenting_payload() { parts.add(&ip, now)?.into() } else { Bytes::copy_from_slice(payload.payload) };
            Some(Arrival::Sctp { src, dst, ecn, payload })
        }
        _ if ip.is_fragmenting_payload() => None,
        IpNumber::ICMP if src.is_ipv4() => error(payload.payload, true),
        IpNumber::IPV6_ICMP if src.is_ipv6() => error(payload.payload, false),
        _ => None,
    }
}

fn ecn_of(ip: &IpSlice<'_>) -> Option<Ecn> {
    let mark = match ip {
        IpSlice::Ipv4(v4) => v4.header().ecn().value(),
        IpSlice::Ipv6(v6) => v6.header().traffic_class() & 0b11,
    };
    match mark {
        1 => Some(Ecn::Ect1),
        2 => Some(Ecn::Ect0),
        3 => Some(Ecn::Ce),
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

    fn parse(packet: &[u8]) -> Option<Arrival> {
        super::parse(packet, &mut Reassembler::default(), Time::ZERO)
    }

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

    /// One packet cut into parts of `size` bytes as a router would, or the sender of an IPv6 packet.
    fn cut(packet: &[u8], size: usize) -> Vec<Vec<u8>> {
        let v4 = packet[0] >> 4 == 4;
        let (header, payload) = packet.split_at(if v4 { 20 } else { 40 });
        let parts: Vec<_> = payload.chunks(size).collect();
        let cut = |(i, part): (usize, &&[u8])| {
            let place = u16::try_from(i * size).unwrap();
            let more = i + 1 < parts.len();
            let mut out = header.to_vec();
            if v4 {
                out[2..4].copy_from_slice(&u16::try_from(20 + part.len()).unwrap().to_be_bytes());
                out[6..8].copy_from_slice(&((place / 8) | if more { 0x2000 } else { 0 }).to_be_bytes());
            } else {
                out[4..6].copy_from_slice(&u16::try_from(8 + part.len()).unwrap().to_be_bytes());
                let next = core::mem::replace(&mut out[6], 44);
                out.extend([next, 0]);
                out.extend((place | u16::from(more)).to_be_bytes());
                out.extend([0, 0, 0, 7]);
            }
            out.extend(*part);
            out
        };
        parts.iter().enumerate().map(cut).collect()
    }

    #[test]
    fn fragments_are_put_together_in_any_order() {
        let payload: Vec<u8> = (0..=255).cycle().take(3_000).collect();
        for (src, dst) in [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")] {
            let parts = cut(&packet(src, dst, None, &payload), 1_000);
            for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
                let mut together = Reassembler::default();
                let got: Vec<_> = order.iter().map(|i| super::parse(&parts[*i], &mut together, Time::ZERO)).collect();
                assert!(got[0].is_none() && got[1].is_none());
                let Some(Arrival::Sctp { payload: whole, .. }) = &got[2] else { panic!("{got:?}") };
                assert_eq!(whole[..], payload[..]);
            }
            // One part alone, then silence.
            let mut together = Reassembler::default();
            assert_eq!(super::parse(&parts[0], &mut together, Time::ZERO), None);
            assert_eq!(super::parse(&parts[1], &mut together, Time::from_millis(31_000)), None);
            assert_eq!(super::parse(&parts[2], &mut together, Time::from_millis(31_000)), None, "the first part is gone");
        }
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
