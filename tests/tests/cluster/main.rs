//! Clusters of registrars, elements and users in a simulated network, with crashes, partitions, freezes and loss, and the oracle of
//! what must hold of them (RFC 5353).
//!
//! `SEEDS=n` runs that many; a seed that fails prints the command that replays it alone, with a trace.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "edge: a test with threads and files")]

mod bound;
mod channel;
mod config;
mod describe;
mod fabric;
mod history;
mod plan;
mod random;
mod scenes;
mod seeds;
mod sessions;
mod stacks;
mod story;
mod view;
