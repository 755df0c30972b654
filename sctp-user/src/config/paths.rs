//! What is to be chosen about addresses.

use std::net::IpAddr;

/// The address families of our own addresses that a peer is told, and that we say we can reach.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Families {
    /// IPv4 and IPv6.
    #[default]
    Both,
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Families {
    /// Whether an address is of these.
    #[must_use]
    pub const fn has(self, ip: IpAddr) -> bool {
        match self {
            Self::Both => true,
            Self::Ipv4 => ip.is_ipv4(),
            Self::Ipv6 => ip.is_ipv6(),
        }
    }

    /// The value of the Supported Address Types parameter (RFC 9260 section 3.3.2.1.6).
    pub(crate) const fn types(self) -> &'static [u8] {
        match self {
            Self::Both => &[0, 5, 0, 6],
            Self::Ipv4 => &[0, 5],
            Self::Ipv6 => &[0, 6],
        }
    }
}

/// Whether there is a NAT before the host: then its addresses mean nothing to the peer, and none are listed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Nat {
    /// There is one if SCTP goes in UDP to a peer with a public address, while all of ours are private.
    #[default]
    Auto,
    /// There is one.
    Yes,
    /// There is none.
    No,
}
