//! Packets on their way: from a node to the link, from the link to a node, and what ICMP says of them.
#![allow(clippy::indexing_slicing, reason = "host ids index a vector that never shrinks; what a test passes wrongly shall fail loudly")]

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::fault::Pause;
use super::host::{Host, HostId, SimNode, State};
use super::link::Dropped;
use super::observe::Fate;
use super::world::{Item, World};
use crate::entropy::Entropy as _;
use crate::net::{Channel, Ecn, Meta, NetError, NetErrorKind, Train, Transmit};
use crate::time::Time;

/// Most packets that a node may send in answer to one call: more is an endless loop.
const MAX_PACKETS_PER_CALL: usize = 100_000;
/// How much of an SCTP packet an ICMP error quotes, in bytes.
const ICMP_QUOTE: usize = 128;

/// A packet between hosts, as it is on the wire.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    /// UDP source and destination port; `None` directly over IP.
    pub(super) ports: Option<(u16, u16)>,
    /// Whether it is a plain datagram, without SCTP.
    pub(super) plain: bool,
    pub(super) ecn: Option<Ecn>,
    pub(super) dscp: u8,
    pub(super) flow_label: u32,
    pub(super) may_fragment: bool,
    pub(super) bytes: Bytes,
    /// Who sent it on which channel: for ICMP.
    from: HostId,
    channel: Channel,
}

impl World {
    /// Calls a host's node, if it runs, and sends what it has to send.
    pub(super) fn call(&mut self, host: HostId, f: impl FnOnce(&mut dyn SimNode, Time)) {
        let h = &mut self.hosts[host.0];
        if h.state != State::Up {
            return;
        }
        let local = h.local(self.now);
        if let Some(node) = h.node.as_deref_mut() {
            f(node, local);
        }
        self.drain(host);
    }

    /// Sends all that a node has to send, then asks when it wants to be called.
    pub(super) fn drain(&mut self, host: HostId) {
        let h = &mut self.hosts[host.0];
        if h.state != State::Up {
            return;
        }
        let Some(mut node) = h.node.take() else { return };
        let (local, max_segments) = (h.local(self.now), h.cfg.max_segments);
        let mut buf = core::mem::take(&mut self.buf);
        let mut sent = 0;
        loop {
            buf.clear();
            let Some(transmit) = node.poll_transmit(local, max_segments, &mut buf) else { break };
            sent += 1;
            assert!(sent <= MAX_PACKETS_PER_CALL, "host {:?} sends without end", self.hosts[host.0].cfg.name);
            self.send(host, &transmit, &buf);
        }
        self.buf = buf;
        let h = &mut self.hosts[host.0];
        h.deadline = node.poll_timeout();
        h.node = Some(node);
    }

    /// Sends a packet, or the packets of a train one by one.
    fn send(&mut self, host: HostId, t: &Transmit, bytes: &[u8]) {
        let h = &self.hosts[host.0];
        let name = &h.cfg.name;
        assert_eq!(t.size, bytes.len(), "host {name:?}: size of {t:?}");
        assert!(t.size > 0, "host {name:?} sends an empty packet");
        assert_ne!(t.segment_size, Some(0), "host {name:?}: {t:?}");
        let stride = t.segment_size.unwrap_or(t.size);
        assert!(t.size.div_ceil(stride) <= h.cfg.max_segments.max(1), "host {name:?}: a train of too many packets: {t:?}");
        let (ports, plain) = wire_ports(h, t);
        let dst = t.dst.ip().to_canonical();
        let own = |ip: &IpAddr| h.cfg.addrs.contains(ip);
        let src = t.src.map(|s| s.to_canonical()).filter(|s| !s.is_unspecified());
        // Routing takes the address itself if the packet stays here, else the nearest one.
        let nearest = || h.cfg.addrs.iter().copied().filter(|a| a.is_ipv4() == dst.is_ipv4()).min_by_key(|a| distance(*a, dst));
        let routed = Some(dst).filter(own).or_else(nearest);
        let Some(source) = src.or(routed) else { return };
        let valid = own(&source);
        let bytes = Bytes::copy_from_slice(bytes);
        for at in (0..t.size).step_by(stride) {
            let wire = Wire {
                src: source,
                dst,
                ports,
                plain,
                ecn: t.ecn,
                dscp: t.dscp,
                flow_label: t.flow_label,
                may_fragment: t.may_fragment,
                bytes: bytes.slice(at..t.size.min(at + stride)),
                from: host,
                channel: t.channel,
            };
            if valid {
                self.observer.packet(self.now, &self.hosts, host, Fate::Sent, &wire);
                self.route(wire);
            } else {
                self.observer.packet(self.now, &self.hosts, host, Fate::NotItsAddress, &wire);
            }
        }
    }

