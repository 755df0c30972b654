//! Options about how messages and notifications come and go, which the socket layer looks after.

use core::time::Duration;
use std::io;

use super::{AssocSel, GetOpt, Place, SetOpt, option};
use crate::event::{AssocId, Reliability};
use crate::socket::errno;
use crate::socket::info::SndInfo;
use crate::socket::notification::{EventKind, Events};

/// SCTP_EVENT (RFC 6458 sections 6.2.2 and 8.1.28): whether one kind of notification is wanted. [`Subscription`] tells which are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventOption {
    /// The kind.
    pub kind: EventKind,
    /// Whether it is wanted.
    pub on: bool,
}

option!(EventOption, "SCTP_EVENT", AssocSel);

impl SetOpt for EventOption {
    fn set(&self, place: &mut Place<'_>, sel: AssocSel) -> io::Result<()> {
        subscribe(place, sel, |old| if self.on { old.with(self.kind) } else { old.without(self.kind) })
    }
}

/// All notifications that are wanted, at once (the sense of SCTP_EVENTS, RFC 6458 section 6.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subscription(pub Events);

option!(Subscription, "SCTP_EVENTS", AssocSel);

impl GetOpt for Subscription {
    fn get(place: &mut Place<'_>, sel: AssocSel) -> io::Result<Self> {
        place.settings(sel).map(|s| Self(s.events))
    }
}

impl SetOpt for Subscription {
    fn set(&self, place: &mut Place<'_>, sel: AssocSel) -> io::Result<()> {
        subscribe(place, sel, |_| self.0)
    }
}

fn subscribe(place: &mut Place<'_>, sel: AssocSel, change: impl Fn(Events) -> Events) -> io::Result<()> {
    let (_, ids) = place.several(sel)?;
    let dry = |place: &Place<'_>, id: AssocId| Ok::<_, io::Error>(place.node.link(id)?.settings.events.has(EventKind::SenderDry));
    let before: Vec<_> = ids.iter().map(|id| dry(place, *id)).collect::<io::Result<_>>()?;
    let ids = place.set(sel, |s| s.events = change(s.events))?;
    let now = place.now;
    for (id, was) in ids.into_iter().zip(before) {
        let is = dry(place, id)?;
        // One that has ended has nothing to tell any more.
        if is != was
            && let Ok(mut assoc) = place.assoc(id)
        {
            assoc.notify_when_dry(now, is);
        }
    }
    place.node.pump(now);
    Ok(())
}

/// SCTP_CONTEXT (RFC 6458 section 8.1.25): what [`RcvInfo::context`](crate::socket::RcvInfo::context) will be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Context(pub u32);

option!(Context, "SCTP_CONTEXT", AssocSel);

impl GetOpt for Context {
    fn get(place: &mut Place<'_>, sel: AssocSel) -> io::Result<Self> {
        place.settings(sel).map(|s| Self(s.context))
    }
}

impl SetOpt for Context {
    fn set(&self, place: &mut Place<'_>, sel: AssocSel) -> io::Result<()> {
        place.set(sel, |s| s.context = self.0).map(drop)
    }
}

/// SCTP_DEFAULT_SNDINFO (RFC 6458 section 8.1.31): how messages go for which nothing is said, as `sendv` with `None` and `io::Write`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct DefaultSndInfo(pub SndInfo);

option!(DefaultSndInfo, "SCTP_DEFAULT_SNDINFO", AssocSel);

impl GetOpt for DefaultSndInfo {
    fn get(place: &mut Place<'_>, sel: AssocSel) -> io::Result<Self> {
        place.settings(sel).map(|s| Self(s.send.as_deref().copied().unwrap_or_default()))
    }
}

impl SetOpt for DefaultSndInfo {
    fn set(&self, place: &mut Place<'_>, sel: AssocSel) -> io::Result<()> {
        if self.0.abort {
            return Err(errno::invalid("an abort is no way to send by default"));
        }
        let usual = self.0 == SndInfo::default();
        place.set(sel, |s| s.send = (!usual).then(|| Box::new(self.0))).map(drop)
    }
}

