//! What every implementation that has them is put through of the extensions of SCTP, asserted from both ends.

mod addresses;
mod authentication;
mod interleaving;
mod partial;
mod streams;

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

use crate::scene::LIMIT;

/// Asks again until there is a result; the peer tells us only what we ask for.
fn poll<R, E: Debug>(what: &str, mut ask: impl FnMut() -> Result<R, E>) -> R {
    let deadline = Instant::now() + LIMIT;
    loop {
        match ask() {
            Ok(result) => return result,
            Err(at_last) => assert!(Instant::now() < deadline, "{what}: {at_last:?}"),
        }
        thread::sleep(Duration::from_millis(50));
    }
}
