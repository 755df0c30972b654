//! What carries the core's packets on real hosts.
//!
//! * [`udp`]: SCTP in UDP (RFC 6951), on a port that the programs of one user share.
//! * [`announce`]: plain datagrams, for the announces of registrars.
//! * [`addrs`]: the host's own addresses.
//! * [`clock`]: the monotonic clock.
//! * `watch`: is told by the system when the host's addresses change.

pub mod addrs;
pub mod announce;
pub mod clock;
pub mod udp;
pub(crate) mod watch;
