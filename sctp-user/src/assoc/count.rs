//! What an association counts as packets come and go.

use super::core::Core;
use super::path::PathId;
use super::rx::{DataOutcome, UserData};
use crate::net::Transmit;
use crate::stats::AssocStats;

impl Core {
    /// A packet of `len` bytes came by `path`.
    pub(super) fn count_packet(&mut self, path: Option<PathId>, len: usize) {
        let len = len as u64;
        self.counters.in_sctp_packs += 1;
        self.counters.in_bytes += len;
        if let Some(p) = path.and_then(|path| self.paths.get_mut(path)) {
            p.stats.in_packs += 1;
            p.stats.in_bytes += len;
        }
    }

    /// A packet, or a train of them, leaves by `path`.
    pub(super) fn count_transmit(&mut self, path: PathId, t: &Transmit) {
        let packets = t.segment_size.map_or(1, |s| t.size.div_ceil(s)) as u64;
        let len = t.size as u64;
        self.counters.out_sctp_packs += packets;
        self.counters.out_bytes += len;
        self.counters.largest_train_out = self.counters.largest_train_out.max(packets);
        if let Some(p) = self.paths.get_mut(path) {
            p.stats.out_packs += packets;
            p.stats.out_bytes += len;
        }
    }
}

impl AssocStats {
    /// A chunk with user data came, and this became of it.
    pub(super) fn count_data(&mut self, data: &impl UserData, outcome: DataOutcome) {
        match outcome {
            DataOutcome::Accepted { .. } | DataOutcome::InvalidStream(_) | DataOutcome::Violation(_) => {
                *(if data.is_unordered() { &mut self.in_unorder_chunks } else { &mut self.in_order_chunks }) += 1;
                self.in_user_bytes += data.payload().len() as u64;
            }
            DataOutcome::Duplicate => self.duplicate_chunks += 1,
            DataOutcome::NoRoom => self.no_room_chunks += 1,
        }
    }
}
