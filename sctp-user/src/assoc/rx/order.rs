//! Complete messages until the user takes them: ordered ones wait for their turn in their stream (RFC 9260 section 6.6).

use std::collections::{BTreeMap, VecDeque};

use crate::assoc::streams::Streams;
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
    /// The number with this key.
    fn from_key(key: Self::Key) -> Self;
    /// How far it is ahead of `other`; `None` if it comes before.
    fn ahead_of(self, other: Self) -> Option<u32>;
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

    fn from_key(key: u16) -> Self {
        Self(key)
    }

    fn ahead_of(self, other: Self) -> Option<u32> {
        u32::try_from(self.distance(other)).ok()
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

    fn from_key(key: u32) -> Self {
        Self(key)
    }

    fn ahead_of(self, other: Self) -> Option<u32> {
        u32::try_from(self.distance(other)).ok()
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
        let turn = self.next.get_mut(&sid);
        if seq != turn.as_deref().copied().unwrap_or_default() {
            return match self.waiting.insert((sid, seq.key()), message) {
                None => Ok(false),
                Some(_) => Err(S::USED_TWICE),
            };
        }
        match turn {
            Some(turn) => *turn = seq.following(),
            None => drop(self.next.insert(sid, seq.following())),
        }
        self.put(message);
        if !self.waiting.is_empty() {
            self.release(sid);
        }
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

    /// The numbers of these streams begin anew (RFC 6525 section 5.2.2 rule E3). What still waits there for a turn that will not
    /// come is handed out.
    pub(super) fn begin_anew(&mut self, streams: &Streams) {
        self.next.retain(|sid, _| !streams.has(*sid));
        let waiting: Vec<_> = self.waiting.keys().filter(|(sid, _)| streams.has(*sid)).copied().collect();
        self.ready.extend(waiting.into_iter().filter_map(|key| self.waiting.remove(&key)));
    }

    /// Nothing up to `last` is waited for any more in `sid`: what is there becomes readable, in its order (RFC 3758 section 3.6). A
    /// number whose turn is over changes nothing.
    pub(super) fn skip(&mut self, sid: StreamId, last: S) {
        let turn = self.turn(sid);
        let Some(end) = last.ahead_of(turn) else { return };
        let of_stream = self.waiting.keys().skip_while(|(s, _)| *s < sid).take_while(|(s, _)| *s == sid);
        let ahead = |key: S::Key| S::from_key(key).ahead_of(turn).filter(|n| *n <= end);
        let mut freed: Vec<_> = of_stream.filter_map(|&(_, key)| Some((ahead(key)?, key))).collect();
        freed.sort_unstable();
        for (_, key) in freed {
            self.ready.extend(self.waiting.remove(&(sid, key)));
        }
        self.next.insert(sid, last.following());
        self.release(sid);
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
