//! Stream reconfiguration (RFC 6525): streams, or all TSNs, begin anew, and streams are added.
//!
//! One request chunk is in flight at a time. What the user asks for is [`Ask`]ed, waits until what was sent before has left, and goes
//! as a [`Flight`] until all its requests are answered. A peer may ask us to ask it: such an ask is queued behind the user's. What
//! the peer requests is in `requests`, its answers to ours are in `answers`.
//!
//! Who performs an SSN/TSN reset for its peer knows not when the peer has the answer, and DATA with new stream sequence numbers must not
//! arrive before it. So a HEARTBEAT rides behind the answer, and new DATA waits for its acknowledgement ([`Renumbering`]).

mod answers;
mod lazy;
mod requests;

use core::time::Duration;
use std::collections::VecDeque;

use arrayvec::ArrayVec;
use bytes::Bytes;

pub(crate) use self::lazy::LazyReconfig;
use self::requests::Reply;
use crate::assoc::core::{Context, Control, Core, Encoded};
use crate::assoc::rx::{DataOutcome, Rx};
use crate::assoc::state::State;
use crate::assoc::streams::Streams;
use crate::error::ReconfigError;
use crate::event::{Event, ReconfigOutcome};
use crate::num::{StreamId, Tsn};
use crate::time::Time;
use crate::wire::chunk::{
    Encode as _, Heartbeat, Reconfig as ReconfigChunk, ReconfigParam, ReconfigParams, ReconfigResult, StreamList, kind,
};
use crate::wire::cursor::{Reader, Writer};
use crate::wire::packet::COMMON_HEADER_LEN;
use crate::wire::{Cause, Chunk, param};

/// An association may be reset once in so much time, a maximum segment lifetime (section 5.1.4 SHOULD).
const BETWEEN_TSN_RESETS: Duration = Duration::from_secs(30);
/// Most asks that wait: the user has one, the others are what the peer wants us to ask.
const MAX_ASKS: usize = 4;
/// Length of a RE-CONFIG with both reset requests and no stream: header, outgoing and incoming request.
const RESET_LEN: usize = 4 + 16 + 8;

/// What is to be asked of the peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// Streams begin anew: ours, the peer's, or both; of both the same are named.
    Reset { incoming: Option<Streams>, outgoing: Option<Streams> },
    /// All TSNs and streams begin anew.
    Renumber,
    /// So many streams more.
    Add { incoming: u16, outgoing: u16 },
}

/// A request that waits.
#[derive(Debug)]
struct Ask {
    what: What,
    /// The peer's request that it answers.
    answers: Option<u32>,
    /// Its turn has come: it waits only for what has to leave before.
    begun: bool,
}

/// One of our requests, as it is to be carried out once the peer agrees.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Request {
    Outgoing(Streams),
    Incoming(Streams),
    Renumber,
    AddOutgoing(u16),
    AddIncoming(u16),
}

/// The requests of the chunk in flight.
#[derive(Debug)]
struct Flight {
    /// Those that are not answered yet, with their numbers.
    open: ArrayVec<(u32, Request), 2>,
    /// The peer's request that it answers.
    answers: Option<u32>,
    chunk: Bytes,
    /// The peer said so: the next expiry of the timer is no error (section 5.2.7 rule H2).
    in_progress: bool,
    /// The last TSN before it.
    last_tsn: Tsn,
}

/// An SSN/TSN reset that the peer has requested.
#[derive(Clone, Copy, Debug)]
struct Renumbering {
    /// The number of the request.
    request: u32,
    /// Our and the peer's next TSN, once it is done; until then what was sent before has to be acknowledged.
    done: Option<(Tsn, Tsn)>,
}

