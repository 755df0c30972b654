//! A host above datagrams: the one interface that the simulator and the runtime drive.

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

    /// When [`Node::handle_timeout`] wants to be called next.
    fn poll_timeout(&self) -> Option<Time>;

    /// The host's own addresses changed.
    fn handle_addresses(&mut self, now: Time, change: AddrChange) {
        let _ = (now, change);
    }

    /// Other processes of this host that held these SCTP ports are gone: associations with them are dead.
    fn handle_ports_died(&mut self, now: Time, ports: &[u16]) {
        let _ = (now, ports);
    }
}
