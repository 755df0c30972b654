//! What all sockets have in common: blocking or not, time-outs, and the readiness descriptor.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, OnceLock};

use super::errno;
use super::handle::Handle;
use super::node::SocketNode;
use super::readiness::ReadyFd;
use crate::event::AssocId;
use crate::time::Time;

/// Whether calls block, and how long.
#[derive(Default, Debug)]
pub(super) struct Mode {
    nonblocking: AtomicBool,
    read: Patience,
    write: Patience,
}

/// How long a call waits, in nanoseconds; 0 is for ever.
#[derive(Default, Debug)]
struct Patience(AtomicU64);

impl Patience {
    /// Sets it; a time that is too long to be told from eternity ends after 584 years.
    fn set(&self, timeout: Option<Duration>) {
        let nanos = timeout.map_or(0, |t| u64::try_from(t.as_nanos()).unwrap_or(u64::MAX));
        self.0.store(nanos, Ordering::Relaxed);
    }

    fn get(&self) -> Option<Duration> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }
}

/// The direction of a blocking call.
#[derive(Clone, Copy)]
pub(super) enum Direction {
    Read,
    Write,
}

impl Mode {
    pub(super) fn set_nonblocking(&self, on: bool) {
        self.nonblocking.store(on, Ordering::Relaxed);
    }

    pub(super) fn is_nonblocking(&self) -> bool {
        self.nonblocking.load(Ordering::Relaxed)
    }

    pub(super) fn set_timeout(&self, direction: Direction, timeout: Option<Duration>) -> io::Result<()> {
        if timeout == Some(Duration::ZERO) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a time-out of zero: use set_nonblocking"));
        }
        self.slot(direction).set(timeout);
        Ok(())
    }

    fn slot(&self, direction: Direction) -> &Patience {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    fn patience(&self, direction: Direction) -> Option<Duration> {
        if self.is_nonblocking() {
            return Some(Duration::ZERO);
        }
        self.slot(direction).get()
    }

    /// Runs a call that may have to wait: until `f` answers, or EAGAIN at once (non-blocking) or after the time-out.
    pub(super) fn call<T>(
        &self,
        handle: &Handle<SocketNode>,
        direction: Direction,
        f: impl FnMut(&mut SocketNode, Time) -> Option<io::Result<T>>,
    ) -> io::Result<T> {
        handle.wait(self.patience(direction), f)?.unwrap_or_else(|| Err(errno::would_block()))
    }

    /// As [`Self::call`] for a call that receives one message, which `of` finds the association of. The SACK may ride with what
    /// the user sends next.
    pub(super) fn receive<T>(
        &self,
        handle: &Handle<SocketNode>,
        f: impl FnMut(&mut SocketNode, Time) -> Option<io::Result<T>>,
        of: impl Fn(&T) -> Option<AssocId>,
    ) -> io::Result<T> {
        let may_owe = |node: &mut SocketNode, out: &io::Result<T>| {
            let id = out.as_ref().ok().and_then(&of);
            id.is_some_and(|id| node.sack_may_ride(id))
        };
        handle.wait_reading(self.patience(Direction::Read), f, may_owe)?.unwrap_or_else(|| Err(errno::would_block()))
    }
}

/// The lazily made descriptor of a socket.
#[derive(Debug)]
pub(super) struct LazyFd {
    fd: OnceLock<Arc<ReadyFd>>,
    fallback: Arc<ReadyFd>,
}

impl LazyFd {
    pub(super) fn new(node: &SocketNode) -> Self {
        Self { fd: OnceLock::new(), fallback: node.always_ready() }
    }

    /// The descriptor, which `make` makes the first time. If it cannot, the one that is always ready: a caller that then
    /// polls too often is better off than one that waits for ever.
    pub(super) fn get(&self, make: impl FnOnce() -> io::Result<Arc<ReadyFd>>) -> &ReadyFd {
        if let Some(fd) = self.fd.get() {
            return fd;
        }
        match make() {
            Ok(fd) => self.fd.get_or_init(|| fd),
            Err(err) => {
                tracing::warn!(%err, "no descriptor for readiness");
                &self.fallback
            }
        }
    }

    pub(super) fn raw(&self, make: impl FnOnce() -> io::Result<Arc<ReadyFd>>) -> RawFd {
        self.get(make).as_raw_fd()
    }
}

/// The methods that all socket types share, on fields `mode`, `handle` and `fd`, and `make_fd`.
macro_rules! common_methods {
    ($name:ident) => {
        impl $name {
            /// Whether calls answer `WouldBlock` (EAGAIN) instead of waiting.
            pub fn set_nonblocking(&self, on: bool) {
                self.mode.set_nonblocking(on);
            }

            /// How long receiving (and accepting) may wait; `None`, the default, is for ever. Afterwards: `WouldBlock`.
            ///
            /// # Errors
            /// `InvalidInput` for a time-out of zero.
            pub fn set_read_timeout(&self, timeout: Option<core::time::Duration>) -> std::io::Result<()> {
                self.mode.set_timeout(crate::socket::mode::Direction::Read, timeout)
            }

            /// How long sending (and connecting) may wait; `None`, the default, is for ever. Afterwards: `WouldBlock`.
            ///
            /// # Errors
            /// `InvalidInput` for a time-out of zero.
            pub fn set_write_timeout(&self, timeout: Option<core::time::Duration>) -> std::io::Result<()> {
                self.mode.set_timeout(crate::socket::mode::Direction::Write, timeout)
            }

            /// The runtime that the socket belongs to.
            #[must_use]
            pub fn handle(&self) -> &crate::socket::Handle<crate::socket::SocketNode> {
                &self.handle
            }
        }

        /// The descriptor is readable while the socket is ready; it is for waiting only, never for reading or writing.
        impl std::os::fd::AsFd for $name {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                std::os::fd::AsFd::as_fd(self.fd.get(|| self.make_fd()))
            }
        }

        impl std::os::fd::AsRawFd for $name {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.fd.raw(|| self.make_fd())
            }
        }

        impl mio::event::Source for $name {
            fn register(&mut self, registry: &mio::Registry, token: mio::Token, interests: mio::Interest) -> std::io::Result<()> {
                mio::unix::SourceFd(&std::os::fd::AsRawFd::as_raw_fd(self)).register(registry, token, interests)
            }

            fn reregister(&mut self, registry: &mio::Registry, token: mio::Token, interests: mio::Interest) -> std::io::Result<()> {
                mio::unix::SourceFd(&std::os::fd::AsRawFd::as_raw_fd(self)).reregister(registry, token, interests)
            }

            fn deregister(&mut self, registry: &mio::Registry) -> std::io::Result<()> {
                mio::unix::SourceFd(&std::os::fd::AsRawFd::as_raw_fd(self)).deregister(registry)
            }
        }
    };
}
pub(super) use common_methods;
