//! Being the reader: receiving for all, keeping the table, beating.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::time::Instant;

use super::conns::{Attach, Kind, PATIENCE};
use super::local::{self, Name};
use super::message::{Message, Reign};
use super::table::{ClaimError, Fate, MemberId};
use super::{BEAT, HUSH, Incoming, Local, Request, SILENCE, SharedPort, State, route};
use crate::errors::NetError;
use crate::meta::Received;

/// Bytes of packets kept for a member that is on its way to us.
const MAX_KEPT: usize = 64 << 10;

/// A member that lives, as far as we know, and is not linked to us: it has not heard of our take-over, or looks for a reader
/// because it found us silent.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// Our connection to its local socket, whose end tells of its death.
    notice: Option<usize>,
    /// At most [`MAX_KEPT`] bytes, true size.
    trains: VecDeque<Received>,
    bytes: usize,
}

impl Expected {
    fn keep(&mut self, train: &Received) {
        // A copy, as the slice would keep a whole receive buffer alive.
        let bytes = self.bytes.saturating_add(train.bytes.len());
        if bytes <= MAX_KEPT {
            self.bytes = bytes;
            let copy = bytes::Bytes::copy_from_slice(&train.bytes);
            self.trains.push_back(Received { bytes: copy, ..train.clone() });
        }
    }
}

/// What only the reader knows.
#[derive(Debug)]
pub(super) struct Reader {
    /// The last beat, or the beginning of the need for beats.
    beaten: Instant,
    /// Until when packets for unknown ports are dropped.
    quiet_until: Instant,
    /// Ports of the dead, to be answered in spite of the quiet; at most all.
    answered: BTreeSet<u16>,
    links: BTreeMap<MemberId, usize>,
    expected: BTreeMap<MemberId, Expected>,
}

impl Reader {
    /// The first process on the port: nothing is quiet.
    pub(super) fn first(now: Instant) -> Self {
        Self { beaten: now, quiet_until: now, answered: BTreeSet::new(), links: BTreeMap::new(), expected: BTreeMap::new() }
    }

    pub(super) fn alone(&self) -> bool {
        self.links.is_empty() && self.expected.is_empty()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        (!self.alone()).then(|| self.beaten + BEAT)
    }

    /// Whether we were so late that somebody may have displaced us.
    pub(super) fn overdue(&self, now: Instant) -> bool {
        !self.alone() && now.saturating_duration_since(self.beaten) >= SILENCE
    }
}

/// Where a packet goes.
enum Way {
    Here,
    Link(usize),
    Keep(MemberId),
    Drop,
}

impl SharedPort {
    fn reader(&mut self) -> Option<&mut Reader> {
        match &mut self.state {
            State::Reader(reader) => Some(reader),
            _ => None,
        }
    }

    /// Receives a batch. If we are alone on the port, it goes straight to `sink`; what is for others shall not wait until ours is taken.
    #[inline]
    pub(super) fn receive(&mut self, alone: bool, now: Instant, sink: &mut impl FnMut(Incoming)) -> io::Result<()> {
        self.udp.recv_ready(&mut self.batch)?;
        if self.udp.has_errors() {
            self.route_errors();
        }
        while let Some((at, stride, bytes)) = self.batch.next() {
            let (port, length) = route::first_run(&bytes, stride);
            let way = port.map_or(Way::Drop, |port| self.way(port, now));
            let Some(&meta) = self.batch.meta(at) else { continue };
            match way {
                Way::Here if alone && length >= bytes.len() => sink(Incoming::Train(Received { meta, stride, bytes })),
                way => self.sort(Received { meta, stride, bytes }, length, way, (alone, now), sink),
            }
        }
        if !alone {
            self.flush_all(now);
        }
        Ok(())
    }

