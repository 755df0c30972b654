//! Sending on the socket of one IP family.
#![allow(clippy::disallowed_types, reason = "edge: the sockets of the encapsulation live here")]

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::errors::NetError;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use crate::meta::Ecn;
use crate::socket::{Family, Transmit, is_pending_icmp, is_too_big};

/// How often one datagram is sent again because an earlier one's ICMP error failed the call.
pub(crate) const SEND_ATTEMPTS: usize = 4;
/// Largest train given to the kernel in one call: an IP packet's 65,535 bytes less the headers of IPv6 and UDP.
const MAX_TRAIN: usize = 65_535 - 40 - 8;

/// The ways of sending on one socket.
pub(crate) struct Sender<'a> {
    pub(crate) family: &'a mut Family,
    pub(crate) errors: &'a mut VecDeque<NetError>,
    pub(crate) reads_errors: bool,
}

impl Sender<'_> {
    /// Sends what was left of a train.
    #[inline]
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.family.unsent.is_some() { self.send_rest() } else { Ok(()) }
    }

    #[cold]
    fn send_rest(&mut self) -> io::Result<()> {
        let Some((t, rest)) = self.family.unsent.take() else {
            return Ok(());
        };
        match self.send(&t, &rest) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.family.unsent = Some((t, rest));
                Err(error)
            }
            Err(error) => {
                tracing::debug!(%error, dst = %t.dst, "rest of a train lost");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Sends a datagram or a train.
    #[inline]
    pub(crate) fn send(&mut self, t: &Transmit, bytes: &[u8]) -> io::Result<()> {
        match t.segment_size {
            Some(segment) if segment < bytes.len() => self.train(t, segment, bytes),
            _ if t.may_fragment => self.in_fragments(t, bytes),
            _ => self.once(t, None, bytes).map_err(|error| self.judge(t, error)),
        }
    }

    /// Sends in pieces as large as the kernel takes them.
    #[inline(never)]
    fn train(&mut self, t: &Transmit, segment: usize, bytes: &[u8]) -> io::Result<()> {
        let segments = self.family.cut.min(MAX_TRAIN / segment);
        if segments <= 1 {
            return self.apart(t, segment, bytes);
        }
        let mut sent = 0usize;
        for piece in bytes.chunks(segment.saturating_mul(segments)) {
            let one = piece.len() <= segment;
            let result = if one { self.once(t, None, piece) } else { self.once(t, Some(segment), piece) };
            match result {
                Ok(()) => sent = sent.saturating_add(piece.len()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.keep(t, bytes, sent, error),
                Err(error) if !one && refuses_train(&error) => {
                    // Either the device cannot segment, or the segments exceed the MTU: datagrams alone tell which.
                    self.apart(t, segment, piece)?;
                    if !is_too_big(&error) {
                        self.family.cut_no_more(&error);
                    }
                    if let Some((_, rest)) = &mut self.family.unsent {
                        rest.extend_from_slice(bytes.get(sent.saturating_add(piece.len())..).unwrap_or_default());
                        return Ok(());
                    }
                    sent = sent.saturating_add(piece.len());
                }
                Err(error) => return Err(self.judge(t, error)),
            }
        }
        Ok(())
    }

    /// Sends a train whose datagrams the kernel gets one by one.
    fn apart(&mut self, t: &Transmit, segment: usize, bytes: &[u8]) -> io::Result<()> {
        let mut sent = 0usize;
        while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
            match self.patiently(|family| family.send_many(t, segment, rest)) {
                Ok(datagrams) => sent = sent.saturating_add(segment.saturating_mul(datagrams)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.keep(t, bytes, sent, error),
                Err(error) => return Err(self.judge(t, error)),
            }
        }
        Ok(())
    }

    /// The kernel took but `sent` bytes of a train: the rest waits, unless that is all of it.
    fn keep(&mut self, t: &Transmit, bytes: &[u8], sent: usize, would_block: io::Error) -> io::Result<()> {
        if sent == 0 {
            return Err(would_block);
        }
        self.family.unsent = Some((*t, bytes.get(sent..).unwrap_or_default().to_vec()));
        Ok(())
    }

    /// Sends a datagram that the IP layer may fragment.
    #[cold]
    fn in_fragments(&mut self, t: &Transmit, bytes: &[u8]) -> io::Result<()> {
        fragmenting(&self.family.socket, self.family.v4, true);
        let result = self.once(t, None, bytes);
        fragmenting(&self.family.socket, self.family.v4, false);
        result.map_err(|error| self.judge(t, error))
    }

    /// One system call for a datagram, or for a train that the kernel cuts.
    fn once(&mut self, t: &Transmit, segment_size: Option<usize>, contents: &[u8]) -> io::Result<()> {
        self.patiently(|family| family.send(t, segment_size, contents))
    }

    /// A system call, repeated if it failed because of an earlier datagram's ICMP error.
    fn patiently<R>(&mut self, call: impl Fn(&Family) -> io::Result<R>) -> io::Result<R> {
        let mut attempts = 1;
        loop {
            match call(self.family) {
                Err(error) if attempts < SEND_ATTEMPTS && is_pending_icmp(&error) => {
                    attempts += 1;
                    if self.reads_errors {
                        self.family.read_errors(self.errors);
                    }
                }
                result => return result,
            }
        }
    }

    /// Names the cause where it is ours: a source address that this host does not have. The kernel says EINVAL, or that the
    /// network is unreachable, depending on family and routes.
    #[cold]
    fn judge(&mut self, t: &Transmit, error: io::Error) -> io::Error {
        let suspicious =
            [Errno::INVAL, Errno::NETUNREACH, Errno::ADDRNOTAVAIL].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
        if let Some(src) = t.src.filter(|_| suspicious)
            && !is_local(src)
        {
            #[cfg(not(any(target_os = "linux", target_os = "android")))]
            self.forgive(t, &error);
            return io::ErrorKind::AddrNotAvailable.into();
        }
        error
    }

    /// quinn-udp takes one EINVAL as proof that the kernel knows no ECN marks, and stops using them for good. If the datagram itself was
    /// at fault, it gets to try again.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn forgive(&mut self, t: &Transmit, error: &io::Error) {
        match crate::socket::set_up(&self.family.socket) {
            Ok(state) => self.family.state = state,
            Err(reset) => {
                tracing::warn!(%reset, %error, dst = %t.dst, "cannot set up the UDP socket again");
            }
        }
    }
}

