//! [`Rserpool`]: one process in its operation scope.

use core::time::Duration;
use std::sync::Arc;

use sctp_user::socket::Handle;
use sctp_user::{KeyRing, Time};

use super::builder::Builder;
use super::error::Error;
use super::host::Host;
use super::registration::Registration;
use crate::asap::{AsapEvent, ElementSpec};
use crate::node::PoolNode;
use crate::wire::{ElementId, PoolElement, PoolHandle};

/// How long the end of the last clone waits for what sessions that were dropped still have to deliver.
const LINGER: Duration = Duration::from_secs(1);

/// Access to the pools. Clones share one runtime, which ends with the last of them and of what was made from them.
#[derive(Clone, Debug)]
pub struct Rserpool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    handle: Handle<Host>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let stopped = self.handle.with(|host, now| {
            if let Some(node) = host.node() {
                node.stop(now);
            }
        });
        if stopped.is_ok() {
            // Who does not acknowledge in time notices by itself that we are gone.
            let _ = self.handle.wait(Some(LINGER), |host, _| host.node().is_none_or(|n| n.is_stopped()).then_some(()));
        }
    }
}

impl Rserpool {
    /// Settings, to begin with.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(super) fn new(handle: Handle<Host>) -> Self {
        Self { inner: Arc::new(Inner { handle }) }
    }

    /// The runtime below.
    #[must_use]
    pub fn handle(&self) -> &Handle<Host> {
        &self.inner.handle
    }

    /// The time by the clock of all time stamps.
    #[must_use]
    pub fn now(&self) -> Time {
        self.inner.handle.clock().now()
    }

    /// Elements of a pool, at most `items`, in the order in which they are to be tried; at least one.
    ///
    /// # Errors
    /// There is no registrar, no such pool, or no answer in time.
    pub fn resolve(&self, handle: &PoolHandle, items: usize, timeout: Option<Duration>) -> Result<Vec<PoolElement>, Error> {
        self.resolve_cached(handle, items, Duration::ZERO, timeout)
    }

    /// Elements of a pool as [`Self::resolve`], from the cache if it is no older than `stale` or if the pool is followed.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub fn resolve_cached(
        &self,
        handle: &PoolHandle,
        items: usize,
        stale: Duration,
        timeout: Option<Duration>,
    ) -> Result<Vec<PoolElement>, Error> {
        let request = self.with(|node, now| node.resolve(now, handle, items, stale))?;
        match self.wait(timeout, |node, _| node.take_answer(request)) {
            Ok(answer) => Ok(answer?),
            Err(error) => {
                self.with(|node, _| node.cancel(request))?;
                Err(error)
            }
        }
    }

    /// Follows a pool: its changes come as [`AsapEvent::PoolChanged`] by [`Self::next_event`], and [`Self::resolve_cached`] is
    /// answered from what the registrar has told. Who has enough of it calls [`Self::unsubscribe`].
    ///
    /// # Errors
    /// Too many pools are followed, or the runtime has stopped.
    pub fn subscribe(&self, handle: &PoolHandle) -> Result<(), Error> {
        Ok(self.with(|node, now| node.subscribe(now, handle))??)
    }

    /// Follows a pool no longer.
    ///
    /// # Errors
    /// The runtime has stopped.
    pub fn unsubscribe(&self, handle: &PoolHandle) -> Result<(), Error> {
        self.with(|node, _| node.unsubscribe(handle))
    }

    /// Tells the registrar that an element does not answer; this process does not choose it for 30 s.
    ///
    /// # Errors
    /// The runtime has stopped.
    pub fn report_failure(&self, handle: &PoolHandle, id: ElementId) -> Result<(), Error> {
        self.with(|node, now| node.report_failure(now, handle, id))
    }

    /// Registers an element that serves on a port of the program's own. The registration is renewed until it is dropped.
    /// [`super::PoolListener`] does the same for sessions.
    ///
    /// # Errors
    /// There is no registrar, it refuses, or there is no answer in time.
    pub fn register(&self, spec: ElementSpec, timeout: Option<Duration>) -> Result<Registration, Error> {
        let key = self.with(|node, now| node.register(now, spec))??;
        let registration = Registration::new(self.clone(), key);
        registration.wait(timeout)?;
        Ok(registration)
    }

    /// Changes the shared keys of [`super::Builder::keys`] while all goes on. A new key is given to all hosts first, then made active,
    /// and the old one removed at last.
    ///
    /// # Errors
    /// The runtime has stopped.
    pub fn protect(&self, keys: &KeyRing) -> Result<(), Error> {
        self.with(|node, now| node.protect(now, keys))
    }

    /// What happened between this process and registrars, in order; for logs. Old news are dropped if nobody fetches them.
    ///
    /// # Errors
    /// [`Error::Timeout`], or the runtime has stopped.
    pub fn next_event(&self, timeout: Option<Duration>) -> Result<AsapEvent, Error> {
        self.wait(timeout, |node, _| node.poll_event())
    }

    /// Calls `f` with the node.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut PoolNode, Time) -> R) -> Result<R, Error> {
        let result = self.inner.handle.with(|host, now| host.node().map(|node| f(node, now)))?;
        result.ok_or_else(stopped)
    }

    /// Calls `f` whenever something may have happened, until it answers.
    pub(super) fn wait<R>(&self, timeout: Option<Duration>, mut f: impl FnMut(&mut PoolNode, Time) -> Option<R>) -> Result<R, Error> {
        self.inner.handle.wait(timeout, |host, now| f(host.node()?, now))?.ok_or(Error::Timeout)
    }

    /// Opens an SCTP port: claims it among the processes that share the UDP port, then has `open` open it.
    pub(super) fn open_port<R, E>(&self, port: u16, open: impl FnOnce(&mut PoolNode, Time, u16) -> Result<R, E>) -> Result<R, Error>
    where
        Error: From<E>,
    {
        let port = self.inner.handle.claim_port(port)?;
        let opened = self.with(|node, now| open(node, now, port))?;
        if opened.is_err() {
            self.inner.handle.release_port(port);
        }
        Ok(opened?)
    }
}

fn stopped() -> Error {
    Error::Io(std::io::ErrorKind::ConnectionAborted.into())
}
