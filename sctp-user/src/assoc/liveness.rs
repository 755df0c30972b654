//! Whether the peer is there: timers, HEARTBEATs (RFC 9260 section 8.3), and what the network says (rulings section 1 row 13).

use core::hint::cold_path;
use core::time::Duration;
use std::net::IpAddr;
use std::sync::Arc;

use arrayvec::ArrayVec;

use super::core::{Context, Control, Core};
use super::path::{HeartbeatInfo, HeartbeatKind, Limits, MAX_PATHS, PathId};
use super::state::State;
use super::timers::Timer;
use super::{Association, rx::Rx};
use crate::error::{CloseReason, PathError};
use crate::event::{Event, PathChange, PathState};
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
    path: PathId,
    /// HEARTBEATs sent for it and not answered.
    probes: u32,
}

impl Unreachable {
    /// Whether this path is being checked.
    pub(super) fn is_about(&self, path: PathId) -> bool {
        self.path == path
    }

    /// Path `old` is number `new` from now on.
    pub(super) fn rename(&mut self, old: PathId, new: PathId) {
        if self.path == old {
            self.path = new;
        }
    }
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
                Some(Timer::Autoclose) => core.on_autoclose(ctx),
                None => break,
            }
        }
        if core.state == State::Closed {
            return;
        }
        core.on_trial_timer(ctx);
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
        self.ext.on_timeout(core, ctx);
        if core.state != State::Closed {
            core.release_idle_buffers();
            if core.tx.is_drained() {
                self.ext.release();
            }
        }
    }
}

impl Core {
    /// A packet of the peer was admitted: it lives, and this is where it is reached (RFC 6951 section 5.4). `answers` says that it is the
    /// answer to an INIT, of which further ones may come by all the ways that were tried.
    pub(super) fn heard(&mut self, now: Time, path: PathId, meta: &Meta, answers: bool) {
        self.last_heard = now;
        self.heard_on = path;
        if self.unreachable.take_if(|u| u.path == path).is_some() {
            cold_path();
            self.timers.stop(Timer::Unreachable);
        }
        if let Some(p) = self.paths.get_mut(path) {
            let late = answers && self.state != State::CookieWait;
            if p.channel != meta.channel && p.may_move(meta.channel) && !late {
                cold_path();
                tracing::debug!(assoc = self.id.get(), from = ?p.channel, to = ?meta.channel, "peer moved");
                p.set_channel(meta.channel);
            }
            p.heartbeat.on_heard();
        }
    }

    fn on_path_timers(&mut self, ctx: &mut Context<'_>, path: PathId) {
        if self.paths.get(path).and_then(|p| p.t3).is_some_and(|at| at <= ctx.now) {
            let outcome = self.tx.on_t3(ctx.now, path, &mut self.paths);
            self.note_mtu(path);
            self.tell_abandoned(ctx);
            self.tx.begin_opportunity();
            // What rode behind a COOKIE ECHO has T1-cookie to count for it.
            if outcome.count_error && !self.state.is_opening() {
                self.path_error(ctx.now, path);
                // Retransmissions count wherever they go (section 8.1).
                if !self.count_error(self.cfg.assoc_max_retrans) {
                    return;
                }
            }
        }
        if !self.state.sends_heartbeats() {
            return;
        }
        let cfg = Arc::clone(&self.cfg);
        let (another, in_use) = (self.paths.len() > 1, self.paths.data_path() == path);
        let Some(p) = self.paths.get_mut(path) else { return };
        p.on_pmtu_timer(ctx.now);
        let overdue = p.on_heartbeat_overdue(ctx.now, another, &cfg, ctx.entropy);
        self.note_mtu(path);
        // On a path that carries no data it says nothing about the peer (section 8.1).
        if overdue.error && in_use && !self.count_error(self.cfg.assoc_max_retrans) {
            return;
        }
        if overdue.retry {
            self.probe_in_turn(ctx.now, path);
        }
        let still_in_use = self.paths.data_path() == path;
        let Some(p) = self.paths.get_mut(path) else { return };
        if p.on_heartbeat_due(ctx.now, (another, still_in_use), &cfg, ctx.entropy) {
            self.push_control(Control::Heartbeat(path, HeartbeatKind::Periodic));
        }
    }

