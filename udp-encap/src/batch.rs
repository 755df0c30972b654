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
/// Size of the blocks that small trains are copied into.
const BLOCK: usize = 65_536;

/// A buffer on its way round: empty and ours, or filled and shared with the readers of its bytes.
#[derive(Debug)]
enum Slot {
    Free(BytesMut),
    Lent(Bytes),
}

impl Slot {
    /// The buffer for the next read: the same one if nobody holds its bytes any more, else a new one.
    fn reclaim(self) -> BytesMut {
        match self {
            Self::Free(buffer) => buffer,
            Self::Lent(bytes) => bytes.try_into_mut().unwrap_or_else(|_| BytesMut::zeroed(SLOT)),
        }
    }
}

/// Receive buffers and the trains that wait to be taken from them. One per event loop; it may serve several sockets.
#[derive(Debug)]
pub struct RecvBatch {
    /// As many as one system call can fill.
    slots: Vec<Slot>,
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
            slots: (0..BATCH_SIZE).map(|_| Slot::Free(BytesMut::zeroed(SLOT))).collect(),
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

    /// Reads one batch from a socket; the number of trains, which may be 0 if only empty datagrams came.
    pub(crate) fn fill(&mut self, state: &UdpSocketState, socket: UdpSockRef<'_>) -> io::Result<usize> {
        let mut buffers: [BytesMut; BATCH_SIZE] = std::array::from_fn(|_| BytesMut::new());
        for (buffer, slot) in buffers.iter_mut().zip(self.slots.drain(..)) {
            *buffer = slot.reclaim();
        }
        let mut meta = [RecvMeta::default(); BATCH_SIZE];
        let result = {
            let mut iter = buffers.iter_mut();
            let mut iov: [IoSliceMut<'_>; BATCH_SIZE] =
                std::array::from_fn(|_| IoSliceMut::new(iter.next().map_or(&mut [][..], |b| &mut b[..])));
            state.recv(socket, &mut iov, &mut meta)
        };
        let filled = result.as_ref().map_or(0, |n| *n);
        let before = self.ready.len();
        for (i, (buffer, meta)) in buffers.into_iter().zip(&meta).enumerate() {
            let slot = if i < filled { self.hand_out(buffer, meta) } else { Slot::Free(buffer) };
            self.slots.push(slot);
        }
        result.map(|_| self.ready.len().saturating_sub(before))
    }

    fn hand_out(&mut self, buffer: BytesMut, meta: &RecvMeta) -> Slot {
        let len = meta.len.min(buffer.len());
        if len == 0 {
            return Slot::Free(buffer); // not even a port: nothing for SCTP
        }
        let (bytes, slot) = if len <= COPY_LIMIT {
            if self.block.capacity() < len {
                self.block.reserve(BLOCK);
            }
            self.block.extend_from_slice(buffer.get(..len).unwrap_or_default());
            (self.block.split().freeze(), Slot::Free(buffer))
        } else {
            let whole = buffer.freeze();
            (whole.slice(..len), Slot::Lent(whole))
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
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_used_again_only_when_its_readers_are_gone() {
        let buffer = BytesMut::zeroed(SLOT);
        let at = buffer.as_ptr();
        let whole = buffer.freeze();
        let held = whole.slice(..5_000);
        let mut slot = Slot::Lent(whole);
        let fresh = slot.reclaim();
        assert_ne!(fresh.as_ptr(), at, "still held");
        assert_eq!(fresh.len(), SLOT);
        slot = Slot::Lent(fresh.freeze());
        drop(held);
        let again = slot.reclaim();
        assert_eq!(again.len(), SLOT);
    }

    #[test]
    fn an_unshared_slot_keeps_its_memory() {
        let buffer = BytesMut::zeroed(SLOT);
        let at = buffer.as_ptr();
        let whole = buffer.freeze();
        drop(whole.slice(..5_000));
        let again = Slot::Lent(whole).reclaim();
        assert_eq!((again.as_ptr(), again.len()), (at, SLOT));
    }
}
