//! HEARTBEATs of one path (RFC 9260 section 8.3): when they are due, what they carry, and which answers are believed.

use core::time::Duration;
use std::collections::VecDeque;
use std::net::IpAddr;

use subtle::ConstantTimeEq as _;

use super::PathId;
use crate::entropy::Entropy;
use crate::stack::HeartbeatAnswer;
use crate::time::{Earliest, Time};
use crate::wire::cursor::{Reader, Writer};
use crate::wire::param;

/// Length of the value of our Heartbeat Info parameter: path, nonce, time of sending.
const INFO_LEN: usize = 20;
/// Length of our Heartbeat Info parameter with its header.
pub(crate) const HEARTBEAT_TLV_LEN: usize = INFO_LEN + 4;
/// Most HEARTBEATs that wait for their answer; the oldest is forgotten first.
const MAX_OUTSTANDING: usize = 16;

/// Why a HEARTBEAT is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HeartbeatKind {
    /// The interval passed, or the path is to be confirmed: no answer within the RTO counts as an error.
    Periodic,
    /// Somebody wants to know at once: no answer counts nothing.
    OnDemand,
}

/// Our Heartbeat Info as the peer returned it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct HeartbeatInfo {
    /// The path that the HEARTBEAT was sent on.
    pub(crate) path: PathId,
    nonce: u64,
    sent: Time,
}

impl HeartbeatInfo {
    /// What a HEARTBEAT carries that is sent now on this path.
    pub(super) fn new(path: PathId, nonce: u64, sent: Time) -> Self {
        Self { path, nonce, sent }
    }

    /// What tells this HEARTBEAT from all others.
    pub(super) fn nonce(&self) -> u64 {
        self.nonce
    }

    /// Reads the value of a Heartbeat Info parameter; `None` if it cannot be one of ours.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let mut r = Reader::new(value);
        let path = PathId(u8::try_from(r.u32()?).ok()?);
        let info = Self { path, nonce: r.u64()?, sent: Time::from_nanos(r.u64()?) };
        r.is_empty().then_some(info)
    }

    /// The parameters of the HEARTBEAT chunk that carries this.
    pub(crate) fn tlvs(&self) -> [u8; INFO_LEN + 4] {
        let mut buf = Vec::with_capacity(INFO_LEN + 4);
        Writer::new(&mut buf).tlv(param::kind::HEARTBEAT_INFO, |w| {
            w.u32(u32::from(self.path.0));
            w.u64(self.nonce);
            w.u64(self.sent.as_nanos());
        });
        buf.try_into().unwrap_or([0; INFO_LEN + 4])
    }
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    nonce: u64,
    sent: Time,
    /// When a missing answer becomes an error; `None` for those that count nothing.
    overdue: Option<Time>,
    /// Whether the user asked for it, who may want to know how long it took.
    on_demand: bool,
    /// Where it was sent from.
    source: Option<IpAddr>,
}

/// Timers and unanswered HEARTBEATs of one path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heartbeat {
    /// When the next periodic HEARTBEAT is due; `None` while they are switched off.
    pub(crate) due: Option<Time>,
    /// At most `MAX_OUTSTANDING`, oldest first.
    probes: VecDeque<Probe>,
    unanswered: u32,
    /// HEARTBEATs overdue one after the other: each is sent from another one of our addresses.
    attempt: u8,
    /// The last answer to a HEARTBEAT on demand.
    answer: Option<HeartbeatAnswer>,
}

impl Heartbeat {
    /// Makes the next periodic one due `interval` plus the RTO with 50 % jitter to both sides from now.
    pub(crate) fn schedule(&mut self, now: Time, interval: Duration, rto: Duration, entropy: &mut dyn Entropy) {
        let rto = u64::try_from(rto.as_nanos()).unwrap_or(u64::MAX);
        let jitter = Duration::from_nanos((rto / 2).saturating_add(entropy.below(rto)));
        self.due = Some(now + interval + jitter);
    }

