//! The host's own addresses and interfaces.

use std::net::{IpAddr, Ipv6Addr};

/// An address of an interface that is up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct InterfaceAddr {
    /// The address.
    pub addr: IpAddr,
    /// The interface's index, which link-local addresses need as their scope.
    pub index: u32,
    /// Whether the interface is the loopback.
    pub loopback: bool,
    /// Whether it can send and receive multicast.
    pub multicast: bool,
}

/// The addresses of all interfaces that are up, in the order of their values.
#[must_use]
pub fn interfaces() -> Vec<InterfaceAddr> {
    let mut all: Vec<_> = pnet_datalink::interfaces()
        .into_iter()
        .filter(pnet_datalink::NetworkInterface::is_up)
        .flat_map(|interface| {
            let (index, loopback, multicast) = (interface.index, interface.is_loopback(), interface.is_multicast());
            interface.ips.into_iter().map(move |net| InterfaceAddr { addr: net.ip(), index, loopback, multicast })
        })
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The addresses by which SCTP peers may reach this host, those of the loopback included.
///
/// Link-local IPv6 addresses are left out: they mean nothing without a scope, which INIT cannot carry
/// (RFC 9260 section 3.3.2.2 has no place for one).
#[must_use]
pub fn host_addresses() -> Vec<IpAddr> {
    interfaces().into_iter().map(|i| i.addr).filter(|ip| !is_link_local(ip)).collect()
}

/// The addresses that a runtime may use, those of links included: of the `bound` ones those that the host has, or all if there
/// are no bound ones.
#[must_use]
pub(crate) fn usable(bound: &[IpAddr]) -> Vec<IpAddr> {
    let mut host: Vec<_> = interfaces().into_iter().map(|i| i.addr).collect();
    host.dedup();
    if bound.is_empty() {
        return host;
    }
    // All of 127.0.0.0/8 is ours, but no interface lists it. A single address is all that there is, whatever becomes of it.
    let usable = |ip: &IpAddr| bound.len() == 1 || ip.is_loopback() || host.contains(ip);
    bound.iter().copied().filter(usable).collect()
}

/// The index of the interface that has a link-local IPv6 address, which such an address needs as its scope; else 0.
#[must_use]
pub(crate) fn scope_of(addr: IpAddr) -> u32 {
    if !is_link_local(&addr) {
        return 0;
    }
    interfaces().iter().find(|i| i.addr == addr).map_or(0, |i| i.index)
}

/// Whether it is an IPv6 address that only its link knows, and that needs a scope therefore.
pub(crate) fn is_link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => Ipv6Addr::is_unicast_link_local(v6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_among_the_host_addresses_if_it_is_up() {
        let up = interfaces().iter().any(|i| i.loopback);
        let listed = host_addresses().iter().any(IpAddr::is_loopback);
        assert_eq!(up, listed);
    }

    #[test]
    fn link_local_addresses_are_not_advertised() {
        assert!(is_link_local(&"fe80::1".parse().unwrap()));
        assert!(!is_link_local(&"2001:db8::1".parse().unwrap()));
        assert!(!host_addresses().iter().any(is_link_local));
    }

    #[test]
    fn a_bound_host_has_no_other_addresses() {
        let ip = |a: &str| -> IpAddr { a.parse().unwrap() };
        assert_eq!(usable(&[ip("192.0.2.77")]), [ip("192.0.2.77")], "the only one");
        assert_eq!(usable(&[ip("127.0.0.9"), ip("192.0.2.77")]), [ip("127.0.0.9")], "this host has no such address");
        assert!(host_addresses().iter().all(|a| usable(&[]).contains(a)));
    }
}
