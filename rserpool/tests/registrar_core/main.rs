//! Scenarios of the registrar's core in simulated time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests: a panic is how they fail")]

mod access;
mod bed;
mod distances;
mod limits;
mod requests;
mod subscriptions;
mod watching;
