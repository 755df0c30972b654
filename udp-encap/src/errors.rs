//! ICMP errors about datagrams that left from our sockets, with the piece of the packet that the ICMP message quotes.
//!
//! The quoted piece begins with the SCTP common header, so that the stack can check ports and verification tag before it
//! believes anything (RFC 6951 section 5.5, RFC 9260 section 10). quinn-udp can read the error queue too, but throws the quoted
//! bytes away; hence this reader. Only Linux has such a queue: elsewhere nothing is reported, and the stack's own timers find
//! out.
#![allow(clippy::disallowed_types, reason = "edge: the sockets of the encapsulation live here")]

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

/// Most bytes of the quoted packet that are kept: what an ICMPv6 error of minimum MTU can carry.
pub const MAX_QUOTE: usize = 1232;

/// What the network said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetErrorKind {
    /// Nobody listens on the UDP port (ICMP type 3 code 3, ICMPv6 type 1 code 4).
    PortUnreachable,
    /// Any other ICMP error: network, host or protocol unreachable, prohibited, hop limit exceeded, parameter problem.
    Unreachable {
        /// The ICMP or ICMPv6 type, by the family of [`NetError::dst`].
        icmp_type: u8,
        /// The code within the type.
        code: u8,
    },
    /// The packet was larger than what a link on the way carries.
    TooBig {
        /// The largest IP packet, headers included, that the reporter lets pass, in bytes; 0 if it did not say.
        mtu: u32,
    },
}

/// Who reported the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorOrigin {
    /// The own kernel, which needs no check; it may quote nothing.
    Local,
    /// An ICMP message, which anybody can forge: check the quoted packet.
    Icmp,
}

