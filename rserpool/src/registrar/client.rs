//! The other end of an association: elements, users, or both.

use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use sctp_user::Time;
use sctp_user::net::canonical;

use super::config::Rate;
use super::prefix::Prefix;
use super::throttle::Bucket;
use crate::handlespace::ElementKey;
use crate::wire::{MAX_ADDRESSES, PoolElement, PoolHandle, Scope, Transport, TransportUse};

/// Most messages, and most bytes of them, that wait for the answer to an earlier one.
const MAX_QUEUED: usize = 256;
const MAX_QUEUED_BYTES: usize = 256 << 10;

/// An association as the registrar sees it.
#[derive(Debug)]
pub(super) struct Client {
    /// The peer's addresses, at most [`MAX_ADDRESSES`], and its SCTP port.
    pub(super) addrs: Vec<IpAddr>,
    pub(super) port: u16,
    /// The round-trip time to it, once measured.
    pub(super) rtt: Option<Duration>,
    /// Whom it counts as.
    pub(super) prefix: Prefix,
    /// Whether it is a process of this host: at a loopback address, or at one of the host's own.
    pub(super) on_this_host: bool,
    /// The elements registered over it.
    pub(super) elements: BTreeSet<ElementKey>,
    /// A registration whose identifier is taken; answers are in order, so everything behind it waits.
    pub(super) blocked: Option<(PoolHandle, PoolElement)>,
    queue: VecDeque<Bytes>,
    queued_bytes: usize,
    bucket: Bucket,
    /// When the last message came.
    pub(super) last_heard: Time,
}

impl Client {
    pub(super) fn new(now: Time, peer: &[SocketAddr], host: &[IpAddr], prefix: Prefix) -> Self {
        let addrs: Vec<IpAddr> = peer.iter().take(MAX_ADDRESSES).map(|a| canonical(a.ip())).collect();
        Self {
            on_this_host: is_of_host(&addrs, host),
            addrs,
            port: peer.first().map_or(0, SocketAddr::port),
            rtt: None,
            prefix,
            elements: BTreeSet::new(),
            blocked: None,
            queue: VecDeque::new(),
            queued_bytes: 0,
            bucket: Bucket::default(),
            last_heard: now,
        }
    }

    /// The scope that an address must have to be of use to this client.
    pub(super) fn reach(&self) -> Scope {
        if self.on_this_host {
            return Scope::Loopback;
        }
        let scopes = self.addrs.iter().map(|a| Scope::of(*a)).filter(|s| *s > Scope::None);
        scopes.min().map_or(Scope::SiteLocal, |s| s.min(Scope::SiteLocal))
    }

    /// The address that the peer is known by: the one that its handshake came from.
    pub(super) fn addr(&self) -> Option<IpAddr> {
        self.addrs.first().copied()
    }

    /// The peer's addresses with its port.
    pub(super) fn places(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.addrs.iter().map(|a| SocketAddr::new(*a, self.port))
    }

    /// Whether the transport is that of this association's peer: its port and one of its addresses.
    pub(super) fn is_at(&self, transport: &Transport) -> bool {
        transport.port == self.port && transport.addrs.iter().any(|a| self.addrs.contains(a))
    }

    /// The peer's end of the association, as its ASAP transport (RFC 5352 section 3.1, rule 4).
    pub(super) fn transport(&self) -> Transport {
        Transport::sctp(self.port, TransportUse::DATA, self.addrs.iter().copied().filter(|a| Scope::of(*a) > Scope::None))
    }

    /// Whether a request may be served now.
    pub(super) fn admit(&mut self, now: Time, rate: Rate) -> bool {
        self.bucket.take(now, rate)
    }

    /// Keeps a message for later; `false` if there is no room.
    pub(super) fn enqueue(&mut self, bytes: &[u8]) -> bool {
        if self.queue.len() >= MAX_QUEUED || self.queued_bytes.saturating_add(bytes.len()) > MAX_QUEUED_BYTES {
            return false;
        }
        self.queued_bytes += bytes.len();
        self.queue.push_back(Bytes::copy_from_slice(bytes));
        true
    }

    pub(super) fn dequeue(&mut self) -> Option<Bytes> {
        let bytes = self.queue.pop_front()?;
        self.queued_bytes = self.queued_bytes.saturating_sub(bytes.len());
        Some(bytes)
    }
}

/// Whether addresses are of the host whose own addresses are `host`.
pub(super) fn is_of_host(addrs: &[IpAddr], host: &[IpAddr]) -> bool {
    addrs.iter().any(|a| Scope::of(*a) == Scope::Loopback || host.contains(a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reach_and_host() {
        let client = |addrs: &[&str]| {
            let peer: Vec<SocketAddr> = addrs.iter().map(|a| SocketAddr::new(a.parse().unwrap(), 1)).collect();
            let client = Client::new(Time::ZERO, &peer, &["192.0.2.9".parse().unwrap()], Prefix::new(peer[0].ip(), 32));
            (client.on_this_host, client.reach())
        };
        assert_eq!(client(&["127.0.0.1", "192.0.2.1"]), (true, Scope::Loopback));
        assert_eq!(client(&["192.0.2.9"]), (true, Scope::Loopback));
        assert_eq!(client(&["192.0.2.1", "10.0.0.1"]), (false, Scope::SiteLocal));
        assert_eq!(client(&["fe80::1"]), (false, Scope::LinkLocal));
    }
}
