//! Graceful shutdown (RFC 9260 section 9.2).

use core::hint::cold_path;

use super::core::{Context, Control, Core};
use super::state::State;
use super::timers::Timer;
use super::tx::{Begun, SackSummary};
use crate::error::CloseReason;
use crate::event::Event;
use crate::num::Tsn;
use crate::wire::chunk::ShutdownComplete;
use crate::wire::{Cause, Encode as _};

impl Core {
    /// The user's SHUTDOWN primitive.
    pub(crate) fn shutdown(&mut self, ctx: &mut Context<'_>) {
        if self.tx.has_unfinished() && !self.end_unfinished() {
            return;
        }
        match self.state {
            State::Established => {
                self.state = State::ShutdownPending;
                self.tx.set_shutdown_pending();
                self.tx.begin_opportunity();
                self.advance_shutdown(ctx);
            }
            // Nobody has agreed to anything yet; but what was accepted for sending is delivered first.
            State::CookieWait | State::CookieEchoed if !self.tx.is_drained() => self.closing = true,
            State::CookieWait | State::CookieEchoed => self.abort(b""),
            _ => {}
        }
    }

    /// A message that was sent in parts will never be finished. What has not left is given up; if its beginning has, the
    /// association is aborted, since the peer waits for the rest. Answers whether it lives.
    fn end_unfinished(&mut self) -> bool {
        match self.tx.drop_unfinished() {
            Ok(dropped) => {
                self.events.extend(dropped.into_iter().map(Event::from));
                true
            }
            Err(Begun) => {
                self.abort(b"unfinished message");
                false
            }
        }
    }

    /// A SACK or the cumulative TSN of a SHUTDOWN was processed.
    pub(super) fn acknowledged(&mut self, ctx: &mut Context<'_>, summary: &SackSummary) {
        if summary.clear_errors {
            self.errors = 0;
        }
        if summary.writable {
            cold_path();
            self.events.push_back(Event::Writable);
        }
        if !summary.stale {
            self.tx.begin_opportunity();
        }
        self.tell_abandoned(ctx);
        self.tell_dry();
        self.advance_shutdown(ctx);
    }

    /// Once all data is acknowledged, a shutdown goes on.
    pub(super) fn advance_shutdown(&mut self, ctx: &mut Context<'_>) {
        if !self.tx.is_drained() {
            return;
        }
        match self.state {
            State::ShutdownPending => {
                self.state = State::ShutdownSent;
                self.push_control(Control::Shutdown);
            }
            State::ShutdownReceived => {
                self.state = State::ShutdownAckSent;
                self.push_control(Control::ShutdownAck);
            }
            _ => return,
        }
        self.errors = 0;
        self.start_t2(ctx);
    }

    fn start_t2(&mut self, ctx: &mut Context<'_>) {
        // Section 9.2 MAY, with its recommended value: a peer that never finishes ends in an ABORT.
        if !self.timers.runs(Timer::T5) {
            self.timers.start(Timer::T5, ctx.now + self.cfg.rto_max * 5);
        }
        self.timers.start(Timer::T2, ctx.now + self.rto());
    }

    pub(super) fn on_shutdown(&mut self, ctx: &mut Context<'_>, cum_tsn: Tsn) {
        match self.state {
            State::Established | State::ShutdownPending => {
                if self.tx.has_unfinished() && !self.end_unfinished() {
                    return;
                }
                let told = self.events.len();
                self.state = State::ShutdownReceived;
                self.tx.set_shutdown_pending();
                self.shutdown_acknowledges(ctx, cum_tsn);
                if self.state != State::Closed {
                    self.events.insert(told, Event::ShutdownReceived);
                }
            }
            State::ShutdownReceived => self.shutdown_acknowledges(ctx, cum_tsn),
            State::ShutdownSent => {
                self.shutdown_acknowledges(ctx, cum_tsn);
                if self.state == State::Closed {
                    return;
                }
                self.control.retain(|c| *c != Control::Shutdown);
                self.state = State::ShutdownAckSent;
                self.push_control(Control::ShutdownAck);
                self.start_t2(ctx);
            }
            State::ShutdownAckSent => self.push_control(Control::ShutdownAck),
            State::CookieWait | State::CookieEchoed | State::Closed => {}
        }
    }

    fn shutdown_acknowledges(&mut self, ctx: &mut Context<'_>, cum_tsn: Tsn) {
        match self.tx.on_shutdown_cum(ctx.now, cum_tsn, &mut self.paths) {
            Ok(summary) => self.acknowledged(ctx, &summary),
            Err(violation) => self.violate(violation.0, &Cause::ProtocolViolation(violation.0.as_bytes())),
        }
    }

    pub(super) fn on_shutdown_ack(&mut self) {
        // In other states it means nothing (section 8.5.1 E; in the opening ones the stack answered it out of the blue).
        if matches!(self.state, State::ShutdownSent | State::ShutdownAckSent) {
            self.say_farewell(self.peer_tag, &ShutdownComplete { t: false });
            self.close(CloseReason::Shutdown);
        }
    }

    pub(super) fn on_shutdown_complete(&mut self) {
        if self.state == State::ShutdownAckSent {
            self.close(CloseReason::Shutdown);
        }
    }

    /// T2-shutdown expired: the chunk goes out again with the present cumulative TSN.
    pub(super) fn on_t2(&mut self, ctx: &mut Context<'_>) {
        self.counters.rare().t2_expireds += 1;
        if !self.count_error(self.cfg.assoc_max_retrans) {
            return;
        }
        self.back_off();
        self.path_error(ctx.now, self.paths.data_path());
        match self.state {
            State::ShutdownSent => self.push_control(Control::Shutdown),
            State::ShutdownAckSent => self.push_control(Control::ShutdownAck),
            _ => return,
        }
        self.start_t2(ctx);
    }

    /// T5-shutdown-guard expired.
    pub(super) fn on_t5(&mut self) {
        self.abort_with(&Cause::ProtocolViolation(b"shutdown takes too long").to_vec());
        self.close(CloseReason::ShutdownTimeout);
    }

    /// Counts an error of the association; closes it when the counter exceeds `limit`. Answers whether it lives on.
    pub(super) fn count_error(&mut self, limit: u32) -> bool {
        self.errors = self.errors.saturating_add(1);
        if self.errors <= limit {
            return true;
        }
        let reason = if self.state.is_opening() { CloseReason::ConnectTimeout } else { CloseReason::PeerUnreachable };
        self.close(reason);
        false
    }
}
