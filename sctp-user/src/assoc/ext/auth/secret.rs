//! Association shared keys: an endpoint pair shared key, and what both sides said in INIT and INIT ACK (RFC 4895 section 6.1).

use core::cmp::Ordering;

use zeroize::Zeroizing;

use super::mac::Mac;
use crate::config::{HmacId, SharedKey};
use crate::num::KeyId;

/// An association shared key, ready for use.
pub(super) struct Derived {
    id: KeyId,
    hmac: HmacId,
    /// What it was made from: the user may give the number to another key.
    from: SharedKey,
    pub(super) mac: Mac,
}

impl Derived {
    /// Makes the key out of the key vectors of both sides.
    pub(super) fn new(id: KeyId, hmac: HmacId, from: &SharedKey, vectors: (&[u8], &[u8])) -> Option<Box<Self>> {
        let mac = Mac::new(hmac, &association_key(from.bytes(), vectors))?;
        Some(Box::new(Self { id, hmac, from: from.clone(), mac }))
    }

    /// Whether it still is the one that is asked for.
    pub(super) fn is(&self, id: KeyId, hmac: HmacId, from: &SharedKey) -> bool {
        self.id == id && self.hmac == hmac && self.from.is(from)
    }
}

impl core::fmt::Debug for Derived {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Derived").field("id", &self.id).field("hmac", &self.hmac).finish_non_exhaustive()
    }
}

/// The endpoint pair shared key, then the numerically smaller key vector, then the larger one.
fn association_key(key: &[u8], (a, b): (&[u8], &[u8])) -> Zeroizing<Vec<u8>> {
    let (small, large) = if compare(a, b) == Ordering::Greater { (b, a) } else { (a, b) };
    let mut all = Zeroizing::new(Vec::with_capacity(key.len() + a.len() + b.len()));
    for part in [key, small, large] {
        all.extend_from_slice(part);
    }
    all
}

/// The order as numbers; of equal ones the shorter vector comes first.
fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let number = |v: &[u8]| v.iter().position(|byte| *byte != 0).unwrap_or(v.len());
    let (x, y) = (a.get(number(a)..).unwrap_or(&[]), b.get(number(b)..).unwrap_or(&[]));
    x.len().cmp(&y.len()).then_with(|| x.cmp(y)).then_with(|| a.len().cmp(&b.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_compared_as_numbers() {
        assert_eq!(compare(&[2], &[1, 0]), Ordering::Less);
        assert_eq!(compare(&[1, 3], &[1, 2]), Ordering::Greater);
        assert_eq!(compare(&[0, 0, 5], &[6]), Ordering::Less);
        assert_eq!(compare(&[0, 5], &[5]), Ordering::Greater, "equal numbers: the shorter one first");
        assert_eq!(compare(&[0, 5], &[0, 5]), Ordering::Equal);
        assert_eq!(compare(&[], &[0]), Ordering::Less);
    }

    #[test]
    fn the_key_comes_first_and_both_sides_make_the_same() {
        let (a, b) = ([0x80, 2, 9], [0x80, 2, 7, 1]);
        let expected = [b"key".as_slice(), &a, &b].concat();
        assert_eq!(*association_key(b"key", (&a, &b)), expected);
        assert_eq!(*association_key(b"key", (&b, &a)), expected);
        assert_eq!(*association_key(b"", (&[0, 5], &[5])), [5, 0, 5]);
    }
}
