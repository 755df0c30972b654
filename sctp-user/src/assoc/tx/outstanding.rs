//! DATA chunks that were sent and are not cumulatively acknowledged, in the order of their TSNs.
//!
//! Chunks are addressed by an index that counts up from 1 over the life of the association and never wraps; TSNs are
//! translated at the border. What gap ack blocks cover is kept as a list of spans, so that a SACK costs as much as it
//! changes, not as much as is outstanding.

use std::collections::{BTreeSet, VecDeque};

use super::fragment::Fragment;
use crate::assoc::path::PathId;
use crate::num::Tsn;
use crate::wire::cursor::padded;

/// Most chunks outstanding: gap ack blocks reach no farther, and a stream sequence number is never in use twice
/// (RFC 9260 section 6.1).
pub(super) const MAX_OUTSTANDING: usize = u16::MAX as usize;

/// Index of a chunk; see the module.
pub(super) type Index = u64;

/// Where a chunk is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ChunkState {
    /// On its way, as far as is known.
    InFlight,
    /// Considered lost and to be sent again.
    Marked,
    /// Acknowledged by a gap ack block; the peer may still change its mind.
    Acked,
    /// Given up: neither sent again nor waited for (RFC 3758 section 3.4). It never leaves this state.
    Abandoned,
}

/// A DATA chunk that was sent.
#[derive(Clone, Debug)]
pub(super) struct SentChunk {
    pub(super) fragment: Fragment,
    /// Where it was sent to last.
    pub(super) path: PathId,
    pub(super) state: ChunkState,
    /// Miss indications (section 7.2.4), up to 3.
    pub(super) misses: u8,
    /// Whether it was fast retransmitted.
    pub(super) fast: bool,
    /// Whether it is marked because it timed out.
    pub(super) timed_out: bool,
    /// Whether it was sent on several paths.
    pub(super) moved: bool,
    /// Whether it was ever acknowledged, even if the peer took that back.
    pub(super) was_acked: bool,
    /// Whether the window was closed when it was sent last: the peer may have dropped it.
    pub(super) blind: bool,
    /// Index of the first chunk that was sent for the first time after this one's last retransmission; 0 if never retransmitted.
    pub(super) resent_before: Index,
    /// Length of the SCTP packet that it left in for the first time, up to its own end.
    pub(super) packet: u16,
    /// How often it was sent again.
    pub(super) resends: u32,
}

impl SentChunk {
    /// A chunk that is sent on `path` for the first time.
    pub(super) fn new(fragment: Fragment, path: PathId) -> Self {
        Self {
            fragment,
            path,
            state: ChunkState::InFlight,
            misses: 0,
            fast: false,
            timed_out: false,
            moved: false,
            was_acked: false,
            blind: false,
            resent_before: 0,
            packet: 0,
            resends: 0,
        }
    }

    /// Length in a packet, with header and padding: what counts against cwnd.
    pub(super) fn wire_len(&self) -> usize {
        padded(self.fragment.format.header_len() + self.fragment.len)
    }
}

/// Chunks one after the other, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    pub(super) first: Index,
    pub(super) last: Index,
}

/// All chunks that are not cumulatively acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Outstanding {
    /// At most `MAX_OUTSTANDING`; the first one has index `base` and TSN `base_tsn`.
    chunks: VecDeque<SentChunk>,
    base: Index,
    base_tsn: Tsn,
    /// What gap ack blocks cover: ascending and disjoint; no longer than the blocks of one SACK.
    acked: Vec<Span>,
    /// Chunks in state `Marked`.
    marked: BTreeSet<Index>,
    /// Their length in packets.
    marked_bytes: usize,
    /// User data of chunks in flight.
    flight_payload: usize,
    /// User data of all chunks.
    payload: usize,
    /// How many chunks from `base` on are abandoned: the last of them is Advanced.Peer.Ack.Point (RFC 3758 section 3.5 A1).
    ahead: u32,
}

