//! The initiator's side of the four-way handshake (RFC 9260 section 5.1). The other side keeps no state: see
//! [`crate::stack`]'s responder.

use core::time::Duration;
use std::net::IpAddr;

use super::core::{Context, Control, Core, Echo};
use super::offer::{self, Refusal};
use super::state::State;
use super::timers::Timer;
use super::tx::FragmentFormat;
use crate::error::CloseReason;
use crate::net::Meta;
use crate::num::Vtag;
use crate::wire::chunk::{Abort, Init};
use crate::wire::param;
use crate::wire::{Cause, Encode as _};

/// What a stale cookie makes us ask for on top of the round trip (section 5.2.6: at most a second).
const PRESERVATIVE_MARGIN: Duration = Duration::from_secs(1);

impl Core {
    /// Sends the first INIT.
    pub(crate) fn start(&mut self, ctx: &mut Context<'_>) {
        self.begin_trial(ctx);
        self.push_control(Control::Init);
        self.start_t1(ctx);
    }

    fn start_t1(&mut self, ctx: &mut Context<'_>) {
        let longest = self.cfg.max_init_timeout.unwrap_or(Duration::MAX);
        self.timers.start(Timer::T1, ctx.now + self.rto().min(longest));
    }

    /// T1-init or T1-cookie expired: the same chunk again, with doubled RTO.
    pub(super) fn on_t1(&mut self, ctx: &mut Context<'_>) {
        self.counters.rare().t1_expireds += 1;
        if self.trial_was_refused() {
            return;
        }
        if !self.count_error(self.cfg.max_init_retransmits) {
            return;
        }
        self.back_off();
        self.paths.try_next();
        match self.state {
            State::CookieWait => {
                self.begin_trial(ctx);
                self.push_control(Control::Init);
            }
            State::CookieEchoed => {
                self.tx.retransmit_all(&mut self.paths);
                self.lead_control(Control::CookieEcho);
                self.tx.begin_opportunity();
            }
            _ => return,
        }
        self.start_t1(ctx);
    }

    /// Out of line: it happens once, and is long.
    #[inline(never)]
    pub(super) fn on_init_ack(&mut self, ctx: &mut Context<'_>, meta: &Meta, ack: &Init<'_>) {
        if self.state != State::CookieWait {
            return;
        }
        if ack.tag == Vtag::ZERO {
            // Section 3.3.3: the TCB is destroyed and the ABORT's tag is the one that the packet came with.
            self.say_farewell(self.local_tag, &Abort { t: true, causes: &[] });
            self.close(CloseReason::ProtocolViolation("INIT ACK with tag zero"));
            return;
        }
        if ack.a_rwnd < offer::MIN_WINDOW {
            // Section 3.3.3: refused, and nothing changes. A better one may come.
            let causes = offer::small_window().to_vec();
            self.say_farewell(ack.tag, &Abort { t: false, causes: &causes });
            return;
        }
        self.peer_tag = ack.tag;
        let mut offer = match offer::evaluate(ack) {
            Ok(offer) => offer,
            Err(Refusal(causes)) => {
                // Section 5.1.2 B: to where the last packet came from.
                let path = self.paths.find(meta.src).unwrap_or_else(|| self.paths.primary());
                self.say_farewell_on(path, ack.tag, &Abort { t: false, causes: &causes });
                self.close(CloseReason::ProtocolViolation("unacceptable INIT ACK"));
                return;
            }
        };
        let Some(cookie) = offer.cookie else {
            let missing = param::kind::STATE_COOKIE.to_be_bytes();
            self.violate("INIT ACK without State Cookie", &Cause::MissingParams(&missing));
            return;
        };
        self.echo = Some(Box::new(Echo { cookie: cookie.into(), sent: None }));
        self.settle_channel(meta.channel);
        self.reached_at(meta.dst);
        // Section 5.1.1: fewer streams than we wanted are taken; the peer's excess ones are refused when DATA comes on them.
        self.outbound = self.cfg.outbound_streams.min(ack.inbound);
        self.inbound = self.cfg.max_inbound_streams.min(ack.outbound);
        self.peer_terms = core::mem::take(&mut offer.terms).known_to(&self.local_terms);
        if self.tx.has_begun_otherwise(FragmentFormat::of(self.agreed().interleaving)) {
            // A cookie was stale with which data had gone, and the peer that answers now is another one.
            let what = "another kind of user data than agreed on at first";
            self.violate(what, &Cause::ProtocolViolation(what.as_bytes()));
            return;
        }
        self.establish_tx(ack.a_rwnd);
        self.establish_rx(ack.tsn);
        if let Some(path) = self.paths.find(meta.src).and_then(|id| self.paths.get_mut(id)) {
            path.set_local(meta.dst);
        }
        self.keep_listed(meta.src, &offer.addrs);
        self.add_peer_addrs(ctx.now, &offer.addrs, meta.channel);
        let unrecognized = offer.unrecognized(self.local_terms.capabilities);
        if !unrecognized.is_empty() {
            self.complain(ctx.now, &Cause::UnrecognizedParams(unrecognized));
        }
        self.enter_cookie_echoed(ctx);
    }

    /// The peer has answered from `src`: of the addresses that the user gave, those that are not the peer's are forgotten
    /// (section 5.1.2).
    fn keep_listed(&mut self, src: IpAddr, listed: &[IpAddr]) {
        let trusted = self.paths.find(src).filter(|id| self.paths.get(*id).is_some_and(|p| p.confirmed));
        if let Some(path) = trusted.filter(|_| self.tx.is_untouched()) {
            self.paths.set_primary(path);
            self.paths.keep(|p| p.addr == src || listed.contains(&p.addr));
            (self.reply_path, self.heard_on) = (self.paths.primary(), self.paths.primary());
            self.unreachable = None;
        }
    }

    fn enter_cookie_echoed(&mut self, ctx: &mut Context<'_>) {
        self.state = State::CookieEchoed;
        // After a stale cookie the attempts go on counting: a peer that finds every cookie stale must not keep us busy.
        if self.preservative == 0 {
            self.errors = 0;
        }
        self.control.retain(|c| *c != Control::Init);
        self.lead_control(Control::CookieEcho);
        self.tx.begin_opportunity();
        self.start_t1(ctx);
    }

    pub(super) fn on_cookie_ack(&mut self, ctx: &mut Context<'_>) {
        if self.state == State::CookieEchoed {
            self.established(ctx);
        }
    }

    /// Stale Cookie (section 5.2.6): a new INIT that asks for a longer life; in any other state it is ignored.
    pub(super) fn on_stale_cookie(&mut self, ctx: &mut Context<'_>) {
        if self.state != State::CookieEchoed || !self.count_error(self.cfg.max_init_retransmits) {
            return;
        }
        // By the peer's clock a cookie is on its way for a round trip, as long as from this echo to its answer.
        let round_trip = self.echo.take().and_then(|echo| echo.sent).map_or(Duration::ZERO, |at| ctx.now - at);
        self.preservative = u32::try_from((round_trip + PRESERVATIVE_MARGIN).as_millis()).unwrap_or(u32::MAX);
        self.state = State::CookieWait;
        self.peer_tag = Vtag::ZERO;
        self.tie_tags = None;
        self.control.clear();
        self.tx.retransmit_all(&mut self.paths);
        self.push_control(Control::Init);
        self.start_t1(ctx);
    }
}
