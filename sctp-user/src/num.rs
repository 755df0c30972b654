//! The numbers of SCTP as types, and the only place with serial number arithmetic (RFC 9260 section 1.6, RFC 1982).

use core::cmp::Ordering;
use core::fmt;
use core::ops::RangeInclusive;

macro_rules! plain {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl From<$int> for $name {
            fn from(n: $int) -> Self {
                Self(n)
            }
        }
    };
}

macro_rules! serial {
    ($(#[$doc:meta])* $name:ident($int:ty, $signed:ty)) => {
        $(#[$doc])*
        ///
        /// Serial numbers have no total order, so there is no `Ord`: compare with [`Self::before`] and its like.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $name(pub $int);

        impl $name {
            /// The number that follows.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.wrapping_add(1))
            }

            /// The number before.
            #[must_use]
            pub const fn prev(self) -> Self {
                Self(self.0.wrapping_sub(1))
            }

            /// The number `n` later.
            #[must_use]
            pub const fn plus(self, n: $int) -> Self {
                Self(self.0.wrapping_add(n))
            }

            /// How far `self` is after `earlier`, modulo the width.
            #[must_use]
            pub const fn since(self, earlier: Self) -> $int {
                self.0.wrapping_sub(earlier.0)
            }

            /// How far `self` is after `other` (positive) or before it (negative).
            #[must_use]
            pub const fn distance(self, other: Self) -> $signed {
                self.0.wrapping_sub(other.0).cast_signed()
            }

            /// Whether `self` comes before `other`.
            #[must_use]
            pub const fn before(self, other: Self) -> bool {
                self.distance(other) < 0
            }

            /// Whether `self` comes before `other` or is equal to it.
            #[must_use]
            pub const fn at_or_before(self, other: Self) -> bool {
                self.distance(other) <= 0
            }

            /// Whether `self` comes after `other`.
            #[must_use]
            pub const fn after(self, other: Self) -> bool {
                self.distance(other) > 0
            }

            /// The bare numbers from `self` on up to `last`: one range, or two where the numbers wrap, which are in their order.
            pub fn up_to(self, last: Self) -> impl Iterator<Item = RangeInclusive<$int>> + use<> {
                let wraps = self.0 > last.0;
                let before_wrap = if wraps { <$int>::MAX } else { last.0 };
                core::iter::once(self.0..=before_wrap).chain(wraps.then_some(0..=last.0))
            }

            /// The order of the two in serial number arithmetic.
            #[must_use]
            pub fn serial_cmp(self, other: Self) -> Ordering {
                self.distance(other).cmp(&0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl From<$int> for $name {
            fn from(n: $int) -> Self {
                Self(n)
            }
        }
    };
}

serial!(
    /// Transmission sequence number of a DATA chunk (RFC 9260 section 1.6).
    Tsn(u32, i32)
);
serial!(
    /// Stream sequence number of an ordered message within its stream (RFC 9260 section 6.5).
    Ssn(u16, i16)
);
serial!(
    /// Message identifier within a stream, of ordered and of unordered messages each (RFC 8260 section 2.1).
    Mid(u32, i32)
);
serial!(
    /// Number of a fragment within its message, counted from 0 (RFC 8260 section 2.1).
    Fsn(u32, i32)
);
serial!(
    /// Sequence number of an ASCONF chunk (RFC 5061 section 3).
    Serial(u32, i32)
);
plain!(
    /// Stream identifier, counted from 0 in each direction.
    StreamId(u16)
);
plain!(
    /// Payload protocol identifier: belongs to the application and is carried unchanged, in network byte order.
    Ppid(u32)
);
plain!(
    /// Verification tag (RFC 9260 section 8.5); zero only in packets with an INIT.
    Vtag(u32)
);
plain!(
    /// Shared Key Identifier: which endpoint pair shared key authenticates a chunk (RFC 4895 section 6.1).
    KeyId(u16)
);

impl Mid {
    /// The stream sequence number that counts as this does, but has fewer bits.
    #[must_use]
    pub const fn to_ssn(self) -> Ssn {
        let [_, _, high, low] = self.0.to_be_bytes();
        Ssn(u16::from_be_bytes([high, low]))
    }
}

impl Vtag {
    /// The tag of a packet that carries an INIT.
    pub const ZERO: Self = Self(0);
}

#[cfg(test)]
#[path = "num_test.rs"]
mod num_test;
