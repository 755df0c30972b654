//! What must hold of every world.

use sctp_user::wire::cause::{Cause, Causes};
use sctp_user::{CloseReason, Event, Reliability};
use testbed::Peer;
use testbed::alloc::{self, Memory};

use super::extensions::Wish;
use super::plan::{Plan, Side};
use super::run::Running;

/// What a stack may keep when all its associations are gone: its tables, sized for what was once in them.
const IDLE_STACK: i64 = 32 << 10;
/// What a world may take beside the buffers of its associations: packets on their way, what the oracles and the logs remember.
const WORLD: u64 = 4 << 20;

/// What a world that went well tells.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) delivered: usize,
    /// Both sides closed gracefully, once.
    pub(crate) graceful: bool,
    /// Associations given up by a limit of retransmissions.
    pub(crate) given_up: usize,
    pub(crate) restarted: bool,
    pub(crate) peak: u64,
    pub(crate) idle_stack: i64,
}

/// Lets the world of a seed live; tells what was wrong.
pub(crate) fn judge(seed: u64, prepare: impl FnOnce(&mut Running)) -> Result<Report, String> {
    judge_plan(|| Plan::new(seed), prepare)
}

/// Lets the world of a plan live; tells what was wrong.
pub(crate) fn judge_plan(plan: impl FnOnce() -> Plan, prepare: impl FnOnce(&mut Running)) -> Result<Report, String> {
    let (outcome, memory) = alloc::measure(|| {
        let mut running = Running::new(plan());
        prepare(&mut running);
        let ((), life) = alloc::measure(|| running.run());
        let verdict = verdict(&mut running, life);
        running.world.finish_recording().map_err(|e| e.to_string())?;
        verdict
    });
    let report = outcome?;
    if memory.kept != 0 {
        return Err(format!("the world is gone, {} bytes are not: {report:?}", memory.kept));
    }
    Ok(report)
}

fn verdict(running: &mut Running, life: Memory) -> Result<Report, String> {
    let mut complaints = core::mem::take(&mut running.complaints);
    for side in Side::BOTH {
        let peer = running.peer(side);
        complaints.extend(peer.violations.iter().take(3).map(|v| format!("{side:?}: {v}")));
        complaints.extend(peer.losses().iter().filter_map(|(_, reason)| unreasonable(running, side, reason)));
        complaints.extend(silently_lost(running, side));
    }
    // The judge of the wire expects a SACK for every second packet, and does not know when a side has given up, or begun anew, nor
    // which packets come from a stranger's address.
    let renumbered = running.plan.wishes().any(|w| matches!(w, Wish::ResetAssociation));
    let lives_on = |p: &Peer| p.losses().iter().all(|(_, r)| !gives_up(r));
    if !running.plan.restarts()
        && !renumbered
        && !running.plan.readdresses_in_silence()
        && running.plan.every_config().all(|c| c.sack_frequency <= 2 && !c.ack_per_batch)
        && Side::BOTH.iter().all(|s| lives_on(running.peer(*s)))
        && let Err(why) = running.wire.check()
    {
        complaints.push(why);
    }
    let buffers: usize = running.plan.every_config().map(|c| 2 * (c.send_buffer + c.recv_buffer)).sum();
    let longest = running.plan.work.iter().flat_map(|w| &w.messages).map(|m| m.len).max().unwrap_or(0);
    let buffers = buffers + 8 * longest;
    if life.peak > WORLD + buffers as u64 {
        complaints.push(format!("{} bytes of memory, of which buffers may be {buffers}", life.peak));
    }
    let report = Report {
        delivered: Side::BOTH.iter().map(|s| running.peer(*s).delivered()).sum(),
        graceful: Side::BOTH.iter().all(|s| running.peer(*s).losses().iter().all(|(_, r)| *r == CloseReason::Shutdown)),
        given_up: Side::BOTH.iter().flat_map(|s| running.peer(*s).losses()).filter(|(_, r)| gives_up(r)).count(),
        restarted: running.plan.restarts(),
        peak: life.peak,
        idle_stack: Side::BOTH.map(|side| idle_stack(running, side)).into_iter().max().unwrap_or(0),
    };
    if complaints.is_empty() && report.idle_stack > IDLE_STACK {
        complaints.push(format!("a stack without associations keeps {} bytes", report.idle_stack));
    }
    if complaints.is_empty() {
        return Ok(report);
    }
    for side in Side::BOTH {
        let log = &running.peer(side).log;
        complaints.push(format!("{side:?} log: {:?}", &log[..log.len().min(20)]));
    }
    Err(complaints.join("\n"))
}

