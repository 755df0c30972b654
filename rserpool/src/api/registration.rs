//! [`Registration`]: an element in its pool.

use core::time::Duration;

use super::error::Error;
use super::rsp::Rserpool;
use crate::asap::{ElementKey, RegisterError};
use crate::wire::PolicyParam;

/// How long dropping a registration waits for the registrar's answer, so that a program that ends right after is not missed.
const FAREWELL: Duration = Duration::from_millis(500);

/// An element that is registered, and kept so until this is dropped.
#[derive(Debug)]
pub struct Registration {
    rsp: Rserpool,
    key: ElementKey,
}

impl Registration {
    pub(super) const fn new(rsp: Rserpool, key: ElementKey) -> Self {
        Self { rsp, key }
    }

    /// Pool and identifier.
    #[must_use]
    pub const fn key(&self) -> &ElementKey {
        &self.key
    }

    /// Waits until there are news: registered, or why not.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> Result<(), Error> {
        Ok(self.rsp.wait(timeout, |node, _| node.registration(&self.key).cloned())??)
    }

    /// How it stands: registered, why not, or nothing known yet.
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

    /// Leaves the pool and waits for the registrar's word.
    ///
    /// # Errors
    /// [`Error::Timeout`], or the runtime has stopped.
    pub fn deregister(self, timeout: Option<Duration>) -> Result<(), Error> {
        self.leave(timeout)
    }

    fn leave(&self, timeout: Option<Duration>) -> Result<(), Error> {
        self.rsp.with(|node, now| node.deregister(now, &self.key))?;
        self.rsp.wait(timeout, |node, _| (!node.has_element(&self.key)).then_some(()))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // Without an answer the registrar notices by itself.
        let _ = self.leave(Some(FAREWELL));
    }
}
