//! What an association counts as packets come and go.

use super::core::Core;
use super::path::PathId;
use super::rx::{DataOutcome, UserData};
use crate::net::Transmit;
use crate::stats::AssocStats;

/// What an association has counted, but for what its present sender and receiver count. What nearly every association counts has its place
/// here. The rest, two thirds of [`AssocStats`], is boxed when it is first needed: most associations would only carry zeros.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) out_ctrl_chunks: u64,
    pub(crate) in_ctrl_chunks: u64,
    pub(crate) in_order_chunks: u64,
    pub(crate) in_unorder_chunks: u64,
    pub(crate) out_sctp_packs: u64,
    pub(crate) in_sctp_packs: u64,
    pub(crate) out_bytes: u64,
    pub(crate) in_bytes: u64,
    pub(crate) out_data_packs: u64,
    pub(crate) in_data_packs: u64,
    pub(crate) in_user_bytes: u64,
    pub(crate) out_sacks: u64,
    pub(crate) in_sacks: u64,
    pub(crate) in_gap_blocks: u64,
    pub(crate) out_gap_blocks: u64,
    pub(crate) in_duplicate_reports: u64,
    pub(crate) duplicate_chunks: u64,
    pub(crate) out_heartbeats: u64,
    pub(crate) in_heartbeats: u64,
    pub(crate) in_heartbeat_acks: u64,
    pub(crate) largest_train_out: u64,
    /// The others, and what senders and receivers counted before a restart.
    rare: Option<Box<AssocStats>>,
}

impl Counters {
    /// The counters that have no place of their own. Out of line: where packets pass, these are the exceptions.
    #[cold]
    #[inline(never)]
    pub(crate) fn rare(&mut self) -> &mut AssocStats {
        self.rare.get_or_insert_default()
    }

    /// All of them.
    pub(super) fn all(&self) -> AssocStats {
        let mut all = AssocStats {
            out_ctrl_chunks: self.out_ctrl_chunks,
            in_ctrl_chunks: self.in_ctrl_chunks,
            in_order_chunks: self.in_order_chunks,
            in_unorder_chunks: self.in_unorder_chunks,
            out_sctp_packs: self.out_sctp_packs,
            in_sctp_packs: self.in_sctp_packs,
            out_bytes: self.out_bytes,
            in_bytes: self.in_bytes,
            out_data_packs: self.out_data_packs,
            in_data_packs: self.in_data_packs,
            in_user_bytes: self.in_user_bytes,
            out_sacks: self.out_sacks,
            in_sacks: self.in_sacks,
            in_gap_blocks: self.in_gap_blocks,
            out_gap_blocks: self.out_gap_blocks,
            in_duplicate_reports: self.in_duplicate_reports,
            duplicate_chunks: self.duplicate_chunks,
            out_heartbeats: self.out_heartbeats,
            in_heartbeats: self.in_heartbeats,
            in_heartbeat_acks: self.in_heartbeat_acks,
            largest_train_out: self.largest_train_out,
            ..AssocStats::default()
        };
        if let Some(rare) = &self.rare {
            all.add(rare);
        }
        all
    }
}

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

impl Counters {
    /// A chunk with user data came, and this became of it.
    pub(super) fn count_data(&mut self, data: &impl UserData, outcome: DataOutcome) {
        match outcome {
            DataOutcome::Accepted { .. } | DataOutcome::InvalidStream(_) | DataOutcome::Violation(_) => {
                *(if data.is_unordered() { &mut self.in_unorder_chunks } else { &mut self.in_order_chunks }) += 1;
                self.in_user_bytes += data.payload().len() as u64;
            }
            DataOutcome::Duplicate => self.duplicate_chunks += 1,
            DataOutcome::NoRoom => self.rare().no_room_chunks += 1,
        }
    }
}
