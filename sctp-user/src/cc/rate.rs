//! How fast the network delivers, measured once a round trip by one chunk on its way: what arrived between its sending and
//! its acknowledgement. Two counters and one probe per path, nothing per chunk.

use core::time::Duration;

use crate::time::Time;

/// A measured delivery rate: `delivered` bytes in `interval`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub(crate) struct RateSample {
    /// Bytes acknowledged.
    pub(crate) delivered: u64,
    /// In what time: about a round trip.
    pub(crate) interval: Duration,
    /// Whether the sender had too little to send to fill the path, so that the path may be faster than this.
    pub(crate) app_limited: bool,
}

impl RateSample {
    /// Bytes per second.
    #[cfg_attr(not(test), allow(dead_code, reason = "for rate-based controls"))]
    pub(crate) fn bytes_per_second(&self) -> u64 {
        let nanos = self.interval.as_nanos().max(1);
        u64::try_from(u128::from(self.delivered) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
    }
}

/// A chunk that measures, and how things stood when it was sent.
#[derive(Clone, Copy, Debug)]
struct Probe {
    /// Index of the chunk, as the sender counts them.
    index: u64,
    delivered: u64,
    delivered_at: Time,
    app_limited: bool,
}

/// Measures the delivery rate of one path.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct RateSampler {
    /// Bytes acknowledged so far.
    delivered: u64,
    /// When that changed last, or when sending began after a pause.
    delivered_at: Time,
    /// Until this much is delivered, the path was not filled.
    limited_until: u64,
    probe: Option<Probe>,
}

impl RateSampler {
    /// Bytes acknowledged so far.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Chunk `index` is sent for the first time; `in_flight` bytes were on their way before.
    pub(crate) fn on_send(&mut self, now: Time, index: u64, in_flight: usize) {
        if in_flight == 0 {
            self.delivered_at = now;
        }
        if self.probe.is_none() {
            let app_limited = self.limited_until > self.delivered;
            self.probe = Some(Probe { index, delivered: self.delivered, delivered_at: self.delivered_at, app_limited });
        }
    }

    /// Chunk `index` is sent again: what its acknowledgement would tell is ambiguous.
    pub(crate) fn on_resend(&mut self, index: u64) {
        self.probe.take_if(|p| p.index == index);
    }

    /// Chunk `index` of `bytes` bytes was acknowledged; answers whether it was the one that measures.
    pub(crate) fn on_acked(&mut self, index: u64, bytes: usize) -> bool {
        self.delivered += bytes as u64;
        self.probe.is_some_and(|p| p.index == index)
    }

    /// All that a SACK acknowledges is counted; `measured` if the chunk that measures is among it.
    pub(crate) fn finish(&mut self, now: Time, measured: bool) -> Option<RateSample> {
        self.delivered_at = now;
        let probe = self.probe.take_if(|_| measured)?;
        let interval = now.saturating_since(probe.delivered_at);
        (!interval.is_zero()).then_some(RateSample {
            delivered: self.delivered - probe.delivered,
            interval,
            app_limited: probe.app_limited || self.limited_until > probe.delivered,
        })
    }

    /// There is nothing to send although `in_flight` bytes do not fill the window.
    pub(crate) fn set_app_limited(&mut self, in_flight: usize) {
        self.limited_until = self.delivered + (in_flight as u64).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    #[test]
    fn a_full_path_is_measured_once_a_round_trip() {
        // 1000 bytes every 10 ms, round trip 50 ms, five packets in flight.
        let mut r = RateSampler::default();
        let mut samples = Vec::new();
        for n in 0..100_u64 {
            let now = at(10 * n);
            if let Some(acked) = n.checked_sub(5) {
                let measured = r.on_acked(acked, 1000);
                samples.extend(r.finish(now, measured));
            }
            r.on_send(now, n, if n == 0 { 0 } else { 4000 });
        }
        assert!((16..=20).contains(&samples.len()), "{}", samples.len());
        for s in samples.iter().skip(1) {
            assert_eq!((s.bytes_per_second(), s.app_limited), (100_000, false));
        }
    }

    #[test]
    fn what_is_sent_again_measures_nothing_and_pauses_do_not_count() {
        let mut r = RateSampler::default();
        r.on_send(at(0), 1, 0);
        r.on_resend(1);
        let measured = r.on_acked(1, 1000);
        assert_eq!(r.finish(at(100), measured), None);
        r.on_send(at(5000), 2, 0);
        let measured = r.on_acked(2, 1000);
        let s = r.finish(at(5100), measured).unwrap();
        assert_eq!((s.delivered, s.interval), (1000, Duration::from_millis(100)));
    }

    #[test]
    fn samples_tell_that_the_application_was_slow() {
        let mut r = RateSampler::default();
        r.on_send(at(0), 1, 0);
        r.set_app_limited(1000);
        let measured = r.on_acked(1, 1000);
        assert!(r.finish(at(10), measured).unwrap().app_limited);
        r.on_send(at(20), 2, 0);
        r.on_send(at(20), 3, 1000);
        let measured = r.on_acked(2, 1000);
        assert!(!r.finish(at(30), measured).unwrap().app_limited, "the window is used again");
    }
}
