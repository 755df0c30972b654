//! Messages that wait to be sent, by stream, and their fragmentation (RFC 9260 section 6.9).
//!
//! The scheduler chooses among streams. In DATA chunks it does so at message boundaries only: once the first fragment of a message
//! is sent, all others follow, since TSNs of a message must be consecutive. In I-DATA chunks it chooses for every chunk, and at any
//! time there is at most one message of each stream of which a part was sent (RFC 8260 section 2.2.2). TSNs are assigned as chunks
//! are taken out, so their order is that of sending.
//!
//! A message may come from the user in parts (RFC 6458 section 8.1.26). Its stream has its turn when the end is there, or, lest a
//! message larger than the send buffer wait for ever, when there is much of it ([`EARLY`]) or the buffer is full.

mod stream;
mod withdrawal;

use core::hint::cold_path;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use bytes::Bytes;

use self::stream::{Head, Manner, OutStream, QueuedMessage};
use super::format::FragmentFormat;
use super::fragment::Fragment;
use super::policy::Policy;
use crate::assoc::streams::Streams;
use crate::event::SendOptions;
use crate::num::{Fsn, KeyId, Mid, Ppid, StreamId};
use crate::sched::{Next, Scheduler};
use crate::time::Time;

/// So many bytes of a message that has no end yet may leave.
const EARLY: usize = 64 * 1024;

/// Everything that was accepted for sending and has no TSN yet.
#[derive(Debug)]
pub(super) struct SendQueue {
    /// One for each stream that was ever used; never more than there are outbound streams.
    streams: BTreeMap<StreamId, OutStream>,
    scheduler: Box<dyn Scheduler>,
    format: FragmentFormat,
    /// The number of the second fragment of a message.
    second: Fsn,
    /// The stream whose message is next, as it is now.
    head: Option<Head>,
    bytes: usize,
    messages: usize,
    next_seq: u64,
    /// Messages that make room for others, of which nothing was sent: the least important last, and of equal ones the youngest.
    #[expect(clippy::box_collection, reason = "few have any, and each association would carry it")]
    giving_way: Option<Box<BTreeSet<(u32, u64, StreamId)>>>,
}

impl SendQueue {
    pub(super) fn new(scheduler: Box<dyn Scheduler>) -> Self {
        Self {
            streams: BTreeMap::new(),
            scheduler,
            format: FragmentFormat::Data,
            second: Fsn(1),
            head: None,
            bytes: 0,
            messages: 0,
            next_seq: 0,
            giving_way: None,
        }
    }

    /// The kind of chunk was agreed on; nothing was sent yet.
    pub(super) fn set_format(&mut self, format: FragmentFormat) {
        self.format = format;
    }

    /// What the second fragment of a message is numbered.
    pub(super) fn set_second(&mut self, second: Fsn) {
        self.second = second;
    }

    /// The kind of chunk that messages go in.
    pub(super) fn format(&self) -> FragmentFormat {
        self.format
    }

    /// Lets another scheduler choose from now on. A message that must be sent to its end before others is.
    pub(super) fn set_scheduler(&mut self, scheduler: Box<dyn Scheduler>) {
        self.scheduler = scheduler;
        for (sid, stream) in self.streams.iter().filter(|(_, s)| s.active) {
            // Of a message that has left in part, the rest may not be here yet.
            let rest = stream.messages.front().map(|m| Next { seq: m.seq, len: m.payload.len() - m.sent });
            self.scheduler.activate(*sid, rest.unwrap_or(Next { seq: self.next_seq, len: 0 }));
        }
        self.choose();
    }

    /// A packet is complete.
    pub(super) fn end_packet(&mut self) {
        self.scheduler.end_packet();
        self.choose();
    }

    /// The stream that the next chunk must be of if it shall go with one of `sid` in a packet, as far as the scheduler is concerned.
    pub(super) fn goes_with(&self, sid: StreamId) -> bool {
        self.head.is_some_and(|head| head.sid == sid) || !self.scheduler.keeps_packets_apart()
    }

    /// Whether chunks of different streams never share a packet.
    pub(super) fn keeps_packets_apart(&self) -> bool {
        self.scheduler.keeps_packets_apart()
    }

