//! CUBIC (RFC 9438) in integer arithmetic: opt-in, a deviation from RFC 9260 section 7.2.2.
//!
//! After a loss the window follows a cubic function of the time since congestion avoidance began. It is flat where the last
//! loss was, and does not depend on the round-trip time, so that long fat paths fill sooner. Where Reno would be faster, on
//! short paths, the window follows Reno.
//!
//! Slow start, the floor of four PMDCS after a loss and the decay of an unused window are those of RFC 9260.

use core::time::Duration;

use super::{AckInfo, CcSnapshot, CongestionControl, Loss, SlowStart};
use crate::time::Time;

/// C = 0.4 segments per cubic second (RFC 9438 section 5.1), as a fraction.
const C: (u128, u128) = (4, 10);
/// The factor of a decrease, beta = 0.7 (section 4.6), as a fraction.
const BETA: (usize, usize) = (7, 10);
/// Reno-friendly growth alpha = 3 (1 - beta) / (1 + beta) segments per round trip (section 4.3), as a fraction.
const ALPHA: (u128, u128) = (9, 17);
/// Cubic microseconds in a cubic second.
const US3: u128 = 1_000_000_000_000_000_000;
/// Farthest from K that the function is computed, in microseconds; the window has hit every bound long before.
const MAX_DISTANCE_US: u128 = 10_000_000_000;
/// Largest window: what a peer can advertise.
const MAX_WINDOW: usize = u32::MAX as usize;

/// One stage of congestion avoidance.
#[derive(Clone, Debug)]
struct Epoch {
    /// When it began; moved on over times in which the window was not used (section 5.8).
    start: Time,
    /// The plateau of the function, in bytes.
    w_max: usize,
    /// Time from the start to the plateau, in microseconds.
    k: u64,
    /// The window that Reno would have, in bytes.
    w_est: usize,
    /// Fractions of a byte owed to `w_est`, in units of 1 / (cwnd * 17) bytes.
    w_est_rest: u128,
    /// Fractions of a byte owed to the window, in units of 1 / cwnd bytes.
    rest: u128,
}

/// State of RFC 9438; sizes in bytes.
#[derive(Clone, Debug)]
pub(crate) struct Cubic {
    base: SlowStart,
    /// Window before the last decrease, lowered by fast convergence (section 4.7); 0 before the first loss and after a
    /// timeout: then the next stage begins on its plateau (section 4.8).
    w_max: usize,
    /// Window before the last decrease.
    prior: usize,
    epoch: Option<Epoch>,
    last_ack: Time,
}

impl Cubic {
    pub(super) fn new(base: SlowStart) -> Self {
        Self { base, w_max: 0, prior: 0, epoch: None, last_ack: Time::ZERO }
    }

    /// The window after a decrease.
    fn decreased(&self) -> usize {
        self.base.at_least_four(self.base.cwnd / BETA.1 * BETA.0 + self.base.cwnd % BETA.1 * BETA.0 / BETA.1)
    }

    fn begin(&self, now: Time) -> Epoch {
        let cwnd = self.base.cwnd;
        let w_max = self.w_max.max(cwnd);
        let k = plateau_after(w_max - cwnd, self.base.pmdcs);
        Epoch { start: now, w_max, k, w_est: cwnd, w_est_rest: 0, rest: 0 }
    }

