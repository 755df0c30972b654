//! The flags about other registrars.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::{Args, ValueEnum};
use rserpool::registrar::config::RegistrarConfig;
use rserpool::registrar::enrp::config::{Arbitration, EnrpTimers};
use rserpool::wire::ENRP_PORT;

use super::milliseconds;

/// Multicast group and port of the presences: RSPLIB's.
pub const PRESENCE_GROUP: &str = "239.0.0.51:9901";

/// Flags about other registrars.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Other registrars")]
pub struct PeerOptions {
    /// SCTP port of ENRP [default: 9901, or a free one if that is taken]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub enrp: Option<u16>,
    /// Another registrar, by one or more of its addresses; may be repeated
    #[arg(long = "peer", value_name = "ADDR[:PORT][,ADDR...]", value_parser = peer)]
    pub peers: Vec<Peer>,
    /// Multicast group and UDP port by which registrars find each other; off: by --peer alone [default: 239.0.0.51:9901, but off
    /// if --announce names a group of your own]
    #[arg(long, value_name = "GROUP:PORT|off", value_parser = group)]
    pub enrp_announce: Option<Group>,
    /// How long registrars wait for each other: RSPLIB's times, or those of RFC 5353
    #[arg(long, value_name = "SET", value_enum, default_value_t = Timers::Rsplib)]
    pub timers: Timers,
    /// Tell the others that we are here once in so many milliseconds [default: by --timers, 2444 or 30000]
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    pub peer_heartbeat: Option<Duration>,
    /// Ask a registrar that was silent for so long [default: by --timers, 5000 or 61000]
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    pub max_time_last_heard: Option<Duration>,
    /// Take a registrar for dead that does not answer for so long [default: 5000]
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    pub max_time_no_response: Option<Duration>,
    /// Look for others for so long before serving alone [default: 1000]
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    pub mentor_discovery: Option<Duration>,
    /// Wait for so long until all have agreed to a takeover [default: 5000]
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    pub takeover_expiry: Option<Duration>,
    /// Which of two registrars takes over a third one: the one with the lower identifier, like RSPLIB, or with the higher one
    #[arg(long, value_name = "RULE", value_enum, default_value_t = ArbitrationRule::Lower)]
    pub takeover_arbitration: ArbitrationRule,
    /// Hand elements on to the registrars whose identifiers suit theirs, and take them when so told
    #[arg(long)]
    pub takeover_suggestion: bool,
    /// Most other registrars
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u16).range(4..))]
    pub max_peers: u16,
}

/// The addresses of another registrar.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer(Vec<SocketAddr>);

/// A multicast group, or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Group(pub Option<SocketAddr>);

/// A set of timers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Timers {
    /// RSPLIB's.
    Rsplib,
    /// Those of RFC 5353 section 4.2.
    Rfc,
}

/// Who wins a takeover.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum ArbitrationRule {
    /// The lower identifier.
    Lower,
    /// The higher one (RFC 5353 section 3.5.1).
    Rfc,
}

impl PeerOptions {
    /// Puts the flags into the configuration; where presences are sent from is not known before there are sockets.
    pub fn apply(&self, config: &mut RegistrarConfig) {
        let enrp = &mut config.enrp;
        enrp.peers = self.peers.iter().map(|p| p.0.clone()).collect();
        let set = match self.timers {
            Timers::Rsplib => EnrpTimers::RSPLIB,
            Timers::Rfc => EnrpTimers::RFC,
        };
        enrp.timers = EnrpTimers {
            heartbeat: self.peer_heartbeat.unwrap_or(set.heartbeat),
            max_time_last_heard: self.max_time_last_heard.unwrap_or(set.max_time_last_heard),
            max_time_no_response: self.max_time_no_response.unwrap_or(set.max_time_no_response),
            mentor_discovery: self.mentor_discovery.unwrap_or(set.mentor_discovery),
            takeover_expiry: self.takeover_expiry.unwrap_or(set.takeover_expiry),
        };
        enrp.arbitration = match self.takeover_arbitration {
            ArbitrationRule::Lower => Arbitration::LowerWins,
            ArbitrationRule::Rfc => Arbitration::HigherWins,
        };
        enrp.suggest_takeovers = self.takeover_suggestion;
        enrp.max_peers = self.max_peers.into();
        if let Some(Group(Some(group))) = self.enrp_announce {
            config.enrp_group = group;
        }
    }

    /// Where presences go to and come from. Who announces to a group of his own is alone there unless he says otherwise.
    pub fn presence_group(&self, announces_as_usual: bool) -> Option<SocketAddr> {
        match self.enrp_announce {
            Some(Group(group)) => group,
            None => PRESENCE_GROUP.parse().ok().filter(|_| announces_as_usual),
        }
    }
}

