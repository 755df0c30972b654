//! Pool elements that serve sessions: their endpoints, and the associations that users open.

use std::collections::VecDeque;
use std::sync::Arc;

use sctp_user::{AssocConfig, AssocId, BindError, CloseReason, EndpointConfig, EndpointId, Event, Ppid, SendOptions, StreamId, Time};

use super::{PoolNode, Role};
use crate::asap::{ElementKey, ElementSpec, RegisterError};
use crate::session::{BusinessCard, ElementSession, EndReason, Outgoing, Received, SendError};
use crate::wire::{ASAP_PPID, ENRP_PPID, PoolElement, PoolHandle, TransportUse};

/// An element's endpoint on this host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ListenerId(u64);

/// A session that a user opened to an element of this host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AcceptedId(u64);

/// How an element serves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListenerConfig {
    /// The parameters of its associations.
    pub assoc: Arc<AssocConfig>,
    /// Most sessions at once; more are aborted, and their users go elsewhere.
    pub max_sessions: usize,
    /// Most sessions that wait to be accepted; more are aborted.
    pub backlog: usize,
    /// Bytes of each session taken from SCTP before the program fetches them.
    pub recv_queue: usize,
    /// Whether users are told by business cards which other elements of the pool they may go to when this one fails (RFC 5352
    /// section 3.9). Off by default, because RSPLIB cannot read them.
    pub business_cards: bool,
}

impl Default for ListenerConfig {
    fn default() -> Self {
        Self { assoc: Arc::new(AssocConfig::session()), max_sessions: 10_000, backlog: 128, recv_queue: 256 * 1024, business_cards: false }
    }
}

#[derive(Debug)]
pub(super) struct Listener {
    endpoint: EndpointId,
    cfg: ListenerConfig,
    key: Option<ElementKey>,
    /// The others of the pool, as far as users are to be told.
    card: Option<BusinessCard>,
    /// The element's own pool is followed, for that.
    follows: bool,
    /// Sessions that wait to be accepted, at most `backlog`.
    waiting: VecDeque<AcceptedId>,
    /// All sessions, at most `max_sessions`.
    sessions: usize,
    /// The program has let go of it: it goes with its last session.
    abandoned: bool,
}

#[derive(Debug)]
pub(super) struct Accepted {
    session: ElementSession,
    /// `None` once it is gone.
    assoc: Option<AssocId>,
    listener: ListenerId,
    /// The program has let go of it.
    abandoned: bool,
}

impl PoolNode {
    // ---- for the program ---------------------------------------------------------------------------------------

    /// Opens the SCTP port `port` (0: any) for sessions. [`Self::announce`] makes it an element of a pool.
    ///
    /// # Errors
    /// The port is open already.
    pub fn open_listener(&mut self, port: u16, cfg: ListenerConfig) -> Result<ListenerId, BindError> {
        let endpoint = self.stack.open(EndpointConfig::with(port, cfg.assoc.clone()))?;
        self.stack.listen(endpoint, true);
        let id = ListenerId(self.new_id());
        let listener =
            Listener { endpoint, cfg, key: None, card: None, follows: false, waiting: VecDeque::new(), sessions: 0, abandoned: false };
        self.listeners.insert(id, listener);
        Ok(id)
    }

    /// The SCTP port of a listener.
    #[must_use]
    pub fn listener_port(&self, id: ListenerId) -> Option<u16> {
        self.listeners.get(&id).and_then(|l| self.stack.local_port(l.endpoint))
    }

    /// Registers a listener as an element; its port replaces that of `spec`.
    ///
    /// # Errors
    /// See [`crate::asap::Asap::register`].
    pub fn announce(&mut self, now: Time, id: ListenerId, mut spec: ElementSpec) -> Result<ElementKey, RegisterError> {
        spec.port = self.listener_port(id).unwrap_or(spec.port);
        // Business cards go by the control channel, if there is one.
        let control = spec.usage == TransportUse::DATA_PLUS_CONTROL;
        let key = self.register(now, spec)?;
        let Some(listener) = self.listeners.get_mut(&id) else { return Ok(key) };
        listener.key = Some(key.clone());
        if listener.cfg.business_cards && control {
            listener.follows = self.asap.subscribe(now, &key.handle).is_ok();
            self.pump(now);
        }
        Ok(key)
    }

    /// The next session that a user opened.
    pub fn accept(&mut self, id: ListenerId) -> Option<AcceptedId> {
        self.listeners.get_mut(&id)?.waiting.pop_front()
    }

    /// Leaves the pool and stops accepting; sessions that were accepted go on.
    pub fn close_listener(&mut self, now: Time, id: ListenerId) {
        let Some(listener) = self.listeners.get_mut(&id) else { return };
        listener.abandoned = true;
        let waiting = core::mem::take(&mut listener.waiting);
        let (key, endpoint, follows) = (listener.key.take(), listener.endpoint, core::mem::take(&mut listener.follows));
        self.stack.listen(endpoint, false);
        for session in waiting {
            self.end_accepted(now, session, true);
        }
        if let Some(key) = key {
            if follows {
                self.asap.unsubscribe(&key.handle);
            }
            self.asap.deregister(now, &key);
        }
        self.reap_listener(now, id);
        self.pump(now);
    }

