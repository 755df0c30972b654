//! Two hosts and what lies between them.

use core::time::Duration;
use std::net::IpAddr;
use std::sync::Arc;

use sctp_user::sim::{Chance, HostConfig, HostId, LinkConfig, Loss, NodeId, World};
use sctp_user::{AddrChange, AssocConfig, Channel, Entropy, Node, SeededEntropy, StackConfig, Time};

use crate::peer::Peer;
use crate::workload::Workload;

/// SCTP port of the side that opens the association.
pub const CLIENT_PORT: u16 = 5_000;
/// SCTP port of the other side.
pub const SERVER_PORT: u16 = 5_001;

/// A network beside the first one: another way between the hosts, which shares nothing with it.
#[derive(Clone, Debug)]
pub struct Net {
    /// Whether its addresses are IPv6.
    pub ipv6: bool,
    /// From client to server.
    pub there: LinkConfig,
    /// From server to client.
    pub back: LinkConfig,
}

impl Net {
    /// An IPv4 network whose links are alike in both directions.
    #[must_use]
    pub fn new(link: LinkConfig) -> Self {
        Self { ipv6: false, there: link.clone(), back: link }
    }

    /// The same with IPv6.
    #[must_use]
    pub fn ipv6(link: LinkConfig) -> Self {
        Self { ipv6: true, ..Self::new(link) }
    }

    /// The address of host `host` in network number `net`.
    fn ip(&self, net: usize, host: u8) -> IpAddr {
        let net = u8::try_from(net).unwrap_or(u8::MAX);
        if self.ipv6 { IpAddr::from([0xfd00, u16::from(net), 0, 0, 0, 0, 0, u16::from(host)]) } else { IpAddr::from([10, net, 0, host]) }
    }
}

/// What is to be built.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Seed of the world.
    pub seed: u64,
    /// Configuration of both sides.
    pub assoc: AssocConfig,
    /// From client to server.
    pub there: LinkConfig,
    /// From server to client.
    pub back: LinkConfig,
    /// What the client sends.
    pub upload: Workload,
    /// What the server sends.
    pub download: Workload,
    /// Most packets of a train, sent and received.
    pub train: usize,
    /// Whether both are processes of one machine, which share its UDP port.
    pub one_machine: bool,
    /// Whether the hosts have IPv6 addresses.
    pub ipv6: bool,
    /// What carries SCTP.
    pub channel: Channel,
    /// Further networks: both hosts have an address in each. Packets do not pass from one network to another.
    pub nets: Vec<Net>,
    /// Whether the client wants ECN, if that differs from `assoc`.
    pub client_ecn: Option<bool>,
    /// Makes the randomness of each stack from a seed; the usual one if there is none.
    pub entropy: Option<fn(u64) -> Box<dyn Entropy>>,
}

