//! The deterministic simulator: many hosts, the links between them, one virtual clock and one seed.
//!
//! A [`World`] drives the very [`crate::Node`] objects that the runtime drives on real sockets. All randomness of the links comes from
//! one seeded generator and all events are ordered by virtual time, then by the order in which they arose, so that a seed
//! gives the same run bit for bit: [`World::trace_hash`] says so in one number. A failing seed is run again with
//! [`World::capture`] (pcapng for Wireshark) or [`World::trace`] (one line a packet).

mod describe;
mod fault;
mod host;
mod link;
mod loss;
mod network;
mod observe;
mod world;

pub use describe::describe;
pub use fault::{Crash, Fault, Pause};
pub use host::{HostConfig, HostId, NodeId, SimNode};
pub use link::{LinkConfig, LinkStats};
pub use loss::{Chance, Loss};
pub use observe::{Seen, SharedBuffer};
pub use world::World;

#[cfg(test)]
mod link_test;
#[cfg(test)]
mod world_test;
