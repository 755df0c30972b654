//! News about associations, and who wants to hear which (RFC 6458 section 6).

use std::net::IpAddr;

use bytes::Bytes;

use super::info::SndInfo;
use crate::error::CloseReason;
use crate::event::{AssocId, KeyUse, Message, PathChange, ReconfigOutcome};
use crate::num::{KeyId, Ssn, StreamId, Tsn};

/// News about an association (RFC 6458 section 6.1).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Notification {
    /// The association is up (SCTP_ASSOC_CHANGE, SCTP_COMM_UP).
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
    /// The association that was asked for did not come up (SCTP_ASSOC_CHANGE, SCTP_CANT_STR_ASSOC).
    CantStart {
        /// The association.
        assoc: AssocId,
        /// Why.
        reason: CloseReason,
    },
    /// The peer restarted: streams began anew (SCTP_ASSOC_CHANGE, SCTP_RESTART).
    Restarted {
        /// The association.
        assoc: AssocId,
    },
    /// The peer has begun a graceful shutdown: nothing more can be sent (SCTP_SHUTDOWN_EVENT).
    ShutdownReceived {
        /// The association.
        assoc: AssocId,
    },
    /// The association has ended, after all its messages were handed out (SCTP_ASSOC_CHANGE: SCTP_SHUTDOWN_COMP if the reason is
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
        /// The message; a part of one that was sent in parts.
        message: Message,
        /// How it was sent, as far as it is still known: stream, payload protocol identifier, order and context.
        info: SndInfo,
        /// Whether the peer may have it (SCTP_DATA_SENT) or has certainly not (SCTP_DATA_UNSENT).
        sent: bool,
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
    /// Streams began anew, or did not (SCTP_STREAM_RESET_EVENT).
    StreamsReset {
        /// The association.
        assoc: AssocId,
        /// Whether these are streams that the peer sends on (SCTP_STREAM_RESET_INCOMING_SSN).
        incoming: bool,
        /// Whether these are streams that we send on (SCTP_STREAM_RESET_OUTGOING_SSN).
        outgoing: bool,
        /// The streams; none stands for all.
        streams: Vec<StreamId>,
        /// What became of it (SCTP_STREAM_RESET_DENIED, SCTP_STREAM_RESET_FAILED).
        outcome: ReconfigOutcome,
    },
    /// All TSNs and streams began anew, or did not (SCTP_ASSOC_RESET_EVENT).
    AssociationReset {
        /// The association.
        assoc: AssocId,
        /// The next TSN that we use.
        local_tsn: Tsn,
        /// The next TSN that the peer uses.
        peer_tsn: Tsn,
        /// What became of it (SCTP_ASSOC_RESET_DENIED, SCTP_ASSOC_RESET_FAILED).
        outcome: ReconfigOutcome,
    },
    /// There are more streams, or not (SCTP_STREAM_CHANGE_EVENT).
    StreamsChanged {
        /// The association.
        assoc: AssocId,
        /// Streams that the peer may send on now.
        inbound: u16,
        /// Streams that we may send on now.
        outbound: u16,
        /// What became of it (SCTP_STREAM_CHANGE_DENIED, SCTP_STREAM_CHANGE_FAILED).
        outcome: ReconfigOutcome,
    },
    /// What the layer above the peer's SCTP said of itself when the association came up (SCTP_ADAPTATION_INDICATION; RFC 5061 section
    /// 4.2.6).
    Adaptation {
        /// The association.
        assoc: AssocId,
        /// The indication.
        indication: u32,
    },
    /// About authentication (SCTP_AUTHENTICATION_EVENT).
    Authentication {
        /// The association.
        assoc: AssocId,
        /// The shared key that this is about, if it is about one.
        key: Option<KeyId>,
        /// What happened.
        what: AuthIndication,
    },
    /// Everything that was sent is acknowledged (SCTP_SENDER_DRY_EVENT).
    SenderDry {
        /// The association.
        assoc: AssocId,
    },
    /// The program does not read: notifications about this association were dropped, perhaps about others too
    /// (SCTP_NOTIFICATIONS_STOPPED_EVENT). It cannot be unsubscribed.
    Stopped {
        /// The association of the first one that was dropped.
        assoc: AssocId,
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
            | Self::StreamsReset { assoc, .. }
            | Self::AssociationReset { assoc, .. }
            | Self::StreamsChanged { assoc, .. }
            | Self::Adaptation { assoc, .. }
            | Self::Authentication { assoc, .. }
            | Self::SenderDry { assoc }
            | Self::Stopped { assoc }
            | Self::Writable { assoc } => *assoc,
        }
    }

    /// What one subscribes to for it; `None` if it comes in any case.
    #[must_use]
    pub fn kind(&self) -> Option<EventKind> {
        Some(match self {
            Self::CommUp { .. } | Self::CantStart { .. } | Self::Restarted { .. } | Self::CommLost { .. } => EventKind::AssocChange,
            Self::ShutdownReceived { .. } => EventKind::Shutdown,
            Self::SendFailed { .. } => EventKind::SendFailed,
            Self::PartialDeliveryAborted { .. } => EventKind::PartialDelivery,
            Self::RemoteError { .. } => EventKind::RemoteError,
            Self::PathState { .. } => EventKind::PeerAddrChange,
            Self::StreamsReset { .. } => EventKind::StreamReset,
            Self::AssociationReset { .. } => EventKind::AssocReset,
            Self::StreamsChanged { .. } => EventKind::StreamChange,
            Self::Adaptation { .. } => EventKind::Adaptation,
            Self::Authentication { .. } => EventKind::Authentication,
            Self::SenderDry { .. } => EventKind::SenderDry,
            Self::Writable { .. } => EventKind::Writable,
            Self::Stopped { .. } => return None,
        })
    }

    /// Whether the association is gone with it.
    pub(super) fn is_last(&self) -> bool {
        matches!(self, Self::CommLost { .. } | Self::CantStart { .. })
    }

    /// Whether messages that came before it are to be read first.
    pub(super) fn is_late(&self) -> bool {
        self.is_last()
            || matches!(
                self,
                Self::ShutdownReceived { .. }
                    | Self::PartialDeliveryAborted { .. }
                    | Self::Restarted { .. }
                    | Self::StreamsReset { .. }
                    | Self::AssociationReset { .. }
            )
    }

    /// Whether a program that does not read may miss it.
    pub(super) fn is_optional(&self) -> bool {
        matches!(
            self,
            Self::SendFailed { .. }
                | Self::RemoteError { .. }
                | Self::Restarted { .. }
                | Self::PathState { .. }
                | Self::Authentication { .. }
                | Self::SenderDry { .. }
                | Self::StreamsReset { .. }
                | Self::AssociationReset { .. }
                | Self::StreamsChanged { .. }
        )
    }
}

