//! What an association shows of itself.

use core::time::Duration;

use super::core::Core;
use super::path::{Path, PathId};
use super::rx::Rx;
use super::timers::Timer;
use crate::stack::{PathSnapshot, Snapshot};
use crate::time::Time;

/// The timers that run, with what is left.
fn running(now: Time, timers: impl IntoIterator<Item = (&'static str, Option<Time>)>) -> Vec<(&'static str, Duration)> {
    timers.into_iter().filter_map(|(name, at)| Some((name, at?.saturating_since(now)))).collect()
}

impl Core {
    pub(crate) fn snapshot(&self, now: Time) -> Snapshot {
        let at = |t| self.timers.at(t);
        Snapshot {
            id: self.id,
            state: self.state.name(),
            incoming: self.incoming,
            ports: (self.local_port, self.peer_port),
            local_addrs: self.local_addrs.to_vec(),
            streams: (self.outbound, self.inbound),
            heard: now.saturating_since(self.last_heard),
            errors: (self.errors, self.cfg.assoc_max_retrans),
            controls: self.control.len(),
            send: self.tx.snapshot(),
            receive: self.rx.as_ref().map(Rx::snapshot).unwrap_or_default(),
            timers: running(
                now,
                [
                    ("T1", at(Timer::T1)),
                    ("T2", at(Timer::T2)),
                    ("T5", at(Timer::T5)),
                    ("ICMP check", at(Timer::Unreachable)),
                    ("autoclose", at(Timer::Autoclose)),
                    ("SACK", self.rx.as_ref().and_then(Rx::sack_deadline)),
                ],
            ),
            paths: self.paths.iter().map(|(id, p)| self.path_snapshot(now, id, p)).collect(),
            stats: self.stats(),
            deviations: self.deviations(),
        }
    }

    fn path_snapshot(&self, now: Time, id: PathId, p: &Path) -> PathSnapshot {
        PathSnapshot {
            addr: p.addr,
            local: p.local,
            channel: p.channel,
            primary: id == self.paths.primary(),
            state: self.paths.state(id),
            srtt: p.rtt.srtt(),
            rttvar: p.rtt.rttvar(),
            rto: p.rto(),
            mtu: p.mtu(),
            cwnd: p.cc.window(),
            ssthresh: p.cc.slow_start_threshold(),
            in_flight: p.in_flight,
            errors: (p.error_count, p.limits.max_retrans),
            unanswered_heartbeats: p.heartbeat.unanswered(),
            timers: running(now, [("T3", p.t3), ("heartbeat", p.heartbeat.deadline())]),
            stats: p.stats,
        }
    }
}
