//! Two stacks on the simulated network: delivery under all conditions, and the life and death of associations.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod addresses;
mod auth;
mod configuration;
mod delivery;
mod ecn;
mod faults;
mod goodput;
mod interleaving;
mod lifecycle;
mod multihoming;
mod partial;
mod partial_reliability;
mod pmtu;
mod protection;
mod rough;
mod statistics;
mod wireshark;
mod worlds;
