//! The streams to other processes, what each one is for, and their readiness.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use mio::event::Source as _;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use super::SharedPort;
use super::link::{Broken, Link, READ_SIZE};
use super::message::Message;
use super::table::MemberId;
use crate::meta::Received;

/// How long a connection may take to say what it wants, and how long one that asks the wrong process is kept.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// Connections that have not been taken on yet.
const MAX_STRANGERS: usize = 64;
/// All connections; the other tokens are for sockets.
const MAX_CONNS: usize = SharedPort::TOKENS - super::events::TOKEN_CONNS;

/// What an attaching process said.
#[derive(Debug)]
pub(super) struct Attach {
    pub(super) id: MemberId,
    pub(super) slot: u16,
    pub(super) generation: u64,
    pub(super) sockets: bool,
    pub(super) ports: BTreeSet<u16>,
}

/// What a connection is for.
#[derive(Debug)]
pub(super) enum Kind {
    /// Came in and has not said anything.
    Stranger { until: Instant },
    /// Wants to attach, but we do not know yet who the reader will be.
    Held { attach: Attach, until: Instant },
    /// Came in with the news of a successor. Stays open until we attached there: its end would mean that we died.
    Noticed,
    /// The reader's end of the link to a member.
    Member(MemberId),
    /// The member's end of it.
    Upstream,
    /// Goes to a process that may be the reader now.
    Seek,
    /// Tells a process that we are the reader, and us when it dies.
    Notice(MemberId),
}

#[derive(Debug)]
struct Conn {
    link: Link,
    kind: Kind,
    serial: u64,
    readable: bool,
    interest: Option<Interest>,
}

/// All connections of a process; at most [`MAX_CONNS`], of which at most [`MAX_STRANGERS`] are strangers.
#[derive(Debug, Default)]
pub(super) struct Conns {
    slots: Vec<Option<Conn>>,
    serial: u64,
    scratch: Vec<u8>,
}

pub(super) fn register(registry: &Registry, fd: BorrowedFd<'_>, token: usize, interest: Interest) -> io::Result<()> {
    SourceFd(&fd.as_raw_fd()).register(registry, Token(token), interest)
}

impl Conns {
    fn get(&mut self, conn: usize) -> Option<&mut Conn> {
        self.slots.get_mut(conn)?.as_mut()
    }

