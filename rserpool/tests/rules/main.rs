//! Rules of RFC 5352, 5353, 5354 and 5356 that no other test shows, row by row of `docs/rfc535x.md`.
//!
//! A test names the rows that it shows in its doc comment, at most five.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests: a panic is how they fail")]

#[allow(dead_code, reason = "shared with registrar_core, each uses a part")]
#[path = "../registrar_core/bed.rs"]
mod bed;
mod rfc5352_registrar;
mod rfc5352_session;
mod rfc5353_audit;
mod rfc5353_peers;
mod rfc5353_startup;
mod rfc5353_takeover;
mod rfc5353_updates;
mod rfc5354;
mod rfc5356;
mod scene;
