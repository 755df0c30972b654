//! Sessions with pools.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use sctp_user::{
    AssocId, AssocStatus, BindError, CloseReason, EndpointConfig, EndpointId, Event, PeerAddr, Ppid, SendError as StackError, SendOptions,
    StreamId, Time,
};

use super::registrar::Asker;
use super::{PoolNode, Role};
use crate::asap::LinkId;
use crate::session::{
    BusinessCard, FailureReason, Input, Outgoing, Output, PathView, PoolSession, Received, SendError, SessionConfig, SessionState,
};
use crate::wire::PoolHandle;

/// A user's session on this host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SessionId(u64);

/// A session with its associations.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) session: PoolSession,
    endpoint: EndpointId,
    links: BTreeMap<LinkId, AssocId>,
    /// The program has let go of it: it goes with its last association.
    abandoned: bool,
}

impl PoolNode {
    // ---- for the program ---------------------------------------------------------------------------------------

    /// Begins a session with a pool from the SCTP port `port` (0: any).
    ///
    /// # Errors
    /// The port is open already.
    pub fn open_session(&mut self, now: Time, port: u16, handle: PoolHandle, cfg: SessionConfig) -> Result<SessionId, BindError> {
        self.begin_session(now, port, PoolSession::new(now, handle, cfg))
    }

    /// Begins a session with an element of a business card: see [`Self::accepted_card`].
    ///
    /// # Errors
    /// The port is open already.
    pub fn open_session_by_card(&mut self, now: Time, port: u16, card: BusinessCard, cfg: SessionConfig) -> Result<SessionId, BindError> {
        self.begin_session(now, port, PoolSession::by_card(now, card, cfg))
    }

    fn begin_session(&mut self, now: Time, port: u16, session: PoolSession) -> Result<SessionId, BindError> {
        let endpoint = self.stack.open(EndpointConfig::with(port, session.config().assoc.clone()))?;
        let id = SessionId(self.new_id());
        self.sessions.insert(id, Slot { session, endpoint, links: BTreeMap::new(), abandoned: false });
        self.touched.push_back(id);
        self.pump(now);
        Ok(id)
    }

    /// A session, to look at.
    #[must_use]
    pub fn session(&self, id: SessionId) -> Option<&PoolSession> {
        self.sessions.get(&id).map(|s| &s.session)
    }

    /// Sends a message in a session.
    ///
    /// # Errors
    /// See [`PoolSession::send`].
    pub fn session_send(&mut self, now: Time, id: SessionId, message: Outgoing) -> Result<(), SendError> {
        let slot = self.sessions.get_mut(&id).ok_or(SendError::Closed)?;
        slot.session.send(now, message)?;
        self.touch(now, id);
        Ok(())
    }

    /// The next message or notification of a session.
    pub fn session_recv(&mut self, now: Time, id: SessionId) -> Option<Received> {
        let slot = self.sessions.get_mut(&id)?;
        let was_full = !slot.session.has_room();
        let item = slot.session.recv();
        if was_full && slot.session.has_room() {
            self.touch(now, id);
        }
        item
    }

    /// Says whether something is owed to a session at present; see [`PoolSession::set_expecting`].
    pub fn session_expects(&mut self, now: Time, id: SessionId, expecting: Option<bool>) {
        if let Some(slot) = self.sessions.get_mut(&id) {
            slot.session.set_expecting(expecting);
            self.touch(now, id);
        }
    }

    /// Moves a session to another element; `report` reports and excludes the present one.
    pub fn session_failover(&mut self, now: Time, id: SessionId, report: bool) {
        self.fail(now, id, FailureReason::Forced, report);
        self.touch(now, id);
    }

    /// The state of a session's association, if there is one.
    pub fn session_status(&mut self, id: SessionId) -> Option<AssocStatus> {
        let slot = self.sessions.get(&id)?;
        let assoc = *slot.links.get(&slot.session.link()?)?;
        self.stack.assoc(assoc).map(|a| a.status())
    }

