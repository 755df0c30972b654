//! When associations want to be looked at: those of a hundred thousand that are first in time.
//!
//! A deadline of an association moves with every packet, mostly away: T3-rtx and the delayed SACK start and stop, and seldom expire. So it
//! is the association that knows its deadline, and here stands an alarm, which is no later. It follows when the deadline comes nearer, or
//! when it goes off: that may have been for nothing, about once in an RTO, and costs less than moving it all the time. Where an
//! association begins or ends, timers are few, and alarms are at the time.

use std::collections::BTreeSet;

use crate::event::AssocId;
use crate::time::Time;

/// The alarms, at most one for each association, which knows its own; ties go off in the order of the ids, so that runs are reproducible.
#[derive(Debug, Default)]
pub(super) struct Alarms(BTreeSet<(Time, AssocId)>);

impl Alarms {
    /// The earliest.
    pub(super) fn next(&self) -> Option<Time> {
        self.0.first().map(|(at, _)| *at)
    }

    /// The alarm of an association, which is `own` now, goes off at `deadline`, or earlier if it may be `lazy` and would else be moved away.
    pub(super) fn follow(&mut self, id: AssocId, own: &mut Option<Time>, deadline: Option<Time>, lazy: bool) {
        let is_early = own.is_some_and(|own| deadline.is_none_or(|at| own <= at));
        if *own == deadline || (lazy && is_early) {
            return;
        }
        self.cancel(id, own);
        if let Some(at) = deadline {
            self.0.insert((at, id));
            *own = Some(at);
        }
    }

    /// Takes an alarm back.
    pub(super) fn cancel(&mut self, id: AssocId, own: &mut Option<Time>) {
        if let Some(at) = own.take() {
            self.0.remove(&(at, id));
        }
    }

    /// Takes an alarm that goes off by `now`: its association has none any more.
    pub(super) fn pop_expired(&mut self, now: Time) -> Option<AssocId> {
        if self.next()? > now {
            return None;
        }
        self.0.pop_first().map(|(_, id)| id)
    }
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU32;

    use super::*;

    fn id(n: u32) -> AssocId {
        AssocId(NonZeroU32::new(n).unwrap())
    }

    #[test]
    fn they_come_nearer_and_go_off_in_order() {
        let mut alarms = Alarms::default();
        let at = |ms| Some(Time::from_millis(ms));
        let mut own = [None; 4];
        for (n, ms) in [(3, 5), (1, 9), (2, 5), (1, 4), (1, 7), (0, 1)] {
            alarms.follow(id(n + 1), &mut own[n as usize], at(ms), true);
        }
        alarms.follow(id(3), &mut own[2], None, true);
        alarms.follow(id(1), &mut own[0], None, false);
        assert_eq!((own, alarms.next()), ([None, at(4), at(5), at(5)], at(4)));
        alarms.follow(id(2), &mut own[1], at(5), false);
        assert_eq!((own[1], alarms.next()), (at(5), at(5)));
        alarms.follow(id(2), &mut own[1], at(4), false);
        assert_eq!(alarms.pop_expired(Time::from_millis(3)), None);
        let now = Time::from_millis(5);
        let off: Vec<_> = core::iter::from_fn(|| alarms.pop_expired(now)).collect();
        assert_eq!(off, [id(2), id(3), id(4)]);
    }
}
