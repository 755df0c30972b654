//! What sockets hand out: messages, notifications, and in which order.

use core::hint::cold_path;
use std::collections::VecDeque;
use std::io;

use bytes::Bytes;

use super::link::{Link, Owner};
use super::{Socket, SocketNode};
use crate::assoc::rx::Rx;
use crate::event::{AssocId, EndpointId, Message};
use crate::socket::errno;
use crate::socket::info::{NxtInfo, RcvInfo, Received};
use crate::socket::notification::Notification;
use crate::stack::Stack;
use crate::time::Time;

/// Entries in the inbox of a one-to-many socket beyond which optional notifications are dropped and new incoming
/// associations aborted: the program does not read.
pub(super) const MAX_INBOX: usize = 16_384;

/// An entry in the inbox of a one-to-many socket.
#[derive(Debug)]
pub(super) enum Item {
    /// Messages of this association wait.
    Messages(AssocId),
    Note(Notification),
    /// The association has ended, of which the user does not want to hear: it is forgotten once its messages are read.
    End(AssocId),
}

impl Item {
    fn assoc(&self) -> AssocId {
        match self {
            Self::Messages(id) | Self::End(id) => *id,
            Self::Note(note) => note.assoc(),
        }
    }

    fn is_end(&self) -> bool {
        match self {
            Self::Messages(_) => false,
            Self::Note(note) => note.is_last(),
            Self::End(_) => true,
        }
    }
}

/// What a one-to-many socket has not read.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// Bounded by [`MAX_INBOX`] plus a few entries an association.
    items: VecDeque<Item>,
    /// Nothing but the rest of this association's message is to be read (level 0 of RFC 6458 section 8.1.20).
    only: Option<AssocId>,
    /// The user was told that notifications were dropped, and has not read everything since.
    pub(super) stopped: bool,
}

impl Inbox {
    /// Whether there is something to hand out.
    pub(super) fn is_readable(&self) -> bool {
        self.items.front().is_some_and(|item| match self.only {
            None => true,
            Some(only) => {
                let rest = |n: &Notification| n.is_last() || matches!(n, Notification::PartialDeliveryAborted { .. });
                item.assoc() == only && !matches!(item, Item::Note(n) if !rest(n))
            }
        })
    }

    pub(super) fn is_full(&self) -> bool {
        self.items.len() >= MAX_INBOX
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Adds an item; what the reader is bound to wait for goes first.
    pub(super) fn push(&mut self, item: Item) {
        let awaited =
            self.only == Some(item.assoc()) && matches!(item, Item::Messages(_) | Item::Note(Notification::PartialDeliveryAborted { .. }));
        if awaited { self.items.push_front(item) } else { self.items.push_back(item) }
    }

    /// An association is gone; `queued` tells whether an entry for its messages may be there.
    pub(super) fn forget(&mut self, id: AssocId, queued: bool) {
        self.give_up_rest(id);
        if queued {
            self.items.retain(|item| !matches!(item, Item::Messages(other) if *other == id));
        }
    }

    /// The rest of the message that the reader was bound to wait for will not come.
    pub(super) fn give_up_rest(&mut self, id: AssocId) {
        self.only.take_if(|only| *only == id);
    }

    fn pop(&mut self) -> Option<Item> {
        let item = if self.is_readable() { self.items.pop_front() } else { None };
        self.stopped &= !self.items.is_empty();
        item
    }
}

impl Socket {
    /// Puts an association into the inbox if a message of it is there to be read.
    pub(super) fn queue(&mut self, id: AssocId, link: &mut Link) {
        if link.next.is_some() && !core::mem::replace(&mut link.queued, true) {
            self.inbox.push(Item::Messages(id));
        }
    }

    /// After a message was handed out: who may be read next?
    fn requeue(&mut self, link: &mut Link, info: &RcvInfo) {
        self.inbox.only = Some(info.assoc).filter(|_| info.more && self.interleave.keeps_to_one());
        // To the back, unless this message is to be read to its end: associations take turns.
        link.queued = false;
        self.queue(info.assoc, link);
    }
}

impl Link {
    /// Fetches a message ahead if none is there yet.
    pub(super) fn fetch(&mut self, stack: &mut Stack, id: AssocId) {
        if self.next.is_none() {
            self.next = stack.recv(id);
        }
    }

