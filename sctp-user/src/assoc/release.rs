//! Memory that an association gives back while it is idle: of a hundred thousand, nearly all are.

use super::core::Core;
use super::rx::Rx;

impl Core {
    /// Nothing more is to be sent for now: queues that are used at the beginning, at the end and by HEARTBEATs only.
    pub(crate) fn rest(&mut self) {
        if self.control.is_empty() {
            self.control.shrink_to(0);
        }
    }

    /// A timer expired. If no data is under way in either direction, the buffers for it are given back; a transfer that goes on
    /// has acknowledgements in place of timers, and keeps them.
    pub(crate) fn release_idle_buffers(&mut self) {
        if self.tx.is_drained() {
            self.tx.release_memory();
        }
        if let Some(rx) = self.rx.as_mut().filter(|rx| !rx.has_message() && !rx.sack_pending()) {
            Rx::release(rx);
        }
    }
}
