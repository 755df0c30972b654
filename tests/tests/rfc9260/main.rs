//! The rules of RFC 9260, row by row of `docs/rfc9260.md`: one stack against a scripted peer ([`testbed::puppet`]).
//!
//! A test names the rows that it shows in its doc comment, at most five.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod hostile;
mod s01_terms;
mod s03_chunks;
mod s03_formats;
mod s03_init;
mod s04_states;
mod s05_association;
mod s05_collision;
mod s05_cookie;
mod s05_handshake;
mod s05_opening;
mod s05_unexpected;
mod s06_data;
mod s06_delivery;
mod s06_fragments;
mod s06_multihoming;
mod s06_paths;
mod s07_congestion;
mod s07_pmtu;
mod s08_blue;
mod s08_faults;
mod s08_liveness;
mod s08_tags;
mod s09_closing;
mod s09_shutdown;
mod s10_icmp;
mod s11_upper_layer;
mod s12_security;
mod s16_parameters;
mod s5062_attacks;
mod state_table;
