//! A random cluster as a plan: everything that will be done to it, drawn from its seed before it begins.

use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr};

use rserpool::asap::ElementKey;
use rserpool::wire::{ElementId, PolicyParam, PoolHandle, RegistrarId};
use sctp_user::{Entropy as _, SeededEntropy};

use crate::fabric::{End, Weather};

/// How large clusters become, and how long their storms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Registrars: at least, at most.
    pub(crate) registrars: [usize; 2],
    pub(crate) elements: u64,
    pub(crate) users: u64,
    /// The storm lasts at most so many seconds.
    pub(crate) storm: u64,
}

/// Something that happens to the cluster.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// A registrar starts on a host, with this identifier.
    Registrar {
        host: usize,
        id: RegistrarId,
    },
    /// A client starts with the elements of its plan, or with other identifiers for them.
    Client {
        host: usize,
        anew: bool,
    },
    Kill {
        host: usize,
        end: End,
    },
    Freeze {
        host: usize,
    },
    Resume {
        host: usize,
        leap: Duration,
    },
    /// No packet passes from any host of the first to any of the second; back neither if `both`.
    Cut {
        from: Vec<usize>,
        to: Vec<usize>,
        both: bool,
    },
    /// The network is whole again.
    Heal,
    Weather(Weather),
    /// An element's load changes.
    Load {
        client: usize,
        n: usize,
        load: u32,
    },
    Deregister {
        client: usize,
        n: usize,
    },
}

/// An element that a client has.
#[derive(Clone, Debug)]
pub(crate) struct ElementPlan {
    pub(crate) key: ElementKey,
    pub(crate) policy: PolicyParam,
}

#[derive(Clone, Debug)]
pub(crate) struct ClientPlan {
    pub(crate) host: usize,
    pub(crate) elements: Vec<ElementPlan>,
    /// T4 of its elements; their registration life is three times as long.
    pub(crate) interval: Duration,
    /// How often it resolves a handle, if it is a user.
    pub(crate) resolves: Option<Duration>,
}

/// How registrars are configured, all alike.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Habits {
    /// The period of keep-alives in milliseconds; 0 is the default.
    pub(crate) keep_alive: u64,
    /// Whether the higher identifier wins a takeover, as RFC 5353 has it.
    pub(crate) higher_wins: bool,
    /// Whether takeovers are suggested.
    pub(crate) suggests: bool,
    /// Whether the timers are RFC 5353's, which take minutes.
    pub(crate) rfc_timers: bool,
    /// Whether SCTP has RFC 9260's values, as in the registrar program, rather than those of sessions.
    pub(crate) rfc_sctp: bool,
}

/// A cluster.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Hosts of registrars come first, then spare ones, then clients.
    pub(crate) addrs: Vec<IpAddr>,
    pub(crate) registrars: usize,
    pub(crate) spares: usize,
    pub(crate) clients: Vec<ClientPlan>,
    pub(crate) pools: Vec<PoolHandle>,
    /// Whether registrars are found by multicast; else by configuration.
    pub(crate) multicast: bool,
    pub(crate) habits: Habits,
    /// What happens, in order of time (milliseconds).
    pub(crate) script: Vec<(u64, Act)>,
    /// The last fault happens before, or ends then (milliseconds).
    pub(crate) end: u64,
}

impl Plan {
    pub(crate) fn new(seed: u64, scale: Scale) -> Self {
        let mut rng = SeededEntropy::new(seed);
        let [least, most] = scale.registrars;
        let registrars = least + index(&mut rng, most - least + 1);
        let spares = if most > 1 { 1 + index(&mut rng, 2) } else { 0 };
        let elements = match rng.below(100) {
            0..55 => 1 + rng.below(scale.elements.min(20)),
            55..90 => 1 + rng.below(scale.elements.min(80)),
            _ => 1 + rng.below(scale.elements),
        };
        let pools: Vec<PoolHandle> = (0..=rng.below(5)).map(pool).collect();
        let policies: Vec<bool> = pools.iter().map(|_| rng.below(2) == 0).collect();
        let mut clients = Vec::new();
        let (mut left, mut next_id) = (elements, 1);
        let most = 1 + rng.below(8);
        while left > 0 {
            let host = registrars + spares + clients.len();
            let mut own = Vec::new();
            for _ in 0..(1 + rng.below(most)).min(left) {
                let pool = index(&mut rng, pools.len());
                own.push(ElementPlan {
                    key: ElementKey { handle: pools[pool].clone(), id: ElementId(next_id) },
                    policy: load(policies[pool], 0),
                });
                next_id += 1;
                left -= 1;
            }
            let interval = Duration::from_secs(5 + rng.below(26));
            clients.push(ClientPlan { host, elements: own, interval, resolves: None });
        }
        for _ in 0..=rng.below(scale.users) {
            let host = registrars + spares + clients.len();
            let resolves = Some(Duration::from_millis(300 + rng.below(2_000)));
            clients.push(ClientPlan { host, elements: Vec::new(), interval: Duration::from_secs(30), resolves });
        }
        let addrs = (0..registrars + spares + clients.len()).map(addr).collect();
        let mut this = Self {
            seed,
            addrs,
            registrars,
            spares,
            clients,
            pools,
            multicast: rng.below(100) < 80,
            habits: Habits {
                keep_alive: if rng.below(3) == 0 { 500 + rng.below(10_000) } else { 0 },
                higher_wins: rng.below(4) == 0,
                suggests: rng.below(5) == 0,
                rfc_timers: rng.below(16) == 0,
                rfc_sctp: rng.below(2) == 0,
            },
            script: Vec::new(),
            end: 1_000 * (20 + rng.below(scale.storm.saturating_sub(20).max(1))),
        };
        this.begin(&mut rng);
        Storm { plan: &mut this, rng: &mut rng }.draw();
        this.script.sort_by_key(|(at, _)| *at);
        this
    }