    /// How many sessions a listener has, those included that wait to be accepted.
    #[must_use]
    pub fn session_count(&self, id: ListenerId) -> usize {
        self.listeners.get(&id).map_or(0, |l| l.sessions)
    }

    /// Sends a message in a session.
    ///
    /// # Errors
    /// [`SendError::WouldBlock`] if the send buffer is full, or what is wrong with the message.
    pub fn accepted_send(&mut self, now: Time, id: AcceptedId, message: Outgoing) -> Result<(), SendError> {
        if matches!(message.ppid, ASAP_PPID | ENRP_PPID) {
            return Err(SendError::ReservedPpid(message.ppid));
        }
        self.put(now, id, message)
    }

    /// Hands a cookie to the user, who keeps the latest one for the element that follows this one.
    ///
    /// It travels on stream 0: what was sent on that stream before it arrives before it, what is on other streams may not.
    ///
    /// # Errors
    /// As [`Self::accepted_send`].
    pub fn send_cookie(&mut self, now: Time, id: AcceptedId, cookie: &[u8]) -> Result<(), SendError> {
        let data = ElementSession::cookie_message(cookie)?;
        self.put(now, id, Outgoing { data, ppid: ASAP_PPID, stream: 0, unordered: false })
    }

    /// Where to go on if the user fails, if it is an element too and has told so. [`Self::open_session_by_card`] goes there.
    #[must_use]
    pub fn accepted_card(&self, id: AcceptedId) -> Option<&BusinessCard> {
        self.accepted.get(&id)?.session.card()
    }

    /// What a listener tells its users about where to go when it fails; this process, as a user of other pools, may tell the same
    /// ([`crate::session::SessionConfig::business_card`]).
    #[must_use]
    pub fn listener_card(&self, id: ListenerId) -> Option<&BusinessCard> {
        self.listeners.get(&id)?.card.as_ref()
    }

    /// The next message or notification of a session.
    pub fn accepted_recv(&mut self, now: Time, id: AcceptedId) -> Option<Received> {
        let accepted = self.accepted.get_mut(&id)?;
        let item = accepted.session.recv();
        if item.is_some() {
            self.read_accepted(now, id, false);
        }
        item
    }

    /// Why a session is over: `None` as long as it is not, or as there is something to fetch.
    #[must_use]
    pub fn accepted_end(&self, id: AcceptedId) -> Option<EndReason> {
        match self.accepted.get(&id) {
            Some(accepted) if accepted.session.is_drained() => accepted.session.ended().cloned(),
            Some(_) => None,
            None => Some(EndReason::Closed),
        }
    }

    /// Begins to end a session: what was sent is delivered first. What comes in can still be fetched.
    pub fn close_accepted(&mut self, now: Time, id: AcceptedId) {
        if let Some(mut a) = self.accepted.get(&id).and_then(|a| a.assoc).and_then(|assoc| self.stack.assoc(assoc)) {
            a.shutdown(now);
        }
        self.pump(now);
    }

    /// Lets go of a session: it ends, by ABORT or gracefully, and nothing is fetched any more.
    pub fn drop_accepted(&mut self, now: Time, id: AcceptedId, abort: bool) {
        self.end_accepted(now, id, abort);
        self.pump(now);
    }

    // ---- between session and stack -----------------------------------------------------------------------------

    fn put(&mut self, now: Time, id: AcceptedId, m: Outgoing) -> Result<(), SendError> {
        let assoc = self.accepted.get(&id).and_then(|a| a.assoc).ok_or(SendError::Closed)?;
        let mut a = self.stack.assoc(assoc).ok_or(SendError::Closed)?;
        let opts = if m.unordered { SendOptions::unordered() } else { SendOptions::ordered() };
        a.send(now, StreamId(m.stream), Ppid(m.ppid), m.data, opts)?;
        Ok(())
    }

    /// A user opened an association.
    pub(super) fn user_came(&mut self, now: Time, endpoint: EndpointId, assoc: AssocId) {
        let listener = self.listeners.iter_mut().find(|(_, l)| l.endpoint == endpoint);
        let room = |l: &Listener| !l.abandoned && l.sessions < l.cfg.max_sessions && l.waiting.len() < l.cfg.backlog;
        let Some((&listener, l)) = listener.filter(|(_, l)| room(l)) else {
            if let Some(mut a) = self.stack.assoc(assoc) {
                a.abort(now, b"too many sessions");
            }
            return;
        };
        self.next_id += 1;
        let id = AcceptedId(self.next_id);
        l.sessions += 1;
        l.waiting.push_back(id);
        let session = ElementSession::new(l.cfg.recv_queue);
        let card = l.card.clone();
        self.accepted.insert(id, Accepted { session, assoc: Some(assoc), listener, abandoned: false });
        self.roles.insert(assoc, Role::Element(id));
        if let Some(card) = card {
            self.hand_card_over(now, id, &card);
        }
        self.read_accepted(now, id, false);
    }

