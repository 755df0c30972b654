//! Our own addresses: which of them the peer is told, which of the peer's are believed, and from which a path is tried.

use std::net::IpAddr;

use crate::config::{AssocConfig, Families, Nat};
use crate::net::Channel;

/// Addresses that an initiator lists if it adds the others later: the INIT and the COOKIE ECHO that it leads to stay within 1200 bytes, as
/// far as the peer's cookie grows with them as ours does, and with as much again for what it keeps besides (rulings section 1 row 12).
pub(crate) const BRIEF_LIST: usize = 24;
/// Most addresses that we list.
const MAX_LISTED: usize = 64;

/// How far an address reaches (RFC 9260 section 12.2.1 and RFC 4007).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Scope {
    Loopback,
    Link,
    Private,
    Global,
}

fn scope(ip: IpAddr) -> Scope {
    let (loopback, link, private) = match ip {
        IpAddr::V4(a) => {
            let shared = a.octets()[0] == 100 && a.octets()[1] & 0xc0 == 64;
            (a.is_loopback(), a.is_link_local(), a.is_private() || shared)
        }
        IpAddr::V6(a) => (a.is_loopback(), a.is_unicast_link_local(), a.is_unique_local()),
    };
    match (loopback, link, private) {
        (true, ..) => Scope::Loopback,
        (_, true, _) => Scope::Link,
        (_, _, true) => Scope::Private,
        _ => Scope::Global,
    }
}

fn is_unicast(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !ip.is_multicast() && !ip.is_unspecified() && !broadcast
}

/// Whether an address means the same to both ends of a way to `peer`: neither the loopback nor a link may be left.
pub(crate) fn in_scope(addr: IpAddr, peer: IpAddr) -> bool {
    let (addr_scope, peer_scope) = (scope(addr), scope(peer));
    is_unicast(addr)
        && match addr_scope {
            Scope::Loopback | Scope::Link => addr_scope == peer_scope,
            Scope::Private | Scope::Global => peer_scope != Scope::Loopback,
        }
}

/// Whether an address that a peer listed is taken: it must be in the scope of `known`, where the peer is reached, and not one of our
/// `own`, unless the peer is on this very host; many hosts have the same address inside, and one would talk to oneself.
pub(crate) fn believed(addr: IpAddr, known: IpAddr, own: &[IpAddr]) -> bool {
    in_scope(addr, known) && (!own.contains(&addr) || own.contains(&known))
}

/// Whether there is a NAT between us and `peer`, as far as can be told (rulings section 1 row 13).
fn behind_nat(cfg: &AssocConfig, own: &[IpAddr], peer: IpAddr, channel: Channel) -> bool {
    match cfg.nat {
        Nat::Yes => true,
        Nat::No => false,
        // Who says what the world calls us knows of a NAT that lets everything in.
        Nat::Auto if cfg.advertise.is_some() => false,
        Nat::Auto => {
            let mut same = own.iter().filter(|a| a.is_ipv4() == peer.is_ipv4() && in_scope(**a, peer)).peekable();
            matches!(channel, Channel::Udp { .. })
                && scope(peer) == Scope::Global
                && same.peek().is_some()
                && same.all(|a| scope(*a) == Scope::Private)
        }
    }
}

/// Our addresses by which `peer` can reach us; `own` are those of the host, or those that the endpoint is bound to.
pub(crate) fn usable(cfg: &AssocConfig, own: &[IpAddr], peer: IpAddr, channel: Channel) -> Vec<IpAddr> {
    if behind_nat(cfg, own, peer, channel) {
        return Vec::new();
    }
    filter(own, cfg.families, peer)
}

/// The addresses that INIT and INIT ACK list; `usable` are those that are really ours. A single one needs no list: the packet has it
/// as its source (RFC 9260 section 5.1.2), unless that is a link-local one.
pub(crate) fn listed(cfg: &AssocConfig, usable: &[IpAddr], peer: IpAddr) -> Vec<IpAddr> {
    match &cfg.advertise {
        Some(others) => filter(others, cfg.families, peer),
        None if usable.len() > 1 || scope(peer) == Scope::Link => filter(usable, cfg.families, peer),
        None => Vec::new(),
    }
}

fn filter(addrs: &[IpAddr], families: Families, peer: IpAddr) -> Vec<IpAddr> {
    let mut list = Vec::new();
    for a in addrs.iter().map(IpAddr::to_canonical) {
        if families.has(a) && in_scope(a, peer) && !list.contains(&a) && list.len() < MAX_LISTED {
            list.push(a);
        }
    }
    list
}

/// How many bits two addresses have in common at their beginning.
fn common_prefix(a: IpAddr, b: IpAddr) -> u32 {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        _ => 0,
    }
}

/// Whether a packet to `dst` may leave from `src`: IPv6 does not mix links and the wide world (RFC 6724 section 5 rule 2).
fn may_reach(src: IpAddr, dst: IpAddr) -> bool {
    let link = |ip: IpAddr| ip.is_ipv6() && scope(ip) == Scope::Link;
    src.is_ipv4() == dst.is_ipv4() && (link(src) == link(dst))
}

/// Our address that is nearest to `dst`, of those that mean something there.
pub(crate) fn nearest(own: &[IpAddr], dst: IpAddr) -> Option<IpAddr> {
    let own: Vec<_> = own.iter().copied().filter(|a| in_scope(*a, dst)).collect();
    for_attempt(&own, None, dst, 0)
}

