//! Streams whose numbers are about to begin anew (RFC 6525): what the user sends on them waits until the peer has agreed, or not.
//!
//! What was accepted before leaves with the old numbers. A message that the user has begun, in parts, and not ended counts as
//! accepted before.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;

use super::Tx;
use super::policy::Policy;
use crate::assoc::streams::Streams;
use crate::event::{Message, SendOptions, Undelivered};
use crate::num::{KeyId, Ppid, Ssn, StreamId, Tsn};

/// A message, or a part of one, that waits for its stream.
#[derive(Debug)]
struct Held {
    sid: StreamId,
    ppid: Ppid,
    payload: Bytes,
    opts: SendOptions,
    policy: Policy,
}

impl From<Held> for Undelivered {
    fn from(held: Held) -> Self {
        let Held { sid, ppid, payload, opts, .. } = held;
        Self { message: Message::whole(sid, Ssn(0), ppid, opts.unordered, payload), context: opts.context, sent: false }
    }
}

/// Streams that take no new messages for the time being.
#[derive(Debug)]
pub(super) struct Pause {
    streams: Streams,
    /// In the order in which the user sent them; the send buffer bounds them.
    held: VecDeque<Held>,
    bytes: usize,
    /// Whether a shutdown has to wait for its end even if nothing is held.
    binds: bool,
}

impl Pause {
    /// User data that it holds.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Messages that it holds.
    pub(super) fn messages(&self) -> usize {
        self.held.len()
    }

    /// Whether a shutdown may not begin before it ends.
    pub(super) fn is_in_the_way(&self) -> bool {
        self.binds || !self.held.is_empty()
    }

    /// Whether a message that it holds is to be authenticated by this very key.
    pub(super) fn asks_for_key(&self, key: KeyId) -> bool {
        self.held.iter().any(|h| h.opts.auth_key == Some(key))
    }

    /// Streams whose last message that is held has no end yet.
    fn unfinished(&self) -> BTreeSet<StreamId> {
        let mut open = BTreeSet::new();
        for held in &self.held {
            if held.opts.unfinished {
                open.insert(held.sid)
            } else {
                open.remove(&held.sid)
            };
        }
        open
    }

    /// Whether a message that it holds has no end yet.
    pub(super) fn has_unfinished(&self) -> bool {
        !self.unfinished().is_empty()
    }

    /// Takes out the messages without an end.
    pub(super) fn drop_unfinished(&mut self) -> Vec<Undelivered> {
        let mut open = self.unfinished();
        let (mut kept, mut dropped) = (VecDeque::new(), VecDeque::new());
        // The parts behind the last end in their stream.
        for held in core::mem::take(&mut self.held).into_iter().rev() {
            if !held.opts.unfinished {
                open.remove(&held.sid);
            }
            if open.contains(&held.sid) {
                self.bytes -= held.payload.len();
                dropped.push_front(held.into());
            } else {
                kept.push_front(held);
            }
        }
        self.held = kept;
        dropped.into()
    }

    /// Empties it.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Undelivered> + use<'_> {
        self.bytes = 0;
        self.held.drain(..).map(Undelivered::from)
    }
}

impl Tx {
    /// From now on what the user sends on `streams` waits. `binds` if a shutdown has to wait, too.
    pub(crate) fn pause(&mut self, streams: Streams, binds: bool) {
        // What waited to fill a packet with something else would wait for ever.
        self.corked = false;
        self.begin_opportunity();
        self.pause = Some(Box::new(Pause { streams, held: VecDeque::new(), bytes: 0, binds }));
    }

    /// Whether everything that was accepted before the pause has left, that is, has its TSN.
    pub(crate) fn has_left(&self) -> bool {
        self.pause.as_ref().is_none_or(|p| !self.queue.has_any_of(&p.streams))
    }

    /// Whether the next ordered message of each of these streams has number zero, and none is on its way to the peer.
    pub(crate) fn is_anew(&self, streams: &Streams) -> bool {
        self.pause.is_none() && self.queue.is_anew(streams)
    }

    /// Ends the pause: what was held is sent now, with stream sequence numbers from zero if `anew`.
    pub(crate) fn resume(&mut self, anew: bool) {
        let Some(pause) = self.pause.take() else { return };
        if anew {
            self.queue.begin_anew(&pause.streams);
        }
        for Held { sid, ppid, payload, opts, policy } in pause.held {
            self.queue.push(sid, ppid, payload, opts, policy);
        }
        self.begin_opportunity();
    }

    /// Keeps a message back if its stream is paused.
    pub(super) fn hold(&mut self, sid: StreamId, ppid: Ppid, payload: Bytes, opts: SendOptions, policy: Policy) -> Option<Bytes> {
        let Some(pause) = self.pause.as_mut().filter(|p| p.streams.has(sid) && !self.queue.is_unfinished(sid)) else {
            return Some(payload);
        };
        pause.bytes += payload.len();
        pause.held.push_back(Held { sid, ppid, payload, opts, policy });
        None
    }

    /// The TSN that the next new DATA chunk gets.
    pub(crate) fn next_tsn(&self) -> Tsn {
        self.out.tsn(self.out.next_index())
    }

    /// The next new DATA chunk gets this TSN (RFC 6525 section 5.2.7 rule H5); for a sender with nothing outstanding.
    pub(crate) fn begin_at(&mut self, tsn: Tsn) {
        debug_assert!(self.out.is_empty(), "nothing is outstanding");
        self.before_reset = Some(self.out.cum());
        self.out.begin_at(tsn);
    }

    /// There are `more` outbound streams (RFC 6525 section 5.2.7 rule H6).
    pub(crate) fn add_streams(&mut self, more: u16) {
        self.outbound_streams = self.outbound_streams.saturating_add(more);
    }
}
