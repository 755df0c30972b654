//! What can be set at a registrar.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use sctp_user::ConfigError;

use super::access::AccessConfig;
use super::prefix::Prefix;
use crate::handlespace::Limits;
use crate::handlespace::policy::Policies;
use crate::registrar::enrp::config::EnrpConfig;
use crate::wire::{ASAP_PORT, CauseCode, ENRP_PORT, LifeUnit, PoolHandle, RegistrarId, Scope};

/// Configuration of a registrar.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RegistrarConfig {
    /// Its identifier; undefined: drawn at random.
    pub id: RegistrarId,
    /// The SCTP port that it serves ASAP on, as announced.
    pub asap_port: u16,
    /// The SCTP port that it serves ENRP on, as its presences say.
    pub enrp_port: u16,
    /// The multicast group, with its UDP port, on which the registrars of the scope tell each other that they are there.
    pub enrp_group: SocketAddr,
    /// The unit of registration lives, the same in the whole scope.
    pub life_unit: LifeUnit,
    /// Whether message lengths count the last padding, as RSPLIB does.
    pub count_padding: bool,
    /// Longest pool handle in bytes; above 32 only without RSPLIB in the scope.
    pub max_handle: usize,
    /// How many elements a resolution names that does not ask for a number; `None`: all.
    pub max_items: Option<usize>,
    /// How many of the named elements count as used (RSPLIB: MaxIncrement); `None`: as suits the pool's policy.
    pub max_increment: Option<usize>,
    /// To a multiple of this the distances of elements are rounded, in the policies that prefer near ones.
    pub distance_step: Duration,
    /// Keep-alives.
    pub keep_alive: KeepAliveConfig,
    /// Unreachable reports.
    pub reports: ReportConfig,
    /// Whether elements go with their association, instead of being asked over a new one.
    pub remove_on_loss: bool,
    /// Whether an identifier that is taken is given away only after its holder failed to answer.
    pub id_check: bool,
    /// Addresses below this scope are not taken; `None`: loopback, until there is a client or peer on another host.
    pub min_scope: Option<Scope>,
    /// Announces; none without targets.
    pub announce: AnnounceConfig,
    /// The other registrars.
    pub enrp: EnrpConfig,
    /// How many messages an association may send, acknowledgements not counted.
    pub rate: Rate,
    /// What the peers of one address prefix may do together.
    pub rates: RateConfig,
    /// What a resolution beyond a rate is answered: [`CauseCode::LACK_OF_RESOURCES`], or RSPLIB's
    /// [`CauseCode::UNKNOWN_POOL_HANDLE`], which makes a user drop the pool.
    pub limit_cause: CauseCode,
    /// Who is allowed to do what.
    pub access: AccessConfig,
    /// Subscriptions to changes of pools.
    pub subscriptions: SubscriptionConfig,
    /// Associations without elements are shut down after this time without a message; `None`: never.
    pub idle_timeout: Option<Duration>,
    /// Most associations at once; more are aborted.
    pub max_associations: usize,
    /// Most associations of one address prefix at once; more are aborted.
    pub max_associations_per_peer: usize,
    /// Most elements of one association.
    pub max_elements_per_association: usize,
    /// Most elements of all associations of one address prefix.
    pub max_elements_per_peer: usize,
    /// Limits of the handlespace.
    pub limits: Limits,
    /// The policies that pools may have.
    pub policies: Policies,
}

impl Default for RegistrarConfig {
    fn default() -> Self {
        Self {
            id: RegistrarId::UNDEFINED,
            asap_port: ASAP_PORT,
            enrp_port: ENRP_PORT,
            enrp_group: SocketAddr::from(([239, 0, 0, 51], ENRP_PORT)),
            life_unit: LifeUnit::Milliseconds,
            count_padding: false,
            max_handle: PoolHandle::MAX_LEN,
            max_items: Some(3),
            max_increment: None,
            distance_step: Duration::from_millis(50),
            keep_alive: KeepAliveConfig::default(),
            reports: ReportConfig::default(),
            remove_on_loss: false,
            id_check: true,
            min_scope: None,
            announce: AnnounceConfig::default(),
            enrp: EnrpConfig::default(),
            rate: Rate { per_second: 20_000, burst: 20_000 },
            rates: RateConfig::default(),
            limit_cause: CauseCode::LACK_OF_RESOURCES,
            access: AccessConfig::default(),
            subscriptions: SubscriptionConfig::default(),
            idle_timeout: Some(Duration::from_secs(300)),
            max_associations: 50_000,
            max_associations_per_peer: 20_000,
            max_elements_per_association: 10_000,
            max_elements_per_peer: 100_000,
            limits: Limits::default(),
            policies: Policies::standard(),
        }
    }
}

