//! The receiving side: DATA in, messages and SACKs out.

mod assembler;
mod deferred;
mod interleaved;
mod order;
mod reassembly;
mod sack_out;
mod snapshot;
mod tracker;
mod whole;
mod window;

#[cfg(test)]
mod deferred_test;
#[cfg(test)]
mod forward_test;
#[cfg(test)]
mod i_forward_test;
#[cfg(test)]
mod interleaved_test;
#[cfg(test)]
mod partial_test;
#[cfg(test)]
mod rx_test;

use core::hint::cold_path;
use std::collections::VecDeque;

use bytes::Bytes;

use self::assembler::Assembler;
pub(crate) use self::assembler::UserData;
use self::deferred::Deferred;
use self::reassembly::Skipped;
use self::sack_out::SackOut;
use self::tracker::{Seen, Tracker};
use self::window::{Position, Window};
use crate::config::AssocConfig;
use crate::event::Message;
use crate::num::{Ssn, StreamId, Tsn};
use crate::time::Time;
use crate::wire::PacketWriter;
use crate::wire::chunk::{ForwardTsn, IForwardTsn};

/// Shorter payloads are copied, so that a few bytes do not keep a whole receive buffer alive.
const COPY_BELOW: usize = 256;

/// What became of a DATA chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DataOutcome {
    /// Taken in.
    Accepted {
        /// Whether a message can be read now that could not before.
        readable: bool,
    },
    /// Received before.
    Duplicate,
    /// Dropped and not acknowledged: no room.
    NoRoom,
    /// Acknowledged, but there is no such stream: to be answered by Invalid Stream Identifier.
    InvalidStream(StreamId),
    /// The peer broke a rule: the association is to be aborted.
    Violation(&'static str),
}

/// When a message is handed out though its end has not come (RFC 9260 section 6.9).
#[derive(Clone, Copy, Debug)]
struct Partial {
    on: bool,
    /// Once so many bytes of it are there; in any case before the receive buffer would stay full.
    point: usize,
    /// While nothing more of it is there, messages of other streams are handed out.
    interleave: bool,
}

/// What is to be handed out next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turn {
    /// The next complete message, if there is one.
    Complete,
    /// What has come of an incomplete one.
    Part,
    /// A complete message, but none of this stream.
    Other(StreamId),
}

impl Partial {
    fn new(cfg: &AssocConfig) -> Self {
        let point = cfg.partial_delivery_point.unwrap_or(usize::MAX);
        Self { on: cfg.partial_delivery, point, interleave: cfg.interleave_streams }
    }
}

/// Longest message that is taken in.
fn longest(cfg: &AssocConfig) -> usize {
    cfg.max_received_message.unwrap_or(if cfg.partial_delivery { usize::MAX } else { cfg.max_message })
}

/// How far the memory may exceed what gaps may fill: without partial delivery by a whole message, in pieces and being joined.
fn growth(cfg: &AssocConfig) -> usize {
    if cfg.partial_delivery { cfg.recv_buffer } else { longest(cfg).saturating_mul(2) }
}

/// The receiving side of an association.
#[derive(Clone, Debug)]
pub(crate) struct Rx {
    streams: u16,
    partial: Partial,
    tracker: Tracker,
    assembler: Assembler,
    /// Streams that begin anew as soon as what was sent before has arrived.
    deferred: Option<Box<Deferred>>,
    /// The cumulative TSN before TSNs last began anew.
    before_reset: Option<Tsn>,
    window: Window,
    sacks: SackOut,
    /// Messages put together from fragments.
    reassembled: u64,
}

impl Rx {
    /// Nothing received yet: the peer begins with `peer_initial_tsn` and may use `inbound_streams` streams. `interleaving` tells
    /// whether it sends I-DATA in place of DATA.
    pub(crate) fn new(cfg: &AssocConfig, peer_initial_tsn: Tsn, inbound_streams: u16, interleaving: bool) -> Self {
        Self {
            streams: inbound_streams,
            tracker: Tracker::new(peer_initial_tsn),
            partial: Partial::new(cfg),
            assembler: Assembler::new(cfg, interleaving),
            deferred: None,
            before_reset: None,
            window: Window::new(cfg.recv_buffer, growth(cfg), cfg.mtu),
            sacks: SackOut::new(cfg),
            reassembled: 0,
        }
    }

