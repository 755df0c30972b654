//! A heap whose entries know where they are: the least one is at hand, and any other one can be moved or removed.

use core::cmp::Ordering;

use super::segmented::Segmented;

/// Children of an entry. Four are in one cache line, or two.
const ARITY: u32 = 4;

/// Something in a heap, sorted by `key`, and among equals by `turn`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<K> {
    /// The halves of a 64-bit number, so that the entry needs no padding.
    turn: [u32; 2],
    pub(crate) key: K,
    pub(crate) item: u32,
}

impl<K: Ord + Copy> Entry<K> {
    #[allow(clippy::cast_possible_truncation, reason = "taken in halves")]
    pub(crate) const fn new(key: K, turn: u64, item: u32) -> Self {
        Self { turn: [(turn >> 32) as u32, turn as u32], key, item }
    }

    pub(crate) const fn turn(&self) -> u64 {
        let [high, low] = self.turn;
        (high as u64) << 32 | low as u64
    }

    fn rank(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key).then_with(|| self.turn().cmp(&other.turn()))
    }

    fn before(&self, other: &Self) -> bool {
        self.rank(other) == Ordering::Less
    }
}

/// A heap of [`Entry`]s. Whoever owns the items is told by `place(item, at)` where each is, whenever that changes.
#[derive(Debug)]
pub(crate) struct Heap<K> {
    entries: Segmented<Entry<K>>,
}

impl<K: Ord + Copy> Heap<K> {
    pub(crate) const fn new() -> Self {
        Self { entries: Segmented::new() }
    }

    pub(crate) fn push(&mut self, entry: Entry<K>, place: impl FnMut(u32, u32)) {
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
    pub(crate) fn replace(&mut self, at: u32, entry: Entry<K>, place: impl FnMut(u32, u32)) {
        self.settle(at, entry, place);
    }

    /// The item of an entry has another name.
    pub(crate) fn rename(&mut self, at: u32, item: u32) {
        self.entries[at].item = item;
    }

    fn settle(&mut self, at: u32, entry: Entry<K>, place: impl FnMut(u32, u32)) {
        if at > 0 && entry.before(&self.entries[(at - 1) / ARITY]) {
            self.up(at, entry, place);
        } else {
            self.down(at, entry, place);
        }
    }

    fn up(&mut self, mut at: u32, entry: Entry<K>, mut place: impl FnMut(u32, u32)) {
        while at > 0 {
            let parent = (at - 1) / ARITY;
            let above = self.entries[parent];
            if !entry.before(&above) {
                break;
            }
            self.entries[at] = above;
            place(above.item, at);
            at = parent;
        }
        self.entries[at] = entry;
        place(entry.item, at);
    }

    fn down(&mut self, mut at: u32, entry: Entry<K>, mut place: impl FnMut(u32, u32)) {
        while let Some((child, below)) = self.least_child(at)
            && below.before(&entry)
        {
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

    fn least_child(&self, at: u32) -> Option<(u32, Entry<K>)> {
        let mut children = self.children(at);
        let first = children.next()?;
        let mut least = (first, self.entries[first]);
        for child in children {
            let entry = self.entries[child];
            if entry.before(&least.1) {
                least = (child, entry);
            }
        }
        Some(least)
    }

    pub(crate) fn first(&self) -> Option<Entry<K>> {
        self.entries.get(0).copied()
    }

    pub(crate) fn get(&self, at: u32) -> Option<Entry<K>> {
        self.entries.get(at).copied()
    }

    /// Appends the items of the `n` least entries to `out`, in their order. A child is never less than its parent: whoever
    /// is next is the least of the children of those who were. `frontier` is room to work in.
    pub(crate) fn least(&self, n: usize, frontier: &mut Vec<Entry<K>>, out: &mut Vec<u32>) {
        frontier.clear();
        // Entries of the frontier have their places in the heap as items, sorted, the ones that are chosen already first.
        frontier.extend(self.first().filter(|_| n > 0).map(|e| Entry { item: 0, ..e }));
        let mut chosen = 0;
        while let Some(next) = frontier.get(chosen).copied() {
            out.push(self.entries[next.item].item);
            chosen += 1;
            if chosen == n {
                break;
            }
            for child in self.children(next.item) {
                let entry = Entry { item: child, ..self.entries[child] };
                let full = frontier.len() >= n;
                if full && frontier.last().is_none_or(|last| last.before(&entry)) {
                    continue;
                }
                let at = frontier.iter().skip(chosen).rposition(|e| e.before(&entry)).map_or(chosen, |i| chosen + i + 1);
                if full {
                    frontier.pop();
                }
                frontier.insert(at, entry);
            }
        }
    }

    /// Every entry, to check them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry<K>> {
        self.entries.iter()
    }

    pub(crate) fn len(&self) -> u32 {
        self.entries.len()
    }

    /// Whether no entry is less than its parent.
    pub(crate) fn is_sorted(&self) -> bool {
        (1..self.len()).all(|at| !self.entries[at].before(&self.entries[(at - 1) / ARITY]))
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
            let mut model: Vec<(u32, u64, u32)> = Vec::new();
            for (turn, (op, item, key)) in (0u64..).zip(ops) {
                let known = model.iter().position(|m| m.2 == item);
                match (op, known) {
                    (0..=2, None) => {
                        heap.push(Entry::new(key, turn, item), |i, p| at[i as usize] = p);
                        model.push((key, turn, item));
                    }
                    (0..=2, Some(m)) => {
                        heap.replace(at[item as usize], Entry::new(key, turn, item), |i, p| at[i as usize] = p);
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
                    let (mut out, mut frontier) = (Vec::new(), Vec::new());
                    heap.least(n, &mut frontier, &mut out);
                    prop_assert_eq!(&out, &model.iter().take(n).map(|m| m.2).collect::<Vec<_>>());
                }
            }
        }
    }
}
