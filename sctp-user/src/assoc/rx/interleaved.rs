//! From I-DATA chunks to messages (RFC 8260 section 2.2.3): a fragment is found by stream, order, message identifier and fragment
//! number, and nothing is concluded from its TSN. Messages of many streams may be incomplete at once.
//!
//! If the receive buffer is full of incomplete messages, or one has reached the partial delivery point, they are handed out in
//! parts, several streams in turn. In one stream no other message is handed out between the parts of one.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::Turn;
use super::order::Order;
use super::reassembly::{Inserted, Skipped};
use super::whole::Whole;
use crate::assoc::streams::Streams;
use crate::event::Message;
use crate::num::{Fsn, Mid, Ppid, Ssn, StreamId, Tsn};
use crate::wire::chunk::{IData, Place, SkippedMid};

/// So many messages after one that was skipped, no fragment of it comes any more.
const FORGET: i32 = 1 << 30;

/// Which message a fragment belongs to. The order means nothing, but is the same everywhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    sid: StreamId,
    unordered: bool,
    mid: u32,
}

impl Key {
    fn of(data: &IData<'_>) -> Self {
        Self { sid: data.sid, unordered: data.unordered, mid: data.mid.0 }
    }

    /// What the user knows of the message: its stream, the lower half of its identifier (RFC 8260 section 4.1), its order.
    fn shown(self) -> (StreamId, Ssn, bool) {
        let low = u16::try_from(self.mid & 0xffff).unwrap_or_default();
        (self.sid, if self.unordered { Ssn(0) } else { Ssn(low) }, self.unordered)
    }
}

/// An incomplete message; a complete one leaves at once.
#[derive(Clone, Debug, Default)]
struct Incomplete {
    /// Whether the first fragment has come.
    begin: bool,
    /// Of the first fragment.
    ppid: Ppid,
    /// Fragments without a gap from the beginning on, but for those that were handed out.
    parts: VecDeque<(Tsn, Bytes)>,
    /// User data in `parts`.
    bytes: usize,
    /// The number of the first fragment that is missing.
    next: Fsn,
    /// Fragments beyond it, their user data, and the highest number among them.
    early: usize,
    early_bytes: usize,
    highest: Fsn,
    /// The number of the last fragment, once that has come.
    end: Option<Fsn>,
    /// User data that was handed out.
    taken: u64,
}