    /// Takes new values of the SACK rules, buffer and message length. A smaller buffer closes the window until the user has read.
    pub(crate) fn configure(&mut self, cfg: &AssocConfig) {
        self.partial = Partial::new(cfg);
        self.assembler.configure(cfg);
        self.window.resize(cfg.recv_buffer, growth(cfg), cfg.mtu);
        self.sacks.configure(cfg);
        if self.window.needs_update(self.starving()) {
            self.sacks.force();
        }
    }

    /// Gives back memory of queues that are empty; for a receiver with nothing to read and nothing to acknowledge.
    pub(crate) fn release(&mut self) {
        self.tracker.release();
        self.assembler.release();
        self.sacks.release();
    }

    /// Takes in a chunk with user data, which stands in `packet`.
    pub(crate) fn on_data(&mut self, data: &impl UserData, packet: &Bytes) -> DataOutcome {
        if let Err(what) = data.fits(&self.assembler) {
            cold_path();
            return DataOutcome::Violation(what);
        }
        let tsn = data.tsn();
        let outcome = match self.tracker.classify(tsn) {
            Seen::Duplicate => {
                cold_path();
                self.tracker.duplicate(tsn);
                DataOutcome::Duplicate
            }
            Seen::OutOfRange => {
                cold_path();
                DataOutcome::NoRoom
            }
            Seen::New => self.on_new(data, packet),
        };
        // A duplicate says that a SACK was lost, a dropped chunk that the peer misjudges the window (section 6.2).
        let answer_now = matches!(outcome, DataOutcome::Duplicate | DataOutcome::NoRoom);
        self.sacks.on_data(data.is_immediate() || answer_now);
        outcome
    }

    fn on_new(&mut self, data: &impl UserData, packet: &Bytes) -> DataOutcome {
        let (tsn, len) = (data.tsn(), data.payload().len());
        let position = if tsn.after(self.tracker.highest()) {
            Position::Highest
        } else if tsn == self.tracker.cum().next() {
            Position::Next
        } else {
            Position::FillsGap
        };
        let position = if position == Position::Next && self.has_message() { Position::FillsGap } else { position };
        if !self.window.admits(len, position, self.starving()) {
            cold_path();
            return DataOutcome::NoRoom;
        }
        if data.sid().0 >= self.streams {
            cold_path();
            self.tracker.insert(tsn);
            return DataOutcome::InvalidStream(data.sid());
        }
        let payload = keep(data.payload(), packet);
        if let Some(deferred) = self.deferred.as_mut().filter(|d| d.concerns(data)) {
            cold_path();
            deferred.hold(data, payload);
            self.tracker.insert(tsn);
            self.window.charge(len, 1);
            return DataOutcome::Accepted { readable: false };
        }
        if let Some(dropped) = data.drop_skipped(&mut self.assembler) {
            cold_path();
            self.tracker.insert(tsn);
            self.window.release(dropped.bytes, dropped.pieces);
            return DataOutcome::Accepted { readable: false };
        }
        let outcome = self.take_in(data, payload);
        if matches!(outcome, DataOutcome::Accepted { .. }) {
            self.tracker.insert(tsn);
            self.window.learn_chunk(len);
        }
        outcome
    }

    /// Gives a chunk, for which there is room, its place among the others.
    fn take_in(&mut self, data: &impl UserData, payload: Bytes) -> DataOutcome {
        let len = payload.len();
        let Self { tracker, deferred, .. } = self;
        // What is held is as if it came later.
        let is_here = |tsn| tracker.received(tsn) && !deferred.as_ref().is_some_and(|d| d.holds(tsn));
        match data.insert(payload, &mut self.assembler, is_here) {
            Ok(inserted) => {
                self.window.charge(len, 1);
                self.window.release(0, inserted.pieces.saturating_sub(1));
                self.reassembled += u64::from(inserted.pieces > 1);
                DataOutcome::Accepted { readable: inserted.readable }
            }
            Err(what) => {
                cold_path();
                DataOutcome::Violation(what)
            }
        }
    }

