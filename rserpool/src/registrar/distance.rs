//! How far elements are away, for the policies that prefer near ones (draft-dreibholz-rserpool-delay): the home registrar
//! sets the distance of its elements to half the round-trip time of their associations, every other registrar adds its own
//! distance to the one that told it.

use core::time::Duration;

use super::{AssocKey, Registrar};
use crate::wire::RegistrarId;

impl Registrar {
    pub(super) fn path_rtt(&mut self, assoc: AssocKey, rtt: Duration) {
        if let Some(client) = self.clients.get_mut(&assoc) {
            client.rtt = Some(rtt);
        } else {
            self.enrp.note_rtt(assoc, rtt);
        }
    }

    /// Half a round-trip time in milliseconds, rounded to a multiple of the step so that small changes do not matter; 0 as
    /// long as none was measured.
    pub(super) fn distance(&self, rtt: Option<Duration>) -> u32 {
        let step = self.cfg.distance_step.as_micros().max(1);
        let half = rtt.unwrap_or_default().as_micros() / 2;
        let rounded = (half + step / 2) / step * step;
        u32::try_from(rounded / 1_000).unwrap_or(u32::MAX)
    }

    /// The distance of another registrar.
    pub(super) fn distance_of_peer(&self, id: RegistrarId) -> u32 {
        self.distance(self.enrp.rtt_to(id))
    }
}
