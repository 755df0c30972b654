//! Plain datagrams beside SCTP: the announces of registrars ([`Channel::Datagram`](crate::Channel::Datagram)).

use std::io;
use std::net::{IpAddr, SocketAddr};

use mio::Registry;

use crate::net::{Meta, Train, Transmit};

/// Where and how announces are sent: one socket on one interface address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AnnounceFrom {
    /// Source address, which chooses the interface, and source port: listeners take both for the registrar's SCTP address.
    pub source: SocketAddr,
    /// Multicast TTL or hop limit; 1 stays on the link.
    pub ttl: u8,
}

#[derive(Default)]
pub(crate) struct Listeners {}

impl Listeners {
    pub(crate) fn join(&mut self, _group: SocketAddr, _interfaces: &[IpAddr]) -> io::Result<()> {
        Ok(())
    }
    pub(crate) fn register(&mut self, _registry: &Registry, _first: usize) -> io::Result<()> {
        Ok(())
    }
    pub(crate) fn note_ready(&mut self, _index: usize) {}
    pub(crate) fn receive(&mut self, _sink: impl FnMut(&Meta, Train)) {}
}

#[derive(Default)]
pub(crate) struct Announcers {}

impl Announcers {
    pub(crate) fn add(&mut self, _from: AnnounceFrom) -> io::Result<()> {
        Ok(())
    }
    pub(crate) fn send(&mut self, _transmit: &Transmit, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }
}
