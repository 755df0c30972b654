//! The data of an association and the small verbs on it.

use core::hint::cold_path;
use core::time::Duration;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;

use super::cookie::StateCookie;
use super::count::Counters;
use super::errors::Complaints;
use super::ext::{Capabilities, Terms};
use super::idle::Dry;
use super::liveness::Unreachable;
use super::news::News;
use super::path::{HeartbeatKind, Path, PathId, Paths, source};
use super::rx::Rx;
use super::state::State;
use super::timers::TimerTable;
use super::trial::Trial;
use super::tx::{FragmentFormat, Tx};
use crate::config::AssocConfig;
use crate::entropy::Entropy;
use crate::error::{CloseReason, SendError};
use crate::event::{AssocId, EndpointId, Event, Message, SendOptions};
use crate::net::{Channel, Transmit, scoped};
use crate::num::{Ppid, Ssn, StreamId, Tsn, Vtag};
use crate::stack::AssocStatus;
use crate::stats::AssocStats;
use crate::time::{Earliest, Time};

/// Most control chunks that wait for transmission; answers beyond are dropped, the peer asks again.
const MAX_CONTROL: usize = 64;
/// Most bytes that they hold of what the peer sent (HEARTBEATs to return, chunks to complain about); a single one may be longer.
const MAX_CONTROL_BYTES: usize = 16 * 1024;

/// What a verb gets from outside: the time and randomness.
pub(crate) struct Context<'a> {
    pub(crate) now: Time,
    pub(crate) entropy: &'a mut dyn Entropy,
}

/// A control chunk that waits for its packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Control {
    Init,
    CookieEcho,
    CookieAck,
    Heartbeat(PathId, HeartbeatKind),
    /// The answer to a HEARTBEAT, from the address that it came to.
    HeartbeatAck(PathId, IpAddr, Bytes),
    /// Error causes for an ERROR chunk.
    Error(Vec<u8>),
    Shutdown,
    ShutdownAck,
    /// A chunk of an extension.
    Encoded(Encoded),
}

/// A chunk of an extension, ready to go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Encoded {
    /// Its type.
    pub(crate) kind: u8,
    /// Header and value without padding.
    pub(crate) bytes: Bytes,
    /// The path that it goes by; `None` for where data goes.
    pub(crate) path: Option<PathId>,
    /// The source that it leaves from, if not the one that the path was confirmed with.
    pub(crate) source: Option<IpAddr>,
}

impl Control {
    /// The path that it was made for.
    pub(super) fn path(&self) -> Option<PathId> {
        match self {
            Self::Heartbeat(path, _) | Self::HeartbeatAck(path, ..) => Some(*path),
            Self::Encoded(chunk) => chunk.path,
            _ => None,
        }
    }

    /// Path `old` is number `new` from now on.
    pub(super) fn rename_path(&mut self, old: PathId, new: PathId) {
        match self {
            Self::Heartbeat(path, _) | Self::HeartbeatAck(path, ..) if *path == old => *path = new,
            Self::Encoded(Encoded { path: Some(path), .. }) if *path == old => *path = new,
            _ => {}
        }
    }

    /// Our address that it was made to leave from.
    pub(super) fn source(&self) -> Option<IpAddr> {
        match self {
            Self::HeartbeatAck(_, source, _) => Some(*source),
            Self::Encoded(chunk) => chunk.source,
            _ => None,
        }
    }

    /// Bytes that it holds because of what the peer sent.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::HeartbeatAck(_, _, tlvs) => tlvs.len(),
            Self::Error(causes) => causes.len(),
            Self::Encoded(chunk) => chunk.bytes.len(),
            _ => 0,
        }
    }
}

/// The only chunk of a last packet, made when the association ended.
#[derive(Debug)]
pub(crate) struct Farewell {
    pub(crate) transmit: Transmit,
    pub(crate) vtag: Vtag,
    pub(crate) chunk: Vec<u8>,
}

/// The peer's cookie on its way back.
#[derive(Debug)]
pub(crate) struct Echo {
    pub(crate) cookie: Box<[u8]>,
    /// When the COOKIE ECHO was last sent.
    pub(crate) sent: Option<Time>,
}

