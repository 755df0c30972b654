//! The same clusters with the whole SCTP below: [`sctp_user::sim::World`] with the nodes that run on sockets.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rserpool::asap::{Asap, AsapConfig, RequestId};
use rserpool::node::{PoolNode, RegistrarNode};
use rserpool::registrar::config::RegistrarConfig;
use rserpool::registrar::enrp::EnrpEvent;
use rserpool::registrar::{Registrar, RegistrarEvent};
use rserpool::wire::{ASAP_PORT, ENRP_PORT, PoolElement, PoolHandle};
use sctp_user::sim::{Crash, Fault, HostConfig, LinkConfig, Loss, NodeId, Pause, World};
use sctp_user::{
    AddrChange, AssocConfig, Channel, EndpointConfig, Entropy, Meta, NetError, Node, SeededEntropy, Stack, StackConfig, Time, Train,
    Transmit,
};

use crate::fabric::{Answer, CLIENT_PORT, Command, End, Fabric, Weather};
use crate::plan::Plan;

/// The longest silence after which an association is lost, with [`AssocConfig::session`]: a HEARTBEAT interval, then three
/// time-outs that have grown to RTO.Max (5 s).
const DETECTION: Duration = Duration::from_secs(17);
/// Packets that wait at a frozen process.
const FROZEN_QUEUE: usize = 512;
/// Datagrams that are held back at most.
const MAX_LATE: usize = 4_096;

enum Core {
    Registrar(Box<RegistrarNode>),
    Client(Box<PoolNode>),
    Nobody,
}

/// A host: its node, and what the weather does to the multicast datagrams that it hears.
struct Shell {
    core: Core,
    weather: Arc<Mutex<Weather>>,
    rng: Box<dyn Entropy>,
    /// Datagrams that are held back.
    late: VecDeque<(Time, Meta, Train)>,
    asked: BTreeMap<RequestId, PoolHandle>,
    answers: Vec<(Time, PoolHandle, Vec<PoolElement>)>,
    takeovers: Arc<AtomicUsize>,
}

impl Shell {
    fn node(&mut self) -> Option<&mut dyn Node> {
        match &mut self.core {
            Core::Registrar(r) => Some(r.as_mut()),
            Core::Client(c) => Some(c.as_mut()),
            Core::Nobody => None,
        }
    }

    fn look(&self) -> Option<&dyn Node> {
        match &self.core {
            Core::Registrar(r) => Some(r.as_ref()),
            Core::Client(c) => Some(c.as_ref()),
            Core::Nobody => None,
        }
    }

    /// Takes answers as they come. Without a home they are old ones from the cache, which are not judged.
    fn collect(&mut self, now: Time) {
        let Core::Client(c) = &mut self.core else {
            if let Core::Registrar(r) = &mut self.core {
                while let Some(event) = r.poll_event() {
                    let own = matches!(event, RegistrarEvent::Enrp(EnrpEvent::TakenOver { by, .. }) if by == r.registrar().id());
                    self.takeovers.fetch_add(usize::from(own), Ordering::Relaxed);
                }
            }
            return;
        };
        while c.poll_event().is_some() {}
        assert_eq!(c.poll_lookup(), None, "no name is configured");
        let at_home = c.asap().home().is_some();
        for request in self.asked.keys().copied().collect::<Vec<_>>() {
            let Some(result) = c.take_answer(request) else { continue };
            let handle = self.asked.remove(&request);
            if let (Some(handle), Ok(elements), true) = (handle, result, at_home) {
                self.answers.push((now, handle, elements));
            }
        }
    }
}

impl Node for Shell {
    fn handle_batch(&mut self, now: Time, meta: &Meta, train: Train) {
        let mut copies = 1;
        if matches!(meta.channel, Channel::Datagram { .. }) {
            let weather = *self.weather.lock().unwrap();
            copies += u64::from(self.rng.below(1_000) < weather.multicast_twice);
            if self.rng.below(1_000) < weather.multicast_loss {
                return;
            }
            let most = u64::try_from(weather.multicast_delay.as_nanos()).unwrap();
            if most > 0 && self.late.len() < MAX_LATE {
                for _ in 0..copies {
                    let at = now + Duration::from_nanos(self.rng.below(most));
                    self.late.push_back((at, *meta, train.clone()));
                }
                return;
            }
        }
        for _ in 0..copies {
            if let Some(node) = self.node() {
                node.handle_batch(now, meta, train.clone());
            }
        }
        self.collect(now);
    }

    fn handle_net_error(&mut self, now: Time, err: &NetError) {
        if let Some(node) = self.node() {
            node.handle_net_error(now, err);
        }
        self.collect(now);
    }