/// State of stream reconfiguration, once it is used.
#[derive(Debug)]
pub(crate) struct Reconfig {
    /// The number of our next request.
    next: u32,
    /// The number that the peer's next request has.
    expected: u32,
    /// What the peer's last requests came to, to be said again (section 5.2.1).
    answered: ArrayVec<(u32, Reply), 2>,
    /// At most [`MAX_ASKS`].
    asks: VecDeque<Ask>,
    flight: Option<Box<Flight>>,
    /// Our last request for a reset of incoming streams: the peer's request that refers to it is welcome.
    invited: Option<u32>,
    /// A reset of the peer's streams that waits for DATA sent before: its number and the streams.
    deferred: Option<(u32, Streams)>,
    renumbering: Option<Renumbering>,
    /// When we last requested an SSN/TSN reset.
    last_tsn_reset: Option<Time>,
    /// The Re-configuration Timer, or that of the HEARTBEAT behind an answer.
    deadline: Option<Time>,
    /// TSNs began anew since the last [`Self::take_renumbered`].
    renumbered: bool,
}

impl Reconfig {
    /// At its beginning: the numbers of our first request and of the peer's.
    pub(super) fn new(next: u32, expected: u32) -> Self {
        Self {
            next,
            expected,
            answered: ArrayVec::new(),
            asks: VecDeque::new(),
            flight: None,
            invited: None,
            deferred: None,
            renumbering: None,
            last_tsn_reset: None,
            deadline: None,
            renumbered: false,
        }
    }

    /// The user's request.
    ///
    /// # Errors
    /// Another one is under way, the association is not established, or it cannot be asked for.
    pub(crate) fn ask(&mut self, core: &mut Core, ctx: &mut Context<'_>, what: What) -> Result<(), ReconfigError> {
        if core.closing || core.state != State::Established {
            return Err(ReconfigError::Closed);
        }
        // RFC 6525 section 6.3: EALREADY.
        if self.flight.is_some() || !self.asks.is_empty() || self.renumbering.is_some() {
            return Err(ReconfigError::AlreadyInProgress);
        }
        match &what {
            What::Reset { incoming, outgoing } => {
                let exist = |s: &Option<Streams>, count| s.as_ref().is_none_or(|s| s.exist(count));
                if (incoming.is_none() && outgoing.is_none()) || !exist(incoming, core.inbound) || !exist(outgoing, core.outbound) {
                    return Err(ReconfigError::InvalidStream);
                }
                let named = [incoming, outgoing].into_iter().flatten().map(|s| s.list().len()).sum();
                if !fits(core, named) {
                    return Err(ReconfigError::TooMany);
                }
            }
            What::Renumber => {
                if self.last_tsn_reset.is_some_and(|at| ctx.now - at < BETWEEN_TSN_RESETS) {
                    return Err(ReconfigError::TooSoon);
                }
                self.last_tsn_reset = Some(ctx.now);
            }
            What::Add { incoming, outgoing } => {
                // Their number has 16 bits (RFC 9260 section 3.3.2).
                let beyond = |have: u16, more: &u16| have.checked_add(*more).is_none();
                if (*incoming == 0 && *outgoing == 0) || beyond(core.inbound, incoming) || beyond(core.outbound, outgoing) {
                    return Err(ReconfigError::TooMany);
                }
            }
        }
        self.asks.push_back(Ask { what, answers: None, begun: false });
        self.advance(core, ctx);
        Ok(())
    }

    /// A chunk of the peer.
    pub(super) fn on_chunk(&mut self, core: &mut Core, ctx: &mut Context<'_>, chunk: &Chunk<'_>) {
        match chunk {
            Chunk::Reconfig(c) if takes(core.state) => self.on_reconfig(core, ctx, c),
            Chunk::HeartbeatAck(ack) => self.on_heartbeat_ack(core, ctx, ack),
            _ => {}
        }
    }

    /// Does what waited for DATA, acknowledgements or its turn.
    pub(super) fn advance(&mut self, core: &mut Core, ctx: &mut Context<'_>) {
        self.finish_deferred(core);
        self.renumber(core, ctx);
        if self.flight.is_none() && self.renumbering.is_none() && sends(core.state) {
            self.send_next(core, ctx, &[]);
        }
    }

