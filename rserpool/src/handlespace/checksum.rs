//! The checksum over the elements that a registrar owns (RFC 5353 section 3.6.2).

use crate::wire::{ElementId, PoolHandle};

/// The checksum, kept up to date element by element.
///
/// Every element adds the 16-bit words of its handle (padded with zeros) and of its identifier. The sum is kept in 64
/// bits, which no number of elements overflows; RSPLIB's 32 bits wrap at some 14,000 elements.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Checksum {
    sum: u64,
}

impl Checksum {
    /// Takes an element in.
    pub fn add(&mut self, handle: &PoolHandle, id: ElementId) {
        self.add_share(share_of_handle(handle) + share_of_id(id));
    }

    /// Takes an element out that was taken in before.
    pub fn sub(&mut self, handle: &PoolHandle, id: ElementId) {
        self.sub_share(share_of_handle(handle) + share_of_id(id));
    }

    pub(super) const fn add_share(&mut self, share: u64) {
        self.sum = self.sum.wrapping_add(share);
    }

    pub(super) const fn sub_share(&mut self, share: u64) {
        self.sum = self.sum.wrapping_sub(share);
    }

    /// The 16 bits that travel: the ones' complement of the ones' complement sum (RFC 1071).
    #[must_use]
    pub const fn value(self) -> u16 {
        // 2^16 is 1 modulo 65535, so folding the carries is a remainder; a sum of ones' complement "minus zero" is kept
        // apart from no element at all.
        let folded = match self.sum % 0xffff {
            0 if self.sum != 0 => 0xffff,
            n => n,
        };
        #[allow(clippy::cast_possible_truncation, reason = "at most 0xffff")]
        let folded = folded as u16;
        !folded
    }
}

/// What a handle adds to the checksum for each of its elements.
pub(super) fn share_of_handle(handle: &PoolHandle) -> u64 {
    let words = handle.as_bytes().chunks(2).map(|w| match *w {
        [high, low] => u64::from(u16::from_be_bytes([high, low])),
        [high] => u64::from(u16::from_be_bytes([high, 0])),
        _ => 0,
    });
    words.sum::<u64>()
}

/// What an identifier adds.
pub(super) const fn share_of_id(id: ElementId) -> u64 {
    (id.0 >> 16) as u64 + (id.0 & 0xffff) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(elements: &[(&str, u32)]) -> u16 {
        let mut c = Checksum::default();
        for (handle, id) in elements {
            c.add(&PoolHandle::new(handle).unwrap(), ElementId(*id));
        }
        c.value()
    }

    #[test]
    fn vectors_of_rsplib() {
        assert_eq!(of(&[]), 0xffff);
        assert_eq!(of(&[("EchoPool", 0x1122_3344)]), 0x4deb);
        assert_eq!(of(&[("EchoPool", 0x1122_3344), ("Odd", 0xfffe_fdfc)]), 0x9c8a);
        assert_eq!(of(&[("CalcAppPool", 0x5562_e917)]), 0x8490);
    }

    #[test]
    fn many_elements_as_measured() {
        // 13,959 elements in a pool with a handle of 22 bytes are where RSPLIB's sum wraps; ours goes on as the RFC says.
        let handle = PoolHandle::new([0xff; 22]).unwrap();
        let mut wide = Checksum::default();
        let mut naive: u32 = 0;
        for id in 1..=20_000u32 {
            wide.add(&handle, ElementId(id));
            for word in core::iter::repeat_n(0xffff, 11).chain([id >> 16, id & 0xffff]) {
                naive += word;
                naive = (naive & 0xffff) + (naive >> 16);
            }
        }
        assert_eq!(u32::from(wide.value()), !naive & 0xffff);
    }

    proptest! {
        #[test]
        fn taking_out_undoes_taking_in(ids: Vec<u32>, handle in "[a-z]{1,32}") {
            let handle = PoolHandle::new(handle).unwrap();
            let mut c = Checksum::default();
            c.add(&handle, ElementId(7));
            let before = c;
            ids.iter().for_each(|&id| c.add(&handle, ElementId(id)));
            ids.iter().rev().for_each(|&id| c.sub(&handle, ElementId(id)));
            prop_assert_eq!(c, before);
        }
    }
}
