//! Many endpoints, many associations: the public verbs of the core.
//!
//! # Contract
//! Time never goes backwards. After one or more calls that take `now` (a whole received batch, then), drain
//! [`Node::poll_transmit`], then [`Stack::poll_event`], then read [`Node::poll_timeout`]. Nothing is emitted eagerly: packets are
//! built in `poll_transmit`, so several calls before a drain are fine and let chunks share packets. What changes timers is such a call,
//! and the drain behind it is what `poll_timeout` goes by: it may answer a time too late for what was not drained, and in any case may
//! answer one that is too early, at which nothing happens.

mod addresses;
mod alarms;
mod arena;
mod assoc;
pub mod deadline;
mod endpoint;
mod events;
mod icmp;
mod limiter;
mod lookup;
mod ootb;
mod paths;
mod ports;
mod protection;
mod reconfig;
mod responder;
mod route;
mod snapshot;
mod status;

use core::hint::cold_path;
use core::time::Duration;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use self::alarms::Alarms;
use self::arena::Arena;
pub use self::assoc::Assoc;
use self::limiter::Limiter;
use self::lookup::{Key, Lookup};
use self::ports::Ports;
use self::protection::Protection;
pub use self::reconfig::ResetDirection;
pub use self::snapshot::{PathSnapshot, ReceiveSnapshot, SendSnapshot, Snapshot};
pub use self::status::{AssocStatus, AuthChunks, HeartbeatAnswer, PathOptions, PathStatus};
use crate::assoc::cookie::CookieJar;
use crate::assoc::path::{Path, Paths, source};
use crate::assoc::state::State;
use crate::assoc::{Association, Context, Control, Core, Trial};
use crate::config::{AssocConfig, StackConfig};
use crate::entropy::Entropy;
use crate::error::{CloseReason, ConfigError, ConnectError};
use crate::event::{AssocId, EndpointId, Event};
use crate::net::{AddrChange, Meta, NetError, PeerAddr, Train, Transmit};
use crate::node::Node;
use crate::stats::{AssocStats, StackCounters, StackStats};
use crate::time::Time;

/// Most answers without an association that wait for transmission; a driver that drains never comes near.
const MAX_REPLIES: usize = 1024;
/// Longest packet in bytes that is sent unfragmented without knowing the path.
const SAFE_PACKET: usize = 1_200;
/// A pause of the driver beyond its deadline that counts as a jump of the clock (rulings section 1 row 22).
const CLOCK_JUMP: Duration = Duration::from_secs(1);

/// A packet that no association owns: INIT ACK, out-of-the-blue answers, and the last packets of associations.
#[derive(Debug)]
struct Reply {
    transmit: Transmit,
    packet: Vec<u8>,
}

impl Reply {
    /// Nothing is known of the path's MTU: what may be too long goes with DF clear (rulings section 1 row 12).
    fn new(transmit: Transmit, packet: Vec<u8>) -> Self {
        let transmit = Transmit { size: packet.len(), may_fragment: packet.len() > SAFE_PACKET, ..transmit };
        Self { transmit, packet }
    }
}

/// An SCTP stack: endpoints and associations, driven by the verbs of [`Node`].
#[derive(Debug)]
pub struct Stack {
    cfg: StackConfig,
    entropy: Box<dyn Entropy>,
    ports: Ports,
    assocs: Arena,
    lookup: Lookup,
    cookies: CookieJar,
    alarms: Alarms,
    /// Associations that may have something to send, each at most once.
    sending: VecDeque<AssocId>,
    /// At most [`MAX_REPLIES`], and one more for each association that ends.
    replies: VecDeque<Reply>,
    /// An empty queue of control chunks, for its memory: lent to the association that is at work, so that each one may go without.
    spare_control: VecDeque<Control>,
    /// Of one association at most [`events::MAX_NOTICES`], what its life causes once, and what the send buffer held.
    events: VecDeque<(EndpointId, AssocId, Event)>,
    ootb_limit: Limiter,
    init_ack_limit: Limiter,
    /// The host's own addresses, as far as the driver told.
    host: Vec<IpAddr>,
    /// Those that it had once and has no more, the latest last; at most 256.
    departed: Vec<IpAddr>,
    counters: StackCounters,
    /// What associations counted that are gone.
    retired: AssocStats,
    /// Whether all of them are authenticated.
    protection: Protection,
}

