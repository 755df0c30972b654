//! Who has which SCTP port: the table that the reader keeps and every member holds a copy of.
//!
//! Sans-IO: the time and the random draws are parameters.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use thiserror::Error;

/// The SCTP ports that are given out when none is asked for (RFC 6335 section 6: dynamic ports).
pub const EPHEMERAL: RangeInclusive<u16> = 49_152..=65_535;
/// How long a port is not drawn again after its process died: an INIT from the same port would be taken by the peer for a
/// restart of the old association (RFC 9260 section 5.2.2), which it still believes in.
pub const QUARANTINE_DEATH: Duration = Duration::from_secs(120);
/// The same after a graceful close, when the peer knows that the association is over.
pub const QUARANTINE_CLOSE: Duration = Duration::from_secs(2);
/// Most processes on one encapsulation port.
pub const MAX_MEMBERS: usize = 250;

/// Random draws before the free port next to the last draw is taken.
const DRAWS: usize = 64;

/// Why a port could not be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// Another socket or process has the port.
    #[error("the SCTP port is in use")]
    InUse,
    /// No ephemeral port is free.
    #[error("no free ephemeral SCTP port")]
    Exhausted,
    /// The process that keeps the table did not answer in time.
    #[error("no answer about the SCTP port")]
    TimedOut,
}

/// The number of a process in the order of attachment; never 0.
pub type MemberId = u32;

/// How a process left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Killed, crashed or gone without a word.
    Died,
    /// Said goodbye.
    Closed,
}

/// Claims of SCTP ports by the processes on one encapsulation port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortTable {
    /// At most [`MAX_MEMBERS`]; the value is the slot of the member's local socket.
    members: BTreeMap<MemberId, u16>,
    /// At most one entry a port.
    ports: BTreeMap<u16, MemberId>,
    /// At most one entry an ephemeral port, with the end of its quarantine.
    quarantine: BTreeMap<u16, Instant>,
}

impl PortTable {
    /// Adds a process under the next free number; `None` if there are too many.
    pub fn join(&mut self, slot: u16) -> Option<MemberId> {
        let last = self.members.last_key_value().map_or(0, |(id, _)| *id);
        let id = last.checked_add(1)?;
        self.admit(id, slot).then_some(id)
    }

    /// Adds a process under a number that it had before; `false` if there are too many or the number is 0.
    pub fn admit(&mut self, id: MemberId, slot: u16) -> bool {
        let known = self.members.contains_key(&id);
        if id == 0 || (!known && self.members.len() >= MAX_MEMBERS) {
            return false;
        }
        self.members.insert(id, slot);
        true
    }

