//! What can be set for a session.

use core::time::Duration;
use std::sync::Arc;

use sctp_user::AssocConfig;

use super::card::BusinessCard;

/// When an element counts as failed (rulings, section 4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DetectorConfig {
    /// Whether there is a detector at all; without it the limits of SCTP count.
    pub enabled: bool,
    /// Silence that starts HEARTBEATs while something is expected.
    pub silence: Duration,
    /// Shortest time between two of them; otherwise SRTT + 4 RTTVAR.
    pub interval: Duration,
    /// The time between two of them as long as no round trip was measured. (The RTO will not do: it may be backed off.)
    pub unmeasured: Duration,
    /// How many unanswered ones are a failure.
    pub unanswered: u32,
    /// How long something counts as expected after data flowed.
    pub expect_after_data: Duration,
    /// Silence that starts HEARTBEATs in an idle session; `None`: none.
    pub idle_probe: Option<Duration>,
    /// The element's program counts as failed if it owes something for so long, even if its SCTP answers. Off by default.
    pub progress_timeout: Option<Duration>,
}

impl Default for DetectorConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            silence: Duration::from_millis(150),
            interval: Duration::from_millis(100),
            unmeasured: Duration::from_millis(500),
            unanswered: 5,
            expect_after_data: Duration::from_secs(5),
            idle_probe: Some(Duration::from_secs(5)),
            progress_timeout: None,
        }
    }
}

/// Parameters of a user's session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionConfig {
    /// The association's parameters.
    pub assoc: Arc<AssocConfig>,
    /// When an element counts as failed.
    pub detector: DetectorConfig,
    /// How many elements are asked for at a time.
    pub items: usize,
    /// How old a cached resolution may be; zero always asks the registrar.
    pub stale: Duration,
    /// After so long without success the next element is tried in parallel.
    pub next_candidate: Duration,
    /// The pause before the pool is asked for again when no element could be had.
    pub retry: Duration,
    /// The session ends if no element is found at first within this time.
    pub connect_timeout: Duration,
    /// The session ends if no element is found at a failover within this time; `None`: never.
    pub failover_timeout: Option<Duration>,
    /// Whether an element that shuts down is followed by another one, or the session ends with [`super::Received::Shutdown`].
    pub failover_on_shutdown: bool,
    /// Bytes accepted and not yet handed to SCTP, beyond which `send` answers `WouldBlock`. SCTP's send buffer comes on top.
    pub send_queue: usize,
    /// Bytes received and not yet fetched, beyond which no more are taken from SCTP, whose window then closes. What is left
    /// there at a failure comes on top.
    pub recv_queue: usize,
    /// For users that are elements themselves: where the element is to go on when this process fails (RFC 5352 section 3.9).
    pub business_card: Option<BusinessCard>,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            assoc: Arc::new(AssocConfig::session()),
            detector: DetectorConfig::default(),
            items: 3,
            stale: Duration::ZERO,
            next_candidate: Duration::from_millis(250),
            retry: Duration::from_millis(250),
            connect_timeout: Duration::from_secs(15),
            failover_timeout: Some(Duration::from_secs(60)),
            failover_on_shutdown: true,
            send_queue: 256 * 1024,
            recv_queue: 256 * 1024,
            business_card: None,
        }
    }
}
