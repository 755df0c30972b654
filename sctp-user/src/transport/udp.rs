//! SCTP in UDP (RFC 6951) on real sockets: the crate `udp-encap` in the core's terms.

use std::io;
use std::net::IpAddr;

use mio::Registry;
use mio::event::Event;

use crate::net::{Meta, NetError, Train, Transmit};
use crate::socket::{MonoClock, RuntimeError};
use crate::time::Time;

/// How the UDP port is to be bound.
#[derive(Clone, Debug)]
pub(crate) struct UdpSettings {
    pub(crate) port: u16,
    pub(crate) private: bool,
    pub(crate) share: bool,
    pub(crate) fallback_to_ephemeral: bool,
    pub(crate) bind: Option<IpAddr>,
}

/// The state of a shared UDP port as this process sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Sharing {
    /// Whether this process reads the port for all.
    pub reader: bool,
    /// How often the reader changed since the port was first bound.
    pub generation: u64,
}

/// The answer to a claim of an SCTP port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Claim {
    Granted(u16),
    /// Another process has to answer first: ask again with this ticket.
    Asked(u64),
}

/// What the transport hands up.
pub(crate) enum Input<'a> {
    Packets(&'a Meta, Train),
    Error(NetError),
    /// Processes of this host that held these SCTP ports are gone.
    PortsDied(&'a [u16]),
    /// A claim was answered.
    Claims,
}

pub(crate) struct UdpTransport {}

impl UdpTransport {
    pub(crate) fn open(settings: &UdpSettings) -> Result<Self, RuntimeError> {
        Err(RuntimeError::Bind { port: settings.port, source: io::ErrorKind::Unsupported.into() })
    }

    pub(crate) fn local_port(&self) -> u16 {
        0
    }

    pub(crate) fn sharing(&self) -> Option<Sharing> {
        None
    }

    pub(crate) fn max_segments(&self) -> usize {
        1
    }

    pub(crate) fn register(&mut self, _registry: &Registry, _first: usize) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn note_ready(&mut self, _index: usize, _event: &Event) {}

    /// Hands up one batch; whether there may be more.
    pub(crate) fn receive(&mut self, _clock: &MonoClock, _sink: impl FnMut(Input<'_>)) -> bool {
        false
    }

    pub(crate) fn send(&mut self, _transmit: &Transmit, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn next_deadline(&self, _clock: &MonoClock) -> Option<Time> {
        None
    }

    pub(crate) fn claim(&mut self, port: u16) -> io::Result<Claim> {
        Ok(Claim::Granted(port))
    }

    pub(crate) fn take_claim(&mut self, _ticket: u64) -> Option<io::Result<u16>> {
        None
    }

    pub(crate) fn forget_claim(&mut self, _ticket: u64) {}

    pub(crate) fn release(&mut self, _port: u16) {}
}
