//! Stream schedulers (RFC 8260 section 3): which stream's message is sent next.
//!
//! A scheduler orders units: whole messages where the fragments of one must follow each other (DATA), chunks where they need not
//! (I-DATA). Which of them it is, is the send queue's business.

mod first_come;
mod priority;
mod round_robin;
mod round_robin_packet;
mod weighted_fair;

#[cfg(test)]
mod fairness_test;

use core::fmt;

use self::first_come::FirstCome;
use self::priority::Priority;
pub(crate) use self::round_robin::RoundRobin;
use self::round_robin_packet::RoundRobinPacket;
use self::weighted_fair::WeightedFair;
use crate::config::{AssocConfig, StreamScheduler};
use crate::num::StreamId;

/// What a stream would send next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Next {
    /// The place of its message among all messages of the association.
    pub(crate) seq: u64,
    /// User data that is left of it, in bytes.
    pub(crate) len: usize,
}

/// Chooses among the streams that have something to send.
pub(crate) trait Scheduler: fmt::Debug + Send {
    /// `sid`, which had nothing to send, has now.
    fn activate(&mut self, sid: StreamId, next: Next);
    /// The stream whose unit goes next. The answer changes by the other methods only.
    fn pick(&mut self) -> Option<StreamId>;
    /// A unit of `sid` with `bytes` bytes of user data was sent, which may have been picked before others became active; `next` is
    /// what the stream has behind it.
    fn served(&mut self, sid: StreamId, bytes: usize, next: Option<Next>);
    /// What `sid` had to send, of which nothing was sent, was taken back.
    fn deactivate(&mut self, sid: StreamId);
    /// A packet is complete.
    fn end_packet(&mut self) {}
    /// Whether a packet has chunks of one stream only.
    fn keeps_packets_apart(&self) -> bool {
        false
    }
    /// No stream has anything to send, and none will for a while: memory may be given back.
    fn release(&mut self) {}
}

/// The scheduler that the configuration names.
pub(crate) fn new(cfg: &AssocConfig) -> Box<dyn Scheduler> {
    match cfg.scheduler {
        StreamScheduler::FirstCome => Box::<FirstCome>::default(),
        StreamScheduler::RoundRobin => Box::<RoundRobin>::default(),
        StreamScheduler::RoundRobinPacket => Box::<RoundRobinPacket>::default(),
        StreamScheduler::Priority => Box::new(Priority::new(cfg.stream_values.clone())),
        StreamScheduler::FairCapacity => Box::<WeightedFair>::default(),
        StreamScheduler::WeightedFair => Box::new(WeightedFair::new(cfg.stream_values.clone())),
    }
}
