//! The services that the tool `rsp` offers and uses, with their wire formats.
//!
//! The command line is in `bin/rsp`; what is worth testing on its own is here.
#![forbid(unsafe_code)]

pub mod capture;
pub mod policy;
pub mod priority;
pub mod service;
