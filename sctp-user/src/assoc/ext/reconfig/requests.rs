//! What the peer requests (RFC 6525 sections 5.2.1 to 5.2.6).

use arrayvec::ArrayVec;

use super::{Ask, MAX_ASKS, Reconfig, Renumbering, Request, What, encode, fits, listed, push, tell};
use crate::assoc::core::{Context, Core};
use crate::assoc::state::State;
use crate::assoc::streams::Streams;
use crate::event::{Event, ReconfigOutcome};
use crate::num::Tsn;
use crate::wire::Cause;
use crate::wire::chunk::{Reconfig as ReconfigChunk, ReconfigParam, ReconfigResult, kind};

/// What a request of the peer came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Reply {
    pub(super) result: ReconfigResult,
    pub(super) next_tsns: Option<(Tsn, Tsn)>,
    /// The answer is a request of our own, sent or to be sent.
    pub(super) induced: bool,
}

impl Reply {
    pub(super) const fn result(result: ReconfigResult) -> Self {
        Self { result, next_tsns: None, induced: false }
    }

    const fn induced() -> Self {
        Self { result: ReconfigResult::IN_PROGRESS, next_tsns: None, induced: true }
    }

    pub(super) const fn param(self, request: u32) -> ReconfigParam<'static> {
        ReconfigParam::Response { response: request, result: self.result, next_tsns: self.next_tsns }
    }
}

/// The answers to one chunk.
#[derive(Default)]
struct Answers {
    params: ArrayVec<ReconfigParam<'static>, 2>,
    /// The chunk in flight answers a request that came again: it goes again.
    again: bool,
    /// A request was among what came.
    any: bool,
}

impl Reconfig {
    /// A RE-CONFIG chunk.
    pub(super) fn on_reconfig(&mut self, core: &mut Core, ctx: &mut Context<'_>, chunk: &ReconfigChunk<'_>) {
        let mut params: ArrayVec<ReconfigParam<'_>, 2> = ArrayVec::new();
        for param in chunk.params() {
            match param {
                // Section 4: nothing behind a parameter of an unknown type is looked at, nor is it reported.
                Ok(ReconfigParam::Unknown(_)) if params.is_empty() => return,
                Ok(ReconfigParam::Unknown(_)) => break,
                Ok(param) if !params.is_full() => params.push(param),
                _ => return refuse(core, ctx),
            }
        }
        if !may_stand_together(&params) {
            return refuse(core, ctx);
        }
        let mut answers = Answers::default();
        for param in &params {
            if core.state != State::Closed {
                self.on_param(core, ctx, param, &mut answers);
            }
        }
        if core.state == State::Closed {
            return;
        }
        if answers.any
            && let Some(rx) = &mut core.rx
        {
            // Section 5.2.1: whatever is missing is known the sooner.
            rx.force_sack();
        }
        if answers.again
            && let Some(flight) = &self.flight
        {
            push(core, kind::RE_CONFIG, flight.chunk.clone());
        }
        // Section 5.2.1: all answers go in one chunk, with a request of ours that is one of them, where section 3.1 allows it.
        let resets = |a: &Ask| a.answers.is_some() && matches!(a.what, What::Reset { .. });
        let joins = answers.params.len() < 2 && self.asks.len() == 1 && self.asks.front().is_some_and(resets);
        let idle = self.flight.is_none() && self.renumbering.is_none() && super::sends(core.state);
        if joins && idle && self.send_next(core, ctx, &answers.params) {
            return;
        }
        // The peer does not count errors while it knows that we are at it.
        for ask in &self.asks {
            let Some(request) = ask.answers else { continue };
            let asked = params.iter().any(|p| p.request() == Some(request));
            if asked && idle_add(ask, idle) {
                continue;
            }
            let param = Reply::induced().param(request);
            if asked && !answers.params.is_full() && !answers.params.contains(&param) {
                answers.params.push(param);
            }
        }
        if !answers.params.is_empty() {
            push(core, kind::RE_CONFIG, encode(&answers.params));
        }
    }

