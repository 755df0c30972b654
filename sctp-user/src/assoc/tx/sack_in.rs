//! What an incoming SACK changes (RFC 9260 section 6.2.1), in the order that the RFC wants: acknowledgements, window growth,
//! miss indications, congestion, timers.

use core::hint::cold_path;

use super::outstanding::{ChunkState, Index, SentChunk, Span, difference};
use super::{SackSummary, Tx, Violation};
use crate::assoc::path::{Paths, SackRound};
use crate::cc::{AckInfo, Loss};
use crate::num::Tsn;
use crate::time::Time;
use crate::wire::chunk::{Gaps, Sack};

/// What one SACK newly acknowledged.
#[derive(Clone, Copy, Debug, Default)]
struct Newly {
    bytes: usize,
    payload: usize,
    /// HTNA: the highest chunk.
    highest: Index,
    /// Whether the peer's cumulative TSN passed abandoned chunks.
    skipped: bool,
}

impl Newly {
    /// Counts a chunk that was never acknowledged before (section 7.2.4); user data always.
    fn add(&mut self, index: Index, chunk: &SentChunk) {
        self.payload += chunk.fragment.len;
        if !chunk.was_acked {
            self.bytes += chunk.wire_len();
            self.highest = self.highest.max(index);
        }
    }
}

impl Tx {
    /// Processes a SACK.
    ///
    /// # Errors
    /// It acknowledges a TSN that was never sent.
    pub(crate) fn on_sack(&mut self, now: Time, sack: &Sack<'_>, paths: &mut Paths) -> Result<SackSummary, Violation> {
        let Some(cum) = self.cum_index(sack.cum_tsn)? else {
            return Ok(SackSummary { stale: true, ..SackSummary::default() });
        };
        let mut spans = core::mem::take(&mut self.spans);
        let read = read_gaps(cum, self.out.next_index(), sack.gaps, &mut spans);
        if read.is_ok() {
            self.window.set(sack.a_rwnd);
            self.sack_seen = true;
        }
        let summary = read.map(|()| self.acknowledge(now, cum, Some(&mut spans), paths));
        self.spans = spans;
        summary
    }

    /// Processes the cumulative TSN ack of a SHUTDOWN: it says nothing about gaps, nor about the window.
    ///
    /// # Errors
    /// It acknowledges a TSN that was never sent.
    pub(crate) fn on_shutdown_cum(&mut self, now: Time, cum: Tsn, paths: &mut Paths) -> Result<SackSummary, Violation> {
        match self.cum_index(cum)? {
            Some(cum) => Ok(self.acknowledge(now, cum, None, paths)),
            None => Ok(SackSummary { stale: true, ..SackSummary::default() }),
        }
    }

    /// Index of a cumulative TSN ack; `None` if it is behind the present one.
    fn cum_index(&self, cum: Tsn) -> Result<Option<Index>, Violation> {
        let Ok(ahead) = u64::try_from(cum.distance(self.out.cum())) else {
            return Ok(None);
        };
        let index = self.out.base() - 1 + ahead;
        if index < self.out.next_index() {
            return Ok(Some(index));
        }
        // Numbers that began anew leave SACKs of the old ones on their way (RFC 6525 section 5.2.7 rule H5).
        cold_path();
        let late = self.before_reset.is_some_and(|old| cum.at_or_before(old));
        if late { Ok(None) } else { Err(Violation("SACK of a TSN that was never sent")) }
    }

