//! The rules of the extensions of SCTP, row by row of `docs/rfc4895.md` and its likes: one stack against a scripted peer
//! ([`testbed::puppet`]), or two stacks.
//!
//! A test names the rows that it shows in its doc comment, at most five.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod auth;
mod dcsctp;
mod interleaving;
mod partial_reliability;
mod rfc5061;
