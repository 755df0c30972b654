//! Whether elements are alive: keep-alives, unreachable reports, lost associations (RFC 5352 sections 3.4 and 3.5).
//!
//! Every element that we are the home of is in one of three states:
//!
//! ```mermaid
//! stateDiagram-v2
//!   Quiet --> Asked: period over, report, peer restarted, identifier contended
//!   Asked --> Quiet: acknowledged
//!   Asked --> Asked: time-out, repeated
//!   Quiet --> Reaching: association lost
//!   Asked --> Reaching: association lost
//!   Reaching --> Asked: new association
//!   Asked --> [*]: last time-out
//!   Reaching --> [*]: time-out, refused
//! ```

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use sctp_user::Time;

use super::client::is_of_host;
use super::enrp::Tenure;
use super::prefix::Prefix;
use super::{AssocKey, CloseHow, ConnectToken, Output, RefusalReason, Registrar, RegistrarEvent, RemovalReason, Service};
use crate::handlespace::ElementKey;
use crate::wire::{AsapMessage, ElementId, PoolHandle};

/// What is done about an element at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Nothing until the next keep-alive is due.
    Quiet,
    /// A keep-alive is out, to be repeated `left` times; then the element is removed for `reason`.
    Asked { left: u32, reason: RemovalReason },
    /// Its association is lost, or it has none with us yet, and one is being opened.
    Reaching,
    /// It is to be asked whether we are its home, when its turn comes.
    Waiting,
}

/// An element that we are the home of.
#[derive(Debug)]
pub(super) struct Watched {
    assoc: Option<AssocKey>,
    state: State,
    /// Who reported it as unreachable, and when: an address prefix counts once, however many associations it has. At most one more than [`super::config::ReportConfig::max`].
    reporters: BTreeMap<Prefix, Time>,
    /// When a report last led to a keep-alive.
    last_asked_by_report: Option<Time>,
    /// An association that wants to register the same identifier and waits whether this element lives.
    contender: Option<AssocKey>,
    /// Whether it is ours, or is about to be.
    pub(super) tenure: Tenure,
}

impl Watched {
    fn new(state: State) -> Self {
        Self { assoc: None, state, reporters: BTreeMap::new(), last_asked_by_report: None, contender: None, tenure: Tenure::default() }
    }

    /// The association that it is registered over, unless that is lost.
    pub(super) const fn assoc(&self) -> Option<AssocKey> {
        self.assoc
    }
}

/// The associations that are being opened to ask elements over them.
#[derive(Debug, Default)]
pub(super) struct Reaching {
    /// By the first address of the elements' ASAP transport.
    attempts: BTreeMap<SocketAddr, Attempt>,
    places: BTreeMap<ConnectToken, SocketAddr>,
    next_token: u64,
}

#[derive(Debug)]
struct Attempt {
    token: ConnectToken,
    elements: BTreeSet<ElementKey>,
}

impl Reaching {
    /// How many associations are being opened.
    pub(super) fn len(&self) -> usize {
        self.attempts.len()
    }

    /// Adds an element to the attempt at its place; returns the token of a new one, if there was none.
    fn add(&mut self, place: SocketAddr, key: ElementKey) -> Option<ConnectToken> {
        if let Some(attempt) = self.attempts.get_mut(&place) {
            attempt.elements.insert(key);
            return None;
        }
        let token = ConnectToken(self.next_token);
        self.next_token += 1;
        self.attempts.insert(place, Attempt { token, elements: BTreeSet::from([key]) });
        self.places.insert(token, place);
        Some(token)
    }

    fn remove(&mut self, place: SocketAddr, key: ElementKey) {
        let Some(attempt) = self.attempts.get_mut(&place) else { return };
        attempt.elements.remove(&key);
        if attempt.elements.is_empty() {
            self.take(place);
        }
    }

    /// Ends the attempt at a place; returns whom it was for.
    fn take(&mut self, place: SocketAddr) -> BTreeSet<ElementKey> {
        let Some(attempt) = self.attempts.remove(&place) else { return BTreeSet::new() };
        self.places.remove(&attempt.token);
        attempt.elements
    }

    fn place(&self, token: ConnectToken) -> Option<SocketAddr> {
        self.places.get(&token).copied()
    }
}

impl Registrar {
    /// Begins to watch an element that has just (again) registered over `assoc`: the sign of life counts.
    pub(super) fn watch(&mut self, now: Time, key: ElementKey, assoc: AssocKey) {
        let watched = self.watched.entry(key).or_insert_with(|| Watched::new(State::Quiet));
        watched.assoc = Some(assoc);
        watched.tenure = Tenure::registered();
        self.quiet(now, key);
    }

