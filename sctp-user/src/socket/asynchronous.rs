//! Sockets in tasks: polling with a [`Context`], and futures on top of it, for whatever executor runs them.
//!
//! A future that is dropped before it is ready has done nothing: no message is lost that it might have received, and none is
//! sent. (A future that connects has begun to; dropped, it ends the association.) They need a runtime with a thread of its
//! own: one that callers drive is not driven by futures.

use core::future::poll_fn;
use core::task::{Context, Poll};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::handle::Handle;
use super::info::{RcvInfo, Received, SndInfo, Target};
use super::node::{Kind, SocketNode, Waiter};
use super::one_to_many::open_claimed;
use super::{SctpListener, SctpSocket, SctpStream};
use crate::config::{AssocConfig, EndpointConfig};
use crate::event::AssocId;
use crate::net::PeerAddr;
use crate::time::Time;

/// Looks once; if there is nothing yet, the task is woken when it is worth looking again.
fn poll_node<T>(
    handle: &Handle<SocketNode>,
    cx: &Context<'_>,
    waiter: Waiter,
    f: impl FnOnce(&mut SocketNode, Time) -> Option<io::Result<T>>,
) -> Poll<io::Result<T>> {
    let looked = handle.with(|node, now| {
        let out = f(node, now);
        if out.is_none() {
            node.wait_for(waiter, cx.waker());
        }
        out
    });
    match looked {
        Ok(Some(out)) => Poll::Ready(out),
        Ok(None) => Poll::Pending,
        Err(err) => Poll::Ready(Err(err)),
    }
}

impl SctpSocket {
    /// As [`Self::bind_with`], for tasks: nothing waits for the process that reads a shared UDP port but the task.
    ///
    /// # Errors
    /// As [`Self::bind_with`].
    pub async fn bind_async(handle: &Handle<SocketNode>, mut cfg: EndpointConfig) -> io::Result<Self> {
        cfg.port = handle.claim_port_async(cfg.port).await?;
        Ok(Self::on(handle, open_claimed(handle, cfg, Kind::Many)?))
    }

    /// As [`Self::recv`], for tasks.
    ///
    /// # Errors
    /// As [`Self::recv`], but for `WouldBlock`.
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<io::Result<Received>> {
        poll_node(&self.handle, cx, Waiter::Socket(self.ep), |node, now| node.recv_many(now, self.ep, usize::MAX).map(Ok))
    }

    /// As [`Self::recv`], for tasks.
    ///
    /// # Errors
    /// As [`Self::recv`], but for `WouldBlock`.
    pub async fn recv_async(&self) -> io::Result<Received> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Sends to the peer of an association, for tasks. The message was taken only if the answer says so.
    ///
    /// # Errors
    /// As [`Self::send`], but for `WouldBlock`.
    pub fn poll_send(&self, cx: &mut Context<'_>, to: AssocId, message: &Bytes, info: &SndInfo) -> Poll<io::Result<()>> {
        poll_node(&self.handle, cx, Waiter::Writer(to), |node, now| node.send(now, to, info, &mut message.clone()))
    }

    /// As [`Self::send_bytes`], for tasks.
    ///
    /// # Errors
    /// As [`Self::send`], but for `WouldBlock`.
    pub async fn send_async(&self, to: impl Into<Target>, message: Bytes, info: &SndInfo) -> io::Result<()> {
        if info.send_all {
            return self.handle.with(|node, now| node.send_all(now, self.ep, info, &message))?;
        }
        let id = self.resolve(to.into())?;
        poll_fn(|cx| self.poll_send(cx, id, &message, info)).await
    }

    /// As [`Self::connect_with`], for tasks. Dropped before it is ready, it aborts the association.
    ///
    /// # Errors
    /// As [`Self::connect`], but for `WouldBlock`.
    pub async fn connect_async(&self, peers: &[PeerAddr], cfg: Option<Arc<AssocConfig>>) -> io::Result<AssocId> {
        let id = self.handle.with(|node, now| {
            let id = node.connect(now, self.ep, peers, cfg)?;
            node.set_connecting(now, id, true);
            Ok::<_, io::Error>(id)
        })??;
        let mut attempt = Attempt { socket: self, id, going_on: true };
        let outcome = poll_fn(|cx| poll_node(&self.handle, cx, Waiter::Writer(id), |node, _| node.outcome(id))).await;
        attempt.going_on = false;
        outcome.map(|()| id)
    }

    /// As [`Self::close`] without a limit of time, for tasks. Dropped, it goes on in the background.
    ///
    /// # Errors
    /// As [`Handle::with`].
    pub async fn close_async(self) -> io::Result<()> {
        let (handle, ep) = (self.handle.clone(), self.ep);
        drop(self);
        poll_fn(|cx| poll_node(&handle, cx, Waiter::Closing(ep), |node, _| node.local_port(ep).is_none().then_some(Ok(())))).await
    }
}

