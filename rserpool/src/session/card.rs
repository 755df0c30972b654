//! Business cards (RFC 5352 section 3.9): where the peer of a session is to go on when the sender fails.
//!
//! RSPLIB cannot read them, so none is sent unless that is asked for (rulings, 2.27).

use bytes::Bytes;

use super::event::Outgoing;
use crate::wire::{ASAP_PPID, AsapMessage, EncodeOptions, PoolElement, PoolHandle};

/// Most elements of a card; what a peer lists beyond is not remembered.
pub const MAX_CARD_ELEMENTS: usize = 32;

/// Who belongs to the sender's pool, in the order in which they are to be tried if the sender fails. The sender itself is not
/// among them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BusinessCard {
    /// The sender's pool.
    pub handle: PoolHandle,
    /// The others of it.
    pub elements: Vec<PoolElement>,
}

impl BusinessCard {
    pub(super) fn received(handle: PoolHandle, mut elements: Vec<PoolElement>) -> Self {
        elements.truncate(MAX_CARD_ELEMENTS);
        Self { handle, elements }
    }

    /// The card that begins with its element number `first`, modulo their number: with a different one for each peer, those of
    /// a sender that fails spread over the others.
    #[must_use]
    pub fn beginning_with(&self, first: usize) -> Self {
        let mut card = self.clone();
        card.elements.truncate(MAX_CARD_ELEMENTS);
        if let Some(by) = first.checked_rem(card.elements.len()) {
            card.elements.rotate_left(by);
        }
        card
    }

    /// The message that hands the card over, on the control channel; `None` if there is nobody to go to.
    pub(crate) fn message(&self) -> Option<Outgoing> {
        if self.elements.is_empty() {
            return None;
        }
        let message = AsapMessage::BusinessCard { handle: self.handle.clone(), policy: None, elements: self.elements.clone() };
        let data = Bytes::from(message.encode(EncodeOptions::default()).ok()?);
        Some(Outgoing { data, ppid: ASAP_PPID, stream: 0, unordered: false })
    }
}
