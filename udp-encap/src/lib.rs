//! UDP encapsulation of SCTP (RFC 6951): the datagram side.
//!
//! This crate knows datagrams, UDP ports, ECN marks and ICMP errors. Of SCTP it knows one thing: where the ports stand in the
//! common header, because one UDP port serves all SCTP ports of a host's processes. Everything else, such as when a peer's UDP
//! port may be learnt from a packet (RFC 6951 section 5.4), belongs to the stack above.
//!
//! # The way of a datagram
//!
//! ```mermaid
//! flowchart LR
//!   subgraph in [received]
//!     direction TB
//!     K[kernel: both UDP sockets] -->|recvmmsg, trains by GRO| B[batch.rs<br>RecvBatch]
//!     B --> R{share/route.rs<br>SCTP destination port}
//!     R -->|ours or nobody's| I["Incoming::Train"]
//!     R -->|another process's| L[share/link.rs<br>bounded queue] -->|local socket| M["its Incoming::Train"]
//!     Q[error queue: ICMP] --> E[errors.rs<br>with the quoted packet] --> R
//!   end
//!   subgraph out [sent]
//!     direction TB
//!     T["SharedPort::send"] --> U[socket.rs<br>UdpEncap] -->|sendmsg with GSO, or sendmmsg| K2[the same sockets]
//!   end
//! ```
//!
//! - [`UdpEncap`] is one socket for each IP family on one port: source address, ECN, batches, segmentation offload, no
//!   fragmentation.
//! - [`SharedPort`] is such a port for one or for several processes of a user; what a runtime uses. See [`share`].
//! - [`raw`] has the raw sockets of protocol 132, for SCTP without encapsulation.
//! - [`multicast`] has the plain datagram sockets for announces.
//!
//! # Example
//!
//! Two ports in one process; one of them in an event loop, as a runtime does it:
//!
//! ```
//! use std::time::{Duration, Instant};
//! use mio::{Events, Poll, Token};
//! use udp_encap::{Incoming, ShareConfig, SharedPort, Transmit};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = ShareConfig { udp_port: 0, ..ShareConfig::default() };
//! let random = |octets: &mut [u8]| octets.fill(7); // a real program asks the system
//! let mut a = SharedPort::open(&config, random)?;
//! let mut b = SharedPort::open(&config, random)?;
//! let sctp_port = b.claim(7, Duration::from_secs(1))?;
//!
//! let mut packet = [0; 12]; // an SCTP common header
//! packet[2..4].copy_from_slice(&sctp_port.to_be_bytes());
//! a.send(&Transmit::to(([127, 0, 0, 1], b.udp_port()).into()), &packet)?;
//!
//! let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(64));
//! b.register(poll.registry().try_clone()?, Token(0))?;
//! let train = loop {
//!     let now = Instant::now();
//!     let wait = b.next_deadline().map(|at| at.saturating_duration_since(now));
//!     poll.poll(&mut events, wait)?;
//!     let now = Instant::now(); // fresh in every turn
//!     for event in &events {
//!         if b.owns(event.token()) {
//!             b.handle_ready(event.token());
//!         }
//!     }
//!     let mut trains = Vec::new();
//!     let mut sink = |incoming| {
//!         if let Incoming::Train(train) = incoming {
//!             trains.push(train);
//!         }
//!     };
//!     while b.recv(now, &mut sink)? {}
//!     if let Some(train) = trains.pop() {
//!         break train;
//!     }
//! };
//! assert_eq!(&train.bytes[..], &packet);
//! assert_eq!(train.meta.src.port(), a.udp_port());
//! # Ok(())
//! # }
//! ```
#![deny(unsafe_code)]

mod batch;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod control;
mod errors;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod many;
mod marks;
mod meta;
pub mod multicast;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod name;
pub mod raw;
mod read;
mod send;
pub mod share;
mod socket;

pub use batch::RecvBatch;
pub use errors::{ErrorOrigin, MAX_QUOTE, NetError, NetErrorKind};
pub use meta::{DatagramMeta, Ecn, Received};
pub use share::{ClaimError, Incoming, OpenError, Request, Role, ShareConfig, SharedPort};
pub use socket::{Bind, Caps, Transmit, UdpEncap, is_too_big};

/// The UDP port that IANA assigned to SCTP over UDP (RFC 6951 section 7.1).
pub const UDP_ENCAPS_PORT: u16 = 9899;
