//! The flags of the registrar: who it is, where it announces itself. Those that concern elements and users, limits and access
//! are in files of their own.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use rserpool::registrar::config::{PortRule, RegistrarConfig};
use rserpool::wire::RegistrarId;

use super::access::AccessOptions;
use super::elements::ElementOptions;
use super::limits::LimitOptions;
use super::peers::PeerOptions;
use super::values::{AnnouncePeriod, AnnouncePortRule, groups};
use super::{ANNOUNCE_GROUP, ChildOptions, CommonOptions, KeyOptions, identifier, milliseconds};

/// Flags of the registrar, as they are given; [`Options`](super::Options) has those of a file as well.
#[derive(Clone, Debug, Args)]
pub struct Flags {
    /// SCTP port of ASAP [default: 3863, or a free one if that is taken]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub asap: Option<u16>,
    /// Identifier of this registrar, e.g. 0x1234abcd [default: random]
    #[arg(long, value_name = "ID", value_parser = identifier)]
    pub identifier: Option<u32>,
    /// Read flags from FILE (TOML: `max-handle = 64`, `allow-user = ["10.0.0.0/8"]`); those given here win
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print statistics at the end; SIGUSR1 prints them at any time
    #[arg(long)]
    pub stats: bool,
    /// Announces.
    #[command(flatten)]
    pub announces: AnnounceOptions,
    /// Elements and users.
    #[command(flatten)]
    pub elements: ElementOptions,
    /// Limits.
    #[command(flatten)]
    pub limits: LimitOptions,
    /// Who is allowed.
    #[command(flatten)]
    pub access: AccessOptions,
    /// Other registrars.
    #[command(flatten)]
    pub peers: PeerOptions,
    /// Shared keys.
    #[command(flatten)]
    pub keys: KeyOptions,
    /// Shared flags.
    #[command(flatten)]
    pub common: CommonOptions,
    /// Flags for the demo.
    #[command(flatten)]
    pub child: ChildOptions,
}

/// Where and how often the registrar tells elements and users that it is there.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Announces")]
pub struct AnnounceOptions {
    /// Multicast groups to announce to: GROUP:PORT, rsplib, or iana; commas between several
    #[arg(long, visible_alias = "group", value_name = "GROUP", default_value = ANNOUNCE_GROUP, value_delimiter = ',', value_parser = groups)]
    pub announce: Vec<Groups>,
    /// Announce once in so many milliseconds [default: by the number of registrars, 1000 to 2000]
    #[arg(long, alias = "serverannouncecycle", value_name = "MS", value_parser = milliseconds, conflicts_with = "announce_period")]
    pub announce_interval: Option<Duration>,
    /// How often to announce while others do
    #[arg(long, value_name = "RULE", value_enum, default_value_t = AnnouncePeriod::Short)]
    pub announce_period: AnnouncePeriod,
    /// How announces tell the port of ASAP
    #[arg(long, value_name = "RULE", value_enum, default_value_t = AnnouncePortRule::Both)]
    pub announce_port_rule: AnnouncePortRule,
    /// Time to live of announces; 1 stays on the link
    #[arg(long, alias = "announcettl", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    pub ttl: u8,
    /// Announce on the loopback interface only
    #[arg(long, conflicts_with = "interface")]
    pub loopback_only: bool,
    /// Announce from this local address only; may be repeated
    #[arg(long, value_name = "ADDR")]
    pub interface: Vec<IpAddr>,
}

/// The groups that one word stands for.
pub type Groups = Vec<SocketAddr>;

impl AnnounceOptions {
    /// All groups.
    pub fn groups(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.announce.iter().flatten().copied()
    }
}

impl Flags {
    /// Sets what the flags say about the registrar itself; which interfaces it announces from is the caller's.
    pub fn apply(&self, config: &mut RegistrarConfig) {
        config.id = self.identifier.map_or(RegistrarId::UNDEFINED, RegistrarId);
        self.announces.apply(config);
        self.elements.apply(config);
        self.limits.apply(config);
        self.access.apply(config);
        self.peers.apply(config);
    }

