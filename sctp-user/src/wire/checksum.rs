//! CRC32c of a packet (RFC 9260 section 6.8 and Appendix A).
//!
//! By crc-fast, not by the crate crc32c: that one has three streams of CRC instructions at once only for whole blocks of 256 bytes each,
//! and takes half of a full packet word by word, four times as long in all. It is what the tests compare with.

use core::hint::cold_path;

use crc_fast::CrcAlgorithm::Crc32Iscsi;
use crc_fast::{Digest, checksum};

/// The checksum of `packet` with its checksum field (bytes 8 to 11) taken as zero, as a number.
///
/// On the wire it stands least significant byte first: the bits of each byte are reflected, and so is their order.
#[must_use]
pub fn crc32c(packet: &[u8]) -> u32 {
    let Some((head, rest)) = packet.split_first_chunk::<12>() else {
        cold_path();
        return narrow(checksum(Crc32Iscsi, packet.get(..8).unwrap_or(packet)));
    };
    let mut head = *head;
    head[8..].fill(0);
    let mut digest = Digest::new(Crc32Iscsi);
    digest.update(&head);
    digest.update(rest);
    narrow(digest.finalize())
}

/// The crate has checksums of up to 64 bits.
const fn narrow(checksum: u64) -> u32 {
    #[allow(clippy::cast_possible_truncation, reason = "this one has 32")]
    {
        checksum as u32
    }
}

/// What the checksum of a packet to be sent is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum ChecksumMode {
    /// CRC32c.
    #[default]
    Crc32c,
    /// Zero, where RFC 9653 section 5.2 allows it: not with an INIT, COOKIE ECHO or ASCONF.
    Zero,
}

/// Whether the checksum field of `packet` is zero, which is right for one packet in 2^32 only.
#[must_use]
pub fn is_zero(packet: &[u8]) -> bool {
    packet.get(8..12) == Some(&[0; 4])
}

/// Whether the checksum field of `packet` is right. A fuzzer cannot guess checksums, so under `cfg(fuzzing)` all are right.
#[must_use]
pub fn verify(packet: &[u8]) -> bool {
    if cfg!(fuzzing) {
        return packet.len() >= 12;
    }
    let field = packet.get(8..).and_then(|p| p.first_chunk::<4>());
    field.is_some_and(|f| u32::from_le_bytes(*f) == crc32c(packet))
}

/// Computes the checksum of `packet` and puts it into its field. A packet shorter than a common header is left alone.
pub fn seal(packet: &mut [u8]) {
    // In one pass, which is cheaper than going around the field.
    let Some(field) = packet.get_mut(8..12) else { return };
    field.fill(0);
    let crc = narrow(checksum(Crc32Iscsi, packet));
    if let Some(field) = packet.get_mut(8..12) {
        field.copy_from_slice(&crc.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_check_value_of_the_polynomial() {
        assert_eq!(narrow(checksum(Crc32Iscsi, b"123456789")), 0xe306_9283);
    }

    proptest! {
        #[test]
        fn another_implementation_agrees(packet in proptest::collection::vec(any::<u8>(), 12..4000)) {
            let mut blank = packet.clone();
            blank[8..12].fill(0);
            prop_assert_eq!(crc32c(&packet), crc32c::crc32c(&blank));
            let mut sealed = packet;
            seal(&mut sealed);
            prop_assert!(verify(&sealed));
        }
    }
}