    /// Congestion avoidance with a window that is full.
    fn avoid(&mut self, ack: &AckInfo) {
        let mut epoch = self.epoch.take().unwrap_or_else(|| self.begin(ack.now));
        let SlowStart { pmdcs, cwnd, .. } = self.base;
        let acked = ack.acked as u128;
        // Section 4.3. Having reached the window of the last loss, Reno's alpha is 1.
        let (num, den) = if epoch.w_est >= self.prior { (ALPHA.1, ALPHA.1) } else { ALPHA };
        let owed = epoch.w_est_rest + num * acked * pmdcs as u128;
        let unit = den * cwnd as u128;
        epoch.w_est = epoch.w_est.saturating_add(to_window(owed / unit));
        epoch.w_est_rest = owed % unit;
        let elapsed = ack.now.saturating_since(epoch.start);
        if epoch.window(elapsed, pmdcs) < epoch.w_est {
            self.base.cwnd = cwnd.max(epoch.w_est).min(MAX_WINDOW);
            epoch.rest = 0;
        } else {
            // Sections 4.4 and 4.5: towards where the function will be a round trip later.
            let target = epoch.window(elapsed + ack.latest_rtt.unwrap_or_default(), pmdcs).clamp(cwnd, cwnd + cwnd / 2);
            let owed = epoch.rest + (target - cwnd) as u128 * acked;
            self.base.cwnd = (cwnd + to_window(owed / cwnd as u128)).min(MAX_WINDOW);
            epoch.rest = owed % cwnd as u128;
        }
        self.epoch = Some(epoch);
    }
}

impl Epoch {
    /// W_cubic: the window `t` after the start (section 4.2).
    fn window(&self, t: Duration, pmdcs: usize) -> usize {
        let t = t.as_micros();
        let distance = t.abs_diff(u128::from(self.k)).min(MAX_DISTANCE_US);
        let bytes = to_window(C.0 * pmdcs as u128 * distance * distance * distance / (C.1 * US3));
        if t < u128::from(self.k) { self.w_max.saturating_sub(bytes) } else { self.w_max.saturating_add(bytes).min(MAX_WINDOW) }
    }
}

impl CongestionControl for Cubic {
    fn on_ack(&mut self, ack: &AckInfo) {
        let full = ack.was_full(self.base.cwnd);
        if self.base.applies() {
            self.base.grow(ack);
        } else if full && !ack.in_recovery {
            self.avoid(ack);
        } else if let Some(epoch) = &mut self.epoch {
            epoch.start += ack.now.saturating_since(self.last_ack);
        }
        self.last_ack = ack.now;
    }

    fn on_loss(&mut self, _now: Time, loss: Loss) {
        let cwnd = self.base.cwnd;
        self.epoch = None;
        self.prior = cwnd;
        // Section 4.7: a window that did not reach the last plateau leaves room for newcomers.
        self.w_max = if cwnd < self.w_max { (cwnd * (BETA.1 + BETA.0)) / (2 * BETA.1) } else { cwnd };
        self.base.ssthresh = self.decreased();
        self.base.cwnd = match loss {
            Loss::FastRetransmit { .. } | Loss::EcnEcho { .. } => self.base.ssthresh,
            Loss::Timeout => {
                self.w_max = 0;
                self.base.pmdcs
            }
        };
    }

    fn on_idle(&mut self, idle: Duration, rto: Duration) {
        if self.base.decay(idle, rto) {
            self.epoch = None;
        } else if let Some(epoch) = &mut self.epoch {
            epoch.start += idle;
            self.last_ack += idle;
        }
    }

    fn on_mtu(&mut self, pmdcs: usize) {
        self.base.set_pmdcs(pmdcs);
        // K was computed in segments of the old size.
        self.epoch = None;
    }

    fn reset(&mut self) {
        self.base.reset();
        (self.w_max, self.prior, self.epoch) = (0, 0, None);
    }

    fn window(&self) -> usize {
        self.base.cwnd
    }

    fn snapshot(&self) -> CcSnapshot {
        CcSnapshot { algorithm: "CUBIC", cwnd: self.base.cwnd, ssthresh: self.base.ssthresh, partial_bytes_acked: 0 }
    }
}

/// K in microseconds: the cube root of (`missing` / C), in segments of `pmdcs` bytes (section 4.2).
fn plateau_after(missing: usize, pmdcs: usize) -> u64 {
    let cube = missing as u128 * C.1 * US3 / (C.0 * pmdcs as u128);
    cube_root(cube)
}

/// The largest integer whose cube is not greater than `n`, of which only values below 2^126 matter.
fn cube_root(n: u128) -> u64 {
    let n = n.min(1 << 126);
    let mut root = 0_u128;
    for bit in (0..42).rev() {
        let candidate = root | (1 << bit);
        if candidate * candidate * candidate <= n {
            root = candidate;
        }
    }
    u64::try_from(root).unwrap_or(u64::MAX)
}

