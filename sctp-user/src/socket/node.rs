//! [`SocketNode`]: a stack with the tables that sockets need. Sans-IO but for the readiness descriptors.

use core::fmt;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::errno;
use super::handle::PortReleaser;
use super::readiness::{Readiness, ReadyFd};
use super::types::{Notification, RcvInfo, Received, SndInfo};
use crate::config::{AssocConfig, EndpointConfig, StackConfig};
use crate::entropy::OsEntropy;
use crate::error::{CloseReason, SendError};
use crate::event::{AssocId, EndpointId, Event, Message};
use crate::net::{AddrChange, Meta, NetError, PeerAddr, Train, Transmit};
use crate::node::Node;
use crate::stack::{AssocStatus, Stack};
use crate::time::Time;

/// Entries in the inbox of a one-to-many socket beyond which optional notifications are dropped and new incoming
/// associations aborted: the program does not read.
const MAX_INBOX: usize = 16_384;

/// What a socket is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// One-to-many.
    Many,
    /// One-to-one, listening.
    Listener,
    /// One-to-one, opened for a single outgoing association.
    Stream,
}

/// An entry in the inbox of a one-to-many socket.
#[derive(Debug)]
enum Item {
    /// Messages of this association wait.
    Messages(AssocId),
    Note(Notification),
}

/// An endpoint and the socket on it.
#[derive(Debug)]
struct Socket {
    kind: Kind,
    port: u16,
    releaser: PortReleaser,
    /// What a one-to-many socket has not read; bounded by [`MAX_INBOX`] plus a few entries an association.
    inbox: VecDeque<Item>,
    /// Associations that nobody accepted yet; at most `backlog`.
    accept: VecDeque<AssocId>,
    backlog: usize,
    /// Nobody uses the socket any more: the endpoint is closed with its last association.
    closing: bool,
    /// Its associations in the table of links.
    links: usize,
    readiness: Readiness,
}

/// Who reads an association.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Owner {
    /// The one-to-many socket.
    Socket,
    /// A one-to-one socket: accepted, waiting to be accepted, or connecting.
    Stream,
    /// Nobody: what arrives is thrown away.
    Nobody,
}

/// An association as sockets see it.
#[derive(Debug)]
struct Link {
    ep: EndpointId,
    owner: Owner,
    up: bool,
    ended: Option<CloseReason>,
    peer_shutdown: bool,
    /// Somebody waits in `connect` and wants to know how it ended.
    connecting: bool,
    /// The next message, fetched ahead so that readiness is exact.
    next: Option<Message>,
    /// Whether the inbox has an entry for its messages.
    queued: bool,
    /// A send was refused for lack of room.
    wants_room: bool,
    /// There is room again.
    room: bool,
    /// Used by streams only.
    readiness: Readiness,
}

/// A [`Stack`] with socket tables: what a [`Runtime`](super::Runtime) drives for [`SctpSocket`](super::SctpSocket) and its like.
pub struct SocketNode {
    pub(super) stack: Stack,
    sockets: BTreeMap<EndpointId, Socket>,
    links: BTreeMap<AssocId, Link>,
    /// Lent by sockets for which no descriptor can be made: always readable, so that nobody waits in vain.
    always_ready: Arc<ReadyFd>,
}

impl fmt::Debug for SocketNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketNode").field("sockets", &self.sockets.len()).field("associations", &self.links.len()).finish()
    }
}

impl SocketNode {
    /// A node with the operating system's randomness; [`Runtime::stack_config`](super::Runtime::stack_config) is what its stack
    /// usually wants.
    ///
    /// # Errors
    /// The operating system has no randomness or no descriptor to give.
    pub fn new(cfg: StackConfig) -> io::Result<Self> {
        Self::with_stack(Stack::new(cfg, Box::new(OsEntropy::new()?)))
    }

    /// A node around a stack of one's own making, without endpoints yet.
    ///
    /// # Errors
    /// The operating system has no descriptor to give.
    pub fn with_stack(stack: Stack) -> io::Result<Self> {
        let always_ready = Arc::new(ReadyFd::always()?);
        Ok(Self { stack, sockets: BTreeMap::new(), links: BTreeMap::new(), always_ready })
    }

    /// The stack below, for what sockets do not offer. Endpoints and associations of sockets must not be opened or closed by it.
    pub fn stack_mut(&mut self) -> &mut Stack {
        &mut self.stack
    }

    // --- endpoints ---

