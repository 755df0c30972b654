//! The extensions, one file each (design: they take the whole [`Core`], which names none of them).
//!
//! Each is a field of [`Extensions`] whose presence means "negotiated", and has the methods `offer`, `negotiate`, `on_chunk` and
//! `emit` where it needs them. What both sides say of them in INIT and INIT ACK are [`Terms`]. A chunk of an extension's own goes out
//! through the core's queue of control chunks, as [`Control::Encoded`](super::core::Control).

mod auth;
mod ecn;
mod idata;
mod partial_reliability;
mod terms;

pub(crate) use self::auth::{Auth, Entry, Gate, KeyVector, Rejection, verify_once as verify_auth};
pub(crate) use self::ecn::Ecn;
pub(crate) use self::partial_reliability::PartialReliability;
pub use self::terms::{Capabilities, Terms};
use super::core::{Context, Core};
use super::dispatch::Arrival;
use crate::config::AssocConfig;
use crate::num::Tsn;
use crate::time::Time;
use crate::wire::Chunk;
use crate::wire::chunk::kind;

/// The negotiated extensions of an association.
#[derive(Debug, Default)]
pub(crate) struct Extensions {
    /// Authentication.
    pub(crate) auth: Option<Auth>,
    /// Explicit congestion notification.
    pub(crate) ecn: Option<Ecn>,
    /// Partial reliability.
    pub(crate) partial_reliability: Option<PartialReliability>,
}

impl Extensions {
    /// Those that both sides agreed on, at their beginning: `core` knows what both said.
    pub(crate) fn negotiate(core: &mut Core) -> Self {
        let auth = Auth::negotiate(core);
        core.tx.reserve(auth.as_ref().map_or(0, Auth::data_overhead));
        let agreed = core.agreed();
        Self { auth, ecn: Ecn::negotiate(agreed), partial_reliability: PartialReliability::negotiate(agreed, core) }
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
            kind::FORWARD_TSN | kind::I_FORWARD_TSN => self.partial_reliability.is_some(),
            _ => true,
        }
    }

    /// A chunk of the peer, before the core sees it.
    pub(in crate::assoc) fn on_chunk(&mut self, core: &mut Core, ctx: &mut Context<'_>, _at: &Arrival<'_>, chunk: &Chunk<'_>) {
        if let Some(ecn) = &mut self.ecn {
            ecn.on_chunk(core, ctx.now, chunk);
        }
        if let Some(pr) = &mut self.partial_reliability {
            pr.on_chunk(core, chunk);
        }
    }

    /// The end of a packet whose lowest DATA chunk is `lowest`.
    pub(crate) fn on_data_packet(&mut self, core: &mut Core, lowest: Tsn, mark: Option<crate::net::Ecn>) {
        if let Some(ecn) = &mut self.ecn {
            ecn.on_data_packet(core, lowest, mark);
        }
    }

    /// When [`Self::on_timeout`] wants to be called.
    #[expect(clippy::unused_self, reason = "the extensions with timers are being built")]
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        None
    }

    /// Serves the timers of extensions that have expired.
    #[expect(clippy::unused_self, reason = "the extensions with timers are being built")]
    pub(crate) fn on_timeout(&mut self, _core: &mut Core, _ctx: &mut Context<'_>) {}
}
