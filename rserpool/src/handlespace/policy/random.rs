//! Random (RFC 5356 section 4.3): everyone alike.

use sctp_user::Entropy;

use super::Policy;
use crate::wire::PolicyParam;

/// Up to so many, those that were drawn already are looked through at each draw.
const MANY: usize = 1024;

/// Nothing but the number of seats.
#[derive(Default, Debug)]
pub(super) struct Random {
    seats: u32,
}

impl Policy for Random {
    fn number(&self) -> u32 {
        3
    }

    fn join(&mut self, _values: &PolicyParam) {
        self.seats += 1;
    }

    fn renew(&mut self, _seat: u32, _values: &PolicyParam) {}

    fn leave(&mut self, _seat: u32) {
        self.seats = self.seats.saturating_sub(1);
    }

    fn select(&mut self, n: usize, _increment: Option<usize>, rng: &mut dyn Entropy, out: &mut Vec<u32>) {
        let from = out.len();
        let mut below = |n: u32| u32::try_from(rng.below(n.into())).unwrap_or(0);
        if n > MANY || n.saturating_mul(2) > self.len() {
            // Most of them, or many: all are shuffled, as far as they are wanted.
            out.extend(0..self.seats);
            let Some(all) = out.get_mut(from..) else { return };
            for i in (0..self.seats).take(n) {
                all.swap(i as usize, (i + below(self.seats - i)) as usize);
            }
            out.truncate(from.saturating_add(n));
            return;
        }
        while out.len() - from < n {
            let seat = below(self.seats);
            if !out.iter().skip(from).any(|s| *s == seat) {
                out.push(seat);
            }
        }
    }

    fn len(&self) -> usize {
        self.seats as usize
    }

    fn forgets(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{of, select, shares};
    use crate::wire::PolicyParam;

    #[test]
    fn everyone_alike_in_each_place_of_the_list() {
        let mut policy = of(&vec![PolicyParam::Random {}; 8]);
        for (n, place) in [(1, 0), (3, 0), (3, 2), (8, 0), (8, 7)] {
            shares(&[1; 8], 20_000, |_| select(policy.as_mut(), n, None)[place]);
        }
        for n in 0..12 {
            let mut seats = select(policy.as_mut(), n, None);
            seats.sort_unstable();
            seats.dedup();
            assert_eq!(seats.len(), n.min(8));
        }
    }
}