    fn route(&mut self, wire: Wire) {
        if !wire.dst.is_multicast() {
            let to = wire.dst;
            self.carry(wire, to, None);
            return;
        }
        for member in 0..self.hosts.len() {
            let cfg = &self.hosts[member].cfg;
            let near = cfg.addrs.iter().find(|a| **a == wire.src).or_else(|| cfg.addrs.iter().find(|a| a.is_ipv4() == wire.dst.is_ipv4()));
            if let Some(to) = near.copied()
                && cfg.groups.contains(&wire.dst)
                && wire.ports.is_some_and(|(_, port)| cfg.datagram_ports.contains(&port) || cfg.udp_ports.contains(&port))
            {
                self.carry(wire.clone(), to, Some(HostId(member)));
            }
        }
    }

    /// Gives a packet to the link to the address `to`.
    fn carry(&mut self, wire: Wire, to: IpAddr, member: Option<HostId>) {
        let ip_header = if wire.dst.is_ipv4() { 20 } else { 40 };
        let udp_header = if wire.ports.is_some() { 8 } else { 0 };
        let (from, len) = (wire.src, wire.bytes.len() + ip_header + udp_header);
        self.link(from, to);
        let Some(link) = self.links.get_mut(&(from, to)) else { return };
        match link.offer(self.now, len, wire.may_fragment, wire.ecn, &mut self.rng) {
            Ok(arrivals) => {
                for arrival in arrivals {
                    let mut wire = Wire { ecn: arrival.ecn, ..wire.clone() };
                    if arrival.damaged {
                        if wire.plain {
                            self.observer.packet(self.now, &self.hosts, wire.from, Fate::Damaged, &wire);
                            continue;
                        }
                        wire.bytes = self.damage(&wire.bytes);
                    }
                    self.schedule(arrival.at, Item::Packet { wire, member });
                }
            }
            Err(why) => {
                let fate = match why {
                    Dropped::Cut => Fate::Cut,
                    Dropped::Lost => Fate::Lost,
                    Dropped::QueueFull => Fate::QueueFull,
                    Dropped::TooBig => Fate::TooBig,
                };
                let (report, mtu, delay) = (link.cfg.reports_too_big, link.cfg.mtu, link.cfg.delay);
                self.observer.packet(self.now, &self.hosts, wire.from, fate, &wire);
                if why == Dropped::TooBig && report && self.icmp {
                    let mtu = u32::try_from(mtu).unwrap_or(u32::MAX);
                    self.report(&wire, NetErrorKind::TooBig { mtu }, self.now + delay);
                }
            }
        }
    }

    /// Flips one to three different bits.
    fn damage(&mut self, bytes: &Bytes) -> Bytes {
        let mut damaged = bytes.to_vec();
        let bits = bytes.len() as u64 * 8;
        let mut flipped = Vec::new();
        for _ in 0..=self.rng.below(3) {
            let bit = usize::try_from(self.rng.below(bits)).unwrap_or(0);
            if !flipped.contains(&bit) {
                flipped.push(bit);
                damaged[bit / 8] ^= 1 << (bit % 8);
            }
        }
        damaged.into()
    }

    pub(super) fn is_addressed(&self, host: HostId, wire: &Wire) -> bool {
        let h = &self.hosts[host.0];
        matches!(h.state, State::Up | State::Frozen(_)) && h.cfg.addrs.contains(&wire.dst) && h.accepts(wire).is_some()
    }

    /// A packet reaches a host, together with those that its network card has gathered behind it.
    pub(super) fn arrive(&mut self, host: HostId, wire: Wire) {
        let Some(channel) = self.hosts[host.0].accepts(&wire) else { return };
        match self.hosts[host.0].state {
            State::Up => {
                let mut wires = vec![wire];
                if let [first] = wires.as_slice()
                    && !first.plain
                {
                    let more = self.gather(host, first);
                    wires.extend(more);
                }
                self.receive_train(host, channel, &wires);
            }
            State::Frozen(Pause::Queue(max)) if self.hosts[host.0].inbox.len() < max => {
                self.hosts[host.0].inbox.push_back((wire, channel));
            }
            State::Frozen(_) => self.observer.packet(self.now, &self.hosts, host, Fate::Frozen, &wire),
            State::Ended | State::Off => self.observer.packet(self.now, &self.hosts, host, Fate::Unreachable, &wire),
        }
    }

