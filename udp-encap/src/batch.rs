//! Receive buffers: many datagrams a system call, and no allocation a packet.
//!
//! A slot has room for the largest train (64 KiB). A large train is handed out as it lies in its slot, and the slot is used
//! again as soon as all readers dropped it; small ones are copied out, side by side, into a shared block, because a reader
//! that keeps 100 bytes must not keep 64 KiB alive. Datagrams that lie there as in a train are handed out as one, so that it
//! makes no difference to anybody above whether the kernel joins them.

use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;

use bytes::{Bytes, BytesMut};
use quinn_udp::{BATCH_SIZE, UdpSocketState};

use crate::meta::{DatagramMeta, Received};
use crate::read::{Label, Labels};

/// Room for a UDP payload or GRO train of any size.
const SLOT: usize = 65_536;
/// Trains up to this size are copied out of their slot.
const COPY_LIMIT: usize = 16_384;
/// Slots offered to the kernel while little comes: preparing all of them costs more than the one train that they get. Else it is
/// twice what came last, or all if that was all that was offered.
const FEW: usize = 2;
/// Size of the blocks that small trains are copied into.
const BLOCK: usize = 65_536;
/// Most bytes of a train, as of one that the kernel joins.
const MAX_TRAIN: usize = 65_535;

/// A buffer on its way round: ours, or filled and shared with the readers of its bytes.
#[derive(Debug)]
struct Slot {
    /// Empty while the buffer is lent.
    free: BytesMut,
    lent: Bytes,
}

impl Slot {
    fn new() -> Self {
        Self { free: BytesMut::zeroed(SLOT), lent: Bytes::new() }
    }

    /// Whether nobody holds bytes of the buffer.
    fn is_free(&self) -> bool {
        !self.free.is_empty() || self.lent.is_unique()
    }

    /// The buffer for the next read: the same one if nobody holds its bytes any more, else a new one.
    fn reclaim(&mut self) -> &mut BytesMut {
        if self.free.is_empty() {
            self.free = std::mem::take(&mut self.lent).try_into_mut().unwrap_or_else(|_| BytesMut::zeroed(SLOT));
        }
        &mut self.free
    }

    /// The first `len` bytes, as they lie.
    fn lend(&mut self, len: usize) -> Bytes {
        self.lent = std::mem::take(&mut self.free).freeze();
        self.lent.slice(..len)
    }
}

/// What one read brought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filled {
    /// Trains that can be taken; none if only empty datagrams came.
    pub(crate) trains: usize,
    /// The read was as large as could be: there may be more. If not, the socket was empty for a moment.
    pub(crate) more: bool,
}

/// The trains that wait to be taken, and the block that small ones are copied into.
#[derive(Debug, Default)]
struct Trains {
    block: BytesMut,
    /// The last train has no bytes yet: `block` begins with them, and the next datagram may join. Closed before a read ends.
    open: bool,
    /// At most what the reads of one call gave; emptied by [`RecvBatch::pop`].
    ready: VecDeque<Received>,
}

impl Trains {
    /// Takes a train in whose bytes nobody will write to.
    fn add(&mut self, meta: &DatagramMeta, stride: usize, bytes: Bytes) {
        self.close();
        self.ready.push_back(Received { meta: *meta, bytes, stride });
    }

    /// Takes a copy in.
    fn copy(&mut self, meta: &DatagramMeta, stride: usize, bytes: &[u8]) {
        if !self.joins(meta, stride, bytes.len()) {
            self.add(meta, stride, Bytes::new());
            self.open = true;
            if self.block.capacity() < bytes.len() {
                self.block.reserve(BLOCK);
            }
        }
        self.block.extend_from_slice(bytes);
    }

    /// Whether a train of `len` bytes, which is a single datagram if it joins, may follow those in the block.
    fn joins(&self, meta: &DatagramMeta, stride: usize, len: usize) -> bool {
        self.open
            && self.ready.back().is_some_and(|train| {
                let fits = stride == len && len <= train.stride && self.block.len().is_multiple_of(train.stride);
                fits && train.meta == *meta && self.block.len().saturating_add(len) <= MAX_TRAIN.min(self.block.capacity())
            })
    }

    #[inline]
    fn close(&mut self) {
        if std::mem::take(&mut self.open)
            && let Some(train) = self.ready.back_mut()
        {
            train.bytes = self.block.split().freeze();
        }
    }
}

/// Receive buffers and the trains that wait to be taken from them. One per event loop; it may serve several sockets.
#[derive(Debug)]
pub struct RecvBatch {
    /// As many as one system call can fill.
    slots: Vec<Slot>,
    /// How many of them the next read offers.
    wanted: usize,
    labels: Labels,
    trains: Trains,
}

impl Default for RecvBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl RecvBatch {
    /// Buffers for the largest batch that one system call returns. The pages are touched only when used.
    #[must_use]
    pub fn new() -> Self {
        Self {
            slots: (0..BATCH_SIZE).map(|_| Slot::new()).collect(),
            wanted: FEW.min(BATCH_SIZE),
            labels: Labels::new(),
            trains: Trains { ready: VecDeque::with_capacity(BATCH_SIZE), ..Trains::default() },
        }
    }

    /// Takes the oldest train.
    pub fn pop(&mut self) -> Option<Received> {
        self.trains.ready.pop_front()
    }

    /// The oldest train.
    pub(crate) fn front(&self) -> Option<&Received> {
        self.trains.ready.front()
    }

    /// Takes the first `len` bytes of the oldest train, whole datagrams, or all that it has.
    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Option<Received> {
        let train = self.trains.ready.front_mut()?;
        train.stride = train.stride.min(train.bytes.len());
        if len < train.bytes.len() {
            return Some(Received { bytes: train.bytes.split_to(len), ..*train });
        }
        self.pop()
    }

