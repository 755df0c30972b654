//! Sessions while the registrars below them die: what the user of a pool notices of that is nothing.

use core::time::Duration;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use rserpool::asap::{AsapConfig, ElementSpec};
use rserpool::node::pool::{AcceptedId, ListenerConfig, ListenerId, SessionId};
use rserpool::node::{PoolNode, RegistrarNode};
use rserpool::registrar::config::{AnnounceTarget, RegistrarConfig};
use rserpool::session::{Failover, Outgoing, Received, SessionConfig};
use rserpool::wire::{ASAP_PORT, ENRP_PORT, PoolHandle, RegistrarId};
use sctp_user::sim::{Crash, Fault, HostConfig, HostId, NodeId, World};
use sctp_user::{AddrChange, AssocConfig, EndpointConfig, Node, Stack, StackConfig};

use crate::config::groups;
use crate::fabric::CLIENT_PORT;

const PPID: u32 = 0x4543_484f;
/// The user asks so often.
const TICK: Duration = Duration::from_millis(100);

fn addr(host: u8) -> IpAddr {
    Ipv4Addr::new(10, 2, 0, host).into()
}

fn message(n: u32) -> Outgoing {
    Outgoing { data: Bytes::copy_from_slice(&n.to_be_bytes()), ppid: PPID, stream: 0, unordered: false }
}

struct Service {
    world: World,
    registrars: Vec<NodeId<RegistrarNode>>,
    servers: Vec<(NodeId<PoolNode>, ListenerId)>,
    /// The sessions that servers have accepted, in the order of time.
    accepted: Vec<(HostId, AcceptedId)>,
    user: NodeId<PoolNode>,
    session: SessionId,
    asked: u32,
    answered: BTreeSet<u32>,
    failovers: usize,
}

impl Service {
    /// Three registrars, servers that send back what comes, a user with a session.
    fn new() -> Self {
        let mut world = World::new(4);
        let registrars = (1..=3).map(|n| registrar(&mut world, n)).collect();
        let servers = (11..=13).map(|n| server(&mut world, n)).collect();
        let user = pool_node(&mut world, 20);
        world.run_for(Duration::from_secs(8));
        let session = world.with(user, |n, now| n.open_session(now, 9_000, pool(), SessionConfig::default()).unwrap());
        Self { world, registrars, servers, accepted: Vec::new(), user, session, asked: 0, answered: BTreeSet::new(), failovers: 0 }
    }

    /// Lets the user ask for some time.
    fn run(&mut self, span: Duration) {
        let until = self.world.now() + span;
        while self.world.now() < until {
            let (session, n) = (self.session, self.asked);
            self.asked += 1;
            self.world.with(self.user, |node, now| node.session_send(now, session, message(n)).unwrap());
            for _ in 0..10 {
                self.world.run_for(TICK / 10);
                self.serve();
                self.take();
            }
        }
    }

    fn serve(&mut self) {
        for (server, listener) in self.servers.clone() {
            if !self.world.is_up(server) {
                continue;
            }
            let accepted = &mut self.accepted;
            self.world.with(server, |node, now| {
                while let Some(session) = node.accept(listener) {
                    accepted.push((server.host(), session));
                }
                for (_, session) in accepted.iter().filter(|(host, _)| *host == server.host()) {
                    while let Some(item) = node.accepted_recv(now, *session) {
                        if let Received::Message(m) = item {
                            let answer = Outgoing { data: m.data, ppid: PPID, stream: 0, unordered: false };
                            node.accepted_send(now, *session, answer).unwrap();
                        }
                    }
                }
            });
        }
    }

    fn take(&mut self) {
        let (session, answered, failovers) = (self.session, &mut self.answered, &mut self.failovers);
        self.world.with(self.user, |node, now| {
            let mut again = Vec::new();
            while let Some(item) = node.session_recv(now, session) {
                match item {
                    Received::Message(m) => {
                        answered.insert(u32::from_be_bytes(m.data[..].try_into().unwrap()));
                    }
                    Received::Undelivered(m) => again.push(m),
                    Received::Failover(Failover::Necessary { .. }) => *failovers += 1,
                    _ => {}
                }
            }
            for m in again {
                node.session_send(now, session, m).unwrap();
            }
        });
    }