    /// Gives each run of a train where it belongs, of which the first one has `length` bytes and goes `way`.
    #[cold]
    fn sort(&mut self, train: Received, length: usize, way: Way, (alone, now): (bool, Instant), sink: &mut impl FnMut(Incoming)) {
        let (mut run, mut length, mut way) = (train, length, way);
        loop {
            let rest = (length < run.bytes.len()).then(|| run.split_off(length));
            match way {
                Way::Here if alone => sink(Incoming::Train(run)),
                way => self.pass_on(run, way),
            }
            let Some(rest) = rest else { return };
            let (port, next) = route::first_run(&rest.bytes, rest.stride);
            (run, length, way) = (rest, next, port.map_or(Way::Drop, |port| self.way(port, now)));
        }
    }

    fn pass_on(&mut self, run: Received, way: Way) {
        match way {
            Way::Here => self.deliver(run),
            Way::Link(conn) => self.conns.push_train(conn, &run),
            Way::Keep(id) => {
                if let Some(expected) = self.reader().and_then(|reader| reader.expected.get_mut(&id)) {
                    expected.keep(&run);
                }
            }
            Way::Drop => {}
        }
    }

    fn way(&self, port: u16, now: Instant) -> Way {
        match self.table.holder(port) {
            Some(id) if id == self.me => Way::Here,
            holder => self.way_elsewhere(port, holder, now),
        }
    }

    #[cold]
    fn way_elsewhere(&self, port: u16, holder: Option<MemberId>, now: Instant) -> Way {
        match (&self.state, holder) {
            (State::Reader(reader), None) => {
                let quiet = now < reader.quiet_until && !reader.answered.contains(&port);
                if quiet { Way::Drop } else { Way::Here }
            }
            (State::Reader(reader), Some(id)) => match reader.links.get(&id) {
                Some(conn) => Way::Link(*conn),
                None if reader.expected.contains_key(&id) => Way::Keep(id),
                None => Way::Drop,
            },
            _ => Way::Drop,
        }
    }

    #[cold]
    fn route_errors(&mut self) {
        while let Some(error) = self.udp.take_error() {
            self.route_error(error);
        }
    }

    fn route_error(&mut self, error: NetError) {
        let holder = route::source(&error.quoted).and_then(|port| self.table.holder(port));
        let link = match (&self.state, holder) {
            (State::Reader(reader), Some(id)) if id != self.me => reader.links.get(&id).copied(),
            (_, Some(id)) if id != self.me => return,
            _ => None,
        };
        match link {
            Some(conn) => self.conns.push(conn, &Message::Error(error)),
            None if holder.is_none() || holder == Some(self.me) => {
                self.incoming.push_back(Incoming::Error(error));
            }
            // Of a member on its way to us: an ICMP message may get lost.
            None => {}
        }
    }

    pub(super) fn claim_for(&mut self, id: MemberId, port: u16, now: Instant) -> Result<u16, ClaimError> {
        let entropy = &mut self.entropy;
        let draw = || {
            let mut octets = [0; 2];
            entropy(&mut octets);
            u16::from_be_bytes(octets)
        };
        let port = self.table.claim(id, port, now, draw)?;
        self.broadcast(&Message::Taken { id, port });
        self.flush_all(now);
        Ok(port)
    }

    /// Tells all members. Those on their way to us will get the table, which tells of deaths too.
    pub(super) fn broadcast(&mut self, message: &Message) {
        let State::Reader(reader) = &mut self.state else {
            return;
        };
        for conn in reader.links.values() {
            self.conns.push(*conn, message);
        }
    }

    pub(super) fn beat(&mut self, now: Instant) {
        let Some(reader) = self.reader() else { return };
        if reader.alone() || now.saturating_duration_since(reader.beaten) < BEAT {
            return;
        }
        reader.beaten = now;
        let unwatched: Vec<MemberId> = reader.expected.iter().filter(|(_, e)| e.notice.is_none()).map(|(id, _)| *id).collect();
        self.broadcast(&Message::Beat { reign: self.reign });
        for id in unwatched {
            self.notify(id, now);
        }
        self.take_base_name();
    }

