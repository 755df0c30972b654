//! The codec of RFC 9260: zero-copy, no state, no time.

pub mod cursor;
pub mod tlv;
