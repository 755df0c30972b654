//! Paths that come to an end while data is outstanding on them (RFC 5061 section 5.3 rule F13).

use super::Tx;
use super::outstanding::ChunkState;
use crate::assoc::path::{PathId, Paths};
use crate::time::Time;

impl Tx {
    /// Nothing goes to path `gone` any more: what is outstanding there is sent again, by `heir`, without counting as congestion.
    pub(crate) fn leave_path(&mut self, now: Time, gone: PathId, heir: PathId, paths: &mut Paths) {
        self.changed.clear();
        self.changed.extend(self.out.unacked(self.out.next_index()));
        for at in 0..self.changed.len() {
            let Some(&index) = self.changed.get(at) else { break };
            let Some(chunk) = self.out.get(index).filter(|c| c.path == gone) else { continue };
            if chunk.state == ChunkState::InFlight {
                self.mark(index, paths);
            }
            if let Some(p) = paths.get_mut(gone) {
                p.outstanding = p.outstanding.saturating_sub(1);
            }
            if let Some(p) = paths.get_mut(heir) {
                p.outstanding += 1;
            }
        }
        // What the peer has acknowledged it may take back.
        self.out.move_path(gone, heir);
        // The wait for the peer's window goes on there.
        let waits = self.out.is_empty() && paths.get_mut(gone).is_some_and(|p| p.t3.take().is_some());
        if let Some(p) = paths.get_mut(heir).filter(|p| waits && p.t3.is_none()) {
            p.restart_t3(now);
        }
        self.begin_opportunity();
    }

    /// Path `old` is number `new` from now on.
    pub(crate) fn rename_path(&mut self, old: PathId, new: PathId) {
        self.out.rename_path(old, new);
    }
}
