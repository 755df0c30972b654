//! Memory, counted: every program that links the testbed runs on an allocator that counts per thread.
//!
//! The counts are exact and the same in every run, whatever other tests do at the same time, as long as what is measured
//! stays on one thread; the simulator does.

/// What a piece of code did to the heap, in bytes as they were asked for (what the system's allocator adds is not seen).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory {
    /// Bytes allocated and not freed: what the result holds, or a leak. Negative if more was freed than allocated.
    pub kept: i64,
    /// Blocks allocated and not freed.
    pub blocks: i64,
    /// The most bytes held at one time. After a measurement inside this one it is an upper bound.
    pub peak: u64,
    /// Allocations in all.
    pub allocations: u64,
}

/// Runs `f` and tells what it did to the heap. Measurements may be nested, up to 60 deep.
///
/// ```
/// let (list, memory) = testbed::alloc::measure(|| vec![0_u8; 1000]);
/// assert_eq!((memory.kept, memory.blocks, memory.peak), (1000, 1, 1000));
/// let ((), memory) = testbed::alloc::measure(|| drop(list));
/// assert_eq!((memory.kept, memory.peak), (-1000, 0));
/// ```
pub fn measure<R>(f: impl FnOnce() -> R) -> (R, Memory) {
    let mut result = None;
    let info = allocation_counter::measure(|| result = Some(f()));
    let Some(result) = result else { unreachable!("what is measured has run") };
    let memory = Memory { kept: info.bytes_current, blocks: info.count_current, peak: info.bytes_max, allocations: info.count_total };
    (result, memory)
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[test]
    fn what_other_threads_do_is_not_counted() {
        let ((), memory) = measure(|| {
            std::thread::scope(|s| {
                s.spawn(|| std::mem::forget(black_box(vec![0_u8; 1 << 20])));
            });
        });
        assert!(memory.kept < 10_000, "{memory:?}");
    }

    #[test]
    fn a_leak_shows_and_the_peak_is_remembered() {
        let ((), memory) = measure(|| {
            drop(black_box(vec![0_u8; 5000]));
            black_box(Box::leak(Box::new([1_u8; 64])));
        });
        assert_eq!((memory.kept, memory.blocks, memory.peak, memory.allocations), (64, 1, 5000, 2));
    }
}
