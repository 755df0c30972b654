//! A descriptor that poll, select and mio can wait for, made only when somebody asks for it.
//!
//! It is level-triggered: readable exactly while its owner says so.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

/// The descriptor: an eventfd on Linux, a pipe elsewhere.
#[derive(Debug)]
pub(super) struct ReadyFd {
    read: OwnedFd,
    /// `None` if the same descriptor takes both.
    write: Option<OwnedFd>,
}

impl ReadyFd {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn new() -> io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        Ok(Self { read: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?, write: None })
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn new() -> io::Result<Self> {
        use rustix::io::{FdFlags, fcntl_setfd, ioctl_fionbio};
        let (read, write) = rustix::pipe::pipe()?;
        for fd in [&read, &write] {
            fcntl_setfd(fd, FdFlags::CLOEXEC)?;
            ioctl_fionbio(fd, true)?;
        }
        Ok(Self { read, write: Some(write) })
    }

    /// A descriptor that is always readable.
    pub(super) fn always() -> io::Result<Self> {
        let fd = Self::new()?;
        fd.raise();
        Ok(fd)
    }

    fn raise(&self) {
        // Eight bytes in both cases: what an eventfd wants. Full means raised already.
        let fd = self.write.as_ref().unwrap_or(&self.read);
        if let Err(err) = rustix::io::write(fd, &1u64.to_ne_bytes()) {
            tracing::debug!(%err, "readiness not raised");
        }
    }

    fn lower(&self) {
        let mut sink = [0; 64];
        if let Err(err) = rustix::io::read(&self.read, &mut sink) {
            tracing::debug!(%err, "readiness not lowered");
        }
    }
}

impl AsFd for ReadyFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}

impl AsRawFd for ReadyFd {
    fn as_raw_fd(&self) -> RawFd {
        self.read.as_raw_fd()
    }
}

/// The node's side: whether a socket is ready, and the descriptor to tell it to if there is one.
#[derive(Default, Debug)]
pub(super) struct Readiness {
    fd: Option<Arc<ReadyFd>>,
    ready: bool,
}

impl Readiness {
    /// Says whether the socket is ready.
    pub(super) fn set(&mut self, ready: bool) {
        if self.ready == ready {
            return;
        }
        self.ready = ready;
        if let Some(fd) = &self.fd {
            if ready { fd.raise() } else { fd.lower() }
        }
    }

    /// The descriptor, made at the first call.
    pub(super) fn fd(&mut self) -> io::Result<Arc<ReadyFd>> {
        if let Some(fd) = &self.fd {
            return Ok(Arc::clone(fd));
        }
        let fd = Arc::new(ReadyFd::new()?);
        if self.ready {
            fd.raise();
        }
        self.fd = Some(Arc::clone(&fd));
        Ok(fd)
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn readable(fd: &ReadyFd) -> bool {
        let mut fds = [PollFd::new(fd, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    }

    #[test]
    fn the_descriptor_is_readable_exactly_while_its_owner_is_ready() {
        let mut readiness = Readiness::default();
        readiness.set(true);
        let fd = readiness.fd().unwrap();
        assert!(readable(&fd), "ready before the descriptor was made");
        for ready in [true, false, false, true, false] {
            readiness.set(ready);
            assert_eq!(readable(&fd), ready);
        }
        assert!(readable(&ReadyFd::always().unwrap()));
    }
}
