//! The fractal service: images computed row by row, with RSPLIB's Fractal Generator Protocol on the wire.
//!
//! | file | what |
//! | --- | --- |
//! | [`wire`] | messages and cookie, byte by byte |
//! | [`compute`] | the numbers themselves, to be stopped and resumed at any pixel |
//! | [`job`] | one image at a pool element: what to send next |
//! | [`serve`] | a session at the pool element |
//! | [`fetch`] | a session at the pool user |
//! | [`image`](mod@image) | the image at the user: which pixels are there, and who computed them |
//! | [`palette`] | numbers to colours |
//! | [`picture`] | colours to a PNG file |

pub mod compute;
pub mod fetch;
pub mod image;
pub mod job;
pub mod palette;
pub mod picture;
pub mod serve;
pub mod wire;

/// Pool handle that RSPLIB's programs use for this service.
pub const POOL_HANDLE: &str = "FractalGeneratorPool";

/// Payload protocol identifier of the Fractal Generator Protocol.
pub const PPID: u32 = 32;