    /// Whether [`Self::advance`] may have something to do.
    pub(super) fn is_busy(&self) -> bool {
        self.deferred.is_some() || self.renumbering.is_some() || !self.asks.is_empty()
    }

    /// Whether TSNs began anew since this was last asked.
    pub(super) fn take_renumbered(&mut self) -> bool {
        core::mem::take(&mut self.renumbered)
    }

    /// When [`Self::on_timeout`] wants to be called.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// The timer may have expired.
    pub(super) fn on_timeout(&mut self, core: &mut Core, ctx: &mut Context<'_>) {
        if self.deadline.take_if(|at| *at <= ctx.now).is_none() {
            return;
        }
        if !sends(core.state) {
            // A shutdown has begun, for which nothing that was asked is of any use.
            self.flight = None;
            return;
        }
        let expected = self.flight.as_mut().is_some_and(|f| core::mem::take(&mut f.in_progress));
        if !expected {
            core.counters.rare().reconfig_expireds += 1;
            let path = core.paths.data_path();
            core.path_error(ctx.now, path);
            core.back_off();
            if !core.count_error(core.cfg.assoc_max_retrans) {
                return;
            }
        }
        if let Some(flight) = &self.flight {
            push(core, kind::RE_CONFIG, flight.chunk.clone());
        } else if let Some(Renumbering { request, done: Some(tsns) }) = self.renumbering {
            say_renumbered(core, request, tsns);
        } else {
            return;
        }
        self.deadline = Some(ctx.now + core.rto());
    }

    /// The association began anew: what was asked of the peer that is no more has failed.
    pub(super) fn give_up(&mut self, core: &mut Core) {
        let asks = core::mem::take(&mut self.asks).into_iter().filter(|a| a.answers.is_none());
        let asked: Vec<_> = asks.flat_map(|a| a.what.requests()).collect();
        let open = self.flight.take().filter(|f| f.answers.is_none()).into_iter().flat_map(|f| f.open);
        for request in open.map(|(_, r)| r).chain(asked) {
            tell(core, request, ReconfigOutcome::Failed);
        }
    }

