//! What the core tells the application.

use core::fmt;
use core::time::Duration;
use std::net::IpAddr;

use bytes::Bytes;

use crate::error::CloseReason;
use crate::num::{KeyId, Ppid, Ssn, StreamId, Tsn};

/// Identifies an association: 20 bits index, 12 bits generation, so that an id is not reused soon.
///
/// The values 0 to 2 never occur: RFC 6458 uses them for "future", "current" and "all" associations.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AssocId(pub(crate) core::num::NonZeroU32);

impl AssocId {
    /// The id as the number that RFC 6458 programs print.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

/// Identifies an endpoint (an SCTP port) of a stack.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EndpointId(pub(crate) u32);

/// A user message, or a part of one.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The stream that it came on.
    pub sid: StreamId,
    /// Its sequence number in the stream; zero if unordered.
    pub ssn: Ssn,
    /// Payload protocol identifier.
    pub ppid: Ppid,
    /// Whether it was sent unordered.
    pub unordered: bool,
    /// Where these bytes begin in the message: 0 unless earlier parts were handed out already.
    pub offset: u64,
    /// Whether more of the message follows, in the next [`crate::Assoc::recv`] of this association (RFC 9260 section 6.9, partial
    /// delivery); RFC 6458 programs know the opposite as MSG_EOR. Only with
    /// [`AssocConfig::partial_delivery`](crate::AssocConfig::partial_delivery).
    pub more: bool,
    /// Of a message that was received, the TSN of the first of these bytes (RFC 6458 section 5.3.5); else zero.
    pub tsn: Tsn,
    /// The bytes.
    pub payload: Bytes,
}

impl Message {
    /// A whole message.
    #[must_use]
    pub fn whole(sid: StreamId, ssn: Ssn, ppid: Ppid, unordered: bool, payload: Bytes) -> Self {
        Self { sid, ssn, ppid, unordered, offset: 0, more: false, tsn: Tsn(0), payload }
    }

    /// Whether this is a whole message, not a part of one.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.offset == 0 && !self.more
    }
}

impl fmt::Debug for Message {
    /// All but the payload, of which only the length is of interest in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = if self.unordered { "unordered" } else { "ordered" };
        let (sid, ssn, ppid, len) = (self.sid, self.ssn, self.ppid, self.payload.len());
        write!(f, "Message({order}, stream {sid}, ssn {ssn}, ppid {ppid}, {len} bytes")?;
        if !self.is_whole() {
            write!(f, " from {}{}", self.offset, if self.more { ", more to come" } else { ", the last" })?;
        }
        f.write_str(")")
    }
}

/// How persistently a message is sent: when it is given up (RFC 3758, RFC 7496).
///
/// A message that is given up comes back as [`Event::SendFailed`], and the peer does not wait for it. What was sent already can be
/// given up only if the peer supports partial reliability ([`AssocConfig::partial_reliability`](crate::AssocConfig)); else only
/// the lifetime counts, and only until the message leaves. A message that is sent in parts ([`SendOptions::unfinished`]) is reliable.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum Reliability {
    /// Never (SCTP_PR_SCTP_NONE).
    #[default]
    Full,
    /// When so much time has passed since it was handed in, and it would have to be sent, or sent again (SCTP_PR_SCTP_TTL, RFC 3758
    /// section 4.1).
    Lifetime(Duration),
    /// When a chunk of it would have to be sent again more often than this; 0 means that it is sent once (SCTP_PR_SCTP_RTX, RFC
    /// 7496 section 3.1).
    Retransmissions(u32),
    /// When there is no room in the send buffer for another message, one that is reliable or has a smaller number here, and nothing
    /// of this one was sent (SCTP_PR_SCTP_PRIO, RFC 7496 section 3.2). 0 is the highest priority.
    Priority(u32),
}

