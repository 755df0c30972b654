//! The timers of an association that belong to no path.

use crate::time::{Earliest, Time};

/// A timer of the association; T3-rtx and the heartbeat timer belong to the paths, the SACK timer to the receive side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Timer {
    /// T1-init and T1-cookie: INIT or COOKIE ECHO unanswered.
    T1,
    /// T2-shutdown: SHUTDOWN or SHUTDOWN ACK unanswered.
    T2,
    /// T5-shutdown-guard: the whole shutdown takes too long.
    T5,
    /// Confirmation of an ICMP port unreachable by a HEARTBEAT (rulings section 1 row 13).
    Unreachable,
    /// The association may have been idle for too long ([`crate::AssocConfig::autoclose`]).
    Autoclose,
}

const COUNT: usize = 5;

/// When each timer expires, if it runs.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct TimerTable {
    at: [Option<Time>; COUNT],
}

impl TimerTable {
    const ALL: [Timer; COUNT] = [Timer::T1, Timer::T2, Timer::T5, Timer::Unreachable, Timer::Autoclose];

    fn slot(&mut self, timer: Timer) -> &mut Option<Time> {
        let [t1, t2, t5, unreachable, autoclose] = &mut self.at;
        match timer {
            Timer::T1 => t1,
            Timer::T2 => t2,
            Timer::T5 => t5,
            Timer::Unreachable => unreachable,
            Timer::Autoclose => autoclose,
        }
    }

    /// Starts or restarts a timer.
    pub(crate) fn start(&mut self, timer: Timer, at: Time) {
        *self.slot(timer) = Some(at);
    }

    /// Stops a timer.
    pub(crate) fn stop(&mut self, timer: Timer) {
        *self.slot(timer) = None;
    }

    /// Stops all.
    pub(crate) fn stop_all(&mut self) {
        *self = Self::default();
    }

    /// Whether a timer runs.
    pub(crate) fn runs(&mut self, timer: Timer) -> bool {
        self.slot(timer).is_some()
    }

    /// When a timer expires, if it runs.
    pub(crate) fn at(&self, timer: Timer) -> Option<Time> {
        let [t1, t2, t5, unreachable, autoclose] = self.at;
        match timer {
            Timer::T1 => t1,
            Timer::T2 => t2,
            Timer::T5 => t5,
            Timer::Unreachable => unreachable,
            Timer::Autoclose => autoclose,
        }
    }

    /// Tells when they expire.
    pub(crate) fn note_all(&self, next: &mut Earliest) {
        self.at.iter().for_each(|at| next.note(*at));
    }

    /// Takes a timer that has expired, in a fixed order.
    pub(crate) fn take_expired(&mut self, now: Time) -> Option<Timer> {
        Self::ALL.into_iter().find(|t| {
            let slot = self.slot(*t);
            let expired = slot.is_some_and(|at| at <= now);
            if expired {
                *slot = None;
            }
            expired
        })
    }

    /// Gives every timer that has expired already another `grace` (rulings section 1 row 22).
    pub(crate) fn forgive(&mut self, now: Time, grace: core::time::Duration) {
        for slot in self.at.iter_mut().flatten() {
            if *slot <= now {
                *slot = now + grace;
            }
        }
    }
}
