//! What the sender shows of itself.

use super::Tx;
use crate::stack::SendSnapshot;

impl Tx {
    pub(crate) fn snapshot(&self) -> SendSnapshot {
        SendSnapshot {
            buffered: self.buffered(),
            buffer: self.cfg.send_buffer,
            messages: self.queue.messages(),
            chunks: self.out.len(),
            to_resend: self.out.marked_bytes(),
            in_flight: self.out.flight_payload(),
            peer_window: self.window.advertised(),
            recovering: self.recovery.is_some(),
        }
    }
}
