//! Which TSNs have arrived: the cumulative TSN, what lies above it, and duplicates (RFC 9260 sections 6.2 and 6.7).

use core::hint::cold_path;
use std::collections::VecDeque;

use crate::num::Tsn;
use crate::wire::chunk::GapBlock;

/// Farthest TSN above the cumulative one that a gap ack block can name.
const MAX_SPAN: u32 = u16::MAX as u32;
/// Most disjoint ranges above the cumulative TSN; what would open another one is not taken in.
pub(super) const MAX_RANGES: usize = 2048;
/// Most duplicates remembered until the next SACK; further ones are acknowledged, but not listed.
const MAX_DUPLICATES: usize = 64;

/// How a TSN stands to what has arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    /// Not received yet.
    New,
    /// Received before.
    Duplicate,
    /// Too far above the cumulative TSN, or one hole too many, to be tracked.
    OutOfRange,
}

/// TSNs received one after the other, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Range {
    first: Tsn,
    last: Tsn,
}

/// The TSNs received so far.
#[derive(Clone, Debug)]
pub(crate) struct Tracker {
    cum: Tsn,
    /// Ascending, disjoint, neither adjacent to each other nor to `cum`; at most `MAX_RANGES`.
    ranges: VecDeque<Range>,
    /// At most `MAX_DUPLICATES`.
    dups: Vec<Tsn>,
}

impl Tracker {
    /// Nothing received yet; `initial` is the first TSN that the peer will use.
    pub(crate) fn new(initial: Tsn) -> Self {
        Self { cum: initial.prev(), ranges: VecDeque::new(), dups: Vec::new() }
    }

    /// Gives back memory that is not used.
    pub(crate) fn release(&mut self) {
        self.ranges.shrink_to(0);
        self.dups.shrink_to(0);
    }

    /// The last TSN up to which nothing is missing.
    pub(crate) fn cum(&self) -> Tsn {
        self.cum
    }

    /// The highest TSN received.
    pub(crate) fn highest(&self) -> Tsn {
        self.ranges.back().map_or(self.cum, |r| r.last)
    }

    /// How many gap ack blocks and duplicates a SACK would list now.
    pub(crate) fn entries(&self) -> usize {
        self.ranges.len() + self.dups.len()
    }

    /// How many gap ack blocks a SACK would list now.
    pub(crate) fn gaps(&self) -> usize {
        self.ranges.len()
    }

    /// Whether something below the highest TSN is missing.
    pub(crate) fn has_gaps(&self) -> bool {
        !self.ranges.is_empty()
    }

    /// Index of the first range that ends at or after `tsn`, which lies above `cum`.
    fn position(&self, tsn: Tsn) -> usize {
        if self.ranges.back().is_none_or(|r| r.last.before(tsn)) {
            return self.ranges.len();
        }
        let offset = tsn.since(self.cum);
        self.ranges.partition_point(|r| r.last.since(self.cum) < offset)
    }

    /// Whether `tsn` has been received.
    pub(crate) fn received(&self, tsn: Tsn) -> bool {
        tsn.at_or_before(self.cum) || self.ranges.get(self.position(tsn)).is_some_and(|r| r.first.at_or_before(tsn))
    }

    /// How `tsn` stands to what has arrived.
    pub(crate) fn classify(&self, tsn: Tsn) -> Seen {
        if tsn.at_or_before(self.cum) {
            cold_path();
            return Seen::Duplicate;
        }
        if tsn == self.cum.next() && self.ranges.is_empty() {
            return Seen::New;
        }
        cold_path();
        if tsn.since(self.cum) > MAX_SPAN {
            return Seen::OutOfRange;
        }
        let at = self.position(tsn);
        let right = self.ranges.get(at);
        if right.is_some_and(|r| r.first.at_or_before(tsn)) {
            return Seen::Duplicate;
        }
        let joins = tsn == self.cum.next()
            || right.is_some_and(|r| r.first == tsn.next())
            || at.checked_sub(1).and_then(|i| self.ranges.get(i)).is_some_and(|r| r.last.next() == tsn);
        if joins || self.ranges.len() < MAX_RANGES { Seen::New } else { Seen::OutOfRange }
    }

    /// Takes in `tsn`, which is [`Seen::New`].
    pub(crate) fn insert(&mut self, tsn: Tsn) {
        debug_assert_eq!(self.classify(tsn), Seen::New);
        if tsn == self.cum.next() {
            self.cum = tsn;
            if let Some(r) = self.ranges.pop_front_if(|r| r.first == tsn.next()) {
                self.cum = r.last;
            }
            return;
        }
        let at = self.position(tsn);
        let left = at.checked_sub(1).and_then(|i| self.ranges.get_mut(i)).filter(|r| r.last.next() == tsn);
        let joins_left = left.map(|r| r.last = tsn).is_some();
        let right = self.ranges.get_mut(at).filter(|r| r.first == tsn.next());
        let Some(right) = right else {
            if !joins_left {
                self.ranges.insert(at, Range { first: tsn, last: tsn });
            }
            return;
        };
        right.first = tsn;
        if joins_left && let Some(joined) = self.ranges.remove(at) {
            // The left neighbour ends at `tsn` now: it takes over the right one.
            if let Some(left) = self.ranges.get_mut(at - 1) {
                left.last = joined.last;
            }
        }
    }

