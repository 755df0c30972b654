//! Configuration of a stack.

use super::PrivateChannel;
use crate::error::ConfigError;
use crate::net::Channel;

/// Most associations that a stack can address.
const ADDRESSABLE: usize = 1 << 20;

/// Most channels that are tried beside the default one.
const MAX_FURTHER_CHANNELS: usize = 7;

/// Parameters of a stack.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct StackConfig {
    /// What carries packets to a peer known only by its address.
    pub default_channel: Channel,
    /// What is tried besides, in this order, if such a peer does not answer within 250 ms; at most 7.
    pub further_channels: Vec<Channel>,
    /// Channels that have addresses of their own.
    pub private_channels: Vec<PrivateChannel>,
    /// Most associations at once, at most 2^20.
    pub max_associations: usize,
    /// Out-of-the-blue answers (ABORT, ERROR, SHUTDOWN COMPLETE) per second and source prefix; zero gives none.
    pub ootb_per_second: u32,
    /// INIT ACKs per second and source prefix; zero gives none.
    pub init_ack_per_second: u32,
    /// Whether packets out of the blue, and INITs to ports where nobody listens, get no answer at all, so that a scan learns
    /// nothing (a departure from RFC 9260 section 8.4).
    pub blackhole: bool,
    /// Whether this stack is the only SCTP that uses raw IP on the host. Otherwise packets on [`Channel::Raw`] to SCTP ports that have
    /// no endpoint here are somebody else's, and get no answer (a departure from RFC 9260 section 8.4).
    pub raw_alone: bool,
    /// Whether what carries packets reads the ECN marks of incoming packets and sets those of outgoing ones. Only then is
    /// [`AssocConfig::ecn`](super::AssocConfig::ecn) offered to peers.
    pub ecn_marks: bool,
}

impl Default for StackConfig {
    fn default() -> Self {
        Self {
            default_channel: Channel::Udp { local: 9899, remote: 9899 },
            further_channels: Vec::new(),
            private_channels: Vec::new(),
            max_associations: 100_000,
            ootb_per_second: 1_000,
            init_ack_per_second: 10_000,
            blackhole: false,
            raw_alone: false,
            ecn_marks: false,
        }
    }
}

impl StackConfig {
    /// Checks what cannot work.
    ///
    /// # Errors
    /// Names the first field with such a value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.max_associations > ADDRESSABLE {
            return Err(ConfigError { field: "max_associations", why: "at most 2^20" });
        }
        if self.private_channels.iter().any(|p| p.max_packet.is_some_and(|m| m < 576)) {
            return Err(ConfigError { field: "private_channels", why: "packets of 576 bytes at least" });
        }
        if self.further_channels.len() > MAX_FURTHER_CHANNELS {
            return Err(ConfigError { field: "further_channels", why: "at most 7" });
        }
        Ok(())
    }

    /// The channel with addresses of its own that is this one.
    pub(crate) fn private(&self, channel: Channel) -> Option<&PrivateChannel> {
        self.private_channels.iter().find(|p| p.channel == channel)
    }

    /// What of this configuration departs from what RFC 9260 advises, one line each.
    #[must_use]
    pub fn deviations(&self) -> Vec<&'static str> {
        let raw = self.default_channel == Channel::Raw || self.further_channels.contains(&Channel::Raw);
        let rules = [
            (self.blackhole || self.ootb_per_second == 0, "no answers to packets out of the blue (section 8.4)"),
            (raw && !self.raw_alone, "no answers to packets over raw IP for SCTP ports without an endpoint (section 8.4)"),
        ];
        rules.into_iter().filter(|(departs, _)| *departs).map(|(_, what)| what).collect()
    }
}
