//! When HEARTBEATs are sent on a path, and what comes of them (RFC 9260 section 8.3, RFC 7829 section 3.2).

use core::time::Duration;
use std::net::IpAddr;

use super::{HeartbeatInfo, HeartbeatKind, Path, PathId};
use crate::config::AssocConfig;
use crate::entropy::Entropy;
use crate::event::PathState;
use crate::net::Channel;
use crate::time::Time;

/// What came of HEARTBEATs that a path had sent before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct HeartbeatOverdue {
    /// A periodic HEARTBEAT was not answered in time: the path's error counter was counted up, the RTO backed off.
    pub(crate) error: bool,
    /// The path is still to be confirmed: it asks for its turn to be probed again.
    pub(crate) retry: bool,
}

impl Path {
    /// HB.interval of this path: in UDP and to another host it keeps a NAT's mapping alive (rulings section 1 row 13).
    fn hb_interval(&self, cfg: &AssocConfig) -> Option<Duration> {
        let here = self.addr.is_loopback() || self.local == Some(self.addr);
        let through_nat = matches!(self.channel, Channel::Udp { .. }) && !here;
        self.limits.hb_interval.map(|i| cfg.nat_keepalive.filter(|_| through_nat).map_or(i, |k| k.min(i)))
    }

    /// Makes the next periodic HEARTBEAT due, or none if `cfg` switches them off.
    pub(crate) fn schedule_heartbeat(&mut self, now: Time, cfg: &AssocConfig, entropy: &mut dyn Entropy) {
        match self.hb_interval(cfg).filter(|_| !self.stranded) {
            Some(interval) => self.heartbeat.schedule(now, interval, self.rto, entropy),
            None => self.heartbeat.due = None,
        }
    }

    /// The heartbeat timer expired: was a HEARTBEAT not answered in time? `another` says whether there are other paths.
    /// [`Self::on_heartbeat_due`] is to be asked next.
    pub(crate) fn on_heartbeat_overdue(
        &mut self,
        now: Time,
        another: bool,
        cfg: &AssocConfig,
        entropy: &mut dyn Entropy,
    ) -> HeartbeatOverdue {
        let mut out = HeartbeatOverdue { error: self.heartbeat.on_overdue(now), retry: false };
        if out.error {
            self.count_error();
            self.back_off();
            match self.state(another) {
                PathState::Unconfirmed => out.retry = true,
                PathState::PotentiallyFailed => self.probe_at(now, cfg),
                PathState::Inactive => self.schedule_heartbeat(now, cfg, entropy),
                PathState::Active => {}
            }
        }
        out
    }

    /// Whether a periodic HEARTBEAT is to be sent now; the next one is scheduled then. `in_use` says whether data goes here, after
    /// all errors were counted: an error may just have sent it elsewhere.
    pub(crate) fn on_heartbeat_due(
        &mut self,
        now: Time,
        (another, in_use): (bool, bool),
        cfg: &AssocConfig,
        entropy: &mut dyn Entropy,
    ) -> bool {
        if self.heartbeat.due.is_none_or(|t| t > now) {
            return false;
        }
        // Data that is on its way, or was within the interval, measures the path just as well (section 8.3).
        let idle = self.in_flight == 0 && self.hb_interval(cfg).is_some_and(|i| now - self.last_sent >= i);
        let state = self.state(another);
        let send = match state {
            PathState::Active => idle,
            PathState::PotentiallyFailed | PathState::Inactive => self.in_flight == 0 || !in_use,
            PathState::Unconfirmed => true,
        };
        if !send && state == PathState::PotentiallyFailed {
            // Its data is the probe, as long as it goes here (RFC 7829 section 3.2 rule 6): look again when that would be overdue. Periodic
            // HEARTBEATs may be off: then this one is due because the source is another one.
            self.heartbeat.due = Some(now + self.rto);
            return false;
        }
        let since = if send || self.in_flight > 0 { now } else { self.last_sent };
        self.schedule_heartbeat(since, cfg, entropy);
        send
    }

    /// Has the next HEARTBEAT sent at `at`, if HEARTBEATs are on: RFC 7829 section 3.2 rules 5 and 6.
    pub(crate) fn probe_at(&mut self, at: Time, cfg: &AssocConfig) {
        if self.hb_interval(cfg).is_some() && !self.stranded {
            self.heartbeat.due = Some(at);
        }
    }

    /// Registers a HEARTBEAT that is sent now from `source` on this path, which is number `id`.
    pub(crate) fn send_heartbeat(
        &mut self,
        now: Time,
        (id, source): (PathId, Option<IpAddr>),
        kind: HeartbeatKind,
        entropy: &mut dyn Entropy,
    ) -> HeartbeatInfo {
        self.stats.out_heartbeats += 1;
        self.heartbeat.send(now, (id, source), kind, self.rto, entropy)
    }

