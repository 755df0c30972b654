//! Deadlines of many things, one each, in the order of time.

use std::collections::{BTreeMap, BTreeSet};

use sctp_user::Time;

/// A set of deadlines, at most one per key. Equal ones are served in the order of the keys, so that runs are reproducible.
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
        let before = match at {
            Some(t) => self.at.insert(key.clone(), t),
            None => self.at.remove(&key),
        };
        if before == at {
            return;
        }
        if let Some(t) = before {
            self.order.remove(&(t, key.clone()));
        }
        if let Some(t) = at {
            self.order.insert((t, key));
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

    /// How many deadlines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.at.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn served_in_order_of_time_then_key() {
        let mut set = DeadlineSet::default();
        for (key, ms) in [(3, 5), (1, 9), (2, 5), (1, 4), (4, 1)] {
            set.set(key, Some(Time::from_millis(ms)));
        }
        set.set(4, None);
        assert_eq!((set.len(), set.next(), set.get(&2)), (3, Some(Time::from_millis(4)), Some(Time::from_millis(5))));
        let now = Time::from_millis(5);
        let served: Vec<i32> = core::iter::from_fn(|| set.pop_expired(now)).collect();
        assert_eq!(served, [1, 2, 3]);
        set.set(7, Some(Time::from_millis(6)));
        assert_eq!(set.pop_expired(now), None);
    }
}
