//! What an application gets from a session: messages and notifications, in the order in which things happened.

use core::fmt;

use bytes::Bytes;
use sctp_user::{CloseReason, Time};

use crate::wire::ElementId;

/// A message received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Incoming {
    /// The bytes.
    pub data: Bytes,
    /// Payload protocol identifier.
    pub ppid: u32,
    /// The stream.
    pub stream: u16,
    /// Whether it was sent unordered.
    pub unordered: bool,
    /// The element that sent it; undefined on the element's own side.
    pub element: ElementId,
    /// When its last byte arrived.
    pub at: Time,
}

/// A message to send, or one that was not delivered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outgoing {
    /// The bytes.
    pub data: Bytes,
    /// Payload protocol identifier.
    pub ppid: u32,
    /// The stream.
    pub stream: u16,
    /// Whether it is unordered.
    pub unordered: bool,
}

/// What [`super::PoolSession`] and [`super::ElementSession`] give to the application.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Received {
    /// A message.
    Message(Incoming),
    /// On an element: the state of a session that was at another element before. Comes before all messages.
    CookieEcho(Bytes),
    /// A message that an element did not acknowledge before it failed. Comes before [`Failover::Complete`]; whether it is to
    /// be sent again is the application's business, since the element may have handled it, and the cookie may cover it.
    Undelivered(Outgoing),
    /// The session moves to another element.
    Failover(Failover),
    /// The other side ended the session gracefully.
    Shutdown,
}

/// A session moves to another element. All times are those of the caller's clock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failover {
    /// The element is lost.
    Necessary {
        /// The one that is lost.
        element: ElementId,
        /// How that was noticed.
        reason: FailureReason,
        /// When the last message of an element arrived, whichever it was.
        last_byte: Option<Time>,
        /// When the failure was noticed.
        noticed: Time,
        /// Whether there is a cookie to hand over.
        has_cookie: bool,
    },
    /// The session goes on at another element. Without a cookie, the application has to tell it where things stand.
    Complete {
        /// The element.
        element: ElementId,
        /// When the last message of an element arrived, whichever it was. With the time of the first message from now on,
        /// that gives the gap that the application saw.
        last_byte: Option<Time>,
        /// When the failure was noticed.
        noticed: Time,
        /// When the new association was up.
        connected: Time,
        /// Whether a cookie was handed over.
        cookie_sent: bool,
    },
}

/// How the loss of an element was noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FailureReason {
    /// It was a process of this host, and it is gone.
    LocalPeerDied,
    /// It aborted the association, or a host whose process is gone did.
    Aborted,
    /// HEARTBEATs got no answer.
    HeartbeatsUnanswered,
    /// Its SCTP answers, but it does not do what it owes.
    ProgressTimeout,
    /// Data got no acknowledgement.
    Unreachable,
    /// The network says that nobody is there.
    NetworkUnreachable,
    /// It shut the association down.
    Shutdown,
    /// It lost the association's state and began anew.
    Restarted,
    /// It broke the protocol.
    ProtocolViolation,
    /// The application wants another one.
    Forced,
}

impl FailureReason {
    /// Whether the element itself is to blame, so that it is reported and left alone for a while.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        !matches!(self, Self::Shutdown | Self::Forced)
    }
}

impl From<&CloseReason> for FailureReason {
    fn from(reason: &CloseReason) -> Self {
        match reason {
            CloseReason::Shutdown => Self::Shutdown,
            CloseReason::LocalPeerDied => Self::LocalPeerDied,
            CloseReason::PeerAborted(_) | CloseReason::Refused(_) => Self::Aborted,
            CloseReason::NetworkUnreachable => Self::NetworkUnreachable,
            CloseReason::ProtocolViolation(_) => Self::ProtocolViolation,
            CloseReason::Aborted => Self::Forced,
            _ => Self::Unreachable,
        }
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LocalPeerDied => "its process on this host is gone",
            Self::Aborted => "it aborted the association",
            Self::HeartbeatsUnanswered => "heartbeats unanswered",
            Self::ProgressTimeout => "no progress",
            Self::Unreachable => "data not acknowledged",
            Self::NetworkUnreachable => "network says port unreachable",
            Self::Shutdown => "it shut down",
            Self::Restarted => "it restarted",
            Self::ProtocolViolation => "it broke the protocol",
            Self::Forced => "on the application's wish",
        })
    }
}
