//! Stream schedulers (RFC 8260 section 3): which stream's message is sent next.
//!
//! A scheduler orders whole messages: that the fragments of one message follow each other is the send queue's business.

mod round_robin;

use core::fmt;

pub(crate) use self::round_robin::RoundRobin;
use crate::num::StreamId;

/// Chooses among the streams that have messages to send.
pub(crate) trait Scheduler: fmt::Debug + Send {
    /// `sid`, which had nothing to send, has a first message of `next_len` bytes.
    fn activate(&mut self, sid: StreamId, next_len: usize);
    /// The stream whose message goes next; the answer stays the same until [`Scheduler::served`].
    fn pick(&mut self) -> Option<StreamId>;
    /// The message of `bytes` bytes at the head of `sid` was sent; `next_len` is the length of the one behind it, or `None`
    /// if the stream has nothing more.
    fn served(&mut self, sid: StreamId, bytes: usize, next_len: Option<usize>);
    /// What `sid` had to send, of which nothing was sent, was taken back.
    fn deactivate(&mut self, sid: StreamId);
    /// No stream has anything to send, and none will for a while: memory may be given back.
    fn release(&mut self) {}
}