    fn kill(&mut self, host: impl Into<HostId>) {
        self.world.apply(Fault::Crash { host: host.into(), how: Crash::Machine });
    }

    /// The registrar that a node of elements or users has as its home.
    fn home(&self, node: NodeId<PoolNode>) -> NodeId<RegistrarNode> {
        let id = self.world.node(node).asap().home().unwrap();
        *self.registrars.iter().find(|r| self.world.is_up(**r) && self.world.node(**r).registrar().id() == id).unwrap()
    }
}

fn pool() -> PoolHandle {
    PoolHandle::new("Echo").unwrap()
}

fn add<N: Node + 'static>(world: &mut World, n: u8, node: N) -> NodeId<N> {
    let cfg = HostConfig {
        datagram_ports: vec![ASAP_PORT, ENRP_PORT],
        groups: groups().iter().map(|g| g.ip()).collect(),
        ..HostConfig::new(&format!("h{n}"), addr(n))
    };
    let node = world.add(cfg, node);
    world.with(node, |node, now| node.handle_addresses(now, AddrChange::Set(vec![addr(n)])));
    node
}

fn registrar(world: &mut World, n: u8) -> NodeId<RegistrarNode> {
    let mut cfg = RegistrarConfig::default();
    cfg.id = RegistrarId(n.into());
    let [asap, enrp] = groups();
    cfg.enrp_group = enrp;
    cfg.announce.targets = vec![AnnounceTarget { source: addr(n), group: asap }];
    cfg.enrp.targets = vec![AnnounceTarget { source: addr(n), group: enrp }];
    let stack = Stack::new(StackConfig::default(), world.fork_entropy());
    let endpoint = |port| EndpointConfig::with(port, Arc::new(AssocConfig::session()));
    let node = RegistrarNode::new(stack, endpoint(ASAP_PORT), endpoint(ENRP_PORT), cfg, world.fork_entropy()).unwrap();
    add(world, n, node)
}

fn pool_node(world: &mut World, n: u8) -> NodeId<PoolNode> {
    let stack = Stack::new(StackConfig::default(), world.fork_entropy());
    let node = PoolNode::new(stack, CLIENT_PORT, AsapConfig::default(), world.fork_entropy()).unwrap();
    add(world, n, node)
}

fn server(world: &mut World, n: u8) -> (NodeId<PoolNode>, ListenerId) {
    let node = pool_node(world, n);
    let listener = world.with(node, |node, now| {
        let listener = node.open_listener(7_000, ListenerConfig::default()).unwrap();
        node.announce(now, listener, ElementSpec::new(pool(), 0)).unwrap();
        listener
    });
    (node, listener)
}

/// The home of the user, then that of the element that serves it, then the element itself: only the last one moves the session,
/// to an element that the registrar that is left knows.
#[test]
fn a_session_outlives_its_registrars() {
    let mut s = Service::new();
    s.run(Duration::from_secs(3));
    assert_eq!((s.answered.len(), s.failovers), (s.asked as usize, 0));

    let home = s.home(s.user);
    s.kill(home);
    s.run(Duration::from_secs(25));
    let serving = s.accepted[0].0;
    let element = s.servers.iter().find(|(node, _)| node.host() == serving).unwrap().0;
    let home = s.home(element);
    s.kill(home);
    s.run(Duration::from_secs(40));
    assert_eq!((s.answered.len(), s.failovers), (s.asked as usize, 0), "no registrar is needed for a session");

    s.kill(element);
    s.run(Duration::from_secs(15));
    assert_eq!(s.failovers, 1);
    assert!(s.answered.len() + 5 >= s.asked as usize, "{} of {} answered", s.answered.len(), s.asked);
    let left = s.registrars.iter().find(|r| s.world.is_up(**r)).unwrap();
    let space = s.world.node(*left).registrar().handlespace();
    assert_eq!(space.element_count(), 2, "the dead element is gone, the others are known to the last registrar");
}