/// Everything RFC 9260 itself needs. No field here belongs to an extension.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) id: AssocId,
    pub(crate) ep: EndpointId,
    pub(crate) cfg: Arc<AssocConfig>,
    pub(crate) state: State,
    /// Whether the peer opened it.
    pub(crate) incoming: bool,
    pub(crate) local_port: u16,
    pub(crate) peer_port: u16,
    /// The tag in packets to us.
    pub(crate) local_tag: Vtag,
    /// The tag in packets to the peer; zero until the INIT ACK.
    pub(crate) peer_tag: Vtag,
    /// What stands for our tag and the peer's in cookies: never the tags themselves (RFC 5062 section 3.3). Drawn when a cookie needs
    /// them, and forgotten when a tag changes.
    pub(crate) tie_tags: Option<(Vtag, Vtag)>,
    /// Our initial TSN, needed again by every INIT and INIT ACK of this association.
    pub(crate) local_tsn: Tsn,
    /// Our addresses as the peer knows them, at most 65; empty until the first packet of the peer names one, if none are listed.
    pub(crate) local_addrs: Vec<IpAddr>,
    pub(crate) outbound: u16,
    pub(crate) inbound: u16,
    /// What we say about extensions.
    pub(crate) local_terms: Terms,
    /// What the peer said about extensions.
    pub(crate) peer_terms: Terms,
    pub(crate) paths: Paths,
    /// The path that the peer's last DATA came by: SACKs go back on it (section 6.4).
    pub(crate) reply_path: PathId,
    /// The path that the peer's last packet came by: answers go back on it (section 6.4).
    pub(crate) heard_on: PathId,
    /// Whether the packet being processed brought DATA again.
    pub(crate) duplicate: bool,
    /// When the next HEARTBEAT may go to an address that is not confirmed (HB.Max.Burst, section 5.4).
    pub(crate) next_probe: Time,
    pub(crate) tx: Tx,
    /// The receive side, once the peer's initial TSN is known.
    pub(crate) rx: Option<Rx>,
    pub(crate) timers: TimerTable,
    /// The channels that are tried, until the association is established.
    pub(crate) trial: Option<Box<Trial>>,
    /// The user shut down while the handshake was going on and messages were waiting.
    pub(crate) closing: bool,
    /// The association's error counter (section 8.1); also counts the retries of the handshake and of the shutdown.
    pub(crate) errors: u32,
    /// What is echoed, in COOKIE-ECHOED.
    pub(crate) echo: Option<Box<Echo>>,
    /// Cookie Preservative for the next INIT, in milliseconds; zero asks for nothing (section 5.2.6).
    pub(crate) preservative: u32,
    /// Limits the ERRORs that the peer can cause.
    pub(crate) complaints: Complaints,
    /// At most [`MAX_CONTROL`], and [`MAX_CONTROL_BYTES`] of the peer's bytes.
    pub(crate) control: VecDeque<Control>,
    pub(crate) farewell: Option<Box<Farewell>>,
    pub(crate) events: News,
    /// Whether [`Event::Readable`] was said since the queue was last empty.
    readable: bool,
    pub(crate) last_heard: Time,
    /// When user data last went either way.
    pub(crate) last_data: Time,
    /// Whether the user wants to know that all data is acknowledged.
    pub(crate) dry: Dry,
    /// An ICMP port unreachable that is being checked.
    pub(crate) unreachable: Option<Box<Unreachable>>,
    /// What was counted, but for what the present sender and receiver count.
    pub(crate) counters: Counters,
    /// Whether a peer opened it and the program has not been told yet: it counts for the backlog.
    pub(crate) unnoticed: bool,
    /// Notifications that the peer can cause at will and that wait for the program.
    pub(crate) notices: u8,
    /// Whether the receive buffer became smaller than it was promised to be.
    pub(crate) buffer_reduced: bool,
    /// Whether the stack has it in its queue of associations to transmit.
    pub(crate) queued: bool,
    /// What the stack has among its deadlines for it: no later than its own deadline, while that is.
    pub(crate) alarm: Option<Time>,
}

impl Core {
    /// An association that we open: [`Core::start`] sends the INIT.
    pub(crate) fn outgoing(
        ids: (AssocId, EndpointId),
        cfg: Arc<AssocConfig>,
        ports: (u16, u16),
        paths: Paths,
        ctx: &mut Context<'_>,
    ) -> Self {
        let own = (fresh_tag(ctx.entropy), Tsn(ctx.entropy.u32()));
        Self::new(ids, cfg, ports, paths, own, ctx.now)
    }

