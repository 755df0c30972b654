//! Raw IP sockets of protocol 132: SCTP without encapsulation, as kernels send it.
//!
//! One socket is bound to one local address: every raw socket gets a copy of each packet to its address, so that an unbound one
//! would see what is meant for others. Headers are never included by us: systems differ in how they want them.
#![allow(clippy::disallowed_types, reason = "edge: the sockets that carry SCTP live here")]

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token, event};
use quinn_udp::UdpSocketState;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::batch::RecvBatch;
use crate::errors::{self, NetError};
use crate::marks::labelled;
use crate::meta::{Ecn, Received};
use crate::send::{SEND_ATTEMPTS, fragmenting};
use crate::socket::{BUFFER_BYTES, MAX_ERRORS, drain_errors, is_pending_icmp, set_up};

/// The protocol number of SCTP in the IP header.
pub const IPPROTO_SCTP: u8 = 132;

/// Where a packet goes and what its IP header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawTransmit {
    /// Destination address.
    pub dst: IpAddr,
    /// Interface index for a link-local destination, else 0.
    pub scope: u32,
    /// The TOS or traffic class octet: DSCP in the upper six bits, the ECN mark below.
    pub tos: u8,
    /// IPv6 flow label, 20 bits; zero leaves it to the system.
    pub flow_label: u32,
    /// The IP layer may fragment it.
    pub may_fragment: bool,
}

/// A raw socket of protocol 132, bound to one local address. Non-blocking.
#[derive(Debug)]
pub struct RawSocket {
    socket: Socket,
    state: UdpSocketState,
    addr: IpAddr,
    /// The TOS octet that the socket is set to.
    tos: u8,
    errors: VecDeque<NetError>,
}

/// Raw sockets for all addresses, which take nothing: while they live, the system does not tell anybody that nobody here speaks
/// protocol 132.
///
/// That message ends the peer's association (RFC 9260 section 10, ICMP8), and the system has it sent too easily. The socket of an
/// address is closed when its interface goes down, and opened a moment after that is back: packets come in between. And newer Linux
/// kernels (seen with 6.18) count a packet as taken only by a socket whose buffer has room, where it should only be lost. The
/// buffers of these sockets are never full: their filter lets nothing in.
#[derive(Debug)]
pub struct RawGuard {
    _sockets: Vec<Socket>,
}

