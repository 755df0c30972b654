//! A plan is carried out.

use core::time::Duration;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use sctp_user::sim::{Fault, HostConfig, LinkConfig, Loss, NodeId, World};
use sctp_user::{AddrChange, Assoc, AssocConfig, AssocId, Node as _, PeerAddr, Stack, StackConfig, Time};
use testbed::{Peer, WireOracle, Workload};

use super::extensions;
use super::plan::{Act, End, Plan, STORM, Side};

/// All troubles are over then.
const OVER: Time = Time::from_millis(2 * STORM);
/// How long what was accepted may take to arrive once all is healed: time-outs have backed off to RTO.Max several times. A client that
/// believes authenticated ABORTs only notices by as many unanswered HEARTBEATs, each of which may take twice as long, that its server has
/// begun anew (RFC 4895 section 6.3).
const DELIVERY: Duration = Duration::from_secs(3 * 3_600);
/// How long a close may take: Association.Max.Retrans (40 at most) times RTO.Max (60 s) for a side whose peer is gone and says
/// nothing, and five RTO.Max for T5-shutdown-guard of the other.
pub(crate) const CLOSE: Duration = Duration::from_secs(41 * 60 + 300);

/// A world in progress.
pub(crate) struct Running {
    pub(crate) plan: Plan,
    pub(crate) world: World,
    pub(crate) nodes: [NodeId<Peer>; 2],
    pub(crate) wire: WireOracle,
    work: [Arc<Workload>; 2],
    /// The paths on which each side has an address.
    present: [Vec<usize>; 2],
    /// Associations that were opened here, by side.
    opened: [BTreeSet<AssocId>; 2],
    /// What each application asked for, ever.
    pub(crate) asked_shutdown: [bool; 2],
    pub(crate) asked_abort: [bool; 2],
    /// What is wrong with how the world went.
    pub(crate) complaints: Vec<String>,
}

impl Running {
    /// The hosts on their network; nothing has happened yet.
    pub(crate) fn new(plan: Plan) -> Self {
        let mut world = World::new(plan.seed);
        // What is no path of the plan is one only in a mesh.
        let elsewhere = LinkConfig { loss: Loss::percent(if plan.mesh { 5 } else { 100 }), ..LinkConfig::default() };
        world.set_default_link(LinkConfig { mtu: if plan.sizes { 1_280 } else { 1_500 }, ..elsewhere });
        for route in &plan.routes {
            let [client, server] = route.ips;
            world.set_link(client, server, route.links[0].clone());
            world.set_link(server, client, route.links[1].clone());
        }
        let sack_delay = match plan.every_config().map(|c| c.sack_delay).max() {
            Some(delay) if !plan.freezes() && !plan.readdresses() => delay,
            _ => Duration::from_secs(3_600),
        };
        let wire = WireOracle::watch(&mut world, sack_delay);
        let work = plan.work.clone().map(Arc::new);
        let nodes = Side::BOTH.map(|side| {
            let node = peer(&plan, &work, side, &mut world);
            let host = HostConfig {
                addrs: ips(&plan, side, &plan.present[side as usize]),
                clock_ahead: Duration::from_secs(if side == Side::Client { 1_000_000 } else { 0 }),
                raw: true,
                max_segments: plan.train,
                max_train: plan.train,
                ..HostConfig::new(if side == Side::Client { "client" } else { "server" }, plan.routes[0].ips[side as usize])
            };
            world.add(host, node)
        });
        let present = plan.present.clone();
        let mut this = Self {
            plan,
            world,
            nodes,
            wire,
            work,
            present,
            opened: [BTreeSet::new(), BTreeSet::new()],
            asked_shutdown: [false; 2],
            asked_abort: [false; 2],
            complaints: Vec::new(),
        };
        for side in Side::BOTH {
            this.tell_addresses(side);
        }
        this
    }

