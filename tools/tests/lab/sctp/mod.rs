//! `sctp-user` against other implementations of SCTP: the kernel of the virtual machine, and libusrsctp.
//!
//! The other end is `tools/lab/src/peer.c`, built for either of them; `scenario.rs` is what all of them are put through.

mod capture;
mod extensions;
mod kernel;
mod lksctp;
mod ours;
mod peer;
mod scenario;
mod talk;
mod transport;
mod usrsctp;
mod work;