impl Stack {
    /// A stack without endpoints. All randomness comes from `entropy`.
    #[must_use]
    pub fn new(cfg: StackConfig, mut entropy: Box<dyn Entropy>) -> Self {
        Self {
            ports: Ports::default(),
            assocs: Arena::default(),
            lookup: Lookup::new(&mut *entropy),
            cookies: CookieJar::new(Time::ZERO, &mut *entropy),
            alarms: Alarms::default(),
            sending: VecDeque::new(),
            replies: VecDeque::new(),
            spare_control: VecDeque::new(),
            events: VecDeque::new(),
            ootb_limit: Limiter::new(cfg.ootb_per_second),
            init_ack_limit: Limiter::new(cfg.init_ack_per_second),
            host: Vec::new(),
            departed: Vec::new(),
            counters: StackCounters::default(),
            retired: AssocStats::default(),
            protection: Protection::default(),
            cfg,
            entropy,
        }
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> &StackConfig {
        &self.cfg
    }

    /// Changes the configuration. Associations that exist stay, even if there are more than are allowed now.
    ///
    /// # Errors
    /// A value cannot work; then nothing is changed.
    pub fn reconfigure(&mut self, cfg: StackConfig) -> Result<(), ConfigError> {
        cfg.validate()?;
        self.ootb_limit.set_rate(cfg.ootb_per_second);
        self.init_ack_limit.set_rate(cfg.init_ack_per_second);
        self.cfg = cfg;
        Ok(())
    }

    /// Whether `ip` is an address of this host, as far as the driver told; if it told nothing, every address may be.
    #[must_use]
    pub fn has_address(&self, ip: IpAddr) -> bool {
        self.host.is_empty() || self.host.contains(&ip.to_canonical())
    }

    /// Opens an association with the peer that has these addresses (RFC 9260 section 11.1.2), at most 64: the first is tried, then
    /// the others in turn. All get the first one's SCTP port.
    ///
    /// # Errors
    /// No address, no such endpoint, an association with the peer exists, the limit of associations is reached, or the RFC forbids
    /// the configuration.
    pub fn connect(
        &mut self,
        now: Time,
        ep: EndpointId,
        peer: &[PeerAddr],
        cfg: Option<Arc<AssocConfig>>,
    ) -> Result<AssocId, ConnectError> {
        let first = peer.first().ok_or(ConnectError::NoAddress)?;
        if peer.iter().any(|p| p.addr.port() == 0) {
            return Err(ConnectError::PortZero);
        }
        let local_port = self.local_port(ep).ok_or(ConnectError::NoEndpoint)?;
        let cfg = self.assoc_config(ep, cfg).ok_or(ConnectError::NoEndpoint)?;
        cfg.validate()?;
        let cfg = self.protection.of(cfg);
        let default_channel = self.cfg.default_channel;
        let cfg = self.fit(cfg, first.channel.unwrap_or(default_channel));
        if self.assocs.len() >= self.cfg.max_associations {
            return Err(ConnectError::TooManyAssociations);
        }
        let peer_port = first.addr.port();
        let ports = (local_port, peer_port);
        let addrs = peer.iter().map(|p| (p.addr.ip().to_canonical(), p.ifindex()));
        let holder = |s: &Self, (ip, link)| s.lookup.get(&Key::new(ports, ip, link));
        if addrs.clone().any(|a| holder(self, a).is_some_and(|id| self.owns(id, a.0))) {
            return Err(ConnectError::AlreadyConnected);
        }
        // One that has only listed an address loses it to the association that the user wants.
        for (ip, link) in addrs {
            if let Some(id) = holder(self, (ip, link)) {
                self.lookup.remove(&Key::new(ports, ip, link), id);
            }
        }
        let channels = core::iter::once(default_channel).chain(self.cfg.further_channels.iter().copied());
        let trial = if peer.iter().all(|p| p.channel.is_some()) { None } else { Trial::of(channels) };
        let bound = self.ports.get(ep).map(|e| e.bind.clone()).unwrap_or_default();
        let own = self.own_addresses_towards(ep, &cfg, peer);
        if let Some(e) = self.ports.get_mut(ep) {
            e.told |= cfg.auth;
        }
        let id = self
            .insert(now, |id, ctx| {
                let path = |p: &PeerAddr| {
                    let ip = p.addr.ip().to_canonical();
                    let source = source::for_attempt(&bound, None, ip, 0);
                    let mut path = Path::new(&cfg, ctx.now, ip, source, p.channel.unwrap_or(default_channel));
                    // Section 5.4 rule 1: an address that the user gives counts as confirmed.
                    path.pinned = p.channel.is_some();
                    path.trust();
                    path
                };
                let mut paths = Paths::new(path(first));
                for p in peer.iter().skip(1) {
                    paths.add(path(p));
                }
                paths.set_link(peer.iter().map(PeerAddr::ifindex).find(|link| *link != 0).unwrap_or(0));
                let mut core = Core::outgoing((id, ep), cfg, (local_port, peer_port), paths, ctx);
                // Behind a NAT, and where there is but one, the first packet of the peer tells which it is.
                if own.len() > 1 || core.paths.link() != 0 {
                    core.know_local(own);
                }
                core.trial = trial;
                core.start(ctx);
                core
            })
            .ok_or(ConnectError::TooManyAssociations)?;
        self.touch(id);
        Ok(id)
    }

    /// A handle on an association; `None` once it is gone.
    pub fn assoc(&mut self, id: AssocId) -> Option<Assoc<'_>> {
        let ep = self.assocs.get(id)?.core.ep;
        Some(Assoc { stack: self, id, ep })
    }

