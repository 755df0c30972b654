//! One association: sans-IO, driven by the [`Stack`](crate::Stack).
//!
//! [`Core`] is everything that RFC 9260 needs, one file per procedure; [`ext`] is the place of the extensions.

mod addresses;
mod assemble;
mod collision;
pub mod cookie;
mod core;
mod count;
mod dispatch;
mod errors;
mod ext;
mod handshake;
mod idle;
mod liveness;
mod news;
pub(crate) mod offer;
pub(crate) mod path;
mod probing;
mod reconfigure;
mod release;
pub(crate) mod rx;
mod shutdown;
mod snapshot;
pub(crate) mod state;
mod streams;
mod timers;
mod trial;
pub(crate) mod tx;

pub(crate) use self::collision::Verdict;
pub(crate) use self::core::{Context, Control, Core, fresh_tag};
pub(crate) use self::dispatch::Admission;
pub(crate) use self::ext::{Extensions, Gate, Goal, Rejection, Terms, What, verify_auth};
pub(crate) use self::streams::Streams;
pub(crate) use self::trial::Trial;
use crate::time::{Earliest, Time};

/// An association: what RFC 9260 needs, and its extensions, which may take the former whole.
#[derive(Debug)]
pub(crate) struct Association {
    pub(crate) core: Core,
    pub(crate) ext: Extensions,
}

impl Association {
    /// When [`Association::on_timeout`] wants to be called.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        if self.core.state == state::State::Closed {
            return None;
        }
        let mut next = Earliest::new();
        self.core.note_deadlines(&mut next);
        self.ext.note_deadlines(&mut next);
        next.get()
    }

    /// Whether packets to `ip` belong to the association: it is our end, or will be, or was until just now.
    pub(crate) fn is_local(&self, now: Time, ip: std::net::IpAddr) -> bool {
        self.core.is_local(ip) || self.ext.asconf.as_ref().is_some_and(|a| a.takes(now, ip))
    }
}
