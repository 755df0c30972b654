//! The UDP sockets that carry SCTP: one for each IP family, on the same port.
#![allow(clippy::disallowed_types, reason = "edge: the sockets of the encapsulation live here")]

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use mio::event::Source as _;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token, event};
use quinn_udp::{UdpSockRef, UdpSocketState};
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::batch::RecvBatch;
use crate::errors::{self, NetError};
use crate::marks;
use crate::meta::{Ecn, unmapped};
use crate::send::Sender;

/// Asked for in both directions; the kernel grants what its limits allow.
pub(crate) const BUFFER_BYTES: usize = 4 << 20;
/// ICMP errors kept until [`UdpEncap::take_error`]; further ones are dropped, as the network may drop them too.
pub(crate) const MAX_ERRORS: usize = 256;
/// Longest train whose datagrams are given to the kernel one by one: with one system call where there is one for many.
pub(crate) const TRAIN_APART: usize = 64;
/// Longest train asked for where the kernel cuts it: so many packets of an Ethernet's 1,500 bytes fit into the 64 KiB of one call. A
/// longer one would take two calls, and come as two trains.
const TRAIN_CUT: usize = 44;
/// How often both families are tried at a common free port.
const FREE_PORT_ATTEMPTS: usize = 16;

/// Which local addresses to receive on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bind {
    /// All addresses of both families; IPv4 alone where there is no IPv6.
    #[default]
    Any,
    /// All IPv4 addresses.
    V4,
    /// All IPv6 addresses and no IPv4-mapped ones.
    V6,
    /// One address.
    Addr(IpAddr),
}

/// Where a datagram, or a train of datagrams, goes and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Source address; it must be one of this host. `None`: the kernel chooses.
    pub src: Option<IpAddr>,
    /// Destination address and UDP port, with the scope identifier where link-local.
    pub dst: SocketAddr,
    /// ECN mark of every datagram.
    pub ecn: Option<Ecn>,
    /// DSCP of every datagram, 0 to 63 (RFC 2474); Linux only, zero elsewhere.
    pub dscp: u8,
    /// IPv6 flow label, 20 bits (RFC 6437); zero leaves it to the system.
    pub flow_label: u32,
    /// `Some(n)`: the bytes are a train of datagrams of `n` bytes each (at least 1), the last one perhaps shorter.
    pub segment_size: Option<usize>,
    /// The IP layer may fragment this datagram. Never for a train, where it is ignored.
    pub may_fragment: bool,
}

impl Transmit {
    /// One datagram to `dst`, source chosen by the kernel, unmarked and not to be fragmented.
    #[must_use]
    pub const fn to(dst: SocketAddr) -> Self {
        Self { src: None, dst, ecn: None, dscp: 0, flow_label: 0, segment_size: None, may_fragment: false }
    }

    /// Whether the addresses are of one family, none of them is an IPv4-mapped one or stands for none, and the destination has no flow
    /// label of its own.
    #[inline]
    fn is_plain(&self) -> bool {
        match (self.dst, self.src) {
            (SocketAddr::V4(_), None) => true,
            (SocketAddr::V4(_), Some(IpAddr::V4(src))) => !src.is_unspecified(),
            (SocketAddr::V4(_), Some(IpAddr::V6(_))) | (SocketAddr::V6(_), Some(IpAddr::V4(_))) => false,
            (SocketAddr::V6(dst), src) => {
                let src = match src {
                    Some(IpAddr::V6(src)) => !src.is_unspecified() && src.to_ipv4_mapped().is_none(),
                    _ => true,
                };
                src && dst.ip().to_ipv4_mapped().is_none() && dst.flowinfo() == 0
            }
        }
    }

    /// The same, but plain; fails if the addresses are of two families.
    #[cold]
    fn to_plain(self) -> io::Result<Self> {
        let src = self.src.map(|ip| ip.to_canonical()).filter(|ip| !ip.is_unspecified());
        let plain = Self { src, dst: unmapped(self.dst), ..self };
        if src.is_some_and(|ip| ip.is_ipv4() != plain.dst.is_ipv4()) { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(plain) }
    }
}

