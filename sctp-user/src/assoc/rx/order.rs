//! Complete messages until the user takes them: ordered ones wait for their turn in their stream (RFC 9260 section 6.6).

use std::collections::{BTreeMap, VecDeque};

use crate::event::Message;
use crate::num::{Mid, Ssn, StreamId};

/// What numbers the ordered messages of a stream: the stream sequence number of DATA, or the message identifier of I-DATA.
pub(super) trait Sequence: Copy + Default + PartialEq {
    /// The bare number.
    type Key: Copy + Ord + core::fmt::Debug;
    /// What is said of a peer that uses one twice.
    const USED_TWICE: &'static str;
    /// The bare number.
    fn key(self) -> Self::Key;
    /// The number that follows.
    fn following(self) -> Self;
}

impl Sequence for Ssn {
    type Key = u16;
    const USED_TWICE: &'static str = "stream sequence number used twice";

    fn key(self) -> u16 {
        self.0
    }

    fn following(self) -> Self {
        self.next()
    }
}

impl Sequence for Mid {
    type Key = u32;
    const USED_TWICE: &'static str = "message identifier used twice";

    fn key(self) -> u32 {
        self.0
    }

    fn following(self) -> Self {
        self.next()
    }
}

/// Messages that wait for their turn, and messages that can be read.
#[derive(Clone, Debug)]
pub(super) struct Order<S: Sequence> {
    /// The number that is next, of the streams that have delivered: at most one for each inbound stream.
    pub(super) next: BTreeMap<StreamId, S>,
    /// Complete messages whose turn has not come; they count against the window. One tree for all streams, since a tree of each
    /// would cost many times its message.
    pub(super) waiting: BTreeMap<(StreamId, S::Key), Message>,
    /// In the order in which they became readable; they count against the window.
    pub(super) ready: VecDeque<Message>,
}

impl<S: Sequence> Default for Order<S> {
    fn default() -> Self {
        Self { next: BTreeMap::new(), waiting: BTreeMap::new(), ready: VecDeque::new() }
    }
}

impl<S: Sequence> Order<S> {
    /// The number whose turn it is in `sid`.
    pub(super) fn turn(&self, sid: StreamId) -> S {
        self.next.get(&sid).copied().unwrap_or_default()
    }

    /// Gives a complete message its place; answers whether one became readable.
    ///
    /// # Errors
    /// Another message with its number waits already.
    pub(super) fn place(&mut self, seq: S, message: Message) -> Result<bool, &'static str> {
        if message.unordered {
            self.put(Message { ssn: Ssn(0), ..message });
            return Ok(true);
        }
        let sid = message.sid;
        if seq != self.turn(sid) {
            return match self.waiting.insert((sid, seq.key()), message) {
                None => Ok(false),
                Some(_) => Err(S::USED_TWICE),
            };
        }
        self.put(message);
        self.next.insert(sid, seq.following());
        self.release(sid);
        Ok(true)
    }

    /// The turn of `sid` has moved on: what waited for it can be read.
    pub(super) fn release(&mut self, sid: StreamId) {
        let Some(next) = self.next.get_mut(&sid) else { return };
        while let Some(message) = self.waiting.remove(&(sid, next.key())) {
            *next = next.following();
            self.ready.push_back(message);
        }
    }

    /// Adds a message to those that can be read. The end of one whose beginning was handed out goes before all others.
    fn put(&mut self, message: Message) {
        if message.offset > 0 {
            self.ready.push_front(message);
        } else {
            self.ready.push_back(message);
        }
    }
}