/// A connect that a task waits for.
struct Attempt<'a> {
    socket: &'a SctpSocket,
    id: AssocId,
    going_on: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        // A runtime that has stopped has nothing left to close.
        drop(self.socket.handle.with(|node, now| {
            if self.going_on {
                // Gone already: nothing to abort.
                drop(node.abort(now, self.id, b""));
            }
            node.set_connecting(now, self.id, false);
        }));
    }
}

impl SctpListener {
    /// As [`Self::bind_with`], for tasks: nothing waits for the process that reads a shared UDP port but the task.
    ///
    /// # Errors
    /// As [`Self::bind_with`].
    pub async fn bind_async(handle: &Handle<SocketNode>, mut cfg: EndpointConfig, backlog: u32) -> io::Result<Self> {
        cfg.port = handle.claim_port_async(cfg.port).await?;
        Self::listen_on(handle, open_claimed(handle, cfg, Kind::Listener)?, backlog)
    }

    /// As [`Self::accept`], for tasks.
    ///
    /// # Errors
    /// As [`Self::accept`], but for `WouldBlock`.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(SctpStream, SocketAddr)>> {
        let next = poll_node(&self.handle, cx, Waiter::Socket(self.ep), |node, _| self.next(node).map(Ok));
        next.map(|next| next.map(|next| self.accepted(next)))
    }

    /// As [`Self::accept`], for tasks.
    ///
    /// # Errors
    /// As [`Self::accept`], but for `WouldBlock`.
    pub async fn accept_async(&self) -> io::Result<(SctpStream, SocketAddr)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }
}

impl SctpStream {
    /// As [`Self::connect_with`], for tasks. Dropped before it is ready, it ends the association.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_async(handle: &Handle<SocketNode>, peers: &[PeerAddr], mut cfg: EndpointConfig) -> io::Result<Self> {
        cfg.port = handle.claim_port_async(cfg.port).await?;
        let stream = Self::connect_from(handle, peers, open_claimed(handle, cfg, Kind::Stream)?)?;
        let id = stream.id;
        poll_fn(|cx| poll_node(handle, cx, Waiter::Writer(id), |node, _| node.outcome(id))).await?;
        Ok(stream)
    }

    /// As [`Self::recv`], for tasks.
    ///
    /// # Errors
    /// As [`Self::recv`], but for `WouldBlock`.
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<io::Result<Option<(RcvInfo, Bytes)>>> {
        poll_node(&self.handle, cx, Waiter::Reader(self.id), |node, now| node.recv_stream(now, self.id))
    }

    /// As [`Self::recv`], for tasks.
    ///
    /// # Errors
    /// As [`Self::recv`], but for `WouldBlock`.
    pub async fn recv_async(&self) -> io::Result<Option<(RcvInfo, Bytes)>> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// As [`Self::recv_any`], for tasks.
    ///
    /// # Errors
    /// As [`Self::recv`], but for `WouldBlock`.
    pub async fn recv_any_async(&self) -> io::Result<Option<Received>> {
        let poll = |cx: &mut Context<'_>| {
            poll_node(&self.handle, cx, Waiter::Reader(self.id), |node, now| node.recv_stream_any(now, self.id, usize::MAX))
        };
        poll_fn(poll).await
    }

    /// As [`Self::send_bytes`], for tasks. The message was taken only if the answer says so.
    ///
    /// # Errors
    /// As [`Self::send`], but for `WouldBlock`.
    pub fn poll_send(&self, cx: &mut Context<'_>, message: &Bytes, info: &SndInfo) -> Poll<io::Result<()>> {
        poll_node(&self.handle, cx, Waiter::Writer(self.id), |node, now| node.send(now, self.id, info, &mut message.clone()))
    }

    /// As [`Self::send_bytes`], for tasks.
    ///
    /// # Errors
    /// As [`Self::send`], but for `WouldBlock`.
    pub async fn send_async(&self, message: Bytes, info: &SndInfo) -> io::Result<()> {
        poll_fn(|cx| self.poll_send(cx, &message, info)).await
    }

    /// As [`Self::close`] without a limit of time, for tasks. Dropped, it goes on in the background.
    ///
    /// # Errors
    /// Why it ended if that was not graceful.
    pub async fn close_async(self) -> io::Result<()> {
        // Already gone: the outcome below tells how.
        drop(self.shutdown());
        poll_fn(|cx| poll_node(&self.handle, cx, Waiter::Writer(self.id), |node, _| node.ending(self.id))).await
    }
}
