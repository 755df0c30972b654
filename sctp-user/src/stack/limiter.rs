//! Token buckets per source prefix: how often a stranger is answered (rulings section 1 row 23).

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::time::Time;

/// Buckets kept at once; when they are all in use by others, strangers share one.
const MAX_BUCKETS: usize = 1024;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Limits answers to `rate` per second and source prefix (/24 of IPv4, /56 of IPv6), with bursts of as many.
#[derive(Debug)]
pub(crate) struct Limiter {
    rate: u64,
    /// At most [`MAX_BUCKETS`] entries.
    buckets: BTreeMap<u64, Bucket>,
    overflow: Bucket,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Nanoseconds' worth of tokens.
    credit: u64,
    filled: Time,
}

impl Limiter {
    /// `rate` answers per second; zero answers nobody (black hole).
    pub(crate) fn new(rate: u32) -> Self {
        Self { rate: rate.into(), buckets: BTreeMap::new(), overflow: Bucket { credit: NANOS_PER_SECOND, filled: Time::ZERO } }
    }

    /// Changes the rate.
    pub(crate) fn set_rate(&mut self, rate: u32) {
        self.rate = rate.into();
    }

    /// Whether `src` may be answered now; takes a token if so.
    pub(crate) fn allow(&mut self, now: Time, src: IpAddr) -> bool {
        let Some(cost) = NANOS_PER_SECOND.checked_div(self.rate) else { return false };
        let key = prefix(src);
        if !self.buckets.contains_key(&key) && self.buckets.len() >= MAX_BUCKETS {
            // A full bucket says no more than no bucket.
            self.buckets.retain(|_, b| b.level(now) < NANOS_PER_SECOND);
        }
        let bucket = if self.buckets.contains_key(&key) || self.buckets.len() < MAX_BUCKETS {
            self.buckets.entry(key).or_insert(Bucket { credit: NANOS_PER_SECOND, filled: now })
        } else {
            &mut self.overflow
        };
        bucket.credit = bucket.level(now);
        bucket.filled = now;
        let allowed = bucket.credit >= cost;
        if allowed {
            bucket.credit -= cost;
        }
        allowed
    }
}

impl Bucket {
    fn level(&self, now: Time) -> u64 {
        let since = now.as_nanos().saturating_sub(self.filled.as_nanos());
        self.credit.saturating_add(since).min(NANOS_PER_SECOND)
    }
}

fn prefix(src: IpAddr) -> u64 {
    match src.to_canonical() {
        IpAddr::V4(a) => u64::from(u32::from(a) >> 8),
        IpAddr::V6(a) => {
            let [a, b, c, d, e, f, g, ..] = a.octets();
            u64::from_be_bytes([1, a, b, c, d, e, f, g])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_from_many_prefixes_stays_bounded_and_does_not_starve_a_known_one() {
        let mut limiter = Limiter::new(10);
        let good: IpAddr = "192.0.2.1".parse().unwrap();
        assert!(limiter.allow(Time::ZERO, good));
        let answered = (0..100_000_u32).filter(|n| limiter.allow(Time::ZERO, IpAddr::from((n << 8).to_be_bytes()))).count();
        assert!(limiter.buckets.len() <= MAX_BUCKETS);
        assert!(answered <= MAX_BUCKETS + 10, "{answered}");
        assert!(limiter.allow(Time::from_millis(1), good));
    }

    #[test]
    fn the_rate_holds() {
        let mut limiter = Limiter::new(10);
        let src: IpAddr = "2001:db8::1".parse().unwrap();
        let answered = (0..2_000).filter(|ms| limiter.allow(Time::from_millis(*ms), src)).count();
        assert!((28..=31).contains(&answered), "{answered}");
        assert!(!Limiter::new(0).allow(Time::ZERO, src));
    }
}
