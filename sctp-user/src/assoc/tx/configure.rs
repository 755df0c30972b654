//! What of the configuration the sender keeps, at the start and after a change.

use super::{Tx, TxConfig};
use crate::config::AssocConfig;
use crate::sched;

impl TxConfig {
    pub(super) fn of(cfg: &AssocConfig) -> Self {
        Self {
            max_burst: cfg.max_burst,
            max_message: cfg.max_message,
            send_buffer: cfg.send_buffer,
            nagle: cfg.nagle,
            sender_i_bit: cfg.sender_i_bit,
            repeat_fast_retransmit: cfg.repeat_fast_retransmit,
            max_fragment: cfg.max_fragment.unwrap_or(usize::MAX),
            fragment: cfg.fragment,
        }
    }
}

impl Tx {
    /// Takes another scheduler, or other values for streams.
    pub(crate) fn set_scheduler(&mut self, cfg: &AssocConfig) {
        self.queue.set_scheduler(sched::new(cfg));
    }

    /// Takes new values: they count from the next packet, SACK or message on. Answers whether a send that was refused for want
    /// of room may be tried again.
    pub(crate) fn configure(&mut self, cfg: &AssocConfig) -> bool {
        self.cfg = TxConfig::of(cfg);
        // Without Nagle's rule what waited may go.
        self.begin_opportunity();
        self.is_writable_again()
    }
}
