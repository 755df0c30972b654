//! Address prefixes: who counts as one peer, and who is allowed in.

use core::fmt;
use core::str::FromStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sctp_user::net::canonical;
use thiserror::Error;

/// A range of addresses, like `10.1.0.0/16` or `2001:db8::/32`. An IPv4 address in IPv6 disguise counts as what it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Prefix {
    /// With zeros behind the prefix.
    addr: IpAddr,
    len: u8,
}

/// A text is no address prefix.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum PrefixError {
    /// What is before the slash is no IP address.
    #[error("\"{0}\" is no IP address: give one like 10.1.0.0/16 or 2001:db8::/32")]
    NoAddress(String),
    /// What is behind the slash is no length.
    #[error("\"{0}\" is no prefix length: give 0 to 32 for IPv4, 0 to 128 for IPv6")]
    NoLength(String),
}

impl Prefix {
    /// The addresses that agree with `addr` in the first `len` bits; a length beyond the address's counts as all of it.
    #[must_use]
    pub fn new(addr: IpAddr, len: u8) -> Self {
        match canonical(addr) {
            IpAddr::V4(a) => {
                let len = len.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
                Self { addr: Ipv4Addr::from_bits(a.to_bits() & mask).into(), len }
            }
            IpAddr::V6(a) => {
                let len = len.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
                Self { addr: Ipv6Addr::from_bits(a.to_bits() & mask).into(), len }
            }
        }
    }

    /// Whether the address is in it.
    #[must_use]
    pub fn contains(&self, addr: IpAddr) -> bool {
        let addr = canonical(addr);
        addr.is_ipv4() == self.addr.is_ipv4() && Self::new(addr, self.len) == *self
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (addr, len) = text.split_once('/').map_or((text, None), |(addr, len)| (addr, Some(len)));
        let addr: IpAddr = addr.parse().map_err(|_| PrefixError::NoAddress(addr.into()))?;
        let max = if addr.is_ipv4() { 32 } else { 128 };
        let len = match len {
            None => max,
            Some(len) => len.parse().ok().filter(|n| *n <= max).ok_or_else(|| PrefixError::NoLength(len.into()))?,
        };
        Ok(Self::new(addr, len))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        for (text, shown) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("2001:db8:1:2:3::4/64", "2001:db8:1:2::/64"),
            ("::1", "::1/128"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(text.parse::<Prefix>().unwrap().to_string(), shown);
        }
        for bad in ["", "x/8", "10.0.0.0/33", "10.0.0.0/", "::/129", "10.0.0.0/-1", "host.example/8"] {
            let err = bad.parse::<Prefix>().unwrap_err().to_string();
            assert!(err.contains(": give "), "{err}");
        }
    }

    #[test]
    fn members() {
        let has = |p: &str, a: &str| p.parse::<Prefix>().unwrap().contains(a.parse().unwrap());
        assert!(has("10.0.0.0/8", "10.255.0.1") && !has("10.0.0.0/8", "11.0.0.1"));
        assert!(has("10.0.0.0/8", "::ffff:10.0.0.1"), "in IPv6 disguise");
        assert!(has("0.0.0.0/0", "192.0.2.1") && !has("0.0.0.0/0", "2001:db8::1") && !has("::/0", "192.0.2.1"));
        assert!(has("fe80::/10", "febf::1") && !has("fe80::/10", "fec0::1"));
    }
}
