//! What a program reads and changes of an association behind a socket: configuration, counters, the snapshot.

use std::io;
use std::sync::Arc;

use super::errno;
use super::node::SocketNode;
use super::{SctpSocket, SctpStream};
use crate::config::AssocConfig;
use crate::event::AssocId;
use crate::stack::Snapshot;
use crate::stats::{AssocStats, StackStats};
use crate::time::Time;

impl SocketNode {
    fn config(&mut self, id: AssocId) -> io::Result<Arc<AssocConfig>> {
        Ok(self.stack.assoc(id).ok_or_else(errno::gone)?.config())
    }

    fn reconfigure(&mut self, now: Time, id: AssocId, change: impl FnOnce(&mut AssocConfig)) -> io::Result<()> {
        let mut assoc = self.stack.assoc(id).ok_or_else(errno::gone)?;
        assoc.reconfigure(now, change).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
        self.pump(now);
        Ok(())
    }

    fn stats(&mut self, id: AssocId) -> io::Result<AssocStats> {
        Ok(self.stack.assoc(id).ok_or_else(errno::gone)?.stats())
    }

    fn snapshot(&mut self, now: Time, id: AssocId) -> io::Result<Snapshot> {
        self.stack.assoc(id).and_then(|a| a.snapshot(now)).ok_or_else(errno::gone)
    }
}

impl SctpStream {
    /// The configuration in force.
    ///
    /// # Errors
    /// `NotConnected` if the association is gone.
    pub fn config(&self) -> io::Result<Arc<AssocConfig>> {
        self.handle.with(|node, _| node.config(self.id))?
    }

    /// Changes the configuration: `change` edits the one in force, as [`crate::Assoc::reconfigure`].
    ///
    /// # Errors
    /// `InvalidInput` with the reason if a value is forbidden or was settled when the association was opened; `NotConnected` if it
    /// is gone.
    pub fn reconfigure(&self, change: impl FnOnce(&mut AssocConfig)) -> io::Result<()> {
        self.handle.with(|node, now| node.reconfigure(now, self.id, change))?
    }

    /// Counters since the association was opened.
    ///
    /// # Errors
    /// `NotConnected` if it is gone.
    pub fn stats(&self) -> io::Result<AssocStats> {
        self.handle.with(|node, _| node.stats(self.id))?
    }

    /// Everything there is to see of the association; it prints as a page.
    ///
    /// # Errors
    /// `NotConnected` if it is gone.
    pub fn snapshot(&self) -> io::Result<Snapshot> {
        self.handle.with(|node, now| node.snapshot(now, self.id))?
    }
}

impl SctpSocket {
    /// The configuration in force of an association.
    ///
    /// # Errors
    /// `NotConnected` if it is gone.
    pub fn config(&self, id: AssocId) -> io::Result<Arc<AssocConfig>> {
        self.handle.with(|node, _| node.config(id))?
    }

    /// Changes the configuration of an association: `change` edits the one in force, as [`crate::Assoc::reconfigure`].
    ///
    /// # Errors
    /// `InvalidInput` with the reason if a value is forbidden or was settled when the association was opened; `NotConnected` if it
    /// is gone.
    pub fn reconfigure(&self, id: AssocId, change: impl FnOnce(&mut AssocConfig)) -> io::Result<()> {
        self.handle.with(|node, now| node.reconfigure(now, id, change))?
    }

    /// Counters of an association since it was opened.
    ///
    /// # Errors
    /// `NotConnected` if it is gone.
    pub fn stats(&self, id: AssocId) -> io::Result<AssocStats> {
        self.handle.with(|node, _| node.stats(id))?
    }

    /// Counters of the stack behind this socket, which other sockets of the runtime share.
    ///
    /// # Errors
    /// The runtime has stopped.
    pub fn stack_stats(&self) -> io::Result<StackStats> {
        self.handle.with(|node, _| node.stack.stats())
    }

    /// Everything there is to see of an association; it prints as a page.
    ///
    /// # Errors
    /// `NotConnected` if it is gone.
    pub fn snapshot(&self, id: AssocId) -> io::Result<Snapshot> {
        self.handle.with(|node, now| node.snapshot(now, id))?
    }
}
