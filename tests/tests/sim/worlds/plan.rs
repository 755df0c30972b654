//! A random world as a plan: everything that will be done to it, drawn from its seed before it begins.

use core::fmt;
use core::time::Duration;
use std::net::IpAddr;

use sctp_user::sim::{Chance, Crash, LinkConfig, Loss, Pause};
use sctp_user::wire::chunk::kind;
use sctp_user::{AssocConfig, Channel, Congestion, Entropy, SeededEntropy};
use testbed::Workload;
use testbed::bed::{CLIENT_PORT, SERVER_PORT};

use super::extensions::{self, Wish};

/// Most paths between the two hosts.
pub(crate) const MAX_PATHS: u64 = 4;
/// Troubles begin within this many milliseconds; twice as late all is over and healed.
pub(crate) const STORM: u64 = 30_000;

/// One of the two hosts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Client,
    Server,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Client, Self::Server];

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    pub(crate) const fn port(self) -> u16 {
        match self {
            Self::Client => CLIENT_PORT,
            Self::Server => SERVER_PORT,
        }
    }

    fn draw(rng: &mut SeededEntropy) -> Self {
        if rng.below(2) == 0 { Self::Client } else { Self::Server }
    }
}

/// Something that happens to the world.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// A path goes down, in the directions from these sides, or comes up again.
    Cut {
        path: usize,
        from: Vec<Side>,
    },
    Heal {
        path: usize,
    },
    /// A path changes, in one direction.
    Link {
        path: usize,
        from: Side,
        cfg: LinkConfig,
    },
    Freeze {
        side: Side,
        packets: Pause,
    },
    Resume {
        side: Side,
    },
    ClockJump {
        side: Side,
        by: Duration,
    },
    /// The NAT before the client shows another port.
    Rebind {
        outer: u16,
    },
    /// An application stops reading, or goes on.
    Reading {
        side: Side,
        on: bool,
    },
    Crash {
        side: Side,
        how: Crash,
    },
    /// The host starts anew; the client connects again.
    Restart {
        side: Side,
    },
    Connect {
        side: Side,
    },
    Shutdown {
        side: Side,
    },
    Abort {
        side: Side,
    },
    Heartbeat {
        side: Side,
    },
    /// All is changed that may change while an association lives.
    Reconfigure {
        side: Side,
        cfg: Box<AssocConfig>,
    },
    /// The host has its addresses on these paths only.
    Addresses {
        side: Side,
        paths: Vec<usize>,
    },
    /// The application asks for something that an extension offers.
    Wish {
        side: Side,
        wish: Wish,
    },
}

/// How a world ends that has not been closed by its script.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Shutdown(Side),
    ShutdownBoth,
    Abort(Side),
}

/// The two addresses of a path, and what it does to packets from each side.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) ips: [IpAddr; 2],
    pub(crate) links: [LinkConfig; 2],
}

/// A world.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) channel: Channel,
    pub(crate) routes: Vec<Route>,
    /// Whether every address of one host reaches every address of the other of its family, not only its partner.
    pub(crate) mesh: bool,
    /// Of the client and of the server.
    pub(crate) configs: [AssocConfig; 2],
    /// Whether limits of retransmission are so high that giving up is no way out.
    pub(crate) patient: bool,
    /// Whether paths carry packets of other sizes than 1500 bytes, and change that; both sides search for it then.
    pub(crate) sizes: bool,
    /// The paths on which each side has an address at first.
    pub(crate) present: [Vec<usize>; 2],
    /// Whether parts of messages of several streams may come in turn, and whether streams may begin anew.
    pub(crate) interleaves: bool,
    pub(crate) renumbers: bool,
    /// What each side sends.
    pub(crate) work: [Workload; 2],
    /// Most packets of a train, sent and received.
    pub(crate) train: usize,
    /// What happens, in order of time (milliseconds).
    pub(crate) script: Vec<(u64, Act)>,
    /// How long the association idles before its end.
    pub(crate) idle: Duration,
    pub(crate) end: End,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, {:?}, mesh {}, trains of {}", self.seed, self.channel, self.mesh, self.train)?;
        for (route, n) in self.routes.iter().zip(0..) {
            writeln!(f, "path {n}: {:?}\n  there {:?}\n  back {:?}", route.ips, route.links[0], route.links[1])?;
        }
        writeln!(f, "client {:?}\nserver {:?}", self.configs[0], self.configs[1])?;
        for (name, w) in ["client", "server"].iter().zip(&self.work) {
            writeln!(f, "{name} sends {} messages, {} bytes", w.messages.len(), w.total())?;
        }
        for (at, act) in &self.script {
            writeln!(f, "{at:6} ms {act:?}")?;
        }
        write!(f, "idle for {:?}, then {:?}", self.idle, self.end)
    }
}