    /// The group by which registrars find each other. Who announces to a group of his own is alone there, unless he says
    /// otherwise.
    #[must_use]
    pub fn presence_group(&self) -> Option<SocketAddr> {
        let usual = ["rsplib", "iana"].map(|word| groups(word).unwrap_or_default()).concat();
        self.peers.presence_group(self.announces.groups().any(|g| usual.contains(&g)))
    }
}

impl AnnounceOptions {
    fn apply(&self, config: &mut RegistrarConfig) {
        let announce = &mut config.announce;
        if let Some(period) = self.announce_interval {
            (announce.period, announce.max_period) = (period, Some(period));
        } else if self.announce_period == AnnouncePeriod::Rfc {
            announce.max_period = None;
        }
        announce.port_rule = match self.announce_port_rule {
            AnnouncePortRule::Both => PortRule::Both,
            AnnouncePortRule::Rfc => PortRule::Rfc,
        };
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rserpool::wire::{CauseCode, LifeUnit, Scope};

    use super::super::Cli;
    use super::*;

    fn config(args: &[&str]) -> RegistrarConfig {
        let mut config = RegistrarConfig::default();
        Cli::try_parse_from([&["registrar"], args].concat()).unwrap().options.apply(&mut config);
        config.validate().unwrap();
        config
    }

    /// Without flags, the program's registrar is the library's.
    #[test]
    fn defaults_agree() {
        assert_eq!(config(&[]), RegistrarConfig::default());
    }

    /// Each flag reaches what it is about.
    #[test]
    fn flags_become_configuration() {
        let c = config(&["--keep-alive-interval", "700", "--keep-alive-timeout", "800", "--keep-alive-retries", "7"]);
        assert_eq!((c.keep_alive.period.as_millis(), c.keep_alive.timeout.as_millis(), c.keep_alive.retries), (700, 800, 7));
        let c = config(&["--keep-alive-retry-interval", "90", "--keep-alive-spread", "0", "--keepalive-pe-id", "off"]);
        assert_eq!((c.keep_alive.retry_interval.as_millis(), c.keep_alive.spread_percent, c.keep_alive.with_id), (90, 0, false));
        let c = config(&["--remove-on-loss", "--pe-id-check", "off", "--max-bad-pe-reports", "9", "--life-unit", "seconds"]);
        assert_eq!((c.remove_on_loss, c.id_check, c.reports.max, c.life_unit), (true, false, 9, LifeUnit::Seconds));
        let c = config(&["--count-padding", "--max-handle", "64", "--min-scope", "site", "--max-hr-items", "0"]);
        assert_eq!((c.count_padding, c.max_handle, c.min_scope, c.max_items), (true, 64, Some(Scope::SiteLocal), None));
        let c = config(&["--max-increment", "4", "--limit-cause", "9", "--update-interval", "50", "--max-subscribers", "0"]);
        assert_eq!((c.max_increment, c.limit_cause), (Some(4), CauseCode::UNKNOWN_POOL_HANDLE));
        assert_eq!((c.subscriptions.interval.as_millis(), c.subscriptions.per_pool), (50, 0));
        let c = config(&["--announce-period", "rfc", "--announce-port-rule", "rfc", "--identifier", "0xbeef"]);
        assert_eq!((c.announce.max_period, c.announce.port_rule, c.id.0), (None, PortRule::Rfc, 0xbeef));
        assert_eq!(config(&["--distance-step", "7"]).distance_step.as_millis(), 7);
        let c = config(&["--announce-interval", "300"]);
        assert_eq!((c.announce.period.as_millis(), c.announce.max_period), (300, Some(Duration::from_millis(300))));
        let c = config(&["--max-pools", "1", "--max-elements", "2", "--max-elements-per-pool", "3", "--max-associations", "4"]);
        assert_eq!((c.limits.pools, c.limits.elements, c.limits.elements_per_pool, c.max_associations), (1, 2, 3, 4));
        let c = config(&["--max-elements-per-peer", "5", "--max-elements-per-association", "6", "--max-associations-per-peer", "7"]);
        assert_eq!((c.max_elements_per_peer, c.max_elements_per_association, c.max_associations_per_peer), (5, 6, 7));
        let c = config(&["--registration-rate", "1", "--resolution-rate", "2", "--report-rate", "3", "--announce-rate", "4"]);
        let rates = [c.rates.registrations, c.rates.resolutions, c.rates.reports, c.rates.announces];
        assert_eq!(rates.map(|r| (r.per_second, r.burst)), [(1, 2), (2, 4), (3, 6), (4, 8)]);
        let c = config(&["--association-rate", "5/6", "--peer-prefix", "24,56"]);
        assert_eq!((c.rates.associations.burst, c.rates.ipv4_prefix, c.rates.ipv6_prefix), (6, 24, 56));
        let c = config(&["--allow-registrar", "10.0.0.0/8,::1", "--allow-user", "10.0.0.0/8", "--allow-element", "Echo*@10.0.0.0/8"]);
        assert_eq!((c.access.registrars.len(), c.access.users.len(), c.access.elements.len()), (2, 1, 1));
        // RSPLIB's names.
        let c = config(&["--maxhresitems=5", "--maxhrrate=7", "--minaddressscope=loopback", "--maxbadpereports=4", "--maxincrement=2"]);
        assert_eq!((c.max_items, c.rates.resolutions.per_second, c.min_scope), (Some(5), 7, Some(Scope::Loopback)));
    }

    /// What is wrong is told in one line with a remedy.
    #[test]
    fn errors_take_one_line() {
        for (args, remedy) in [
            (&["--group", "10.0.0.1:5"][..], "239.0.0.50:3863, or rsplib, or iana"),
            (&["--announce-interval", "5", "--announce-period", "rfc"], "cannot be used with"),
            (&["--announce-interval", "0"], "at least 1"),
            (&["--announce-period", "often"], "short, rfc"),
            (&["--announce-port-rule", "x"], "both, rfc"),
            (&["--ttl", "0"], "1..=255"),
            (&["--asap", "0"], "1..=65535"),
            (&["--identifier", "0"], "from 1"),
            (&["--keep-alive-timeout", "x"], "milliseconds"),
            (&["--keep-alive-retries", "101"], "0..=100"),
            (&["--keep-alive-spread", "91"], "0..=90"),
            (&["--keepalive-pe-id", "maybe"], "on, off"),
            (&["--pe-id-check", "maybe"], "on, off"),
            (&["--distance-step", "0"], "at least 1"),
            (&["--life-unit", "hours"], "ms, seconds"),
            (&["--max-handle", "0"], "1..=1024"),
            (&["--min-scope", "house"], "auto, loopback, link, site, global"),
            (&["--limit-cause", "10"], "give 6"),
            (&["--max-bad-pe-reports=-1"], "invalid digit"),
            (&["--max-elements", "x"], "invalid digit"),
            (&["--resolution-rate", "0"], "100/500"),
            (&["--peer-prefix", "40,64"], "32,64"),
            (&["--allow-user", "10.0.0.0/40"], "0 to 32"),
            (&["--allow-registrar", "host"], "like 10.1.0.0/16"),
            (&["--allow-element", "@::1"], "Echo*@10.0.0.0/8"),
            (&["--config", "/nonexistent"], "cannot be read"),
        ] {
            let error = Cli::try_parse_from([&["registrar"], args].concat()).unwrap_err();
            let line = super::super::one_line(&error);
            assert!(line.contains(remedy) && !line.contains('\n'), "{args:?}: {line}");
        }
    }
}
