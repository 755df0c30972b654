//! The world: it pops the earliest of arrivals, timers and faults, and calls the nodes.
#![allow(clippy::indexing_slicing, reason = "host ids index a vector that never shrinks; what a test passes wrongly shall fail loudly")]

use core::any::Any;
use core::marker::PhantomData;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::fault::{Crash, Fault, Pause};
use super::host::{Host, HostConfig, HostId, NodeId, SimNode, State};
use super::link::{Dropped, Link, LinkConfig, LinkStats};
use super::observe::{Fate, Observer, Seen};
use crate::entropy::{Entropy, SeededEntropy};
use crate::net::{AddrChange, Channel, Ecn, Meta, NetError, NetErrorKind, Train, Transmit};
use crate::node::Node;
use crate::time::Time;

/// Most packets that a node may send in answer to one call: more is an endless loop.
const MAX_PACKETS_PER_CALL: usize = 100_000;
/// Most calls of a node's timer in a row, at one time, that make it send nothing: more is a livelock.
const MAX_IDLE_TIMEOUTS: u32 = 10_000;
/// Most steps without the clock moving.
const MAX_STEPS_AT_ONE_TIME: u64 = 10_000_000;
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

enum Item {
    /// A packet arrives; at one member if it is a multicast.
    Packet {
        wire: Wire,
        member: Option<HostId>,
    },
    Icmp {
        host: HostId,
        err: NetError,
    },
    Fault(Fault),
    Call(Box<dyn FnOnce(&mut World)>),
}

/// Hosts, links, one virtual clock, one seed.
pub struct World {
    now: Time,
    rng: SeededEntropy,
    /// What will happen, by time and then in the order in which it arose.
    agenda: BTreeMap<(Time, u64), Item>,
    next_item: u64,
    hosts: Vec<Host>,
    links: BTreeMap<(IpAddr, IpAddr), Link>,
    default_link: LinkConfig,
    local_link: LinkConfig,
    icmp: bool,
    observer: Observer,
    steps_at_now: u64,
    buf: Vec<u8>,
}