impl Scenario {
    /// A good link, the RFC's parameters, nothing to send.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            assoc: AssocConfig::rfc(),
            there: LinkConfig::default(),
            back: LinkConfig::default(),
            upload: Workload::none(),
            download: Workload::none(),
            train: 1,
            one_machine: false,
            ipv6: false,
            channel: StackConfig::default().default_channel,
            nets: Vec::new(),
            client_ecn: None,
            entropy: None,
        }
    }

    /// Bad links in both directions, drawn from the seed: up to 20 % loss, reordering, duplication, bit errors; `messages`
    /// mixed messages each way; limits raised so that giving up is no way out.
    #[must_use]
    pub fn rough(seed: u64, messages: usize) -> Self {
        let mut rng = SeededEntropy::new(seed ^ 0x0bad_11e5);
        let rng = &mut rng;
        let mut assoc = unlimited(AssocConfig::rfc());
        assoc.recv_buffer = usize::try_from(100_000 + rng.below(400_000)).unwrap_or(100_000);
        assoc.send_buffer = usize::try_from(70_000 + rng.below(400_000)).unwrap_or(70_000);
        assoc.nagle = rng.below(2) == 0;
        assoc.sender_i_bit = rng.below(2) == 0;
        assoc.mtu = if rng.below(4) == 0 { 576 } else { 1500 };
        assoc.ecn = seed.is_multiple_of(3);
        let train = if rng.below(2) == 0 { 1 } else { 8 };
        Self {
            assoc,
            there: rough_link(rng),
            back: rough_link(rng),
            upload: Workload::mixed(rng, messages, 10),
            download: Workload::mixed(rng, messages, 10),
            train,
            ..Self::new(seed)
        }
    }

    /// Builds the hosts; nothing is connected yet.
    #[must_use]
    pub fn build(self) -> Bed {
        let mut world = World::new(self.seed);
        let mut nets = vec![Net { ipv6: self.ipv6, there: self.there, back: self.back }];
        nets.extend(self.nets);
        if nets.len() > 1 {
            world.set_default_link(LinkConfig { loss: Loss::percent(100), ..LinkConfig::default() });
        }
        let ends = |(n, net): (usize, &Net)| [net.ip(n, 1), net.ip(n, if self.one_machine { 1 } else { 2 })];
        let ways: Vec<_> = nets.iter().enumerate().map(ends).collect();
        for ([client, server], net) in ways.iter().zip(nets) {
            world.set_link(*client, *server, net.there);
            world.set_link(*server, *client, net.back);
        }
        let [client_ip, server_ip] = ways.first().copied().unwrap_or([IpAddr::from([0; 4]); 2]);
        let [client_ips, server_ips] = [0, 1].map(|side: usize| ways.iter().filter_map(|w| w.get(side).copied()).collect::<Vec<_>>());
        let (upload, download) = (Arc::new(self.upload), Arc::new(self.download));
        let host = |name, ips: &Vec<IpAddr>, ahead, port| HostConfig {
            addrs: ips.clone(),
            clock_ahead: Duration::from_secs(ahead),
            sctp_ports: self.one_machine.then(|| vec![port]),
            raw: true,
            max_segments: self.train,
            max_train: self.train,
            ..HostConfig::new(name, client_ip)
        };
        let mut stack = StackConfig::default();
        stack.default_channel = self.channel;
        stack.ecn_marks = true;
        let setup = Setup { stack, client_ecn: self.client_ecn, entropy: self.entropy, assoc: self.assoc, upload, download };
        let node = setup.client(&mut world);
        let client = world.add(host("client", &client_ips, 1_000_000, CLIENT_PORT), node);
        let node = setup.server(&mut world);
        let server = world.add(host("server", &server_ips, 0, SERVER_PORT), node);
        for (id, ips) in [(client, client_ips), (server, server_ips)] {
            world.with(id, |n, now| n.handle_addresses(now, AddrChange::Set(ips)));
        }
        Bed { world, client, server, client_ip, server_ip, ways, setup }
    }
}

/// The same parameters with limits that are never reached.
#[must_use]
pub fn unlimited(mut cfg: AssocConfig) -> AssocConfig {
    cfg.assoc_max_retrans = 1_000_000;
    cfg.path_max_retrans = 1_000_000;
    cfg.max_init_retransmits = 1_000_000;
    cfg
}

fn rough_link(rng: &mut SeededEntropy) -> LinkConfig {
    let percent = |rng: &mut SeededEntropy, most: u64| Chance::ppm(u32::try_from(rng.below(most * 10_000 + 1)).unwrap_or(0));
    let millis = |rng: &mut SeededEntropy, most: u64| Duration::from_millis(rng.below(most + 1));
    let uniform = Loss::Uniform(percent(rng, 20));
    // In the long run a seventh of the time is bad: 20 % loss at most.
    let bursts = Loss::Bursts { enter: Chance::percent(5), leave: Chance::percent(30), good: percent(rng, 5), bad: Chance::ALWAYS };
    LinkConfig {
        delay: millis(rng, 150),
        jitter: millis(rng, 30),
        loss: if rng.below(4) == 0 { bursts } else { uniform },
        duplicate: percent(rng, 10),
        reorder: percent(rng, 20),
        reorder_by: millis(rng, 300),
        bit_errors: percent(rng, 2),
        rate: (rng.below(4) == 0).then(|| 500_000 + rng.below(20_000_000)),
        queue: 64 * 1024,
        mark_above: Some(16 * 1024),
        ..LinkConfig::default()
    }
}

/// Two hosts on a network.
pub struct Bed {
    /// The network.
    pub world: World,
    /// The host that opens the association.
    pub client: NodeId<Peer>,
    /// The other host.
    pub server: NodeId<Peer>,
    /// The client's address.
    pub client_ip: IpAddr,
    /// The server's address.
    pub server_ip: IpAddr,
    /// The addresses of client and server in each network.
    pub ways: Vec<[IpAddr; 2]>,
    setup: Setup,
}

/// What is needed to start a node anew.
struct Setup {
    stack: StackConfig,
    client_ecn: Option<bool>,
    entropy: Option<fn(u64) -> Box<dyn Entropy>>,
    assoc: AssocConfig,
    upload: Arc<Workload>,
    download: Arc<Workload>,
}

impl Setup {
    fn entropy(&self, world: &mut World) -> Box<dyn Entropy> {
        match self.entropy {
            Some(make) => make(world.rng().u64()),
            None => world.fork_entropy(),
        }
    }

