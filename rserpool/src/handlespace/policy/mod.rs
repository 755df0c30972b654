//! Pool member selection policies (RFC 5356): which elements a resolution names.
//!
//! A pool with n elements has seats 0 to n - 1, one element each. Its policy object knows nothing but the seats and what
//! the elements registered. [`Policies`] is the list of what can be used; an application may add its own:
//!
//! ```
//! use rserpool::handlespace::policy::{Policies, Policy};
//! use rserpool::wire::PolicyParam;
//! use sctp_user::Entropy;
//!
//! /// Always those who joined last.
//! #[derive(Debug, Default)]
//! struct Latest {
//!     seats: u32,
//! }
//!
//! impl Policy for Latest {
//!     fn number(&self) -> u32 {
//!         0xb000_7777
//!     }
//!     fn join(&mut self, _values: &PolicyParam) {
//!         self.seats += 1;
//!     }
//!     fn renew(&mut self, _seat: u32, _values: &PolicyParam) {}
//!     fn leave(&mut self, _seat: u32) {
//!         self.seats -= 1;
//!     }
//!     fn select(&mut self, n: usize, _increment: Option<usize>, _rng: &mut dyn Entropy, out: &mut Vec<u32>) {
//!         out.extend((0..self.seats).rev().take(n));
//!     }
//!     fn len(&self) -> usize {
//!         self.seats as usize
//!     }
//! }
//!
//! let policies = Policies::standard().with(0xb000_7777, || Box::<Latest>::default());
//! assert_eq!(policies.of_number(0xb000_7777).map(|p| p.number()), Some(0xb000_7777));
//! ```

mod dpf;
mod least_used;
mod least_used_degradation;
mod least_used_degradation_dpf;
mod least_used_dpf;
mod priority;
mod priority_least_used;
mod priority_least_used_degradation;
mod priority_least_used_degradation_dpf;
mod priority_least_used_dpf;
mod random;
mod randomized_least_used;
mod randomized_least_used_degradation;
mod randomized_priority_least_used;
mod randomized_priority_least_used_degradation;
mod registry;
mod round_robin;
pub mod sorted;
mod sum;
pub mod weighted;
mod weighted_random;
mod weighted_random_dpf;
mod weighted_round_robin;

#[cfg(test)]
mod testing;

use core::fmt;

use sctp_user::Entropy;

pub use registry::{NUMBERS, Policies};

use crate::wire::PolicyParam;

/// A pool's policy with its index of the pool's seats.
pub trait Policy: fmt::Debug + Send {
    /// The number on the wire.
    fn number(&self) -> u32;

    /// An element joins: it takes the seat behind the last one.
    fn join(&mut self, values: &PolicyParam);

    /// The element in this seat registered again, perhaps with other values.
    fn renew(&mut self, seat: u32, values: &PolicyParam);

    /// The element in this seat leaves. Who has the last seat moves to this one, so that no seat is empty.
    fn leave(&mut self, seat: u32);

    /// Appends up to `n` distinct seats, the best first, to `out`. The first `increment` of them count as used, so that
    /// the next selection prefers others (RSPLIB: MaxIncrement); `None` stands for what suits the policy: 1, or 0 if
    /// being used makes no difference to it.
    fn select(&mut self, n: usize, increment: Option<usize>, rng: &mut dyn Entropy, out: &mut Vec<u32>);

    /// How many seats there are.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether being chosen makes a difference that a renewal with the same values takes back. If not, or if the element was not
    /// chosen since, the policy is not told of such a renewal.
    fn forgets(&self) -> bool {
        true
    }

    /// Checks the index against itself: for tests.
    ///
    /// # Errors
    /// What does not agree.
    fn audit(&self) -> Result<(), String> {
        Ok(())
    }
}
