//! A host above datagrams: the one interface that the simulator and the runtime drive.

use core::task::Waker;

use crate::net::{AddrChange, Meta, NetError, Train, Transmit};
use crate::time::Time;

/// Everything that happens above datagrams on one host. Sans-IO: implemented by [`crate::Stack`] and by what is built on it.
///
/// After one or more calls that take `now`, the driver drains [`Node::poll_transmit`], then reads [`Node::poll_timeout`].
pub trait Node {
    /// Packets came in.
    fn handle_batch(&mut self, now: Time, meta: &Meta, train: Train);

    /// The network reported an error.
    fn handle_net_error(&mut self, now: Time, err: &NetError);

    /// The time of [`Node::poll_timeout`] has come (or later).
    fn handle_timeout(&mut self, now: Time);

    /// Appends the next packet, or a train of at most `max_segments` equal packets, to `buf`.
    fn poll_transmit(&mut self, now: Time, max_segments: usize, buf: &mut Vec<u8>) -> Option<Transmit>;

    /// When [`Node::handle_timeout`] wants to be called next, as of the last time that [`Node::poll_transmit`] was drained. It may be
    /// earlier than anything is to be done, but not later.
    fn poll_timeout(&self) -> Option<Time>;

    /// The host's own addresses changed.
    fn handle_addresses(&mut self, now: Time, change: AddrChange) {
        let _ = (now, change);
    }

    /// Takes the tasks that wait for something that has happened. The driver wakes them when it holds the node no more: what a
    /// waker does is not known, and it may well use the node.
    #[must_use]
    fn take_woken(&mut self) -> Vec<Waker> {
        Vec::new()
    }

    /// Whether anybody waits for what happens in it but callers that block: tasks, also those that are to be woken, descriptors, or the node
    /// itself, which acts without being asked. As long as nobody does, a runtime may leave it alone for some milliseconds between two calls, and
    /// does not ask whom to wake.
    fn is_awaited(&self) -> bool {
        true
    }

    /// The driver will never drive again: every task that waits is to be among [`Node::take_woken`].
    fn wake_everybody(&mut self) {}

    /// Other processes of this host that held these SCTP ports are gone: associations with them are dead.
    fn handle_ports_died(&mut self, now: Time, ports: &[u16]) {
        let _ = (now, ports);
    }
}

/// A host that begins empty and becomes an `N` later. A runtime wants its node before it can claim SCTP ports, and most nodes
/// want their ports before they exist.
#[derive(Debug)]
pub struct LateNode<N> {
    node: Option<N>,
    /// The latest addresses, for a node that comes later.
    addresses: Option<AddrChange>,
}

impl<N> Default for LateNode<N> {
    fn default() -> Self {
        Self { node: None, addresses: None }
    }
}

impl<N: Node> LateNode<N> {
    /// Becomes `node`, which is told the host's addresses.
    pub fn start(&mut self, now: Time, mut node: N) {
        if let Some(change) = self.addresses.take() {
            node.handle_addresses(now, change);
        }
        self.node = Some(node);
    }

    /// The node, once there is one.
    pub const fn node(&mut self) -> Option<&mut N> {
        self.node.as_mut()
    }
}

impl<N: Node> Node for LateNode<N> {
    fn handle_batch(&mut self, now: Time, meta: &Meta, train: Train) {
        if let Some(node) = &mut self.node {
            node.handle_batch(now, meta, train);
        }
    }

    fn handle_net_error(&mut self, now: Time, err: &NetError) {
        if let Some(node) = &mut self.node {
            node.handle_net_error(now, err);
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        if let Some(node) = &mut self.node {
            node.handle_timeout(now);
        }
    }

    fn poll_transmit(&mut self, now: Time, max_segments: usize, buf: &mut Vec<u8>) -> Option<Transmit> {
        self.node.as_mut()?.poll_transmit(now, max_segments, buf)
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.node.as_ref()?.poll_timeout()
    }

    fn handle_addresses(&mut self, now: Time, change: AddrChange) {
        match &mut self.node {
            Some(node) => node.handle_addresses(now, change),
            None => self.addresses = Some(change),
        }
    }

    fn take_woken(&mut self) -> Vec<Waker> {
        self.node.as_mut().map(Node::take_woken).unwrap_or_default()
    }

    fn is_awaited(&self) -> bool {
        self.node.as_ref().is_none_or(Node::is_awaited)
    }

    fn wake_everybody(&mut self) {
        if let Some(node) = &mut self.node {
            node.wake_everybody();
        }
    }

    fn handle_ports_died(&mut self, now: Time, ports: &[u16]) {
        if let Some(node) = &mut self.node {
            node.handle_ports_died(now, ports);
        }
    }
}