    fn client(&self, world: &mut World) -> Peer {
        let plans = [self.upload.clone(), self.download.clone()];
        let mut assoc = self.assoc.clone();
        assoc.ecn = self.client_ecn.unwrap_or(assoc.ecn);
        Peer::new(self.stack.clone(), CLIENT_PORT, &assoc, self.entropy(world), plans)
    }

    fn server(&self, world: &mut World) -> Peer {
        let plans = [self.download.clone(), self.upload.clone()];
        Peer::new(self.stack.clone(), SERVER_PORT, &self.assoc, self.entropy(world), plans)
    }
}

impl Bed {
    /// Has the client start an association with the server.
    pub fn connect(&mut self) {
        let ip = self.server_ip;
        self.world.with(self.client, |n, now| n.connect(now, ip, SERVER_PORT));
    }

    /// Has an association come up.
    ///
    /// # Panics
    /// If it is not up on both sides after a minute.
    pub fn connected(&mut self) {
        self.connected_within(Duration::from_secs(60));
    }

    /// Has an association come up.
    ///
    /// # Panics
    /// If it is not up on both sides after `limit`.
    pub fn connected_within(&mut self, limit: Duration) {
        self.connect();
        let (client, server) = (self.client, self.server);
        let up = |w: &mut World| w.node(client).latest().is_some() && w.node(server).latest().is_some();
        let until = self.world.now() + limit;
        assert!(self.world.run_until_idle_or(until, up), "not connected: {:?} {:?}", self.client().log, self.server().log);
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> &Peer {
        self.world.node(self.client)
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &Peer {
        self.world.node(self.server)
    }

    /// Lets time pass until both sides have received everything, or something is wrong.
    ///
    /// # Errors
    /// What is wrong, or what is missing after `limit`.
    pub fn deliver(&mut self, limit: Duration) -> Result<(), String> {
        let (client, server) = (self.client, self.server);
        let until = self.world.now() + limit;
        self.world.run_until_idle_or(until, |w| {
            let (c, s) = (w.node(client), w.node(server));
            (c.complete() && s.complete()) || !c.violations.is_empty() || !s.violations.is_empty()
        });
        self.check()?;
        let report = |p: &Peer| format!("missing {:?}, log {:?}", p.latest().map(|(_, c)| c.oracle.missing()), p.log);
        if self.client().complete() && self.server().complete() {
            return Ok(());
        }
        Err(format!("not delivered at {}: client {}; server {}", self.world.now(), report(self.client()), report(self.server())))
    }

    /// What either side has found wrong so far.
    ///
    /// # Errors
    /// The first violation.
    pub fn check(&self) -> Result<(), String> {
        let named = [("client", self.client()), ("server", self.server())];
        let first = named.iter().find_map(|(name, p)| p.violations.first().map(|v| format!("{name}: {v}")));
        first.map_or(Ok(()), Err)
    }

    /// Lets time pass until both sides have lost their associations.
    ///
    /// # Errors
    /// They have not after `limit`.
    pub fn closed(&mut self, limit: Duration) -> Result<(), String> {
        let (client, server) = (self.client, self.server);
        let until = self.world.now() + limit;
        let closed = |w: &mut World| !w.node(client).losses().is_empty() && !w.node(server).losses().is_empty();
        if self.world.run_until_idle_or(until, closed) {
            return self.check();
        }
        Err(format!("not closed at {}: client {:?}; server {:?}", self.world.now(), self.client().log, self.server().log))
    }

    /// The time by the clock of the world at which something happened by the clock of a host.
    #[must_use]
    pub fn world_time(&self, host: impl Into<HostId>, local: Time) -> Time {
        let ahead = self.world.local_time(host) - self.world.now();
        Time::ZERO + local.saturating_since(Time::ZERO + ahead)
    }

    /// Starts the client anew with a fresh stack.
    pub fn restart_client(&mut self) {
        let node = self.setup.client(&mut self.world);
        self.restart(self.client, 0, node);
    }

    /// Starts the server anew with a fresh stack.
    pub fn restart_server(&mut self) {
        let node = self.setup.server(&mut self.world);
        self.restart(self.server, 1, node);
    }

    fn restart(&mut self, id: NodeId<Peer>, side: usize, node: Peer) {
        self.world.restart(id, node);
        let ips = self.ways.iter().filter_map(|w| w.get(side).copied()).collect();
        self.world.with(id, |n, now| n.handle_addresses(now, AddrChange::Set(ips)));
    }

    /// Adds a host with another client of the same server, which has the same workload.
    pub fn add_client(&mut self, ip: IpAddr) -> NodeId<Peer> {
        let node = self.setup.client(&mut self.world);
        let id = self.world.add(HostConfig { raw: true, ..HostConfig::new("another", ip) }, node);
        self.world.with(id, |n, now| n.handle_addresses(now, AddrChange::Set(vec![ip])));
        id
    }
}
