//! The node that the runtime drives. A runtime wants its node before it can claim ports, and a registrar wants its port
//! before it exists: so the host begins empty.

use rserpool::node::RegistrarNode;
use sctp_user::{AddrChange, Meta, NetError, Node, Time, Train, Transmit};

/// A host that becomes a registrar.
#[derive(Debug, Default)]
pub(crate) struct Host {
    registrar: Option<RegistrarNode>,
    /// The latest change of addresses, for a registrar that comes later.
    addresses: Option<AddrChange>,
}

impl Host {
    /// Becomes a registrar.
    pub(crate) fn start(&mut self, now: Time, mut registrar: RegistrarNode) {
        if let Some(change) = self.addresses.take() {
            registrar.handle_addresses(now, change);
        }
        self.registrar = Some(registrar);
    }

    /// The registrar, once there is one.
    pub(crate) fn registrar(&mut self) -> Option<&mut RegistrarNode> {
        self.registrar.as_mut()
    }
}

impl Node for Host {
    fn handle_batch(&mut self, now: Time, meta: &Meta, train: Train) {
        if let Some(registrar) = &mut self.registrar {
            registrar.handle_batch(now, meta, train);
        }
    }

    fn handle_net_error(&mut self, now: Time, err: &NetError) {
        if let Some(registrar) = &mut self.registrar {
            registrar.handle_net_error(now, err);
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        if let Some(registrar) = &mut self.registrar {
            registrar.handle_timeout(now);
        }
    }

    fn poll_transmit(&mut self, now: Time, max_segments: usize, buf: &mut Vec<u8>) -> Option<Transmit> {
        self.registrar.as_mut()?.poll_transmit(now, max_segments, buf)
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.registrar.as_ref()?.poll_timeout()
    }

    fn handle_addresses(&mut self, now: Time, change: AddrChange) {
        match &mut self.registrar {
            Some(registrar) => registrar.handle_addresses(now, change),
            None => self.addresses = Some(change),
        }
    }

    fn handle_ports_died(&mut self, now: Time, ports: &[u16]) {
        if let Some(registrar) = &mut self.registrar {
            registrar.handle_ports_died(now, ports);
        }
    }
}
