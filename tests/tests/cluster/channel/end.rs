//! One end of an association.

use std::collections::VecDeque;

use bytes::Bytes;
use rserpool::asap::LinkId;
use rserpool::registrar::{AssocKey, ConnectToken};
use sctp_user::Time;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct EndId(pub(super) u64);

/// What the host calls it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Name {
    Assoc(AssocKey),
    Link(LinkId),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    Connecting,
    Up,
    /// A shutdown was asked for.
    Closing,
}

/// What the other end does, as SCTP would find out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Peer {
    Answers,
    /// Its machine says that there is no such association any more.
    Denies,
    Silent,
}

/// The two ports and hosts of an association, as one end sees them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place {
    pub(super) host: usize,
    pub(super) port: u16,
    pub(super) peer: usize,
    pub(super) peer_port: u16,
}

impl Place {
    pub(super) const fn turned(self) -> Self {
        Self { host: self.peer, port: self.peer_port, peer: self.host, peer_port: self.port }
    }
}

/// What travels in order from one end to the other.
#[derive(Clone, Debug)]
pub(super) enum Chunk {
    Data { ppid: u32, sid: u16, bytes: Bytes },
    Shutdown,
}

impl Chunk {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Data { bytes, .. } => bytes.len(),
            Self::Shutdown => 0,
        }
    }
}

#[derive(Debug)]
pub(super) struct End {
    pub(super) place: Place,
    pub(super) name: Name,
    pub(super) token: Option<ConnectToken>,
    pub(super) phase: Phase,
    /// The other end, once it is known.
    pub(super) other: Option<EndId>,
    pub(super) peer: Peer,
    /// Counts the changes of [`End::peer`]: a timer of an earlier one is void.
    pub(super) epoch: u64,
    /// When the last chunk that was sent arrives.
    pub(super) last_arrival: Time,
    /// Chunks that cannot travel at present.
    pub(super) stalled: VecDeque<Chunk>,
}
