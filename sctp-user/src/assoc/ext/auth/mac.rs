//! The message authentication codes that there are (RFC 4895 section 3.3, RFC 2104).

use hmac::{Hmac, KeyInit, Mac as _};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::config::HmacId;

/// Length of the longest code in bytes.
pub(super) const MAX_LEN: usize = 32;
/// Zero bytes, as many as the longest code has.
const ZEROS: [u8; MAX_LEN] = [0; MAX_LEN];

/// An HMAC with its key taken in: what a packet costs is its own length. The state is wiped when it is dropped.
#[derive(Clone)]
pub(super) enum Mac {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
}

impl Mac {
    pub(super) fn new(hmac: HmacId, key: &[u8]) -> Option<Self> {
        // HMAC takes keys of any length, so there is always one.
        match hmac {
            HmacId::Sha1 => Hmac::new_from_slice(key).ok().map(Self::Sha1),
            HmacId::Sha256 => Hmac::new_from_slice(key).ok().map(Self::Sha256),
        }
    }

    const fn hmac(&self) -> HmacId {
        match self {
            Self::Sha1(_) => HmacId::Sha1,
            Self::Sha256(_) => HmacId::Sha256,
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(mac) => mac.update(bytes),
            Self::Sha256(mac) => mac.update(bytes),
        }
    }

    /// Writes the code of `head`, zeros in the place of the code, and `tail` to `out`, which is as long as the code is
    /// (RFC 4895 section 6.2).
    pub(super) fn compute(&self, head: &[u8], out: &mut [u8], tail: &[u8]) {
        let mut mac = self.clone();
        mac.update(head);
        mac.update(ZEROS.get(..out.len()).unwrap_or(&ZEROS));
        mac.update(tail);
        match mac {
            Self::Sha1(mac) => copy(&mac.finalize().into_bytes(), out),
            Self::Sha256(mac) => copy(&mac.finalize().into_bytes(), out),
        }
    }

    /// Whether `code` is the right one, in a time that does not depend on how much of it is right.
    pub(super) fn verify(&self, head: &[u8], code: &[u8], tail: &[u8]) -> bool {
        let mut right = [0; MAX_LEN];
        let Some(right) = right.get_mut(..self.hmac().mac_len()).filter(|right| right.len() == code.len()) else { return false };
        self.compute(head, right, tail);
        right.ct_eq(code).into()
    }
}

fn copy(from: &[u8], to: &mut [u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}
