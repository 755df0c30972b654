//! What waits on one stream, and which chunk it would send next.

use std::collections::VecDeque;
use std::net::IpAddr;

use bytes::Bytes;

use super::EARLY;
use crate::assoc::tx::format::FragmentFormat;
use crate::assoc::tx::policy::Policy;
use crate::event::{Message, SendOptions, Undelivered};
use crate::num::{Fsn, KeyId, Mid, Ppid, Ssn, StreamId};
use crate::sched::{Next, Scheduler};

/// A message of which not everything has been sent, or a part of one that the user sends in parts.
#[derive(Clone, Debug)]
pub(super) struct QueuedMessage {
    /// Its place among all messages of the association.
    pub(super) seq: u64,
    pub(super) ppid: Ppid,
    pub(super) payload: Bytes,
    pub(super) opts: Manner,
    /// When it is given up.
    pub(super) policy: Policy,
    /// Bytes that went out in fragments.
    pub(super) sent: usize,
    /// Whether a message begins here. It ends here unless [`SendOptions::unfinished`].
    pub(super) begins: bool,
}

/// What of the [`SendOptions`] matters to a message that waits: there may be many, and what is rare takes no room.
#[derive(Clone, Debug, Default)]
pub(super) struct Manner {
    pub(super) unordered: bool,
    pub(super) sack_immediately: bool,
    pub(super) unfinished: bool,
    pub(super) context: u32,
    pub(super) auth_key: Option<KeyId>,
    pub(super) path: Option<Box<IpAddr>>,
}

impl Manner {
    pub(super) fn new(opts: &SendOptions) -> Self {
        let &SendOptions { unordered, sack_immediately, unfinished, context, auth_key, path, .. } = opts;
        Self { unordered, sack_immediately, unfinished, context, auth_key, path: path.map(Box::new) }
    }
}

impl QueuedMessage {
    /// It was on stream `sid`.
    pub(super) fn undelivered(self, sid: StreamId) -> Undelivered {
        let message = Message::whole(sid, Ssn(0), self.ppid, self.opts.unordered, self.payload);
        Undelivered { message, context: self.opts.context, sent: self.sent > 0 }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct OutStream {
    /// Of the next ordered message; its lower half is the stream sequence number.
    pub(super) next_mid: Mid,
    /// Of the next unordered message.
    pub(super) next_unordered: Mid,
    /// Of the next fragment of the message that was begun.
    pub(super) next_fsn: Fsn,
    /// User data that was sent since the scheduler was last told.
    pub(super) served: usize,
    /// The send buffer bounds it.
    pub(super) messages: VecDeque<QueuedMessage>,
    /// User data in `messages` that was not sent.
    pub(super) bytes: usize,
    /// Ends of messages in `messages`.
    pub(super) ends: usize,
    /// How the message goes that the user has begun and not ended.
    pub(super) unfinished: Option<(Ppid, bool)>,
    /// The beginning of a message has left, and its end has not.
    pub(super) begun: bool,
    /// The scheduler knows that there is something to send.
    pub(super) active: bool,
}

/// What the next chunk will be of. It is asked for many times for each chunk, so it is kept beside the streams, of which there may be
/// thousands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) sid: StreamId,
    /// What is not sent of the message, in bytes, or the most that fits here; zero if what follows of it is not here yet.
    pub(super) rest: u32,
    /// The beginning of a message has left, and its end has not.
    pub(super) begun: bool,
    /// And its other fragments are here.
    pub(super) mid_message: bool,
    /// An immediate SACK is wanted.
    pub(super) urgent: bool,
    /// It has an address or a key of its own, or its lifetime may have ended: the message itself tells more.
    pub(super) particular: bool,
}

impl OutStream {
    /// What it would send next, as the stream `sid`.
    pub(super) fn head(&self, sid: StreamId) -> Head {
        let first = self.messages.front();
        Head {
            sid,
            rest: first.map_or(0, |m| u32::try_from(m.payload.len() - m.sent).unwrap_or(u32::MAX)),
            begun: self.begun,
            mid_message: self.begun && self.ends > 0,
            urgent: first.is_some_and(|m| m.opts.sack_immediately),
            particular: first.is_some_and(|m| m.opts.path.is_some() || m.opts.auth_key.is_some() || m.policy.may_expire()),
        }
    }

    /// The last of the message that was begun has left, or never will.
    pub(super) fn end_message(&mut self, unordered: bool) {
        let counter = if unordered { &mut self.next_unordered } else { &mut self.next_mid };
        *counter = counter.next();
        self.next_fsn = Fsn(0);
        self.begun = false;
        self.ends -= 1;
    }

    /// Tells the scheduler of what the stream `sid` was served.
    pub(super) fn tell_served(&mut self, sid: StreamId, format: FragmentFormat, scheduler: &mut dyn Scheduler) {
        let next = self.ready(EARLY, format);
        self.active = next.is_some();
        scheduler.served(sid, core::mem::take(&mut self.served), next);
    }

    /// What it would send next, if it should have its turn: a whole message, or much of one, or, where nothing waits for the end
    /// of a message that was begun, whatever is there of it.
    pub(super) fn ready(&self, early: usize, format: FragmentFormat) -> Option<Next> {
        let first = self.messages.front()?;
        let ready = self.ends > 0 || self.bytes >= early || (self.begun && format.interleaves());
        ready.then_some(Next { seq: first.seq, len: first.payload.len() - first.sent })
    }
}