    /// Lets the whole life of the world pass.
    pub(crate) fn run(&mut self) {
        self.connect(Side::Client);
        for (at, act) in core::mem::take(&mut self.plan.script) {
            self.world.run_until(Time::from_millis(at));
            self.act(&act);
            self.plan.script.push((at, act));
        }
        self.world.run_until(OVER);
        self.heal();
        if !self.closing() {
            self.deliver();
        }
        self.close();
        self.silence();
    }

    pub(crate) fn peer(&self, side: Side) -> &Peer {
        self.world.node(self.nodes[side as usize])
    }

    fn with<R>(&mut self, side: Side, f: impl FnOnce(&mut Peer, Time) -> R) -> Option<R> {
        let node = self.nodes[side as usize];
        self.world.is_up(node).then(|| self.world.with(node, f))
    }

    fn tell_addresses(&mut self, side: Side) {
        let addrs = ips(&self.plan, side, &self.present[side as usize]);
        self.with(side, |n, now| n.handle_addresses(now, AddrChange::Set(addrs)));
    }

    fn connect(&mut self, side: Side) {
        let port = side.other().port();
        let present = &self.present[side.other() as usize];
        let to: Vec<_> = ips(&self.plan, side.other(), present).into_iter().map(|ip| PeerAddr::from(SocketAddr::new(ip, port))).collect();
        // There may be an association already.
        let id = self.with(side, |n, now| n.stack.connect(now, n.endpoint, &to, None).ok()).flatten();
        self.opened[side as usize].extend(id);
    }

    fn act(&mut self, act: &Act) {
        match act.clone() {
            Act::Cut { path, from } => {
                for side in from {
                    let [from, to] = self.direction(path, side);
                    self.world.apply(Fault::Cut { from, to });
                }
            }
            Act::Heal { path } => {
                let [a, b] = self.plan.routes[path].ips;
                self.world.apply(Fault::Heal { a, b });
            }
            Act::Link { path, from, cfg } => {
                let [from, to] = self.direction(path, from);
                self.world.apply(Fault::Link { from, to, cfg: Box::new(cfg) });
            }
            Act::Freeze { side, packets } => self.world.apply(Fault::Pause { host: self.nodes[side as usize].host(), packets }),
            Act::Resume { side } => self.world.apply(Fault::Resume { host: self.nodes[side as usize].host() }),
            Act::ClockJump { side, by } => self.world.apply(Fault::ClockJump { host: self.nodes[side as usize].host(), by }),
            Act::Rebind { outer } => self.world.apply(Fault::Rebind { host: self.nodes[0].host(), inner: 9899, outer }),
            Act::Reading { side, on } => drop(self.with(side, |n, now| n.set_reading(now, on))),
            Act::Crash { side, how } => self.world.apply(Fault::Crash { host: self.nodes[side as usize].host(), how }),
            Act::Restart { side } => self.restart(side),
            Act::Connect { side } => self.connect(side),
            Act::Shutdown { side } => self.shutdown(side),
            Act::Abort { side } => self.abort(side),
            Act::Heartbeat { side } => self.latest(side, |a, now| a.heartbeat(now)),
            Act::Reconfigure { side, cfg } => self.latest(side, |a, now| {
                let changed = a.reconfigure(now, |old| {
                    *old = settled(old, *cfg);
                });
                changed.unwrap();
            }),
            Act::Addresses { side, paths } => self.set_addresses(side, paths),
            Act::Wish { side, wish } => {
                let mut refused = None;
                self.latest(side, |a, now| refused = wish.say(a, now).err());
                self.complaints.extend(refused);
            }
        }
    }

    fn set_addresses(&mut self, side: Side, paths: Vec<usize>) {
        let addrs = ips(&self.plan, side, &paths);
        self.present[side as usize] = paths;
        self.world.apply(Fault::Addresses { host: self.nodes[side as usize].host(), addrs });
    }

