//! One-to-many sockets (RFC 6458 section 3): one socket, many associations.

use core::time::Duration;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;

use super::errno;
use super::handle::Handle;
use super::info::{Received, SndInfo, Target};
use super::mode::{Direction, LazyFd, Mode, common_methods};
use super::node::{Kind, SocketNode};
use super::one_to_one::SctpStream;
use super::readiness::ReadyFd;
use crate::config::{AssocConfig, EndpointConfig};
use crate::event::{AssocId, EndpointId};
use crate::net::PeerAddr;
use crate::stack::AssocStatus;

/// A one-to-many socket: messages and notifications of all its associations come out of one `recv`.
///
/// Its methods take `&self`; threads may share it. Dropped, it ends its associations gracefully in the background;
/// to wait for that, use [`Self::close`]. There is no background if its handle is the runtime's last: keep another one, or close.
///
/// Its descriptor is readable while [`Self::recv`] has something to hand out.
#[derive(Debug)]
pub struct SctpSocket {
    pub(super) handle: Handle<SocketNode>,
    pub(super) ep: EndpointId,
    pub(super) mode: Mode,
    fd: LazyFd,
}

common_methods!(SctpSocket);

impl SctpSocket {
    /// A socket on an SCTP port, 0 for a free one, with the default parameters.
    ///
    /// # Errors
    /// `AddrInUse` if the port is open already, in this process or in another one that shares the UDP port;
    /// and what [`Handle::claim_port`] answers.
    pub fn bind(handle: &Handle<SocketNode>, port: u16) -> io::Result<Self> {
        Self::bind_with(handle, EndpointConfig::new(port))
    }

    /// A socket with parameters of one's own choice.
    ///
    /// # Errors
    /// As [`Self::bind`]; `InvalidInput` for parameters that RFC 9260 forbids.
    pub fn bind_with(handle: &Handle<SocketNode>, cfg: EndpointConfig) -> io::Result<Self> {
        open(handle, cfg, Kind::Many).map(|opened| Self::on(handle, opened))
    }

    pub(super) fn on(handle: &Handle<SocketNode>, (ep, fd): (EndpointId, LazyFd)) -> Self {
        Self { handle: handle.clone(), ep, mode: Mode::default(), fd }
    }

    /// Lets peers open associations; zero stops that. (One-to-many sockets have no queue of unaccepted associations: beyond
    /// zero the number means nothing, as RFC 6458 section 3.1.3 has it.)
    ///
    /// # Errors
    /// As [`Handle::with`].
    pub fn listen(&self, backlog: u32) -> io::Result<()> {
        self.handle.with(|node, _| node.listen(self.ep, backlog))
    }

    /// Opens an association and waits until it is up; on a non-blocking socket it returns at once,
    /// and a notification tells the outcome.
    ///
    /// # Errors
    /// `ConnectionRefused`, `TimedOut`, `IsConnected` and their like; `WouldBlock` when the write time-out has passed,
    /// the association then going on to be set up.
    pub fn connect(&self, peer: impl Into<PeerAddr>) -> io::Result<AssocId> {
        self.connect_with(&[peer.into()], None)
    }

    /// Opens an association with a peer that has several addresses, and with parameters of its own (`None`: the socket's).
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn connect_with(&self, peers: &[PeerAddr], cfg: Option<Arc<AssocConfig>>) -> io::Result<AssocId> {
        let wait = !self.mode.is_nonblocking();
        let id = self.handle.with(|node, now| {
            let id = node.connect(now, self.ep, peers, cfg)?;
            node.set_connecting(now, id, wait);
            Ok::<_, io::Error>(id)
        })??;
        if !wait {
            return Ok(id);
        }
        let outcome = self.mode.call(&self.handle, Direction::Write, |node, _| node.outcome(id));
        self.handle.with(|node, now| node.set_connecting(now, id, false))?;
        outcome.map(|()| id)
    }

    /// Sends a message to the peer of an association, or to an address: then an association is opened if there is none.
    ///
    /// # Errors
    /// `WouldBlock` if the send buffer is full (non-blocking, or after the write time-out), `BrokenPipe` after a shutdown,
    /// `InvalidInput` for a stream that does not exist and an empty message, EMSGSIZE for one that is too long,
    /// `NotConnected` for an association that is gone.
    pub fn send(&self, to: impl Into<Target>, message: &[u8], info: &SndInfo) -> io::Result<()> {
        self.send_bytes(to, Bytes::copy_from_slice(message), info)
    }

