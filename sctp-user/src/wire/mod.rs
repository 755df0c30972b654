//! The codec of RFC 9260: zero-copy, no state, no time.
//!
//! [`Packet::parse`] checks the common header and the checksum; chunks are decoded one by one, so that a malformed chunk
//! does not undo the ones before it. The same structs are read and written.

pub mod cause;
pub mod checksum;
pub mod chunk;
pub mod cursor;
pub mod dump;
pub mod items;
pub mod packet;
pub mod param;
pub mod tlv;

#[cfg(test)]
mod dump_test;
#[cfg(test)]
mod malformed_test;
#[cfg(test)]
mod reconfig_test;
#[cfg(test)]
mod roundtrip_test;
#[cfg(test)]
mod vectors_test;

pub use self::cause::{Cause, Causes};
pub use self::checksum::ChecksumMode;
pub use self::chunk::{Chunk, ChunkError, Encode};
pub use self::items::{Decoded, Item, Items};
pub use self::packet::{AuthPlan, CommonHeader, Packet, PacketError, PacketWriter, RawChunk};
pub use self::param::{Param, Params};
