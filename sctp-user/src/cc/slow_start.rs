//! What all window-based controls share: initial window, slow start, decay of an unused window (RFC 9260 section 7.2.1).

use core::hint::cold_path;
use core::time::Duration;

use super::AckInfo;
use crate::config::AssocConfig;

/// Window and threshold; sizes in bytes.
#[derive(Clone, Debug)]
pub(super) struct SlowStart {
    /// PMDCS: room for DATA chunks in one packet.
    pub(super) pmdcs: usize,
    pub(super) cwnd: usize,
    pub(super) ssthresh: usize,
    /// Most growth for one SACK, in PMDCS: L of section 7.2.1 (and RFC 3465).
    limit: usize,
    /// What the RFC's initial window is by the address family, in bytes, between two and four packets.
    floor: usize,
    /// A smaller initial window, if configured.
    wanted: Option<usize>,
}

impl SlowStart {
    /// The initial window of section 7.2.1, or a smaller one if `cfg` asks for it. The threshold is the largest window that
    /// the peer can ever advertise.
    pub(super) fn new(cfg: &AssocConfig, pmdcs: usize, ipv6: bool) -> Self {
        let floor = if ipv6 { 4344 } else { 4404 };
        let mut new = Self { pmdcs, cwnd: 0, ssthresh: 0, limit: usize::from(cfg.slow_start_l), floor, wanted: cfg.initial_window };
        new.reset();
        new
    }

    /// Begins anew with the initial window and threshold.
    pub(super) fn reset(&mut self) {
        let most = (4 * self.pmdcs).min(self.floor.max(2 * self.pmdcs));
        self.cwnd = self.wanted.map_or(most, |w| w.clamp(self.pmdcs.min(most), most));
        self.ssthresh = u32::MAX as usize;
    }

    /// Whether slow start rules, not congestion avoidance.
    pub(super) fn applies(&self) -> bool {
        self.cwnd <= self.ssthresh
    }

    /// Lets the window grow in slow start.
    pub(super) fn grow(&mut self, ack: &AckInfo) {
        if ack.was_full(self.cwnd) && !ack.in_recovery {
            self.cwnd += ack.acked.min(self.limit * self.pmdcs);
        }
    }

    /// Halves the window for every RTO in which it was not used; answers whether that changed it.
    pub(super) fn decay(&mut self, idle: Duration, rto: Duration) -> bool {
        if idle < rto || self.cwnd <= 4 * self.pmdcs {
            return false;
        }
        cold_path();
        let rtos = idle.as_nanos() / rto.as_nanos().max(1);
        // The threshold remembers the window from before the first adjustment.
        self.ssthresh = self.cwnd;
        self.cwnd = self.cwnd.checked_shr(u32::try_from(rtos).unwrap_or(u32::MAX)).unwrap_or(0).max(4 * self.pmdcs);
        true
    }

    /// Takes over a new PMDCS. The window stays large enough for a packet.
    pub(super) fn set_pmdcs(&mut self, pmdcs: usize) {
        self.pmdcs = pmdcs;
        self.cwnd = self.cwnd.max(pmdcs);
    }

    /// `window`, but not less than what section 7.2.3 leaves after any loss.
    pub(super) fn at_least_four(&self, window: usize) -> usize {
        window.max(4 * self.pmdcs)
    }
}
