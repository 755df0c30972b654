//! The element's side: [`PoolListener`] and [`PeSession`].

use core::time::Duration;
use std::net::IpAddr;

use bytes::Bytes;

use super::error::Error;
use super::registration::Registration;
use super::rsp::Rserpool;
use super::stream::SendInfo;
use crate::asap::{ElementKey, ElementSpec, RegisterError};
use crate::node::pool::{AcceptedId, ListenerConfig, ListenerId};
use crate::session::{BusinessCard, Received, SendError};
use crate::wire::{ElementId, PolicyParam, PoolHandle, TransportUse};

/// Parameters of an element that serves sessions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ElementConfig {
    /// Its identifier in the pool; `None` draws one.
    pub id: Option<ElementId>,
    /// Its SCTP port; 0 takes a free one.
    pub port: u16,
    /// Its addresses; `None` takes those that the registrar knows us by.
    pub addrs: Option<Vec<IpAddr>>,
    /// The pool's policy with this element's values.
    pub policy: PolicyParam,
    /// How often the registration is renewed.
    pub interval: Duration,
    /// How long it is valid; `None`: three times the interval.
    pub life: Option<Duration>,
    /// How sessions are served.
    pub listener: ListenerConfig,
    /// How long [`PoolListener::bind`] waits for the registration; `None` until it is known how it went.
    pub timeout: Option<Duration>,
    /// Whether [`PoolListener::bind`] succeeds without a registrar, which is then looked for in the background.
    pub keep_trying: bool,
}

impl Default for ElementConfig {
    fn default() -> Self {
        Self {
            id: None,
            port: 0,
            addrs: None,
            policy: PolicyParam::RoundRobin {},
            interval: Duration::from_secs(30),
            life: None,
            listener: ListenerConfig::default(),
            timeout: None,
            keep_trying: false,
        }
    }
}

/// An element of a pool that accepts sessions. Dropping it leaves the pool; sessions that were accepted go on.
#[derive(Debug)]
pub struct PoolListener {
    rsp: Rserpool,
    id: ListenerId,
    port: u16,
    /// Dropped before the port is closed.
    registration: Option<Registration>,
    key: ElementKey,
}

