//! What waits for the application, by bytes.

use std::collections::VecDeque;

use bytes::Bytes;
use sctp_user::{Message, Time};

use super::card::BusinessCard;
use super::event::{Incoming, Outgoing, Received};
use crate::wire::{ASAP_PPID, AsapMessage, ElementId};

/// Messages and notifications in order. What is put in is bounded by who asks [`Inbox::has_room`] first; notifications are few.
#[derive(Debug)]
pub(super) struct Inbox {
    items: VecDeque<Received>,
    /// Bytes of the messages in it.
    bytes: usize,
    limit: usize,
}

impl Inbox {
    pub(super) const fn new(limit: usize) -> Self {
        Self { items: VecDeque::new(), bytes: 0, limit }
    }

    pub(super) const fn has_room(&self) -> bool {
        self.bytes < self.limit
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn push(&mut self, item: Received) {
        self.bytes += weight(&item);
        self.items.push_back(item);
    }

    /// Puts the state of a session before everything that did not wait for it.
    pub(super) fn push_first(&mut self, item: Received) {
        self.bytes += weight(&item);
        self.items.push_front(item);
    }

    pub(super) fn pop(&mut self) -> Option<Received> {
        let item = self.items.pop_front()?;
        self.bytes = self.bytes.saturating_sub(weight(&item));
        Some(item)
    }
}

fn weight(item: &Received) -> usize {
    match item {
        Received::Message(m) => m.data.len(),
        Received::CookieEcho(cookie) => cookie.len(),
        // Undelivered messages are bounded by the send queue and the send buffer, and must not close the receive window.
        _ => 0,
    }
}

/// A message of the association as one of the session: the application's, or the control channel's.
pub(super) enum Sorted {
    Data(Incoming),
    Cookie(Bytes),
    CookieEcho(Bytes),
    Card(BusinessCard),
    /// Nothing for a session.
    Nothing,
}

/// Tells the control channel (payload protocol identifier 11) from data.
pub(super) fn sort(now: Time, element: ElementId, message: Message) -> Sorted {
    if message.ppid.0 != ASAP_PPID {
        return Sorted::Data(Incoming {
            data: message.payload,
            ppid: message.ppid.0,
            stream: message.sid.0,
            unordered: message.unordered,
            element,
            at: now,
        });
    }
    match AsapMessage::decode(&message.payload).map(|d| d.message) {
        Ok(AsapMessage::Cookie(cookie)) => Sorted::Cookie(cookie),
        Ok(AsapMessage::CookieEcho(cookie)) => Sorted::CookieEcho(cookie),
        Ok(AsapMessage::BusinessCard { handle, elements, .. }) => Sorted::Card(BusinessCard::received(handle, elements)),
        Ok(other) => {
            tracing::debug!(message = other.name(), "ignored on a session's control channel");
            Sorted::Nothing
        }
        Err(error) => {
            tracing::debug!(%error, "control message not understood");
            Sorted::Nothing
        }
    }
}

/// A message that came back.
pub(super) fn undelivered(message: Message) -> Option<Outgoing> {
    (message.ppid.0 != ASAP_PPID).then(|| Outgoing {
        data: message.payload,
        ppid: message.ppid.0,
        stream: message.sid.0,
        unordered: message.unordered,
    })
}
