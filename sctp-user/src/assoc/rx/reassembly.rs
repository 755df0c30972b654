//! From DATA chunks to messages: fragments are joined by TSN, messages ordered by stream sequence number
//! (RFC 9260 sections 6.5, 6.6 and 6.9).

use core::hint::cold_path;
use std::collections::VecDeque;

use bytes::Bytes;

use super::order::Order;
use super::whole::Whole;
use crate::assoc::streams::Streams;
use crate::event::Message;
use crate::num::{Ppid, Ssn, StreamId, Tsn};
use crate::wire::chunk::{Data, SkippedSsn};

/// Fragments of one message with consecutive TSNs; never complete, since a complete message leaves at once. Its beginning may
/// have been handed out already.
#[derive(Clone, Debug)]
struct Run {
    first: Tsn,
    last: Tsn,
    /// Whether the first fragment of the message is here.
    begin: bool,
    /// Whether the last fragment of the message is here.
    end: bool,
    sid: StreamId,
    ssn: Ssn,
    unordered: bool,
    /// Of the first fragment, once it is here.
    ppid: Ppid,
    /// User data in `parts`.
    bytes: usize,
    parts: VecDeque<Bytes>,
    /// TSN of the first of `parts`, or of the next one to come.
    next: Tsn,
    /// User data that was handed out before.
    taken: u64,
}

impl Run {
    fn of(data: &Data<'_>, payload: Bytes) -> Self {
        Self {
            first: data.tsn,
            last: data.tsn,
            begin: data.begin,
            end: data.end,
            sid: data.sid,
            ssn: data.ssn,
            unordered: data.unordered,
            ppid: data.ppid,
            bytes: payload.len(),
            parts: VecDeque::from([payload]),
            next: data.tsn,
            taken: 0,
        }
    }

    /// Whether `data` can belong to the same message.
    fn matches(&self, data: &Data<'_>) -> bool {
        self.sid == data.sid && self.unordered == data.unordered && (data.unordered || self.ssn == data.ssn)
    }

    /// Joins the run that follows directly; the shorter one moves, so that no order of arrival costs much.
    fn append(&mut self, mut next: Self) {
        self.last = next.last;
        self.end = next.end;
        self.bytes += next.bytes;
        if self.parts.len() >= next.parts.len() {
            self.parts.append(&mut next.parts);
        } else {
            for part in self.parts.drain(..).rev() {
                next.parts.push_front(part);
            }
            self.parts = next.parts;
        }
    }

    /// What is here of the message, which is its end if `more` is false.
    fn take(&mut self, more: bool, whole: &mut Whole) -> Message {
        let payload = whole.join(self.bytes, self.parts.iter());
        self.parts.clear();
        self.bytes = 0;
        let offset = self.taken;
        self.taken = offset.saturating_add(payload.len() as u64);
        let ssn = if self.unordered { Ssn(0) } else { self.ssn };
        let tsn = core::mem::replace(&mut self.next, self.last.next());
        Message { sid: self.sid, ssn, ppid: self.ppid, unordered: self.unordered, offset, more, tsn, payload }
    }
}

/// What a fragment brought about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Inserted {
    /// Whether a message became readable.
    pub(crate) readable: bool,
    /// How many pieces became one: the pieces of a completed message, else 1.
    pub(crate) pieces: usize,
}

/// Incomplete messages, messages that wait for their turn, and messages that can be read.
#[derive(Clone, Debug)]
pub(crate) struct Reassembly {
    max_message: usize,
    /// Whether the peer may begin a message in the middle of another one, whose rest it has given up.
    breaks_off: bool,
    /// Ascending by TSN; every piece counts against the window.
    runs: VecDeque<Run>,
    order: Order<Ssn>,
    whole: Whole,
    /// The last TSN that is known to be of a message that was skipped, as long as that has no end: what follows without being the
    /// beginning of another one belongs to it, and is dropped.
    skipped: Option<Tsn>,
}

/// What a FORWARD TSN changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Skipped {
    /// User data that was dropped.
    pub(crate) bytes: usize,
    /// How many pieces that was.
    pub(crate) pieces: usize,
    /// Messages that were handed out in part and will not be completed: stream, sequence number, whether unordered.
    pub(crate) begun: Vec<(StreamId, Ssn, bool)>,
}

impl Skipped {
    /// A run is dropped.
    fn add(&mut self, run: &Run) {
        self.bytes += run.bytes;
        self.pieces += run.parts.len();
        if run.taken > 0 {
            self.begun.push((run.sid, if run.unordered { Ssn(0) } else { run.ssn }, run.unordered));
        }
    }
}

impl Reassembly {
    /// Nothing received; longer messages than `max_message` are refused.
    pub(crate) fn new(max_message: usize) -> Self {
        Self { max_message, breaks_off: false, runs: VecDeque::new(), order: Order::default(), whole: Whole::default(), skipped: None }
    }

