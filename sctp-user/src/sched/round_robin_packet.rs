//! Round robin by packets (RFC 8260 section 3.3): a packet has chunks of one stream, so that its loss holds up no other.

use std::collections::VecDeque;

use super::{Next, Scheduler};
use crate::num::StreamId;

/// The streams with something to send, the one whose packet is filled first.
#[derive(Debug, Default)]
pub(crate) struct RoundRobinPacket {
    /// Bounded by the number of outbound streams: each is listed at most once.
    turn: VecDeque<StreamId>,
    /// The stream of which the packet has something.
    filling: Option<StreamId>,
}

impl Scheduler for RoundRobinPacket {
    fn activate(&mut self, sid: StreamId, _next: Next) {
        self.turn.push_back(sid);
    }

    fn pick(&mut self) -> Option<StreamId> {
        self.turn.front().copied()
    }

    fn served(&mut self, sid: StreamId, _bytes: usize, next: Option<Next>) {
        self.filling = Some(sid);
        if next.is_none() {
            self.deactivate(sid);
        }
    }

    fn deactivate(&mut self, sid: StreamId) {
        self.turn.retain(|s| *s != sid);
    }

    fn end_packet(&mut self) {
        if self.filling.take().is_some_and(|sid| self.turn.front() == Some(&sid)) {
            self.turn.rotate_left(1);
        }
    }

    fn keeps_packets_apart(&self) -> bool {
        true
    }

    fn release(&mut self) {
        self.turn.shrink_to(0);
    }
}
