//! Messages that wait to be sent, by stream, and their fragmentation (RFC 9260 section 6.9).
//!
//! The scheduler chooses among streams at message boundaries only: once the first fragment of a message is sent, all others
//! follow, since TSNs of a message must be consecutive.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::event::{Message, SendOptions};
use crate::num::{Ppid, Ssn, StreamId};
use crate::sched::Scheduler;

/// A message of which not everything has been sent.
#[derive(Clone, Debug)]
struct QueuedMessage {
    /// Its place among all messages of the association.
    seq: u64,
    ppid: Ppid,
    payload: Bytes,
    opts: SendOptions,
    /// Bytes that went out in fragments.
    sent: usize,
}

#[derive(Clone, Debug, Default)]
struct OutStream {
    next_ssn: Ssn,
    /// The send buffer bounds it.
    messages: VecDeque<QueuedMessage>,
}

/// A message or a fragment of one, as it becomes a DATA chunk.
#[derive(Clone, Debug)]
pub(super) struct Fragment {
    /// Place of the message among all messages of the association.
    pub(super) seq: u64,
    /// The whole message.
    pub(super) whole: Bytes,
    /// Where this fragment begins in it.
    pub(super) offset: usize,
    /// Length of this fragment.
    pub(super) len: usize,
    pub(super) sid: StreamId,
    pub(super) ssn: Ssn,
    pub(super) ppid: Ppid,
    pub(super) unordered: bool,
    /// The application wants an immediate SACK for this fragment.
    pub(super) immediate: bool,
}

impl Fragment {
    /// Whether it is the first one of its message.
    pub(super) fn begin(&self) -> bool {
        self.offset == 0
    }

    /// Whether it is the last one of its message.
    pub(super) fn end(&self) -> bool {
        self.offset + self.len == self.whole.len()
    }

    /// The user data.
    pub(super) fn payload(&self) -> &[u8] {
        self.whole.get(self.offset..self.offset + self.len).unwrap_or(&[])
    }

    /// The message that it is part of.
    pub(super) fn message(&self) -> Message {
        Message::whole(self.sid, self.ssn, self.ppid, self.unordered, self.whole.clone())
    }
}

/// Everything that was accepted for sending and has no TSN yet.
#[derive(Debug)]
pub(super) struct SendQueue {
    /// One for each stream that was ever used; never more than there are outbound streams.
    streams: BTreeMap<StreamId, OutStream>,
    scheduler: Box<dyn Scheduler>,
    /// The stream whose message is next.
    head: Option<StreamId>,
    bytes: usize,
    messages: usize,
    next_seq: u64,
}