/// What a [`Notification::Authentication`] tells (RFC 6458 section 6.1.8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AuthIndication {
    /// The peer has begun to use this key (SCTP_AUTH_NEW_KEY).
    NewKey,
    /// This key was deactivated and is not needed any more (SCTP_AUTH_FREE_KEY).
    FreeKey,
    /// The peer has no authentication (SCTP_AUTH_NO_AUTH).
    NoAuth,
}

impl From<KeyUse> for AuthIndication {
    fn from(what: KeyUse) -> Self {
        match what {
            KeyUse::NewKey => Self::NewKey,
            KeyUse::FreeKey => Self::FreeKey,
        }
    }
}

/// What notifications there are to subscribe to (RFC 6458 section 6.2.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
#[repr(u8)]
pub enum EventKind {
    /// SCTP_ASSOC_CHANGE: up, restarted, lost, not to be had.
    AssocChange,
    /// SCTP_PEER_ADDR_CHANGE.
    PeerAddrChange,
    /// SCTP_REMOTE_ERROR.
    RemoteError,
    /// SCTP_SEND_FAILED_EVENT.
    SendFailed,
    /// SCTP_SHUTDOWN_EVENT.
    Shutdown,
    /// SCTP_PARTIAL_DELIVERY_EVENT.
    PartialDelivery,
    /// SCTP_SENDER_DRY_EVENT.
    SenderDry,
    /// SCTP_STREAM_RESET_EVENT (RFC 6525).
    StreamReset,
    /// SCTP_ASSOC_RESET_EVENT (RFC 6525).
    AssocReset,
    /// SCTP_STREAM_CHANGE_EVENT (RFC 6525).
    StreamChange,
    /// SCTP_ADAPTATION_INDICATION.
    Adaptation,
    /// [`Notification::Writable`], which RFC 6458 leaves to `select`.
    Writable,
    /// SCTP_AUTHENTICATION_EVENT.
    Authentication,
}

/// A set of [`EventKind`]s.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Events(u16);

impl Events {
    /// No notifications: what one-to-one sockets begin with.
    pub const NONE: Self = Self(0);
    /// All but [`EventKind::SenderDry`] and those of stream reconfiguration, which a program has to ask for (RFC 6525 section 7): what one-to-many sockets begin with. (RFC 6458 section 6.2.2 begins with none; but a program
    /// that gets associations without ever hearing of it is of little use.)
    pub const USUAL: Self = Self::NONE
        .with(EventKind::AssocChange)
        .with(EventKind::PeerAddrChange)
        .with(EventKind::RemoteError)
        .with(EventKind::SendFailed)
        .with(EventKind::Shutdown)
        .with(EventKind::PartialDelivery)
        .with(EventKind::Adaptation)
        .with(EventKind::Writable);

    /// With one more.
    #[must_use]
    pub const fn with(self, kind: EventKind) -> Self {
        Self(self.0 | 1 << kind as u16)
    }

    /// Without one.
    #[must_use]
    pub const fn without(self, kind: EventKind) -> Self {
        Self(self.0 & !(1 << kind as u16))
    }

    /// Whether one is in it.
    #[must_use]
    pub const fn has(self, kind: EventKind) -> bool {
        self.0 & 1 << kind as u16 != 0
    }

    pub(super) fn wants(self, note: &Notification) -> bool {
        note.kind().is_none_or(|kind| self.has(kind))
    }
}
