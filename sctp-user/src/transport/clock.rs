//! The monotonic clock as the core's [`Time`].
#![allow(clippy::disallowed_methods, reason = "edge: the one place that reads the clock for the core")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::time::{Time, nanos};

/// The monotonic clock of this host, counted from the clock's creation.
///
/// It is advanced by one hour so that "long ago" can be expressed in [`Time`], which has no negative values.
#[derive(Clone, Copy, Debug)]
pub struct MonoClock {
    base: Instant,
    /// What the system's clock showed when this one was created.
    #[cfg(not(target_vendor = "apple"))]
    created: i64,
    /// Nanoseconds of the Unix epoch at [`Time::ZERO`], for time stamps in captures only.
    wall_at_zero: u64,
}

/// What the clock shows when it is created, in nanoseconds.
const START: u64 = 3_600_000_000_000;

impl MonoClock {
    /// Starts a clock.
    #[must_use]
    pub fn new() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanos);
        Self {
            base: Instant::now(),
            #[cfg(not(target_vendor = "apple"))]
            created: monotonic(),
            wall_at_zero: wall.saturating_sub(START),
        }
    }

    /// Now.
    #[cfg(not(target_vendor = "apple"))]
    #[inline(never)]
    #[must_use]
    pub fn now(&self) -> Time {
        let elapsed = u64::try_from(monotonic() - self.created).unwrap_or(0);
        Time::from_nanos(elapsed.saturating_add(START))
    }

    /// Now.
    #[cfg(target_vendor = "apple")]
    #[must_use]
    pub fn now(&self) -> Time {
        self.at(Instant::now())
    }

    /// The core's time of an instant; instants before the clock's creation count as its creation.
    #[must_use]
    pub fn at(&self, instant: Instant) -> Time {
        let elapsed = nanos(instant.saturating_duration_since(self.base));
        Time::from_nanos(elapsed.saturating_add(START))
    }

    /// The instant of a core time, or `None` if the operating system cannot express it.
    #[must_use]
    pub fn instant(&self, time: Time) -> Option<Instant> {
        self.base.checked_add(Duration::from_nanos(time.as_nanos().saturating_sub(START)))
    }

    /// Nanoseconds since the Unix epoch at `time`, as of when the clock was created.
    #[must_use]
    pub fn wall_nanos(&self, time: Time) -> u64 {
        self.wall_at_zero.saturating_add(time.as_nanos())
    }
}

impl Default for MonoClock {
    fn default() -> Self {
        Self::new()
    }
}

/// What [`Instant`] counts, in nanoseconds. To read and to subtract an `Instant` takes several times as long, and the clock is read three
/// times for each message. Apple's has no such name here: it is not `CLOCK_MONOTONIC`.
#[cfg(not(target_vendor = "apple"))]
fn monotonic() -> i64 {
    use rustix::time::{ClockId, clock_gettime};
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + i64::from(u32::try_from(now.tv_nsec).unwrap_or(0))
}