    fn iter(&self) -> impl Iterator<Item = (usize, &Conn)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| Some((index, slot.as_ref()?)))
    }

    pub(super) fn add(&mut self, stream: UnixStream, kind: Kind, registry: Option<(&Registry, usize)>) -> io::Result<usize> {
        self.add_link(Link::new(stream)?, kind, registry)
    }

    pub(super) fn add_link(&mut self, link: Link, kind: Kind, registry: Option<(&Registry, usize)>) -> io::Result<usize> {
        let is_stranger = |kind: &Kind| matches!(kind, Kind::Stranger { .. } | Kind::Held { .. });
        if is_stranger(&kind) && self.find(is_stranger).len() >= MAX_STRANGERS {
            return Err(io::Error::other("too many strangers"));
        }
        let index = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        if index >= MAX_CONNS {
            return Err(io::Error::other("too many connections"));
        }
        let mut interest = None;
        if let Some((registry, base)) = registry {
            register(registry, link.as_fd(), base.saturating_add(index), Interest::READABLE)?;
            interest = Some(Interest::READABLE);
        }
        self.serial = self.serial.wrapping_add(1);
        let conn = Conn { link, kind, serial: self.serial, readable: true, interest };
        match self.slots.get_mut(index) {
            Some(slot) => *slot = Some(conn),
            None => self.slots.push(Some(conn)),
        }
        Ok(index)
    }

    /// Registers all connections that there are.
    pub(super) fn register(&mut self, registry: &Registry, base: usize) -> io::Result<()> {
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if let Some(conn) = slot {
                register(registry, conn.link.as_fd(), base.saturating_add(index), Interest::READABLE)?;
                conn.interest = Some(Interest::READABLE);
            }
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, conn: usize, registry: Option<&Registry>) -> Option<Kind> {
        let gone = self.slots.get_mut(conn)?.take()?;
        if let (Some(registry), Some(_)) = (registry, gone.interest) {
            // Closing it has the same effect where this fails.
            let _ = SourceFd(&gone.link.raw_fd()).deregister(registry);
        }
        Some(gone.kind)
    }

    pub(super) fn kind(&self, conn: usize) -> Option<&Kind> {
        Some(&self.slots.get(conn)?.as_ref()?.kind)
    }

    pub(super) fn set_kind(&mut self, conn: usize, kind: Kind) {
        if let Some(conn) = self.get(conn) {
            conn.kind = kind;
        }
    }

    /// Distinguishes connections that had the same place one after the other.
    pub(super) fn serial(&self, conn: usize) -> Option<u64> {
        Some(self.slots.get(conn)?.as_ref()?.serial)
    }

    pub(super) fn set_readable(&mut self, conn: usize) {
        if let Some(conn) = self.get(conn) {
            conn.readable = true;
        }
    }

    pub(super) fn set_all_readable(&mut self) {
        for conn in self.slots.iter_mut().flatten() {
            conn.readable = true;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.iter().all(Option::is_none)
    }

    /// The readable connections that are strangers' or not.
    pub(super) fn readable(&self, strangers: bool) -> Vec<usize> {
        let stranger = |conn: &Conn| matches!(conn.kind, Kind::Stranger { .. });
        self.iter().filter(|(_, c)| c.readable && stranger(c) == strangers).map(|(index, _)| index).collect()
    }

    /// Reads once.
    pub(super) fn read(&mut self, conn: usize) -> Result<usize, Broken> {
        if self.scratch.is_empty() {
            self.scratch = vec![0; READ_SIZE];
        }
        let Some(Some(conn)) = self.slots.get_mut(conn) else {
            return Ok(0);
        };
        let result = conn.link.read(&mut self.scratch);
        conn.readable = matches!(result, Ok(n) if n > 0);
        result
    }

    pub(super) fn next(&mut self, conn: usize) -> Result<Option<Message>, Broken> {
        self.get(conn).map_or(Ok(None), |conn| conn.link.next())
    }

    pub(super) fn push(&mut self, conn: usize, message: &Message) {
        if let Some(conn) = self.get(conn) {
            conn.link.push(message);
        }
    }

    pub(super) fn push_train(&mut self, conn: usize, train: &Received) {
        if let Some(conn) = self.get(conn) {
            conn.link.push_train(train);
        }
    }

    pub(super) fn send_with_fds(&mut self, conn: usize, message: &Message, fds: &[BorrowedFd<'_>]) -> Result<(), Broken> {
        self.get(conn).map_or(Err(Broken::Closed), |conn| conn.link.send_with_fds(message, fds))
    }

    /// Writes what can be written and asks to be told when the rest can be. `Some`: the link was behind and caught up, see
    /// [`Link::catch_up`].
    pub(super) fn flush(&mut self, conn: usize, registry: Option<(&Registry, usize)>) -> Result<Option<Vec<u16>>, Broken> {
        let index = conn;
        let Some(conn) = self.get(conn) else {
            return Ok(None);
        };
        conn.link.flush()?;
        let wanted = if conn.link.waits() { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        if let (Some((registry, base)), Some(had)) = (registry, conn.interest)
            && had != wanted
        {
            let fd = conn.link.raw_fd();
            SourceFd(&fd).reregister(registry, Token(base.saturating_add(index)), wanted).map_err(Broken::Io)?;
            conn.interest = Some(wanted);
        }
        Ok(conn.link.catch_up())
    }

    /// Connections with bytes to write.
    pub(super) fn waiting(&self) -> Vec<usize> {
        self.iter().filter(|(_, conn)| conn.link.waits()).map(|(index, _)| index).collect()
    }

    /// The links between reader and members.
    pub(super) fn peers(&self) -> Vec<usize> {
        self.find(|kind| matches!(kind, Kind::Member(_) | Kind::Upstream))
    }

    /// Connections of a kind.
    pub(super) fn find(&self, is: impl Fn(&Kind) -> bool) -> Vec<usize> {
        self.iter().filter(|(_, conn)| is(&conn.kind)).map(|(index, _)| index).collect()
    }

    /// When the first connection is too old.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.iter().filter_map(|(_, conn)| conn.kind.until()).min()
    }

    /// Connections that are too old.
    pub(super) fn expired(&self, now: Instant) -> Vec<usize> {
        self.find(|kind| kind.until().is_some_and(|until| until <= now))
    }

    /// All descriptors, to wait for them without mio.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.iter().map(|(_, conn)| conn.link.as_fd())
    }
}

impl Kind {
    fn until(&self) -> Option<Instant> {
        match self {
            Self::Stranger { until } | Self::Held { until, .. } => Some(*until),
            _ => None,
        }
    }
}