    /// The next message, of at most `limit` bytes; the one after it is fetched ahead.
    #[inline(always)]
    fn take_message(&mut self, stack: &mut Stack, id: AssocId, limit: usize) -> Option<(RcvInfo, Bytes)> {
        let message = self.next.as_mut()?;
        let cum_tsn = stack.rx(id).map_or(message.tsn, Rx::cum_tsn);
        let mut info = RcvInfo::new(id, message, cum_tsn, self.settings.context);
        if message.payload.len() > limit {
            info.more = true;
            cold_path();
            return Some((info, cut(message, limit)));
        }
        let payload = self.next.take()?.payload;
        self.next = stack.recv(id);
        Some((info, payload))
    }

    /// The next message or notification of a stream that is readable, or its end.
    #[inline(always)]
    fn take_next(&mut self, stack: &mut Stack, id: AssocId, limit: usize) -> io::Result<Option<Received>> {
        if let Some(note) = self.notes.pop_front_if(|n| !n.is_late()) {
            cold_path();
            return Ok(Some(Received::Notification(note)));
        }
        if let Some((info, payload)) = self.take_message(stack, id, limit) {
            return Ok(Some(Received::Message(info, payload)));
        }
        cold_path();
        self.room = false;
        match (self.notes.pop_front(), &self.ended) {
            (Some(note), _) => Ok(Some(Received::Notification(note))),
            (None, Some(reason)) => errno::close_error(reason, self.up).map_or(Ok(None), Err),
            // The peer has shut down.
            (None, None) => Ok(None),
        }
    }
}

/// Takes the first `limit` bytes of a message that is longer.
fn cut(message: &mut Message, limit: usize) -> Bytes {
    message.offset = message.offset.saturating_add(limit as u64);
    message.payload.split_to(limit)
}

impl SocketNode {
    /// The next thing for the reader of a one-to-many socket; messages are cut to `limit` bytes.
    pub(in crate::socket) fn recv_many(&mut self, now: Time, ep: EndpointId, limit: usize) -> Option<Received> {
        let out = self.take_item(now, ep, limit);
        self.refresh_socket(ep);
        self.pump(now);
        out
    }

    fn take_item(&mut self, now: Time, ep: EndpointId, limit: usize) -> Option<Received> {
        loop {
            let socket = self.sockets.get_mut(&ep)?;
            let item = socket.inbox.pop()?;
            let id = item.assoc();
            let mut link = self.links.get_mut(&id);
            let mut next_message = || link.as_mut()?.take_message(&mut self.stack, id, limit);
            match item {
                Item::Messages(_) => {
                    let message = next_message();
                    let Some(link) = link else { continue };
                    if let Some((info, payload)) = message {
                        socket.requeue(link, &info);
                        return Some(Received::Message(info, payload));
                    }
                    link.queued = false;
                }
                item if item.is_end() => {
                    if let Some((info, payload)) = next_message() {
                        socket.inbox.items.push_front(item);
                        return Some(Received::Message(info, payload));
                    }
                    if link.is_some_and(|link| !link.connecting) {
                        self.remove_link(now, id);
                    }
                    if let Item::Note(note) = item {
                        return Some(Received::Notification(note));
                    }
                }
                Item::Note(note) => {
                    if matches!(note, Notification::PartialDeliveryAborted { .. }) {
                        socket.inbox.give_up_rest(id);
                    }
                    return Some(Received::Notification(note));
                }
                Item::End(_) => {}
            }
        }
    }

    /// What [`Self::recv_many`] will hand out next, if that is there.
    pub(in crate::socket) fn next_of_many(&self, ep: EndpointId) -> Option<NxtInfo> {
        let inbox = &self.sockets.get(&ep)?.inbox;
        let item = inbox.items.front().filter(|_| inbox.is_readable())?;
        let id = item.assoc();
        let message = || self.links.get(&id).and_then(|l| l.next.as_ref()).map(|m| NxtInfo::message(id, m));
        match item {
            Item::Messages(_) => message(),
            Item::End(_) => message(),
            Item::Note(note) if note.is_last() => message().or(Some(NxtInfo::notification(id))),
            Item::Note(_) => Some(NxtInfo::notification(id)),
        }
    }

    /// Whether a message was fetched ahead.
    pub(in crate::socket) fn has_next(&self, id: AssocId) -> bool {
        self.links.get(&id).is_some_and(|l| l.next.is_some())
    }

    /// Whether the acknowledgement of what was received may wait a moment for data to ride with.
    pub(in crate::socket) fn sack_may_ride(&self, id: AssocId) -> bool {
        self.stack.rx(id).is_some_and(Rx::sack_may_ride)
    }

