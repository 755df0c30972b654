//! What the peer answers to our requests (RFC 6525 section 5.2.7).

use super::{Reconfig, Request, resumed, tell};
use crate::assoc::core::{Context, Core};
use crate::event::ReconfigOutcome;
use crate::num::Tsn;
use crate::wire::Cause;
use crate::wire::chunk::ReconfigResult;

impl Reconfig {
    /// A Re-configuration Response. One that answers nothing in flight means nothing (cf. CVE-2026-89476 and CVE-2026-89477).
    pub(super) fn on_response(
        &mut self,
        core: &mut Core,
        ctx: &mut Context<'_>,
        response: u32,
        result: ReconfigResult,
        next_tsns: Option<(Tsn, Tsn)>,
    ) {
        let Some(flight) = self.flight.as_mut().filter(|f| f.open.iter().any(|(n, _)| *n == response)) else { return };
        // The peer lives.
        core.errors = 0;
        if result == ReconfigResult::IN_PROGRESS {
            flight.in_progress = true;
            self.deadline = Some(ctx.now + core.rto());
            return;
        }
        let last_tsn = flight.last_tsn;
        let Some(request) = self.settle(response) else { return };
        match request {
            Request::Outgoing(_) => {
                if result == ReconfigResult::PERFORMED
                    && let Ok(summary) = core.tx.on_shutdown_cum(ctx.now, last_tsn, &mut core.paths)
                {
                    // It has all that was sent before (section 5.2.2 rule E2); a FORWARD TSN must not mix old numbers with new ones.
                    core.acknowledged(ctx, &summary);
                }
                core.tx.resume(result.is_success());
                tell(core, request, outcome(result));
                resumed(core, ctx);
            }
            // The peer's own request, which follows, does it.
            Request::Incoming(_) if result == ReconfigResult::PERFORMED => {}
            Request::Incoming(_) => {
                if !result.is_success() {
                    self.invited.take_if(|n| *n == response);
                }
                tell(core, request, outcome(result));
            }
            Request::Renumber => self.on_renumbered(core, ctx, result, next_tsns),
            Request::AddOutgoing(more) => {
                if result.is_success() {
                    core.outbound = core.outbound.saturating_add(more);
                    core.tx.add_streams(more);
                }
                tell(core, request, outcome(result));
            }
            Request::AddIncoming(_) if result.is_success() => {}
            Request::AddIncoming(_) => tell(core, request, outcome(result)),
        }
    }

    /// The answer to an SSN/TSN reset (rule H5).
    fn on_renumbered(&mut self, core: &mut Core, ctx: &mut Context<'_>, result: ReconfigResult, next_tsns: Option<(Tsn, Tsn)>) {
        match next_tsns {
            Some((theirs, ours)) if result == ReconfigResult::PERFORMED => {
                self.begin_anew(core, theirs);
                core.tx.begin_at(ours);
                core.tx.resume(true);
                tell(core, Request::Renumber, ReconfigOutcome::Performed);
            }
            None if result == ReconfigResult::PERFORMED => {
                // It has begun anew, and does not say where.
                let what = "SSN/TSN reset without TSNs";
                core.violate(what, &Cause::ProtocolViolation(what.as_bytes()));
                return;
            }
            _ => {
                core.tx.resume(false);
                let denied = result == ReconfigResult::DENIED;
                tell(core, Request::Renumber, if denied { ReconfigOutcome::Denied } else { ReconfigOutcome::Failed });
            }
        }
        resumed(core, ctx);
    }

    /// Marks one of our requests as acknowledged, and stops the timer after the last one (rule H1).
    pub(super) fn settle(&mut self, number: u32) -> Option<Request> {
        let flight = self.flight.as_mut()?;
        let at = flight.open.iter().position(|(n, _)| *n == number)?;
        let (_, request) = flight.open.remove(at);
        if flight.open.is_empty() {
            (self.flight, self.deadline) = (None, None);
        }
        Some(request)
    }

    /// The peer adds as many streams as we asked it to: whether it does.
    pub(super) fn settle_incoming_streams(&mut self, count: u16) -> bool {
        let asked = |r: &Request| *r == Request::AddIncoming(count);
        let number = self.flight.as_ref().and_then(|f| f.open.iter().find(|(_, r)| asked(r))).map(|(n, _)| *n);
        number.and_then(|n| self.settle(n)).is_some()
    }
}

/// What the user is told (section 6.1).
const fn outcome(result: ReconfigResult) -> ReconfigOutcome {
    match result {
        ReconfigResult::NOTHING_TO_DO | ReconfigResult::PERFORMED => ReconfigOutcome::Performed,
        ReconfigResult::DENIED => ReconfigOutcome::Denied,
        _ => ReconfigOutcome::Failed,
    }
}
