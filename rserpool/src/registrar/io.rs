//! What goes into a registrar and what comes out of it.

use core::fmt;
use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::config::AnnounceTarget;
use super::enrp::EnrpEvent;
use super::refusal::RefusalReason;
use crate::wire::{CauseCode, DecodeError, ElementId, OperationError, PoolHandle};

/// Names an association towards the registrar; given by whoever drives it, never reused for another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AssocKey(pub u32);

impl fmt::Display for AssocKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Names an attempt of the registrar to open an association.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectToken(pub u64);

/// Which of its two services a registrar meets somebody at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Service {
    /// Elements and users (RFC 5352).
    Asap,
    /// Other registrars (RFC 5353).
    Enrp,
}

/// What happens to a registrar.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// An association is up.
    Connected {
        /// Its name from now on.
        assoc: AssocKey,
        /// The service whose port it ends at.
        service: Service,
        /// Which [`Output::Connect`] it is due to; `None` if the peer opened it.
        token: Option<ConnectToken>,
        /// The peer's addresses with its SCTP port, at least one.
        peer: &'a [SocketAddr],
    },
    /// The peer of an association has restarted: its elements may be gone.
    Restarted {
        /// The association.
        assoc: AssocKey,
    },
    /// An association is gone.
    Lost {
        /// The association.
        assoc: AssocKey,
        /// Whether the peer's process is known to be dead: an out-of-the-blue ABORT, or the word of the port's owner.
        aborted: bool,
    },
    /// The smoothed round-trip time of an association's path, told before a message that it may matter for: how far an
    /// element or a registrar is away.
    PathRtt {
        /// The association.
        assoc: AssocKey,
        /// The time.
        rtt: Duration,
    },
    /// A message.
    Message {
        /// Where it came from.
        assoc: AssocKey,
        /// Its payload protocol identifier.
        ppid: u32,
        /// Its stream.
        sid: u16,
        /// The message.
        bytes: &'a [u8],
    },
    /// An association could not be opened.
    ConnectFailed {
        /// Which [`Output::Connect`].
        token: ConnectToken,
    },
    /// A datagram came to the multicast group of a service.
    Datagram {
        /// The service.
        service: Service,
        /// Its source.
        src: SocketAddr,
        /// What it holds.
        bytes: &'a [u8],
    },
    /// These are the host's addresses now.
    Addresses(&'a [IpAddr]),
}

/// How an association is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseHow {
    /// After everything was delivered.
    Shutdown,
    /// At once.
    Abort,
}

/// What a registrar wants done, or known.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Output {
    /// Send a message, in order.
    Send {
        /// Where to.
        assoc: AssocKey,
        /// Payload protocol identifier.
        ppid: u32,
        /// Stream.
        sid: u16,
        /// The message.
        bytes: Bytes,
    },
    /// Open an association from the port of a service.
    Connect {
        /// The service.
        service: Service,
        /// To be named in [`Input::Connected`] or [`Input::ConnectFailed`].
        token: ConnectToken,
        /// The peer's addresses with its SCTP port.
        addrs: Vec<SocketAddr>,
    },
    /// Close an association.
    Close {
        /// Which one.
        assoc: AssocKey,
        /// How.
        how: CloseHow,
    },
    /// Send a datagram from the UDP port whose number is that of the service's SCTP port.
    Announce {
        /// The service.
        service: Service,
        /// From where, where to.
        target: AnnounceTarget,
        /// What it holds.
        bytes: Bytes,
    },
    /// Something happened that logs and statistics want to know.
    Event(RegistrarEvent),
}

/// Why an element is no longer in its pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RemovalReason {
    /// It left.
    Deregistered,
    /// Its registration life is over.
    LifeExpired,
    /// It answered no keep-alive.
    KeepAliveTimeout,
    /// Its association was lost and it was not reached by a new one.
    AssociationLost,
    /// Its process is dead.
    ProcessDied,
    /// Too many reported it as unreachable.
    Reported,
    /// Its home, another registrar, removed it.
    HomeSaidSo,
    /// Its home, another registrar, does not list it any more.
    NotListed,
}

impl RemovalReason {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Deregistered,
        Self::LifeExpired,
        Self::KeepAliveTimeout,
        Self::AssociationLost,
        Self::ProcessDied,
        Self::Reported,
        Self::HomeSaidSo,
        Self::NotListed,
    ];
}

impl fmt::Display for RemovalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deregistered => "deregistered",
            Self::LifeExpired => "registration life expired",
            Self::KeepAliveTimeout => "no answer to keep-alives",
            Self::AssociationLost => "association lost",
            Self::ProcessDied => "process died",
            Self::Reported => "reported unreachable too often",
            Self::HomeSaidSo => "its home removed it",
            Self::NotListed => "its home does not list it",
        })
    }
}

