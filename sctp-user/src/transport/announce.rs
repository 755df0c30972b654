//! Plain datagrams beside SCTP: the announces of registrars ([`Channel::Datagram`]).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::net::{IpAddr, SocketAddr};

use mio::{Interest, Registry, Token};
use udp_encap::multicast::{AnnounceListener, AnnounceSender, Interface, SenderConfig};

use super::addrs;
use crate::net::{Channel, Meta, Train, Transmit, canonical};

/// Datagrams taken from one listener before others get their turn: announces come a few a second, so more is a flood.
const BUDGET: usize = 64;

/// Where and how announces are sent: one socket on one interface address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AnnounceFrom {
    /// Source address, which chooses the interface, and source port: listeners take both for the registrar's SCTP address.
    pub source: SocketAddr,
    /// Multicast address and port that announces go to.
    pub group: SocketAddr,
    /// Multicast TTL or hop limit; 1 stays on the link.
    pub ttl: u8,
}

/// The sockets that listen to groups.
#[derive(Default)]
pub(crate) struct Listeners {
    all: Vec<Listener>,
}

struct Listener {
    socket: AnnounceListener,
    group: SocketAddr,
    ready: bool,
}

impl Listeners {
    /// Joins a group on the interfaces that have these addresses.
    pub(crate) fn join(&mut self, group: SocketAddr, interfaces: &[IpAddr]) -> io::Result<()> {
        let interfaces = interfaces.iter().map(|ip| interface(*ip)).collect::<io::Result<Vec<_>>>()?;
        let socket = AnnounceListener::new(group, &interfaces)?;
        self.all.push(Listener { socket, group, ready: true });
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn register(&mut self, registry: &Registry, first: usize) -> io::Result<()> {
        for (i, listener) in self.all.iter_mut().enumerate() {
            registry.register(&mut listener.socket, Token(first + i), Interest::READABLE)?;
        }
        Ok(())
    }

    pub(crate) fn note_ready(&mut self, index: usize) {
        if let Some(listener) = self.all.get_mut(index) {
            listener.ready = true;
        }
    }

    /// Hands up what has arrived; whether there may be more.
    pub(crate) fn receive(&mut self, mut sink: impl FnMut(&Meta, Train)) -> bool {
        self.all.iter_mut().filter(|l| l.ready).for_each(|listener| listener.receive(&mut sink));
        self.all.iter().any(|l| l.ready)
    }
}

impl Listener {
    /// Not part of its caller, by which all packets come: the room for an announce would be in the way of all that it calls.
    #[inline(never)]
    fn receive(&mut self, sink: &mut impl FnMut(&Meta, Train)) {
        self.ready = false;
        for left in (0..BUDGET).rev() {
            match self.socket.recv() {
                Ok((bytes, from)) => {
                    let channel = Channel::Datagram { local: self.group.port(), remote: from.port() };
                    let (src, dst) = (canonical(from.ip()), self.group.ip());
                    sink(&Meta { src, dst, channel, ecn: None, ifindex: None }, Train::single(bytes));
                    self.ready = left == 0;
                }
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => break,
                Err(err) => {
                    tracing::debug!(group = %self.group, %err, "announce not received");
                    break;
                }
            }
        }
    }
}

/// The sockets that send to groups, by source and group.
#[derive(Default)]
pub(crate) struct Announcers {
    all: BTreeMap<(SocketAddr, SocketAddr), AnnounceSender>,
}

impl Announcers {
    /// Opens a socket, unless there is one.
    pub(crate) fn add(&mut self, from: AnnounceFrom) -> io::Result<()> {
        if let Entry::Vacant(place) = self.all.entry((from.source, from.group)) {
            let interface = interface(from.source.ip())?;
            let cfg = SenderConfig { group: from.group, source: from.source, interface, ttl: from.ttl };
            place.insert(AnnounceSender::new(&cfg)?);
        }
        Ok(())
    }

    /// Sends by the socket of this source and group; without a source by all sockets of the source port.
    pub(crate) fn send(&self, transmit: &Transmit, bytes: &[u8]) -> io::Result<()> {
        let Channel::Datagram { local, .. } = transmit.channel else { return Err(io::ErrorKind::InvalidInput.into()) };
        let wanted = |source: &SocketAddr, group: &SocketAddr| {
            source.port() == local && *group == transmit.dst && transmit.src.is_none_or(|src| src == source.ip())
        };
        let mut result = Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "no socket for this source and group"));
        for (_, sender) in self.all.iter().filter(|((source, group), _)| wanted(source, group)) {
            let sent = sender.send(bytes);
            if result.is_err() {
                result = sent;
            }
        }
        result
    }
}

/// How multicast calls name the interface with this address.
fn interface(ip: IpAddr) -> io::Result<Interface> {
    match ip {
        IpAddr::V4(v4) => Ok(Interface::V4(v4)),
        IpAddr::V6(_) => {
            let found = addrs::interfaces().into_iter().find(|i| i.addr == ip);
            found.map(|i| Interface::Index(i.index)).ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
        }
    }
}
