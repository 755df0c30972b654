//! What users ask of streams (RFC 6525).

use super::Assoc;
use crate::assoc::{Streams, What};
use crate::error::ReconfigError;
use crate::num::StreamId;
use crate::time::Time;

/// Which direction is to begin anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResetDirection {
    /// Streams that we send on.
    Outgoing,
    /// Streams that the peer sends on: it is asked to request it.
    Incoming,
    /// Both.
    Both,
}

impl Assoc<'_> {
    /// Asks the peer that streams begin anew: their next ordered message has sequence number zero. None named means all.
    ///
    /// What was accepted for sending before goes with the old numbers; what is sent on these streams from now on waits for the peer's
    /// answer, of which [`Event::StreamsReset`](crate::Event::StreamsReset) tells.
    ///
    /// # Errors
    /// The association has no stream reconfiguration or is not established, another request is under way, or the streams do not exist
    /// or are too many to be named.
    pub fn reset_streams(&mut self, now: Time, direction: ResetDirection, streams: &[StreamId]) -> Result<(), ReconfigError> {
        let streams = Streams::listed(streams.iter().copied());
        let of = |wanted: bool| wanted.then(|| streams.clone());
        let incoming = of(direction != ResetDirection::Outgoing);
        let outgoing = of(direction != ResetDirection::Incoming);
        self.ask(now, What::Reset { incoming, outgoing })
    }

    /// Asks the peer that all TSNs and all streams of both sides begin anew, as soon as all that was sent before is acknowledged. What is
    /// sent from now on waits for the answer, of which [`Event::AssociationReset`](crate::Event::AssociationReset) tells.
    ///
    /// # Errors
    /// As [`Self::reset_streams`], or the last one was less than 30 s ago (RFC 6525 section 5.1.4).
    pub fn reset_association(&mut self, now: Time) -> Result<(), ReconfigError> {
        self.ask(now, What::Renumber)
    }

    /// Asks the peer for so many streams more that it sends on, and that we send on;
    /// [`Event::StreamsChanged`](crate::Event::StreamsChanged) tells of the answer, before which they cannot be used.
    ///
    /// # Errors
    /// As [`Self::reset_streams`], or there would be more than 65,535 streams, or none is asked for.
    pub fn add_streams(&mut self, now: Time, incoming: u16, outgoing: u16) -> Result<(), ReconfigError> {
        self.ask(now, What::Add { incoming, outgoing })
    }

    fn ask(&mut self, now: Time, what: What) -> Result<(), ReconfigError> {
        let asked = self.stack.with_assoc(now, self.id, |a, ctx| match &mut a.ext.reconfig {
            Some(reconfig) => reconfig.in_use().ask(&mut a.core, ctx, what),
            None if a.core.state.is_opening() => Err(ReconfigError::Closed),
            None => Err(ReconfigError::NotSupported),
        });
        self.stack.touch(self.id);
        asked.unwrap_or(Err(ReconfigError::Closed))
    }
}