    /// An association that knows nothing of its peer but addresses and port; `own` are our tag and our initial TSN.
    fn new(
        ids: (AssocId, EndpointId),
        cfg: Arc<AssocConfig>,
        ports: (u16, u16),
        paths: Paths,
        (local_tag, local_tsn): (Vtag, Tsn),
        now: Time,
    ) -> Self {
        Self {
            id: ids.0,
            ep: ids.1,
            state: State::CookieWait,
            incoming: false,
            local_port: ports.0,
            peer_port: ports.1,
            local_tag,
            peer_tag: Vtag::ZERO,
            tie_tags: None,
            local_tsn,
            local_addrs: Vec::new(),
            outbound: cfg.outbound_streams,
            inbound: cfg.max_inbound_streams,
            local_terms: Terms::default(),
            peer_terms: Terms::default(),
            reply_path: paths.primary(),
            heard_on: paths.primary(),
            duplicate: false,
            next_probe: now,
            paths,
            tx: Tx::new(&cfg, local_tsn, cfg.outbound_streams, 0),
            rx: None,
            timers: TimerTable::default(),
            trial: None,
            closing: false,
            errors: 0,
            echo: None,
            preservative: 0,
            complaints: Complaints::default(),
            control: VecDeque::new(),
            farewell: None,
            events: News::default(),
            readable: false,
            last_heard: now,
            last_data: now,
            dry: Dry::default(),
            unreachable: None,
            counters: Counters::default(),
            unnoticed: false,
            notices: 0,
            buffer_reduced: false,
            queued: false,
            alarm: None,
            cfg,
        }
    }

    /// An association that a valid cookie opens.
    pub(crate) fn from_cookie(ids: (AssocId, EndpointId), cfg: Arc<AssocConfig>, c: &mut StateCookie, now: Time) -> Self {
        let terms = (core::mem::take(&mut c.local_terms), core::mem::take(&mut c.peer_terms));
        let paths = paths_from_cookie(now, &cfg, c);
        let mut core = Self::new(ids, cfg, (c.local_port, c.peer_port), paths, (c.local_tag, c.local_tsn), now);
        core.incoming = true;
        core.adopt(c, terms);
        core
    }

    /// Begins anew with a peer that restarted, by what its cookie says.
    pub(super) fn restart(&mut self, c: &StateCookie) {
        let before = self.present_stats();
        self.counters.rare().add(&before);
        self.tx = Tx::new(&self.cfg, c.local_tsn, c.outbound, 0);
        self.adopt(c, (c.local_terms.clone(), c.peer_terms.clone()));
    }

    /// Takes tags, sequence numbers, streams and windows from a cookie, as a new association or a restarted one has them, and both sides' terms,
    /// ours first. The sender is new.
    fn adopt(&mut self, c: &StateCookie, terms: (Terms, Terms)) {
        self.local_tag = c.local_tag;
        self.peer_tag = c.peer_tag;
        self.tie_tags = None;
        self.local_tsn = c.local_tsn;
        self.local_addrs = vec![c.local_addr];
        self.outbound = c.outbound;
        self.inbound = c.inbound;
        (self.local_terms, self.peer_terms) = terms;
        self.establish_tx(c.peer_rwnd);
        self.establish_rx(c.peer_tsn);
        self.errors = 0;
    }

    /// The handshake told how many streams there are and what window the peer has.
    pub(crate) fn establish_tx(&mut self, peer_rwnd: u32) {
        let refused = self.tx.establish(self.outbound, peer_rwnd, FragmentFormat::of(self.agreed().interleaving));
        if self.cfg.linux_fsn {
            self.tx.number_as_linux();
        }
        self.events.extend(refused.into_iter().map(Event::from));
    }

    /// The handshake told where the peer begins to count.
    pub(crate) fn establish_rx(&mut self, peer_tsn: Tsn) {
        let agreed = self.agreed();
        let mut rx = Rx::new(&self.cfg, peer_tsn, self.inbound, agreed.interleaving);
        if agreed.partial_reliability {
            rx.allow_breaking_off();
        }
        self.rx = Some(rx);
    }