    pub(super) fn open(&mut self, cfg: EndpointConfig, kind: Kind, releaser: PortReleaser) -> io::Result<EndpointId> {
        cfg.assoc.validate().map_err(|err| io::Error::new(io::ErrorKind::InvalidInput, err))?;
        let claimed = cfg.port;
        let ep = self.stack.open(cfg).map_err(errno::bind_error)?;
        let port = self.stack.local_port(ep).unwrap_or(claimed);
        let socket = Socket {
            kind,
            port,
            releaser,
            inbox: VecDeque::new(),
            accept: VecDeque::new(),
            backlog: 0,
            // The endpoint of a single association has no socket of its own.
            closing: kind == Kind::Stream,
            links: 0,
            readiness: Readiness::default(),
        };
        self.sockets.insert(ep, socket);
        Ok(ep)
    }

    pub(super) fn listen(&mut self, ep: EndpointId, backlog: u32) {
        if let Some(socket) = self.sockets.get_mut(&ep) {
            socket.backlog = usize::try_from(backlog).unwrap_or(usize::MAX);
            self.stack.listen(ep, backlog > 0);
        }
    }

    /// The user is done with the socket: its own associations end gracefully, accepted streams live on.
    pub(super) fn abandon(&mut self, now: Time, ep: EndpointId) {
        let Some(socket) = self.sockets.get_mut(&ep) else { return };
        self.stack.listen(ep, false);
        socket.closing = true;
        socket.inbox.clear();
        let mut own: Vec<_> = socket.accept.drain(..).collect();
        own.extend(self.links.iter().filter(|(_, link)| link.ep == ep && link.owner == Owner::Socket).map(|(id, _)| *id));
        for id in own {
            self.leave(now, id);
        }
        self.close_if_unused(now, ep);
    }

    fn close_if_unused(&mut self, now: Time, ep: EndpointId) {
        if self.sockets.get(&ep).is_some_and(|s| s.closing && s.links == 0)
            && let Some(socket) = self.sockets.remove(&ep)
        {
            self.stack.close(now, ep);
            socket.releaser.release(socket.port);
        }
    }

    pub(super) fn local_port(&self, ep: EndpointId) -> Option<u16> {
        self.sockets.get(&ep).map(|socket| socket.port)
    }

    // --- associations ---

    pub(super) fn connect(&mut self, now: Time, ep: EndpointId, peers: &[PeerAddr], cfg: Option<Arc<AssocConfig>>) -> io::Result<AssocId> {
        let kind = self.sockets.get(&ep).ok_or_else(errno::gone)?.kind;
        let id = self.stack.connect(now, ep, peers, cfg).map_err(errno::connect_error)?;
        self.add_link(id, ep, if kind == Kind::Many { Owner::Socket } else { Owner::Stream });
        Ok(id)
    }

    fn add_link(&mut self, id: AssocId, ep: EndpointId, owner: Owner) {
        let link = Link {
            ep,
            owner,
            up: false,
            ended: None,
            peer_shutdown: false,
            connecting: false,
            next: None,
            queued: false,
            wants_room: false,
            room: false,
            readiness: Readiness::default(),
        };
        if self.links.insert(id, link).is_none()
            && let Some(socket) = self.sockets.get_mut(&ep)
        {
            socket.links += 1;
        }
    }

    /// Forgets an association that has ended, with what nobody read.
    fn remove_link(&mut self, now: Time, id: AssocId) {
        let Some(link) = self.links.remove(&id) else { return };
        self.stack.forget(id);
        if let Some(socket) = self.sockets.get_mut(&link.ep) {
            socket.links = socket.links.saturating_sub(1);
        }
        self.close_if_unused(now, link.ep);
    }