    /// The next ask, if its turn has come and all has left that has to leave before it. Its requests go in one chunk with `answers`.
    fn send_next(&mut self, core: &mut Core, ctx: &mut Context<'_>, answers: &[ReconfigParam<'_>]) -> bool {
        let Some(ask) = self.asks.front_mut() else { return false };
        if !core::mem::replace(&mut ask.begun, true) {
            match &ask.what {
                What::Reset { outgoing: Some(streams), .. } => core.tx.pause(streams.clone(), false),
                What::Renumber => core.tx.pause(Streams::all(), true),
                What::Reset { .. } | What::Add { .. } => {}
            }
        }
        let ready = match &ask.what {
            What::Reset { outgoing: Some(_), .. } => core.tx.has_left(),
            // Section 5.1.4 rule C2.
            What::Renumber => core.tx.has_left() && core.tx.is_untouched(),
            What::Reset { .. } | What::Add { .. } => true,
        };
        if !ready {
            return false;
        }
        let Some(Ask { what, answers: to, .. }) = self.asks.pop_front() else { return false };
        let open: ArrayVec<_, 2> = what.requests().into_iter().map(|r| (self.number(), r)).collect();
        let response = to.unwrap_or(self.expected.wrapping_sub(1));
        let last_tsn = core.tx.next_tsn().prev();
        let chunk = {
            let params = open.iter().map(|(request, what)| what.param(*request, response, last_tsn));
            encode(&answers.iter().copied().chain(params).collect::<Vec<_>>())
        };
        self.invited = open.iter().find(|(_, r)| matches!(r, Request::Incoming(_))).map(|(n, _)| *n).or(self.invited);
        core.counters.rare().out_reconfig_requests += open.len() as u64;
        push(core, kind::RE_CONFIG, chunk.clone());
        self.flight = Some(Box::new(Flight { open, answers: to, chunk, in_progress: false, last_tsn }));
        self.deadline = Some(ctx.now + core.rto());
        true
    }

    /// The number of our next request.
    fn number(&mut self) -> u32 {
        let number = self.next;
        self.next = number.wrapping_add(1);
        number
    }

    /// A reset of the peer's streams may be possible now that more DATA has come (section 5.2.2 rules E2 to E6).
    fn finish_deferred(&mut self, core: &mut Core) {
        let Some((request, streams)) = self.deferred.take() else { return };
        match core.rx.as_mut().and_then(Rx::finish_reset) {
            None => self.deferred = Some((request, streams)),
            Some(DataOutcome::Violation(what)) => core.violate(what, &Cause::ProtocolViolation(what.as_bytes())),
            Some(_) => {
                core.notify_readable();
                let reply = Reply::result(ReconfigResult::PERFORMED);
                self.remember(request, reply);
                tell(core, Request::Incoming(streams), ReconfigOutcome::Performed);
                let answer = reply.param(request);
                push(core, kind::RE_CONFIG, encode(&[answer]));
            }
        }
    }

    /// An SSN/TSN reset that the peer has requested, once what we sent before is acknowledged: it shall not be lost, which section 5.2.4
    /// rule G3 would allow.
    fn renumber(&mut self, core: &mut Core, ctx: &mut Context<'_>) {
        let Some(Renumbering { request, done: None }) = self.renumbering else { return };
        if core.state == State::Closed || !core.tx.has_left() || !core.tx.is_untouched() {
            return;
        }
        // Rules G1 and G2.
        let Some(cum) = core.rx.as_ref().map(Rx::cum_tsn) else { return };
        let (ours, theirs) = (core.tx.next_tsn(), cum.next().plus(1 << 31));
        self.begin_anew(core, theirs);
        self.remember(request, Reply { result: ReconfigResult::PERFORMED, next_tsns: Some((ours, theirs)), induced: false });
        self.renumbering = Some(Renumbering { request, done: Some((ours, theirs)) });
        self.deadline = Some(ctx.now + core.rto());
        core.events.push_back(Event::AssociationReset { local_tsn: ours, peer_tsn: theirs, outcome: ReconfigOutcome::Performed });
        say_renumbered(core, request, (ours, theirs));
    }

    /// The peer's TSNs begin anew, and so do the streams that it sends on.
    fn begin_anew(&mut self, core: &mut Core, peer_next: Tsn) {
        core.give_up_partial();
        if let Some(rx) = &mut core.rx {
            rx.begin_at(peer_next);
        }
        self.deferred = None;
        self.renumbered = true;
        core.notify_readable();
    }

    /// The HEARTBEAT behind the answer to an SSN/TSN reset came back: the peer has the answer, new DATA may go.
    fn on_heartbeat_ack(&mut self, core: &mut Core, ctx: &mut Context<'_>, ack: &Heartbeat<'_>) {
        let Some(Renumbering { request, done: Some(_) }) = self.renumbering else { return };
        let mut info = Reader::new(ack.info().unwrap_or(&[]));
        if info.u32() == Some(request) && info.is_empty() {
            self.confirmed(core, ctx);
        }
    }

    /// The peer knows that its SSN/TSN reset is done.
    fn confirmed(&mut self, core: &mut Core, ctx: &mut Context<'_>) {
        (self.renumbering, self.deadline) = (None, None);
        core.errors = 0;
        core.tx.resume(true);
        resumed(core, ctx);
    }
}

impl What {
    /// As requests, in the order in which they stand in a chunk.
    fn requests(self) -> ArrayVec<Request, 2> {
        let (first, second) = match self {
            Self::Reset { incoming, outgoing } => (outgoing.map(Request::Outgoing), incoming.map(Request::Incoming)),
            Self::Renumber => (Some(Request::Renumber), None),
            Self::Add { incoming, outgoing } => {
                let more = |n: u16| Some(n).filter(|n| *n > 0);
                (more(outgoing).map(Request::AddOutgoing), more(incoming).map(Request::AddIncoming))
            }
        };
        first.into_iter().chain(second).collect()
    }
}

