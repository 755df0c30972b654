//! What the receiver shows of itself.

use super::Rx;
use crate::stack::ReceiveSnapshot;

impl Rx {
    pub(crate) fn snapshot(&self) -> ReceiveSnapshot {
        let (held, memory, buffer) = self.window.books();
        ReceiveSnapshot {
            held,
            memory,
            buffer,
            window: self.window.a_rwnd(self.starving()),
            messages: self.assembler.ready().len(),
            gaps: self.tracker.gaps(),
        }
    }
}