fn peer(text: &str) -> Result<Peer, String> {
    let bad = || format!("{text:?} is no registrar: give ADDR or ADDR:PORT, several addresses with commas between them");
    let parse = |part: &str| match part.parse::<SocketAddr>() {
        Ok(addr) => Some(addr),
        Err(_) => Some(SocketAddr::new(part.parse::<IpAddr>().ok()?, 0)),
    };
    let mut addrs = text.split(',').map(parse).collect::<Option<Vec<_>>>().ok_or_else(bad)?;
    // The port of the first one counts for all: they are the addresses of one SCTP endpoint.
    let port = addrs.first().map_or(0, SocketAddr::port);
    let port = if port == 0 { ENRP_PORT } else { port };
    if addrs.iter().any(|a| a.port() != 0 && a.port() != port) {
        return Err(bad());
    }
    addrs.iter_mut().for_each(|a| a.set_port(port));
    Ok(Peer(addrs))
}

fn group(text: &str) -> Result<Group, String> {
    if text == "off" {
        return Ok(Group(None));
    }
    let group = text.parse::<SocketAddr>().ok().filter(|g| g.ip().is_multicast() && g.port() != 0);
    group.map(|g| Group(Some(g))).ok_or_else(|| format!("{text} is not a multicast group: give GROUP:PORT, for example {PRESENCE_GROUP}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Just {
        #[command(flatten)]
        peers: PeerOptions,
    }

    fn config(args: &[&str]) -> Result<RegistrarConfig, String> {
        let just: Just = clap::Parser::try_parse_from([&["x"], args].concat()).map_err(|e| e.to_string())?;
        let mut config = RegistrarConfig::default();
        just.peers.apply(&mut config);
        config.validate().map_err(|e| e.to_string())?;
        Ok(config)
    }

    #[test]
    fn defaults_agree() {
        assert_eq!(config(&[]), Ok(RegistrarConfig::default()));
    }

    #[test]
    fn flags_become_configuration() {
        let c = config(&["--peer", "10.0.0.1", "--peer", "10.0.0.2:77,10.1.0.2", "--peer=[::1]:9"]).unwrap();
        let addrs = |a: &[&str]| a.iter().map(|a| a.parse().unwrap()).collect::<Vec<SocketAddr>>();
        assert_eq!(c.enrp.peers, [addrs(&["10.0.0.1:9901"]), addrs(&["10.0.0.2:77", "10.1.0.2:77"]), addrs(&["[::1]:9"])]);
        assert_eq!(config(&["--timers", "rfc"]).unwrap().enrp.timers, EnrpTimers::RFC);
        let c = config(&["--timers", "rfc", "--peer-heartbeat", "100", "--takeover-arbitration", "rfc", "--takeover-suggestion"]).unwrap();
        assert_eq!((c.enrp.timers.heartbeat.as_millis(), c.enrp.suggest_takeovers), (100, true));
        assert_eq!(c.enrp.arbitration, Arbitration::HigherWins);
        let c = config(&["--enrp-announce", "239.1.1.1:5", "--max-peers", "9"]).unwrap();
        assert_eq!((c.enrp_group.port(), c.enrp.max_peers), (5, 9));
        let times = ["--max-time-last-heard", "2500", "--max-time-no-response", "1", "--mentor-discovery", "2", "--takeover-expiry", "3"];
        let t = config(&times).unwrap().enrp.timers;
        let ms = [t.max_time_last_heard, t.max_time_no_response, t.mentor_discovery, t.takeover_expiry].map(|d| d.as_millis());
        assert_eq!(ms, [2500, 1, 2, 3]);
    }

    #[test]
    fn a_group_of_ones_own_is_lonely() {
        let group = |args: &[&str], usual| {
            let just: Just = clap::Parser::try_parse_from([&["x"], args].concat()).unwrap();
            just.peers.presence_group(usual).map(|g| g.to_string())
        };
        assert_eq!(group(&[], true).as_deref(), Some(PRESENCE_GROUP));
        assert_eq!(group(&[], false), None);
        assert_eq!(group(&["--enrp-announce", "239.1.1.1:5"], false).as_deref(), Some("239.1.1.1:5"));
        assert_eq!(group(&["--enrp-announce", "off"], true), None);
    }

    #[test]
    fn bad_values_are_refused() {
        for args in [["--peer", "host"], ["--peer", "10.0.0.1:1,10.0.0.2:2"], ["--enrp-announce", "10.0.0.1:5"], ["--enrp", "0"]] {
            assert!(config(&args).is_err(), "{args:?}");
        }
        assert!(config(&["--max-time-last-heard", "9"]).unwrap_err().contains("heartbeat"));
    }
}
