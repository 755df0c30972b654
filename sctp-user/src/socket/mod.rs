//! Real hosts: the runtime that drives a [`Node`](crate::Node) over UDP, raw IP and other transports, and sockets (RFC 6458 in Rust
//! idiom) on top of it.
//!
//! A [`Runtime`] owns the sockets of the operating system, one [`Node`](crate::Node) and the clock. It runs in a thread of its
//! own ([`Runtime::spawn`]) or is turned by the caller ([`Runtime::drive`]); either way programs reach the node through a
//! [`Handle`], which is cheap to clone. The simulator drives the very same nodes.
//!
//! ```no_run
//! use sctp_user::socket::{Runtime, SctpStream, SndInfo, SocketNode};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::builder().build()?;
//! let node = SocketNode::new(runtime.stack_config())?;
//! let handle = runtime.spawn(node)?;
//! let stream = SctpStream::connect(&handle, "127.0.0.1:7".parse::<std::net::SocketAddr>()?)?;
//! stream.send(b"hello", &SndInfo::default())?;
//! let (info, message) = stream.recv()?.ok_or("closed")?;
//! println!("{} bytes on stream {:?}", message.len(), info.sid);
//! # Ok(())
//! # }
//! ```

mod asynchronous;
mod builder;
mod errno;
mod handle;
mod info;
mod inspect;
mod lead;
mod listener;
mod lower;
mod mode;
mod node;
mod notification;
mod one_to_many;
mod one_to_one;
pub mod option;
mod readiness;
mod runtime;
mod timer;
#[cfg(feature = "tokio")]
mod tokio_io;
mod vectored;

pub use crate::transport::announce::AnnounceFrom;
pub use crate::transport::clock::MonoClock;
pub use crate::transport::conflict::RawConflict;
pub use crate::transport::layer::LowerLayer;
pub use crate::transport::udp::Sharing;
pub use builder::{DEFAULT_UDP_PORT, Runtime, RuntimeBuilder, RuntimeError};
pub use errno::close_error;
pub use handle::{Handle, PortReleaser};
pub use info::{NxtInfo, RcvInfo, Received, RecvV, SndInfo, Target};
pub use listener::SctpListener;
pub use node::SocketNode;
pub use notification::{AuthIndication, EventKind, Events, Notification};
pub use one_to_many::SctpSocket;
pub use one_to_one::SctpStream;
pub use runtime::Driven;
