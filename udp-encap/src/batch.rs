//! Receive buffers: many datagrams a system call, and no allocation a packet.
//!
//! A slot has room for the largest train (64 KiB). A large train is handed out as it lies in its slot, and the slot is used
//! again as soon as all readers dropped it; small ones are copied out, side by side, into a shared block, because a reader
//! that keeps 100 bytes must not keep 64 KiB alive. Datagrams that lie there as in a train are handed out as one, so that it
//! makes no difference to anybody above whether the kernel joins them.

use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;

use bytes::{Bytes, BytesMut};
use quinn_udp::{BATCH_SIZE, UdpSocketState};

use crate::meta::{DatagramMeta, Received};
use crate::read::Labels;

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

    /// Makes room for the next read: the same buffer if nobody holds its bytes any more, else a new one.
    fn reclaim(&mut self) {
        if self.free.is_empty() {
            self.free = std::mem::take(&mut self.lent).try_into_mut().unwrap_or_else(|_| BytesMut::zeroed(SLOT));
        }
    }

    /// The first `len` bytes, as they lie.
    #[inline(never)]
    fn lend(&mut self, len: usize) -> Bytes {
        self.lent = std::mem::take(&mut self.free).freeze();
        self.lent.slice(..len)
    }
}

/// Receive buffers and what the last read brought. One per event loop; it may serve several sockets.
#[derive(Debug)]
pub struct RecvBatch {
    /// As many as one system call can fill.
    slots: Vec<Slot>,
    /// How many of them the next read offers.
    wanted: usize,
    /// There are slots whose buffers are lent.
    lent: bool,
    labels: Labels,
    /// The slots that the last read filled and that wait for [`RecvBatch::pop`].
    waiting: Range<usize>,
    /// Equal datagrams of one sender become a train.
    join: bool,
    /// What small trains are copied into; empty between two of them.
    block: BytesMut,
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
            lent: false,
            labels: Labels::new(),
            waiting: 0..0,
            join: false,
            block: BytesMut::new(),
        }
    }

    /// Takes the oldest train.
    pub fn pop(&mut self) -> Option<Received> {
        let (at, stride, bytes) = self.next()?;
        Some(Received { meta: *self.meta(at)?, stride, bytes })
    }

    /// What was told of the slot.
    #[inline]
    pub(crate) fn meta(&self, at: usize) -> Option<&DatagramMeta> {
        self.labels.get(at).map(|label| &label.meta)
    }

    /// Takes the oldest train: the slot that it began in, stride and bytes.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<(usize, usize, Bytes)> {
        while let Some(at) = self.waiting.next() {
            let (Some(slot), Some(label)) = (self.slots.get_mut(at), self.labels.get(at)) else { continue };
            let len = label.len.min(SLOT);
            if len == 0 {
                continue; // not even a port: nothing for SCTP
            }
            let stride = if label.stride == 0 { len } else { label.stride.min(len) };
            let bytes = if len > COPY_LIMIT {
                self.lent = true;
                slot.lend(len)
            } else {
                self.copy(at, len, stride)
            };
            return Some((at, stride, bytes));
        }
        None
    }

    /// The first `len` bytes of a slot, copied, and behind them datagrams that follow as if they were of the same train, which they are
    /// from now on.
    #[inline]
    fn copy(&mut self, at: usize, len: usize, stride: usize) -> Bytes {
        if self.block.capacity() < len {
            self.block.reserve(BLOCK);
        }
        if let Some(slot) = self.slots.get(at) {
            self.block.extend_from_slice(slot.free.get(..len).unwrap_or_default());
        }
        while self.join && !self.waiting.is_empty() && self.joins(at, stride) {
            self.waiting.next();
        }
        self.block.split().freeze()
    }

    /// Copies the next datagram if it may follow those in the block, of which the first one was in slot `at`; whether it did.
    #[cold]
    fn joins(&mut self, at: usize, stride: usize) -> bool {
        let next = self.waiting.start;
        let (Some(first), Some(next), Some(slot)) = (self.labels.get(at), self.labels.get(next), self.slots.get(next)) else {
            return false;
        };
        let single = next.stride == 0 || next.stride >= next.len;
        let fits = next.len <= stride && self.block.len().is_multiple_of(stride);
        let has_room = self.block.len().saturating_add(next.len) <= MAX_TRAIN.min(self.block.capacity());
        let joins = single && fits && has_room && next.meta == first.meta;
        if joins {
            self.block.extend_from_slice(slot.free.get(..next.len).unwrap_or_default());
        }
        joins
    }

    /// Whether all trains were taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Reads one batch from a socket; whether it was as large as could be, so that there may be more. If not, the socket was empty for a
    /// moment. What was not taken before is lost. `join`: equal datagrams of one sender become a train; those of raw sockets cannot, for
    /// on IPv4 each begins with a header that is taken off.
    #[inline]
    pub(crate) fn fill(&mut self, socket: BorrowedFd<'_>, state: &UdpSocketState, join: bool) -> io::Result<bool> {
        debug_assert!(self.is_empty(), "trains were not taken");
        self.waiting = 0..0;
        let wanted = self.wanted;
        if self.lent {
            self.reclaim();
        }
        let offered = self.slots.iter_mut().take(wanted).map(|slot| &mut slot.free[..]);
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
        (self.waiting, self.join) = (0..filled, join);
        result.map(|_| more)
    }

    /// Buffers for the next read. Free ones take the place of those that readers hold: a reader that waits for the rest of a long message
    /// holds some, and new buffers for them would be memory that nothing was written to yet.
    #[inline(never)]
    fn reclaim(&mut self) {
        let (offered, others) = self.slots.split_at_mut_checked(self.wanted).unwrap_or_default();
        let mut others = others.iter_mut().filter(|slot| slot.is_free());
        for slot in offered {
            if !slot.is_free()
                && let Some(other) = others.next()
            {
                std::mem::swap(slot, other);
            }
            slot.reclaim();
        }
        self.lent = self.slots.iter().any(|slot| slot.free.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_used_again_only_when_its_readers_are_gone() {
        let mut slot = Slot::new();
        let at = slot.free.as_ptr();
        let held = slot.lend(5_000);
        slot.reclaim();
        assert_ne!(slot.free.as_ptr(), at, "still held");
        assert_eq!(slot.free.len(), SLOT);
        drop(slot.lend(5_000));
        drop(held);
        slot.reclaim();
        assert_eq!(slot.free.len(), SLOT);
    }

    #[test]
    fn buffers_that_readers_hold_are_left_out_as_long_as_there_are_others() {
        let mut batch = RecvBatch::new();
        let mut held = Vec::new();
        let mut addresses = std::collections::BTreeSet::new();
        for _ in 0..BATCH_SIZE {
            batch.reclaim();
            assert!(batch.slots.iter().take(batch.wanted).all(|slot| slot.free.len() == SLOT));
            let slot = batch.slots.first_mut().unwrap();
            addresses.insert(slot.free.as_ptr());
            held.push(slot.lend(COPY_LIMIT + 1));
        }
        assert_eq!(addresses.len(), BATCH_SIZE);
        held.pop();
        batch.reclaim();
        assert!(addresses.contains(&batch.slots.first_mut().unwrap().free.as_ptr()), "the one that came back");
    }

    /// Where a read brings several datagrams.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    #[allow(clippy::disallowed_types, reason = "edge: a socket that sends empty datagrams")]
    fn datagrams_join_as_in_a_train() {
        use crate::{Bind, Ecn, Transmit, UdpEncap};

        let ip: std::net::IpAddr = [127, 0, 0, 1].into();
        let [mut a, mut b] = [0; 2].map(|_| UdpEncap::bind(Bind::Addr(ip), 0).unwrap());
        let sizes = [100, 100, 40, 0, 100, 100, 120, 7];
        for (i, size) in (0..).zip(sizes) {
            // Another mark is another train.
            let ecn = matches!(i, 1 | 2).then_some(Ecn::Ce);
            if size == 0 {
                std::net::UdpSocket::bind((ip, 0)).unwrap().send_to(&[], (ip, b.port())).unwrap();
            } else {
                a.send(&Transmit { ecn, ..Transmit::to((ip, b.port()).into()) }, &vec![i; size]).unwrap();
            }
        }
        let mut batch = RecvBatch::new();
        batch.wanted = BATCH_SIZE;
        b.recv(&mut batch).unwrap();
        let trains: Vec<_> = std::iter::from_fn(|| batch.pop()).collect();
        let lengths: Vec<_> = trains.iter().map(|t| (t.stride, t.bytes.len())).collect();
        assert_eq!(lengths, [(100, 100), (100, 140), (100, 200), (120, 127)], "a short one ends a train, a longer one begins one");
        let order: Vec<_> = trains.iter().flat_map(|t| t.packets().map(|p| usize::from(p[0])).collect::<Vec<_>>()).collect();
        assert_eq!(order, [0, 1, 2, 4, 5, 6, 7]);
    }

    #[test]
    fn an_unshared_slot_keeps_its_memory() {
        let mut slot = Slot::new();
        let at = slot.free.as_ptr();
        drop(slot.lend(5_000));
        slot.reclaim();
        assert_eq!((slot.free.as_ptr(), slot.free.len()), (at, SLOT));
    }
}