/// Whether the address is one of this host: the kernel lets us bind to it.
fn is_local(ip: IpAddr) -> bool {
    let domain = if ip.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    Socket::new(domain, Type::DGRAM, Some(Protocol::UDP)).and_then(|socket| socket.bind(&SockAddr::from(SocketAddr::new(ip, 0)))).is_ok()
}

impl Family {
    /// Sends a datagram, or a train that the kernel cuts.
    fn send(&self, t: &Transmit, segment_size: Option<usize>, contents: &[u8]) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        return crate::many::send_whole(&self.socket, t, segment_size, contents);
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        {
            let ecn = t.ecn.map(Ecn::to_quinn);
            let destination = crate::marks::labelled(t.dst, t.flow_label);
            let transmit = quinn_udp::Transmit { destination, ecn, contents, segment_size, src_ip: t.src };
            self.state.try_send(quinn_udp::UdpSockRef::from(&self.socket), &transmit)
        }
    }

    /// Sends the first of the datagrams of `segment` bytes that `contents` consists of, as many as one call takes: how many.
    fn send_many(&self, t: &Transmit, segment: usize, contents: &[u8]) -> io::Result<usize> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        return crate::many::send(&self.socket, t, segment, contents);
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        self.send(t, None, contents.get(..segment).unwrap_or(contents)).map(|()| 1)
    }
}

fn refuses_train(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    [Errno::INVAL, Errno::IO, Errno::MSGSIZE].iter().any(|e| errno == Some(e.raw_os_error()))
}

/// Allows or forbids IP fragmentation on the socket. Processes that share the socket share the option, too: a datagram sent
/// by another one at this very moment may be fragmented as well, which costs nothing but a lost probe of the path MTU.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn fragmenting(socket: &Socket, v4: bool, allow: bool) {
    use nix::sys::socket::{setsockopt, sockopt};
    use rustix::net::sockopt::{Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover};
    let result = if v4 {
        let mode = if allow { Ipv4PathMtuDiscovery::DONT } else { Ipv4PathMtuDiscovery::PROBE };
        set_ip_mtu_discover(socket, mode).map_err(io::Error::from)
    } else {
        let mode = if allow { Ipv6PathMtuDiscovery::DONT } else { Ipv6PathMtuDiscovery::PROBE };
        set_ipv6_mtu_discover(socket, mode)
            .map_err(io::Error::from)
            .and_then(|()| setsockopt(socket, sockopt::Ipv6DontFrag, &!allow).map_err(io::Error::from))
    };
    if let Err(error) = result {
        tracing::debug!(%error, allow, "cannot switch fragmentation");
    }
}

/// No portable switch: FreeBSD and macOS fragment IPv6 only when told, and IPv4 never while the option is set.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn fragmenting(_: &Socket, _: bool, _: bool) {}
