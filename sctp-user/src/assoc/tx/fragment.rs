//! What becomes one DATA or I-DATA chunk: a message, or a fragment of one.

use bytes::Bytes;

use super::format::FragmentFormat;
use super::policy::Policy;
use crate::event::{Message, Undelivered};
use crate::num::{Fsn, KeyId, Mid, Ppid, Ssn, StreamId};

/// A message or a fragment of one, as it becomes a DATA or I-DATA chunk.
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
    /// The message's identifier in its stream, among the ordered or the unordered ones.
    pub(super) mid: Mid,
    /// The number of the fragment in its message.
    pub(super) fsn: Fsn,
    pub(super) ppid: Ppid,
    pub(super) unordered: bool,
    pub(super) format: FragmentFormat,
    /// The application wants an immediate SACK for this fragment.
    pub(super) immediate: bool,
    /// [`SendOptions::context`].
    pub(super) context: u32,
    /// [`SendOptions::auth_key`].
    pub(super) auth_key: Option<KeyId>,
    /// Whether `whole` is the beginning of a message.
    pub(super) begins: bool,
    /// Whether `whole` is the end of a message.
    pub(super) ends: bool,
    /// When the message is given up.
    pub(super) policy: Policy,
}

impl Fragment {
    /// Whether it is the first one of its message.
    pub(super) fn begin(&self) -> bool {
        self.begins && self.offset == 0
    }

    /// Whether it is the last one of its message.
    pub(super) fn end(&self) -> bool {
        self.ends && self.offset + self.len == self.whole.len()
    }

    /// The stream sequence number of the message: it counts as its identifier does, but has fewer bits; zero if unordered.
    pub(super) fn ssn(&self) -> Ssn {
        if self.unordered { Ssn(0) } else { self.mid.to_ssn() }
    }

    /// The user data.
    pub(super) fn payload(&self) -> &[u8] {
        self.whole.get(self.offset..self.offset + self.len).unwrap_or(&[])
    }

    /// Drops the user data.
    pub(super) fn forget(&mut self) {
        (self.whole, self.offset, self.len) = (Bytes::new(), 0, 0);
    }

    /// The message that it is part of, which failed after it was sent.
    pub(super) fn undelivered(&self) -> Undelivered {
        let message = Message::whole(self.sid, self.ssn(), self.ppid, self.unordered, self.whole.clone());
        Undelivered { message, context: self.context, sent: true }
    }
}
