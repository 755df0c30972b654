//! The world: it pops the earliest of arrivals, timers and faults, and calls the nodes.
#![allow(clippy::indexing_slicing, reason = "host ids index a vector that never shrinks; what a test passes wrongly shall fail loudly")]

use core::any::Any;
use core::marker::PhantomData;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::IpAddr;

use super::fault::Fault;
use super::host::{Host, HostConfig, HostId, NodeId, State};
use super::link::{Link, LinkConfig, LinkStats};
use super::network::Wire;
use super::observe::{Observer, Seen};
use crate::entropy::{Entropy, SeededEntropy};
use crate::net::NetError;
use crate::node::Node;
use crate::time::Time;

/// Most calls of a node's timer in a row, at one time, that make it send nothing: more is a livelock.
const MAX_IDLE_TIMEOUTS: u32 = 10_000;
/// Most steps without the clock moving.
const MAX_STEPS_AT_ONE_TIME: u64 = 10_000_000;

/// Something that will happen.
pub(super) enum Item {
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
    pub(super) now: Time,
    pub(super) rng: SeededEntropy,
    /// What will happen, by time and then in the order in which it arose.
    pub(super) agenda: BTreeMap<(Time, u64), Item>,
    pub(super) next_item: u64,
    pub(super) hosts: Vec<Host>,
    pub(super) links: BTreeMap<(IpAddr, IpAddr), Link>,
    default_link: LinkConfig,
    local_link: LinkConfig,
    pub(super) icmp: bool,
    pub(super) observer: Observer,
    steps_at_now: u64,
    pub(super) buf: Vec<u8>,
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

    pub(super) fn link(&mut self, from: IpAddr, to: IpAddr) -> &mut Link {
        let cfg = if from == to { &self.local_link } else { &self.default_link };
        self.links.entry((from, to)).or_insert_with(|| Link::new(cfg.clone()))
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

    pub(super) fn schedule(&mut self, at: Time, item: Item) {
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
}
