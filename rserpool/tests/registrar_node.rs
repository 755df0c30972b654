//! The registrar's node on a simulated network: a real stack below it, and clients that know nothing but SCTP and ASAP.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests: a panic is how they fail")]

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use rserpool::node::RegistrarNode;
use rserpool::registrar::config::{AnnounceTarget, RegistrarConfig};
use rserpool::registrar::{RegistrarEvent, RemovalReason, Service};
use rserpool::wire::{
    ASAP_PPID, AsapMessage, ENRP_PORT, ElementId, EncodeOptions, Life, PolicyParam, PoolElement, PoolHandle, RegistrarId, Transport,
    TransportUse,
};
use sctp_user::sim::{Crash, Fault, HostConfig, NodeId, Pause, World};
use sctp_user::{
    AssocId, Channel, CloseReason, EndpointConfig, EndpointId, Event, Meta, NetError, Node, PeerAddr, Ppid, SendOptions, Stack,
    StackConfig, StreamId, Time, Train, Transmit,
};

const PORT: u16 = 3863;
const REGISTRAR: [u8; 4] = [10, 0, 0, 1];

/// A host with one association at a time, whose messages the test writes and reads.
struct Client {
    stack: Stack,
    endpoint: EndpointId,
    assoc: Option<AssocId>,
    /// Whether keep-alives are answered.
    alive: bool,
    heard: Vec<AsapMessage>,
    lost: Vec<CloseReason>,
    announces: Vec<(SocketAddr, Bytes)>,
}

impl Client {
    fn new(world: &mut World) -> Self {
        let mut stack = Stack::new(StackConfig::default(), world.fork_entropy());
        let endpoint = stack.open(EndpointConfig::new(50_000)).unwrap();
        stack.listen(endpoint, true);
        Self { stack, endpoint, assoc: None, alive: true, heard: Vec::new(), lost: Vec::new(), announces: Vec::new() }
    }

    fn connect(&mut self, now: Time) {
        let peer = PeerAddr::from(SocketAddr::from((REGISTRAR, PORT)));
        self.stack.connect(now, self.endpoint, &[peer], None).unwrap();
    }

    fn say(&mut self, now: Time, message: &AsapMessage) {
        let bytes = Bytes::from(message.encode(EncodeOptions::default()).unwrap());
        let mut assoc = self.stack.assoc(self.assoc.unwrap()).unwrap();
        assoc.send(now, StreamId(0), Ppid(ASAP_PPID), bytes, SendOptions::ordered()).unwrap();
    }

    fn pump(&mut self, now: Time) {
        while let Some((_, id, event)) = self.stack.poll_event() {
            match event {
                Event::Connected { .. } => self.assoc = Some(id),
                Event::Lost { reason } => {
                    self.lost.push(reason);
                    self.assoc = self.assoc.filter(|a| *a != id);
                }
                _ => {}
            }
            while let Some(m) = self.stack.assoc(id).and_then(|mut a| a.recv()) {
                assert_eq!(m.ppid, Ppid(ASAP_PPID));
                let message = AsapMessage::decode(&m.payload).unwrap().message;
                if let AsapMessage::KeepAlive { handle, id: Some(element), .. } = &message
                    && self.alive
                {
                    self.say(now, &AsapMessage::KeepAliveAck { handle: handle.clone(), id: *element });
                }
                self.heard.push(message);
            }
        }
    }
}

impl Node for Client {
    fn handle_batch(&mut self, now: Time, meta: &Meta, train: Train) {
        if let Channel::Datagram { remote, .. } = meta.channel {
            self.announces.extend(train.packets().map(|p| (SocketAddr::new(meta.src, remote), p)));
            return;
        }
        self.stack.handle_batch(now, meta, train);
        self.pump(now);
    }

    fn handle_net_error(&mut self, now: Time, err: &NetError) {
        self.stack.handle_net_error(now, err);
        self.pump(now);
    }

    fn handle_timeout(&mut self, now: Time) {
        self.stack.handle_timeout(now);
        self.pump(now);
    }

    fn poll_transmit(&mut self, now: Time, max_segments: usize, buf: &mut Vec<u8>) -> Option<Transmit> {
        self.stack.poll_transmit(now, max_segments, buf)
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.stack.poll_timeout()
    }
}