    /// Nothing up to `upto`, which lies above the cumulative TSN, is missing any more (RFC 3758 section 3.6).
    pub(crate) fn forward(&mut self, upto: Tsn) {
        while self.ranges.pop_front_if(|r| r.last.at_or_before(upto)).is_some() {}
        self.cum = upto;
        if let Some(r) = self.ranges.pop_front_if(|r| r.first.at_or_before(upto.next())) {
            self.cum = r.last;
        }
    }

    /// Remembers that `tsn` came again.
    pub(crate) fn duplicate(&mut self, tsn: Tsn) {
        if self.dups.len() < MAX_DUPLICATES {
            self.dups.push(tsn);
        }
    }

    /// Moves the duplicates to `out`: they are reported once.
    pub(crate) fn take_duplicates(&mut self, out: &mut Vec<Tsn>) {
        out.append(&mut self.dups);
    }

    /// Appends the gap ack blocks to `out`.
    pub(crate) fn gap_blocks(&self, out: &mut Vec<GapBlock>) {
        let offset = |tsn: Tsn| u16::try_from(tsn.since(self.cum)).unwrap_or(u16::MAX);
        out.extend(self.ranges.iter().map(|r| GapBlock { start: offset(r.first), end: offset(r.last) }));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn blocks(t: &Tracker) -> Vec<(u16, u16)> {
        let mut out = Vec::new();
        t.gap_blocks(&mut out);
        out.iter().map(|b| (b.start, b.end)).collect()
    }

    #[test]
    fn gaps_open_and_close_across_the_wrap() {
        let mut t = Tracker::new(Tsn(u32::MAX - 1));
        t.insert(Tsn(u32::MAX - 1));
        t.insert(Tsn(1));
        t.insert(Tsn(3));
        assert_eq!((t.cum(), t.highest(), blocks(&t)), (Tsn(u32::MAX - 1), Tsn(3), vec![(3, 3), (5, 5)]));
        t.insert(Tsn(2));
        assert_eq!(blocks(&t), [(3, 5)]);
        assert_eq!(t.classify(Tsn(2)), Seen::Duplicate);
        t.insert(Tsn(u32::MAX));
        t.insert(Tsn(0));
        assert_eq!((t.cum(), t.has_gaps()), (Tsn(3), false));
    }

    #[test]
    fn span_and_ranges_are_bounded() {
        let mut t = Tracker::new(Tsn(1));
        assert_eq!(t.classify(Tsn(MAX_SPAN + 1)), Seen::OutOfRange);
        assert_eq!(t.classify(Tsn(MAX_SPAN)), Seen::New);
        for n in 0..u32::try_from(MAX_RANGES).unwrap() {
            t.insert(Tsn(10 + 2 * n));
        }
        let end = 10 + 2 * u32::try_from(MAX_RANGES).unwrap();
        assert_eq!(t.classify(Tsn(end)), Seen::OutOfRange);
        assert_eq!(t.classify(Tsn(end - 1)), Seen::New, "extends the last range");
        assert_eq!(t.classify(Tsn(11)), Seen::New, "joins two");
        assert_eq!(t.classify(Tsn(1)), Seen::New, "moves the cumulative TSN");
        for _ in 0..1000 {
            t.duplicate(Tsn(10));
        }
        assert_eq!(t.dups.len(), MAX_DUPLICATES);
    }

    proptest! {
        #[test]
        fn agrees_with_a_set(initial: u32, offsets in prop::collection::vec(0_u32..200, 0..400)) {
            let mut t = Tracker::new(Tsn(initial));
            let mut model = BTreeSet::new();
            for o in offsets {
                let tsn = Tsn(initial).plus(o);
                let expected = if model.contains(&o) { Seen::Duplicate } else { Seen::New };
                prop_assert_eq!(t.classify(tsn), expected);
                prop_assert_eq!(t.received(tsn), model.contains(&o));
                if model.insert(o) {
                    t.insert(tsn);
                }
                let cum = (0..).find(|n| !model.contains(n)).unwrap();
                prop_assert_eq!(t.cum(), Tsn(initial).plus(cum).prev());
                prop_assert_eq!(t.highest(), Tsn(initial).plus(*model.last().unwrap()).max_serial(t.cum()));
                let mut listed = BTreeSet::new();
                for (start, end) in blocks(&t) {
                    prop_assert!(start >= 2 && start <= end);
                    listed.extend((start..=end).map(|g| cum + u32::from(g) - 1));
                }
                prop_assert_eq!(listed, model.range(cum..).copied().collect::<BTreeSet<_>>());
                prop_assert_eq!(blocks(&t).windows(2).filter(|w| w[0].1 + 1 >= w[1].0).count(), 0);
            }
        }
    }

    impl Tsn {
        fn max_serial(self, other: Self) -> Self {
            if self.before(other) { other } else { self }
        }
    }
}
