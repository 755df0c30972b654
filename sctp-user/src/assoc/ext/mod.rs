//! The extensions, one file each (design: they take the whole [`Core`], which names none of them).
//!
//! Each is a field of [`Extensions`] whose presence means "negotiated", and has the methods `offer`, `negotiate`, `on_chunk` and
//! `emit` where it needs them. Built: ECN (RFC 4960 Appendix A). To come: AUTH (RFC 4895), ASCONF (RFC 5061), RE-CONFIG
//! (RFC 6525), PR-SCTP (RFC 3758), I-DATA (RFC 8260), zero checksum (RFC 9653).

mod ecn;

pub(crate) use self::ecn::Ecn;
use super::core::Core;
use crate::config::{AssocConfig, StackConfig};
use crate::num::Tsn;
use crate::wire::{Chunk, Param};

/// Extensions by name: what we want and can, what the peer said, or what both agreed on. The last travels in the cookie.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Capabilities {
    /// Explicit congestion notification.
    pub ecn: bool,
}

impl Capabilities {
    /// What an association with this configuration wants, as far as the transport can.
    pub(crate) fn wanted(cfg: &AssocConfig, stack: &StackConfig) -> Self {
        Self { ecn: Ecn::offer(cfg, stack) }
    }

    /// What both have.
    pub(crate) fn both(self, other: Self) -> Self {
        Self { ecn: self.ecn && other.ecn }
    }

    /// Adds the parameters for an INIT or INIT ACK that say so.
    pub(crate) fn push_params(self, params: &mut Vec<Param<'_>>) {
        if self.ecn {
            params.push(Param::EcnCapable);
        }
    }

    /// As the bits of a number, for the cookie.
    pub(crate) fn to_bits(self) -> u16 {
        u16::from(self.ecn)
    }

    /// The reverse of [`Self::to_bits`].
    pub(crate) fn from_bits(bits: u16) -> Self {
        Self { ecn: bits & 1 != 0 }
    }
}

/// The negotiated extensions of an association.
#[derive(Debug, Default)]
pub(crate) struct Extensions {
    /// Explicit congestion notification.
    pub(crate) ecn: Option<Ecn>,
}

impl Extensions {
    /// Those that both sides agreed on, at their beginning.
    pub(crate) fn negotiate(agreed: Capabilities) -> Self {
        Self { ecn: Ecn::negotiate(agreed) }
    }

    /// A chunk of the peer, before the core sees it.
    pub(crate) fn on_chunk(&mut self, core: &mut Core, now: crate::time::Time, chunk: &Chunk<'_>) {
        if let Some(ecn) = &mut self.ecn {
            ecn.on_chunk(core, now, chunk);
        }
    }

    /// The end of a packet whose lowest DATA chunk is `lowest`.
    pub(crate) fn on_data_packet(&mut self, core: &mut Core, lowest: Tsn, mark: Option<crate::net::Ecn>) {
        if let Some(ecn) = &mut self.ecn {
            ecn.on_data_packet(core, lowest, mark);
        }
    }
}
