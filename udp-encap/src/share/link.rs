//! A stream to another process on the same port: frames in, frames out, nothing blocks.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use bytes::{Buf as _, Bytes, BytesMut};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use thiserror::Error;

use super::message::{Message, MessageError, next_frame};
use crate::meta::Received;

/// Trains that wait for a slow reader of the stream; the next one is dropped, as in a full socket buffer.
const MAX_TRAINS: usize = 1 << 20;
/// Bytes of all kinds that wait. Beyond, changes of the table are not queued: the whole table is sent when there is room.
const MAX_QUEUE: usize = 2 << 20;
/// Buffers given to one write.
const MAX_SLICES: usize = 64;
/// Descriptors in a message: the UDP sockets of both families.
const MAX_FDS: usize = 2;
/// Apple's systems do not have the flag; there, and for plain writes everywhere, Rust's runtime ignores SIGPIPE.
#[cfg(not(target_vendor = "apple"))]
const NO_SIGNAL: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const NO_SIGNAL: SendFlags = SendFlags::empty();
/// Bytes read at a time.
pub(super) const READ_SIZE: usize = 64 << 10;

/// A link that broke, or brought something that is no message.
#[derive(Debug, Error)]
pub(super) enum Broken {
    #[error("closed by the other process")]
    Closed,
    #[error("no message of ours: {0}")]
    Message(#[from] MessageError),
    #[error(transparent)]
    Io(io::Error),
}

/// One stream with its queues.
#[derive(Debug)]
pub(super) struct Link {
    stream: UnixStream,
    /// What was read and is not a whole frame yet, or was not asked for yet. At most [`READ_SIZE`] plus one frame.
    input: BytesMut,
    /// Pieces of frames not written yet, at most [`MAX_QUEUE`] bytes.
    output: VecDeque<Bytes>,
    queued: usize,
    /// Changes were dropped: the table has to be sent again.
    behind: bool,
    /// Ports whose death was to be told while `behind`; at most all ports.
    missed: BTreeSet<u16>,
    /// Trains dropped because the other process is slow.
    pub(super) dropped: u64,
}

impl Link {
    /// Wraps a connected stream and makes it non-blocking.
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, input: BytesMut::new(), output: VecDeque::new(), queued: 0, behind: false, missed: BTreeSet::new(), dropped: 0 })
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    pub(super) fn raw_fd(&self) -> i32 {
        self.stream.as_raw_fd()
    }

    /// Reads once; the number of bytes, 0 when there are none now.
    pub(super) fn read(&mut self, scratch: &mut [u8]) -> Result<usize, Broken> {
        loop {
            return match (&self.stream).read(scratch) {
                Ok(0) => Err(Broken::Closed),
                Ok(n) => {
                    self.input.extend_from_slice(scratch.get(..n).unwrap_or_default());
                    Ok(n)
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(Broken::Io(error)),
            };
        }
    }

    /// Reads once and collects descriptors that come along; for the time before the Welcome.
    pub(super) fn read_with_fds(&mut self, scratch: &mut [u8], fds: &mut Vec<OwnedFd>) -> Result<usize, Broken> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut iov = [IoSliceMut::new(scratch)];
        #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
        let flags = RecvFlags::CMSG_CLOEXEC;
        #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
        let flags = RecvFlags::empty();
        let n = match rustix::net::recvmsg(&self.stream, &mut iov, &mut control, flags) {
            Ok(message) => message.bytes,
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => return Ok(0),
            Err(error) => return Err(Broken::Io(error.into())),
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                for fd in rights {
                    // Where the flag above does not exist. An error leaves a descriptor that a child inherits, no more.
                    let _ = rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC);
                    if fds.len() < MAX_FDS {
                        fds.push(fd);
                    }
                }
            }
        }
        if n == 0 {
            return Err(Broken::Closed);
        }
        self.input.extend_from_slice(scratch.get(..n).unwrap_or_default());
        Ok(n)
    }

    /// The next message that was read.
    pub(super) fn next(&mut self) -> Result<Option<Message>, Broken> {
        match next_frame(&mut self.input)? {
            Some(body) => Ok(Some(Message::parse(body)?)),
            None => Ok(None),
        }
    }

    /// Queues a message; if the other process is too slow even for these, it will get the table as a whole.
    pub(super) fn push(&mut self, message: &Message) {
        if self.behind {
            if let Message::Died { ports } = message {
                self.missed.extend(ports);
            }
            return;
        }
        let frame = message.encode();
        if self.queued.saturating_add(frame.len()) > MAX_QUEUE {
            self.behind = true;
            return self.push(message);
        }
        self.enqueue(frame);
    }

    /// Queues a train, or drops it if too much waits.
    pub(super) fn push_train(&mut self, train: &Received) {
        if self.queued.saturating_add(train.bytes.len()) > MAX_TRAINS {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        self.enqueue(Message::train_header(train));
        self.enqueue(train.bytes.clone());
    }

    fn enqueue(&mut self, piece: Bytes) {
        self.queued = self.queued.saturating_add(piece.len());
        self.output.push_back(piece);
    }

    /// Whether bytes wait to be written.
    pub(super) fn waits(&self) -> bool {
        !self.output.is_empty()
    }

    /// Whether the queue is empty, but the table has to be sent because changes were dropped. Takes the note: the ports whose
    /// death was not told.
    pub(super) fn catch_up(&mut self) -> Option<Vec<u16>> {
        if !self.behind || self.waits() {
            return None;
        }
        self.behind = false;
        Some(std::mem::take(&mut self.missed).into_iter().collect())
    }

    /// Writes what can be written without waiting.
    pub(super) fn flush(&mut self) -> Result<(), Broken> {
        while self.waits() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            for (slice, piece) in slices.iter_mut().zip(&self.output) {
                *slice = IoSlice::new(piece);
            }
            let count = self.output.len().min(MAX_SLICES);
            match (&self.stream).write_vectored(slices.get(..count).unwrap_or_default()) {
                Ok(n) => self.written(n),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    return Err(Broken::Closed);
                }
                Err(error) => return Err(Broken::Io(error)),
            }
        }
        Ok(())
    }

    /// Writes the first frame of the stream with descriptors; what does not fit is queued.
    pub(super) fn send_with_fds(&mut self, message: &Message, fds: &[BorrowedFd<'_>]) -> Result<(), Broken> {
        let mut frame = message.encode();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = fds.get(..MAX_FDS).unwrap_or(fds);
        if self.waits() || !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(Broken::Io(io::ErrorKind::InvalidInput.into()));
        }
        let slices = [IoSlice::new(&frame)];
        let n = rustix::net::sendmsg(&self.stream, &slices, &mut control, NO_SIGNAL).map_err(|error| Broken::Io(error.into()))?;
        frame.advance(n.min(frame.len()));
        if !frame.is_empty() {
            self.enqueue(frame);
        }
        Ok(())
    }

    fn written(&mut self, mut n: usize) {
        self.queued = self.queued.saturating_sub(n);
        while n > 0 {
            let Some(first) = self.output.front_mut() else {
                return;
            };
            if first.len() > n {
                first.advance(n);
                return;
            }
            n = n.saturating_sub(first.len());
            self.output.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::DatagramMeta;

    fn pair() -> (Link, Link) {
        let (a, b) = UnixStream::pair().unwrap();
        (Link::new(a).unwrap(), Link::new(b).unwrap())
    }

    fn train(len: usize) -> Received {
        let meta = DatagramMeta { src: "127.0.0.1:1".parse().unwrap(), dst_ip: None, ifindex: None, ecn: None };
        Received { meta, bytes: vec![7; len].into(), stride: len }
    }

    fn drain(link: &mut Link) -> Vec<Message> {
        let mut scratch = vec![0; READ_SIZE];
        let mut messages = Vec::new();
        while link.read(&mut scratch).unwrap() > 0 {
            while let Some(message) = link.next().unwrap() {
                messages.push(message);
            }
        }
        messages
    }

    #[test]
    fn a_slow_member_loses_trains_and_then_gets_the_table() {
        let (mut a, mut b) = pair();
        for _ in 0..40 {
            a.push_train(&train(60_000));
            a.flush().unwrap();
        }
        assert!(a.dropped > 0 && a.queued <= MAX_TRAINS + 64 * 40);
        let mut deaths = 0u16;
        while !a.behind {
            deaths += 1;
            a.push(&Message::Died { ports: vec![deaths; 30_000] });
        }
        assert!(a.queued <= MAX_QUEUE);
        a.push(&Message::Died { ports: vec![9_999] });
        assert_eq!(a.catch_up(), None, "not before the queue is written");
        let mut seen = Vec::new();
        while a.waits() {
            a.flush().unwrap();
            seen.extend(drain(&mut b));
        }
        let trains = seen.iter().filter(|m| matches!(m, Message::Train(_))).count();
        assert_eq!(u64::try_from(40 - trains).unwrap(), a.dropped);
        assert_eq!(a.catch_up(), Some(vec![deaths, 9_999]));
        assert_eq!(a.catch_up(), None);
    }

    #[test]
    fn descriptors_travel_with_the_first_message() {
        let (mut a, mut b) = pair();
        let (mine, theirs) = UnixStream::pair().unwrap();
        a.send_with_fds(&Message::Goodbye, &[theirs.as_fd()]).unwrap();
        a.push(&Message::Release { port: 5 });
        a.flush().unwrap();
        drop(theirs);
        let mut fds = Vec::new();
        let mut scratch = vec![0; READ_SIZE];
        let mut messages = Vec::new();
        while messages.len() < 2 {
            b.read_with_fds(&mut scratch, &mut fds).unwrap();
            while let Some(message) = b.next().unwrap() {
                messages.push(message);
            }
        }
        assert_eq!(messages, [Message::Goodbye, Message::Release { port: 5 }]);
        let passed = UnixStream::from(fds.pop().unwrap());
        assert!(fds.is_empty());
        (&passed).write_all(b"x").unwrap();
        let mut byte = [0];
        (&mine).read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"x");
        drop(a);
        assert!(matches!(b.read(&mut scratch), Err(Broken::Closed)));
    }
}