    /// A HEARTBEAT ACK came back for this path. Answers whether it was genuine; then the path is confirmed, active and measured,
    /// and packets leave from where the HEARTBEAT left.
    pub(crate) fn on_heartbeat_ack(&mut self, now: Time, info: &HeartbeatInfo) -> bool {
        let Some((rtt, source)) = self.on_probe_ack(now, info).or_else(|| self.heartbeat.on_ack(now, info)) else {
            return false;
        };
        self.stats.in_heartbeat_acks += 1;
        self.on_rtt(rtt);
        self.confirmed = true;
        if let Some(source) = source {
            self.set_local(source);
        }
        self.on_answer();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{UDP, path};
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn a_mapping_in_a_nat_is_kept_alive() {
        let cfg = AssocConfig::rfc();
        let due = |addr, channel| path(addr, channel).hb_interval(&cfg);
        assert_eq!(due("192.0.2.1", UDP), Some(Duration::from_secs(15)));
        assert_eq!(due("192.0.2.1", Channel::Raw), Some(Duration::from_secs(30)));
        assert_eq!(due("127.0.0.1", UDP), Some(Duration::from_secs(30)));
        let off = AssocConfig { hb_interval: None, ..cfg };
        let p = Path::new(&off, Time::ZERO, "192.0.2.1".parse().unwrap(), None, UDP);
        assert_eq!(p.hb_interval(&off), None);
    }

    #[test]
    fn heartbeats_only_on_idle_paths() {
        let cfg = AssocConfig { nat_keepalive: None, ..AssocConfig::rfc() };
        let mut rng = SeededEntropy::new(1);
        let mut p = path("10.0.0.1", UDP);
        p.confirmed = true;
        p.schedule_heartbeat(Time::ZERO, &cfg, &mut rng);
        let due = p.heartbeat.deadline().unwrap();
        p.on_send(Time::from_millis(20_000), 100);
        assert!(!p.on_heartbeat_due(due, (false, true), &cfg, &mut rng), "data went out meanwhile");
        let due = p.heartbeat.deadline().unwrap();
        assert_eq!(p.on_heartbeat_overdue(due, false, &cfg, &mut rng), HeartbeatOverdue::default());
        assert!(p.on_heartbeat_due(due, (false, true), &cfg, &mut rng));
        let info = p.send_heartbeat(due, (PathId(0), None), HeartbeatKind::Periodic, &mut rng);
        assert_eq!(p.heartbeat.deadline(), Some(due + Duration::from_secs(1)));
        let late = due + Duration::from_secs(1);
        assert!(p.on_heartbeat_overdue(late, false, &cfg, &mut rng).error);
        assert!(!p.on_heartbeat_due(late, (false, true), &cfg, &mut rng));
        assert_eq!((p.error_count, p.rto()), (1, Duration::from_secs(2)));
        assert!(p.on_heartbeat_ack(late, &info), "late, but genuine");
        assert_eq!(p.error_count, 0);
    }

    /// RFC 7829 section 3.2 rule 6: whatever the order of what happens, a path that may have failed is asked once in an RTO.
    #[test]
    fn a_doubtful_path_is_never_left_alone() {
        let cfg = AssocConfig::rfc();
        let mut rng = SeededEntropy::new(1);
        for elsewhere in [true, false] {
            let mut p = path("10.0.0.1", UDP);
            p.confirmed = true;
            p.schedule_heartbeat(Time::ZERO, &cfg, &mut rng);
            let sent = Time::from_millis(100);
            let _lost = p.send_heartbeat(sent, (PathId(0), None), HeartbeatKind::Periodic, &mut rng);
            // Data was sent here meanwhile, and is on its way when the answer is overdue.
            p.on_send(Time::from_millis(200), 1000);
            p.in_flight = 1000;
            let late = sent + Duration::from_secs(1);
            assert!(p.on_heartbeat_overdue(late, true, &cfg, &mut rng).error);
            assert_eq!(p.state(true), PathState::PotentiallyFailed);
            // By that error data goes elsewhere, and the path is asked at once; or the other paths have failed more.
            assert_eq!(p.on_heartbeat_due(late, (true, !elsewhere), &cfg, &mut rng), elsewhere);
            if !elsewhere {
                let again = p.heartbeat.deadline().unwrap();
                assert_eq!(again, late + p.rto());
                assert!(p.on_heartbeat_due(again, (true, false), &cfg, &mut rng), "it went elsewhere meanwhile");
            }
        }
    }

    /// A path whose source was lost is asked once in an RTO, though periodic HEARTBEATs are off, and never again and again at one time.
    #[test]
    fn a_path_with_another_source_waits_for_its_data() {
        let cfg = AssocConfig { hb_interval: None, ..AssocConfig::rfc() };
        let mut rng = SeededEntropy::new(1);
        let mut p = path("10.0.0.1", UDP);
        p.confirmed = true;
        p.limits.hb_interval = None;
        p.on_send(Time::from_millis(200), 1000);
        p.in_flight = 1000;
        p.doubt();
        p.heartbeat.due = Some(Time::from_millis(300));
        let mut now = Time::from_millis(300);
        for _ in 0..3 {
            assert!(!p.on_heartbeat_due(now, (true, true), &cfg, &mut rng), "its data is the probe");
            assert_eq!(p.heartbeat.deadline(), Some(now + p.rto()));
            now += p.rto();
        }
        p.in_flight = 0;
        assert!(p.on_heartbeat_due(now, (true, true), &cfg, &mut rng));
        assert_eq!(p.heartbeat.deadline(), None);
    }
}
