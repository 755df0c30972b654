//! Sessions that survive the loss of their element: registrar, elements and user as hosts of the simulator.
//!
//! The service counts: a user asks for the numbers from 0 to some end, an element sends one each 10 ms and, with each tenth, a
//! cookie that says how far it got. Whatever happens to elements, the user must see all numbers in order; the few between the
//! last cookie and the failure may come twice.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests: a panic is how they fail")]

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use rserpool::asap::{AsapConfig, ElementKey, ElementSpec};
use rserpool::node::pool::{AcceptedId, ListenerConfig, ListenerId, SessionId};
use rserpool::node::{PoolNode, RegistrarNode};
use rserpool::registrar::config::{AnnounceTarget, RegistrarConfig};
use rserpool::session::{EndReason, Failover, FailureReason, Incoming, Outgoing, PoolSession, Received, SessionConfig, SessionState};
use rserpool::wire::{ENRP_PORT, ElementId, PoolHandle, RegistrarId};
use sctp_user::sim::{Chance, Crash, Fault, HostConfig, LinkConfig, Loss, NodeId, Pause, World};
use sctp_user::{AddrChange, EndpointConfig, Node, Stack, StackConfig, Time};

const GROUP: &str = "239.0.0.50:3863";
const ASAP: u16 = 3863;
const SERVICE: u16 = 7_000;
const USER: u16 = 9_000;
const PERIOD: Duration = Duration::from_millis(10);
const PPID: u32 = 0x5353;

fn pool() -> PoolHandle {
    PoolHandle::new("Counters").unwrap()
}

fn group() -> SocketAddr {
    GROUP.parse().unwrap()
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The program of an element.
struct Element {
    node: NodeId<PoolNode>,
    listener: ListenerId,
    key: ElementKey,
    ports: Vec<u16>,
    /// How far each session is: next number, end, when the next is due.
    jobs: BTreeMap<AcceptedId, Option<(u32, u32, Time)>>,
}

impl Element {
    fn run(&mut self, world: &mut World) {
        let (listener, jobs) = (self.listener, &mut self.jobs);
        world.with(self.node, |n, now| {
            while let Some(session) = n.accept(listener) {
                jobs.insert(session, None);
            }
            jobs.retain(|session, job| {
                while let Some(item) = n.accepted_recv(now, *session) {
                    match item {
                        Received::CookieEcho(state) => *job = Some((number(&state[..4]), number(&state[4..]), now)),
                        Received::Message(m) => *job = Some((0, number(&m.data), now)),
                        _ => {}
                    }
                }
                if let Some((next, end, due)) = job {
                    while *due <= now && *next < *end {
                        let out = Outgoing { data: Bytes::copy_from_slice(&next.to_be_bytes()), ppid: PPID, stream: 0, unordered: false };
                        if n.accepted_send(now, *session, out).is_err() {
                            break;
                        }
                        *next += 1;
                        *due += PERIOD;
                        if *next % 10 == 0 {
                            let state = [next.to_be_bytes(), end.to_be_bytes()].concat();
                            // A full buffer: the next cookie will do.
                            let _ = n.send_cookie(now, *session, &state);
                        }
                    }
                }
                let over = n.accepted_end(*session).is_some();
                if over {
                    n.drop_accepted(now, *session, false);
                }
                !over
            });
        });
    }

    fn busy(&self) -> bool {
        self.jobs.values().any(Option::is_some)
    }
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().unwrap())
}

/// The whole scenario.
struct Bed {
    world: World,
    registrar: NodeId<RegistrarNode>,
    elements: Vec<Element>,
    user: NodeId<PoolNode>,
    session: SessionId,
    /// What the user got.
    numbers: Vec<Incoming>,
    failovers: Vec<Failover>,
    undelivered: Vec<Outgoing>,
    end: u32,
    one_machine: bool,
}

struct Setup {
    seed: u64,
    elements: u8,
    link: LinkConfig,
    one_machine: bool,
    session: SessionConfig,
    end: u32,
}

impl Setup {
    fn new(seed: u64) -> Self {
        Self { seed, elements: 3, link: LinkConfig::ideal(ms(2)), one_machine: false, session: SessionConfig::default(), end: 500 }
    }

    fn addr(&self, host: u8) -> IpAddr {
        if self.one_machine { IpAddr::from([127, 0, 0, 1]) } else { IpAddr::from([10, 0, 0, host]) }
    }

