//! One-to-one sockets (RFC 6458 section 4): they look like TCP's, but keep message boundaries.

use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf as _, Bytes};

use super::errno;
use super::handle::Handle;
use super::info::{RcvInfo, Received, SndInfo};
use super::mode::{Direction, LazyFd, Mode, common_methods};
use super::node::{Kind, SocketNode};
use super::one_to_many::open;
use super::readiness::ReadyFd;
use crate::config::EndpointConfig;
use crate::event::{AssocId, EndpointId};
use crate::net::PeerAddr;
use crate::stack::AssocStatus;

/// Longest message that `io::Write` makes of one call.
pub(super) const WRITE_MAX: usize = 32 * 1024;

/// One association. Dropped, it ends gracefully in the background; to wait for that, use [`Self::close`]. There is no background
/// if its handle is the runtime's last: keep another one, or close.
///
/// [`Self::send`] and [`Self::recv`] keep messages whole and tell their streams. `io::Write` sends each call's bytes as a
/// message on stream 0; `io::Read` hands out the bytes of messages one after the other, whatever their stream.
///
/// Its descriptor is readable while there is something to receive, the end included, while the outcome of a
/// non-blocking connect is a failure nobody has read, and when a send that answered `WouldBlock` may be tried again (until
/// it is, or until a receive answers `WouldBlock`).
#[derive(Debug)]
pub struct SctpStream {
    pub(super) handle: Handle<SocketNode>,
    pub(super) id: AssocId,
    pub(super) mode: Mode,
    fd: LazyFd,
    /// What `io::Read` has not handed out of the last message.
    rest: Mutex<Bytes>,
}

common_methods!(SctpStream);

impl SctpStream {
    pub(super) fn new(handle: Handle<SocketNode>, id: AssocId, fd: LazyFd) -> Self {
        Self { handle, id, mode: Mode::default(), fd, rest: Mutex::default() }
    }

    /// Opens an association from a free port and waits until it is up.
    ///
    /// # Errors
    /// `ConnectionRefused`, `TimedOut` and their like, and what [`Handle::claim_port`] answers.
    pub fn connect(handle: &Handle<SocketNode>, peer: impl Into<PeerAddr>) -> io::Result<Self> {
        Self::connect_with(handle, &[peer.into()], EndpointConfig::new(0), None)
    }

    /// Opens an association with a limit of time.
    ///
    /// # Errors
    /// As [`Self::connect`]; `TimedOut` also when the time is over.
    pub fn connect_timeout(handle: &Handle<SocketNode>, peer: impl Into<PeerAddr>, timeout: Duration) -> io::Result<Self> {
        Self::connect_with(handle, &[peer.into()], EndpointConfig::new(0), Some(timeout))
    }

    /// Opens an association with a peer of several addresses, from an endpoint of one's own choice, with or without limit of time.
    ///
    /// # Errors
    /// As [`Self::connect_timeout`].
    pub fn connect_with(
        handle: &Handle<SocketNode>,
        peers: &[PeerAddr],
        cfg: EndpointConfig,
        timeout: Option<Duration>,
    ) -> io::Result<Self> {
        let stream = Self::start_connect(handle, peers, cfg)?;
        match handle.wait(timeout, |node, _| node.outcome(stream.id))? {
            Some(outcome) => outcome.map(|()| stream),
            None => {
                stream.abort(b"")?;
                Err(io::ErrorKind::TimedOut.into())
            }
        }
    }

    /// Begins to open an association and returns a non-blocking stream at once; [`Self::connect_outcome`] tells how it went.
    ///
    /// # Errors
    /// What [`Handle::claim_port`] answers, `InvalidInput` for parameters that RFC 9260 forbids.
    pub fn connect_nonblocking(handle: &Handle<SocketNode>, peers: &[PeerAddr], cfg: EndpointConfig) -> io::Result<Self> {
        let stream = Self::start_connect(handle, peers, cfg)?;
        stream.set_nonblocking(true);
        Ok(stream)
    }

    fn start_connect(handle: &Handle<SocketNode>, peers: &[PeerAddr], cfg: EndpointConfig) -> io::Result<Self> {
        let opened = open(handle, cfg, Kind::Stream)?;
        Self::connect_from(handle, peers, opened)
    }

    /// Begins to open an association from an endpoint that was made for it.
    pub(super) fn connect_from(handle: &Handle<SocketNode>, peers: &[PeerAddr], (ep, fd): (EndpointId, LazyFd)) -> io::Result<Self> {
        let id = handle.with(|node, now| {
            let id = node.connect(now, ep, peers, None);
            if id.is_err() {
                node.abandon(now, ep);
            }
            id
        })??;
        Ok(Self::new(handle.clone(), id, fd))
    }

    /// Whether the association is up (`Some(Ok)`), has failed (`Some(Err)`), or is still being set up (`None`).
    ///
    /// # Errors
    /// As [`Handle::with`].
    pub fn connect_outcome(&self) -> io::Result<Option<io::Result<()>>> {
        self.handle.with(|node, _| node.outcome(self.id))
    }

    /// The association's identification, for [`SocketNode::stack_mut`] and logs.
    #[must_use]
    pub fn id(&self) -> AssocId {
        self.id
    }

