//! Between the client core of ASAP and its associations; registrations and resolutions for the program.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use sctp_user::{AssocId, ConnectError, Event, PeerAddr, Time};

use super::{MAX_EVENTS, PoolNode, Role, SessionId};
use crate::asap::{AsapEvent, ElementKey, ElementSpec, Ending, Input, LinkId, Output, RegisterError, RequestId, ResolveError};
use crate::session;
use crate::wire::{ASAP_PPID, ElementId, PolicyParam, PoolElement, PoolHandle};

/// Who wants a resolution.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asker {
    Session(SessionId),
    Program,
}

impl PoolNode {
    // ---- for the program ---------------------------------------------------------------------------------------

    /// Registers an element that serves on a port of its own making; [`super::PoolNode::open_listener`] is for sessions.
    ///
    /// # Errors
    /// See [`crate::asap::Asap::register`].
    pub fn register(&mut self, now: Time, spec: ElementSpec) -> Result<ElementKey, RegisterError> {
        let key = self.asap.register(now, spec)?;
        self.pump(now);
        Ok(key)
    }

    /// Changes the policy's values of an element, such as its load.
    pub fn update(&mut self, now: Time, key: &ElementKey, policy: PolicyParam) {
        self.asap.update(now, key, policy);
        self.pump(now);
    }

    /// Takes an element out of its pool.
    pub fn deregister(&mut self, now: Time, key: &ElementKey) {
        self.asap.deregister(now, key);
        self.pump(now);
    }

    /// The last news about an element of this host: registered, or why not; `None` as long as there are none.
    #[must_use]
    pub fn registration(&self, key: &ElementKey) -> Option<&Result<(), RegisterError>> {
        self.registrations.get(key)
    }

    /// Whether this host still has the element, if only to deregister it.
    #[must_use]
    pub fn has_element(&self, key: &ElementKey) -> bool {
        self.asap.element_state(key).is_some()
    }

    /// Asks for elements of a pool; the answer waits for [`Self::take_answer`], unless [`Self::cancel`] comes first.
    pub fn resolve(&mut self, now: Time, handle: &PoolHandle, items: usize, stale: Duration) -> RequestId {
        let request = self.asap.resolve(now, handle, items, stale);
        self.asking.insert(request, Asker::Program);
        self.pump(now);
        request
    }

    /// The answer to a resolution, once.
    pub fn take_answer(&mut self, request: RequestId) -> Option<Result<Vec<PoolElement>, ResolveError>> {
        self.answers.remove(&request)
    }

    /// Nobody waits for this answer any more.
    pub fn cancel(&mut self, request: RequestId) {
        self.asking.remove(&request);
        self.answers.remove(&request);
        self.asap.cancel(request);
    }

    /// Follows a pool; its changes are among [`PoolNode::poll_event`].
    ///
    /// # Errors
    /// See [`crate::asap::Asap::subscribe`].
    pub fn subscribe(&mut self, now: Time, handle: &PoolHandle) -> Result<(), ResolveError> {
        self.asap.subscribe(now, handle)?;
        self.pump(now);
        Ok(())
    }

    /// Follows a pool no longer.
    pub fn unsubscribe(&mut self, handle: &PoolHandle) {
        self.asap.unsubscribe(handle);
    }

    /// The next name of a registrar that is to be looked up, without a hook for it; [`Self::looked_up`] is to follow in any case.
    pub fn poll_lookup(&mut self) -> Option<String> {
        self.lookups.pop_front()
    }

    /// What a look-up found: all addresses with the port, or nothing.
    pub fn looked_up(&mut self, now: Time, name: &str, addrs: Vec<SocketAddr>) {
        self.asap.handle(now, Input::LookedUp { name, addrs });
        self.pump(now);
    }

    /// Tells the registrar that an element does not answer, and does not choose it for a while.
    pub fn report_failure(&mut self, now: Time, handle: &PoolHandle, id: ElementId) {
        self.asap.report_unreachable(now, handle, id, None);
        self.pump(now);
    }

    // ---- between core and stack --------------------------------------------------------------------------------

    pub(super) fn perform(&mut self, now: Time, output: Output) {
        match output {
            Output::Connect { link, peer } => self.connect_registrar(now, link, &peer),
            Output::Send { link, bytes } => {
                if !self.registrars.send(now, &mut self.stack, link, bytes) {
                    tracing::warn!("a registrar takes no more messages: leaving it");
                    self.leave_registrar(now, link, Ending::Abort);
                    self.asap.handle(now, Input::Lost { link });
                }
            }
            Output::Close { link, how } => self.leave_registrar(now, link, how),
            Output::LookUp { name } => match &mut self.looker {
                Some(hook) => (hook.0)(name),
                None => self.lookups.push_back(name),
            },
            Output::Event(AsapEvent::Resolved { request, result }) => match self.asking.remove(&request) {
                Some(Asker::Session(id)) => {
                    if let Some(slot) = self.sessions.get_mut(&id) {
                        slot.session.handle(now, session::Input::Resolved(result));
                        self.touched.push_back(id);
                    }
                }
                Some(Asker::Program) => {
                    self.answers.insert(request, result);
                }
                None => {}
            },
            Output::Event(event) => self.note(now, event),
        }
    }

