//! Interoperability with RSPLIB 3.4, the reference implementation, and with the Linux kernel's SCTP, in a virtual machine: see
//! `tools/lab/README.md`; and with libusrsctp, in network namespaces.
//!
//! Needs root, QEMU and Debian packages (`tools/lab/build.sh` installs them), and some minutes: so they run with `LAB=1` or
//! `REQUIRE=all` in the environment. The machine is started once for all tests, which take turns in it; those of
//! RSPLIB begin with hosts of their own. Our programs run beside it, in a network namespace.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "edge: tests run programs"
)]

#[path = "../common/mod.rs"]
mod common;

mod dump;
mod elements;
mod machine;
mod peers;
mod pingpong;
mod policies;
mod scene;
mod sctp;