    /// Like [`Self::send`], without copying the message.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_bytes(&self, to: impl Into<Target>, mut message: Bytes, info: &SndInfo) -> io::Result<()> {
        if info.send_all {
            return self.handle.with(|node, now| node.send_all(now, self.ep, info, &message))?;
        }
        let id = self.resolve(to.into())?;
        self.mode.call(&self.handle, Direction::Write, |node, now| node.send(now, id, info, &mut message))
    }

    /// The association with a peer, which is opened if there is none (RFC 6458 section 7.5).
    pub(super) fn resolve(&self, to: Target) -> io::Result<AssocId> {
        match to {
            Target::Assoc(id) => Ok(id),
            Target::Peer(peer) => self.handle.with(|node, now| match node.find(self.ep, peer.addr) {
                Some(id) => Ok(id),
                None => node.connect(now, self.ep, &[peer], None),
            })?,
        }
    }

    /// The next message or notification, of whichever association; associations take turns.
    ///
    /// # Errors
    /// `WouldBlock` if there is none (non-blocking, or after the read time-out), and as [`Handle::with`].
    pub fn recv(&self) -> io::Result<Received> {
        self.mode.receive(&self.handle, |node, now| node.recv_many(now, self.ep, usize::MAX).map(Ok), Received::message_of)
    }

    /// Ends an association gracefully: what was sent is delivered first. A notification tells the end.
    ///
    /// # Errors
    /// `NotConnected` if it is gone.
    pub fn shutdown(&self, id: AssocId) -> io::Result<()> {
        self.handle.with(|node, now| node.shutdown(now, id))?
    }

    /// Ends an association at once; the peer is told `reason` (RFC 9260 section 3.3.10.12).
    ///
    /// # Errors
    /// `NotConnected` if it is gone.
    pub fn abort(&self, id: AssocId, reason: &[u8]) -> io::Result<()> {
        self.handle.with(|node, now| node.abort(now, id, reason))?
    }

    /// Makes a one-to-one socket of an association (RFC 6458 section 9.2). Its unread notifications are dropped, its
    /// unread messages are not.
    ///
    /// # Errors
    /// `NotConnected` if it is gone.
    pub fn peel_off(&self, id: AssocId) -> io::Result<SctpStream> {
        let fd = self.handle.with(|node, _| node.peel_off(id).map(|()| LazyFd::new(node)))??;
        Ok(SctpStream::new(self.handle.clone(), id, fd))
    }

    /// Adds addresses of this host to those that the socket's associations have (`sctp_bindx` with SCTP_BINDX_ADD_ADDR). Peers of those
    /// that there are are told if they have Add-IP (RFC 5061); with other peers nothing changes.
    ///
    /// # Errors
    /// `InvalidInput` if the socket is bound to all addresses, `AddrNotAvailable` for one that is not this host's.
    pub fn bindx_add(&self, addrs: &[IpAddr]) -> io::Result<()> {
        self.handle.with(|node, now| node.bindx(now, self.ep, addrs, true))?
    }

    /// Takes addresses away from those that the socket's associations have, as [`Self::bindx_add`] adds them (`sctp_bindx` with
    /// SCTP_BINDX_REM_ADDR).
    ///
    /// # Errors
    /// `InvalidInput` if the socket is bound to all addresses, or if none would be left; `AddrNotAvailable` for one that it is not bound to.
    pub fn bindx_remove(&self, addrs: &[IpAddr]) -> io::Result<()> {
        self.handle.with(|node, now| node.bindx(now, self.ep, addrs, false))?
    }

    /// The addresses that associations to come will have (`sctp_getladdrs` without an association).
    ///
    /// # Errors
    /// As [`Handle::with`].
    pub fn bound_addrs(&self) -> io::Result<Vec<IpAddr>> {
        self.handle.with(|node, _| node.bound(self.ep))?
    }

    /// The association with the peer that has this address and SCTP port, if there is one.
    ///
    /// # Errors
    /// As [`Handle::with`].
    pub fn find(&self, peer: SocketAddr) -> io::Result<Option<AssocId>> {
        self.handle.with(|node, _| node.find(self.ep, peer))
    }

    /// The SCTP port.
    ///
    /// # Errors
    /// As [`Handle::with`].
    pub fn local_port(&self) -> io::Result<u16> {
        self.handle.with(|node, _| node.local_port(self.ep))?.ok_or_else(errno::gone)
    }

    /// A snapshot of an association.
    ///
    /// # Errors
    /// `NotConnected` if it is gone.
    pub fn status(&self, id: AssocId) -> io::Result<AssocStatus> {
        self.handle.with(|node, _| node.status(id))?
    }

    /// The peer's addresses, that of the primary path first.
    ///
    /// # Errors
    /// `NotConnected` if it is gone.
    pub fn peer_addrs(&self, id: AssocId) -> io::Result<Vec<SocketAddr>> {
        self.handle.with(|node, _| node.peer_addrs(id))?
    }

    /// Our addresses of the association.
    ///
    /// # Errors
    /// `NotConnected` if it is gone.
    pub fn local_addrs(&self, id: AssocId) -> io::Result<Vec<SocketAddr>> {
        self.handle.with(|node, _| node.local_addrs(id))?
    }

    /// Ends all associations gracefully and waits for that, at most `linger`.
    ///
    /// # Errors
    /// `TimedOut` if some had not ended; they go on to end while the runtime lives.
    pub fn close(self, linger: Duration) -> io::Result<()> {
        let (handle, ep) = (self.handle.clone(), self.ep);
        drop(self);
        let closed = handle.wait(Some(linger), |node, _| node.local_port(ep).is_none().then_some(()))?;
        closed.ok_or_else(|| io::ErrorKind::TimedOut.into())
    }

    fn make_fd(&self) -> io::Result<Arc<ReadyFd>> {
        self.handle.with(|node, _| node.socket_fd(self.ep))?
    }
}

impl Drop for SctpSocket {
    fn drop(&mut self) {
        // A runtime that has stopped has nothing left to close.
        drop(self.handle.with(|node, now| node.abandon(now, self.ep)));
    }
}

/// Claims the port and opens an endpoint on it.
pub(super) fn open(handle: &Handle<SocketNode>, mut cfg: EndpointConfig, kind: Kind) -> io::Result<(EndpointId, LazyFd)> {
    cfg.port = handle.claim_port(cfg.port)?;
    open_claimed(handle, cfg, kind)
}

/// Opens an endpoint on a port that was claimed, which is given back if that fails.
pub(super) fn open_claimed(handle: &Handle<SocketNode>, cfg: EndpointConfig, kind: Kind) -> io::Result<(EndpointId, LazyFd)> {
    let (port, releaser) = (cfg.port, handle.port_releaser());
    let opened = handle.with(|node, _| node.open(cfg, kind, releaser).map(|ep| (ep, LazyFd::new(node))))?;
    if opened.is_err() {
        handle.release_port(port);
    }
    opened
}
