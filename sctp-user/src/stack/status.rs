//! Snapshots.

use core::time::Duration;

use crate::time::Time;

/// A snapshot of an association.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct AssocStatus {
    /// The state as RFC 9260 section 4 names it, such as "ESTABLISHED".
    pub state: &'static str,
    /// Streams that the peer may send on.
    pub inbound_streams: u16,
    /// Streams that we may send on.
    pub outbound_streams: u16,
    /// Bytes accepted for sending and not yet acknowledged.
    pub buffered: usize,
    /// Smoothed round-trip time of the path in use, once measured.
    pub srtt: Option<Duration>,
    /// Its variation.
    pub rttvar: Duration,
    /// Its retransmission time-out.
    pub rto: Duration,
    /// When a packet of the peer last arrived.
    pub last_heard: Time,
    /// MTU of the path in use, in bytes, IP header included.
    pub mtu: usize,
    /// Congestion window of the path in use, in bytes.
    pub cwnd: usize,
    /// HEARTBEATs sent on the path in use since the peer was last heard.
    pub unanswered_heartbeats: u32,
}
