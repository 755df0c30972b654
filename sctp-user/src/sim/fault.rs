//! What can go wrong with hosts and links: a script of faults is plain data, so that a test can draw, print and shrink it.

use core::time::Duration;
use std::net::IpAddr;

use super::host::HostId;
use super::link::LinkConfig;

/// How a host that is frozen treats packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pause {
    /// Its socket buffers hold up to this many packets; more are lost. They are handed over when it goes on.
    Queue(usize),
    /// All packets are lost.
    Lose,
}

/// How a host ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Crash {
    /// The whole machine is gone: silence.
    Machine,
    /// One process is gone: its machine answers with ICMP port unreachable, and the other hosts of the same address are told at
    /// once that these SCTP ports died, as the processes that share a port are.
    Process {
        /// The SCTP ports that the process held.
        sctp_ports: Vec<u16>,
    },
}

/// A fault, or its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// No packet leaves `from` for `to` any more; those under way still arrive.
    Cut {
        /// Sender's address.
        from: IpAddr,
        /// Receiver's address.
        to: IpAddr,
    },
    /// No packet passes between the two addresses.
    Partition {
        /// One side.
        a: IpAddr,
        /// The other side.
        b: IpAddr,
    },
    /// Undoes [`Fault::Cut`] and [`Fault::Partition`], in both directions.
    Heal {
        /// One side.
        a: IpAddr,
        /// The other side.
        b: IpAddr,
    },
    /// Changes a link, in one direction.
    Link {
        /// Sender's address.
        from: IpAddr,
        /// Receiver's address.
        to: IpAddr,
        /// What it does from now on.
        cfg: Box<LinkConfig>,
    },
    /// Freezes a host: no timer runs, nothing is received or sent.
    Pause {
        /// Which.
        host: HostId,
        /// What happens to its packets.
        packets: Pause,
    },
    /// Lets a frozen host go on.
    Resume {
        /// Which.
        host: HostId,
    },
    /// Ends a host; see [`super::World::restart`].
    Crash {
        /// Which.
        host: HostId,
        /// How.
        how: Crash,
    },
    /// A host's clock leaps ahead, as after the suspension of a machine.
    ClockJump {
        /// Which.
        host: HostId,
        /// How far.
        by: Duration,
    },
    /// A host has other addresses from now on.
    Addresses {
        /// Which.
        host: HostId,
        /// All of them.
        addrs: Vec<IpAddr>,
    },
    /// A NAT before the host shows another UDP port to the world from now on.
    Rebind {
        /// Which.
        host: HostId,
        /// The port that the host itself uses.
        inner: u16,
        /// The port that others see and answer to.
        outer: u16,
    },
}
