//! The sending side: messages in, DATA out, SACKs back in.

use bytes::Bytes;

use crate::assoc::path::{PathId, Paths};
use crate::config::AssocConfig;
use crate::error::SendError;
use crate::event::{Message, SendOptions};
use crate::num::{Ppid, StreamId, Tsn};
use crate::time::Time;
use crate::wire::PacketWriter;
use crate::wire::chunk::Sack;

/// What a SACK changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct SackSummary {
    /// Bytes of DATA chunks newly acknowledged.
    pub(crate) newly_acked_bytes: usize,
    /// Whether the cumulative TSN ack point moved.
    pub(crate) cum_advanced: bool,
    /// Whether it was older than what is known, and ignored.
    pub(crate) stale: bool,
    /// Whether a send that was refused for want of room may be tried again.
    pub(crate) writable: bool,
    /// Whether the association's error counter is to be cleared.
    pub(crate) clear_errors: bool,
}

/// The peer acknowledged what it cannot have received: the association is to be aborted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Violation(pub(crate) &'static str);

/// What a T3-rtx expiry means for the error counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct T3Outcome {
    /// Whether an error is to be counted against the path and the association.
    pub(crate) count_error: bool,
}

#[derive(Debug)]
pub(crate) struct Tx {}

#[allow(unused, clippy::todo)]
impl Tx {
    pub(crate) fn new(cfg: &AssocConfig, initial_tsn: Tsn, outbound_streams: u16, peer_rwnd: u32) -> Self {
        todo!()
    }
    pub(crate) fn enqueue(&mut self, sid: StreamId, ppid: Ppid, payload: Bytes, opts: SendOptions) -> Result<(), SendError> {
        todo!()
    }
    /// Bytes accepted and not yet cumulatively acknowledged.
    pub(crate) fn buffered(&self) -> usize {
        todo!()
    }
    pub(crate) fn is_drained(&self) -> bool {
        todo!()
    }
    pub(crate) fn has_outstanding(&self) -> bool {
        todo!()
    }
    pub(crate) fn on_sack(&mut self, now: Time, sack: &Sack<'_>, paths: &mut Paths) -> Result<SackSummary, Violation> {
        todo!()
    }
    pub(crate) fn on_shutdown_cum(&mut self, now: Time, cum: Tsn, paths: &mut Paths) -> Result<SackSummary, Violation> {
        todo!()
    }
    pub(crate) fn on_t3(&mut self, now: Time, path: PathId, paths: &mut Paths) -> T3Outcome {
        todo!()
    }
    pub(crate) fn begin_opportunity(&mut self) {
        todo!()
    }
    pub(crate) fn end_opportunities(&mut self) {
        todo!()
    }
    pub(crate) fn wants_to_send(&self, now: Time, paths: &Paths) -> Option<PathId> {
        todo!()
    }
    pub(crate) fn fill(&mut self, now: Time, path: PathId, paths: &mut Paths, pkt: &mut PacketWriter<'_>) -> usize {
        todo!()
    }
    pub(crate) fn set_shutdown_pending(&mut self) {
        todo!()
    }
    /// The handshake told what the peer takes: `outbound` streams and a window of `peer_rwnd` bytes.
    pub(crate) fn establish(&mut self, outbound: u16, peer_rwnd: u32) {
        todo!()
    }
    /// COOKIE ECHO is sent again: the DATA that rode behind it counts as lost.
    pub(crate) fn retransmit_all(&mut self) {
        todo!()
    }
    pub(crate) fn take_undelivered(&mut self) -> Vec<Message> {
        todo!()
    }
}
