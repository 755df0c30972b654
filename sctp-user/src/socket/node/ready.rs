//! Who waits for what: descriptors and wakers.

use core::task::Waker;
use std::io;
use std::sync::Arc;

use super::link::Link;
use super::{Socket, SocketNode};
use crate::event::{AssocId, EndpointId};
use crate::socket::errno;
use crate::socket::readiness::ReadyFd;

/// What a task waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::socket) enum Waiter {
    /// Something to read from a one-to-many socket, or to accept.
    Socket(EndpointId),
    /// The end of a socket's last association.
    Closing(EndpointId),
    /// Something to read from a stream.
    Reader(AssocId),
    /// Room to send, or that the association is up or gone.
    Writer(AssocId),
}

impl Socket {
    /// Tells those that wait whether there is something to read, or to accept.
    pub(super) fn refresh(&mut self, woken: &mut Vec<Waker>) {
        let ready = self.inbox.is_readable() || !self.accept.is_empty();
        self.readiness.set(ready);
        if ready {
            self.readers.wake_into(woken);
        }
    }
}

impl Link {
    /// Whether there is something to read from a stream, the end included.
    pub(super) fn is_readable(&self) -> bool {
        self.next.is_some() || self.ended.is_some() || self.peer_shutdown || !self.notes.is_empty()
    }

    /// Tells those that wait whether there is something to read from a stream, or room.
    #[inline]
    pub(super) fn refresh(&mut self, woken: &mut Vec<Waker>) {
        let readable = self.is_readable();
        self.readiness.set(readable || self.room);
        if readable {
            self.readers.wake_into(woken);
        }
    }
}

impl SocketNode {
    pub(super) fn refresh_socket(&mut self, ep: EndpointId) {
        if let Some(socket) = self.sockets.get_mut(&ep) {
            socket.refresh(&mut self.woken);
        }
    }

    /// Has a task woken when it is worth looking again. If nothing will ever change, at once.
    pub(in crate::socket) fn wait_for(&mut self, what: Waiter, waker: &Waker) {
        self.awaited = true;
        let list = match what {
            Waiter::Socket(ep) => self.sockets.get_mut(&ep).map(|s| &mut s.readers),
            Waiter::Closing(ep) => self.sockets.get_mut(&ep).map(|s| &mut s.closers),
            Waiter::Reader(id) => self.links.get_mut(&id).map(|l| &mut l.readers),
            Waiter::Writer(id) => self.links.get_mut(&id).map(|l| &mut l.writers),
        };
        match list {
            Some(list) => list.add(waker, &mut self.woken),
            None => self.woken.push(waker.clone()),
        }
    }

    /// Nothing will ever happen again: whoever waits shall learn it.
    pub(super) fn give_up_waiting(&mut self) {
        for socket in self.sockets.values_mut() {
            socket.readers.wake_into(&mut self.woken);
            socket.closers.wake_into(&mut self.woken);
        }
        for link in self.links.values_mut() {
            link.readers.wake_into(&mut self.woken);
            link.writers.wake_into(&mut self.woken);
        }
    }

    pub(in crate::socket) fn socket_fd(&mut self, ep: EndpointId) -> io::Result<Arc<ReadyFd>> {
        self.awaited = true;
        self.sockets.get_mut(&ep).ok_or_else(errno::gone)?.readiness.fd()
    }

    pub(in crate::socket) fn stream_fd(&mut self, id: AssocId) -> io::Result<Arc<ReadyFd>> {
        self.awaited = true;
        self.links.get_mut(&id).ok_or_else(errno::gone)?.readiness.fd()
    }

    pub(in crate::socket) fn always_ready(&self) -> Arc<ReadyFd> {
        Arc::clone(&self.always_ready)
    }
}
