//! Weighted fair queueing (RFC 8260 section 3.6), and, with equal weights, fair capacity (section 3.5).
//!
//! It is start-time fair queueing: a unit of `n` bytes takes `n / weight` of virtual time. A stream's next unit starts at the virtual
//! time when its last one ended, or now if that is later; the one that starts first goes. Virtual time is the start of what was sent
//! last. So two streams that always have something to send get, each divided by its weight, the same number of bytes up to one unit
//! of each, in any interval; and a stream that becomes active waits for no more than one unit of each other stream.

use std::collections::{BTreeMap, BTreeSet};

use super::{Next, Scheduler};
use crate::num::StreamId;

/// Virtual time that a byte takes at weight 1: weights have 16 bits.
const BYTE: u128 = 1 << 16;

/// The streams with something to send, by the virtual time when their next unit starts.
#[derive(Debug, Default)]
pub(crate) struct WeightedFair {
    /// A stream that is not here has weight 1, as has one with weight 0.
    weights: BTreeMap<StreamId, u16>,
    now: u128,
    /// Bounded by the number of outbound streams: each is listed at most once.
    order: BTreeSet<(u128, StreamId)>,
    /// The start for each stream in `order`.
    starts: BTreeMap<StreamId, u128>,
    /// When the last unit of a stream ended that has nothing to send; at most one for each outbound stream.
    ends: BTreeMap<StreamId, u128>,
}

impl WeightedFair {
    /// Nothing to send; streams have the given weights.
    pub(super) fn new(weights: BTreeMap<StreamId, u16>) -> Self {
        Self { weights, ..Self::default() }
    }

    fn enter(&mut self, sid: StreamId, start: u128) {
        self.order.insert((start, sid));
        self.starts.insert(sid, start);
    }

    fn leave(&mut self, sid: StreamId) -> Option<u128> {
        let start = self.starts.remove(&sid)?;
        self.order.remove(&(start, sid));
        Some(start)
    }

    /// Nobody has anything to send: what was sent before counts for nothing.
    fn rest(&mut self) {
        if self.order.is_empty() {
            self.now = 0;
            self.ends.clear();
        }
    }
}

impl Scheduler for WeightedFair {
    fn activate(&mut self, sid: StreamId, _next: Next) {
        let start = self.ends.remove(&sid).map_or(self.now, |end| end.max(self.now));
        self.enter(sid, start);
    }

    fn pick(&mut self) -> Option<StreamId> {
        self.order.first().map(|(_, sid)| *sid)
    }

    fn served(&mut self, sid: StreamId, bytes: usize, next: Option<Next>) {
        let Some(start) = self.leave(sid) else { return };
        self.now = self.now.max(start);
        let weight = self.weights.get(&sid).copied().unwrap_or(1).max(1);
        let end = start + bytes as u128 * BYTE / u128::from(weight);
        match next {
            Some(_) => self.enter(sid, end),
            None => {
                self.ends.insert(sid, end);
                self.rest();
            }
        }
    }

    fn deactivate(&mut self, sid: StreamId) {
        if let Some(start) = self.leave(sid) {
            self.ends.insert(sid, start);
            self.rest();
        }
    }
}
