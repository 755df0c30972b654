//! A plan is carried out on a fabric, and the oracles watch.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use rserpool::asap::{ElementKey, ElementSpec, ElementState};
use rserpool::wire::{ElementId, RegistrarId};
use sctp_user::{Entropy as _, SeededEntropy, Time};

use crate::bound::{Bound, chatter};
use crate::config::Configs;
use crate::fabric::{Answer, Command, End, Fabric, Weather, key};
use crate::history::{History, Standing};
use crate::plan::{Act, Plan};
use crate::view;

/// How often the cluster is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// A user reports an element that it cannot reach after so long.
const PATIENCE: Duration = Duration::from_secs(1);
/// A cluster that has agreed for so long is left alone.
const STABLE: Duration = Duration::from_secs(15);
/// Most bytes that may wait because of partitions, in all associations together.
const BACKLOG: usize = 2 << 20;
/// More complaints are not kept.
const ENOUGH: usize = 8;

#[derive(Clone, Debug)]
enum Todo {
    Act(usize),
    Resolve(usize),
    Report(usize, ElementKey),
    Look,
}

/// What a cluster that went well tells.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Report {
    pub(crate) clusters: usize,
    pub(crate) registrars: usize,
    pub(crate) elements: usize,
    pub(crate) faults: usize,
    pub(crate) crashes: usize,
    pub(crate) takeovers: usize,
    pub(crate) resolutions: usize,
    /// Answers that named an element after its death.
    pub(crate) stale: usize,
    /// The latest of those from a registrar in touch with a living home, in per mille of the bound.
    pub(crate) worst_stale: u64,
    /// How long it took to agree, in per mille of the bound.
    pub(crate) worst: u64,
    /// Longest queue of bytes that waited in the network.
    pub(crate) backlog: usize,
}

impl Report {
    pub(crate) fn add(&mut self, other: &Self) {
        self.clusters += 1;
        self.registrars += other.registrars;
        self.elements += other.elements;
        self.faults += other.faults;
        self.crashes += other.crashes;
        self.takeovers += other.takeovers;
        self.resolutions += other.resolutions;
        self.stale += other.stale;
        self.worst_stale = self.worst_stale.max(other.worst_stale);
        self.worst = self.worst.max(other.worst);
        self.backlog = self.backlog.max(other.backlog);
    }
}

pub(crate) struct Story<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) fabric: Box<dyn Fabric>,
    configs: Configs,
    pub(crate) bound: Bound,
    rng: SeededEntropy,
    agenda: BTreeMap<(Time, u64), Todo>,
    sequence: u64,
    pub(crate) history: History,
    /// How often each client's host was started; elements of later lives may have other identifiers.
    incarnation: BTreeMap<usize, u32>,
    loads: BTreeMap<ElementKey, u32>,
    pub(crate) report: Report,
    pub(crate) complaints: Vec<String>,
}

impl<'a> Story<'a> {
    pub(crate) fn new(plan: &'a Plan, fabric: Box<dyn Fabric>) -> Self {
        let detection = fabric.detection();
        let configs = Configs::of(plan);
        let bound = Bound::of(&configs.registrar(0, RegistrarId(1)), &configs.client(), detection, plan.registrar_hosts().len());
        let mut this = Self {
            plan,
            fabric,
            configs,
            bound,
            rng: SeededEntropy::new(plan.seed ^ 0x0005_7041),
            agenda: BTreeMap::new(),
            sequence: 0,
            history: History::new(plan.addrs.len()),
            incarnation: BTreeMap::new(),
            loads: BTreeMap::new(),
            report: Report::default(),
            complaints: Vec::new(),
        };
        for (n, (at, _)) in plan.script.iter().enumerate() {
            this.schedule(Time::from_millis(*at), Todo::Act(n));
        }
        for (n, client) in plan.clients.iter().enumerate() {
            if client.resolves.is_some() {
                this.schedule(Time::ZERO, Todo::Resolve(n));
            }
        }
        this.schedule(Time::ZERO, Todo::Look);
        this
    }

    /// Lets the storm pass, ends all faults, and waits for the cluster to agree.
    pub(crate) fn run(&mut self) {
        let end = Time::from_millis(self.plan.end);
        self.run_until(end);
        self.calm();
        self.settle(end);
        self.report.elements = self.plan.clients.iter().map(|c| c.elements.len()).sum();
        self.report.registrars = self.plan.registrars;
        self.report.takeovers = self.fabric.takeovers();
        self.report.backlog = self.fabric.longest_backlog();
        if self.report.backlog > BACKLOG {
            self.complain(format!("{} bytes waited in the network", self.report.backlog));
        }
    }

    fn schedule(&mut self, at: Time, todo: Todo) {
        self.sequence += 1;
        self.agenda.insert((at, self.sequence), todo);
    }

