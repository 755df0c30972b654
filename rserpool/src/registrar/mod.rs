//! The registrar (RFC 5352 calls it an ENRP server), without sockets and clock: it is told what happens
//! ([`Registrar::handle`], [`Registrar::handle_timeout`]) and tells what to do ([`Registrar::poll_output`]).
//!
//! ```mermaid
//! flowchart LR
//!   msg[message] --> decode{decoded?}
//!   decode -- no --> error[ASAP Error]
//!   decode -- yes --> reg[registration] & res[resolution] & rep[unreachable report] & ack[keep-alive ack]
//!   reg --> space[(handlespace)]
//!   res --> space
//!   rep & timer[timer] & loss[association lost] --> watch[keep-alive] --> space
//!   ack --> watch
//! ```
//!
//! | file | does |
//! | --- | --- |
//! | `registration.rs` | registration, deregistration, the life's end |
//! | `resolution.rs` | handle resolution |
//! | `subscription.rs` | updates for those who want to know when a pool changes |
//! | `watch.rs` | keep-alives, unreachable reports, lost associations: whether an element is alive |
//! | `changes.rs` | who is told of changes |
//! | `announce.rs` | announces, and hearing those of others |
//! | `client.rs` | one association: addresses, rate limit, requests that wait |
//! | `access.rs`, `prefix.rs` | who may do what, by address prefix |
//! | `throttle.rs` | how often each address prefix may do it |
//! | `refusal.rs`, `statistics.rs` | what is refused is counted and logged; what else is counted |
//!
//! The other half are the registrars among each other (RFC 5353): [`enrp`].
//!
//! Everything that a client can make grow has a limit: pools and elements ([`Limits`](crate::handlespace::Limits)),
//! associations and elements on each and of each address prefix, the rate of requests of each association and of each
//! address prefix, requests that wait for an earlier one's answer, reports per element, subscriptions. Each input leads to a
//! bounded number of outputs.

pub mod access;
mod announce;
mod changes;
mod client;
pub mod config;
mod distance;
pub mod enrp;
mod io;
mod prefix;
mod refusal;
mod registration;
mod resolution;
mod statistics;
mod subscription;
mod throttle;
mod watch;

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use sctp_user::net::canonical;
use sctp_user::stack::deadline::DeadlineSet;
use sctp_user::{Entropy, Time};

use self::client::{Client, is_of_host};
use self::config::RegistrarConfig;
use self::subscription::Subscriptions;
use self::throttle::{Request, Throttle};
use self::watch::Watched;
use crate::handlespace::{self, ElementKey, Handlespace};
use crate::wire::{ASAP_PPID, AsapMessage, CauseCode, DecodeError, EncodeOptions, ErrorCause, OperationError, RegistrarId};

pub use self::io::{AssocKey, CloseHow, ConnectToken, Input, Output, RegistrarEvent, RemovalReason, Service};
pub use self::prefix::{Prefix, PrefixError};
pub use self::refusal::RefusalReason;
pub use self::statistics::Statistics;

/// What a timer is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Timer {
    Announce,
    /// An association without elements may have been idle for too long.
    Idle(AssocKey),
    /// Something among registrars.
    Enrp(enrp::EnrpTimer),
}

/// What the associations of one address prefix have together.
#[derive(Clone, Copy, Default, Debug)]
struct Peer {
    associations: usize,
    elements: usize,
}

/// A registrar.
#[derive(Debug)]
pub struct Registrar {
    cfg: RegistrarConfig,
    id: RegistrarId,
    entropy: Box<dyn Entropy>,
    space: Handlespace,
    /// All associations, at most [`RegistrarConfig::max_associations`].
    clients: BTreeMap<AssocKey, Client>,
    /// The latest association with a peer at this address and port.
    places: BTreeMap<SocketAddr, AssocKey>,
    /// How many associations are to other hosts.
    remote_clients: usize,
    /// What the associations of each address prefix have together; a prefix without any has no entry.
    peers: BTreeMap<Prefix, Peer>,
    throttle: Throttle,
    subscriptions: Subscriptions,
    log: refusal::LogLimit,
    stats: Statistics,
    /// The elements whose home this registrar is.
    watched: BTreeMap<ElementKey, Watched>,
    /// Associations being opened, to ask elements over them; at most one per element.
    reaching: watch::Reaching,
    timers: DeadlineSet<Timer>,
    heard: announce::Heard,
    local: Vec<IpAddr>,
    /// The other registrars.
    enrp: enrp::Enrp,
    /// How many associations with other registrars are to other hosts.
    remote_peers: usize,
    stopping: bool,
    outputs: VecDeque<Output>,
    /// Associations that waited for the fate of an element, and whether it lives; at most one each. Served one after the other,
    /// since serving one may decide the next: a chain of them must not become a chain of calls.
    resumptions: VecDeque<(AssocKey, bool)>,
}