/// One error about a datagram sent earlier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetError {
    /// What happened.
    pub kind: NetErrorKind,
    /// Who says so.
    pub origin: ErrorOrigin,
    /// The local address that the datagram left from, where known.
    pub src: Option<IpAddr>,
    /// The address and UDP port that the datagram was for.
    pub dst: SocketAddr,
    /// The beginning of its UDP payload as the report quotes it, at most [`MAX_QUOTE`] bytes, possibly none.
    pub quoted: Bytes,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod imp {
    use std::io::{self, IoSliceMut};
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
    use std::os::fd::AsRawFd;

    use bytes::Bytes;
    use nix::errno::Errno;
    use nix::libc;
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrLike, recvmsg, setsockopt, sockopt};

    use super::{ErrorOrigin, MAX_QUOTE, NetError, NetErrorKind};
    use crate::meta::unmapped;

    const ICMP_DEST_UNREACH: u8 = 3;
    const ICMP_CODE_PORT: u8 = 3;
    const ICMP_CODE_FRAG_NEEDED: u8 = 4;
    const ICMP6_DEST_UNREACH: u8 = 1;
    const ICMP6_CODE_PORT: u8 = 4;
    const ICMP6_TOO_BIG: u8 = 2;

    /// Asks the kernel to keep a queue of errors for this socket.
    pub(crate) fn enable(socket: &socket2::Socket, v4: bool) -> io::Result<()> {
        if v4 {
            setsockopt(socket, sockopt::Ipv4RecvErr, &true)?;
        } else {
            setsockopt(socket, sockopt::Ipv6RecvErr, &true)?;
        }
        Ok(())
    }

    /// Takes errors off the queue until one is of interest; `None` when the queue is empty.
    pub(crate) fn read(socket: &socket2::Socket, v4: bool) -> io::Result<Option<NetError>> {
        loop {
            let read = if v4 { read_one::<SockaddrIn>(socket)? } else { read_one::<SockaddrIn6>(socket)? };
            match read {
                Read::Empty => return Ok(None),
                Read::Ignored => {}
                Read::Error(error) => return Ok(Some(error)),
            }
        }
    }

    enum Read {
        Empty,
        Ignored,
        Error(NetError),
    }

    trait Address: SockaddrLike + Copy {
        fn socket_addr(self) -> SocketAddr;
    }

    impl Address for SockaddrIn {
        fn socket_addr(self) -> SocketAddr {
            SocketAddr::V4(SocketAddrV4::from(self))
        }
    }

    impl Address for SockaddrIn6 {
        fn socket_addr(self) -> SocketAddr {
            SocketAddr::V6(SocketAddrV6::from(self))
        }
    }

    fn read_one<A: Address>(socket: &socket2::Socket) -> io::Result<Read> {
        let mut quote = [0u8; MAX_QUOTE];
        let mut iov = [IoSliceMut::new(&mut quote)];
        let mut space = nix::cmsg_space!(
            libc::sock_extended_err,
            libc::sockaddr_in6,
            libc::in6_pktinfo,
            libc::in_pktinfo,
            libc::timespec,
            libc::c_int,
            libc::c_int
        );
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let (kind, dst, src, len) = match recvmsg::<A>(socket.as_raw_fd(), &mut iov, Some(&mut space), flags) {
            Ok(message) => {
                let mut kind = None;
                let mut src = None;
                for control in message.cmsgs()? {
                    match control {
                        ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
                            kind = classify(&error);
                        }
                        ControlMessageOwned::Ipv4PacketInfo(info) => {
                            src = Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr))));
                        }
                        ControlMessageOwned::Ipv6PacketInfo(info) => {
                            src = Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)));
                        }
                        _ => {}
                    }
                }
                (kind, message.address.map(A::socket_addr), src, message.bytes)
            }
            Err(Errno::EAGAIN) => return Ok(Read::Empty),
            Err(Errno::EINTR) => return Ok(Read::Ignored),
            Err(error) => return Err(error.into()),
        };
        let (Some((kind, origin)), Some(dst)) = (kind, dst) else {
            return Ok(Read::Ignored);
        };
        Ok(Read::Error(NetError {
            kind,
            origin,
            src: src.map(|ip| ip.to_canonical()).filter(|ip| !ip.is_unspecified()),
            dst: unmapped(dst),
            quoted: Bytes::copy_from_slice(quote.get(..len).unwrap_or_default()),
        }))
    }

    fn classify(error: &libc::sock_extended_err) -> Option<(NetErrorKind, ErrorOrigin)> {
        let (icmp_type, code) = (error.ee_type, error.ee_code);
        let kind = match error.ee_origin {
            libc::SO_EE_ORIGIN_LOCAL => {
                // The kernel's own "larger than the interface's MTU" for a datagram that never left.
                let too_big = u32::try_from(libc::EMSGSIZE).is_ok_and(|e| e == error.ee_errno);
                return too_big.then_some((NetErrorKind::TooBig { mtu: error.ee_info }, ErrorOrigin::Local));
            }
            libc::SO_EE_ORIGIN_ICMP => match (icmp_type, code) {
                (ICMP_DEST_UNREACH, ICMP_CODE_PORT) => NetErrorKind::PortUnreachable,
                (ICMP_DEST_UNREACH, ICMP_CODE_FRAG_NEEDED) => NetErrorKind::TooBig { mtu: error.ee_info },
                _ => NetErrorKind::Unreachable { icmp_type, code },
            },
            libc::SO_EE_ORIGIN_ICMP6 => match (icmp_type, code) {
                (ICMP6_DEST_UNREACH, ICMP6_CODE_PORT) => NetErrorKind::PortUnreachable,
                (ICMP6_TOO_BIG, _) => NetErrorKind::TooBig { mtu: error.ee_info },
                _ => NetErrorKind::Unreachable { icmp_type, code },
            },
            _ => return None,
        };
        Some((kind, ErrorOrigin::Icmp))
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod imp {
    use std::io;

    use super::NetError;

    /// There is no queue to ask for.
    pub(crate) fn enable(_: &socket2::Socket, _: bool) -> io::Result<()> {
        Ok(())
    }

    /// Nothing is ever reported.
    pub(crate) fn read(_: &socket2::Socket, _: bool) -> io::Result<Option<NetError>> {
        Ok(None)
    }
}

pub(crate) use imp::{enable, read};
