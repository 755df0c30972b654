//! A host that has pool elements, pool users, or both, on its SCTP stack.
//!
//! ```mermaid
//! flowchart LR
//!   D[driver] -->|packets, timers| S[Stack] -->|events| P[PoolNode::pump]
//!   D -->|announces| A[Asap]
//!   P <--> A
//!   P <--> U[PoolSession]
//!   P <--> E[ElementSession]
//! ```
//!
//! Each user session has an SCTP port of its own, because there can be only one association between two ports: two sessions
//! with the same element need different ones. Ports are opened by number; who shares them with other processes claims them first.

mod element;
mod links;
mod registrar;
mod user;

use core::fmt;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use sctp_user::stack::deadline::DeadlineSet;
use sctp_user::{
    AddrChange, AssocConfig, AssocId, BindError, Channel, EndpointConfig, EndpointId, Entropy, Event, KeyRing, Meta, NetError, Node, Stack,
    Time, Train, Transmit,
};

use self::element::{Accepted, Listener};
pub use self::element::{AcceptedId, ListenerConfig, ListenerId};
use self::links::Links;
use self::registrar::Asker;
pub use self::user::SessionId;
use self::user::Slot;
use crate::asap::{Asap, AsapConfig, AsapEvent, ElementKey, Input, LinkId, RegisterError, RequestId, ResolveError};
use crate::wire::PoolElement;

/// Most events kept for [`PoolNode::poll_event`]; the oldest ones are dropped.
const MAX_EVENTS: usize = 1024;

/// Whose association it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Registrar(LinkId),
    User(SessionId, LinkId),
    Element(AcceptedId),
}

impl Role {
    const fn registrar(self) -> Option<LinkId> {
        match self {
            Self::Registrar(link) => Some(link),
            _ => None,
        }
    }
}

/// Called with the number of each SCTP port that is not used any more.
pub struct PortHook(pub Box<dyn FnMut(u16) + Send>);

impl fmt::Debug for PortHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PortHook")
    }
}

/// Called with each name of a registrar that is to be looked up; [`PoolNode::looked_up`] is to follow in any case.
pub struct LookUpHook(pub Box<dyn FnMut(String) + Send>);

impl fmt::Debug for LookUpHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LookUpHook")
    }
}

/// A host with elements and users of pools.
#[derive(Debug)]
pub struct PoolNode {
    stack: Stack,
    asap: Asap,
    asap_endpoint: EndpointId,
    /// The parameters of associations with registrars.
    asap_assoc: Arc<AssocConfig>,
    registrars: Links,
    roles: BTreeMap<AssocId, Role>,
    sessions: BTreeMap<SessionId, Slot>,
    /// When sessions want to be served.
    deadlines: DeadlineSet<SessionId>,
    /// Sessions to which something happened.
    touched: VecDeque<SessionId>,
    listeners: BTreeMap<ListenerId, Listener>,
    accepted: BTreeMap<AcceptedId, Accepted>,
    /// Who waits for resolutions.
    asking: BTreeMap<RequestId, Asker>,
    /// Answers that wait to be fetched; their askers cancel what they do not fetch.
    answers: BTreeMap<RequestId, Result<Vec<PoolElement>, ResolveError>>,
    /// The last news about each element of this host.
    registrations: BTreeMap<ElementKey, Result<(), RegisterError>>,
    events: VecDeque<AsapEvent>,
    /// Names of registrars that are to be looked up; each of the configuration at most once.
    lookups: VecDeque<String>,
    looker: Option<LookUpHook>,
    released: Option<PortHook>,
    next_id: u64,
}

impl PoolNode {
    /// A host that speaks with registrars from `asap_port` of `stack` (0: any), which must stay reachable: a registrar that
    /// takes over from another one connects to it.
    ///
    /// # Errors
    /// The port is open already.
    pub fn new(mut stack: Stack, asap_port: u16, cfg: AsapConfig, entropy: Box<dyn Entropy>) -> Result<Self, BindError> {
        let asap_assoc = Arc::new(AssocConfig::session());
        let asap_endpoint = stack.open(EndpointConfig::with(asap_port, asap_assoc.clone()))?;
        stack.listen(asap_endpoint, true);
        Ok(Self {
            stack,
            asap: Asap::new(cfg, entropy),
            asap_endpoint,
            asap_assoc,
            registrars: Links::default(),
            roles: BTreeMap::new(),
            sessions: BTreeMap::new(),
            deadlines: DeadlineSet::default(),
            touched: VecDeque::new(),
            listeners: BTreeMap::new(),
            accepted: BTreeMap::new(),
            asking: BTreeMap::new(),
            answers: BTreeMap::new(),
            registrations: BTreeMap::new(),
            events: VecDeque::new(),
            lookups: VecDeque::new(),
            looker: None,
            released: None,
            next_id: 0,
        })
    }

    /// Has `hook` called for each SCTP port that is not used any more.
    pub fn on_port_released(&mut self, hook: PortHook) {
        self.released = Some(hook);
    }

