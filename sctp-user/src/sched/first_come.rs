//! First come, first served (RFC 8260 section 3.1): messages go in the order in which the user handed them in.

use std::collections::{BTreeMap, BTreeSet};

use super::{Next, Scheduler};
use crate::num::StreamId;

/// The streams with something to send, by the place of their first message.
#[derive(Debug, Default)]
pub(crate) struct FirstCome {
    /// Bounded by the number of outbound streams: each is listed at most once.
    order: BTreeSet<(u64, StreamId)>,
    places: BTreeMap<StreamId, u64>,
}

impl Scheduler for FirstCome {
    fn activate(&mut self, sid: StreamId, next: Next) {
        self.order.insert((next.seq, sid));
        self.places.insert(sid, next.seq);
    }

    fn pick(&mut self) -> Option<StreamId> {
        self.order.first().map(|(_, sid)| *sid)
    }

    fn served(&mut self, sid: StreamId, _bytes: usize, next: Option<Next>) {
        self.deactivate(sid);
        if let Some(next) = next {
            self.activate(sid, next);
        }
    }

    fn deactivate(&mut self, sid: StreamId) {
        if let Some(seq) = self.places.remove(&sid) {
            self.order.remove(&(seq, sid));
        }
    }
}
