//! Whether the peer is there: timers, HEARTBEATs (RFC 9260 section 8.3), and what the network says (rulings section 1 row 13).

use core::time::Duration;
use std::sync::Arc;

use arrayvec::ArrayVec;

use super::core::{Context, Control, Core};
use super::path::{HeartbeatInfo, HeartbeatKind, MAX_PATHS, PathId};
use super::state::State;
use super::timers::Timer;
use super::{Association, rx::Rx};
use crate::error::CloseReason;
use crate::net::Meta;
use crate::time::Time;
use crate::wire::chunk::Heartbeat;

/// A second ICMP error ends the association only if it comes at least this long after the first: one burst of our own
/// packets into a peer that is just restarting must not.
const CONFIRM_AFTER: Duration = Duration::from_millis(100);

/// A port unreachable that is being checked by HEARTBEATs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unreachable {
    since: Time,
    /// HEARTBEATs sent for it and not answered.
    probes: u32,
}

impl Association {
    /// Serves every timer that has expired.
    pub(crate) fn on_timeout(&mut self, ctx: &mut Context<'_>) {
        let core = &mut self.core;
        while core.state != State::Closed {
            match core.timers.take_expired(ctx.now) {
                Some(Timer::T1) => core.on_t1(ctx),
                Some(Timer::T2) => core.on_t2(ctx),
                Some(Timer::T5) => core.on_t5(),
                Some(Timer::Unreachable) => core.on_unreachable_timer(ctx),
                None => break,
            }
        }
        if core.state == State::Closed {
            return;
        }
        if let Some(rx) = &mut core.rx
            && rx.sack_deadline().is_some_and(|at| at <= ctx.now)
        {
            rx.on_sack_timer(ctx.now);
        }
        core.tx.on_release(ctx.now);
        let paths: ArrayVec<PathId, MAX_PATHS> = core.paths.iter().map(|(id, _)| id).collect();
        for path in paths {
            core.on_path_timers(ctx, path);
            if core.state == State::Closed {
                return;
            }
        }
        core.release_idle_buffers();
    }
}

impl Core {
    /// A packet of the peer was admitted: it lives, and this is where it is reached (RFC 6951 section 5.4).
    pub(super) fn heard(&mut self, now: Time, path: PathId, meta: &Meta) {
        self.last_heard = now;
        self.unreachable = None;
        self.timers.stop(Timer::Unreachable);
        if let Some(p) = self.paths.get_mut(path) {
            if p.channel != meta.channel {
                tracing::debug!(assoc = self.id.get(), from = ?p.channel, to = ?meta.channel, "peer moved");
                p.channel = meta.channel;
            }
            p.heartbeat.on_heard();
        }
    }

    fn on_path_timers(&mut self, ctx: &mut Context<'_>, path: PathId) {
        if self.paths.get(path).and_then(|p| p.t3).is_some_and(|at| at <= ctx.now) {
            let outcome = self.tx.on_t3(ctx.now, path, &mut self.paths);
            self.tx.begin_opportunity();
            // What rode behind a COOKIE ECHO has T1-cookie to count for it.
            if outcome.count_error && !self.state.is_opening() && !self.path_error(path, true) {
                return;
            }
        }
        if !self.state.sends_heartbeats() {
            return;
        }
        let cfg = Arc::clone(&self.cfg);
        let Some(p) = self.paths.get_mut(path) else { return };
        let due = p.on_heartbeat_timer(ctx.now, &cfg, ctx.entropy);
        if due.error && !self.path_error(path, false) {
            return;
        }
        if due.send {
            self.push_control(Control::Heartbeat(path, HeartbeatKind::Periodic));
        }
    }

    /// Counts an error of a path; on the path in use for data it counts for the association too (section 8.1).
    fn path_error(&mut self, path: PathId, count_path: bool) -> bool {
        if count_path && let Some(p) = self.paths.get_mut(path) {
            p.count_error();
        }
        path != self.paths.primary() || self.count_error(self.cfg.assoc_max_retrans)
    }

    /// Sends a HEARTBEAT on the path in use at once (section 8.3 D).
    pub(crate) fn heartbeat(&mut self) {
        if self.state.sends_heartbeats() {
            self.push_control(Control::Heartbeat(self.paths.primary(), HeartbeatKind::OnDemand));
        }
    }

    pub(super) fn on_heartbeat_ack(&mut self, ctx: &mut Context<'_>, ack: &Heartbeat<'_>) {
        let Some(info) = ack.info().and_then(HeartbeatInfo::parse) else { return };
        if self.paths.get_mut(info.path).is_some_and(|p| p.on_heartbeat_ack(ctx.now, &info)) {
            self.counters.in_heartbeat_acks += 1;
            self.errors = 0;
        }
    }

    /// A validated ICMP port unreachable: a HEARTBEAT asks, and only a second error, or silence, ends the association.
    pub(crate) fn on_port_unreachable(&mut self, ctx: &mut Context<'_>) {
        match self.unreachable {
            Some(u) if ctx.now - u.since >= CONFIRM_AFTER => self.close(CloseReason::NetworkUnreachable),
            Some(_) => {}
            None => {
                self.unreachable = Some(Unreachable { since: ctx.now, probes: 1 });
                self.heartbeat();
                self.timers.start(Timer::Unreachable, ctx.now + CONFIRM_AFTER);
            }
        }
    }

    fn on_unreachable_timer(&mut self, ctx: &mut Context<'_>) {
        let Some(u) = &mut self.unreachable else { return };
        // In the opening states no HEARTBEAT can ask: the next INIT or COOKIE ECHO brings the second error, or T1 ends it.
        if !self.state.sends_heartbeats() {
            return;
        }
        if u.probes >= 2 {
            self.close(CloseReason::NetworkUnreachable);
            return;
        }
        u.probes += 1;
        self.heartbeat();
        let wait = self.rto().max(CONFIRM_AFTER);
        self.timers.start(Timer::Unreachable, ctx.now + wait);
    }

    /// The host slept: timers that expired meanwhile run once more before they count (rulings section 1 row 22).
    pub(crate) fn forgive(&mut self, now: Time) {
        let grace = self.rto();
        self.timers.forgive(now, grace);
        for (_, path) in self.paths.iter_mut() {
            path.forgive(now);
        }
        if let Some(rx) = &mut self.rx
            && rx.sack_deadline().is_some_and(|at| at <= now)
        {
            Rx::on_sack_timer(rx, now);
        }
    }
}
