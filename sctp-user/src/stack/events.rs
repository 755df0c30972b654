//! What associations tell the user: by way of one queue, with counters and bounds.

use super::Stack;
use crate::error::CloseReason;
use crate::event::{AssocId, EndpointId, Event};
use crate::stats::StackCounters;

/// Most notifications of one association that a peer can cause at will ([`Event::RemoteError`], [`Event::Restarted`] and the
/// like) and that wait in [`Stack::poll_event`]; further ones are dropped and counted.
pub(super) const MAX_NOTICES: u8 = 16;
/// The same for [`Event::PathState`]: all paths may fail at once.
const MAX_PATH_NOTICES: u8 = MAX_NOTICES + 64;

impl Stack {
    /// The next notification. After [`Event::Lost`] the association is kept until [`crate::Assoc::recv`] has answered `None` once, or
    /// [`Stack::forget`] was called.
    #[inline]
    pub fn poll_event(&mut self) -> Option<(EndpointId, AssocId, Event)> {
        let item = self.events.pop_front()?;
        if !is_usual(&item.2) {
            self.note_told(&item);
        }
        Some(item)
    }

    /// Takes the next notification if it is [`Event::Readable`], and tells whose.
    #[cfg(feature = "socket")]
    #[inline]
    pub(crate) fn poll_readable(&mut self) -> Option<AssocId> {
        self.events.pop_front_if(|(_, _, event)| matches!(event, Event::Readable)).map(|(_, id, _)| id)
    }

    /// Whether [`Self::poll_event`] has something to tell.
    #[cfg(feature = "socket")]
    pub(crate) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// The user learns of an event.
    fn note_told(&mut self, (ep, id, event): &(EndpointId, AssocId, Event)) {
        let Some(core) = self.assocs.get_mut(*id).map(|a| &mut a.core) else { return };
        core.notices -= u8::from(is_notice(event)).min(core.notices);
        match event {
            Event::Connected { .. } if core::mem::take(&mut core.unnoticed) => self.ports.noticed(*ep),
            Event::Lost { .. } if !core.has_message() => self.forget(*id),
            _ => {}
        }
    }

    /// Takes what an association wants to tell the user.
    pub(super) fn pass_on_events(&mut self, id: AssocId) {
        let Some(core) = self.assocs.get_mut(id).map(|a| &mut a.core) else { return };
        if core.events.take_readable() {
            self.events.push_back((core.ep, id, Event::Readable));
        }
        if core.events.has_others() {
            self.pass_on_others(id);
        }
    }

    /// Rare, and not part of what each packet with user data goes by.
    #[cold]
    #[inline(never)]
    fn pass_on_others(&mut self, id: AssocId) {
        let Some(core) = self.assocs.get_mut(id).map(|a| &mut a.core) else { return };
        for e in core.events.take_others() {
            if !is_usual(&e) {
                Self::follow(&mut self.lookup, core, &e);
                count_event(&mut self.counters, &e);
                if is_notice(&e) {
                    let path = matches!(e, Event::PathState { .. } | Event::PathMtu { .. });
                    if core.notices >= if path { MAX_PATH_NOTICES } else { MAX_NOTICES } {
                        core.counters.rare().dropped_events += 1;
                        continue;
                    }
                    core.notices += 1;
                }
            }
            self.events.push_back((core.ep, id, e));
        }
    }
}

/// Whether it tells of messages or of room, as most do: the stack has nothing to note of it.
fn is_usual(event: &Event) -> bool {
    matches!(event, Event::Readable | Event::Writable)
}

/// Whether a peer can cause it as often as it likes.
fn is_notice(event: &Event) -> bool {
    matches!(
        event,
        Event::RemoteError(_)
            | Event::Authentication { .. }
            | Event::Restarted
            | Event::ShutdownReceived
            | Event::PathState { .. }
            | Event::PathMtu { .. }
            | Event::StreamsReset { .. }
            | Event::AssociationReset { .. }
            | Event::StreamsChanged { .. }
    )
}

/// What the life of an association adds to the counters of its stack.
fn count_event(counters: &mut StackCounters, event: &Event) {
    let counter = match event {
        Event::Connected { incoming: false, .. } => &mut counters.active_estabs,
        Event::Connected { incoming: true, .. } => &mut counters.passive_estabs,
        Event::Restarted => &mut counters.restarts,
        Event::Lost { reason: CloseReason::Shutdown } => &mut counters.shutdowns,
        Event::Lost { reason: CloseReason::ConnectTimeout | CloseReason::Refused(_) } => return,
        Event::Lost { .. } => &mut counters.aborteds,
        _ => return,
    };
    *counter += 1;
}
