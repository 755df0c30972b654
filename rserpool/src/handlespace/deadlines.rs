//! Deadlines of the elements, one of a kind each, that are cheap to postpone.
//!
//! An element that renews its registration, or answers a keep-alive, postpones a deadline that is far away. So the time
//! is only noted in the record. What is queued stays where it is, too early, and finds its right place when its turn
//! comes. The same holds for elements that go: what is queued belongs to the slot, and serves the next one in it.

use sctp_user::Time;

use super::record::Record;
use super::store::heap::{Entry, Heap};
use super::store::list::NONE;
use super::store::segmented::Segmented;

/// When registrations expire.
pub(super) const EXPIRY: usize = 0;
/// When something is due that is the user's business.
pub(super) const TIMER: usize = 1;

/// In `due_place`: the deadline counts. Otherwise the time is only the last one that did.
const ARMED: u32 = 1 << 31;

#[allow(clippy::cast_possible_truncation, reason = "taken in halves")]
const fn entry(at: Time, slot: u32) -> Entry<[u32; 2]> {
    Entry { rank: [(at.as_nanos() >> 32) as u32, at.as_nanos() as u32], item: slot }
}

const fn time(e: &Entry<[u32; 2]>) -> Time {
    let [high, low] = e.rank;
    Time::from_nanos((high as u64) << 32 | low as u64)
}

/// The deadlines of a kind. Those that are queued: never later than they are due.
#[derive(Debug)]
pub(super) struct Deadlines<const KIND: usize> {
    queue: Heap<[u32; 2]>,
}

impl<const KIND: usize> Deadlines<KIND> {
    pub(super) const fn new() -> Self {
        Self { queue: Heap::new() }
    }

    /// The deadline of what is in a slot.
    pub(super) const fn get(record: &Record) -> Option<Time> {
        if record.due_place[KIND] & ARMED != 0 && record.due_place[KIND] != NONE { Some(record.due_at[KIND]) } else { None }
    }

    pub(super) fn set(&mut self, records: &mut Segmented<Record>, slot: u32, at: Time) {
        let record = &mut records[slot];
        let place = record.due_place[KIND];
        record.due_place[KIND] = place | ARMED;
        let before = core::mem::replace(&mut record.due_at[KIND], at);
        if place == NONE {
            record.due_place[KIND] = ARMED;
            self.queue.push(entry(at, slot), |item, place| Self::moved(records, item, place));
        } else if at < before {
            self.advance(records, slot, at);
        }
    }

    /// There is no deadline any more.
    pub(super) fn clear(records: &mut Segmented<Record>, slot: u32) {
        let place = &mut records[slot].due_place[KIND];
        if *place != NONE {
            *place &= !ARMED;
        }
    }

    /// There is no deadline, nor is one likely soon, but a time to remember.
    pub(super) fn remember(&mut self, records: &mut Segmented<Record>, slot: u32, at: Time) {
        let record = &mut records[slot];
        record.due_at[KIND] = at;
        let place = core::mem::replace(&mut record.due_place[KIND], NONE);
        if place != NONE {
            self.queue.remove(place & !ARMED, |item, place| Self::moved(records, item, place));
        }
    }

    /// Sees to it that what is queued is not later than `at`.
    fn advance(&mut self, records: &mut Segmented<Record>, slot: u32, at: Time) {
        let place = records[slot].due_place[KIND] & !ARMED;
        if self.queue.get(place).is_some_and(|e| at < time(&e)) {
            self.queue.replace(place, entry(at, slot), |item, place| Self::moved(records, item, place));
        }
    }

    fn moved(records: &mut Segmented<Record>, slot: u32, place: u32) {
        let due = &mut records[slot].due_place[KIND];
        *due = *due & ARMED | place;
    }

    /// Never later than the first deadline.
    pub(super) fn next(&self) -> Option<Time> {
        self.queue.first().map(|e| time(&e))
    }

    /// A slot whose deadline is not after `now`, the earliest first. It has none then.
    pub(super) fn pop(&mut self, records: &mut Segmented<Record>, now: Time) -> Option<u32> {
        loop {
            let first = self.queue.first().filter(|e| time(e) <= now)?;
            let slot = first.item;
            let due = Self::get(&records[slot]);
            match due {
                Some(at) if at > time(&first) => {
                    self.queue.replace(0, entry(at, slot), |item, place| Self::moved(records, item, place));
                }
                _ => {
                    records[slot].due_place[KIND] = NONE;
                    self.queue.remove(0, |item, place| Self::moved(records, item, place));
                    if due.is_some() {
                        return Some(slot);
                    }
                }
            }
        }
    }

    pub(super) fn audit(&self, records: &Segmented<Record>) -> Result<(), String> {
        if !self.queue.is_sorted() {
            return Err(format!("deadlines {KIND} are not sorted"));
        }
        for (place, e) in (0u32..).zip(self.queue.iter()) {
            let record = records.get(e.item).ok_or_else(|| format!("a deadline of no slot {}", e.item))?;
            if record.due_place[KIND] == NONE || record.due_place[KIND] & !ARMED != place {
                return Err(format!("slot {} is queued at another place than {place}", e.item));
            }
            if record.due_at[KIND] < time(e) {
                return Err(format!("slot {} is due before its turn", e.item));
            }
            if record.serial == 0 && Self::get(record).is_some() {
                return Err(format!("the vacant slot {} is due", e.item));
            }
        }
        let queued = (0..records.len()).filter(|slot| records[*slot].due_place[KIND] != NONE).count();
        if queued == self.queue.len() as usize { Ok(()) } else { Err(format!("{queued} queued, not {}", self.queue.len())) }
    }
}
