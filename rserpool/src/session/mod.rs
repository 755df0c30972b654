//! Sessions with a pool (RFC 5351 section 3.3, RFC 5352 section 6.5), sans-IO.
//!
//! A [`PoolSession`] is the user's side: it has an element chosen, connects to it, notices its failure, goes on at another one
//! and hands over the latest cookie as the very first message there. An [`ElementSession`] is the element's side.
//! [`crate::node::PoolNode`] ties them to associations.
//!
//! ```mermaid
//! stateDiagram-v2
//!     [*] --> Resolving
//!     Resolving --> Connecting: elements
//!     Resolving --> Waiting: none at present
//!     Waiting --> Resolving: 250 ms
//!     Connecting --> Up: the first of those begun every 250 ms
//!     Connecting --> Waiting: none is left
//!     Up --> Resolving: failure, forced failover
//!     Up --> Ended: close
//!     Resolving --> Ended: time is up
//! ```

mod card;
mod config;
mod detector;
mod element;
mod error;
mod event;
mod inbox;
mod race;
mod user;

#[cfg(test)]
mod user_test;

pub use card::{BusinessCard, MAX_CARD_ELEMENTS};
pub use config::{DetectorConfig, SessionConfig};
pub use detector::{Detector, PathView, Verdict};
pub use element::ElementSession;
pub use error::{EndReason, SendError};
pub use event::{Failover, FailureReason, Incoming, Outgoing, Received};
pub use user::{Input, Output, PoolSession, SessionState};