    /// Everybody starts.
    fn begin(&mut self, rng: &mut SeededEntropy) {
        let together = rng.below(2) == 0;
        let at = |rng: &mut SeededEntropy| if together { rng.below(200) } else { rng.below(12_000) };
        for host in 0..self.registrars {
            self.script.push((at(rng), Act::Registrar { host, id: RegistrarId(rng.u32() | 1) }));
        }
        for client in &self.clients {
            self.script.push((at(rng), Act::Client { host: client.host, anew: false }));
        }
    }

    /// The hosts on which registrars may run.
    pub(crate) const fn registrar_hosts(&self) -> core::ops::Range<usize> {
        0..self.registrars + self.spares
    }

    pub(crate) fn client(&self, host: usize) -> Option<&ClientPlan> {
        self.clients.get(host.checked_sub(self.registrars + self.spares)?)
    }
}

/// Draws faults.
struct Storm<'a> {
    plan: &'a mut Plan,
    rng: &'a mut SeededEntropy,
}

impl Storm<'_> {
    fn draw(&mut self) {
        // From hardly any trouble to one each second.
        let pause = [800, 3_000, 10_000, 25_000][index(self.rng, 4)];
        let mut at = 12_000 + self.rng.below(8_000);
        let mut faults = 0;
        while at < self.plan.end && faults < 80 {
            self.fault(at);
            faults += 1;
            at += 1 + self.rng.below(2 * pause);
        }
    }

    fn act(&mut self, at: u64, act: Act) {
        if at <= self.plan.end {
            self.plan.script.push((at, act));
        }
    }

    fn fault(&mut self, at: u64) {
        let span = [300, 2_000, 8_000, 25_000, 70_000][index(self.rng, 5)];
        let later = at + 1 + self.rng.below(span);
        match self.rng.below(100) {
            0..18 => self.registrar_dies(at, later),
            18..34 => self.client_dies(at, later),
            34..56 => self.partition(at, later),
            56..66 => self.freeze(at, later),
            66..76 => {
                let weather = self.weather();
                self.act(at, Act::Weather(weather));
                self.act(later, Act::Weather(Weather::FAIR));
            }
            76..80 => self.duplicate(at, later),
            80..96 => {
                if let Some((client, n)) = self.element() {
                    let load = self.rng.u32();
                    self.act(at, Act::Load { client, n, load });
                }
            }
            _ => {
                if let Some((client, n)) = self.element() {
                    self.act(at, Act::Deregister { client, n });
                }
            }
        }
    }

    fn end(&mut self) -> End {
        if self.rng.below(2) == 0 { End::Process } else { End::Machine }
    }

    fn registrar_host(&mut self) -> usize {
        let hosts = self.plan.registrar_hosts();
        index(self.rng, hosts.len())
    }

    fn registrar_dies(&mut self, at: u64, later: u64) {
        let (host, end) = (self.registrar_host(), self.end());
        self.act(at, Act::Kill { host, end });
        // It comes back as it was, as another one, or elsewhere under its old name, or not at all.
        let before = self.id_of(host);
        match self.rng.below(6) {
            0 | 1 => self.act(later, Act::Registrar { host, id: before }),
            2 | 3 => {
                let id = RegistrarId(self.rng.u32() | 1);
                self.act(later, Act::Registrar { host, id });
            }
            4 => {
                let host = self.registrar_host();
                self.act(later, Act::Registrar { host, id: before });
            }
            _ => {}
        }
    }

    /// The identifier that a host's registrar was drawn last.
    fn id_of(&self, host: usize) -> RegistrarId {
        let of = |act: &Act| match act {
            Act::Registrar { host: h, id } if *h == host => Some(*id),
            _ => None,
        };
        self.plan.script.iter().rev().find_map(|(_, act)| of(act)).unwrap_or(RegistrarId(77))
    }

    fn client_dies(&mut self, at: u64, later: u64) {
        let client = index(self.rng, self.plan.clients.len());
        let (host, end) = (self.plan.clients[client].host, self.end());
        self.act(at, Act::Kill { host, end });
        match self.rng.below(3) {
            0 => self.act(later, Act::Client { host, anew: false }),
            1 => self.act(later, Act::Client { host, anew: true }),
            _ => {}
        }
    }

    fn partition(&mut self, at: u64, later: u64) {
        let all = 0..self.plan.addrs.len();
        let registrars = self.plan.registrar_hosts();
        let both = self.rng.below(5) > 0;
        let (from, to): (Vec<usize>, Vec<usize>) = match self.rng.below(4) {
            // Any cut through all hosts.
            0 => all.partition(|_| self.rng.below(2) == 0),
            // One host, or a few, on an island.
            1 => all.partition(|_| self.rng.below(6) == 0),
            // Registrars do not see each other, while clients see all of them.
            2 => registrars.partition(|_| self.rng.below(2) == 0),
            // Two hosts.
            _ => (vec![index(self.rng, all.len())], vec![self.registrar_host()]),
        };
        self.act(at, Act::Cut { from, to, both });
        self.act(later, Act::Heal);
    }

    fn freeze(&mut self, at: u64, later: u64) {
        let host = if self.rng.below(2) == 0 { self.registrar_host() } else { index(self.rng, self.plan.addrs.len()) };
        let leap = if self.rng.below(3) == 0 { Duration::from_millis(self.rng.below(30_000)) } else { Duration::ZERO };
        self.act(at, Act::Freeze { host });
        self.act(later, Act::Resume { host, leap });
    }

    /// A second registrar calls itself like a first one, for a while.
    fn duplicate(&mut self, at: u64, later: u64) {
        if self.plan.spares == 0 {
            return;
        }
        let host = self.plan.registrars + index(self.rng, self.plan.spares);
        let (first, end) = (self.registrar_host(), self.end());
        let id = self.id_of(first);
        self.act(at, Act::Registrar { host, id });
        self.act(later, Act::Kill { host, end });
    }

    fn weather(&mut self) -> Weather {
        let rng = &mut self.rng;
        Weather {
            loss: rng.below(300),
            multicast_loss: [0, 200, 1_000][index(rng, 3)],
            multicast_delay: Duration::from_millis([10, 3_000, 15_000][index(rng, 3)]),
            multicast_twice: rng.below(500),
        }
    }

    fn element(&mut self) -> Option<(usize, usize)> {
        let client = index(self.rng, self.plan.clients.len());
        let n = self.plan.clients[client].elements.len();
        (n > 0).then(|| (client, index(self.rng, n)))
    }
}