    /// Whether a reader of the socket will still come across the end of an association.
    pub(super) fn end_is_unread(&self, id: AssocId) -> bool {
        let ep = self.links.get(&id).map(|l| l.ep);
        let inbox = ep.and_then(|ep| self.sockets.get(&ep)).map(|s| &s.inbox);
        inbox.is_some_and(|inbox| inbox.items.iter().any(|i| i.is_end() && i.assoc() == id))
    }

    /// The next message of a stream, without notifications, which are dropped: `None` if it has to wait, `Ok(None)` at the end.
    pub(in crate::socket) fn recv_stream(&mut self, now: Time, id: AssocId) -> Option<io::Result<Option<(RcvInfo, Bytes)>>> {
        loop {
            match self.take_of_stream(now, id, usize::MAX)? {
                Ok(Some(Received::Message(info, payload))) => return Some(Ok(Some((info, payload)))),
                Ok(Some(Received::Notification(_))) => {}
                Ok(None) => return Some(Ok(None)),
                Err(err) => return Some(Err(err)),
            }
        }
    }

    /// The next message or notification of a stream; messages are cut to `limit` bytes.
    pub(in crate::socket) fn recv_stream_any(&mut self, now: Time, id: AssocId, limit: usize) -> Option<io::Result<Option<Received>>> {
        self.take_of_stream(now, id, limit)
    }

    /// The same as a part of its callers, who take the message out of what it answers: each hand on the way moves it once more.
    #[inline(always)]
    fn take_of_stream(&mut self, now: Time, id: AssocId, limit: usize) -> Option<io::Result<Option<Received>>> {
        let Some(link) = self.links.get_mut(&id) else { return Some(Err(errno::gone())) };
        if !link.is_readable() {
            // So it is at most calls that have to wait.
            if core::mem::take(&mut link.room) {
                cold_path();
                link.refresh(&mut self.woken);
            }
            return None;
        }
        let out = Some(link.take_next(&mut self.stack, id, limit));
        link.refresh(&mut self.woken);
        self.pump(now);
        out
    }

    /// What is there of a stream, at most `max` messages and notifications; `None` if it has to wait, nothing at the end.
    pub(in crate::socket) fn recv_stream_batch(&mut self, now: Time, id: AssocId, max: usize) -> Option<io::Result<Vec<Received>>> {
        let mut all = Vec::new();
        while all.len() < max {
            match self.recv_stream_any(now, id, usize::MAX) {
                Some(Ok(Some(received))) => all.push(received),
                // The next call tells the end, and the error.
                _ if !all.is_empty() => break,
                Some(Ok(None)) => break,
                Some(Err(err)) => return Some(Err(err)),
                None => return None,
            }
            self.take_further(now, id, max, &mut all);
        }
        Some(Ok(all))
    }

    /// Takes the messages of a stream that stand next to each other, until there are `max` in `all`.
    fn take_further(&mut self, now: Time, id: AssocId, max: usize, all: &mut Vec<Received>) {
        let Some(link) = self.links.get_mut(&id).filter(|link| link.notes.is_empty()) else { return };
        let Some(cum_tsn) = self.stack.rx(id).map(Rx::cum_tsn) else { return };
        while all.len() < max
            && let Some(message) = link.next.take()
        {
            link.next = self.stack.recv(id);
            all.push(Received::Message(RcvInfo::new(id, &message, cum_tsn, link.settings.context), message.payload));
        }
        link.refresh(&mut self.woken);
        self.pump(now);
    }

    /// What [`Self::recv_stream_any`] will hand out next, if that is there.
    pub(in crate::socket) fn next_of_stream(&self, id: AssocId) -> Option<NxtInfo> {
        let link = self.links.get(&id)?;
        let message = link.next.as_ref().map(|m| NxtInfo::message(id, m));
        match link.notes.front() {
            Some(note) if !note.is_late() || message.is_none() => Some(NxtInfo::notification(id)),
            _ => message,
        }
    }

    /// Makes a stream of an association of a one-to-many socket (RFC 6458 section 9.2). Its unread notifications are dropped.
    pub(in crate::socket) fn peel_off(&mut self, id: AssocId) -> io::Result<()> {
        let link = self.links.get_mut(&id).filter(|l| l.owner == Owner::Socket).ok_or_else(errno::gone)?;
        link.owner = Owner::Stream;
        link.queued = false;
        link.settings.events = crate::socket::notification::Events::NONE;
        link.refresh(&mut self.woken);
        if let Some(socket) = self.sockets.get_mut(&link.ep) {
            socket.inbox.items.retain(|item| item.assoc() != id);
            socket.inbox.give_up_rest(id);
            socket.refresh(&mut self.woken);
        }
        Ok(())
    }
}
