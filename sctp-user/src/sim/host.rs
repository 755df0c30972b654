//! A host of the simulated network: a node with its addresses, ports, and clock.

use core::any::Any;
use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;
use std::collections::VecDeque;
use std::net::IpAddr;

use super::fault::Pause;
use super::network::Wire;
use crate::net::Channel;
use crate::node::Node;
use crate::time::Time;

/// A node that a [`super::World`] can give back as what it is: every `'static` [`Node`].
pub trait SimNode: Node + Any {}

impl<T: Node + Any> SimNode for T {}

/// A host, whatever runs on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HostId(pub(super) usize);

/// A host on which an `N` runs.
pub struct NodeId<N> {
    pub(super) host: HostId,
    pub(super) node: PhantomData<fn() -> N>,
}

impl<N> NodeId<N> {
    /// The host.
    #[must_use]
    pub const fn host(self) -> HostId {
        self.host
    }
}

impl<N> Clone for NodeId<N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<N> Copy for NodeId<N> {}

impl<N> fmt::Debug for NodeId<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({})", self.host.0)
    }
}

impl<N> From<NodeId<N>> for HostId {
    fn from(id: NodeId<N>) -> Self {
        id.host
    }
}

/// Where a host is in the network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostConfig {
    /// Its name in traces and captures.
    pub name: String,
    /// Its addresses. Several hosts may have the same one with different UDP ports: processes of one machine.
    pub addrs: Vec<IpAddr>,
    /// UDP ports on which it takes SCTP packets.
    pub udp_ports: Vec<u16>,
    /// The SCTP ports that it takes packets for; `None` is all. Processes that share a UDP port are hosts with the same address
    /// and UDP port and different SCTP ports.
    pub sctp_ports: Option<Vec<u16>>,
    /// UDP ports on which it takes plain datagrams.
    pub datagram_ports: Vec<u16>,
    /// Whether it takes SCTP packets directly over IP.
    pub raw: bool,
    /// Multicast groups whose datagrams it receives.
    pub groups: Vec<IpAddr>,
    /// How far its clock is ahead of the world's.
    pub clock_ahead: Duration,
    /// Most packets that it may send as one train.
    pub max_segments: usize,
    /// Most packets of one size that arrived at the same time and are handed over as one train; 1 for single packets.
    pub max_train: usize,
}

impl HostConfig {
    /// A host with one address that takes SCTP in UDP on port 9899.
    #[must_use]
    pub fn new(name: &str, addr: IpAddr) -> Self {
        Self {
            name: name.to_owned(),
            addrs: vec![addr],
            udp_ports: vec![9899],
            sctp_ports: None,
            datagram_ports: Vec::new(),
            raw: false,
            groups: Vec::new(),
            clock_ahead: Duration::ZERO,
            max_segments: 16,
            max_train: 1,
        }
    }
}

/// What a host is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Up,
    Frozen(Pause),
    /// The process is gone, the machine runs.
    Ended,
    /// The machine is gone.
    Off,
}

pub(super) struct Host {
    pub(super) cfg: HostConfig,
    /// `None` while it is being called, and after its end.
    pub(super) node: Option<Box<dyn SimNode>>,
    pub(super) state: State,
    /// What arrived while it was frozen, each with the channel that the NAT led it to then; bounded by [`Pause::Queue`].
    pub(super) inbox: VecDeque<(Wire, Channel)>,
    /// When the node wants to be called, by its own clock.
    pub(super) deadline: Option<Time>,
    /// Ports as a NAT shows them: inner, outer.
    pub(super) nat: Vec<(u16, u16)>,
    /// How often in a row its timer was due at once and nothing came of it.
    pub(super) idle_timeouts: u32,
}

impl Host {
    pub(super) fn new(cfg: HostConfig, node: Box<dyn SimNode>) -> Self {
        Self { cfg, node: Some(node), state: State::Up, inbox: VecDeque::new(), deadline: None, nat: Vec::new(), idle_timeouts: 0 }
    }

    /// The host's own time at the world's time `now`.
    pub(super) fn local(&self, now: Time) -> Time {
        now + self.cfg.clock_ahead
    }

    /// Its deadline by the world's clock, not before `now`; `None` if no timer runs.
    pub(super) fn due(&self, now: Time) -> Option<Time> {
        if self.state != State::Up {
            return None;
        }
        let deadline = self.deadline?;
        Some((Time::ZERO + deadline.saturating_since(Time::ZERO + self.cfg.clock_ahead)).max(now))
    }

    /// The port that the world sees.
    pub(super) fn outer(&self, inner: u16) -> u16 {
        self.nat.iter().find(|(i, _)| *i == inner).map_or(inner, |(_, o)| *o)
    }

    /// The host's own port behind the one that the world sees; `None` if no packet to it passes the NAT.
    fn inner(&self, outer: u16) -> Option<u16> {
        match self.nat.iter().find(|(_, o)| *o == outer) {
            Some((i, _)) => Some(*i),
            None if self.nat.iter().any(|(i, _)| *i == outer) => None,
            None => Some(outer),
        }
    }

    /// How it receives a packet that came to one of its addresses; `None` if it does not.
    pub(super) fn accepts(&self, wire: &Wire) -> Option<Channel> {
        let sctp_port = wire.bytes.get(2..4).and_then(|b| <[u8; 2]>::try_from(b).ok()).map_or(0, u16::from_be_bytes);
        let takes_port = self.cfg.sctp_ports.as_ref().is_none_or(|ports| ports.contains(&sctp_port));
        let Some((remote, outer)) = wire.ports else { return (self.cfg.raw && takes_port).then_some(Channel::Raw) };
        let local = self.inner(outer)?;
        if self.cfg.udp_ports.contains(&local) && takes_port {
            Some(Channel::Udp { local, remote })
        } else if self.cfg.datagram_ports.contains(&local) {
            Some(Channel::Datagram { local, remote })
        } else {
            None
        }
    }
}
