//! What an association has to tell the user and the stack has not taken yet.

use std::collections::VecDeque;

use crate::event::Event;

/// Events in their order. Mostly there is none, or nothing but [`Event::Readable`], which needs no memory.
#[derive(Default, Debug)]
pub(crate) struct News {
    /// The first one is [`Event::Readable`].
    readable: bool,
    others: VecDeque<Event>,
}

impl News {
    /// Messages wait.
    pub(super) fn push_readable(&mut self) {
        if self.others.is_empty() {
            self.readable = true;
        } else {
            self.others.push_back(Event::Readable);
        }
    }

    /// Any other event.
    pub(super) fn push_back(&mut self, event: Event) {
        self.others.push_back(event);
    }

    /// Puts an event before those that came after the first `at`.
    pub(super) fn insert(&mut self, at: usize, event: Event) {
        self.others.insert(at.saturating_sub(self.readable.into()), event);
    }

    /// Takes the first one, if it is [`Event::Readable`]; whether it was.
    #[inline]
    pub(crate) fn take_readable(&mut self) -> bool {
        core::mem::replace(&mut self.readable, false)
    }

    /// Takes all others.
    pub(crate) fn take_others(&mut self) -> VecDeque<Event> {
        core::mem::take(&mut self.others)
    }

    /// Whether there are others.
    #[inline]
    pub(crate) fn has_others(&self) -> bool {
        !self.others.is_empty()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.others.len() + usize::from(self.readable)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        !self.readable && self.others.is_empty()
    }
}

impl Extend<Event> for News {
    fn extend<I: IntoIterator<Item = Event>>(&mut self, events: I) {
        self.others.extend(events);
    }
}