    fn host(&self, name: &str, host: u8, sctp_ports: Vec<u16>) -> HostConfig {
        HostConfig {
            sctp_ports: self.one_machine.then_some(sctp_ports),
            datagram_ports: vec![group().port()],
            groups: vec![group().ip()],
            ..HostConfig::new(name, self.addr(host))
        }
    }

    fn pool_node(world: &mut World, port: u16) -> PoolNode {
        let stack = Stack::new(StackConfig::default(), world.fork_entropy());
        let entropy = world.fork_entropy();
        PoolNode::new(stack, port, AsapConfig::default(), entropy).unwrap()
    }

    fn build(self) -> Bed {
        let mut world = World::new(self.seed);
        world.set_default_link(self.link.clone());
        let mut cfg = RegistrarConfig::default();
        cfg.id = RegistrarId(0x1234);
        cfg.announce.targets = vec![AnnounceTarget { source: self.addr(1), group: group() }];
        let stack = Stack::new(StackConfig::default(), world.fork_entropy());
        let registrar =
            RegistrarNode::new(stack, EndpointConfig::new(ASAP), EndpointConfig::new(ENRP_PORT), cfg, world.fork_entropy()).unwrap();
        let host = HostConfig { groups: vec![], ..self.host("registrar", 1, vec![ASAP]) };
        let id = world.add(host, registrar);
        introduce(&mut world, id, self.addr(1));
        let elements = (0..self.elements).map(|i| self.element(&mut world, i)).collect();
        let ports = vec![5_000, USER];
        let node = Self::pool_node(&mut world, 5_000);
        let user = world.add(self.host("user", 2, ports), node);
        introduce(&mut world, user, self.addr(2));
        world.run_for(ms(5_000));
        let end = self.end;
        let session = world.with(user, |n, now| {
            let session = n.open_session(now, USER, pool(), self.session.clone()).unwrap();
            n.session_send(now, session, request(end)).unwrap();
            session
        });
        Bed {
            world,
            registrar: id,
            elements,
            user,
            session,
            numbers: vec![],
            failovers: vec![],
            undelivered: vec![],
            end,
            one_machine: self.one_machine,
        }
    }

    fn element(&self, world: &mut World, i: u8) -> Element {
        let addr = self.addr(10 + i);
        let service = SERVICE + u16::from(i);
        let ports = vec![6_000 + u16::from(i), service];
        let node = Self::pool_node(world, ports[0]);
        let node = world.add(self.host(&format!("element {i}"), 10 + i, ports.clone()), node);
        introduce(world, node, addr);
        let (listener, key) = world.with(node, |n, now| {
            let listener = n.open_listener(service, ListenerConfig::default()).unwrap();
            let key = n.announce(now, listener, ElementSpec::new(pool(), 0)).unwrap();
            (listener, key)
        });
        Element { node, listener, key, ports, jobs: BTreeMap::new() }
    }
}

fn introduce<N: Node + 'static>(world: &mut World, id: NodeId<N>, addr: IpAddr) {
    world.with(id, |n, now| n.handle_addresses(now, AddrChange::Set(vec![addr])));
}

fn request(end: u32) -> Outgoing {
    Outgoing { data: Bytes::copy_from_slice(&end.to_be_bytes()), ppid: PPID, stream: 0, unordered: false }
}

impl Bed {
    /// Runs for some milliseconds, programs included.
    fn run(&mut self, millis: u64) {
        for _ in 0..millis {
            self.world.run_for(ms(1));
            for element in &mut self.elements {
                if self.world.is_up(element.node) {
                    element.run(&mut self.world);
                }
            }
            self.user();
        }
    }

    fn user(&mut self) {
        let session = self.session;
        let (numbers, failovers, undelivered, end) = (&mut self.numbers, &mut self.failovers, &mut self.undelivered, self.end);
        self.world.with(self.user, |n, now| {
            while let Some(item) = n.session_recv(now, session) {
                match item {
                    Received::Message(m) => numbers.push(m),
                    Received::Undelivered(m) => undelivered.push(m),
                    Received::Failover(f) => {
                        if matches!(f, Failover::Complete { cookie_sent: false, .. }) {
                            n.session_send(now, session, request(end)).unwrap();
                        }
                        failovers.push(f);
                    }
                    other => panic!("{other:?}"),
                }
            }
        });
    }