    /// Begins to watch an element that has its home elsewhere, or had: it is to be asked whether it comes to us.
    pub(super) fn watch_for_adoption(&mut self, key: ElementKey) {
        let watched = self.watched.entry(key).or_insert_with(|| Watched::new(State::Waiting));
        watched.tenure.adopting = true;
    }

    /// Asks an element that another registrar claims whose it is, with the H flag if we insist.
    pub(super) fn ask_whose(&mut self, now: Time, key: ElementKey) {
        let asked_already = self.watched.get(&key).is_some_and(|w| matches!(w.state, State::Asked { .. }) && !w.tenure.adopting);
        if !asked_already {
            let timeout = self.suspect_timeout(key);
            self.ask(now, key, timeout, 1, RemovalReason::KeepAliveTimeout);
        }
    }

    /// Asks an element that was taken over to make us its home, over a new association unless there is one.
    pub(super) fn reach_for_adoption(&mut self, now: Time, key: ElementKey) {
        if self.watched.get(&key).is_some_and(|w| w.state == State::Waiting) {
            self.connect_or_ask(now, key, self.cfg.enrp.adoption_timeout);
        }
    }

    /// Forgets an element that is being removed; returns who waits for its identifier.
    pub(super) fn unwatch(&mut self, key: ElementKey) -> Option<AssocKey> {
        self.space.set_timer(key, None);
        let watched = self.watched.remove(&key)?;
        if let Some(assoc) = watched.assoc {
            self.detach(assoc, key);
        }
        watched.contender
    }

    /// The element is no longer registered over this association.
    pub(super) fn detach(&mut self, assoc: AssocKey, key: ElementKey) {
        let Some(client) = self.clients.get_mut(&assoc) else { return };
        if client.elements.remove(&key)
            && let Some(peer) = self.peers.get_mut(&client.prefix)
        {
            peer.elements -= 1;
        }
    }

    /// The element lives: the next keep-alive is due after a period, and who wants its identifier cannot have it.
    fn quiet(&mut self, now: Time, key: ElementKey) {
        let ka = self.cfg.keep_alive;
        let at = now + self.spread(ka.period, ka.spread_percent * 10);
        let Some(watched) = self.watched.get_mut(&key) else { return };
        watched.state = State::Quiet;
        let contender = watched.contender.take();
        self.space.set_timer(key, Some(at));
        if let Some(assoc) = contender {
            self.resumptions.push_back((assoc, true));
        }
    }

    /// Sends a keep-alive and waits for `timeout`, then repeats it `retries` times.
    fn ask(&mut self, now: Time, key: ElementKey, timeout: Duration, retries: u32, reason: RemovalReason) {
        let (Some(watched), Some(e)) = (self.watched.get_mut(&key), self.space.element(key)) else { return };
        let Some(assoc) = watched.assoc else { return };
        watched.state = State::Asked { left: retries, reason };
        let id = self.cfg.keep_alive.with_id.then_some(e.id());
        let new_home = watched.tenure.adopting;
        let message = AsapMessage::KeepAlive { new_home, registrar: self.id, handle: e.handle().clone(), id };
        self.space.set_timer(key, Some(now + timeout));
        self.stats.keep_alives += 1;
        self.send(now, assoc, &message);
    }

    pub(super) fn watch_timeout(&mut self, now: Time, key: ElementKey) {
        let ka = self.cfg.keep_alive;
        match self.watched.get(&key).map(|w| w.state) {
            None | Some(State::Waiting) => {}
            Some(State::Quiet) => self.ask(now, key, ka.timeout, ka.retries, RemovalReason::KeepAliveTimeout),
            Some(State::Asked { left: 0, reason }) => self.give_up(now, key, reason),
            Some(State::Asked { left, reason }) => {
                self.suspect(key, "no answer to a keep-alive");
                self.ask(now, key, ka.retry_interval, left - 1, reason);
            }
            Some(State::Reaching) => self.give_up(now, key, RemovalReason::AssociationLost),
        }
    }

    /// The element does not answer. Its association goes too if nothing else is registered over it: should its process
    /// only have slept, it will notice and register again.
    fn give_up(&mut self, now: Time, key: ElementKey, reason: RemovalReason) {
        if self.settled_otherwise(now, key) {
            return;
        }
        let assoc = self.watched.get(&key).and_then(|w| w.assoc);
        self.remove(now, key, reason);
        if let Some(assoc) = assoc.filter(|a| self.clients.get(a).is_some_and(|c| c.elements.is_empty())) {
            self.outputs.push_back(Output::Close { assoc, how: CloseHow::Abort });
            self.forget(assoc);
        }
    }