impl SendQueue {
    pub(super) fn new(scheduler: Box<dyn Scheduler>) -> Self {
        Self { streams: BTreeMap::new(), scheduler, head: None, bytes: 0, messages: 0, next_seq: 0 }
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

    /// Adds a message; the caller has checked that it is not empty.
    pub(super) fn push(&mut self, sid: StreamId, ppid: Ppid, payload: Bytes, opts: SendOptions) {
        let len = payload.len();
        let stream = self.streams.entry(sid).or_default();
        let was_empty = stream.messages.is_empty();
        stream.messages.push_back(QueuedMessage { seq: self.next_seq, ppid, payload, opts, sent: 0 });
        self.next_seq += 1;
        self.bytes += len;
        self.messages += 1;
        if was_empty {
            self.scheduler.activate(sid, len);
            if self.head.is_none() {
                self.head = self.scheduler.pick();
            }
        }
    }

    fn first(&self) -> Option<&QueuedMessage> {
        self.streams.get(&self.head?)?.messages.front()
    }

    /// User data in the next chunk if fragments have at most `max` bytes.
    pub(super) fn next_len(&self, max: usize) -> Option<usize> {
        self.rest().map(|rest| rest.min(max))
    }

    /// What is not sent of the next message, in bytes.
    pub(super) fn rest(&self) -> Option<usize> {
        self.first().map(|m| m.payload.len() - m.sent)
    }

    /// Whether a message is out in part: its other fragments should follow soon.
    pub(super) fn mid_message(&self) -> bool {
        self.first().is_some_and(|m| m.sent > 0)
    }

    /// Whether the next message asks for an immediate SACK, that is, for haste.
    pub(super) fn is_urgent(&self) -> bool {
        self.first().is_some_and(|m| m.opts.sack_immediately)
    }

    /// Takes the next chunk, of at most `max` bytes of user data.
    pub(super) fn pop(&mut self, max: usize) -> Option<Fragment> {
        let sid = self.head?;
        let stream = self.streams.get_mut(&sid)?;
        let m = stream.messages.front_mut()?;
        let len = (m.payload.len() - m.sent).min(max.max(1));
        let last = m.sent + len == m.payload.len();
        let fragment = Fragment {
            seq: m.seq,
            whole: m.payload.clone(),
            offset: m.sent,
            len,
            sid,
            ssn: if m.opts.unordered { Ssn(0) } else { stream.next_ssn },
            ppid: m.ppid,
            unordered: m.opts.unordered,
            immediate: last && m.opts.sack_immediately,
        };
        m.sent += len;
        self.bytes -= len;
        if last {
            if !m.opts.unordered {
                stream.next_ssn = stream.next_ssn.next();
            }
            stream.messages.pop_front();
            self.messages -= 1;
            let next_len = stream.messages.front().map(|m| m.payload.len());
            self.scheduler.served(sid, fragment.whole.len(), next_len);
            self.head = self.scheduler.pick();
        }
        Some(fragment)
    }

    /// Takes out what waits on streams from `first` on, of which nothing was sent yet.
    pub(super) fn refuse_from(&mut self, first: u16) -> Vec<Message> {
        if self.mid_message() || self.streams.last_key_value().is_none_or(|(sid, _)| sid.0 < first) {
            return Vec::new();
        }
        let (mut refused, mut kept) = (Vec::new(), Vec::new());
        let opts: BTreeMap<u64, SendOptions> = self.streams.values().flat_map(|s| &s.messages).map(|m| (m.seq, m.opts)).collect();
        let mut all = self.drain();
        all.sort_unstable_by_key(|(seq, _)| *seq);
        for (seq, message) in all {
            if message.sid.0 < first { kept.push((seq, message)) } else { refused.push(message) }
        }
        self.streams.retain(|sid, _| sid.0 < first);
        for (seq, m) in kept {
            self.push(m.sid, m.ppid, m.payload, opts.get(&seq).copied().unwrap_or_default());
        }
        refused
    }

    /// Gives back the memory of streams without messages.
    pub(super) fn release(&mut self) {
        for stream in self.streams.values_mut().filter(|s| s.messages.is_empty()) {
            stream.messages = VecDeque::new();
        }
        self.scheduler.release();
    }

    /// Empties the queue: all messages with their places, whether something of them was sent or not.
    pub(super) fn drain(&mut self) -> Vec<(u64, Message)> {
        let mut all = Vec::with_capacity(self.messages);
        for (&sid, stream) in &mut self.streams {
            let waiting = core::mem::take(&mut stream.messages);
            for m in waiting {
                let (ppid, unordered, payload) = (m.ppid, m.opts.unordered, m.payload);
                all.push((m.seq, Message::whole(sid, Ssn(0), ppid, unordered, payload)));
            }
        }
        while let Some(sid) = self.scheduler.pick() {
            self.scheduler.served(sid, 0, None);
        }
        self.head = None;
        self.bytes = 0;
        self.messages = 0;
        all
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
        q.push(StreamId(sid), Ppid(7), Bytes::from(vec![1; len]), opts);
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
            seen.push((f.sid.0, f.ssn.0, f.len, f.begin(), f.end(), f.immediate));
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
            assert_eq!(u32::from(q.pop(10).unwrap().ssn.0), n % 65_536);
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
        assert_eq!(all.iter().map(|(seq, m)| (*seq, m.sid.0, m.payload.len())).collect::<Vec<_>>(), [(1, 2, 20), (0, 5, 300)]);
        assert!(q.is_empty());
        push(&mut q, 5, 1, SendOptions::ordered());
        assert_eq!(q.pop(10).unwrap().sid, StreamId(5));
    }
}
