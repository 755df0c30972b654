//! The one place where changes of the handlespace are noticed by those who want to know: peers and subscribers.

use sctp_user::Time;

use super::Registrar;
use crate::handlespace::ElementKey;
use crate::wire::UpdateAction;

/// What becomes of an element whose home this registrar is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    /// It has joined its pool, or has come over from another home.
    Added,
    /// It has renewed its registration: a new life begins, and with `changed` it says something else of itself.
    Renewed {
        /// Whether anything but the time is different.
        changed: bool,
    },
    /// It is about to be removed; it is still in the handlespace.
    Removed,
}

impl Registrar {
    /// An element whose home we are has changed. Called once per change, while the element is in the handlespace.
    pub(super) fn element_changed(&mut self, now: Time, key: ElementKey, change: Change) {
        let Some(handle) = self.space.element(key).map(|e| e.handle().clone()) else { return };
        let action = if change == Change::Removed { UpdateAction::Delete } else { UpdateAction::Add };
        self.tell_peers(key, action);
        if change != (Change::Renewed { changed: false }) {
            self.pool_changed(now, &handle);
        }
    }
}