impl Incomplete {
    /// What can be wrong with a fragment whose TSN is new. All numbers are compared by their distance from the first missing one.
    fn check(&self, data: &IData<'_>, max_message: usize) -> Result<(), &'static str> {
        let fsn = data.place.fsn();
        let first = data.place.is_first();
        if first && self.begin {
            return Err("two first fragments of a message");
        }
        if !first && !self.begin && fsn == Fsn(0) {
            return Err("fragment 0 that is not the first one");
        }
        if fsn.before(self.next) {
            return Err("fragment number used twice");
        }
        if self.end.is_some_and(|end| fsn.distance(self.next) >= end.distance(self.next)) {
            return Err("fragment behind the last one");
        }
        if data.end && self.early > 0 && self.highest.distance(self.next) >= fsn.distance(self.next) {
            return Err("last fragment before others");
        }
        let held = self.bytes.saturating_add(self.early_bytes).saturating_add(data.payload.len());
        if self.taken.saturating_add(held as u64) > max_message as u64 {
            return Err("message too long");
        }
        Ok(())
    }

    /// Whether all of it is here.
    fn is_complete(&self) -> bool {
        self.end.is_some_and(|end| end.next() == self.next)
    }

    /// The next fragment.
    fn append(&mut self, tsn: Tsn, payload: Bytes) {
        self.bytes += payload.len();
        self.parts.push_back((tsn, payload));
        self.next = self.next.next();
    }

    /// What is here without a gap, which is the end if `more` is false.
    fn take(&mut self, key: Key, more: bool, whole: &mut Whole) -> Message {
        let tsn = self.parts.front().map_or(Tsn(0), |(tsn, _)| *tsn);
        let payload = whole.join(self.bytes, self.parts.iter().map(|(_, part)| part));
        self.parts.clear();
        self.bytes = 0;
        let offset = self.taken;
        self.taken = offset.saturating_add(payload.len() as u64);
        let (sid, ssn, unordered) = key.shown();
        Message { sid, ssn, ppid: self.ppid, unordered, offset, more, tsn, payload }
    }
}

/// A message that is being handed out in parts, and what waits in its stream for its end.
#[derive(Clone, Debug)]
struct Begun {
    key: Key,
    held: VecDeque<(Mid, Message)>,
    /// Up to where the ordered messages of the stream are skipped, once this one has ended.
    skip: Option<Mid>,
}

/// Incomplete messages, messages that wait for their turn, and messages that can be read. The receive window bounds all of it.
#[derive(Clone, Debug)]
pub(crate) struct Interleaved {
    max_message: usize,
    /// The partial delivery point in bytes.
    point: usize,
    partials: BTreeMap<Key, Incomplete>,
    /// Fragments before which others are missing. One tree for all messages, since a tree of each would cost many times a fragment.
    early: BTreeMap<(Key, u32), (Tsn, Bytes)>,
    order: Order<Mid>,
    whole: Whole,
    /// Streams with a message that is being handed out in parts; at most one entry for each inbound stream.
    begun: BTreeMap<StreamId, Begun>,
    /// Incomplete messages of which something could be handed out: it is the turn of their message in their stream.
    available: BTreeSet<Key>,
    /// Those of them of which it is handed out at once.
    due: BTreeSet<Key>,
    /// The last message skipped in each stream, of the ordered and of the unordered ones: fragments up to there may still come. At most
    /// two entries for each inbound stream.
    skipped: BTreeMap<(StreamId, bool), Mid>,
}

impl Interleaved {
    /// Nothing received; longer messages than `max_message` are refused, those longer than `point` handed out in parts.
    pub(super) fn new(max_message: usize, point: usize) -> Self {
        Self {
            max_message,
            point,
            partials: BTreeMap::new(),
            early: BTreeMap::new(),
            order: Order::default(),
            whole: Whole::default(),
            begun: BTreeMap::new(),
            available: BTreeSet::new(),
            due: BTreeSet::new(),
            skipped: BTreeMap::new(),
        }
    }

    /// Changes the limits for messages of which fragments are to come.
    pub(super) fn set_limits(&mut self, max_message: usize, point: usize) {
        (self.max_message, self.point) = (max_message, point);
    }

    /// Gives back memory that is not used.
    pub(super) fn release(&mut self) {
        self.order.ready.shrink_to(0);
        self.whole.release();
    }

    /// Messages that can be read.
    pub(super) fn ready(&self) -> &VecDeque<Message> {
        &self.order.ready
    }

    /// Messages that can be read, to add to them or to take them.
    pub(super) fn ready_mut(&mut self) -> &mut VecDeque<Message> {
        &mut self.order.ready
    }

    /// What is to be handed out next. `stuck` tells whether nothing more can come before something is handed out.
    pub(super) fn turn(&self, stuck: impl FnOnce() -> bool) -> Option<Turn> {
        if !self.order.ready.is_empty() {
            return Some(Turn::Complete);
        }
        let part = !self.due.is_empty() || (!self.available.is_empty() && stuck());
        part.then_some(Turn::Part)
    }

    /// Whether nothing can be read until more fragments arrive, though there are some.
    pub(super) fn starving(&self) -> bool {
        self.order.ready.is_empty() && !self.available.is_empty()
    }

