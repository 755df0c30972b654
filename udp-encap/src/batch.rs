//! Receive buffers: many datagrams a system call, and no allocation a packet.
//!
//! A slot has room for the largest train (64 KiB). A large train is handed out as it lies in its slot, and the slot is used
//! again as soon as all readers dropped it; small ones are copied out, side by side, into a shared block, because a reader
//! that keeps 100 bytes must not keep 64 KiB alive.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};

use bytes::{Bytes, BytesMut};
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef, UdpSocketState};

use crate::meta::{DatagramMeta, Ecn, Received, unmapped};

/// Room for a UDP payload or GRO train of any size.
const SLOT: usize = 65_536;
/// Trains up to this size are copied out of their slot.
const COPY_LIMIT: usize = 16_384;
/// Slots offered to the kernel while little comes: preparing all of them costs more than the one train that they get.
const FEW: usize = 4;
/// Size of the blocks that small trains are copied into.
const BLOCK: usize = 65_536;

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

    /// Reads one batch from a socket.
    pub(crate) fn fill(&mut self, state: &UdpSocketState, socket: UdpSockRef<'_>) -> io::Result<Filled> {
        let wanted = self.wanted;
        let result = {
            let mut slots = self.slots.iter_mut().take(wanted);
            let mut iov: [IoSliceMut<'_>; BATCH_SIZE] =
                std::array::from_fn(|_| IoSliceMut::new(slots.next().map_or(&mut [][..], |slot| &mut slot.reclaim()[..])));
            state.recv(socket, iov.get_mut(..wanted).unwrap_or_default(), &mut self.meta)
        };
        let filled = result.as_ref().map_or(0, |n| *n);
        let before = self.ready.len();
        for i in 0..filled {
            self.hand_out(i);
        }
        // Elsewhere a read may bring less than there is.
        let whole = cfg!(any(target_os = "linux", target_os = "android"));
        let more = filled >= if whole { wanted } else { 1 };
        self.wanted = if more { BATCH_SIZE } else { FEW.min(BATCH_SIZE) };
        result.map(|_| Filled { trains: self.ready.len().saturating_sub(before), more })
    }

    fn hand_out(&mut self, i: usize) {
        let (Some(slot), Some(meta)) = (self.slots.get_mut(i), self.meta.get(i)) else { return };
        let buffer = slot.reclaim();
        let len = meta.len.min(buffer.len());
        if len == 0 {
            return; // not even a port: nothing for SCTP
        }
        let bytes = if len <= COPY_LIMIT {
            if self.block.capacity() < len {
                self.block.reserve(BLOCK);
            }
            self.block.extend_from_slice(buffer.get(..len).unwrap_or_default());
            self.block.split().freeze()
        } else {
            slot.lend(len)
        };
        self.ready.push_back(Received {
            meta: DatagramMeta {
                src: unmapped(meta.addr),
                dst_ip: meta.dst_ip.map(|ip| ip.to_canonical()),
                ifindex: meta.interface_index.filter(|i| *i != 0),
                ecn: meta.ecn.map(Ecn::from_quinn),
            },
            stride: if meta.stride == 0 { len } else { meta.stride.min(len) },
            bytes,
        });
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
    fn an_unshared_slot_keeps_its_memory() {
        let mut slot = Slot::new();
        let at = slot.reclaim().as_ptr();
        drop(slot.lend(5_000));
        let again = slot.reclaim();
        assert_eq!((again.as_ptr(), again.len()), (at, SLOT));
    }
}
