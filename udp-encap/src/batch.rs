//! Receive buffers: many datagrams a system call, and no allocation a packet.
//!
//! A slot has room for the largest train (64 KiB). A large train is handed out as it lies in its slot, and the slot is used
//! again as soon as all readers dropped it; small ones are copied out, side by side, into a shared block, because a reader
//! that keeps 100 bytes must not keep 64 KiB alive. Datagrams that lie there as in a train are handed out as one, so that it
//! makes no difference to anybody above whether the kernel joins them.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};

use bytes::{Bytes, BytesMut};
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef, UdpSocketState};

use crate::meta::{DatagramMeta, Ecn, Received, unmapped};

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

/// Receive buffers and the trains that wait to be taken from them. One per event loop; it may serve several sockets.
#[derive(Debug)]
pub struct RecvBatch {
    /// As many as one system call can fill.
    slots: Vec<Slot>,
    /// How many of them the next read offers.
    wanted: usize,
    meta: Vec<RecvMeta>,
    block: BytesMut,
    /// What `block` begins with: a train that the next datagram may join, and its stride. Handed out before a read ends.
    open: Option<(DatagramMeta, usize)>,
    /// At most what the reads of one call gave; emptied by [`RecvBatch::pop`].
    ready: VecDeque<Received>,
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
            meta: vec![RecvMeta::default(); BATCH_SIZE],
            block: BytesMut::new(),
            open: None,
            ready: VecDeque::with_capacity(BATCH_SIZE),
        }
    }

    /// Takes the oldest train.
    pub fn pop(&mut self) -> Option<Received> {
        self.ready.pop_front()
    }

    /// Whether all trains were taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Reads one batch from a socket. `join`: equal datagrams of one sender become a train; those of raw sockets cannot, for on IPv4 each
    /// begins with a header that is taken off.
    pub(crate) fn fill(&mut self, state: &UdpSocketState, socket: UdpSockRef<'_>, join: bool) -> io::Result<Filled> {
        let wanted = self.wanted;
        self.bring_free_ones_forward();
        let result = if wanted <= FEW { self.read::<FEW>(state, socket) } else { self.read::<BATCH_SIZE>(state, socket) };
        let filled = result.as_ref().map_or(0, |n| *n);
        let before = self.ready.len();
        self.take_all(filled, join);
        // Elsewhere a read may bring less than there is.
        let whole = cfg!(any(target_os = "linux", target_os = "android"));
        let more = filled >= if whole { wanted } else { 1 };
        self.wanted = if more { BATCH_SIZE } else { filled.saturating_mul(2).clamp(FEW.min(BATCH_SIZE), BATCH_SIZE) };
        result.map(|_| Filled { trains: self.ready.len().saturating_sub(before), more })
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

    /// Offers as many slots as are wanted, at most `N`.
    fn read<const N: usize>(&mut self, state: &UdpSocketState, socket: UdpSockRef<'_>) -> io::Result<usize> {
        let wanted = self.wanted;
        let mut slots = self.slots.iter_mut().take(wanted);
        let mut iov: [IoSliceMut<'_>; N] =
            std::array::from_fn(|_| IoSliceMut::new(slots.next().map_or(&mut [][..], |slot| &mut slot.reclaim()[..])));
        state.recv(socket, iov.get_mut(..wanted).unwrap_or_default(), &mut self.meta)
    }

    fn take_all(&mut self, filled: usize, join: bool) {
        for i in 0..filled {
            self.take_in(i);
            if !join {
                self.hand_out_open();
            }
        }
        self.hand_out_open();
    }

    fn take_in(&mut self, i: usize) {
        let (Some(slot), Some(meta)) = (self.slots.get_mut(i), self.meta.get(i)) else { return };
        let len = meta.len.min(slot.reclaim().len());
        if len == 0 {
            return; // not even a port: nothing for SCTP
        }
        let stride = if meta.stride == 0 { len } else { meta.stride.min(len) };
        let meta = DatagramMeta {
            src: unmapped(meta.addr),
            dst_ip: meta.dst_ip.map(|ip| ip.to_canonical()),
            ifindex: meta.interface_index.filter(|i| *i != 0),
            ecn: meta.ecn.map(Ecn::from_quinn),
        };
        if len > COPY_LIMIT {
            let bytes = slot.lend(len);
            self.hand_out_open();
            self.ready.push_back(Received { meta, bytes, stride });
            return;
        }
        let joins = stride == len
            && self.open.is_some_and(|(before, stride)| before == meta && len <= stride && self.block.len().is_multiple_of(stride))
            && self.block.len().saturating_add(len) <= MAX_TRAIN.min(self.block.capacity());
        if !joins {
            self.hand_out_open();
            self.open = Some((meta, stride));
            if self.block.capacity() < len {
                self.block.reserve(BLOCK);
            }
        }
        let received = self.slots.get_mut(i).and_then(|slot| slot.reclaim().get(..len));
        self.block.extend_from_slice(received.unwrap_or_default());
    }

    fn hand_out_open(&mut self) {
        if let Some((meta, stride)) = self.open.take() {
            self.ready.push_back(Received { meta, bytes: self.block.split().freeze(), stride });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let mut batch = RecvBatch::new();
        let sizes = [100, 100, 40, 100, 100, 120, 7];
        for (i, size) in sizes.into_iter().enumerate() {
            batch.slots[i].free[..size].fill(u8::try_from(i).unwrap());
            let src = "127.0.0.1:1".parse().unwrap();
            (batch.meta[i].addr, batch.meta[i].len, batch.meta[i].stride) = (src, size, size);
        }
        // Another mark is another train.
        batch.meta[1].ecn = Some(quinn_udp::EcnCodepoint::Ce);
        batch.meta[2].ecn = Some(quinn_udp::EcnCodepoint::Ce);
        batch.take_all(sizes.len(), true);
        let trains: Vec<_> = core::iter::from_fn(|| batch.pop()).collect();
        let lengths: Vec<_> = trains.iter().map(|t| (t.stride, t.bytes.len())).collect();
        assert_eq!(lengths, [(100, 100), (100, 140), (100, 200), (120, 127)], "a short one ends a train, a longer one begins one");
        let order: Vec<_> = trains.iter().flat_map(|t| t.packets().map(|p| usize::from(p[0])).collect::<Vec<_>>()).collect();
        assert_eq!(order, [0, 1, 2, 3, 4, 5, 6]);
        batch.take_all(sizes.len(), false);
        let apart: Vec<_> = core::iter::from_fn(|| batch.pop()).map(|t| (t.stride, t.bytes.len())).collect();
        assert_eq!(apart, sizes.map(|size| (size, size)), "packets of raw sockets stay apart");
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
