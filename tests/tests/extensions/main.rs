//! The rules of the extensions, one file for each RFC, row by row of `docs/rfc*.md`: one stack against a scripted peer
//! ([`testbed::puppet`]).
//!
//! A test names the rows that it shows in its doc comment, at most five.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod rfc5061;