    /// Messages of which the user has a part will not be completed.
    pub(crate) fn tell_broken_off(&mut self, begun: Vec<(StreamId, Ssn, bool)>) {
        if !begun.is_empty() {
            cold_path();
            self.events.extend(begun.into_iter().map(|(sid, ssn, unordered)| Event::PartialDeliveryAborted { sid, ssn, unordered }));
        }
    }

    /// The extensions that both sides have, once the peer has told.
    pub(crate) fn agreed(&self) -> Capabilities {
        self.local_terms.capabilities.both(self.peer_terms.capabilities)
    }

    /// Queues a control chunk, if it is not there already and there is room.
    pub(crate) fn push_control(&mut self, c: Control) {
        if self.control.contains(&c) {
            return;
        }
        let bytes = c.bytes();
        let held: usize = if bytes > 0 { self.control.iter().map(Control::bytes).sum() } else { 0 };
        if self.control.len() < MAX_CONTROL && (held == 0 || held + bytes <= MAX_CONTROL_BYTES) {
            self.control.push_back(c);
        } else {
            self.counters.rare().dropped_controls += 1;
        }
    }

    /// Queues a control chunk that must lead its packet: COOKIE ECHO and COOKIE ACK.
    pub(crate) fn lead_control(&mut self, c: Control) {
        if !self.control.contains(&c) {
            self.control.push_front(c);
        }
    }

    /// Tells the user once that messages wait.
    pub(crate) fn notify_readable(&mut self) {
        if !self.readable && self.rx.as_ref().is_some_and(Rx::has_message) {
            self.readable = true;
            self.events.push_readable();
        }
    }

    /// What is incomplete will never be complete; the user is told if that concerns a message that it has in part.
    pub(crate) fn give_up_partial(&mut self) {
        let begun = self.rx.as_mut().map(Rx::give_up).unwrap_or_default();
        self.tell_broken_off(begun);
    }

    /// The next message, or part of one.
    pub(crate) fn recv(&mut self) -> Option<Message> {
        let message = self.rx.as_mut().and_then(Rx::pop);
        if message.is_none() || self.rx.as_ref().is_some_and(Rx::is_empty) {
            self.readable = false;
        }
        message
    }

    /// Whether [`Self::recv`] would answer nothing and change nothing, which is so after most messages.
    #[inline]
    pub(crate) fn is_read(&self) -> bool {
        !self.readable && self.state != State::Closed && self.rx.as_ref().is_none_or(Rx::is_empty)
    }

    /// Whether something complete waits to be read.
    pub(crate) fn has_message(&self) -> bool {
        self.rx.as_ref().is_some_and(Rx::has_message)
    }

    /// Accepts a message of the user, and takes it out of `payload` then.
    pub(crate) fn send(&mut self, now: Time, sid: StreamId, ppid: Ppid, payload: &mut Bytes, opts: SendOptions) -> Result<(), SendError> {
        if self.closing || !self.state.accepts_sends() {
            cold_path();
            return Err(SendError::Closed);
        }
        if opts.auth_key.is_some_and(|key| !self.cfg.auth_keys.is_usable(key)) {
            return Err(SendError::NoSuchKey);
        }
        if !self.cfg.fragment {
            cold_path();
            self.tx.set_amdcs(self.paths.amdcs());
        }
        let len = payload.len();
        let accepted = self.tx.enqueue(now, sid, ppid, payload, opts);
        self.report_abandoned();
        accepted?;
        self.note_data(now);
        self.not_dry();
        self.tx.begin_opportunity_of_send(len, &self.paths);
        Ok(())
    }

    /// The user is told of the messages that were given up; answers whether there were any.
    #[inline]
    fn report_abandoned(&mut self) -> bool {
        let any = self.tx.has_abandoned();
        if any {
            self.tell_of_abandoned();
        }
        any
    }

    #[cold]
    fn tell_of_abandoned(&mut self) {
        let abandoned = self.tx.take_abandoned();
        self.events.extend(abandoned.into_iter().map(Event::from));
        if self.tx.is_writable_again() {
            self.events.push_back(Event::Writable);
        }
        self.tell_dry();
    }

