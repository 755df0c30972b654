//! Policies that choose in an order: the elements with the least keys, and among equals the one that was chosen longest
//! ago. A selection of n elements out of m takes O(n log m).

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use sctp_user::Entropy;

use super::Policy;
use crate::wire::{ElementId, PolicyParam};

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
    entries: BTreeMap<ElementId, Entry<O>>,
    sorted: BTreeSet<(O::Key, u64, ElementId)>,
    /// Counts the turns: each element that joins or is used goes behind all others. 64 bits never wrap.
    turn: u64,
}

impl<O: Order> Sorted<O> {
    /// An empty one.
    pub const fn new(order: O) -> Self {
        Self { order, entries: BTreeMap::new(), sorted: BTreeSet::new(), turn: 0 }
    }

    fn next_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    fn mark_used(&mut self, id: ElementId) {
        let turn = self.next_turn();
        let Some(e) = self.entries.get_mut(&id) else { return };
        self.sorted.remove(&(e.key, e.turn, id));
        self.order.used(&mut e.state);
        e.key = self.order.key(&e.state);
        e.turn = turn;
        self.sorted.insert((e.key, e.turn, id));
    }
}

impl<O: Order> Policy for Sorted<O> {
    fn number(&self) -> u32 {
        self.order.number()
    }

    fn update(&mut self, id: ElementId, param: &PolicyParam) {
        let old = self.entries.get(&id);
        let Some(state) = self.order.state(param, old.map(|e| &e.state)) else { return };
        let key = self.order.key(&state);
        // A renewal is no reason to lose or to win a turn.
        let turn = match old {
            Some(e) => e.turn,
            None => self.next_turn(),
        };
        if let Some(e) = self.entries.insert(id, Entry { state, key, turn }) {
            self.sorted.remove(&(e.key, e.turn, id));
        }
        self.sorted.insert((key, turn, id));
    }

    fn remove(&mut self, id: ElementId) {
        if let Some(e) = self.entries.remove(&id) {
            self.sorted.remove(&(e.key, e.turn, id));
        }
    }

    fn select(&mut self, n: usize, increment: usize, _rng: &mut dyn Entropy, out: &mut Vec<ElementId>) {
        let from = out.len();
        out.extend(self.sorted.iter().take(n).map(|(_, _, id)| *id));
        let used: Vec<ElementId> = out.iter().skip(from).take(increment).copied().collect();
        for id in used {
            self.mark_used(id);
        }
    }

    fn len(&self) -> usize {
        self.entries.len()
    }

    fn contains(&self, id: ElementId) -> bool {
        self.entries.get(&id).is_some_and(|e| self.sorted.contains(&(e.key, e.turn, id)))
    }
}
