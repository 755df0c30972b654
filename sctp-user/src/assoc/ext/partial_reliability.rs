//! Partial reliability (RFC 3758), with the policies of RFC 7496.
//!
//! The sender gives up messages by the policy that the user chose ([`Reliability`](crate::Reliability)): what of it is in the queue and
//! among the chunks that were sent is the business of [`Tx`](crate::assoc::tx::Tx). FORWARD TSN tells the receiver, which waits no more.

use super::Capabilities;
use crate::assoc::core::Core;
use crate::event::Event;
use crate::time::Time;
use crate::wire::chunk::ForwardTsn;
use crate::wire::{Cause, Chunk, PacketWriter};

/// Partial reliability, which is negotiated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartialReliability;

impl PartialReliability {
    /// If both sides have it, the sender may give up what it has sent.
    pub(super) fn negotiate(agreed: Capabilities, core: &mut Core) -> Option<Self> {
        // With I-DATA it takes I-FORWARD-TSN (RFC 8260 section 2.3.1).
        if !agreed.partial_reliability || agreed.interleaving {
            return None;
        }
        core.tx.allow_abandoning();
        Some(Self)
    }

    /// A chunk of the peer.
    pub(super) fn on_chunk(&mut self, core: &mut Core, chunk: &Chunk<'_>) {
        match chunk {
            Chunk::ForwardTsn(forward) => Self::on_forward_tsn(core, forward),
            // RFC 8260 section 2.3.1.
            Chunk::IForwardTsn(_) => {
                let what = "I-FORWARD-TSN without I-DATA";
                core.violate(what, &Cause::ProtocolViolation(what.as_bytes()));
            }
            _ => {}
        }
    }

    fn on_forward_tsn(core: &mut Core, forward: &ForwardTsn<'_>) {
        if !core.state.receives_data() {
            return;
        }
        core.counters.in_forward_tsns += 1;
        let Some(rx) = &mut core.rx else { return };
        if let Some((sid, ssn, unordered)) = rx.on_forward_tsn(forward) {
            core.events.push_back(Event::PartialDeliveryAborted { sid, ssn, unordered });
        }
    }

    /// A packet goes where data goes: FORWARD TSN before the DATA (section 3.5 F2).
    pub(crate) fn emit(core: &mut Core, now: Time, pkt: &mut PacketWriter<'_>) {
        let path = core.paths.data_path();
        core.counters.out_ctrl_chunks += u64::from(core.tx.push_forward(now, path, &mut core.paths, pkt));
    }
}