    /// Marks that somebody waits for the outcome of a connect, or no longer does.
    pub(super) fn set_connecting(&mut self, now: Time, id: AssocId, on: bool) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.connecting = on;
        // If its last notification was read meanwhile, the link was kept for us only.
        let unread = |ep| {
            let inbox = self.sockets.get(&ep).map(|s| &s.inbox);
            inbox.is_some_and(|inbox| inbox.iter().any(|i| matches!(i, Item::Note(n) if n.is_last() && n.assoc() == id)))
        };
        if !on && link.owner == Owner::Socket && link.ended.is_some() && !unread(link.ep) {
            self.remove_link(now, id);
        }
    }

    /// Whether the association is up, has failed, or neither yet.
    pub(super) fn outcome(&self, id: AssocId) -> Option<io::Result<()>> {
        let Some(link) = self.links.get(&id) else { return Some(Err(errno::gone())) };
        if link.up {
            return Some(Ok(()));
        }
        let reason = link.ended.as_ref()?;
        Some(Err(errno::close_error(reason, false).unwrap_or_else(errno::aborted)))
    }

    /// The association of this endpoint with the peer at `addr`, if there is one.
    pub(super) fn find(&self, ep: EndpointId, addr: SocketAddr) -> Option<AssocId> {
        self.stack.find(ep, addr)
    }

    /// Sends; `None` if there is no room.
    pub(super) fn send(&mut self, now: Time, id: AssocId, info: &SndInfo, payload: Bytes) -> Option<io::Result<()>> {
        let Some(link) = self.links.get_mut(&id) else { return Some(Err(errno::gone())) };
        if let Some(reason) = &link.ended {
            let err = errno::close_error(reason, link.up).unwrap_or_else(|| errno::send_error(SendError::Closed));
            return Some(Err(err));
        }
        let Some(mut assoc) = self.stack.assoc(id) else { return Some(Err(errno::gone())) };
        let result = assoc.send(now, info.sid, info.ppid, payload, info.options());
        link.room = false;
        link.wants_room = result == Err(SendError::WouldBlock);
        let out = if link.wants_room { None } else { Some(result.map_err(errno::send_error)) };
        self.refresh_link(id);
        self.pump(now);
        out
    }

    pub(super) fn shutdown(&mut self, now: Time, id: AssocId) -> io::Result<()> {
        self.stack.assoc(id).ok_or_else(errno::gone)?.shutdown(now);
        self.pump(now);
        Ok(())
    }

    pub(super) fn abort(&mut self, now: Time, id: AssocId, reason: &[u8]) -> io::Result<()> {
        self.stack.assoc(id).ok_or_else(errno::gone)?.abort(now, reason);
        self.pump(now);
        Ok(())
    }

    /// The user is done with the association: it ends gracefully, and what still arrives is thrown away.
    pub(super) fn leave(&mut self, now: Time, id: AssocId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.owner = Owner::Nobody;
        link.next = None;
        if link.ended.is_some() {
            self.remove_link(now, id);
            return;
        }
        if let Some(mut assoc) = self.stack.assoc(id) {
            while assoc.recv().is_some() {}
            assoc.shutdown(now);
        }
        self.pump(now);
    }

    pub(super) fn status(&mut self, id: AssocId) -> io::Result<AssocStatus> {
        Ok(self.stack.assoc(id).ok_or_else(errno::gone)?.status())
    }

    pub(super) fn peer_addrs(&mut self, id: AssocId) -> io::Result<Vec<SocketAddr>> {
        Ok(self.stack.assoc(id).ok_or_else(errno::gone)?.peer_addrs())
    }

    pub(super) fn local_addrs(&mut self, id: AssocId) -> io::Result<Vec<SocketAddr>> {
        Ok(self.stack.assoc(id).ok_or_else(errno::gone)?.local_addrs())
    }

    /// How the association ended, `Ok` if gracefully; `None` while it lives.
    pub(super) fn ending(&self, id: AssocId) -> Option<io::Result<()>> {
        let Some(link) = self.links.get(&id) else { return Some(Err(errno::gone())) };
        let reason = link.ended.as_ref()?;
        Some(errno::close_error(reason, link.up).map_or(Ok(()), Err))
    }

    // --- receiving ---

    /// The next message of an association; the one after it is fetched ahead.
    fn next_message(&mut self, id: AssocId) -> Option<(RcvInfo, Bytes)> {
        let link = self.links.get_mut(&id)?;
        let message = link.next.take()?;
        link.next = self.stack.assoc(id).and_then(|mut assoc| assoc.recv());
        Some((RcvInfo::new(id, &message), message.payload))
    }

    /// The next thing for the reader of a one-to-many socket.
    pub(super) fn recv_many(&mut self, now: Time, ep: EndpointId) -> Option<Received> {
        let out = self.take_item(now, ep);
        self.refresh_socket(ep);
        self.pump(now);
        out
    }

    fn take_item(&mut self, now: Time, ep: EndpointId) -> Option<Received> {
        loop {
            match self.sockets.get_mut(&ep)?.inbox.pop_front()? {
                Item::Messages(id) => {
                    let message = self.next_message(id);
                    let more = self.links.get_mut(&id).is_some_and(|link| {
                        link.queued = link.next.is_some();
                        link.queued
                    });
                    if more && let Some(socket) = self.sockets.get_mut(&ep) {
                        // To the back: associations take turns.
                        socket.inbox.push_back(Item::Messages(id));
                    }
                    if let Some((info, payload)) = message {
                        return Some(Received::Message(info, payload));
                    }
                }
                Item::Note(note) if note.is_last() => {
                    let id = note.assoc();
                    if let Some((info, payload)) = self.next_message(id) {
                        self.sockets.get_mut(&ep)?.inbox.push_front(Item::Note(note));
                        return Some(Received::Message(info, payload));
                    }
                    if self.links.get(&id).is_some_and(|link| !link.connecting) {
                        self.remove_link(now, id);
                    }
                    return Some(Received::Notification(note));
                }
                Item::Note(note) => return Some(Received::Notification(note)),
            }
        }
    }

    /// The next message of a stream: `None` if it has to wait, `Ok(None)` at the end.
    pub(super) fn recv_stream(&mut self, now: Time, id: AssocId) -> Option<io::Result<Option<(RcvInfo, Bytes)>>> {
        if let Some(message) = self.next_message(id) {
            self.refresh_link(id);
            self.pump(now);
            return Some(Ok(Some(message)));
        }
        let Some(link) = self.links.get_mut(&id) else { return Some(Err(errno::gone())) };
        link.room = false;
        let out = match &link.ended {
            Some(reason) => Some(errno::close_error(reason, link.up).map_or(Ok(None), Err)),
            None if link.peer_shutdown => Some(Ok(None)),
            None => None,
        };
        self.refresh_link(id);
        out
    }

    /// The next association that a peer opened.
    pub(super) fn accept(&mut self, ep: EndpointId) -> Option<AssocId> {
        let id = self.sockets.get_mut(&ep)?.accept.pop_front();
        self.refresh_socket(ep);
        id
    }

    /// Makes a stream of an association of a one-to-many socket (RFC 6458 section 9.2). Its unread notifications are dropped.
    pub(super) fn peel_off(&mut self, id: AssocId) -> io::Result<()> {
        let link = self.links.get_mut(&id).filter(|l| l.owner == Owner::Socket).ok_or_else(errno::gone)?;
        link.owner = Owner::Stream;
        link.queued = false;
        let ep = link.ep;
        if let Some(socket) = self.sockets.get_mut(&ep) {
            socket.inbox.retain(|item| match item {
                Item::Messages(other) => *other != id,
                Item::Note(note) => note.assoc() != id,
            });
        }
        self.refresh_socket(ep);
        self.refresh_link(id);
        Ok(())
    }

    // --- events ---

    /// Sorts the stack's news into the inboxes.
    pub(super) fn pump(&mut self, now: Time) {
        while let Some((ep, id, event)) = self.stack.poll_event() {
            if let Event::Connected { incoming: true, .. } = event
                && !self.links.contains_key(&id)
            {
                self.admit(now, ep, id);
            }
            self.dispatch(now, id, event);
        }
    }

    /// A peer opened an association: to whom does it belong?
    fn admit(&mut self, now: Time, ep: EndpointId, id: AssocId) {
        let Some(socket) = self.sockets.get_mut(&ep) else { return };
        let owner = match socket.kind {
            _ if socket.closing => Owner::Nobody,
            Kind::Listener if socket.accept.len() < socket.backlog => {
                socket.accept.push_back(id);
                Owner::Stream
            }
            Kind::Many if socket.inbox.len() < MAX_INBOX => Owner::Socket,
            _ => Owner::Nobody,
        };
        self.add_link(id, ep, owner);
        if owner == Owner::Nobody
            && let Some(mut assoc) = self.stack.assoc(id)
        {
            assoc.abort(now, b"backlog is full");
        }
        self.refresh_socket(ep);
    }

    fn dispatch(&mut self, now: Time, id: AssocId, event: Event) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let owner = link.owner;
        let note = match event {
            Event::Connected { inbound, outbound, incoming } => {
                link.up = true;
                Some(Notification::CommUp { assoc: id, inbound, outbound, incoming })
            }
            Event::Restarted => Some(Notification::Restarted { assoc: id }),
            Event::ShutdownReceived => {
                link.peer_shutdown = true;
                Some(Notification::ShutdownReceived { assoc: id })
            }
            Event::Lost { reason } => {
                link.ended = Some(reason.clone());
                let last =
                    if link.up { Notification::CommLost { assoc: id, reason } } else { Notification::CantStart { assoc: id, reason } };
                Some(last)
            }
            // The status tells the path MTU.
            Event::Readable | Event::PathMtu { .. } | Event::SenderDry => None,
            Event::Writable => {
                let wanted = core::mem::take(&mut link.wants_room);
                link.room |= wanted;
                wanted.then_some(Notification::Writable { assoc: id })
            }
            Event::PartialDeliveryAborted { sid, ssn, unordered } => {
                Some(Notification::PartialDeliveryAborted { assoc: id, sid, ssn, unordered })
            }
            Event::SendFailed { message, .. } => Some(Notification::SendFailed { assoc: id, message }),
            Event::PathState { addr, change } => Some(Notification::PathState { assoc: id, addr, change }),
            Event::RemoteError(causes) => Some(Notification::RemoteError { assoc: id, causes }),
        };
        match owner {
            Owner::Nobody => self.discard(now, id),
            Owner::Stream => {
                self.fetch(id);
                self.refresh_link(id);
            }
            Owner::Socket => {
                // Messages may wait already, which came in the packet that brought the association up.
                let (before, after) = note.map_or((None, None), |n| if n.is_last() { (None, Some(n)) } else { (Some(n), None) });
                before.into_iter().for_each(|n| self.push_note(n));
                self.fetch(id);
                after.into_iter().for_each(|n| self.push_note(n));
                self.refresh_link(id);
            }
        }
    }

    /// Fetches a message ahead if none is there yet, and puts the association into its socket's inbox.
    fn fetch(&mut self, id: AssocId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.next.is_none() {
            link.next = self.stack.assoc(id).and_then(|mut assoc| assoc.recv());
        }
        if link.owner == Owner::Socket
            && link.next.is_some()
            && !link.queued
            && let Some(socket) = self.sockets.get_mut(&link.ep)
        {
            link.queued = true;
            socket.inbox.push_back(Item::Messages(id));
        }
    }

    fn push_note(&mut self, note: Notification) {
        let Some(link) = self.links.get(&note.assoc()) else { return };
        let Some(socket) = self.sockets.get_mut(&link.ep) else { return };
        if socket.inbox.len() < MAX_INBOX || !note.is_optional() {
            socket.inbox.push_back(Item::Note(note));
        }
    }

    fn discard(&mut self, now: Time, id: AssocId) {
        if let Some(mut assoc) = self.stack.assoc(id) {
            while assoc.recv().is_some() {}
        }
        if self.links.get(&id).is_some_and(|link| link.ended.is_some()) {
            self.remove_link(now, id);
        }
    }

    // --- readiness ---

    fn refresh_socket(&mut self, ep: EndpointId) {
        if let Some(socket) = self.sockets.get_mut(&ep) {
            let ready = !socket.inbox.is_empty() || !socket.accept.is_empty();
            socket.readiness.set(ready);
        }
    }

    fn refresh_link(&mut self, id: AssocId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let ep = link.ep;
        match link.owner {
            Owner::Stream => {
                let ready = link.next.is_some() || link.ended.is_some() || link.peer_shutdown || link.room;
                link.readiness.set(ready);
            }
            Owner::Socket => self.refresh_socket(ep),
            Owner::Nobody => {}
        }
    }

    pub(super) fn socket_fd(&mut self, ep: EndpointId) -> io::Result<Arc<ReadyFd>> {
        self.sockets.get_mut(&ep).ok_or_else(errno::gone)?.readiness.fd()
    }

    pub(super) fn stream_fd(&mut self, id: AssocId) -> io::Result<Arc<ReadyFd>> {
        self.links.get_mut(&id).ok_or_else(errno::gone)?.readiness.fd()
    }

    pub(super) fn always_ready(&self) -> Arc<ReadyFd> {
        Arc::clone(&self.always_ready)
    }
}

impl Node for SocketNode {
    fn handle_batch(&mut self, now: Time, meta: &Meta, train: Train) {
        self.stack.handle_batch(now, meta, train);
        self.pump(now);
    }

    fn handle_net_error(&mut self, now: Time, err: &NetError) {
        self.stack.handle_net_error(now, err);
        self.pump(now);
    }

    fn handle_timeout(&mut self, now: Time) {
        self.stack.handle_timeout(now);
        self.pump(now);
    }

    fn poll_transmit(&mut self, now: Time, max_segments: usize, buf: &mut Vec<u8>) -> Option<Transmit> {
        self.stack.poll_transmit(now, max_segments, buf)
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.stack.poll_timeout()
    }

    fn handle_addresses(&mut self, now: Time, change: AddrChange) {
        self.stack.handle_addresses(now, change);
        self.pump(now);
    }

    fn handle_ports_died(&mut self, now: Time, ports: &[u16]) {
        self.stack.handle_ports_died(now, ports);
        self.pump(now);
    }
}
