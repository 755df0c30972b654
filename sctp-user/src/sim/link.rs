//! One direction of a link: delay, loss and all that may happen to a packet on its way.

use core::time::Duration;

use arrayvec::ArrayVec;

use super::loss::{Chance, Loss, LossState};
use crate::entropy::Entropy;
use crate::net::Ecn;
use crate::time::Time;

/// What a link does to packets, in one direction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkConfig {
    /// Propagation delay.
    pub delay: Duration,
    /// Up to this much is added to each packet's delay, evenly distributed; the packets stay in order.
    pub jitter: Duration,
    /// Loss.
    pub loss: Loss,
    /// Chance that a packet arrives twice, the second time with a delay of its own.
    pub duplicate: Chance,
    /// Chance that a packet is held back by up to [`LinkConfig::reorder_by`], while others overtake it.
    pub reorder: Chance,
    /// See [`LinkConfig::reorder`].
    pub reorder_by: Duration,
    /// Chance that one to three bits of a packet flip: so few that CRC32c is certain to catch it. Plain UDP datagrams are
    /// dropped instead, since the UDP checksum would have caught it.
    pub bit_errors: Chance,
    /// Rate in bits per second; `None` is without limit.
    pub rate: Option<u64>,
    /// What the queue before a limited rate holds, in bytes; more is dropped at its tail.
    pub queue: usize,
    /// Bytes waiting in the queue above which packets that allow it (ECT) are marked (CE, RFC 3168); `None` marks none.
    pub mark_above: Option<usize>,
    /// Whether ECN marks are wiped out, as some routers do.
    pub bleaches: bool,
    /// Largest packet in bytes, IP header included.
    pub mtu: usize,
    /// Whether the sender of a packet that is too big hears of it by ICMP; otherwise it vanishes (a black hole).
    pub reports_too_big: bool,
}

impl LinkConfig {
    /// A link that delivers everything after `delay`.
    #[must_use]
    pub const fn ideal(delay: Duration) -> Self {
        Self {
            delay,
            jitter: Duration::ZERO,
            loss: Loss::None,
            duplicate: Chance::NEVER,
            reorder: Chance::NEVER,
            reorder_by: Duration::ZERO,
            bit_errors: Chance::NEVER,
            rate: None,
            queue: 256 * 1024,
            mark_above: None,
            bleaches: false,
            mtu: 1500,
            reports_too_big: true,
        }
    }
}

impl Default for LinkConfig {
    /// 10 ms, 1500 bytes, no impairment.
    fn default() -> Self {
        Self::ideal(Duration::from_millis(10))
    }
}

/// What happened on a link, in packets.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct LinkStats {
    /// Given to the link.
    pub offered: u64,
    /// Scheduled for arrival, duplicates included.
    pub carried: u64,
    /// Lost by the loss model.
    pub lost: u64,
    /// Dropped while the link was cut.
    pub cut: u64,
    /// Dropped by a full queue.
    pub queue_full: u64,
    /// Dropped as too big.
    pub too_big: u64,
    /// Carried twice.
    pub duplicated: u64,
    /// Held back.
    pub reordered: u64,
    /// Damaged.
    pub damaged: u64,
    /// Marked with CE.
    pub marked: u64,
    /// Most bytes that waited in the queue, the packet just put there included.
    pub queue_peak: u64,
}

/// Why a packet was not carried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Dropped {
    Cut,
    Lost,
    QueueFull,
    TooBig,
}

/// A packet's arrival.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Arrival {
    pub(super) at: Time,
    pub(super) damaged: bool,
    /// The ECN mark that it arrives with.
    pub(super) ecn: Option<Ecn>,
}

/// One direction between two addresses.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) cfg: LinkConfig,
    pub(super) cut: bool,
    pub(super) stats: LinkStats,
    /// When the last packet accepted will have left the queue.
    busy_until: Time,
    /// The latest arrival so far, which jitter must not undercut.
    last_arrival: Time,
    loss: LossState,
}

