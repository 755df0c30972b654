//! How user data becomes messages: by DATA or by I-DATA, as was agreed on when the association was opened (RFC 8260 section 2.2.1).

use std::collections::VecDeque;

use bytes::Bytes;

use super::deferred::Header;
use super::interleaved::Interleaved;
use super::reassembly::{Inserted, Reassembly, Skipped};
use super::{Partial, longest};
use crate::assoc::streams::Streams;
use crate::config::AssocConfig;
use crate::event::Message;
use crate::num::{Ssn, StreamId, Tsn};
use crate::wire::chunk::{Data, IData};

/// A chunk with user data.
pub(crate) trait UserData {
    fn tsn(&self) -> Tsn;
    fn sid(&self) -> StreamId;
    fn is_unordered(&self) -> bool;
    /// Whether an immediate SACK is wanted.
    fn is_immediate(&self) -> bool;
    fn payload(&self) -> &[u8];
    /// Whether it is of the kind that was agreed on (RFC 8260 section 2.2.3).
    ///
    /// # Errors
    /// It is not: the association is to be aborted.
    fn fits(&self, assembler: &Assembler) -> Result<(), &'static str>;
    /// Drops it, with others that follow, if it is of a message that was skipped before it came; `None` if it is not.
    fn drop_skipped(&self, assembler: &mut Assembler) -> Option<Skipped>;
    /// Takes in a chunk whose TSN is new; `payload` is the chunk's user data, and `is_here` tells of other TSNs whether they have come.
    ///
    /// # Errors
    /// The peer broke a rule; what it did.
    fn insert(&self, payload: Bytes, assembler: &mut Assembler, is_here: impl Fn(Tsn) -> bool) -> Result<Inserted, &'static str>;
    /// The chunk without its user data, to be kept.
    fn header(&self) -> Header;
}

const UNEXPECTED_DATA: &str = "DATA although I-DATA was agreed on";
const UNEXPECTED_I_DATA: &str = "I-DATA that was not agreed on";

impl UserData for Data<'_> {
    fn tsn(&self) -> Tsn {
        self.tsn
    }

    fn sid(&self) -> StreamId {
        self.sid
    }

    fn is_unordered(&self) -> bool {
        self.unordered
    }

    fn is_immediate(&self) -> bool {
        self.immediate
    }

    fn payload(&self) -> &[u8] {
        self.payload
    }

    fn fits(&self, assembler: &Assembler) -> Result<(), &'static str> {
        if matches!(assembler, Assembler::Data(_)) { Ok(()) } else { Err(UNEXPECTED_DATA) }
    }

    fn drop_skipped(&self, assembler: &mut Assembler) -> Option<Skipped> {
        if let Assembler::Data(reassembly) = assembler { reassembly.drop_skipped(self) } else { None }
    }

    fn insert(&self, payload: Bytes, assembler: &mut Assembler, is_here: impl Fn(Tsn) -> bool) -> Result<Inserted, &'static str> {
        let Assembler::Data(reassembly) = assembler else { return Err(UNEXPECTED_DATA) };
        reassembly.insert(self, payload, is_here(self.tsn.prev()), is_here(self.tsn.next()))
    }

    fn header(&self) -> Header {
        let Self { unordered, begin, end, tsn, sid, ssn, ppid, .. } = *self;
        Header::Data { unordered, begin, end, tsn, sid, ssn, ppid }
    }
}

impl UserData for IData<'_> {
    fn tsn(&self) -> Tsn {
        self.tsn
    }

    fn sid(&self) -> StreamId {
        self.sid
    }

    fn is_unordered(&self) -> bool {
        self.unordered
    }

    fn is_immediate(&self) -> bool {
        self.immediate
    }

    fn payload(&self) -> &[u8] {
        self.payload
    }

    fn fits(&self, assembler: &Assembler) -> Result<(), &'static str> {
        if matches!(assembler, Assembler::IData(_)) { Ok(()) } else { Err(UNEXPECTED_I_DATA) }
    }

    fn drop_skipped(&self, assembler: &mut Assembler) -> Option<Skipped> {
        if let Assembler::IData(interleaved) = assembler { interleaved.drop_skipped(self) } else { None }
    }

    fn insert(&self, payload: Bytes, assembler: &mut Assembler, _is_here: impl Fn(Tsn) -> bool) -> Result<Inserted, &'static str> {
        let Assembler::IData(interleaved) = assembler else { return Err(UNEXPECTED_I_DATA) };
        interleaved.insert(self, payload)
    }

    fn header(&self) -> Header {
        let Self { unordered, end, tsn, sid, mid, place, .. } = *self;
        Header::IData { unordered, end, tsn, sid, mid, place }
    }
}

