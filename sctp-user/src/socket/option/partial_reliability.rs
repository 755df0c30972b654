//! Options about partial reliability (RFC 7496 section 4).

use std::io;

use super::{AssocSel, GetOpt, Place, SetOpt, option};
use crate::event::{AssocId, PrPolicy};
use crate::num::StreamId;
use crate::stats::Abandoned;

/// What messages of an association [`PrAssocStatus`] is about.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PrSel {
    /// The association, a single one.
    pub assoc: AssocSel,
    /// Those given up by this policy; `None` for all of them (SCTP_PR_SCTP_ALL).
    pub policy: Option<PrPolicy>,
}

impl From<()> for PrSel {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl From<AssocId> for PrSel {
    fn from(id: AssocId) -> Self {
        Self { assoc: id.into(), policy: None }
    }
}

impl From<PrPolicy> for PrSel {
    fn from(policy: PrPolicy) -> Self {
        Self { assoc: AssocSel::default(), policy: Some(policy) }
    }
}

/// What messages of a stream [`PrStreamStatus`] is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PrStreamSel {
    /// Association and policy.
    pub of: PrSel,
    /// The outbound stream.
    pub sid: StreamId,
}

impl From<StreamId> for PrStreamSel {
    fn from(sid: StreamId) -> Self {
        Self { of: PrSel::default(), sid }
    }
}

impl From<(AssocId, StreamId)> for PrStreamSel {
    fn from((id, sid): (AssocId, StreamId)) -> Self {
        Self { of: id.into(), sid }
    }
}

/// SCTP_PR_STREAM_STATUS (RFC 7496 section 4.3): how many messages of a stream were given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PrStreamStatus(pub Abandoned);

option!(PrStreamStatus, "SCTP_PR_STREAM_STATUS", PrStreamSel);

impl GetOpt for PrStreamStatus {
    fn get(place: &mut Place<'_>, sel: PrStreamSel) -> io::Result<Self> {
        let id = place.existing(sel.of.assoc)?;
        Ok(Self(place.assoc(id)?.abandoned(Some(sel.sid), sel.of.policy)))
    }
}

/// SCTP_PR_ASSOC_STATUS (RFC 7496 section 4.4): how many messages of an association were given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PrAssocStatus(pub Abandoned);

option!(PrAssocStatus, "SCTP_PR_ASSOC_STATUS", PrSel);

impl GetOpt for PrAssocStatus {
    fn get(place: &mut Place<'_>, sel: PrSel) -> io::Result<Self> {
        let id = place.existing(sel.assoc)?;
        Ok(Self(place.assoc(id)?.abandoned(None, sel.policy)))
    }
}

/// SCTP_PR_SUPPORTED (RFC 7496 section 4.5): whether partial reliability is offered to the peers of associations to come, or, of an
/// association, whether both sides have it. It can be set for associations to come only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PrSupported(pub bool);

option!(PrSupported, "SCTP_PR_SUPPORTED", AssocSel);

impl GetOpt for PrSupported {
    fn get(place: &mut Place<'_>, sel: AssocSel) -> io::Result<Self> {
        match place.single(sel)? {
            Some(id) => Ok(Self(place.assoc(id)?.status().extensions.partial_reliability)),
            None => Ok(Self(place.endpoint()?.assoc.partial_reliability)),
        }
    }
}

impl SetOpt for PrSupported {
    fn set(&self, place: &mut Place<'_>, sel: AssocSel) -> io::Result<()> {
        place.configure(sel, |cfg| cfg.partial_reliability = self.0)
    }
}