    /// Takes in a chunk that has not been received before.
    ///
    /// # Errors
    /// The peer broke the rules of fragmentation or ordering; what it did.
    pub(super) fn insert(&mut self, data: &IData<'_>, payload: Bytes) -> Result<Inserted, &'static str> {
        let key = Key::of(data);
        let whole = data.place.is_first() && data.end;
        let Some(partial) = self.partials.get_mut(&key) else {
            self.check_new(data)?;
            if let (true, Place::First(ppid)) = (whole, data.place) {
                if payload.len() > self.max_message {
                    return Err("message too long");
                }
                let (sid, ssn, unordered) = key.shown();
                let message = Message { tsn: data.tsn, ..Message::whole(sid, ssn, ppid, unordered, payload) };
                return Ok(Inserted { readable: self.place(key, message)?, pieces: 1 });
            }
            let mut partial = Incomplete::default();
            partial.check(data, self.max_message)?;
            Self::add(&mut partial, &mut self.early, key, data, payload)?;
            self.partials.insert(key, partial);
            self.refresh(key);
            return Ok(Inserted { readable: false, pieces: 1 });
        };
        partial.check(data, self.max_message)?;
        Self::add(partial, &mut self.early, key, data, payload)?;
        if !partial.is_complete() {
            self.refresh(key);
            return Ok(Inserted { readable: false, pieces: 1 });
        }
        let pieces = partial.parts.len();
        let message = partial.take(key, false, &mut self.whole);
        self.partials.remove(&key);
        self.available.remove(&key);
        self.due.remove(&key);
        let readable = self.place(key, message)?;
        Ok(Inserted { readable, pieces })
    }

    /// What can be wrong with a fragment of which no other is here.
    fn check_new(&self, data: &IData<'_>) -> Result<(), &'static str> {
        if data.unordered {
            return Ok(());
        }
        if data.mid.before(self.order.turn(data.sid)) {
            return Err("message identifier of the past");
        }
        if self.order.waiting.contains_key(&(data.sid, data.mid.0)) {
            return Err("fragment of a message that is complete");
        }
        Ok(())
    }

    /// Adds a fragment to its message, and those that it joins.
    fn add(
        partial: &mut Incomplete,
        early: &mut BTreeMap<(Key, u32), (Tsn, Bytes)>,
        key: Key,
        data: &IData<'_>,
        payload: Bytes,
    ) -> Result<(), &'static str> {
        let fsn = data.place.fsn();
        if fsn != partial.next {
            let len = payload.len();
            if early.insert((key, fsn.0), (data.tsn, payload)).is_some() {
                return Err("fragment number used twice");
            }
            if partial.early == 0 || fsn.after(partial.highest) {
                partial.highest = fsn;
            }
            partial.early += 1;
            partial.early_bytes += len;
        } else {
            if let Place::First(ppid) = data.place {
                (partial.begin, partial.ppid) = (true, ppid);
            }
            partial.append(data.tsn, payload);
            while partial.early > 0
                && let Some((tsn, payload)) = early.remove(&(key, partial.next.0))
            {
                partial.early -= 1;
                partial.early_bytes -= payload.len();
                partial.append(tsn, payload);
            }
        }
        if data.end {
            partial.end = Some(fsn);
        }
        Ok(())
    }

    /// Gives a complete message, or the end of one, its place; answers whether one became readable.
    fn place(&mut self, key: Key, message: Message) -> Result<bool, &'static str> {
        let mid = Mid(key.mid);
        let begun = match self.begun.get_mut(&key.sid) {
            Some(begun) if begun.key != key => {
                begun.held.push_back((mid, message));
                return Ok(false);
            }
            Some(_) => self.begun.remove(&key.sid),
            None => None,
        };
        let readable = self.order.place(mid, message)?;
        let Some(begun) = begun else {
            self.refresh_turn(key);
            return Ok(readable);
        };
        Ok(self.go_on(begun)? || readable)
    }

