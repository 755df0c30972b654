//! Channels with addresses of their own.

use std::net::IpAddr;
use std::sync::Arc;

use super::AssocConfig;
use crate::net::Channel;

/// A channel that does not share the host's addresses: a TUN device, or a lower layer that the program hands in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PrivateChannel {
    /// The channel.
    pub channel: Channel,
    /// Our addresses on it; they are used on no other channel.
    pub local: Vec<IpAddr>,
    /// The addresses of peers on it, which no other channel leads to; empty if there may be any.
    pub remote: Vec<IpAddr>,
    /// The longest packet in bytes that it takes; `None` if the path MTU is to be found.
    pub max_packet: Option<usize>,
    /// The error detection method that it has besides SCTP's checksum, by its number (RFC 9653 section 8), such as 1 for DTLS; `None`
    /// if it has none.
    pub error_detection: Option<u32>,
}

impl PrivateChannel {
    /// What holds for an association over this channel. A lower layer knows no addresses and has one path (RFC 8261 section 6.1).
    pub(crate) fn fit(&self, cfg: Arc<AssocConfig>) -> Arc<AssocConfig> {
        let Some(most) = self.max_packet else { return cfg };
        let mut fitted = AssocConfig::clone(&cfg);
        fitted.mtu = fitted.mtu.min(most);
        fitted.max_mtu = fitted.max_mtu.min(most);
        fitted.advertise = None;
        Arc::new(fitted)
    }
}
