//! Timers, thresholds and registrars of the client side.

use core::time::Duration;
use std::net::SocketAddr;

use crate::wire::{EncodeOptions, LifeUnit};

/// Timers and thresholds by the names of RFC 5352 section 7. T4, the re-registration interval, belongs to each element.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct AsapConfig {
    /// T1-ENRPrequest: longest wait for the answer to a handle resolution.
    pub t1_request: Duration,
    /// T2-registration: longest wait for the answer to a registration.
    pub t2_registration: Duration,
    /// T3-deregistration: longest wait for the answer to a deregistration.
    pub t3_deregistration: Duration,
    /// T5-Serverhunt: longest wait for one of the associations that were begun together; doubles up to RETRAN-MAX.
    pub t5_hunt: Duration,
    /// T7-ENRPoutdate: how long an announce is valid.
    pub t7_outdate: Duration,
    /// RETRAN-MAX: the ceiling of all back-offs.
    pub retran_max: Duration,
    /// MAX-REG-ATTEMPT: registrations that may fail before the failure is reported.
    pub max_reg_attempt: u32,
    /// MAX-REQUEST-RETRANSMIT: how often a request is sent again, to whichever registrar is the home then.
    pub max_request_retransmit: u32,
    /// How long a request waits for a registrar to be heard before it fails.
    pub hunt_limit: Duration,
    /// How long a request waits if registrars are known, but none can be reached.
    pub reach_limit: Duration,
    /// How long a registrar that was heard on the loopback interface waits for one that was heard on another one.
    pub settle: Duration,
    /// How long a process whose home is lost, and that has nothing to ask, waits for the registrar that takes its elements over
    /// (RFC 5353 section 3.5.2) before it looks for one itself; RFC 5352 section 3.6 wants it to when a request has failed.
    pub adoption_wait: Duration,
    /// How long an element that failed is not chosen again, unless it registers anew.
    pub exclusion: Duration,
    /// Shortest time between two registrations of one element, so that load updates do not flood the registrar.
    pub min_update_interval: Duration,
    /// The unit of registration lives; one for the whole scope.
    pub life_unit: LifeUnit,
    /// How messages are written.
    pub encode: EncodeOptions,
    /// Registrars known by configuration: the addresses (IP and SCTP port) of each.
    pub registrars: Vec<Vec<SocketAddr>>,
    /// Registrars known by the name of their host, such as `registrar.example.org:3863`. Who drives the core looks them up,
    /// see [`super::Output::LookUp`].
    pub registrar_names: Vec<String>,
    /// Whether a registrar whose announce names no port is on the registered one (RFC 5352 section 3.6), and not on the UDP port
    /// that the announce came from, as RSPLIB means it (rulings, 2.2).
    pub assume_registered_port: bool,
    /// How long "no such pool" is believed without asking again, but never longer than the answers that the user accepts.
    pub negative: Duration,
    /// How many of the elements that a cached answer names count as used, so that others come first the next time; `None`: as
    /// suits the policy, that is one, since a session uses the first one. RSPLIB counts all; its sessions ask for one.
    pub cache_increment: Option<usize>,
}

impl AsapConfig {
    /// RSPLIB's values: the default, since answers within seconds are what sessions need.
    #[must_use]
    pub fn rsplib() -> Self {
        Self {
            t1_request: Duration::from_secs(3),
            t2_registration: Duration::from_secs(3),
            t3_deregistration: Duration::from_secs(3),
            t5_hunt: Duration::from_millis(7_500),
            t7_outdate: Duration::from_secs(5),
            retran_max: Duration::from_secs(60),
            max_reg_attempt: 2,
            max_request_retransmit: 2,
            hunt_limit: Duration::from_secs(5),
            reach_limit: Duration::from_secs(10),
            settle: Duration::from_millis(50),
            adoption_wait: Duration::ZERO,
            exclusion: Duration::from_secs(30),
            min_update_interval: Duration::from_millis(100),
            life_unit: LifeUnit::Milliseconds,
            encode: EncodeOptions::default(),
            registrars: Vec::new(),
            registrar_names: Vec::new(),
            assume_registered_port: false,
            negative: Duration::from_secs(1),
            cache_increment: None,
        }
    }

    /// The values of RFC 5352 section 7.
    #[must_use]
    pub fn rfc() -> Self {
        Self {
            t1_request: Duration::from_secs(15),
            t2_registration: Duration::from_secs(30),
            t3_deregistration: Duration::from_secs(30),
            t5_hunt: Duration::from_secs(10),
            assume_registered_port: true,
            life_unit: LifeUnit::Seconds,
            ..Self::rsplib()
        }
    }
}

impl Default for AsapConfig {
    fn default() -> Self {
        Self::rsplib()
    }
}