    /// A pool that is followed has changed: if an element of this process belongs to it, its users are told where to go.
    pub(super) fn renew_cards(&mut self, now: Time, handle: &PoolHandle, elements: &[PoolElement]) {
        let mut changed = Vec::new();
        for (id, l) in self.listeners.iter_mut().filter(|(_, l)| l.cfg.business_cards) {
            let Some(key) = l.key.as_ref().filter(|key| key.handle == *handle) else { continue };
            let others = elements.iter().filter(|e| e.id != key.id).cloned().collect();
            let card = BusinessCard { handle: handle.clone(), elements: others };
            if l.card.as_ref() != Some(&card) {
                l.card = Some(card.clone());
                changed.push((*id, card));
            }
        }
        for (listener, card) in changed {
            let users: Vec<AcceptedId> = self.accepted.iter().filter(|(_, a)| a.listener == listener).map(|(id, _)| *id).collect();
            for id in users {
                self.hand_card_over(now, id, &card);
            }
        }
    }

    /// A card is advice: a user whose send buffer is full does without.
    fn hand_card_over(&mut self, now: Time, id: AcceptedId, card: &BusinessCard) {
        let first = usize::try_from(id.0).unwrap_or_default();
        if let Some(message) = card.beginning_with(first).message()
            && let Err(error) = self.put(now, id, message)
        {
            tracing::debug!(%error, "business card not sent");
        }
    }

    pub(super) fn element_event(&mut self, now: Time, assoc: AssocId, id: AcceptedId, event: Event) {
        match event {
            Event::Readable => self.read_accepted(now, id, false),
            // The user began anew: the old session is over, and a new one begins in the same association.
            Event::Restarted => {
                let endpoint = self.stack.assoc(assoc).map(|a| a.endpoint());
                self.lose_accepted(now, id, &CloseReason::PeerUnreachable);
                self.roles.remove(&assoc);
                if let Some(endpoint) = endpoint {
                    self.user_came(now, endpoint, assoc);
                }
            }
            Event::Lost { reason } => {
                self.read_accepted(now, id, true);
                self.roles.remove(&assoc);
                self.lose_accepted(now, id, &reason);
            }
            // A program that waits for room, or for the end of a shutdown, asks again by itself.
            _ => {}
        }
    }

    /// Takes messages from SCTP, as many as there is room for, or all.
    fn read_accepted(&mut self, now: Time, id: AcceptedId, all: bool) {
        let Some(accepted) = self.accepted.get_mut(&id) else { return };
        let Some(mut a) = accepted.assoc.and_then(|assoc| self.stack.assoc(assoc)) else { return };
        while all || accepted.session.has_room() || accepted.abandoned {
            let Some(message) = a.recv() else { return };
            if !accepted.abandoned
                && let Some(handle) = accepted.session.on_message(now, message)
            {
                // RFC 5352 section 3.9, BC1: the pool of a card is known before it is needed.
                self.asap.populate(now, &handle);
            }
        }
    }

    fn lose_accepted(&mut self, now: Time, id: AcceptedId, reason: &CloseReason) {
        let Some(accepted) = self.accepted.get_mut(&id) else { return };
        accepted.assoc = None;
        accepted.session.on_lost(reason);
        if accepted.abandoned {
            self.forget_accepted(now, id);
        }
    }

    fn end_accepted(&mut self, now: Time, id: AcceptedId, abort: bool) {
        let Some(accepted) = self.accepted.get_mut(&id) else { return };
        accepted.abandoned = true;
        match accepted.assoc.and_then(|assoc| self.stack.assoc(assoc)) {
            Some(mut a) if abort => a.abort(now, b"session refused"),
            Some(mut a) => a.shutdown(now),
            None => self.forget_accepted(now, id),
        }
        self.read_accepted(now, id, false);
    }

    fn forget_accepted(&mut self, now: Time, id: AcceptedId) {
        let Some(accepted) = self.accepted.remove(&id) else { return };
        if let Some(listener) = self.listeners.get_mut(&accepted.listener) {
            listener.sessions = listener.sessions.saturating_sub(1);
        }
        self.reap_listener(now, accepted.listener);
    }

    fn reap_listener(&mut self, now: Time, id: ListenerId) {
        if let Some(endpoint) = self.listeners.get(&id).filter(|l| l.abandoned && l.sessions == 0).map(|l| l.endpoint) {
            self.listeners.remove(&id);
            self.close_endpoint(now, endpoint);
        }
    }
}
