//! Snapshots.

use core::time::Duration;

use std::net::IpAddr;

use crate::cookie::Capabilities;
use crate::event::PathState;
use crate::net::Channel;
use crate::stats::PathStats;
use crate::time::Time;
use crate::wire::chunk::ChunkTypes;

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
    /// The peer's receive window as it last told, in bytes.
    pub peer_window: usize,
    /// DATA chunks sent and not cumulatively acknowledged.
    pub unacked: usize,
    /// Complete messages that wait to be received.
    pub pending: usize,
    /// Longest message in bytes that is sent in one piece.
    pub fragmentation_point: usize,
    /// Extensions that both sides have.
    pub extensions: Capabilities,
}

/// A snapshot of one path of an association.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PathStatus {
    /// The peer's address.
    pub addr: IpAddr,
    /// Our address that packets leave from; `None` as long as routing decides.
    pub local: Option<IpAddr>,
    /// What carries packets there.
    pub channel: Channel,
    /// Whether it is of use.
    pub state: PathState,
    /// Whether it is the primary path.
    pub primary: bool,
    /// Whether new data goes there at present.
    pub in_use: bool,
    /// Smoothed round-trip time, once measured.
    pub srtt: Option<Duration>,
    /// Its variation.
    pub rttvar: Duration,
    /// Retransmission time-out, back-off included.
    pub rto: Duration,
    /// Congestion window in bytes.
    pub cwnd: usize,
    /// Slow-start threshold in bytes.
    pub ssthresh: usize,
    /// Bytes acknowledged towards the next growth of the window in congestion avoidance.
    pub partial_bytes_acked: usize,
    /// Bytes of DATA chunks on their way.
    pub in_flight: usize,
    /// MTU in bytes, IP header included.
    pub mtu: usize,
    /// Errors since the peer last answered.
    pub error_count: u32,
    /// Whether periodic HEARTBEATs are sent.
    pub heartbeats: bool,
    /// The last answer to a HEARTBEAT that [`Assoc::request_heartbeat`](crate::Assoc::request_heartbeat) asked for.
    pub answer: Option<HeartbeatAnswer>,
    /// Counters.
    pub stats: PathStats,
}

/// Which chunks must be authenticated in an association (RFC 4895 section 6.1).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct AuthChunks {
    /// Whether both sides have authentication.
    pub agreed: bool,
    /// The chunk types that we take only if they are authenticated.
    pub local: ChunkTypes,
    /// The chunk types that the peer takes only if they are authenticated.
    pub peer: ChunkTypes,
}

/// The answer to a HEARTBEAT that was asked for (RFC 9260 section 11.1.10).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeartbeatAnswer {
    /// When the HEARTBEAT was sent: by it a program tells which of its requests was answered.
    pub sent: Time,
    /// How long the answer took.
    pub rtt: Duration,
}

/// What may be set for one path (RFC 9260 sections 8.3 and 11.1.9, RFC 6458 section 8.1.12).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PathOptions {
    /// HB.interval; `None` switches periodic HEARTBEATs off.
    pub hb_interval: Option<Duration>,
    /// Path.Max.Retrans.
    pub path_max_retrans: u32,
    /// PotentiallyFailed.Max.Retrans; `None` switches that state off.
    pub pf_max_retrans: Option<u32>,
    /// A fixed path MTU in bytes, IP header included; `None` searches for it if [`crate::AssocConfig::pmtu_discovery`] is on.
    pub mtu: Option<usize>,
    /// DSCP of packets, 0 to 63.
    pub dscp: u8,
    /// IPv6 flow label of packets, 20 bits; zero leaves it to the host.
    pub flow_label: u32,
}
