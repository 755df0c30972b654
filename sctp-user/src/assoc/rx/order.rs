//! Complete messages until the user takes them: ordered ones wait for their turn in their stream (RFC 9260 section 6.6).

use core::ops::RangeInclusive;
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
    /// Whether it comes before `other`.
    fn is_before(self, other: Self) -> bool;
    /// The bare numbers from here on up to `last`, in their order.
    fn up_to(self, last: Self) -> impl Iterator<Item = RangeInclusive<Self::Key>>;
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

    fn is_before(self, other: Self) -> bool {
        self.before(other)
    }

    fn up_to(self, last: Self) -> impl Iterator<Item = RangeInclusive<u16>> {
        self.up_to(last)
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

    fn is_before(self, other: Self) -> bool {
        self.before(other)
    }

    fn up_to(self, last: Self) -> impl Iterator<Item = RangeInclusive<u32>> {
        self.up_to(last)
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
        if last.is_before(turn) {
            return;
        }
        for range in turn.up_to(last) {
            let (first, last) = range.into_inner();
            let freed = self.waiting.extract_if((sid, first)..=(sid, last), |_, _| true);
            self.ready.extend(freed.map(|(_, message)| message));
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::num::Ppid;

    fn message(sid: u16, n: u16) -> Message {
        Message::whole(StreamId(sid), Ssn(n), Ppid(0), false, Bytes::new())
    }

    /// What [`Order::skip`] does, by looking at everything that waits.
    fn skip_naively(order: &mut Order<Ssn>, sid: StreamId, last: Ssn) {
        let turn = order.turn(sid);
        if last.before(turn) {
            return;
        }
        let passed = |ssn: u16| !Ssn(ssn).before(turn) && Ssn(ssn).at_or_before(last);
        let mut freed: Vec<_> = order.waiting.keys().copied().filter(|(s, ssn)| *s == sid && passed(*ssn)).collect();
        freed.sort_by_key(|(_, ssn)| Ssn(*ssn).since(turn));
        for key in freed {
            order.ready.extend(order.waiting.remove(&key));
        }
        order.next.insert(sid, last.next());
        order.release(sid);
    }

    proptest! {
        /// Whatever waits in which streams, and wherever the numbers wrap.
        #[test]
        fn skipping_by_ranges_is_skipping_one_by_one(
            begin: u16,
            waiting in proptest::collection::btree_set((0_u16..3, 1_u16..400), 0..60),
            skips in proptest::collection::vec((0_u16..3, -50_i16..400), 1..8),
        ) {
            let mut order = Order::<Ssn>::default();
            for sid in 0..3 {
                order.next.insert(StreamId(sid), Ssn(begin));
            }
            for (sid, ahead) in waiting {
                let ssn = Ssn(begin).plus(ahead);
                prop_assert!(!order.place(ssn, message(sid, ssn.0)).unwrap());
            }
            let mut naive = order.clone();
            for (sid, ahead) in skips {
                let (sid, last) = (StreamId(sid), Ssn(begin).plus(ahead.cast_unsigned()));
                order.skip(sid, last);
                skip_naively(&mut naive, sid, last);
                prop_assert_eq!(&order.ready, &naive.ready);
                prop_assert_eq!(&order.waiting, &naive.waiting);
                prop_assert_eq!(&order.next, &naive.next);
            }
        }
    }
}