impl Outstanding {
    /// Nothing sent yet; `initial` is the first TSN to use.
    pub(super) fn new(initial: Tsn) -> Self {
        Self {
            chunks: VecDeque::new(),
            base: 1,
            base_tsn: initial,
            acked: Vec::new(),
            marked: BTreeSet::new(),
            marked_bytes: 0,
            flight_payload: 0,
            payload: 0,
            ahead: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.chunks.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Index of the first chunk that is not cumulatively acknowledged.
    pub(super) fn base(&self) -> Index {
        self.base
    }

    /// Index that the next new chunk gets.
    pub(super) fn next_index(&self) -> Index {
        self.base + self.chunks.len() as u64
    }

    /// The cumulative TSN ack point.
    pub(super) fn cum(&self) -> Tsn {
        self.base_tsn.prev()
    }

    /// TSN of the chunk with this index.
    pub(super) fn tsn(&self, index: Index) -> Tsn {
        // Indices of chunks are less than 2^16 apart; the difference wraps as TSNs do.
        let low = u32::try_from(index.wrapping_sub(self.base) & u64::from(u32::MAX)).unwrap_or(0);
        self.base_tsn.plus(low)
    }

    pub(super) fn get(&self, index: Index) -> Option<&SentChunk> {
        self.chunks.get(usize::try_from(index.checked_sub(self.base)?).ok()?)
    }

    fn get_mut(&mut self, index: Index) -> Option<&mut SentChunk> {
        self.chunks.get_mut(usize::try_from(index.checked_sub(self.base)?).ok()?)
    }

    /// All chunks in the order of their TSNs.
    pub(super) fn iter(&self) -> impl Iterator<Item = &SentChunk> {
        self.chunks.iter()
    }

    /// User data of chunks in flight.
    pub(super) fn flight_payload(&self) -> usize {
        self.flight_payload
    }

    /// User data of all chunks.
    pub(super) fn payload(&self) -> usize {
        self.payload
    }

    /// The first chunk to be sent again.
    pub(super) fn first_marked(&self) -> Option<Index> {
        self.marked.first().copied()
    }

    /// Length in packets of all chunks to be sent again.
    pub(super) fn marked_bytes(&self) -> usize {
        self.marked_bytes
    }

    /// What gap ack blocks cover.
    pub(super) fn acked(&self) -> &[Span] {
        &self.acked
    }

    /// The lowest chunk of `path` that is not acknowledged.
    pub(super) fn earliest(&self, path: PathId) -> Option<Index> {
        self.unacked(self.next_index()).find(|&i| self.get(i).is_some_and(|c| c.path == path && c.state != ChunkState::Abandoned))
    }

    /// The chunks below `end` that are not acknowledged, ascending.
    pub(super) fn unacked(&self, end: Index) -> impl Iterator<Item = Index> + use<'_> {
        // What is abandoned at the beginning is never of interest, and may be much.
        holes(&self.acked, self.advanced() + 1, end.min(self.next_index()))
    }

    /// Adds a chunk that is sent for the first time.
    pub(super) fn push(&mut self, chunk: SentChunk) -> Index {
        let index = self.next_index();
        self.flight_payload += chunk.fragment.len;
        self.payload += chunk.fragment.len;
        self.chunks.push_back(chunk);
        index
    }

    /// Puts a chunk into another state and keeps the books; answers it and its old state. An abandoned one stays as it is.
    pub(super) fn set_state(&mut self, index: Index, state: ChunkState) -> Option<(ChunkState, &mut SentChunk)> {
        let at = usize::try_from(index.checked_sub(self.base)?).ok()?;
        let chunk = self.chunks.get_mut(at).filter(|c| c.state != ChunkState::Abandoned)?;
        let old = core::mem::replace(&mut chunk.state, state);
        let (len, wire_len) = (chunk.fragment.len, chunk.wire_len());
        if old == ChunkState::InFlight {
            self.flight_payload -= len;
        }
        if state == ChunkState::InFlight {
            self.flight_payload += len;
        }
        if old == ChunkState::Marked && self.marked.remove(&index) {
            self.marked_bytes -= wire_len;
        }
        if state == ChunkState::Marked && self.marked.insert(index) {
            self.marked_bytes += wire_len;
        }
        Some((old, chunk))
    }

    /// Chunks of path `gone` are chunks of `heir` from now on, which they have not travelled by.
    pub(super) fn move_path(&mut self, gone: PathId, heir: PathId) {
        for c in self.chunks.iter_mut().filter(|c| c.path == gone) {
            (c.path, c.moved) = (heir, true);
        }
    }

    /// Path `old` is number `new` from now on.
    pub(super) fn rename_path(&mut self, old: PathId, new: PathId) {
        for c in self.chunks.iter_mut().filter(|c| c.path == old) {
            c.path = new;
        }
    }

    /// Notes the length of the packet that a chunk leaves in, up to the chunk's end.
    pub(super) fn set_packet(&mut self, index: Index, len: usize) {
        if let Some(c) = self.get_mut(index) {
            c.packet = u16::try_from(len).unwrap_or(u16::MAX);
        }
    }

    /// Counts a miss indication for a chunk in flight; answers whether it was the third.
    pub(super) fn miss(&mut self, index: Index) -> bool {
        self.get_mut(index).is_some_and(|c| {
            c.misses = c.misses.saturating_add(1);
            c.misses >= 3
        })
    }

    /// Gives back the memory of chunks that are gone.
    pub(super) fn release(&mut self) {
        self.chunks.shrink_to(0);
        self.acked.shrink_to(0);
    }

    /// The next chunk gets this TSN; there are none.
    pub(super) fn begin_at(&mut self, tsn: Tsn) {
        self.base_tsn = tsn;
    }

    /// Removes the first chunk: it is cumulatively acknowledged.
    pub(super) fn pop(&mut self) {
        if self.set_state_of_first().is_some()
            && let Some(chunk) = self.chunks.pop_front()
        {
            self.payload -= chunk.fragment.len;
            self.base += 1;
            self.ahead = self.ahead.saturating_sub(1);
            self.base_tsn = self.base_tsn.next();
        }
    }

    /// Takes the first chunk out of all books but `payload`; its own state stays as it was.
    fn set_state_of_first(&mut self) -> Option<()> {
        let chunk = self.chunks.front()?;
        match chunk.state {
            ChunkState::InFlight => self.flight_payload -= chunk.fragment.len,
            ChunkState::Marked => {
                self.marked_bytes -= chunk.wire_len();
                self.marked.remove(&self.base);
            }
            ChunkState::Acked | ChunkState::Abandoned => {}
        }
        Some(())
    }

    /// Gives a chunk up: it is in no books any more, and its user data is gone. Answers its old state and length, unless it was
    /// abandoned before.
    pub(super) fn abandon(&mut self, index: Index) -> Option<(ChunkState, usize)> {
        let (old, chunk) = self.set_state(index, ChunkState::Abandoned)?;
        let (len, wire_len) = (chunk.fragment.len, chunk.wire_len());
        chunk.fragment.forget();
        self.payload -= len;
        Some((old, wire_len))
    }

    /// Adds a chunk that is given up before it was ever sent: it stands for what is not sent of a message.
    pub(super) fn push_abandoned(&mut self, rest: Fragment, path: PathId) {
        self.chunks.push_back(SentChunk { state: ChunkState::Abandoned, ..SentChunk::new(rest, path) });
    }

    /// The first and the last chunk here of the message of which `index` is a part, and whether the last one is its end.
    pub(super) fn extent(&self, index: Index) -> (Index, Index, bool) {
        let seq = self.get(index).map(|c| c.fragment.seq);
        let (mut first, mut last, mut ended) = (index, index, false);
        for at in (self.base..=index).rev() {
            if let Some(c) = self.get(at).filter(|c| Some(c.fragment.seq) == seq) {
                first = at;
                if c.fragment.begin() {
                    break;
                }
            }
        }
        for at in index..self.next_index() {
            if let Some(c) = self.get(at).filter(|c| Some(c.fragment.seq) == seq) {
                (last, ended) = (at, c.fragment.end());
                if ended {
                    break;
                }
            }
        }
        (first, last, ended)
    }

    /// Moves Advanced.Peer.Ack.Point on as far as chunks are abandoned (RFC 3758 section 3.5 C1 and C2); answers it.
    pub(super) fn advance(&mut self) -> Index {
        while self.get(self.advanced() + 1).is_some_and(|c| c.state == ChunkState::Abandoned) {
            self.ahead += 1;
        }
        self.advanced()
    }

    /// Advanced.Peer.Ack.Point, as the index of a chunk: the one before `base` if it is no farther than the peer.
    pub(super) fn advanced(&self) -> Index {
        self.base - 1 + u64::from(self.ahead)
    }

    /// Sets Advanced.Peer.Ack.Point back, as far as a FORWARD TSN has room to tell of.
    pub(super) fn set_advanced(&mut self, index: Index) {
        self.ahead = u32::try_from((index + 1).saturating_sub(self.base)).unwrap_or(0);
    }

    /// All chunks to be sent again.
    pub(super) fn marked(&self) -> impl Iterator<Item = Index> {
        self.marked.iter().copied()
    }

    /// Forgets spans below the first chunk.
    pub(super) fn clip_acked(&mut self) {
        let base = self.base;
        if self.acked.first().is_some_and(|s| s.first < base) {
            self.acked.retain(|s| s.last >= base);
            if let Some(s) = self.acked.first_mut() {
                s.first = s.first.max(base);
            }
        }
    }

    /// Replaces what gap ack blocks cover; `spans` gets the old list.
    pub(super) fn swap_acked(&mut self, spans: &mut Vec<Span>) {
        core::mem::swap(&mut self.acked, spans);
    }
}

/// The indices from `start` to below `end` that no span covers.
fn holes(spans: &[Span], start: Index, end: Index) -> impl Iterator<Item = Index> + use<'_> {
    let bounds = spans.iter().map(|s| (s.first, s.last + 1)).chain([(end, end)]);
    let mut from = start;
    bounds.flat_map(move |(first, behind)| {
        let hole = from..first.min(end);
        from = from.max(behind);
        hole
    })
}

