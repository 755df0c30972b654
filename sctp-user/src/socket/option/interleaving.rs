//! Options of user message interleaving and of the stream schedulers (RFC 8260 section 4.3).

use std::io;

use super::{AssocSel, GetOpt, Place, SetOpt, option};
use crate::config::StreamScheduler;
use crate::event::AssocId;
use crate::num::StreamId;
use crate::socket::errno;

/// SCTP_INTERLEAVING_SUPPORTED (RFC 8260 section 4.3.1): whether user message interleaving is offered to the peers of associations to
/// come, or, of an association, whether both sides have it. It can be set for associations to come only, and on only after
/// [`FragmentInterleave::Complete`](super::FragmentInterleave::Complete): parts of messages of several streams come in turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InterleavingSupported(pub bool);

option!(InterleavingSupported, "SCTP_INTERLEAVING_SUPPORTED", AssocSel);

impl GetOpt for InterleavingSupported {
    fn get(place: &mut Place<'_>, sel: AssocSel) -> io::Result<Self> {
        match place.single(sel)? {
            Some(id) => Ok(Self(place.assoc(id)?.status().extensions.interleaving)),
            None => Ok(Self(place.endpoint()?.assoc.interleaving)),
        }
    }
}

impl SetOpt for InterleavingSupported {
    fn set(&self, place: &mut Place<'_>, sel: AssocSel) -> io::Result<()> {
        if matches!(sel, AssocSel::Current | AssocSel::All) {
            return Err(errno::invalid("for associations to come only (SCTP_FUTURE_ASSOC)"));
        }
        place.configure(sel, |cfg| cfg.interleaving = self.0)
    }
}

/// SCTP_STREAM_SCHEDULER (RFC 8260 section 4.3.2): which stream's message is sent next. SCTP_SS_DEFAULT is the default of the type.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Scheduler(pub StreamScheduler);

option!(Scheduler, "SCTP_STREAM_SCHEDULER", AssocSel);

impl GetOpt for Scheduler {
    fn get(place: &mut Place<'_>, sel: AssocSel) -> io::Result<Self> {
        place.config(sel).map(|cfg| Self(cfg.scheduler))
    }
}

impl SetOpt for Scheduler {
    fn set(&self, place: &mut Place<'_>, sel: AssocSel) -> io::Result<()> {
        place.configure(sel, |cfg| cfg.scheduler = self.0)
    }
}

/// Which stream of which associations [`SchedulerValue`] is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamSel {
    /// The associations.
    pub assoc: AssocSel,
    /// The outbound stream.
    pub sid: StreamId,
}

impl From<StreamId> for StreamSel {
    fn from(sid: StreamId) -> Self {
        Self { assoc: AssocSel::default(), sid }
    }
}

impl From<(AssocSel, StreamId)> for StreamSel {
    fn from((assoc, sid): (AssocSel, StreamId)) -> Self {
        Self { assoc, sid }
    }
}

impl From<(AssocId, StreamId)> for StreamSel {
    fn from((id, sid): (AssocId, StreamId)) -> Self {
        Self { assoc: id.into(), sid }
    }
}

/// SCTP_STREAM_SCHEDULER_VALUE (RFC 8260 section 4.3.3): the priority or the weight of a stream, as the scheduler says; the others do
/// not look at it. As read, 0 stands for a stream that has none.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SchedulerValue(pub u16);

option!(SchedulerValue, "SCTP_STREAM_SCHEDULER_VALUE", StreamSel);

impl GetOpt for SchedulerValue {
    fn get(place: &mut Place<'_>, sel: StreamSel) -> io::Result<Self> {
        // CVE-2014-8612: no number of a stream is an index.
        check(place, sel)?;
        place.config(sel.assoc).map(|cfg| Self(cfg.stream_values.get(&sel.sid).copied().unwrap_or_default()))
    }
}

impl SetOpt for SchedulerValue {
    fn set(&self, place: &mut Place<'_>, sel: StreamSel) -> io::Result<()> {
        check(place, sel)?;
        place.configure(sel.assoc, |cfg| {
            cfg.stream_values.insert(sel.sid, self.0);
        })
    }
}

/// Whether the association, if it is one, has the stream.
fn check(place: &mut Place<'_>, sel: StreamSel) -> io::Result<()> {
    match place.single(sel.assoc) {
        Ok(Some(id)) if sel.sid.0 >= place.assoc(id)?.status().outbound_streams => Err(errno::invalid("no such stream")),
        _ => Ok(()),
    }
}
