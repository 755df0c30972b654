//! Why a session does not go on.

use thiserror::Error;

use crate::asap::ResolveError;
use crate::wire::PoolHandle;

/// Why a session is over.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum EndReason {
    /// We closed it.
    #[error("the session was closed")]
    Closed,
    /// The other side closed it.
    #[error("the other side closed the session")]
    Shutdown,
    /// The pool handle could not be resolved.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// No element of the pool could be reached.
    #[error("no element of pool \"{0}\" can be reached")]
    NoElement(PoolHandle),
    /// The element was lost while the session was ending: what it had not acknowledged may not have arrived.
    #[error("the element was lost before it had acknowledged everything")]
    ElementLost,
    /// The element lost its user.
    #[error("the user is lost")]
    UserLost,
}

/// Why a message was not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The session is over.
    #[error("the session is over")]
    Closed,
    /// The queue is full: wait.
    #[error("send queue full")]
    WouldBlock,
    /// The message has no bytes, which SCTP cannot carry.
    #[error("empty message")]
    Empty,
    /// The message is longer than the limit.
    #[error("message of {len} bytes exceeds the limit of {max}")]
    TooLong {
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The payload protocol identifiers of ASAP and ENRP are not the application's.
    #[error("payload protocol identifier {0} belongs to RSerPool itself")]
    ReservedPpid(u32),
    /// There is no such stream.
    #[error("no such stream")]
    InvalidStream,
}

impl From<sctp_user::SendError> for SendError {
    fn from(error: sctp_user::SendError) -> Self {
        match error {
            sctp_user::SendError::WouldBlock => Self::WouldBlock,
            sctp_user::SendError::Empty => Self::Empty,
            sctp_user::SendError::TooLong { len, max } => Self::TooLong { len, max },
            sctp_user::SendError::InvalidStream => Self::InvalidStream,
            _ => Self::Closed,
        }
    }
}
