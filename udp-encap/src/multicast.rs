//! Plain datagrams to and from multicast groups: the announces of ENRP and ASAP servers.
//!
//! On the loopback interface they work without any route or privilege, even in an empty network namespace, if three things
//! hold: the group is joined by the interface **address** 127.0.0.1, the outgoing interface is set by that address too (by
//! index, the source address would become 0.0.0.0), and the sender is bound to 127.0.0.1. IPv6 has no such way, because the
//! loopback interface has no multicast route there.
#![allow(clippy::disallowed_types, reason = "edge: the sockets of the encapsulation live here")]

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use bytes::{Bytes, BytesMut};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token, event};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::meta::unmapped;

/// An announce is a short message; a longer datagram is cut off and will not parse.
const MAX_ANNOUNCE: usize = 2_048;

/// A network interface, named the way that its family's multicast options want it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interface {
    /// The interface with this IPv4 address.
    V4(Ipv4Addr),
    /// The interface with this index, for IPv6.
    Index(u32),
}

/// How to send announces by one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderConfig {
    /// Multicast address and port of the group.
    pub group: SocketAddr,
    /// Source address and port of the announces: a listener takes the port for the announcing server's SCTP port.
    pub source: SocketAddr,
    /// The interface to send by; of the family of `group`.
    pub interface: Interface,
    /// Time to live, 0 to 255; 1 stays on the link.
    pub ttl: u8,
}

fn mixed_families() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "group, source and interface are of different families")
}

fn shared_socket(group: SocketAddr) -> io::Result<Socket> {
    if !group.ip().is_multicast() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a multicast address"));
    }
    let socket = Socket::new(Domain::for_address(group), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // Several processes announce from, and listen on, one port. On the BSDs that takes SO_REUSEPORT as well, which on Linux
    // would instead spread the datagrams over the listeners.
    socket.set_reuse_address(true)?;
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "solaris", target_os = "illumos")))]
    socket.set_reuse_port(true)?;
    if group.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// Sends announces to one group by one interface. Copies are looped back to listeners on this host.
#[derive(Debug)]
pub struct AnnounceSender {
    socket: Socket,
    group: SocketAddr,
}

impl AnnounceSender {
    /// Binds to the source and sets the interface.
    ///
    /// # Errors
    /// `InvalidInput` if the families differ or the group is no multicast address; errors of the system, for example
    /// `AddrInUse` if a socket without SO_REUSEADDR holds the source port.
    pub fn new(config: &SenderConfig) -> io::Result<Self> {
        let socket = shared_socket(config.group)?;
        match (config.group.ip(), config.source.ip(), config.interface) {
            (IpAddr::V4(_), IpAddr::V4(_), Interface::V4(address)) => {
                socket.set_multicast_if_v4(&address)?;
                socket.set_multicast_ttl_v4(u32::from(config.ttl))?;
                socket.set_multicast_loop_v4(true)?;
            }
            (IpAddr::V6(_), IpAddr::V6(_), Interface::Index(index)) => {
                socket.set_multicast_if_v6(index)?;
                socket.set_multicast_hops_v6(u32::from(config.ttl))?;
                socket.set_multicast_loop_v6(true)?;
            }
            _ => return Err(mixed_families()),
        }
        socket.bind(&SockAddr::from(config.source))?;
        Ok(Self { socket, group: config.group })
    }

    /// Sends one announce.
    ///
    /// # Errors
    /// Of the system; `WouldBlock` included. An announce is repeated anyway: log and go on.
    pub fn send(&self, announce: &[u8]) -> io::Result<()> {
        self.socket.send_to(announce, &SockAddr::from(self.group)).map(|_| ())
    }

    /// The source address and port.
    ///
    /// # Errors
    /// Of the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::Unsupported.into())
    }
}

/// Receives the announces of one group. Each of several listeners on the host gets every announce.
#[derive(Debug)]
pub struct AnnounceListener {
    socket: Socket,
    group: SocketAddr,
}

impl AnnounceListener {
    /// Binds to the group's address and port and joins the group on every interface that allows it.
    ///
    /// # Errors
    /// `InvalidInput` for a group that is no multicast address or an interface of the other family; the last error if no
    /// interface could be joined; errors of the system.
    pub fn new(group: SocketAddr, interfaces: &[Interface]) -> io::Result<Self> {
        let socket = shared_socket(group)?;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if group.is_ipv4() {
            // Else groups that other processes joined would come here as well.
            socket.set_multicast_all_v4(false)?;
        }
        // Bound to the group and not to the wildcard: unicast to the port belongs to somebody else.
        socket.bind(&SockAddr::from(group))?;
        let listener = Self { socket, group };
        let mut joined = false;
        let mut last = io::Error::new(io::ErrorKind::InvalidInput, "no interface to listen on");
        for interface in interfaces {
            match listener.join(*interface) {
                Ok(()) => joined = true,
                Err(error) => {
                    tracing::debug!(%error, ?interface, %group, "cannot join");
                    last = error;
                }
            }
        }
        if joined { Ok(listener) } else { Err(last) }
    }

    /// Joins the group on one more interface. Joined already is no error.
    ///
    /// # Errors
    /// `InvalidInput` for an interface of the other family; errors of the system.
    pub fn join(&self, interface: Interface) -> io::Result<()> {
        let result = match (self.group.ip(), interface) {
            (IpAddr::V4(group), Interface::V4(address)) => self.socket.join_multicast_v4(&group, &address),
            (IpAddr::V6(group), Interface::Index(index)) => self.socket.join_multicast_v6(&group, index),
            _ => return Err(mixed_families()),
        };
        match result {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(()),
            other => other,
        }
    }

    /// Receives one announce and the address that it came from.
    ///
    /// # Errors
    /// `WouldBlock` when there is none; errors of the system.
    pub fn recv(&mut self) -> io::Result<(Bytes, SocketAddr)> {
        let mut buffer = BytesMut::zeroed(MAX_ANNOUNCE);
        loop {
            let (len, from) = self.recv_into(&mut buffer)?;
            if let Some(from) = from {
                buffer.truncate(len);
                return Ok((buffer.freeze(), unmapped(from)));
            }
        }
    }

    fn recv_into(&self, buffer: &mut [u8]) -> io::Result<(usize, Option<SocketAddr>)> {
        let (len, _, from) = rustix::net::recvfrom(&self.socket, buffer, rustix::net::RecvFlags::DONTWAIT)?;
        Ok((len, from.and_then(|addr| SocketAddr::try_from(addr).ok())))
    }

    /// The group's address and port.
    #[must_use]
    pub const fn group(&self) -> SocketAddr {
        self.group
    }
}

macro_rules! descriptor {
    ($type:ty) => {
        impl AsFd for $type {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.socket.as_fd()
            }
        }

        impl event::Source for $type {
            fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
                SourceFd(&self.socket.as_raw_fd()).register(registry, token, interests)
            }

            fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
                SourceFd(&self.socket.as_raw_fd()).reregister(registry, token, interests)
            }

            fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
                SourceFd(&self.socket.as_raw_fd()).deregister(registry)
            }
        }
    };
}

descriptor!(AnnounceSender);
descriptor!(AnnounceListener);