impl Plan {
    /// The world of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = SeededEntropy::new(seed ^ 0x0000_3017_1d5e_ed00);
        let rng = &mut rng;
        let patient = rng.below(3) > 0;
        let streams = u16::try_from(1 + rng.below(12)).unwrap_or(1);
        let sizes = rng.below(3) == 0;
        let mut configs = [0, 1].map(|_| config(rng, streams, patient, sizes));
        extensions::reconcile(&mut configs);
        let udp = rng.below(2) == 0;
        let paths = 1 + rng.below(MAX_PATHS);
        let messages = |rng: &mut SeededEntropy| {
            let most = 1 << rng.below(9);
            usize::try_from(rng.below(most)).unwrap_or(0)
        };
        let work = [0, 1].map(|_| {
            let count = messages(rng);
            let mut work = Workload::mixed(rng, count, streams);
            // One in thirty has a message that no buffer holds.
            if rng.below(30) == 0
                && let Some(m) = work.messages.last_mut()
            {
                m.len = usize::try_from(500_000 + rng.below(1_500_000)).unwrap_or(1 << 20);
            }
            if rng.below(2) == 0 { work.partly_reliable(rng) } else { work }
        });
        let mut plan = Self {
            seed,
            channel: if udp { Channel::Udp { local: 9899, remote: 9899 } } else { Channel::Raw },
            routes: (0..paths).map(|n| route(rng, n, sizes)).collect(),
            mesh: rng.below(2) == 0,
            configs,
            patient,
            sizes,
            present: if rng.below(3) == 0 { [0, 1].map(|_| some_paths(rng, paths)) } else { [0, 1].map(|_| all_paths(paths)) },
            interleaves: false,
            renumbers: false,
            work,
            train: if rng.below(2) == 0 { 1 } else { 8 },
            script: Vec::new(),
            idle: Duration::from_millis(if rng.below(2) == 0 { 0 } else { rng.below(200_000) }),
            end: match rng.below(4) {
                0 => End::Abort(Side::draw(rng)),
                1 => End::ShutdownBoth,
                _ => End::Shutdown(Side::draw(rng)),
            },
        };
        for _ in 0..rng.below(12) {
            plan.trouble(rng);
        }
        // One world in eight is closed in the middle, one in eight restarts.
        match rng.below(8) {
            0 => plan.close(rng),
            1 => plan.crash(rng),
            _ => {}
        }
        // Who believes no ABORT of a stranger needs HEARTBEATs to learn that its peer is gone or has begun anew (RFC 4895 section 6.3).
        if plan.every_config().any(|c| c.hb_interval.is_none()) {
            plan.configs.iter_mut().for_each(|c| c.auth_chunks = c.auth_chunks.without(kind::ABORT));
        }
        let interleaves = plan.every_config().any(|c| c.interleave_streams);
        let renumbers = plan.wishes().any(Wish::renumbers);
        (plan.interleaves, plan.renumbers) = (interleaves, renumbers);
        plan.script.sort_by_key(|(at, _)| *at);
        plan
    }

    /// Whether a host ends and starts anew.
    pub(crate) fn restarts(&self) -> bool {
        self.script.iter().any(|(_, act)| matches!(act, Act::Crash { .. }))
    }

    /// All configurations that are in use at some time.
    pub(crate) fn every_config(&self) -> impl Iterator<Item = &AssocConfig> {
        let later = self.script.iter().filter_map(|(_, act)| if let Act::Reconfigure { cfg, .. } = act { Some(&**cfg) } else { None });
        self.configs.iter().chain(later)
    }

    /// Whether addresses come or go of which the peer is not told: what leaves from those that are gone is lost, and what comes from new
    /// ones is a stranger's.
    pub(crate) fn readdresses_in_silence(&self) -> bool {
        self.readdresses() && !self.configs.iter().all(|c| c.add_ip && c.auto_asconf && c.auth)
    }

    /// Whether addresses come or go.
    pub(crate) fn readdresses(&self) -> bool {
        self.present.iter().any(|paths| paths.len() < self.routes.len())
            || self.script.iter().any(|(_, act)| matches!(act, Act::Addresses { .. }))
    }

    /// What applications wish for.
    pub(crate) fn wishes(&self) -> impl Iterator<Item = &Wish> {
        self.script.iter().filter_map(|(_, act)| if let Act::Wish { wish, .. } = act { Some(wish) } else { None })
    }

    /// Whether a host stands still for some time.
    pub(crate) fn freezes(&self) -> bool {
        self.script.iter().any(|(_, act)| matches!(act, Act::Freeze { .. }))
    }

    fn push(&mut self, at: u64, act: Act) {
        self.script.push((at, act));
    }

    /// Something that passes.
    fn trouble(&mut self, rng: &mut SeededEntropy) {
        let at = rng.below(STORM);
        let until = at + 1 + rng.below(20_000);
        let path = usize::try_from(rng.below(self.routes.len() as u64)).unwrap_or(0);
        let side = Side::draw(rng);
        match rng.below(18) {
            0 => {
                self.push(at, Act::Cut { path, from: Side::BOTH.to_vec() });
                self.push(until, Act::Heal { path });
            }
            1 => {
                self.push(at, Act::Cut { path, from: vec![side] });
                self.push(until, Act::Heal { path });
            }
            2 | 3 => {
                let cfg = self.sized(rng, path);
                self.push(at, Act::Link { path, from: side, cfg });
            }
            4 => {
                let packets = if rng.below(2) == 0 { Pause::Lose } else { Pause::Queue(usize::try_from(rng.below(300)).unwrap_or(0)) };
                self.push(at, Act::Freeze { side, packets });
                self.push(until, Act::Resume { side });
            }
            5 => self.push(at, Act::ClockJump { side, by: Duration::from_millis(until - at) }),
            6 if matches!(self.channel, Channel::Udp { .. }) => {
                let outer = u16::try_from(40_000 + rng.below(20_000)).unwrap_or(40_000);
                self.push(at, Act::Rebind { outer });
            }
            7 => self.push(at, Act::Heartbeat { side }),
            8 => self.push(rng.below(1_000), Act::Connect { side }),
            9 => {
                let cfg = config(rng, 12, self.patient, self.sizes);
                self.push(at, Act::Reconfigure { side, cfg: Box::new(cfg) });
            }
            10 | 11 => {
                let paths = some_paths(rng, self.routes.len() as u64);
                self.push(at, Act::Addresses { side, paths });
            }
            12..=15 => {
                let wish = Wish::draw(rng, self.configs[side as usize].outbound_streams);
                self.push(at, Act::Wish { side, wish });
            }
            _ => {
                self.push(at, Act::Reading { side, on: false });
                self.push(until, Act::Reading { side, on: true });
            }
        }
    }

    /// A link for a path.
    fn sized(&self, rng: &mut SeededEntropy, path: usize) -> LinkConfig {
        let v6 = self.routes[path].ips[0].is_ipv6();
        if self.sizes { resized(rng, v6) } else { link(rng) }
    }

    fn close(&mut self, rng: &mut SeededEntropy) {
        let (at, side) = (rng.below(STORM / 2), Side::draw(rng));
        match rng.below(4) {
            0 => self.push(at, Act::Abort { side }),
            1 => {
                self.push(at, Act::Shutdown { side });
                let later = at + rng.below(1_000);
                self.push(later, Act::Shutdown { side: side.other() });
            }
            _ => self.push(at, Act::Shutdown { side }),
        }
    }

    fn crash(&mut self, rng: &mut SeededEntropy) {
        let (at, side) = (rng.below(STORM), Side::draw(rng));
        let how = if rng.below(2) == 0 { Crash::Machine } else { Crash::Process { sctp_ports: vec![side.port()] } };
        self.push(at, Act::Crash { side, how });
        let pause = rng.below(10_000);
        self.push(at + pause, Act::Restart { side });
    }
}