    /// A message that was handed out in parts has come to its end, or never will: what it held up in its stream goes on. Answers
    /// whether a message became readable.
    fn go_on(&mut self, begun: Begun) -> Result<bool, &'static str> {
        let Begun { key, held, skip } = begun;
        let before = self.order.ready.len();
        for (mid, message) in held {
            self.order.place(mid, message)?;
        }
        if let Some(last) = skip {
            self.order.skip(key.sid, last);
        }
        // What was there of others of the stream could not be handed out.
        let first = Key { sid: key.sid, unordered: true, mid: 0 };
        let last = Key { sid: key.sid, unordered: true, mid: u32::MAX };
        let others: Vec<Key> = self.partials.range(first..=last).map(|(key, _)| *key).collect();
        others.into_iter().for_each(|other| self.refresh(other));
        self.refresh_turn(key);
        Ok(self.order.ready.len() > before)
    }

    /// Whether a part of that message is here.
    pub(super) fn has_part_of(&self, message: &SkippedMid) -> bool {
        self.partials.contains_key(&Key { sid: message.sid, unordered: message.unordered, mid: message.mid.0 })
    }

    /// The messages in `list` and all before them are not waited for any more (RFC 8260 section 2.3.1).
    pub(super) fn skip(&mut self, list: impl Iterator<Item = SkippedMid>) -> Skipped {
        let mut all = Skipped::default();
        for SkippedMid { sid, unordered, mid } in list {
            let mut ended = None;
            for key in self.passed(sid, unordered, mid) {
                ended = self.forget(key, &mut all).or(ended);
            }
            let newest = self.skipped.entry((sid, unordered)).or_insert(mid);
            if mid.after(*newest) {
                *newest = mid;
            }
            if let Some(begun) = ended.as_mut().or(self.begun.get_mut(&sid)).filter(|_| !unordered) {
                begun.skip = Some(begun.skip.filter(|s| !mid.after(*s)).unwrap_or(mid));
            } else if !unordered {
                self.order.skip(sid, mid);
            }
            match ended {
                // Whatever is wrong with what it held up will show when more comes.
                Some(begun) => drop(self.go_on(begun)),
                None => self.refresh_turn(Key { sid, unordered, mid: mid.0 }),
            }
        }
        all
    }

    /// The incomplete messages that are over when `last` and all before it are skipped: of the ordered ones those from the turn on, of
    /// the others all that come before, half the number space.
    fn passed(&self, sid: StreamId, unordered: bool, last: Mid) -> Vec<Key> {
        let first = if unordered { last.plus(1 << 31) } else { self.order.turn(sid) };
        if !unordered && last.before(first) {
            return Vec::new();
        }
        let key = |mid| Key { sid, unordered, mid };
        first.up_to(last).flat_map(|range| self.partials.range(key(*range.start())..=key(*range.end()))).map(|(key, _)| *key).collect()
    }

    /// Forgets an incomplete message. If it was handed out in part, answers what it held up.
    fn forget(&mut self, key: Key, all: &mut Skipped) -> Option<Begun> {
        if let Some(partial) = self.partials.remove(&key) {
            all.bytes += partial.bytes + partial.early_bytes;
            all.pieces += partial.parts.len() + partial.early;
            if partial.early > 0 {
                self.early.extract_if((key, 0)..=(key, u32::MAX), |_, _| true).for_each(drop);
            }
        }
        self.available.remove(&key);
        self.due.remove(&key);
        if self.begun.get(&key.sid).is_none_or(|begun| begun.key != key) {
            return None;
        }
        all.begun.push(key.shown());
        self.begun.remove(&key.sid)
    }

    /// Drops a fragment of a message that was skipped before this one came; `None` if it is none.
    pub(super) fn drop_skipped(&mut self, data: &IData<'_>) -> Option<Skipped> {
        let key = (data.sid, data.unordered);
        let last = *self.skipped.get(&key)?;
        // Identifiers begin anew some day; what was skipped long before is forgotten.
        if data.mid.distance(last) > FORGET {
            self.skipped.remove(&key);
            return None;
        }
        data.mid.at_or_before(last).then(Skipped::default)
    }

