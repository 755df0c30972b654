//! Policies that choose in an order: the elements with the least keys, and among equals the one that was chosen longest
//! ago. A selection of n elements out of m takes O(n log m).

#![allow(clippy::cast_possible_truncation, reason = "a pool has fewer than 2^32 seats")]

use core::fmt;
use std::collections::BTreeSet;

use sctp_user::Entropy;

use super::Policy;
use crate::wire::PolicyParam;

/// What makes a policy out of the order.
pub trait Order: fmt::Debug + Send {
    /// What the elements are sorted by, the least first; ties are broken by the turn.
    type Key: Ord + Copy + fmt::Debug + Send;
    /// What the policy remembers of an element.
    type State: fmt::Debug + Send;

    /// The policy's number on the wire.
    fn number(&self) -> u32;

    /// The state of an element that registers with `param` (or again: then `old` is what was known); `None` if the values
    /// belong to another policy.
    fn state(&self, param: &PolicyParam, old: Option<&Self::State>) -> Option<Self::State>;

    /// The element's key.
    fn key(&self, state: &Self::State) -> Self::Key;

    /// The element was chosen and counts as used.
    fn used(&self, state: &mut Self::State) {
        let _ = state;
    }
}

#[derive(Debug)]
struct Entry<O: Order> {
    state: O::State,
    key: O::Key,
    turn: u64,
}

/// A policy made of an [`Order`].
#[derive(Debug)]
pub struct Sorted<O: Order> {
    order: O,
    /// By seat.
    entries: Vec<Entry<O>>,
    sorted: BTreeSet<(O::Key, u64, u32)>,
    /// Counts the turns: each element that joins or is used goes behind all others. 64 bits never wrap.
    turn: u64,
}

impl<O: Order> Sorted<O> {
    /// An empty one.
    pub const fn new(order: O) -> Self {
        Self { order, entries: Vec::new(), sorted: BTreeSet::new(), turn: 0 }
    }

    fn mark_used(&mut self, seat: u32) {
        self.turn += 1;
        let Some(e) = self.entries.get_mut(seat as usize) else { return };
        self.sorted.remove(&(e.key, e.turn, seat));
        self.order.used(&mut e.state);
        e.key = self.order.key(&e.state);
        e.turn = self.turn;
        self.sorted.insert((e.key, e.turn, seat));
    }
}

impl<O: Order> Policy for Sorted<O> {
    fn number(&self) -> u32 {
        self.order.number()
    }

    fn join(&mut self, values: &PolicyParam) {
        let Some(state) = self.order.state(values, None) else { return };
        self.turn += 1;
        let (key, turn, seat) = (self.order.key(&state), self.turn, self.len() as u32);
        self.entries.push(Entry { state, key, turn });
        self.sorted.insert((key, turn, seat));
    }

    fn renew(&mut self, seat: u32, values: &PolicyParam) {
        let Some(e) = self.entries.get_mut(seat as usize) else { return };
        let Some(state) = self.order.state(values, Some(&e.state)) else { return };
        self.sorted.remove(&(e.key, e.turn, seat));
        // A renewal is no reason to lose or to win a turn.
        e.key = self.order.key(&state);
        e.state = state;
        self.sorted.insert((e.key, e.turn, seat));
    }

    fn leave(&mut self, seat: u32) {
        if seat as usize >= self.entries.len() {
            return;
        }
        let e = self.entries.swap_remove(seat as usize);
        self.sorted.remove(&(e.key, e.turn, seat));
        let last = self.len() as u32;
        if let Some(moved) = self.entries.get(seat as usize) {
            self.sorted.remove(&(moved.key, moved.turn, last));
            self.sorted.insert((moved.key, moved.turn, seat));
        }
    }

    fn select(&mut self, n: usize, increment: Option<usize>, _rng: &mut dyn Entropy, out: &mut Vec<u32>) {
        let from = out.len();
        out.extend(self.sorted.iter().take(n).map(|(_, _, seat)| *seat));
        let used: Vec<u32> = out.iter().skip(from).take(increment.unwrap_or(1)).copied().collect();
        for seat in used {
            self.mark_used(seat);
        }
    }

    fn len(&self) -> usize {
        self.entries.len()
    }
}