/// What the sockets can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// IPv4 is served.
    pub ipv4: bool,
    /// IPv6 is served.
    pub ipv6: bool,
    /// ECN marks can be set and are reported.
    pub ecn: bool,
    /// Most datagrams that one system call sends. Longer trains are split, and so are all where the system has no such call.
    pub max_segments: usize,
    /// Datagrams leave unfragmented, so that the path MTU can be probed.
    pub df: bool,
}

/// Whether a failed send says that the datagram exceeds the MTU of the interface, or of the path as far as known.
#[must_use]
pub fn is_too_big(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::MSGSIZE.raw_os_error())
}

/// The socket of one IP family.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) socket: Socket,
    pub(crate) state: UdpSocketState,
    pub(crate) v4: bool,
    /// Most datagrams of a train that the kernel cuts; 1 if it shall not, or cannot.
    pub(crate) cut: usize,
    /// A device has refused a train to be cut.
    refused: bool,
    /// There may be something to read: an event said so, and no read has come back short since.
    readable: bool,
    /// There may be ICMP errors to read.
    erred: bool,
    /// The rest of a train that the kernel did not take; at most one train, sent before anything else.
    pub(crate) unsent: Option<(Transmit, Vec<u8>)>,
}

/// Sets the options that quinn-udp works with, but without the time stamps that it asks the kernel for: nobody reads them,
/// and on a train they leave no room for the ECN mark in quinn-udp's 96 octets for control messages (0.6.3).
pub(crate) fn set_up(socket: &Socket) -> io::Result<UdpSocketState> {
    let state = UdpSocketState::new(UdpSockRef::from(socket))?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::ReceiveTimestampns, &false)?;
    marks::heed_labels(socket)?;
    Ok(state)
}

impl Family {
    fn new(socket: Socket, v4: bool) -> io::Result<Self> {
        let state = set_up(&socket)?;
        errors::enable(&socket, v4)?;
        let cut = state.max_gso_segments().max(1);
        Ok(Self { socket, state, v4, cut, refused: false, readable: true, erred: true, unsent: None })
    }

    fn bind(addr: SocketAddr) -> io::Result<Self> {
        let v4 = addr.is_ipv4();
        let domain = if v4 { Domain::IPV4 } else { Domain::IPV6 };
        // Neither SO_REUSEADDR nor SO_REUSEPORT: another program could take over the port with them.
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        if !v4 {
            socket.set_only_v6(true)?;
        }
        // Large buffers are a wish; the kernel's limit is no error.
        let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(BUFFER_BYTES);
        socket.bind(&SockAddr::from(addr))?;
        Self::new(socket, v4)
    }

