//! The ping-pong service, in RSPLIB's format: each Ping is answered by a Pong with the reply's number, and a cookie after each
//! Pong lets the next element count on. A user therefore sees by the numbers whether a failover lost anything.

pub mod ping;
pub mod serve;
pub mod wire;

/// Pool handle that RSPLIB's programs use for this service.
pub const POOL_HANDLE: &str = "PingPongPool";

/// Payload protocol identifier of this service.
pub const PPID: u32 = 33;
