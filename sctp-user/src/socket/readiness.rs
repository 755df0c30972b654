//! A descriptor that poll, select and mio can wait for, made only when somebody asks for it.
//!
//! It is level-triggered: readable exactly while its owner says so.

use core::task::Waker;
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
    #[inline]
    pub(super) fn set(&mut self, ready: bool) {
        if core::mem::replace(&mut self.ready, ready) != ready && self.fd.is_some() {
            self.tell();
        }
    }

    /// Has the descriptor say what is so now.
    #[cold]
    #[inline(never)]
    fn tell(&self) {
        if let Some(fd) = &self.fd {
            if self.ready { fd.raise() } else { fd.lower() }
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

/// Most tasks that wait for one thing; the oldest is woken to make room, and may wait again.
const MAX_WAKERS: usize = 64;

/// Tasks that wait for the same thing.
#[derive(Default, Debug)]
pub(super) struct Wakers(Vec<Waker>);

impl Wakers {
    /// Adds a task, unless it waits already.
    pub(super) fn add(&mut self, waker: &Waker, woken: &mut Vec<Waker>) {
        if self.0.iter().any(|w| w.will_wake(waker)) {
            return;
        }
        if self.0.len() >= MAX_WAKERS {
            woken.push(self.0.remove(0));
        }
        self.0.push(waker.clone());
    }

    /// Moves all tasks to those that are to be woken.
    #[inline]
    pub(super) fn wake_into(&mut self, woken: &mut Vec<Waker>) {
        // Most of the time nobody waits.
        if !self.0.is_empty() {
            self.move_into(woken);
        }
    }

    #[cold]
    #[inline(never)]
    fn move_into(&mut self, woken: &mut Vec<Waker>) {
        // The memory is given back.
        woken.append(&mut core::mem::take(&mut self.0));
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

    #[test]
    fn a_task_waits_once_and_the_number_of_tasks_is_bounded() {
        struct Task;
        impl std::task::Wake for Task {
            fn wake(self: Arc<Self>) {}
        }
        let task = || Waker::from(Arc::new(Task));
        let (mut wakers, mut woken) = (Wakers::default(), Vec::new());
        let first = task();
        (0..3).for_each(|_| wakers.add(&first, &mut woken));
        assert_eq!(wakers.0.len(), 1);
        (0..MAX_WAKERS).for_each(|_| wakers.add(&task(), &mut woken));
        assert!(woken.len() == 1 && woken[0].will_wake(&first), "the oldest looks again");
        wakers.wake_into(&mut woken);
        assert_eq!((woken.len(), wakers.0.len()), (MAX_WAKERS + 1, 0));
    }
}
