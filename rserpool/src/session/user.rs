//! The user's side of a session.

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;
use sctp_user::{CloseReason, Message, Time};

use super::card::BusinessCard;
use super::config::SessionConfig;
use super::detector::{Detector, PathView, Verdict};
use super::error::{EndReason, SendError};
use super::event::{Failover, FailureReason, Outgoing, Received};
use super::inbox::{Inbox, Sorted, sort, undelivered};
use super::race::Race;
use crate::asap::{LinkId, ResolveError};
use crate::wire::{ASAP_PPID, AsapMessage, ENRP_PPID, ElementId, EncodeOptions, PoolElement, PoolHandle, Transport, TransportUse};

/// What a session is told. Links that it does not know any more are ignored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// The answer to [`Output::Resolve`].
    Resolved(Result<Vec<PoolElement>, ResolveError>),
    /// An association is up.
    Connected(LinkId),
    /// A message arrived.
    Message(LinkId, Message),
    /// A message was not delivered, before the association ended or because it did.
    SendFailed(LinkId, Message),
    /// The peer's endpoint began anew within the association.
    Restarted(LinkId),
    /// The association is gone, or was not to be had; all its messages were handed over before.
    Lost(LinkId, CloseReason),
}

/// What a session wants done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Resolve the session's pool handle, once.
    Resolve,
    /// The same, but these elements, which a peer recommended, will do as long as any of them has not failed lately.
    Prefer(Vec<PoolElement>),
    /// Open an association.
    Connect(LinkId, Vec<SocketAddr>),
    /// Send a HEARTBEAT at once.
    Heartbeat(LinkId),
    /// End an association by ABORT. Messages that come back are still to be told.
    Abort(LinkId),
    /// End an association by SHUTDOWN.
    Shutdown(LinkId),
    /// Report an element as unreachable.
    Report {
        /// Which.
        element: ElementId,
        /// Where it was.
        transport: Transport,
        /// Whether it is excluded as well, or only suspected.
        exclude: bool,
    },
}

/// How it stands with a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SessionState {
    /// Looking for an element, for the first time or again.
    Connecting,
    /// At an element.
    Up(ElementId),
    /// Ending.
    Closing,
    /// Over.
    Ended(EndReason),
}

#[derive(Debug)]
struct Up {
    link: LinkId,
    element: PoolElement,
    detector: Detector,
    since: Time,
}

#[derive(Debug)]
enum Phase {
    Resolving,
    Waiting { until: Time },
    Connecting(Race),
    Up(Box<Up>),
    Closing(LinkId),
    Ended(EndReason),
}

/// An association that we left: what it had not delivered is still coming back.
#[derive(Debug)]
struct Left {
    link: LinkId,
    /// What it had not even been given, at most `send_queue` bytes and one message.
    rest: VecDeque<Outgoing>,
}

/// A user's session with a pool. See the [module's documentation](super).
#[derive(Debug)]
pub struct PoolSession {
    handle: PoolHandle,
    cfg: SessionConfig,
    phase: Phase,
    left: Option<Left>,
    next_link: u64,
    /// When the session ends if it is not at an element.
    deadline: Option<Time>,
    /// Why there was no element, last.
    trouble: Option<ResolveError>,
    /// When the loss of the element was noticed; `None` before the first one.
    failed_at: Option<Time>,
    /// The element to try last.
    avoid: Option<ElementId>,
    /// The latest cookie.
    cookie: Option<Bytes>,
    /// The latest business card of the element in use.
    card: Option<BusinessCard>,
    /// Accepted, not yet handed to SCTP: at most `send_queue` bytes and one message.
    outbox: VecDeque<Outgoing>,
    outbox_bytes: usize,
    inbox: Inbox,
    out: VecDeque<Output>,
    /// When the last message arrived.
    last_byte: Option<Time>,
    /// When data last flowed in either direction.
    last_flow: Option<Time>,
    /// Something was sent and nothing has come back yet.
    request_open: bool,
    /// The application's own word about that.
    expecting: Option<bool>,
    failovers: u32,
    /// The session is shut down as soon as the outbox is empty.
    closing: bool,
}

