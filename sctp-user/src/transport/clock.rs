//! The monotonic clock as the core's [`Time`].
#![allow(clippy::disallowed_methods, reason = "edge: the one place that reads the clock for the core")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::time::Time;

/// The monotonic clock of this host, counted from the clock's creation.
///
/// It is advanced by one hour so that "long ago" can be expressed in [`Time`], which has no negative values.
#[derive(Clone, Copy, Debug)]
pub struct MonoClock {
    base: Instant,
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
        Self { base: Instant::now(), wall_at_zero: wall.saturating_sub(START) }
    }

    /// Now.
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

/// Without the 128 bits that `Duration` goes by: the clock is read several times for each packet.
fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos().into())
}