    /// Takes in a FORWARD TSN (RFC 3758 section 3.6). Answers which messages were handed out in part and will not be completed: their
    /// streams, sequence numbers, and whether they are unordered.
    ///
    /// # Errors
    /// I-DATA was agreed on, for which there is another chunk: the association is to be aborted (RFC 8260 section 2.3.1).
    pub(crate) fn on_forward_tsn(&mut self, forward: &ForwardTsn<'_>) -> Result<Vec<(StreamId, Ssn, bool)>, &'static str> {
        let (streams, late) = (self.streams, self.is_of_old_numbers(forward.cum_tsn));
        let Assembler::Data(reassembly) = &mut self.assembler else { return Err("FORWARD TSN with I-DATA") };
        let moved = moves_on(&mut self.tracker, &mut self.sacks, forward.cum_tsn, late);
        // One at the cumulative TSN does not move it, but may end a message of which all that was sent has come: Linux gives no TSNs to
        // what it has not sent of a message, so that the next one follows at once.
        let ends = !late && forward.cum_tsn == self.tracker.cum() && reassembly.is_open_at(forward.cum_tsn);
        if !moved && !ends {
            return Ok(Vec::new());
        }
        let skipped = reassembly.skip(forward.cum_tsn, forward.skipped.iter().filter(|s| s.sid.0 < streams));
        self.window.release(skipped.bytes, skipped.pieces);
        Ok(skipped.begun)
    }

    /// The same with an I-FORWARD-TSN (RFC 8260 section 2.3.1).
    ///
    /// # Errors
    /// I-DATA was not agreed on: the association is to be aborted.
    pub(crate) fn on_i_forward_tsn(&mut self, forward: &IForwardTsn<'_>) -> Result<Vec<(StreamId, Ssn, bool)>, &'static str> {
        let (streams, late) = (self.streams, self.is_of_old_numbers(forward.cum_tsn));
        let Assembler::IData(interleaved) = &mut self.assembler else { return Err("I-FORWARD-TSN without I-DATA") };
        let moved = moves_on(&mut self.tracker, &mut self.sacks, forward.cum_tsn, late);
        // As above.
        let ends = !late && forward.cum_tsn == self.tracker.cum();
        if !moved && !ends {
            return Ok(Vec::new());
        }
        let list: Vec<_> = forward.skipped.iter().filter(|s| s.sid.0 < streams && (moved || interleaved.has_part_of(s))).collect();
        let skipped = interleaved.skip(list.into_iter());
        self.window.release(skipped.bytes, skipped.pieces);
        Ok(skipped.begun)
    }

    /// Whether a TSN that seems to be ahead is one from before TSNs began anew (RFC 6525). The new ones begin half the number space away
    /// (section 5.2.4 rule G2), where serial numbers have no order: what counts is what it is nearer to.
    fn is_of_old_numbers(&self, tsn: Tsn) -> bool {
        self.before_reset.is_some_and(|old| old.since(tsn) < tsn.since(self.tracker.cum()))
    }

    /// Whether the packet being processed brought something that is to be acknowledged: [`Self::on_packet_end`] is to be called.
    pub(crate) fn is_to_acknowledge(&self) -> bool {
        self.sacks.has_data()
    }

    /// The peer may give messages up (RFC 3758), also in their middle.
    pub(crate) fn allow_breaking_off(&mut self) {
        self.assembler.allow_breaking_off();
    }

    /// To be called after the last chunk of each packet: decides on its SACK. Answers which messages were handed out in part and broke
    /// off, as [`Rx::on_forward_tsn`] does.
    pub(crate) fn on_packet_end(&mut self, now: Time) -> Vec<(StreamId, Ssn, bool)> {
        // What is held for a stream that begins anew is not at its place yet.
        let broken_off = if self.deferred.is_none() { self.assembler.drop_broken_off(self.tracker.cum()) } else { Skipped::default() };
        self.window.release(broken_off.bytes, broken_off.pieces);
        let a_rwnd = self.window.a_rwnd(self.starving());
        self.window.promise(a_rwnd);
        self.sacks.on_packet_end(now, &mut self.tracker, a_rwnd);
        broken_off.begun
    }

    /// The next message, or the next part of one. The room that it leaves may cause a SACK to tell the peer.
    pub(crate) fn pop(&mut self) -> Option<Message> {
        let (message, pieces) = match self.turn()? {
            Turn::Part => {
                cold_path();
                self.assembler.take_part()?
            }
            Turn::Complete => (self.assembler.ready_mut().pop_front()?, 1),
            Turn::Other(sid) => {
                cold_path();
                let ready = self.assembler.ready_mut();
                let at = ready.iter().position(|m| m.sid != sid)?;
                (ready.remove(at)?, 1)
            }
        };
        self.window.release(message.payload.len(), pieces);
        if self.window.needs_update(self.starving()) {
            self.sacks.force();
        }
        Some(message)
    }

    /// Whether nothing is here, complete or not: what most calls of [`Self::pop`] find that follow the last message.
    pub(crate) fn is_empty(&self) -> bool {
        self.assembler.is_empty()
    }

    /// Whether [`Self::pop`] has something.
    pub(crate) fn has_message(&self) -> bool {
        match self.turn() {
            Some(Turn::Part) => true,
            Some(Turn::Complete) => !self.assembler.ready().is_empty(),
            Some(Turn::Other(sid)) => {
                cold_path();
                self.assembler.ready().iter().any(|m| m.sid != sid)
            }
            None => false,
        }
    }

    /// Complete messages that wait for the user.
    pub(crate) fn ready(&self) -> usize {
        self.assembler.ready().len()
    }

    /// What is to be handed out next; `None` if that has not come yet.
    ///
    /// Once a message is handed out in parts, nothing else is until its end, unless messages may be interleaved: then nothing
    /// else of its stream.
    fn turn(&self) -> Option<Turn> {
        // A gap fills even if the window is closed; what is behind it may complete the message.
        let stuck = || !self.tracker.has_gaps() && self.window.is_full();
        let head = match &self.assembler {
            Assembler::Data(reassembly) => reassembly.head(self.tracker.cum()),
            Assembler::IData(interleaved) => return interleaved.turn(|| self.partial.on && stuck()),
        };
        let Some((bytes, begun, sid)) = head else { return Some(Turn::Complete) };
        let starts = || self.partial.on && self.assembler.ready().is_empty() && (bytes >= self.partial.point || stuck());
        match (begun, bytes > 0) {
            (true, true) => Some(Turn::Part),
            (true, false) => self.partial.interleave.then_some(Turn::Other(sid)),
            (false, _) => Some(if bytes > 0 && starts() { Turn::Part } else { Turn::Complete }),
        }
    }

    /// The association ends or begins anew: incomplete messages are forgotten. Answers which were handed out in part.
    pub(crate) fn give_up(&mut self) -> Vec<(StreamId, Ssn, bool)> {
        let (bytes, pieces, begun) = self.assembler.give_up();
        self.window.release(bytes, pieces);
        begun
    }

    /// Whether a SACK must go now.
    pub(crate) fn sack_due(&self) -> bool {
        self.sacks.is_due()
    }

    /// Whether a SACK would tell the peer something, so that it should ride along with other chunks.
    pub(crate) fn sack_pending(&self) -> bool {
        self.sacks.is_pending()
    }

    /// When the delayed SACK must go: [`Self::on_sack_timer`].
    pub(crate) fn sack_deadline(&self) -> Option<Time> {
        self.sacks.deadline()
    }

    /// The delay of the SACK may have ended.
    pub(crate) fn on_sack_timer(&mut self, now: Time) {
        let a_rwnd = self.window.a_rwnd(self.starving());
        self.sacks.on_timer(now, &mut self.tracker, a_rwnd);
    }

    /// Writes the oldest SACK that is owed, or the present state, with as many blocks as fit. Answers whether it fitted.
    ///
    /// One SACK a packet: while [`Self::sack_due`] stays true, further packets follow.
    pub(crate) fn push_sack(&mut self, pkt: &mut PacketWriter<'_>) -> bool {
        let a_rwnd = self.window.a_rwnd(self.starving());
        self.window.promise(a_rwnd);
        match self.sacks.write(&mut self.tracker, a_rwnd, pkt) {
            Some(advertised) => {
                self.window.advertise(advertised);
                true
            }
            None => false,
        }
    }

    /// Length of the SACK that [`Self::push_sack`] would write with room for everything.
    pub(crate) fn sack_len(&self) -> usize {
        self.sacks.next_len(&self.tracker)
    }

    /// Whether a SACK, if one is owed, may wait a moment for data to ride with: it tells of neither a gap nor a duplicate.
    #[cfg(any(test, feature = "socket"))]
    pub(crate) fn sack_may_ride(&self) -> bool {
        self.sack_len() == crate::wire::chunk::Sack::FIXED_LEN
    }

    /// Messages put together from fragments.
    pub(crate) fn reassembled(&self) -> u64 {
        self.reassembled
    }

    /// Gap ack blocks in the SACK that [`Self::push_sack`] would write with room for everything.
    pub(crate) fn next_gaps(&self) -> usize {
        self.sacks.next_gaps(&self.tracker)
    }

    /// A SACK is to be sent now in any case.
    pub(crate) fn force_sack(&mut self) {
        self.sacks.force();
    }

    /// The last TSN up to which nothing is missing.
    pub(crate) fn cum_tsn(&self) -> Tsn {
        self.tracker.cum()
    }

    /// Whether TSNs are missing below the highest one received.
    #[cfg(test)]
    pub(crate) fn has_gaps(&self) -> bool {
        self.tracker.has_gaps()
    }

    /// The window to advertise.
    #[cfg(test)]
    pub(crate) fn a_rwnd(&self) -> u32 {
        u32::try_from(self.window.a_rwnd(self.starving())).unwrap_or(u32::MAX)
    }

    /// All complete messages, for the receiver that replaces this one at a restart.
    pub(crate) fn take_messages(&mut self) -> VecDeque<Message> {
        let messages = core::mem::take(self.assembler.ready_mut());
        messages.iter().for_each(|m| self.window.release(m.payload.len(), 1));
        messages
    }

    /// Puts messages that an earlier receiver had complete before all others.
    pub(crate) fn give_messages(&mut self, mut messages: VecDeque<Message>) {
        messages.iter().for_each(|m| self.window.charge(m.payload.len(), 1));
        let ready = self.assembler.ready_mut();
        messages.append(ready);
        *ready = messages;
    }

    /// Whether the application can free nothing and the peer sends nothing more unless the window stays open: one message is
    /// larger than the whole buffer.
    fn starving(&self) -> bool {
        !self.partial.on && !self.tracker.has_gaps() && self.assembler.starving(self.tracker.cum())
    }
}

/// Nothing up to `cum` is missing any more; answers whether that is news. One that came `late` is of TSNs before they began anew.
fn moves_on(tracker: &mut Tracker, sacks: &mut SackOut, cum: Tsn, late: bool) -> bool {
    let stale = late || cum.at_or_before(tracker.cum());
    // It counts as DATA for the SACK. A stale one says that a SACK was lost.
    sacks.on_data(stale);
    if !stale {
        tracker.forward(cum);
    }
    !stale
}

/// `payload` as bytes of our own: a view of `packet`, or a copy if it is short.
fn keep(payload: &[u8], packet: &Bytes) -> Bytes {
    let offset = payload.as_ptr().addr().checked_sub(packet.as_ptr().addr());
    match offset.and_then(|o| Some(o..o.checked_add(payload.len())?)) {
        // What is held keeps its packet alive, so it must be most of it: junk chunks around it would be memory without charge.
        Some(range) if payload.len() >= COPY_BELOW && payload.len() * 2 >= packet.len() && range.end <= packet.len() => packet.slice(range),
        _ => Bytes::copy_from_slice(payload),
    }
}
