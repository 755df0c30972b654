//! Policies.

use sctp_user::wire::cursor::Reader;

use super::super::param::{DecodeError, Param};
use super::super::policy::PolicyParam;

/// A [`PolicyParam`] within a message.
#[derive(Clone, Copy, Debug)]
pub struct PolicyView<'a> {
    /// The number on the wire.
    pub number: u32,
    /// The values as they came. A known policy has as many as it needs, and may have more.
    pub values: &'a [u8],
}

impl<'a> PolicyView<'a> {
    pub(crate) fn decode(p: &Param<'a>) -> Result<Self, DecodeError> {
        let mut r = p.reader();
        let number = r.u32().ok_or_else(|| p.invalid())?;
        let view = Self { number, values: r.rest() };
        if PolicyParam::is_known(number) && PolicyParam::from_values(number, r).is_none() { Err(p.invalid()) } else { Ok(view) }
    }
}

impl From<PolicyView<'_>> for PolicyParam {
    /// Allocates only for a policy without a codec.
    fn from(view: PolicyView<'_>) -> Self {
        Self::from_values(view.number, Reader::new(view.values))
            .unwrap_or_else(|| Self::Other { number: view.number, values: view.values.to_vec() })
    }
}