    /// Whether all trains were taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.trains.ready.is_empty()
    }

    /// Reads one batch from a socket. `join`: equal datagrams of one sender become a train; those of raw sockets cannot, for on IPv4 each
    /// begins with a header that is taken off.
    pub(crate) fn fill(&mut self, socket: BorrowedFd<'_>, state: &UdpSocketState, join: bool) -> io::Result<Filled> {
        self.bring_free_ones_forward();
        let wanted = self.wanted;
        let offered = self.slots.iter_mut().take(wanted).map(|slot| &mut slot.reclaim()[..]);
        let result = if wanted <= FEW {
            self.labels.read::<FEW>(socket, state, offered)
        } else {
            self.labels.read::<BATCH_SIZE>(socket, state, offered)
        };
        let filled = result.as_ref().map_or(0, |n| *n);
        // Elsewhere a read may bring less than there is.
        let whole = cfg!(any(target_os = "linux", target_os = "android"));
        let more = filled >= if whole { wanted } else { 1 };
        self.wanted = if more { BATCH_SIZE } else { filled.saturating_mul(2).clamp(FEW.min(BATCH_SIZE), BATCH_SIZE) };
        result.map(|filled| Filled { trains: self.take_in(filled, join), more })
    }

    /// Puts free slots in the place of those that readers hold, among the slots that the next read offers: a reader that waits for the
    /// rest of a long message holds some, and new buffers for them would be memory that nothing was written to yet.
    fn bring_free_ones_forward(&mut self) {
        let (offered, others) = self.slots.split_at_mut_checked(self.wanted).unwrap_or_default();
        let mut others = others.iter_mut().filter(|slot| slot.is_free());
        for slot in offered.iter_mut().filter(|slot| !slot.is_free()) {
            let Some(other) = others.next() else { return };
            std::mem::swap(slot, other);
        }
    }

    /// Makes trains of what the first slots were filled with: how many.
    fn take_in(&mut self, filled: usize, join: bool) -> usize {
        let before = self.trains.ready.len();
        for i in 0..filled {
            let (Some(slot), Some(label)) = (self.slots.get_mut(i), self.labels.get(i)) else { continue };
            let Label { len, stride, ref meta } = *label;
            let len = len.min(SLOT);
            if len == 0 {
                continue; // not even a port: nothing for SCTP
            }
            let stride = if stride == 0 { len } else { stride.min(len) };
            if len > COPY_LIMIT {
                self.trains.add(meta, stride, slot.lend(len));
            } else {
                self.trains.copy(meta, stride, slot.reclaim().get(..len).unwrap_or_default());
            }
            if !join {
                self.trains.close();
            }
        }
        self.trains.close();
        self.trains.ready.len().saturating_sub(before)
    }
}

#[cfg(test)]
impl RecvBatch {
    /// One that has received a train.
    pub(crate) fn of(train: Received) -> Self {
        let mut batch = Self::new();
        batch.trains.ready.push_back(train);
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::Ecn;

    #[test]
    fn a_slot_is_used_again_only_when_its_readers_are_gone() {
        let mut slot = Slot::new();
        let at = slot.reclaim().as_ptr();
        let held = slot.lend(5_000);
        assert_ne!(slot.reclaim().as_ptr(), at, "still held");
        assert_eq!(slot.reclaim().len(), SLOT);
        drop(slot.lend(5_000));
        drop(held);
        assert_eq!(slot.reclaim().len(), SLOT);
    }

    #[test]
    fn buffers_that_readers_hold_are_left_out_as_long_as_there_are_others() {
        let mut batch = RecvBatch::new();
        let mut held = Vec::new();
        let mut addresses = std::collections::BTreeSet::new();
        for _ in 0..BATCH_SIZE {
            batch.bring_free_ones_forward();
            assert!(batch.slots.iter().take(batch.wanted).all(Slot::is_free) || held.len() + batch.wanted > BATCH_SIZE);
            let slot = batch.slots.first_mut().unwrap();
            addresses.insert(slot.reclaim().as_ptr());
            held.push(slot.lend(COPY_LIMIT + 1));
        }
        assert_eq!(addresses.len(), BATCH_SIZE);
        held.pop();
        batch.bring_free_ones_forward();
        assert!(addresses.contains(&batch.slots.first_mut().unwrap().reclaim().as_ptr()), "the one that came back");
    }

    #[test]
    fn datagrams_join_as_in_a_train() {
        let mut trains = Trains::default();
        let sizes = [100, 100, 40, 100, 100, 120, 7];
        for (i, size) in (0..).zip(sizes) {
            // Another mark is another train.
            let ecn = matches!(i, 1 | 2).then_some(Ecn::Ce);
            let meta = DatagramMeta { src: "127.0.0.1:1".parse().unwrap(), dst_ip: None, ifindex: None, ecn };
            trains.copy(&meta, size, &vec![i; size]);
        }
        trains.close();
        let trains = trains.ready;
        let lengths: Vec<_> = trains.iter().map(|t| (t.stride, t.bytes.len())).collect();
        assert_eq!(lengths, [(100, 100), (100, 140), (100, 200), (120, 127)], "a short one ends a train, a longer one begins one");
        let order: Vec<_> = trains.iter().flat_map(|t| t.packets().map(|p| usize::from(p[0])).collect::<Vec<_>>()).collect();
        assert_eq!(order, [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn an_unshared_slot_keeps_its_memory() {
        let mut slot = Slot::new();
        let at = slot.reclaim().as_ptr();
        drop(slot.lend(5_000));
        let again = slot.reclaim();
        assert_eq!((again.as_ptr(), again.len()), (at, SLOT));
    }
}
