//! Which chunks are sent again: timeouts (RFC 9260 section 6.3.3) and what Fast Retransmit marks (section 7.2.4).

use super::outstanding::{ChunkState, Index};
use super::{T3Outcome, Tx};
use crate::assoc::path::{PathId, Paths};
use crate::time::Time;

impl Tx {
    /// T3-rtx of `path` expired: what is outstanding there is to be sent again, one packet of it at once.
    pub(crate) fn on_t3(&mut self, now: Time, path: PathId, paths: &mut Paths) -> T3Outcome {
        let earliest = self.out.earliest(path);
        let Some(p) = paths.get_mut(path) else {
            return T3Outcome::default();
        };
        p.t3 = None;
        let Some(earliest) = earliest.and_then(|i| self.out.get(i)) else {
            if self.is_forwarding() {
                self.stats.t3 += 1;
                p.stats.t3_expireds += 1;
                p.back_off();
                self.forward_after_timeout();
                return T3Outcome { count_error: true };
            }
            // Nothing outstanding: it was the wait for a zero window probe.
            if self.window.stop_waiting() && !self.queue.is_empty() {
                p.back_off();
            }
            return T3Outcome::default();
        };
        // While the peer says that it is full, and says so, its silence about the data is no error and no congestion.
        let probing = earliest.blind && self.window.is_closed_for(earliest.fragment.len) && self.sack_seen;
        self.sack_seen = false;
        p.back_off();
        if probing {
            p.one_packet = true;
            p.rtt_probe = None;
        } else {
            p.on_timeout(now);
            // Slow start from one packet takes the place of Fast Recovery, in which the window could not grow.
            self.recovery = None;
        }
        self.stats.t3 += 1;
        p.stats.t3_expireds += 1;
        self.fast_packet = false;
        self.changed.clear();
        self.changed.extend(self.out.unacked(self.out.next_index()));
        for at in 0..self.changed.len() {
            let Some(&index) = self.changed.get(at) else {
                break;
            };
            if self.out.get(index).is_some_and(|c| c.path == path && c.state == ChunkState::InFlight) {
                self.mark(index, paths);
                if let Some((_, chunk)) = self.out.set_state(index, ChunkState::Marked) {
                    chunk.timed_out = !probing;
                }
            }
        }
        self.abandon_spent(now, paths);
        self.forward_after_timeout();
        T3Outcome { count_error: !probing }
    }

    /// A chunk in flight is to be sent again.
    pub(super) fn mark(&mut self, index: Index, paths: &mut Paths) {
        let Some((_, chunk)) = self.out.set_state(index, ChunkState::Marked) else {
            return;
        };
        self.forward.news = true;
        chunk.misses = 0;
        chunk.fast = false;
        chunk.timed_out = false;
        let wire_len = chunk.wire_len();
        if let Some(path) = paths.get_mut(chunk.path) {
            path.in_flight -= wire_len;
        }
    }

    /// A chunk in flight was missed for the third time.
    pub(super) fn mark_lost(&mut self, index: Index, paths: &mut Paths) {
        self.mark(index, paths);
        let Some((_, chunk)) = self.out.set_state(index, ChunkState::Marked) else {
            return;
        };
        chunk.fast = true;
        self.echo.fresh_loss |= index > self.echo.exit;
        let wire_len = chunk.wire_len();
        self.stats.fast_rtx += 1;
        if let Some(path) = paths.get_mut(chunk.path) {
            path.round.lost += wire_len;
        }
    }
}