/// Calls `f` for each index of `a` that is not in `b`; both are ascending and disjoint.
pub(super) fn difference(a: &[Span], b: &[Span], mut f: impl FnMut(Index)) {
    let mut rest = b;
    for s in a {
        while let Some((head, tail)) = rest.split_first() {
            if head.last >= s.first {
                break;
            }
            rest = tail;
        }
        let mut from = s.first;
        for t in rest {
            if t.first > s.last {
                break;
            }
            (from..t.first).for_each(&mut f);
            from = from.max(t.last + 1);
        }
        (from..=s.last).for_each(&mut f);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn spans(set: &BTreeSet<u64>) -> Vec<Span> {
        let mut out: Vec<Span> = Vec::new();
        for &i in set {
            match out.last_mut() {
                Some(s) if s.last + 1 == i => s.last = i,
                _ => out.push(Span { first: i, last: i }),
            }
        }
        out
    }

    proptest! {
        #[test]
        fn spans_behave_like_sets(a: BTreeSet<u8>, b: BTreeSet<u8>, start in 0_u64..50, end in 0_u64..300) {
            let a: BTreeSet<u64> = a.into_iter().map(u64::from).collect();
            let b: BTreeSet<u64> = b.into_iter().map(u64::from).collect();
            let mut found = Vec::new();
            difference(&spans(&a), &spans(&b), |i| found.push(i));
            prop_assert_eq!(found, a.difference(&b).copied().collect::<Vec<_>>());
            let free: Vec<_> = holes(&spans(&a), start, end).collect();
            prop_assert_eq!(free, (start..end).filter(|i| !a.contains(i)).collect::<Vec<_>>());
        }
    }
}
