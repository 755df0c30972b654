//! The blocking interface for applications, over real sockets.
//!
//! | C, as in RSPLIB | here |
//! | --- | --- |
//! | `rsp_initialize`, `rsp_cleanup` | [`Rserpool::builder`], dropping the last clone |
//! | `rsp_pe_registration`, `rsp_pe_deregistration` | [`Rserpool::register`], dropping the [`Registration`] |
//! | `rsp_getaddrinfo` | [`Rserpool::resolve`] |
//! | `rsp_pe_failure` | [`Rserpool::report_failure`] |
//! | `rsp_socket`, `rsp_bind`, `rsp_register`, `rsp_accept` | [`PoolListener::bind`], [`PoolListener::accept`] |
//! | `rsp_connect` | [`PoolStream::connect`] |
//! | `rsp_sendmsg`, `rsp_recvfullmsg` | `send` and `recv` of [`PoolStream`] and [`PeSession`] |
//! | `rsp_send_cookie`, the flag `MSG_RSERPOOL_COOKIE_ECHO` | [`PeSession::send_cookie`], [`Received::CookieEcho`] |
//! | `rsp_forcefailover`, the notification of failovers | [`PoolStream::force_failover`], [`Received::Failover`] |
//!
//! All calls can be made from several threads at the same time. None holds a lock while it waits. A time-out of `None` waits
//! without limit.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use rserpool::api::{PoolStream, Received, Rserpool, SendInfo, SessionConfig};
//! use rserpool::wire::PoolHandle;
//!
//! let rsp = Rserpool::builder().start()?;
//! let stream = PoolStream::connect(&rsp, PoolHandle::new("EchoPool")?, SessionConfig::default())?;
//! stream.send(b"hello", &SendInfo::default())?;
//! while let Ok(item) = stream.recv(Some(Duration::from_secs(1))) {
//!     match item {
//!         Received::Message(m) => println!("{} bytes from {}", m.data.len(), m.element),
//!         Received::Failover(f) => println!("{f:?}"),
//!         _ => {}
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod builder;
mod error;
mod host;
mod listener;
mod names;
mod registration;
mod rsp;
mod stream;

pub use builder::Builder;
pub use error::Error;
pub use host::Host;
pub use listener::{ElementConfig, PeSession, PoolListener};
pub use registration::Registration;
pub use rsp::Rserpool;
pub use stream::{PoolStream, SendInfo};

pub use crate::asap::{AsapConfig, AsapEvent, ElementKey, ElementSpec, RegisterError, ResolveError};
pub use crate::session::{
    BusinessCard, DetectorConfig, EndReason, Failover, FailureReason, Incoming, Outgoing, Received, SendError, SessionConfig, SessionState,
};
