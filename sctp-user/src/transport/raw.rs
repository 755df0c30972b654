//! SCTP directly over IP: one raw socket for each address of the host.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use mio::event::{Event, Source as _};
use mio::{Interest, Registry, Token};
use udp_encap::raw::{self, RawGuard, RawSocket, RawTransmit};
use udp_encap::{NetErrorKind as Icmp, Received, RecvBatch};

use super::outbox::Outbox;
use super::{Input, Sent, Transport, addrs, udp};
use crate::net::{Channel, Meta, NetError, NetErrorKind, Train, Transmit, canonical};
use crate::time::Time;

/// Most sockets, which is most addresses of the host; further ones are not served.
const MAX_SOCKETS: usize = 256;
/// Most packets taken as one train. Each is a system call of its own, so that longer trains gain nothing.
const MAX_SEGMENTS: usize = 16;

/// ICMP: destination unreachable, and its code for a protocol that nobody speaks there.
const UNREACHABLE: (u8, u8) = (3, 2);
/// ICMPv6: parameter problem, and its code for a next header that nobody knows there.
const PARAMETER_PROBLEM: (u8, u8) = (4, 1);

struct Entry {
    socket: RawSocket,
    /// Its token, counted from the transport's first one.
    slot: usize,
    ready: bool,
    outbox: Outbox,
}

/// The raw sockets of a runtime.
pub(crate) struct RawTransport {
    /// One for each address, at most [`MAX_SOCKETS`].
    sockets: Vec<Entry>,
    buffers: RecvBatch,
    registry: Option<(Registry, usize)>,
    /// The socket that is read next, so that none starves.
    turn: usize,
    /// While addresses come and go, the system is not to say that nobody speaks SCTP here.
    _guard: RawGuard,
}

impl RawTransport {
    /// Opens sockets for the addresses that are up; [`Transport::set_addresses`] follows their changes.
    ///
    /// # Errors
    /// The process may not open raw sockets.
    pub(crate) fn open(addrs: &[IpAddr]) -> io::Result<Self> {
        // Without any address at present the right to raw sockets is still to be shown.
        let probe = RawSocket::bind(addrs.first().copied().unwrap_or(Ipv4Addr::LOCALHOST.into()), 0);
        if let Err(err) = probe
            && matches!(err.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported)
        {
            return Err(err);
        }
        let mut transport = Self { sockets: Vec::new(), buffers: RecvBatch::new(), registry: None, turn: 0, _guard: RawGuard::new()? };
        transport.set_addresses(addrs);
        Ok(transport)
    }

    /// Opens a socket for an address, if that is possible at present.
    fn add(&mut self, addr: IpAddr) {
        let Some(slot) = (0..MAX_SOCKETS).find(|s| self.sockets.iter().all(|e| e.slot != *s)) else {
            tracing::warn!(%addr, "more addresses than raw sockets are opened");
            return;
        };
        let opened = RawSocket::bind(addr, addrs::scope_of(addr)).and_then(|mut socket| {
            if let Some((registry, first)) = &self.registry {
                socket.register(registry, Token(first + slot), Interest::READABLE | Interest::WRITABLE)?;
            }
            Ok(Entry { socket, slot, ready: true, outbox: Outbox::default() })
        });
        match opened {
            Ok(entry) => self.sockets.push(entry),
            // Among others an IPv6 address that is still probed for duplicates: the next change of addresses tries again.
            Err(err) => tracing::warn!(%addr, %err, "no raw socket"),
        }
    }

    fn hand_up(received: Received, own: IpAddr, sink: &mut dyn FnMut(Input<'_>)) {
        let meta = Meta {
            src: canonical(received.meta.src.ip()),
            dst: received.meta.dst_ip.map_or(own, canonical),
            channel: Channel::Raw,
            ecn: received.meta.ecn.map(udp::ecn_up),
            ifindex: received.meta.ifindex,
        };
        sink(Input::Packets(&meta, Train { bytes: received.bytes, stride: received.stride }));
    }
}

impl Transport for RawTransport {
    fn carries(&self, channel: Channel) -> bool {
        channel == Channel::Raw
    }

    fn register(&mut self, registry: &Registry, first: usize) -> io::Result<()> {
        for entry in &mut self.sockets {
            entry.socket.register(registry, Token(first + entry.slot), Interest::READABLE | Interest::WRITABLE)?;
        }
        self.registry = Some((registry.try_clone()?, first));
        Ok(())
    }

    fn note_ready(&mut self, event: &Event) {
        let Some((_, first)) = &self.registry else { return };
        let Token(token) = event.token();
        if let Some(entry) = self.sockets.iter_mut().find(|e| first + e.slot == token) {
            entry.ready = true;
        }
    }

