//! The registrars among each other (RFC 5353).
//!
//! | file | does |
//! | --- | --- |
//! | `peers.rs` | the peer list |
//! | `links.rs` | associations with peers: opened, lost, messages over them |
//! | `presence.rs` | telling that we are there, hearing who else is, noticing who is no longer |
//! | `startup.rs` | the mentor, and what is asked of it |
//! | `table.rs` | answers to requests for the handlespace and for the peer list |
//! | `audit.rs` | comparing checksums, and putting right what differs |
//! | `update.rs` | what changes at home is told to the peers, and what they tell |
//! | `takeover.rs` | a dead peer's elements find a new home |
//! | `claims.rs` | who is an element's home if two say that they are: the element decides |
//! | `identity.rs` | two registrars with one identifier |
//!
//! What must never happen is that registrars fight over an element, or that each thinks the other one owns it. An
//! element has one home association. A registrar over whose association it registered, or acknowledged a keep-alive with
//! the H flag, *holds* it. Whoever claims an element that another holds makes that one ask the element; what the element
//! answers, or that its association is gone, decides. See `claims.rs`.

mod audit;
mod claims;
pub mod config;
mod event;
mod identity;
mod links;
mod peers;
mod presence;
mod startup;
mod table;
mod takeover;
mod update;

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use sctp_user::Time;

pub(super) use self::claims::Tenure;
use self::config::EnrpConfig;
pub use self::event::EnrpEvent;
use self::links::{Contact, Link, Purpose};
use self::peers::Peers;
use self::startup::{Phase, Start};
use self::takeover::Acks;
use super::{AssocKey, ConnectToken, RefusalReason, Registrar, RegistrarEvent, Timer};
use crate::handlespace::ElementKey;
use crate::wire::{EnrpMessage, RegistrarId, Scope, UpdateAction};

/// What a timer of ours is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum EnrpTimer {
    /// Work begins; later, the time to find a mentor is over.
    Start,
    /// The mentor has not answered.
    Mentor,
    /// The next presence.
    Heartbeat,
    /// A peer was silent, does not answer, or is not taken over by anybody.
    Peer(RegistrarId),
    /// A table transfer to us does not go on.
    Sync(RegistrarId),
    /// Elements wait to be asked whose they are.
    Ask,
}

/// What a registrar knows of the others.
#[derive(Debug)]
pub(super) struct Enrp {
    phase: Phase,
    peers: Peers,
    /// Associations at the ENRP port, at most twice as many as peers.
    links: BTreeMap<AssocKey, Link>,
    /// Associations being opened, and to whom.
    connects: BTreeMap<ConnectToken, Purpose>,
    next_token: u64,
    /// The configured peers.
    contacts: Vec<Contact>,
    /// The takeovers that we are at, with those who have not acknowledged; for each a peer in state `TakingOver`.
    takeovers: BTreeMap<RegistrarId, Acks>,
    /// When we last objected to being taken over.
    objected: Option<Time>,
    /// When we last took a new identifier.
    renumbered: Option<Time>,
    /// Elements to be asked whether we are their home.
    questions: claims::Queue,
}

impl Enrp {
    pub(super) fn new(cfg: &EnrpConfig) -> Self {
        Self {
            phase: if cfg.targets.is_empty() && cfg.peers.is_empty() { Phase::Serving } else { Phase::Starting(Start::default()) },
            peers: Peers::new(cfg.max_peers),
            links: BTreeMap::new(),
            connects: BTreeMap::new(),
            next_token: 0,
            contacts: cfg.peers.iter().map(|addrs| Contact::new(addrs.clone())).collect(),
            takeovers: BTreeMap::new(),
            objected: None,
            renumbered: None,
            questions: claims::Queue::new(),
        }
    }

    /// Whether the handlespace is complete, as far as can be known: the registrar may be found.
    pub(super) const fn is_serving(&self) -> bool {
        matches!(self.phase, Phase::Serving)
    }

    /// Whom updates go to, and what addresses are of use there: also peers that seem dead but have an association with us.
    fn told(&self) -> Vec<(RegistrarId, Scope)> {
        self.peers.iter().filter(|(_, p)| p.is_active() || p.link.is_some()).map(|(id, _)| (id, self.reach_of(id))).collect()
    }

    fn reach_of(&self, id: RegistrarId) -> Scope {
        let link = self.peers.get(id).and_then(|p| p.link).and_then(|a| self.links.get(&a));
        link.map_or(Scope::SiteLocal, Link::reach)
    }