impl RegistrarConfig {
    /// Checks the values against each other and against their ranges.
    ///
    /// # Errors
    /// Names the first field that cannot be.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let err = |field, why| Err(ConfigError { field, why });
        let ka = &self.keep_alive;
        if ka.period < Duration::from_millis(10) || ka.timeout.is_zero() || ka.retry_interval.is_zero() {
            return err("keep_alive", "a period of at least 10 ms, time-outs above zero");
        }
        if ka.spread_percent > 90 {
            return err("keep_alive.spread_percent", "at most 90");
        }
        if self.max_handle == 0 || self.max_handle > 1024 {
            return err("max_handle", "between 1 and 1024 bytes");
        }
        if self.max_items == Some(0) {
            return err("max_items", "at least 1");
        }
        if self.rate.per_second == 0 || self.rate.burst == 0 {
            return err("rate", "at least one request");
        }
        self.rates.validate()?;
        if self.limit_cause != CauseCode::LACK_OF_RESOURCES && self.limit_cause != CauseCode::UNKNOWN_POOL_HANDLE {
            return err("limit_cause", "6 (lack of resources) or 9 (unknown pool handle)");
        }
        if self.distance_step < Duration::from_millis(1) {
            return err("distance_step", "at least 1 ms");
        }
        if self.subscriptions.interval < Duration::from_millis(10) {
            return err("subscriptions.interval", "at least 10 ms");
        }
        if self.idle_timeout.is_some_and(|t| t < Duration::from_secs(1)) {
            return err("idle_timeout", "at least 1 s");
        }
        if self.announce.period < Duration::from_millis(100) {
            return err("announce.period", "at least 100 ms");
        }
        if self.asap_port == 0 {
            return err("asap_port", "the port that was claimed");
        }
        if self.enrp_port == 0 || self.enrp_port == self.asap_port {
            return err("enrp_port", "the port that was claimed, another one than ASAP's");
        }
        self.enrp.validate()
    }
}

/// How elements are watched (RFC 5352 section 3.5): every `period` a keep-alive, which is repeated `retries` times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeepAliveConfig {
    /// Between an answer and the next keep-alive, on average.
    pub period: Duration,
    /// How far the period is spread around its average, in per cent of it.
    pub spread_percent: u32,
    /// How long the answer may take.
    pub timeout: Duration,
    /// How often an unanswered keep-alive is repeated before the element is removed.
    pub retries: u32,
    /// How long the answer to a repetition may take.
    pub retry_interval: Duration,
    /// The time-out, for elements of this host, of keep-alives that are due to suspicion: a lost association, a report.
    pub suspect_timeout_local: Duration,
    /// The same for elements of other hosts.
    pub suspect_timeout: Duration,
    /// Whether the element's identifier is sent, which RFC 5352 section 2.2.7 does not know.
    pub with_id: bool,
}

impl Default for KeepAliveConfig {
    fn default() -> Self {
        Self {
            period: Duration::from_secs(5),
            spread_percent: 50,
            timeout: Duration::from_secs(5),
            retries: 2,
            retry_interval: Duration::from_secs(1),
            suspect_timeout_local: Duration::from_millis(500),
            suspect_timeout: Duration::from_secs(2),
            with_id: true,
        }
    }
}

/// What reports of unreachable elements do (RFC 5352 section 3.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReportConfig {
    /// MAX-BAD-PE-REPORT: an element reported by more than so many is removed, whatever it answers.
    pub max: usize,
    /// A report is forgotten after this time.
    pub memory: Duration,
    /// Reports cause at most one keep-alive per element in this time.
    pub min_interval: Duration,
}

impl Default for ReportConfig {
    fn default() -> Self {
        Self { max: 3, memory: Duration::from_secs(60), min_interval: Duration::from_secs(1) }
    }
}