    fn receive(&mut self, _now: Time, sink: &mut dyn FnMut(Input<'_>)) -> bool {
        let n = self.sockets.len();
        self.turn = (self.turn + 1).checked_rem(n).unwrap_or(0);
        for at in (self.turn..n).chain(0..self.turn) {
            let Some(entry) = self.sockets.get_mut(at).filter(|e| e.ready) else { continue };
            let own = entry.socket.addr();
            let read = entry.socket.recv(&mut self.buffers, |received| Self::hand_up(received, own, sink));
            while let Some(err) = entry.socket.take_error() {
                let kind = error_kind(&err.kind, own);
                sink(Input::Error(NetError { kind, dst: canonical(err.dst.ip()), channel: Channel::Raw, quoted: err.quoted }));
            }
            match read {
                Ok(_) => return true,
                Err(err) => {
                    entry.ready = false;
                    if err.kind() != io::ErrorKind::WouldBlock {
                        tracing::debug!(%err, addr = %own, "raw receive");
                    }
                }
            }
        }
        false
    }

    fn send(&mut self, t: &Transmit, bytes: &[u8], sent: Sent<'_>) {
        let dst = t.dst.ip().to_canonical();
        let src = match t.src.map(|ip| ip.to_canonical()).filter(|ip| !ip.is_unspecified()) {
            Some(src) => Ok(src),
            None => raw::source_for(dst, scope_id(t)),
        };
        let src = match src {
            Ok(src) => src,
            Err(err) => {
                tracing::debug!(%dst, %err, "no route");
                return;
            }
        };
        let Some(entry) = self.sockets.iter_mut().find(|e| e.socket.addr() == src) else {
            tracing::debug!(%dst, %src, "no raw socket has this source address");
            return;
        };
        let t = Transmit { src: Some(src), ..*t };
        let socket = &mut entry.socket;
        for packet in bytes.chunks(t.segment_size.unwrap_or(bytes.len()).max(1)) {
            let t = Transmit { size: packet.len(), segment_size: None, ..t };
            entry.outbox.send(&t, packet, |t, packet| socket.send(&header_of(t), packet), sent);
        }
    }

    fn flush(&mut self, sent: Sent<'_>) {
        for entry in &mut self.sockets {
            let socket = &mut entry.socket;
            entry.outbox.flush(|t, packet| socket.send(&header_of(t), packet), sent);
        }
    }

    fn is_full(&self) -> bool {
        self.sockets.iter().any(|e| e.outbox.is_full())
    }

    fn set_addresses(&mut self, addrs: &[IpAddr]) {
        self.sockets.retain_mut(|entry| {
            let keep = addrs.contains(&entry.socket.addr());
            if let Some((registry, _)) = self.registry.as_ref().filter(|_| !keep) {
                // Closing does the same; an error would say that it is done.
                drop(entry.socket.deregister(registry));
            }
            keep
        });
        for addr in addrs {
            if self.sockets.iter().all(|e| e.socket.addr() != *addr) {
                self.add(*addr);
            }
        }
    }

    fn ecn_marks(&self) -> bool {
        true
    }

    fn max_segments(&self) -> usize {
        MAX_SEGMENTS
    }
}

/// The scope identifier of a destination; that of the socket's own interface is filled in by the system.
fn scope_id(t: &Transmit) -> u32 {
    match t.dst {
        std::net::SocketAddr::V6(v6) => v6.scope_id(),
        std::net::SocketAddr::V4(_) => 0,
    }
}

fn header_of(t: &Transmit) -> RawTransmit {
    let ecn = t.ecn.map_or(0, |e| udp::ecn_down(e) as u8);
    RawTransmit {
        dst: t.dst.ip().to_canonical(),
        scope: scope_id(t),
        tos: (t.dscp << 2) | ecn,
        flow_label: t.flow_label,
        may_fragment: t.may_fragment,
    }
}

/// What an ICMP message about a packet of ours says to SCTP (RFC 9260 section 10); `own` is where the packet left from.
fn error_kind(kind: &Icmp, own: IpAddr) -> NetErrorKind {
    match kind {
        Icmp::PortUnreachable => NetErrorKind::PortUnreachable,
        Icmp::TooBig { mtu } => NetErrorKind::TooBig { mtu: *mtu },
        Icmp::Unreachable { icmp_type, code } => {
            let foreign = if own.is_ipv4() { UNREACHABLE } else { PARAMETER_PROBLEM };
            if (*icmp_type, *code) == foreign { NetErrorKind::ProtocolUnreachable } else { NetErrorKind::Unreachable }
        }
        _ => NetErrorKind::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_family_s_own_report_says_that_the_protocol_is_unknown() {
        let (v4, v6): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
        let of = |icmp_type, code, own| error_kind(&Icmp::Unreachable { icmp_type, code }, own);
        assert_eq!(of(3, 2, v4), NetErrorKind::ProtocolUnreachable);
        assert_eq!(of(4, 1, v6), NetErrorKind::ProtocolUnreachable);
        for (icmp_type, code, own) in [(3, 2, v6), (4, 1, v4), (3, 1, v4), (1, 0, v6)] {
            assert_eq!(of(icmp_type, code, own), NetErrorKind::Unreachable);
        }
    }
}