    /// Partial reliability was agreed on: messages may break off.
    ///
    /// Linux gives no TSNs to what it has not sent of a message when it gives that up, so that the next message follows at once. Its
    /// FORWARD TSN says so, but may get lost, and need not come again once what follows has been acknowledged.
    pub(crate) fn allow_breaking_off(&mut self) {
        self.breaks_off = true;
    }

    /// Drops the messages that broke off before `cum`, the cumulative TSN: what follows them is here, so all is that was sent of them.
    pub(crate) fn drop_broken_off(&mut self, cum: Tsn) -> Skipped {
        let mut all = Skipped::default();
        while let Some(run) = self.runs.pop_front_if(|r| self.breaks_off && r.last.before(cum)) {
            cold_path();
            all.add(&run);
            if !run.unordered {
                // Nothing before it is missing, so its turn has come.
                self.order.skip(run.sid, run.ssn);
            }
        }
        all
    }

    /// Gives back memory that is not used.
    pub(crate) fn release(&mut self) {
        self.runs.shrink_to(0);
        self.order.ready.shrink_to(0);
        self.whole.release();
    }

    /// Changes the limit for messages that are not complete yet.
    pub(crate) fn set_max_message(&mut self, max_message: usize) {
        self.max_message = max_message;
    }

    /// How much could be handed out of the message that stands at `cum`, the cumulative TSN, though it is incomplete, whether
    /// earlier parts of it were handed out already, and its stream.
    pub(crate) fn head(&self, cum: Tsn) -> Option<(usize, bool, StreamId)> {
        let run = self.runs.front().filter(|r| r.begin && r.first.at_or_before(cum))?;
        let next = self.order.turn(run.sid);
        (run.unordered || run.ssn == next).then_some((run.bytes, run.taken > 0, run.sid))
    }

    /// What is there of the message that [`Reassembly::head`] tells of, and of how many pieces it was.
    pub(crate) fn take_part(&mut self) -> Option<(Message, usize)> {
        let run = self.runs.front_mut()?;
        let pieces = run.parts.len();
        Some((run.take(true, &mut self.whole), pieces))
    }

    /// The stream sequence numbers of these streams begin anew.
    pub(crate) fn begin_anew(&mut self, streams: &Streams) {
        self.order.begin_anew(streams);
    }

    /// Forgets all incomplete messages: their rest will not come. Answers the user data and the pieces that this frees, and what
    /// is known of the message of which parts were handed out, if there is one.
    pub(crate) fn give_up(&mut self) -> (usize, usize, Vec<(StreamId, Ssn, bool)>) {
        let runs = core::mem::take(&mut self.runs);
        let begun = runs.front().filter(|r| r.taken > 0);
        let begun = begun.map(|r| (r.sid, if r.unordered { Ssn(0) } else { r.ssn }, r.unordered)).into_iter().collect();
        (runs.iter().map(|r| r.bytes).sum(), runs.iter().map(|r| r.parts.len()).sum(), begun)
    }

    /// Nothing up to `upto` is waited for any more, nor are the ordered messages of `streams` up to the sequence numbers given (RFC
    /// 3758 section 3.6).
    ///
    /// The chunk at `upto` is one that the peer has abandoned (section 3.5 C2), and so is the whole message of which it is a part:
    /// also what is here of it beyond.
    pub(crate) fn skip(&mut self, upto: Tsn, streams: impl Iterator<Item = SkippedSsn>) -> Skipped {
        let mut all = Skipped::default();
        self.skipped = Some(upto);
        let abandoned = |r: &mut Run| r.first.at_or_before(upto) || (r.first == upto.next() && !r.begin);
        while let Some(run) = self.runs.pop_front_if(abandoned) {
            all.add(&run);
            if !run.last.before(upto) {
                self.skipped = (!run.end).then_some(run.last);
            }
        }
        streams.for_each(|s| self.order.skip(s.sid, s.ssn));
        all
    }

    /// Drops a fragment of a message that was skipped before this one came, with others of it that follow; `None` if it is none.
    pub(crate) fn drop_skipped(&mut self, data: &Data<'_>) -> Option<Skipped> {
        if data.begin || self.skipped != Some(data.tsn.prev()) {
            return None;
        }
        let mut all = Skipped::default();
        self.skipped = (!data.end).then_some(data.tsn);
        if !data.end
            && let Some(run) = self.runs.pop_front_if(|r| r.first == data.tsn.next() && !r.begin)
        {
            all.add(&run);
            self.skipped = (!run.end).then_some(run.last);
        }
        Some(all)
    }

