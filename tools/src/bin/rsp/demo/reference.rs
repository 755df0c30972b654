//! The image computed without any pool, to compare with.
#![allow(clippy::disallowed_methods, reason = "edge: a thread of its own computes")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::{Result, bail};
use tools::priority;
use tools::service::fractal::compute::Walk;
use tools::service::fractal::wire::Parameter;

/// The comparison image, computed while the pool works; dropping it stops the computation.
pub(super) struct Reference {
    thread: Option<JoinHandle<Vec<u32>>>,
    stop: Arc<AtomicBool>,
}

impl Reference {
    /// Starts to compute, with low priority.
    pub(super) fn start(parameter: Parameter) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let compute = move || {
            priority::lower();
            Walk::new(parameter, 0, 0, false).take_while(|_| !stopped.load(Ordering::Relaxed)).collect()
        };
        let thread = thread::Builder::new().name("reference".into()).spawn(compute)?;
        Ok(Self { thread: Some(thread), stop })
    }

    /// Waits for the computation and counts the pixels that differ from those in `image` (big-endian, 4 bytes each).
    pub(super) fn count_differences(mut self, image: &[u8]) -> Result<usize> {
        let Some(Ok(expected)) = self.thread.take().map(JoinHandle::join) else { bail!("the local computation failed") };
        let (pixels, rest) = image.as_chunks::<4>();
        if pixels.len() != expected.len() || !rest.is_empty() {
            bail!("the user's image has {} bytes instead of {}", image.len(), 4 * expected.len());
        }
        Ok(pixels.iter().zip(&expected).filter(|(pixel, value)| u32::from_be_bytes(**pixel) != **value).count())
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
