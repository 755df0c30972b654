//! Identifiers and the registration life as types.

use core::fmt;
use core::time::Duration;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub u32);

        impl $name {
            /// Zero: "not determined".
            pub const UNDEFINED: Self = Self(0);

            /// Whether it is zero, which identifies nobody.
            #[must_use]
            pub const fn is_undefined(self) -> bool {
                self.0 == 0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "0x{:08x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "(0x{:08x})"), self.0)
            }
        }

        impl From<u32> for $name {
            fn from(n: u32) -> Self {
                Self(n)
            }
        }
    };
}

identifier!(
    /// Identifies a pool element within its pool; the element picks it at random (RFC 5354 section 3.14).
    ElementId
);
identifier!(
    /// Identifies a registrar (an ENRP server) within the scope (RFC 5353 section 3.1).
    RegistrarId
);

/// What one unit of a registration life means on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum LifeUnit {
    /// Milliseconds, as RSPLIB counts: the default, for whole scopes share one unit.
    #[default]
    Milliseconds,
    /// Seconds, as RFC 5354 section 3.10 says.
    Seconds,
}

/// A registration life as it stands on the wire: how long a registration is valid without being renewed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Life(pub u32);

impl Life {
    /// Never expires (RFC 5354 section 3.10: -1).
    pub const INFINITE: Self = Self(u32::MAX);

    /// The life of `d`, rounded down to whole units; infinite if it does not fit.
    #[must_use]
    pub fn from_duration(d: Duration, unit: LifeUnit) -> Self {
        let units = match unit {
            LifeUnit::Milliseconds => d.as_millis(),
            LifeUnit::Seconds => u128::from(d.as_secs()),
        };
        u32::try_from(units).map_or(Self::INFINITE, Self)
    }

    /// How long it is; `None` if it never ends.
    #[must_use]
    pub const fn duration(self, unit: LifeUnit) -> Option<Duration> {
        match (self, unit) {
            (Self::INFINITE, _) => None,
            (Self(n), LifeUnit::Milliseconds) => Some(Duration::from_millis(n as u64)),
            (Self(n), LifeUnit::Seconds) => Some(Duration::from_secs(n as u64)),
        }
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::INFINITE { f.write_str("infinite") } else { write!(f, "{}", self.0) }
    }
}