struct Net {
    world: World,
    registrar: NodeId<RegistrarNode>,
    element: NodeId<Client>,
    user: NodeId<Client>,
}

fn pool() -> PoolHandle {
    PoolHandle::new("EchoPool").unwrap()
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

impl Net {
    /// A registrar, an element that has registered, a user; keep-alives each 300 ms.
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        let mut cfg = RegistrarConfig::default();
        cfg.id = RegistrarId(7);
        cfg.keep_alive.period = ms(300);
        cfg.keep_alive.timeout = ms(300);
        cfg.keep_alive.retry_interval = ms(100);
        cfg.announce.targets = vec![AnnounceTarget { source: REGISTRAR.into(), group: "239.0.0.50:3863".parse().unwrap() }];
        let stack = Stack::new(StackConfig::default(), world.fork_entropy());
        let node = RegistrarNode::new(stack, EndpointConfig::new(PORT), EndpointConfig::new(ENRP_PORT), cfg, world.fork_entropy()).unwrap();
        assert_eq!(node.port(Service::Asap), PORT);
        let host = HostConfig { datagram_ports: vec![PORT], ..HostConfig::new("registrar", REGISTRAR.into()) };
        let registrar = world.add(host, node);
        let mut client = |name: &str, n: u8| {
            let node = Client::new(&mut world);
            let addr = IpAddr::from([10, 0, 0, n]);
            let groups = vec!["239.0.0.50".parse().unwrap()];
            world.add(HostConfig { datagram_ports: vec![PORT], groups, ..HostConfig::new(name, addr) }, node)
        };
        let (element, user) = (client("element", 2), client("user", 3));
        let mut net = Self { world, registrar, element, user };
        for client in [element, user] {
            net.world.with(client, |c, now| c.connect(now));
        }
        net.run(500);
        net.register();
        net
    }

    fn run(&mut self, n: u64) {
        self.world.run_for(ms(n));
    }

    fn register(&mut self) {
        let element = PoolElement {
            id: ElementId(1),
            home: RegistrarId::UNDEFINED,
            life: Life::INFINITE,
            user: Transport::sctp(4711, TransportUse::DATA, ["10.0.0.2".parse().unwrap()]),
            policy: PolicyParam::RoundRobin {},
            asap: None,
        };
        self.world.with(self.element, |c, now| c.say(now, &AsapMessage::Registration { handle: pool(), element }));
        self.run(200);
        let accepted = AsapMessage::RegistrationResponse { reject: false, handle: pool(), id: ElementId(1), error: None };
        assert!(self.world.node(self.element).heard.contains(&accepted));
    }

    /// How many elements a resolution names.
    fn resolve(&mut self) -> usize {
        let request = AsapMessage::HandleResolution { subscribe: false, handle: pool(), items: None };
        self.world.with(self.user, |c, now| c.say(now, &request));
        self.run(200);
        match self.world.node(self.user).heard.last() {
            Some(AsapMessage::HandleResolutionResponse { elements, .. }) => elements.len(),
            other => panic!("{other:?}"),
        }
    }

    fn removed(&mut self) -> Vec<RemovalReason> {
        let mut out = Vec::new();
        self.world.with(self.registrar, |r, _| {
            while let Some(event) = r.poll_event() {
                if let RegistrarEvent::Removed { why, .. } = event {
                    out.push(why);
                }
            }
        });
        out
    }
}

/// RFC 5352 rows: 3.3-12.
#[test]
fn registered_resolved_and_kept_alive() {
    let mut net = Net::new(1);
    assert_eq!(net.resolve(), 1);
    net.run(10_000);
    assert_eq!(net.resolve(), 1);
    let keep_alives = |c: &Client| c.heard.iter().filter(|m| matches!(m, AsapMessage::KeepAlive { .. })).count();
    let n = keep_alives(net.world.node(net.element));
    assert!((20..70).contains(&n), "{n} keep-alives in 10 s, each 300 ms after the last one's answer");
    assert_eq!(net.removed(), []);
    // Announces come from the UDP port with the number of the ASAP port.
    let announces = &net.world.node(net.user).announces;
    assert!((9..=13).contains(&announces.len()), "{}", announces.len());
    assert!(announces.iter().all(|(src, bytes)| *src == SocketAddr::from((REGISTRAR, PORT)) && bytes[..] == [10, 0, 0, 8, 0, 0, 0, 7]));
}

