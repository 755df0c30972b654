//! The flags of the registrar.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::Args;

use super::{ANNOUNCE_GROUP, ChildOptions, CommonOptions, PeerOptions, identifier, milliseconds};

/// Flags of the registrar.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// SCTP port of ASAP [default: 3863, or a free one if that is taken]
    #[arg(long, value_name = "PORT")]
    pub asap: Option<u16>,
    /// Identifier of this registrar, e.g. 0x1234abcd [default: random]
    #[arg(long, value_name = "ID", value_parser = identifier)]
    pub identifier: Option<u32>,
    /// Multicast group and UDP port to announce to
    #[arg(long, value_name = "GROUP:PORT", default_value = ANNOUNCE_GROUP)]
    pub announce: SocketAddr,
    /// Announce once in so many milliseconds [default: by the number of registrars, 1000 to 2000]
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    pub announce_interval: Option<Duration>,
    /// Ask each element for a sign of life once in so many milliseconds
    #[arg(long, value_name = "MS", default_value = "5000", value_parser = milliseconds)]
    pub keep_alive_interval: Duration,
    /// Time to live of announces; 1 stays on the link
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    pub ttl: u8,
    /// Announce on the loopback interface only
    #[arg(long, conflicts_with = "interface")]
    pub loopback_only: bool,
    /// Announce from this local address only; may be repeated
    #[arg(long, value_name = "ADDR")]
    pub interface: Vec<IpAddr>,
    /// Most elements in one answer to a user; 0 for all
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub max_hr_items: usize,
    /// Flags about other registrars.
    #[command(flatten)]
    pub peers: PeerOptions,
    /// Shared flags.
    #[command(flatten)]
    pub common: CommonOptions,
    /// Flags for the demo.
    #[command(flatten)]
    pub child: ChildOptions,
}
