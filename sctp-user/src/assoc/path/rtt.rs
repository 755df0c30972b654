//! Round-trip time and retransmission timeout (RFC 9260 section 6.3.1), in integer nanoseconds.

use core::time::Duration;

/// Clock granularity G: RTTVAR never becomes smaller.
const GRANULARITY: Duration = Duration::from_millis(1);

/// SRTT, RTTVAR and the RTO that follows from them. Karn's rule (which samples count) is the caller's.
#[derive(Clone, Debug)]
pub(crate) struct RttEstimator {
    srtt: Option<Duration>,
    rttvar: Duration,
    rto: Duration,
    min: Duration,
    max: Duration,
    latest: Option<Duration>,
    least: Option<Duration>,
}

impl RttEstimator {
    /// Nothing measured yet: the RTO is `initial`; later ones stay between `min` and `max`.
    pub(crate) fn new(initial: Duration, min: Duration, max: Duration) -> Self {
        Self { srtt: None, rttvar: Duration::ZERO, rto: initial, min, max, latest: None, least: None }
    }

    /// Takes in the measurement `r` (rules C2, C3, G1, C6 and C7).
    pub(crate) fn on_sample(&mut self, r: Duration) {
        // A measurement beyond the largest timeout says no more than that; it also keeps the arithmetic small.
        let r = r.min(self.max);
        self.latest = Some(r);
        self.least = Some(self.least.map_or(r, |least| least.min(r)));
        let srtt = match self.srtt {
            None => {
                self.rttvar = r / 2;
                r
            }
            Some(srtt) => {
                self.rttvar = (self.rttvar * 3 + srtt.abs_diff(r)) / 4;
                (srtt * 7 + r) / 8
            }
        };
        self.rttvar = self.rttvar.max(GRANULARITY);
        self.srtt = Some(srtt);
        self.rto = (srtt + self.rttvar * 4).clamp(self.min, self.max);
    }

    /// Smoothed round-trip time, once measured.
    pub(crate) fn srtt(&self) -> Option<Duration> {
        self.srtt
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
        self.rttvar
    }

    /// The timeout without back-off.
    pub(crate) fn rto(&self) -> Duration {
        self.rto
    }

    /// RTO.Max.
    pub(crate) fn max(&self) -> Duration {
        self.max
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
    fn stays_within_bounds() {
        let mut e = RttEstimator::new(ms(1000), ms(1000), ms(60_000));
        for _ in 0..50 {
            e.on_sample(Duration::ZERO);
        }
        assert_eq!((e.rttvar(), e.rto()), (GRANULARITY, ms(1000)));
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
