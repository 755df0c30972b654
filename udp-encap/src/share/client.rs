//! Being a member, and finding the next reader when the present one is lost.

use std::collections::VecDeque;
use std::time::Instant;

use super::conns::Kind;
use super::local::Name;
use super::message::{Message, Reign};
use super::table::{Fate, MemberId, PortTable};
use super::{Incoming, MAX_INCOMING, Request, SILENCE, SharedPort, State, not_before_now};

/// The search for a reader.
#[derive(Debug)]
pub(super) struct Seeking {
    /// Local sockets to try, one after the other; at most all members'.
    candidates: VecDeque<u16>,
    /// The one that we asked.
    conn: Option<usize>,
    /// When we go on to the next.
    pub(super) deadline: Instant,
    /// A reader that said goodbye.
    gone: Option<MemberId>,
}

impl SharedPort {
    /// The link to the reader ended (`closed`), or nothing comes by it any more.
    pub(super) fn lose_reader(&mut self, closed: bool, now: Instant) {
        let reader = self.reign.reader;
        let mut candidates = self.elders(reader);
        // The link may have ended for another reason than the reader's death; if it died, its name refuses at once.
        if closed && let Some(slot) = self.table.slot(reader) {
            candidates.push_front(slot);
        }
        self.seek(candidates, None, now);
    }

    /// The slots of the processes that should read rather than we, lowest number first.
    fn elders(&self, except: MemberId) -> VecDeque<u16> {
        // A number that we had before, under which the reader may have entered us too, is no elder: asking it is asking ourselves.
        let own = self.local.as_ref().map(|local| local.slot);
        let elder = |(id, slot): &(MemberId, u16)| *id < self.me && *id != except && Some(*slot) != own;
        self.table.members().filter(elder).map(|(_, slot)| slot).collect()
    }

    fn seek(&mut self, candidates: VecDeque<u16>, gone: Option<MemberId>, now: Instant) {
        for conn in self.conns.find(|kind| matches!(kind, Kind::Upstream | Kind::Seek)) {
            self.close(conn);
        }
        self.state = State::Seeking(Seeking { candidates, conn: None, deadline: now, gone });
        self.log_interest();
        self.seek_on(now);
    }

    /// Asks the next candidate; after the last one it is our turn.
    pub(super) fn seek_on(&mut self, now: Instant) {
        loop {
            let State::Seeking(seeking) = &mut self.state else {
                return;
            };
            let gone = seeking.gone;
            let (last, next) = (seeking.conn.take(), seeking.candidates.pop_front());
            if let Some(last) = last {
                self.close(last);
            }
            let Some(slot) = next else {
                return self.take_over(gone, now);
            };
            let Some(local) = &self.local else { return };
            let own = local.slot;
            let Ok(stream) = local.names.connect(Name::Slot(slot)) else {
                continue;
            };
            let Some(conn) = self.add_conn(stream, Kind::Seek) else {
                continue;
            };
            if let State::Seeking(seeking) = &mut self.state {
                seeking.conn = Some(conn);
            }
            let attach = Message::Attach {
                id: self.me,
                slot: own,
                generation: self.reign.generation,
                sockets: false,
                ports: self.table.ports_of(self.me).collect(),
            };
            self.tell(conn, &attach, now);
            if let State::Seeking(seeking) = &mut self.state {
                seeking.deadline = not_before_now(now) + SILENCE;
            }
            return;
        }
    }

    /// Somebody says that it reads now.
    pub(super) fn hear_successor(&mut self, conn: usize, reign: Reign, slot: u16, now: Instant) {
        let ours = self.local.as_ref().map_or(0, |local| local.slot);
        if slot == ours {
            // We told ourselves, through a number that we had before: to answer would go on for ever.
            self.close(conn);
            return;
        }
        // One that we lost may turn out to live.
        let same = reign == self.reign && matches!(self.state, State::Seeking(_));
        if !(same || reign.beats(self.reign)) {
            // It woke up late, or we both took over: then we have precedence.
            if matches!(self.state, State::Reader(_)) {
                self.tell(conn, &Message::Successor { reign: self.reign, slot: ours }, now);
            }
            return;
        }
        if matches!(self.state, State::Reader(_)) {
            self.abdicate();
        }
        // Absent if the news came by a connection of our own, which ended with our own reign.
        self.conns.set_kind(conn, Kind::Noticed);
        self.reign = reign;
        let mut candidates = self.elders(reign.reader);
        candidates.push_front(slot);
        self.seek(candidates, None, now);
    }