fn config(rng: &mut SeededEntropy, streams: u16, patient: bool, sizes: bool) -> AssocConfig {
    let mut cfg = match rng.below(6) {
        0 => AssocConfig::session(),
        1 => AssocConfig::signalling(),
        _ => AssocConfig::rfc(),
    };
    if patient {
        // Forty time-outs outlast every storm, but not a peer that is gone behind a NAT that forgot it. The opening keeps its
        // limit: a server that starts anew meanwhile discards the old cookie in silence, for ever.
        cfg.assoc_max_retrans = 40;
        cfg.path_max_retrans = 40;
    }
    let kib = |rng: &mut SeededEntropy, least: u64, most: u64| usize::try_from((least + rng.below(most - least)) << 10).unwrap_or(1 << 20);
    cfg.recv_buffer = if rng.below(5) == 0 { 1_500 + kib(rng, 0, 8) } else { kib(rng, 70, 500) };
    cfg.send_buffer = kib(rng, 70, 500);
    cfg.nagle = rng.below(2) == 0;
    cfg.sender_i_bit = rng.below(2) == 0;
    cfg.repeat_fast_retransmit = rng.below(2) == 0;
    cfg.mtu = [576, 1280, 1500][usize::try_from(rng.below(3)).unwrap_or(0)];
    cfg.outbound_streams = streams + u16::try_from(rng.below(4)).unwrap_or(0);
    cfg.max_inbound_streams = streams + u16::try_from(rng.below(4)).unwrap_or(0);
    cfg.congestion = if rng.below(4) == 0 { Congestion::Cubic } else { Congestion::Rfc9260 };
    cfg.slow_start_l = if rng.below(4) == 0 { 2 } else { 1 };
    cfg.max_burst = usize::try_from(1 + rng.below(8)).unwrap_or(4);
    cfg.initial_window = (rng.below(4) == 0).then(|| kib(rng, 1, 30));
    cfg.sack_frequency = [1, 2, 2, 2, 2, 4][usize::try_from(rng.below(6)).unwrap_or(1)];
    cfg.ack_per_batch = rng.below(8) == 0;
    cfg.sack_delay = Duration::from_millis([0, 50, 200, 500][usize::try_from(rng.below(4)).unwrap_or(0)]);
    cfg.pmtu_discovery = sizes || rng.below(2) == 0;
    cfg.max_mtu = [1280, 1500, 9000][usize::try_from(rng.below(3)).unwrap_or(0)];
    cfg.max_fragment = (rng.below(8) == 0).then(|| kib(rng, 1, 2) / 4);
    cfg.partial_delivery = rng.below(4) > 0;
    cfg.partial_delivery_point = (rng.below(4) == 0).then(|| kib(rng, 1, 60));
    cfg.pf_max_retrans = [None, Some(0), Some(2)][usize::try_from(rng.below(3)).unwrap_or(0)];
    cfg.primary_switch_max_retrans = (rng.below(4) == 0).then_some(2);
    cfg.ecn = rng.below(3) == 0;
    match rng.below(4) {
        0 => cfg.hb_interval = None,
        1 => cfg.hb_interval = Some(Duration::from_secs(1)),
        _ => {}
    }
    extensions::draw(rng, &mut cfg, streams);
    cfg
}