    fn suspect(&mut self, key: ElementKey, why: &'static str) {
        if let Some(e) = self.space.element(key) {
            let event = RegistrarEvent::Suspected { handle: e.handle().clone(), id: e.id(), why };
            self.event(event);
        }
    }

    /// How long a suspected element may take to answer.
    fn suspect_timeout(&self, key: ElementKey) -> Duration {
        let ka = self.cfg.keep_alive;
        let transport = self.space.element(key).and_then(|e| e.asap());
        let local = transport.is_some_and(|t| is_of_host(&t.addrs, &self.local));
        if local { ka.suspect_timeout_local } else { ka.suspect_timeout }
    }

    /// An acknowledgement counts if it comes from where the element is registered, or from its address.
    pub(super) fn acknowledged(&mut self, now: Time, assoc: AssocKey, handle: &PoolHandle, id: ElementId) {
        let Some(key) = self.space.find(handle, id) else { return };
        let (Some(watched), Some(client)) = (self.watched.get(&key), self.clients.get(&assoc)) else { return };
        let same_place = || self.space.element(key).and_then(|e| e.asap()).is_some_and(|t| client.is_at(&t));
        if watched.state == State::Quiet || !(watched.assoc == Some(assoc) || same_place()) {
            return;
        }
        // The element may have come back by itself while we were still opening an association.
        if watched.assoc.is_none() {
            self.stop_reaching(key);
            self.attach(key, assoc);
        }
        self.stats.acknowledgements += 1;
        self.quiet(now, key);
        self.confirmed(now, key);
    }

    /// The element is registered over this association.
    pub(super) fn attach(&mut self, key: ElementKey, assoc: AssocKey) {
        let Some(client) = self.clients.get_mut(&assoc) else { return };
        if let Some(watched) = self.watched.get_mut(&key) {
            watched.assoc = Some(assoc);
        }
        if client.elements.insert(key)
            && let Some(peer) = self.peers.get_mut(&client.prefix)
        {
            peer.elements += 1;
        }
    }

    /// An unreachable report: the element is asked at once, and removed if too many complain (RFC 5352 section 3.5). Of
    /// elements of other registrars it is only counted: their homes hear such reports as well, and removing what another
    /// one owns would make us disagree.
    pub(super) fn reported(&mut self, now: Time, assoc: AssocKey, handle: &PoolHandle, id: ElementId) {
        let reports = self.cfg.reports;
        let Some(client) = self.clients.get(&assoc) else { return };
        if let Some(addr) = client.addr().filter(|a| !self.cfg.access.allows_user(*a)) {
            let why = RefusalReason::UserNotAllowed;
            self.refused(now, why, RegistrarEvent::Denied { assoc: Some(assoc), addr, why });
            return;
        }
        let watched = self.space.find(handle, id).and_then(|key| Some((key, self.watched.get_mut(&key)?)));
        let Some((key, watched)) = watched else {
            self.stats.foreign_reports += 1;
            return;
        };
        self.stats.reports += 1;
        let reporter = client.prefix;
        watched.reporters.retain(|_, t| now.saturating_since(*t) < reports.memory);
        if watched.reporters.len() <= reports.max || watched.reporters.contains_key(&reporter) {
            watched.reporters.insert(reporter, now);
        }
        if watched.reporters.len() > reports.max {
            self.remove(now, key, RemovalReason::Reported);
            return;
        }
        let recently = watched.last_asked_by_report.is_some_and(|t| now.saturating_since(t) < reports.min_interval);
        if watched.state == State::Quiet && !recently {
            watched.last_asked_by_report = Some(now);
            self.suspect(key, "reported unreachable");
            let timeout = self.suspect_timeout(key).min(self.cfg.keep_alive.timeout);
            self.ask(now, key, timeout, self.cfg.keep_alive.retries, RemovalReason::KeepAliveTimeout);
        }
    }

    /// Somebody else wants the identifier of an element: the element is asked. `false` if somebody else waits already.
    pub(super) fn contend(&mut self, now: Time, key: ElementKey, contender: AssocKey) -> bool {
        let Some(watched) = self.watched.get_mut(&key) else { return false };
        if watched.contender.is_some() {
            return false;
        }
        watched.contender = Some(contender);
        self.suspect(key, "another one registers its identifier");
        let timeout = self.suspect_timeout(key);
        self.ask(now, key, timeout, 0, RemovalReason::KeepAliveTimeout);
        true
    }

    /// Who waited for an identifier on this association no longer does.
    pub(super) fn withdraw_contender(&mut self, assoc: AssocKey, handle: &PoolHandle, id: ElementId) {
        let holder = self.space.find(handle, id).and_then(|key| self.watched.get_mut(&key));
        if let Some(watched) = holder.filter(|w| w.contender == Some(assoc)) {
            watched.contender = None;
        }
    }

