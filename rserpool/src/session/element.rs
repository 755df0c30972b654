//! The element's side of a session: one association that a user opened.

use bytes::Bytes;
use sctp_user::{CloseReason, Message, Time};

use super::card::BusinessCard;
use super::error::{EndReason, SendError};
use super::event::Received;
use super::inbox::{Inbox, Sorted, sort};
use crate::wire::{AsapMessage, ElementId, EncodeOptions, PoolHandle};

/// The session of a user with this element.
#[derive(Debug)]
pub struct ElementSession {
    inbox: Inbox,
    /// The cookie echo came; there is one in a session at most.
    echoed: bool,
    /// The latest business card of a user that is an element too.
    card: Option<BusinessCard>,
    ended: Option<EndReason>,
}

impl ElementSession {
    /// A session that has just begun; `recv_queue` bytes are taken from SCTP before the application fetches them.
    #[must_use]
    pub const fn new(recv_queue: usize) -> Self {
        Self { inbox: Inbox::new(recv_queue), echoed: false, card: None, ended: None }
    }

    /// The next message or notification.
    pub fn recv(&mut self) -> Option<Received> {
        self.inbox.pop()
    }

    /// Whether messages of the association may be handed over; if not, they stay there.
    #[must_use]
    pub const fn has_room(&self) -> bool {
        self.inbox.has_room()
    }

    /// Whether nothing waits to be fetched.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.inbox.is_empty()
    }

    /// Why the session is over, if it is.
    #[must_use]
    pub const fn ended(&self) -> Option<&EndReason> {
        self.ended.as_ref()
    }

    /// Where to go on if the user fails, if it has told (RFC 5352 section 3.9).
    #[must_use]
    pub const fn card(&self) -> Option<&BusinessCard> {
        self.card.as_ref()
    }

    /// A message arrived. The pool of the user's business card, if it was one.
    pub fn on_message(&mut self, now: Time, message: Message) -> Option<PoolHandle> {
        match sort(now, ElementId::UNDEFINED, message) {
            Sorted::Data(incoming) => self.inbox.push(Received::Message(incoming)),
            // The user sends it first, but messages on other streams may have overtaken it.
            Sorted::CookieEcho(cookie) if !core::mem::replace(&mut self.echoed, true) => {
                self.inbox.push_first(Received::CookieEcho(cookie));
            }
            Sorted::CookieEcho(_) => tracing::debug!("a second cookie echo in one session ignored"),
            Sorted::Card(card) => {
                let handle = card.handle.clone();
                self.card = Some(card);
                return Some(handle);
            }
            Sorted::Cookie(_) | Sorted::Nothing => {}
        }
        None
    }

    /// The association is gone; all its messages were handed over before.
    pub fn on_lost(&mut self, reason: &CloseReason) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(match reason {
            CloseReason::Shutdown => {
                self.inbox.push(Received::Shutdown);
                EndReason::Shutdown
            }
            CloseReason::Aborted => EndReason::Closed,
            _ => EndReason::UserLost,
        });
    }

    /// The message that hands a cookie to the user (RFC 5352 section 3.8), who keeps the latest one.
    ///
    /// # Errors
    /// The cookie does not fit into a message.
    pub fn cookie_message(cookie: &[u8]) -> Result<Bytes, SendError> {
        /// What a 16-bit length leaves after the headers of message and parameter.
        const MAX: usize = 65_535 - 8;
        let too_long = SendError::TooLong { len: cookie.len(), max: MAX };
        if cookie.len() > MAX {
            return Err(too_long);
        }
        let message = AsapMessage::Cookie(Bytes::copy_from_slice(cookie));
        message.encode(EncodeOptions::default()).map(Bytes::from).map_err(|_| too_long)
    }
}
