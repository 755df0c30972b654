//! Partial reliability (RFC 3758), with the policies of RFC 7496.
//!
//! The sender gives up messages by the policy that the user chose ([`Reliability`](crate::Reliability)): what of it is in the queue and
//! among the chunks that were sent is the business of [`Tx`](crate::assoc::tx::Tx). FORWARD TSN tells the receiver, which waits no more.

use super::Capabilities;
use crate::assoc::core::Core;
use crate::time::Time;
use crate::wire::{Cause, Chunk, PacketWriter};

/// Partial reliability, which is negotiated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartialReliability;

impl PartialReliability {
    /// If both sides have it, the sender may give up what it has sent; with I-DATA only if both have I-FORWARD-TSN, too (RFC 8260 section
    /// 2.3.1). A peer that has not said so may send it all the same, and is understood.
    pub(super) fn negotiate(agreed: Capabilities, core: &mut Core) -> Option<Self> {
        if agreed.usable().partial_reliability {
            core.tx.allow_abandoning();
        }
        agreed.partial_reliability.then_some(Self)
    }

    /// A chunk of the peer.
    pub(super) fn on_chunk(&mut self, core: &mut Core, chunk: &Chunk<'_>) {
        if !core.state.receives_data() {
            return;
        }
        let Some(rx) = &mut core.rx else { return };
        let begun = match chunk {
            Chunk::ForwardTsn(forward) => rx.on_forward_tsn(forward),
            Chunk::IForwardTsn(forward) => rx.on_i_forward_tsn(forward),
            _ => return,
        };
        core.counters.rare().in_forward_tsns += 1;
        match begun {
            Ok(begun) => core.tell_broken_off(begun),
            Err(what) => core.violate(what, &Cause::ProtocolViolation(what.as_bytes())),
        }
    }

    /// A packet goes where data goes: FORWARD TSN before the DATA (section 3.5 F2).
    pub(crate) fn emit(core: &mut Core, now: Time, pkt: &mut PacketWriter<'_>) {
        let path = core.paths.data_path();
        core.counters.out_ctrl_chunks += u64::from(core.tx.push_forward(now, path, &mut core.paths, pkt));
    }
}
