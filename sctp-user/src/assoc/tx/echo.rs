//! What congestion marks do to the window (RFC 3168 section 6.1.2): the same as a loss, and no more than once for each window of
//! data, whether marks or losses tell of it.

use super::Tx;
use super::outstanding::Index;
use crate::assoc::path::Paths;
use crate::cc::Loss;
use crate::num::Tsn;
use crate::time::Time;

/// The last reduction of the window for a mark.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Echo {
    /// The last chunk that had been sent then; 0 before any. What happened to this one and all before is told already.
    pub(super) exit: Index,
    /// Whether the SACK being processed told of a loss beyond it.
    pub(super) fresh_loss: bool,
}

impl Tx {
    /// The peer echoes a congestion mark on the packet with `tsn`. Answers whether the window was reduced, or `None` if that TSN was
    /// never sent.
    pub(crate) fn on_ecn_echo(&mut self, now: Time, tsn: Tsn, paths: &mut Paths) -> Option<bool> {
        let ahead = i64::from(tsn.distance(self.out.cum()));
        let acked = self.out.base() - 1;
        let index = acked.checked_add_signed(ahead).filter(|i| (1..self.out.next_index()).contains(i))?;
        if index <= self.echo.exit || self.recovery.is_some_and(|exit| index <= exit) {
            return Some(false);
        }
        self.echo.exit = self.out.next_index() - 1;
        // A chunk that is acknowledged by now has left no trace of its path.
        let id = self.out.get(index).map_or_else(|| paths.data_path(), |chunk| chunk.path);
        if let Some(path) = paths.get_mut(id) {
            path.cc.on_loss(now, Loss::EcnEcho { tsn });
        }
        Some(true)
    }

    /// Whether the data of the window is still on its way for which the window was reduced: it does not grow meanwhile.
    pub(super) fn is_reduced(&self) -> bool {
        self.out.base() <= self.echo.exit
    }

    /// Whether the next packet with DATA has only new chunks, and is no probe of a closed window.
    pub(crate) fn sends_only_new(&self, paths: &Paths) -> bool {
        let next = paths.get(paths.data_path()).and_then(|p| self.queue.next_len(self.max_fragment(p)));
        self.out.first_marked().is_none() && next.is_some_and(|len| !self.window.is_closed_for(len))
    }
}
