//! [`SocketNode`]: a stack with the tables that sockets need. Sans-IO but for the readiness descriptors.

mod link;
mod news;
mod reading;
mod ready;

use core::fmt;
use core::task::Waker;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use self::link::{Link, Owner};
use self::reading::Inbox;
pub(super) use self::ready::Waiter;
use super::errno;
use super::handle::PortReleaser;
use super::info::SndInfo;
use super::notification::Events;
use super::option::FragmentInterleave;
use super::readiness::{Readiness, ReadyFd, Wakers};
use crate::config::{EndpointConfig, StackConfig};
use crate::entropy::OsEntropy;
use crate::event::{AssocId, EndpointId, Reliability};
use crate::net::{AddrChange, Meta, NetError, Train, Transmit};
use crate::node::Node;
use crate::stack::Stack;
use crate::time::Time;

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

/// What is chosen for a socket and of which the association below knows nothing; associations begin with their socket's.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// The notifications that are wanted.
    pub(super) events: Events,
    /// What a received message's `RcvInfo` has as context.
    pub(super) context: u32,
    /// Whether the user says where messages end.
    pub(super) explicit_eor: bool,
    /// When messages are given up for which nothing is said.
    pub(super) reliability: Reliability,
    /// `Some(0)`: associations are aborted when the socket is dropped.
    pub(super) linger: Option<core::time::Duration>,
    /// How messages are sent for which nothing is said.
    pub(super) send: Option<Box<SndInfo>>,
}

impl Settings {
    fn new(kind: Kind) -> Self {
        let events = if kind == Kind::Many { Events::USUAL } else { Events::NONE };
        Self { events, context: 0, explicit_eor: false, reliability: Reliability::Full, linger: None, send: None }
    }
}

/// An endpoint and the socket on it.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) kind: Kind,
    pub(super) port: u16,
    releaser: PortReleaser,
    /// What a one-to-many socket has not read.
    inbox: Inbox,
    /// Associations that nobody accepted yet; at most `backlog`.
    accept: VecDeque<AssocId>,
    backlog: usize,
    /// Nobody uses the socket any more: the endpoint is closed with its last association.
    closing: bool,
    /// Its associations in the table of links.
    links: usize,
    readiness: Readiness,
    /// Tasks that wait for something to read, or to accept.
    readers: Wakers,
    /// Tasks that wait for the end.
    closers: Wakers,
    pub(super) settings: Settings,
    pub(super) interleave: FragmentInterleave,
}

/// A [`Stack`] with socket tables: what a [`Runtime`](super::Runtime) drives for [`SctpSocket`](super::SctpSocket) and its like.
pub struct SocketNode {
    pub(super) stack: Stack,
    sockets: BTreeMap<EndpointId, Socket>,
    links: BTreeMap<AssocId, Link>,
    /// Lent by sockets for which no descriptor can be made: always readable, so that nobody waits in vain.
    always_ready: Arc<ReadyFd>,
    /// Tasks that are to be woken when nobody holds the node any more; no more than had been waiting.
    woken: Vec<Waker>,
    /// Tasks or descriptors have waited: the program may not be one that blocks. Never reset, for it is known when a task begins to
    /// wait, but not when a program has closed its last descriptor.
    awaited: bool,
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
        Ok(Self { stack, sockets: BTreeMap::new(), links: BTreeMap::new(), always_ready, woken: Vec::new(), awaited: false })
    }

    /// The stack below, for what sockets do not offer. Endpoints and associations of sockets must not be opened or closed by it.
    pub fn stack_mut(&mut self) -> &mut Stack {
        &mut self.stack
    }

    pub(super) fn open(&mut self, cfg: EndpointConfig, kind: Kind, releaser: PortReleaser) -> io::Result<EndpointId> {
        cfg.assoc.validate().map_err(errno::config_error)?;
        if !cfg.bind.iter().all(|ip| self.stack.has_address(*ip)) {
            return Err(errno::not_ours());
        }
        let claimed = cfg.port;
        let ep = self.stack.open(cfg).map_err(errno::bind_error)?;
        let port = self.stack.local_port(ep).unwrap_or(claimed);
        let socket = Socket {
            kind,
            port,
            releaser,
            inbox: Inbox::default(),
            accept: VecDeque::new(),
            backlog: 0,
            // The endpoint of a single association has no socket of its own.
            closing: kind == Kind::Stream,
            links: 0,
            readiness: Readiness::default(),
            readers: Wakers::default(),
            closers: Wakers::default(),
            settings: Settings::new(kind),
            interleave: FragmentInterleave::default(),
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

    /// Adds addresses to those that the endpoint uses, or takes some away (RFC 6458 section 9.1).
    pub(super) fn bindx(&mut self, now: Time, ep: EndpointId, addrs: &[IpAddr], add: bool) -> io::Result<()> {
        let old = self.stack.endpoint_config(ep).ok_or_else(errno::gone)?.bind;
        if old.is_empty() {
            return Err(errno::invalid("the socket is bound to all addresses"));
        }
        let addrs = addrs.iter().map(IpAddr::to_canonical);
        let mut new = old.clone();
        for ip in addrs {
            match (add, new.contains(&ip)) {
                (true, true) => {}
                (true, false) if self.stack.has_address(ip) => new.push(ip),
                (false, true) => new.retain(|a| *a != ip),
                _ => return Err(errno::not_ours()),
            }
        }
        if new.is_empty() {
            return Err(errno::invalid("the last address cannot be removed"));
        }
        self.stack.bind(now, ep, new).map_err(errno::config_error)
    }

    /// The addresses that new associations of the endpoint will have.
    pub(super) fn bound(&self, ep: EndpointId) -> io::Result<Vec<IpAddr>> {
        self.stack.addresses(ep).ok_or_else(errno::gone)
    }

    /// The user is done with the socket: its own associations end, gracefully unless they are not to linger; accepted streams
    /// live on.
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
            && let Some(mut socket) = self.sockets.remove(&ep)
        {
            self.stack.close(now, ep);
            socket.releaser.release(socket.port);
            socket.closers.wake_into(&mut self.woken);
            socket.readers.wake_into(&mut self.woken);
        }
    }

    pub(super) fn local_port(&self, ep: EndpointId) -> Option<u16> {
        self.sockets.get(&ep).map(|socket| socket.port)
    }

    pub(super) fn socket(&self, ep: EndpointId) -> io::Result<&Socket> {
        self.sockets.get(&ep).ok_or_else(errno::gone)
    }

    pub(super) fn socket_mut(&mut self, ep: EndpointId) -> io::Result<&mut Socket> {
        self.sockets.get_mut(&ep).ok_or_else(errno::gone)
    }

    /// The next association that a peer opened.
    pub(super) fn accept(&mut self, ep: EndpointId) -> Option<AssocId> {
        let id = self.sockets.get_mut(&ep)?.accept.pop_front();
        self.refresh_socket(ep);
        id
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
        loop {
            let transmit = self.stack.poll_transmit(now, max_segments, buf);
            // A message may be given up when its turn has come: that is news, too.
            if transmit.is_some() || !self.pump(now) {
                return transmit;
            }
        }
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

    fn take_woken(&mut self) -> Vec<Waker> {
        core::mem::take(&mut self.woken)
    }

    fn is_awaited(&self) -> bool {
        self.awaited
    }

    fn wake_everybody(&mut self) {
        self.give_up_waiting();
    }
}

#[cfg(test)]
mod node_test;