    fn port(&self) -> io::Result<u16> {
        self.socket.local_addr()?.as_socket().map(|a| a.port()).ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// Most datagrams of one system call.
    fn max_segments(&self) -> usize {
        match self.cut {
            1 => TRAIN_APART,
            cut => cut.min(TRAIN_CUT),
        }
    }

    pub(crate) fn set_offload(&mut self, on: bool) -> io::Result<()> {
        self.cut = if on && !self.refused { self.state.max_gso_segments().max(1) } else { 1 };
        #[cfg(any(target_os = "linux", target_os = "android"))]
        nix::sys::socket::setsockopt(&self.socket, nix::sys::socket::sockopt::UdpGroSegment, &on)?;
        Ok(())
    }

    /// A device does not cut trains.
    pub(crate) fn cut_no_more(&mut self, error: &io::Error) {
        if self.cut > 1 {
            tracing::info!(%error, "no more trains for the kernel to cut: the device refuses them");
        }
        (self.cut, self.refused) = (1, true);
    }

    pub(crate) fn read_errors(&self, into: &mut VecDeque<NetError>) {
        drain_errors(&self.socket, self.v4, into);
    }
}

/// Moves the errors of a socket's queue into `into`, as many as have room there.
pub(crate) fn drain_errors(socket: &Socket, v4: bool, into: &mut VecDeque<NetError>) {
    // A bound on the rounds, as forged ICMP could arrive as fast as it is read.
    for _ in 0..MAX_ERRORS {
        match errors::read(socket, v4) {
            Ok(Some(error)) if into.len() < MAX_ERRORS => into.push_back(error),
            Ok(Some(_)) => tracing::debug!("ICMP error dropped: too many wait to be taken"),
            Ok(None) => break,
            Err(error) => {
                tracing::warn!(%error, "cannot read the error queue of a socket");
                break;
            }
        }
    }
}

/// The UDP sockets of RFC 6951 on one port: non-blocking, with source address selection, ECN marks, batches, segmentation
/// offload and ICMP errors as far as the system has them.
#[derive(Debug)]
pub struct UdpEncap {
    v4: Option<Family>,
    v6: Option<Family>,
    port: u16,
    errors: VecDeque<NetError>,
    /// Whether this process takes the ICMP errors; of several that share the sockets only one does.
    reads_errors: bool,
    /// The family that is read first, alternating so that neither starves.
    v6_first: bool,
}

impl UdpEncap {
    /// Binds the sockets. Port 0 takes a free one, the same in both families.
    ///
    /// # Errors
    /// `AddrInUse` if somebody else has the port, `AddrNotAvailable` for an address that is not this host's, and whatever
    /// else the system says about sockets.
    pub fn bind(bind: Bind, port: u16) -> io::Result<Self> {
        let v4_any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let v6_any = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        match bind {
            Bind::V4 => Self::bind_one(v4_any, port),
            Bind::V6 => Self::bind_one(v6_any, port),
            Bind::Addr(ip) => Self::bind_one(ip.to_canonical(), port),
            Bind::Any => {
                let attempts = if port == 0 { FREE_PORT_ATTEMPTS } else { 1 };
                let mut result = Self::bind_both(port);
                for _ in 1..attempts {
                    // The port that was free for IPv4 is taken for IPv6: another one.
                    if !matches!(&result, Err(e) if e.kind() == io::ErrorKind::AddrInUse) {
                        break;
                    }
                    result = Self::bind_both(port);
                }
                result
            }
        }
    }

    fn bind_one(ip: IpAddr, port: u16) -> io::Result<Self> {
        let family = Family::bind(SocketAddr::new(ip, port))?;
        if family.v4 { Self::of(Some(family), None) } else { Self::of(None, Some(family)) }
    }

