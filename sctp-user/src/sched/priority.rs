//! Strict priorities (RFC 8260 section 3.4): a stream has its turn when none with a higher priority has anything to send. Streams of
//! one priority take turns.

use std::collections::{BTreeMap, VecDeque};

use super::{Next, Scheduler};
use crate::num::StreamId;

/// The streams with something to send, by their priority.
#[derive(Debug, Default)]
pub(crate) struct Priority {
    /// The lower the value, the higher the priority; a stream that is not here has 0, the highest (RFC 8260 section 4.3.2).
    values: BTreeMap<StreamId, u16>,
    /// No queue is empty. Bounded by the number of outbound streams: each is listed at most once.
    turns: BTreeMap<u16, VecDeque<StreamId>>,
}

impl Priority {
    /// Nothing to send; streams have the given values.
    pub(super) fn new(values: BTreeMap<StreamId, u16>) -> Self {
        Self { values, turns: BTreeMap::new() }
    }

    fn value(&self, sid: StreamId) -> u16 {
        self.values.get(&sid).copied().unwrap_or_default()
    }
}

impl Scheduler for Priority {
    fn activate(&mut self, sid: StreamId, _next: Next) {
        self.turns.entry(self.value(sid)).or_default().push_back(sid);
    }

    fn pick(&mut self) -> Option<StreamId> {
        self.turns.first_key_value()?.1.front().copied()
    }

    fn served(&mut self, sid: StreamId, _bytes: usize, next: Option<Next>) {
        self.deactivate(sid);
        if let Some(next) = next {
            self.activate(sid, next);
        }
    }

    fn deactivate(&mut self, sid: StreamId) {
        let value = self.value(sid);
        let Some(turn) = self.turns.get_mut(&value) else { return };
        if turn.front() == Some(&sid) {
            turn.pop_front();
        } else {
            turn.retain(|s| *s != sid);
        }
        if turn.is_empty() {
            self.turns.remove(&value);
        }
    }
}