    /// The turn in a stream may have moved on to a message that is incomplete.
    fn refresh_turn(&mut self, done: Key) {
        let turn = Key { sid: done.sid, unordered: false, mid: self.order.turn(done.sid).0 };
        if self.partials.contains_key(&turn) {
            self.refresh(turn);
        }
    }

    /// Something changed for an incomplete message: whether a part of it can be handed out, and whether it is to be.
    fn refresh(&mut self, key: Key) {
        let Some(partial) = self.partials.get(&key) else { return };
        let begun = self.begun.get(&key.sid).map(|b| b.key);
        let turn = key.unordered || Mid(key.mid) == self.order.turn(key.sid);
        if partial.bytes == 0 || !turn || begun.is_some_and(|other| other != key) {
            return;
        }
        self.available.insert(key);
        if begun.is_some() || partial.bytes >= self.point {
            self.due.insert(key);
        }
    }

    /// A part of a message that is incomplete, and of how many pieces it was; after [`Interleaved::turn`] has said so.
    pub(super) fn take_part(&mut self) -> Option<(Message, usize)> {
        let key = self.due.pop_first().or_else(|| self.available.first().copied())?;
        self.available.remove(&key);
        let partial = self.partials.get_mut(&key)?;
        let pieces = partial.parts.len();
        let message = partial.take(key, true, &mut self.whole);
        if let Entry::Vacant(vacant) = self.begun.entry(key.sid) {
            vacant.insert(Begun { key, held: VecDeque::new(), skip: None });
            // Nothing else of the stream before its end.
            let first = Key { sid: key.sid, unordered: false, mid: 0 };
            let last = Key { sid: key.sid, unordered: true, mid: u32::MAX };
            let others: Vec<Key> = self.available.range(first..=last).copied().collect();
            for other in others {
                self.available.remove(&other);
                self.due.remove(&other);
            }
        }
        Some((message, pieces))
    }

    /// The message identifiers of these streams begin anew (RFC 6525; RFC 8260 section 2.2.2).
    pub(super) fn begin_anew(&mut self, streams: &Streams) {
        self.order.begin_anew(streams);
        self.skipped.retain(|(sid, _), _| !streams.has(*sid));
    }

    /// Forgets all incomplete messages: their rest will not come. What waited for their end in their stream can be read. Answers the
    /// user data and the pieces that this frees, and which messages were handed out in part.
    pub(super) fn give_up(&mut self) -> (usize, usize, Vec<(StreamId, Ssn, bool)>) {
        let partials = core::mem::take(&mut self.partials);
        self.early.clear();
        self.available.clear();
        self.due.clear();
        let begun = core::mem::take(&mut self.begun);
        let told = begun.values().map(|b| b.key.shown()).collect();
        for Begun { key, held, skip } in begun.into_values() {
            for (mid, message) in held {
                // Whatever is wrong with it, nothing more will come.
                let _ = self.order.place(mid, message);
            }
            if let Some(last) = skip {
                self.order.skip(key.sid, last);
            }
        }
        let bytes = partials.values().map(|p| p.bytes + p.early_bytes).sum();
        let pieces = partials.values().map(|p| p.parts.len() + p.early).sum();
        (bytes, pieces, told)
    }
}

#[cfg(test)]
impl Interleaved {
    /// What is incomplete: stream, order and identifier of each message, and the fragments of it before which others are missing.
    pub(super) fn held(&self) -> Vec<(u16, bool, u32, usize)> {
        let early = |key: &Key| self.early.keys().filter(|(of, _)| of == key).count();
        self.partials.keys().map(|key| (key.sid.0, key.unordered, key.mid, early(key))).collect()
    }

    /// Pretends that all fragments of an ordered message before `fsn` have come.
    pub(super) fn skip_to(&mut self, sid: StreamId, mid: Mid, fsn: Fsn) {
        if let Some(partial) = self.partials.get_mut(&Key { sid, unordered: false, mid: mid.0 }) {
            partial.next = fsn;
        }
    }
}
