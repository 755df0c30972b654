//! Why a registrar did not give what was asked for.

use thiserror::Error;

use crate::wire::{CauseCode, OperationError, PoolHandle};

/// Why a pool handle was not resolved.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// No registrar was heard, or none could be reached, in time.
    #[error("no registrar found, or none can be reached")]
    NoRegistrar,
    /// Registrars were reached, but none answered.
    #[error("the registrar does not answer")]
    Timeout,
    /// There is no such pool.
    #[error("unknown pool handle \"{0}\"")]
    UnknownPoolHandle(PoolHandle),
    /// The pool's elements all failed lately.
    #[error("every element of pool \"{0}\" has failed lately")]
    AllExcluded(PoolHandle),
    /// The registrar refused.
    #[error("the registrar refuses to resolve the pool handle: {0}")]
    Refused(CauseCode),
    /// More requests wait than are allowed.
    #[error("too many requests wait for the registrar")]
    TooManyRequests,
}

impl ResolveError {
    /// What an error answer to the resolution of `handle` means.
    pub(super) fn of(handle: &PoolHandle, error: &OperationError) -> Self {
        match error.code() {
            CauseCode::UNKNOWN_POOL_HANDLE => Self::UnknownPoolHandle(handle.clone()),
            code => Self::Refused(code),
        }
    }
}

/// Why an element is not registered.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// No registrar was heard, or none could be reached, in time. The registration is still tried.
    #[error("no registrar found, or none can be reached")]
    NoRegistrar,
    /// Registrars were reached, but none answered. The registration is still tried.
    #[error("the registrar does not answer")]
    Timeout,
    /// The registrar refused; the registration is not tried again unless it is changed (RFC 5352 section 3.1).
    #[error("the registrar rejects the registration: {0}")]
    Rejected(CauseCode),
    /// The registrar cannot take the registration at present, or it does not count any more because something else has changed
    /// there. The registration is tried again.
    #[error("the registrar does not take the registration at present: {0}")]
    Postponed(CauseCode),
    /// More elements than one process may have.
    #[error("too many pool elements in one process")]
    TooManyElements,
    /// The process has this element already.
    #[error("the element is registered already")]
    Duplicate,
}

/// Whether the reason of a refusal may pass without anything being done about the registration. RFC 5352 section 3.1 forbids to
/// try again without correcting the error; here the error is not the registration's.
///
/// `accepted_before` tells that a registrar has accepted this very element: then an identifier that is taken is its own, at an
/// address or an association that is no longer, and the registrar will find out.
pub(super) const fn may_pass(cause: CauseCode, accepted_before: bool) -> bool {
    match cause {
        // RSPLIB's are about addresses that the host does not have yet.
        CauseCode::LACK_OF_RESOURCES | CauseCode::RSPLIB_NO_ASAP_ADDRESSES | CauseCode::RSPLIB_NO_USER_ADDRESSES => true,
        CauseCode::NON_UNIQUE_ELEMENT_ID => accepted_before,
        _ => false,
    }
}
