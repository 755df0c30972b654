//! Configuration: of a stack, of an endpoint, of an association.
//!
//! A stack has one [`StackConfig`]. Each of its endpoints has an [`EndpointConfig`], which holds what its associations get; an
//! association that we open may have an [`AssocConfig`] of its own. All of it can be read back, and most of it changed later:
//! [`Stack::reconfigure`](crate::Stack::reconfigure), [`Stack::reconfigure_endpoint`](crate::Stack::reconfigure_endpoint),
//! [`Assoc::reconfigure`](crate::Assoc::reconfigure). `docs/configuration.md` has the table of all fields.
//!
//! What a MUST of an RFC forbids is refused ([`ConfigError`](crate::ConfigError)). What a SHOULD advises against is accepted,
//! and listed by [`AssocConfig::deviations`].

mod assoc;
mod endpoint;
mod keys;
mod stack;
pub mod table;

#[cfg(test)]
mod config_test;

mod paths;
mod private;

pub use self::assoc::{AssocConfig, Congestion, StreamScheduler};
pub use self::endpoint::EndpointConfig;
pub use self::keys::{HmacId, KeyError, KeyRing, SharedKey, may_be_authenticated};
pub use self::paths::{Families, Nat};
pub use self::private::PrivateChannel;
pub use self::stack::StackConfig;
