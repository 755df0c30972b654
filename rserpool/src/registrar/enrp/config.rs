//! What can be set about the peers of a registrar.

use core::time::Duration;
use std::net::SocketAddr;

use sctp_user::ConfigError;

use crate::registrar::config::AnnounceTarget;
use crate::wire::RegistrarId;

/// How a registrar gets along with the others of its scope (RFC 5353).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct EnrpConfig {
    /// Where presences are sent by multicast; without, peers are only found by [`EnrpConfig::peers`] and by each other's lists.
    pub targets: Vec<AnnounceTarget>,
    /// Peers that are known beforehand, each by its addresses with its ENRP port; their identifiers need not be known.
    pub peers: Vec<Vec<SocketAddr>>,
    /// How long things take.
    pub timers: EnrpTimers,
    /// Who goes on when two registrars want to take over the same one.
    pub arbitration: Arbitration,
    /// Whether elements are handed on to registrars whose identifiers suit theirs better, and taken when suggested
    /// (draft-dreibholz-rserpool-enrp-takeover).
    pub suggest_takeovers: bool,
    /// Most peers; more are not taken notice of. Those that only datagrams tell of are at most a quarter of them.
    pub max_peers: usize,
    /// Longest Handle Table Response in bytes, unless a single element takes more.
    pub max_table_bytes: usize,
    /// Most elements in a Handle Table Response.
    pub max_table_elements: usize,
    /// Most table transfers at once that have not come to their end; more are rejected.
    pub max_table_sessions: usize,
    /// Most associations that are being opened at once to elements that were taken over.
    pub max_adoption_connects: usize,
    /// How long an element that was taken over may take to answer, the association included.
    pub adoption_timeout: Duration,
}

impl Default for EnrpConfig {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            peers: Vec::new(),
            timers: EnrpTimers::RSPLIB,
            arbitration: Arbitration::LowerWins,
            suggest_takeovers: false,
            max_peers: 128,
            max_table_bytes: 1400,
            max_table_elements: 128,
            max_table_sessions: 64,
            max_adoption_connects: 64,
            adoption_timeout: Duration::from_secs(5),
        }
    }
}

impl EnrpConfig {
    /// Checks the values against each other and against their ranges.
    ///
    /// # Errors
    /// Names the first field that cannot be.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let err = |field, why| Err(ConfigError { field, why });
        let t = &self.timers;
        if t.heartbeat < Duration::from_millis(10) || t.max_time_no_response.is_zero() || t.takeover_expiry.is_zero() {
            return err("enrp.timers", "a heartbeat cycle of at least 10 ms, time-outs above zero");
        }
        if t.max_time_last_heard < t.heartbeat {
            return err("enrp.timers.max_time_last_heard", "at least the heartbeat cycle");
        }
        if self.peers.iter().any(|addrs| addrs.is_empty() || addrs.iter().any(|a| a.port() == 0)) {
            return err("enrp.peers", "each with at least one address, and with its port");
        }
        if self.max_peers < 4 || self.peers.len() > self.max_peers {
            return err("enrp.max_peers", "at least 4, and room for all that are configured");
        }
        if self.max_table_bytes < 256 || self.max_table_elements == 0 || self.max_table_sessions == 0 {
            return err("enrp.max_table_bytes", "at least 256 bytes, one element, one session");
        }
        if self.max_adoption_connects == 0 || self.adoption_timeout.is_zero() {
            return err("enrp.max_adoption_connects", "at least one, with some time");
        }
        Ok(())
    }
}

/// The thresholds of RFC 5353 section 4.2 and their kin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EnrpTimers {
    /// PEER-HEARTBEAT-CYCLE: between two presences, on average; spread by 12.5 % to both sides.
    pub heartbeat: Duration,
    /// MAX-TIME-LAST-HEARD: a peer that is silent for longer is asked.
    pub max_time_last_heard: Duration,
    /// MAX-TIME-NO-RESPONSE: how long an answer may take.
    pub max_time_no_response: Duration,
    /// How long a starting registrar waits for a sign of others before it serves alone.
    pub mentor_discovery: Duration,
    /// How long the acknowledgements of a takeover may take.
    pub takeover_expiry: Duration,
}

impl EnrpTimers {
    /// RSPLIB's values. It would probe a registrar with the RFC's heartbeat every five seconds.
    pub const RSPLIB: Self = Self {
        heartbeat: Duration::from_millis(2444),
        max_time_last_heard: Duration::from_secs(5),
        max_time_no_response: Duration::from_secs(5),
        mentor_discovery: Duration::from_secs(1),
        takeover_expiry: Duration::from_secs(5),
    };
    /// The values of RFC 5353 section 4.2.
    pub const RFC: Self = Self { heartbeat: Duration::from_secs(30), max_time_last_heard: Duration::from_secs(61), ..Self::RSPLIB };
}

/// Who goes on when two registrars want to take over the same one.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Arbitration {
    /// The one with the lower identifier, as RSPLIB has it. Both rules in one scope would let both go on, or none.
    #[default]
    LowerWins,
    /// The one with the higher identifier (RFC 5353 section 3.5.1, rule 2A).
    HigherWins,
}

impl Arbitration {
    /// Whether `a` goes on rather than `b`.
    #[must_use]
    pub const fn prefers(self, a: RegistrarId, b: RegistrarId) -> bool {
        match self {
            Self::LowerWins => a.0 < b.0,
            Self::HigherWins => a.0 > b.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sets_of_timers_are_valid() {
        assert_eq!(EnrpConfig::default().validate(), Ok(()));
        let rfc = EnrpConfig { timers: EnrpTimers::RFC, ..EnrpConfig::default() };
        assert_eq!(rfc.validate(), Ok(()));
        let nowhere = EnrpConfig { peers: vec![vec!["10.0.0.1:0".parse().unwrap()]], ..EnrpConfig::default() };
        assert_eq!(nowhere.validate().unwrap_err().field, "enrp.peers");
    }
}