    pub(crate) fn run_until(&mut self, until: Time) {
        while let Some(next) = self.agenda.first_entry().filter(|e| e.key().0 <= until) {
            let ((at, _), todo) = next.remove_entry();
            self.fabric.run_until(at);
            self.take_answers();
            self.perform(todo);
        }
        self.fabric.run_until(until);
        self.take_answers();
    }

    pub(crate) fn complain(&mut self, what: String) {
        let now = self.fabric.now();
        self.fabric.remark(&|| format!("COMPLAINT: {what}"));
        if self.complaints.len() < ENOUGH {
            self.complaints.push(format!("{now}: {what}"));
        }
    }

    // ---- what is done ------------------------------------------------------------------------------------------

    fn perform(&mut self, todo: Todo) {
        let now = self.fabric.now();
        match todo {
            Todo::Act(n) => {
                let act = self.plan.script[n].1.clone();
                self.act(&act);
            }
            Todo::Resolve(n) => self.resolve(n),
            Todo::Report(user, element) => self.fabric.command(user, Command::Report(element)),
            Todo::Look => {
                self.audit();
                self.schedule(now + LOOK * 5, Todo::Look);
            }
        }
    }

    pub(crate) fn act(&mut self, act: &Act) {
        let now = self.fabric.now();
        self.fabric.remark(&|| format!("{act:?}"));
        self.report.faults += 1;
        match act {
            Act::Registrar { host, id } => self.boot_registrar(*host, *id),
            Act::Client { host, anew } => self.boot_client(*host, *anew),
            Act::Kill { host, end } => self.kill(*host, *end),
            Act::Freeze { host } => {
                if self.history.standing(*host) == Standing::Up {
                    self.history.stands(now, *host, Standing::Frozen);
                    self.fabric.freeze(*host);
                }
            }
            Act::Resume { host, leap } => self.resume(*host, *leap),
            Act::Cut { from, to, both } => {
                for a in from {
                    for b in to.iter().filter(|b| *b != a) {
                        self.cut(*a, *b, true);
                        if *both {
                            self.cut(*b, *a, true);
                        }
                    }
                }
            }
            Act::Heal => self.heal(),
            Act::Weather(weather) => {
                self.history.weather(now);
                self.fabric.set_weather(*weather);
            }
            Act::Load { client, n, load } => self.set_load(*client, *n, *load),
            Act::Deregister { client, n } => {
                let client = &self.plan.clients[*client];
                let key = self.current(client.host, &client.elements[*n].key);
                if self.history.standing(client.host) == Standing::Up {
                    self.history.left(now, &key);
                    self.fabric.command(client.host, Command::Deregister(key));
                }
            }
        }
    }

    fn boot_registrar(&mut self, host: usize, id: RegistrarId) {
        if self.history.standing(host) == Standing::Down {
            self.history.registrar(self.fabric.now(), host, id);
            self.fabric.boot_registrar(host, self.configs.registrar(host, id));
        }
    }

    fn boot_client(&mut self, host: usize, anew: bool) {
        if self.history.standing(host) != Standing::Down {
            return;
        }
        self.history.stands(self.fabric.now(), host, Standing::Up);
        self.fabric.boot_client(host, self.configs.client());
        if anew {
            *self.incarnation.entry(host).or_default() += 1;
        }
        let Some(client) = self.plan.client(host) else { return };
        for (n, element) in client.elements.iter().enumerate() {
            let key = self.current(host, &element.key);
            let mut spec = ElementSpec::new(key.handle.clone(), 10_000 + u16::try_from(n).unwrap());
            spec.key = key.clone();
            spec.policy = element.policy.clone();
            spec.interval = client.interval;
            spec.life = client.interval * 3;
            self.history.born(key, host);
            self.fabric.command(host, Command::Register(spec));
        }
    }

    /// The name of an element in its host's present life.
    fn current(&self, host: usize, planned: &ElementKey) -> ElementKey {
        let life = self.incarnation.get(&host).copied().unwrap_or(0);
        key(&planned.handle, ElementId(planned.id.0 + 1_000 * life))
    }

    pub(crate) fn kill(&mut self, host: usize, end: End) {
        if self.history.standing(host) != Standing::Down {
            self.report.crashes += 1;
            self.history.stands(self.fabric.now(), host, Standing::Down);
            self.fabric.kill(host, end);
        }
    }

    fn resume(&mut self, host: usize, leap: Duration) {
        if self.history.standing(host) == Standing::Frozen {
            self.history.stands(self.fabric.now(), host, Standing::Up);
            self.fabric.resume(host, leap);
        }
    }

    fn cut(&mut self, from: usize, to: usize, cut: bool) {
        self.history.cut(self.fabric.now(), from, to, cut);
        self.fabric.cut(from, to, cut);
    }