/// A [`Reliability`] without its value, to ask what was given up by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum PrPolicy {
    /// [`Reliability::Lifetime`] (SCTP_PR_SCTP_TTL).
    Lifetime,
    /// [`Reliability::Retransmissions`] (SCTP_PR_SCTP_RTX).
    Retransmissions,
    /// [`Reliability::Priority`] (SCTP_PR_SCTP_PRIO).
    Priority,
}

/// How a message is to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct SendOptions {
    /// Deliver without regard to order.
    pub unordered: bool,
    /// Ask for an immediate SACK (RFC 9260 section 3.3.1, I bit).
    pub sack_immediately: bool,
    /// What [`Event::SendFailed`] gives back, should the message fail.
    pub context: u32,
    /// These bytes are a part of a message of which more follows on this stream (RFC 6458 section 8.1.26): the next ones sent on
    /// it continue the message, as ordered, and with the payload protocol identifier, that its first part had.
    ///
    /// Once the beginning of a message has left, nothing else can be sent until its end has; a beginning leaves early only if it
    /// is long or the send buffer is full.
    pub unfinished: bool,
    /// Further messages follow at once: what does not fill a packet waits for them (MSG_MORE). It waits for a message without
    /// this, for the shutdown, or until the send buffer is full.
    pub cork: bool,
    /// The peer's address that this message is to be sent to first, as long as that path is active (SCTP_ADDR_OVER of RFC 6458
    /// section 5.3.4); `None` leaves the choice to the association.
    pub path: Option<IpAddr>,
    /// When the message is given up; reliable messages never are.
    pub reliability: Reliability,
    /// The shared key that authenticates this message (SCTP_AUTHINFO of RFC 6458 section 5.3.8), if the peer wants user data authenticated;
    /// `None` is the key that is active when it leaves.
    pub auth_key: Option<KeyId>,
}

impl SendOptions {
    /// Ordered delivery.
    #[must_use]
    pub fn ordered() -> Self {
        Self::default()
    }

    /// Unordered delivery.
    #[must_use]
    pub fn unordered() -> Self {
        Self { unordered: true, ..Self::default() }
    }
}

/// A message that was accepted for sending and will not be delivered, or is not known to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Undelivered {
    pub(crate) message: Message,
    pub(crate) context: u32,
    pub(crate) sent: bool,
}

impl From<Undelivered> for Event {
    fn from(failed: Undelivered) -> Self {
        let Undelivered { message, context, sent } = failed;
        Self::SendFailed { message, context, sent }
    }
}

/// Whether a path is of use.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum PathState {
    /// The address is not known to belong to the peer (RFC 9260 section 5.4): nothing but HEARTBEATs goes there.
    #[default]
    Unconfirmed,
    /// It works, as far as is known.
    Active,
    /// It may have failed (RFC 7829): another path is used if there is one.
    PotentiallyFailed,
    /// Path.Max.Retrans is exceeded (RFC 9260 section 8.2).
    Inactive,
}

impl fmt::Display for PathState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unconfirmed => "unconfirmed",
            Self::Active => "active",
            Self::PotentiallyFailed => "potentially failed",
            Self::Inactive => "inactive",
        })
    }
}

/// What happened to a path (RFC 6458 section 6.1.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PathChange {
    /// The address is confirmed: the path is active and may be used (SCTP_ADDR_CONFIRMED).
    Confirmed,
    /// It is active again (SCTP_ADDR_AVAILABLE).
    Available,
    /// It may have failed (SCTP_ADDR_PF of RFC 7829).
    PotentiallyFailed,
    /// It is inactive (SCTP_ADDR_UNREACHABLE).
    Unreachable,
    /// It is the primary path now (SCTP_ADDR_MADE_PRIM).
    MadePrimary,
    /// The peer has this address too now, which is to be confirmed (SCTP_ADDR_ADDED; RFC 5061).
    Added,
    /// The peer has this address no more (SCTP_ADDR_REMOVED; RFC 5061).
    Removed,
}

/// What became of a request to reconfigure streams (RFC 6525 section 6.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReconfigOutcome {
    /// It was done.
    Performed,
    /// The peer denied it.
    Denied,
    /// It failed: the peer was busy with another one, or knows no such stream.
    Failed,
}

