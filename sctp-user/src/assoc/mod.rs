//! One association.

pub(crate) mod path;
pub(crate) mod rx;
pub(crate) mod tx;
