//! Changing addresses while the association lives (RFC 5061, Add-IP).
//!
//! Our side ([`requests`]) works towards a goal: the addresses that the peer shall know. What differs from what it knows is asked for,
//! one ASCONF at a time, so that nothing piles up however often addresses come and go. The peer's side ([`answers`]) does what an
//! ASCONF asks for and keeps its answer for when it comes again.

mod answers;
mod requests;

use core::time::Duration;
use std::collections::VecDeque;
use std::net::IpAddr;

use bytes::Bytes;

use self::requests::Flight;
pub(crate) use self::requests::Goal;
use super::Capabilities;
use crate::assoc::core::{Context, Core};
use crate::assoc::dispatch::Arrival;
use crate::assoc::rx::Rx;
use crate::assoc::state::State;
use crate::num::{Serial, Tsn};
use crate::time::Time;
use crate::wire::Cause;
use crate::wire::Chunk;
use crate::wire::chunk::{AddressRequest, ErrorChunk, kind};

/// State of Add-IP, which is negotiated.
#[derive(Debug)]
pub(crate) struct Asconf {
    /// The number of our next ASCONF.
    next: Serial,
    /// The number of the peer's last ASCONF that was done.
    done: Serial,
    /// What the peer does not understand, and is not asked for again (RFC 5061 section 5.3 rules F3a and F3b, section 5.1 rule A9).
    refuses_changes: bool,
    refuses_primary: bool,
    /// Answers to the peer's latest ASCONFs, encoded; at most [`answers::MAX_ANSWERS`].
    answers: VecDeque<(Serial, Bytes)>,
    /// What is going on; usually nothing.
    work: Option<Box<Work>>,
}

/// A change that is going on.
#[derive(Default, Debug)]
struct Work {
    /// What we want the peer to know; `None` if it knows.
    goal: Option<Goal>,
    /// Our address that the peer shall make its primary path.
    primary: Option<IpAddr>,
    /// Requests that the peer has refused, not to be repeated for this goal; at most two for each of our addresses.
    refused: Vec<(AddressRequest, IpAddr)>,
    /// The ASCONF that waits for its answer.
    flight: Option<Flight>,
    /// Our addresses that are deleted, and until when packets to them still count as ours: at most 64.
    lingering: Vec<(IpAddr, Time)>,
    /// The peer's address that it wants to be our primary path, once that is confirmed.
    wish: Option<IpAddr>,
}

impl Work {
    /// Whether `ip` was deleted just now.
    fn lingers(&self, now: Time, ip: IpAddr) -> bool {
        self.lingering.iter().any(|(a, until)| *a == ip && *until > now)
    }

    /// Whether an ASCONF is under way that adds `ip`, or may have left from there.
    fn is_coming(&self, ip: IpAddr) -> bool {
        let wanted = self.goal.as_ref().is_some_and(|g| g.addrs().contains(&ip));
        self.flight.as_ref().is_some_and(|f| wanted || f.adds(ip))
    }

    fn is_over(&self) -> bool {
        self.goal.is_none() && self.primary.is_none() && self.flight.is_none() && self.lingering.is_empty() && self.wish.is_none()
    }
}

impl Asconf {
    /// Add-IP at its beginning, if both sides have it, and authentication, without which it would open the door to whoever hears
    /// one packet. Numbers begin with the initial TSNs (section 5.1 rule A2).
    pub(super) fn negotiate(core: &Core, agreed: Capabilities) -> Option<Self> {
        let peer_tsn = core.rx.as_ref().map(Rx::cum_tsn)?.next();
        let mut this = (agreed.asconf && (agreed.auth || core.cfg.add_ip_without_auth)).then(|| Self::new(core.local_tsn, peer_tsn))?;
        if let Some(addr) = core.peer_terms.primary() {
            // Section 5.4: advice of its INIT or INIT ACK.
            this.work = Some(Box::new(Work { wish: Some(addr), ..Work::default() }));
        }
        Some(this)
    }

    fn new(local_tsn: Tsn, peer_tsn: Tsn) -> Self {
        Self {
            next: Serial(local_tsn.0),
            done: Serial(peer_tsn.0).prev(),
            refuses_changes: false,
            refuses_primary: false,
            answers: VecDeque::new(),
            work: None,
        }
    }

    /// A chunk of the peer.
    pub(super) fn on_chunk(&mut self, core: &mut Core, ctx: &mut Context<'_>, at: &Arrival<'_>, chunk: &Chunk<'_>) {
        match chunk {
            Chunk::Asconf(c) => self.on_asconf(core, ctx, at.meta, c, !at.after_asconf),
            Chunk::AsconfAck(c) => self.on_ack(core, ctx, c),
            Chunk::Error(c) => self.on_error(core, ctx, c),
            _ => {}
        }
    }