    fn run_until(&mut self, limit: u64, mut done: impl FnMut(&Self) -> bool) {
        for _ in 0..limit {
            if done(self) {
                return;
            }
            self.run(1);
        }
        let state = self.world.node(self.user).session(self.session).map(PoolSession::state);
        panic!("not done in {limit} ms: {} numbers, {state:?}, {:?}", self.numbers.len(), self.failovers);
    }

    fn complete(&self) -> bool {
        self.numbers.last().is_some_and(|m| number(&m.data) + 1 == self.end)
    }

    /// Every number came, in order; after a failover the count may step back to the last cookie, never ahead.
    fn check(&self) {
        let mut next = 0;
        let mut element = ElementId::UNDEFINED;
        for m in &self.numbers {
            let n = number(&m.data);
            if m.element != element {
                element = m.element;
                assert!(n <= next, "{n} after {next}: the cookie ran ahead of the data");
            } else {
                assert_eq!(n, next, "within one element the count goes on");
            }
            next = n + 1;
        }
        assert_eq!(next, self.end);
    }

    fn serving(&self) -> usize {
        let now_at = match self.world.node(self.user).session(self.session).unwrap().state() {
            SessionState::Up(id) => id,
            state => panic!("{state:?}"),
        };
        self.elements.iter().position(|e| e.key.id == now_at).unwrap()
    }

    fn kill(&mut self, i: usize) {
        let (host, sctp_ports) = (self.elements[i].node.host(), self.elements[i].ports.clone());
        let how = if self.one_machine { Crash::Process { sctp_ports } } else { Crash::Machine };
        self.world.apply(Fault::Crash { host, how });
    }

    fn freeze(&mut self, i: usize) {
        self.world.apply(Fault::Pause { host: self.elements[i].node.host(), packets: Pause::Queue(1000) });
    }

    /// From the last byte of the old element to the first of the new one, at each failover.
    fn gaps(&self) -> Vec<Duration> {
        self.numbers.windows(2).filter(|w| w[0].element != w[1].element).map(|w| w[1].at - w[0].at).collect()
    }

    fn reasons(&self) -> Vec<FailureReason> {
        let reason = |f: &Failover| match f {
            Failover::Necessary { reason, .. } => Some(*reason),
            Failover::Complete { .. } => None,
        };
        self.failovers.iter().filter_map(reason).collect()
    }
}

#[test]
fn without_faults_one_element_serves_all() {
    let mut bed = Setup::new(1).build();
    bed.run_until(10_000, Bed::complete);
    bed.check();
    assert_eq!(bed.failovers, []);
    assert_eq!(bed.elements.iter().filter(|e| e.busy()).count(), 1);
}

#[test]
fn a_machine_that_dies_is_noticed_by_heartbeats() {
    let mut bed = Setup::new(2).build();
    bed.run_until(3_000, |b| b.numbers.len() >= 100);
    let (first, serving) = (bed.world.local_time(bed.user), bed.serving());
    bed.kill(serving);
    bed.run_until(10_000, Bed::complete);
    bed.check();
    assert_eq!(bed.reasons(), [FailureReason::HeartbeatsUnanswered]);
    let [Failover::Necessary { element, noticed, has_cookie: true, .. }, Failover::Complete { cookie_sent: true, connected, .. }] =
        bed.failovers[..]
    else {
        panic!("{:?}", bed.failovers)
    };
    assert_eq!(element, bed.elements[serving].key.id);
    let after = noticed - first;
    assert!((ms(640)..ms(700)).contains(&after), "{after:?}");
    assert!(connected - noticed < ms(100), "{:?}", connected - noticed);
    assert!(bed.gaps()[0] < ms(800), "{:?}", bed.gaps());
}

#[test]
fn on_one_machine_a_dead_process_is_noticed_at_once_and_a_frozen_one_in_time() {
    let mut setup = Setup::new(3);
    setup.one_machine = true;
    let mut bed = setup.build();
    bed.run_until(3_000, |b| b.numbers.len() >= 100);
    let first = bed.serving();
    bed.kill(first);
    bed.run_until(3_000, |b| b.numbers.len() >= 200);
    let second = bed.serving();
    assert_ne!(first, second);
    bed.freeze(second);
    bed.run_until(10_000, Bed::complete);
    bed.check();
    assert_eq!(bed.reasons(), [FailureReason::LocalPeerDied, FailureReason::HeartbeatsUnanswered]);
    let gaps = bed.gaps();
    assert!(gaps[0] < ms(50), "{gaps:?}");
    assert!((ms(600)..ms(800)).contains(&gaps[1]), "{gaps:?}");
}

