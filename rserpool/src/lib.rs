//! Reliable Server Pooling (RFC 5351 to 5356): codecs, handlespace, registrar and client cores, sessions.
#![forbid(unsafe_code)]

#[cfg(feature = "api")]
pub mod api;
pub mod asap;
pub mod dump;
pub mod handlespace;
pub mod node;
pub mod registrar;
pub mod session;
pub mod wire;
