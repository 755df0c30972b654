//! A COOKIE ECHO for an association that exists (RFC 9260 section 5.2.4): duplicate, simultaneous opening, or restart.

use super::Association;
use super::cookie::StateCookie;
use super::core::{Context, Control, Core};
use super::ext::Extensions;
use super::rx::Rx;
use super::state::State;
use crate::event::Event;
use crate::wire::Cause;

/// What the table of section 5.2.4 says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Action A: the peer restarted.
    Restart,
    /// Action B: both opened at once.
    Collision,
    /// Action C: the cookie came late.
    Late,
    /// Action D: a duplicate of this association's own cookie.
    Duplicate,
    /// None of the table's rows.
    Discard,
}

impl Core {
    /// Compares the tags of a valid cookie with the association's.
    pub(crate) fn judge(&self, c: &StateCookie) -> Verdict {
        let local = c.local_tag == self.local_tag;
        let peer = c.peer_tag == self.peer_tag;
        let tie_zero = c.local_tie_tag.0 == 0 && c.peer_tie_tag.0 == 0;
        let tie = self.tie_tags == Some((c.local_tie_tag, c.peer_tie_tag));
        match (local, peer) {
            (true, true) => Verdict::Duplicate,
            (true, false) => Verdict::Collision,
            (false, true) if tie_zero => Verdict::Late,
            (false, false) if tie => Verdict::Restart,
            _ => Verdict::Discard,
        }
    }
}

impl Association {
    /// Acts on a valid cookie. Answers whether the rest of the packet is to be processed.
    pub(crate) fn on_cookie(&mut self, ctx: &mut Context<'_>, c: &StateCookie) -> bool {
        let core = &mut self.core;
        let opening = core.state.is_opening();
        match core.judge(c) {
            Verdict::Duplicate => core.on_duplicate_cookie(ctx),
            Verdict::Collision => {
                let go_on = core.on_collision(ctx, c);
                if opening {
                    self.ext = Extensions::negotiate(core);
                    self.ext.begin(core);
                    self.ext.on_established(core, ctx);
                }
                go_on
            }
            Verdict::Restart => {
                let restarted = core.on_restart(ctx, c);
                if restarted {
                    self.ext.give_up(core);
                    self.ext = Extensions::negotiate(core);
                }
                restarted
            }
            Verdict::Late | Verdict::Discard => false,
        }
    }
}

impl Core {
    fn on_duplicate_cookie(&mut self, ctx: &mut Context<'_>) -> bool {
        if self.state == State::CookieEchoed {
            self.established(ctx);
        }
        if self.state != State::CookieWait {
            self.lead_control(Control::CookieAck);
        }
        true
    }

    /// Both sides opened at once: the peer's tag is the new one, ours stays.
    fn on_collision(&mut self, ctx: &mut Context<'_>, c: &StateCookie) -> bool {
        self.peer_tag = c.peer_tag;
        self.tie_tags = None;
        if self.state.is_opening() {
            self.reached_at(c.local_addr);
            self.outbound = c.outbound;
            self.inbound = c.inbound;
            (self.local_terms, self.peer_terms) = (c.local_terms.clone(), c.peer_terms.clone());
            self.establish_tx(c.peer_rwnd);
            self.tx.retransmit_all(&mut self.paths);
            self.establish_rx(c.peer_tsn);
            self.add_peer_addrs(ctx.now, &c.peer_addrs, c.channel);
            if let Some(p) = c.peer_addrs.first().and_then(|a| self.paths.find(*a)).and_then(|id| self.paths.get_mut(id)) {
                p.trust();
                p.set_local(c.local_addr);
            }
            self.established(ctx);
        }
        self.lead_control(Control::CookieAck);
        true
    }

    /// The peer restarted: everything but the ports begins anew (sections 5.2.4.1 and rulings section 1 row 21).
    fn on_restart(&mut self, ctx: &mut Context<'_>, c: &StateCookie) -> bool {
        if self.state == State::ShutdownAckSent {
            self.push_control(Control::ShutdownAck);
            self.complain(ctx.now, &Cause::CookieWhileShuttingDown);
            return false;
        }
        let closing = core::mem::take(&mut self.closing) || matches!(self.state, State::ShutdownPending | State::ShutdownSent);
        let was_refused = self.tx.take_refused();
        self.give_up_partial();
        let unread = self.rx.as_mut().map(Rx::take_messages).unwrap_or_default();
        let failed = self.tx.take_undelivered();
        self.events.extend(failed.into_iter().map(Event::from));
        self.timers.stop_all();
        self.control.clear();
        self.unreachable = None;
        self.paths = super::core::paths_from_cookie(ctx.now, &self.cfg, c);
        (self.reply_path, self.heard_on) = (self.paths.primary(), self.paths.primary());
        self.restart(c);
        if let Some(rx) = &mut self.rx {
            rx.give_messages(unread);
        }
        self.state = State::Established;
        self.start_heartbeats(ctx);
        self.events.push_back(Event::Restarted);
        self.tell_adaptation();
        if was_refused {
            self.events.push_back(Event::Writable);
        }
        self.lead_control(Control::CookieAck);
        if closing {
            self.shutdown(ctx);
        }
        true
    }
}