/// How often and where a registrar announces itself (RFC 5352 section 3.6).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AnnounceConfig {
    /// Where to.
    pub targets: Vec<AnnounceTarget>,
    /// T6-Serverannounce: the period of a registrar that hears no other.
    pub period: Duration,
    /// The longest period, however many registrars there are; `None` as in RFC 5352, whose receivers then forget
    /// registrars between two announces as soon as there are five.
    pub max_period: Option<Duration>,
    /// What an announce says about where we are.
    pub port_rule: PortRule,
}

/// How announces tell the port of ASAP: RFC 5352 section 3.6 and RSPLIB read one without transport parameters differently.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum PortRule {
    /// Such that both understand it: nothing is said on the registered port or on loopback, where it is the datagram's
    /// port; otherwise one SCTP transport.
    #[default]
    Both,
    /// As the RFC has it: always with all addresses, for nothing would mean the registered port.
    Rfc,
}

impl Default for AnnounceConfig {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            period: Duration::from_secs(1),
            max_period: Some(Duration::from_secs(2)),
            port_rule: PortRule::default(),
        }
    }
}

/// One destination of announces.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct AnnounceTarget {
    /// The address to send from, which also chooses the interface.
    pub source: IpAddr,
    /// The multicast group with its port.
    pub group: SocketAddr,
}

/// A rate of requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Requests per second in the long run.
    pub per_second: u32,
    /// Requests at once.
    pub burst: u32,
}

/// What the peers of one address prefix may do together; more is refused, whatever association it comes over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateConfig {
    /// Registrations and deregistrations.
    pub registrations: Rate,
    /// Handle resolutions.
    pub resolutions: Rate,
    /// Unreachable reports.
    pub reports: Rate,
    /// Datagrams to the multicast groups.
    pub announces: Rate,
    /// Associations opened by the peers.
    pub associations: Rate,
    /// Messages that are not understood, or tell errors.
    pub errors: Rate,
    /// How many bits of an IPv4 address make a peer.
    pub ipv4_prefix: u8,
    /// How many bits of an IPv6 address make a peer: a host has 2^64 addresses to choose from.
    pub ipv6_prefix: u8,
    /// Most prefixes whose rates are remembered, about 100 bytes each; beyond, new ones share one rate until others
    /// have been quiet.
    pub max_prefixes: usize,
}

impl Default for RateConfig {
    fn default() -> Self {
        let rate = |per_second, burst| Rate { per_second, burst };
        Self {
            registrations: rate(10_000, 20_000),
            resolutions: rate(20_000, 20_000),
            reports: rate(200, 2_000),
            announces: rate(50, 200),
            associations: rate(200, 5_000),
            errors: rate(20, 200),
            ipv4_prefix: 32,
            ipv6_prefix: 64,
            max_prefixes: 65_536,
        }
    }
}

impl RateConfig {
    /// Whom an address counts as.
    #[must_use]
    pub fn prefix(&self, addr: IpAddr) -> Prefix {
        Prefix::new(addr, if addr.is_ipv4() { self.ipv4_prefix } else { self.ipv6_prefix })
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let rates = [self.registrations, self.resolutions, self.reports, self.announces, self.associations, self.errors];
        if rates.iter().any(|r| r.per_second == 0 || r.burst == 0) {
            return Err(ConfigError { field: "rates", why: "at least one in a second, and one at once" });
        }
        if self.ipv4_prefix > 32 || self.ipv6_prefix > 128 {
            return Err(ConfigError { field: "rates.ipv4_prefix, rates.ipv6_prefix", why: "at most 32 and 128 bits" });
        }
        if self.max_prefixes == 0 {
            return Err(ConfigError { field: "rates.max_prefixes", why: "at least 1" });
        }
        Ok(())
    }
}

/// Subscriptions to changes of pools (RFC 5352 section 2.2.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SubscriptionConfig {
    /// Most subscribers of one pool; 0: none are taken.
    pub per_pool: usize,
    /// Most pools that one association subscribes to.
    pub per_association: usize,
    /// Most subscriptions in all.
    pub total: usize,
    /// A subscriber gets at most one update of a pool in this time.
    pub interval: Duration,
}

impl Default for SubscriptionConfig {
    fn default() -> Self {
        Self { per_pool: 1_000, per_association: 100, total: 100_000, interval: Duration::from_secs(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        assert_eq!(RegistrarConfig::default().validate(), Ok(()));
        let none = RegistrarConfig { max_items: Some(0), ..RegistrarConfig::default() };
        assert_eq!(none.validate().unwrap_err().field, "max_items");
    }
}
