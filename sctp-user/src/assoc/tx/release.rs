//! Buffers of an idle sender go.

use super::Tx;

impl Tx {
    /// Gives back what is empty; for a sender with nothing to send and nothing outstanding.
    pub(crate) fn release_memory(&mut self) {
        self.queue.release();
        self.out.release();
        self.spans = Vec::new();
        self.changed = Vec::new();
    }
}