    pub(super) fn has_link(&self, assoc: AssocKey) -> bool {
        self.links.contains_key(&assoc)
    }

    /// Notes the round-trip time of an association with a registrar.
    pub(super) fn note_rtt(&mut self, assoc: AssocKey, rtt: Duration) {
        if let Some(link) = self.links.get_mut(&assoc) {
            link.rtt = Some(rtt);
        }
    }

    /// The round-trip time to a registrar, once measured.
    pub(super) fn rtt_to(&self, id: RegistrarId) -> Option<Duration> {
        self.links.values().filter(|link| link.peer == Some(id)).find_map(|link| link.rtt)
    }
}

/// How far heartbeats are spread to both sides: 12.5 %.
const SPREAD_PERMILLE: u32 = 125;

impl Registrar {
    pub(super) fn enrp_timeout(&mut self, now: Time, timer: EnrpTimer) {
        match timer {
            EnrpTimer::Start => self.start_timeout(now),
            EnrpTimer::Mentor => self.mentor_timeout(now),
            EnrpTimer::Heartbeat => self.heartbeat(now),
            EnrpTimer::Peer(id) => self.peer_timeout(now, id),
            EnrpTimer::Sync(id) => self.sync_timeout(now, id),
            EnrpTimer::Ask => self.ask_next(now),
        }
    }

    fn enrp_timer(&mut self, timer: EnrpTimer, at: Option<Time>) {
        self.timers.set(Timer::Enrp(timer), at);
    }

    fn enrp_timer_unless_set(&mut self, timer: EnrpTimer, at: Time) {
        if self.timers.get(&Timer::Enrp(timer)).is_none() {
            self.enrp_timer(timer, Some(at));
        }
    }

    /// A message from a peer. One that we know nothing of becomes known by it (RFC 5353 section 3.4.1).
    fn enrp_dispatch(&mut self, now: Time, assoc: AssocKey, message: EnrpMessage) {
        let sender = message.sender();
        let Some(is_new) = self.met(now, assoc, sender) else {
            if let EnrpMessage::HandleTableRequest { own_only, .. } = message {
                self.table_requested(now, assoc, sender, own_only, true);
            }
            return;
        };
        match message {
            EnrpMessage::Presence { reply_required, checksum, server, .. } => {
                self.located(assoc, sender, server.as_ref());
                if reply_required {
                    self.present(assoc, sender, false);
                }
                if let Some(checksum) = checksum {
                    self.audit(now, sender, checksum);
                }
            }
            EnrpMessage::HandleTableRequest { own_only, .. } => self.table_requested(now, assoc, sender, own_only, is_new),
            EnrpMessage::HandleTableResponse { reject, more, pools, .. } => self.table_arrived(now, sender, reject, more, pools),
            EnrpMessage::HandleUpdate { action: UpdateAction::Add, takeover_suggested, handle, element, .. } => {
                self.added(now, sender, &handle, element, takeover_suggested);
            }
            EnrpMessage::HandleUpdate { action: UpdateAction::Delete, handle, element, .. } => {
                self.deleted(now, sender, &handle, element.id);
            }
            EnrpMessage::ListRequest { .. } => self.list_requested(assoc, sender),
            EnrpMessage::ListResponse { reject, servers, .. } => self.list_arrived(now, sender, reject, &servers),
            EnrpMessage::InitTakeover { target, .. } => self.takeover_announced(now, assoc, sender, target),
            EnrpMessage::InitTakeoverAck { target, .. } => self.takeover_acknowledged(now, sender, target),
            EnrpMessage::TakeoverServer { target, .. } => self.taken_over(now, sender, target),
            EnrpMessage::Error { error, .. } => {
                self.stats.errors_received += 1;
                self.refused(now, RefusalReason::RemoteError, RegistrarEvent::RemoteError { assoc, error });
            }
        }
    }

    fn keys_owned_by(&self, owner: RegistrarId) -> Vec<ElementKey> {
        self.space.owned_by(owner).collect()
    }

    /// A random time of at most `d`.
    fn up_to(&mut self, d: Duration) -> Duration {
        Duration::from_nanos(self.entropy.below(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX).max(1)))
    }
}

/// The smallest of the addresses: one for events.
fn first(addrs: &[SocketAddr]) -> Option<SocketAddr> {
    addrs.iter().min().copied()
}