/// Something worth a line in a log.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RegistrarEvent {
    /// An association is up.
    Connected {
        /// The association.
        assoc: AssocKey,
        /// The peer's addresses.
        peer: Vec<SocketAddr>,
    },
    /// An association is gone.
    Disconnected {
        /// The association.
        assoc: AssocKey,
        /// How many elements were registered over it.
        elements: usize,
    },
    /// An element joined a pool.
    Registered {
        /// The pool.
        handle: PoolHandle,
        /// The element.
        id: ElementId,
        /// The association.
        assoc: AssocKey,
        /// Whether the pool came into being by it.
        new_pool: bool,
    },
    /// An element renewed its registration.
    Renewed {
        /// The pool.
        handle: PoolHandle,
        /// The element.
        id: ElementId,
        /// The association.
        assoc: AssocKey,
    },
    /// A registration or deregistration was refused.
    Refused {
        /// The pool.
        handle: PoolHandle,
        /// The element.
        id: ElementId,
        /// The association.
        assoc: AssocKey,
        /// What it was told.
        cause: CauseCode,
        /// What is meant by it.
        why: &'static str,
    },
    /// An element is suspected to be dead and asked.
    Suspected {
        /// The pool.
        handle: PoolHandle,
        /// The element.
        id: ElementId,
        /// What the suspicion rests on.
        why: &'static str,
    },
    /// An element is gone.
    Removed {
        /// The pool.
        handle: PoolHandle,
        /// The element.
        id: ElementId,
        /// Why.
        why: RemovalReason,
        /// Whether the pool is gone with it.
        pool_gone: bool,
    },
    /// A handle was resolved.
    Resolved {
        /// The pool.
        handle: PoolHandle,
        /// Who asked.
        assoc: AssocKey,
        /// How many elements were named; none if the pool is unknown.
        elements: usize,
    },
    /// A message was not understood.
    Malformed {
        /// Who sent it.
        assoc: AssocKey,
        /// What is wrong.
        error: DecodeError,
    },
    /// A message with a payload protocol identifier other than ASAP's was ignored.
    WrongProtocol {
        /// Who sent it.
        assoc: AssocKey,
        /// The identifier.
        ppid: u32,
    },
    /// A client reported an error.
    RemoteError {
        /// The client.
        assoc: AssocKey,
        /// What it said.
        error: OperationError,
    },
    /// A limit took effect.
    Limited {
        /// The association.
        assoc: AssocKey,
        /// Which limit.
        what: RefusalReason,
    },
    /// Somebody is not let in, or not heard.
    Denied {
        /// The association, if there was one.
        assoc: Option<AssocKey>,
        /// Where he is.
        addr: IpAddr,
        /// Why.
        why: RefusalReason,
    },
    /// So many events of this reason were left out since the last one.
    Unsaid {
        /// The reason.
        why: RefusalReason,
        /// How many.
        count: u64,
    },
    /// Something among registrars.
    Enrp(EnrpEvent),
}

impl fmt::Display for RegistrarEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { assoc, peer } => {
                write!(f, "association {assoc} up, peer")?;
                peer.iter().try_for_each(|p| write!(f, " {p}"))
            }
            Self::Disconnected { assoc, elements } => write!(f, "association {assoc} gone, {elements} elements on it"),
            Self::Registered { handle, id, assoc, new_pool } => {
                let new = if *new_pool { ", a new pool" } else { "" };
                write!(f, "PE {id} registered in \"{handle}\"{new} (association {assoc})")
            }
            Self::Renewed { handle, id, assoc } => write!(f, "PE {id} renewed in \"{handle}\" (association {assoc})"),
            Self::Refused { handle, id, assoc, cause, why } => {
                write!(f, "PE {id} of \"{handle}\" refused: {cause}: {why} (association {assoc})")
            }
            Self::Suspected { handle, id, why } => write!(f, "PE {id} of \"{handle}\" suspected: {why}"),
            Self::Removed { handle, id, why, pool_gone } => {
                let gone = if *pool_gone { ", and with it the pool" } else { "" };
                write!(f, "PE {id} removed from \"{handle}\": {why}{gone}")
            }
            Self::Resolved { handle, assoc, elements } => write!(f, "\"{handle}\" resolved to {elements} (association {assoc})"),
            Self::Malformed { assoc, error } => write!(f, "malformed message: {error} (association {assoc})"),
            Self::WrongProtocol { assoc, ppid } => write!(f, "message with PPID {ppid} ignored (association {assoc})"),
            Self::RemoteError { assoc, error } => write!(f, "error reported: {error} (association {assoc})"),
            Self::Limited { assoc, what } => write!(f, "limit: {what} (association {assoc})"),
            Self::Denied { addr, why, .. } => write!(f, "{addr} denied: {why}"),
            Self::Unsaid { why, count } => write!(f, "{count} more: {why}"),
            Self::Enrp(event) => event.fmt(f),
        }
    }
}

impl From<EnrpEvent> for RegistrarEvent {
    fn from(event: EnrpEvent) -> Self {
        Self::Enrp(event)
    }
}
