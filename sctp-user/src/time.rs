//! Time as a parameter: the protocol core never reads a clock.

use core::fmt;
use core::num::NonZeroU64;
use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

/// A point in time, in nanoseconds since an arbitrary epoch that all calls on one stack share.
///
/// Real runtimes take the epoch from the monotonic clock, the simulator starts at zero. Arithmetic saturates,
/// so that a far deadline can never wrap into the past.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(
    /// One more than the nanoseconds: so that an `Option<Time>`, of which an association has many, takes no more room.
    NonZeroU64,
);

impl Time {
    /// The epoch.
    pub const ZERO: Self = Self(NonZeroU64::MIN);
    /// The far future: later than every deadline.
    pub const MAX: Self = Self(NonZeroU64::MAX);

    /// The time `nanos` nanoseconds after the epoch; the very last nanosecond counts as [`Time::MAX`].
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(nanos))
    }

    /// The time `millis` milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self::from_nanos(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0.get() - 1
    }

    /// Whole milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.as_nanos() / 1_000_000
    }

    /// How much later `self` is than `earlier`; zero if it is not later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }
}

/// A duration in whole nanoseconds, at most [`u64::MAX`]; without the 128 bits that [`Duration::as_nanos`] goes by, for it is asked several
/// times for each packet.
pub(crate) const fn nanos(d: Duration) -> u64 {
    d.as_secs().saturating_mul(1_000_000_000).saturating_add(d.subsec_nanos() as u64)
}

/// The earliest of many times, of which each may be none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Earliest(
    /// Its nanoseconds. None is later than all, and so is the far future: nothing waits for it.
    u64,
);

impl Earliest {
    /// Of none.
    pub(crate) const fn new() -> Self {
        Self(u64::MAX)
    }

    /// Of one more. An association asks about a dozen for each packet, so it takes no branch.
    pub(crate) fn note(&mut self, at: Option<Time>) {
        self.0 = self.0.min(at.map_or(0, |at| at.0.get()).wrapping_sub(1));
    }

    /// Which it is.
    pub(crate) fn get(self) -> Option<Time> {
        Some(Time::from_nanos(self.0)).filter(|at| *at < Time::MAX)
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, d: Duration) -> Self {
        Self(self.0.saturating_add(nanos(d)))
    }
}

impl Default for Time {
    /// [`Time::ZERO`].
    fn default() -> Self {
        Self::ZERO
    }
}

impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, d: Duration) {
        *self = *self + d;
    }
}

impl Sub for Time {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.saturating_since(earlier)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.as_nanos() / 1_000_000_000, self.as_nanos() / 1_000 % 1_000_000)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_of_none_is_none() {
        let earliest = |times: &[Option<Time>]| {
            let mut next = Earliest::new();
            times.iter().for_each(|at| next.note(*at));
            next.get()
        };
        let at = |nanos| Some(Time::from_nanos(nanos));
        assert_eq!((earliest(&[]), earliest(&[None, None]), earliest(&[None, Some(Time::MAX)])), (None, None, None));
        assert_eq!(earliest(&[at(7), None, at(3), Some(Time::MAX), at(5)]), at(3));
        assert_eq!((earliest(&[None, at(0)]), earliest(&[at(u64::MAX - 2)])), (at(0), at(u64::MAX - 2)));
    }

    #[test]
    fn an_optional_time_is_as_small_as_a_time() {
        assert_eq!(size_of::<Option<Time>>(), 8);
        for nanos in [0, 1, 999, u64::MAX - 1] {
            assert_eq!(Time::from_nanos(nanos).as_nanos(), nanos);
        }
        assert_eq!((Time::default(), Time::from_nanos(u64::MAX)), (Time::ZERO, Time::MAX));
        assert_eq!(Time::from_millis(3) + Duration::MAX, Time::MAX);
        assert_eq!(
            (Time::from_millis(1500).to_string(), Time::from_millis(7) - Time::from_millis(5)),
            ("1.500000s".into(), Duration::from_millis(2))
        );
    }
}
