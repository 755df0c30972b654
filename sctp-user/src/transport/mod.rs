//! What carries the core's packets on real hosts.
//!
//! * [`udp`]: SCTP in UDP (RFC 6951), on a port that the programs of one user share.
//! * [`raw`]: SCTP directly over IP, protocol 132; `tun`: the same on a TUN device, with addresses of the stack's own.
//! * [`layer`]: packets handed to the program and taken from it.
//! * `conflict`: whether somebody else on the host answers what comes over raw IP.
//! * [`announce`]: plain datagrams, for the announces of registrars.
//! * [`addrs`]: the host's own addresses.
//! * [`clock`]: the monotonic clock.
//! * `watch`: is told by the system when the host's addresses change.
//! * `outbox`: what a socket has no room for yet; `ports`: SCTP ports where no UDP port is shared.

use std::io;
use std::net::IpAddr;

use mio::Registry;
use mio::event::Event;

use crate::net::{Channel, Meta, NetError, Train, Transmit};
use crate::time::Time;

pub mod addrs;
pub mod announce;
pub mod clock;
pub(crate) mod conflict;
pub mod layer;
mod outbox;
pub(crate) mod ports;
pub mod raw;
#[cfg(all(feature = "tun", target_os = "linux"))]
pub(crate) mod tun;
pub mod udp;
pub(crate) mod watch;

/// What a transport hands up.
pub(crate) enum Input<'a> {
    /// Packets that belong together.
    Packets(&'a Meta, Train),
    /// An error that the network reported.
    Error(NetError),
    /// Processes of this host that held these SCTP ports are gone.
    PortsDied(&'a [u16]),
    /// Nothing for the node, but something that callers may wait for.
    News,
}

/// Told of every train that left.
pub(crate) type Sent<'a> = &'a mut dyn FnMut(&Transmit, &[u8]);

/// One way into the network. Several are used side by side.
pub(crate) trait Transport: Send {
    /// Whether packets on this channel are its own.
    fn carries(&self, channel: Channel) -> bool;

    /// Registers its sockets, with tokens from `first` on, and keeps the registry for those that come later.
    fn register(&mut self, registry: &Registry, first: usize) -> io::Result<()>;

    /// One of its sockets has something to do.
    fn note_ready(&mut self, event: &Event);

    /// Hands up what one batch brought; whether there may be more.
    fn receive(&mut self, now: Time, sink: &mut dyn FnMut(Input<'_>)) -> bool;

    /// Sends a train, or keeps it until there is room.
    fn send(&mut self, t: &Transmit, bytes: &[u8], sent: Sent<'_>);

    /// Sends what was kept.
    fn flush(&mut self, sent: Sent<'_>);

    /// Whether so much was kept that the node should not be asked for more.
    fn is_full(&self) -> bool;

    /// When [`Transport::receive`] wants to be called, whether or not something arrives.
    fn next_deadline(&self) -> Option<Time> {
        None
    }

    /// The host has these addresses now.
    fn set_addresses(&mut self, addrs: &[IpAddr]) {
        let _ = addrs;
    }

    /// Whether it reads the ECN marks of what comes and sets those of what goes.
    fn ecn_marks(&self) -> bool;

    /// Most packets that it takes as one train.
    fn max_segments(&self) -> usize;
}
