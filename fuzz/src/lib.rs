//! What the fuzz targets do, one function each, so that `tests/replay.rs` can run the corpus without libFuzzer.
//!
//! ```text
//! cargo install cargo-fuzz
//! cargo fuzz run --features libfuzzer --sanitizer none packet -- -max_total_time=60
//! ```
//!
//! works on the stable toolchain. With AddressSanitizer: `RUSTC_BOOTSTRAP=1 cargo fuzz run --features libfuzzer packet`. An input
//! that failed is put into `fuzz/corpus/<target>/` together with the fix.
#![forbid(unsafe_code)]

mod asap;
mod assoc_ops;
mod auth;
mod chunk;
mod cookie;
mod pool_messages;
mod registrar;
mod share;
mod two_peers;
mod wire;

pub use asap::{asap, enrp};
pub use assoc_ops::assoc_ops;
pub use cookie::cookie;
pub use registrar::registrar;
pub use share::share;
pub use two_peers::two_peers;
pub use wire::{chunk_roundtrip, packet};

/// A function that takes any bytes and panics if something is wrong.
pub type Target = fn(&[u8]);

/// All targets by name, which is also the name of the folder with their corpus.
pub const TARGETS: [(&str, Target); 9] = [
    ("packet", packet),
    ("chunk_roundtrip", chunk_roundtrip),
    ("cookie", cookie),
    ("asap", asap),
    ("share", share),
    ("two_peers", two_peers),
    ("assoc_ops", assoc_ops),
    ("enrp", enrp),
    ("registrar", registrar),
];
