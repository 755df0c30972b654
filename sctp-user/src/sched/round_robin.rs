//! Round robin over streams, one message each in turn (RFC 8260 section 3.2): the default.

use std::collections::VecDeque;

use super::Scheduler;
use crate::num::StreamId;

/// The streams with something to send, the next one first.
#[derive(Debug, Default)]
pub(crate) struct RoundRobin {
    /// Bounded by the number of outbound streams: each is listed at most once.
    turn: VecDeque<StreamId>,
}

impl Scheduler for RoundRobin {
    fn activate(&mut self, sid: StreamId, _next_len: usize) {
        self.turn.push_back(sid);
    }

    fn pick(&mut self) -> Option<StreamId> {
        self.turn.front().copied()
    }

    fn served(&mut self, sid: StreamId, _bytes: usize, next_len: Option<usize>) {
        debug_assert_eq!(self.turn.front(), Some(&sid), "only the picked stream is served");
        self.turn.pop_front();
        if next_len.is_some() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_take_turns_and_leave_when_empty() {
        let mut rr = RoundRobin::default();
        for sid in [3, 1, 2] {
            rr.activate(StreamId(sid), 10);
        }
        let mut left = [0, 1, 3, 2];
        let mut order = Vec::new();
        while let Some(sid) = rr.pick() {
            assert_eq!(rr.pick(), Some(sid), "picking is stable");
            order.push(sid.0);
            let n = &mut left[usize::from(sid.0)];
            *n -= 1;
            rr.served(sid, 10, (*n > 0).then_some(10));
        }
        assert_eq!(order, [3, 1, 2, 3, 2, 2]);
    }
}
