//! The client side of ASAP over SCTP, in the simulator: elements and users of one process, and registrars that fail.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests: a panic is how they fail")]

mod bed;
mod cards;
mod registrars;