    /// Calls `f` on the association that came up last, if it lives.
    fn latest(&mut self, side: Side, f: impl FnOnce(&mut Assoc<'_>, Time)) {
        self.with(side, |n, now| {
            let id = n.latest().map(|(id, _)| id);
            if let Some(mut a) = id.and_then(|id| n.stack.assoc(id)) {
                f(&mut a, now);
            }
        });
    }

    fn direction(&self, path: usize, from: Side) -> [IpAddr; 2] {
        [self.plan.routes[path].ips[from as usize], self.plan.routes[path].ips[from.other() as usize]]
    }

    fn restart(&mut self, side: Side) {
        let node = peer(&self.plan, &self.work, side, &mut self.world);
        self.world.restart(self.nodes[side as usize], node);
        self.opened[side as usize].clear();
        self.tell_addresses(side);
        if side == Side::Client {
            self.connect(side);
        }
    }

    fn shutdown(&mut self, side: Side) {
        self.asked_shutdown[side as usize] = true;
        let opened = self.opened[side as usize].clone();
        self.with(side, |n, now| {
            for id in opened {
                if let Some(mut a) = n.stack.assoc(id) {
                    a.shutdown(now);
                }
            }
            n.shutdown(now);
        });
    }

    fn abort(&mut self, side: Side) {
        self.asked_abort[side as usize] = true;
        let opened = self.opened[side as usize].clone();
        self.with(side, |n, now| {
            for id in opened {
                if let Some(mut a) = n.stack.assoc(id) {
                    a.abort(now, b"enough");
                }
            }
            n.abort(now, b"enough");
        });
    }

    fn closing(&self) -> bool {
        Side::BOTH.iter().any(|s| self.asked_abort[*s as usize] || self.asked_shutdown[*s as usize])
    }

    /// The storm is over: every path is up and loses 2 % at most, everybody reads.
    fn heal(&mut self) {
        for path in 0..self.plan.routes.len() {
            let [a, b] = self.plan.routes[path].ips;
            self.world.apply(Fault::Heal { a, b });
            let [there, back] = &self.plan.routes[path].links;
            let healed = |l: &LinkConfig| LinkConfig {
                loss: Loss::percent(2),
                mtu: l.mtu,
                reports_too_big: l.reports_too_big,
                ..LinkConfig::default()
            };
            let (there, back) = (healed(there), healed(back));
            self.world.set_link(a, b, there);
            self.world.set_link(b, a, back);
        }
        let all: Vec<usize> = (0..self.plan.routes.len()).collect();
        for side in Side::BOTH {
            self.world.apply(Fault::Resume { host: self.nodes[side as usize].host() });
            self.set_addresses(side, all.clone());
            self.with(side, |n, now| n.set_reading(now, true));
        }
    }

    fn living(&self) -> [usize; 2] {
        Side::BOTH.map(|side| self.peer(side).stack.association_count())
    }

    /// What was accepted arrives. An association that was lost is opened again, as any client does.
    fn deliver(&mut self) {
        let [client, server] = self.nodes;
        for _ in 0..6 {
            if self.peer(Side::Client).stack.association_count() == 0 {
                self.connect(Side::Client);
            }
            let until = self.world.now() + DELIVERY;
            let finished = loop {
                // Without HEARTBEATs a client with nothing to send would never learn that its server has forgotten it.
                self.latest(Side::Client, |a, now| {
                    for path in a.paths() {
                        let _ = a.request_heartbeat(now, path.addr);
                    }
                });
                let minute = self.world.now() + Duration::from_secs(60);
                let finished = self.world.run_until_idle_or(minute, |w| {
                    let (c, s) = (w.node(client), w.node(server));
                    (c.complete() && s.complete()) || !c.violations.is_empty() || c.stack.association_count() == 0
                });
                self.world.run_until(if finished { self.world.now() } else { minute });
                if finished || minute > until {
                    break finished;
                }
            };
            let (c, s) = (self.peer(Side::Client), self.peer(Side::Server));
            if (c.complete() && s.complete()) || !c.violations.is_empty() {
                return;
            }
            if !finished {
                let missing = |p: &Peer| p.latest().map(|(_, c)| c.oracle.missing());
                let why = format!("stuck: the client misses {:?}, the server {:?}", missing(c), missing(s));
                return self.complaints.push(why);
            }
        }
        if self.plan.patient && !self.plan.readdresses() {
            self.complaints.push("the client lost six associations".into());
        }
    }

    /// Both sides end.
    fn close(&mut self) {
        if !self.closing() {
            let idle = self.plan.idle;
            self.world.run_for(idle);
            match self.plan.end {
                End::Shutdown(side) => self.shutdown(side),
                End::Abort(side) => self.abort(side),
                End::ShutdownBoth => Side::BOTH.into_iter().for_each(|side| self.shutdown(side)),
            }
        }
        if self.ended() {
            return;
        }
        // Whoever does not know that the other is gone finds out now, unless HEARTBEATs have told it before.
        Side::BOTH.into_iter().for_each(|side| self.shutdown(side));
        if !self.ended() {
            let status = |p: &Peer| format!("{:?}", p.stack);
            let [c, s] = Side::BOTH.map(|side| status(self.peer(side)));
            let living = self.living();
            self.complaints.push(format!("not closed: {living:?} associations live\nclient {c:.2000}\nserver {s:.2000}"));
        }
    }

    /// Whether both sides are without associations before a close must be over.
    fn ended(&mut self) -> bool {
        let [client, server] = self.nodes;
        let until = self.world.now() + CLOSE;
        let none = |p: &Peer| p.stack.association_count() == 0;
        self.world.run_until_idle_or(until, |w| none(w.node(client)) && none(w.node(server)))
    }

    /// Whatever is still under way arrives; then nothing is left that could happen. An old COOKIE ECHO may open an association
    /// once more, which both applications then refuse.
    fn silence(&mut self) {
        for _ in 0..5 {
            self.world.run_for(Duration::from_secs(300));
            if self.living() == [0, 0] {
                break;
            }
            Side::BOTH.into_iter().for_each(|side| self.shutdown(side));
        }
        if self.living() == [0, 0]
            && let Some(at) = self.world.next_event()
        {
            self.complaints.push(format!("no association is left, but a timer runs until {at}"));
        }
    }

    /// Takes a stack out of the world.
    pub(crate) fn take_stack(&mut self, side: Side) -> Stack {
        let fresh = Stack::new(StackConfig::default(), self.world.fork_entropy());
        self.world.with(self.nodes[side as usize], |n, _| core::mem::replace(&mut n.stack, fresh))
    }
}

/// A configuration with what an association has agreed on, or begun with, as it is.
fn settled(old: &AssocConfig, mut new: AssocConfig) -> AssocConfig {
    (new.outbound_streams, new.max_inbound_streams) = (old.outbound_streams, old.max_inbound_streams);
    (new.mtu, new.max_mtu, new.pmtu_discovery) = (old.mtu, old.max_mtu, old.pmtu_discovery);
    (new.initial_window, new.ecn) = (old.initial_window, old.ecn);
    extensions::keep(old, &mut new);
    new
}

/// A side's addresses on some paths.
fn ips(plan: &Plan, side: Side, paths: &[usize]) -> Vec<IpAddr> {
    paths.iter().map(|n| plan.routes[*n].ips[side as usize]).collect()
}

fn peer(plan: &Plan, work: &[Arc<Workload>; 2], side: Side, world: &mut World) -> Peer {
    let mut stack = StackConfig::default();
    stack.default_channel = plan.channel;
    stack.ecn_marks = true;
    let plans = [work[side as usize].clone(), work[side.other() as usize].clone()];
    let mut peer = Peer::new(stack, side.port(), &plan.configs[side as usize], world.fork_entropy(), plans);
    (peer.interleaved, peer.renumbered) = (plan.interleaves, plan.renumbers);
    peer
}
