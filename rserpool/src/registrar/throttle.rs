//! Rates of what peers do, counted by address prefix, so that a new association is no new start (RFC 5355 sections 2.1,
//! 2.2 and 2.13).

use core::ops::Bound;
use core::time::Duration;
use std::collections::BTreeMap;

use sctp_user::Time;

use super::config::{Rate, RateConfig};
use super::prefix::Prefix;
use crate::wire::AsapMessage;

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Request {
    /// Registrations and deregistrations.
    Registration,
    /// Handle resolutions.
    Resolution,
    /// Unreachable reports.
    Report,
    /// Datagrams to the multicast groups.
    Announce,
    /// New associations.
    Association,
    /// What is not understood, or tells an error.
    Error,
}

impl Request {
    const COUNT: usize = 6;

    /// What a message that begins with this type counts as; `None` for an answer that we have asked for.
    pub(super) fn of_message(kind: Option<&u8>) -> Option<Self> {
        match kind.copied() {
            Some(0x01 | 0x02) => Some(Self::Registration),
            Some(0x05) => Some(Self::Resolution),
            Some(0x09) => Some(Self::Report),
            Some(AsapMessage::KEEP_ALIVE_ACK) => None,
            _ => Some(Self::Error),
        }
    }

    pub(super) const fn rate(self, rates: &RateConfig) -> Rate {
        match self {
            Self::Registration => rates.registrations,
            Self::Resolution => rates.resolutions,
            Self::Report => rates.reports,
            Self::Announce => rates.announces,
            Self::Association => rates.associations,
            Self::Error => rates.errors,
        }
    }
}

/// A token bucket, told by the time at which it will be full again.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Bucket {
    full_at: Time,
}

impl Bucket {
    /// Takes a token; `false` if there is none.
    pub(super) fn take(&mut self, now: Time, rate: Rate) -> bool {
        let one = Duration::from_secs(1) / rate.per_second.max(1);
        let full_at = self.full_at.max(now) + one;
        if full_at > now + one.saturating_mul(rate.burst) {
            return false;
        }
        self.full_at = full_at;
        true
    }
}

/// The buckets of a prefix, one for each [`Request`].
#[derive(Clone, Copy, Default, Debug)]
struct Buckets([Bucket; Request::COUNT]);

impl Buckets {
    /// Whether it is as good as new.
    fn is_full(&self, now: Time) -> bool {
        self.0.iter().all(|b| b.full_at <= now)
    }
}

/// How many prefixes are looked at to make room for another one.
const LOOK: usize = 16;

/// The buckets of all prefixes.
///
/// There is room for so many; only buckets that are full are forgotten, which changes nothing for their owners. While
/// there is no room, new prefixes share one set of buckets: who floods from many addresses slows other newcomers down,
/// but neither those who are known nor our memory.
#[derive(Debug)]
pub(super) struct Throttle {
    buckets: BTreeMap<Prefix, Buckets>,
    shared: Buckets,
    /// At most [`RateConfig::max_prefixes`].
    max: usize,
    /// The last prefix that was looked at for room.
    hand: Option<Prefix>,
}

impl Throttle {
    pub(super) fn new(max: usize) -> Self {
        Self { buckets: BTreeMap::new(), shared: Buckets::default(), max, hand: None }
    }

    /// Whether the peers of this prefix may do this once more.
    pub(super) fn take(&mut self, now: Time, prefix: Prefix, request: Request, rates: &RateConfig) -> bool {
        if self.buckets.len() >= self.max && !self.buckets.contains_key(&prefix) {
            self.make_room(now);
        }
        let room = self.buckets.len() < self.max;
        let buckets = match self.buckets.get_mut(&prefix) {
            Some(known) => known,
            None if room => self.buckets.entry(prefix).or_default(),
            None => &mut self.shared,
        };
        buckets.0.get_mut(request as usize).is_some_and(|b| b.take(now, request.rate(rates)))
    }

    /// How many prefixes are known.
    pub(super) fn len(&self) -> usize {
        self.buckets.len()
    }

    fn make_room(&mut self, now: Time) {
        let behind = self.hand.map_or(Bound::Unbounded, Bound::Excluded);
        let seen: Vec<(Prefix, bool)> =
            self.buckets.range((behind, Bound::Unbounded)).take(LOOK).map(|(p, b)| (*p, b.is_full(now))).collect();
        self.hand = if seen.len() < LOOK { None } else { seen.last().map(|(p, _)| *p) };
        for (prefix, _) in seen.iter().filter(|(_, full)| *full) {
            self.buckets.remove(prefix);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn host(n: u32) -> Prefix {
        Prefix::new(IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + n)), 32)
    }

    #[test]
    fn bucket_lets_a_burst_through_and_then_the_rate() {
        let rate = Rate { per_second: 10, burst: 3 };
        let mut bucket = Bucket::default();
        let mut taken = |ms: u64| (0..9).filter(|_| bucket.take(Time::from_millis(ms), rate)).count();
        assert_eq!((taken(0), taken(50), taken(100), taken(350), taken(10_000)), (3, 0, 1, 2, 3));
    }

    /// A flood from ever new prefixes neither grows the table nor takes anything from those who are known.
    #[test]
    fn the_table_is_bounded_and_evicts_only_what_is_full() {
        let rates = RateConfig { resolutions: Rate { per_second: 10, burst: 3 }, ..RateConfig::default() };
        let mut throttle = Throttle::new(100);
        let now = Time::from_millis(0);
        let mut take = |now: Time, n: u32| throttle.take(now, host(n), Request::Resolution, &rates);
        assert!(take(now, 1) && take(now, 1) && take(now, 1) && !take(now, 1), "used up");
        // Everybody else of the first hundred has a bucket of his own; those behind share three tokens.
        let served = (2..=1_000_000).filter(|n| take(now, *n)).count();
        assert_eq!(served, 99 + 3);
        assert!(!take(now, 1), "the flood does not make it forgotten");
        assert!(take(Time::from_millis(100), 1) && !take(Time::from_millis(100), 1), "nor its rate higher");
        // When their buckets are full again, the first ones make room.
        let later = Time::from_millis(10_000);
        assert!((2_000_000..2_000_099).all(|n| take(later, n) && take(later, n) && take(later, n)));
        assert!(throttle.len() <= 100);
    }

    #[test]
    fn kinds_are_counted_apart() {
        let one = Rate { per_second: 1, burst: 1 };
        let rates = RateConfig { resolutions: one, reports: one, ..RateConfig::default() };
        let mut throttle = Throttle::new(10);
        let mut take = |request| throttle.take(Time::ZERO, host(1), request, &rates);
        assert!(take(Request::Resolution) && take(Request::Report));
        assert!(!take(Request::Resolution) && !take(Request::Report) && take(Request::Registration));
    }
}