impl Link {
    pub(super) fn new(cfg: LinkConfig) -> Self {
        Self { cfg, cut: false, stats: LinkStats::default(), busy_until: Time::ZERO, last_arrival: Time::ZERO, loss: LossState::default() }
    }

    /// Decides the fate of a packet of `len` bytes, IP header included.
    pub(super) fn offer(
        &mut self,
        now: Time,
        len: usize,
        may_fragment: bool,
        ecn: Option<Ecn>,
        rng: &mut dyn Entropy,
    ) -> Result<ArrayVec<Arrival, 2>, Dropped> {
        self.stats.offered += 1;
        if self.cut {
            self.stats.cut += 1;
            return Err(Dropped::Cut);
        }
        if len > self.cfg.mtu && !may_fragment {
            self.stats.too_big += 1;
            return Err(Dropped::TooBig);
        }
        let Some((departure, waiting)) = self.enqueue(now, len) else {
            self.stats.queue_full += 1;
            return Err(Dropped::QueueFull);
        };
        self.stats.queue_peak = self.stats.queue_peak.max(waiting as u64);
        let ecn = self.mark(ecn, waiting);
        // A lost packet has used up its share of the rate all the same.
        if self.loss.draw(self.cfg.loss, rng) {
            self.stats.lost += 1;
            return Err(Dropped::Lost);
        }
        let mut arrivals = ArrayVec::new();
        arrivals.push(self.arrival(departure, ecn, rng));
        if self.cfg.duplicate.draw(rng) {
            self.stats.duplicated += 1;
            arrivals.push(self.arrival(departure, ecn, rng));
        }
        Ok(arrivals)
    }

    /// The mark of a packet that makes `waiting` bytes wait in the queue.
    fn mark(&mut self, ecn: Option<Ecn>, waiting: usize) -> Option<Ecn> {
        let full = self.cfg.mark_above.is_some_and(|limit| waiting > limit);
        match ecn {
            _ if self.cfg.bleaches => None,
            Some(Ecn::Ect0 | Ecn::Ect1) if full => {
                self.stats.marked += 1;
                Some(Ecn::Ce)
            }
            other => other,
        }
    }

    /// When the packet has left the queue, and how many bytes wait there with it; `None` if it found no room.
    fn enqueue(&mut self, now: Time, len: usize) -> Option<(Time, usize)> {
        let Some(rate) = self.cfg.rate else { return Some((now, 0)) };
        let rate = u128::from(rate.max(1));
        let start = self.busy_until.max(now);
        let waiting = (start - now).as_nanos() * rate / 8 / 1_000_000_000;
        if waiting + len as u128 > self.cfg.queue as u128 {
            return None;
        }
        let nanos = len as u128 * 8 * 1_000_000_000 / rate;
        self.busy_until = start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        Some((self.busy_until, usize::try_from(waiting).unwrap_or(usize::MAX).saturating_add(len)))
    }

    fn arrival(&mut self, departure: Time, ecn: Option<Ecn>, rng: &mut dyn Entropy) -> Arrival {
        self.stats.carried += 1;
        let mut at = departure + self.cfg.delay + up_to(self.cfg.jitter, rng);
        if self.cfg.reorder.draw(rng) {
            self.stats.reordered += 1;
            at += up_to(self.cfg.reorder_by, rng);
        } else {
            at = at.max(self.last_arrival);
            self.last_arrival = at;
        }
        let damaged = self.cfg.bit_errors.draw(rng);
        self.stats.damaged += u64::from(damaged);
        Arrival { at, damaged, ecn }
    }
}

fn up_to(max: Duration, rng: &mut dyn Entropy) -> Duration {
    if max.is_zero() {
        return Duration::ZERO;
    }
    Duration::from_nanos(rng.below(u64::try_from(max.as_nanos()).unwrap_or(u64::MAX).saturating_add(1)))
}