    /// `spans` are the gap ack blocks; afterwards its contents are of no use.
    fn acknowledge(&mut self, now: Time, cum: Index, spans: Option<&mut Vec<Span>>, paths: &mut Paths) -> SackSummary {
        let credit = self.sendable(paths);
        self.echo.fresh_loss = false;
        let data_path = paths.data_path();
        for (id, path) in paths.iter_mut() {
            let earliest = if path.outstanding > 0 { self.out.earliest(id) } else { None };
            let in_flight_before = path.in_flight + if id == data_path { credit } else { 0 };
            path.round = SackRound { in_flight_before, earliest, ..SackRound::default() };
        }
        let cum_advanced = cum >= self.out.base();
        let mut newly = Newly::default();
        self.ack_cumulatively(now, cum, paths, &mut newly);
        let was_recovering = self.recovery.is_some();
        if self.recovery.is_some_and(|exit| exit <= cum) {
            cold_path();
            self.recovery = None;
        }
        match spans {
            // Mostly nothing is missing now, and nothing was.
            Some(spans) if spans.is_empty() && self.out.acked().is_empty() => {}
            Some(spans) => {
                cold_path();
                self.on_gaps(now, spans, was_recovering && cum_advanced, paths, &mut newly);
            }
            None => self.window.consume(newly.payload),
        }
        self.adjust_windows(now, cum_advanced, paths);
        self.adjust_timers(now, paths);
        self.forward_after_ack(now, newly.skipped, paths);
        self.watch_window(now, paths);
        self.abandon_spent(now, paths);
        let writable = self.is_writable_again();
        let clear_errors = newly.bytes > 0 || newly.skipped;
        SackSummary { newly_acked_bytes: newly.bytes, cum_advanced, stale: false, writable, clear_errors }
    }

    /// Bytes that would be in flight already if the SACKs of this batch had been processed one by one: the opportunities that
    /// the earlier ones gave are not used yet.
    fn sendable(&self, paths: &Paths) -> usize {
        if self.burst == 0 {
            return 0;
        }
        let Some(path) = paths.get(paths.data_path()) else {
            return 0;
        };
        let new = self.queue.bytes().min(self.window.room(self.out.flight_payload()));
        let new = new + self.queue.messages().min(new) * self.header_len();
        self.burst.saturating_mul(path.pmdcs()).min(self.out.marked_bytes() + new)
    }

    fn ack_cumulatively(&mut self, now: Time, cum: Index, paths: &mut Paths, newly: &mut Newly) {
        while self.out.base() <= cum {
            let index = self.out.base();
            let Some(chunk) = self.out.get(index) else {
                break;
            };
            newly.skipped |= chunk.state == ChunkState::Abandoned;
            if matches!(chunk.state, ChunkState::InFlight | ChunkState::Marked) {
                newly.add(index, chunk);
                prove(paths, chunk);
                credit(now, paths, index, chunk, chunk.state);
            }
            self.out.pop();
        }
        self.out.clip_acked();
    }

    /// What follows from gap ack blocks, those of this SACK or of the one before. `highest_reported`: all that is missing below them counts as
    /// missed, not only what is below the highest chunk that is newly acknowledged (section 7.2.4, in Fast Recovery).
    fn on_gaps(&mut self, now: Time, spans: &mut Vec<Span>, highest_reported: bool, paths: &mut Paths, newly: &mut Newly) {
        let reported = spans.last().map_or(0, |s| s.last);
        self.ack_gaps(now, spans, paths, newly);
        let limit = if highest_reported { reported } else { newly.highest };
        self.renege(now, spans, limit, paths);
        self.out.swap_acked(spans);
        self.count_misses(limit, newly.highest, paths);
    }

    /// Takes in what `spans` newly acknowledge.
    fn ack_gaps(&mut self, now: Time, spans: &[Span], paths: &mut Paths, newly: &mut Newly) {
        self.changed.clear();
        difference(spans, self.out.acked(), |i| self.changed.push(i));
        for &index in &self.changed {
            if let Some((old, chunk)) = self.out.set_state(index, ChunkState::Acked) {
                newly.add(index, chunk);
                prove(paths, chunk);
                credit(now, paths, index, chunk, old);
                chunk.was_acked = true;
                // Only misses in a row count (section 7.2.4).
                chunk.misses = 0;
            }
        }
    }

