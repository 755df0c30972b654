//! What the core says to its lower layer and hears from it: datagrams with their addresses, and network errors.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use bytes::Bytes;

/// How a packet travels below SCTP.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Channel {
    /// Directly over IP, protocol 132.
    Raw,
    /// In UDP (RFC 6951).
    Udp {
        /// Our UDP port.
        local: u16,
        /// The peer's UDP port.
        remote: u16,
    },
    /// Not SCTP at all: a plain UDP datagram, such as a registrar's announce.
    Datagram {
        /// Our UDP port.
        local: u16,
        /// The peer's UDP port.
        remote: u16,
    },
    /// A lower layer that the program hands in.
    Lower(u32),
    /// Directly over IP, on a TUN device whose addresses are the stack's own.
    Tun(u32),
}

impl Channel {
    /// Whether both are the same way, but perhaps with other UDP ports.
    pub(crate) fn same_kind(self, other: Self) -> bool {
        match (self, other) {
            (Self::Udp { .. }, Self::Udp { .. }) | (Self::Datagram { .. }, Self::Datagram { .. }) => true,
            _ => self == other,
        }
    }

    /// Whether it uses the addresses of the host, so that one address may be reached over several.
    pub(crate) const fn is_shared(self) -> bool {
        matches!(self, Self::Raw | Self::Udp { .. })
    }

    /// Whether peers have IP addresses on it that mean anything to them.
    pub(crate) const fn has_addresses(self) -> bool {
        !matches!(self, Self::Lower(_))
    }

    /// The peer's UDP port, 0 where there is none.
    pub(crate) const fn remote_port(self) -> u16 {
        match self {
            Self::Udp { remote, .. } | Self::Datagram { remote, .. } => remote,
            Self::Raw | Self::Lower(_) | Self::Tun(_) => 0,
        }
    }
}

/// ECN code point of the IP header (RFC 3168).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ecn {
    /// ECT(0).
    Ect0,
    /// ECT(1).
    Ect1,
    /// Congestion experienced.
    Ce,
}

/// Where a received train of packets came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Meta {
    /// The sender's address.
    pub src: IpAddr,
    /// Our address that the packet was sent to.
    pub dst: IpAddr,
    /// What carried it.
    pub channel: Channel,
    /// The ECN mark, where the transport can read it.
    pub ecn: Option<Ecn>,
    /// The interface that it came in by, for link-local addresses.
    pub ifindex: Option<u32>,
}

impl Meta {
    /// Whether an address is an IPv4 address that looks like one of IPv6, as dual-stack sockets have it.
    pub(crate) fn is_disguised(&self) -> bool {
        let disguised = |ip| matches!(ip, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
        disguised(self.src) || disguised(self.dst)
    }
}

/// Packets received together from one sender, each `stride` bytes long but the last, which may be shorter.
#[derive(Clone, Debug)]
pub struct Train {
    /// The packets, back to back.
    pub bytes: Bytes,
    /// Length of each packet but the last; zero counts as "one packet".
    pub stride: usize,
}

impl Train {
    /// A train of a single packet.
    #[must_use]
    pub fn single(bytes: Bytes) -> Self {
        let stride = bytes.len();
        Self { bytes, stride }
    }

    /// The packets one by one; they share the train's memory.
    pub fn packets(&self) -> impl Iterator<Item = Bytes> + '_ {
        let stride = if self.stride == 0 { self.bytes.len().max(1) } else { self.stride };
        (0..self.bytes.len()).step_by(stride).map(move |at| self.bytes.slice(at..self.bytes.len().min(at + stride)))
    }
}

/// A packet, or a train of equal packets, that the core wants sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// The source address to use; `None` leaves it to routing.
    pub src: Option<IpAddr>,
    /// Destination: the IP address, with its scope where it is link-local, and the UDP port (0 on [`Channel::Raw`]).
    pub dst: SocketAddr,
    /// What shall carry it.
    pub channel: Channel,
    /// ECN mark to set.
    pub ecn: Option<Ecn>,
    /// Bytes appended to the caller's buffer.
    pub size: usize,
    /// Length of each packet but the last if this is a train.
    pub segment_size: Option<usize>,
    /// DSCP, 0 to 63.
    pub dscp: u8,
    /// IPv6 flow label, 20 bits.
    pub flow_label: u32,
    /// Whether IP may fragment it (DF cleared for this send); never for a train.
    pub may_fragment: bool,
}

impl Transmit {
    /// Back to where a packet came from, from where it went to (RFC 6951 section 5.4: the UDP port of that very packet).
    pub(crate) fn back_to(meta: &Meta) -> Self {
        Self {
            src: Some(meta.dst),
            dst: scoped(meta.src, meta.channel.remote_port(), meta.ifindex.unwrap_or(0)),
            channel: meta.channel,
            ecn: None,
            size: 0,
            segment_size: None,
            dscp: 0,
            flow_label: 0,
            may_fragment: false,
        }
    }
}

/// What kind of error the network reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum NetErrorKind {
    /// Host or network unreachable.
    Unreachable,
    /// Nobody listens on the UDP port that was addressed.
    PortUnreachable,
    /// The destination does not speak protocol 132.
    ProtocolUnreachable,
    /// The packet was too big for a link.
    TooBig {
        /// The link's MTU in bytes, IP header included.
        mtu: u32,
    },
}

/// An error that the network reported by ICMP, not yet validated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetError {
    /// What was reported.
    pub kind: NetErrorKind,
    /// The destination of the packet that failed.
    pub dst: IpAddr,
    /// How the packet travelled.
    pub channel: Channel,
    /// The beginning of the SCTP packet as quoted; believed only if its verification tag is right.
    pub quoted: Bytes,
}

/// A change of the host's own addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AddrChange {
    /// The complete set of addresses that are up now.
    Set(Vec<IpAddr>),
}

/// Where a peer is to be reached.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PeerAddr {
    /// IP address and SCTP port.
    pub addr: SocketAddr,
    /// What carries packets to it; `None` takes the stack's default.
    pub channel: Option<Channel>,
}

impl PeerAddr {
    /// The interface that it is to be reached by, if that was said of a link-local address; else 0.
    pub(crate) fn ifindex(&self) -> u32 {
        match self.addr {
            SocketAddr::V6(v6) => scope_of(self.addr.ip(), v6.scope_id()),
            SocketAddr::V4(_) => 0,
        }
    }
}

impl From<SocketAddr> for PeerAddr {
    fn from(addr: SocketAddr) -> Self {
        Self { addr, channel: None }
    }
}

/// The interface that an address needs as its scope (RFC 4007 section 6): `ifindex` for a link-local IPv6 address, else 0.
pub(crate) fn scope_of(ip: IpAddr, ifindex: u32) -> u32 {
    match ip {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => ifindex,
        _ => 0,
    }
}

/// An address with its port, and with the scope that it needs.
pub(crate) fn scoped(ip: IpAddr, port: u16, ifindex: u32) -> SocketAddr {
    match ip {
        IpAddr::V4(_) => SocketAddr::new(ip, port),
        IpAddr::V6(v6) => SocketAddrV6::new(v6, port, 0, scope_of(ip, ifindex)).into(),
    }
}

/// The address without the IPv4-mapped disguise of dual-stack sockets.
#[must_use]
pub fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}