    fn on_param(&mut self, core: &mut Core, ctx: &mut Context<'_>, param: &ReconfigParam<'_>, answers: &mut Answers) {
        let Some(request) = param.request() else {
            if let ReconfigParam::Response { response, result, next_tsns } = *param {
                self.on_response(core, ctx, response, result, next_tsns);
            }
            return;
        };
        core.counters.rare().in_reconfig_requests += 1;
        answers.any = true;
        let known = self.answered.iter().find(|(n, _)| *n == request).map(|(_, reply)| *reply);
        let reply = match known {
            _ if request == self.expected => {
                self.expected = request.wrapping_add(1);
                if self.renumbering.is_some_and(|r| r.done.is_some()) {
                    // One request at a time: this one shows that the last one's answer has arrived.
                    self.confirmed(core, ctx);
                }
                let reply = self.perform(core, ctx, request, param);
                if reply.next_tsns.is_some() {
                    // It was said as it was done.
                    return;
                }
                self.remember(request, reply);
                reply
            }
            Some(reply) => reply,
            None => Reply::result(ReconfigResult::BAD_SEQUENCE_NUMBER),
        };
        if let Some(tsns) = reply.next_tsns.filter(|_| self.renumbering.is_some()) {
            return super::say_renumbered(core, request, tsns);
        }
        let param = match (reply.induced, &self.flight) {
            (false, _) => reply.param(request),
            (true, Some(flight)) if flight.answers == Some(request) => {
                answers.again = true;
                return;
            }
            // Said below, unless the request itself can go.
            (true, _) if self.asks.iter().any(|a| a.answers == Some(request)) => return,
            (true, _) => Reply::result(ReconfigResult::PERFORMED).param(request),
        };
        let _ = answers.params.try_push(param);
    }

    /// Keeps what a request came to, of the last two: a chunk has no more.
    pub(super) fn remember(&mut self, request: u32, reply: Reply) {
        if let Some((_, old)) = self.answered.iter_mut().find(|(n, _)| *n == request) {
            *old = reply;
            return;
        }
        if self.answered.is_full() {
            self.answered.remove(0);
        }
        self.answered.push((request, reply));
    }

    /// Carries out a new request, or says why not.
    fn perform(&mut self, core: &mut Core, ctx: &mut Context<'_>, request: u32, param: &ReconfigParam<'_>) -> Reply {
        match *param {
            ReconfigParam::OutgoingReset { response, last_tsn, streams, .. } => {
                self.reset_incoming(core, (request, response), last_tsn, listed(streams))
            }
            ReconfigParam::IncomingReset { streams, .. } => self.reset_outgoing(core, request, listed(streams)),
            ReconfigParam::TsnReset { .. } => self.reset_all(core, ctx, request),
            ReconfigParam::AddOutgoing { count, .. } => self.add_incoming(core, count),
            ReconfigParam::AddIncoming { count, .. } => self.add_outgoing(core, request, count),
            ReconfigParam::Response { .. } | ReconfigParam::Unknown(_) => Reply::result(ReconfigResult::DENIED),
        }
    }

    /// Section 5.2.2: the streams that the peer sends on begin anew.
    fn reset_incoming(&mut self, core: &mut Core, (request, response): (u32, u32), last: Tsn, streams: Streams) -> Reply {
        let invited = self.invited.take_if(|n| *n == response).is_some();
        if invited {
            // Rule E1. What else has this number gets its own answer, which says what became of it.
            self.settle(response);
        } else if !core.cfg.accept_stream_reset {
            return Reply::result(ReconfigResult::DENIED);
        }
        let wrong = if !streams.exist(core.inbound) {
            Some(ReconfigResult::WRONG_SSN)
        } else if self.deferred.is_some() {
            Some(ReconfigResult::ALREADY_IN_PROGRESS)
        } else {
            None
        };
        if let Some(result) = wrong {
            if invited {
                tell(core, Request::Incoming(streams), ReconfigOutcome::Failed);
            }
            return Reply::result(result);
        }
        let Some(rx) = &mut core.rx else { return Reply::result(ReconfigResult::DENIED) };
        if !rx.reset_after(streams.clone(), last) {
            self.deferred = Some((request, streams));
            return Reply::result(ReconfigResult::IN_PROGRESS);
        }
        core.notify_readable();
        tell(core, Request::Incoming(streams), ReconfigOutcome::Performed);
        Reply::result(ReconfigResult::PERFORMED)
    }

    /// Section 5.2.3: the streams that we send on shall begin anew, for which we have to request it.
    fn reset_outgoing(&mut self, core: &Core, request: u32, streams: Streams) -> Reply {
        // The answer names as many streams, and has to fit a packet (cf. CVE-2026-68315).
        if !core.cfg.accept_stream_reset || core.state != State::Established || !fits(core, streams.list().len()) {
            return Reply::result(ReconfigResult::DENIED);
        }
        if !streams.exist(core.outbound) {
            return Reply::result(ReconfigResult::WRONG_SSN);
        }
        let under_way = |r: &Request| matches!(r, Request::Outgoing(s) if s.cover(&streams));
        let overlaps = self.flight.as_ref().is_some_and(|f| f.open.iter().any(|(_, r)| under_way(r)));
        if overlaps || core.tx.is_anew(&streams) {
            return Reply::result(ReconfigResult::NOTHING_TO_DO);
        }
        self.induce(request, What::Reset { incoming: None, outgoing: Some(streams) })
    }

