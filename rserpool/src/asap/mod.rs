//! The client side of ASAP (RFC 5352), sans-IO: one [`Asap`] for a process, whatever elements and users it holds.
//!
//! It finds a registrar (section 3.6, "server hunt"), keeps one association with it, the *home*, and does over it what the
//! process wants: register its pool elements and keep them registered, answer keep-alives, resolve pool handles, report
//! elements that do not answer. It is driven by [`Asap::handle`] and [`Asap::handle_timeout`], asked by the verbs
//! [`Asap::register`], [`Asap::resolve`] and so on, and speaks by [`Asap::poll_output`].
//!
//! | file | idea |
//! | --- | --- |
//! | `core.rs` | inputs, outputs, timers |
//! | `hunt.rs` | which registrars are known, and which to connect to |
//! | `names.rs` | registrars known by name: when to look them up |
//! | `home.rs` | the home registrar, and others that come to us |
//! | `request.rs` | requests in flight; answers come in their order (there is no transaction number) |
//! | `element.rs` | the process's own pool elements |
//! | `user.rs` | resolutions and reports |
//! | `subscribe.rs` | pools whose changes are followed |
//! | `cache.rs` | resolved handles, and elements that failed lately |

mod cache;
mod config;
mod core;
mod element;
mod error;
mod home;
mod hunt;
mod names;
mod request;
mod subscribe;
mod user;

#[cfg(test)]
mod core_test;

pub use cache::{Excluded, MAX_CACHED_POOLS, MAX_EXCLUDED};
pub use config::AsapConfig;
pub use core::{Asap, AsapEvent, Ending, Input, LinkId, Output, RequestId};
pub use element::{ElementKey, ElementSpec, ElementState};
pub use error::{RegisterError, ResolveError};
pub use subscribe::MAX_SUBSCRIPTIONS;
