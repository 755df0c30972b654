//! The paths of an association: one per address of the peer, each with its own timers, window and error counter
//! (RFC 9260 sections 5.4, 6.4, 7.1 and 8.2).

mod choice;
mod configure;
pub(crate) mod heartbeat;
mod mtu;
mod paths;
pub(crate) mod pmtu;
mod probing;
pub(crate) mod rtt;
pub(crate) mod source;
pub(crate) mod state;

use core::time::Duration;
use std::net::IpAddr;

pub(crate) use self::heartbeat::{HEARTBEAT_TLV_LEN, Heartbeat, HeartbeatInfo, HeartbeatKind};
use self::mtu::Room;
pub(crate) use self::paths::Paths;
use self::pmtu::Pmtu;
pub(crate) use self::rtt::RttEstimator;
pub(crate) use self::state::Limits;
use crate::cc::{self, AckInfo, CongestionControl, Loss, RateSampler};
use crate::config::AssocConfig;
use crate::event::PathState;
use crate::net::{Channel, Transmit, scoped};
use crate::stats::PathStats;
use crate::time::Time;
use crate::wire::packet::COMMON_HEADER_LEN;

/// Most paths of one association; further addresses of the peer are not used.
pub(crate) const MAX_PATHS: usize = 64;

/// Index of a path in its association.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct PathId(pub(crate) u8);

/// A measurement of the round-trip time by a DATA chunk on its way (section 6.3.1 rule C4: one per round trip).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RttProbe {
    /// Index of the chunk that is timed, as the sender counts them.
    pub(crate) index: u64,
    /// When it was sent.
    pub(crate) sent: Time,
}

/// What the SACK being processed does to a path: scratch space of the sender.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SackRound {
    /// Bytes in flight before.
    pub(crate) in_flight_before: usize,
    /// Bytes acknowledged for the first time.
    pub(crate) acked: usize,
    /// Whether chunks are acknowledged that were not just before.
    pub(crate) settled: bool,
    /// Index of the lowest outstanding chunk before.
    pub(crate) earliest: Option<u64>,
    /// Whether that one is acknowledged.
    pub(crate) earliest_acked: bool,
    /// Whether one is acknowledged that went nowhere else: only that speaks for this path (RFC 7829 section 3.2 rule 9).
    pub(crate) answered: bool,
    /// Bytes newly considered lost.
    pub(crate) lost: usize,
    /// Whether the chunk that measures the delivery rate is acknowledged.
    pub(crate) rate_measured: bool,
}

/// One address of the peer and all that is known about the way there.
#[derive(Debug)]
pub(crate) struct Path {
    /// The peer's address.
    pub(crate) addr: IpAddr,
    /// The interface that a link-local address is reached by; 0 for others.
    link: u32,
    /// Our source address, by which the path was confirmed; `None` leaves it to routing.
    pub(crate) local: Option<IpAddr>,
    /// What carries packets there, with the peer's UDP port as last learned.
    pub(crate) channel: Channel,
    /// Whether the user chose what carries packets there.
    pub(crate) pinned: bool,
    /// Whether none of our present addresses reaches it: nothing goes there but what tells of new ones (RFC 5061 section 5.3.2).
    pub(crate) stranded: bool,
    /// Measured round-trip times.
    pub(crate) rtt: RttEstimator,
    /// The timeout with its back-off.
    rto: Duration,
    /// The congestion window.
    pub(crate) cc: Box<dyn CongestionControl>,
    /// The delivery rate, as measured.
    pub(crate) rate: RateSampler,
    /// Bytes of DATA chunks (headers and padding included) that are on their way.
    pub(crate) in_flight: usize,
    /// Chunks last sent here that are not acknowledged, on their way or to be sent again.
    pub(crate) outstanding: usize,
    /// Errors since the peer last answered on this path; no higher than one beyond Path.Max.Retrans.
    pub(crate) error_count: u32,
    /// What the counter is compared with, and how often HEARTBEATs are sent.
    pub(crate) limits: Limits,
    /// State and confirmation that the user knows of.
    told: (PathState, bool),
    /// Whether the address is known to belong to the peer (RFC 9260 section 5.4).
    pub(crate) confirmed: bool,
    /// What fits, as congestion control was told.
    room: Room,
    /// The search for it.
    pmtu: Pmtu,
    /// DSCP of packets on this path.
    dscp: u8,
    /// IPv6 flow label of packets on this path.
    flow_label: u32,
    /// When T3-rtx expires, if it runs.
    pub(crate) t3: Option<Time>,
    /// HEARTBEATs.
    pub(crate) heartbeat: Heartbeat,
    /// When DATA was last sent here.
    pub(crate) last_sent: Time,
    /// When the next packet with DATA leaves, if the congestion control paces.
    next_departure: Time,
    /// After a timeout one packet only until something is acknowledged (RFC 9260 section 7.2.3).
    pub(crate) one_packet: bool,
    /// The chunk that measures the round trip at present.
    pub(crate) rtt_probe: Option<RttProbe>,
    /// Index of the last chunk with the I bit because it filled the window.
    pub(crate) i_bit: u64,
    /// The SACK being processed.
    pub(crate) round: SackRound,
    /// Counters.
    pub(crate) stats: PathStats,
}

