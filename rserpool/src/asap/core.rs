//! The core itself: inputs, outputs, the home registrar, timers.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use sctp_user::stack::deadline::DeadlineSet;
use sctp_user::{Entropy, Time};

use super::cache::{Cache, Exclusions};
use super::config::AsapConfig;
use super::element::{ElementKey, OwnElement};
use super::error::{RegisterError, ResolveError};
use super::hunt::Hunt;
use super::request::Request;

use crate::wire::{AsapMessage, CauseCode, ElementId, ErrorCause, OperationError, PoolElement, PoolHandle, RegistrarId, Scope};

/// Most associations that registrars opened to us and that are not our home; more are refused.
const MAX_VISITORS: usize = 16;

/// How long such an association may be silent before it is closed (RSPLIB's value).
const VISITOR_IDLE: core::time::Duration = core::time::Duration::from_secs(30);

/// Type number of ASAP_ERROR, which is never answered by another one.
const ERROR_TYPE: u8 = 0x0e;

/// An association with a registrar, named by the core; the node knows which one it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkId(pub u64);

/// A resolution that was asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub(super) u64);

/// What the core is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input<'a> {
    /// An association of [`Output::Connect`] is up; our addresses in it.
    Connected {
        /// Which.
        link: LinkId,
        /// Our addresses as the registrar knows them.
        local: Vec<IpAddr>,
    },
    /// An association is gone, or could not be set up.
    Lost {
        /// Which.
        link: LinkId,
    },
    /// Our addresses in an association changed.
    LocalAddrs {
        /// Which.
        link: LinkId,
        /// Our addresses as the registrar knows them.
        local: Vec<IpAddr>,
    },
    /// A message with the payload protocol identifier of ASAP.
    Message {
        /// From where.
        link: LinkId,
        /// The message.
        bytes: &'a [u8],
    },
    /// A datagram to the group of the announces.
    Announce {
        /// Its source.
        src: SocketAddr,
        /// The datagram.
        bytes: &'a [u8],
    },
}

/// How an association is ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// By SHUTDOWN.
    Graceful,
    /// By ABORT.
    Abort,
}

/// What the core wants done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Open an association.
    Connect {
        /// Its name.
        link: LinkId,
        /// Addresses and SCTP port of the registrar.
        peer: Vec<SocketAddr>,
    },
    /// Send a message on stream 0, ordered, with the payload protocol identifier of ASAP.
    Send {
        /// On which association.
        link: LinkId,
        /// The message.
        bytes: Bytes,
    },
    /// End an association; nothing about it is to be told any more.
    Close {
        /// Which.
        link: LinkId,
        /// How.
        how: Ending,
    },
    /// Something that the process may want to know.
    Event(AsapEvent),
}

/// What the process may want to know.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AsapEvent {
    /// There is a home registrar.
    HomeFound {
        /// Its identifier, undefined as long as it has not told.
        registrar: RegistrarId,
        /// Where it is.
        addrs: Vec<SocketAddr>,
    },
    /// The home registrar is lost; another one is looked for if there is need.
    HomeLost {
        /// Its identifier.
        registrar: RegistrarId,
    },
    /// A resolution has ended.
    Resolved {
        /// Which.
        request: RequestId,
        /// Elements in the order in which they are to be tried, at least one.
        result: Result<Vec<PoolElement>, ResolveError>,
    },
    /// An element is registered; again with each renewal.
    Registered {
        /// Which.
        key: ElementKey,
    },
    /// An element is not registered. [`RegisterError`] tells whether it is still tried.
    RegistrationFailed {
        /// Which.
        key: ElementKey,
        /// Why.
        error: RegisterError,
    },
    /// An element has left its pool and is forgotten.
    Deregistered {
        /// Which.
        key: ElementKey,
    },
}

/// The home registrar.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) link: LinkId,
    pub(super) registrar: RegistrarId,
    /// Where the hunt found it; empty if it came to us.
    addrs: Vec<SocketAddr>,
    /// Our addresses in the association.
    pub(super) local: Vec<IpAddr>,
}

/// An association that a registrar opened to us.
#[derive(Debug)]
struct Visitor {
    local: Vec<IpAddr>,
    last_used: Time,
}

