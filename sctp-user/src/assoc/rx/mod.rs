//! The receiving side: DATA in, messages and SACKs out.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::config::AssocConfig;
use crate::event::Message;
use crate::num::{StreamId, Tsn};
use crate::time::Time;
use crate::wire::PacketWriter;
use crate::wire::chunk::Data;

/// What became of a DATA chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DataOutcome {
    /// Taken in.
    Accepted {
        /// Whether it completed a message that can be read now.
        readable: bool,
    },
    /// Received before.
    Duplicate,
    /// Dropped and not acknowledged: beyond the window.
    NoRoom,
    /// Acknowledged, but there is no such stream: to be answered by Invalid Stream Identifier.
    InvalidStream(StreamId),
    /// The peer broke a rule: the association is to be aborted.
    Violation(&'static str),
}

#[derive(Debug)]
pub(crate) struct Rx {}

#[allow(unused, clippy::todo)]
impl Rx {
    pub(crate) fn new(cfg: &AssocConfig, peer_initial_tsn: Tsn, inbound_streams: u16) -> Self {
        todo!()
    }
    pub(crate) fn on_data(&mut self, data: &Data<'_>, packet: &Bytes) -> DataOutcome {
        todo!()
    }
    pub(crate) fn on_packet_end(&mut self, now: Time) {
        todo!()
    }
    pub(crate) fn pop(&mut self) -> Option<Message> {
        todo!()
    }
    pub(crate) fn has_message(&self) -> bool {
        todo!()
    }
    pub(crate) fn sack_due(&self) -> bool {
        todo!()
    }
    pub(crate) fn sack_pending(&self) -> bool {
        todo!()
    }
    pub(crate) fn sack_deadline(&self) -> Option<Time> {
        todo!()
    }
    pub(crate) fn on_sack_timer(&mut self, now: Time) {
        todo!()
    }
    pub(crate) fn push_sack(&mut self, pkt: &mut PacketWriter<'_>) -> bool {
        todo!()
    }
    pub(crate) fn force_sack(&mut self) {
        todo!()
    }
    pub(crate) fn cum_tsn(&self) -> Tsn {
        todo!()
    }
    pub(crate) fn has_gaps(&self) -> bool {
        todo!()
    }
    pub(crate) fn a_rwnd(&self) -> u32 {
        todo!()
    }
    /// At a restart: the complete messages move to the new receiver.
    pub(crate) fn take_messages(&mut self) -> VecDeque<Message> {
        todo!()
    }
    pub(crate) fn give_messages(&mut self, messages: VecDeque<Message>) {
        todo!()
    }
}
