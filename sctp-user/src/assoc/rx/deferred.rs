//! Streams that begin anew (RFC 6525 section 5.2): at once, or when everything that was sent before has arrived.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{DataOutcome, Rx, Tracker};
use crate::assoc::streams::Streams;
use crate::num::{Ppid, Ssn, StreamId, Tsn};
use crate::wire::chunk::Data;

/// A DATA chunk without its user data.
#[derive(Clone, Copy, Debug)]
struct Header {
    unordered: bool,
    begin: bool,
    end: bool,
    tsn: Tsn,
    sid: StreamId,
    ssn: Ssn,
    ppid: Ppid,
}

impl Header {
    const fn of(d: &Data<'_>) -> Self {
        Self { unordered: d.unordered, begin: d.begin, end: d.end, tsn: d.tsn, sid: d.sid, ssn: d.ssn, ppid: d.ppid }
    }

    const fn data<'a>(self, payload: &'a [u8]) -> Data<'a> {
        let Self { unordered, begin, end, tsn, sid, ssn, ppid } = self;
        Data { immediate: false, unordered, begin, end, tsn, sid, ssn, ppid, payload }
    }
}

/// "Deferred reset processing": what the peer sent on these streams after `last` already has the new numbers.
#[derive(Clone, Debug)]
pub(super) struct Deferred {
    streams: Streams,
    last: Tsn,
    /// Ascending by TSN; counted against the window.
    held: VecDeque<(Header, Bytes)>,
}

impl Deferred {
    /// Whether a chunk has to wait.
    pub(super) fn concerns(&self, data: &Data<'_>) -> bool {
        data.tsn.after(self.last) && self.streams.has(data.sid)
    }

    /// Takes a chunk that has not been received before and has to wait.
    pub(super) fn hold(&mut self, data: &Data<'_>, payload: Bytes) {
        let at = self.held.partition_point(|(h, _)| h.tsn.before(data.tsn));
        self.held.insert(at, (Header::of(data), payload));
    }

    /// Whether it holds the chunk with this TSN.
    pub(super) fn holds(&self, tsn: Tsn) -> bool {
        let at = self.held.partition_point(|(h, _)| h.tsn.before(tsn));
        self.held.get(at).is_some_and(|(h, _)| h.tsn == tsn)
    }
}

impl Rx {
    /// The peer begins `streams` anew with the chunks after `last`. Answers whether everything up to there has arrived, so that it
    /// is done; otherwise [`Self::finish_reset`] does it later.
    pub(crate) fn reset_after(&mut self, streams: Streams, last: Tsn) -> bool {
        if last.at_or_before(self.tracker.cum()) {
            self.reassembly.begin_anew(&streams);
            return true;
        }
        self.deferred = Some(Box::new(Deferred { streams, last, held: VecDeque::new() }));
        false
    }

    /// Ends a reset that was deferred, if everything has arrived that was sent before it. Answers `None` if it has not.
    ///
    /// What arrived meanwhile takes its place now: [`DataOutcome::Violation`] if it cannot.
    pub(crate) fn finish_reset(&mut self) -> Option<DataOutcome> {
        let mut deferred = self.deferred.take_if(|d| d.last.at_or_before(self.tracker.cum()))?;
        self.reassembly.begin_anew(&deferred.streams);
        let mut readable = false;
        while let Some((header, payload)) = deferred.held.pop_front() {
            // A neighbour that is still held is as if it came later.
            let before = self.tracker.received(header.tsn.prev());
            let after = self.tracker.received(header.tsn.next()) && !deferred.holds(header.tsn.next());
            self.window.release(payload.len(), 1);
            let bytes = payload.clone();
            match self.take_in(&header.data(&bytes), payload, before, after) {
                DataOutcome::Accepted { readable: now } => readable |= now,
                outcome => return Some(outcome),
            }
        }
        Some(DataOutcome::Accepted { readable })
    }

    /// The peer's next new DATA chunk has this TSN, and all its streams begin anew (RFC 6525 sections 5.2.4 and 5.2.7 rule H5). What
    /// is missing below will not come: ordered messages that waited for it are handed out, incomplete ones were given up before.
    pub(crate) fn begin_at(&mut self, next: Tsn) {
        let messages = self.reassembly.ready().len();
        self.reassembly.begin_anew(&Streams::all());
        debug_assert!(self.reassembly.ready().len() >= messages);
        self.deferred = None;
        self.before_reset = Some(self.tracker.highest());
        self.tracker = Tracker::new(next);
        self.sacks.forget();
        self.sacks.force();
    }

    /// There are `more` inbound streams (RFC 6525 section 5.2.5).
    pub(crate) fn add_streams(&mut self, more: u16) {
        self.streams = self.streams.saturating_add(more);
    }
}
