//! The congestion control of RFC 9260 section 7.2: slow start and congestion avoidance.

use core::time::Duration;

use super::{AckInfo, CcSnapshot, CongestionControl, Loss, SlowStart};
use crate::time::Time;

/// State of section 7.2; sizes in bytes.
#[derive(Clone, Debug)]
pub(crate) struct Rfc9260 {
    base: SlowStart,
    /// Duplicates that the peer reports are not added (section 7.2.2 could be read so): their sizes are no longer known, and
    /// less growth is always allowed.
    partial_bytes_acked: usize,
}

impl Rfc9260 {
    pub(super) fn new(base: SlowStart) -> Self {
        Self { base, partial_bytes_acked: 0 }
    }

    /// Congestion avoidance: one PMDCS per window of acknowledged data, if the window was full.
    ///
    /// Growth that is due while something is missing waits until that has come. After a full queue dropped a packet, it is due
    /// just before the third miss indication, and would cost a second packet (RFC 4960 section 7.2.2 had it so too).
    fn avoid(&mut self, ack: &AckInfo) {
        let cwnd = self.base.cwnd;
        self.partial_bytes_acked = self.partial_bytes_acked.saturating_add(ack.acked);
        if self.partial_bytes_acked < cwnd {
            return;
        }
        if !ack.was_full(cwnd) || ack.in_recovery {
            self.partial_bytes_acked = cwnd;
        } else if ack.cum_advanced {
            self.partial_bytes_acked -= cwnd;
            self.base.cwnd += self.base.pmdcs;
        }
    }
}

impl CongestionControl for Rfc9260 {
    fn on_ack(&mut self, ack: &AckInfo) {
        if self.base.applies() {
            self.base.grow(ack);
        } else {
            self.avoid(ack);
        }
        if ack.in_flight == 0 {
            self.partial_bytes_acked = 0;
        }
    }

    fn on_loss(&mut self, _now: Time, loss: Loss) {
        self.base.ssthresh = self.base.at_least_four(self.base.cwnd / 2);
        self.base.cwnd = match loss {
            Loss::FastRetransmit { .. } | Loss::EcnEcho { .. } => self.base.ssthresh,
            Loss::Timeout => self.base.pmdcs,
        };
        self.partial_bytes_acked = 0;
    }

    fn on_idle(&mut self, idle: Duration, rto: Duration) {
        if self.base.decay(idle, rto) {
            self.partial_bytes_acked = 0;
        }
    }

    fn on_mtu(&mut self, pmdcs: usize) {
        self.base.set_pmdcs(pmdcs);
    }

    fn reset(&mut self) {
        self.base.reset();
        self.partial_bytes_acked = 0;
    }

    fn window(&self) -> usize {
        self.base.cwnd
    }

