//! The congestion control of RFC 9260 section 7.2: slow start and congestion avoidance with L = 1.

use core::time::Duration;

use super::{AckInfo, CongestionControl, Loss};
use crate::time::Time;

/// State of section 7.2; sizes in bytes.
#[derive(Clone, Debug)]
pub(crate) struct Rfc9260 {
    /// PMDCS: room for DATA chunks in one packet.
    pmdcs: usize,
    cwnd: usize,
    ssthresh: usize,
    partial_bytes_acked: usize,
}

impl Rfc9260 {
    /// The initial window of section 7.2.1. `ssthresh` is the largest window that the peer can ever advertise.
    pub(crate) fn new(pmdcs: usize, ipv6: bool) -> Self {
        let floor = if ipv6 { 4344 } else { 4404 };
        let cwnd = (4 * pmdcs).min(floor.max(2 * pmdcs));
        Self { pmdcs, cwnd, ssthresh: u32::MAX as usize, partial_bytes_acked: 0 }
    }

    /// What both kinds of loss leave as threshold.
    fn halved(&self) -> usize {
        (self.cwnd / 2).max(4 * self.pmdcs)
    }
}

impl CongestionControl for Rfc9260 {
    fn on_ack(&mut self, ack: &AckInfo) {
        let full = ack.in_flight_before >= self.cwnd;
        if self.cwnd <= self.ssthresh {
            if full && !ack.in_recovery {
                self.cwnd += ack.acked.min(self.pmdcs);
            }
        } else {
            self.partial_bytes_acked = self.partial_bytes_acked.saturating_add(ack.acked);
            if self.partial_bytes_acked >= self.cwnd {
                if full && !ack.in_recovery {
                    self.partial_bytes_acked -= self.cwnd;
                    self.cwnd += self.pmdcs;
                } else {
                    self.partial_bytes_acked = self.cwnd;
                }
            }
        }
        if ack.in_flight == 0 {
            self.partial_bytes_acked = 0;
        }
    }

    fn on_loss(&mut self, _now: Time, loss: Loss) {
        self.ssthresh = self.halved();
        self.cwnd = match loss {
            Loss::FastRetransmit => self.ssthresh,
            Loss::Timeout => self.pmdcs,
        };
        self.partial_bytes_acked = 0;
    }

    fn on_idle(&mut self, idle: Duration, rto: Duration) {
        let rtos = idle.as_nanos() / rto.as_nanos().max(1);
        if rtos == 0 || self.cwnd <= 4 * self.pmdcs {
            return;
        }
        // Section 7.2.1: the threshold remembers the window from before the first adjustment.
        self.ssthresh = self.cwnd;
        self.cwnd = self.cwnd.checked_shr(u32::try_from(rtos).unwrap_or(u32::MAX)).unwrap_or(0).max(4 * self.pmdcs);
        self.partial_bytes_acked = 0;
    }

    fn on_mtu(&mut self, pmdcs: usize) {
        self.pmdcs = pmdcs;
        self.cwnd = self.cwnd.max(pmdcs);
    }

    fn window(&self) -> usize {
        self.cwnd
    }

    fn slow_start_threshold(&self) -> usize {
        self.ssthresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PMDCS: usize = 1460;

    fn ack(acked: usize, before: usize, in_recovery: bool) -> AckInfo {
        AckInfo { now: Time::ZERO, acked, in_flight_before: before, in_flight: before.saturating_sub(acked), in_recovery }
    }

    #[test]
    fn initial_window_follows_address_family_and_mtu() {
        assert_eq!(Rfc9260::new(1468, false).window(), 4404);
        assert_eq!(Rfc9260::new(1448, true).window(), 4344);
        assert_eq!(Rfc9260::new(536, false).window(), 4 * 536);
        assert_eq!(Rfc9260::new(8960, false).window(), 2 * 8960);
    }

    #[test]
    fn slow_start_grows_by_at_most_one_pmdcs_and_only_if_full() {
        let mut cc = Rfc9260::new(PMDCS, false);
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
    fn avoidance_grows_by_one_pmdcs_per_window() {
        let mut cc = Rfc9260::new(PMDCS, false);
        cc.cwnd = 20 * PMDCS;
        cc.on_loss(Time::ZERO, Loss::FastRetransmit);
        assert_eq!((cc.window(), cc.slow_start_threshold()), (10 * PMDCS, 10 * PMDCS));
        cc.cwnd += 4; // above the threshold: avoidance
        let start = cc.window();
        for _ in 0..5 {
            assert_eq!(cc.window(), start);
            cc.on_ack(&ack(2 * PMDCS, start, false));
        }
        cc.on_ack(&ack(2 * PMDCS, start, false));
        assert_eq!(cc.window(), start + PMDCS);
    }

    #[test]
    fn unused_window_caps_partial_bytes_acked() {
        let mut cc = Rfc9260::new(PMDCS, false);
        cc.ssthresh = 0;
        for _ in 0..100 {
            cc.on_ack(&ack(PMDCS, PMDCS * 2, false));
        }
        assert_eq!(cc.partial_bytes_acked, cc.cwnd);
        cc.on_ack(&ack(PMDCS, PMDCS, false));
        assert_eq!(cc.partial_bytes_acked, 0, "all data acknowledged");
    }

    #[test]
    fn timeout_leaves_one_packet_and_idleness_halves() {
        let mut cc = Rfc9260::new(PMDCS, false);
        cc.cwnd = 64 * PMDCS;
        cc.on_idle(Duration::from_millis(2500), Duration::from_secs(1));
        assert_eq!((cc.window(), cc.slow_start_threshold()), (16 * PMDCS, 64 * PMDCS));
        cc.on_idle(Duration::from_secs(1 << 40), Duration::from_secs(1));
        assert_eq!(cc.window(), 4 * PMDCS);
        cc.on_loss(Time::ZERO, Loss::Timeout);
        assert_eq!((cc.window(), cc.slow_start_threshold()), (PMDCS, 4 * PMDCS));
    }
}