    /// The living association of an endpoint with the peer that has this address and SCTP port.
    #[must_use]
    pub fn find(&self, ep: EndpointId, peer: SocketAddr) -> Option<AssocId> {
        let local_port = self.local_port(ep)?;
        let ip = peer.ip().to_canonical();
        // What another peer has only listed is not its address: a stranger shall not get what is meant for others.
        let key = Key::new((local_port, peer.port()), ip, PeerAddr::from(peer).ifindex());
        self.lookup.get(&key).filter(|id| self.owns(*id, ip))
    }

    /// Drops an association that is lost, with the messages that nobody read. A living one is aborted in silence.
    pub fn forget(&mut self, id: AssocId) {
        let Some(mut a) = self.assocs.remove(id) else { return };
        self.alarms.cancel(id, &mut a.core.alarm);
        self.leave_addresses(&a);
        self.retired.add(&a.core.stats());
        if a.core.unnoticed {
            self.ports.noticed(a.core.ep);
        }
    }

    /// Counters since the start. This visits every association: for reports, not for each packet.
    #[must_use]
    pub fn stats(&self) -> StackStats {
        let mut all = StackStats { stack: self.counters, assocs: self.retired, ..StackStats::default() };
        for a in self.assocs.iter() {
            all.associations += 1;
            all.curr_estab += u64::from(matches!(a.core.state, State::Established | State::ShutdownPending | State::ShutdownReceived));
            all.assocs.add(&a.core.stats());
        }
        all
    }

    /// Number of associations, those included that are lost and wait to be read.
    #[must_use]
    pub fn association_count(&self) -> usize {
        self.assocs.len()
    }

