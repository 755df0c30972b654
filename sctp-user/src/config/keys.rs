//! What the user gives for the authentication of chunks (RFC 4895): shared keys, algorithms, and which chunks.

use core::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::num::KeyId;
use crate::wire::chunk::kind;

/// Most shared keys of an association at a time: a few are enough to change from one to the next.
const MAX_KEYS: usize = 64;
/// Longest shared key in bytes (sca_keylength of RFC 6458 section 8.3.3 has 16 bits).
const MAX_KEY_LEN: usize = u16::MAX as usize;

/// An algorithm for message authentication codes (RFC 4895 section 3.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum HmacId {
    /// HMAC-SHA-1, which every implementation has.
    Sha1,
    /// HMAC-SHA-256.
    Sha256,
}

impl HmacId {
    /// Its number in HMAC-ALGO and AUTH.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Sha1 => 1,
            Self::Sha256 => 3,
        }
    }

    /// The one with this number.
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Sha1),
            3 => Some(Self::Sha256),
            _ => None,
        }
    }

    /// Length of its codes in bytes.
    #[must_use]
    pub const fn mac_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}

/// The bytes of an endpoint pair shared key. They are wiped when the last copy is dropped, shown nowhere, and compared in constant time.
#[derive(Clone)]
pub struct SharedKey(Arc<Zeroizing<Vec<u8>>>);

impl SharedKey {
    /// A key of these bytes; none is the null key.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(Arc::new(Zeroizing::new(bytes.to_vec())))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is the very same, not only equal.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl PartialEq for SharedKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SharedKey {}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKey(..)")
    }
}

/// Why the shared keys cannot be changed so.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No key has this identifier.
    #[error("there is no shared key {0}")]
    NoSuchKey(KeyId),
    /// It is the active key: another one must be made active first.
    #[error("shared key {0} is the active one")]
    Active(KeyId),
    /// It was deactivated: set it again to use it again.
    #[error("shared key {0} is deactivated")]
    Deactivated(KeyId),
    /// It may be in use: it must be deactivated first.
    #[error("shared key {0} is not deactivated")]
    NotDeactivated(KeyId),
    /// There are as many keys as are kept.
    #[error("at most {MAX_KEYS} shared keys")]
    TooMany,
    /// The key is too long.
    #[error("a shared key has at most {MAX_KEY_LEN} bytes")]
    TooLong,
}

#[derive(Clone, PartialEq, Eq)]
struct Entry {
    id: KeyId,
    key: SharedKey,
    deactivated: bool,
}

/// The endpoint pair shared keys of an association by their identifiers (RFC 4895 section 6.1, RFC 6458 sections 8.1.18 and 8.3.3 to
/// 8.3.5). One is active: it authenticates what is sent. All authenticate what is received.
///
/// At first there is the null key, without bytes, as number 0. Whoever gives keys of his own and wants nobody in without one must
/// replace or delete it (RFC 4895 section 9):
///
/// ```
/// use sctp_user::{KeyId, KeyRing};
/// # fn main() -> Result<(), sctp_user::KeyError> {
/// let mut keys = KeyRing::default();
/// keys.set(KeyId(1), b"correct horse battery staple")?;
/// keys.activate(KeyId(1))?;
/// keys.deactivate(KeyId(0))?;
/// keys.delete(KeyId(0))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRing {
    /// At most [`MAX_KEYS`], ascending.
    keys: Vec<Entry>,
    active: KeyId,
}

impl Default for KeyRing {
    fn default() -> Self {
        let null = Entry { id: KeyId(0), key: SharedKey::new(&[]), deactivated: false };
        Self { keys: vec![null], active: KeyId(0) }
    }
}

impl KeyRing {
    /// One key, which is the active one: no other is accepted, nor the null key.
    ///
    /// # Errors
    /// It is too long.
    pub fn only(id: KeyId, key: &[u8]) -> Result<Self, KeyError> {
        let mut ring = Self { keys: Vec::new(), active: id };
        ring.set(id, key)?;
        Ok(ring)
    }

    /// Adds a key, or replaces the one of this number.
    ///
    /// # Errors
    /// It is too long, or there are too many.
    pub fn set(&mut self, id: KeyId, key: &[u8]) -> Result<(), KeyError> {
        self.insert(id, SharedKey::new(key))
    }

    /// As [`Self::set`].
    ///
    /// # Errors
    /// It is too long, or there are too many.
    pub fn insert(&mut self, id: KeyId, key: SharedKey) -> Result<(), KeyError> {
        if key.bytes().len() > MAX_KEY_LEN {
            return Err(KeyError::TooLong);
        }
        let entry = Entry { id, key, deactivated: false };
        match self.keys.binary_search_by_key(&id, |e| e.id) {
            Ok(at) => {
                if let Some(old) = self.keys.get_mut(at) {
                    *old = entry;
                }
            }
            Err(_) if self.keys.len() >= MAX_KEYS => return Err(KeyError::TooMany),
            Err(at) => self.keys.insert(at, entry),
        }
        Ok(())
    }

    /// Makes a key the active one.
    ///
    /// # Errors
    /// There is no such key, or it is deactivated.
    pub fn activate(&mut self, id: KeyId) -> Result<(), KeyError> {
        if self.entry(id)?.deactivated {
            return Err(KeyError::Deactivated(id));
        }
        self.active = id;
        Ok(())
    }