impl PoolListener {
    /// Opens a port and registers it as an element of the pool `handle`.
    ///
    /// # Errors
    /// The port is taken; there is no registrar; it refuses.
    pub fn bind(rsp: &Rserpool, handle: PoolHandle, cfg: ElementConfig) -> Result<Self, Error> {
        let mut spec = ElementSpec::new(handle, cfg.port);
        spec.key.id = cfg.id.unwrap_or(ElementId::UNDEFINED);
        spec.usage = TransportUse::DATA_PLUS_CONTROL;
        spec.addrs = cfg.addrs;
        spec.policy = cfg.policy;
        spec.interval = cfg.interval;
        spec.life = cfg.life.unwrap_or(cfg.interval.saturating_mul(3));
        let (id, port) = rsp.open_port(cfg.port, |node, _, port| node.open_listener(port, cfg.listener).map(|id| (id, port)))?;
        let announced = rsp.with(|node, now| {
            let announced = node.announce(now, id, spec);
            if announced.is_err() {
                node.close_listener(now, id);
            }
            announced
        })?;
        let key = announced?;
        let registration = Registration::new(rsp.clone(), key.clone());
        let listener = Self { rsp: rsp.clone(), id, port, registration: Some(registration), key };
        match listener.wait(cfg.timeout) {
            Err(Error::Timeout) if cfg.keep_trying => Ok(listener),
            Err(Error::Register(RegisterError::NoRegistrar | RegisterError::Timeout | RegisterError::Postponed(_))) if cfg.keep_trying => {
                Ok(listener)
            }
            other => other.map(|()| listener),
        }
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<(), Error> {
        self.registration.as_ref().map_or(Ok(()), |r| r.wait(timeout))
    }

    /// The pool, and the identifier in it.
    #[must_use]
    pub const fn key(&self) -> &ElementKey {
        &self.key
    }

    /// The SCTP port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// How it stands with the registration: registered, why not, or nothing known yet.
    ///
    /// # Errors
    /// The runtime has stopped.
    pub fn status(&self) -> Result<Option<Result<(), RegisterError>>, Error> {
        self.rsp.with(|node, _| node.registration(&self.key).cloned())
    }

    /// Changes the policy's values, such as the load, and tells the registrar.
    ///
    /// # Errors
    /// The runtime has stopped.
    pub fn update(&self, policy: PolicyParam) -> Result<(), Error> {
        self.rsp.with(|node, now| node.update(now, &self.key, policy))
    }

    /// How many sessions there are, those included that wait to be accepted.
    ///
    /// # Errors
    /// The runtime has stopped.
    pub fn session_count(&self) -> Result<usize, Error> {
        self.rsp.with(|node, _| node.session_count(self.id))
    }

    /// Where users of this element are told to go when it fails, if [`ListenerConfig::business_cards`] is on. A program that is
    /// also a user may give it to the elements that serve it, by [`crate::session::SessionConfig::business_card`].
    ///
    /// # Errors
    /// The runtime has stopped.
    pub fn card(&self) -> Result<Option<BusinessCard>, Error> {
        self.rsp.with(|node, _| node.listener_card(self.id).cloned())
    }

    /// The next session that a user opened.
    ///
    /// # Errors
    /// [`Error::Timeout`], or the runtime has stopped.
    pub fn accept(&self, timeout: Option<Duration>) -> Result<PeSession, Error> {
        let id = self.rsp.wait(timeout, |node, _| node.accept(self.id))?;
        Ok(PeSession { rsp: self.rsp.clone(), id })
    }
}

impl Drop for PoolListener {
    fn drop(&mut self) {
        // Users must not be sent here any more when the port closes.
        drop(self.registration.take());
        let _ = self.rsp.with(|node, now| node.close_listener(now, self.id));
    }
}

/// A session that a user opened to an element. Dropping it ends it gracefully.
#[derive(Debug)]
pub struct PeSession {
    rsp: Rserpool,
    id: AcceptedId,
}

impl PeSession {
    /// Sends a message; waits while the send buffer is full.
    ///
    /// # Errors
    /// [`Error::Timeout`], or the session is over, or what is wrong with the message.
    pub fn send(&self, data: &[u8], info: &SendInfo) -> Result<(), Error> {
        let message = info.message(Bytes::copy_from_slice(data));
        self.wait_for_room(info.timeout, |node, now, id| node.accepted_send(now, id, message.clone()))
    }

    /// Hands the session's state to the user, who gives the latest one to the element that follows this one.
    ///
    /// It travels on stream 0: what was sent on that stream before it arrives before it, what is on other streams may not.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_cookie(&self, cookie: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        self.wait_for_room(timeout, |node, now, id| node.send_cookie(now, id, cookie))
    }

    /// The next message or notification.
    ///
    /// # Errors
    /// [`Error::Timeout`], or the session is over.
    pub fn recv(&self, timeout: Option<Duration>) -> Result<Received, Error> {
        self.rsp.wait(timeout, |node, now| match node.accepted_recv(now, self.id) {
            Some(item) => Some(Ok(item)),
            None => node.accepted_end(self.id).map(|reason| Err(reason.into())),
        })?
    }

    /// Where to go on if the user fails: it is an element too, and has told so (RFC 5352 section 3.9).
    /// [`super::PoolStream::connect_by_card`] goes there.
    ///
    /// # Errors
    /// The runtime has stopped.
    pub fn card(&self) -> Result<Option<BusinessCard>, Error> {
        self.rsp.with(|node, _| node.accepted_card(self.id).cloned())
    }

    /// Ends the session by ABORT: the user goes on at another element.
    pub fn abort(self) {
        let _ = self.rsp.with(|node, now| node.drop_accepted(now, self.id, true));
    }

    fn wait_for_room(
        &self,
        timeout: Option<Duration>,
        mut f: impl FnMut(&mut crate::node::PoolNode, sctp_user::Time, AcceptedId) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        let sent = self.rsp.wait(timeout, |node, now| match f(node, now, self.id) {
            Err(SendError::WouldBlock) => None,
            other => Some(other),
        })?;
        sent.map_err(Error::Send)
    }
}

impl Drop for PeSession {
    fn drop(&mut self) {
        let _ = self.rsp.with(|node, now| node.drop_accepted(now, self.id, false));
    }
}