    /// Tells when [`Self::on_overdue`] or a periodic HEARTBEAT is to be asked for.
    pub(crate) fn note_deadlines(&self, next: &mut Earliest) {
        next.note(self.due);
        self.probes.iter().for_each(|p| next.note(p.overdue));
    }

    /// The first of these times.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let mut next = Earliest::new();
        self.note_deadlines(&mut next);
        next.get()
    }

    /// What is overdue or due at `now` gets another `grace`.
    pub(crate) fn forgive(&mut self, now: Time, grace: Duration) {
        let overdue = self.probes.iter_mut().filter_map(|p| p.overdue.as_mut());
        for at in overdue.chain(&mut self.due).filter(|at| **at <= now) {
            *at = now + grace;
        }
    }

    /// Whether periodic HEARTBEATs became overdue since the last call; each tells it once.
    pub(crate) fn on_overdue(&mut self, now: Time) -> bool {
        let mut any = false;
        for p in &mut self.probes {
            if p.overdue.is_some_and(|t| t <= now) {
                p.overdue = None;
                any = true;
            }
        }
        self.attempt = self.attempt.wrapping_add(u8::from(any));
        any
    }

    /// Registers a HEARTBEAT that is sent now.
    pub(crate) fn send(
        &mut self,
        now: Time,
        (path, source): (PathId, Option<IpAddr>),
        kind: HeartbeatKind,
        rto: Duration,
        entropy: &mut dyn Entropy,
    ) -> HeartbeatInfo {
        let nonce = entropy.u64();
        let overdue = (kind == HeartbeatKind::Periodic).then(|| now + rto);
        if self.probes.len() >= MAX_OUTSTANDING {
            self.probes.pop_front();
        }
        let on_demand = kind == HeartbeatKind::OnDemand;
        self.probes.push_back(Probe { nonce, sent: now, overdue, on_demand, source });
        self.unanswered = self.unanswered.saturating_add(1);
        HeartbeatInfo { path, nonce, sent: now }
    }

    /// A HEARTBEAT ACK returned `info`: the round-trip time, if it answers a HEARTBEAT of this path that is still waited for, and
    /// where that one had left from.
    ///
    /// Earlier HEARTBEATs are settled too: the path works.
    pub(crate) fn on_ack(&mut self, now: Time, info: &HeartbeatInfo) -> Option<(Duration, Option<IpAddr>)> {
        // The time of sending is taken from our own record: the peer could have changed the one that it returned.
        let at = self.probes.iter().position(|p| bool::from(p.nonce.ct_eq(&info.nonce)))?;
        let probe = self.probes.drain(..=at).next_back()?;
        self.unanswered = 0;
        self.attempt = 0;
        let rtt = now - probe.sent;
        if probe.on_demand {
            self.answer = Some(HeartbeatAnswer { sent: probe.sent, rtt });
        }
        Some((rtt, probe.source))
    }

    /// The last answer to a HEARTBEAT on demand.
    pub(crate) fn answer(&self) -> Option<HeartbeatAnswer> {
        self.answer
    }

    /// Answers to HEARTBEATs that left from `source` say nothing any more.
    pub(crate) fn forget_source(&mut self, source: IpAddr) {
        self.probes.retain(|p| p.source != Some(source));
    }

    /// How many HEARTBEATs in a row were not answered in time.
    pub(crate) fn attempt(&self) -> u8 {
        self.attempt
    }

    /// The peer was heard on this path.
    pub(crate) fn on_heard(&mut self) {
        self.unanswered = 0;
    }

    /// HEARTBEATs sent since the peer was last heard.
    pub(crate) fn unanswered(&self) -> u32 {
        self.unanswered
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;
    use crate::wire::chunk::Heartbeat as HeartbeatChunk;

    const RTO: Duration = Duration::from_secs(1);

    fn at(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    #[test]
    fn info_survives_the_wire() {
        let mut hb = Heartbeat::default();
        let info = hb.send(at(5), (PathId(3), None), HeartbeatKind::Periodic, RTO, &mut SeededEntropy::new(1));
        let tlvs = info.tlvs();
        let value = HeartbeatChunk { tlvs: &tlvs }.info().unwrap();
        assert_eq!(HeartbeatInfo::parse(value), Some(info));
        assert_eq!(HeartbeatInfo::parse(&value[..19]), None);
        assert_eq!(HeartbeatInfo::parse(&[0xff; 20]), None, "no such path");
    }

    #[test]
    fn several_outstanding_are_matched_and_forgeries_ignored() {
        let mut rng = SeededEntropy::new(2);
        let mut hb = Heartbeat::default();
        let first = hb.send(at(0), (PathId(0), None), HeartbeatKind::OnDemand, RTO, &mut rng);
        let second = hb.send(at(100), (PathId(0), None), HeartbeatKind::OnDemand, RTO, &mut rng);
        let third = hb.send(at(200), (PathId(0), None), HeartbeatKind::OnDemand, RTO, &mut rng);
        assert_eq!(hb.unanswered(), 3);
        assert_eq!(hb.on_ack(at(230), &HeartbeatInfo { nonce: second.nonce ^ 1, ..second }), None);
        assert_eq!(hb.on_ack(at(230), &HeartbeatInfo { sent: at(229), ..second }), Some((Duration::from_millis(130), None)));
        assert_eq!(hb.unanswered(), 0);
        assert_eq!(hb.on_ack(at(231), &first), None, "settled by the second");
        assert_eq!(hb.answer(), Some(HeartbeatAnswer { sent: at(100), rtt: Duration::from_millis(130) }));
        assert_eq!(hb.on_ack(at(240), &third), Some((Duration::from_millis(40), None)));
        assert_eq!(hb.answer(), Some(HeartbeatAnswer { sent: at(200), rtt: Duration::from_millis(40) }));
        assert_eq!(hb.on_ack(at(240), &third), None, "answered once");
        assert!(!hb.on_overdue(at(9_999)), "on-demand ones count nothing");
    }

    #[test]
    fn periodic_ones_become_overdue_once() {
        let mut rng = SeededEntropy::new(3);
        let mut hb = Heartbeat::default();
        let info = hb.send(at(0), (PathId(0), None), HeartbeatKind::Periodic, RTO, &mut rng);
        assert_eq!(hb.deadline(), Some(at(1000)));
        assert!(!hb.on_overdue(at(999)));
        assert!(hb.on_overdue(at(1000)));
        assert!(!hb.on_overdue(at(1001)));
        assert_eq!(hb.deadline(), None);
        assert!(hb.on_ack(at(1002), &info).is_some());
        assert_eq!(hb.answer(), None, "nobody asked");
    }

    #[test]
    fn outstanding_ones_are_bounded() {
        let mut rng = SeededEntropy::new(4);
        let mut hb = Heartbeat::default();
        let first = hb.send(at(0), (PathId(0), None), HeartbeatKind::OnDemand, RTO, &mut rng);
        for _ in 0..MAX_OUTSTANDING {
            hb.send(at(1), (PathId(0), None), HeartbeatKind::OnDemand, RTO, &mut rng);
        }
        assert_eq!(hb.probes.len(), MAX_OUTSTANDING);
        assert_eq!(hb.on_ack(at(2), &first), None);
    }

    #[test]
    fn jitter_is_half_an_rto_to_both_sides() {
        let mut rng = SeededEntropy::new(5);
        let mut hb = Heartbeat::default();
        let (mut low, mut high) = (Time::MAX, Time::ZERO);
        for _ in 0..1000 {
            hb.schedule(at(0), Duration::from_secs(30), RTO, &mut rng);
            let due = hb.due.unwrap();
            low = low.min(due);
            high = high.max(due);
        }
        assert!(low >= at(30_500) && low < at(30_550), "{low}");
        assert!(high < at(31_500) && high > at(31_450), "{high}");
    }
}
