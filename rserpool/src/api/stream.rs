//! The user's side: [`PoolStream`].

use core::time::Duration;

use bytes::Bytes;

use super::error::Error;
use super::rsp::Rserpool;
use crate::node::pool::SessionId;
use crate::session::{BusinessCard, EndReason, Outgoing, Received, SendError, SessionConfig, SessionState};
use crate::wire::{ElementId, PoolHandle};

/// How a message is sent.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SendInfo {
    /// Payload protocol identifier; not 11 or 12, which are ASAP's and ENRP's.
    pub ppid: u32,
    /// The stream.
    pub stream: u16,
    /// Whether it may overtake others.
    pub unordered: bool,
    /// How long to wait for room; `None`: without limit.
    pub timeout: Option<Duration>,
}

impl SendInfo {
    /// In order, on stream 0, with this payload protocol identifier.
    #[must_use]
    pub const fn ppid(ppid: u32) -> Self {
        Self { ppid, stream: 0, unordered: false, timeout: None }
    }

    pub(super) const fn message(&self, data: Bytes) -> Outgoing {
        Outgoing { data, ppid: self.ppid, stream: self.stream, unordered: self.unordered }
    }
}

/// A session with a pool, which moves to another element when its own fails. Dropping it ends it gracefully.
#[derive(Debug)]
pub struct PoolStream {
    rsp: Rserpool,
    id: SessionId,
}

impl PoolStream {
    /// Begins a session and waits until it is at an element, at most for `cfg.connect_timeout`.
    ///
    /// # Errors
    /// There is no registrar, no such pool, or no element that answers.
    pub fn connect(rsp: &Rserpool, handle: PoolHandle, cfg: SessionConfig) -> Result<Self, Error> {
        let id = rsp.open_port(0, |node, now, port| node.open_session(now, port, handle, cfg))?;
        Self::established(rsp, id)
    }

    /// Begins a session with one of those that a business card recommends, see [`super::PeSession::card`].
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn connect_by_card(rsp: &Rserpool, card: BusinessCard, cfg: SessionConfig) -> Result<Self, Error> {
        let id = rsp.open_port(0, |node, now, port| node.open_session_by_card(now, port, card, cfg))?;
        Self::established(rsp, id)
    }

    fn established(rsp: &Rserpool, id: SessionId) -> Result<Self, Error> {
        let stream = Self { rsp: rsp.clone(), id };
        rsp.wait(None, |node, _| match node.session(id)?.state() {
            SessionState::Connecting => None,
            SessionState::Ended(reason) => Some(Err(Error::from(reason))),
            SessionState::Up(_) | SessionState::Closing => Some(Ok(())),
        })??;
        Ok(stream)
    }

    /// How it stands.
    ///
    /// # Errors
    /// The runtime has stopped.
    pub fn state(&self) -> Result<SessionState, Error> {
        self.rsp.with(|node, _| node.session(self.id).map_or(SessionState::Closing, crate::session::PoolSession::state))
    }

    /// The element that serves, if one does at present.
    ///
    /// # Errors
    /// The runtime has stopped.
    pub fn element(&self) -> Result<Option<ElementId>, Error> {
        Ok(match self.state()? {
            SessionState::Up(id) => Some(id),
            _ => None,
        })
    }

    /// Sends a message; waits while the queue is full. During a failover it waits for the next element.
    ///
    /// # Errors
    /// [`Error::Timeout`], or the session is over, or what is wrong with the message.
    pub fn send(&self, data: &[u8], info: &SendInfo) -> Result<(), Error> {
        let message = info.message(Bytes::copy_from_slice(data));
        let sent = self.rsp.wait(info.timeout, |node, now| match node.session_send(now, self.id, message.clone()) {
            Err(SendError::WouldBlock) => None,
            other => Some(other),
        })?;
        sent.map_err(Error::Send)
    }

    /// Sends a message if there is room.
    ///
    /// # Errors
    /// [`SendError::WouldBlock`] if there is none, or as [`Self::send`].
    pub fn try_send(&self, data: &[u8], info: &SendInfo) -> Result<(), Error> {
        let message = info.message(Bytes::copy_from_slice(data));
        self.rsp.with(|node, now| node.session_send(now, self.id, message))?.map_err(Error::Send)
    }

    /// The next message or notification.
    ///
    /// # Errors
    /// [`Error::Timeout`], or the session is over.
    pub fn recv(&self, timeout: Option<Duration>) -> Result<Received, Error> {
        self.rsp.wait(timeout, |node, now| {
            if let Some(item) = node.session_recv(now, self.id) {
                return Some(Ok(item));
            }
            match node.session(self.id)?.state() {
                SessionState::Ended(reason) => Some(Err(reason.into())),
                _ => None,
            }
        })?
    }

    /// Says whether the element owes something; without a word (`None`), a request counts as open until the next message.
    ///
    /// This matters for `progress_timeout`, and for how soon a silent element is suspected.
    ///
    /// # Errors
    /// The runtime has stopped.
    pub fn set_expecting(&self, expecting: Option<bool>) -> Result<(), Error> {
        self.rsp.with(|node, now| node.session_expects(now, self.id, expecting))
    }

    /// Moves to another element. `report` reports the present one as unreachable and does not choose it for 30 s.
    ///
    /// # Errors
    /// The runtime has stopped.
    pub fn force_failover(&self, report: bool) -> Result<(), Error> {
        self.rsp.with(|node, now| node.session_failover(now, self.id, report))
    }

    /// Whether an element has given a cookie.
    ///
    /// # Errors
    /// The runtime has stopped.
    pub fn has_cookie(&self) -> Result<bool, Error> {
        self.rsp.with(|node, _| node.session(self.id).is_some_and(crate::session::PoolSession::has_cookie))
    }

    /// Ends the session and waits until everything that was sent is acknowledged.
    ///
    /// # Errors
    /// [`Error::Timeout`]; [`EndReason::ElementLost`] if something was not acknowledged; or the runtime has stopped.
    pub fn close(self, timeout: Option<Duration>) -> Result<(), Error> {
        self.rsp.with(|node, now| node.close_session(now, self.id))?;
        let mut undelivered = false;
        let end = self.rsp.wait(timeout, |node, now| {
            while let Some(item) = node.session_recv(now, self.id) {
                undelivered |= matches!(item, Received::Undelivered(_));
            }
            match node.session(self.id).map(crate::session::PoolSession::state) {
                None => Some(EndReason::Closed),
                Some(SessionState::Ended(reason)) => Some(reason),
                Some(_) => None,
            }
        })?;
        match end {
            EndReason::Closed | EndReason::Shutdown if undelivered => Err(Error::Ended(EndReason::ElementLost)),
            EndReason::Closed | EndReason::Shutdown => Ok(()),
            reason => Err(reason.into()),
        }
    }
}

impl Drop for PoolStream {
    fn drop(&mut self) {
        let _ = self.rsp.with(|node, now| node.drop_session(now, self.id));
    }
}
