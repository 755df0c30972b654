//! The state of an association at one moment, to be looked at and printed. No secrets are in it: tags and keys stay inside.

use core::fmt;
use core::time::Duration;
use std::net::IpAddr;

use crate::event::{AssocId, PathState};
use crate::net::Channel;
use crate::stats::{AssocStats, PathStats};

/// The sending side.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct SendSnapshot {
    /// Bytes accepted and not acknowledged.
    pub buffered: usize,
    /// The bound of that.
    pub buffer: usize,
    /// Messages of which not everything was sent.
    pub messages: usize,
    /// DATA chunks that are not cumulatively acknowledged.
    pub chunks: usize,
    /// Those of them that are to be sent again, in bytes with headers.
    pub to_resend: usize,
    /// User data on its way, in bytes.
    pub in_flight: usize,
    /// The window that the peer advertised last.
    pub peer_window: usize,
    /// Whether Fast Recovery is going on.
    pub recovering: bool,
}

/// The receiving side.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct ReceiveSnapshot {
    /// User data held, in bytes.
    pub held: usize,
    /// The memory that counts for it.
    pub memory: usize,
    /// The receive buffer.
    pub buffer: usize,
    /// The window that a SACK would advertise now.
    pub window: usize,
    /// Complete messages that wait to be read.
    pub messages: usize,
    /// Gap ack blocks that a SACK would have.
    pub gaps: usize,
}

/// One path.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PathSnapshot {
    /// The peer's address.
    pub addr: IpAddr,
    /// Our address; `None` while routing chooses it.
    pub local: Option<IpAddr>,
    /// What carries packets.
    pub channel: Channel,
    /// Whether it is the primary path.
    pub primary: bool,
    /// "active" and the like, in words.
    pub state: PathState,
    /// Smoothed round-trip time, once measured.
    pub srtt: Option<Duration>,
    /// Its variation.
    pub rttvar: Duration,
    /// Retransmission time-out with its back-off.
    pub rto: Duration,
    /// Path MTU in bytes.
    pub mtu: usize,
    /// Congestion window in bytes.
    pub cwnd: usize,
    /// Slow-start threshold in bytes.
    pub ssthresh: usize,
    /// Bytes in flight, headers of chunks included.
    pub in_flight: usize,
    /// Errors since the peer last answered, and their limit.
    pub errors: (u32, u32),
    /// HEARTBEATs since the peer was last heard.
    pub unanswered_heartbeats: u32,
    /// T3-rtx and the heartbeat timer, from now on, if they run.
    pub timers: Vec<(&'static str, Duration)>,
    /// Counters.
    pub stats: PathStats,
}

/// An association.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// Its id.
    pub id: AssocId,
    /// The state as RFC 9260 section 4 names it.
    pub state: &'static str,
    /// Whether the peer opened it.
    pub incoming: bool,
    /// SCTP ports: ours and the peer's.
    pub ports: (u16, u16),
    /// Our addresses as the peer knows them.
    pub local_addrs: Vec<IpAddr>,
    /// Streams: outbound and inbound.
    pub streams: (u16, u16),
    /// How long ago the peer was heard.
    pub heard: Duration,
    /// Errors in a row, and their limit (Association.Max.Retrans).
    pub errors: (u32, u32),
    /// Control chunks that wait for their packet.
    pub controls: usize,
    /// The sending side.
    pub send: SendSnapshot,
    /// The receiving side; zeros until the peer's initial TSN is known.
    pub receive: ReceiveSnapshot,
    /// The timers of the association that run, from now on; an expired one shows zero.
    pub timers: Vec<(&'static str, Duration)>,
    /// The paths in the order of their numbers.
    pub paths: Vec<PathSnapshot>,
    /// Counters.
    pub stats: AssocStats,
    /// What it does against the advice of RFC 9260.
    pub deviations: Vec<&'static str>,
}

fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let all: Vec<_> = items.into_iter().map(|i| i.to_string()).collect();
    if all.is_empty() { "-".to_owned() } else { all.join(", ") }
}

fn timers(items: &[(&'static str, Duration)]) -> String {
    list(items.iter().map(|(name, left)| format!("{name} in {left:?}")))
}

fn counters(items: impl Iterator<Item = (&'static str, u64)>) -> String {
    list(items.filter(|(_, n)| *n > 0).map(|(name, n)| format!("{name} {n}")))
}

fn channel(c: Channel) -> String {
    match c {
        Channel::Raw => "IP".to_owned(),
        Channel::Udp { local, remote } => format!("UDP {local} to {remote}"),
        Channel::Datagram { local, remote } => format!("datagrams {local} to {remote}"),
        Channel::Lower(n) => format!("lower layer {n}"),
        Channel::Tun(n) => format!("TUN device {n}"),
    }
}

/// Several lines, one subject each; the shape is for people and may change.
impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = if self.incoming { "the peer" } else { "us" };
        writeln!(f, "association {}: {}, opened by {by}, port {} to {}", self.id.get(), self.state, self.ports.0, self.ports.1)?;
        writeln!(f, "  addresses   {}", list(&self.local_addrs))?;
        writeln!(f, "  streams     {} out, {} in", self.streams.0, self.streams.1)?;
        writeln!(f, "  peer        heard {:?} ago, errors {} of {}", self.heard, self.errors.0, self.errors.1)?;
        let s = &self.send;
        writeln!(f, "  send        {} of {} bytes: {} messages waiting, {} chunks sent", s.buffered, s.buffer, s.messages, s.chunks)?;
        let recovery = if s.recovering { ", fast recovery" } else { "" };
        writeln!(f, "              {} bytes in flight, {} to resend, peer's window {}{recovery}", s.in_flight, s.to_resend, s.peer_window)?;
        let r = &self.receive;
        writeln!(f, "  receive     {} of {} bytes ({} of memory): {} messages to read", r.held, r.buffer, r.memory, r.messages)?;
        writeln!(f, "              window {}, {} gaps; {} control chunks waiting", r.window, r.gaps, self.controls)?;
        writeln!(f, "  timers      {}", timers(&self.timers))?;
        for (n, p) in self.paths.iter().enumerate() {
            let primary = if p.primary { ", primary" } else { "" };
            let local = p.local.map_or_else(|| "any".to_owned(), |a| a.to_string());
            writeln!(f, "  path {n:<6} {local} to {} over {}: {}{primary}", p.addr, channel(p.channel), p.state)?;
            let srtt = p.srtt.map_or_else(|| "not measured".to_owned(), |d| format!("{d:?}"));
            writeln!(f, "              SRTT {srtt}, RTTVAR {:?}, RTO {:?}, errors {} of {}", p.rttvar, p.rto, p.errors.0, p.errors.1)?;
            writeln!(f, "              MTU {}, cwnd {}, ssthresh {}, {} in flight", p.mtu, p.cwnd, p.ssthresh, p.in_flight)?;
            writeln!(f, "              {} HEARTBEATs unanswered; {}", p.unanswered_heartbeats, timers(&p.timers))?;
            writeln!(f, "              {}", counters(p.stats.iter()))?;
        }
        writeln!(f, "  counters    {}", counters(self.stats.iter()))?;
        write!(f, "  deviations  {}", list(&self.deviations))
    }
}
