//! Policies that choose in an order: the elements with the least keys, and among equals the one that was chosen longest
//! ago. An element is found, moved or removed in O(log m), the first n of m are listed in O(n log n).

use core::fmt;

use sctp_user::Entropy;

pub use super::super::store::heap::Rank;
use super::super::store::heap::{Entry, Heap};
use super::super::store::segmented::Segmented;
use super::Policy;
use crate::wire::PolicyParam;

/// What makes a policy out of the order.
pub trait Order: fmt::Debug + Default + Send {
    /// What the elements are sorted by, the least first; ties are broken by the turn.
    type Key: SortKey;
    /// What the policy remembers of an element besides.
    type State: Copy + fmt::Debug + Send;

    /// The policy's number on the wire.
    const NUMBER: u32;

    /// Whether a renewal with the same values makes a difference.
    const FORGETS: bool = false;

    /// The place of an element that joins where `first` is the least key. Values of another policy count as the worst.
    fn join(values: &PolicyParam, first: Option<Self::Key>) -> (Self::Key, Self::State);

    /// The place of an element that registers again.
    fn renew(values: &PolicyParam, _key: Self::Key, _state: Self::State) -> (Self::Key, Self::State) {
        Self::join(values, None)
    }

    /// The key of an element that was chosen and counts as used.
    fn used(key: Self::Key, _state: Self::State) -> Self::Key {
        key
    }
}

/// A key that can be told as a number together with a turn.
pub trait SortKey: Copy + PartialEq + fmt::Debug + Send {
    /// Both together.
    type Rank: Rank;

    /// The key, and below it the turn.
    fn rank(self, turn: u64) -> Self::Rank;

    /// The parts again.
    fn parts(rank: Self::Rank) -> (Self, u64);
}

impl SortKey for u32 {
    type Rank = [Self; 3];

    #[allow(clippy::cast_possible_truncation, reason = "taken in halves")]
    fn rank(self, turn: u64) -> [Self; 3] {
        [self, (turn >> 32) as Self, turn as Self]
    }

    fn parts([key, high, low]: [Self; 3]) -> (Self, u64) {
        (key, u64::from(high) << 32 | u64::from(low))
    }
}

/// An element in its seat.
#[derive(Clone, Copy, Debug)]
struct Member<S> {
    state: S,
    /// Its place in the queue.
    at: u32,
}

/// A policy made of an [`Order`].
#[derive(Debug)]
pub struct Sorted<O: Order> {
    members: Segmented<Member<O::State>>,
    queue: Heap<<O::Key as SortKey>::Rank>,
    /// Counts the turns: each element that joins or is used goes behind all others. Even 48 bits would last a lifetime.
    turn: u64,
}

impl<O: Order> Default for Sorted<O> {
    fn default() -> Self {
        Self { members: Segmented::new(), queue: Heap::new(), turn: 0 }
    }
}

impl<O: Order> Sorted<O> {
    fn mark_used(&mut self, seat: u32) {
        let Self { members, queue, turn, .. } = self;
        let Some(member) = members.get(seat).copied() else { return };
        let Some(entry) = queue.get(member.at) else { return };
        *turn += 1;
        let (key, _) = O::Key::parts(entry.rank);
        let rank = O::used(key, member.state).rank(*turn);
        queue.replace(member.at, Entry { rank, item: seat }, |seat, at| members[seat].at = at);
    }
}

impl<O: Order> Policy for Sorted<O> {
    fn number(&self) -> u32 {
        O::NUMBER
    }

    fn join(&mut self, values: &PolicyParam) {
        let (key, state) = O::join(values, self.queue.first().map(|e| O::Key::parts(e.rank).0));
        self.turn += 1;
        let Self { members, queue, turn, .. } = self;
        let seat = members.push(Member { state, at: 0 });
        queue.push(Entry { rank: key.rank(*turn), item: seat }, |seat, at| members[seat].at = at);
    }

    fn renew(&mut self, seat: u32, values: &PolicyParam) {
        let Self { members, queue, .. } = self;
        let Some(member) = members.get_mut(seat) else { return };
        let (at, Some(entry)) = (member.at, queue.get(member.at)) else { return };
        let (before, turn) = O::Key::parts(entry.rank);
        let (key, state) = O::renew(values, before, member.state);
        member.state = state;
        if key != before {
            // A renewal is no reason to lose or to win a turn.
            queue.replace(at, Entry { rank: key.rank(turn), item: seat }, |seat, at| members[seat].at = at);
        }
    }

    fn leave(&mut self, seat: u32) {
        let Self { members, queue, .. } = self;
        let Some(member) = members.get(seat).copied() else { return };
        queue.remove(member.at, |seat, at| members[seat].at = at);
        members.swap_remove(seat);
        if let Some(moved) = members.get(seat) {
            queue.rename(moved.at, seat);
        }
    }

    fn select(&mut self, n: usize, increment: Option<usize>, _rng: &mut dyn Entropy, out: &mut Vec<u32>) {
        let from = out.len();
        if let (1, Some(first)) = (n, self.queue.first()) {
            out.push(first.item);
        } else {
            self.queue.least(n, out);
        }
        for seat in out.iter().skip(from).take(increment.unwrap_or(1)) {
            self.mark_used(*seat);
        }
    }

    fn len(&self) -> usize {
        self.members.len() as usize
    }

    fn forgets(&self) -> bool {
        O::FORGETS
    }

    fn audit(&self) -> Result<(), String> {
        let in_place = |(seat, m): (u32, &Member<_>)| self.queue.get(m.at).is_some_and(|e| e.item == seat);
        let all_in_place = (0u32..).zip(self.members.iter()).all(in_place);
        let consistent = all_in_place && self.queue.is_sorted() && self.queue.len() == self.members.len();
        if consistent { Ok(()) } else { Err(format!("the queue of {:?} is not in order", O::default())) }
    }
}

/// What makes an order out of loads: the least used one is chosen.
pub trait Load: fmt::Debug + Default + Send {
    /// The policy's number on the wire.
    const NUMBER: u32;

    /// Whether being used raises the load until the next registration.
    const DEGRADES: bool = false;

    /// The load of an element that has just registered, a fraction of `0xffff_ffff`, and what each use adds if the policy
    /// degrades. `None` for values of another policy.
    fn load(values: &PolicyParam) -> Option<(u32, u32)>;
}

/// The order of the policies that are made of a [`Load`].
#[derive(Default, Debug)]
pub struct ByLoad<L>(L);

impl<L: Load> Order for ByLoad<L> {
    /// The load, with the degradation so far: it is enough to know the sum, for a registration starts all over.
    type Key = u32;
    type State = u32;

    const NUMBER: u32 = L::NUMBER;
    const FORGETS: bool = L::DEGRADES;

    fn join(values: &PolicyParam, _first: Option<u32>) -> (u32, u32) {
        let (load, step) = L::load(values).unwrap_or((u32::MAX, 0));
        (load, if L::DEGRADES { step } else { 0 })
    }

    fn used(load: u32, step: u32) -> u32 {
        load.saturating_add(step)
    }
}