impl World {
    /// An empty world; equal seeds and equal calls give equal runs.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            now: Time::ZERO,
            rng: SeededEntropy::new(seed),
            agenda: BTreeMap::new(),
            next_item: 0,
            hosts: Vec::new(),
            links: BTreeMap::new(),
            default_link: LinkConfig::default(),
            local_link: LinkConfig { mtu: 65_535, ..LinkConfig::ideal(Duration::from_micros(20)) },
            icmp: true,
            observer: Observer::new(),
            steps_at_now: 0,
            buf: Vec::new(),
        }
    }

    /// The world's time. Hosts may be ahead of it ([`HostConfig::clock_ahead`]).
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// The world's randomness, for decisions of a scenario.
    pub fn rng(&mut self) -> &mut SeededEntropy {
        &mut self.rng
    }

    /// A source of randomness of its own for a node, derived from the world's seed.
    pub fn fork_entropy(&mut self) -> Box<dyn Entropy> {
        Box::new(SeededEntropy::new(self.rng.u64()))
    }

    /// A number that two runs have in common only if every packet was sent and received at the same time with the same bytes.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        self.observer.hash()
    }

    /// Writes all packets from now on as pcapng: one interface for each host, which shows what it sent and what it received.
    ///
    /// # Errors
    /// What the writer reports.
    pub fn capture(&mut self, out: impl Write + 'static) -> io::Result<()> {
        self.observer.capture(Box::new(out))
    }

    /// Writes one line for each packet from now on.
    pub fn trace(&mut self, out: impl Write + 'static) {
        self.observer.trace(Box::new(out));
    }

    /// Shows `f` every packet that a host sends or receives from now on.
    pub fn tap(&mut self, f: impl FnMut(&Seen<'_>) + 'static) {
        self.observer.tap(Box::new(f));
    }

    /// Ends capture and trace.
    ///
    /// # Errors
    /// The first error that a writer reported since they began.
    pub fn finish_recording(&mut self) -> io::Result<()> {
        self.observer.finish()
    }

    // ---- hosts -------------------------------------------------------------------------------------------------

    /// Adds a host that runs `node`.
    pub fn add<N: Node + 'static>(&mut self, cfg: HostConfig, node: N) -> NodeId<N> {
        let host = HostId(self.hosts.len());
        self.hosts.push(Host::new(cfg, Box::new(node)));
        self.drain(host);
        NodeId { host, node: PhantomData }
    }

    /// The node, to look at.
    ///
    /// # Panics
    /// If it has crashed.
    #[must_use]
    pub fn node<N: Node + 'static>(&self, id: NodeId<N>) -> &N {
        let node = self.hosts[id.host.0].node.as_deref().and_then(|n| (n as &dyn Any).downcast_ref());
        node.unwrap_or_else(|| panic!("host {:?} does not run this node", self.hosts[id.host.0].cfg.name))
    }

    /// Calls the node with its own time, as its program would, then sends what it has to send.
    ///
    /// # Panics
    /// If it is frozen or has crashed.
    pub fn with<N: Node + 'static, R>(&mut self, id: NodeId<N>, f: impl FnOnce(&mut N, Time) -> R) -> R {
        let host = &mut self.hosts[id.host.0];
        assert_eq!(host.state, State::Up, "host {:?} does not run", host.cfg.name);
        let local = host.local(self.now);
        let node = host.node.as_deref_mut().and_then(|n| (n as &mut dyn Any).downcast_mut());
        let result = f(node.unwrap_or_else(|| panic!("host {:?} does not run this node", host.cfg.name)), local);
        self.drain(id.host);
        result
    }

    /// The host's own time.
    #[must_use]
    pub fn local_time(&self, host: impl Into<HostId>) -> Time {
        self.hosts[host.into().0].local(self.now)
    }

    /// Whether the host runs: it is neither frozen nor ended.
    #[must_use]
    pub fn is_up(&self, host: impl Into<HostId>) -> bool {
        self.hosts[host.into().0].state == State::Up
    }

    /// Starts a new node on a host, ending silently what ran there.
    pub fn restart<N: Node + 'static>(&mut self, host: impl Into<HostId>, node: N) -> NodeId<N> {
        let host = host.into();
        let h = &mut self.hosts[host.0];
        h.node = Some(Box::new(node));
        h.state = State::Up;
        h.inbox.clear();
        h.idle_timeouts = 0;
        self.observer.mark(self.now, b"restart");
        self.drain(host);
        NodeId { host, node: PhantomData }
    }

    /// Makes a host receive the datagrams of a multicast group.
    pub fn join(&mut self, host: impl Into<HostId>, group: IpAddr) {
        let groups = &mut self.hosts[host.into().0].cfg.groups;
        if !groups.contains(&group) {
            groups.push(group);
        }
    }

    // ---- links -------------------------------------------------------------------------------------------------

    /// What all links do that are not set one by one.
    pub fn set_default_link(&mut self, cfg: LinkConfig) {
        for (_, link) in self.links.iter_mut().filter(|((from, to), _)| from != to) {
            link.cfg = cfg.clone();
        }
        self.default_link = cfg;
    }

    /// What links do between hosts of one address: the loopback interface.
    pub fn set_local_link(&mut self, cfg: LinkConfig) {
        for (_, link) in self.links.iter_mut().filter(|((from, to), _)| from == to) {
            link.cfg = cfg.clone();
        }
        self.local_link = cfg;
    }

    /// What the link from one address to another does, in this direction.
    pub fn set_link(&mut self, from: IpAddr, to: IpAddr, cfg: LinkConfig) {
        self.link(from, to).cfg = cfg;
    }

    /// What the link between two addresses does, in both directions.
    pub fn set_links(&mut self, a: IpAddr, b: IpAddr, cfg: LinkConfig) {
        self.set_link(a, b, cfg.clone());
        self.set_link(b, a, cfg);
    }

    /// Whether hosts are told of unreachable ports and of packets that are too big; true at first.
    pub const fn set_icmp(&mut self, on: bool) {
        self.icmp = on;
    }

    /// What happened so far from one address to another.
    #[must_use]
    pub fn link_stats(&self, from: IpAddr, to: IpAddr) -> LinkStats {
        self.links.get(&(from, to)).map(|l| l.stats).unwrap_or_default()
    }

    fn link(&mut self, from: IpAddr, to: IpAddr) -> &mut Link {
        let cfg = if from == to { &self.local_link } else { &self.default_link };
        self.links.entry((from, to)).or_insert_with(|| Link::new(cfg.clone()))
    }

    // ---- faults ------------------------------------------------------------------------------------------------

    /// Has a fault happen at a time; at once if that is past.
    pub fn at(&mut self, when: Time, fault: Fault) {
        self.schedule(when, Item::Fault(fault));
    }

    /// Has a function called at a time; at once if that is past.
    pub fn call_at(&mut self, when: Time, f: impl FnOnce(&mut Self) + 'static) {
        self.schedule(when, Item::Call(Box::new(f)));
    }

    /// Has a fault happen now.
    pub fn apply(&mut self, fault: Fault) {
        self.observer.mark(self.now, b"fault");
        match fault {
            Fault::Cut { from, to } => self.link(from, to).cut = true,
            Fault::Partition { a, b } => self.set_cut(a, b, true),
            Fault::Heal { a, b } => self.set_cut(a, b, false),
            Fault::Link { from, to, cfg } => self.set_link(from, to, *cfg),
            Fault::Pause { host, packets } => {
                let host = &mut self.hosts[host.0];
                if host.state == State::Up {
                    host.state = State::Frozen(packets);
                }
            }
            Fault::Resume { host } => self.resume(host),
            Fault::Crash { host, how } => self.crash(host, how),
            Fault::ClockJump { host, by } => self.hosts[host.0].cfg.clock_ahead += by,
            Fault::Addresses { host, addrs } => {
                self.hosts[host.0].cfg.addrs.clone_from(&addrs);
                self.call(host, |node, now| node.handle_addresses(now, AddrChange::Set(addrs)));
            }
            Fault::Rebind { host, inner, outer } => {
                let nat = &mut self.hosts[host.0].nat;
                nat.retain(|(i, _)| *i != inner);
                nat.push((inner, outer));
            }
        }
    }

    fn set_cut(&mut self, a: IpAddr, b: IpAddr, cut: bool) {
        self.link(a, b).cut = cut;
        self.link(b, a).cut = cut;
    }

    fn resume(&mut self, host: HostId) {
        let h = &mut self.hosts[host.0];
        if !matches!(h.state, State::Frozen(_)) {
            return;
        }
        h.state = State::Up;
        let inbox = core::mem::take(&mut h.inbox);
        // As in a real process: what waits in the sockets is read before the timers are looked at.
        for wire in inbox {
            self.receive_train(host, &[wire]);
        }
        self.drain(host);
    }

    fn crash(&mut self, host: HostId, how: Crash) {
        let h = &mut self.hosts[host.0];
        h.node = None;
        h.deadline = None;
        h.inbox.clear();
        match how {
            Crash::Machine => h.state = State::Off,
            Crash::Process { sctp_ports } => {
                h.state = State::Ended;
                let addrs = h.cfg.addrs.clone();
                for other in (0..self.hosts.len()).map(HostId).filter(|o| *o != host) {
                    if self.hosts[other.0].cfg.addrs.iter().any(|a| addrs.contains(a)) {
                        self.call(other, |node, now| node.handle_ports_died(now, &sctp_ports));
                    }
                }
            }
        }
    }

    // ---- time --------------------------------------------------------------------------------------------------

    /// When the next thing happens; `None` if nothing will.
    #[must_use]
    pub fn next_event(&self) -> Option<Time> {
        let item = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let timer = self.hosts.iter().filter_map(|h| h.due(self.now)).min();
        [item, timer].into_iter().flatten().min()
    }

    /// Lets the next thing happen; `false` if nothing is left.
    pub fn step(&mut self) -> bool {
        let Some(at) = self.next_event() else { return false };
        if at > self.now {
            self.now = at;
            self.steps_at_now = 0;
        }
        self.steps_at_now += 1;
        assert!(self.steps_at_now < MAX_STEPS_AT_ONE_TIME, "the clock stands still at {}", self.now);
        if self.agenda.first_key_value().is_some_and(|((t, _), _)| *t <= at) {
            if let Some((_, item)) = self.agenda.pop_first() {
                self.happen(item);
            }
            return true;
        }
        if let Some(host) = (0..self.hosts.len()).map(HostId).find(|h| self.hosts[h.0].due(self.now).is_some_and(|t| t <= at)) {
            self.fire(host);
        }
        true
    }

    /// Lets everything happen up to a time, and moves the clock there.
    pub fn run_until(&mut self, until: Time) {
        while self.next_event().is_some_and(|t| t <= until) {
            self.step();
        }
        if until > self.now {
            self.now = until;
            self.steps_at_now = 0;
        }
    }

    /// Lets a span of time pass.
    pub fn run_for(&mut self, span: Duration) {
        self.run_until(self.now + span);
    }

    /// Steps until `done` says so, nothing is left to happen, or the time has come; returns what `done` said last.
    pub fn run_until_idle_or(&mut self, until: Time, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        loop {
            if done(self) {
                return true;
            }
            match self.next_event() {
                Some(t) if t <= until => self.step(),
                _ => return false,
            };
        }
    }

    fn schedule(&mut self, at: Time, item: Item) {
        self.agenda.insert((at.max(self.now), self.next_item), item);
        self.next_item += 1;
    }

    fn happen(&mut self, item: Item) {
        match item {
            Item::Packet { wire, member: Some(host) } => self.arrive(host, wire),
            Item::Packet { wire, member: None } => match (0..self.hosts.len()).map(HostId).find(|h| self.is_addressed(*h, &wire)) {
                Some(host) => self.arrive(host, wire),
                None => self.unreachable(&wire),
            },
            Item::Icmp { host, err } => {
                self.observer.mark(self.now, b"icmp");
                self.call(host, |node, now| node.handle_net_error(now, &err));
            }
            Item::Fault(fault) => self.apply(fault),
            Item::Call(f) => f(self),
        }
    }

    fn fire(&mut self, host: HostId) {
        let before = self.next_item;
        let asked = self.hosts[host.0].deadline;
        self.call(host, |node, now| node.handle_timeout(now));
        let h = &mut self.hosts[host.0];
        // Progress is a packet sent, or a deadline later than now.
        if self.next_item != before || h.deadline.is_none_or(|d| d > h.local(self.now)) {
            h.idle_timeouts = 0;
            return;
        }
        h.idle_timeouts += 1;
        assert!(
            h.idle_timeouts < MAX_IDLE_TIMEOUTS,
            "livelock: host {:?} wants to be called at {asked:?} again and again; it is {} there",
            h.cfg.name,
            h.local(self.now)
        );
    }

    // ---- packets -----------------------------------------------------------------------------------------------

    /// Calls a host's node, if it runs, and sends what it has to send.
    fn call(&mut self, host: HostId, f: impl FnOnce(&mut dyn SimNode, Time)) {
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
    fn drain(&mut self, host: HostId) {
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
        // Routing takes the address itself if the packet stays here, else the first one of the family.
        let routed = Some(dst).filter(own).or_else(|| h.cfg.addrs.iter().copied().find(|a| a.is_ipv4() == dst.is_ipv4()));
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
        match link.offer(self.now, len, wire.may_fragment, &mut self.rng) {
            Ok(arrivals) => {
                for arrival in arrivals {
                    let mut wire = wire.clone();
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

    fn is_addressed(&self, host: HostId, wire: &Wire) -> bool {
        let h = &self.hosts[host.0];
        matches!(h.state, State::Up | State::Frozen(_)) && h.cfg.addrs.contains(&wire.dst) && h.accepts(wire).is_some()
    }

    /// A packet reaches a host, together with those that its network card has gathered behind it.
    fn arrive(&mut self, host: HostId, wire: Wire) {
        match self.hosts[host.0].state {
            State::Up => {
                let mut wires = vec![wire];
                if let [first] = wires.as_slice()
                    && !first.plain
                {
                    let more = self.gather(host, first);
                    wires.extend(more);
                }
                self.receive_train(host, &wires);
            }
            State::Frozen(Pause::Queue(max)) if self.hosts[host.0].inbox.len() < max => self.hosts[host.0].inbox.push_back(wire),
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

    fn receive_train(&mut self, host: HostId, wires: &[Wire]) {
        let [first, rest @ ..] = wires else { return };
        for wire in wires {
            self.observer.packet(self.now, &self.hosts, host, Fate::Received, wire);
        }
        if rest.is_empty() {
            self.hand_over(host, first, Train::single(first.bytes.clone()));
        } else {
            let bytes: Vec<u8> = wires.iter().flat_map(|w| w.bytes.iter().copied()).collect();
            self.hand_over(host, first, Train { bytes: bytes.into(), stride: first.bytes.len() });
        }
    }

    /// Hands a train to a host; `first` is its first packet.
    fn hand_over(&mut self, host: HostId, first: &Wire, train: Train) {
        let Some(channel) = self.hosts[host.0].accepts(first) else { return };
        let meta = Meta { src: first.src, dst: first.dst, channel, ecn: first.ecn, ifindex: None };
        self.call(host, |node, now| node.handle_batch(now, &meta, train));
    }

    /// Nobody takes the packet: the machine says so, if it is there and not behind a NAT, which drops in silence.
    fn unreachable(&mut self, wire: &Wire) {
        self.observer.packet(self.now, &self.hosts, wire.from, Fate::Unreachable, wire);
        let machine = self.hosts.iter().any(|h| h.state != State::Off && h.nat.is_empty() && h.cfg.addrs.contains(&wire.dst));
        if !machine || !self.icmp {
            return;
        }
        let kind = if wire.ports.is_some() { NetErrorKind::PortUnreachable } else { NetErrorKind::ProtocolUnreachable };
        self.link(wire.dst, wire.src);
        let Some(back) = self.links.get_mut(&(wire.dst, wire.src)) else { return };
        if let Ok(arrivals) = back.offer(self.now, 56, true, &mut self.rng)
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
        Channel::Lower(n) => panic!("host {name:?} has no lower layer {n}"),
    }
}
