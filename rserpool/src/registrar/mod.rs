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
//! | `watch.rs` | keep-alives, unreachable reports, lost associations: whether an element is alive |
//! | `changes.rs` | who is told of changes |
//! | `announce.rs` | announces, and hearing those of others |
//! | `client.rs` | one association: addresses, rate limit, requests that wait |
//!
//! A registrar that knows no peers serves at once. The table of peers, the synchronisation of the handlespace and the
//! takeover (RFC 5353) belong beside these files, and their port into [`RegistrarConfig`].
//!
//! Everything that a client can make grow has a limit: pools and elements ([`Limits`](crate::handlespace::Limits)),
//! associations and elements on each, the rate of requests, requests that wait for an earlier one's answer, reports per
//! element. Each input leads to a bounded number of outputs.

mod announce;
mod changes;
mod client;
pub mod config;
mod io;
mod registration;
mod resolution;
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
use self::watch::Watched;
use crate::handlespace::{self, ElementKey, Handlespace};
use crate::wire::{ASAP_PPID, AsapMessage, CauseCode, DecodeError, EncodeOptions, OperationError, RegistrarId};

pub use self::io::{AssocKey, CloseHow, ConnectToken, Input, Output, RegistrarEvent, RemovalReason, Service};

/// What a timer is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Timer {
    Announce,
    /// The next keep-alive, or the end of the time to answer it.
    Watch(ElementKey),
    /// An association without elements may have been idle for too long.
    Idle(AssocKey),
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
    /// The elements whose home this registrar is.
    watched: BTreeMap<ElementKey, Watched>,
    /// Associations being opened, to ask elements over them; at most one per element.
    reaching: watch::Reaching,
    timers: DeadlineSet<Timer>,
    heard: announce::Heard,
    local: Vec<IpAddr>,
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
        if !cfg.announce.targets.is_empty() {
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
            watched: BTreeMap::new(),
            reaching: watch::Reaching::default(),
            timers,
            heard: announce::Heard::default(),
            local: Vec::new(),
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
            Input::Connected { assoc, service: Service::Enrp, .. } => self.outputs.push_back(Output::Close { assoc, how: CloseHow::Abort }),
            Input::Restarted { assoc } => self.restarted(now, assoc),
            Input::Lost { assoc, aborted } => self.lost(now, assoc, aborted),
            Input::Message { assoc, ppid, bytes, .. } => self.message(now, assoc, ppid, bytes),
            Input::ConnectFailed { token } => self.connect_failed(now, token),
            Input::Datagram { service: Service::Asap, bytes, .. } => self.announce_heard(now, bytes),
            Input::Datagram { service: Service::Enrp, .. } => {}
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
        while let Some(timer) = self.timers.pop_expired(now) {
            match timer {
                Timer::Announce => self.announce(now),
                Timer::Watch(key) => self.watch_timeout(now, key),
                Timer::Idle(assoc) => self.check_idle(now, assoc),
            }
        }
        self.run_resumptions(now);
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
        [self.timers.next(), self.space.next_expiry()].into_iter().flatten().min()
    }

    /// Shuts all associations down: the registrar goes, its elements find another one. It announces itself no more, takes no
    /// associations and looks for nobody.
    pub fn stop(&mut self) {
        self.stopping = true;
        self.timers.set(Timer::Announce, None);
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

    /// The host's addresses changed: who is on this host and who is not may have changed with them.
    fn addresses(&mut self, addrs: &[IpAddr]) {
        self.local = addrs.iter().copied().map(canonical).collect();
        for client in self.clients.values_mut() {
            client.on_this_host = is_of_host(&client.addrs, &self.local);
        }
        self.remote_clients = self.clients.values().filter(|c| !c.on_this_host).count();
    }

    fn connected(&mut self, now: Time, assoc: AssocKey, token: Option<ConnectToken>, peer: &[SocketAddr]) {
        let full = self.clients.len() >= self.cfg.max_associations;
        if full || self.stopping || self.clients.contains_key(&assoc) || peer.is_empty() {
            self.event(RegistrarEvent::Limited { assoc, what: "associations" });
            self.outputs.push_back(Output::Close { assoc, how: CloseHow::Abort });
            if let Some(token) = token {
                self.connect_failed(now, token);
            }
            return;
        }
        let client = Client::new(now, peer, &self.local);
        self.remote_clients += usize::from(!client.on_this_host);
        self.places.extend(client.places().map(|place| (place, assoc)));
        self.clients.insert(assoc, client);
        self.event(RegistrarEvent::Connected { assoc, peer: peer.to_vec() });
        self.arm_idle(now, assoc);
        self.reached_anew(now, assoc, token);
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
            self.event(RegistrarEvent::WrongProtocol { assoc, ppid });
            return;
        }
        // Answers keep the order of the requests. What needs no answer and tells that an element lives does not wait.
        if client.blocked.is_some() && bytes.first() != Some(&AsapMessage::KEEP_ALIVE_ACK) {
            if !client.enqueue(bytes) {
                self.event(RegistrarEvent::Limited { assoc, what: "requests waiting" });
                self.outputs.push_back(Output::Close { assoc, how: CloseHow::Abort });
                self.lost(now, assoc, false);
            }
            return;
        }
        self.serve(now, assoc, bytes);
    }

    fn serve(&mut self, now: Time, assoc: AssocKey, bytes: &[u8]) {
        let rate = self.cfg.rate;
        let Some(client) = self.clients.get_mut(&assoc) else { return };
        let admitted = client.admit(now, rate);
        match AsapMessage::decode(bytes) {
            // An acknowledgement was asked for by us: it never counts as too much.
            Ok(decoded) if admitted || matches!(decoded.message, AsapMessage::KeepAliveAck { .. }) => {
                self.dispatch(now, assoc, decoded.message);
                for param in decoded.reports {
                    self.report(assoc, crate::wire::ErrorCause { code: CauseCode::UNRECOGNIZED_PARAMETER, data: param }.into());
                }
            }
            Ok(decoded) => self.over_rate(assoc, decoded.message),
            Err(error) => self.malformed(assoc, bytes, error, admitted),
        }
    }

    fn dispatch(&mut self, now: Time, assoc: AssocKey, message: AsapMessage) {
        match message {
            AsapMessage::Registration { handle, element } => self.register(now, assoc, handle, element),
            AsapMessage::Deregistration { handle, id } => self.deregister(now, assoc, handle, id),
            AsapMessage::HandleResolution { handle, items, .. } => self.resolve(assoc, handle, items),
            AsapMessage::KeepAliveAck { handle, id } => self.acknowledged(now, assoc, &handle, id),
            AsapMessage::Unreachable { handle, id } => self.reported(now, assoc, &handle, id),
            AsapMessage::Error(error) => self.event(RegistrarEvent::RemoteError { assoc, error }),
            // What a registrar sends itself, or elements and users among each other.
            _ => {}
        }
    }

    /// A request beyond the rate is refused for lack of resources; "unknown pool handle" would make a user drop the pool.
    fn over_rate(&mut self, assoc: AssocKey, message: AsapMessage) {
        self.event(RegistrarEvent::Limited { assoc, what: "requests per second" });
        let error = || Some(CauseCode::LACK_OF_RESOURCES.into());
        let answer = match message {
            AsapMessage::Registration { handle, element } => {
                AsapMessage::RegistrationResponse { reject: true, handle, id: element.id, error: error() }
            }
            AsapMessage::Deregistration { handle, id } => AsapMessage::DeregistrationResponse { handle, id, error: error() },
            AsapMessage::HandleResolution { handle, .. } => resolution::refusal(handle, CauseCode::LACK_OF_RESOURCES),
            _ => return,
        };
        self.send(assoc, &answer);
    }

    fn malformed(&mut self, assoc: AssocKey, bytes: &[u8], error: DecodeError, admitted: bool) {
        self.event(RegistrarEvent::Malformed { assoc, error });
        // No error is answered by an error: two that do not understand each other would never fall silent.
        if admitted
            && bytes.first() != Some(&AsapMessage::ERROR)
            && let Some(report) = error.to_report(bytes)
        {
            self.report(assoc, report);
        }
    }

    fn report(&mut self, assoc: AssocKey, error: OperationError) {
        self.send(assoc, &AsapMessage::Error(error));
    }

    fn send(&mut self, assoc: AssocKey, message: &AsapMessage) {
        let options = EncodeOptions { count_padding: self.cfg.count_padding };
        match message.encode(options) {
            // RSPLIB expects everything on stream 0.
            Ok(bytes) => self.outputs.push_back(Output::Send { assoc, ppid: ASAP_PPID, sid: 0, bytes: Bytes::from(bytes) }),
            Err(_) => self.event(RegistrarEvent::Limited { assoc, what: "length of a message" }),
        }
    }

    fn event(&mut self, event: RegistrarEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Starts, or continues, to count how long an association has been of no use.
    fn arm_idle(&mut self, since: Time, assoc: AssocKey) {
        if let Some(timeout) = self.cfg.idle_timeout {
            self.timers.set(Timer::Idle(assoc), Some(since + timeout));
        }
    }

    fn check_idle(&mut self, now: Time, assoc: AssocKey) {
        let (Some(client), Some(timeout)) = (self.clients.get(&assoc), self.cfg.idle_timeout) else { return };
        let since = if client.elements.is_empty() { client.last_heard } else { now };
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