    /// Takes from the agenda the packets that arrive right behind `first` at this very moment and fit into one train with it.
    fn gather(&mut self, host: HostId, first: &Wire) -> Vec<Wire> {
        let mut more: Vec<Wire> = Vec::new();
        while more.len() + 1 < self.hosts[host.0].cfg.max_train {
            let fits = match self.agenda.first_key_value() {
                Some(((at, _), Item::Packet { wire, member: None })) => {
                    *at <= self.now
                        && (wire.src, wire.dst, wire.ports, wire.ecn) == (first.src, first.dst, first.ports, first.ecn)
                        && wire.bytes.len() <= first.bytes.len()
                }
                _ => false,
            };
            if !fits || more.last().is_some_and(|w| w.bytes.len() < first.bytes.len()) {
                break;
            }
            if let Some((_, Item::Packet { wire, .. })) = self.agenda.pop_first() {
                more.push(wire);
            }
        }
        more
    }

    pub(super) fn receive_train(&mut self, host: HostId, channel: Channel, wires: &[Wire]) {
        let [first, rest @ ..] = wires else { return };
        for wire in wires {
            self.observer.packet(self.now, &self.hosts, host, Fate::Received, wire);
        }
        if rest.is_empty() {
            self.hand_over(host, channel, first, Train::single(first.bytes.clone()));
        } else {
            let bytes: Vec<u8> = wires.iter().flat_map(|w| w.bytes.iter().copied()).collect();
            self.hand_over(host, channel, first, Train { bytes: bytes.into(), stride: first.bytes.len() });
        }
    }

    /// Hands a train to a host; `first` is its first packet.
    fn hand_over(&mut self, host: HostId, channel: Channel, first: &Wire, train: Train) {
        let meta = Meta { src: first.src, dst: first.dst, channel, ecn: first.ecn, ifindex: None };
        self.call(host, |node, now| node.handle_batch(now, &meta, train));
    }

    /// Nobody takes the packet: the machine says so, if it is there and not behind a NAT, which drops in silence.
    pub(super) fn unreachable(&mut self, wire: &Wire) {
        self.observer.packet(self.now, &self.hosts, wire.from, Fate::Unreachable, wire);
        let machine = self.hosts.iter().any(|h| h.state != State::Off && h.nat.is_empty() && h.cfg.addrs.contains(&wire.dst));
        if !machine || !self.icmp {
            return;
        }
        let kind = if wire.ports.is_some() { NetErrorKind::PortUnreachable } else { NetErrorKind::ProtocolUnreachable };
        self.link(wire.dst, wire.src);
        let Some(back) = self.links.get_mut(&(wire.dst, wire.src)) else { return };
        if let Ok(arrivals) = back.offer(self.now, 56, true, None, &mut self.rng)
            && let Some(arrival) = arrivals.first()
        {
            self.report(wire, kind, arrival.at);
        }
    }

    fn report(&mut self, wire: &Wire, kind: NetErrorKind, at: Time) {
        let quoted = wire.bytes.slice(..wire.bytes.len().min(ICMP_QUOTE));
        let err = NetError { kind, dst: wire.dst, channel: wire.channel, quoted };
        self.schedule(at, Item::Icmp { host: wire.from, err });
    }
}

/// What two addresses do not have in common, from the first bit that differs on.
fn distance(a: IpAddr, b: IpAddr) -> u128 {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => u128::from(a.to_bits() ^ b.to_bits()),
        (IpAddr::V6(a), IpAddr::V6(b)) => a.to_bits() ^ b.to_bits(),
        _ => u128::MAX,
    }
}

/// The UDP ports of what a host sends as the world sees them, and whether it is a plain datagram.
fn wire_ports(host: &Host, t: &Transmit) -> (Option<(u16, u16)>, bool) {
    let name = &host.cfg.name;
    match t.channel {
        Channel::Udp { local, remote } => {
            assert!(host.cfg.udp_ports.contains(&local), "host {name:?} has no UDP port {local} for SCTP");
            assert_eq!(t.dst, SocketAddr::new(t.dst.ip(), remote), "host {name:?}: two destination ports");
            (Some((host.outer(local), remote)), false)
        }
        Channel::Datagram { local, remote } => {
            assert!(host.cfg.datagram_ports.contains(&local), "host {name:?} has no UDP port {local} for datagrams");
            assert_eq!(t.dst, SocketAddr::new(t.dst.ip(), remote), "host {name:?}: two destination ports");
            (Some((host.outer(local), remote)), true)
        }
        Channel::Raw => {
            assert!(host.cfg.raw, "host {name:?} cannot send directly over IP");
            (None, false)
        }
        Channel::Tun(n) => panic!("host {name:?} has no TUN device {n}"),
        Channel::Lower(n) => panic!("host {name:?} has no lower layer {n}"),
    }
}