    /// The peer restarted: its elements are asked over the same association.
    pub(super) fn restarted(&mut self, now: Time, assoc: AssocKey) {
        let Some(client) = self.clients.get(&assoc) else { return };
        for key in client.elements.clone() {
            self.suspect(key, "its SCTP endpoint restarted");
            let timeout = self.suspect_timeout(key);
            self.ask(now, key, timeout, 0, RemovalReason::ProcessDied);
        }
    }

    /// An association is gone: its elements go with it if their process is dead, else they are asked over a new one.
    pub(super) fn lost(&mut self, now: Time, assoc: AssocKey, process_dead: bool) {
        let Some(client) = self.forget(assoc) else { return };
        for key in client.elements {
            // What the loss of one brings about may concern another: a key may have come to mean a new element.
            if self.watched.get(&key).and_then(Watched::assoc) != Some(assoc) {
                continue;
            }
            if self.settled_otherwise(now, key) {
                continue;
            }
            // An element that was asked over a new association already, and let that end too, had its chance.
            let second =
                self.watched.get(&key).is_some_and(|w| matches!(w.state, State::Asked { reason: RemovalReason::AssociationLost, .. }));
            if process_dead {
                self.remove(now, key, RemovalReason::ProcessDied);
            } else if self.cfg.remove_on_loss || self.stopping || second {
                self.remove(now, key, RemovalReason::AssociationLost);
            } else {
                self.reach(now, key);
            }
        }
    }

    /// Looks for another way to an element whose association is lost. It may have ended it because it has another home now:
    /// we do not hold it any more.
    fn reach(&mut self, now: Time, key: ElementKey) {
        let timeout = self.suspect_timeout(key);
        self.suspect(key, "its association is lost");
        self.connect_or_ask(now, key, timeout);
    }

    /// Asks an element over an association with where it is reached, be it opened for that.
    fn connect_or_ask(&mut self, now: Time, key: ElementKey, timeout: Duration) {
        let Some(transport) = self.space.element(key).and_then(|e| e.asap()) else { return };
        let Some(watched) = self.watched.get_mut(&key) else { return };
        watched.assoc = None;
        watched.state = State::Reaching;
        watched.tenure.held = false;
        self.space.set_timer(key, Some(now + timeout));
        if let Some(assoc) = transport.socket_addrs().find_map(|place| self.places.get(&place).copied()) {
            self.attach(key, assoc);
            self.ask(now, key, timeout, 0, RemovalReason::AssociationLost);
            return;
        }
        let addrs: Vec<SocketAddr> = transport.socket_addrs().collect();
        let new = addrs.first().and_then(|place| self.reaching.add(*place, key));
        if let Some(token) = new {
            self.outputs.push_back(Output::Connect { token, service: Service::Asap, addrs });
        }
    }

    /// The element needs no new association any more.
    pub(super) fn stop_reaching(&mut self, key: ElementKey) {
        let transport = self.space.element(key).and_then(|e| e.asap());
        if let Some(place) = transport.and_then(|t| t.socket_addrs().next()) {
            self.reaching.remove(place, key);
        }
    }

    /// An association is up: elements that were looked for at its other end are asked. The time to answer is what is
    /// left of the time to reach them.
    pub(super) fn reached_anew(&mut self, now: Time, assoc: AssocKey, token: Option<ConnectToken>) {
        let Some(client) = self.clients.get(&assoc) else { return };
        let meant = token.and_then(|t| self.reaching.place(t));
        let mut elements = BTreeSet::new();
        for place in client.places().chain(meant) {
            elements.append(&mut self.reaching.take(place));
        }
        if token.is_some() && elements.is_empty() {
            // Nobody waits for it any more.
            self.outputs.push_back(Output::Close { assoc, how: CloseHow::Shutdown });
        }
        for key in elements {
            if self.watched.get(&key).is_none_or(|w| w.state != State::Reaching) {
                continue;
            }
            let timer = self.space.element(key).and_then(|e| e.timer());
            let left = timer.map_or(Duration::ZERO, |t| t.saturating_since(now));
            self.attach(key, assoc);
            self.ask(now, key, left, 0, RemovalReason::AssociationLost);
        }
    }

    pub(super) fn connect_failed(&mut self, now: Time, token: ConnectToken) {
        let Some(place) = self.reaching.place(token) else { return };
        for key in self.reaching.take(place) {
            if self.watched.get(&key).is_some_and(|w| w.state == State::Reaching) {
                self.give_up(now, key, RemovalReason::AssociationLost);
            }
        }
    }
}
