//! wip
#![forbid(unsafe_code)]

mod batch;
mod errors;
mod meta;
pub mod multicast;
mod socket;

pub use batch::RecvBatch;
pub use errors::{ErrorOrigin, MAX_QUOTE, NetError, NetErrorKind};
pub use meta::{DatagramMeta, Ecn, Received};
pub use socket::{Bind, Caps, Transmit, UdpEncap, is_too_big};

/// The UDP port that IANA assigned to SCTP over UDP (RFC 6951 section 7.1).
pub const UDP_ENCAPS_PORT: u16 = 9899;
