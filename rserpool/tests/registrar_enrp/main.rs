//! Registrars among each other, on simulated time: their cores joined by message channels, without SCTP below.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests: a panic is how they fail")]

mod bed;
mod bus;
mod element;
mod partition;
mod random;
mod startup;
mod suggestion;
mod takeover;
