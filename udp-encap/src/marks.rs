//! DSCP and flow labels of outgoing datagrams, which quinn-udp leaves at zero.

#![allow(clippy::disallowed_types, reason = "edge: options of the sockets of the encapsulation")]

use std::io;
use std::net::SocketAddr;

use socket2::Socket;

/// Most that a flow label can be: 20 bits.
const MAX_FLOW_LABEL: u32 = 0xf_ffff;

/// The destination with the flow label in it, in the byte order that the system wants there.
pub(crate) fn labelled(dst: SocketAddr, flow_label: u32) -> SocketAddr {
    match dst {
        SocketAddr::V6(mut v6) if flow_label != 0 => {
            v6.set_flowinfo((flow_label & MAX_FLOW_LABEL).to_be());
            v6.into()
        }
        other => other,
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use std::io::IoSlice;
    use std::net::IpAddr;
    use std::os::fd::AsRawFd as _;

    use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg, setsockopt};
    use nix::{libc, setsockopt_impl, sockopt_impl};
    use socket2::Domain;

    use super::{Socket, SocketAddr, io, labelled};
    use crate::socket::Transmit;

    sockopt_impl!(
        /// Whether the flow label of a destination counts.
        FlowInfoSend,
        SetOnly,
        libc::IPPROTO_IPV6,
        libc::IPV6_FLOWINFO_SEND,
        bool
    );

    /// Has the system heed the flow labels of destinations.
    pub(crate) fn heed_labels(socket: &Socket) -> io::Result<()> {
        if socket.domain()? == Domain::IPV6 { setsockopt(socket, FlowInfoSend, &true).map_err(io::Error::from) } else { Ok(()) }
    }

    /// The octet of the IP header that has DSCP and ECN mark: type of service, or traffic class.
    pub(crate) fn octet(t: &Transmit) -> u8 {
        (t.dscp << 2) | t.ecn.map_or(0, |mark| mark as u8)
    }

    /// One system call for a datagram or train whose TOS or traffic class octet holds more than an ECN mark.
    pub(crate) fn send(socket: &Socket, t: &Transmit, segment_size: Option<usize>, contents: &[u8]) -> io::Result<()> {
        let tos = octet(t);
        let class = i32::from(tos);
        let (v4, v6);
        let mut control = Vec::with_capacity(3);
        control.push(if t.dst.is_ipv4() { ControlMessage::Ipv4Tos(&tos) } else { ControlMessage::Ipv6TClass(&class) });
        match t.src {
            Some(IpAddr::V4(src)) => {
                let spec_dst = libc::in_addr { s_addr: u32::from_ne_bytes(src.octets()) };
                v4 = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: spec_dst, ipi_addr: libc::in_addr { s_addr: 0 } };
                control.push(ControlMessage::Ipv4PacketInfo(&v4));
            }
            Some(IpAddr::V6(src)) => {
                v6 = libc::in6_pktinfo { ipi6_ifindex: 0, ipi6_addr: libc::in6_addr { s6_addr: src.octets() } };
                control.push(ControlMessage::Ipv6PacketInfo(&v6));
            }
            None => {}
        }
        let segment = segment_size.and_then(|s| u16::try_from(s).ok());
        if let Some(segment) = &segment {
            control.push(ControlMessage::UdpGsoSegments(segment));
        }
        let to = match labelled(t.dst, t.flow_label) {
            SocketAddr::V4(v4) => SockaddrStorage::from(v4),
            SocketAddr::V6(v6) => SockaddrStorage::from(v6),
        };
        sendmsg(socket.as_raw_fd(), &[IoSlice::new(contents)], &control, MsgFlags::empty(), Some(&to))?;
        Ok(())
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use linux::{heed_labels, octet, send};

/// No portable way to have labels heeded, nor to name the octet for a single datagram: both stay zero.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn heed_labels(_: &Socket) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ipv6_has_flow_labels() {
        let v4: SocketAddr = "192.0.2.1:9899".parse().unwrap();
        assert_eq!(labelled(v4, 5), v4);
        let v6: SocketAddr = "[fe80::1%3]:9899".parse().unwrap();
        assert_eq!(labelled(v6, 0), v6);
        let SocketAddr::V6(marked) = labelled(v6, 0x12_3456) else { panic!("another family") };
        assert_eq!((u32::from_be(marked.flowinfo()), marked.scope_id()), (0x2_3456, 3));
    }
}