    /// Sends a message.
    ///
    /// # Errors
    /// `WouldBlock` if the send buffer is full (non-blocking, or after the write time-out), `BrokenPipe` after a shutdown,
    /// `ConnectionReset` and its like after a loss, `InvalidInput` for a stream that does not exist and an empty message,
    /// EMSGSIZE for one that is too long.
    pub fn send(&self, message: &[u8], info: &SndInfo) -> io::Result<()> {
        self.send_bytes(Bytes::copy_from_slice(message), info)
    }

    /// Like [`Self::send`], without copying the message.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_bytes(&self, mut message: Bytes, info: &SndInfo) -> io::Result<()> {
        self.mode.call(&self.handle, Direction::Write, |node, now| node.send(now, self.id, info, &mut message))
    }

    /// The next message, of whichever stream; `None` after the peer's graceful shutdown.
    ///
    /// A message that does not fit the receive buffer comes in parts, of which all but the last have [`RcvInfo::more`]. If the
    /// association ends or restarts before the last one, what follows is an error, or a message that begins at
    /// [`RcvInfo::offset`] 0.
    ///
    /// # Errors
    /// `WouldBlock` if there is none (non-blocking, or after the read time-out); `ConnectionReset`, `TimedOut` and their
    /// like once the association is lost and its messages have been received.
    pub fn recv(&self) -> io::Result<Option<(RcvInfo, Bytes)>> {
        self.mode.receive(&self.handle, |node, now| node.recv_stream(now, self.id), |out| out.as_ref().map(|_| self.id))
    }

    /// The next message or notification; `None` after the peer's graceful shutdown. A one-to-one socket gets notifications only if
    /// it has subscribed to them ([`EventOption`](super::option::EventOption)), and [`Self::recv`] drops them.
    ///
    /// # Errors
    /// As [`Self::recv`].
    pub fn recv_any(&self) -> io::Result<Option<Received>> {
        let of = |out: &Option<Received>| out.as_ref().and_then(Received::message_of);
        self.mode.receive(&self.handle, |node, now| node.recv_stream_any(now, self.id, usize::MAX), of)
    }

    /// Ends the association gracefully: what was sent is delivered first. Messages of the peer can be received until it answers.
    ///
    /// # Errors
    /// `NotConnected` if it is gone.
    pub fn shutdown(&self) -> io::Result<()> {
        self.handle.with(|node, now| node.shutdown(now, self.id))?
    }

    /// Ends the association at once; the peer is told `reason` (RFC 9260 section 3.3.10.12).
    ///
    /// # Errors
    /// `NotConnected` if it is gone.
    pub fn abort(&self, reason: &[u8]) -> io::Result<()> {
        self.handle.with(|node, now| node.abort(now, self.id, reason))?
    }

    /// Ends the association gracefully and waits for that, at most `linger`: everything sent has then been acknowledged.
    ///
    /// # Errors
    /// `TimedOut` if it had not ended, and why it ended if that was not graceful.
    pub fn close(self, linger: Duration) -> io::Result<()> {
        // Already gone: the outcome below tells how.
        drop(self.shutdown());
        let ended = self.handle.wait(Some(linger), |node, _| node.ending(self.id))?;
        ended.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))
    }

    /// A snapshot of the association.
    ///
    /// # Errors
    /// `NotConnected` if it is gone.
    pub fn status(&self) -> io::Result<AssocStatus> {
        self.handle.with(|node, _| node.status(self.id))?
    }

    /// The peer's addresses, that of the primary path first.
    ///
    /// # Errors
    /// `NotConnected` if it is gone.
    pub fn peer_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        self.handle.with(|node, _| node.peer_addrs(self.id))?
    }

    /// The peer's primary address (`getpeername`).
    ///
    /// # Errors
    /// `NotConnected` if it is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.peer_addrs()?.first().copied().ok_or_else(errno::gone)
    }

    /// Our addresses of the association.
    ///
    /// # Errors
    /// `NotConnected` if it is gone.
    pub fn local_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        self.handle.with(|node, _| node.local_addrs(self.id))?
    }

    fn make_fd(&self) -> io::Result<Arc<ReadyFd>> {
        self.handle.with(|node, _| node.stream_fd(self.id))?
    }

    pub(super) fn rest(&self) -> MutexGuard<'_, Bytes> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SctpStream {
    fn drop(&mut self) {
        // A runtime that has stopped has nothing left to close.
        drop(self.handle.with(|node, now| node.leave(now, self.id)));
    }
}

impl io::Read for &SctpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let mut rest = self.rest();
        if rest.is_empty() {
            match self.recv()? {
                Some((_, message)) => *rest = message,
                None => return Ok(0),
            }
        }
        let n = rest.len().min(buf.len());
        if let Some(head) = buf.get_mut(..n) {
            rest.copy_to_slice(head);
        }
        Ok(n)
    }
}

impl io::Write for &SctpStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let part = buf.get(..WRITE_MAX).unwrap_or(buf);
        if !part.is_empty() {
            let info = self.handle.with(|node, _| node.default_send(self.id))?;
            self.send(part, &info)?;
        }
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl io::Read for SctpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut &*self, buf)
    }
}

impl io::Write for SctpStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut &*self, buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