#[test]
fn a_frozen_element_that_wakes_up_is_not_asked_again_for_a_while() {
    let mut setup = Setup::new(4);
    setup.elements = 2;
    setup.end = 2_000;
    let mut bed = setup.build();
    bed.run_until(3_000, |b| b.numbers.len() >= 100);
    let first = bed.serving();
    bed.freeze(first);
    bed.run_until(3_000, |b| b.numbers.len() >= 200);
    bed.world.apply(Fault::Resume { host: bed.elements[first].node.host() });
    bed.run(3_000);
    assert!(!bed.elements[first].busy(), "its session was aborted, it knows now");
    let second = bed.serving();
    assert_ne!(second, first);
    bed.world.with(bed.user, |n, now| {
        let excluded: Vec<ElementId> = n.asap().excluded(now, &pool()).into_iter().map(|(id, _)| id).collect();
        assert_eq!(excluded, [bed.elements[first].key.id]);
    });
    bed.run_until(30_000, Bed::complete);
    bed.check();
    assert_eq!(bed.failovers.len(), 2);
}

#[test]
fn a_forced_failover_moves_on_and_blames_nobody() {
    let mut bed = Setup::new(5).build();
    bed.run_until(3_000, |b| b.numbers.len() >= 50);
    let first = bed.serving();
    bed.world.with(bed.user, |n, now| n.session_failover(now, bed.session, false));
    bed.run_until(10_000, Bed::complete);
    bed.check();
    assert_ne!(bed.serving(), first);
    assert_eq!(bed.reasons(), [FailureReason::Forced]);
    bed.world.with(bed.user, |n, now| assert_eq!(n.asap().excluded(now, &pool()), []));
    assert!(bed.gaps()[0] < ms(100), "{:?}", bed.gaps());
}

#[test]
fn an_element_that_leaves_gracefully_is_followed_by_another() {
    let mut bed = Setup::new(6).build();
    bed.run_until(3_000, |b| b.numbers.len() >= 50);
    let first = bed.serving();
    let (node, listener) = (bed.elements[first].node, bed.elements[first].listener);
    let sessions: Vec<AcceptedId> = bed.elements[first].jobs.keys().copied().collect();
    bed.elements[first].jobs.clear();
    bed.world.with(node, |n, now| {
        n.close_listener(now, listener);
        for session in sessions {
            n.drop_accepted(now, session, false);
        }
    });
    bed.run_until(10_000, Bed::complete);
    bed.check();
    assert_eq!(bed.reasons(), [FailureReason::Shutdown]);
    assert!(!bed.world.node(node).has_element(&bed.elements[first].key), "deregistered");
    assert_eq!(bed.world.node(node).listener_port(listener), None, "and closed");
}

#[test]
fn a_program_that_hangs_is_left_if_the_user_says_so() {
    let mut setup = Setup::new(7);
    setup.session.detector.progress_timeout = Some(ms(1_500));
    let mut bed = setup.build();
    bed.world.with(bed.user, |n, now| n.session_expects(now, bed.session, Some(true)));
    bed.run_until(3_000, |b| b.numbers.len() >= 50);
    let first = bed.serving();
    // Its SCTP goes on, its program forgets what it was doing.
    bed.elements[first].jobs.clear();
    bed.run_until(10_000, Bed::complete);
    bed.check();
    assert_eq!(bed.reasons(), [FailureReason::ProgressTimeout]);
    assert!((ms(1_500)..ms(1_700)).contains(&bed.gaps()[0]), "{:?}", bed.gaps());
}

#[test]
fn what_was_not_acknowledged_comes_back_if_the_element_dies_before_the_first_cookie() {
    let mut bed = Setup::new(8).build();
    bed.run_until(3_000, |b| {
        matches!(b.world.node(b.user).session(b.session).unwrap().state(), SessionState::Up(_)) && !b.numbers.is_empty()
    });
    let serving = bed.serving();
    bed.kill(serving);
    bed.world.with(bed.user, |n, now| n.session_send(now, bed.session, request(bed.end)).unwrap());
    bed.run_until(10_000, Bed::complete);
    assert_eq!(bed.undelivered, [request(bed.end)]);
    assert!(matches!(bed.failovers[1], Failover::Complete { cookie_sent: false, .. }));
    bed.check();
}