fn all_paths(paths: u64) -> Vec<usize> {
    (0..usize::try_from(paths).unwrap_or(1)).collect()
}

/// Some of the paths, of which the first always is one: a host without address would say nothing.
fn some_paths(rng: &mut SeededEntropy, paths: u64) -> Vec<usize> {
    all_paths(paths).into_iter().filter(|n| *n == 0 || rng.below(3) > 0).collect()
}

fn route(rng: &mut SeededEntropy, n: u64, sizes: bool) -> Route {
    let n = u16::try_from(n).unwrap_or(0);
    let ip = |v6: bool, host: u8| -> IpAddr {
        if v6 { [0xfd00, n, 0, 0, 0, 0, 0, u16::from(host)].into() } else { [10, n.to_be_bytes()[1], 0, host].into() }
    };
    let v6 = rng.below(3) == 0;
    let links = [0, 1].map(|_| if sizes { resized(rng, v6) } else { link(rng) });
    Route { ips: [ip(v6, 1), ip(v6, 2)], links }
}

fn percent(rng: &mut SeededEntropy, most: u64) -> Chance {
    Chance::ppm(u32::try_from(rng.below(most * 10_000 + 1)).unwrap_or(0))
}

fn millis(rng: &mut SeededEntropy, most: u64) -> Duration {
    Duration::from_millis(rng.below(most + 1))
}

/// A link, good or bad: at most 30 % loss.
pub(crate) fn link(rng: &mut SeededEntropy) -> LinkConfig {
    if rng.below(4) == 0 {
        return LinkConfig::ideal(millis(rng, 100));
    }
    // In the long run a seventh of the time is bad.
    let bursts = Loss::Bursts { enter: Chance::percent(5), leave: Chance::percent(30), good: percent(rng, 10), bad: Chance::ALWAYS };
    LinkConfig {
        delay: millis(rng, 150),
        jitter: millis(rng, 30),
        loss: if rng.below(4) == 0 { bursts } else { Loss::Uniform(percent(rng, 30)) },
        duplicate: percent(rng, 10),
        reorder: percent(rng, 20),
        reorder_by: millis(rng, 300),
        bit_errors: percent(rng, 2),
        rate: (rng.below(4) == 0).then(|| 300_000 + rng.below(20_000_000)),
        queue: 64 * 1024,
        mark_above: (rng.below(2) == 0).then(|| usize::try_from(rng.below(32 * 1024)).unwrap_or(0)),
        bleaches: rng.below(8) == 0,
        ..LinkConfig::default()
    }
}

/// A link that carries packets of some size, and may keep silent about those that it does not carry.
fn resized(rng: &mut SeededEntropy, v6: bool) -> LinkConfig {
    let least = if v6 { 1_280 } else { 576 };
    let mtu = if rng.below(2) == 0 { least + rng.below(1_500 - least) } else { 1_500 + rng.below(7_501) };
    LinkConfig { mtu: usize::try_from(mtu).unwrap_or(1_500), reports_too_big: rng.below(2) == 0, ..link(rng) }
}
