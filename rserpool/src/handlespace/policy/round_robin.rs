//! Round robin (RFC 5356 section 4.1): everyone in turn.

use sctp_user::Entropy;

use super::super::store::segmented::Segmented;
use super::Policy;
use crate::wire::PolicyParam;

/// The end of the queue.
const END: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Neighbours {
    before: u32,
    behind: u32,
}

/// A queue of seats: whoever was used goes to its end.
#[derive(Debug)]
pub(super) struct RoundRobin {
    seats: Segmented<Neighbours>,
    first: u32,
    last: u32,
}

impl Default for RoundRobin {
    fn default() -> Self {
        Self { seats: Segmented::new(), first: END, last: END }
    }
}

impl RoundRobin {
    fn link(&mut self, before: u32, behind: u32) {
        match self.seats.get_mut(before) {
            Some(seat) => seat.behind = behind,
            None => self.first = behind,
        }
        match self.seats.get_mut(behind) {
            Some(seat) => seat.before = before,
            None => self.last = before,
        }
    }

    fn take_out(&mut self, seat: u32) {
        if let Some(Neighbours { before, behind }) = self.seats.get(seat).copied() {
            self.link(before, behind);
        }
    }

    fn put_last(&mut self, seat: u32) {
        self.link(self.last, seat);
        self.link(seat, END);
    }
}

impl Policy for RoundRobin {
    fn number(&self) -> u32 {
        1
    }

    fn join(&mut self, _values: &PolicyParam) {
        let seat = self.seats.push(Neighbours { before: END, behind: END });
        self.put_last(seat);
    }

    fn renew(&mut self, _seat: u32, _values: &PolicyParam) {}

    fn leave(&mut self, seat: u32) {
        if self.seats.get(seat).is_none() {
            return;
        }
        self.take_out(seat);
        self.seats.swap_remove(seat);
        // Whoever had the last seat is in this one now: the neighbours are told.
        if let Some(Neighbours { before, behind }) = self.seats.get(seat).copied() {
            self.link(before, seat);
            self.link(seat, behind);
        }
    }

    fn select(&mut self, n: usize, increment: Option<usize>, _rng: &mut dyn Entropy, out: &mut Vec<u32>) {
        let from = out.len();
        let queue = core::iter::successors(Some(self.first), |seat| self.seats.get(*seat).map(|s| s.behind));
        out.extend(queue.take_while(|seat| *seat != END).take(n));
        for seat in out.iter().skip(from).take(increment.unwrap_or(1)) {
            self.take_out(*seat);
            self.put_last(*seat);
        }
    }

    fn len(&self) -> usize {
        self.seats.len() as usize
    }

    fn forgets(&self) -> bool {
        false
    }

    fn audit(&self) -> Result<(), String> {
        let (mut seen, mut before, mut at) = (0, END, self.first);
        while let Some(seat) = self.seats.get(at).filter(|s| s.before == before && seen < self.len()) {
            (seen, before, at) = (seen + 1, at, seat.behind);
        }
        if at == END && seen == self.len() && self.last == before { Ok(()) } else { Err("the queue of round robin is broken".into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{of, select};
    use crate::wire::PolicyParam;

    #[test]
    fn in_turn_by_the_first_one_of_each_list() {
        let mut policy = of(&vec![PolicyParam::RoundRobin {}; 3]);
        let lists: Vec<_> = (0..4).map(|_| select(policy.as_mut(), 2, Some(1))).collect();
        assert_eq!(lists, [[0, 1], [1, 2], [2, 0], [0, 1]]);
        // A renewal changes no turn, a new element comes last; the last one moves to the seat of one that leaves.
        policy.renew(1, &PolicyParam::RoundRobin {});
        policy.join(&PolicyParam::RoundRobin {});
        policy.leave(2);
        assert_eq!(select(policy.as_mut(), 10, Some(10)), [1, 0, 2]);
        assert_eq!(select(policy.as_mut(), 10, Some(2)), [1, 0, 2]);
        assert_eq!(select(policy.as_mut(), 10, Some(0)), [2, 1, 0]);
        assert_eq!(policy.audit(), Ok(()));
    }
}