/// Incomplete messages, messages that wait for their turn, and messages that can be read.
#[derive(Clone, Debug)]
pub(crate) enum Assembler {
    /// Of DATA.
    Data(Reassembly),
    /// Of I-DATA.
    IData(Box<Interleaved>),
}

impl Assembler {
    /// Nothing received.
    pub(super) fn new(cfg: &AssocConfig, interleaving: bool) -> Self {
        if interleaving {
            Self::IData(Box::new(Interleaved::new(longest(cfg), Partial::new(cfg).point)))
        } else {
            Self::Data(Reassembly::new(longest(cfg)))
        }
    }

    /// Takes new limits for messages of which something is to come.
    pub(super) fn configure(&mut self, cfg: &AssocConfig) {
        match self {
            Self::Data(r) => r.set_max_message(longest(cfg)),
            Self::IData(r) => r.set_limits(longest(cfg), Partial::new(cfg).point),
        }
    }

    /// Partial reliability was agreed on, see [`Reassembly::allow_breaking_off`]. The messages of I-DATA have numbers, which tell all.
    pub(super) fn allow_breaking_off(&mut self) {
        if let Self::Data(r) = self {
            r.allow_breaking_off();
        }
    }

    /// See [`Reassembly::drop_broken_off`].
    pub(super) fn drop_broken_off(&mut self, cum: Tsn) -> Skipped {
        match self {
            Self::Data(r) => r.drop_broken_off(cum),
            Self::IData(_) => Skipped::default(),
        }
    }

    /// Gives back memory that is not used.
    pub(super) fn release(&mut self) {
        match self {
            Self::Data(r) => r.release(),
            Self::IData(r) => r.release(),
        }
    }

    /// Whether there is nothing to read, nor a part of anything, which of DATA is seen at a glance.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Data(r) => r.is_empty(),
            Self::IData(_) => false,
        }
    }

    /// Messages that can be read.
    pub(super) fn ready(&self) -> &VecDeque<Message> {
        match self {
            Self::Data(r) => r.ready(),
            Self::IData(r) => r.ready(),
        }
    }

    /// Messages that can be read, to add to them or to take them.
    pub(super) fn ready_mut(&mut self) -> &mut VecDeque<Message> {
        match self {
            Self::Data(r) => r.ready_mut(),
            Self::IData(r) => r.ready_mut(),
        }
    }

    /// A part of a message that is incomplete, and of how many pieces it was.
    pub(super) fn take_part(&mut self) -> Option<(Message, usize)> {
        match self {
            Self::Data(r) => r.take_part(),
            Self::IData(r) => r.take_part(),
        }
    }

    /// The numbers of messages on these streams begin anew (RFC 6525).
    pub(super) fn begin_anew(&mut self, streams: &Streams) {
        match self {
            Self::Data(r) => r.begin_anew(streams),
            Self::IData(r) => r.begin_anew(streams),
        }
    }

    /// Forgets all incomplete messages: their rest will not come. Answers the user data and the pieces that this frees, and which
    /// messages were handed out in part.
    pub(super) fn give_up(&mut self) -> (usize, usize, Vec<(StreamId, Ssn, bool)>) {
        match self {
            Self::Data(r) => r.give_up(),
            Self::IData(r) => r.give_up(),
        }
    }

    /// Whether nothing can be read until more fragments arrive behind `cum`, the cumulative TSN.
    pub(super) fn starving(&self, cum: Tsn) -> bool {
        match self {
            Self::Data(r) => r.starving(cum),
            Self::IData(r) => r.starving(),
        }
    }
}