    /// Takes back what `spans` acknowledge no more (section 6.2.1 D iii). Chunks below `limit` get their miss indication
    /// together with all others.
    fn renege(&mut self, now: Time, spans: &[Span], limit: Index, paths: &mut Paths) {
        self.changed.clear();
        difference(self.out.acked(), spans, |i| self.changed.push(i));
        for &index in &self.changed {
            let Some((_, chunk)) = self.out.set_state(index, ChunkState::InFlight) else {
                continue;
            };
            if index >= limit {
                chunk.misses = chunk.misses.saturating_add(1).min(2);
            }
            let wire_len = chunk.wire_len();
            if let Some(path) = paths.get_mut(chunk.path) {
                path.in_flight += wire_len;
                path.outstanding += 1;
                if path.t3.is_none() {
                    path.restart_t3(now);
                }
            }
        }
    }

    /// Counts miss indications below `limit` and marks what is missed for the third time (section 7.2.4).
    fn count_misses(&mut self, limit: Index, htna: Index, paths: &mut Paths) {
        if limit <= self.out.base() {
            return;
        }
        self.changed.clear();
        let repeat = self.cfg.repeat_fast_retransmit;
        let eligible = |&i: &Index| {
            self.out.get(i).is_some_and(|c| {
                // What was sent again is missed only if the peer got something that left later.
                c.state == ChunkState::InFlight && (c.resent_before == 0 || (htna >= c.resent_before && (repeat || !c.fast)))
            })
        };
        self.changed.extend(self.out.unacked(limit).filter(eligible));
        for at in 0..self.changed.len() {
            let Some(&index) = self.changed.get(at) else {
                break;
            };
            if self.out.miss(index) {
                self.mark_lost(index, paths);
            }
        }
    }

    /// Lets the windows grow and, on entry into Fast Recovery, shrink: in this order (note at the end of section 7.2.4).
    fn adjust_windows(&mut self, now: Time, cum_advanced: bool, paths: &mut Paths) {
        let enter = self.recovery.is_none();
        let exit = self.out.next_index() - 1;
        let mut lost = false;
        for (_, path) in paths.iter_mut() {
            let round = path.round;
            if round.acked > 0 {
                let rate = path.rate.finish(now, round.rate_measured);
                let ack = AckInfo {
                    now,
                    acked: round.acked,
                    lost: round.lost,
                    delivered: path.rate.delivered(),
                    cum_advanced,
                    in_flight_before: round.in_flight_before,
                    in_flight: path.in_flight,
                    in_recovery: !enter || self.is_reduced(),
                    rate,
                    min_rtt: path.rtt.least(),
                    latest_rtt: path.rtt.latest(),
                };
                path.on_ack(&ack);
            }
            lost |= round.lost > 0;
            if round.lost > 0 && enter && self.echo.fresh_loss {
                cold_path();
                path.cc.on_loss(now, Loss::FastRetransmit { exit: self.out.tsn(exit) });
            }
        }
        if lost && enter {
            cold_path();
            // A loss from before a mark's reduction is told already, but one in what was sent since is news.
            self.recovery = Some(if self.echo.fresh_loss { exit } else { self.echo.exit });
            self.fast_packet = true;
            self.stats.fast_recoveries += 1;
        }
    }

    /// Rules R2 and R3 of section 6.3.2.
    fn adjust_timers(&mut self, now: Time, paths: &mut Paths) {
        for (_, path) in paths.iter_mut() {
            if path.round.settled {
                if path.outstanding == 0 {
                    path.t3 = None;
                } else if path.round.earliest_acked {
                    path.restart_t3(now);
                }
            }
        }
    }

    /// The peer's window may have closed, which starts the wait for a probe, or opened, which ends it.
    fn watch_window(&mut self, now: Time, paths: &mut Paths) {
        let Some(path) = paths.get_mut(paths.data_path()) else {
            return;
        };
        let max = self.max_fragment(path);
        let next = self.queue.next_len(max).unwrap_or(max);
        let forwarding = self.is_forwarding();
        if !self.window.is_closed_for(next) {
            if self.window.stop_waiting() {
                cold_path();
                path.end_back_off();
                // Unless it runs for a FORWARD TSN too (RFC 3758 section 3.5 A5).
                if path.outstanding == 0 && !forwarding {
                    path.t3 = None;
                }
            }
        } else if self.out.is_empty() && self.window.start_waiting() {
            cold_path();
            path.restart_t3(now);
        }
        if self.blind {
            cold_path();
            self.resend_blind(paths);
        }
    }

