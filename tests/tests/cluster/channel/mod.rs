//! Registrar and client cores joined by message channels, without SCTP: a simulator of associations as their users see them.
//!
//! An association is a reliable, ordered channel with two ends. What SCTP does for its users is kept: a connect that nobody answers
//! fails by time-out, one that is refused at once; messages sent into a partition arrive late if it heals in time, else both ends
//! are lost, each at a time of its own; who speaks to a dead process, or to one that has forgotten the association, is told by
//! its machine; two connects at once become one association; a process that connects anew from the same port restarts it.
//!
//! | file | idea |
//! | --- | --- |
//! | `end.rs` | one end of an association |
//! | `wire.rs` | connects, chunks, and what ends find out about each other |
//! | `host.rs` | calling the cores, and doing what they want |
//! | `trace.rs` | what happened |

mod end;
mod host;
pub(crate) mod trace;
mod wire;

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use rserpool::asap::{Asap, AsapConfig, LinkId};
use rserpool::registrar::config::RegistrarConfig;
use rserpool::registrar::{Input, Registrar, Service};
use sctp_user::{Entropy as _, SeededEntropy, Time};

use self::end::{Chunk, End, EndId, Name, Place};
use self::host::{Core, Host, State};
use self::trace::Trace;
use crate::fabric::{self, Answer, Command, Fabric, Weather};

/// Waits between the INITs of a connect, as with [`sctp_user::AssocConfig::session`]; after the last one it has failed.
const INITS: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];
/// Silence after which an end is lost: SCTP's retransmissions and HEARTBEATs, which depend on what was sent when.
const DETECTION: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(9)];
/// An end speaks at least so often: HEARTBEATs, or what it retransmits.
const SPEAKS: Duration = Duration::from_secs(1);
/// A retransmission follows after so long, twice as long the next time.
const RETRANSMIT: Duration = Duration::from_millis(200);

/// Something that happens to a host from outside.
#[derive(Clone, Debug)]
enum Arrival {
    /// The last part of a connect: the passive end comes into being.
    Established {
        from: EndId,
    },
    /// The active end is up.
    Up {
        end: EndId,
    },
    Chunk {
        from: EndId,
        to: EndId,
        chunk: Chunk,
    },
    /// The other end is gone, or was never there; `bare` if its machine says so and not its user.
    Abort {
        end: EndId,
        bare: bool,
    },
    /// The other end took the shutdown.
    ShutdownComplete {
        end: EndId,
    },
    Datagram {
        service: Service,
        src: SocketAddr,
        bytes: Bytes,
    },
}

#[derive(Debug)]
enum Item {
    /// The n-th INIT.
    Init {
        end: EndId,
        n: usize,
    },
    Refused {
        end: EndId,
    },
    /// The end finds out what it has been assessed to find out.
    Verdict {
        end: EndId,
        epoch: u64,
    },
    Arrival {
        host: usize,
        life: u32,
        what: Arrival,
    },
    /// The core hears of something that its own host did.
    ConnectFailed {
        host: usize,
        life: u32,
        name: Name,
        token: Option<rserpool::registrar::ConnectToken>,
    },
    Lost {
        host: usize,
        life: u32,
        name: Name,
    },
    /// A client's own connect has ended in an association that a registrar had opened.
    Adopted {
        host: usize,
        life: u32,
        visit: LinkId,
        link: LinkId,
        local: Vec<IpAddr>,
    },
}

/// One direction between two hosts.
#[derive(Clone, Copy, Debug)]
struct Link {
    delay: Duration,
    cut: bool,
}

