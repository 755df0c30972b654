//! Round-trip time and retransmission timeout (RFC 9260 section 6.3.1), in integer nanoseconds: divisions of [`Duration`] cost more than all
//! the rest of a measurement.

use core::time::Duration;

use crate::time::nanos;

/// Clock granularity G: RTTVAR never becomes smaller.
const GRANULARITY: u64 = 1_000_000;

/// `old` and `new`, the latter with the weight 2^-`shift`.
const fn smoothed(old: u64, new: u64, shift: u8) -> u64 {
    old.saturating_mul((1 << shift) - 1).saturating_add(new) >> shift
}

/// SRTT, RTTVAR and the RTO that follows from them, in nanoseconds. Karn's rule (which samples count) is the caller's.
#[derive(Clone, Debug)]
pub(crate) struct RttEstimator {
    srtt: Option<u64>,
    rttvar: u64,
    rto: u64,
    min: u64,
    max: u64,
    latest: Option<Duration>,
    least: Option<Duration>,
    /// RTO.Alpha and RTO.Beta as powers of 1/2.
    shifts: (u8, u8),
}

impl RttEstimator {
    /// Nothing measured yet: the RTO is `initial`; later ones stay between `min` and `max`.
    pub(crate) fn new(initial: Duration, min: Duration, max: Duration) -> Self {
        let (rto, min, max) = (nanos(initial), nanos(min), nanos(max));
        Self { srtt: None, rttvar: 0, rto, min, max, shifts: (3, 2), latest: None, least: None }
    }

    /// Changes RTO.Min and RTO.Max, RTO.Alpha and RTO.Beta (powers of 1/2), also of a timeout that was computed already.
    pub(crate) fn configure(&mut self, min: Duration, max: Duration, alpha: u8, beta: u8) {
        (self.min, self.max, self.shifts) = (nanos(min), nanos(max), (alpha.clamp(1, 7), beta.clamp(1, 7)));
        self.rto = match self.srtt {
            Some(srtt) => self.computed(srtt),
            None => self.rto.min(self.max),
        };
    }

    fn computed(&self, srtt: u64) -> u64 {
        srtt.saturating_add(self.rttvar.saturating_mul(4)).clamp(self.min, self.max)
    }

    /// Takes in the measurement `r` (rules C2, C3, G1, C6 and C7).
    pub(crate) fn on_sample(&mut self, r: Duration) {
        // A measurement beyond the largest timeout says no more than that; it also keeps the arithmetic small.
        let (r, nanos) = if nanos(r) > self.max { (self.max(), self.max) } else { (r, nanos(r)) };
        self.latest = Some(r);
        self.least = Some(self.least.map_or(r, |least| least.min(r)));
        let (rttvar, srtt) = match self.srtt {
            None => (nanos / 2, nanos),
            Some(srtt) => (smoothed(self.rttvar, srtt.abs_diff(nanos), self.shifts.1), smoothed(srtt, nanos, self.shifts.0)),
        };
        self.rttvar = rttvar.max(GRANULARITY);
        self.srtt = Some(srtt);
        self.rto = self.computed(srtt);
    }

    /// Smoothed round-trip time, once measured.
    pub(crate) fn srtt(&self) -> Option<Duration> {
        self.srtt.map(Duration::from_nanos)
    }

    /// The last measurement.
    pub(crate) fn latest(&self) -> Option<Duration> {
        self.latest
    }

    /// The least measurement.
    pub(crate) fn least(&self) -> Option<Duration> {
        self.least
    }

    /// Variation of the round-trip time; zero until measured.
    pub(crate) fn rttvar(&self) -> Duration {
        Duration::from_nanos(self.rttvar)
    }

    /// The timeout without back-off.
    pub(crate) fn rto(&self) -> Duration {
        Duration::from_nanos(self.rto)
    }

    /// RTO.Max.
    pub(crate) fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn follows_the_formulas() {
        let mut e = RttEstimator::new(ms(3000), ms(1), ms(60_000));
        assert_eq!((e.srtt(), e.rto()), (None, ms(3000)));
        e.on_sample(ms(100));
        assert_eq!((e.srtt(), e.rttvar(), e.rto()), (Some(ms(100)), ms(50), ms(300)));
        e.on_sample(ms(180));
        // RTTVAR = 3/4 * 50 + 1/4 * 80 = 57.5; SRTT = 7/8 * 100 + 1/8 * 180 = 110.
        assert_eq!((e.srtt(), e.rttvar()), (Some(ms(110)), Duration::from_micros(57_500)));
        assert_eq!((e.latest(), e.least()), (Some(ms(180)), Some(ms(100))));
        assert_eq!(e.rto(), ms(340));
    }

    #[test]
    fn new_bounds_hold_at_once_and_new_gains_from_the_next_measurement_on() {
        let mut e = RttEstimator::new(ms(3000), ms(1000), ms(60_000));
        e.configure(ms(100), ms(2000), 3, 2);
        assert_eq!(e.rto(), ms(2000), "nothing measured: as before, but for the bound");
        e.on_sample(ms(100));
        assert_eq!(e.rto(), ms(300));
        e.configure(ms(500), ms(2000), 1, 1);
        assert_eq!(e.rto(), ms(500));
        e.on_sample(ms(200));
        assert_eq!((e.srtt(), e.rttvar()), (Some(ms(150)), ms(75)));
    }

    #[test]
    fn stays_within_bounds() {
        let mut e = RttEstimator::new(ms(1000), ms(1000), ms(60_000));
        for _ in 0..50 {
            e.on_sample(Duration::ZERO);
        }
        assert_eq!((e.rttvar(), e.rto()), (ms(1), ms(1000)));
        for _ in 0..50 {
            e.on_sample(Duration::MAX);
        }
        assert_eq!(e.rto(), ms(60_000));
    }

    #[test]
    fn steady_round_trips_converge() {
        let mut e = RttEstimator::new(ms(1000), ms(1), ms(60_000));
        e.on_sample(ms(400));
        for _ in 0..100 {
            e.on_sample(ms(20));
        }
        assert!(e.srtt().unwrap().abs_diff(ms(20)) < ms(1), "{e:?}");
        assert!(e.rto() < ms(30), "{e:?}");
    }
}