    /// Calls `f` on an association with time and randomness.
    fn with_assoc<R>(&mut self, now: Time, id: AssocId, f: impl FnOnce(&mut Association, &mut Context<'_>) -> R) -> Option<R> {
        let mut ctx = Context { now, entropy: &mut *self.entropy };
        let a = self.assocs.get_mut(id)?;
        exchange_if_unallocated(&mut a.core.control, &mut self.spare_control);
        Some(f(a, &mut ctx))
    }

    /// After any change of an association: takes its events and its last packet, and queues it for sending. Its deadline is set when
    /// it has had its turn, which changes timers anyhow.
    fn touch(&mut self, id: AssocId) {
        let Some(a) = self.assocs.get_mut(id) else { return };
        a.ext.settle(&mut a.core);
        a.core.settle_paths();
        let closed = a.core.state == State::Closed;
        if !closed && !core::mem::replace(&mut a.core.queued, true) {
            self.sending.push_back(id);
        }
        let farewell = a.take_farewell();
        if !a.core.events.is_empty() {
            self.pass_on_events(id);
        }
        if let Some((transmit, packet)) = farewell {
            cold_path();
            // At most one for each association, and it must go (section 9.1): no limit.
            self.replies.push_back(Reply::new(transmit, packet));
        }
        if closed {
            cold_path();
            self.bury(id);
        }
    }

    /// An association has ended: nothing finds or wakes it any more.
    fn bury(&mut self, id: AssocId) {
        let Some(a) = self.assocs.get_mut(id) else { return };
        self.alarms.cancel(id, &mut a.core.alarm);
        keys_of(&a.core).for_each(|key| self.lookup.remove(&key, id));
    }

    /// The next packet or train: answers first, then what associations have to say, in turn.
    fn transmit(&mut self, now: Time, max_segments: usize, buf: &mut Vec<u8>) -> Option<Transmit> {
        if !self.replies.is_empty() {
            cold_path();
            return self.transmit_reply(buf);
        }
        while let Some(id) = self.sending.front().copied() {
            let Some(a) = self.assocs.get_mut(id) else {
                cold_path();
                self.sending.pop_front();
                continue;
            };
            let transmit = a.poll_transmit(&mut Context { now, entropy: &mut *self.entropy }, max_segments, buf);
            // Messages may be given up when their turn has come.
            let silent = a.core.events.is_empty();
            if !a.core.queued {
                self.sending.pop_front();
                if a.core.control.is_empty() {
                    exchange_if_unallocated(&mut self.spare_control, &mut a.core.control);
                }
                a.core.rest();
                set_alarm(&mut self.alarms, id, a);
            }
            if !silent {
                self.pass_on_events(id);
            }
            if let Some(Transmit { size, segment_size, .. }) = transmit {
                self.counters.packets_out += segment_size.map_or(1, |s| size.div_ceil(s)) as u64;
                self.counters.bytes_out += size as u64;
                return transmit;
            }
        }
        None
    }

    fn transmit_reply(&mut self, buf: &mut Vec<u8>) -> Option<Transmit> {
        let reply = self.replies.pop_front()?;
        buf.extend_from_slice(&reply.packet);
        self.counters.packets_out += 1;
        self.counters.bytes_out += reply.packet.len() as u64;
        Some(reply.transmit)
    }

    /// Enters all addresses of an association into the lookup table.
    fn enter_addresses(&mut self, id: AssocId) {
        let Some(a) = self.assocs.get(id) else { return };
        for key in keys_of(&a.core) {
            self.lookup.insert(key, id);
        }
        if let Some(key) = Self::tag_key(a) {
            self.lookup.insert_tag(key, id);
        }
    }

    fn leave_addresses(&mut self, a: &Association) {
        for key in keys_of(&a.core) {
            self.lookup.remove(&key, a.core.id);
        }
        if let Some(key) = Self::tag_key(a) {
            self.lookup.remove_tag(&key, a.core.id);
        }
    }

    /// If the driver came back much later than it was asked to, timers that expired meanwhile run once more before they count.
    fn notice_clock_jump(&mut self, now: Time) {
        if self.alarms.next().is_some_and(|due| now - due >= CLOCK_JUMP) {
            cold_path();
            self.forgive(now);
        }
    }

    fn forgive(&mut self, now: Time) {
        tracing::debug!(%now, "the clock jumped: timers start anew");
        for id in self.assocs.ids() {
            self.with_assoc(now, id, |a, _| {
                a.core.forgive(now);
                a.ext.forgive(&a.core, now);
            });
            self.touch(id);
        }
    }
}

impl Node for Stack {
    fn handle_batch(&mut self, now: Time, meta: &Meta, train: Train) {
        self.notice_clock_jump(now);
        let usual;
        let meta = if meta.is_disguised() {
            cold_path();
            usual = Meta { src: meta.src.to_canonical(), dst: meta.dst.to_canonical(), ..*meta };
            &usual
        } else {
            meta
        };
        let source = self.judge(meta);
        if train.stride >= train.bytes.len() && !train.bytes.is_empty() {
            // A packet alone, as most acknowledgements and small messages come: nothing to cut.
            if let Some(id) = self.take_in(now, &source, train.bytes) {
                self.touch(id);
            }
            self.counters.largest_train_in = self.counters.largest_train_in.max(1);
            return;
        }
        let mut packets = 0;
        let mut untouched = None;
        for packet in train.packets() {
            let id = self.take_in(now, &source, packet);
            if id != untouched
                && let Some(before) = core::mem::replace(&mut untouched, id)
            {
                self.touch(before);
            }
            packets += 1;
        }
        if let Some(id) = untouched {
            self.touch(id);
        }
        self.counters.largest_train_in = self.counters.largest_train_in.max(packets);
    }