    /// Begins to end a session: what was accepted is delivered first. What comes in can still be fetched.
    pub fn close_session(&mut self, now: Time, id: SessionId) {
        if let Some(slot) = self.sessions.get_mut(&id) {
            slot.session.close();
            self.touch(now, id);
        }
    }

    /// Lets go of a session: it ends, and nothing is fetched any more.
    pub fn drop_session(&mut self, now: Time, id: SessionId) {
        if let Some(slot) = self.sessions.get_mut(&id) {
            slot.abandoned = true;
            slot.session.close();
            self.touch(now, id);
        }
    }

    fn touch(&mut self, now: Time, id: SessionId) {
        self.touched.push_back(id);
        self.pump(now);
    }

    // ---- between session and stack -----------------------------------------------------------------------------

    pub(super) fn user_event(&mut self, now: Time, id: AssocId, (session, link): (SessionId, LinkId), event: Event) {
        let lost = matches!(event, Event::Lost { .. });
        if lost {
            self.read_session(now, session, link, true);
            self.roles.remove(&id);
        }
        let Some(slot) = self.sessions.get_mut(&session) else { return };
        match event {
            Event::Connected { .. } => slot.session.handle(now, Input::Connected(link)),
            Event::SendFailed { message, .. } => slot.session.handle(now, Input::SendFailed(link, message)),
            Event::Restarted => slot.session.handle(now, Input::Restarted(link)),
            Event::Lost { reason } => {
                slot.links.remove(&link);
                slot.session.handle(now, Input::Lost(link, reason));
            }
            // What can be read, or sent, is looked at in any case.
            _ => {}
        }
        self.touched.push_back(session);
    }

    /// Does all that a session wants and can.
    pub(super) fn serve(&mut self, now: Time, id: SessionId) {
        self.read_session_in_use(now, id, false);
        let path = self.path_of(id);
        let Some(slot) = self.sessions.get_mut(&id) else { return };
        if let Some(reason) = slot.session.tick(now, path.as_ref()) {
            self.fail(now, id, reason, reason.is_failure());
        }
        self.perform_all(now, id);
        self.flush_session(now, id);
        // The last message may have been what a shutdown waited for.
        self.perform_all(now, id);
        let Some(slot) = self.sessions.get(&id) else { return };
        self.deadlines.set(id, slot.session.poll_timeout());
        if slot.abandoned && slot.links.is_empty() && matches!(slot.session.state(), SessionState::Ended(_)) {
            let endpoint = slot.endpoint;
            self.sessions.remove(&id);
            self.deadlines.set(id, None);
            self.close_endpoint(now, endpoint);
        }
    }

    fn perform_all(&mut self, now: Time, id: SessionId) {
        while let Some(output) = self.sessions.get_mut(&id).and_then(|s| s.session.poll_output()) {
            self.perform_for(now, id, output);
        }
    }

    fn perform_for(&mut self, now: Time, id: SessionId, output: Output) {
        let Some(slot) = self.sessions.get(&id) else { return };
        match output {
            Output::Prefer(elements) => {
                let usable = self.asap.without_failed(now, slot.session.pool(), elements);
                if usable.is_empty() {
                    return self.perform_for(now, id, Output::Resolve);
                }
                if let Some(slot) = self.sessions.get_mut(&id) {
                    slot.session.handle(now, Input::Resolved(Ok(usable)));
                }
            }
            Output::Resolve => {
                let (handle, items, stale) = (slot.session.pool().clone(), slot.session.config().items, slot.session.config().stale);
                let request = self.asap.resolve(now, &handle, items, stale);
                self.asking.insert(request, Asker::Session(id));
            }
            Output::Connect(link, addrs) => self.connect_element(now, id, link, &addrs),
            Output::Heartbeat(link) => self.with_link(id, link, |a| a.heartbeat(now)),
            Output::Abort(link) => self.with_link(id, link, |a| a.abort(now, b"failover")),
            Output::Shutdown(link) => self.with_link(id, link, |a| a.shutdown(now)),
            Output::Report { element, transport, exclude } => {
                let handle = slot.session.pool().clone();
                if exclude {
                    self.asap.report_unreachable(now, &handle, element, Some(transport));
                } else {
                    self.asap.report_only(now, &handle, element);
                }
            }
        }
    }

