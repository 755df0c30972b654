//! The testbed: scenarios of two stacks on the simulated network, and the oracles that judge what they deliver.
#![forbid(unsafe_code)]

pub mod alloc;
pub mod bed;
pub mod crowd;
pub mod netns;
pub mod oracle;
pub mod peer;
pub mod puppet;
mod raw;
pub mod wire_oracle;
pub mod workload;

pub use bed::{Bed, Net, Scenario};
pub use oracle::Oracle;
pub use peer::Peer;
pub use puppet::Puppet;
pub use sctp_user::Reliability;
pub use wire_oracle::WireOracle;
pub use workload::{Planned, Workload};
