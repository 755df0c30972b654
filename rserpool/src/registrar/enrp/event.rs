//! What happens among registrars, for logs and statistics.

use core::fmt;
use std::net::SocketAddr;

use crate::wire::{ElementId, PoolHandle, RegistrarId};

/// Something among registrars that is worth a line in a log.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum EnrpEvent {
    /// Another registrar is there.
    PeerFound {
        /// Its identifier.
        id: RegistrarId,
        /// Where it is.
        at: Option<SocketAddr>,
    },
    /// Another registrar does not answer, or cannot be reached.
    PeerLost {
        /// Its identifier.
        id: RegistrarId,
        /// How many elements had their home there.
        elements: usize,
    },
    /// Start-up is over.
    Serving {
        /// How many peers are known.
        peers: usize,
        /// How many elements.
        elements: usize,
    },
    /// A peer asked for the handlespace.
    TableRequested {
        /// The peer.
        id: RegistrarId,
        /// Whether only for what is ours.
        own_only: bool,
        /// Whether it was refused.
        reject: bool,
    },
    /// A peer refused its table, or did not come to an end with it.
    TableRefused {
        /// The peer.
        id: RegistrarId,
    },
    /// A peer's table has arrived.
    Synchronised {
        /// The peer.
        id: RegistrarId,
        /// How many elements it held.
        elements: usize,
        /// How many were removed because it did not hold them.
        removed: usize,
    },
    /// A peer owns something else than we think, as its checksum says.
    Mismatch {
        /// The peer.
        id: RegistrarId,
        /// Its checksum.
        theirs: u16,
        /// Ours of what it owns.
        ours: u16,
        /// Whether its table did not help before: it is not asked again so soon.
        lasting: bool,
    },
    /// What a peer said of an element was not taken in.
    Ignored {
        /// The peer.
        from: RegistrarId,
        /// The pool.
        handle: PoolHandle,
        /// The element.
        id: ElementId,
        /// Why.
        why: &'static str,
    },
    /// A takeover has begun: the peers are asked to agree.
    TakeoverBegun {
        /// The dead registrar.
        target: RegistrarId,
        /// How many peers are asked.
        peers: usize,
    },
    /// A takeover of ours has ended without success.
    TakeoverLost {
        /// The registrar that seemed dead.
        target: RegistrarId,
        /// Why.
        why: &'static str,
    },
    /// A registrar's elements have a new home.
    TakenOver {
        /// The dead registrar.
        target: RegistrarId,
        /// Who is the new home.
        by: RegistrarId,
        /// How many elements that are.
        elements: usize,
    },
    /// A peer thinks that we are dead; it was told otherwise.
    Suspecting {
        /// The peer.
        by: RegistrarId,
    },
    /// An element has acknowledged that we are its home.
    Adopted {
        /// The pool.
        handle: PoolHandle,
        /// The element.
        id: ElementId,
    },
    /// An element of ours is another registrar's now.
    Moved {
        /// The pool.
        handle: PoolHandle,
        /// The element.
        id: ElementId,
        /// Its home.
        to: RegistrarId,
    },
    /// Another registrar has our identifier.
    DuplicateId {
        /// The identifier.
        id: RegistrarId,
        /// Ours from now on, if we gave way.
        new: Option<RegistrarId>,
    },
}

impl fmt::Display for EnrpEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerFound { id, at: Some(at) } => write!(f, "registrar {id} found at {at}"),
            Self::PeerFound { id, at: None } => write!(f, "registrar {id} found"),
            Self::PeerLost { id, elements } => write!(f, "registrar {id} lost, the home of {elements} elements"),
            Self::Serving { peers, elements } => write!(f, "serving, with {peers} peers and {elements} elements"),
            Self::TableRequested { id, own_only, reject } => {
                let what = if *own_only { "our elements" } else { "the handlespace" };
                write!(f, "registrar {id} asks for {what}{}", if *reject { ": refused" } else { "" })
            }
            Self::TableRefused { id } => write!(f, "registrar {id} refused its table, or does not come to an end with it"),
            Self::Synchronised { id, elements, removed } => {
                write!(f, "synchronised with registrar {id}: {elements} elements in its table, {removed} removed")
            }
            Self::Mismatch { id, theirs, ours, lasting } => {
                let lasting = if *lasting { ", as before its last table: it is left alone for a while" } else { "" };
                write!(f, "registrar {id} owns something else than we think: checksum {theirs:#06x}, ours {ours:#06x}{lasting}")
            }
            Self::Ignored { from, handle, id, why } => {
                write!(f, "PE {id} of \"{handle}\" not taken from registrar {from}: {why}")
            }
            Self::TakeoverBegun { target, peers } => write!(f, "takeover of registrar {target} begun, {peers} peers asked"),
            Self::TakeoverLost { target, why } => write!(f, "takeover of registrar {target} ended: {why}"),
            Self::TakenOver { target, by, elements } => {
                write!(f, "registrar {target} taken over by {by}, with {elements} elements")
            }
            Self::Suspecting { by } => write!(f, "registrar {by} thinks that we are dead"),
            Self::Adopted { handle, id } => write!(f, "PE {id} of \"{handle}\" has its home here now"),
            Self::Moved { handle, id, to } => write!(f, "PE {id} of \"{handle}\" has its home at registrar {to} now"),
            Self::DuplicateId { id, new: Some(new) } => write!(f, "another registrar has our identifier {id}: ours is {new} now"),
            Self::DuplicateId { id, new: None } => write!(f, "another registrar has our identifier {id}"),
        }
    }
}
