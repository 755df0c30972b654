//! The extensions, one file each (design: they take the whole [`Core`], which names none of them).
//!
//! Each is a field of [`Extensions`] whose presence means "negotiated", and has the methods `offer`, `negotiate`, `on_chunk` and
//! `emit` where it needs them. What both sides say of them in INIT and INIT ACK are [`Terms`]. A chunk of an extension's own goes out
//! through the core's queue of control chunks, as [`Control::Encoded`](super::core::Control).

mod asconf;
mod auth;
mod ecn;
mod idata;
mod partial_reliability;
mod reconfig;
mod terms;
mod zero_checksum;

pub(crate) use self::asconf::{Asconf, Goal};
pub(crate) use self::auth::{Auth, Entry, Gate, KeyParams, KeyVector, Rejection, verify_once as verify_auth};
pub(crate) use self::ecn::Ecn;
pub(crate) use self::partial_reliability::PartialReliability;
use self::reconfig::Reconfig;
pub(crate) use self::reconfig::{LazyReconfig, What};
pub(crate) use self::terms::TermsReader;
pub use self::terms::{Capabilities, Terms};
use self::zero_checksum::ZeroChecksum;
use std::net::IpAddr;

use super::cookie::MAX_ADDRS;
use super::core::{Context, Core};
use super::dispatch::Arrival;
use super::path::source;
use super::state::State;
use crate::config::AssocConfig;
use crate::num::Tsn;
use crate::time::{Earliest, Time};
use crate::wire::Chunk;
use crate::wire::chunk::kind;

/// The negotiated extensions of an association.
#[derive(Debug, Default)]
pub(crate) struct Extensions {
    /// Authentication.
    pub(crate) auth: Option<Auth>,
    /// Explicit congestion notification.
    pub(crate) ecn: Option<Ecn>,
    /// Dynamic address reconfiguration.
    pub(crate) asconf: Option<Asconf>,
    /// Partial reliability.
    pub(crate) partial_reliability: Option<PartialReliability>,
    /// Stream reconfiguration.
    pub(crate) reconfig: Option<LazyReconfig>,
    /// Zero checksum.
    zero_checksum: Option<ZeroChecksum>,
}

impl Extensions {
    /// Those that both sides agreed on, at their beginning: `core` knows what both said.
    pub(crate) fn negotiate(core: &mut Core) -> Self {
        let auth = Auth::negotiate(core);
        core.tx.reserve(auth.as_ref().map_or(0, Auth::data_overhead));
        let agreed = core.agreed();
        Self {
            auth,
            ecn: Ecn::negotiate(agreed),
            asconf: Asconf::negotiate(core, agreed),
            partial_reliability: PartialReliability::negotiate(agreed, core),
            reconfig: LazyReconfig::negotiate(core),
            zero_checksum: ZeroChecksum::negotiate(core),
        }
    }

    /// The configuration of the association was changed from `old`.
    pub(super) fn on_reconfigured(&mut self, core: &mut Core, old: &AssocConfig) {
        if let Some(auth) = &mut self.auth {
            auth.on_reconfigured(core, &old.auth_keys);
        }
    }

    /// The end of a packet of the peer.
    pub(super) fn on_packet_end(&mut self, core: &mut Core) {
        if let Some(auth) = &mut self.auth {
            auth.free_keys(core);
        }
    }

    /// Nothing is under way: memory is given back.
    pub(super) fn release(&mut self) {
        if let Some(auth) = &mut self.auth {
            auth.release();
        }
    }

    /// Whether chunks of this type mean something in this association. One of an extension that was not negotiated is as unknown
    /// as any other (RFC 3758 section 3.3.1), but for I-DATA, which breaks the rules (RFC 8260 section 2.2.3).
    pub(crate) fn knows(&self, kind: u8) -> bool {
        match kind {
            kind::ASCONF | kind::ASCONF_ACK => self.asconf.is_some(),
            kind::FORWARD_TSN | kind::I_FORWARD_TSN => self.partial_reliability.is_some(),
            kind::RE_CONFIG => self.reconfig.is_some(),
            _ => true,
        }
    }

    /// Whether an ABORT that came to our address `ip` is to be ignored (RFC 5061 section 5.3.1).
    pub(crate) fn ignores_abort_to(&self, now: Time, ip: IpAddr, reflected: bool) -> bool {
        self.asconf.as_ref().is_some_and(|a| a.ignores_abort_to(now, ip, reflected))
    }

