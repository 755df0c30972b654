//! The unit of all figures: one random insertion into a `BTreeMap<u64, u64>`.

use std::collections::BTreeMap;
use std::hint::black_box;

use crate::bed::{Clock, batch, rounds, scatter, shuffled};

/// Nanoseconds for an insertion into a map that has (nearly) `size` keys.
pub(crate) fn random_insertion(size: usize, seed: u64) -> f64 {
    let key = |i: usize| scatter(i as u64) << 32 | scatter(!(i as u64));
    let mut map: BTreeMap<u64, u64> = (0..size).map(|i| (key(i), i as u64)).collect();
    // Built in random order, as it would have grown.
    let mut grown = BTreeMap::new();
    grown.extend(shuffled(size, size, seed).into_iter().map(|i| (key(i), i as u64)));
    assert_eq!(map, grown);
    map = grown;
    let clock = Clock::start();
    let (mut spent, mut count) = (0, 0);
    for round in 0..rounds(size) {
        let order = shuffled(size, batch(size), seed + round as u64);
        order.iter().for_each(|i| assert!(map.remove(&key(*i)).is_some()));
        let from = clock.now();
        for i in &order {
            black_box(map.insert(key(*i), *i as u64));
        }
        spent += clock.now() - from;
        count += order.len();
    }
    spent as f64 / count as f64
}
