//! Pool member selection policies (RFC 5356): which elements a resolution names.
//!
//! A pool has one policy object, which keeps its own index of the pool's elements. Policies that choose in an order
//! are instances of [`sorted::Sorted`]; those that draw lots will share a weighted tree beside it. [`of_number`] is the
//! one list of what is implemented.

mod least_used;
mod round_robin;
pub mod sorted;

use core::fmt;

use sctp_user::Entropy;

use crate::wire::{ElementId, PolicyParam};

/// A pool's policy with its index of the pool's elements.
pub trait Policy: fmt::Debug + Send {
    /// The number on the wire.
    fn number(&self) -> u32;

    /// Takes an element in, or new values for one that it has; values of another policy change nothing.
    fn update(&mut self, id: ElementId, param: &PolicyParam);

    /// Forgets an element.
    fn remove(&mut self, id: ElementId);

    /// Appends up to `n` distinct elements, the best first, to `out`. The first `increment` of them count as used, so
    /// that the next selection prefers others (RSPLIB: MaxIncrement, 1 for a registrar).
    fn select(&mut self, n: usize, increment: usize, rng: &mut dyn Entropy, out: &mut Vec<ElementId>);

    /// How many elements it knows.
    fn len(&self) -> usize;

    /// Whether it knows none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it knows this element.
    fn contains(&self, id: ElementId) -> bool;
}

/// A new, empty policy object for the policy of this number, if it is implemented.
#[must_use]
pub fn of_number(number: u32) -> Option<Box<dyn Policy>> {
    match number {
        0x0000_0001 => Some(Box::new(sorted::Sorted::new(round_robin::RoundRobin))),
        0x4000_0001 => Some(Box::new(sorted::Sorted::new(least_used::LeastUsed))),
        _ => None,
    }
}