/// The source address for the attempt number `attempt` to reach `dst`: `own` addresses in the order of the longest common prefix,
/// again and again. If one is `settled`, it has every second turn, the first one included. `None` leaves it to routing.
pub(crate) fn for_attempt(own: &[IpAddr], settled: Option<IpAddr>, dst: IpAddr, attempt: u8) -> Option<IpAddr> {
    if attempt.is_multiple_of(2) && settled.is_some() {
        return settled;
    }
    let attempt = if settled.is_some() { attempt / 2 } else { attempt };
    let mut order: Vec<_> = own.iter().copied().filter(|a| may_reach(*a, dst) && Some(*a) != settled).collect();
    order.sort_by_key(|a| core::cmp::Reverse(common_prefix(*a, dst)));
    let at = usize::from(attempt).checked_rem(order.len());
    at.and_then(|at| order.get(at).copied()).or(settled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|a| a.parse().unwrap()).collect()
    }

    fn ip(a: &str) -> IpAddr {
        a.parse().unwrap()
    }

    const UDP: Channel = Channel::Udp { local: 9899, remote: 9899 };

    #[test]
    fn addresses_are_listed_to_whom_they_mean_something() {
        let own =
            ips(&["127.0.0.1", "::1", "169.254.1.1", "fe80::1", "10.0.0.1", "192.0.2.1", "2001:db8::1", "fd00::1", "224.0.0.1", "0.0.0.0"]);
        let cfg = AssocConfig::rfc();
        let to = |peer| usable(&cfg, &own, ip(peer), UDP);
        assert_eq!(to("127.0.0.1"), ips(&["127.0.0.1", "::1"]));
        let others = ips(&["10.0.0.1", "192.0.2.1", "2001:db8::1", "fd00::1"]);
        assert_eq!(to("192.0.2.2"), others);
        assert_eq!(to("10.0.0.2"), others);
        let link = ips(&["169.254.1.1", "fe80::1", "10.0.0.1", "192.0.2.1", "2001:db8::1", "fd00::1"]);
        assert_eq!(to("fe80::2"), link);
        let only = |families| usable(&AssocConfig { families, ..AssocConfig::rfc() }, &own, ip("192.0.2.2"), UDP);
        assert_eq!(only(Families::Ipv4), ips(&["10.0.0.1", "192.0.2.1"]));
        assert_eq!(only(Families::Ipv6), ips(&["2001:db8::1", "fd00::1"]));
    }

    #[test]
    fn behind_a_nat_nothing_is_listed() {
        let cfg = AssocConfig::rfc();
        let own = ips(&["10.0.0.1", "10.1.0.1"]);
        assert!(usable(&cfg, &own, ip("192.0.2.2"), UDP).is_empty());
        assert_eq!(usable(&cfg, &own, ip("192.0.2.2"), Channel::Raw), own, "there is no NAT without UDP");
        assert_eq!(usable(&cfg, &own, ip("10.9.0.1"), UDP), own, "the peer is as private");
        let cfg = AssocConfig { nat: Nat::No, ..AssocConfig::rfc() };
        assert_eq!(usable(&cfg, &own, ip("192.0.2.2"), UDP), own);
        let cfg = AssocConfig { nat: Nat::Yes, ..AssocConfig::rfc() };
        assert!(usable(&cfg, &own, ip("10.9.0.1"), UDP).is_empty());
    }

    #[test]
    fn what_is_listed_may_differ_from_what_is_bound() {
        let own = ips(&["10.0.0.1"]);
        assert!(listed(&AssocConfig::rfc(), &own, ip("10.0.0.2")).is_empty(), "the packet says it");
        let cfg = AssocConfig { advertise: Some(ips(&["192.0.2.1", "127.0.0.1"]).into()), ..AssocConfig::rfc() };
        assert_eq!(listed(&cfg, &own, ip("198.51.100.1")), ips(&["192.0.2.1"]));
        assert_eq!(usable(&cfg, &own, ip("198.51.100.1"), UDP), own, "and packets come to what is bound");
    }

    #[test]
    fn sources_are_tried_nearest_first() {
        let own = ips(&["10.0.0.1", "10.1.0.1", "fd00::1", "10.1.2.1"]);
        let at = |n| for_attempt(&own, None, ip("10.1.2.9"), n).unwrap();
        assert_eq!([at(0), at(1), at(2), at(3)], ["10.1.2.1", "10.1.0.1", "10.0.0.1", "10.1.2.1"].map(ip));
        let at = |n| for_attempt(&own, Some(ip("10.0.0.1")), ip("10.1.2.9"), n).unwrap();
        let settled = "10.0.0.1";
        assert_eq!([at(0), at(1), at(2), at(3), at(4)], [settled, "10.1.2.1", settled, "10.1.0.1", settled].map(ip));
        assert_eq!(for_attempt(&[ip(settled)], Some(ip(settled)), ip("10.1.2.9"), 1), Some(ip(settled)));
        assert_eq!(for_attempt(&own[..2], None, ip("fd00::2"), 0), None);
        let own = ips(&["fe80::1", "fd00::1"]);
        let from = |dst| [0, 1].map(|n| for_attempt(&own, None, ip(dst), n).unwrap());
        assert_eq!(from("fd00::2"), ["fd00::1", "fd00::1"].map(ip));
        assert_eq!(from("fe80::2"), ["fe80::1", "fe80::1"].map(ip));
    }
}