/// What happened to a key of authentication (RFC 6458 section 6.1.8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum KeyUse {
    /// The peer has begun to use it (SCTP_AUTH_NEW_KEY).
    NewKey,
    /// It was deactivated, and no message needs it any more (SCTP_AUTH_FREE_KEY): it can be deleted.
    FreeKey,
}

/// A notification of the core. Messages themselves are fetched by [`crate::Assoc::recv`] after [`Event::Readable`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The association is up.
    Connected {
        /// Streams that the peer may send on.
        inbound: u16,
        /// Streams that we may send on.
        outbound: u16,
        /// Whether the peer opened it (a server's accept).
        incoming: bool,
    },
    /// The peer restarted (RFC 9260 section 5.2.4.1): streams and sequence numbers began anew.
    Restarted,
    /// The peer has begun a graceful shutdown: nothing more can be sent.
    ShutdownReceived,
    /// The association is gone; nothing follows.
    Lost {
        /// Why.
        reason: CloseReason,
    },
    /// A message waits in [`crate::Assoc::recv`].
    Readable,
    /// Room appeared in a send buffer that was full.
    Writable,
    /// A message was not (known to be) delivered.
    SendFailed {
        /// The message; a part of one that was sent in parts.
        message: Message,
        /// [`SendOptions::context`] as it was sent.
        context: u32,
        /// Whether some of it had been sent, so that the peer may have it.
        sent: bool,
    },
    /// Everything that was sent is acknowledged; only if [`crate::Assoc::notify_when_dry`] asked for it.
    SenderDry,
    /// The rest of a message that was handed out in part will never come, since the association ended or restarted. What
    /// [`crate::Assoc::recv`] hands out next belongs to another message.
    PartialDeliveryAborted {
        /// The stream of the message.
        sid: StreamId,
        /// Its sequence number in the stream; zero if unordered.
        ssn: Ssn,
        /// Whether it was sent unordered.
        unordered: bool,
    },
    /// The path MTU of one of the peer's addresses changed.
    PathMtu {
        /// The address.
        addr: IpAddr,
        /// Longest IP packet that is sent there, in bytes, headers included.
        mtu: usize,
    },
    /// A path of the association changed (RFC 9260 section 11.2.3); [`crate::Assoc::paths`] tells the rest. At most
    /// 64 of them wait.
    PathState {
        /// The peer's address.
        addr: IpAddr,
        /// What happened.
        change: PathChange,
    },
    /// The peer's adaptation layer indication (RFC 5061 section 4.2.6): follows [`Event::Connected`] and [`Event::Restarted`].
    Adaptation(u32),
    /// Something happened to a shared key of authentication.
    Authentication {
        /// The key.
        key: KeyId,
        /// What happened.
        what: KeyUse,
    },
    /// The peer reported an error that does not end the association; the causes as they came.
    RemoteError(Bytes),
    /// Streams began anew, or did not (RFC 6525): stream sequence numbers count from zero again.
    StreamsReset {
        /// Whether these are streams that the peer sends on.
        incoming: bool,
        /// Whether these are streams that we send on.
        outgoing: bool,
        /// The streams; none stands for all.
        streams: Vec<StreamId>,
        /// What became of it.
        outcome: ReconfigOutcome,
    },
    /// All TSNs and streams of both sides began anew, or did not (RFC 6525).
    AssociationReset {
        /// The next TSN that we use.
        local_tsn: Tsn,
        /// The next TSN that the peer uses.
        peer_tsn: Tsn,
        /// What became of it.
        outcome: ReconfigOutcome,
    },
    /// There are more streams, or not (RFC 6525).
    StreamsChanged {
        /// Streams that the peer may send on now.
        inbound: u16,
        /// Streams that we may send on now.
        outbound: u16,
        /// What became of it.
        outcome: ReconfigOutcome,
    },
}
