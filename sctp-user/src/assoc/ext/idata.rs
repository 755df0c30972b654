//! User message interleaving (RFC 8260 section 2): user data goes in I-DATA chunks, so that a long message on one stream does not
//! hold up short ones on others.
//!
//! It has no state of its own. What was agreed on decides, once, how the sender writes fragments
//! ([`FragmentFormat`](crate::assoc::tx::FragmentFormat)) and how the receiver puts them together (`rx/assembler.rs`, which also
//! finds the other kind of chunk a violation).

use crate::config::AssocConfig;

/// Whether it is offered to peers: only if the user wants it, and takes messages whose parts are interleaved (section 2.2.1), since
/// the receive buffer may fill with the beginnings of several messages.
pub(super) fn offer(cfg: &AssocConfig) -> bool {
    cfg.interleaving && cfg.interleave_streams && cfg.partial_delivery
}
