//! Round robin over streams, one message or chunk each in turn (RFC 8260 section 3.2): the default.

use std::collections::VecDeque;

use super::{Next, Scheduler};
use crate::num::StreamId;

/// The streams with something to send, the next one first.
#[derive(Debug, Default)]
pub(crate) struct RoundRobin {
    /// Bounded by the number of outbound streams: each is listed at most once.
    turn: VecDeque<StreamId>,
}

impl Scheduler for RoundRobin {
    fn activate(&mut self, sid: StreamId, _next: Next) {
        self.turn.push_back(sid);
    }

    fn pick(&mut self) -> Option<StreamId> {
        self.turn.front().copied()
    }

    fn served(&mut self, sid: StreamId, _bytes: usize, next: Option<Next>) {
        if self.turn.front() == Some(&sid) {
            self.turn.pop_front();
        } else {
            self.deactivate(sid);
        }
        if next.is_some() {
            self.turn.push_back(sid);
        }
    }

    fn deactivate(&mut self, sid: StreamId) {
        self.turn.retain(|s| *s != sid);
    }

    fn release(&mut self) {
        self.turn.shrink_to(0);
    }
}