    fn handle_net_error(&mut self, now: Time, err: &NetError) {
        self.on_net_error(now, err);
    }

    fn handle_timeout(&mut self, now: Time) {
        self.notice_clock_jump(now);
        // Each association once: a timer that were due again at once must not keep the others waiting.
        let expired: Vec<_> = core::iter::from_fn(|| self.alarms.pop_expired(now)).collect();
        for id in expired {
            let Some(a) = self.assocs.get_mut(id) else { continue };
            a.core.alarm = None;
            if a.next_deadline().is_some_and(|at| at <= now) {
                self.with_assoc(now, id, |a, ctx| a.on_timeout(ctx));
                self.touch(id);
            }
            if let Some(a) = self.assocs.get_mut(id) {
                set_alarm(&mut self.alarms, id, a);
            }
        }
    }

    #[inline]
    fn poll_transmit(&mut self, now: Time, max_segments: usize, buf: &mut Vec<u8>) -> Option<Transmit> {
        // Each drain ends with a call for nothing.
        if self.replies.is_empty() && self.sending.is_empty() { None } else { self.transmit(now, max_segments, buf) }
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.alarms.next()
    }

    fn handle_addresses(&mut self, now: Time, change: AddrChange) {
        match change {
            AddrChange::Set(addrs) => self.change_host(now, addrs),
        }
    }

    fn handle_ports_died(&mut self, now: Time, ports: &[u16]) {
        for id in self.assocs.ids() {
            let Some(a) = self.assocs.get(id) else { continue };
            if a.core.state != State::Closed && ports.iter().any(|p| a.core.peer_is_here(*p, &self.host)) {
                self.with_assoc(now, id, |a, _| a.core.close(CloseReason::LocalPeerDied));
                self.touch(id);
            }
        }
    }
}

/// An association has had its turn to transmit, or its timers were served: its alarm is for what comes next.
#[inline]
fn set_alarm(alarms: &mut Alarms, id: AssocId, a: &mut Association) {
    let (deadline, lazy) = (a.next_deadline(), a.core.state == State::Established);
    alarms.follow(id, &mut a.core.alarm, deadline, lazy);
}

/// Whether a message that was handed in or read leaves nothing for [`Stack::touch`] to look after: the association is about to send anyhow.
fn is_about_to_send(core: &Core) -> bool {
    core.queued && core.state != State::Closed && core.events.is_empty()
}

/// Gives `borrower` the memory of `lender`, if it has none itself.
#[inline]
fn exchange_if_unallocated<T>(borrower: &mut VecDeque<T>, lender: &mut VecDeque<T>) {
    if borrower.capacity() == 0 {
        core::mem::swap(borrower, lender);
    }
}

/// What an association is found by: its peer's addresses, the primary path's first.
fn keys_of(core: &Core) -> impl Iterator<Item = Key> {
    core.peer_ips().map(|peer| Key::new((core.local_port, core.peer_port), peer, core.paths.link()))
}

#[cfg(test)]
mod collision_test;
#[cfg(test)]
mod ending_test;
#[cfg(test)]
mod handshake_test;
#[cfg(test)]
mod ladder;
#[cfg(test)]
mod padding_test;
#[cfg(test)]
mod reconfig_rules_test;
#[cfg(test)]
mod reconfig_test;
#[cfg(test)]
mod requests_test;
#[cfg(test)]
mod responder_test;
#[cfg(test)]
mod sacks_test;
#[cfg(test)]
mod strangers_test;
#[cfg(test)]
mod trial_test;