#[test]
fn a_frozen_element_is_removed_and_comes_back() {
    let mut net = Net::new(2);
    net.world.apply(Fault::Pause { host: net.element.host(), packets: Pause::Queue(1000) });
    net.run(1_500);
    assert_eq!(net.removed(), [RemovalReason::KeepAliveTimeout]);
    assert_eq!(net.resolve(), 0);
    net.world.apply(Fault::Resume { host: net.element.host() });
    net.run(1_000);
    assert!(matches!(net.world.node(net.element).lost[..], [CloseReason::PeerAborted(_)]), "it is told by an ABORT");
    net.world.with(net.element, |c, now| c.connect(now));
    net.run(500);
    net.register();
    assert_eq!(net.resolve(), 1);
}

#[test]
fn an_element_that_only_lost_its_association_is_reached_again() {
    for how in ["abort", "shutdown"] {
        let mut net = Net::new(3);
        net.world.with(net.element, |c, now| {
            let id = c.assoc.unwrap();
            let mut assoc = c.stack.assoc(id).unwrap();
            if how == "abort" {
                assoc.abort(now, b"just so");
            } else {
                assoc.shutdown(now);
            }
            c.pump(now);
        });
        net.run(1_500);
        assert_eq!(net.removed(), [], "{how}");
        assert_eq!(net.resolve(), 1, "{how}");
        assert!(net.world.node(net.element).assoc.is_some(), "{how}: opened by the registrar");
    }
}

#[test]
fn an_element_whose_endpoint_is_closed_is_gone_soon() {
    let mut net = Net::new(4);
    net.world.with(net.element, |c, now| c.stack.close(now, c.endpoint));
    net.run(300);
    assert_eq!(net.removed(), [RemovalReason::AssociationLost], "its ABORT leads to an INIT, which is refused");
}

#[test]
fn a_dead_process_on_the_registrars_host_is_gone_at_once() {
    let mut world = World::new(5);
    let stack = Stack::new(StackConfig::default(), world.fork_entropy());
    let node = RegistrarNode::new(
        stack,
        EndpointConfig::new(PORT),
        EndpointConfig::new(ENRP_PORT),
        RegistrarConfig::default(),
        world.fork_entropy(),
    )
    .unwrap();
    let shared = |name: &str, port: u16| HostConfig { sctp_ports: Some(vec![port]), ..HostConfig::new(name, REGISTRAR.into()) };
    let registrar = world.add(shared("registrar", PORT), node);
    let client = Client::new(&mut world);
    let element = world.add(shared("element", 50_000), client);
    let client = Client::new(&mut world);
    let user = world.add(HostConfig::new("user", IpAddr::from([10, 0, 0, 3])), client);
    let mut net = Net { world, registrar, element, user };
    net.world.with(element, |c, now| c.connect(now));
    net.world.with(user, |c, now| c.connect(now));
    net.run(500);
    let e = PoolElement {
        id: ElementId(1),
        home: RegistrarId::UNDEFINED,
        life: Life::INFINITE,
        user: Transport::sctp(4711, TransportUse::DATA, [REGISTRAR.into()]),
        policy: PolicyParam::RoundRobin {},
        asap: None,
    };
    net.world.with(element, |c, now| c.say(now, &AsapMessage::Registration { handle: pool(), element: e }));
    net.run(200);
    assert_eq!(net.resolve(), 1);
    net.world.apply(Fault::Crash { host: element.host(), how: Crash::Process { sctp_ports: vec![50_000] } });
    net.run(1);
    assert_eq!(net.removed(), [RemovalReason::ProcessDied]);
    assert_eq!(net.resolve(), 0);
}

#[test]
fn a_registrar_that_stops_takes_leave() {
    let mut net = Net::new(6);
    net.world.with(net.registrar, |r, now| r.stop(now));
    net.run(1_000);
    assert!(net.world.node(net.registrar).is_stopped());
    for client in [net.element, net.user] {
        assert_eq!(net.world.node(client).lost, [CloseReason::Shutdown]);
    }
}
