//! SCTP between real hosts: network namespaces, joined by links that break, lose, translate and narrow.
//!
//! Each host runs this very program as a peer ([`peer`]), which is told what to do by lines.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "edge: real processes, sockets, threads and clocks"
)]

mod addresses;
mod links;
mod nat;
mod newcomer;
mod peer;
mod routers;
mod shared_port;
mod stage;
mod ways;

/// Not a test: what the processes in the namespaces run.
#[test]
fn peer() {
    if let Ok(settings) = std::env::var(stage::SETTINGS) {
        peer::run(&settings).unwrap();
    }
}