    /// Counts an error of a path. One that may have failed now gets a HEARTBEAT at once (RFC 7829 section 3.2 rule 6), unless it
    /// carries data all the same.
    pub(super) fn path_error(&mut self, now: Time, path: PathId) {
        let before = self.paths.state(path);
        if let Some(p) = self.paths.get_mut(path) {
            p.count_error();
        }
        let doubtful = before == PathState::Active && self.paths.state(path) == PathState::PotentiallyFailed;
        if doubtful {
            let (cfg, elsewhere) = (Arc::clone(&self.cfg), self.paths.data_path() != path);
            if let Some(p) = self.paths.get_mut(path) {
                let at = if elsewhere { now } else { now + p.rto() };
                p.probe_at(at, &cfg);
            }
        }
    }

    /// Starts the HEARTBEATs: periodic ones to confirmed addresses, and to the others, one after the other, those that confirm them.
    pub(crate) fn start_heartbeats(&mut self, ctx: &mut Context<'_>) {
        let cfg = Arc::clone(&self.cfg);
        self.next_probe = ctx.now;
        let all: ArrayVec<PathId, MAX_PATHS> = self.paths.iter().map(|(id, _)| id).collect();
        for id in all {
            match self.paths.get_mut(id) {
                Some(path) if path.confirmed => path.schedule_heartbeat(ctx.now, &cfg, ctx.entropy),
                _ => self.probe_in_turn(ctx.now, id),
            }
            if let Some(path) = self.paths.get_mut(id) {
                // What the handshake has shown is no news.
                let _ = path.news(true);
            }
        }
    }

    /// An address is to be probed as soon as HB.Max.Burst packets for each RTO allow it (section 5.4).
    pub(super) fn probe_in_turn(&mut self, now: Time, path: PathId) {
        if self.paths.get(path).is_none_or(|p| p.stranded) {
            return;
        }
        let at = self.next_probe.max(now);
        let burst = u32::try_from(self.cfg.hb_max_burst.max(1)).unwrap_or(u32::MAX);
        self.next_probe = at + self.rto() / burst;
        if let Some(p) = self.paths.get_mut(path) {
            p.heartbeat.due = Some(at);
        }
    }

    /// Sends a HEARTBEAT on the path in use at once (section 8.3 D).
    pub(crate) fn heartbeat(&mut self) {
        self.heartbeat_on(self.paths.data_path());
    }

    /// Sends a HEARTBEAT on a path at once, if one of our addresses reaches it.
    pub(crate) fn heartbeat_on(&mut self, path: PathId) {
        if self.state.sends_heartbeats() && !self.is_stranded(path) {
            self.push_control(Control::Heartbeat(path, HeartbeatKind::OnDemand));
        }
    }

    /// Tells the user what became of the paths, and settles which of them are used.
    pub(crate) fn settle_paths(&mut self) {
        if self.state.is_opening() || self.state == State::Closed {
            cold_path();
            return;
        }
        let another = self.paths.len() > 1;
        for (_, path) in self.paths.iter_mut() {
            if let Some(change) = path.news(another) {
                cold_path();
                self.events.push_back(Event::PathState { addr: path.addr, change });
            }
        }
        self.paths.settle();
        let (primary, data) = (self.paths.primary(), self.paths.data_path());
        let failed = |limit| self.paths.get(primary).is_some_and(|p| p.error_count > limit);
        // RFC 7829 section 5.
        if data != primary && self.paths.is_active(data) && self.cfg.primary_switch_max_retrans.is_some_and(failed) {
            self.make_primary(data);
        }
    }

    /// The user's values for one path.
    pub(crate) fn set_limits(&mut self, ctx: &mut Context<'_>, path: PathId, limits: Limits) {
        let cfg = Arc::clone(&self.cfg);
        let Some(p) = self.paths.get_mut(path) else { return };
        p.limits = limits;
        if p.confirmed && self.state.sends_heartbeats() {
            p.schedule_heartbeat(ctx.now, &cfg, ctx.entropy);
        }
    }