    /// No new message is authenticated by this key any more; what comes is still checked by it.
    ///
    /// # Errors
    /// There is no such key, or it is the active one.
    pub fn deactivate(&mut self, id: KeyId) -> Result<(), KeyError> {
        if self.entry(id)?.id == self.active {
            return Err(KeyError::Active(id));
        }
        for e in self.keys.iter_mut().filter(|e| e.id == id) {
            e.deactivated = true;
        }
        Ok(())
    }

    /// Deletes a key: what comes authenticated by it is dropped from now on.
    ///
    /// # Errors
    /// There is no such key, or it is not deactivated.
    pub fn delete(&mut self, id: KeyId) -> Result<(), KeyError> {
        if !self.entry(id)?.deactivated {
            return Err(if id == self.active { KeyError::Active(id) } else { KeyError::NotDeactivated(id) });
        }
        self.keys.retain(|e| e.id != id);
        Ok(())
    }

    fn entry(&self, id: KeyId) -> Result<&Entry, KeyError> {
        self.keys.iter().find(|e| e.id == id).ok_or(KeyError::NoSuchKey(id))
    }

    /// The key that authenticates what is sent.
    #[must_use]
    pub const fn active(&self) -> KeyId {
        self.active
    }

    /// A key by its number.
    #[must_use]
    pub fn get(&self, id: KeyId) -> Option<&SharedKey> {
        self.entry(id).ok().map(|e| &e.key)
    }

    /// Whether new messages may be sent with a key.
    #[must_use]
    pub fn is_usable(&self, id: KeyId) -> bool {
        self.entry(id).is_ok_and(|e| !e.deactivated)
    }

    /// The numbers of all keys, ascending, and whether each may still be used for new messages.
    pub fn iter(&self) -> impl Iterator<Item = (KeyId, bool)> {
        self.keys.iter().map(|e| (e.id, !e.deactivated))
    }
}

impl fmt::Debug for KeyRing {
    /// The numbers of the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = |e: &Entry| if e.id == self.active { " active" } else { "" };
        let show = |e: &Entry| format!("{}{}", e.id, if e.deactivated { " deactivated" } else { role(e) });
        write!(f, "[{}]", self.keys.iter().map(show).collect::<Vec<_>>().join(", "))
    }
}

/// Whether a chunk type may be in the list of those that must be authenticated (RFC 4895 section 3.2).
#[must_use]
pub const fn may_be_authenticated(kind: u8) -> bool {
    !matches!(kind, kind::INIT | kind::INIT_ACK | kind::SHUTDOWN_COMPLETE | kind::AUTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ring: &KeyRing) -> Vec<(u16, bool)> {
        ring.iter().map(|(id, usable)| (id.0, usable)).collect()
    }

    #[test]
    fn a_key_is_set_made_active_deactivated_and_deleted() {
        let mut ring = KeyRing::default();
        assert_eq!((ids(&ring), ring.active(), ring.get(KeyId(0)).unwrap().bytes()), (vec![(0, true)], KeyId(0), &[][..]));
        ring.set(KeyId(7), b"seven").unwrap();
        ring.set(KeyId(3), b"three").unwrap();
        assert_eq!(ring.delete(KeyId(7)), Err(KeyError::NotDeactivated(KeyId(7))));
        assert_eq!(ring.activate(KeyId(4)), Err(KeyError::NoSuchKey(KeyId(4))));
        ring.activate(KeyId(7)).unwrap();
        assert_eq!(ring.deactivate(KeyId(7)), Err(KeyError::Active(KeyId(7))));
        assert_eq!(ring.delete(KeyId(7)), Err(KeyError::Active(KeyId(7))));
        ring.deactivate(KeyId(0)).unwrap();
        assert_eq!(ring.activate(KeyId(0)), Err(KeyError::Deactivated(KeyId(0))));
        assert_eq!(ids(&ring), [(0, false), (3, true), (7, true)]);
        assert!(ring.get(KeyId(0)).is_some() && !ring.is_usable(KeyId(0)));
        ring.delete(KeyId(0)).unwrap();
        assert_eq!((ids(&ring), ring.get(KeyId(0))), (vec![(3, true), (7, true)], None));
        assert_eq!(
            (ring.deactivate(KeyId(0)), ring.delete(KeyId(0))),
            (Err(KeyError::NoSuchKey(KeyId(0))), Err(KeyError::NoSuchKey(KeyId(0))))
        );
        ring.set(KeyId(3), b"another").unwrap();
        assert_eq!(ring.get(KeyId(3)).unwrap().bytes(), b"another");
    }

    #[test]
    fn keys_are_bounded_in_number_and_length() {
        let mut ring = KeyRing::default();
        assert_eq!(ring.set(KeyId(1), &vec![0; MAX_KEY_LEN + 1]), Err(KeyError::TooLong));
        for id in 1..64 {
            ring.set(KeyId(id), &[1]).unwrap();
        }
        assert_eq!(ring.set(KeyId(64), &[1]), Err(KeyError::TooMany));
        ring.set(KeyId(63), &[2]).unwrap();
    }

    #[test]
    fn a_key_is_not_shown() {
        let ring = KeyRing::only(KeyId(2), b"secret").unwrap();
        assert_eq!(format!("{ring:?} {:?}", SharedKey::new(b"secret")), "[2 active] SharedKey(..)");
        assert_eq!(ids(&ring), [(2, true)]);
        assert!(SharedKey::new(b"a") == SharedKey::new(b"a") && SharedKey::new(b"a") != SharedKey::new(b"b"));
    }
}