pub(crate) struct Net {
    now: Time,
    rng: SeededEntropy,
    agenda: BTreeMap<(Time, u64), Item>,
    sequence: u64,
    hosts: Vec<Host>,
    by_addr: BTreeMap<IpAddr, usize>,
    /// From one host to another, in a square.
    links: Vec<Link>,
    weather: Weather,
    ends: BTreeMap<EndId, End>,
    places: BTreeMap<Place, EndId>,
    names: BTreeMap<(usize, Name), EndId>,
    next_end: u64,
    asap_group: SocketAddr,
    enrp_group: SocketAddr,
    pub(crate) trace: Trace,
    user_answers: Vec<Answer>,
    registrar_answers: Vec<Answer>,
    /// Bytes that wait, now and at most so far.
    backlog: usize,
    longest: usize,
    takeovers: usize,
    messages: usize,
}

impl Net {
    /// A network of hosts with these addresses, none of which runs.
    pub(crate) fn new(seed: u64, addrs: &[IpAddr], groups: [SocketAddr; 2]) -> Self {
        let mut rng = SeededEntropy::new(seed ^ 0xc1a5_7e12);
        let n = addrs.len();
        let mut links = Vec::with_capacity(n * n);
        for _ in 0..n * n {
            links.push(Link { delay: Duration::from_micros(100 + rng.below(25_000)), cut: false });
        }
        let hosts = addrs.iter().map(|addr| Host::new(*addr, Duration::from_millis(rng.below(10_000_000)))).collect();
        Self {
            now: Time::ZERO,
            rng,
            agenda: BTreeMap::new(),
            sequence: 0,
            hosts,
            by_addr: addrs.iter().copied().zip(0..).collect(),
            links,
            weather: Weather::FAIR,
            ends: BTreeMap::new(),
            places: BTreeMap::new(),
            names: BTreeMap::new(),
            next_end: 0,
            asap_group: groups[0],
            enrp_group: groups[1],
            trace: Trace::default(),
            user_answers: Vec::new(),
            registrar_answers: Vec::new(),
            backlog: 0,
            longest: 0,
            takeovers: 0,
            messages: 0,
        }
    }

    fn schedule(&mut self, at: Time, item: Item) {
        self.sequence += 1;
        self.agenda.insert((at.max(self.now), self.sequence), item);
    }

    fn arrive_at(&mut self, at: Time, host: usize, what: Arrival) {
        let life = self.hosts[host].life;
        self.schedule(at, Item::Arrival { host, life, what });
    }

    fn link(&self, from: usize, to: usize) -> Link {
        self.links[from * self.hosts.len() + to]
    }

    /// Whether packets pass in both directions.
    fn two_way(&self, a: usize, b: usize) -> bool {
        !self.link(a, b).cut && !self.link(b, a).cut
    }

    fn draw(&mut self, most: Duration) -> Duration {
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.rng.below(nanos.max(1)))
    }

    fn chance(&mut self, permille: u64) -> bool {
        permille > 0 && self.rng.below(1_000) < permille
    }

    /// The next thing that happens: an item, or a host's timer.
    fn step(&mut self, until: Time) -> bool {
        let item = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let timer = self.hosts.iter().enumerate().filter_map(|(n, h)| Some((h.wakes()?.max(self.now), n))).min();
        match (item, timer) {
            (Some(at), timer) if at <= until && timer.is_none_or(|(t, _)| at <= t) => {
                self.now = at;
                if let Some((_, item)) = self.agenda.pop_first() {
                    self.perform(item);
                }
            }
            (_, Some((at, host))) if at <= until => {
                self.now = at;
                self.wake(host);
            }
            _ => return false,
        }
        true
    }

    fn perform(&mut self, item: Item) {
        match item {
            Item::Init { end, n } => self.init(end, n),
            Item::Refused { end } => self.refused(end),
            Item::Verdict { end, epoch } => self.verdict(end, epoch),
            Item::Arrival { host, life, what } => self.arrive(host, life, what),
            Item::ConnectFailed { host, life, name, token } => self.tell_failed(host, life, name, token),
            Item::Adopted { host, life, visit, link, local } => self.tell_adopted(host, life, visit, link, local),
            Item::Lost { host, life, name } => self.tell_lost(host, life, name, false),
        }
    }
}

impl Fabric for Net {
    fn now(&self) -> Time {
        self.now
    }

