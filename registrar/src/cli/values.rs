//! Values on a command line.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::ValueEnum;
use rserpool::registrar::Prefix;
use rserpool::registrar::access::{ElementRule, HandlePattern};
use rserpool::registrar::config::Rate;
use rserpool::wire::{LifeUnit, Scope};

use super::{ANNOUNCE_GROUP, ASAP_PORT};

/// A switch that is on or off.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

impl Switch {
    /// Whether it is on.
    #[must_use]
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

/// The unit of registration lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Unit {
    /// As RSPLIB counts
    #[value(alias = "milliseconds")]
    Ms,
    /// As RFC 5354 says
    Seconds,
}

impl From<Unit> for LifeUnit {
    fn from(unit: Unit) -> Self {
        match unit {
            Unit::Ms => Self::Milliseconds,
            Unit::Seconds => Self::Seconds,
        }
    }
}

/// The least scope of an element's addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum MinScope {
    /// Loopback, until there is a client or a registrar on another host
    Auto,
    /// Loopback
    Loopback,
    /// Link-local
    Link,
    /// Private networks
    #[value(alias = "sitelocal")]
    Site,
    /// Global
    Global,
}

impl MinScope {
    /// The scope, unless it follows from who is there.
    #[must_use]
    pub const fn scope(self) -> Option<Scope> {
        match self {
            Self::Auto => None,
            Self::Loopback => Some(Scope::Loopback),
            Self::Link => Some(Scope::LinkLocal),
            Self::Site => Some(Scope::SiteLocal),
            Self::Global => Some(Scope::Global),
        }
    }
}

/// How often a registrar that hears others announces itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum AnnouncePeriod {
    /// At least every 2 s, however many there are
    Short,
    /// (N+1) s with N others, as RFC 5352 section 3.6 says
    Rfc,
}

/// What an announce without addresses means to its receivers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum AnnouncePortRule {
    /// RSPLIB: the datagram's port; RFC 5352: 3863; announces are such that both are right
    Both,
    /// RFC 5352 section 3.6: announces always tell the addresses
    Rfc,
}

/// Reads an identifier of an element or a registrar: decimal, or hexadecimal behind `0x`; zero is reserved.
///
/// # Errors
/// Anything else.
pub fn identifier(text: &str) -> Result<u32, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.ok().filter(|&id| id != 0).ok_or_else(|| "an identifier is a number from 1 to 0xffffffff".into())
}

/// Reads a time in whole milliseconds, at least one.
///
/// # Errors
/// Anything else.
pub fn milliseconds(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<u32>().ok().filter(|&ms| ms > 0);
    parsed.map(|ms| Duration::from_millis(ms.into())).ok_or_else(|| "a time is a whole number of milliseconds, at least 1".into())
}

/// Reads multicast groups: `rsplib`, `iana`, `GROUP` or `GROUP:PORT`.
///
/// # Errors
/// Anything else, and an address that is no multicast group.
pub(super) fn groups(text: &str) -> Result<Vec<SocketAddr>, String> {
    let iana = || {
        let site_local = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 0x133);
        [IpAddr::from(Ipv4Addr::new(224, 0, 1, 185)), site_local.into()].map(|ip| SocketAddr::new(ip, ASAP_PORT)).to_vec()
    };
    let groups = match text {
        "rsplib" => ANNOUNCE_GROUP.parse().into_iter().collect(),
        "iana" => iana(),
        _ => text.parse().or_else(|_| text.parse().map(|ip| SocketAddr::new(ip, ASAP_PORT))).into_iter().collect::<Vec<_>>(),
    };
    let valid = !groups.is_empty() && groups.iter().all(|g| g.ip().is_multicast() && g.port() != 0);
    valid.then_some(groups).ok_or_else(|| format!("no multicast group: give GROUP:PORT, for example {ANNOUNCE_GROUP}, or rsplib, or iana"))
}

/// Reads a rate: `RATE`, `RATE/BURST` in requests per second and at once, or `unlimited`. Without a burst it is twice the rate.
///
/// # Errors
/// Anything else.
pub(super) fn rate(text: &str) -> Result<Rate, String> {
    if text == "unlimited" {
        return Ok(Rate { per_second: u32::MAX, burst: u32::MAX });
    }
    let number = |t: &str| t.parse::<u32>().ok().filter(|n| *n > 0);
    let (rate, burst) = text.split_once('/').map_or((text, None), |(rate, burst)| (rate, Some(burst)));
    let per_second = number(rate);
    let burst = burst.map_or_else(|| per_second.map(|n| n.saturating_mul(2)), number);
    let rate = per_second.zip(burst).map(|(per_second, burst)| Rate { per_second, burst });
    rate.ok_or_else(|| "a rate is RATE or RATE/BURST in whole requests per second, for example 100/500, or unlimited".into())
}