    /// The processes by number, with the slot of each one's local socket.
    pub fn members(&self) -> impl Iterator<Item = (MemberId, u16)> + '_ {
        self.members.iter().map(|(id, slot)| (*id, *slot))
    }

    /// The slot of one process.
    #[must_use]
    pub fn slot(&self, id: MemberId) -> Option<u16> {
        self.members.get(&id).copied()
    }

    /// The process that has the port.
    #[must_use]
    pub fn holder(&self, port: u16) -> Option<MemberId> {
        self.ports.get(&port).copied()
    }

    /// The ports of one process, ascending.
    pub fn ports_of(&self, id: MemberId) -> impl Iterator<Item = u16> + '_ {
        self.ports.iter().filter(move |(_, holder)| **holder == id).map(|(port, _)| *port)
    }

    /// Claims `port` for a member, or with 0 an ephemeral one out of `draw`, which gives random numbers.
    ///
    /// # Errors
    /// [`ClaimError::InUse`], or [`ClaimError::Exhausted`] when no ephemeral port is free and out of quarantine.
    pub fn claim(&mut self, id: MemberId, port: u16, now: Instant, mut draw: impl FnMut() -> u16) -> Result<u16, ClaimError> {
        let port = if port == 0 { self.free_port(now, &mut draw)? } else { port };
        if self.ports.contains_key(&port) {
            return Err(ClaimError::InUse);
        }
        self.insert(id, port);
        Ok(port)
    }

    fn free_port(&mut self, now: Instant, draw: &mut impl FnMut() -> u16) -> Result<u16, ClaimError> {
        self.quarantine.retain(|_, until| *until > now);
        let mut last = *EPHEMERAL.start();
        for _ in 0..DRAWS {
            // The range is a power of two, so that the low bits are as random as the draw.
            last = EPHEMERAL.start() | draw();
            if self.is_free(last) {
                return Ok(last);
            }
        }
        // Nearly all are taken: the next free one, going round.
        (last..=*EPHEMERAL.end()).chain(*EPHEMERAL.start()..last).find(|port| self.is_free(*port)).ok_or(ClaimError::Exhausted)
    }

    fn is_free(&self, port: u16) -> bool {
        !self.ports.contains_key(&port) && !self.quarantine.contains_key(&port)
    }

    /// Enters a claim that was granted elsewhere.
    pub fn insert(&mut self, id: MemberId, port: u16) {
        self.quarantine.remove(&port);
        self.ports.insert(port, id);
    }

    /// Frees a port after a graceful close; `false` if the member does not hold it.
    pub fn release(&mut self, id: MemberId, port: u16, now: Instant) -> bool {
        let held = self.holder(port) == Some(id);
        if held {
            self.free(port, Fate::Closed, now);
        }
        held
    }

    /// Frees a port whoever holds it.
    pub fn free(&mut self, port: u16, fate: Fate, now: Instant) {
        self.ports.remove(&port);
        if EPHEMERAL.contains(&port) {
            let length = match fate {
                Fate::Died => QUARANTINE_DEATH,
                Fate::Closed => QUARANTINE_CLOSE,
            };
            self.quarantine.insert(port, now + length);
        }
    }

    /// Removes a process; returns the ports it had.
    pub fn leave(&mut self, id: MemberId, fate: Fate, now: Instant) -> Vec<u16> {
        self.members.remove(&id);
        let ports: Vec<u16> = self.ports_of(id).collect();
        for port in &ports {
            self.free(*port, fate, now);
        }
        ports
    }

    /// Makes the ports of a member exactly these, as far as nobody else holds them.
    pub fn reclaim(&mut self, id: MemberId, ports: &BTreeSet<u16>, now: Instant) -> Reclaimed {
        let mut result = Reclaimed::default();
        let had: BTreeSet<u16> = self.ports_of(id).collect();
        for port in had.difference(ports) {
            self.free(*port, Fate::Closed, now);
            result.freed.push(*port);
        }
        for port in ports.difference(&had) {
            if *port == 0 || self.ports.contains_key(port) {
                result.refused.push(*port);
            } else {
                self.insert(id, *port);
                result.taken.push(*port);
            }
        }
        result
    }

    /// The ports whose processes died between this table and `newer`, of another reader. That reader need not have heard of all
    /// processes, so a number that it does not list is no proof: its slot has to be that of a later one, or `empty`. An earlier one that
    /// is still listed there is dead itself, for the process took its slot.
    #[must_use]
    pub fn bereaved(&self, newer: &Self, empty: impl Fn(u16) -> bool) -> Vec<u16> {
        let dead = |id: MemberId| {
            self.slot(id)
                .is_some_and(|slot| newer.slot(id).is_none() && (newer.members().any(|(other, s)| s == slot && other > id) || empty(slot)))
        };
        let lost = self.ports.iter().filter(|(port, _)| newer.holder(**port).is_none());
        lost.filter(|(_, id)| dead(**id)).map(|(port, _)| *port).collect()
    }

    /// A copy for the wire, times relative to `now`.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        Snapshot {
            members: self.members().map(|(id, slot)| (id, slot, self.ports_of(id).collect())).collect(),
            quarantine: self
                .quarantine
                .iter()
                .filter_map(|(port, until)| {
                    let left = until.checked_duration_since(now)?;
                    Some((*port, u32::try_from(left.as_millis()).unwrap_or(u32::MAX)))
                })
                .collect(),
        }
    }

    /// The table that a snapshot describes.
    #[must_use]
    pub fn load(snapshot: &Snapshot, now: Instant) -> Self {
        let mut table = Self::default();
        for (port, left) in &snapshot.quarantine {
            let left = Duration::from_millis(u64::from(*left)).min(QUARANTINE_DEATH);
            table.quarantine.insert(*port, now + left);
        }
        for (id, slot, ports) in &snapshot.members {
            if table.admit(*id, *slot) {
                for port in ports {
                    table.insert(*id, *port);
                }
            }
        }
        table
    }
}

/// What [`PortTable::reclaim`] changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reclaimed {
    /// Newly entered.
    pub taken: Vec<u16>,
    /// No longer held.
    pub freed: Vec<u16>,
    /// Held by somebody else.
    pub refused: Vec<u16>,
}

/// A [`PortTable`] as it is sent to a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Number, slot and ports of each process.
    pub members: Vec<(MemberId, u16, Vec<u16>)>,
    /// Ephemeral ports in quarantine and the milliseconds left of it.
    pub quarantine: Vec<(u16, u32)>,
}

#[cfg(test)]
#[path = "table_test.rs"]
mod table_test;