/// A policy with a load; round robin has none.
pub(crate) const fn load(least_used: bool, load: u32) -> PolicyParam {
    if least_used { PolicyParam::LeastUsed { load } } else { PolicyParam::RoundRobin {} }
}

fn pool(n: u64) -> PoolHandle {
    PoolHandle::new(format!("pool {n}")).unwrap()
}

fn addr(host: usize) -> IpAddr {
    Ipv4Addr::from_bits(0x0a01_0001 + u32::try_from(host).unwrap()).into()
}

fn index(rng: &mut SeededEntropy, n: usize) -> usize {
    usize::try_from(rng.below(n as u64)).unwrap()
}

impl Plan {
    /// A cluster in which nothing happens by itself: registrars on the first hosts and clients behind them start at once, each with
    /// so many elements, then users.
    pub(crate) fn quiet(registrars: usize, spares: usize, elements: &[usize], users: usize) -> Self {
        let pools = vec![pool(0)];
        let mut clients = Vec::new();
        let mut next_id = 1;
        for n in elements.iter().copied().chain(core::iter::repeat_n(0, users)) {
            let host = registrars + spares + clients.len();
            let ids = (next_id..).take(n).map(ElementId);
            let own = ids.map(|id| ElementPlan { key: ElementKey { handle: pools[0].clone(), id }, policy: load(false, 0) }).collect();
            next_id += u32::try_from(n).unwrap();
            let resolves = (n == 0).then_some(Duration::from_millis(200));
            clients.push(ClientPlan { host, elements: own, interval: Duration::from_secs(30), resolves });
        }
        let addrs = (0..registrars + spares + clients.len()).map(addr).collect();
        let ids = [0x1000_0001, 0x7000_0001, 0x4000_0001, 0xf000_0001, 0x2000_0001, 0x6000_0001, 0x3000_0001];
        let first = (0..registrars).map(|host| (0, Act::Registrar { host, id: RegistrarId(ids[host]) }));
        let then = clients.iter().map(|c| (0, Act::Client { host: c.host, anew: false }));
        let script = first.chain(then).collect();
        Self { seed: 8, addrs, registrars, spares, clients, pools, multicast: true, habits: Habits::default(), script, end: 0 }
    }
}