impl Path {
    /// A path to `addr` of which nothing is known yet: active, unconfirmed.
    pub(crate) fn new(cfg: &AssocConfig, now: Time, addr: IpAddr, local: Option<IpAddr>, channel: Channel) -> Self {
        let pmtu = Pmtu::new(cfg, addr);
        let room = Room::of(pmtu.size(), addr, channel);
        Self {
            addr,
            link: 0,
            local,
            channel,
            pinned: false,
            stranded: false,
            rtt: configure::estimator(cfg),
            rto: cfg.rto_initial,
            cc: cc::new(cfg, room.chunks(), addr.is_ipv6()),
            rate: RateSampler::default(),
            in_flight: 0,
            outstanding: 0,
            error_count: 0,
            limits: Limits::of(cfg),
            told: (PathState::Unconfirmed, false),
            confirmed: false,
            room,
            pmtu,
            dscp: cfg.dscp,
            flow_label: cfg.flow_label,
            t3: None,
            heartbeat: Heartbeat::default(),
            last_sent: now,
            next_departure: now,
            one_packet: false,
            rtt_probe: None,
            i_bit: 0,
            round: SackRound::default(),
            stats: PathStats::default(),
        }
    }

    /// The retransmission timeout, back-off included.
    pub(crate) fn rto(&self) -> Duration {
        self.rto
    }

    /// Path MTU in bytes, IP header included.
    pub(crate) fn mtu(&self) -> usize {
        self.room.mtu()
    }

    /// Longest SCTP packet in bytes, common header included, that fits the path MTU.
    pub(crate) fn max_packet(&self) -> usize {
        self.pmdcs() + COMMON_HEADER_LEN
    }

    /// PMDCS: room for chunks in a packet, in bytes; a multiple of four.
    pub(crate) fn pmdcs(&self) -> usize {
        self.room.chunks()
    }

    /// Takes in a measurement of the round-trip time; ends the back-off.
    pub(crate) fn on_rtt(&mut self, rtt: Duration) {
        self.rtt.on_sample(rtt);
        self.rto = self.rtt.rto();
    }

    /// Doubles the RTO up to RTO.Max (RFC 9260 section 6.3.3 E2).
    pub(crate) fn back_off(&mut self) {
        self.rto = (self.rto * 2).min(self.rtt.max());
    }

    /// Takes the back-off back: it was for probes of a closed window, and the peer answered.
    pub(crate) fn end_back_off(&mut self) {
        self.rto = self.rtt.rto();
    }

    /// (Re)starts T3-rtx with the present RTO.
    pub(crate) fn restart_t3(&mut self, now: Time) {
        self.t3 = Some(now + self.rto);
    }

    /// DATA chunks sent on this path were acknowledged.
    pub(crate) fn on_ack(&mut self, ack: &AckInfo) {
        self.cc.on_ack(ack);
        self.one_packet = false;
        if self.round.answered {
            self.on_answer();
        }
    }

    /// T3-rtx expired while data was outstanding.
    pub(crate) fn on_timeout(&mut self, now: Time) {
        self.cc.on_loss(now, Loss::Timeout);
        self.one_packet = true;
        self.rtt_probe = None;
        self.pmtu.on_t3();
    }

    /// DATA is about to be sent: an unused window decays first (RFC 9260 section 7.2.1).
    pub(crate) fn on_send(&mut self, now: Time, bytes: usize) {
        if self.in_flight == 0 {
            self.cc.on_idle(now - self.last_sent, self.rto);
        }
        self.cc.on_send(now, bytes, self.in_flight);
        self.last_sent = now;
    }

    /// Until when the congestion control holds packets back; `None` if it does not pace.
    pub(crate) fn paced_until(&self) -> Option<Time> {
        self.cc.pacing().map(|_| self.next_departure)
    }

    /// A packet with `bytes` of DATA left.
    pub(crate) fn pace(&mut self, now: Time, bytes: usize) {
        if let Some(pacing) = self.cc.pacing() {
            // Time that was not used may be caught up with by one burst.
            let burst = pacing.time(pacing.burst);
            let earliest = now.saturating_since(Time::ZERO).saturating_sub(burst);
            self.next_departure = self.next_departure.max(Time::ZERO + earliest) + pacing.time(bytes);
        }
    }

    /// Our source address is `local` from now on. Another one than before may mean another route (RFC 9260 section 7.2.5.2).
    pub(crate) fn set_local(&mut self, local: IpAddr) {
        if self.local.replace(local).is_some_and(|old| old != local) {
            self.cc.reset();
            self.rate = RateSampler::default();
        }
    }

    /// None of our addresses reaches it: it is not used until there is one that does.
    pub(crate) fn strand(&mut self) {
        self.local = None;
        self.stranded = true;
        self.heartbeat = Heartbeat::default();
    }

