//! Explicit congestion notification (RFC 4960 Appendix A, RFC 3168).
//!
//! The receiver of a marked packet echoes its lowest TSN in an ECNE chunk before each SACK, until a CWR chunk covers it. The sender
//! reduces its window as after a loss, once for each window of data, and answers every ECNE by CWR. Packets with new DATA, and
//! no others, are sent as ECT(0) (RFC 3168 sections 6.1.4 to 6.1.6: neither acknowledgements nor retransmissions nor probes of
//! a closed window).

use super::Capabilities;
use crate::assoc::core::Core;
use crate::assoc::count::Counters;
use crate::config::{AssocConfig, StackConfig};
use crate::net;
use crate::num::Tsn;
use crate::time::Time;
use crate::wire::{Chunk, PacketWriter};

/// Length of an ECNE or CWR chunk.
const LEN: usize = 8;

/// State of ECN, which is negotiated.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Ecn {
    /// As receiver: the lowest TSN with a mark that no CWR has covered.
    echo: Option<Tsn>,
    /// As sender: the CWR that waits for DATA to go with.
    answer: Option<Tsn>,
}

impl Ecn {
    /// Whether it is offered to peers.
    pub(super) fn offer(cfg: &AssocConfig, stack: &StackConfig) -> bool {
        cfg.ecn && stack.ecn_marks
    }

    /// ECN at its beginning, if both sides have it.
    pub(super) fn negotiate(agreed: Capabilities) -> Option<Self> {
        agreed.ecn.then(Self::default)
    }

    /// A chunk of the peer.
    pub(super) fn on_chunk(&mut self, core: &mut Core, now: Time, chunk: &Chunk<'_>) {
        match *chunk {
            Chunk::Ecne(tsn) if core.state.sends_data() => {
                core.counters.rare().in_ecnes += 1;
                // An echo of what was never sent is no echo. Any other is answered: our last CWR may be lost.
                if let Some(reduced) = core.tx.on_ecn_echo(now, tsn, &mut core.paths) {
                    core.counters.rare().ecn_reductions += u64::from(reduced);
                    // A CWR covers all lower TSNs.
                    self.answer = Some(self.answer.filter(|waiting| waiting.after(tsn)).unwrap_or(tsn));
                }
            }
            Chunk::Cwr(tsn) if core.state.receives_data() => {
                core.counters.rare().in_cwrs += 1;
                self.echo.take_if(|echo| echo.at_or_before(tsn));
            }
            _ => {}
        }
    }

    /// TSNs began anew (RFC 6525): what is to be said of old ones means nothing.
    pub(super) fn begin_anew(&mut self) {
        *self = Self::default();
    }

    /// A packet with DATA came with this mark.
    pub(super) fn on_data_packet(&mut self, core: &mut Core, lowest: Tsn, mark: Option<net::Ecn>) {
        if mark == Some(net::Ecn::Ce) && core.state.receives_data() {
            core.counters.rare().in_marked_packs += 1;
            self.echo = Some(self.echo.filter(|echo| echo.before(lowest)).unwrap_or(lowest));
        }
    }

    /// Length of what [`Self::emit_with_sack`] writes.
    pub(crate) fn len_with_sack(&self) -> usize {
        if self.echo.is_some() { LEN } else { 0 }
    }

    /// A SACK goes: ECNE before it, so that the sender knows of the congestion before its window grows.
    pub(crate) fn emit_with_sack(&self, counters: &mut Counters, pkt: &mut PacketWriter<'_>) {
        if let Some(tsn) = self.echo {
            counters.rare().out_ecnes += 1;
            counters.out_ctrl_chunks += 1;
            pkt.push(&Chunk::Ecne(tsn));
        }
    }

    /// DATA goes: CWR before it.
    pub(crate) fn emit_with_data(&mut self, counters: &mut Counters, pkt: &mut PacketWriter<'_>) {
        if let Some(tsn) = self.answer.take_if(|_| pkt.fits(LEN)) {
            counters.rare().out_cwrs += 1;
            counters.out_ctrl_chunks += 1;
            pkt.push(&Chunk::Cwr(tsn));
        }
    }

    /// Whether a chunk of its own waits for the next packet with DATA.
    pub(crate) fn has_answer(&self) -> bool {
        self.answer.is_some()
    }
}
