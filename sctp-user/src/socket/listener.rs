//! Listening one-to-one sockets (RFC 6458 sections 4.1.3 and 4.1.4).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::errno;
use super::handle::Handle;
use super::mode::{Direction, LazyFd, Mode, common_methods};
use super::node::{Kind, SocketNode};
use super::one_to_many::open;
use super::one_to_one::SctpStream;
use super::readiness::ReadyFd;
use crate::config::EndpointConfig;
use crate::event::{AssocId, EndpointId};

/// An association to be made a stream, and the peer's primary address if it is still known.
type Accepted = (AssocId, Option<SocketAddr>, LazyFd);

/// Accepts associations. Dropped, it refuses further ones; accepted streams live on.
///
/// Its descriptor is readable while an association waits to be accepted.
#[derive(Debug)]
pub struct SctpListener {
    pub(super) handle: Handle<SocketNode>,
    pub(super) ep: EndpointId,
    pub(super) mode: Mode,
    fd: LazyFd,
}

common_methods!(SctpListener);

impl SctpListener {
    /// Listens on an SCTP port, 0 for a free one; at most `backlog` associations wait to be accepted, more are aborted.
    ///
    /// # Errors
    /// `AddrInUse` if the port is open already, in this process or in another one that shares the UDP port;
    /// and what [`Handle::claim_port`] answers.
    pub fn bind(handle: &Handle<SocketNode>, port: u16, backlog: u32) -> io::Result<Self> {
        Self::bind_with(handle, EndpointConfig::new(port), backlog)
    }

    /// Listens with parameters of one's own choice.
    ///
    /// # Errors
    /// As [`Self::bind`]; `InvalidInput` for parameters that RFC 9260 forbids.
    pub fn bind_with(handle: &Handle<SocketNode>, cfg: EndpointConfig, backlog: u32) -> io::Result<Self> {
        Self::listen_on(handle, open(handle, cfg, Kind::Listener)?, backlog)
    }

    pub(super) fn listen_on(handle: &Handle<SocketNode>, (ep, fd): (EndpointId, LazyFd), backlog: u32) -> io::Result<Self> {
        handle.with(|node, _| node.listen(ep, backlog))?;
        Ok(Self { handle: handle.clone(), ep, mode: Mode::default(), fd })
    }

    /// The next association, and the peer's primary address.
    ///
    /// # Errors
    /// `WouldBlock` if there is none (non-blocking, or after the read time-out), and as [`Handle::with`].
    pub fn accept(&self) -> io::Result<(SctpStream, SocketAddr)> {
        self.mode.call(&self.handle, Direction::Read, |node, _| self.next(node).map(Ok)).map(|next| self.accepted(next))
    }

    pub(super) fn next(&self, node: &mut SocketNode) -> Option<Accepted> {
        let id = node.accept(self.ep)?;
        // One that ended already has no addresses any more; its messages can still be read.
        let peer = node.peer_addrs(id).ok().and_then(|all| all.first().copied());
        Some((id, peer, LazyFd::new(node)))
    }

    pub(super) fn accepted(&self, (id, peer, fd): Accepted) -> (SctpStream, SocketAddr) {
        let unknown = SocketAddr::new(std::net::Ipv4Addr::UNSPECIFIED.into(), 0);
        (SctpStream::new(self.handle.clone(), id, fd), peer.unwrap_or(unknown))
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
    /// `InvalidInput` if the socket is bound to all addresses, or if none would be left; `AddrNotAvailable` for one that it is not
    /// bound to.
    pub fn bindx_remove(&self, addrs: &[IpAddr]) -> io::Result<()> {
        self.handle.with(|node, now| node.bindx(now, self.ep, addrs, false))?
    }

    /// The addresses that associations to come will have (`sctp_getladdrs` before there is an association).
    ///
    /// # Errors
    /// As [`Handle::with`].
    pub fn bound_addrs(&self) -> io::Result<Vec<IpAddr>> {
        self.handle.with(|node, _| node.bound(self.ep))?
    }

    /// The SCTP port.
    ///
    /// # Errors
    /// As [`Handle::with`].
    pub fn local_port(&self) -> io::Result<u16> {
        self.handle.with(|node, _| node.local_port(self.ep))?.ok_or_else(errno::gone)
    }

    fn make_fd(&self) -> io::Result<Arc<ReadyFd>> {
        self.handle.with(|node, _| node.socket_fd(self.ep))?
    }
}

impl Drop for SctpListener {
    fn drop(&mut self) {
        // A runtime that has stopped has nothing left to close.
        drop(self.handle.with(|node, now| node.abandon(now, self.ep)));
    }
}