#[test]
fn an_unknown_pool_is_an_error_soon() {
    let mut bed = Setup::new(9).build();
    let session =
        bed.world.with(bed.user, |n, now| n.open_session(now, 0, PoolHandle::new("Nobody").unwrap(), SessionConfig::default()).unwrap());
    bed.run(100);
    let state = bed.world.node(bed.user).session(session).unwrap().state();
    assert!(matches!(state, SessionState::Ended(EndReason::Resolve(_))), "{state:?}");
    bed.world.with(bed.user, |n, now| n.drop_session(now, session));
    assert!(bed.world.node(bed.user).session(session).is_none());
}

#[test]
fn a_dead_candidate_costs_a_quarter_second() {
    let mut setup = Setup::new(10);
    setup.elements = 2;
    let mut bed = setup.build();
    // The registrar does not know yet that one of them is dead.
    bed.run_until(3_000, |b| !b.numbers.is_empty());
    let dead = 1 - bed.serving();
    bed.kill(dead);
    for _ in 0..2 {
        let session = bed.world.with(bed.user, |n, now| n.open_session(now, 0, pool(), SessionConfig::default()).unwrap());
        bed.run(290);
        let state = bed.world.node(bed.user).session(session).unwrap().state();
        assert!(matches!(state, SessionState::Up(_)), "{state:?}");
    }
}

#[test]
fn the_home_registrar_may_restart() {
    let mut setup = Setup::new(11);
    setup.end = 1_500;
    let addr = setup.addr(1);
    let mut bed = setup.build();
    bed.run_until(3_000, |b| b.numbers.len() >= 50);
    let registrar = {
        let mut cfg = RegistrarConfig::default();
        cfg.id = RegistrarId(0x9999);
        cfg.announce.targets = vec![AnnounceTarget { source: addr, group: group() }];
        let stack = Stack::new(StackConfig::default(), bed.world.fork_entropy());
        RegistrarNode::new(stack, EndpointConfig::new(ASAP), EndpointConfig::new(ENRP_PORT), cfg, bed.world.fork_entropy()).unwrap()
    };
    let id = bed.world.restart(bed.registrar, registrar);
    introduce(&mut bed.world, id, addr);
    bed.run(8_000);
    assert_eq!(bed.world.node(id).registrar().handlespace().element_count(), 3, "all elements are back");
    let serving = bed.serving();
    bed.kill(serving);
    bed.run_until(20_000, Bed::complete);
    bed.check();
    assert_eq!(bed.reasons().len(), 1);
}

#[test]
fn under_loss_the_session_goes_on_with_its_cookie() {
    for seed in 0..20 {
        let mut setup = Setup::new(1_000 + seed);
        setup.link.loss = Loss::Uniform(Chance::percent(10));
        setup.link.jitter = ms(3);
        setup.link.reorder = Chance::percent(5);
        setup.link.reorder_by = ms(10);
        setup.link.duplicate = Chance::percent(5);
        setup.elements = 4;
        let mut bed = setup.build();
        bed.run_until(20_000, |b| b.numbers.len() >= 100);
        if let SessionState::Up(_) = bed.world.node(bed.user).session(bed.session).unwrap().state() {
            let i = bed.serving();
            bed.kill(i);
        }
        let so_far = bed.numbers.len();
        bed.run_until(20_000, |b| b.numbers.len() >= so_far + 100);
        if let SessionState::Up(_) = bed.world.node(bed.user).session(bed.session).unwrap().state() {
            let i = bed.serving();
            bed.freeze(i);
        }
        bed.run_until(60_000, Bed::complete);
        bed.check();
        assert!(bed.reasons().len() >= 2 || bed.gaps().len() >= 2, "seed {seed}: {:?}", bed.reasons());
    }
}

#[test]
fn equal_seeds_give_equal_runs() {
    let run = || {
        let mut setup = Setup::new(77);
        setup.link.loss = Loss::Uniform(Chance::percent(5));
        let mut bed = setup.build();
        bed.run_until(20_000, |b| b.numbers.len() >= 100);
        let i = bed.serving();
        bed.kill(i);
        bed.run(5_000);
        (bed.world.trace_hash(), bed.numbers.len())
    };
    assert_eq!(run(), run());
}
