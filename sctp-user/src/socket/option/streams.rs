//! Options of stream reconfiguration (RFC 6525 section 6.3).

use std::io;

use super::{AssocSel, GetOpt, Place, SetOpt, option};
use crate::num::StreamId;
use crate::socket::errno;
use crate::stack::{Assoc, ResetDirection};
use crate::time::Time;

/// SCTP_ENABLE_STREAM_RESET (RFC 6525 section 6.3.1): which requests of the peer are granted; none, unless this is set. What the
/// program itself has asked the peer for is granted in any case.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct EnableStreamReset {
    /// Streams may begin anew (SCTP_ENABLE_RESET_STREAM_REQ).
    pub streams: bool,
    /// All TSNs may begin anew (SCTP_ENABLE_RESET_ASSOC_REQ).
    pub association: bool,
    /// Streams may be added (SCTP_ENABLE_CHANGE_ASSOC_REQ).
    pub added_streams: bool,
}

option!(EnableStreamReset, "SCTP_ENABLE_STREAM_RESET", AssocSel);

impl GetOpt for EnableStreamReset {
    fn get(place: &mut Place<'_>, sel: AssocSel) -> io::Result<Self> {
        let cfg = place.config(sel)?;
        Ok(Self { streams: cfg.accept_stream_reset, association: cfg.accept_association_reset, added_streams: cfg.accept_added_streams })
    }
}

impl SetOpt for EnableStreamReset {
    fn set(&self, place: &mut Place<'_>, sel: AssocSel) -> io::Result<()> {
        place.configure(sel, |cfg| {
            cfg.accept_stream_reset = self.streams;
            cfg.accept_association_reset = self.association;
            cfg.accept_added_streams = self.added_streams;
        })
    }
}

/// SCTP_RESET_STREAMS (RFC 6525 section 6.3.2): asks the peer that streams begin anew; see
/// [`Assoc::reset_streams`]. `Notification::StreamsReset` tells what became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResetStreams {
    /// Of which direction.
    pub direction: ResetDirection,
    /// The streams; none for all.
    pub streams: Vec<StreamId>,
}

option!(ResetStreams, "SCTP_RESET_STREAMS", AssocSel);

impl SetOpt for ResetStreams {
    fn set(&self, place: &mut Place<'_>, sel: AssocSel) -> io::Result<()> {
        ask(place, sel, |a, now| a.reset_streams(now, self.direction, &self.streams))
    }
}

/// SCTP_RESET_ASSOC (RFC 6525 section 6.3.3): asks the peer that all TSNs and streams begin anew; see
/// [`Assoc::reset_association`]. `Notification::AssociationReset` tells what became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResetAssoc;

option!(ResetAssoc, "SCTP_RESET_ASSOC", AssocSel);

impl SetOpt for ResetAssoc {
    fn set(&self, place: &mut Place<'_>, sel: AssocSel) -> io::Result<()> {
        ask(place, sel, |a, now| a.reset_association(now))
    }
}

/// SCTP_ADD_STREAMS (RFC 6525 section 6.3.4): asks the peer for more streams; see [`Assoc::add_streams`].
/// `Notification::StreamsChanged` tells what became of it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct AddStreams {
    /// So many more that the peer sends on (sas_instrms).
    pub incoming: u16,
    /// So many more that we send on (sas_outstrms).
    pub outgoing: u16,
}

option!(AddStreams, "SCTP_ADD_STREAMS", AssocSel);

impl SetOpt for AddStreams {
    fn set(&self, place: &mut Place<'_>, sel: AssocSel) -> io::Result<()> {
        ask(place, sel, |a, now| a.add_streams(now, self.incoming, self.outgoing))
    }
}

/// Asks something of the peer of the selected association.
fn ask(
    place: &mut Place<'_>,
    sel: AssocSel,
    request: impl FnOnce(&mut Assoc<'_>, Time) -> Result<(), crate::error::ReconfigError>,
) -> io::Result<()> {
    let id = place.existing(sel)?;
    let now = place.now;
    let asked = request(&mut place.assoc(id)?, now).map_err(errno::reconfig_error);
    place.node.pump(now);
    asked
}