    /// The user's marks for the packets of one path.
    pub(crate) fn mark_path(&mut self, path: PathId, dscp: u8, flow_label: u32) {
        if let Some(p) = self.paths.get_mut(path) {
            p.mark(&self.cfg, dscp, flow_label);
        }
    }

    /// The user's path MTU for one path.
    pub(crate) fn fix_mtu(&mut self, path: PathId, mtu: Option<usize>) {
        if let Some(p) = self.paths.get_mut(path) {
            p.fix_mtu(&self.cfg, mtu);
        }
        self.note_mtu(path);
    }

    fn make_primary(&mut self, path: PathId) {
        self.paths.set_primary(path);
        if let Some(p) = self.paths.get(path) {
            self.events.push_back(Event::PathState { addr: p.addr, change: PathChange::MadePrimary });
        }
    }

    /// The user's choice (section 11.1.7).
    ///
    /// # Errors
    /// The peer has no such address, or it is not confirmed.
    pub(crate) fn set_primary(&mut self, addr: IpAddr) -> Result<(), PathError> {
        let path = self.paths.find(addr).ok_or(PathError::UnknownAddress)?;
        if !self.paths.get(path).is_some_and(|p| p.confirmed) {
            return Err(PathError::Unconfirmed);
        }
        if path != self.paths.primary() {
            self.make_primary(path);
            self.tx.begin_opportunity();
        }
        Ok(())
    }

    pub(super) fn on_heartbeat_ack(&mut self, ctx: &mut Context<'_>, ack: &Heartbeat<'_>) {
        let Some(info) = ack.info().and_then(HeartbeatInfo::parse) else { return };
        let (data, confirmed) = (self.paths.data_path(), self.is_confirmed(self.paths.data_path()));
        let mut answered = |id| self.paths.get_mut(id).is_some_and(|p| p.on_heartbeat_ack(ctx.now, &info));
        // The path may have got another number meanwhile.
        let others = || (0..).map(PathId).take(MAX_PATHS).filter(|id| *id != info.path);
        let path = if answered(info.path) { Some(info.path) } else { others().find(|id| answered(*id)) };
        if let Some(path) = path {
            self.counters.in_heartbeat_acks += 1;
            self.errors = 0;
            self.note_mtu(path);
            if self.paths.data_path() != data || self.is_confirmed(data) != confirmed {
                // Data goes by another path now, which may have room.
                self.tx.begin_opportunity();
            }
        }
    }

    /// A validated ICMP port unreachable: a HEARTBEAT asks, and only a second error, or silence, ends the association, or the path if
    /// there is another one that works.
    pub(crate) fn on_port_unreachable(&mut self, ctx: &mut Context<'_>, addr: IpAddr) {
        let Some(path) = self.paths.find(addr) else { return };
        match self.unreachable.as_deref().copied() {
            Some(u) if u.path == path && ctx.now - u.since >= CONFIRM_AFTER => self.nobody_there(path),
            Some(_) => {}
            None => {
                self.unreachable = Some(Box::new(Unreachable { since: ctx.now, path, probes: 1 }));
                self.heartbeat_on(path);
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
        let path = u.path;
        if u.probes >= 2 {
            self.nobody_there(path);
            return;
        }
        u.probes += 1;
        self.heartbeat_on(path);
        let wait = self.rto().max(CONFIRM_AFTER);
        self.timers.start(Timer::Unreachable, ctx.now + wait);
    }

    fn nobody_there(&mut self, path: PathId) {
        self.unreachable = None;
        self.timers.stop(Timer::Unreachable);
        if self.paths.iter().all(|(id, _)| id == path || !self.paths.is_active(id)) {
            self.close(CloseReason::NetworkUnreachable);
        } else if let Some(p) = self.paths.get_mut(path) {
            p.fail();
        }
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