    fn with_link(&mut self, id: SessionId, link: LinkId, f: impl FnOnce(&mut sctp_user::Assoc<'_>)) {
        let assoc = self.sessions.get(&id).and_then(|s| s.links.get(&link)).copied();
        if let Some(mut a) = assoc.and_then(|assoc| self.stack.assoc(assoc)) {
            f(&mut a);
        }
    }

    fn connect_element(&mut self, now: Time, id: SessionId, link: LinkId, addrs: &[SocketAddr]) {
        let Some(slot) = self.sessions.get_mut(&id) else { return };
        let peer: Vec<PeerAddr> = addrs.iter().copied().map(PeerAddr::from).collect();
        match self.stack.connect(now, slot.endpoint, &peer, Some(slot.session.config().assoc.clone())) {
            Ok(assoc) => {
                slot.links.insert(link, assoc);
                self.roles.insert(assoc, Role::User(id, link));
            }
            Err(error) => {
                tracing::debug!(%error, ?addrs, "no association with an element");
                slot.session.handle(now, Input::Lost(link, CloseReason::ConnectTimeout));
            }
        }
    }

    /// Leaves the element, after taking what had come from it.
    fn fail(&mut self, now: Time, id: SessionId, reason: FailureReason, report: bool) {
        self.read_session_in_use(now, id, true);
        if let Some(slot) = self.sessions.get_mut(&id) {
            slot.session.fail(now, reason, report);
        }
    }

    fn read_session_in_use(&mut self, now: Time, id: SessionId, all: bool) {
        let Some(slot) = self.sessions.get(&id) else { return };
        let link = slot.session.link().or_else(|| slot.links.keys().next().copied().filter(|_| !all));
        if let Some(link) = link {
            self.read_session(now, id, link, all);
        }
    }

    /// Hands messages to the session, as many as it has room for, or all.
    fn read_session(&mut self, now: Time, id: SessionId, link: LinkId, all: bool) {
        let Some(slot) = self.sessions.get_mut(&id) else { return };
        let Some(mut a) = slot.links.get(&link).and_then(|assoc| self.stack.assoc(*assoc)) else { return };
        while all || slot.session.has_room() || slot.abandoned {
            let Some(message) = a.recv() else { return };
            slot.session.handle(now, Input::Message(link, message));
            if slot.abandoned {
                slot.session.recv();
            }
        }
    }

    fn flush_session(&mut self, now: Time, id: SessionId) {
        let Some(slot) = self.sessions.get_mut(&id) else { return };
        let Some(assoc) = slot.session.link().and_then(|link| slot.links.get(&link)).copied() else { return };
        while let Some(m) = slot.session.next_to_send() {
            let opts = if m.unordered { SendOptions::unordered() } else { SendOptions::ordered() };
            let sent = match self.stack.assoc(assoc) {
                Some(mut a) => a.send(now, StreamId(m.stream), Ppid(m.ppid), m.data.clone(), opts),
                None => Err(StackError::Closed),
            };
            match sent {
                Ok(()) => slot.session.sent(),
                // Closed: the association is ending, and what is left goes back to the program with its end.
                Err(StackError::WouldBlock | StackError::Closed) => return,
                Err(error) => {
                    tracing::warn!(%error, "message refused by the association");
                    slot.session.sent();
                }
            }
        }
    }

    fn path_of(&mut self, id: SessionId) -> Option<PathView> {
        let status = self.session_status(id)?;
        Some(PathView { last_heard: status.last_heard, srtt: status.srtt, rttvar: status.rttvar, buffered: status.buffered })
    }
}