    /// Section 5.2.4.
    fn reset_all(&mut self, core: &mut Core, ctx: &mut Context<'_>, request: u32) -> Reply {
        if !core.cfg.accept_association_reset || core.state != State::Established {
            return Reply::result(ReconfigResult::DENIED);
        }
        if self.flight.is_some() || !self.asks.is_empty() || self.deferred.is_some() || self.renumbering.is_some() {
            return Reply::result(ReconfigResult::ALREADY_IN_PROGRESS);
        }
        core.tx.pause(Streams::all(), true);
        self.renumbering = Some(Renumbering { request, done: None });
        self.renumber(core, ctx);
        let next_tsns = self.renumbering.and_then(|r| r.done);
        let result = if next_tsns.is_some() { ReconfigResult::PERFORMED } else { ReconfigResult::IN_PROGRESS };
        Reply { result, next_tsns, induced: false }
    }

    /// Section 5.2.5: the peer has more streams to send on.
    fn add_incoming(&mut self, core: &mut Core, count: u16) -> Reply {
        // It may be the answer to our own request for them, which has no number here.
        let invited = self.settle_incoming_streams(count);
        let limit = if invited { u16::MAX } else { core.cfg.max_inbound_streams };
        let Some(streams) = core.inbound.checked_add(count).filter(|n| *n <= limit) else {
            return Reply::result(ReconfigResult::DENIED);
        };
        if !invited && !core.cfg.accept_added_streams {
            return Reply::result(ReconfigResult::DENIED);
        }
        if count == 0 {
            return Reply::result(ReconfigResult::NOTHING_TO_DO);
        }
        core.inbound = streams;
        if let Some(rx) = &mut core.rx {
            rx.add_streams(count);
        }
        let (inbound, outbound) = (core.inbound, core.outbound);
        core.events.push_back(Event::StreamsChanged { inbound, outbound, outcome: ReconfigOutcome::Performed });
        Reply::result(ReconfigResult::PERFORMED)
    }

    /// Section 5.2.6: we shall have more streams to send on, for which we have to request it.
    fn add_outgoing(&mut self, core: &Core, request: u32, count: u16) -> Reply {
        let fits = core.outbound.checked_add(count).is_some_and(|n| n <= core.cfg.max_outbound_streams);
        if !core.cfg.accept_added_streams || core.state != State::Established || !fits {
            return Reply::result(ReconfigResult::DENIED);
        }
        if count == 0 {
            return Reply::result(ReconfigResult::NOTHING_TO_DO);
        }
        self.induce(request, What::Add { incoming: 0, outgoing: count })
    }

    /// Queues what the peer wants us to request.
    fn induce(&mut self, request: u32, what: What) -> Reply {
        // Both sides may have asked for what needs a request of the other, and have one in flight: neither could ever send it.
        let needs_peer = |r: &Request| matches!(r, Request::Incoming(_) | Request::AddIncoming(_));
        let locked = self.flight.as_ref().is_some_and(|f| f.open.iter().any(|(_, r)| needs_peer(r)));
        if locked || self.asks.len() >= MAX_ASKS {
            return Reply::result(ReconfigResult::ALREADY_IN_PROGRESS);
        }
        self.asks.push_back(Ask { what, answers: Some(request), begun: false });
        Reply::induced()
    }
}

/// A request to add streams goes at once, as the only answer that there has to be.
fn idle_add(ask: &Ask, idle: bool) -> bool {
    idle && matches!(ask.what, What::Add { .. })
}

/// The combinations of section 3.1.
fn may_stand_together(params: &[ReconfigParam<'_>]) -> bool {
    use ReconfigParam as P;
    matches!(
        params,
        [_] | [P::OutgoingReset { .. }, P::IncomingReset { .. } | P::Response { .. }]
            | [P::IncomingReset { .. }, P::OutgoingReset { .. }]
            | [P::AddOutgoing { .. }, P::AddIncoming { .. }]
            | [P::AddIncoming { .. }, P::AddOutgoing { .. }]
            | [P::Response { .. }, P::OutgoingReset { .. } | P::Response { .. }]
    )
}

/// Section 3.1: an ERROR for what makes no sense.
fn refuse(core: &mut Core, ctx: &mut Context<'_>) {
    core.complain(ctx.now, &Cause::ProtocolViolation(b"RE-CONFIG with these parameters"));
}
