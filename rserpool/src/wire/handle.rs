//! Pool handles: the names of pools.

use core::cmp::Ordering;
use core::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::param::{ParamWriter, kind};

/// The name of a pool: a string of at least one byte (RFC 5354 section 3.9). Cloning shares the bytes.
///
/// Handles are ordered by length first, then byte by byte: the order in which RSPLIB walks through a handlespace.
///
/// The codec carries handles of any length that a message holds. What is *used* is 1 to [`PoolHandle::MAX_LEN`] bytes,
/// unless configured otherwise: a longer handle makes RSPLIB end its process.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PoolHandle(Arc<[u8]>);

/// A handle that may not be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum HandleError {
    /// A pool has a name.
    #[error("a pool handle has at least one byte")]
    Empty,
    /// Longer than agreed on in the scope.
    #[error("pool handle of {len} bytes, at most {max} are allowed")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
}

impl PoolHandle {
    /// The longest handle, in bytes, that RSPLIB survives.
    pub const MAX_LEN: usize = 32;

    /// The handle with these bytes.
    ///
    /// # Errors
    /// It is empty or longer than [`PoolHandle::MAX_LEN`].
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, HandleError> {
        Self::with_max(bytes, Self::MAX_LEN)
    }

    /// The handle with these bytes, of which there may be up to `max`: for scopes without RSPLIB.
    ///
    /// # Errors
    /// It is empty or longer than `max`.
    pub fn with_max(bytes: impl AsRef<[u8]>, max: usize) -> Result<Self, HandleError> {
        let bytes = bytes.as_ref();
        match bytes.len() {
            0 => Err(HandleError::Empty),
            len if len > max => Err(HandleError::TooLong { len, max }),
            _ => Ok(Self(bytes.into())),
        }
    }

    /// The handle with these bytes of a message that has been checked: at least one.
    pub(crate) fn from_wire(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    pub(crate) fn encode(&self, w: &mut ParamWriter<'_>) {
        w.param(kind::POOL_HANDLE, |w| w.bytes(&self.0));
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Ord for PoolHandle {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for PoolHandle {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for PoolHandle {
    /// Printable characters as they are, everything else escaped: a handle from the network cannot disturb a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.escape_ascii(), f)
    }
}

impl fmt::Debug for PoolHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PoolHandle(\"{self}\")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shorter_comes_first() {
        let h = |s: &str| PoolHandle::new(s).unwrap();
        assert!(h("Odd") < h("EchoPool"));
        assert!(h("a") < h("b"));
        assert!(h("zz") < h("aaa"));
    }

    #[test]
    fn length_is_checked() {
        assert_eq!(PoolHandle::new(b""), Err(HandleError::Empty));
        assert!(PoolHandle::new([b'x'; 32]).is_ok());
        assert_eq!(PoolHandle::new([b'x'; 33]), Err(HandleError::TooLong { len: 33, max: 32 }));
        assert!(PoolHandle::with_max([b'x'; 33], 64).is_ok());
    }

    #[test]
    fn prints_no_control_characters() {
        assert_eq!(PoolHandle::new(b"a\x1b[2J\n\xff").unwrap().to_string(), "a\\x1b[2J\\n\\xff");
    }
}