impl PoolSession {
    /// A session that begins to look for an element.
    #[must_use]
    pub fn new(now: Time, handle: PoolHandle, cfg: SessionConfig) -> Self {
        let mut session = Self {
            handle,
            phase: Phase::Resolving,
            left: None,
            next_link: 0,
            deadline: Some(now + cfg.connect_timeout),
            trouble: None,
            failed_at: None,
            avoid: None,
            cookie: None,
            card: None,
            outbox: VecDeque::new(),
            outbox_bytes: 0,
            inbox: Inbox::new(cfg.recv_queue),
            out: VecDeque::new(),
            last_byte: None,
            last_flow: None,
            request_open: false,
            expecting: None,
            failovers: 0,
            closing: false,
            cfg,
        };
        session.out.push_back(Output::Resolve);
        session
    }

    /// A session that begins with the elements of a business card: for an element whose user failed, and who is to serve another
    /// one of the user's pool (RFC 5352 section 3.9). If none of them can be reached, the pool is resolved.
    #[must_use]
    pub fn by_card(now: Time, card: BusinessCard, cfg: SessionConfig) -> Self {
        let mut session = Self::new(now, card.handle.clone(), cfg);
        session.out.clear();
        session.card = Some(card);
        session.choose();
        session
    }

    // ---- the application's verbs -------------------------------------------------------------------------------

    /// Accepts a message. During a failover it waits for the next element.
    ///
    /// # Errors
    /// [`SendError::WouldBlock`] if the queue is full, or what is wrong with the message.
    pub fn send(&mut self, now: Time, message: Outgoing) -> Result<(), SendError> {
        if self.closing || matches!(self.phase, Phase::Closing(_) | Phase::Ended(_)) {
            return Err(SendError::Closed);
        }
        let (len, max) = (message.data.len(), self.cfg.assoc.max_message);
        match (len, message.ppid) {
            (0, _) => return Err(SendError::Empty),
            _ if len > max => return Err(SendError::TooLong { len, max }),
            (_, ASAP_PPID | ENRP_PPID) => return Err(SendError::ReservedPpid(message.ppid)),
            _ if message.stream >= self.cfg.assoc.outbound_streams => return Err(SendError::InvalidStream),
            _ if self.outbox_bytes >= self.cfg.send_queue => return Err(SendError::WouldBlock),
            _ => {}
        }
        self.outbox_bytes += len;
        self.outbox.push_back(message);
        self.request_open = true;
        self.last_flow = Some(now);
        Ok(())
    }

    /// The next message or notification.
    pub fn recv(&mut self) -> Option<Received> {
        self.inbox.pop()
    }

    /// Says whether something is owed to us at present; `None` leaves it to the session, which takes a request for open until
    /// the next message arrives.
    pub const fn set_expecting(&mut self, expecting: Option<bool>) {
        self.expecting = expecting;
    }

    /// Ends the session: what was accepted is still delivered, if the session is at an element.
    pub fn close(&mut self) {
        self.closing = true;
        match &self.phase {
            Phase::Up(_) => self.shut_down_if_empty(),
            Phase::Closing(_) | Phase::Ended(_) => {}
            Phase::Connecting(race) => {
                self.out.extend(race.links().into_iter().map(Output::Abort));
                self.end_without_element();
            }
            Phase::Resolving | Phase::Waiting { .. } => self.end_without_element(),
        }
    }

    fn shut_down_if_empty(&mut self) {
        if let Some(link) = self.link().filter(|_| self.closing && self.outbox.is_empty()) {
            self.out.push_back(Output::Shutdown(link));
            self.phase = Phase::Closing(link);
        }
    }

    // ---- how it stands -----------------------------------------------------------------------------------------

    /// How it stands.
    #[must_use]
    pub fn state(&self) -> SessionState {
        match &self.phase {
            Phase::Resolving | Phase::Waiting { .. } | Phase::Connecting(_) => SessionState::Connecting,
            Phase::Up(up) => SessionState::Up(up.element.id),
            Phase::Closing(_) => SessionState::Closing,
            Phase::Ended(reason) => SessionState::Ended(reason.clone()),
        }
    }

    /// The pool.
    #[must_use]
    pub const fn pool(&self) -> &PoolHandle {
        &self.handle
    }

    /// The parameters.
    #[must_use]
    pub const fn config(&self) -> &SessionConfig {
        &self.cfg
    }

    /// Whether there is a cookie.
    #[must_use]
    pub const fn has_cookie(&self) -> bool {
        self.cookie.is_some()
    }

    /// How many times the session has moved to another element.
    #[must_use]
    pub const fn failovers(&self) -> u32 {
        self.failovers
    }

