//! The SCTP of Linux as it was recorded: its chunks in typed fields and back, and its side of associations played to our stack.
//! The RSerPool of RSPLIB as it was recorded: its messages in typed fields and back, and hand-made wrong ones put to our registrar.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "edge: reads the files of the captures")]

mod answers;
mod dissected;
mod file;
mod replay;
mod rserpool_messages;
mod typed;
