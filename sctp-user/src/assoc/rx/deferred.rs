//! Streams that begin anew (RFC 6525 section 5.2): at once, or when everything that was sent before has arrived.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{DataOutcome, Rx, Tracker, UserData};
use crate::assoc::streams::Streams;
use crate::num::{Mid, Ppid, Ssn, StreamId, Tsn};
use crate::wire::chunk::{Data, IData, Place};

/// A chunk without its user data.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Header {
    Data { unordered: bool, begin: bool, end: bool, tsn: Tsn, sid: StreamId, ssn: Ssn, ppid: Ppid },
    IData { unordered: bool, end: bool, tsn: Tsn, sid: StreamId, mid: Mid, place: Place },
}

impl Header {
    const fn tsn(&self) -> Tsn {
        match self {
            Self::Data { tsn, .. } | Self::IData { tsn, .. } => *tsn,
        }
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
    pub(super) fn concerns(&self, data: &impl UserData) -> bool {
        data.tsn().after(self.last) && self.streams.has(data.sid())
    }

    /// Takes a chunk that has not been received before and has to wait.
    pub(super) fn hold(&mut self, data: &impl UserData, payload: Bytes) {
        let at = self.held.partition_point(|(h, _)| h.tsn().before(data.tsn()));
        self.held.insert(at, (data.header(), payload));
    }

    /// Whether it holds the chunk with this TSN.
    pub(super) fn holds(&self, tsn: Tsn) -> bool {
        let at = self.held.partition_point(|(h, _)| h.tsn().before(tsn));
        self.held.get(at).is_some_and(|(h, _)| h.tsn() == tsn)
    }
}

impl Rx {
    /// The peer begins `streams` anew with the chunks after `last`. Answers whether everything up to there has arrived, so that it
    /// is done; otherwise [`Self::finish_reset`] does it later.
    pub(crate) fn reset_after(&mut self, streams: Streams, last: Tsn) -> bool {
        if last.at_or_before(self.tracker.cum()) {
            self.assembler.begin_anew(&streams);
            return true;
        }
        self.deferred = Some(Box::new(Deferred { streams, last, held: VecDeque::new() }));
        false
    }

    /// Ends a reset that was deferred, if everything has arrived that was sent before it. Answers `None` if it has not.
    ///
    /// What arrived meanwhile takes its place now: [`DataOutcome::Violation`] if it cannot.
    pub(crate) fn finish_reset(&mut self) -> Option<DataOutcome> {
        let deferred = self.deferred.as_ref().filter(|d| d.last.at_or_before(self.tracker.cum()))?;
        self.assembler.begin_anew(&deferred.streams);
        let mut readable = false;
        while let Some((header, payload)) = self.deferred.as_mut().and_then(|d| d.held.pop_front()) {
            self.window.release(payload.len(), 1);
            match self.take_in_held(header, payload) {
                DataOutcome::Accepted { readable: now } => readable |= now,
                outcome => return Some(outcome),
            }
        }
        self.deferred = None;
        Some(DataOutcome::Accepted { readable })
    }

    fn take_in_held(&mut self, header: Header, bytes: Bytes) -> DataOutcome {
        let payload = &bytes.clone()[..];
        match header {
            Header::Data { unordered, begin, end, tsn, sid, ssn, ppid } => {
                self.take_in(&Data { immediate: false, unordered, begin, end, tsn, sid, ssn, ppid, payload }, bytes)
            }
            Header::IData { unordered, end, tsn, sid, mid, place } => {
                self.take_in(&IData { immediate: false, unordered, end, tsn, sid, mid, place, payload }, bytes)
            }
        }
    }

    /// The peer's next new DATA chunk has this TSN, and all its streams begin anew (RFC 6525 sections 5.2.4 and 5.2.7 rule H5). What
    /// is missing below will not come: ordered messages that waited for it are handed out, incomplete ones were given up before.
    pub(crate) fn begin_at(&mut self, next: Tsn) {
        self.assembler.begin_anew(&Streams::all());
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
