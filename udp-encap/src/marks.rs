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
    use nix::sys::socket::setsockopt;
    use nix::{libc, setsockopt_impl, sockopt_impl};
    use socket2::Domain;

    use super::{Socket, io};
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
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use linux::{heed_labels, octet};

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