    /// When [`Self::on_timeout`] wants to be called.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let work = self.work.as_ref()?;
        let lingering = work.lingering.iter().map(|(_, until)| *until).min();
        work.flight.as_ref().and_then(Flight::deadline).into_iter().chain(lingering).min()
    }

    /// T4 may have expired.
    pub(super) fn on_timeout(&mut self, core: &mut Core, ctx: &mut Context<'_>) {
        let Some(work) = &mut self.work else { return };
        work.lingering.retain(|(_, until)| *until > ctx.now);
        if may_change(core.state) {
            work.on_t4(core, ctx.now);
        } else if let Some(flight) = &mut work.flight {
            flight.give_up();
        }
        self.tidy();
    }

    /// An expired T4 runs once more.
    pub(super) fn forgive(&mut self, now: Time, grace: Duration) {
        if let Some(flight) = self.work.as_mut().and_then(|w| w.flight.as_mut()) {
            flight.forgive(now, grace);
        }
    }

    /// Packets to `ip` belong to the association, though the peer was not told of it yet, or was told that it is gone.
    pub(crate) fn takes(&self, now: Time, ip: IpAddr) -> bool {
        self.work.as_ref().is_some_and(|w| w.lingers(now, ip) || w.is_coming(ip) || w.flight.as_ref().is_some_and(|f| f.deletes(ip)))
    }

    /// Whether an ABORT that came to `ip` is to be ignored: the address is being deleted (section 5.3.1), or it is being added and the
    /// peer says that it does not know who sends from there, which the T bit means.
    pub(crate) fn ignores_abort_to(&self, now: Time, ip: IpAddr, reflected: bool) -> bool {
        self.work.as_ref().is_some_and(|w| {
            let deleted = w.lingers(now, ip) || w.flight.as_ref().is_some_and(|f| f.deletes(ip));
            deleted || (reflected && w.is_coming(ip))
        })
    }

    /// The peer does not know ASCONF, or a request, as an ERROR says (section 5.1 rule A9).
    pub(super) fn on_error(&mut self, core: &mut Core, ctx: &mut Context<'_>, error: &ErrorChunk<'_>) {
        let unknown = |c: Cause<'_>| matches!(c, Cause::UnrecognizedChunk(raw) if raw.first() == Some(&kind::ASCONF));
        if error.causes().map_while(Result::ok).any(unknown) {
            (self.refuses_changes, self.refuses_primary) = (true, true);
            if let Some(work) = &mut self.work {
                work.cancel(core, ctx.now);
            }
            self.tidy();
        }
    }

    /// The peer's wish for a primary path may have become possible.
    pub(crate) fn settle_wish(&mut self, core: &mut Core) {
        if !core.state.is_opening()
            && let Some(work) = &mut self.work
            && let Some(addr) = work.wish
            && core.paths.find(addr).is_none_or(|id| core.is_confirmed(id))
        {
            work.wish = None;
            // It may be gone again.
            let _ = core.set_primary(addr);
            self.tidy();
        }
    }

    /// What the peer shall know from now on.
    pub(crate) fn aim(&mut self, core: &mut Core, ctx: &mut Context<'_>, goal: Goal) {
        let work = self.work.get_or_insert_default();
        work.goal = Some(goal);
        work.refused.clear();
        self.proceed(core, ctx);
    }

    /// The peer shall send to our address `addr` (section 4.2.4).
    pub(crate) fn ask_primary(&mut self, core: &mut Core, ctx: &mut Context<'_>, addr: IpAddr) {
        self.work.get_or_insert_default().primary = Some(addr);
        self.proceed(core, ctx);
    }

    /// Sends the next ASCONF, if there is something to ask for and none is under way.
    pub(crate) fn proceed(&mut self, core: &mut Core, ctx: &mut Context<'_>) {
        if !may_change(core.state) {
            return;
        }
        let may = (!self.refuses_changes, !self.refuses_primary);
        if let Some(work) = &mut self.work
            && work.ask(core, ctx.now, self.next, may)
        {
            self.next = self.next.next();
        }
        self.tidy();
    }

    /// Our addresses once the present goal is reached, if there is one.
    pub(crate) fn aimed_at(&self) -> Option<&[IpAddr]> {
        self.work.as_ref()?.goal.as_ref().map(Goal::addrs)
    }

    /// Only some of our addresses were listed (rulings section 1 row 12): the others follow once the association is established.
    pub(super) fn promise(&mut self, goal: Goal) {
        self.work.get_or_insert_default().goal = Some(goal);
    }

    fn tidy(&mut self) {
        self.work.take_if(|w| w.is_over());
    }
}

/// The states in which ASCONF and ASCONF-ACK are sent (section 5.1.1 rule C4).
fn may_change(state: State) -> bool {
    matches!(state, State::Established | State::ShutdownPending | State::ShutdownReceived | State::ShutdownSent)
}
