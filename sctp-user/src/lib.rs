//! SCTP (RFC 9260) in user space.
#![forbid(unsafe_code)]

pub mod config;
pub mod entropy;
pub mod error;
pub mod event;
pub mod net;
pub mod node;
pub mod num;
#[cfg(feature = "pcap")]
pub mod pcap;
#[cfg(feature = "socket")]
pub mod socket;
pub mod stack;
pub mod time;
#[cfg(feature = "socket")]
pub mod transport;
pub mod wire;

pub use config::{AssocConfig, EndpointConfig, StackConfig};
pub use entropy::{Entropy, SeededEntropy};
pub use error::{BindError, CloseReason, ConfigError, ConnectError, SendError};
pub use event::{AssocId, EndpointId, Event, Message, SendOptions};
pub use net::{AddrChange, Channel, Ecn, Meta, NetError, NetErrorKind, PeerAddr, Train, Transmit};
pub use node::Node;
pub use num::{Ppid, Ssn, StreamId, Tsn, Vtag};
pub use stack::{Assoc, AssocStatus, Stack};
pub use time::Time;
