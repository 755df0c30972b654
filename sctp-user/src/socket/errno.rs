//! Errors of the core as `io::Error` with the meaning of RFC 6458's errno values.

use std::io;

use rustix::io::Errno;

use crate::error::{AddressError, BindError, CloseReason, ConfigError, ConnectError, PathError, ReconfigError, SendError};

/// The error by which a blocked caller learns why its association ended; `None` for a graceful end.
///
/// `was_up` tells whether the association had been established: nobody at the other end means "refused" before, "reset" after.
#[must_use]
pub fn close_error(reason: &CloseReason, was_up: bool) -> Option<io::Error> {
    let errno = match reason {
        CloseReason::Shutdown if was_up => return None,
        CloseReason::Shutdown | CloseReason::Aborted | CloseReason::ProtocolViolation(_) => Errno::CONNABORTED,
        CloseReason::PeerAborted(_) | CloseReason::LocalPeerDied | CloseReason::NetworkUnreachable if was_up => Errno::CONNRESET,
        CloseReason::PeerAborted(_) | CloseReason::LocalPeerDied | CloseReason::NetworkUnreachable | CloseReason::Refused(_) => {
            Errno::CONNREFUSED
        }
        CloseReason::ConnectTimeout | CloseReason::PeerUnreachable | CloseReason::ShutdownTimeout => Errno::TIMEDOUT,
    };
    Some(errno.into())
}

pub(super) fn bind_error(err: BindError) -> io::Error {
    match err {
        BindError::AddrInUse(_) | BindError::NoFreePort => Errno::ADDRINUSE.into(),
        BindError::InvalidConfig(err) => io::Error::new(io::ErrorKind::InvalidInput, err),
    }
}

pub(super) fn connect_error(err: ConnectError) -> io::Error {
    match err {
        ConnectError::NoAddress => Errno::DESTADDRREQ,
        ConnectError::PortZero => Errno::ADDRNOTAVAIL,
        ConnectError::NoEndpoint => Errno::BADF,
        ConnectError::AlreadyConnected => Errno::ISCONN,
        ConnectError::TooManyAssociations => Errno::NOBUFS,
        ConnectError::InvalidConfig(err) => return io::Error::new(io::ErrorKind::InvalidInput, err),
    }
    .into()
}

#[cold]
pub(super) fn send_error(err: SendError) -> io::Error {
    match err {
        SendError::Closed => Errno::PIPE,
        SendError::InvalidStream | SendError::Empty | SendError::NoSuchKey => Errno::INVAL,
        SendError::TooLong { .. } => Errno::MSGSIZE,
        SendError::WouldBlock => Errno::AGAIN,
    }
    .into()
}

/// RFC 6525 section 6.3: EALREADY while a request is under way.
pub(super) fn reconfig_error(err: ReconfigError) -> io::Error {
    match err {
        ReconfigError::Closed => Errno::NOTCONN,
        ReconfigError::NotSupported => Errno::OPNOTSUPP,
        ReconfigError::AlreadyInProgress => Errno::ALREADY,
        ReconfigError::TooSoon => Errno::AGAIN,
        ReconfigError::InvalidStream | ReconfigError::TooMany => return io::Error::new(io::ErrorKind::InvalidInput, err),
    }
    .into()
}

/// A configuration that cannot be had, with the reason.
pub(super) fn config_error(err: ConfigError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, err)
}

/// EINVAL, with the reason.
#[cold]
pub(super) fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

/// EADDRNOTAVAIL: the address is not one of this host's, or of this socket's.
pub(super) fn not_ours() -> io::Error {
    Errno::ADDRNOTAVAIL.into()
}

/// EOPNOTSUPP: a socket of this kind has no such thing.
pub(super) fn not_supported() -> io::Error {
    Errno::OPNOTSUPP.into()
}

/// Nothing can be done with a path.
pub(super) fn path_error(err: PathError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, err)
}

/// The peer cannot be told of a change of our addresses.
pub(super) fn address_error(err: AddressError) -> io::Error {
    match err {
        AddressError::Closed => gone(),
        AddressError::Unsupported => not_supported(),
        AddressError::NotOurs => not_ours(),
        AddressError::LastAddress => io::Error::new(io::ErrorKind::InvalidInput, err),
    }
}

/// There is nothing now, or was nothing before the time-out passed (as the operating system says it for SO_RCVTIMEO).
#[cold]
pub(super) fn would_block() -> io::Error {
    Errno::AGAIN.into()
}

/// The association or the endpoint is unknown.
#[cold]
pub(super) fn gone() -> io::Error {
    Errno::NOTCONN.into()
}

/// The runtime has stopped or a thread panicked within it.
#[cold]
pub(super) fn aborted() -> io::Error {
    Errno::CONNABORTED.into()
}
