//! Congestion control: one object per path decides how many bytes may be in flight (RFC 9260 section 7).
//!
//! All sizes are lengths of DATA chunks with their headers and padding, as section 7.2 wants them. What a rate-based control
//! needs is there as well: samples of the delivery rate and of the round-trip time come with each acknowledgement, and a
//! control that answers [`CongestionControl::pacing`] has its packets spread over time.

mod cubic;
mod rate;
mod rfc9260;
mod slow_start;

use core::fmt;
use core::time::Duration;

pub(crate) use self::cubic::Cubic;
pub(crate) use self::rate::{RateSample, RateSampler};
pub(crate) use self::rfc9260::Rfc9260;
use self::slow_start::SlowStart;
use crate::config::{AssocConfig, Congestion};
use crate::num::Tsn;
use crate::time::Time;

/// What one SACK acknowledged on one path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub(crate) struct AckInfo {
    /// When the SACK arrived.
    pub(crate) now: Time,
    /// Bytes newly acknowledged, cumulatively or by gap blocks.
    pub(crate) acked: usize,
    /// Bytes newly considered lost.
    pub(crate) lost: usize,
    /// Bytes acknowledged on this path since the association began, these included.
    pub(crate) delivered: u64,
    /// Whether the cumulative TSN ack point moved.
    pub(crate) cum_advanced: bool,
    /// Bytes in flight before the SACK, counting what could have been sent if the SACKs of one batch had come one by one.
    pub(crate) in_flight_before: usize,
    /// Bytes in flight after it.
    pub(crate) in_flight: usize,
    /// Whether the association is in Fast Recovery, after this SACK.
    pub(crate) in_recovery: bool,
    /// The delivery rate, if this SACK completed a measurement: about one in a round trip does.
    pub(crate) rate: Option<RateSample>,
    /// The least round-trip time measured on this path.
    pub(crate) min_rtt: Option<Duration>,
    /// The last round-trip time measured on this path.
    pub(crate) latest_rtt: Option<Duration>,
}

impl AckInfo {
    /// Whether the window was used to the full before the SACK (RFC 9260 sections 7.2.1 and 7.2.2): only then may it grow.
    pub(crate) fn was_full(&self, cwnd: usize) -> bool {
        self.in_flight_before >= cwnd
    }
}

/// A sign of congestion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub(crate) enum Loss {
    /// Fast Recovery was entered (RFC 9260 section 7.2.4); told once per recovery.
    FastRetransmit {
        /// Fast Recovery ends when this TSN and all before it are acknowledged.
        exit: Tsn,
    },
    /// T3-rtx expired.
    Timeout,
    /// The peer received a packet with a congestion mark (RFC 4960 appendix A); told once per window of data.
    EcnEcho {
        /// The lowest TSN in a marked packet.
        tsn: Tsn,
    },
}

/// How packets are to be spread over time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pacing {
    /// Bytes per second; not zero.
    pub(crate) rate: u64,
    /// Bytes that may leave back to back.
    pub(crate) burst: usize,
}

impl Pacing {
    /// How long `bytes` take.
    pub(crate) fn time(&self, bytes: usize) -> Duration {
        let nanos = bytes as u128 * 1_000_000_000 / u128::from(self.rate.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// What a control thinks, for status and tests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub(crate) struct CcSnapshot {
    /// Name of the algorithm.
    pub(crate) algorithm: &'static str,
    /// Bytes that may be in flight.
    pub(crate) cwnd: usize,
    /// Window at which slow start ends.
    pub(crate) ssthresh: usize,
    /// Bytes acknowledged towards the next growth of the window in congestion avoidance.
    pub(crate) partial_bytes_acked: usize,
}

/// The congestion window of one path.
pub(crate) trait CongestionControl: fmt::Debug + Send {
    /// `bytes` are sent on this path, on which `in_flight` bytes were on their way before.
    fn on_send(&mut self, now: Time, bytes: usize, in_flight: usize) {
        let _ = (now, bytes, in_flight);
    }
    /// Data on this path was acknowledged.
    fn on_ack(&mut self, ack: &AckInfo);
    /// Data on this path was lost.
    fn on_loss(&mut self, now: Time, loss: Loss);
    /// Nothing was sent on this path for `idle`, and now data is about to be sent again.
    fn on_idle(&mut self, idle: Duration, rto: Duration);
    /// The room for DATA chunks in a packet of this path changed to `pmdcs` bytes.
    fn on_mtu(&mut self, pmdcs: usize);
    /// The way may be another one now: what was learnt says nothing about it (RFC 9260 section 7.2.5).
    fn reset(&mut self);
    /// Bytes that may be in flight.
    fn window(&self) -> usize;
    /// Window at which slow start ends.
    fn slow_start_threshold(&self) -> usize {
        self.snapshot().ssthresh
    }
    /// How packets are spread over time; `None` lets them go as windows and Max.Burst allow.
    fn pacing(&self) -> Option<Pacing> {
        None
    }
    /// The present state.
    fn snapshot(&self) -> CcSnapshot;
}

/// The control that `cfg` asks for, on a path to an IPv4 or IPv6 address with room for `pmdcs` bytes of chunks in a packet.
pub(crate) fn new(cfg: &AssocConfig, pmdcs: usize, ipv6: bool) -> Box<dyn CongestionControl> {
    let start = SlowStart::new(cfg, pmdcs, ipv6);
    match cfg.congestion {
        Congestion::Rfc9260 => Box::new(Rfc9260::new(start)),
        Congestion::Cubic => Box::new(Cubic::new(start)),
    }
}

#[cfg(test)]
impl AckInfo {
    /// `acked` bytes acknowledged, with `before` bytes in flight before, outside of Fast Recovery.
    pub(crate) fn test(now: Time, acked: usize, before: usize) -> Self {
        Self {
            now,
            acked,
            lost: 0,
            delivered: 0,
            cum_advanced: true,
            in_flight_before: before,
            in_flight: before.saturating_sub(acked),
            in_recovery: false,
            rate: None,
            min_rtt: None,
            latest_rtt: None,
        }
    }
}
