//! The codec of RSerPool: ASAP messages (RFC 5352), ENRP messages (RFC 5353), the parameters and error causes that they are made of (RFC 5354)
//! and the policies (RFC 5356). No state, no time.
//!
//! A message is decoded into a view ([`AsapView`], [`EnrpView`]) that borrows the bytes and allocates nothing, or from
//! there into owned values ([`AsapMessage`], [`EnrpMessage`]), which are small, and of which most are kept (an element in
//! the handlespace, a cookie in a session). Decoding never panics and never allocates more than a small multiple of the
//! bytes that it was given. A message is encoded with its parameters in the order of the RFC's figures, which is the
//! only order that RSPLIB accepts.
//!
//! ```
//! use rserpool::wire::{AsapMessage, EncodeOptions, PoolHandle};
//!
//! let request = AsapMessage::HandleResolution { subscribe: false, handle: PoolHandle::new(b"EchoPool")?, items: None };
//! let bytes = request.encode(EncodeOptions::default())?;
//! assert_eq!(AsapMessage::decode(&bytes)?.message, request);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod asap;
mod cause;
mod display;
mod element;
pub mod enrp;
mod handle;
mod ids;
mod message;
pub mod param;
mod policy;
mod server;
mod transport;
pub mod view;

#[cfg(test)]
mod enrp_test;
#[cfg(test)]
mod golden_test;
#[cfg(test)]
mod prop_test;

pub use asap::{AsapMessage, Decoded};
pub use cause::{CauseCode, ErrorCause, OperationError};
pub use element::PoolElement;
pub use enrp::{DecodedEnrp, EnrpMessage, UpdateAction};
pub use handle::{HandleError, PoolHandle};
pub use ids::{ElementId, Life, LifeUnit, RegistrarId};
pub use message::{EncodeError, EncodeOptions};
pub use param::{DecodeError, DecodeErrorKind};
pub use policy::PolicyParam;
pub use server::ServerInformation;
pub use transport::{MAX_ADDRESSES, Protocol, Scope, Transport, TransportUse};
pub use view::{AsapView, EnrpView};

/// SCTP payload protocol identifier of ASAP (RFC 5352 section 8.3).
pub const ASAP_PPID: u32 = 11;
/// SCTP payload protocol identifier of ENRP (RFC 5353 section 5.3).
pub const ENRP_PPID: u32 = 12;
/// Registered port of ASAP, for SCTP and for the announces (RFC 5352 section 8.2).
pub const ASAP_PORT: u16 = 3863;
/// Registered SCTP port of ENRP (RFC 5353 section 5.3).
pub const ENRP_PORT: u16 = 9901;