    /// There is another source to try it from: what failed so far says nothing.
    pub(crate) fn begin_anew(&mut self) {
        self.heartbeat = Heartbeat::default();
        self.error_count = 0;
        self.end_back_off();
    }

    /// The source that it was confirmed with is gone, and another one takes its place, from which it may not be reached: data goes elsewhere
    /// if it can, until that is known.
    pub(crate) fn doubt(&mut self) {
        let doubtful = self.limits.pf_max_retrans.saturating_add(1);
        if self.confirmed && doubtful <= self.limits.max_retrans {
            self.error_count = self.error_count.max(doubtful);
        }
    }

    /// Whether the peer may be reached over `channel` from now on, because a packet of it came that way. A NAT may give its UDP another
    /// port, and it may switch encapsulation on and off (RFC 6951 section 5.4), unless the user chose. What the program hands in, and
    /// addresses that are ours alone, are ways of their own.
    pub(crate) fn may_move(&self, channel: Channel) -> bool {
        self.channel.same_kind(channel) || (!self.pinned && self.channel.is_shared() && channel.is_shared())
    }

    /// Packets go over `channel` from now on.
    pub(crate) fn set_channel(&mut self, channel: Channel) {
        let before = self.pmdcs();
        self.channel = channel;
        self.room = Room::of(self.mtu(), self.addr, channel);
        if self.pmdcs() != before {
            self.cc.on_mtu(self.pmdcs());
        }
    }

    /// The way to the address is another one now (a new source address, another DSCP): what was learnt about congestion says
    /// nothing about it (RFC 9260 section 7.2.5).
    pub(crate) fn reset_congestion(&mut self, cfg: &AssocConfig) {
        self.cc = cc::new(cfg, self.pmdcs(), self.addr.is_ipv6());
        self.rate = RateSampler::default();
    }

    /// How a packet on this path is sent; the caller fills in its size.
    pub(crate) fn transmit(&self) -> Transmit {
        Transmit {
            src: self.local,
            dst: scoped(self.addr, self.channel.remote_port(), self.link),
            channel: self.channel,
            ecn: None,
            size: 0,
            segment_size: None,
            dscp: self.dscp,
            flow_label: self.flow_label,
            may_fragment: false,
        }
    }

    /// The host slept: timers that expired meanwhile run once more before they count (rulings section 1 row 22).
    pub(crate) fn forgive(&mut self, now: Time) {
        if self.t3.is_some_and(|at| at <= now) {
            self.restart_t3(now);
        }
        self.heartbeat.forgive(now, self.rto);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    pub(super) const UDP: Channel = Channel::Udp { local: 9899, remote: 9899 };

    pub(super) fn path(addr: &str, channel: Channel) -> Path {
        Path::new(&AssocConfig::rfc(), Time::ZERO, addr.parse().unwrap(), None, channel)
    }

    #[test]
    fn packets_fill_the_mtu() {
        assert_eq!(path("10.0.0.1", Channel::Raw).pmdcs(), 1468);
        assert_eq!(path("10.0.0.1", UDP).max_packet(), 1472);
        assert_eq!(path("fd00::1", UDP).max_packet(), 1232, "what every link carries, at first");
        let mut p = path("10.0.0.1", UDP);
        p.set_mtu(1401);
        assert_eq!(p.pmdcs(), 1360, "chunks are multiples of four");
    }

    #[test]
    fn back_off_doubles_and_a_measurement_ends_it() {
        let mut p = path("10.0.0.1", UDP);
        p.back_off();
        assert_eq!(p.rto(), Duration::from_secs(2));
        for _ in 0..10 {
            p.back_off();
        }
        assert_eq!(p.rto(), Duration::from_secs(60));
        p.on_rtt(Duration::from_millis(10));
        assert_eq!(p.rto(), Duration::from_secs(1));
    }

    /// RFC 9260 rows: 7.2.5.2-1.
    #[test]
    fn another_source_address_starts_congestion_control_anew() {
        let mut p = path("10.0.0.1", UDP);
        let start = p.cc.window();
        let grow = |p: &mut Path| p.cc.on_ack(&AckInfo::test(Time::ZERO, 1460, usize::MAX));
        p.set_local("10.0.0.7".parse().unwrap());
        grow(&mut p);
        p.set_local("10.0.0.7".parse().unwrap());
        assert_eq!(p.cc.window(), start + 1460, "the same one");
        p.set_local("10.0.0.8".parse().unwrap());
        assert_eq!(p.cc.window(), start);
        // As when a HEARTBEAT from another address comes back.
        grow(&mut p);
        let source = Some("10.0.0.9".parse().unwrap());
        let info = p.send_heartbeat(Time::ZERO, (PathId(0), source), HeartbeatKind::Periodic, &mut SeededEntropy::new(1));
        assert!(p.on_heartbeat_ack(Time::from_millis(10), &info));
        assert_eq!((p.local, p.cc.window()), (source, start));
    }
}
