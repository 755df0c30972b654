//! Configuration of a stack.

use crate::net::Channel;

/// Parameters of a stack.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct StackConfig {
    /// What carries packets to a peer known only by its address.
    pub default_channel: Channel,
    /// Most associations at once.
    pub max_associations: usize,
    /// Out-of-the-blue answers (ABORT, ERROR, SHUTDOWN COMPLETE) per second and source prefix.
    pub ootb_per_second: u32,
    /// INIT ACKs per second and source prefix.
    pub init_ack_per_second: u32,
}

impl Default for StackConfig {
    fn default() -> Self {
        Self {
            default_channel: Channel::Udp { local: 9899, remote: 9899 },
            max_associations: 100_000,
            ootb_per_second: 1_000,
            init_ack_per_second: 10_000,
        }
    }
}
