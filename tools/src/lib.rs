//! The services that the tools `rsp` and `sctp` offer and use, with their wire formats.
//!
//! The command lines are in `bin/`; what is worth testing on its own is here.
#![forbid(unsafe_code)]

pub mod capture;
pub mod frames;
pub mod peer;
pub mod policy;
pub mod priority;
pub mod service;
pub mod transports;
