//! A heap whose entries know where they are: the least one is at hand, and any other one can be moved or removed.

use core::fmt;

use super::segmented::Segmented;

/// Children of an entry. Four are in one cache line, or two.
const ARITY: u32 = 4;

/// What the entries of a heap are sorted by: big numbers in words of 32 bits, the highest first, so that an entry needs no
/// padding.
pub trait Rank: Copy + fmt::Debug + Send {
    /// As one number.
    fn value(self) -> u128;
}

impl<const N: usize> Rank for [u32; N] {
    #[inline]
    fn value(self) -> u128 {
        const { assert!(N <= 4) };
        self.iter().fold(0, |value, word| value << 32 | u128::from(*word))
    }
}

/// Something in a heap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<R> {
    pub(crate) rank: R,
    pub(crate) item: u32,
}

/// A heap of [`Entry`]s. Whoever owns the items is told by `place(item, at)` where each is, whenever that changes.
#[derive(Debug)]
pub(crate) struct Heap<R> {
    entries: Segmented<Entry<R>>,
}

impl<R: Rank> Heap<R> {
    pub(crate) const fn new() -> Self {
        Self { entries: Segmented::new() }
    }

    pub(crate) fn push(&mut self, entry: Entry<R>, place: impl FnMut(u32, u32)) {
        let at = self.entries.push(entry);
        self.up(at, entry, place);
    }

    /// Removes the entry at `at`.
    pub(crate) fn remove(&mut self, at: u32, place: impl FnMut(u32, u32)) {
        let Some(last) = self.entries.pop() else { return };
        if at < self.entries.len() {
            self.settle(at, last, place);
        }
    }

    /// Puts another entry where one is.
    pub(crate) fn replace(&mut self, at: u32, entry: Entry<R>, place: impl FnMut(u32, u32)) {
        self.settle(at, entry, place);
    }

    /// The item of an entry has another name.
    pub(crate) fn rename(&mut self, at: u32, item: u32) {
        self.entries[at].item = item;
    }

    fn value(&self, at: u32) -> u128 {
        self.entries[at].rank.value()
    }

    fn settle(&mut self, at: u32, entry: Entry<R>, place: impl FnMut(u32, u32)) {
        if at > 0 && entry.rank.value() < self.value((at - 1) / ARITY) {
            self.up(at, entry, place);
        } else {
            self.down(at, entry, place);
        }
    }

    fn up(&mut self, mut at: u32, entry: Entry<R>, mut place: impl FnMut(u32, u32)) {
        let value = entry.rank.value();
        while at > 0 {
            let parent = (at - 1) / ARITY;
            let above = self.entries[parent];
            if value >= above.rank.value() {
                break;
            }
            self.entries[at] = above;
            place(above.item, at);
            at = parent;
        }
        self.entries[at] = entry;
        place(entry.item, at);
    }

    fn down(&mut self, mut at: u32, entry: Entry<R>, mut place: impl FnMut(u32, u32)) {
        let value = entry.rank.value();
        while let Some((child, least)) = self.least_child(at)
            && least < value
        {
            let below = self.entries[child];
            self.entries[at] = below;
            place(below.item, at);
            at = child;
        }
        self.entries[at] = entry;
        place(entry.item, at);
    }

    fn children(&self, at: u32) -> core::ops::Range<u32> {
        let from = at.saturating_mul(ARITY).saturating_add(1);
        from..self.entries.len().min(from.saturating_add(ARITY))
    }

    /// Where the least child is, and its rank. Which one it is cannot be guessed: no branches, but selections.
    #[inline]
    fn least_child(&self, at: u32) -> Option<(u32, u128)> {
        let children = self.children(at);
        let first = children.start;
        if children.len() == ARITY as usize {
            let [a, b, c, d] = [first, first + 1, first + 2, first + 3].map(|child| (child, self.value(child)));
            let lesser = |a: (u32, u128), b: (u32, u128)| {
                let second = b.1 < a.1;
                (if second { b.0 } else { a.0 }, if second { b.1 } else { a.1 })
            };
            return Some(lesser(lesser(a, b), lesser(c, d)));
        }
        children.map(|child| (child, self.value(child))).min_by_key(|(_, value)| *value)
    }

    pub(crate) fn first(&self) -> Option<Entry<R>> {
        self.entries.get(0).copied()
    }

    pub(crate) fn get(&self, at: u32) -> Option<Entry<R>> {
        self.entries.get(at).copied()
    }

    /// Appends the items of the `n` least entries to `out`, in their order. A child is never less than its parent: whoever
    /// is next is the least of the children of those who were.
    pub(crate) fn least(&self, n: usize, out: &mut Vec<u32>) {
        let from = out.len();
        if n > 0 && self.len() > 0 {
            out.push(0);
        }
        // From `from` on there are places in the heap, sorted: the chosen ones, then the frontier, together at most `n`.
        let mut next = from;
        // The rank of the last one, once there are `n`.
        let mut worst = u128::MAX;
        while let Some(at) = out.get(next).copied() {
            next += 1;
            if next - from == n {
                break;
            }
            for child in self.children(at) {
                let value = self.value(child);
                if value > worst {
                    continue;
                }
                let behind = |place: &u32| self.value(*place) < value;
                let at = out.iter().skip(next).rposition(behind).map_or(next, |i| next + i + 1);
                if out.len() - from == n {
                    out.pop();
                }
                out.insert(at, child);
                if let Some(last) = out.last().filter(|_| out.len() - from == n) {
                    worst = self.value(*last);
                }
            }
        }
        out.truncate(next);
        for place in out.iter_mut().skip(from) {
            *place = self.entries[*place].item;
        }
    }

    /// Every entry, to check them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry<R>> {
        self.entries.iter()
    }

    pub(crate) fn len(&self) -> u32 {
        self.entries.len()
    }

    /// Whether no entry is less than its parent.
    pub(crate) fn is_sorted(&self) -> bool {
        (1..self.len()).all(|at| self.value(at) >= self.value((at - 1) / ARITY))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn like_a_sorted_list(ops in proptest::collection::vec((0u8..5, 0u32..40, 0u32..6), 1..300)) {
            let mut heap = Heap::new();
            let mut at: Vec<u32> = vec![u32::MAX; 40];
            let mut model: Vec<(u32, u32, u32)> = Vec::new();
            for (turn, (op, item, key)) in (0u32..).zip(ops) {
                let known = model.iter().position(|m| m.2 == item);
                match (op, known) {
                    (0..=2, None) => {
                        heap.push(Entry { rank: [key, turn], item }, |i, p| at[i as usize] = p);
                        model.push((key, turn, item));
                    }
                    (0..=2, Some(m)) => {
                        heap.replace(at[item as usize], Entry { rank: [key, turn], item }, |i, p| at[i as usize] = p);
                        model[m] = (key, turn, item);
                    }
                    (_, Some(m)) => {
                        heap.remove(at[item as usize], |i, p| at[i as usize] = p);
                        model.remove(m);
                    }
                    _ => {}
                }
                prop_assert!(heap.is_sorted());
                prop_assert!(model.iter().all(|m| heap.get(at[m.2 as usize]).is_some_and(|e| e.item == m.2)));
                model.sort_unstable();
                for n in [0, 1, 3, 10, 100] {
                    let mut out = vec![7, 7];
                    heap.least(n, &mut out);
                    prop_assert_eq!(&out[2..], &model.iter().take(n).map(|m| m.2).collect::<Vec<_>>());
                }
            }
        }
    }
}
