//! Associations with registrars: their names in the core, and what waits for room in their send buffers.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use sctp_user::{AssocId, Ppid, SendError, SendOptions, Stack, StreamId, Time};

use crate::asap::LinkId;
use crate::wire::ASAP_PPID;

/// Most bytes that wait for one registrar; beyond, it is not worth waiting for.
const MAX_BACKLOG: usize = 1 << 20;

#[derive(Debug)]
struct Link {
    id: AssocId,
    /// At most [`MAX_BACKLOG`] bytes and one message.
    backlog: VecDeque<Bytes>,
    bytes: usize,
}

/// The associations with registrars.
#[derive(Debug, Default)]
pub(super) struct Links {
    all: BTreeMap<LinkId, Link>,
}

impl Links {
    pub(super) fn insert(&mut self, link: LinkId, id: AssocId) {
        self.all.insert(link, Link { id, backlog: VecDeque::new(), bytes: 0 });
    }

    pub(super) fn remove(&mut self, link: LinkId) -> Option<AssocId> {
        self.all.remove(&link).map(|l| l.id)
    }

    /// Gives an association another name in the core.
    pub(super) fn rename(&mut self, old: LinkId, new: LinkId) {
        if let Some(link) = self.all.remove(&old) {
            self.all.insert(new, link);
        }
    }

    /// Sends a message, or keeps it until there is room. `false`: too much waits already.
    pub(super) fn send(&mut self, now: Time, stack: &mut Stack, link: LinkId, bytes: Bytes) -> bool {
        let Some(l) = self.all.get_mut(&link) else { return true };
        l.bytes += bytes.len();
        l.backlog.push_back(bytes);
        self.flush(now, stack, link);
        self.all.get(&link).is_none_or(|l| l.bytes <= MAX_BACKLOG)
    }

    /// Hands over what waits, as much as is taken.
    pub(super) fn flush(&mut self, now: Time, stack: &mut Stack, link: LinkId) {
        let Some(l) = self.all.get_mut(&link) else { return };
        while let Some(bytes) = l.backlog.front() {
            let sent = match stack.assoc(l.id) {
                Some(mut a) => a.send(now, StreamId(0), Ppid(ASAP_PPID), bytes.clone(), SendOptions::ordered()),
                None => Err(SendError::Closed),
            };
            if sent == Err(SendError::WouldBlock) {
                return;
            }
            // Other errors: the association is going down, and says so itself.
            l.bytes = l.bytes.saturating_sub(bytes.len());
            l.backlog.pop_front();
        }
    }
}