/// The client side of ASAP in one process. See the [module's documentation](super).
#[derive(Debug)]
pub struct Asap {
    pub(super) cfg: AsapConfig,
    pub(super) entropy: Box<dyn Entropy>,
    hunt: Hunt,
    pub(super) home: Option<Home>,
    /// When the search for a registrar began.
    hunting_since: Time,
    /// At most [`MAX_VISITORS`].
    visitors: BTreeMap<LinkId, Visitor>,
    /// Requests without an answer, oldest first: all are in flight if there is a home, none if there is none.
    pub(super) queue: VecDeque<Request>,
    /// When the first of them became the first, or was sent.
    pub(super) head_since: Time,
    pub(super) elements: BTreeMap<ElementKey, OwnElement>,
    /// When elements are to be registered.
    pub(super) due: DeadlineSet<ElementKey>,
    /// Reports that wait for a home, at most [`super::user::MAX_REPORTS`].
    pub(super) reports: VecDeque<(PoolHandle, ElementId)>,
    pub(super) cache: Cache,
    pub(super) excluded: Exclusions,
    pub(super) out: VecDeque<Output>,
    next_link: u64,
    pub(super) next_request: u64,
    /// When it was last driven.
    driven: Time,
}

impl Asap {
    /// A core that knows the registrars of `cfg`. It looks for one when something is asked of it.
    #[must_use]
    pub fn new(cfg: AsapConfig, entropy: Box<dyn Entropy>) -> Self {
        Self {
            hunt: Hunt::new(&cfg),
            cfg,
            entropy,
            home: None,
            hunting_since: Time::ZERO,
            visitors: BTreeMap::new(),
            queue: VecDeque::new(),
            head_since: Time::ZERO,
            elements: BTreeMap::new(),
            due: DeadlineSet::default(),
            reports: VecDeque::new(),
            cache: Cache::default(),
            excluded: Exclusions::default(),
            out: VecDeque::new(),
            next_link: 0,
            next_request: 0,
            driven: Time::ZERO,
        }
    }

    /// Takes an input.
    pub fn handle(&mut self, now: Time, input: Input<'_>) {
        match input {
            Input::Connected { link, local } => self.on_connected(now, link, local),
            Input::Lost { link } => self.on_lost(now, link),
            Input::LocalAddrs { link, local } => self.on_local_addrs(now, link, local),
            Input::Message { link, bytes } => self.on_message(now, link, bytes),
            Input::Announce { src, bytes } => self.on_announce(now, src, bytes),
        }
        self.drive(now);
    }

    /// A registrar opened an association to us. `None` if there are too many: it is to be aborted.
    pub fn accept(&mut self, now: Time, local: Vec<IpAddr>) -> Option<LinkId> {
        if self.visitors.len() >= MAX_VISITORS {
            return None;
        }
        let link = self.new_link();
        self.visitors.insert(link, Visitor { local, last_used: now });
        Some(link)
    }

