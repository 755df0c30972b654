//! What is taken out of the queue unsent: given up, refused by the peer, or left when the association ends.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::stream::{Manner, OutStream};
use super::{EARLY, SendQueue};
use crate::assoc::tx::fragment::Fragment;
use crate::assoc::tx::policy::Policy;
use crate::event::Undelivered;
use crate::num::StreamId;
use crate::time::Time;

impl SendQueue {
    /// Takes out the messages without an end; `None` if the beginning of one has left.
    pub(in crate::assoc::tx) fn drop_unfinished(&mut self) -> Option<Vec<Undelivered>> {
        let left = |s: &OutStream| s.unfinished.is_some() && s.begun && s.ends == 0;
        if self.streams.values().any(left) {
            return None;
        }
        let mut dropped: Vec<(u64, Undelivered)> = Vec::new();
        for (&sid, stream) in self.streams.iter_mut().filter(|(_, s)| s.unfinished.is_some()) {
            stream.unfinished = None;
            while let Some(m) = stream.messages.pop_back_if(|m| m.opts.unfinished) {
                stream.bytes -= m.payload.len();
                self.bytes -= m.payload.len();
                self.messages -= 1;
                dropped.push((m.seq, m.undelivered(sid)));
            }
            // It was to have its turn early; now it has nothing more.
            if stream.messages.is_empty() && core::mem::take(&mut stream.active) {
                self.scheduler.deactivate(sid);
            }
        }
        self.refresh_head();
        self.choose();
        dropped.sort_unstable_by_key(|(seq, _)| *seq);
        Some(dropped.into_iter().map(|(_, m)| m).collect())
    }

    /// Whether there would be `bytes` less, and one message at least, without those messages of which `gives_way` says so.
    pub(in crate::assoc::tx) fn can_free(&self, bytes: usize, gives_way: impl Fn(u32) -> bool) -> bool {
        let mut freed = 0_usize;
        for (_, seq, sid) in self.giving_way.iter().flat_map(|all| all.iter().rev()).take_while(|(rank, ..)| gives_way(*rank)) {
            let messages = self.streams.get(sid).map(|s| &s.messages);
            let message = messages.and_then(|m| m.get(m.binary_search_by_key(seq, |m| m.seq).ok()?));
            freed = freed.saturating_add(message.map_or(0, |m| m.payload.len()));
            if freed >= bytes {
                return true;
            }
        }
        false
    }

    /// Takes out the message at the head, of which nothing was sent.
    pub(in crate::assoc::tx) fn abandon_head(&mut self) -> Option<(Undelivered, Policy)> {
        self.abandon(self.head?.sid, 0)
    }

    /// Takes out the least important of the messages that make room for others, of which nothing was sent.
    pub(in crate::assoc::tx) fn abandon_least(&mut self) -> Option<(Undelivered, Policy)> {
        let &(_, seq, sid) = self.giving_way.as_ref()?.last()?;
        let at = self.streams.get(&sid)?.messages.binary_search_by_key(&seq, |m| m.seq).ok()?;
        self.abandon(sid, at)
    }

    /// Takes out a message that has outlived its time, of which nothing was sent, and that is the first of its stream.
    pub(in crate::assoc::tx) fn abandon_expired(&mut self, now: Time) -> Option<(Undelivered, Policy)> {
        let expired = |s: &OutStream| s.messages.front().is_some_and(|m| m.sent == 0 && m.policy.is_expired(now));
        let sid = self.streams.iter().find(|(_, s)| expired(s)).map(|(sid, _)| *sid)?;
        self.abandon(sid, 0)
    }

    /// Takes out a whole message of which nothing was sent.
    fn abandon(&mut self, sid: StreamId, at: usize) -> Option<(Undelivered, Policy)> {
        let stream = self.streams.get_mut(&sid)?;
        let m = stream.messages.remove(at)?;
        stream.bytes -= m.payload.len();
        stream.ends -= 1;
        self.bytes -= m.payload.len();
        self.messages -= 1;
        if let Some((rank, others)) = m.policy.rank().zip(self.giving_way.as_mut()) {
            others.remove(&(rank, m.seq, sid));
        }
        if at == 0 && core::mem::take(&mut stream.active) {
            self.scheduler.deactivate(sid);
            self.activate(sid, EARLY);
        }
        self.refresh_head();
        self.choose();
        let policy = m.policy;
        Some((m.undelivered(sid), policy))
    }

    /// Takes out what was not sent of a message of which something was. Answers a fragment without user data that stands for it, and
    /// the message.
    pub(in crate::assoc::tx) fn abandon_rest(&mut self, sid: StreamId, seq: u64) -> Option<(Fragment, Undelivered, Policy)> {
        let stream = self.streams.get_mut(&sid)?;
        let m = stream.messages.pop_front_if(|m| m.seq == seq && m.sent > 0)?;
        let rest = m.payload.len() - m.sent;
        let stand_in = Fragment {
            seq,
            whole: Bytes::new(),
            offset: 0,
            len: 0,
            sid,
            mid: if m.opts.unordered { stream.next_unordered } else { stream.next_mid },
            fsn: stream.next_fsn,
            ppid: m.ppid,
            unordered: m.opts.unordered,
            format: self.format,
            immediate: false,
            context: m.opts.context,
            begins: false,
            ends: true,
            auth_key: m.opts.auth_key,
            policy: Policy::Reliable,
        };
        self.bytes -= rest;
        stream.bytes -= rest;
        self.messages -= 1;
        stream.end_message(m.opts.unordered);
        stream.tell_served(sid, self.format, &mut *self.scheduler);
        let next = self.scheduler.pick();
        self.set_head(next);
        let policy = m.policy;
        Some((stand_in, m.undelivered(sid), policy))
    }

    /// Takes out what waits on streams from `first` on, of which nothing was sent yet.
    pub(in crate::assoc::tx) fn refuse_from(&mut self, first: u16) -> Vec<Undelivered> {
        if self.is_begun() || self.streams.last_key_value().is_none_or(|(sid, _)| sid.0 < first) {
            return Vec::new();
        }
        let (mut refused, mut kept) = (Vec::new(), Vec::new());
        let all = self.streams.values().flat_map(|s| &s.messages);
        let mut opts: BTreeMap<u64, (Manner, Policy)> = all.map(|m| (m.seq, (m.opts.clone(), m.policy))).collect();
        let mut all = self.drain();
        all.sort_unstable_by_key(|(seq, _)| *seq);
        for (seq, failed) in all {
            if failed.message.sid.0 < first { kept.push((seq, failed.message)) } else { refused.push(failed) }
        }
        self.streams.retain(|sid, _| sid.0 < first);
        for (seq, m) in kept {
            let (opts, policy) = opts.remove(&seq).unwrap_or_default();
            self.add(m.sid, m.ppid, m.payload, opts, policy);
        }
        refused
    }

    /// Empties the queue: all messages with their places, whether something of them was sent or not.
    pub(in crate::assoc::tx) fn drain(&mut self) -> Vec<(u64, Undelivered)> {
        let mut all = Vec::with_capacity(self.messages);
        for (&sid, stream) in &mut self.streams {
            let old = core::mem::take(stream);
            (stream.next_mid, stream.next_unordered) = (old.next_mid, old.next_unordered);
            all.extend(old.messages.into_iter().map(|m| (m.seq, m.undelivered(sid))));
        }
        while let Some(sid) = self.scheduler.pick() {
            self.scheduler.served(sid, 0, None);
        }
        self.giving_way = None;
        self.head = None;
        self.bytes = 0;
        self.messages = 0;
        all
    }
}
