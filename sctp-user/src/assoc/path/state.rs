//! Whether a path is of use (RFC 9260 sections 5.4 and 8.2, RFC 7829): its error counter, and the thresholds that it is compared
//! with. The state is not kept but follows from the counter, so that the two cannot disagree.

use core::time::Duration;

use super::Path;
use crate::config::AssocConfig;
use crate::event::{PathChange, PathState};

/// What a user may set for one path; see [`crate::stack::PathOptions`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Limits {
    /// Path.Max.Retrans.
    pub(crate) max_retrans: u32,
    /// PotentiallyFailed.Max.Retrans; beyond `max_retrans` the state does not occur.
    pub(crate) pf_max_retrans: u32,
    /// HB.interval; `None` if periodic HEARTBEATs are off.
    pub(crate) hb_interval: Option<Duration>,
}

impl Limits {
    /// Those of the association.
    pub(crate) fn of(cfg: &AssocConfig) -> Self {
        Self { max_retrans: cfg.path_max_retrans, pf_max_retrans: cfg.pf_max_retrans.unwrap_or(u32::MAX), hb_interval: cfg.hb_interval }
    }

    /// The association's values changed: those that did count for the path too.
    pub(super) fn change(&mut self, old: &AssocConfig, new: &AssocConfig) {
        let (old, new) = (Self::of(old), Self::of(new));
        if old.max_retrans != new.max_retrans {
            self.max_retrans = new.max_retrans;
        }
        if old.pf_max_retrans != new.pf_max_retrans {
            self.pf_max_retrans = new.pf_max_retrans;
        }
        if old.hb_interval != new.hb_interval {
            self.hb_interval = new.hb_interval;
        }
    }
}

impl Path {
    /// The state. Only where there is `another` path does it help to know that this one may have failed.
    pub(crate) fn state(&self, another: bool) -> PathState {
        if self.stranded || self.has_failed() {
            PathState::Inactive
        } else if !self.confirmed {
            PathState::Unconfirmed
        } else if another && self.error_count > self.limits.pf_max_retrans {
            PathState::PotentiallyFailed
        } else {
            PathState::Active
        }
    }

    /// Whether Path.Max.Retrans is exceeded.
    pub(crate) fn has_failed(&self) -> bool {
        self.error_count > self.limits.max_retrans
    }

    /// Counts an error (RFC 9260 section 8.2). An inactive path's counter does not grow (section 8.3).
    pub(crate) fn count_error(&mut self) {
        if !self.has_failed() {
            self.error_count += 1;
        }
    }

    /// The network says that nobody is there.
    pub(crate) fn fail(&mut self) {
        self.error_count = self.limits.max_retrans.saturating_add(1);
    }

    /// The peer answered on this path: its errors are forgiven.
    pub(crate) fn on_answer(&mut self) {
        self.error_count = 0;
    }

    /// The address belongs to the peer, as the handshake has shown (section 5.4 rules 1 and 2).
    pub(crate) fn trust(&mut self) {
        self.confirmed = true;
    }

    /// What the user is to be told of, if anything changed since the last call.
    pub(crate) fn news(&mut self, another: bool) -> Option<PathChange> {
        let (state, confirmed) = (self.state(another), self.confirmed);
        let told = core::mem::replace(&mut self.told, (state, confirmed));
        match state {
            _ if told == (state, confirmed) => None,
            PathState::Active if !told.1 => Some(PathChange::Confirmed),
            PathState::Active => Some(PathChange::Available),
            PathState::PotentiallyFailed => Some(PathChange::PotentiallyFailed),
            PathState::Inactive if told.0 == PathState::Inactive => None,
            PathState::Inactive => Some(PathChange::Unreachable),
            PathState::Unconfirmed => None,
        }
    }
}
