//! What wakes whoever polls when it is time.
//!
//! A wait with a time-out sets up a timer in the kernel and takes it down when a packet comes first, as it nearly always does: a
//! twentieth of what a round trip of a short message costs. On Linux the timer is a descriptor among the others (timerfd) instead, and is left
//! alone as long as it goes off early enough. The deadlines of associations mostly move away, with every packet, so it goes off in vain
//! about once in an RTO, and waits in between are without end. Elsewhere, and where there is no descriptor to be had, waits have time-outs.

use core::time::Duration;

use mio::Registry;

use self::system::Descriptor;
use super::lower::TIMER;
use crate::time::Time;

/// The timer of a poller.
#[derive(Debug)]
pub(super) struct Timer {
    descriptor: Option<Descriptor>,
    /// When it goes off, or went off.
    set: Time,
}

impl Timer {
    /// Makes a timer whose events have the token [`TIMER`].
    pub(super) fn register(registry: &Registry) -> Self {
        let descriptor = Descriptor::register(registry, TIMER).inspect_err(|err| tracing::debug!(%err, "no timer: waits have time-outs"));
        Self { descriptor: descriptor.ok(), set: Time::ZERO }
    }

    /// Sees to it that a wait which begins now, with the time-out that is answered, ends at `at` or earlier.
    pub(super) fn timeout(&mut self, now: Time, at: Time) -> Option<Duration> {
        if at <= now {
            return Some(Duration::ZERO);
        }
        if at == Time::MAX || (now < self.set && self.set <= at) {
            return None;
        }
        let wait = at - now;
        if self.descriptor.as_ref().is_none_or(|timer| timer.set(wait).is_err()) {
            return Some(wait);
        }
        self.set = at;
        None
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use core::time::Duration;
    use std::io;
    use std::os::fd::{AsRawFd as _, OwnedFd};

    use mio::unix::SourceFd;
    use mio::{Interest, Registry, Token};
    use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime};

    /// A timer that is a descriptor. Nobody reads it: setting it anew takes the old news back.
    #[derive(Debug)]
    pub(super) struct Descriptor(OwnedFd);

    impl Descriptor {
        pub(super) fn register(registry: &Registry, token: Token) -> io::Result<Self> {
            let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
            registry.register(&mut SourceFd(&fd.as_raw_fd()), token, Interest::READABLE)?;
            Ok(Self(fd))
        }

        /// It goes off after `wait`, which is not zero.
        pub(super) fn set(&self, wait: Duration) -> io::Result<()> {
            let it_value = Timespec::try_from(wait).map_err(|_| io::ErrorKind::InvalidInput)?;
            let once = Itimerspec { it_interval: Timespec::default(), it_value };
            Ok(timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once).map(drop)?)
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    use core::convert::Infallible;
    use core::time::Duration;
    use std::io;

    use mio::{Registry, Token};

    /// There is none.
    #[derive(Debug)]
    pub(super) struct Descriptor(Infallible);

    impl Descriptor {
        pub(super) fn register(_: &Registry, _: Token) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(super) fn set(&self, _: Duration) -> io::Result<()> {
            match self.0 {}
        }
    }
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use mio::{Events, Poll};

    use super::*;
    use crate::transport::clock::MonoClock;

    /// Far beyond what any test waits.
    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn it_wakes_a_wait_without_end_and_is_set_only_to_go_off_earlier() {
        let (mut poll, mut events, clock) = (Poll::new().unwrap(), Events::with_capacity(4), MonoClock::new());
        let mut timer = Timer::register(poll.registry());
        let start = clock.now();
        assert_eq!(timer.timeout(start, start), Some(Duration::ZERO), "due");
        assert_eq!((timer.timeout(start, start + HOUR), timer.set), (None, start + HOUR));
        assert_eq!((timer.timeout(start, start + 2 * HOUR), timer.set), (None, start + HOUR), "early enough");
        for n in 1..=3 {
            // Also for the second and third time, though nobody has read the descriptor.
            let (now, soon) = (clock.now(), clock.now() + Duration::from_millis(n));
            assert_eq!((timer.timeout(now, soon), timer.set), (None, soon));
            poll.poll(&mut events, Some(Duration::from_secs(20))).unwrap();
            assert_eq!(events.iter().map(|e| e.token()).collect::<Vec<_>>(), [TIMER]);
            assert!(clock.now() >= soon, "never early");
            assert_eq!(timer.timeout(clock.now(), soon), Some(Duration::ZERO));
        }
    }

    #[test]
    fn without_a_descriptor_waits_have_timeouts() {
        let mut timer = Timer { descriptor: None, set: Time::ZERO };
        let now = Time::from_millis(5);
        assert_eq!(timer.timeout(now, now + HOUR), Some(HOUR));
        assert_eq!(timer.timeout(now, Time::MAX), None);
    }
}
