//! Policies that draw lots: each element is chosen with a probability in proportion to its weight. A draw among m elements
//! takes O(log m).

use core::fmt;

use sctp_user::Entropy;

use super::super::store::segmented::Segmented;
use super::Policy;
use super::sum::SumTree;
use crate::wire::PolicyParam;

/// Up to so many, those that were drawn already are looked through at each draw.
const FEW: usize = 64;

/// What makes a policy out of the draw.
pub trait Chance: fmt::Debug + Default + Send {
    /// The policy's number on the wire.
    const NUMBER: u32;

    /// Whether being used lowers the weight until the next registration.
    const DEGRADES: bool = false;

    /// How many of the chosen elements count as used, if the registrar has no opinion on that.
    const INCREMENT: usize;

    /// The weight of an element that has just registered, and what each use takes from it (down to 1) if the policy
    /// degrades. `None` for values of another policy. Who has the weight 0 is never chosen.
    fn weight(values: &PolicyParam) -> Option<(u32, u32)>;
}

/// The weight of an element with this load: what is free, but never nothing.
pub(super) fn free(load: u32) -> u32 {
    (u32::MAX - load).max(1)
}

/// A policy made of a [`Chance`].
#[derive(Debug)]
pub struct Weighted<C: Chance> {
    weights: SumTree,
    /// What each use takes, by seat; empty if the policy does not degrade.
    steps: Segmented<u32>,
    chance: C,
}

impl<C: Chance> Default for Weighted<C> {
    fn default() -> Self {
        Self { weights: SumTree::new(), steps: Segmented::new(), chance: C::default() }
    }
}

impl<C: Chance> Weighted<C> {
    fn draw(&self, rng: &mut dyn Entropy) -> Option<u32> {
        let total = self.weights.total();
        (total > 0).then(|| self.weights.find(rng.below(total)))
    }
}

impl<C: Chance> Policy for Weighted<C> {
    fn number(&self) -> u32 {
        C::NUMBER
    }

    fn join(&mut self, values: &PolicyParam) {
        let (weight, step) = C::weight(values).unwrap_or_default();
        self.weights.push(weight);
        if C::DEGRADES {
            self.steps.push(step);
        }
    }

    fn renew(&mut self, seat: u32, values: &PolicyParam) {
        let (weight, step) = C::weight(values).unwrap_or_default();
        self.weights.set(seat, weight);
        if let Some(known) = self.steps.get_mut(seat) {
            *known = step;
        }
    }

    fn leave(&mut self, seat: u32) {
        self.weights.swap_remove(seat);
        if C::DEGRADES {
            self.steps.swap_remove(seat);
        }
    }

    fn select(&mut self, n: usize, increment: Option<usize>, rng: &mut dyn Entropy, out: &mut Vec<u32>) {
        let from = out.len();
        // Behind each seat there is its weight for the time being. As long as nobody is drawn twice, nothing else is to be
        // done; from then on (or from the start, if it is likely) who is chosen has no weight until all are.
        let mut apart = n > FEW;
        for _ in 0..n.min(self.len()) {
            let Some(mut seat) = self.draw(rng) else { break };
            if !apart && out[from..].chunks(2).any(|pair| pair[0] == seat) {
                apart = true;
                out[from..].chunks(2).for_each(|pair| {
                    self.weights.set(pair[0], 0);
                });
                let Some(other) = self.draw(rng) else { break };
                seat = other;
            }
            let weight = if apart { self.weights.set(seat, 0) } else { self.weights.get(seat) };
            out.extend([seat, weight]);
        }
        let used = if C::DEGRADES { increment.unwrap_or(C::INCREMENT) } else { 0 };
        let chosen = (out.len() - from) / 2;
        for i in 0..chosen {
            let (seat, weight) = (out[from + 2 * i], out[from + 2 * i + 1]);
            let step = if i < used { self.steps.get(seat).copied().unwrap_or(0) } else { 0 };
            if apart || step > 0 {
                // Only a weight that was there has been drawn, and it does not vanish by use.
                self.weights.set(seat, weight.saturating_sub(step).max(1));
            }
            out[from + i] = seat;
        }
        out.truncate(from + chosen);
    }

    fn len(&self) -> usize {
        self.weights.len() as usize
    }

    fn forgets(&self) -> bool {
        C::DEGRADES
    }

    fn audit(&self) -> Result<(), String> {
        let steps = if C::DEGRADES { self.weights.len() } else { 0 };
        if steps == self.steps.len() && self.weights.is_right() { Ok(()) } else { Err(format!("the sums of {:?} are wrong", self.chance)) }
    }
}
