//! Operation errors and their causes.

use core::fmt;

use super::super::cause::{CauseCode, ErrorCause, OperationError};
use super::super::param::{DecodeError, Param, Params};

/// An [`OperationError`] within a message: one or more causes.
#[derive(Clone, Copy)]
pub struct ErrorView<'a> {
    bytes: &'a [u8],
}

/// An [`ErrorCause`] within a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CauseView<'a> {
    /// What happened.
    pub code: CauseCode,
    /// Cause-specific information, such as the offending parameter; empty for most.
    pub data: &'a [u8],
}

impl<'a> ErrorView<'a> {
    pub(crate) fn decode(p: &Param<'a>) -> Result<Self, DecodeError> {
        let mut items = p.nested(&p.reader());
        let mut any = false;
        while items.next()?.is_some() {
            any = true;
        }
        if any { Ok(Self { bytes: p.value }) } else { Err(p.invalid()) }
    }

    /// The causes, in their order.
    pub fn causes(&self) -> impl Iterator<Item = CauseView<'a>> + use<'a> {
        let mut items = Params::new(self.bytes, 0);
        // Errors were found when the parameter was checked.
        core::iter::from_fn(move || items.next().ok().flatten().map(|p| CauseView { code: CauseCode(p.kind), data: p.value }))
    }

    /// The first cause's code.
    #[must_use]
    pub fn code(&self) -> CauseCode {
        self.causes().next().map_or(CauseCode::UNSPECIFIED, |c| c.code)
    }
}

impl fmt::Debug for ErrorView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.causes()).finish()
    }
}

impl From<ErrorView<'_>> for OperationError {
    fn from(view: ErrorView<'_>) -> Self {
        Self { causes: view.causes().map(|c| ErrorCause { code: c.code, data: c.data.to_vec() }).collect() }
    }
}