    /// Has `hook` called for names that are to be looked up, until [`Self::stop`]; without it they wait for
    /// [`Self::poll_lookup`].
    pub fn on_lookup(&mut self, hook: LookUpHook) {
        self.looker = Some(hook);
    }

    /// The client side of ASAP, to look at.
    #[must_use]
    pub const fn asap(&self) -> &Asap {
        &self.asap
    }

    /// The stack below.
    #[must_use]
    pub const fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Speaks only with who has one of these shared keys, registrars and sessions alike, see [`Stack::protect`]; again, with others,
    /// to change them.
    pub fn protect(&mut self, now: Time, keys: &KeyRing) {
        // It fails for messages that ask for a key which is gone; ours ask for none.
        let _ = self.stack.protect(now, keys);
    }

    /// What happened between this host and registrars, for logs. Resolutions are not among it.
    pub fn poll_event(&mut self) -> Option<AsapEvent> {
        self.events.pop_front()
    }

    /// Lets go of everything, because the process ends: sessions end gracefully, registrars are left.
    pub fn stop(&mut self, now: Time) {
        for id in self.listeners.keys().copied().collect::<Vec<_>>() {
            self.close_listener(now, id);
        }
        for id in self.accepted.keys().copied().collect::<Vec<_>>() {
            self.drop_accepted(now, id, false);
        }
        for id in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.drop_session(now, id);
        }
        self.asap.stop();
        self.looker = None;
        self.pump(now);
    }

    /// Whether no session is left, after [`Self::stop`].
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.sessions.is_empty() && self.accepted.is_empty()
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Closes an endpoint and gives its port back.
    fn close_endpoint(&mut self, now: Time, endpoint: EndpointId) {
        let port = self.stack.local_port(endpoint);
        self.stack.close(now, endpoint);
        if let (Some(hook), Some(port)) = (&mut self.released, port) {
            (hook.0)(port);
        }
    }

    /// Carries events up and wishes down until all is quiet; tells whether there were any.
    fn pump(&mut self, now: Time) -> bool {
        let mut any = false;
        loop {
            if let Some((endpoint, id, event)) = self.stack.poll_event() {
                self.take_event(now, endpoint, id, event);
            } else if let Some(output) = self.asap.poll_output() {
                self.perform(now, output);
            } else if let Some(session) = self.touched.pop_front() {
                self.serve(now, session);
            } else {
                return any;
            }
            any = true;
        }
    }

    fn take_event(&mut self, now: Time, endpoint: EndpointId, id: AssocId, event: Event) {
        match (self.roles.get(&id).copied(), event) {
            (Some(Role::Registrar(link)), event) => self.registrar_event(now, id, link, event),
            (Some(Role::User(session, link)), event) => self.user_event(now, id, (session, link), event),
            (Some(Role::Element(accepted)), event) => self.element_event(now, id, accepted, event),
            (None, Event::Connected { .. }) if endpoint == self.asap_endpoint => self.registrar_came(now, id),
            (None, Event::Connected { .. }) => self.user_came(now, endpoint, id),
            // Associations that we refused or left.
            (None, Event::Readable) => while self.stack.assoc(id).is_some_and(|mut a| a.recv().is_some()) {},
            (None, Event::Lost { .. }) => self.stack.forget(id),
            (None, _) => {}
        }
    }
}

impl Node for PoolNode {
    fn handle_batch(&mut self, now: Time, meta: &Meta, train: Train) {
        if let Channel::Datagram { remote, .. } = meta.channel {
            let src = SocketAddr::new(meta.src, remote);
            for bytes in train.packets() {
                self.asap.handle(now, Input::Announce { src, bytes: &bytes });
            }
        } else {
            self.stack.handle_batch(now, meta, train);
        }
        self.pump(now);
    }

    fn handle_net_error(&mut self, now: Time, err: &NetError) {
        self.stack.handle_net_error(now, err);
        self.pump(now);
    }

    fn handle_timeout(&mut self, now: Time) {
        self.stack.handle_timeout(now);
        // What the stack has heard counts before the sessions' own clocks do.
        self.pump(now);
        while let Some(session) = self.deadlines.pop_expired(now) {
            self.touched.push_back(session);
        }
        if self.asap.poll_timeout().is_some_and(|t| t <= now) {
            self.asap.handle_timeout(now);
        }
        self.pump(now);
    }

    fn poll_transmit(&mut self, now: Time, max_segments: usize, buf: &mut Vec<u8>) -> Option<Transmit> {
        loop {
            let packet = self.stack.poll_transmit(now, max_segments, buf);
            if packet.is_some() || !self.pump(now) {
                return packet;
            }
        }
    }

    fn poll_timeout(&self) -> Option<Time> {
        [self.stack.poll_timeout(), self.asap.poll_timeout(), self.deadlines.next()].into_iter().flatten().min()
    }

    fn handle_addresses(&mut self, now: Time, change: AddrChange) {
        self.stack.handle_addresses(now, change);
        self.pump(now);
    }

    fn handle_ports_died(&mut self, now: Time, ports: &[u16]) {
        self.stack.handle_ports_died(now, ports);
        self.pump(now);
    }
}
