//! Zero checksum (RFC 9653): over a lower layer that finds errors better than CRC32c does, such as DTLS, packets go without it.
//!
//! Each side says in INIT or INIT ACK which error detection method it relies on, and from then on takes checksums of zero; the other
//! one sends them if it knows the method, too. Which packets have a checksum all the same is
//! [`ChecksumMode::Zero`](crate::wire::ChecksumMode)'s business; what is taken from whom is the stack's.

use crate::assoc::core::Core;
use crate::config::{AssocConfig, StackConfig};
use crate::net::Channel;
use crate::wire::ChecksumMode;

/// We may send checksums of zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ZeroChecksum;

impl ZeroChecksum {
    /// The method that we rely on over `channel`, the only one of the association: what the program said of a lower layer of its own.
    pub(super) fn offer(cfg: &AssocConfig, stack: &StackConfig, channel: Option<Channel>) -> Option<u32> {
        // Method 0 is reserved (RFC 9653 section 8).
        channel.and_then(|c| stack.private(c)?.error_detection).filter(|method| cfg.zero_checksum && *method != 0)
    }

    /// If the peer takes checksums of zero by a method that we rely on as well (RFC 9653 section 5.2).
    pub(super) fn negotiate(core: &Core) -> Option<Self> {
        let ours = core.local_terms.zero_checksum()?;
        (core.peer_terms.zero_checksum() == Some(ours)).then_some(Self)
    }
}

impl super::Extensions {
    /// What the checksums of packets to the peer are.
    pub(in crate::assoc) const fn checksum_mode(&self) -> ChecksumMode {
        if self.zero_checksum.is_some() { ChecksumMode::Zero } else { ChecksumMode::Crc32c }
    }
}
