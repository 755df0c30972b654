//! The node that the runtime drives. A runtime wants its node before it can claim ports, and a pool node wants its port before
//! it exists: so the host begins empty.

use sctp_user::{AddrChange, Meta, NetError, Node, Time, Train, Transmit};

use crate::node::PoolNode;

/// A host that becomes a [`PoolNode`].
#[derive(Debug, Default)]
pub struct Host {
    node: Option<PoolNode>,
    /// The latest addresses, for a node that comes later.
    addresses: Option<AddrChange>,
}

impl Host {
    /// Becomes a pool node.
    pub(super) fn start(&mut self, now: Time, mut node: PoolNode) {
        if let Some(change) = self.addresses.take() {
            node.handle_addresses(now, change);
        }
        self.node = Some(node);
    }

    /// The node, once there is one.
    pub const fn node(&mut self) -> Option<&mut PoolNode> {
        self.node.as_mut()
    }
}

impl Node for Host {
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

    fn handle_ports_died(&mut self, now: Time, ports: &[u16]) {
        if let Some(node) = &mut self.node {
            node.handle_ports_died(now, ports);
        }
    }
}
