//! A path takes new values while its association lives.

use super::{Path, RttEstimator};
use crate::config::AssocConfig;
use crate::entropy::Entropy;
use crate::time::Time;

/// An estimator that has measured nothing.
pub(super) fn estimator(cfg: &AssocConfig) -> RttEstimator {
    let mut e = RttEstimator::new(cfg.rto_initial, cfg.rto_min, cfg.rto_max);
    e.configure(cfg.rto_min, cfg.rto_max, cfg.rto_alpha_shift, cfg.rto_beta_shift);
    e
}

impl Path {
    /// DSCP of packets on this path.
    pub(crate) fn dscp(&self) -> u8 {
        self.dscp
    }

    /// IPv6 flow label of packets on this path.
    pub(crate) fn flow_label(&self) -> u32 {
        self.flow_label
    }

    /// Packets are marked like this from now on. Another DSCP begins with the initial window (RFC 9260 section 7.2.5).
    pub(crate) fn mark(&mut self, cfg: &AssocConfig, dscp: u8, flow_label: u32) {
        let other = self.dscp != dscp;
        (self.dscp, self.flow_label) = (dscp, flow_label);
        if other {
            self.reset_congestion(cfg);
        }
    }

    /// Takes the values of `cfg` that concern paths; `old` are those in force. A back-off begins anew with the new bounds; timers
    /// that run keep their time; another congestion control, or another DSCP (section 7.2.5), begins with the initial window.
    pub(crate) fn configure(&mut self, now: Time, old: &AssocConfig, cfg: &AssocConfig, entropy: &mut dyn Entropy) {
        let rto = |c: &AssocConfig| (c.rto_initial, c.rto_min, c.rto_max, c.rto_alpha_shift, c.rto_beta_shift);
        if rto(old) != rto(cfg) {
            if self.rtt.srtt().is_none() {
                self.rtt = estimator(cfg);
            }
            self.rtt.configure(cfg.rto_min, cfg.rto_max, cfg.rto_alpha_shift, cfg.rto_beta_shift);
            self.rto = self.rtt.rto();
        }
        // What was set for this path alone stays.
        if (old.dscp, old.flow_label) != (cfg.dscp, cfg.flow_label) {
            (self.dscp, self.flow_label) = (cfg.dscp, cfg.flow_label);
        }
        // Another DSCP may mean other queues, and so another congestion (section 7.2.5.1).
        let congestion = |c: &AssocConfig| (c.dscp, c.congestion, c.slow_start_l);
        if congestion(old) != congestion(cfg) {
            self.reset_congestion(cfg);
        }
        self.limits.change(old, cfg);
        let heartbeats = |c: &AssocConfig| (c.hb_interval, c.nat_keepalive);
        if self.confirmed && heartbeats(old) != heartbeats(cfg) {
            self.schedule_heartbeat(now, cfg, entropy);
        }
    }
}
