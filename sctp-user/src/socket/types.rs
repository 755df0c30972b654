//! What goes with messages and comes beside them (RFC 6458 sections 5 and 6).

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use crate::error::CloseReason;
use crate::event::{AssocId, Message, PathChange, SendOptions};
use crate::net::PeerAddr;
use crate::num::{Ppid, Ssn, StreamId};

/// How a message is to be sent (RFC 6458 section 5.3.4).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct SndInfo {
    /// The outbound stream.
    pub sid: StreamId,
    /// Payload protocol identifier, passed on to the peer unseen.
    pub ppid: Ppid,
    /// Deliver without regard to order.
    pub unordered: bool,
    /// Ask for an immediate acknowledgement (RFC 7053).
    pub sack_immediately: bool,
}

impl SndInfo {
    /// Ordered, on this stream.
    #[must_use]
    pub fn stream(sid: impl Into<StreamId>) -> Self {
        Self { sid: sid.into(), ..Self::default() }
    }

    /// With this payload protocol identifier.
    #[must_use]
    pub fn ppid(mut self, ppid: impl Into<Ppid>) -> Self {
        self.ppid = ppid.into();
        self
    }

    /// Without regard to order.
    #[must_use]
    pub fn unordered(mut self) -> Self {
        self.unordered = true;
        self
    }

    pub(super) fn options(&self) -> SendOptions {
        SendOptions { unordered: self.unordered, sack_immediately: self.sack_immediately, ..SendOptions::default() }
    }
}

/// Where a received message came from (RFC 6458 section 5.3.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RcvInfo {
    /// The association.
    pub assoc: AssocId,
    /// The stream.
    pub sid: StreamId,
    /// The sequence number in the stream; zero if unordered.
    pub ssn: Ssn,
    /// Payload protocol identifier.
    pub ppid: Ppid,
    /// Whether it was sent unordered.
    pub unordered: bool,
    /// Where the bytes begin in the message: 0 unless earlier parts of it were handed out.
    pub offset: u64,
    /// Whether more of the message follows, in what this association's next call hands out: the opposite of MSG_EOR (RFC 6458
    /// section 3.1.4). A message comes in parts if it does not fit the receive buffer.
    pub more: bool,
}

impl RcvInfo {
    pub(super) fn new(assoc: AssocId, message: &Message) -> Self {
        let Message { sid, ssn, ppid, unordered, offset, more, .. } = *message;
        Self { assoc, sid, ssn, ppid, unordered, offset, more }
    }
}

/// What [`SctpSocket::recv`](super::SctpSocket::recv) hands out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Received {
    /// A message, or a part of one: [`RcvInfo::more`].
    Message(RcvInfo, Bytes),
    /// News about an association.
    Notification(Notification),
}

impl Received {
    /// The association that this is about.
    #[must_use]
    pub fn assoc(&self) -> AssocId {
        match self {
            Self::Message(info, _) => info.assoc,
            Self::Notification(note) => note.assoc(),
        }
    }
}

/// News about an association (RFC 6458 section 6.1).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Notification {
    /// The association is up (SCTP_COMM_UP).
    CommUp {
        /// The association.
        assoc: AssocId,
        /// Streams that the peer may send on.
        inbound: u16,
        /// Streams that we may send on.
        outbound: u16,
        /// Whether the peer opened it.
        incoming: bool,
    },
    /// The association that was asked for did not come up (SCTP_CANT_STR_ASSOC).
    CantStart {
        /// The association.
        assoc: AssocId,
        /// Why.
        reason: CloseReason,
    },
    /// The peer restarted: streams began anew (SCTP_RESTART).
    Restarted {
        /// The association.
        assoc: AssocId,
    },
    /// The peer has begun a graceful shutdown: nothing more can be sent (SCTP_SHUTDOWN_EVENT).
    ShutdownReceived {
        /// The association.
        assoc: AssocId,
    },
    /// The association has ended, after all its messages were handed out (SCTP_SHUTDOWN_COMP if the reason is
    /// [`CloseReason::Shutdown`], SCTP_COMM_LOST otherwise).
    CommLost {
        /// The association.
        assoc: AssocId,
        /// Why.
        reason: CloseReason,
    },
    /// A message was not, or not known to be, delivered (SCTP_SEND_FAILED_EVENT).
    SendFailed {
        /// The association.
        assoc: AssocId,
        /// The message.
        message: Message,
    },
    /// The rest of a message that was handed out in part will not come (SCTP_PARTIAL_DELIVERY_EVENT).
    PartialDeliveryAborted {
        /// The association.
        assoc: AssocId,
        /// The stream of the message.
        sid: StreamId,
        /// Its sequence number in the stream; zero if unordered.
        ssn: Ssn,
        /// Whether it was sent unordered.
        unordered: bool,
    },
    /// The peer reported an error that does not end the association (SCTP_REMOTE_ERROR).
    RemoteError {
        /// The association.
        assoc: AssocId,
        /// The error causes as they came.
        causes: Bytes,
    },
    /// A path of the association changed (SCTP_PEER_ADDR_CHANGE).
    PathState {
        /// The association.
        assoc: AssocId,
        /// The peer's address.
        addr: IpAddr,
        /// What happened.
        change: PathChange,
    },
    /// A send that answered `WouldBlock` may be tried again.
    Writable {
        /// The association.
        assoc: AssocId,
    },
}

impl Notification {
    /// The association that this is about.
    #[must_use]
    pub fn assoc(&self) -> AssocId {
        match self {
            Self::CommUp { assoc, .. }
            | Self::CantStart { assoc, .. }
            | Self::Restarted { assoc }
            | Self::ShutdownReceived { assoc }
            | Self::CommLost { assoc, .. }
            | Self::SendFailed { assoc, .. }
            | Self::PartialDeliveryAborted { assoc, .. }
            | Self::RemoteError { assoc, .. }
            | Self::PathState { assoc, .. }
            | Self::Writable { assoc } => *assoc,
        }
    }

    /// Whether the association is gone with it.
    pub(super) fn is_last(&self) -> bool {
        matches!(self, Self::CommLost { .. } | Self::CantStart { .. })
    }

    /// Whether a program that does not read may miss it.
    pub(super) fn is_optional(&self) -> bool {
        matches!(self, Self::SendFailed { .. } | Self::RemoteError { .. } | Self::Restarted { .. } | Self::PathState { .. })
    }
}

/// Whom a message of a one-to-many socket is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// The peer of an association.
    Assoc(AssocId),
    /// The peer at this address; an association is opened if there is none (RFC 6458 section 3.1.2).
    Peer(PeerAddr),
}

impl From<AssocId> for Target {
    fn from(id: AssocId) -> Self {
        Self::Assoc(id)
    }
}

impl From<PeerAddr> for Target {
    fn from(peer: PeerAddr) -> Self {
        Self::Peer(peer)
    }
}

impl From<SocketAddr> for Target {
    fn from(addr: SocketAddr) -> Self {
        Self::Peer(addr.into())
    }
}