    fn bind_both(port: u16) -> io::Result<Self> {
        let v4 = Family::bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port))?;
        let v6 = match Family::bind(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), v4.port()?)) {
            Ok(v6) => Some(v6),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            Err(error) => {
                tracing::debug!(%error, "no IPv6 here, going on with IPv4");
                None
            }
        };
        Self::of(Some(v4), v6)
    }

    fn of(v4: Option<Family>, v6: Option<Family>) -> io::Result<Self> {
        let port = match v4.as_ref().or(v6.as_ref()) {
            Some(family) => family.port()?,
            None => return Err(io::Error::new(io::ErrorKind::InvalidInput, "no UDP socket")),
        };
        Ok(Self { v4, v6, port, errors: VecDeque::new(), reads_errors: true, v6_first: false })
    }

    /// Takes over bound UDP sockets that another process handed to us: at most one of each family.
    ///
    /// # Errors
    /// `InvalidInput` if a descriptor is no bound UDP socket, two are of one family or there is none.
    pub fn from_fds(fds: impl IntoIterator<Item = OwnedFd>) -> io::Result<Self> {
        let invalid = |what: &'static str| io::Error::new(io::ErrorKind::InvalidInput, what);
        let (mut v4, mut v6) = (None, None);
        for fd in fds {
            let socket = Socket::from(fd);
            let addr = socket.local_addr()?.as_socket().ok_or_else(|| invalid("not an IP socket"))?;
            if socket.r#type()? != Type::DGRAM || addr.port() == 0 {
                return Err(invalid("not a bound UDP socket"));
            }
            let slot = if addr.is_ipv4() { &mut v4 } else { &mut v6 };
            if slot.is_some() {
                return Err(invalid("two sockets of one family"));
            }
            *slot = Some(Family::new(socket, addr.is_ipv4())?);
        }
        Self::of(v4, v6)
    }

    /// The sockets, to be duplicated into another process; IPv4 first.
    #[must_use]
    pub fn as_fds(&self) -> Vec<BorrowedFd<'_>> {
        self.families().map(|family| family.socket.as_fd()).collect()
    }

    fn families(&self) -> impl Iterator<Item = &Family> {
        self.v4.iter().chain(&self.v6)
    }

    /// The UDP port, of both families.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What these sockets can do.
    #[must_use]
    pub fn caps(&self) -> Caps {
        Caps {
            ipv4: self.v4.is_some(),
            ipv6: self.v6.is_some(),
            ecn: cfg!(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_vendor = "apple")),
            max_segments: self.max_segments(),
            df: self.families().all(|f| !f.state.may_fragment()),
        }
    }

    /// See [`Caps::max_segments`].
    #[must_use]
    pub fn max_segments(&self) -> usize {
        self.families().map(Family::max_segments).min().unwrap_or(1)
    }

    /// Whether trains are handed to the kernel whole, and received ones joined by it (UDP_SEGMENT and UDP_GRO; the default where there
    /// are such things). Without, every datagram is a message of its own between the kernel and us, as on other systems.
    ///
    /// # Errors
    /// Of the system.
    pub fn set_offload(&mut self, on: bool) -> io::Result<()> {
        self.v4.iter_mut().chain(&mut self.v6).try_for_each(|family| family.set_offload(on))
    }

    /// Says whether this process takes the ICMP errors (the default). A process that shares the sockets and does not receive
    /// leaves them to the one that does.
    pub(crate) fn read_errors(&mut self, on: bool) {
        self.reads_errors = on;
    }

    /// Sends a datagram, or a train of them, to `t.dst`.
    ///
    /// If the kernel takes only the beginning of a train, the rest is kept and sent before the next one.
    ///
    /// # Errors
    /// `WouldBlock` if nothing was taken: keep it and try again when writable. EMSGSIZE ([`is_too_big`]) if a datagram exceeds
    /// the MTU. `AddrNotAvailable` if `t.src` is not an address of this host. `Unsupported` if the family has no socket.
    /// Other errors of the system are about this destination only: treat the bytes as lost.
    pub fn send(&mut self, t: &Transmit, bytes: &[u8]) -> io::Result<()> {
        let plain;
        let t = if t.is_plain() {
            t
        } else {
            plain = t.to_plain()?;
            &plain
        };
        if bytes.is_empty() || t.segment_size == Some(0) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let family = if t.dst.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        let Some(family) = family else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let mut sender = Sender { family, errors: &mut self.errors, reads_errors: self.reads_errors };
        sender.flush()?;
        sender.send(t, bytes)
    }

    /// Sends what was left of trains that the kernel did not take whole.
    ///
    /// # Errors
    /// `WouldBlock` if it still does not.
    pub fn flush(&mut self) -> io::Result<()> {
        let (errors, reads_errors) = (&mut self.errors, self.reads_errors);
        for family in self.v4.iter_mut().chain(&mut self.v6) {
            Sender { family, errors, reads_errors }.flush()?;
        }
        Ok(())
    }

    /// Receives one batch from one of the sockets into `batch`, which must be empty.
    ///
    /// # Errors
    /// `WouldBlock` when both sockets are drained; other errors of the system.
    pub fn recv(&mut self, batch: &mut RecvBatch) -> io::Result<()> {
        self.note_all();
        if self.recv_ready(batch)? { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    /// Something may have come on either socket, which no event tells of.
    pub(crate) fn note_all(&mut self) {
        for family in self.v4.iter_mut().chain(&mut self.v6) {
            (family.readable, family.erred) = (true, true);
        }
    }

    /// An event told of one of the sockets.
    pub(crate) fn note_ready(&mut self, v4: bool, readable: bool, erred: bool) {
        if let Some(family) = if v4 { &mut self.v4 } else { &mut self.v6 } {
            // An error fails a read, which then says nothing of what is behind it.
            family.readable |= readable || erred;
            family.erred |= erred;
        }
    }

    /// Whether [`UdpEncap::take_error`] has something.
    pub(crate) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Whether [`UdpEncap::recv_ready`] or [`UdpEncap::take_error`] may have something.
    pub(crate) fn is_ready(&self) -> bool {
        self.has_errors() || self.families().any(|family| family.readable || family.erred)
    }

    /// Like [`UdpEncap::recv`], from the sockets only that events told of; whether something was read. A read that comes back short has
    /// emptied its socket, and whatever comes later makes an event of its own: nothing is read in vain to learn what is known.
    pub(crate) fn recv_ready(&mut self, batch: &mut RecvBatch) -> io::Result<bool> {
        self.v6_first = !self.v6_first;
        // A bound on the rounds, as forged ICMP could arrive as fast as it is read.
        for _ in 0..MAX_ERRORS {
            let order = if self.v6_first { [&mut self.v6, &mut self.v4] } else { [&mut self.v4, &mut self.v6] };
            let Some(family) = order.into_iter().flatten().find(|family| family.readable) else { break };
            match batch.fill(family.socket.as_fd(), &family.state, true) {
                Ok(more) => {
                    family.readable = more;
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => family.readable = false,
                Err(error) if is_pending_icmp(&error) => {
                    if self.reads_errors {
                        family.read_errors(&mut self.errors);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        if self.reads_errors {
            for family in self.v4.iter_mut().chain(&mut self.v6).filter(|family| family.erred) {
                family.erred = false;
                family.read_errors(&mut self.errors);
            }
        }
        Ok(false)
    }

    /// Watches the sockets, each under a token of its own (IPv4 first), for what is wanted now in place of what was.
    pub(crate) fn watch(&self, registry: &Registry, tokens: [Token; 2], had: Option<Interest>, wanted: Option<Interest>) -> io::Result<()> {
        for (family, token) in [&self.v4, &self.v6].into_iter().zip(tokens) {
            let Some(family) = family else { continue };
            let fd = family.socket.as_raw_fd();
            let mut source = SourceFd(&fd);
            match (had, wanted) {
                (None, Some(wanted)) => source.register(registry, token, wanted)?,
                (Some(had), Some(wanted)) if had != wanted => source.reregister(registry, token, wanted)?,
                (Some(_), None) => source.deregister(registry)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether the rest of a train waits for [`UdpEncap::flush`].
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        self.families().any(|family| family.unsent.is_some())
    }

    /// The oldest ICMP error that was found while sending or receiving. Ask after each [`UdpEncap::recv`] and failed send.
    pub fn take_error(&mut self) -> Option<NetError> {
        self.errors.pop_front()
    }
}

/// Whether the error may be an earlier datagram's that the kernel reports on whatever call comes next.
pub(crate) fn is_pending_icmp(error: &io::Error) -> bool {
    let Some(errno) = error.raw_os_error() else {
        return false;
    };
    [
        Errno::CONNREFUSED,
        Errno::HOSTUNREACH,
        Errno::NETUNREACH,
        Errno::HOSTDOWN,
        Errno::NOPROTOOPT,
        Errno::PROTO,
        Errno::OPNOTSUPP,
        Errno::ACCESS,
        Errno::MSGSIZE,
    ]
    .iter()
    .any(|e| e.raw_os_error() == errno)
}

/// Both sockets under one token.
impl event::Source for UdpEncap {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.families().try_for_each(|f| SourceFd(&f.socket.as_raw_fd()).register(registry, token, interests))
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.families().try_for_each(|f| SourceFd(&f.socket.as_raw_fd()).reregister(registry, token, interests))
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.families().try_for_each(|f| SourceFd(&f.socket.as_raw_fd()).deregister(registry))
    }
}