    /// The same; what they were may have been all that a shutdown waited for.
    #[inline]
    pub(super) fn tell_abandoned(&mut self, ctx: &mut Context<'_>) {
        if self.report_abandoned() {
            self.advance_shutdown(ctx);
        }
    }

    /// Gives up messages that must not go any more, before the next packet is decided on.
    pub(super) fn prune(&mut self, ctx: &mut Context<'_>) {
        self.tx.prune(ctx.now, &mut self.paths);
        self.tell_abandoned(ctx);
    }

    /// The association is up: tells the user, starts the heartbeats, lets data flow.
    pub(crate) fn established(&mut self, ctx: &mut Context<'_>) {
        self.state = State::Established;
        self.timers.stop(super::timers::Timer::T1);
        self.trial = None;
        self.errors = 0;
        self.echo = None;
        self.control.retain(|c| !matches!(c, Control::Init | Control::CookieEcho));
        self.events.push_back(Event::Connected { inbound: self.inbound, outbound: self.outbound, incoming: self.incoming });
        self.tell_adaptation();
        self.start_heartbeats(ctx);
        self.start_autoclose(ctx.now);
        self.tx.begin_opportunity();
        if core::mem::take(&mut self.closing) {
            self.shutdown(ctx);
        }
    }

    /// What the peer's layer above SCTP said of itself (RFC 5061 section 4.2.6) is for ours.
    pub(super) fn tell_adaptation(&mut self) {
        self.events.extend(self.peer_terms.adaptation().map(Event::Adaptation));
    }

    /// The association is over: what was not delivered is reported, then the reason.
    pub(crate) fn close(&mut self, reason: CloseReason) {
        if self.state == State::Closed {
            return;
        }
        self.give_up_partial();
        self.notify_readable();
        self.state = State::Closed;
        self.timers.stop_all();
        self.control.clear();
        let failed = self.tx.take_undelivered();
        self.events.extend(failed.into_iter().map(Event::from));
        tracing::debug!(assoc = self.id.get(), ?reason, "association closed");
        self.events.push_back(Event::Lost { reason });
    }

    /// A packet came to our address `ip`: it is the first of those that the peer knows.
    pub(crate) fn reached_at(&mut self, ip: IpAddr) {
        if self.local_addrs.is_empty() {
            // As with most associations: no more room than for this one.
            self.local_addrs = vec![ip];
            return;
        }
        self.local_addrs.retain(|a| *a != ip);
        self.local_addrs.insert(0, ip);
        self.local_addrs.shrink_to_fit();
    }

    /// The peer was told of these addresses of ours.
    pub(crate) fn know_local(&mut self, addrs: Vec<IpAddr>) {
        for a in addrs {
            if !self.local_addrs.contains(&a) {
                self.local_addrs.push(a);
            }
        }
        self.local_addrs.shrink_to_fit();
    }

    /// Whether `ip` is the host's own end of this association.
    pub(crate) fn is_local(&self, ip: IpAddr) -> bool {
        // As long as nothing was heard, routing may have chosen a source that nobody told us of; the tag proves enough.
        self.state == State::CookieWait || self.local_addrs.contains(&ip)
    }

    /// Whether the peer is the process on this very host that holds SCTP port `port` behind UDP port `udp`.
    pub(crate) fn peer_is_here(&self, port: u16, host: &[IpAddr]) -> bool {
        let path = self.paths.get(self.paths.primary());
        let same_udp = matches!(path.map(|p| p.channel), Some(Channel::Udp { local, remote }) if local == remote);
        let here = |ip: IpAddr| ip.is_loopback() || self.local_addrs.contains(&ip) || host.contains(&ip);
        self.peer_port == port && same_udp && path.is_some_and(|p| here(p.addr))
    }

    /// Tells when the timers of the core want to be served.
    pub(crate) fn note_deadlines(&self, next: &mut Earliest) {
        let sack = self.rx.as_ref().and_then(Rx::sack_deadline);
        let trial = self.trial.as_ref().and_then(|t| t.deadline());
        self.timers.note_all(next);
        next.note(sack);
        next.note(trial);
        next.note(self.tx.release());
        for (_, p) in self.paths.iter() {
            next.note(p.t3);
            if self.state.sends_heartbeats() {
                p.heartbeat.note_deadlines(next);
                next.note(p.pmtu_deadline());
            }
        }
    }

