//! Registrars, and hosts with elements and users.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use rserpool::asap::{AsapConfig, ElementKey, ElementSpec, RequestId, ResolveError};
use rserpool::node::{PoolNode, RegistrarNode};
use rserpool::registrar::config::{AnnounceTarget, RegistrarConfig};
use rserpool::wire::{ENRP_PORT, ElementId, PoolElement, PoolHandle, RegistrarId};
use sctp_user::sim::{Crash, Fault, HostConfig, LinkConfig, NodeId, World};
use sctp_user::{AddrChange, EndpointConfig, Node, Stack, StackConfig};

pub(crate) const ASAP: u16 = 3863;
const GROUP: &str = "239.0.0.50:3863";

pub(crate) fn pool(name: &str) -> PoolHandle {
    PoolHandle::new(name).unwrap()
}

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) fn registrar_addr(n: u8) -> IpAddr {
    IpAddr::from([10, 0, 1, n])
}

pub(crate) fn host_addr(n: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, n])
}

/// The seeds to run: `SEEDS=n` the first n.
pub(crate) fn seeds() -> impl Iterator<Item = u64> {
    0..std::env::var("SEEDS").ok().and_then(|v| v.parse().ok()).unwrap_or(12)
}

/// The world with its registrars.
pub(crate) struct Bed {
    pub(crate) world: World,
    pub(crate) registrars: Vec<NodeId<RegistrarNode>>,
}

impl Bed {
    pub(crate) fn new(seed: u64, registrars: u8, link: LinkConfig) -> Self {
        let mut world = World::new(seed);
        world.set_default_link(link);
        let mut bed = Self { world, registrars: vec![] };
        for n in 1..=registrars {
            let node = bed.registrar_node(n);
            let host = HostConfig { datagram_ports: vec![ASAP], ..HostConfig::new(&format!("registrar {n}"), registrar_addr(n)) };
            let id = bed.world.add(host, node);
            bed.introduce(id, registrar_addr(n));
            bed.registrars.push(id);
        }
        bed
    }

    fn registrar_node(&mut self, n: u8) -> RegistrarNode {
        let mut cfg = RegistrarConfig::default();
        cfg.id = RegistrarId(n.into());
        cfg.announce.targets = vec![AnnounceTarget { source: registrar_addr(n), group: GROUP.parse().unwrap() }];
        let stack = Stack::new(StackConfig::default(), self.world.fork_entropy());
        RegistrarNode::new(stack, EndpointConfig::new(ASAP), EndpointConfig::new(ENRP_PORT), cfg, self.world.fork_entropy()).unwrap()
    }

    /// A host with pool elements, users, or both.
    pub(crate) fn host(&mut self, n: u8, cfg: AsapConfig) -> NodeId<PoolNode> {
        let group: SocketAddr = GROUP.parse().unwrap();
        let host = HostConfig::new(&format!("host {n}"), host_addr(n));
        self.add(HostConfig { datagram_ports: vec![group.port()], groups: vec![group.ip()], ..host }, n, cfg)
    }

    /// A host that announces do not reach.
    pub(crate) fn deaf_host(&mut self, n: u8, cfg: AsapConfig) -> NodeId<PoolNode> {
        self.add(HostConfig::new(&format!("host {n}"), host_addr(n)), n, cfg)
    }

    fn add(&mut self, host: HostConfig, n: u8, cfg: AsapConfig) -> NodeId<PoolNode> {
        let stack = Stack::new(StackConfig::default(), self.world.fork_entropy());
        let node = PoolNode::new(stack, 5_000, cfg, self.world.fork_entropy()).unwrap();
        let id = self.world.add(host, node);
        self.introduce(id, host_addr(n));
        id
    }

    fn introduce<N: Node + 'static>(&mut self, id: NodeId<N>, addr: IpAddr) {
        self.world.with(id, |n, now| n.handle_addresses(now, AddrChange::Set(vec![addr])));
    }

    pub(crate) fn kill<N: Node + 'static>(&mut self, node: NodeId<N>) {
        self.world.apply(Fault::Crash { host: node.host(), how: Crash::Machine });
    }

    /// A registrar begins anew, without memory.
    pub(crate) fn restart(&mut self, n: u8) {
        let old = self.registrars[usize::from(n) - 1];
        let node = self.registrar_node(n);
        let id = self.world.restart(old, node);
        self.introduce(id, registrar_addr(n));
        self.registrars[usize::from(n) - 1] = id;
    }

    /// Runs until `done`, and tells how long that took.
    pub(crate) fn run_until(&mut self, limit: Duration, what: &str, mut done: impl FnMut(&mut Self) -> bool) -> Duration {
        for step in 0..=limit.as_millis() / 5 {
            if done(self) {
                return ms(5) * u32::try_from(step).unwrap();
            }
            self.world.run_for(ms(5));
        }
        panic!("not within {limit:?}: {what}");
    }

    /// The number of the registrar that is a host's home.
    pub(crate) fn home(&self, host: NodeId<PoolNode>) -> Option<u8> {
        self.world.node(host).asap().home().and_then(|id| u8::try_from(id.0).ok()).filter(|n| *n != 0)
    }

    /// Whether the host has a living home and that one knows the element, which is at `port`.
    pub(crate) fn is_registered(&self, host: NodeId<PoolNode>, key: &ElementKey, port: u16) -> bool {
        if self.world.node(host).registration(key) != Some(&Ok(())) {
            return false;
        }
        let Some(n) = self.home(host) else { return false };
        let id = self.registrars[usize::from(n) - 1];
        if !self.world.is_up(id) {
            return false;
        }
        let handlespace = self.world.node(id).registrar().handlespace();
        let found = handlespace.find(&key.handle, key.id).and_then(|k| handlespace.element(k));
        found.is_some_and(|e| e.user().port == port)
    }

    pub(crate) fn register(&mut self, host: NodeId<PoolNode>, name: &str, id: u32, port: u16) -> ElementKey {
        let mut spec = ElementSpec::new(pool(name), port);
        spec.key.id = ElementId(id);
        self.world.with(host, |n, now| n.register(now, spec).unwrap())
    }

    pub(crate) fn resolve(&mut self, host: NodeId<PoolNode>, name: &str) -> RequestId {
        self.world.with(host, |n, now| n.resolve(now, &pool(name), 10, Duration::ZERO))
    }

    pub(crate) fn answer(&mut self, host: NodeId<PoolNode>, request: RequestId) -> Option<Result<Vec<PoolElement>, ResolveError>> {
        self.world.with(host, |n, _| n.take_answer(request))
    }
}
