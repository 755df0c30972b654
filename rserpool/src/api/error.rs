//! What can go wrong, in one line for the user.

use std::io;

use sctp_user::BindError;
use sctp_user::socket::RuntimeError;
use thiserror::Error;

use crate::asap::{RegisterError, ResolveError};
use crate::session::{EndReason, SendError};

/// Why a call failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The sockets could not be opened.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The operating system refuses, or the runtime has stopped.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The SCTP port could not be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A pool handle was not resolved.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// An element was not registered.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The session is over.
    #[error(transparent)]
    Ended(EndReason),
    /// The message was not accepted.
    #[error(transparent)]
    Send(SendError),
    /// Nothing happened in time.
    #[error("timed out")]
    Timeout,
}

impl From<EndReason> for Error {
    fn from(reason: EndReason) -> Self {
        match reason {
            EndReason::Resolve(error) => Self::Resolve(error),
            reason => Self::Ended(reason),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Io(error) => return error,
            Error::Runtime(error) => return error.into(),
            Error::Bind(_) => io::ErrorKind::AddrInUse,
            Error::Timeout | Error::Resolve(ResolveError::Timeout) | Error::Register(RegisterError::Timeout) => io::ErrorKind::TimedOut,
            Error::Resolve(ResolveError::UnknownPoolHandle(_)) => io::ErrorKind::NotFound,
            Error::Resolve(_) | Error::Ended(EndReason::NoElement(_)) => io::ErrorKind::HostUnreachable,
            Error::Register(RegisterError::NoRegistrar) => io::ErrorKind::HostUnreachable,
            Error::Register(_) => io::ErrorKind::PermissionDenied,
            Error::Ended(EndReason::Shutdown) => io::ErrorKind::UnexpectedEof,
            Error::Ended(_) => io::ErrorKind::ConnectionAborted,
            Error::Send(SendError::WouldBlock) => io::ErrorKind::WouldBlock,
            Error::Send(SendError::Closed) => io::ErrorKind::NotConnected,
            Error::Send(_) => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}