    fn note(&mut self, now: Time, event: AsapEvent) {
        match &event {
            AsapEvent::PoolChanged { handle, result } => {
                self.renew_cards(now, handle, result.as_deref().unwrap_or_default());
            }
            AsapEvent::Registered { key } => {
                let before = self.registrations.insert(key.clone(), Ok(()));
                if before == Some(Ok(())) {
                    return;
                }
            }
            AsapEvent::RegistrationFailed { key, error } => {
                self.registrations.insert(key.clone(), Err(error.clone()));
            }
            AsapEvent::Deregistered { key } => {
                self.registrations.remove(key);
            }
            _ => {}
        }
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    fn connect_registrar(&mut self, now: Time, link: LinkId, addrs: &[SocketAddr]) {
        let peer: Vec<PeerAddr> = addrs.iter().copied().map(PeerAddr::from).collect();
        match self.stack.connect(now, self.asap_endpoint, &peer, Some(self.asap_assoc.clone())) {
            Ok(id) => {
                self.registrars.insert(link, id);
                self.roles.insert(id, Role::Registrar(link));
            }
            Err(ConnectError::AlreadyConnected) if self.adopt_visit(now, link, addrs) => {}
            Err(error) => {
                tracing::debug!(%error, ?addrs, "no association with a registrar");
                self.asap.handle(now, Input::Lost { link });
            }
        }
    }

    /// A registrar that is wanted has opened an association to us by itself, and two between the same ports are impossible: that
    /// one will do.
    fn adopt_visit(&mut self, now: Time, link: LinkId, addrs: &[SocketAddr]) -> bool {
        let Some(id) = addrs.iter().find_map(|a| self.stack.find(self.asap_endpoint, *a)) else { return false };
        let Some(visit) = self.roles.get(&id).and_then(|role| role.registrar()) else { return false };
        if !self.asap.is_visit(visit) {
            return false;
        }
        self.registrars.rename(visit, link);
        self.roles.insert(id, Role::Registrar(link));
        self.asap.handle(now, Input::Lost { link: visit });
        let local = self.local_addrs(id);
        self.asap.handle(now, Input::Connected { link, local });
        true
    }

    fn leave_registrar(&mut self, now: Time, link: LinkId, how: Ending) {
        let Some(id) = self.registrars.remove(link) else { return };
        self.roles.remove(&id);
        let Some(mut a) = self.stack.assoc(id) else { return };
        match how {
            Ending::Graceful => a.shutdown(now),
            Ending::Abort => a.abort(now, b"not needed any more"),
        }
    }

    /// A registrar opened an association to us.
    pub(super) fn registrar_came(&mut self, now: Time, id: AssocId) {
        let local = self.local_addrs(id);
        if let Some(link) = self.asap.accept(now, local) {
            self.registrars.insert(link, id);
            self.roles.insert(id, Role::Registrar(link));
        } else if let Some(mut a) = self.stack.assoc(id) {
            a.abort(now, b"too many associations");
        }
    }

    pub(super) fn registrar_event(&mut self, now: Time, id: AssocId, link: LinkId, event: Event) {
        match event {
            Event::Connected { .. } => {
                let local = self.local_addrs(id);
                self.asap.handle(now, Input::Connected { link, local });
            }
            Event::Readable => self.read_registrar(now, id, link),
            Event::Writable => self.registrars.flush(now, &mut self.stack, link),
            // It knows nothing of what was said before, if it is the same process at all; but it wants to speak with us.
            Event::Restarted => {
                self.roles.remove(&id);
                self.registrars.remove(link);
                self.registrar_came(now, id);
                self.asap.handle(now, Input::Lost { link });
            }
            Event::Lost { reason } => {
                tracing::debug!(?reason, "association with a registrar ended");
                self.read_registrar(now, id, link);
                self.roles.remove(&id);
                self.registrars.remove(link);
                self.asap.handle(now, Input::Lost { link });
            }
            _ => {}
        }
    }

    fn read_registrar(&mut self, now: Time, id: AssocId, link: LinkId) {
        while let Some(message) = self.stack.assoc(id).and_then(|mut a| a.recv()) {
            if message.ppid.0 == ASAP_PPID {
                self.asap.handle(now, Input::Message { link, bytes: &message.payload });
            }
        }
    }

    fn local_addrs(&mut self, id: AssocId) -> Vec<IpAddr> {
        self.stack.assoc(id).map(|a| a.local_addrs().iter().map(SocketAddr::ip).collect()).unwrap_or_default()
    }
}