    /// A chunk of the peer, before the core sees it.
    pub(in crate::assoc) fn on_chunk(&mut self, core: &mut Core, ctx: &mut Context<'_>, at: &Arrival<'_>, chunk: &Chunk<'_>) {
        if let Some(asconf) = &mut self.asconf {
            asconf.on_chunk(core, ctx, at, chunk);
        }
        if let Some(ecn) = &mut self.ecn {
            ecn.on_chunk(core, ctx.now, chunk);
        }
        if let Some(pr) = &mut self.partial_reliability {
            pr.on_chunk(core, chunk);
        }
        if let Some(reconfig) = self.reconfig.as_mut().and_then(|r| r.for_chunk(chunk)) {
            reconfig.on_chunk(core, ctx, chunk);
            self.settle_tsns();
        }
    }

    /// The end of a packet, or the beginning of a transmission: what waited for either may go on.
    pub(in crate::assoc) fn advance(&mut self, core: &mut Core, ctx: &mut Context<'_>) {
        if let Some(reconfig) = self.reconfig.as_mut().and_then(LazyReconfig::used_mut).filter(|r| r.is_busy()) {
            reconfig.advance(core, ctx);
            self.settle_tsns();
        }
    }

    /// Whether [`Self::advance`] may have something to do.
    pub(in crate::assoc) fn is_waiting(&self) -> bool {
        self.reconfig.as_ref().and_then(LazyReconfig::used).is_some_and(Reconfig::is_busy)
    }

    /// TSNs may have begun anew, and who keeps some has to forget them.
    fn settle_tsns(&mut self) {
        if self.reconfig.as_mut().and_then(LazyReconfig::used_mut).is_some_and(Reconfig::take_renumbered)
            && let Some(ecn) = &mut self.ecn
        {
            ecn.begin_anew();
        }
    }

    /// The peer restarted, and these extensions with it: the user is told what will not be.
    pub(in crate::assoc) fn give_up(&mut self, core: &mut Core) {
        if let Some(reconfig) = self.reconfig.as_mut().and_then(LazyReconfig::used_mut) {
            reconfig.give_up(core);
        }
    }

    /// The end of a packet whose lowest DATA chunk is `lowest`.
    pub(crate) fn on_data_packet(&mut self, core: &mut Core, lowest: Tsn, mark: Option<crate::net::Ecn>) {
        if let Some(ecn) = &mut self.ecn {
            ecn.on_data_packet(core, lowest, mark);
        }
    }

    /// Tells when [`Self::on_timeout`] wants to be called.
    pub(crate) fn note_deadlines(&self, next: &mut Earliest) {
        next.note(self.asconf.as_ref().and_then(|a| a.next_deadline()));
        next.note(self.reconfig.as_ref().and_then(LazyReconfig::used).and_then(Reconfig::next_deadline));
    }

    /// Serves the timers of extensions that have expired.
    pub(crate) fn on_timeout(&mut self, core: &mut Core, ctx: &mut Context<'_>) {
        if let Some(asconf) = &mut self.asconf {
            asconf.on_timeout(core, ctx);
        }
        if let Some(reconfig) = self.reconfig.as_mut().and_then(LazyReconfig::used_mut).filter(|_| core.state != State::Closed) {
            reconfig.on_timeout(core, ctx);
        }
    }

    /// The INIT ACK has told what the peer has: what does not follow from that alone.
    pub(crate) fn begin(&mut self, core: &mut Core) {
        if core.cfg.brief_listing && core.local_terms.capabilities.asconf {
            let mut all = core.local_addrs.clone();
            core.local_addrs.truncate(source::BRIEF_LIST);
            if let Some(asconf) = self.asconf.as_mut().filter(|_| all.len() > source::BRIEF_LIST) {
                all.truncate(MAX_ADDRS);
                asconf.promise(Goal::Addresses(all));
            }
        }
    }

    /// The association is established.
    pub(crate) fn on_established(&mut self, core: &mut Core, ctx: &mut Context<'_>) {
        if let Some(asconf) = &mut self.asconf {
            asconf.proceed(core, ctx);
        }
    }

    /// The host slept: timers that expired meanwhile run once more before they count (rulings section 1 row 22).
    pub(crate) fn forgive(&mut self, core: &Core, now: Time) {
        if let Some(asconf) = &mut self.asconf {
            asconf.forgive(now, core.rto());
        }
    }

    /// After any change of the association: what became of its paths.
    pub(crate) fn settle(&mut self, core: &mut Core) {
        if let Some(asconf) = &mut self.asconf {
            asconf.settle_wish(core);
        }
    }
}
