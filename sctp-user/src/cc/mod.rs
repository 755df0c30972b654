//! Congestion control: one object per path decides how many bytes may be in flight (RFC 9260 section 7).
//!
//! All sizes are lengths of DATA chunks with their headers and padding, as section 7.2 wants them.

mod rfc9260;

use core::fmt;
use core::time::Duration;

pub(crate) use self::rfc9260::Rfc9260;
use crate::time::Time;

/// What one SACK acknowledged on one path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub(crate) struct AckInfo {
    /// When the SACK arrived.
    pub(crate) now: Time,
    /// Bytes newly acknowledged, cumulatively or by gap blocks.
    pub(crate) acked: usize,
    /// Bytes in flight before the SACK, counting what could have been sent if the SACKs of one batch had come one by one.
    pub(crate) in_flight_before: usize,
    /// Bytes in flight after it.
    pub(crate) in_flight: usize,
    /// Whether the association is in Fast Recovery, after this SACK.
    pub(crate) in_recovery: bool,
}

/// A sign of congestion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub(crate) enum Loss {
    /// Fast Recovery was entered (RFC 9260 section 7.2.4); told once per recovery.
    FastRetransmit,
    /// T3-rtx expired.
    Timeout,
}

/// The congestion window of one path.
pub(crate) trait CongestionControl: fmt::Debug + Send {
    /// Data on this path was acknowledged.
    fn on_ack(&mut self, ack: &AckInfo);
    /// Data on this path was lost.
    fn on_loss(&mut self, now: Time, loss: Loss);
    /// Nothing was sent on this path for `idle`, and now data is about to be sent again.
    fn on_idle(&mut self, idle: Duration, rto: Duration);
    /// The room for DATA chunks in a packet of this path changed to `pmdcs` bytes.
    fn on_mtu(&mut self, pmdcs: usize);
    /// Bytes that may be in flight.
    fn window(&self) -> usize;
    /// Window at which slow start ends.
    fn slow_start_threshold(&self) -> usize;
}
