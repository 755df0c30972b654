//! The containers that a handlespace is made of. They hold millions of things and never stop to copy them all: none
//! grows by more than a segment, or a shard, at a time.

pub(super) mod heap;
pub(super) mod index;
pub(super) mod list;
pub(super) mod segmented;