    /// Whether nothing waits to be fetched.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.inbox.is_empty()
    }

    /// Whether messages of the association may be handed over; if not, they stay there.
    #[must_use]
    pub const fn has_room(&self) -> bool {
        self.inbox.has_room()
    }

    /// The association in use.
    #[must_use]
    pub fn link(&self) -> Option<LinkId> {
        match &self.phase {
            Phase::Up(up) => Some(up.link),
            _ => None,
        }
    }

    // ---- the node's verbs --------------------------------------------------------------------------------------

    /// The next message for [`Self::link`]; [`Self::sent`] takes it off the queue.
    #[must_use]
    pub fn next_to_send(&self) -> Option<&Outgoing> {
        self.outbox.front()
    }

    /// SCTP has accepted (or refused for good) the message of [`Self::next_to_send`].
    pub fn sent(&mut self) {
        if let Some(message) = self.outbox.pop_front() {
            self.outbox_bytes = self.outbox_bytes.saturating_sub(message.data.len());
        }
        self.shut_down_if_empty();
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Self::tick`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        match &self.phase {
            Phase::Resolving => self.deadline,
            Phase::Waiting { until } => Some(self.deadline.map_or(*until, |d| d.min(*until))),
            Phase::Connecting(race) => race.deadline().into_iter().chain(self.deadline).min(),
            Phase::Up(up) => up.detector.deadline().into_iter().chain(self.progress_deadline(up)).min(),
            Phase::Closing(_) | Phase::Ended(_) => None,
        }
    }

    /// Does what the time asks for; to be called at [`Self::poll_timeout`] and after anything that happened to the session.
    /// `path` belongs to [`Self::link`].
    ///
    /// If it answers that the element has failed, what the association still holds is to be handed over, and then
    /// [`Self::fail`] to be called.
    #[must_use]
    pub fn tick(&mut self, now: Time, path: Option<&PathView>) -> Option<FailureReason> {
        if !matches!(self.phase, Phase::Up(_) | Phase::Closing(_) | Phase::Ended(_)) && self.deadline.is_some_and(|t| t <= now) {
            self.give_up();
        }
        if matches!(self.phase, Phase::Waiting { until } if until <= now) {
            self.phase = Phase::Resolving;
            self.out.push_back(Output::Resolve);
        }
        self.run_race(now);
        self.watch(now, path?)
    }

    /// Takes an input.
    pub fn handle(&mut self, now: Time, input: Input) {
        match input {
            Input::Resolved(result) => self.on_resolved(now, result),
            Input::Connected(link) => self.on_connected(now, link),
            Input::Message(link, message) => self.on_message(now, link, message),
            Input::SendFailed(link, message) => {
                let ending = matches!(self.phase, Phase::Closing(l) if l == link);
                if ending || self.link() == Some(link) || self.left.as_ref().is_some_and(|l| l.link == link) {
                    self.inbox_undelivered(undelivered(message));
                }
            }
            Input::Restarted(link) if self.link() == Some(link) => self.fail(now, FailureReason::Restarted, true),
            Input::Restarted(_) => {}
            Input::Lost(link, reason) => self.on_lost(now, link, &reason),
        }
    }

    /// Leaves the element in use and looks for another one. `report` tells the registrar and excludes the element.
    ///
    /// For a forced failover, this is the verb; without an element in use it does nothing.
    pub fn fail(&mut self, now: Time, reason: FailureReason, report: bool) {
        if let Some(link) = self.leave(now, reason, report) {
            self.out.push_back(Output::Abort(link));
        }
    }

    // ---- looking for an element --------------------------------------------------------------------------------

    fn new_link(&mut self) -> LinkId {
        self.next_link += 1;
        LinkId(self.next_link)
    }

    fn on_resolved(&mut self, now: Time, result: Result<Vec<PoolElement>, ResolveError>) {
        if !matches!(self.phase, Phase::Resolving) {
            return;
        }
        match result {
            Ok(elements) => {
                self.trouble = None;
                self.phase = Phase::Connecting(Race::new(now, elements, self.avoid, self.cfg.next_candidate));
                self.run_race(now);
            }
            Err(error) => {
                let fatal = !matches!(error, ResolveError::AllExcluded(_));
                self.trouble = Some(error);
                // At the beginning the answer is the application's; later the pool may recover.
                if self.failed_at.is_none() && fatal {
                    self.give_up();
                } else {
                    self.phase = Phase::Waiting { until: now + self.cfg.retry };
                }
            }
        }
    }

    fn run_race(&mut self, now: Time) {
        loop {
            let link = LinkId(self.next_link + 1);
            let Phase::Connecting(race) = &mut self.phase else { return };
            if let Some(addrs) = race.next(now, link) {
                let link = self.new_link();
                self.out.push_back(Output::Connect(link, addrs));
                continue;
            }
            if race.is_over() {
                self.phase = Phase::Waiting { until: now + self.cfg.retry };
            }
            return;
        }
    }

    fn on_connected(&mut self, now: Time, link: LinkId) {
        let Phase::Connecting(race) = &mut self.phase else { return };
        let Some(outcome) = race.won(now, link) else { return };
        self.out.extend(outcome.losers.into_iter().map(Output::Abort));
        for suspect in outcome.suspects {
            self.report(&suspect, false);
        }
        self.flush_left();
        let element = outcome.winner.id;
        let control = outcome.winner.user.usage == TransportUse::DATA_PLUS_CONTROL;
        let detector = Detector::new(self.cfg.detector, now);
        self.phase = Phase::Up(Box::new(Up { link, element: outcome.winner, detector, since: now }));
        self.deadline = None;
        self.avoid = None;
        self.hand_card_over(control);
        let cookie_sent = self.echo_cookie();
        if let Some(noticed) = self.failed_at {
            self.failovers += 1;
            let last_byte = self.last_byte;
            let complete = Failover::Complete { element, last_byte, noticed, connected: now, cookie_sent };
            self.inbox.push(Received::Failover(complete));
        }
        self.request_open = self.failed_at.is_some() || !self.outbox.is_empty();
        self.last_flow = Some(now);
    }

    /// Puts the cookie before everything else (RFC 5352 section 3.8).
    fn echo_cookie(&mut self) -> bool {
        let Some(cookie) = self.cookie.clone() else { return false };
        let Ok(bytes) = AsapMessage::CookieEcho(cookie).encode(EncodeOptions::default()) else { return false };
        self.outbox_bytes += bytes.len();
        self.outbox.push_front(Outgoing { data: bytes.into(), ppid: ASAP_PPID, stream: 0, unordered: false });
        true
    }

    /// Tells an element with a control channel where to go on if this process fails.
    fn hand_card_over(&mut self, control: bool) {
        let Some(message) = self.cfg.business_card.as_ref().filter(|_| control).and_then(BusinessCard::message) else { return };
        self.outbox_bytes += message.data.len();
        self.outbox.push_front(message);
    }

    /// Asks for elements, those first that the element in use recommended.
    fn choose(&mut self) {
        let elements = self.card.take().map(|card| card.elements).unwrap_or_default();
        self.out.push_back(if elements.is_empty() { Output::Resolve } else { Output::Prefer(elements) });
    }

    fn give_up(&mut self) {
        let reason = match self.trouble.take() {
            Some(error) => EndReason::Resolve(error),
            None => EndReason::NoElement(self.handle.clone()),
        };
        if let Phase::Connecting(race) = core::mem::replace(&mut self.phase, Phase::Ended(reason)) {
            self.out.extend(race.links().into_iter().map(Output::Abort));
        }
        self.flush_left();
        self.report_outbox();
    }

    // ---- at an element -----------------------------------------------------------------------------------------

    fn on_message(&mut self, now: Time, link: LinkId, message: Message) {
        let element = match &self.phase {
            Phase::Up(up) if up.link == link => up.element.id,
            Phase::Closing(l) if *l == link => ElementId::UNDEFINED,
            _ => return,
        };
        match sort(now, element, message) {
            Sorted::Data(incoming) => {
                (self.last_byte, self.last_flow) = (Some(now), Some(now));
                self.request_open = false;
                self.inbox.push(Received::Message(incoming));
            }
            Sorted::Cookie(cookie) => self.cookie = Some(cookie),
            Sorted::Card(card) if card.handle == self.handle => self.card = Some(card),
            Sorted::Card(card) => tracing::debug!(pool = %card.handle, "business card of another pool ignored"),
            Sorted::CookieEcho(_) | Sorted::Nothing => {}
        }
    }

    fn on_lost(&mut self, now: Time, link: LinkId, reason: &CloseReason) {
        if self.left.as_ref().is_some_and(|l| l.link == link) {
            self.flush_left();
            return;
        }
        let graceful = *reason == CloseReason::Shutdown;
        match &mut self.phase {
            Phase::Connecting(race) => {
                if let Some(element) = race.lost(now, link) {
                    self.report(&element, true);
                    self.run_race(now);
                }
            }
            Phase::Up(up) if up.link == link && graceful && !self.cfg.failover_on_shutdown => {
                self.phase = Phase::Ended(EndReason::Shutdown);
                self.report_outbox();
                self.inbox.push(Received::Shutdown);
            }
            Phase::Up(up) if up.link == link => {
                let reason = FailureReason::from(reason);
                self.leave(now, reason, reason.is_failure());
                self.flush_left();
            }
            Phase::Closing(l) if *l == link => {
                self.phase = Phase::Ended(if graceful { EndReason::Closed } else { EndReason::ElementLost });
            }
            _ => {}
        }
    }

    /// Begins a failover; the association that was in use.
    fn leave(&mut self, now: Time, reason: FailureReason, report: bool) -> Option<LinkId> {
        if !matches!(self.phase, Phase::Up(_)) {
            return None;
        }
        let Phase::Up(up) = core::mem::replace(&mut self.phase, Phase::Resolving) else { return None };
        if self.closing {
            self.phase = Phase::Ended(if reason.is_failure() { EndReason::ElementLost } else { EndReason::Closed });
            self.report_outbox();
            return Some(up.link);
        }
        let element = up.element.id;
        tracing::info!(pool = %self.handle, %element, %reason, "failover");
        if report {
            self.report(&up.element, true);
        }
        self.flush_left();
        self.left = Some(Left { link: up.link, rest: core::mem::take(&mut self.outbox) });
        self.outbox_bytes = 0;
        self.avoid = Some(element);
        self.failed_at = Some(now);
        self.deadline = self.cfg.failover_timeout.map(|d| now + d);
        let (last_byte, has_cookie) = (self.last_byte, self.cookie.is_some());
        let necessary = Failover::Necessary { element, reason, last_byte, noticed: now, has_cookie };
        self.inbox.push(Received::Failover(necessary));
        self.choose();
        Some(up.link)
    }

    fn report(&mut self, element: &PoolElement, exclude: bool) {
        self.out.push_back(Output::Report { element: element.id, transport: element.user.clone(), exclude });
    }

    fn watch(&mut self, now: Time, path: &PathView) -> Option<FailureReason> {
        let expecting = self.expects(now, path);
        let Phase::Up(up) = &self.phase else { return None };
        if self.progress_deadline(up).is_some_and(|t| t <= now) {
            return Some(FailureReason::ProgressTimeout);
        }
        let Phase::Up(up) = &mut self.phase else { return None };
        match up.detector.poll(now, expecting, path) {
            Verdict::Wait => None,
            Verdict::Probe => {
                let link = up.link;
                self.out.push_back(Output::Heartbeat(link));
                None
            }
            Verdict::Failed => Some(FailureReason::HeartbeatsUnanswered),
        }
    }

    /// Whether something is owed to us, by the application's word or by what was sent.
    fn owed(&self) -> bool {
        self.expecting.unwrap_or(self.request_open)
    }

    fn expects(&self, now: Time, path: &PathView) -> bool {
        let flowed = self.last_flow.is_some_and(|t| now.saturating_since(t) < self.cfg.detector.expect_after_data);
        self.owed() || flowed || path.buffered > 0 || !self.outbox.is_empty()
    }

    fn progress_deadline(&self, up: &Up) -> Option<Time> {
        let limit = self.cfg.detector.progress_timeout.filter(|_| self.owed())?;
        Some(self.last_flow.map_or(up.since, |t| t.max(up.since)) + limit)
    }

    // ---- what did not arrive -----------------------------------------------------------------------------------

    fn inbox_undelivered(&mut self, message: Option<Outgoing>) {
        if let Some(message) = message.filter(|m| m.ppid != ASAP_PPID) {
            self.inbox.push(Received::Undelivered(message));
        }
    }

    /// The association that we left is gone: nothing more comes back from it.
    fn flush_left(&mut self) {
        for message in self.left.take().into_iter().flat_map(|l| l.rest) {
            self.inbox_undelivered(Some(message));
        }
    }

    /// The application ends a session that is at no element: what waits for one comes back.
    fn end_without_element(&mut self) {
        self.phase = Phase::Ended(EndReason::Closed);
        self.flush_left();
        self.report_outbox();
    }

    fn report_outbox(&mut self) {
        self.outbox_bytes = 0;
        for message in core::mem::take(&mut self.outbox) {
            self.inbox_undelivered(Some(message));
        }
    }
}