    fn snapshot(&self) -> CcSnapshot {
        CcSnapshot {
            algorithm: "RFC 9260",
            cwnd: self.base.cwnd,
            ssthresh: self.base.ssthresh,
            partial_bytes_acked: self.partial_bytes_acked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AssocConfig;
    use crate::num::Tsn;

    const PMDCS: usize = 1460;
    const FAST: Loss = Loss::FastRetransmit { exit: Tsn(9) };

    fn with(cfg: &AssocConfig, pmdcs: usize, ipv6: bool) -> Rfc9260 {
        Rfc9260::new(SlowStart::new(cfg, pmdcs, ipv6))
    }

    fn new(pmdcs: usize, ipv6: bool) -> Rfc9260 {
        with(&AssocConfig::rfc(), pmdcs, ipv6)
    }

    fn ack(acked: usize, before: usize, in_recovery: bool) -> AckInfo {
        AckInfo { in_recovery, ..AckInfo::test(Time::ZERO, acked, before) }
    }

    /// Pitfall 86.
    ///
    /// RFC 9260 rows: 7.2.1-1.
    #[test]
    fn initial_window_follows_address_family_and_mtu_and_can_only_be_set_lower() {
        assert_eq!(new(1468, false).window(), 4404);
        assert_eq!(new(1448, true).window(), 4344);
        assert_eq!(new(536, false).window(), 4 * 536);
        assert_eq!(new(8960, false).window(), 2 * 8960);
        for (wanted, got) in [(0, 1468), (2000, 2000), (4404, 4404), (1 << 20, 4404)] {
            let cfg = AssocConfig { initial_window: Some(wanted), ..AssocConfig::rfc() };
            assert_eq!(with(&cfg, 1468, false).window(), got);
        }
    }

    /// RFC 9260 rows: 7.2.1-3.
    #[test]
    fn the_threshold_begins_arbitrarily_high() {
        assert_eq!(new(PMDCS, false).slow_start_threshold(), u32::MAX as usize);
    }

    /// RFC 9260 rows: 7.2.1-5, 7.2.1-6, 7.2.1-7, 7.2.1-8.
    #[test]
    fn slow_start_grows_by_at_most_one_pmdcs_and_only_if_full() {
        let mut cc = new(PMDCS, false);
        let start = cc.window();
        cc.on_ack(&ack(3 * PMDCS, start - 1, false));
        assert_eq!(cc.window(), start, "window was not full");
        cc.on_ack(&ack(3 * PMDCS, start, true));
        assert_eq!(cc.window(), start, "in Fast Recovery");
        cc.on_ack(&ack(3 * PMDCS, start, false));
        assert_eq!(cc.window(), start + PMDCS);
        let cwnd = cc.window();
        cc.on_ack(&ack(100, cwnd, false));
        assert_eq!(cc.window(), cwnd + 100);
    }

    #[test]
    fn slow_start_grows_by_two_pmdcs_if_l_is_two() {
        let mut cc = with(&AssocConfig { slow_start_l: 2, ..AssocConfig::rfc() }, PMDCS, false);
        let start = cc.window();
        cc.on_ack(&ack(3 * PMDCS, start, false));
        assert_eq!(cc.window(), start + 2 * PMDCS);
    }

    /// RFC 9260 rows: 7.2.2-1, 7.2.2-2, 7.2.2-3, 7.2-2.
    #[test]
    fn avoidance_grows_by_one_pmdcs_per_window() {
        let mut cc = new(PMDCS, false);
        cc.base.cwnd = 20 * PMDCS;
        cc.on_loss(Time::ZERO, FAST);
        assert_eq!((cc.window(), cc.slow_start_threshold()), (10 * PMDCS, 10 * PMDCS));
        cc.base.cwnd += 4; // above the threshold: avoidance
        let start = cc.window();
        for _ in 0..5 {
            assert_eq!(cc.window(), start);
            cc.on_ack(&ack(2 * PMDCS, start, false));
        }
        cc.on_ack(&ack(2 * PMDCS, start, false));
        assert_eq!(cc.window(), start + PMDCS);
        assert_eq!(cc.snapshot().partial_bytes_acked, 12 * PMDCS - start, "the rest counts towards the next growth");
    }

    #[test]
    fn avoidance_does_not_grow_while_a_packet_is_missing() {
        let mut cc = new(PMDCS, false);
        cc.base.ssthresh = 0;
        let start = cc.window();
        cc.on_ack(&AckInfo { cum_advanced: false, ..ack(start, 2 * start, false) });
        assert_eq!(cc.window(), start);
        cc.on_ack(&ack(PMDCS, 2 * start, false));
        assert_eq!(cc.window(), start + PMDCS, "it was late and not lost: growth is due");
    }

    #[test]
    fn unused_window_caps_partial_bytes_acked() {
        let mut cc = new(PMDCS, false);
        cc.base.ssthresh = 0;
        for _ in 0..100 {
            cc.on_ack(&ack(PMDCS, PMDCS * 2, false));
        }
        assert_eq!(cc.partial_bytes_acked, cc.base.cwnd);
        cc.on_ack(&ack(PMDCS, PMDCS, false));
        assert_eq!(cc.partial_bytes_acked, 0, "all data acknowledged");
    }

    #[test]
    fn timeout_leaves_one_packet_and_idleness_halves() {
        let mut cc = new(PMDCS, false);
        cc.base.cwnd = 64 * PMDCS;
        cc.on_idle(Duration::from_millis(2500), Duration::from_secs(1));
        assert_eq!((cc.window(), cc.slow_start_threshold()), (16 * PMDCS, 64 * PMDCS));
        cc.on_idle(Duration::from_secs(1 << 40), Duration::from_secs(1));
        assert_eq!(cc.window(), 4 * PMDCS);
        cc.on_loss(Time::ZERO, Loss::Timeout);
        assert_eq!((cc.window(), cc.slow_start_threshold()), (PMDCS, 4 * PMDCS));
    }

    #[test]
    fn a_congestion_mark_halves_like_a_loss() {
        let mut cc = new(PMDCS, false);
        cc.base.cwnd = 64 * PMDCS;
        cc.on_loss(Time::ZERO, Loss::EcnEcho { tsn: Tsn(1) });
        assert_eq!((cc.window(), cc.slow_start_threshold()), (32 * PMDCS, 32 * PMDCS));
    }
}