    fn run_until(&mut self, until: Time) {
        while self.step(until) {}
        self.now = self.now.max(until);
    }

    fn boot_registrar(&mut self, host: usize, cfg: RegistrarConfig) {
        let entropy = Box::new(SeededEntropy::new(self.rng.u64()));
        let mut registrar = Box::new(Registrar::new(cfg, entropy));
        let addr = self.hosts[host].addr;
        registrar.handle(self.hosts[host].local(self.now), Input::Addresses(&[addr]));
        self.boot(host, Core::Registrar(registrar));
    }

    fn boot_client(&mut self, host: usize, cfg: AsapConfig) {
        let entropy = Box::new(SeededEntropy::new(self.rng.u64()));
        self.boot(host, Core::Client(Box::new(Asap::new(cfg, entropy))));
    }

    fn kill(&mut self, host: usize, end: fabric::End) {
        self.note(host, "dies", &[], || format!("{end:?}"));
        let h = &mut self.hosts[host];
        h.state = match end {
            fabric::End::Process => State::Ended,
            fabric::End::Machine => State::Off,
        };
        h.core = None;
        h.inbox.clear();
        self.drop_ends_of(host);
    }

    fn freeze(&mut self, host: usize) {
        if self.hosts[host].state == State::Up {
            self.note(host, "freezes", &[], String::new);
            self.hosts[host].state = State::Frozen;
            self.assess_around(host);
        }
    }

    fn resume(&mut self, host: usize, leap: Duration) {
        if self.hosts[host].state != State::Frozen {
            return;
        }
        self.note(host, "resumes", &[], || format!("clock leaps {leap:?}"));
        let h = &mut self.hosts[host];
        h.state = State::Up;
        h.ahead += leap;
        let inbox = core::mem::take(&mut h.inbox);
        // Which the process looks at first, its clock or its sockets, is its affair.
        if self.chance(500) {
            self.wake(host);
        }
        let life = self.hosts[host].life;
        for what in inbox {
            self.arrive(host, life, what);
        }
        self.assess_around(host);
    }

    fn cut(&mut self, from: usize, to: usize, cut: bool) {
        let n = self.hosts.len();
        if core::mem::replace(&mut self.links[from * n + to].cut, cut) != cut {
            self.note(from, if cut { "cut" } else { "healed" }, &to.to_be_bytes(), || format!("to h{to}"));
            self.assess_between(from, to);
        }
    }

    fn set_weather(&mut self, weather: Weather) {
        self.note(0, "weather", &[], || format!("{weather:?}"));
        self.weather = weather;
    }

    fn registrar(&self, host: usize) -> Option<&Registrar> {
        match self.hosts[host].core.as_ref()? {
            Core::Registrar(r) => Some(r),
            Core::Client(_) => None,
        }
    }

    fn client(&self, host: usize) -> Option<&Asap> {
        match self.hosts[host].core.as_ref()? {
            Core::Client(a) => Some(a),
            Core::Registrar(_) => None,
        }
    }

    fn command(&mut self, host: usize, command: Command) {
        self.tell_client(host, command);
    }

    fn take_user_answers(&mut self) -> Vec<Answer> {
        core::mem::take(&mut self.user_answers)
    }

    fn take_registrar_answers(&mut self) -> Vec<Answer> {
        core::mem::take(&mut self.registrar_answers)
    }

    fn detection(&self) -> Duration {
        DETECTION[1]
    }

    fn takeovers(&self) -> usize {
        self.takeovers
    }

    fn recorded(&mut self) -> Vec<String> {
        self.trace.take()
    }

    fn trace_hash(&self) -> u64 {
        self.trace.hash()
    }

    fn remark(&mut self, text: &dyn Fn() -> String) {
        self.trace.note(self.now, 0, "--", &[], text);
    }

    fn messages(&self) -> usize {
        self.messages
    }

    fn longest_backlog(&self) -> usize {
        self.longest
    }
}