fn to_window(bytes: u128) -> usize {
    usize::try_from(bytes).unwrap_or(MAX_WINDOW).min(MAX_WINDOW)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AssocConfig;
    use crate::num::Tsn;

    const PMDCS: usize = 1460;
    const FAST: Loss = Loss::FastRetransmit { exit: Tsn(9) };

    fn cubic(cwnd: usize) -> Cubic {
        let mut cc = Cubic::new(SlowStart::new(&AssocConfig::rfc(), PMDCS, false));
        cc.base.cwnd = cwnd;
        cc
    }

    /// Acknowledges a window per round trip, two packets a SACK, for `span`, from `now` on; answers the time afterwards.
    fn flow(cc: &mut Cubic, mut now: Time, rtt: Duration, span: Duration) -> Time {
        let end = now + span;
        while now < end {
            let sacks = (cc.window() / (2 * PMDCS)).max(1);
            let step = rtt / u32::try_from(sacks).unwrap();
            for _ in 0..sacks {
                now += step;
                let before = cc.window();
                cc.on_ack(&AckInfo { latest_rtt: Some(rtt), ..AckInfo::test(now, 2 * PMDCS, before) });
            }
        }
        now
    }

    #[test]
    fn cube_roots_are_exact() {
        for n in [0_u128, 1, 7, 8, 9, 26, 27, 999_999, 1_000_000, US3, (1 << 120) - 1, 1 << 120] {
            let r = u128::from(cube_root(n));
            assert!(r * r * r <= n && (r + 1) * (r + 1) * (r + 1) > n, "{n}");
        }
        assert_eq!(cube_root(u128::MAX), (1 << 42) - 1, "far beyond what occurs");
    }

    /// RFC 9438 section 4.2: K = cbrt((W_max - cwnd_epoch) / C), W_cubic(t) = C (t - K)^3 + W_max.
    #[test]
    fn the_window_function_is_the_one_of_the_text() {
        // From 70 to 100 segments: K = cbrt(30 / 0.4) = 4.217163 s.
        let k = plateau_after(30 * PMDCS, PMDCS);
        assert!(k.abs_diff(4_217_163) <= 1, "{k}");
        let epoch = Epoch { start: Time::ZERO, w_max: 100 * PMDCS, k, w_est: 0, w_est_rest: 0, rest: 0 };
        let at = |us: u64| epoch.window(Duration::from_micros(us), PMDCS);
        let near = |a: usize, b: usize| assert!(a.abs_diff(b) <= 2, "{a} {b}");
        near(at(0), 70 * PMDCS);
        near(at(k), 100 * PMDCS);
        // One second before and after the plateau the distance is 0.4 segments, two seconds: 3.2.
        near(at(k - 1_000_000), 100 * PMDCS - PMDCS * 4 / 10);
        near(at(k + 1_000_000), 100 * PMDCS + PMDCS * 4 / 10);
        near(at(k + 2_000_000), 100 * PMDCS + PMDCS * 32 / 10);
        assert_eq!(epoch.window(Duration::MAX, PMDCS), MAX_WINDOW, "no overflow");
    }

    /// RFC 9438 section 4.6: to 0.7 of the window; never below what RFC 9260 leaves.
    #[test]
    fn a_loss_leaves_seven_tenths() {
        let mut cc = cubic(100 * PMDCS);
        cc.on_loss(Time::ZERO, FAST);
        assert_eq!((cc.window(), cc.slow_start_threshold(), cc.w_max), (70 * PMDCS, 70 * PMDCS, 100 * PMDCS));
        cc.on_loss(Time::ZERO, Loss::Timeout);
        assert_eq!((cc.window(), cc.slow_start_threshold()), (PMDCS, 49 * PMDCS));
        cc.on_loss(Time::ZERO, FAST);
        assert_eq!((cc.window(), cc.slow_start_threshold()), (4 * PMDCS, 4 * PMDCS));
    }

    /// RFC 9438 section 4.7.
    #[test]
    fn fast_convergence_lowers_a_plateau_that_was_not_reached() {
        let mut cc = cubic(100 * PMDCS);
        cc.on_loss(Time::ZERO, FAST);
        cc.base.cwnd = 80 * PMDCS;
        cc.on_loss(Time::ZERO, FAST);
        assert_eq!(cc.w_max, 68 * PMDCS, "80 (1 + 0.7) / 2");
        cc.base.cwnd = 90 * PMDCS;
        cc.on_loss(Time::ZERO, FAST);
        assert_eq!(cc.w_max, 90 * PMDCS, "beyond the plateau");
    }

    #[test]
    fn the_window_follows_the_function_on_a_long_path() {
        let mut cc = cubic(1000 * PMDCS);
        cc.on_loss(Time::ZERO, FAST);
        cc.base.cwnd += 1; // above the threshold
        // K = cbrt(300 / 0.4) = 9.086 s.
        let rtt = Duration::from_millis(100);
        let now = flow(&mut cc, Time::ZERO, rtt, Duration::from_secs(9));
        assert!(cc.window().abs_diff(1000 * PMDCS) < 10 * PMDCS, "at the plateau: {} segments", cc.window() / PMDCS);
        flow(&mut cc, now, rtt, Duration::from_secs(9));
        // As far beyond: 0.4 * 9^3 = 292 segments.
        assert!(cc.window().abs_diff(1292 * PMDCS) < 30 * PMDCS, "beyond it: {} segments", cc.window() / PMDCS);
    }

    /// RFC 9438 section 4.3: alpha = 9/17 segments a round trip up to the window of the last loss, then one.
    #[test]
    fn short_paths_are_left_to_reno() {
        let mut cc = cubic(40 * PMDCS);
        cc.on_loss(Time::ZERO, FAST);
        cc.base.cwnd += 1;
        let rtt = Duration::from_millis(1);
        // Twelve segments are missing: 12 / (9/17) = 22.7 round trips, in which the cubic function has hardly begun.
        let now = flow(&mut cc, Time::ZERO, rtt, Duration::from_millis(22));
        assert!((39 * PMDCS..=40 * PMDCS).contains(&cc.window()), "{} segments", cc.window() / PMDCS);
        let before = cc.window();
        flow(&mut cc, now, rtt, Duration::from_millis(20));
        assert!((cc.window() - before).abs_diff(20 * PMDCS) < 2 * PMDCS, "{} segments", (cc.window() - before) / PMDCS);
    }

    /// RFC 9438 section 4.8: after a timeout the next stage begins on its plateau.
    #[test]
    fn after_a_timeout_the_function_begins_flat() {
        let mut cc = cubic(100 * PMDCS);
        cc.on_loss(Time::ZERO, Loss::Timeout);
        let rtt = Duration::from_millis(100);
        while cc.base.applies() {
            let before = cc.window();
            cc.on_ack(&AckInfo::test(Time::from_millis(500), PMDCS, before));
        }
        let start = cc.window();
        cc.on_ack(&AckInfo { latest_rtt: Some(rtt), ..AckInfo::test(Time::from_millis(1000), PMDCS, start) });
        let epoch = cc.epoch.as_ref().unwrap();
        assert_eq!((epoch.k, epoch.w_max), (0, start));
    }

    /// RFC 9438 section 5.8.
    #[test]
    fn a_window_that_is_not_used_does_not_grow_and_time_stands_still() {
        let mut cc = cubic(100 * PMDCS);
        cc.on_loss(Time::ZERO, FAST);
        cc.base.cwnd += 1;
        let rtt = Duration::from_millis(50);
        let now = flow(&mut cc, Time::ZERO, rtt, Duration::from_millis(500));
        let (window, start) = (cc.window(), cc.epoch.as_ref().unwrap().start);
        for n in 1..=100_u64 {
            cc.on_ack(&AckInfo::test(now + Duration::from_millis(100 * n), PMDCS, 2 * PMDCS));
        }
        assert_eq!((cc.window(), cc.epoch.as_ref().unwrap().start), (window, start + Duration::from_secs(10)));
    }
}
