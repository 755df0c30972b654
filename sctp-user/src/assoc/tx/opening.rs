//! The sender while the association is being opened: messages may be accepted, and ride behind the COOKIE ECHO, before the
//! peer's limits are known for good (RFC 9260 section 5.1).

use super::outstanding::ChunkState;
use super::rwnd::PeerWindow;
use super::{FragmentFormat, Tx};
use crate::assoc::path::Paths;
use crate::event::Undelivered;
use crate::num::Fsn;

impl Tx {
    /// The handshake told what the peer takes: `outbound` streams, a window of `peer_rwnd` bytes, and which kind of chunk. Answers
    /// the messages that were accepted for streams that there are not (section 5.1.1).
    pub(crate) fn establish(&mut self, outbound: u16, peer_rwnd: u32, format: FragmentFormat) -> Vec<Undelivered> {
        self.outbound_streams = outbound;
        self.queue.set_format(format);
        self.window = PeerWindow::new(peer_rwnd);
        self.queue.refuse_from(outbound)
    }

    /// Fragments are numbered as Linux does ([`AssocConfig::linux_fsn`](crate::AssocConfig::linux_fsn)).
    pub(crate) fn number_as_linux(&mut self) {
        self.queue.set_second(Fsn(0));
    }

    /// Whether chunks of another kind have been sent.
    pub(crate) fn has_begun_otherwise(&self, format: FragmentFormat) -> bool {
        !self.out.is_empty() && self.queue.format() != format
    }

    /// What rode behind a COOKIE ECHO is to be sent again, with the next one.
    pub(crate) fn retransmit_all(&mut self, paths: &mut Paths) {
        let all: Vec<_> = self.out.unacked(self.out.next_index()).collect();
        for index in all {
            if self.out.get(index).is_some_and(|c| c.state == ChunkState::InFlight) {
                self.mark(index, paths);
            }
        }
        // T1 is in charge; sending again starts T3 again.
        for (_, path) in paths.iter_mut() {
            path.t3 = None;
            path.rtt_probe = None;
        }
    }

    /// Whether a message was refused for want of room, and nobody was told since that there is some.
    pub(crate) fn take_refused(&mut self) -> bool {
        core::mem::take(&mut self.refused)
    }
}