/// SCTP_DEFAULT_PRINFO (RFC 6458 section 8.1.32): when messages are given up for which [`SndInfo::reliability`] says nothing.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct DefaultPrInfo(pub Reliability);

option!(DefaultPrInfo, "SCTP_DEFAULT_PRINFO", AssocSel);

impl GetOpt for DefaultPrInfo {
    fn get(place: &mut Place<'_>, sel: AssocSel) -> io::Result<Self> {
        place.settings(sel).map(|s| Self(s.reliability))
    }
}

impl SetOpt for DefaultPrInfo {
    fn set(&self, place: &mut Place<'_>, sel: AssocSel) -> io::Result<()> {
        place.set(sel, |s| s.reliability = self.0).map(drop)
    }
}

/// SCTP_EXPLICIT_EOR (RFC 6458 section 8.1.26): a message ends only with [`SndInfo::eor`], and may be sent in several calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExplicitEor(pub bool);

option!(ExplicitEor, "SCTP_EXPLICIT_EOR", ());

impl GetOpt for ExplicitEor {
    fn get(place: &mut Place<'_>, (): ()) -> io::Result<Self> {
        place.settings(AssocSel::Future).map(|s| Self(s.explicit_eor))
    }
}

impl SetOpt for ExplicitEor {
    fn set(&self, place: &mut Place<'_>, (): ()) -> io::Result<()> {
        let sel = place.whole();
        place.set(sel, |s| s.explicit_eor = self.0).map(drop)
    }
}

/// SO_LINGER (RFC 6458 section 8.1.4), for the moment that the socket is dropped: `Some(Duration::ZERO)` aborts its associations, all
/// else ends them gracefully in the background. To wait for that, `close` has a time of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Linger(pub Option<Duration>);

option!(Linger, "SO_LINGER", ());

impl GetOpt for Linger {
    fn get(place: &mut Place<'_>, (): ()) -> io::Result<Self> {
        place.settings(AssocSel::Future).map(|s| Self(s.linger))
    }
}

impl SetOpt for Linger {
    fn set(&self, place: &mut Place<'_>, (): ()) -> io::Result<()> {
        let sel = place.whole();
        place.set(sel, |s| s.linger = self.0).map(drop)
    }
}

/// SCTP_FRAGMENT_INTERLEAVE (RFC 6458 section 8.1.20): what may come between two parts of a message.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum FragmentInterleave {
    /// Level 0: nothing. On a one-to-many socket a peer that does not finish its message keeps all others from being heard.
    None,
    /// Level 1: messages of other associations, and notifications.
    #[default]
    Associations,
    /// Level 2: messages of other streams, too.
    Complete,
}

impl FragmentInterleave {
    pub(in crate::socket) fn keeps_to_one(self) -> bool {
        self == Self::None
    }
}

option!(FragmentInterleave, "SCTP_FRAGMENT_INTERLEAVE", ());

impl GetOpt for FragmentInterleave {
    fn get(place: &mut Place<'_>, (): ()) -> io::Result<Self> {
        if place.config(AssocSel::Future)?.interleave_streams {
            return Ok(Self::Complete);
        }
        // One association has nobody to be interleaved with.
        if place.is_one_to_many()? { Ok(place.node.socket(place.ep)?.interleave) } else { Ok(Self::None) }
    }
}

impl SetOpt for FragmentInterleave {
    fn set(&self, place: &mut Place<'_>, (): ()) -> io::Result<()> {
        let sel = place.whole();
        place.configure(sel, |cfg| cfg.interleave_streams = *self == Self::Complete)?;
        if place.is_one_to_many()? {
            place.node.socket_mut(place.ep)?.interleave = *self;
        }
        Ok(())
    }
}
