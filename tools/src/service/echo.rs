//! The echo service: each message goes back as it came.

/// Pool handle that RSPLIB's programs use for this service.
pub const POOL_HANDLE: &str = "EchoPool";
