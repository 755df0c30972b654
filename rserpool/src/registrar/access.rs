//! Who is allowed to do what (RFC 5355 sections 2.2, 2.4 and 2.5): lists of address prefixes.
//!
//! An address of an association is known to be the peer's own: SCTP's handshake needs an answer from there. Keys shared with
//! the peers will authenticate what is behind the address; they come with SCTP AUTH (RFC 4895).

use core::fmt;
use std::net::IpAddr;

use super::prefix::Prefix;
use crate::wire::PoolHandle;

/// The allow lists; an empty list allows everybody.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct AccessConfig {
    /// Other registrars.
    pub registrars: Vec<Prefix>,
    /// Which elements may register where from.
    pub elements: Vec<ElementRule>,
    /// Who may resolve handles and report elements.
    pub users: Vec<Prefix>,
}

/// Elements of some pools may be at some addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ElementRule {
    /// The pools.
    pub pool: HandlePattern,
    /// The addresses.
    pub from: Vec<Prefix>,
}

/// A pattern for pool handles: `*` stands for any bytes, `?` for any single one, everything else for itself.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct HandlePattern(Box<[u8]>);

impl AccessConfig {
    /// Whether another registrar may be at this address.
    #[must_use]
    pub fn allows_registrar(&self, addr: IpAddr) -> bool {
        allows(&self.registrars, addr)
    }

    /// Whether a user may be at this address.
    #[must_use]
    pub fn allows_user(&self, addr: IpAddr) -> bool {
        allows(&self.users, addr)
    }

    /// Whether an element of this pool may be at this address.
    #[must_use]
    pub fn allows_element(&self, handle: &PoolHandle, addr: IpAddr) -> bool {
        let fits = |rule: &ElementRule| rule.pool.matches(handle.as_bytes()) && allows(&rule.from, addr);
        self.elements.is_empty() || self.elements.iter().any(fits)
    }

    /// Whether anybody may be at this address who has business with ASAP.
    #[must_use]
    pub fn allows_client(&self, addr: IpAddr) -> bool {
        self.allows_user(addr) || self.elements.is_empty() || self.elements.iter().any(|rule| allows(&rule.from, addr))
    }
}

fn allows(list: &[Prefix], addr: IpAddr) -> bool {
    list.is_empty() || list.iter().any(|p| p.contains(addr))
}

impl HandlePattern {
    /// The pattern that is written like this.
    #[must_use]
    pub fn new(pattern: impl AsRef<[u8]>) -> Self {
        Self(pattern.as_ref().into())
    }

    /// Whether a handle fits. Takes time in proportion to the product of both lengths at most.
    #[must_use]
    pub fn matches(&self, handle: &[u8]) -> bool {
        let (mut pattern, mut text) = (&*self.0, handle);
        // Where to go on if it does not work out: behind the last star, which then takes one byte more.
        let mut retry: Option<(&[u8], &[u8])> = None;
        loop {
            match (pattern.split_first(), text.split_first()) {
                (Some((b'*', rest)), _) => {
                    retry = Some((rest, text));
                    pattern = rest;
                }
                (Some((p, rest)), Some((t, after))) if *p == b'?' || p == t => (pattern, text) = (rest, after),
                (None, None) => return true,
                _ => match retry.map(|(p, t)| (p, t.split_first())) {
                    Some((p, Some((_, after)))) => {
                        retry = Some((p, after));
                        (pattern, text) = (p, after);
                    }
                    _ => return false,
                },
            }
        }
    }
}

impl fmt::Display for HandlePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let fits = |p: &str, t: &str| HandlePattern::new(p).matches(t.as_bytes());
        for (p, t) in
            [("*", ""), ("*", "x"), ("Echo*", "EchoPool"), ("*Pool", "EchoPoolPool"), ("?", "x"), ("a*b?c*", "aXXbXbYcZ"), ("", "")]
        {
            assert!(fits(p, t), "{p} {t}");
        }
        for (p, t) in [("", "x"), ("?", ""), ("Echo*", "echoPool"), ("*Pool", "PoolX"), ("a?c", "ac"), ("a*b", "a"), ("x", "xx")] {
            assert!(!fits(p, t), "{p} {t}");
        }
        // Many stars take no exponential time.
        assert!(!fits(&"*a".repeat(500), &"a".repeat(499)));
        assert!(fits(&"*a".repeat(500), &"a".repeat(1000)));
    }

    #[test]
    fn an_empty_list_allows_everybody() {
        let ip = |t: &str| t.parse::<IpAddr>().unwrap();
        let pool = PoolHandle::new("EchoPool").unwrap();
        let mut access = AccessConfig::default();
        assert!(access.allows_registrar(ip("192.0.2.1")) && access.allows_user(ip("::1")) && access.allows_element(&pool, ip("10.0.0.1")));
        access.users.push("10.0.0.0/8".parse().unwrap());
        access.elements.push(ElementRule { pool: HandlePattern::new("Echo*"), from: vec!["10.1.0.0/16".parse().unwrap()] });
        assert!(access.allows_user(ip("10.9.9.9")) && !access.allows_user(ip("192.0.2.1")));
        assert!(access.allows_element(&pool, ip("10.1.9.9")) && !access.allows_element(&pool, ip("10.2.0.1")));
        assert!(!access.allows_element(&PoolHandle::new("Other").unwrap(), ip("10.1.9.9")));
        assert!(access.allows_client(ip("10.2.0.1")) && !access.allows_client(ip("192.0.2.1")));
    }
}
