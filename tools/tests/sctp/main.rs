//! The tool `sctp`: on loopback, between hosts whose links fail, and in a container where nothing is allowed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "edge: tests run processes"
)]

#[path = "../common/mod.rs"]
mod common;

mod cat;
mod cli;
mod container;
mod dump;
mod hosts;
mod measure;
mod program;
