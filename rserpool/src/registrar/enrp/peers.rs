//! The peer list (RFC 5353 section 3.4): who the other registrars are, where, and what is known of their state.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;
use sctp_user::Time;

use super::audit::{Audit, Sync};
use crate::registrar::{AssocKey, ConnectToken};
use crate::wire::{MAX_ADDRESSES, RegistrarId};

/// Most messages, and most bytes of them, that wait for the association with a peer. What does not fit is lost; the
/// comparison of checksums finds out.
const MAX_QUEUED: usize = 1024;
const MAX_QUEUED_BYTES: usize = 256 << 10;

/// Whether a peer lives, as far as we know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PeerState {
    /// It was heard lately.
    Active,
    /// It was silent for too long, or something speaks against it: it was asked, and answers by then or is dead.
    Asked { until: Time },
    /// "Not active" (RFC 5353 section 3.5.1): dead, and another registrar is at taking it over, or nobody yet. If it still
    /// owns elements by then, we try.
    Inactive { until: Time },
    /// We are at taking it over.
    TakingOver,
}

/// Another registrar.
#[derive(Debug)]
pub(super) struct Peer {
    /// Where it is reached, the port included; empty if it is only known as the home of elements.
    pub(super) addrs: Vec<SocketAddr>,
    /// The association on which we talk to it.
    pub(super) link: Option<AssocKey>,
    /// The association being opened to it.
    pub(super) connecting: Option<ConnectToken>,
    /// What is to be sent once it is up.
    queue: VecDeque<Bytes>,
    queued_bytes: usize,
    pub(super) last_heard: Time,
    pub(super) state: PeerState,
    /// Whether it was ever heard over an association. A datagram can be anybody's.
    pub(super) confirmed: bool,
    /// A table transfer from it to us.
    pub(super) sync: Option<Sync>,
    pub(super) audit: Audit,
    /// How many times we have tried to take it over.
    pub(super) rounds: u32,
}

impl Peer {
    fn new(now: Time, addrs: Vec<SocketAddr>) -> Self {
        Self {
            addrs,
            link: None,
            connecting: None,
            queue: VecDeque::new(),
            queued_bytes: 0,
            last_heard: now,
            state: PeerState::Active,
            confirmed: false,
            sync: None,
            audit: Audit::default(),
            rounds: 0,
        }
    }

    /// Whether it takes part in what the registrars tell each other.
    pub(super) const fn is_active(&self) -> bool {
        matches!(self.state, PeerState::Active | PeerState::Asked { .. })
    }

    /// Keeps a message until there is an association; what there is no room for is dropped.
    pub(super) fn enqueue(&mut self, bytes: &Bytes) {
        if self.queue.len() < MAX_QUEUED && self.queued_bytes.saturating_add(bytes.len()) <= MAX_QUEUED_BYTES {
            self.queued_bytes += bytes.len();
            self.queue.push_back(bytes.clone());
        }
    }

    /// What was kept, in order.
    pub(super) fn take_queue(&mut self) -> VecDeque<Bytes> {
        self.queued_bytes = 0;
        core::mem::take(&mut self.queue)
    }
}

/// The peers, by identifier; found by address as well.
#[derive(Debug)]
pub(super) struct Peers {
    by_id: BTreeMap<RegistrarId, Peer>,
    max: usize,
}

impl Peers {
    pub(super) const fn new(max: usize) -> Self {
        Self { by_id: BTreeMap::new(), max }
    }

    /// Adds a peer; `false` if there is no room. Of the room, what datagrams alone tell of gets a quarter.
    pub(super) fn add(&mut self, now: Time, id: RegistrarId, addrs: Vec<SocketAddr>, confirmed: bool) -> bool {
        let unconfirmed = || self.by_id.values().filter(|p| !p.confirmed).count();
        if self.by_id.len() >= self.max || (!confirmed && unconfirmed() >= self.max / 4) {
            return false;
        }
        let mut peer = Peer::new(now, addrs.into_iter().take(MAX_ADDRESSES).collect());
        peer.confirmed = confirmed;
        self.by_id.insert(id, peer);
        true
    }

    pub(super) fn get(&self, id: RegistrarId) -> Option<&Peer> {
        self.by_id.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: RegistrarId) -> Option<&mut Peer> {
        self.by_id.get_mut(&id)
    }

    pub(super) fn contains(&self, id: RegistrarId) -> bool {
        self.by_id.contains_key(&id)
    }

    pub(super) fn remove(&mut self, id: RegistrarId) -> Option<Peer> {
        self.by_id.remove(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (RegistrarId, &Peer)> {
        self.by_id.iter().map(|(id, peer)| (*id, peer))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (RegistrarId, &mut Peer)> {
        self.by_id.iter_mut().map(|(id, peer)| (*id, peer))
    }

    /// The peers that take part in what the registrars tell each other.
    pub(super) fn active(&self) -> Vec<RegistrarId> {
        self.iter().filter(|(_, p)| p.is_active()).map(|(id, _)| id).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The peers that are said to be at one of these addresses.
    pub(super) fn at(&self, addrs: &[SocketAddr]) -> Vec<RegistrarId> {
        self.iter().filter(|(_, p)| p.addrs.iter().any(|a| addrs.contains(a))).map(|(id, _)| id).collect()
    }
}
