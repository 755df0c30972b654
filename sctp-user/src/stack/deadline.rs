//! Deadlines of many things, one each, in the order of time: for what is built on a stack, which has alarms of its own.

use std::collections::{BTreeMap, BTreeSet};

use crate::time::Time;

/// A set of deadlines, at most one per key; ties are served in the order of the keys, so that runs are reproducible.
#[derive(Clone, Debug)]
pub struct DeadlineSet<K> {
    order: BTreeSet<(Time, K)>,
    at: BTreeMap<K, Time>,
}

impl<K> Default for DeadlineSet<K> {
    fn default() -> Self {
        Self { order: BTreeSet::new(), at: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> DeadlineSet<K> {
    /// Sets, moves or (with `None`) removes the deadline of `key`.
    pub fn set(&mut self, key: K, at: Option<Time>) {
        let before = self.at.get(&key).copied();
        if before == at {
            return;
        }
        if let Some(t) = before {
            self.order.remove(&(t, key.clone()));
        }
        match at {
            Some(t) => {
                self.order.insert((t, key.clone()));
                self.at.insert(key, t);
            }
            None => {
                self.at.remove(&key);
            }
        }
    }

    /// The deadline of `key`.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<Time> {
        self.at.get(key).copied()
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next(&self) -> Option<Time> {
        self.order.first().map(|(t, _)| *t)
    }

    /// Takes a key whose deadline is not after `now`.
    pub fn pop_expired(&mut self, now: Time) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        let (_, key) = self.order.pop_first()?;
        self.at.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn served_in_order_of_time_then_key() {
        let mut set = DeadlineSet::default();
        set.set(3, Some(Time::from_millis(5)));
        set.set(1, Some(Time::from_millis(9)));
        set.set(2, Some(Time::from_millis(5)));
        set.set(1, Some(Time::from_millis(4)));
        set.set(4, Some(Time::from_millis(1)));
        set.set(4, None);
        assert_eq!(set.next(), Some(Time::from_millis(4)));
        let now = Time::from_millis(5);
        assert_eq!(
            [set.pop_expired(now), set.pop_expired(now), set.pop_expired(now), set.pop_expired(now)],
            [Some(1), Some(2), Some(3), None]
        );
    }
}
