//! The failure detector: HEARTBEATs on demand (RFC 9260 section 8.3 D; rulings, section 4).
//!
//! SCTP by itself notices the loss of a peer that only sends after ten minutes and more. While the session expects something,
//! silence is answered by HEARTBEATs, and enough of them without any sign of life are a failure.

use core::time::Duration;

use sctp_user::Time;

use super::config::DetectorConfig;

/// A call that comes later than this was held up by the host, not by the element (rulings, section 1 row 22).
const CLOCK_JUMP: Duration = Duration::from_secs(1);

/// What the association says about its path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PathView {
    /// When a packet of the peer last arrived.
    pub last_heard: Time,
    /// Smoothed round trip, if measured.
    pub srtt: Option<Duration>,
    /// Its variation.
    pub rttvar: Duration,
    /// Bytes accepted for sending and not acknowledged.
    pub buffered: usize,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Nothing.
    Wait,
    /// Send a HEARTBEAT.
    Probe,
    /// The peer has failed.
    Failed,
}

/// The detector of one association.
#[derive(Debug)]
pub struct Detector {
    cfg: DetectorConfig,
    /// Silence counts from here at the earliest.
    since: Time,
    expecting: bool,
    /// When the first unanswered HEARTBEAT was sent.
    first: Option<Time>,
    sent: u32,
    /// When it wants to be asked next.
    next: Option<Time>,
}

impl Detector {
    /// A detector for an association that came up at `now`.
    #[must_use]
    pub const fn new(cfg: DetectorConfig, now: Time) -> Self {
        Self { cfg, since: now, expecting: false, first: None, sent: 0, next: None }
    }

    /// Decides; to be called at [`Self::deadline`], and whenever what is expected has changed.
    pub fn poll(&mut self, now: Time, expecting: bool, path: &PathView) -> Verdict {
        if !self.cfg.enabled {
            return Verdict::Wait;
        }
        if self.next.is_some_and(|t| now.saturating_since(t) > CLOCK_JUMP) {
            self.forgive(now);
        }
        if self.first.is_some_and(|t| path.last_heard > t) {
            (self.first, self.sent) = (None, 0);
        }
        if expecting && !self.expecting {
            self.since = self.since.max(now);
        }
        self.expecting = expecting;
        match (self.first, self.next) {
            (None, _) => self.watch(now, path),
            (Some(_), Some(next)) if now < next => Verdict::Wait,
            (Some(_), _) if self.sent >= self.cfg.unanswered => Verdict::Failed,
            (Some(_), _) => self.probe(now, path),
        }
    }

    /// When [`Self::poll`] is to be called.
    #[must_use]
    pub const fn deadline(&self) -> Option<Time> {
        self.next
    }

    /// Counts silence from now on.
    const fn forgive(&mut self, now: Time) {
        self.since = now;
        self.first = None;
        self.sent = 0;
    }

    fn watch(&mut self, now: Time, path: &PathView) -> Verdict {
        let allowed = if self.expecting { Some(self.cfg.silence) } else { self.cfg.idle_probe };
        let Some(allowed) = allowed else {
            self.next = None;
            return Verdict::Wait;
        };
        let limit = path.last_heard.max(self.since) + allowed;
        if now < limit {
            self.next = Some(limit);
            return Verdict::Wait;
        }
        self.first = Some(now);
        self.probe(now, path)
    }

    fn probe(&mut self, now: Time, path: &PathView) -> Verdict {
        let round_trip = path.srtt.map_or(self.cfg.unmeasured, |srtt| srtt.saturating_add(path.rttvar.saturating_mul(4)));
        self.sent += 1;
        self.next = Some(now + round_trip.max(self.cfg.interval));
        Verdict::Probe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Time {
        Time::from_millis(n)
    }

    fn path(last_heard: u64, rtt: u64) -> PathView {
        let (srtt, rttvar) = (Some(Duration::from_millis(rtt)), Duration::ZERO);
        PathView { last_heard: ms(last_heard), srtt, rttvar, buffered: 0 }
    }

    /// Polls at the deadlines until the verdict; the times of the probes and of the failure.
    fn run(d: &mut Detector, mut now: Time, expecting: bool, p: &PathView, until: Time) -> (Vec<u64>, Option<u64>) {
        let mut probes = Vec::new();
        loop {
            match d.poll(now, expecting, p) {
                Verdict::Wait => {}
                Verdict::Probe => probes.push(now.as_millis()),
                Verdict::Failed => return (probes, Some(now.as_millis())),
            }
            match d.deadline() {
                Some(t) if t <= until => now = t,
                _ => return (probes, None),
            }
        }
    }

    #[test]
    fn a_frozen_element_is_found_in_650_ms() {
        let mut d = Detector::new(DetectorConfig::default(), ms(0));
        assert_eq!(run(&mut d, ms(1_000), true, &path(1_000, 1), ms(5_000)), (vec![1150, 1250, 1350, 1450, 1550], Some(1650)));
    }

    #[test]
    fn slow_paths_get_more_time() {
        let mut d = Detector::new(DetectorConfig::default(), ms(0));
        let (probes, failed) = run(&mut d, ms(0), true, &path(0, 300), ms(5_000));
        assert_eq!((probes, failed), (vec![150, 450, 750, 1050, 1350], Some(1650)));
        let mut d = Detector::new(DetectorConfig::default(), ms(0));
        let unmeasured = PathView { srtt: None, ..path(0, 0) };
        assert_eq!(run(&mut d, ms(0), true, &unmeasured, ms(5_000)).1, Some(150 + 5 * 500));
    }

    #[test]
    fn any_packet_is_a_sign_of_life() {
        let mut d = Detector::new(DetectorConfig::default(), ms(0));
        assert_eq!(run(&mut d, ms(0), true, &path(0, 1), ms(560)), (vec![150, 250, 350, 450, 550], None));
        assert_eq!(run(&mut d, ms(560), true, &path(556, 1), ms(700)), (vec![], None));
        assert_eq!(run(&mut d, ms(650), true, &path(556, 1), ms(2_000)), (vec![706, 806, 906, 1006, 1106], Some(1206)));
    }

    #[test]
    fn silence_counts_from_the_request() {
        let mut d = Detector::new(DetectorConfig::default(), ms(0));
        assert_eq!(run(&mut d, ms(0), false, &path(0, 1), ms(3_000)), (vec![], None));
        assert_eq!(run(&mut d, ms(3_000), true, &path(0, 1), ms(3_160)), (vec![3_150], None));
    }

    #[test]
    fn idle_sessions_are_probed_each_five_seconds() {
        let mut d = Detector::new(DetectorConfig::default(), ms(0));
        assert_eq!(run(&mut d, ms(0), false, &path(0, 1), ms(5_050)), (vec![5_000], None));
        assert_eq!(run(&mut d, ms(5_100), false, &path(5_001, 1), ms(10_050)), (vec![10_001], None));
        let mut off = Detector::new(DetectorConfig { idle_probe: None, ..DetectorConfig::default() }, ms(0));
        assert_eq!(run(&mut off, ms(0), false, &path(0, 1), ms(1_000_000)), (vec![], None));
    }

    #[test]
    fn a_host_that_slept_blames_nobody() {
        let mut d = Detector::new(DetectorConfig::default(), ms(0));
        assert_eq!(run(&mut d, ms(0), true, &path(0, 1), ms(600)).0.len(), 5);
        assert_eq!(d.poll(ms(60_000), true, &path(0, 1)), Verdict::Wait);
        assert_eq!(run(&mut d, ms(60_000), true, &path(0, 1), ms(61_000)).1, Some(60_650));
    }
}