    /// The time of [`Self::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Time) {
        for link in self.hunt.expire(now) {
            self.close(link, Ending::Abort);
        }
        let idle: Vec<LinkId> = self.visitors.iter().filter(|(_, v)| v.last_used + VISITOR_IDLE <= now).map(|(link, _)| *link).collect();
        for link in idle {
            self.visitors.remove(&link);
            self.close(link, Ending::Graceful);
        }
        if self.home.is_none() {
            self.give_up_requests(now);
        } else if self.request_deadline().is_some_and(|t| t <= now) {
            tracing::info!("registrar does not answer");
            self.fail_home(now, true);
        }
        self.drive(now);
    }

    /// When [`Self::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let idle = self.visitors.values().map(|v| v.last_used + VISITOR_IDLE).min();
        let rest = if self.home.is_some() {
            [self.request_deadline(), self.due.next()]
        } else if self.wants_home() {
            [self.hunt.poll_timeout(self.driven), self.give_up_deadline()]
        } else {
            [None, None]
        };
        rest.into_iter().flatten().chain(idle).min()
    }

    /// The next thing to do.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// The home registrar's identifier (undefined as long as it has not told), if there is a home.
    #[must_use]
    pub fn home(&self) -> Option<RegistrarId> {
        self.home.as_ref().map(|h| h.registrar)
    }

    /// How many registrars are known by configuration or by announces.
    #[must_use]
    pub fn registrars_known(&self, now: Time) -> usize {
        self.hunt.known(now)
    }

    // ---- the home registrar ------------------------------------------------------------------------------------

    fn new_link(&mut self) -> LinkId {
        self.next_link += 1;
        LinkId(self.next_link)
    }

    fn wants_home(&self) -> bool {
        !self.queue.is_empty() || !self.elements.is_empty() || !self.reports.is_empty()
    }

    /// Does what can be done now: begins associations, or registers what is due.
    pub(super) fn drive(&mut self, now: Time) {
        self.driven = now;
        if self.home.is_some() {
            self.register_due(now);
            return;
        }
        if !self.wants_home() {
            for link in self.hunt.stop() {
                self.close(link, Ending::Abort);
            }
            return;
        }
        while let Some(addrs) = self.hunt.next(now, &mut *self.entropy) {
            let link = self.new_link();
            self.out.push_back(Output::Connect { link, peer: addrs.clone() });
            self.hunt.began(now, link, addrs);
        }
    }

    fn on_connected(&mut self, now: Time, link: LinkId, local: Vec<IpAddr>) {
        let Some((addrs, losers)) = self.hunt.succeeded(link) else { return };
        for loser in losers {
            self.close(loser, Ending::Abort);
        }
        let registrar = self.hunt.id_at(&addrs);
        self.settle_at(now, Home { link, registrar, addrs, local });
    }

    /// Makes a registrar the home: everything without an answer is sent to it, and all elements register with it.
    fn settle_at(&mut self, now: Time, home: Home) {
        tracing::info!(registrar = %home.registrar, "home registrar found");
        self.out.push_back(Output::Event(AsapEvent::HomeFound { registrar: home.registrar, addrs: home.addrs.clone() }));
        self.home = Some(home);
        self.resend_requests(now);
        self.renew_all(now);
        while let Some((handle, id)) = self.reports.pop_front() {
            self.send_home(&AsapMessage::Unreachable { handle, id });
        }
    }

    fn on_lost(&mut self, now: Time, link: LinkId) {
        if self.home.as_ref().is_some_and(|h| h.link == link) {
            tracing::info!("association with the registrar lost");
            self.fail_home(now, false);
        } else if !self.hunt.failed(now, link) {
            self.visitors.remove(&link);
        }
    }

    /// Leaves the home for lost. What it has not answered is sent to the next one.
    pub(super) fn fail_home(&mut self, now: Time, abort: bool) {
        let Some(home) = self.home.take() else { return };
        self.hunt.punish(now, &home.addrs);
        if abort {
            self.close(home.link, Ending::Abort);
        }
        self.hunting_since = now;
        self.out.push_back(Output::Event(AsapEvent::HomeLost { registrar: home.registrar }));
        self.drop_exhausted_requests(now);
    }

    fn on_local_addrs(&mut self, now: Time, link: LinkId, local: Vec<IpAddr>) {
        if let Some(visitor) = self.visitors.get_mut(&link) {
            visitor.local = local;
        } else if let Some(home) = self.home.as_mut().filter(|h| h.link == link && h.local != local) {
            home.local = local;
            self.renew_all(now);
        }
    }

    /// How long requests wait for a home.
    fn patience(&self, now: Time) -> core::time::Duration {
        if self.hunt.known(now) > 0 { self.cfg.reach_limit } else { self.cfg.hunt_limit }
    }

    /// When requests without a home are given up.
    fn give_up_deadline(&self) -> Option<Time> {
        let limit = self.patience(self.driven);
        self.queue.iter().map(|r| r.queued.max(self.hunting_since) + limit).min()
    }

    fn give_up_requests(&mut self, now: Time) {
        let (since, limit) = (self.hunting_since, self.patience(now));
        let (late, rest): (Vec<Request>, Vec<Request>) = self.queue.drain(..).partition(|r| r.queued.max(since) + limit <= now);
        self.queue = rest.into();
        for request in late {
            self.fail_request(now, request, ResolveError::NoRegistrar, RegisterError::NoRegistrar);
        }
    }

    // ---- messages ----------------------------------------------------------------------------------------------

    fn on_announce(&mut self, now: Time, src: SocketAddr, bytes: &[u8]) {
        let Ok(decoded) = AsapMessage::decode(bytes) else { return };
        let AsapMessage::ServerAnnounce { registrar, transports } = decoded.message else { return };
        if registrar.is_undefined() {
            return;
        }
        // A parameter wins; without one, the datagram's source is the registrar's SCTP address (rulings, 2.2).
        let named = transports.iter().find(|t| t.protocol == crate::wire::Protocol::Sctp);
        let src = SocketAddr::new(src.ip().to_canonical(), src.port());
        let mut addrs: Vec<SocketAddr> = named.map_or_else(|| vec![src], |t| t.socket_addrs().collect());
        addrs.retain(|a| a.port() != 0 && !matches!(Scope::of(a.ip()), Scope::None | Scope::LinkLocal));
        self.hunt.heard(now, registrar, addrs);
    }

    fn on_message(&mut self, now: Time, link: LinkId, bytes: &[u8]) {
        let at_home = self.home.as_ref().is_some_and(|h| h.link == link);
        if let Some(visitor) = self.visitors.get_mut(&link) {
            visitor.last_used = now;
        } else if !at_home {
            return;
        }
        let decoded = match AsapMessage::decode(bytes) {
            Ok(decoded) => decoded,
            Err(error) => {
                tracing::debug!(%error, "message of a registrar not understood");
                if let Some(report) = error.to_report(bytes).filter(|_| bytes.first() != Some(&ERROR_TYPE)) {
                    self.send(link, &AsapMessage::Error(report));
                }
                return;
            }
        };
        let is_error = matches!(decoded.message, AsapMessage::Error(_));
        if let Some(data) = decoded.reports.into_iter().next().filter(|_| !is_error) {
            let cause = ErrorCause { code: CauseCode::UNRECOGNIZED_PARAMETER, data };
            self.send(link, &AsapMessage::Error(OperationError::from(cause)));
        }
        match decoded.message {
            AsapMessage::KeepAlive { new_home, registrar, handle, id } => {
                self.on_keep_alive(now, link, new_home.then_some(registrar), &handle, id);
            }
            message if at_home => self.on_answer(now, message),
            message => tracing::debug!(message = message.name(), "ignored: not from the home registrar"),
        }
    }

    /// A keep-alive (RFC 5352 section 4.1): acknowledged where it came from; with the H flag its sender is the home now.
    fn on_keep_alive(&mut self, now: Time, link: LinkId, new_home: Option<RegistrarId>, pool: &PoolHandle, id: Option<ElementId>) {
        let ids = self.elements_asked_for(pool, id);
        if ids.is_empty() {
            return;
        }
        for id in ids {
            self.send(link, &AsapMessage::KeepAliveAck { handle: pool.clone(), id });
        }
        let Some(registrar) = new_home else { return };
        if let Some(home) = self.home.as_mut().filter(|h| h.link == link) {
            home.registrar = registrar;
        } else if let Some(visitor) = self.visitors.remove(&link) {
            self.move_to(now, Home { link, registrar, addrs: Vec::new(), local: visitor.local });
        }
    }

    /// A registrar has taken us over (RFC 5353 section 3.5).
    fn move_to(&mut self, now: Time, home: Home) {
        if let Some(old) = self.home.take() {
            self.out.push_back(Output::Event(AsapEvent::HomeLost { registrar: old.registrar }));
            self.close(old.link, Ending::Abort);
        }
        for link in self.hunt.stop() {
            self.close(link, Ending::Abort);
        }
        self.settle_at(now, home);
    }

    pub(super) fn close(&mut self, link: LinkId, how: Ending) {
        self.out.push_back(Output::Close { link, how });
    }

    pub(super) fn send_home(&mut self, message: &AsapMessage) {
        if let Some(link) = self.home.as_ref().map(|h| h.link) {
            self.send(link, message);
        }
    }

    fn send(&mut self, link: LinkId, message: &AsapMessage) {
        match message.encode(self.cfg.encode) {
            Ok(bytes) => self.out.push_back(Output::Send { link, bytes: bytes.into() }),
            Err(error) => tracing::warn!(%error, message = message.name(), "not sent"),
        }
    }
}