    /// The peer's addresses with its SCTP port, the primary path's first.
    pub(crate) fn peer_addrs(&self) -> Vec<SocketAddr> {
        self.peer_ips().map(|a| scoped(a, self.peer_port, self.paths.link())).collect()
    }

    /// The peer's addresses, the primary path's first.
    pub(crate) fn peer_ips(&self) -> impl Iterator<Item = IpAddr> {
        let primary = self.paths.primary();
        let first = self.paths.get(primary).map(|p| p.addr);
        first.into_iter().chain(self.paths.iter().filter(move |(id, _)| *id != primary).map(|(_, p)| p.addr))
    }

    /// Adds the addresses that the peer listed, if they mean anything here: known for lookup, and paths to be confirmed.
    pub(crate) fn add_peer_addrs(&mut self, now: Time, addrs: &[IpAddr], channel: Channel) {
        if !channel.has_addresses() {
            return;
        }
        let Some(known) = self.paths.get(self.paths.primary()).map(|p| p.addr) else { return };
        for a in addrs {
            if source::believed(*a, known, &self.local_addrs) {
                self.paths.add(Path::new(&self.cfg, now, *a, None, channel));
            }
        }
    }

    /// The RTO of the path in use, back-off included.
    pub(crate) fn rto(&self) -> Duration {
        self.paths.get(self.paths.data_path()).map_or(self.cfg.rto_initial, Path::rto)
    }

    /// Doubles the RTO of the path in use after an unanswered control chunk (section 6.3.3 E2).
    pub(crate) fn back_off(&mut self) {
        let path = self.paths.data_path();
        if let Some(p) = self.paths.get_mut(path) {
            p.back_off();
        }
    }

    /// Counters since the association was opened.
    pub(crate) fn stats(&self) -> AssocStats {
        let mut all = self.counters.all();
        all.add(&self.present_stats());
        all
    }

    /// What the present sender and receiver have counted.
    fn present_stats(&self) -> AssocStats {
        AssocStats { reasm_usr_msgs: self.rx.as_ref().map_or(0, Rx::reassembled), ..self.tx.stats() }
    }

    /// A snapshot for the user.
    pub(crate) fn status(&self) -> AssocStatus {
        let primary = self.paths.get(self.paths.data_path());
        AssocStatus {
            state: self.state.name(),
            inbound_streams: self.inbound,
            outbound_streams: self.outbound,
            buffered: self.tx.buffered(),
            srtt: primary.and_then(|p| p.rtt.srtt()),
            rttvar: primary.map(|p| p.rtt.rttvar()).unwrap_or_default(),
            rto: primary.map(Path::rto).unwrap_or_default(),
            last_heard: self.last_heard,
            mtu: primary.map_or(0, Path::mtu),
            cwnd: primary.map_or(0, |p| p.cc.window()),
            unanswered_heartbeats: primary.map_or(0, |p| p.heartbeat.unanswered()),
            peer_window: self.tx.peer_window(),
            unacked: self.tx.unacked(),
            pending: self.rx.as_ref().map_or(0, Rx::ready),
            fragmentation_point: self
                .paths
                .amdcs()
                .saturating_sub(self.tx.header_len() + self.tx.reserved())
                .min(self.cfg.max_fragment.unwrap_or(usize::MAX)),
            extensions: self.agreed().usable(),
        }
    }
}

/// The paths that a cookie names: the source of the INIT is confirmed, since the cookie came back from there.
pub(crate) fn paths_from_cookie(now: Time, cfg: &AssocConfig, c: &StateCookie) -> Paths {
    let mut addrs = c.peer_addrs.iter();
    let first = addrs.next().copied().unwrap_or(c.local_addr);
    let mut path = Path::new(cfg, now, first, Some(c.local_addr), c.channel);
    path.trust();
    let mut paths = Paths::new(path);
    for a in addrs {
        paths.add(Path::new(cfg, now, *a, None, c.channel));
    }
    paths
}

/// A verification tag: random, never zero (section 5.3.1).
pub(crate) fn fresh_tag(entropy: &mut dyn Entropy) -> Vtag {
    Vtag(entropy.u32().max(1))
}