    fn handle_timeout(&mut self, now: Time) {
        let (due, rest): (VecDeque<_>, VecDeque<_>) = self.late.drain(..).partition(|(at, ..)| *at <= now);
        self.late = rest;
        for (_, meta, train) in due {
            if let Some(node) = self.node() {
                node.handle_batch(now, &meta, train);
            }
        }
        if let Some(node) = self.node().filter(|n| n.poll_timeout().is_some_and(|t| t <= now)) {
            node.handle_timeout(now);
        }
        self.collect(now);
    }

    fn poll_transmit(&mut self, now: Time, max_segments: usize, buf: &mut Vec<u8>) -> Option<Transmit> {
        self.node()?.poll_transmit(now, max_segments, buf)
    }

    fn poll_timeout(&self) -> Option<Time> {
        let late = self.late.iter().map(|(at, ..)| *at).min();
        self.look().and_then(Node::poll_timeout).into_iter().chain(late).min()
    }

    fn handle_addresses(&mut self, now: Time, change: AddrChange) {
        if let Some(node) = self.node() {
            node.handle_addresses(now, change);
        }
    }
}

/// Whole hosts on the simulated network.
pub(crate) struct Stacks {
    pub(crate) world: World,
    /// The parameters of registrars' associations.
    assoc: Arc<AssocConfig>,
    addrs: Vec<IpAddr>,
    nodes: Vec<NodeId<Shell>>,
    up: Vec<bool>,
    weather: Arc<Mutex<Weather>>,
    answers: Vec<Answer>,
    takeovers: Arc<AtomicUsize>,
}

impl Stacks {
    /// The hosts of a plan, none of which runs.
    pub(crate) fn new(plan: &Plan, groups: [SocketAddr; 2]) -> Self {
        let (addrs, registrars) = (&plan.addrs, plan.registrar_hosts().len());
        let mut world = World::new(plan.seed);
        world.set_default_link(LinkConfig { jitter: Duration::from_millis(15), ..LinkConfig::default() });
        let weather = Arc::new(Mutex::new(Weather::FAIR));
        let takeovers = Arc::default();
        let mut nodes = Vec::new();
        for (n, addr) in addrs.iter().enumerate() {
            let mut cfg = HostConfig::new(&format!("h{n}"), *addr);
            cfg.datagram_ports = vec![ASAP_PORT, ENRP_PORT];
            cfg.groups = vec![groups[0].ip()];
            if n < registrars {
                cfg.groups.push(groups[1].ip());
            }
            cfg.clock_ahead = Duration::from_millis(world.rng().below(10_000_000));
            let shell = shell(&mut world, &weather, &takeovers, Core::Nobody);
            let node = world.add(cfg, shell);
            world.apply(Fault::Crash { host: node.host(), how: Crash::Machine });
            nodes.push(node);
        }
        let assoc = Arc::new(if plan.habits.rfc_sctp { program() } else { AssocConfig::session() });
        Self { world, assoc, addrs: addrs.clone(), up: vec![false; nodes.len()], nodes, weather, answers: Vec::new(), takeovers }
    }

    fn boot(&mut self, host: usize, core: Core) {
        let shell = shell(&mut self.world, &self.weather, &self.takeovers, core);
        self.nodes[host] = self.world.restart(self.nodes[host], shell);
        self.up[host] = true;
        let addrs = vec![self.addrs[host]];
        self.world.with(self.nodes[host], |n, now| n.handle_addresses(now, AddrChange::Set(addrs)));
    }

    fn stack(&mut self) -> (Stack, Box<SeededEntropy>) {
        let stack = Stack::new(StackConfig::default(), self.world.fork_entropy());
        (stack, Box::new(SeededEntropy::new(self.world.rng().u64())))
    }
}

/// What the registrar program has.
fn program() -> AssocConfig {
    let mut assoc = AssocConfig::rfc();
    assoc.nagle = false;
    assoc.partial_delivery = false;
    assoc
}

fn shell(world: &mut World, weather: &Arc<Mutex<Weather>>, takeovers: &Arc<AtomicUsize>, core: Core) -> Shell {
    Shell {
        core,
        weather: Arc::clone(weather),
        rng: world.fork_entropy(),
        late: VecDeque::new(),
        asked: BTreeMap::new(),
        answers: Vec::new(),
        takeovers: Arc::clone(takeovers),
    }
}

impl Fabric for Stacks {
    fn now(&self) -> Time {
        self.world.now()
    }

    fn run_until(&mut self, until: Time) {
        self.world.run_until(until);
    }

    fn boot_registrar(&mut self, host: usize, cfg: RegistrarConfig) {
        let (stack, entropy) = self.stack();
        let endpoint = |port| EndpointConfig::with(port, Arc::clone(&self.assoc));
        let node = RegistrarNode::new(stack, endpoint(ASAP_PORT), endpoint(ENRP_PORT), cfg, entropy).unwrap();
        self.boot(host, Core::Registrar(Box::new(node)));
    }