impl Registrar {
    /// A registrar with an empty handlespace. It draws its identifier if the configuration has none.
    #[must_use]
    pub fn new(cfg: RegistrarConfig, mut entropy: Box<dyn Entropy>) -> Self {
        let mut id = cfg.id;
        while id.is_undefined() {
            id = RegistrarId(entropy.u32());
        }
        let mut timers = DeadlineSet::default();
        let enrp = enrp::Enrp::new(&cfg.enrp);
        if !enrp.is_serving() {
            timers.set(Timer::Enrp(enrp::EnrpTimer::Start), Some(Time::ZERO));
        } else if !cfg.announce.targets.is_empty() {
            timers.set(Timer::Announce, Some(Time::ZERO));
        }
        let config = handlespace::Config { limits: cfg.limits, life_unit: cfg.life_unit, policies: cfg.policies.clone() };
        let space = Handlespace::new(config, entropy.as_mut());
        Self {
            id,
            entropy,
            space,
            clients: BTreeMap::new(),
            places: BTreeMap::new(),
            remote_clients: 0,
            peers: BTreeMap::new(),
            throttle: Throttle::new(cfg.rates.max_prefixes),
            subscriptions: Subscriptions::default(),
            log: refusal::LogLimit::default(),
            stats: Statistics::default(),
            watched: BTreeMap::new(),
            reaching: watch::Reaching::default(),
            timers,
            heard: announce::Heard::default(),
            local: Vec::new(),
            enrp,
            remote_peers: 0,
            stopping: false,
            outputs: VecDeque::new(),
            resumptions: VecDeque::new(),
            cfg,
        }
    }

    /// Takes notice of something.
    pub fn handle(&mut self, now: Time, input: Input<'_>) {
        match input {
            Input::Connected { assoc, token, peer, service: Service::Asap } => self.connected(now, assoc, token, peer),
            Input::Connected { assoc, token, peer, service: Service::Enrp } => self.enrp_connected(now, assoc, token, peer),
            Input::Restarted { assoc } if self.enrp.has_link(assoc) => self.enrp_restarted(now, assoc),
            Input::Restarted { assoc } => self.restarted(now, assoc),
            Input::Lost { assoc, .. } if self.enrp.has_link(assoc) => self.enrp_lost(now, assoc),
            Input::Lost { assoc, aborted } => self.lost(now, assoc, aborted),
            Input::Message { assoc, ppid, bytes, .. } if self.enrp.has_link(assoc) => self.enrp_message(now, assoc, ppid, bytes),
            Input::Message { assoc, ppid, bytes, .. } => self.message(now, assoc, ppid, bytes),
            Input::PathRtt { assoc, rtt } => self.path_rtt(assoc, rtt),
            Input::ConnectFailed { token } => {
                if !self.enrp_token_failed(now, token) {
                    self.connect_failed(now, token);
                }
            }
            Input::Datagram { service, src, bytes } => self.datagram(now, service, src, bytes),
            Input::Addresses(addrs) => self.addresses(addrs),
        }
        self.run_resumptions(now);
    }