/// Reads how many bits of an address make a peer: `IPV4,IPV6`.
///
/// # Errors
/// Anything else.
pub(super) fn peer_bits(text: &str) -> Result<(u8, u8), String> {
    let bits = text.split_once(',').and_then(|(four, six)| Some((four.parse().ok()?, six.parse().ok()?)));
    bits.filter(|(four, six)| *four <= 32 && *six <= 128).ok_or_else(|| "give bits of IPv4 and IPv6 addresses, for example 32,64".into())
}

/// Reads an address prefix.
///
/// # Errors
/// Anything else.
pub(super) fn prefix(text: &str) -> Result<Prefix, String> {
    text.parse::<Prefix>().map_err(|e| e.to_string())
}

/// Reads which elements are allowed where: `POOL@PREFIX`, `POOL@*` or `POOL`, the pool with `*` and `?`.
///
/// # Errors
/// Anything else.
pub(super) fn element_rule(text: &str) -> Result<ElementRule, String> {
    let (pool, from) = match text.rsplit_once('@') {
        Some((pool, "*")) => (pool, Vec::new()),
        Some((pool, from)) => (pool, vec![prefix(from)?]),
        None => (text, Vec::new()),
    };
    if pool.is_empty() {
        return Err("no pool: give POOL@PREFIX, for example Echo*@10.0.0.0/8".into());
    }
    Ok(ElementRule { pool: HandlePattern::new(pool), from })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_strictly() {
        assert_eq!(identifier("0xBEEF"), Ok(0xbeef));
        assert_eq!(identifier("17"), Ok(17));
        for bad in ["0", "0x0", "", "x", "-1", "0x100000000"] {
            assert!(identifier(bad).is_err(), "{bad}");
        }
        assert_eq!(milliseconds("250"), Ok(Duration::from_millis(250)));
        assert!(milliseconds("0").is_err() && milliseconds("1.5").is_err());
    }

    #[test]
    fn groups_and_rates() {
        assert_eq!(groups("rsplib"), Ok(vec!["239.0.0.50:3863".parse().unwrap()]));
        assert_eq!(groups("iana"), Ok(vec!["224.0.1.185:3863".parse().unwrap(), "[ff05::133]:3863".parse().unwrap()]));
        assert_eq!(groups("239.1.2.3"), Ok(vec!["239.1.2.3:3863".parse().unwrap()]));
        assert_eq!(groups("[ff02::1]:77"), Ok(vec!["[ff02::1]:77".parse().unwrap()]));
        for bad in ["", "10.0.0.1:3863", "239.0.0.50:0", "x"] {
            assert!(groups(bad).unwrap_err().contains("GROUP:PORT"), "{bad}");
        }
        assert_eq!(rate("100/500"), Ok(Rate { per_second: 100, burst: 500 }));
        assert_eq!(rate("100"), Ok(Rate { per_second: 100, burst: 200 }));
        assert!(rate("unlimited").is_ok());
        for bad in ["", "0", "1/0", "-1", "1/2/3", "fast"] {
            assert!(rate(bad).unwrap_err().contains("100/500"), "{bad}");
        }
        assert_eq!(peer_bits("24,56"), Ok((24, 56)));
        assert!(peer_bits("33,64").is_err() && peer_bits("32").is_err());
    }

    #[test]
    fn rules_for_elements() {
        let rule = element_rule("Echo*@10.0.0.0/8").unwrap();
        assert_eq!((rule.pool.to_string(), rule.from), ("Echo*".into(), vec!["10.0.0.0/8".parse().unwrap()]));
        assert_eq!(element_rule("a@b@*").unwrap().pool.to_string(), "a@b");
        assert_eq!(element_rule("Echo").unwrap().from, []);
        assert!(element_rule("@10.0.0.0/8").is_err());
        assert!(element_rule("Echo@10.0.0.0/40").unwrap_err().contains("prefix length"));
    }
}
