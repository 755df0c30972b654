//! SCTP (RFC 9260) in user space: a sans-IO protocol core, sockets, and a simulator that runs the same code. Packets go in UDP
//! (RFC 6951), directly over IP, over TUN devices, or over whatever the program hands in.
//!
//! The core is a [`Stack`]: packets and the time go in, packets, events and the next deadline come out. Whatever drives it, be it
//! the runtime of `socket` on real sockets, the simulator (`sim`), or a program of its own, follows the contract
//! of [`stack`]. Two stacks that talk to each other without any network:
//!
//! ```
//! use std::net::{IpAddr, SocketAddr};
//! use bytes::Bytes;
//! use sctp_user::{Channel, EndpointConfig, Event, Meta, Node, Ppid, SeededEntropy, SendOptions, Stack, StackConfig, StreamId, Time};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = Time::ZERO;
//! let (client_ip, server_ip): (IpAddr, IpAddr) = ("10.0.0.1".parse()?, "10.0.0.2".parse()?);
//! let mut client = Stack::new(StackConfig::default(), Box::new(SeededEntropy::new(1)));
//! let mut server = Stack::new(StackConfig::default(), Box::new(SeededEntropy::new(2)));
//!
//! let listener = server.open(EndpointConfig::new(7))?;
//! server.listen(listener, true);
//! let endpoint = client.open(EndpointConfig::new(0))?;
//! let id = client.connect(now, endpoint, &[SocketAddr::new(server_ip, 7).into()], None)?;
//! client.assoc(id).ok_or("gone")?.send(now, StreamId(0), Ppid(0), Bytes::from_static(b"hello"), SendOptions::ordered())?;
//!
//! // The network: carries packets both ways until there are none.
//! fn carry(now: Time, from: (&mut Stack, IpAddr), to: (&mut Stack, IpAddr)) -> bool {
//!     let mut packet = Vec::new();
//!     let sent = from.0.poll_transmit(now, 1, &mut packet).is_some();
//!     if sent {
//!         let channel = Channel::Udp { local: 9899, remote: 9899 };
//!         let meta = Meta { src: from.1, dst: to.1, channel, ecn: None, ifindex: None };
//!         to.0.handle_datagram(now, &meta, Bytes::from(packet));
//!     }
//!     sent
//! }
//! while carry(now, (&mut client, client_ip), (&mut server, server_ip)) | carry(now, (&mut server, server_ip), (&mut client, client_ip)) {}
//!
//! let (_, accepted, event) = server.poll_event().ok_or("nothing happened")?;
//! assert!(matches!(event, Event::Connected { incoming: true, .. }));
//! let message = server.assoc(accepted).ok_or("gone")?.recv().ok_or("no message")?;
//! assert_eq!(message.payload, "hello");
//! # Ok(())
//! # }
//! ```
//!
//! The life of a packet; each box is a module:
//!
//! ```text
//!   kernel: UDP or raw socket     or            sim: a simulated link
//!        |  ^                                        |  ^
//!        v  |  transport, socket::runtime            v  |  sim::World
//! ------ Node::handle_batch ------------------------ Node::poll_transmit ------   (now, addresses, bytes)
//!        |                                                  ^
//!        v                                                  |
//!   wire: header, CRC32c                         assoc/assemble: control, SACK,
//!        |                                       retransmissions, new DATA, probes
//!        v                                                  ^
//!   stack/lookup --- no association ---> stack/responder    |  PacketWriter: bundled to the path's MTU,
//!        |           INIT, COOKIE ECHO   (stateless cookie) |  equal packets back to back as one train
//!        |           anything else  ---> stack/ootb         |
//!        v                                                  |
//!   assoc/dispatch: tags, chunk by chunk                    |
//!        |            |            |                        |
//!        | DATA       | SACK       | INIT ACK, COOKIE ACK, HEARTBEAT, SHUTDOWN, ABORT, ERROR
//!        v            v            v                        |
//!   assoc/rx     assoc/tx     handshake, path,              |
//!   TSNs, SACKs, outstanding, shutdown, errors ------------>+
//!   reassembly   cc, RTT, RTO ----------------------------->+
//!        |            |
//!        v            v
//! ------ Assoc::recv, Stack::poll_event ------------- Assoc::send ---- poll_timeout ----   (the application)
//! ```
//!
//! Features: `udp` and `socket` (default) for real sockets, `tokio` for its tasks, `tun` for TUN devices, `sim` for the simulator, `pcap`
//! for writing packets; without any, the core makes no call to the operating system.
#![forbid(unsafe_code)]

mod assoc;
mod cc;
pub mod config;
pub mod entropy;
pub mod error;
pub mod event;
#[cfg(feature = "pcap")]
mod ip;
pub mod net;
pub mod node;
pub mod num;
#[cfg(feature = "pcap")]
pub mod pcap;
mod sched;
#[cfg(feature = "sim")]
pub mod sim;
#[cfg(feature = "socket")]
pub mod socket;
pub mod stack;
pub mod stats;
pub mod time;
#[cfg(feature = "socket")]
pub mod transport;
pub mod wire;

pub use assoc::cookie;
pub use config::{
    AssocConfig, Congestion, EndpointConfig, Families, HmacId, KeyError, KeyRing, Nat, PrivateChannel, SharedKey, StackConfig,
    StreamScheduler,
};
pub use entropy::{Entropy, SeededEntropy};
pub use error::{AddressError, BindError, CloseReason, ConfigError, ConnectError, PathError, ReconfigError, SendError};
pub use event::{AssocId, EndpointId, Event, KeyUse, Message, PathChange, PathState, PrPolicy, ReconfigOutcome, Reliability, SendOptions};
pub use net::{AddrChange, Channel, Ecn, Meta, NetError, NetErrorKind, PeerAddr, Train, Transmit};
pub use node::{LateNode, Node};
pub use num::{Fsn, KeyId, Mid, Ppid, Serial, Ssn, StreamId, Tsn, Vtag};
pub use stack::{Assoc, AssocStatus, AuthChunks, HeartbeatAnswer, PathOptions, PathStatus, ResetDirection, Stack};
pub use stats::{Abandoned, AssocStats, PathStats, StackCounters, StackStats};
pub use time::Time;