/// What a stack still holds at the end.
fn idle_stack(running: &mut Running, side: Side) -> i64 {
    let stack = running.take_stack(side);
    let ((), memory) = alloc::measure(|| drop(stack));
    -memory.kept
}

/// Whether an end is one by a limit of retransmissions.
const fn gives_up(reason: &CloseReason) -> bool {
    matches!(reason, CloseReason::ConnectTimeout | CloseReason::PeerUnreachable | CloseReason::ShutdownTimeout)
}

/// Why a side should not have ended as it did (rulings section 1 row 24).
fn unreasonable(running: &Running, side: Side, reason: &CloseReason) -> Option<String> {
    let plan = &running.plan;
    let (me, other) = (side as usize, side.other() as usize);
    let other_ended_otherwise = || running.peer(side.other()).losses().iter().any(|(_, r)| *r != CloseReason::Shutdown);
    let may_be = match reason {
        CloseReason::Shutdown => running.asked_shutdown[me] || running.asked_shutdown[other],
        // What is closed before it is up is given up at once.
        CloseReason::Aborted => running.asked_abort[me] || running.asked_shutdown[me],
        // Its user, its limits, or its next life said so; never a quarrel about the protocol.
        CloseReason::PeerAborted(causes) | CloseReason::Refused(causes) => {
            // T5 calls a shutdown without end a violation of the protocol (RFC 9260 section 9.2).
            let too_long = running.peer(side.other()).losses().iter().any(|(_, r)| *r == CloseReason::ShutdownTimeout);
            // Who begins anew with more addresses than the old association had is refused (RFC 9260 section 5.2.4.1).
            let readdressed = |c: &Cause<'_>| plan.readdresses() && matches!(c, Cause::RestartNewAddresses(_));
            let peaceful = Causes::new(causes).all(|c| c.is_ok_and(|c| too_long || readdressed(&c) || matches!(c, Cause::UserAbort(_))));
            // What comes from an address that the peer was not told of is answered as a stranger's.
            let estranged = plan.readdresses_in_silence() && causes.is_empty();
            peaceful && (running.asked_abort[other] || plan.restarts() || other_ended_otherwise() || estranged)
        }
        // T5 has a fixed length, which raised limits do not change.
        CloseReason::ShutdownTimeout | CloseReason::ConnectTimeout => true,
        CloseReason::PeerUnreachable => !plan.patient || plan.restarts() || other_ended_otherwise(),
        CloseReason::NetworkUnreachable => plan.restarts(),
        _ => false,
    };
    (!may_be).then(|| format!("{side:?} ended by {reason:?}"))
}

/// If one side reports a graceful close, every message that it accepted and did not abandon was delivered, or the other side
/// reported loss. Of several associations in a row nothing is said.
fn silently_lost(running: &Running, side: Side) -> Option<String> {
    let (from, to) = (running.peer(side), running.peer(side.other()));
    let once = |p: &Peer| p.conns.len() == 1 && p.losses().len() == 1;
    if running.plan.restarts() || !once(from) || !once(to) || from.heard(|e| *e == Event::Restarted) || to.heard(|e| *e == Event::Restarted)
    {
        return None;
    }
    let graceful = |p: &Peer| p.losses().iter().all(|(_, r)| *r == CloseReason::Shutdown);
    if !graceful(from) || !graceful(to) {
        return None;
    }
    let (Some((_, sender)), Some((_, receiver))) = (from.latest(), to.latest()) else { return None };
    let plan = &running.plan.work[side as usize].messages;
    // A message that was abandoned may have arrived all the same; of any other only one of the two can be said.
    let wrong = (0..sender.sent).find(|i| match (receiver.oracle.has(*i), sender.failed.contains(i)) {
        (false, false) => true,
        (true, true) => plan.get(*i).is_none_or(|m| m.reliability == Reliability::Full),
        _ => false,
    })?;
    let came = receiver.oracle.has(wrong);
    let message = plan.get(wrong);
    Some(format!(
        "{side:?} closed gracefully: of {} accepted, number {wrong} ({message:?}) is both or neither: it came: {came}",
        sender.sent
    ))
}
