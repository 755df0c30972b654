//! Errors of the core's operations, one small enum each.

use bytes::Bytes;
use thiserror::Error;

/// Why an association ended.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CloseReason {
    /// A graceful shutdown, from either side.
    Shutdown,
    /// The peer sent an ABORT; its error causes as they came.
    PeerAborted(Bytes),
    /// We sent an ABORT on the user's wish.
    Aborted,
    /// The peer broke the protocol and we sent an ABORT; what it did.
    ProtocolViolation(&'static str),
    /// No answer to INIT or COOKIE ECHO.
    ConnectTimeout,
    /// The retransmission limit was exceeded: the peer is unreachable.
    PeerUnreachable,
    /// The shutdown guard timer T5 expired.
    ShutdownTimeout,
    /// The peer refused the association; its error causes as they came.
    Refused(Bytes),
    /// The process at the other end, on this host, is gone.
    LocalPeerDied,
    /// The network says, twice and validated, that nobody is there.
    NetworkUnreachable,
}

/// Why nothing can be done with a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum PathError {
    /// The association is gone, or its peer has no such address.
    #[error("the peer has no such address")]
    UnknownAddress,
    /// The address is not known to belong to the peer (RFC 9260 section 5.4).
    #[error("the address is not confirmed")]
    Unconfirmed,
    /// A value cannot be had.
    #[error("a value is out of range")]
    OutOfRange,
}

/// Why the peer cannot be told of a change of our addresses (RFC 5061).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The association is gone.
    #[error("the association is gone")]
    Closed,
    /// Add-IP was not agreed on with the peer, or we are behind a NAT whose addresses the configuration tells.
    #[error("the peer cannot be told of other addresses")]
    Unsupported,
    /// It is no address of this host, the association does not use it, or it means nothing to the peer.
    #[error("not an address of ours, or none that the peer could use")]
    NotOurs,
    /// One address must stay (RFC 5061 section 5.3 rule F5).
    #[error("the last address cannot be removed")]
    LastAddress,
}

/// Why an endpoint could not be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The port is open already.
    #[error("SCTP port {0} is in use")]
    AddrInUse(u16),
    /// All ephemeral ports are taken.
    #[error("no free SCTP port")]
    NoFreePort,
    /// The RFC forbids the configuration.
    #[error(transparent)]
    InvalidConfig(#[from] ConfigError),
}

/// Why an association could not be started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No address was given.
    #[error("no peer address")]
    NoAddress,
    /// An address has SCTP port 0, which nobody has (RFC 9260 section 3.1).
    #[error("peer port 0")]
    PortZero,
    /// There is no such endpoint.
    #[error("no such endpoint")]
    NoEndpoint,
    /// An association with this peer exists.
    #[error("an association with this peer exists")]
    AlreadyConnected,
    /// The stack's limit of associations is reached.
    #[error("too many associations")]
    TooManyAssociations,
    /// The RFC forbids the configuration.
    #[error(transparent)]
    InvalidConfig(#[from] ConfigError),
}

/// Why a message was not accepted for sending.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The association is shutting down or gone.
    #[error("the association is shutting down or gone")]
    Closed,
    /// There is no such outbound stream.
    #[error("no such outbound stream")]
    InvalidStream,
    /// The message has no bytes, which SCTP cannot carry.
    #[error("empty message")]
    Empty,
    /// The message is longer than the configured limit.
    #[error("message of {len} bytes exceeds the limit of {max}")]
    TooLong {
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// There is no such shared key, or it is deactivated.
    #[error("no such shared key")]
    NoSuchKey,
    /// The send buffer is full: wait for [`crate::Event::Writable`].
    #[error("send buffer full")]
    WouldBlock,
}

/// Why streams cannot be reconfigured (RFC 6525).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum ReconfigError {
    /// The association is not established.
    #[error("the association is not established")]
    Closed,
    /// The peer, or this side, has no stream reconfiguration ([`AssocConfig::stream_reset`](crate::AssocConfig::stream_reset)).
    #[error("the association has no stream reconfiguration")]
    NotSupported,
    /// Another request is under way, ours or one of the peer that concerns all streams: wait for its event.
    #[error("another request is under way")]
    AlreadyInProgress,
    /// There is no such stream, or neither direction was named.
    #[error("no such stream")]
    InvalidStream,
    /// More streams than one packet can name (name none, for all), or than an association can have.
    #[error("too many streams")]
    TooMany,
    /// All TSNs were reset less than 30 s ago (RFC 6525 section 5.1.4).
    #[error("reset less than 30 s ago")]
    TooSoon,
}

/// A configuration that the RFC forbids (rulings: a value that a MUST forbids is refused).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("{field}: {why}")]
pub struct ConfigError {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it.
    pub why: &'static str,
}