    fn heal(&mut self) {
        for (from, to) in self.history.cuts() {
            self.cut(from, to, false);
        }
    }

    fn set_load(&mut self, client: usize, n: usize, load: u32) {
        let client = &self.plan.clients[client];
        let element = &client.elements[n];
        let key = self.current(client.host, &element.key);
        let policy = crate::plan::load(matches!(element.policy, rserpool::wire::PolicyParam::LeastUsed { .. }), load);
        self.loads.insert(key.clone(), load);
        self.fabric.command(client.host, Command::Update(key, policy));
    }

    /// The last fault ends.
    pub(crate) fn calm(&mut self) {
        self.fabric.remark(&|| "the storm is over".into());
        self.heal();
        self.history.weather(self.fabric.now());
        self.fabric.set_weather(Weather::FAIR);
        for host in 0..self.plan.addrs.len() {
            self.resume(host, Duration::ZERO);
        }
        // No two registrars have one name any more, and one registrar there is.
        let mut names = BTreeSet::new();
        for (host, id) in self.history.running() {
            if !names.insert(id) {
                self.kill(host, End::Process);
            }
        }
        if names.is_empty() {
            let id = RegistrarId(self.rng.u32() | 1);
            self.boot_registrar(0, id);
        }
    }

    // ---- users -------------------------------------------------------------------------------------------------

    fn resolve(&mut self, n: usize) {
        let client = &self.plan.clients[n];
        let Some(period) = client.resolves else { return };
        let pool = self.plan.pools[usize::try_from(self.rng.below(self.plan.pools.len() as u64)).unwrap()].clone();
        let items = 1 + usize::try_from(self.rng.below(4)).unwrap();
        if self.history.standing(client.host) == Standing::Up {
            self.fabric.command(client.host, Command::Resolve(pool, items));
        }
        let nanos = u64::try_from(period.as_nanos()).unwrap();
        let next = Duration::from_nanos(nanos / 2 + self.rng.below(nanos));
        self.schedule(self.fabric.now() + next, Todo::Resolve(n));
    }

    fn take_answers(&mut self) {
        for (host, _) in self.history.running() {
            if let Some(id) = self.fabric.registrar(host).map(rserpool::registrar::Registrar::id) {
                self.history.renamed(self.fabric.now(), host, id);
            }
        }
        let registrars = self.fabric.take_registrar_answers();
        for answer in &registrars {
            self.judge(answer, false);
        }
        for answer in self.fabric.take_user_answers() {
            self.report.resolutions += 1;
            if registrars.is_empty() {
                let home = self.fabric.client(answer.user).and_then(rserpool::asap::Asap::home);
                let registrar = home.and_then(|id| self.history.host_of(id));
                self.judge(&Answer { registrar, ..answer.clone() }, true);
            }
            // It tries the first one.
            let Some(first) = answer.elements.first() else { continue };
            let element = key(&answer.handle, first.id);
            let reached = self.history.element(&element).is_some_and(|l| {
                let way = self.history.joined_since(l.host, answer.user, Time::MAX);
                l.died.is_none() && way && self.history.standing(l.host) == Standing::Up
            });
            if !reached {
                self.schedule(answer.at + PATIENCE, Todo::Report(answer.user, element));
            }
        }
    }

    /// Whether a registrar may still name these elements.
    fn judge(&mut self, answer: &Answer, at_user: bool) {
        for named in &answer.elements {
            let element = key(&answer.handle, named.id);
            let Some(life) = self.history.element(&element) else {
                self.complain(format!("{element:?} was named, which never was"));
                continue;
            };
            let Some(died) = life.died else { continue };
            self.report.stale += 1;
            let age = answer.at.saturating_since(died);
            let Some(registrar) = answer.registrar else { continue };
            // In touch with a home that watches it, ever since some time before it died.
            let since = Time::ZERO + died.saturating_since(Time::ZERO + self.bound.converge);
            let watched = self.history.host_of(named.home).is_some_and(|home| {
                self.history.up_since(home, since)
                    && self.history.up_since(registrar, since)
                    && self.history.joined_since(home, registrar, since)
                    && self.history.joined_since(home, life.host, since)
            });
            if watched {
                let part = age.as_nanos() * 1_000 / self.bound.stale.as_nanos();
                self.report.worst_stale = self.report.worst_stale.max(u64::try_from(part).unwrap());
            }
            let allowed = if watched {
                self.bound.stale
            } else {
                self.history.unrest().max(died).saturating_since(died) + self.bound.stale + self.bound.takeover
            };
            // What is judged at the user took some time to get there.
            let allowed = if at_user { allowed + self.bound.answer } else { allowed };
            if age > allowed {
                let home = named.home;
                self.complain(format!(
                    "h{registrar} named {element:?} of home {home} {age:?} after its death, allowed are {allowed:?}, watched {watched}"
                ));
            }
        }
    }