impl RawGuard {
    /// Guards both families, as far as the host has them. Systems other than Linux send no such messages, and have nothing here.
    ///
    /// # Errors
    /// `PermissionDenied` without the right to raw sockets.
    pub fn new() -> io::Result<Self> {
        let mut sockets = Vec::new();
        for domain in [Domain::IPV4, Domain::IPV6] {
            match guard(domain) {
                Ok(socket) => sockets.extend(socket),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
                Err(error) => tracing::debug!(?domain, %error, "no guard on raw IP"),
            }
        }
        Ok(Self { _sockets: sockets })
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn guard(domain: Domain) -> io::Result<Option<Socket>> {
    const RETURN: u16 = 0x06;
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(i32::from(IPPROTO_SCTP))))?;
    socket.attach_filter(&[socket2::SockFilter::new(RETURN, 0, 0, 0)])?;
    // What slipped in before the filter would lie there for ever.
    let mut scratch = [core::mem::MaybeUninit::uninit(); 1];
    socket.set_nonblocking(true)?;
    while socket.recv(&mut scratch).is_ok() {}
    Ok(Some(socket))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[allow(clippy::unnecessary_wraps, reason = "as on Linux")]
fn guard(_: Domain) -> io::Result<Option<Socket>> {
    Ok(None)
}

impl RawSocket {
    /// Binds a socket to a local address; `scope` is the interface index of a link-local one, else 0.
    ///
    /// # Errors
    /// `PermissionDenied` without the right to raw sockets (CAP_NET_RAW on Linux), `AddrNotAvailable` for an address that is not
    /// this host's (or not yet usable: IPv6 addresses are probed for duplicates first), and whatever else the system says.
    pub fn bind(addr: IpAddr, scope: u32) -> io::Result<Self> {
        let addr = addr.to_canonical();
        let domain = if addr.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
        let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(i32::from(IPPROTO_SCTP))))?;
        // Large buffers are a wish; the kernel's limit is no error.
        let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(BUFFER_BYTES);
        let to = SockAddr::from(address(addr, 0, scope));
        socket.bind(&to)?;
        let state = set_up(&socket)?;
        errors::enable(&socket, addr.is_ipv4())?;
        Ok(Self { socket, state, addr, tos: 0, errors: VecDeque::new() })
    }

    /// The address that the socket is bound to.
    #[must_use]
    pub const fn addr(&self) -> IpAddr {
        self.addr
    }

    /// Sends one SCTP packet.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room: try again when writable. EMSGSIZE ([`crate::is_too_big`]) if it exceeds the MTU. Other
    /// errors of the system are about this destination only: treat the packet as lost.
    pub fn send(&mut self, t: &RawTransmit, packet: &[u8]) -> io::Result<()> {
        let v4 = self.addr.is_ipv4();
        if t.dst.is_ipv4() != v4 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.set_tos(t.tos)?;
        if t.may_fragment {
            fragmenting(&self.socket, v4, true);
        }
        let dst = SockAddr::from(address(t.dst, t.flow_label, t.scope));
        let mut result = Ok(0);
        for _ in 0..SEND_ATTEMPTS {
            result = self.socket.send_to(packet, &dst);
            match &result {
                Err(error) if is_pending_icmp(error) => drain_errors(&self.socket, v4, &mut self.errors),
                _ => break,
            }
        }
        if t.may_fragment {
            fragmenting(&self.socket, v4, false);
        }
        result.map(|_| ())
    }

    /// The socket is this process's alone, so that the option holds until the next packet that differs.
    fn set_tos(&mut self, tos: u8) -> io::Result<()> {
        if tos != self.tos {
            if self.addr.is_ipv4() {
                self.socket.set_tos_v4(tos.into())?;
            } else {
                self.socket.set_tclass_v6(tos.into())?;
            }
            self.tos = tos;
        }
        Ok(())
    }

    /// Receives one batch through `buffers`, which must be empty, and hands each SCTP packet to `sink`.
    ///
    /// # Errors
    /// `WouldBlock` when the socket is drained; other errors of the system.
    pub fn recv(&mut self, buffers: &mut RecvBatch, mut sink: impl FnMut(Received)) -> io::Result<()> {
        let v4 = self.addr.is_ipv4();
        for _ in 0..MAX_ERRORS {
            match buffers.fill(self.socket.as_fd(), &self.state, false) {
                Ok(_) => {
                    while let Some(received) = buffers.pop() {
                        let packet = if v4 { without_header(received) } else { Some(received) };
                        packet.map(&mut sink);
                    }
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if is_pending_icmp(&error) => drain_errors(&self.socket, v4, &mut self.errors),
                Err(error) => return Err(error),
            }
        }
        // The readiness edge that brought us here may have been an error's.
        drain_errors(&self.socket, v4, &mut self.errors);
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// The oldest ICMP error that was found while sending or receiving. Its quoted bytes begin with the SCTP header.
    pub fn take_error(&mut self) -> Option<NetError> {
        self.errors.pop_front()
    }
}

fn address(addr: IpAddr, flow_label: u32, scope: u32) -> SocketAddr {
    match addr {
        IpAddr::V4(v4) => SocketAddr::new(v4.into(), 0),
        IpAddr::V6(v6) => labelled(SocketAddrV6::new(v6, 0, 0, scope).into(), flow_label),
    }
}

/// Takes the IPv4 header off, which raw sockets deliver. Of its length fields only the header's own is trusted: some systems
/// change the other before they deliver.
fn without_header(received: Received) -> Option<Received> {
    let bytes = &received.bytes;
    let first = *bytes.first()?;
    let header = usize::from(first & 0x0f) * 4;
    if first >> 4 != 4 || header < 20 || bytes.len() <= header {
        return None;
    }
    let tos = *bytes.get(1)?;
    let dst: [u8; 4] = bytes.get(16..20)?.try_into().ok()?;
    let mut meta = received.meta;
    meta.dst_ip = Some(Ipv4Addr::from(dst).into());
    meta.ecn = Ecn::from_bits(tos);
    let bytes = bytes.slice(header..);
    Some(Received { meta, stride: bytes.len(), bytes })
}

/// The local address that routing chooses for packets to `dst`; `scope` is the interface index of a link-local one, else 0.
///
/// # Errors
/// There is no route, or no socket can be made.
pub fn source_for(dst: IpAddr, scope: u32) -> io::Result<IpAddr> {
    let unspecified = if dst.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let domain = if dst.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    // Connecting a datagram socket sends nothing; the port is of no importance.
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.bind(&SockAddr::from(SocketAddr::new(unspecified, 0)))?;
    let mut to = address(dst, 0, scope);
    to.set_port(9);
    socket.connect(&SockAddr::from(to))?;
    socket.local_addr()?.as_socket().map(|a| a.ip().to_canonical()).ok_or_else(|| io::ErrorKind::Unsupported.into())
}

impl AsFd for RawSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl event::Source for RawSocket {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        SourceFd(&self.socket.as_fd().as_raw_fd()).register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        SourceFd(&self.socket.as_fd().as_raw_fd()).reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        SourceFd(&self.socket.as_fd().as_raw_fd()).deregister(registry)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::meta::DatagramMeta;

    fn packet(bytes: &[u8]) -> Received {
        let meta = DatagramMeta { src: "192.0.2.1:0".parse().unwrap(), dst_ip: None, ifindex: None, ecn: None };
        Received { meta, bytes: Bytes::copy_from_slice(bytes), stride: bytes.len() }
    }

    #[test]
    fn the_header_is_taken_off_with_its_options() {
        let mut bytes = vec![0u8; 24];
        bytes[0] = 0x46;
        bytes[1] = 0b1010_1011;
        bytes[16..20].copy_from_slice(&[192, 0, 2, 7]);
        bytes.extend_from_slice(b"SCTP");
        let stripped = without_header(packet(&bytes)).unwrap();
        assert_eq!(&stripped.bytes[..], b"SCTP");
        assert_eq!(stripped.stride, 4);
        assert_eq!((stripped.meta.dst_ip, stripped.meta.ecn), (Some("192.0.2.7".parse().unwrap()), Some(Ecn::Ce)));
    }

    #[test]
    fn what_is_no_ipv4_packet_is_dropped() {
        for bytes in [&b""[..], &[0x45; 19], &[0x45; 20], &[0x44; 40], &[0x65; 40], &[0x4f; 59]] {
            assert_eq!(without_header(packet(bytes)), None, "{bytes:?}");
        }
    }

    #[test]
    fn routing_names_the_source() {
        assert_eq!(source_for("127.0.0.1".parse().unwrap(), 0).unwrap(), "127.0.0.1".parse::<IpAddr>().unwrap());
    }
}