    /// What was sent into a closed window and is not acknowledged now that it is open was dropped: no congestion.
    fn resend_blind(&mut self, paths: &mut Paths) {
        self.changed.clear();
        let dropped = |&i: &Index| {
            self.out.get(i).is_some_and(|c| c.blind && c.state == ChunkState::InFlight && !self.window.is_closed_for(c.fragment.len))
        };
        self.changed
            .extend(self.out.unacked(self.out.next_index()).take_while(|&i| self.out.get(i).is_some_and(|c| c.blind)).filter(dropped));
        for at in 0..self.changed.len() {
            let Some(&index) = self.changed.get(at) else {
                break;
            };
            if let Some(path) = self.out.get(index).and_then(|c| paths.get_mut(c.path)) {
                path.end_back_off();
            }
            self.mark(index, paths);
        }
        let mut live = self.out.unacked(self.out.next_index()).filter_map(|i| self.out.get(i)).filter(|c| c.state != ChunkState::Abandoned);
        self.blind = live.next().is_some_and(|c| c.blind && c.state == ChunkState::InFlight);
    }
}

/// An acknowledged chunk shows that packets as long as its own pass, unless it is uncertain which of several arrived.
fn prove(paths: &mut Paths, chunk: &SentChunk) {
    if chunk.resent_before == 0
        && let Some(path) = paths.get_mut(chunk.path)
    {
        path.on_data_arrived(usize::from(chunk.packet));
    }
}

/// A chunk is acknowledged now and was not just before, when it was in state `old`: the books of its path.
fn credit(now: Time, paths: &mut Paths, index: Index, chunk: &SentChunk, old: ChunkState) {
    let Some(path) = paths.get_mut(chunk.path) else {
        return;
    };
    let wire_len = chunk.wire_len();
    if old == ChunkState::InFlight {
        path.in_flight -= wire_len;
    }
    path.outstanding -= 1;
    path.round.settled = true;
    path.round.earliest_acked |= path.round.earliest == Some(index);
    // What the peer took back and acknowledges again tells nothing, and shall not let the window grow once more.
    if chunk.was_acked {
        return;
    }
    path.round.acked += wire_len;
    path.round.answered |= !chunk.moved;
    path.round.rate_measured |= path.rate.on_acked(index, wire_len);
    if let Some(probe) = path.rtt_probe.take_if(|p| p.index == index) {
        path.on_rtt(now - probe.sent);
    }
}

/// Translates gap ack blocks to ascending, disjoint spans above `cum`; reversed and empty blocks are ignored.
fn read_gaps(cum: Index, next: Index, gaps: Gaps<'_>, spans: &mut Vec<Span>) -> Result<(), Violation> {
    spans.clear();
    if gaps.is_empty() {
        return Ok(());
    }
    cold_path();
    let mut ordered = true;
    for g in gaps.iter().filter(|g| g.start > 0 && g.start <= g.end) {
        let span = Span { first: cum + u64::from(g.start), last: cum + u64::from(g.end) };
        if span.last >= next {
            return Err(Violation("gap ack block of a TSN that was never sent"));
        }
        ordered &= spans.last().is_none_or(|s| s.last < span.first);
        spans.push(span);
    }
    if !ordered {
        spans.sort_unstable_by_key(|s| s.first);
        spans.dedup_by(|later, earlier| {
            let overlaps = later.first <= earlier.last;
            if overlaps {
                earlier.last = earlier.last.max(later.last);
            }
            overlaps
        });
    }
    Ok(())
}