    /// Newcomers look for the reader there. A frozen predecessor may still hold the name; then we try again with each beat.
    fn take_base_name(&mut self) {
        let Some(local) = &mut self.local else { return };
        if local.base.is_some() {
            return;
        }
        match local.names.listen(Name::Base) {
            Ok(listener) => {
                local.base = Some(listener);
                local.accept = true;
                if let Err(error) = self.register_local(false) {
                    tracing::warn!(%error, "cannot watch the local socket");
                }
            }
            Err(error) => tracing::debug!(%error, "base name of the shared port is not ours yet"),
        }
    }

    /// A process wants to be served.
    pub(super) fn attach(&mut self, conn: usize, attach: Attach, now: Instant) {
        match self.state {
            State::Reader(_) => self.welcome(conn, &attach, now),
            State::Member { conn: upstream, .. } => {
                let there = self.table.slot(self.reign.reader);
                match there {
                    // A newcomer, or somebody who missed the change: our reader is the one to ask.
                    Some(slot) if attach.id == 0 || attach.generation < self.reign.generation => {
                        self.tell(conn, &Message::Redirect { reign: self.reign, slot }, now);
                        self.close(conn);
                    }
                    // One who knows our reader and comes to us believes it lost. Perhaps we find that out in a moment.
                    _ => {
                        self.conns.set_readable(upstream);
                        self.conns.set_kind(conn, Kind::Held { attach, until: now + PATIENCE });
                    }
                }
            }
            State::Seeking(_) => self.conns.set_kind(conn, Kind::Held { attach, until: now + PATIENCE }),
        }
    }

    fn welcome(&mut self, conn: usize, attach: &Attach, now: Instant) {
        if attach.generation > self.reign.generation {
            // It followed a reader after us that is gone again.
            self.reign.generation = attach.generation.saturating_add(1);
        }
        let Some(id) = self.number_for(attach) else {
            tracing::warn!("too many processes on the shared port");
            self.close(conn);
            return;
        };
        let moved = self.end_earlier_lives(id, attach, now);
        let changes = self.table.reclaim(id, &attach.ports, now);
        let Some(reader) = self.reader() else { return };
        if reader.alone() {
            reader.beaten = now;
        }
        let expected = reader.expected.remove(&id);
        let old = reader.links.remove(&id);
        if let Some(old) = old.filter(|old| *old != conn) {
            self.close(old);
        }
        if let Some(notice) = expected.as_ref().and_then(|expected| expected.notice) {
            self.close(notice);
        }
        // To the others first, then it is one of them.
        self.broadcast(&Message::Joined { id, slot: attach.slot });
        for port in changes.freed {
            self.broadcast(&Message::Freed { port });
        }
        for port in moved.into_iter().chain(changes.taken) {
            self.broadcast(&Message::Taken { id, port });
        }
        let message = Message::Welcome { reign: self.reign, id, table: self.table.snapshot(now), refused: changes.refused };
        let sent = if attach.sockets {
            self.conns.send_with_fds(conn, &message, &self.udp.as_fds())
        } else {
            self.conns.push(conn, &message);
            Ok(())
        };
        self.conns.set_kind(conn, Kind::Member(id));
        if let Some(reader) = self.reader() {
            reader.links.insert(id, conn);
        }
        if let Some(expected) = expected {
            for train in &expected.trains {
                self.conns.push_train(conn, train);
            }
        }
        tracing::debug!(id, slot = attach.slot, "process attached to the shared port");
        if let Err(broken) = sent {
            tracing::warn!(%broken, "cannot welcome");
            if attach.id == 0 {
                // A newcomer that did not wait for us: it holds nothing, knows nothing of us, and comes again under another number.
                self.close(conn);
                self.member_gone(id, Fate::Closed, now);
            } else {
                self.broken(conn, now);
            }
        }
    }