    fn boot_client(&mut self, host: usize, cfg: AsapConfig) {
        let (stack, entropy) = self.stack();
        let node = PoolNode::new(stack, CLIENT_PORT, cfg, entropy).unwrap();
        self.boot(host, Core::Client(Box::new(node)));
    }

    fn kill(&mut self, host: usize, end: End) {
        let how = match end {
            End::Process => Crash::Process { sctp_ports: Vec::new() },
            End::Machine => Crash::Machine,
        };
        self.world.apply(Fault::Crash { host: self.nodes[host].host(), how });
        self.up[host] = false;
    }

    fn freeze(&mut self, host: usize) {
        self.world.apply(Fault::Pause { host: self.nodes[host].host(), packets: Pause::Queue(FROZEN_QUEUE) });
    }

    fn resume(&mut self, host: usize, leap: Duration) {
        let host = self.nodes[host].host();
        self.world.apply(Fault::ClockJump { host, by: leap });
        self.world.apply(Fault::Resume { host });
    }

    fn cut(&mut self, from: usize, to: usize, cut: bool) {
        let (from, to) = (self.addrs[from], self.addrs[to]);
        if cut {
            self.world.apply(Fault::Cut { from, to });
        } else {
            self.world.apply(Fault::Heal { a: from, b: to });
        }
    }

    fn set_weather(&mut self, weather: Weather) {
        *self.weather.lock().unwrap() = weather;
        // SCTP makes three attempts only: what half the packets survive nobody would call a network.
        let loss = Loss::percent(u32::try_from(weather.loss / 30).unwrap());
        for a in self.addrs.clone() {
            for b in self.addrs.clone() {
                if a != b {
                    let cfg = LinkConfig { jitter: Duration::from_millis(15), loss, ..LinkConfig::default() };
                    self.world.set_link(a, b, cfg);
                }
            }
        }
    }

    fn registrar(&self, host: usize) -> Option<&Registrar> {
        match &self.up[host].then(|| self.world.node(self.nodes[host]))?.core {
            Core::Registrar(r) => Some(r.registrar()),
            _ => None,
        }
    }

    fn client(&self, host: usize) -> Option<&Asap> {
        match &self.up[host].then(|| self.world.node(self.nodes[host]))?.core {
            Core::Client(c) => Some(c.asap()),
            _ => None,
        }
    }

    fn command(&mut self, host: usize, command: Command) {
        if !self.up[host] || !self.world.is_up(self.nodes[host]) {
            return;
        }
        self.world.with(self.nodes[host], |shell, now| {
            let Core::Client(c) = &mut shell.core else { return };
            match command {
                Command::Register(spec) => drop(c.register(now, spec)),
                Command::Update(key, policy) => c.update(now, &key, policy),
                Command::Deregister(key) => c.deregister(now, &key),
                Command::Resolve(handle, items) => {
                    let request = c.resolve(now, &handle, items, Duration::ZERO);
                    shell.asked.insert(request, handle);
                }
                Command::Report(key) => c.report_failure(now, &key.handle, key.id),
            }
            shell.collect(now);
        });
    }

    fn take_user_answers(&mut self) -> Vec<Answer> {
        for (user, node) in self.nodes.iter().enumerate().filter(|(n, _)| self.up[*n]) {
            if self.world.is_up(*node) && !self.world.node(*node).answers.is_empty() {
                let answers = self.world.with(*node, |shell, _| core::mem::take(&mut shell.answers));
                let ahead = self.world.local_time(*node).saturating_since(self.world.now());
                let world_time = |t: Time| Time::ZERO + t.saturating_since(Time::ZERO + ahead);
                self.answers.extend(answers.into_iter().map(|(at, handle, elements)| Answer {
                    at: world_time(at),
                    registrar: None,
                    user,
                    handle,
                    elements,
                }));
            }
        }
        core::mem::take(&mut self.answers)
    }

    fn take_registrar_answers(&mut self) -> Vec<Answer> {
        Vec::new()
    }

    fn detection(&self) -> Duration {
        DETECTION
    }

    fn takeovers(&self) -> usize {
        self.takeovers.load(Ordering::Relaxed)
    }

    fn recorded(&mut self) -> Vec<String> {
        self.world.finish_recording().unwrap();
        Vec::new()
    }

    fn trace_hash(&self) -> u64 {
        self.world.trace_hash()
    }

    fn remark(&mut self, _text: &dyn Fn() -> String) {}

    fn messages(&self) -> usize {
        0
    }

    fn longest_backlog(&self) -> usize {
        0
    }
}