    /// Whether there is nothing to read, nor a part of anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.order.ready.is_empty() && self.runs.is_empty()
    }

    /// Messages that can be read.
    pub(crate) fn ready(&self) -> &VecDeque<Message> {
        &self.order.ready
    }

    /// Messages that can be read, to add to them or to take them all.
    pub(crate) fn ready_mut(&mut self) -> &mut VecDeque<Message> {
        &mut self.order.ready
    }

    /// Whether a message is not complete whose fragments have come up to `cum`, the cumulative TSN.
    pub(crate) fn is_open_at(&self, cum: Tsn) -> bool {
        self.runs.front().is_some_and(|r| r.first.at_or_before(cum))
    }

    /// Whether nothing can be read until more fragments of the message at `cum`, the cumulative TSN, arrive.
    pub(crate) fn starving(&self, cum: Tsn) -> bool {
        self.order.ready.is_empty() && self.is_open_at(cum)
    }

    /// Takes in a DATA chunk that has not been received before. `before` and `after` tell whether the TSNs next to it have
    /// been received.
    ///
    /// # Errors
    /// The peer broke the rules of fragmentation or ordering; what it did.
    pub(crate) fn insert(&mut self, data: &Data<'_>, payload: Bytes, before: bool, after: bool) -> Result<Inserted, &'static str> {
        // A whole message, and nothing incomplete that it could be in the way of: the usual case.
        if data.begin && data.end && self.runs.is_empty() {
            return self.take_whole(data, payload);
        }
        let at = match self.runs.back() {
            Some(r) if !r.last.before(data.tsn) => self.runs.partition_point(|r| r.last.before(data.tsn)),
            _ => self.runs.len(),
        };
        let left = at.checked_sub(1).filter(|&i| self.runs.get(i).is_some_and(|r| r.last.next() == data.tsn));
        let right = self.runs.get(at).filter(|r| r.first == data.tsn.next()).map(|_| at);
        self.check(data, left.filter(|_| before), right.filter(|_| after), before, after)?;

        let left = left.filter(|_| !data.begin);
        let right = right.filter(|&i| !data.end && self.runs.get(i).is_some_and(|r| !r.begin));
        if left.is_none() && right.is_none() && data.begin && data.end {
            return self.take_whole(data, payload);
        }
        let at = self.join(data, payload, at, left.is_some(), right.is_some());
        let Some(run) = self.runs.get(at) else {
            return Ok(Inserted { readable: false, pieces: 1 });
        };
        if run.taken.saturating_add(run.bytes as u64) > self.max_message as u64 {
            return Err("message too long");
        }
        if !(run.begin && run.end) {
            return Ok(Inserted { readable: false, pieces: 1 });
        }
        let pieces = run.parts.len();
        let readable = match self.runs.remove(at) {
            Some(mut run) => self.order.place(run.ssn, run.take(false, &mut self.whole))?,
            None => false,
        };
        Ok(Inserted { readable, pieces })
    }

    /// Takes in a chunk that is a whole message.
    fn take_whole(&mut self, data: &Data<'_>, payload: Bytes) -> Result<Inserted, &'static str> {
        if payload.len() > self.max_message {
            return Err("message too long");
        }
        let message = Message { tsn: data.tsn, ..Message::whole(data.sid, data.ssn, data.ppid, data.unordered, payload) };
        Ok(Inserted { readable: self.order.place(message.ssn, message)?, pieces: 1 })
    }

    /// The rules of section 6.9. A neighbour that was received, but is in no run, belongs to a message of its own.
    fn check(&self, data: &Data<'_>, left: Option<usize>, right: Option<usize>, before: bool, after: bool) -> Result<(), &'static str> {
        match left.and_then(|i| self.runs.get(i)).filter(|r| !r.end) {
            Some(_) if data.begin && self.breaks_off => {}
            Some(_) if data.begin => return Err("first fragment inside an unfinished message"),
            Some(r) if !r.matches(data) => return Err("fragment of another message inside a message"),
            None if before && !data.begin => return Err("middle fragment without a first one"),
            _ => {}
        }
        match right.and_then(|i| self.runs.get(i)).filter(|r| !r.begin) {
            Some(_) if data.end => Err("middle fragment behind the last one"),
            Some(r) if !r.matches(data) => Err("fragment of another message inside a message"),
            None if after && !data.end && !self.breaks_off => Err("first fragment inside an unfinished message"),
            _ => Ok(()),
        }
    }

    /// Puts an incomplete piece among the runs, of which the one at `at` is the first behind it, and answers where it went.
    fn join(&mut self, data: &Data<'_>, payload: Bytes, at: usize, joins_left: bool, joins_right: bool) -> usize {
        if joins_left {
            let next = if joins_right { self.runs.remove(at) } else { None };
            if let Some(run) = self.runs.get_mut(at.saturating_sub(1)) {
                run.last = data.tsn;
                run.end = data.end;
                run.bytes += payload.len();
                run.parts.push_back(payload);
                if let Some(next) = next {
                    run.append(next);
                }
            }
            return at.saturating_sub(1);
        }
        match self.runs.get_mut(at).filter(|_| joins_right) {
            Some(run) => {
                run.first = data.tsn;
                run.next = data.tsn;
                run.begin = data.begin;
                run.ppid = data.ppid;
                run.bytes += payload.len();
                run.parts.push_front(payload);
            }
            None => self.runs.insert(at, Run::of(data, payload)),
        }
        at
    }
}
