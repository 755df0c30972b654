//! Messages as views into the bytes that came: checked in full, nothing copied, nothing allocated.
//!
//! This is the parser; the owned messages are made from views. What a view holds is `Copy`. Lists of elements,
//! addresses and so on are walked through again each time that they are iterated over.
//!
//! ```
//! use rserpool::wire::{AsapView, ElementId};
//!
//! let bytes = b"\x08\x00\x00\x18\x00\x09\x00\x0cEchoPool\x00\x0e\x00\x08\x11\x22\x33\x44";
//! let AsapView::KeepAliveAck { handle, id } = AsapView::decode(bytes)?.message else { panic!() };
//! assert_eq!((handle, id), (&b"EchoPool"[..], ElementId(0x1122_3344)));
//! # Ok::<(), rserpool::wire::DecodeError>(())
//! ```

mod asap;
mod element;
mod enrp;
mod error;
mod list;
mod policy;
mod server;
mod transport;

pub use asap::AsapView;
pub use element::ElementView;
pub use enrp::{EnrpView, PoolView, Pools};
pub use error::{CauseView, ErrorView};
pub use list::{List, ListIter};
pub use policy::PolicyView;
pub use server::ServerView;
pub use transport::{Addresses, TransportView};

use super::message::EncodeOptions;
use super::param::{DecodeError, Param, Reports};

/// What decoding finds.
#[derive(Clone, Debug)]
pub struct Viewed<'a, M> {
    /// The message.
    pub message: M,
    /// With these options it is encoded to the same bytes again, provided that it had nothing unknown in it.
    pub options: EncodeOptions,
    /// Unknown parameters that were skipped and are to be reported.
    pub reports: Reports<'a>,
}

/// The value of a Pool Handle parameter.
fn handle_of<'a>(p: &Param<'a>) -> Result<&'a [u8], DecodeError> {
    if p.value.is_empty() { Err(p.invalid()) } else { Ok(p.value) }
}