    /// An answer of the process that we asked for service.
    pub(super) fn hear_candidate(&mut self, conn: usize, message: Message, now: Instant) {
        match message {
            Message::Welcome { reign, id, table, refused } if !self.reign.beats(reign) => {
                // We may have asked twice and closed the connection that told us of the dead: what the tables say cannot be missed.
                let table = PortTable::load(&table, now);
                let ports = self.table.bereaved(&table, |slot| self.nobody_at(slot));
                if !ports.is_empty() {
                    self.incoming.push_back(Incoming::PortsDied { ports });
                }
                self.table = table;
                self.conns.set_kind(conn, Kind::Upstream);
                self.become_member(conn, reign, id, refused, now);
            }
            Message::Redirect { reign, slot } if !self.reign.beats(reign) => {
                if let State::Seeking(seeking) = &mut self.state {
                    seeking.candidates.push_front(slot);
                    // Each redirection costs a candidate, lest two processes send us to and fro.
                    seeking.candidates.truncate(MAX_REDIRECTED);
                }
                self.seek_on(now);
            }
            other => {
                tracing::debug!(message = ?other, "candidate does not serve us");
                self.seek_on(now);
            }
        }
    }

    /// Taken on by a reader.
    pub(super) fn become_member(&mut self, conn: usize, reign: Reign, id: MemberId, refused: Vec<u16>, now: Instant) {
        self.me = id;
        self.reign = reign;
        self.state = State::Member { conn, heard: not_before_now(now) };
        if !refused.is_empty() {
            self.incoming.push_back(Incoming::PortsLost { ports: refused });
        }
        self.log_interest();
        self.role_changed();
        for conn in self.conns.find(|kind| matches!(kind, Kind::Noticed)) {
            self.close(conn);
        }
        if let Some(slot) = self.table.slot(reign.reader) {
            for (conn, _) in self.held() {
                self.tell(conn, &Message::Redirect { reign, slot }, now);
                self.close(conn);
            }
        }
        for (request, port) in &self.claims {
            self.conns.push(conn, &Message::Claim { request: *request, port: *port });
        }
        self.flush(conn, now);
    }

    /// What the reader says.
    pub(super) fn hear_reader(&mut self, conn: usize, message: Message, now: Instant) {
        match message {
            Message::Train(train) => self.deliver(train),
            Message::Beat { reign } => {
                if reign.beats(self.reign) {
                    self.reign = reign;
                }
            }
            Message::Claimed { request, result } => {
                if self.claims.remove(&request).is_some() {
                    self.incoming.push_back(Incoming::Claimed { request: Request(request), result });
                } else if let Ok(port) = result {
                    // Nobody waits for it any more.
                    self.release(port, now);
                }
            }
            Message::Taken { id, port } => self.table.insert(id, port),
            Message::Freed { port } => self.table.free(port, Fate::Closed, now),
            Message::Joined { id, slot } => {
                self.table.admit(id, slot);
            }
            Message::Left { id, died } => {
                self.table.leave(id, if died { Fate::Died } else { Fate::Closed }, now);
            }
            Message::Table { table } => self.table = PortTable::load(&table, now),
            Message::Died { ports } => self.incoming.push_back(Incoming::PortsDied { ports }),
            Message::Error(error) => {
                if self.incoming.len() < MAX_INCOMING {
                    self.incoming.push_back(Incoming::Error(error));
                }
            }
            Message::Goodbye => {
                let reader = self.reign.reader;
                self.seek(self.elders(reader), Some(reader), now);
            }
            other => {
                tracing::warn!(message = ?other, "message out of place from the reader");
                self.broken(conn, now);
            }
        }
    }
}

/// Candidates that are left after a redirection.
const MAX_REDIRECTED: usize = 8;
