//! The Operation Error parameter and its causes (RFC 5354 section 3.12).

use core::fmt;

use super::param::{ParamWriter, kind};

/// A cause code. RFC 5354 defines 0 to 10; RSPLIB has private ones beyond, which are understood but never sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CauseCode(pub u16);

impl CauseCode {
    /// Unspecified error.
    pub const UNSPECIFIED: Self = Self(0);
    /// An unrecognized parameter, which is the cause's data.
    pub const UNRECOGNIZED_PARAMETER: Self = Self(1);
    /// An unrecognized message, which is the cause's data.
    pub const UNRECOGNIZED_MESSAGE: Self = Self(2);
    /// Invalid values; the data is the offending parameter.
    pub const INVALID_VALUES: Self = Self(3);
    /// The identifier is taken by another element of the pool.
    pub const NON_UNIQUE_ELEMENT_ID: Self = Self(4);
    /// The policy is not the pool's; the data is the pool's policy parameter.
    pub const INCONSISTENT_POLICY: Self = Self(5);
    /// Lack of resources.
    pub const LACK_OF_RESOURCES: Self = Self(6);
    /// The transport is not the pool's; the data is a transport parameter of the pool's kind.
    pub const INCONSISTENT_TRANSPORT: Self = Self(7);
    /// The use of the transport for control is not the pool's.
    pub const INCONSISTENT_CONTROL: Self = Self(8);
    /// No such pool.
    pub const UNKNOWN_POOL_HANDLE: Self = Self(9);
    /// Rejected due to security considerations.
    pub const SECURITY: Self = Self(10);
    /// RSPLIB: the message as a whole is invalid.
    pub const RSPLIB_INVALID_MESSAGE: Self = Self(0x0010);
    /// RSPLIB: a parameter has an invalid value.
    pub const RSPLIB_INVALID_VALUE: Self = Self(0x0011);

    /// RSPLIB: the association has no address that others can use.
    pub const RSPLIB_NO_ASAP_ADDRESSES: Self = Self(0xf007);
    /// RSPLIB: none of the element's addresses is one of the association and usable.
    pub const RSPLIB_NO_USER_ADDRESSES: Self = Self(0xf008);

    /// What it means, or nothing if it is unknown.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "unspecified error",
            1 => "unrecognized parameter",
            2 => "unrecognized message",
            3 => "invalid values",
            4 => "non-unique PE identifier",
            5 => "inconsistent pooling policy",
            6 => "lack of resources",
            7 => "inconsistent transport type",
            8 => "inconsistent data/control configuration",
            9 => "unknown pool handle",
            10 => "rejected due to security considerations",
            0x0010 => "invalid message (RSPLIB)",
            0x0011 => "invalid value (RSPLIB)",
            0x1009 => "unrecognized parameter, silent (RSPLIB)",
            0x100a => "wrong protocol (RSPLIB)",
            0x100b => "unsupported policy (RSPLIB)",
            0xf000 => "invalid identifier (RSPLIB)",
            0xf001 => "own identifier (RSPLIB)",
            0xf002 => "duplicate identifier (RSPLIB)",
            0xf003 => "invalid policy (RSPLIB)",
            0xf004 => "invalid pool handle (RSPLIB)",
            0xf005 => "invalid addresses (RSPLIB)",
            0xf006 => "invalid registrar (RSPLIB)",
            0xf007 => "no usable ASAP addresses (RSPLIB)",
            0xf008 => "no usable user addresses (RSPLIB)",
            _ => return None,
        })
    }
}

impl fmt::Display for CauseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "cause 0x{:04x}", self.0),
        }
    }
}

impl fmt::Debug for CauseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CauseCode(0x{:04x}, {self})", self.0)
    }
}

/// One error cause with its data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErrorCause {
    /// What happened.
    pub code: CauseCode,
    /// Cause-specific information, such as the offending parameter; empty for most.
    pub data: Vec<u8>,
}

impl From<CauseCode> for ErrorCause {
    fn from(code: CauseCode) -> Self {
        Self { code, data: Vec::new() }
    }
}

/// The Operation Error parameter: one or more causes. We send exactly one, the only number that RSPLIB reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OperationError {
    /// The causes, in order. A decoded one holds at least one.
    pub causes: Vec<ErrorCause>,
}

impl OperationError {
    /// The first cause's code.
    #[must_use]
    pub fn code(&self) -> CauseCode {
        self.causes.first().map_or(CauseCode::UNSPECIFIED, |c| c.code)
    }

    pub(crate) fn encode(&self, w: &mut ParamWriter<'_>) {
        w.param(kind::ERROR, |w| {
            for cause in &self.causes {
                w.param(cause.code.0, |w| w.bytes(&cause.data));
            }
        });
    }
}

impl From<ErrorCause> for OperationError {
    fn from(cause: ErrorCause) -> Self {
        Self { causes: vec![cause] }
    }
}

impl From<CauseCode> for OperationError {
    fn from(code: CauseCode) -> Self {
        ErrorCause::from(code).into()
    }
}
