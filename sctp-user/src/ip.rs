//! IP packets as bytes: for captures, and for devices that carry whole packets.

use std::net::IpAddr;

use etherparse::{IpDscp, IpEcn, IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header, UdpHeader};

use crate::net::Ecn;

#[cfg(all(feature = "tun", target_os = "linux"))]
mod reassembly;
#[cfg(all(feature = "tun", target_os = "linux"))]
pub(crate) mod received;

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
