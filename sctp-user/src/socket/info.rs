//! What goes with messages and comes beside them (RFC 6458 section 5.3).

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::notification::Notification;
use crate::event::{AssocId, Message, Reliability, SendOptions};
use crate::net::PeerAddr;
use crate::num::{KeyId, Ppid, Ssn, StreamId, Tsn};

/// How a message is to be sent (RFC 6458 section 5.3.4).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct SndInfo {
    /// The outbound stream.
    pub sid: StreamId,
    /// Payload protocol identifier, passed on to the peer unseen.
    pub ppid: Ppid,
    /// What [`Notification::SendFailed`] gives back, should the message fail.
    pub context: u32,
    /// Deliver without regard to order (SCTP_UNORDERED).
    pub unordered: bool,
    /// Ask for an immediate acknowledgement (RFC 7053).
    pub sack_immediately: bool,
    /// Further messages follow at once: what does not fill a packet waits for them (MSG_MORE). The last one is sent without this.
    pub cork: bool,
    /// With [`ExplicitEor`](super::option::ExplicitEor), whether the message ends with these bytes (SCTP_EOR). Else every call
    /// sends a whole message.
    pub eor: bool,
    /// The peer's address to send to, as long as that path is active (SCTP_ADDR_OVER).
    pub path: Option<IpAddr>,
    /// When the message is given up (SCTP_PRINFO, RFC 6458 section 5.3.7); `None` leaves it to
    /// [`DefaultPrInfo`](super::option::DefaultPrInfo).
    pub reliability: Option<Reliability>,
    /// The shared key that authenticates the message, if the peer wants user data authenticated (SCTP_AUTHINFO, RFC 6458 section 5.3.8);
    /// `None` is the active one.
    pub auth_key: Option<KeyId>,
    /// Shut down gracefully after this message, which may be empty (SCTP_EOF).
    pub eof: bool,
    /// In place of sending, end the association at once; the message is the reason that the peer is told (SCTP_ABORT).
    pub abort: bool,
    /// Send to every association of a one-to-many socket (SCTP_SENDALL), whatever the target. Where there is no room, a
    /// [`Notification::SendFailed`] follows.
    pub send_all: bool,
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

    /// With this context.
    #[must_use]
    pub fn context(mut self, context: u32) -> Self {
        self.context = context;
        self
    }

    /// Without regard to order.
    #[must_use]
    pub fn unordered(mut self) -> Self {
        self.unordered = true;
        self
    }

    /// With an immediate acknowledgement.
    #[must_use]
    pub fn sack_immediately(mut self) -> Self {
        self.sack_immediately = true;
        self
    }

    /// Others follow at once.
    #[must_use]
    pub fn cork(mut self) -> Self {
        self.cork = true;
        self
    }

    /// The end of a message that was sent in parts.
    #[must_use]
    pub fn eor(mut self) -> Self {
        self.eor = true;
        self
    }

    /// To this address of the peer.
    #[must_use]
    pub fn path(mut self, addr: IpAddr) -> Self {
        self.path = Some(addr.to_canonical());
        self
    }

    /// Authenticated by this shared key.
    #[must_use]
    pub fn auth_key(mut self, key: KeyId) -> Self {
        self.auth_key = Some(key);
        self
    }

    /// The last message before a graceful shutdown.
    #[must_use]
    pub fn eof(mut self) -> Self {
        self.eof = true;
        self
    }

    /// The reason of an abort.
    #[must_use]
    pub fn abort(mut self) -> Self {
        self.abort = true;
        self
    }

    /// To all associations.
    #[must_use]
    pub fn send_all(mut self) -> Self {
        self.send_all = true;
        self
    }

    /// Given up as this says; without it as [`DefaultPrInfo`](super::option::DefaultPrInfo) says.
    #[must_use]
    pub fn reliability(mut self, reliability: Reliability) -> Self {
        self.reliability = Some(reliability);
        self
    }

    pub(super) fn options(&self, explicit_eor: bool, usual: Reliability) -> SendOptions {
        SendOptions {
            unordered: self.unordered,
            sack_immediately: self.sack_immediately,
            context: self.context,
            unfinished: explicit_eor && !self.eor,
            cork: self.cork,
            path: self.path,
            reliability: self.reliability.unwrap_or(usual),
            auth_key: self.auth_key,
        }
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
    /// TSN of the first chunk of what was handed out.
    pub tsn: Tsn,
    /// The last TSN up to which everything has arrived.
    pub cum_tsn: Tsn,
    /// The value set by [`Context`](super::option::Context).
    pub context: u32,
    /// Where the bytes begin in the message: 0 unless earlier parts of it were handed out.
    pub offset: u64,
    /// Whether more of the message follows, in what this association's next call hands out: the opposite of MSG_EOR (RFC 6458
    /// section 3.1.4). A message comes in parts if it does not fit the receive buffer, or the buffers given to `recvv`.
    pub more: bool,
}

impl RcvInfo {
    pub(super) fn new(assoc: AssocId, message: &Message, cum_tsn: Tsn, context: u32) -> Self {
        let Message { sid, ssn, ppid, unordered, offset, more, tsn, .. } = *message;
        Self { assoc, sid, ssn, ppid, unordered, tsn, cum_tsn, context, offset, more }
    }
}

/// What the next receive call will hand out (RFC 6458 section 5.3.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct NxtInfo {
    /// The association.
    pub assoc: AssocId,
    /// Whether it is a notification; then the rest means nothing (SCTP_NOTIFICATION).
    pub notification: bool,
    /// The stream.
    pub sid: StreamId,
    /// Payload protocol identifier.
    pub ppid: Ppid,
    /// Whether it was sent unordered.
    pub unordered: bool,
    /// Whether it is there to its end (SCTP_COMPLETE).
    pub complete: bool,
    /// How many bytes are there.
    pub len: usize,
}

impl NxtInfo {
    pub(super) fn message(assoc: AssocId, m: &Message) -> Self {
        let Message { sid, ppid, unordered, more, .. } = *m;
        Self { assoc, notification: false, sid, ppid, unordered, complete: !more, len: m.payload.len() }
    }

    pub(super) fn notification(assoc: AssocId) -> Self {
        Self { assoc, notification: true, sid: StreamId(0), ppid: Ppid(0), unordered: false, complete: true, len: 0 }
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
    /// The association whose message this is.
    pub(super) fn message_of(&self) -> Option<AssocId> {
        match self {
            Self::Message(info, _) => Some(info.assoc),
            Self::Notification(_) => None,
        }
    }

    /// The association that this is about.
    #[must_use]
    pub fn assoc(&self) -> AssocId {
        match self {
            Self::Message(info, _) => info.assoc,
            Self::Notification(note) => note.assoc(),
        }
    }
}

/// What a `recvv` call filled buffers with (RFC 6458 section 9.13).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RecvV {
    /// Bytes of a message.
    Message {
        /// How many bytes were put into the buffers, one after the other. What did not fit comes next: [`RcvInfo::more`].
        len: usize,
        /// Where they came from.
        info: RcvInfo,
        /// What comes next, if that is there already.
        next: Option<NxtInfo>,
    },
    /// News about an association (MSG_NOTIFICATION). The buffers are untouched.
    Notification(Notification),
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