    /// The time of [`Registrar::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(key) = self.space.pop_expired(now) {
            self.life_expired(now, key);
        }
        // Ends, for what is served is set to a later time or, an element out of time, removed the next time round.
        while let Some(key) = self.space.pop_due(now) {
            self.watch_timeout(now, key);
        }
        while let Some(timer) = self.timers.pop_expired(now) {
            match timer {
                Timer::Announce => self.announce(now),
                Timer::Idle(assoc) => self.check_idle(now, assoc),
                Timer::Enrp(timer) => self.enrp_timeout(now, timer),
            }
        }
        self.run_resumptions(now);
        self.update_subscribers(now);
    }

    fn run_resumptions(&mut self, now: Time) {
        while let Some((assoc, holder_lives)) = self.resumptions.pop_front() {
            self.resume(now, assoc, holder_lives);
        }
    }

    /// The next thing to be done; to be asked until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Registrar::handle_timeout`] wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        [self.timers.next(), self.space.next_due(), self.space.next_expiry(), self.subscriptions.next()].into_iter().flatten().min()
    }

    /// Shuts all associations down: the registrar goes, its elements find another one. It announces itself no more, takes no
    /// associations and looks for nobody.
    pub fn stop(&mut self) {
        self.stopping = true;
        self.timers.set(Timer::Announce, None);
        self.enrp_stop();
        let all: Vec<AssocKey> = self.clients.keys().copied().collect();
        for assoc in all {
            self.outputs.push_back(Output::Close { assoc, how: CloseHow::Shutdown });
        }
    }

    /// Its identifier.
    #[must_use]
    pub const fn id(&self) -> RegistrarId {
        self.id
    }

    /// The handlespace, to look at.
    #[must_use]
    pub const fn handlespace(&self) -> &Handlespace {
        &self.space
    }

    /// How many associations there are.
    #[must_use]
    pub fn association_count(&self) -> usize {
        self.clients.len()
    }

    /// What was counted since the start, and how much there is now.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics {
            pools: self.space.pool_count(),
            elements: self.space.element_count(),
            associations: self.clients.len(),
            subscriptions: self.subscriptions.count(),
            prefixes: self.throttle.len(),
            ..self.stats
        }
    }

    /// The host's addresses changed: who is on this host and who is not may have changed with them.
    fn addresses(&mut self, addrs: &[IpAddr]) {
        self.local = addrs.iter().copied().map(canonical).collect();
        for client in self.clients.values_mut() {
            client.on_this_host = is_of_host(&client.addrs, &self.local);
        }
        self.remote_clients = self.clients.values().filter(|c| !c.on_this_host).count();
        self.enrp_addresses();
    }

    fn connected(&mut self, now: Time, assoc: AssocKey, token: Option<ConnectToken>, peer: &[SocketAddr]) {
        if self.clients.contains_key(&assoc) {
            return;
        }
        let addr = peer.first().map_or(IpAddr::from([0; 4]), |p| canonical(p.ip()));
        if let Err(why) = self.admit_association(now, addr, token.is_some()) {
            if let Some(why) = why {
                self.refused(now, why, RegistrarEvent::Denied { assoc: Some(assoc), addr, why });
            }
            self.outputs.push_back(Output::Close { assoc, how: CloseHow::Abort });
            if let Some(token) = token {
                self.connect_failed(now, token);
            }
            return;
        }
        let client = Client::new(now, peer, &self.local, self.cfg.rates.prefix(addr));
        self.peers.entry(client.prefix).or_default().associations += 1;
        self.remote_clients += usize::from(!client.on_this_host);
        self.places.extend(client.places().map(|place| (place, assoc)));
        self.clients.insert(assoc, client);
        self.event(RegistrarEvent::Connected { assoc, peer: peer.to_vec() });
        self.arm_idle(now, assoc);
        self.reached_anew(now, assoc, token);
    }

    /// Whether an association with this address may be; otherwise why not, unless the registrar stops. Those that we open
    /// ourselves do not count as opened too fast.
    fn admit_association(&mut self, now: Time, addr: IpAddr, ours: bool) -> Result<(), Option<RefusalReason>> {
        let prefix = self.cfg.rates.prefix(addr);
        let of_peer = self.peers.get(&prefix).map_or(0, |p| p.associations);
        if self.stopping {
            Err(None)
        } else if !self.cfg.access.allows_client(addr) {
            Err(Some(RefusalReason::UserNotAllowed))
        } else if self.clients.len() >= self.cfg.max_associations {
            Err(Some(RefusalReason::Associations))
        } else if of_peer >= self.cfg.max_associations_per_peer {
            Err(Some(RefusalReason::PeerAssociations))
        } else if !ours && !self.throttle.take(now, prefix, Request::Association, &self.cfg.rates) {
            Err(Some(RefusalReason::AssociationRate))
        } else {
            Ok(())
        }
    }

    /// A datagram to the multicast group of a service. Anybody can send one: other registrars are heard if they are
    /// allowed, and not too fast.
    fn datagram(&mut self, now: Time, service: Service, src: SocketAddr, bytes: &[u8]) {
        let addr = canonical(src.ip());
        let why = if !self.cfg.access.allows_registrar(addr) {
            RefusalReason::RegistrarNotAllowed
        } else if !self.throttle.take(now, self.cfg.rates.prefix(addr), Request::Announce, &self.cfg.rates) {
            RefusalReason::AnnounceRate
        } else {
            return match service {
                Service::Asap => self.announce_heard(now, bytes),
                Service::Enrp => self.presence_heard(now, src, bytes),
            };
        };
        self.refused(now, why, RegistrarEvent::Denied { assoc: None, addr, why });
    }

    /// Forgets an association; what was registered over it is the caller's business.
    fn forget(&mut self, assoc: AssocKey) -> Option<Client> {
        let client = self.clients.remove(&assoc)?;
        self.remote_clients -= usize::from(!client.on_this_host);
        for place in client.places() {
            if self.places.get(&place) == Some(&assoc) {
                self.places.remove(&place);
            }
        }
        if let Some(peer) = self.peers.get_mut(&client.prefix) {
            peer.associations -= 1;
            peer.elements -= client.elements.len();
            if peer.associations == 0 {
                self.peers.remove(&client.prefix);
            }
        }
        self.subscriptions.forget(assoc);
        self.timers.set(Timer::Idle(assoc), None);
        if let Some((handle, info)) = &client.blocked {
            self.withdraw_contender(assoc, handle, info.id);
        }
        self.event(RegistrarEvent::Disconnected { assoc, elements: client.elements.len() });
        Some(client)
    }

    fn message(&mut self, now: Time, assoc: AssocKey, ppid: u32, bytes: &[u8]) {
        let Some(client) = self.clients.get_mut(&assoc) else { return };
        client.last_heard = now;
        if ppid != ASAP_PPID {
            self.refused(now, RefusalReason::WrongProtocol, RegistrarEvent::WrongProtocol { assoc, ppid });
            return;
        }
        // Answers keep the order of the requests. What needs no answer and tells that an element lives does not wait.
        if client.blocked.is_some() && bytes.first() != Some(&AsapMessage::KEEP_ALIVE_ACK) {
            if !client.enqueue(bytes) {
                self.limited(now, assoc, RefusalReason::Waiting);
                self.outputs.push_back(Output::Close { assoc, how: CloseHow::Abort });
                self.lost(now, assoc, false);
            }
            return;
        }
        self.serve(now, assoc, bytes);
    }

    fn serve(&mut self, now: Time, assoc: AssocKey, bytes: &[u8]) {
        // An acknowledgement was asked for by us: it never counts as too much.
        let request = Request::of_message(bytes.first());
        let excess = request.and_then(|r| self.excess(now, assoc, r));
        match (AsapMessage::decode(bytes), excess) {
            (Ok(decoded), None) => {
                self.dispatch(now, assoc, decoded.message);
                for data in decoded.reports {
                    self.report(now, assoc, ErrorCause { code: CauseCode::UNRECOGNIZED_PARAMETER, data }.into());
                }
            }
            (Ok(decoded), Some(why)) => self.over_rate(now, assoc, decoded.message, why),
            (Err(error), excess) => self.malformed(now, assoc, bytes, error, excess),
        }
    }

    /// Whether a request is one too many, for its association or for its peer's address prefix.
    fn excess(&mut self, now: Time, assoc: AssocKey, request: Request) -> Option<RefusalReason> {
        let client = self.clients.get_mut(&assoc)?;
        if !client.admit(now, self.cfg.rate) {
            return Some(RefusalReason::MessageRate);
        }
        let admitted = self.throttle.take(now, client.prefix, request, &self.cfg.rates);
        (!admitted).then_some(match request {
            Request::Registration => RefusalReason::RegistrationRate,
            Request::Resolution => RefusalReason::ResolutionRate,
            Request::Report => RefusalReason::ReportRate,
            Request::Announce => RefusalReason::AnnounceRate,
            Request::Association => RefusalReason::AssociationRate,
            Request::Error => RefusalReason::ErrorRate,
        })
    }

    fn dispatch(&mut self, now: Time, assoc: AssocKey, message: AsapMessage) {
        match message {
            AsapMessage::Registration { handle, element } => self.register(now, assoc, handle, element),
            AsapMessage::Deregistration { handle, id } => self.deregister(now, assoc, handle, id),
            AsapMessage::HandleResolution { handle, items, subscribe } => self.resolve(now, assoc, handle, items, subscribe),
            AsapMessage::KeepAliveAck { handle, id } => self.acknowledged(now, assoc, &handle, id),
            AsapMessage::Unreachable { handle, id } => self.reported(now, assoc, &handle, id),
            AsapMessage::Error(error) => {
                self.stats.errors_received += 1;
                self.refused(now, RefusalReason::RemoteError, RegistrarEvent::RemoteError { assoc, error });
            }
            // What a registrar sends itself, or elements and users among each other.
            _ => self.stats.ignored += 1,
        }
    }

    /// A request beyond a rate is refused: for lack of resources, unless the configuration wants RSPLIB's "unknown pool
    /// handle" for a resolution, which makes a user drop the pool.
    fn over_rate(&mut self, now: Time, assoc: AssocKey, message: AsapMessage, why: RefusalReason) {
        self.limited(now, assoc, why);
        let error = || Some(CauseCode::LACK_OF_RESOURCES.into());
        let answer = match message {
            AsapMessage::Registration { handle, element } => {
                AsapMessage::RegistrationResponse { reject: true, handle, id: element.id, error: error() }
            }
            AsapMessage::Deregistration { handle, id } => AsapMessage::DeregistrationResponse { handle, id, error: error() },
            AsapMessage::HandleResolution { handle, .. } => resolution::refusal(handle, self.cfg.limit_cause),
            _ => return,
        };
        self.send(now, assoc, &answer);
    }

    fn malformed(&mut self, now: Time, assoc: AssocKey, bytes: &[u8], error: DecodeError, excess: Option<RefusalReason>) {
        if let Some(why) = excess {
            self.limited(now, assoc, why);
            return;
        }
        self.refused(now, RefusalReason::Malformed, RegistrarEvent::Malformed { assoc, error });
        // No error is answered by an error: two that do not understand each other would never fall silent.
        if bytes.first() != Some(&AsapMessage::ERROR)
            && let Some(report) = error.to_report(bytes)
        {
            self.report(now, assoc, report);
        }
    }

    fn report(&mut self, now: Time, assoc: AssocKey, error: OperationError) {
        self.stats.errors_sent += 1;
        self.send(now, assoc, &AsapMessage::Error(error));
    }

    fn send(&mut self, now: Time, assoc: AssocKey, message: &AsapMessage) {
        let options = EncodeOptions { count_padding: self.cfg.count_padding };
        match message.encode(options) {
            // RSPLIB expects everything on stream 0.
            Ok(bytes) => self.outputs.push_back(Output::Send { assoc, ppid: ASAP_PPID, sid: 0, bytes: Bytes::from(bytes) }),
            Err(_) => self.limited(now, assoc, RefusalReason::Length),
        }
    }

    fn limited(&mut self, now: Time, assoc: AssocKey, what: RefusalReason) {
        self.refused(now, what, RegistrarEvent::Limited { assoc, what });
    }

    fn event(&mut self, event: impl Into<RegistrarEvent>) {
        self.outputs.push_back(Output::Event(event.into()));
    }

    /// Starts, or continues, to count how long an association has been of no use.
    fn arm_idle(&mut self, since: Time, assoc: AssocKey) {
        if let Some(timeout) = self.cfg.idle_timeout {
            self.timers.set(Timer::Idle(assoc), Some(since + timeout));
        }
    }

    fn check_idle(&mut self, now: Time, assoc: AssocKey) {
        let (Some(client), Some(timeout)) = (self.clients.get(&assoc), self.cfg.idle_timeout) else { return };
        let useless = client.elements.is_empty() && !self.subscriptions.has(assoc);
        let since = if useless { client.last_heard } else { now };
        if now.saturating_since(since) < timeout {
            self.arm_idle(since, assoc);
        } else {
            // It is forgotten when the shutdown is through, or has failed.
            self.outputs.push_back(Output::Close { assoc, how: CloseHow::Shutdown });
        }
    }

    /// `d`, spread evenly by so many thousandths of it to both sides.
    fn spread(&mut self, d: Duration, permille: u32) -> Duration {
        let half = d / 1000 * permille;
        let width = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX / 2).saturating_mul(2);
        d.saturating_sub(half).saturating_add(Duration::from_nanos(self.entropy.below(width)))
    }
}