    /// Whoever else is listed at the slot of an attaching process is gone, for only one can have it: another process, which died, or this
    /// one by the number that it had with an earlier reader. So the ports that it lists are its own, and are answered; what is left of
    /// the others died.
    fn end_earlier_lives(&mut self, id: MemberId, attach: &Attach, now: Instant) -> Vec<u16> {
        let others = self.table.members().filter(|(other, slot)| *slot == attach.slot && *other != id);
        let others: Vec<MemberId> = others.map(|(other, _)| other).collect();
        let mut moved = Vec::new();
        for other in others {
            let own: Vec<u16> = self.table.ports_of(other).filter(|port| attach.ports.contains(port)).collect();
            own.iter().for_each(|port| self.table.insert(id, *port));
            moved.extend(own);
            if let Some(link) = self.reader().and_then(|reader| reader.links.remove(&other)) {
                self.close(link);
            }
            self.member_gone(other, Fate::Died, now);
        }
        moved
    }

    /// The number that an attaching process gets: the one it had, unless somebody else goes by it.
    fn number_for(&mut self, attach: &Attach) -> Option<MemberId> {
        let taken = match self.table.slot(attach.id) {
            Some(slot) => slot != attach.slot,
            None => false,
        };
        if attach.id == 0 || attach.id == self.me || taken {
            return self.table.join(attach.slot);
        }
        self.table.admit(attach.id, attach.slot).then_some(attach.id)
    }

    pub(super) fn hear_member(&mut self, conn: usize, id: MemberId, message: Message, now: Instant) {
        match message {
            Message::Claim { request, port } => {
                let result = self.claim_for(id, port, now);
                self.tell(conn, &Message::Claimed { request, result }, now);
            }
            Message::Release { port } => {
                if self.table.release(id, port, now) {
                    self.broadcast(&Message::Freed { port });
                }
            }
            Message::Goodbye => {
                self.close(conn);
                self.member_gone(id, Fate::Closed, now);
            }
            other => {
                tracing::warn!(id, message = ?other, "message out of place from a member");
                self.broken(conn, now);
            }
        }
    }

    /// The link to a member ended. That alone does not mean that it died: it may have found us silent and look for another
    /// reader. Its name tells.
    pub(super) fn link_lost(&mut self, id: MemberId, now: Instant) {
        let Some(reader) = self.reader() else { return };
        reader.links.remove(&id);
        // Perhaps it left for a successor that we have not heard of, or has come back already.
        self.hear_strangers(now);
        let Some(reader) = self.reader() else { return };
        if !reader.links.contains_key(&id) {
            reader.expected.entry(id).or_default();
            self.notify(id, now);
        }
    }

    /// Tells one member which ports died while it was not listening, unless somebody claimed them anew.
    pub(super) fn tell_deaths(&mut self, conn: usize, mut ports: Vec<u16>) {
        ports.retain(|port| self.table.holder(*port).is_none());
        if !ports.is_empty() {
            self.conns.push(conn, &Message::Died { ports });
        }
    }

    /// A process is gone: its ports are free, and everybody learns that nobody is behind them.
    pub(super) fn member_gone(&mut self, id: MemberId, fate: Fate, now: Instant) {
        if !matches!(self.state, State::Reader(_)) {
            return;
        }
        let ports = self.table.leave(id, fate, now);
        tracing::info!(id, ?fate, ports = ports.len(), "process left the shared port");
        if let Some(reader) = self.reader() {
            reader.links.remove(&id);
            let expected = reader.expected.remove(&id);
            if now < reader.quiet_until {
                reader.answered.extend(&ports);
            }
            if let Some(notice) = expected.and_then(|expected| expected.notice) {
                self.close(notice);
            }
        }
        if !ports.is_empty() {
            self.broadcast(&Message::Died { ports: ports.clone() });
            self.incoming.push_back(Incoming::PortsDied { ports });
        }
        self.broadcast(&Message::Left { id, died: fate == Fate::Died });
        self.flush_all(now);
    }

