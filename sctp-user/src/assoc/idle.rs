//! What the user wants to know or to happen when nothing is under way: the end of an idle association (RFC 6458 section 8.1.8),
//! and the news that all data is acknowledged (section 6.1.9).

use super::core::{Context, Core};
use super::state::State;
use super::timers::Timer;
use crate::event::Event;
use crate::time::Time;

/// Whether the user wants to know that everything is acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Dry {
    /// No.
    #[default]
    Unwanted,
    /// Yes, and something may be under way.
    Wanted,
    /// Yes, and the user was told since the last message.
    Told,
}

impl Core {
    /// User data goes in either direction.
    pub(super) fn note_data(&mut self, now: Time) {
        self.last_data = now;
    }

    /// The association was established, or the time after which it counts as idle has changed.
    pub(super) fn start_autoclose(&mut self, now: Time) {
        match self.cfg.autoclose {
            Some(after) if self.state == State::Established => {
                self.last_data = self.last_data.max(now);
                self.timers.start(Timer::Autoclose, now + after);
            }
            _ => self.timers.stop(Timer::Autoclose),
        }
    }

    /// The timer does not follow each message: it looks when the last one was, and waits for what is left.
    pub(super) fn on_autoclose(&mut self, ctx: &mut Context<'_>) {
        let Some(after) = self.cfg.autoclose.filter(|_| self.state == State::Established) else { return };
        let due = self.last_data + after;
        if due > ctx.now {
            self.timers.start(Timer::Autoclose, due);
        } else {
            tracing::debug!(assoc = self.id.get(), "idle: shut down");
            self.shutdown(ctx);
        }
    }

    /// Whether [`Event::SenderDry`] is wanted. If nothing is under way it comes at once.
    pub(crate) fn notify_when_dry(&mut self, on: bool) {
        self.dry = if on { Dry::Wanted } else { Dry::Unwanted };
        self.tell_dry();
    }

    /// The user has handed in a message.
    pub(super) fn not_dry(&mut self) {
        if self.dry == Dry::Told {
            self.dry = Dry::Wanted;
        }
    }

    /// Something was acknowledged.
    pub(super) fn tell_dry(&mut self) {
        if self.dry == Dry::Wanted && self.tx.is_drained() && !self.state.is_opening() && self.state != State::Closed {
            self.dry = Dry::Told;
            self.events.push_back(Event::SenderDry);
        }
    }
}