    // ---- agreement ---------------------------------------------------------------------------------------------

    fn audit(&mut self) {
        for (host, id) in self.history.running() {
            if let Some(Err(why)) = self.fabric.registrar(host).map(view::audit) {
                self.complain(format!("the handlespace of {id} on h{host}: {why}"));
            }
        }
    }

    /// Waits until all agree, and go on doing so.
    pub(crate) fn settle(&mut self, end: Time) {
        let limit = end + self.bound.converge;
        let thorough = self.plan.seed.is_multiple_of(8);
        let mut bad_until = end;
        let mut why = None;
        let mut now = end;
        let mut said = self.fabric.messages();
        while now < limit {
            now = (now + LOOK).min(limit);
            self.run_until(now);
            why = self.disagreement();
            if why.is_some() {
                (bad_until, said) = (now, self.fabric.messages());
            } else if !thorough && now >= bad_until + STABLE {
                break;
            }
        }
        if let Some(why) = why {
            self.complain(format!("no agreement within {:?}: {why}", self.bound.converge));
        }
        // When all agree, nobody has anything more to say than the timers make him.
        let (rest, said) = (now.saturating_since(bad_until).as_secs_f64(), self.fabric.messages() - said);
        let most = rest * chatter(self.plan, &self.configs.registrar(0, RegistrarId(1)));
        if said as f64 > most {
            self.complain(format!("{said} messages within {rest} s after all have agreed, allowed are {most:.0}"));
        }
        let part = bad_until.saturating_since(end).as_nanos() * 1_000 / self.bound.converge.as_nanos();
        self.report.worst = u64::try_from(part).unwrap();
    }

    /// Why the cluster is not as it should be: every live registrar has the same handlespace, in which are all live elements and
    /// nobody else, each with one home, which is alive and knows it.
    pub(crate) fn disagreement(&self) -> Option<String> {
        let running = self.history.running();
        let ids: BTreeSet<RegistrarId> = running.iter().map(|(_, id)| *id).collect();
        let living: BTreeMap<&ElementKey, usize> = self.history.living().collect();
        let mut first: Option<(RegistrarId, Vec<view::Seen>)> = None;
        for (host, id) in &running {
            let registrar = self.fabric.registrar(*host)?;
            let seen = view::elements(registrar);
            for e in &seen {
                let key = key(&e.handle, e.info.id);
                let home = e.info.home;
                if !living.contains_key(&key) {
                    return Some(format!("{id} on h{host} has {key:?} (home {home}), which does not live"));
                }
                if !ids.contains(&home) {
                    return Some(format!("{id} on h{host} has {key:?}, whose home {home} does not live"));
                }
            }
            if seen.len() != living.len() {
                let has: BTreeSet<ElementKey> = seen.iter().map(|e| key(&e.handle, e.info.id)).collect();
                let missing = living.keys().find(|k| !has.contains(**k));
                return Some(format!("{id} on h{host} lacks {missing:?}"));
            }
            if let Some((other, theirs)) = &first {
                if let Some((a, b)) = seen.iter().zip(theirs).find(|(a, b)| a != b) {
                    return Some(format!("{id} on h{host} and {other} do not agree:\n  {a:?}\n  {b:?}"));
                }
                let sums = |r: &rserpool::registrar::Registrar| ids.iter().map(|id| view::checksum(r, *id)).collect::<Vec<_>>();
                let host_of_first = running.first().map(|(h, _)| *h)?;
                if sums(registrar) != sums(self.fabric.registrar(host_of_first)?) {
                    return Some(format!("{id} on h{host} and {other} have other checksums"));
                }
            } else {
                first = Some((*id, seen));
            }
        }
        let (_, seen) = first?;
        seen.iter().find_map(|e| self.unattached(e, &living))
    }

    /// Whether the element itself, and its home, see things otherwise.
    fn unattached(&self, e: &view::Seen, living: &BTreeMap<&ElementKey, usize>) -> Option<String> {
        let key = key(&e.handle, e.info.id);
        let client = self.fabric.client(*living.get(&key)?)?;
        if client.element_state(&key) != Some(ElementState::Registered) {
            return Some(format!("{key:?} is {:?}", client.element_state(&key)));
        }
        let home = client.home();
        if home != Some(e.info.home) && home != Some(RegistrarId::UNDEFINED) {
            return Some(format!("{key:?} believes that its home is {home:?}, registrars say {}", e.info.home));
        }
        let host = self.history.host_of(e.info.home)?;
        let watched = self.fabric.registrar(host).is_some_and(|r| view::is_watched(r, &key));
        (!watched).then(|| format!("{key:?} is not watched by its home {}", e.info.home))
    }
}
