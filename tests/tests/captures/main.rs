//! The SCTP of Linux as it was recorded: its chunks in typed fields and back, and its side of associations played to our stack.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "edge: reads the files of the captures")]

mod file;
mod replay;
mod typed;