    /// Starts to read. `gone`: a reader that said goodbye.
    pub(super) fn take_over(&mut self, gone: Option<MemberId>, now: Instant) {
        let before = self.reign.reader;
        self.reign = Reign { generation: self.reign.generation.saturating_add(1), reader: self.me };
        let mut others: Vec<MemberId> = self.table.members().map(|(id, _)| id).collect();
        others.retain(|id| *id != self.me);
        // The last reader first: if it lives, it has to know before the others leave it.
        others.sort_by_key(|id| *id != before);
        self.state = State::Reader(Reader {
            quiet_until: now + HUSH,
            expected: others.iter().map(|id| (*id, Expected::default())).collect(),
            ..Reader::first(now)
        });
        self.udp.read_errors(true);
        self.udp.note_all();
        self.log_interest();
        self.role_changed();
        for id in others {
            if gone == Some(id) {
                self.member_gone(id, Fate::Closed, now);
            } else {
                self.notify(id, now);
            }
        }
        self.take_base_name();
        for (request, port) in std::mem::take(&mut self.claims) {
            let result = self.claim_for(self.me, port, now);
            self.incoming.push_back(Incoming::Claimed { request: Request(request), result });
        }
        for (conn, attach) in self.held() {
            self.welcome(conn, &attach, now);
        }
        for conn in self.conns.find(|kind| matches!(kind, Kind::Noticed)) {
            self.close(conn);
        }
        self.flush_all(now);
    }

    /// The processes that wait for us to know who reads.
    pub(super) fn held(&mut self) -> Vec<(usize, Attach)> {
        let mut held = Vec::new();
        for conn in self.conns.find(|kind| matches!(kind, Kind::Held { .. })) {
            if let Some(Kind::Held { attach, .. }) = self.conns.kind(conn) {
                let Attach { id, slot, generation, sockets, ref ports } = *attach;
                held.push((conn, Attach { id, slot, generation, sockets, ports: ports.clone() }));
            }
        }
        held
    }

    /// Tells an expected member at its local socket that we read. A name without a process behind it tells us that it died.
    fn notify(&mut self, id: MemberId, now: Instant) {
        let (Some(local), Some(slot)) = (&self.local, self.table.slot(id)) else {
            return;
        };
        let own = local.slot;
        match local.names.connect(Name::Slot(slot)) {
            Ok(stream) => {
                let Some(conn) = self.add_conn(stream, Kind::Notice(id)) else {
                    return;
                };
                if let Some(expected) = self.reader().and_then(|reader| reader.expected.get_mut(&id)) {
                    expected.notice = Some(conn);
                }
                self.tell(conn, &Message::Successor { reign: self.reign, slot: own }, now);
            }
            Err(error) if local::nobody_there(&error) => self.member_gone(id, Fate::Died, now),
            // Its queue is full, so it exists and does not run.
            Err(error) => tracing::debug!(%error, id, "cannot tell a process who reads"),
        }
    }

    /// The process that we told closed the connection. If it did not die, the next beat tells it again.
    pub(super) fn notice_ended(&mut self, id: MemberId, now: Instant) {
        let Some(reader) = self.reader() else { return };
        let Some(expected) = reader.expected.get_mut(&id) else {
            return;
        };
        expected.notice = None;
        if self.table.slot(id).is_some_and(|slot| self.nobody_at(slot)) {
            self.member_gone(id, Fate::Died, now);
        }
    }

    /// Whether no process is behind a slot.
    pub(super) fn nobody_at(&self, slot: u16) -> bool {
        let connect = |local: &Local| local.names.connect(Name::Slot(slot));
        self.local.as_ref().is_some_and(|local| connect(local).is_err_and(|error| local::nobody_there(&error)))
    }

    /// Stops reading, because somebody else does.
    pub(super) fn abdicate(&mut self) {
        for conn in self.conns.find(|kind| matches!(kind, Kind::Member(_) | Kind::Notice(_))) {
            self.close(conn);
        }
        if let Some(local) = &mut self.local {
            local.base = None;
        }
        self.udp.read_errors(false);
        tracing::warn!(generation = self.reign.generation, "displaced as the reader of the shared UDP port");
    }
}