    /// User data that waits, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Messages that wait, at least in part.
    pub(super) fn messages(&self) -> usize {
        self.messages
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Adds a message; the caller has checked that it is not empty. One that comes in parts is not given up.
    pub(super) fn push(&mut self, sid: StreamId, ppid: Ppid, payload: Bytes, opts: SendOptions, policy: Policy) {
        self.add(sid, ppid, payload, Manner::new(&opts), policy);
    }

    fn add(&mut self, sid: StreamId, ppid: Ppid, payload: Bytes, opts: Manner, policy: Policy) {
        let len = payload.len();
        let stream = self.streams.entry(sid).or_default();
        let begins = stream.unfinished.is_none();
        // All fragments of a message go the same way.
        let (ppid, unordered) = stream.unfinished.unwrap_or((ppid, opts.unordered));
        let (opts, unfinished) = (Manner { unordered, ..opts }, opts.unfinished);
        stream.unfinished = unfinished.then_some((ppid, unordered));
        let policy = if begins && !unfinished { policy } else { Policy::Reliable };
        stream.messages.push_back(QueuedMessage { seq: self.next_seq, ppid, payload, opts, policy, sent: 0, begins });
        if let Some(rank) = policy.rank() {
            cold_path();
            self.giving_way.get_or_insert_default().insert((rank, self.next_seq, sid));
        }
        stream.bytes += len;
        stream.ends += usize::from(!unfinished);
        self.next_seq += 1;
        self.bytes += len;
        self.messages += 1;
        if self.head.is_some_and(|head| head.sid == sid) {
            self.head = Some(stream.head(sid));
        }
        if !stream.active
            && let Some(next) = stream.ready(EARLY, self.format)
        {
            stream.active = true;
            self.scheduler.activate(sid, next);
            self.choose();
        }
    }

    /// Tells the scheduler of a stream that should have its turn.
    fn activate(&mut self, sid: StreamId, early: usize) {
        let Some(stream) = self.streams.get_mut(&sid).filter(|s| !s.active) else { return };
        let Some(next) = stream.ready(early, self.format) else { return };
        stream.active = true;
        self.scheduler.activate(sid, next);
        self.choose();
    }

    /// Has the scheduler choose, unless a message must be sent to its end first.
    fn choose(&mut self) {
        if self.format.interleaves() || !self.head.is_some_and(|head| head.begun) {
            let sid = self.scheduler.pick();
            if sid != self.head.map(|head| head.sid) {
                self.set_head(sid);
            }
        }
    }

    fn set_head(&mut self, sid: Option<StreamId>) {
        self.head = sid.and_then(|sid| self.streams.get(&sid).map(|s| s.head(sid)));
    }

    /// Something was taken back, maybe from the stream that is next.
    fn refresh_head(&mut self) {
        self.set_head(self.head.map(|head| head.sid));
    }

    /// The send buffer is full: messages without an end may leave.
    pub(super) fn release_unfinished(&mut self) {
        let waiting: Vec<_> = self.streams.iter().filter(|(_, s)| s.unfinished.is_some() && !s.active).map(|(sid, _)| *sid).collect();
        for sid in waiting {
            self.activate(sid, 1);
        }
    }

    /// Whether there is a message without an end.
    pub(super) fn has_unfinished(&self) -> bool {
        self.streams.values().any(|s| s.unfinished.is_some())
    }

    fn first(&self) -> Option<&QueuedMessage> {
        self.streams.get(&self.head?.sid)?.messages.front()
    }

    /// Whether there is more to know about the next message than [`Head`] says.
    #[inline]
    pub(super) fn has_particular_head(&self) -> bool {
        self.head.is_some_and(|head| head.particular)
    }

    /// The next message, if it is one about which there is more to know than [`Head`] says.
    #[inline]
    fn particular(&self) -> Option<&QueuedMessage> {
        debug_assert_eq!(self.head, self.head.and_then(|head| Some(self.streams.get(&head.sid)?.head(head.sid))));
        if !self.has_particular_head() {
            return None;
        }
        cold_path();
        self.first()
    }

    /// User data in the next chunk if fragments have at most `max` bytes.
    pub(super) fn next_len(&self, max: usize) -> Option<usize> {
        self.rest().map(|rest| rest.min(max))
    }

    /// What is not sent of the next message, in bytes.
    pub(super) fn rest(&self) -> Option<usize> {
        self.head.map(|head| head.rest as usize).filter(|rest| *rest > 0)
    }

    /// Whether a message is out in part: its other fragments, which are here, should follow soon.
    pub(super) fn mid_message(&self) -> bool {
        self.head.is_some_and(|head| head.mid_message)
    }

    /// Whether the beginning of a message has left and its end has not.
    fn is_begun(&self) -> bool {
        self.streams.values().any(|s| s.begun)
    }

    /// The address that the user wants the next message to go to.
    #[inline]
    pub(super) fn path(&self) -> Option<IpAddr> {
        self.particular()?.opts.path.as_deref().copied()
    }

    /// The key that the next message is to be authenticated by, if not the active one.
    pub(super) fn auth_key(&self) -> Option<KeyId> {
        self.particular()?.opts.auth_key
    }

    /// Whether any message is to be authenticated by this very key.
    pub(super) fn asks_for_key(&self, key: KeyId) -> bool {
        self.streams.values().flat_map(|s| &s.messages).any(|m| m.opts.auth_key == Some(key))
    }

    /// Whether the next message asks for an immediate SACK, that is, for haste.
    pub(super) fn is_urgent(&self) -> bool {
        self.head.is_some_and(|head| head.urgent)
    }

    /// Takes the next chunk, of at most `max` bytes of user data.
    pub(super) fn pop(&mut self, max: usize) -> Option<Fragment> {
        let sid = self.head?.sid;
        let stream = self.streams.get_mut(&sid)?;
        let m = stream.messages.front_mut()?;
        let len = (m.payload.len() - m.sent).min(max.max(1));
        let last = m.sent + len == m.payload.len();
        let counter = if m.opts.unordered { &mut stream.next_unordered } else { &mut stream.next_mid };
        let offset = m.sent;
        m.sent += len;
        let fragment = Fragment {
            seq: m.seq,
            // The last one takes it over: a message in one chunk is never shared.
            whole: if last { core::mem::take(&mut m.payload) } else { m.payload.clone() },
            offset,
            len,
            sid,
            mid: *counter,
            fsn: stream.next_fsn,
            ppid: m.ppid,
            unordered: m.opts.unordered,
            format: self.format,
            immediate: last && m.opts.sack_immediately,
            context: m.opts.context,
            auth_key: m.opts.auth_key,
            begins: m.begins,
            ends: !m.opts.unfinished,
            policy: m.policy,
        };
        if let Some((rank, others)) = m.policy.rank().filter(|_| offset == 0).zip(self.giving_way.as_mut()) {
            cold_path();
            others.remove(&(rank, m.seq, sid));
        }
        self.bytes -= len;
        stream.bytes -= len;
        stream.served += len;
        stream.begun = true;
        stream.next_fsn = if fragment.begin() { self.second } else { fragment.fsn.next() };
        if last {
            stream.messages.pop_front();
            self.messages -= 1;
        }
        let ended = last && fragment.ends;
        if ended {
            stream.end_message(fragment.unordered);
        }
        let mut next = Some(sid);
        if ended || self.format.interleaves() {
            stream.tell_served(sid, self.format, &mut *self.scheduler);
            next = self.scheduler.pick();
        }
        if next == Some(sid) {
            self.head = Some(stream.head(sid));
        } else {
            self.set_head(next);
        }
        Some(fragment)
    }

    /// Whether the message at the head has outlived its time, and whether something of it was sent.
    pub(super) fn expired_head(&self, now: Time) -> Option<bool> {
        self.particular().filter(|m| m.policy.is_expired(now)).map(|m| m.sent > 0)
    }

    /// Stream and place of the message at the head.
    pub(super) fn head_message(&self) -> Option<(StreamId, u64)> {
        Some((self.head?.sid, self.first()?.seq))
    }

    /// Whether something of these streams waits, at least in part.
    pub(super) fn has_any_of(&self, streams: &Streams) -> bool {
        self.streams.iter().any(|(sid, s)| (s.begun || s.unfinished.is_some() || !s.messages.is_empty()) && streams.has(*sid))
    }

    /// Whether the user has begun a message on `sid` and not ended it.
    pub(super) fn is_unfinished(&self, sid: StreamId) -> bool {
        self.streams.get(&sid).is_some_and(|s| s.unfinished.is_some())
    }

    /// Whether the numbers of these streams begin with the next message, and nothing waits there.
    pub(super) fn is_anew(&self, streams: &Streams) -> bool {
        let anew = |s: &OutStream| s.next_mid == Mid(0) && (s.next_unordered == Mid(0) || !self.format.interleaves());
        !self.has_any_of(streams) && self.streams.iter().all(|(sid, s)| anew(s) || !streams.has(*sid))
    }

    /// The numbers of these streams, on which nothing waits, begin anew (RFC 6525 section 5.2.7 rule H4).
    pub(super) fn begin_anew(&mut self, streams: &Streams) {
        for (_, stream) in self.streams.iter_mut().filter(|(sid, _)| streams.has(**sid)) {
            (stream.next_mid, stream.next_unordered) = (Mid(0), Mid(0));
        }
    }

    /// Gives back the memory of streams without messages.
    pub(super) fn release(&mut self) {
        for stream in self.streams.values_mut().filter(|s| s.messages.is_empty()) {
            stream.messages = VecDeque::new();
        }
        self.scheduler.release();
        self.giving_way.take_if(|all| all.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sched::RoundRobin;

    fn queue() -> SendQueue {
        SendQueue::new(Box::<RoundRobin>::default())
    }

    fn push(q: &mut SendQueue, sid: u16, len: usize, opts: SendOptions) {
        q.push(StreamId(sid), Ppid(7), Bytes::from(vec![1; len]), opts, Policy::Reliable);
    }

    #[test]
    fn fragments_stay_together_and_streams_take_turns() {
        let mut q = queue();
        push(&mut q, 1, 250, SendOptions::ordered());
        push(&mut q, 1, 10, SendOptions::ordered());
        push(&mut q, 2, 100, SendOptions { sack_immediately: true, ..SendOptions::unordered() });
        assert_eq!((q.bytes(), q.messages(), q.next_len(100)), (360, 3, Some(100)));
        let mut seen = Vec::new();
        while let Some(f) = q.pop(100) {
            assert_eq!(f.payload().len(), f.len);
            seen.push((f.sid.0, f.ssn().0, f.len, f.begin(), f.end(), f.immediate));
        }
        let expected = [
            (1, 0, 100, true, false, false),
            (1, 0, 100, false, false, false),
            (1, 0, 50, false, true, false),
            (2, 0, 100, true, true, true),
            (1, 1, 10, true, true, false),
        ];
        assert_eq!(seen, expected);
        assert_eq!((q.bytes(), q.messages(), q.next_len(100)), (0, 0, None));
    }

    /// RFC 9260 rows: 6.5-3, 6.5-4, 6.5-5, 6.5-6.
    #[test]
    fn stream_sequence_numbers_wrap_and_skip_unordered_messages() {
        let mut q = queue();
        for n in 0..=65_536_u32 {
            push(&mut q, 0, 1, SendOptions::ordered());
            push(&mut q, 0, 1, SendOptions::unordered());
            assert_eq!(u32::from(q.pop(10).unwrap().ssn().0), n % 65_536);
            assert!(q.pop(10).unwrap().unordered);
        }
    }

    #[test]
    fn draining_gives_everything_back() {
        let mut q = queue();
        push(&mut q, 5, 300, SendOptions::ordered());
        push(&mut q, 2, 20, SendOptions::ordered());
        q.pop(100).unwrap();
        let all = q.drain();
        assert_eq!(
            all.iter().map(|(seq, m)| (*seq, m.message.sid.0, m.message.payload.len())).collect::<Vec<_>>(),
            [(1, 2, 20), (0, 5, 300)]
        );
        assert!(q.is_empty());
        push(&mut q, 5, 1, SendOptions::ordered());
        assert_eq!(q.pop(10).unwrap().sid, StreamId(5));
    }
}
