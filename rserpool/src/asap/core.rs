//! The core itself: inputs, outputs, timers.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use sctp_user::stack::deadline::DeadlineSet;
use sctp_user::{Entropy, Time};

use super::cache::{Cache, Exclusions};
use super::config::AsapConfig;
use super::element::{ElementKey, OwnElement};
use super::error::{RegisterError, ResolveError};
use super::home::{Home, Visitor};
use super::hunt::Hunt;
use super::request::Request;
use super::subscribe::Subscription;

use crate::wire::{ASAP_PORT, AsapMessage, CauseCode, ElementId, ErrorCause, OperationError, PoolElement, PoolHandle, RegistrarId, Scope};

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
    /// A look-up of [`Output::LookUp`] has ended.
    LookedUp {
        /// The name, as it was asked for.
        name: &'a str,
        /// All its addresses with the port; none if it was not found.
        addrs: Vec<SocketAddr>,
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
    /// Look the name of a registrar's host up, and tell the result by [`Input::LookedUp`] in any case.
    LookUp {
        /// A name of [`AsapConfig::registrar_names`].
        name: String,
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
    /// A pool that is followed ([`Asap::subscribe`]) has changed, or how it stands is known again.
    PoolChanged {
        /// The pool.
        handle: PoolHandle,
        /// Its elements, in the order in which they are to be tried.
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

/// The client side of ASAP in one process. See the [module's documentation](super).
#[derive(Debug)]
pub struct Asap {
    pub(super) cfg: AsapConfig,
    pub(super) entropy: Box<dyn Entropy>,
    pub(super) hunt: Hunt,
    pub(super) home: Option<Home>,
    /// When the search for a registrar began.
    pub(super) hunting_since: Time,
    /// Until when the registrar that takes over is waited for.
    pub(super) adoption_until: Time,
    /// At most as many as [`Asap::accept`] lets in.
    pub(super) visitors: BTreeMap<LinkId, Visitor>,
    /// Requests without an answer, oldest first: all are in flight if there is a home, none if there is none.
    pub(super) queue: VecDeque<Request>,
    /// When the first of them became the first, or was sent.
    pub(super) head_since: Time,
    pub(super) elements: BTreeMap<ElementKey, OwnElement>,
    /// When elements are to be registered.
    pub(super) due: DeadlineSet<ElementKey>,
    /// Reports that wait for a home, at most [`super::user::MAX_REPORTS`].
    pub(super) reports: VecDeque<(PoolHandle, ElementId)>,
    /// Pools that are followed, at most [`super::MAX_SUBSCRIPTIONS`].
    pub(super) subscriptions: BTreeMap<PoolHandle, Subscription>,
    pub(super) cache: Cache,
    pub(super) excluded: Exclusions,
    pub(super) out: VecDeque<Output>,
    pub(super) next_link: u64,
    pub(super) next_request: u64,
    /// When it was last driven.
    pub(super) driven: Time,
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
            adoption_until: Time::ZERO,
            visitors: BTreeMap::new(),
            queue: VecDeque::new(),
            head_since: Time::ZERO,
            elements: BTreeMap::new(),
            due: DeadlineSet::default(),
            reports: VecDeque::new(),
            subscriptions: BTreeMap::new(),
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
            Input::LookedUp { name, addrs } => self.hunt.looked_up(now, name, &addrs),
        }
        self.drive(now);
    }

    /// The time of [`Self::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Time) {
        for link in self.hunt.expire(now) {
            self.close(link, Ending::Abort);
        }
        self.close_idle_visitors(now);
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
        let rest = if self.home.is_some() {
            [self.request_deadline(), self.due.next(), self.follow_deadline()]
        } else if self.awaits_adoption(self.driven) {
            [Some(self.adoption_until), None, None]
        } else if self.wants_home() {
            [self.hunt.poll_timeout(self.driven), self.give_up_deadline(), None]
        } else {
            [None; 3]
        };
        rest.into_iter().chain([self.visitor_deadline()]).flatten().min()
    }

    /// The next thing to do.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Ends all associations with registrars gracefully, because the process ends. What was asked for is forgotten.
    pub fn stop(&mut self) {
        self.queue.clear();
        self.reports.clear();
        self.elements.clear();
        self.due = DeadlineSet::default();
        self.subscriptions.clear();
        let visitors = core::mem::take(&mut self.visitors).into_keys();
        for link in self.home.take().map(|h| h.link).into_iter().chain(visitors) {
            self.out.push_back(Output::Close { link, how: Ending::Graceful });
        }
        self.stop_hunt();
    }

    /// Does what can be done now: looks for a home, or asks it for what is due.
    pub(super) fn drive(&mut self, now: Time) {
        self.driven = now;
        if self.home.is_some() {
            self.register_due(now);
            self.follow_due(now);
        } else if self.wants_home() && !self.awaits_adoption(now) {
            self.hunt_on(now);
        } else {
            self.stop_hunt();
        }
    }

    /// The home registrar's identifier (undefined as long as it has not told), if there is a home.
    #[must_use]
    pub fn home(&self) -> Option<RegistrarId> {
        self.home.as_ref().map(|h| h.registrar)
    }

    /// Whether no request waits for its answer.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many registrars are known by configuration or by announces.
    #[must_use]
    pub fn registrars_known(&self, now: Time) -> usize {
        self.hunt.known(now)
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
        let port = if self.cfg.assume_registered_port { ASAP_PORT } else { src.port() };
        let src = SocketAddr::new(src.ip().to_canonical(), port);
        let mut addrs: Vec<SocketAddr> = named.map_or_else(|| vec![src], |t| t.socket_addrs().collect());
        addrs.retain(|a| a.port() != 0 && !matches!(Scope::of(a.ip()), Scope::None | Scope::LinkLocal));
        self.hunt.heard(now, registrar, addrs);
    }

    fn on_message(&mut self, now: Time, link: LinkId, bytes: &[u8]) {
        let at_home = self.home.as_ref().is_some_and(|h| h.link == link);
        if !self.visitor_speaks(now, link) && !at_home {
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
                self.on_keep_alive(now, link, (registrar, new_home), &handle, id);
            }
            message if at_home => self.on_answer(now, message),
            message => tracing::debug!(message = message.name(), "ignored: not from the home registrar"),
        }
    }

    pub(super) fn close(&mut self, link: LinkId, how: Ending) {
        self.out.push_back(Output::Close { link, how });
    }

    pub(super) fn send_home(&mut self, message: &AsapMessage) {
        if let Some(link) = self.home.as_ref().map(|h| h.link) {
            self.send(link, message);
        }
    }

    pub(super) fn send(&mut self, link: LinkId, message: &AsapMessage) {
        match message.encode(self.cfg.encode) {
            Ok(bytes) => self.out.push_back(Output::Send { link, bytes: bytes.into() }),
            Err(error) => tracing::warn!(%error, message = message.name(), "not sent"),
        }
    }
}