impl Request {
    fn param(&self, request: u32, response: u32, last_tsn: Tsn) -> ReconfigParam<'_> {
        match self {
            Self::Outgoing(s) => ReconfigParam::OutgoingReset { request, response, last_tsn, streams: StreamList::List(s.list()) },
            Self::Incoming(s) => ReconfigParam::IncomingReset { request, streams: StreamList::List(s.list()) },
            Self::Renumber => ReconfigParam::TsnReset { request },
            Self::AddOutgoing(count) => ReconfigParam::AddOutgoing { request, count: *count },
            Self::AddIncoming(count) => ReconfigParam::AddIncoming { request, count: *count },
        }
    }
}

/// Whether requests and responses are taken in this state: a peer that waits for our answer may have DATA that waits, too.
const fn takes(state: State) -> bool {
    sends(state) || matches!(state, State::ShutdownSent)
}

/// Whether requests go out in this state.
const fn sends(state: State) -> bool {
    matches!(state, State::Established | State::ShutdownPending | State::ShutdownReceived)
}

/// Whether a RE-CONFIG that names so many streams fits a packet.
fn fits(core: &Core, named: usize) -> bool {
    COMMON_HEADER_LEN + RESET_LEN + 2 * named <= core.paths.amdcs()
}

/// What was held back may go, and with it a shutdown.
fn resumed(core: &mut Core, ctx: &mut Context<'_>) {
    core.tell_dry();
    core.advance_shutdown(ctx);
}

/// Tells the user what became of a request.
fn tell(core: &mut Core, request: Request, outcome: ReconfigOutcome) {
    let reset = |outgoing: bool, s: &Streams| Event::StreamsReset { incoming: !outgoing, outgoing, streams: s.list().to_vec(), outcome };
    let event = match &request {
        Request::Outgoing(s) => reset(true, s),
        Request::Incoming(s) => reset(false, s),
        Request::Renumber => {
            let peer_tsn = core.rx.as_ref().map_or(Tsn(0), |rx| rx.cum_tsn().next());
            Event::AssociationReset { local_tsn: core.tx.next_tsn(), peer_tsn, outcome }
        }
        Request::AddOutgoing(_) | Request::AddIncoming(_) => {
            Event::StreamsChanged { inbound: core.inbound, outbound: core.outbound, outcome }
        }
    };
    core.events.push_back(event);
}

/// A RE-CONFIG chunk with these parameters, without padding behind it.
fn encode(params: &[ReconfigParam<'_>]) -> Bytes {
    ReconfigChunk { params: ReconfigParams::List(params) }.to_vec().into()
}

fn push(core: &mut Core, kind: u8, bytes: Bytes) {
    core.push_control(Control::Encoded(Encoded { kind, bytes, path: None, source: None }));
}

/// The answer to an SSN/TSN reset that is done, and in the same packet a HEARTBEAT that asks whether it arrived.
fn say_renumbered(core: &mut Core, request: u32, tsns: (Tsn, Tsn)) {
    let response = ReconfigParam::Response { response: request, result: ReconfigResult::PERFORMED, next_tsns: Some(tsns) };
    let mut info = Vec::new();
    Writer::new(&mut info).tlv(param::kind::HEARTBEAT_INFO, |w| w.u32(request));
    let chunk = Chunk::Heartbeat(Heartbeat { tlvs: &info }).to_vec();
    let of = |kind, bytes| Control::Encoded(Encoded { kind, bytes, path: None, source: None });
    // At the front, both have room in one packet.
    core.lead_control(of(kind::HEARTBEAT, chunk.into()));
    core.lead_control(of(kind::RE_CONFIG, encode(&[response])));
    core.counters.out_heartbeats += 1;
}

/// Streams as they stand in a parameter.
fn listed(streams: StreamList<'_>) -> Streams {
    Streams::listed(streams.iter().collect::<Vec<StreamId>>())
}
