//! What the caller of a shared port gives and gets.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::table::ClaimError;
use crate::errors::NetError;
use crate::meta::Received;
use crate::socket::Bind;

/// How to open an encapsulation port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareConfig {
    /// The UDP port; 0 takes a free one, which is never shared.
    pub udp_port: u16,
    /// The local addresses. Sharing wants [`Bind::Any`], and an attached process gets what the first one bound.
    pub bind: Bind,
    /// Whether to share the port with other processes of this user.
    pub share: bool,
    /// First part of the local sockets' names: processes with different ones do not find each other.
    pub namespace: String,
    /// A directory for the local sockets, of mode 0700; it is created if its parent exists. `None`: abstract names on Linux,
    /// elsewhere `<namespace>-<uid>` in the directory for temporary files.
    pub directory: Option<PathBuf>,
}

impl Default for ShareConfig {
    fn default() -> Self {
        Self { udp_port: crate::UDP_ENCAPS_PORT, bind: Bind::Any, share: true, namespace: "sctp-user".to_owned(), directory: None }
    }
}

/// Why an encapsulation port could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another user, or a program that does not share, has the port. A client goes on from port 0; a server tells its user to
    /// choose another port.
    #[error("UDP port {port} is held by another user or by a program that does not share it")]
    OtherUser {
        /// The UDP port.
        port: u16,
    },
    /// Processes of this user have the port, but none of them answers: all are stopped.
    #[error("the processes on UDP port {port} do not answer")]
    NoAnswer {
        /// The UDP port.
        port: u16,
    },
    /// The system refuses a socket.
    #[error("cannot open UDP port {port}: {source}")]
    Io {
        /// The UDP port.
        port: u16,
        /// What it says.
        source: io::Error,
    },
}

/// What this process is on the port at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The port is not shared.
    Private,
    /// Receives for all.
    Reader,
    /// Is served by the reader, or looks for the next one.
    Member,
}

/// Names a claim in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Request(pub(super) u32);

/// What [`SharedPort::recv`](super::SharedPort::recv) hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incoming {
    /// Datagrams for a port claimed here; at the reader also those for a port that nobody claimed, to be answered as out of the
    /// blue.
    Train(Received),
    /// An ICMP error about a packet that left from one of our SCTP ports, or from nobody's.
    Error(NetError),
    /// A claim is decided.
    Claimed {
        /// Which.
        request: Request,
        /// The port that was given.
        result: Result<u16, ClaimError>,
    },
    /// The process behind these SCTP ports of this host is gone: associations with them are over.
    PortsDied {
        /// The ports.
        ports: Vec<u16>,
    },
    /// Claims of our own that another process got while two readers were at work. Very rare.
    PortsLost {
        /// The ports.
        ports: Vec<u16>,
    },
    /// This process now is something else, or has another reader.
    RoleChanged {
        /// What it is.
        role: Role,
        /// The generation of the reader.
        generation: u64,
    },
    /// A send that returned `WouldBlock` may be tried again.
    Writable,
}
