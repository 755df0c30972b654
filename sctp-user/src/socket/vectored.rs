//! Several buffers for one message, and several messages in one call (RFC 6458 sections 9.12 and 9.13).

use std::io::{self, IoSlice, IoSliceMut};

use bytes::{Bytes, BytesMut};

use super::info::{NxtInfo, Received, RecvV, SndInfo, Target};
use super::mode::Direction;
use super::node::SocketNode;
use super::{SctpSocket, SctpStream};
use crate::event::AssocId;
use crate::time::Time;

/// Most messages that one batched call takes or gives: the node is not held for longer.
const MAX_BATCH: usize = 256;

/// The bytes of several buffers, one after the other.
fn gather(parts: &[IoSlice<'_>]) -> Bytes {
    let mut whole = Vec::with_capacity(parts.iter().map(|p| p.len()).sum());
    parts.iter().for_each(|p| whole.extend_from_slice(p));
    whole.into()
}

/// Room in several buffers.
fn room(parts: &[IoSliceMut<'_>]) -> usize {
    parts.iter().map(|p| p.len()).sum()
}

/// Fills buffers one after the other; `bytes` fit.
fn scatter(mut bytes: &[u8], parts: &mut [IoSliceMut<'_>]) {
    for part in parts {
        let (head, rest) = bytes.split_at(bytes.len().min(part.len()));
        if let Some(to) = part.get_mut(..head.len()) {
            to.copy_from_slice(head);
        }
        bytes = rest;
    }
}

fn filled(received: Received, next: Option<NxtInfo>, parts: &mut [IoSliceMut<'_>]) -> RecvV {
    match received {
        Received::Message(info, bytes) => {
            scatter(&bytes, parts);
            RecvV::Message { len: bytes.len(), info, next }
        }
        Received::Notification(note) => RecvV::Notification(note),
    }
}

/// Payloads up to this size are copied, many into one buffer: to share the user's own would cost an allocation for each.
const SMALL: usize = 256;
/// Size of such a buffer, which lives until the last message in it is acknowledged.
const SHARED: usize = 4_096;

/// A payload as the association keeps it.
fn keep(message: &Bytes, shared: &mut BytesMut) -> Bytes {
    let len = message.len();
    if len > SMALL {
        return message.clone();
    }
    if shared.capacity() < len {
        *shared = BytesMut::with_capacity(SHARED);
    }
    shared.extend_from_slice(message);
    shared.split().freeze()
}

impl SocketNode {
    /// Sends as many of `messages` as there is room for; `None` if not even the first.
    fn send_batch(&mut self, now: Time, id: AssocId, messages: &[(Bytes, SndInfo)]) -> Option<io::Result<usize>> {
        let mut shared = BytesMut::new();
        let mut sent = 0;
        while let Some((message, info)) = messages.get(sent).filter(|_| sent < MAX_BATCH) {
            match self.send(now, id, info, &mut keep(message, &mut shared)) {
                Some(Ok(())) => sent += 1,
                // The next call tells it.
                Some(Err(_)) if sent > 0 => break,
                Some(Err(err)) => return Some(Err(err)),
                None if sent > 0 => break,
                None => return None,
            }
            let further = messages.iter().take(MAX_BATCH).skip(sent).map(|(message, info)| (keep(message, &mut shared), info));
            sent += self.send_further(now, id, further);
        }
        Some(Ok(sent))
    }
}

impl SctpSocket {
    /// Sends one message that lies in several buffers (`sctp_sendv`); without `info` as
    /// [`DefaultSndInfo`](super::option::DefaultSndInfo) says.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn sendv(&self, to: impl Into<Target>, parts: &[IoSlice<'_>], info: Option<&SndInfo>) -> io::Result<()> {
        let to = to.into();
        if let Some(info) = info {
            return self.send_bytes(to, gather(parts), info);
        }
        let id = self.resolve(to)?;
        let info = self.handle.with(|node, _| node.default_send(id))?;
        self.send_bytes(id, gather(parts), &info)
    }

    /// Receives a message into several buffers, or a notification (`sctp_recvv`). What does not fit comes with the association's
    /// next call, from the buffers on.
    ///
    /// # Errors
    /// As [`Self::recv`]; `InvalidInput` if there is no room at all.
    pub fn recvv(&self, parts: &mut [IoSliceMut<'_>]) -> io::Result<RecvV> {
        let limit = some_room(parts)?;
        let (received, next) = self.mode.call(&self.handle, Direction::Read, |node, now| {
            let received = node.recv_many(now, self.ep, limit)?;
            Some(Ok((received, node.next_of_many(self.ep))))
        })?;
        Ok(filled(received, next, parts))
    }

    /// Sends several messages to one peer with one call, which saves locking, and lets small ones share packets. Answers how many
    /// were taken, from the first on: at least one, but for errors.
    ///
    /// # Errors
    /// That of the first message, as [`Self::send`].
    pub fn send_many(&self, to: impl Into<Target>, messages: &[(Bytes, SndInfo)]) -> io::Result<usize> {
        let id = self.resolve(to.into())?;
        self.mode.call(&self.handle, Direction::Write, |node, now| node.send_batch(now, id, messages))
    }

    /// Receives what is there, at most `max` messages and notifications, with one call. Waits for the first.
    ///
    /// # Errors
    /// As [`Self::recv`].
    pub fn recv_many(&self, max: usize) -> io::Result<Vec<Received>> {
        self.mode.call(&self.handle, Direction::Read, |node, now| {
            let next = || node.recv_many(now, self.ep, usize::MAX);
            let all: Vec<_> = core::iter::from_fn(next).take(max.clamp(1, MAX_BATCH)).collect();
            (!all.is_empty()).then_some(Ok(all))
        })
    }
}

/// How much fits; without room nothing could ever be received.
fn some_room(parts: &[IoSliceMut<'_>]) -> io::Result<usize> {
    match room(parts) {
        0 => Err(super::errno::invalid("no room to receive into")),
        n => Ok(n),
    }
}

impl SctpStream {
    /// Sends one message that lies in several buffers (`sctp_sendv`); without `info` as
    /// [`DefaultSndInfo`](super::option::DefaultSndInfo) says.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn sendv(&self, parts: &[IoSlice<'_>], info: Option<&SndInfo>) -> io::Result<()> {
        let info = match info {
            Some(info) => *info,
            None => self.handle.with(|node, _| node.default_send(self.id))?,
        };
        self.send_bytes(gather(parts), &info)
    }

    /// Receives a message into several buffers, or a notification (`sctp_recvv`); `None` after the peer's graceful shutdown. What
    /// does not fit comes with the next call.
    ///
    /// # Errors
    /// As [`Self::recv`]; `InvalidInput` if there is no room at all.
    pub fn recvv(&self, parts: &mut [IoSliceMut<'_>]) -> io::Result<Option<RecvV>> {
        let limit = some_room(parts)?;
        let received = self.mode.call(&self.handle, Direction::Read, |node, now| {
            let received = node.recv_stream_any(now, self.id, limit)?;
            Some(received.map(|r| r.map(|r| (r, node.next_of_stream(self.id)))))
        })?;
        Ok(received.map(|(received, next)| filled(received, next, parts)))
    }

    /// Sends several messages with one call, which saves locking, and lets small ones share packets. Answers how many were taken,
    /// from the first on: at least one, but for errors.
    ///
    /// # Errors
    /// That of the first message, as [`Self::send`].
    pub fn send_many(&self, messages: &[(Bytes, SndInfo)]) -> io::Result<usize> {
        self.mode.call(&self.handle, Direction::Write, |node, now| node.send_batch(now, self.id, messages))
    }

    /// Receives what is there, at most `max` messages and notifications, with one call. Waits for the first. Nothing is there
    /// after the peer's graceful shutdown.
    ///
    /// # Errors
    /// As [`Self::recv`].
    pub fn recv_many(&self, max: usize) -> io::Result<Vec<Received>> {
        self.mode.call(&self.handle, Direction::Read, |node, now| node.recv_stream_batch(now, self.id, max.clamp(1, MAX_BATCH)))
    }
}
