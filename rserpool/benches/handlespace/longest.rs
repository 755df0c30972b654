//! How long the longest single operation is.

use rustix::time::{ClockId, clock_gettime};

use crate::bed::{Bed, batch, shuffled};

fn timed(longest: &mut u64, work: impl FnOnce()) {
    let now = || {
        let t = clock_gettime(ClockId::ThreadCPUTime);
        t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
    };
    let from = now();
    work();
    *longest = (now() - from).max(*longest);
}

/// Milliseconds of CPU time of the longest operation, of all kinds, in a handlespace that grows from nothing.
pub(crate) fn of(name: &str, size: usize, pools: usize) -> f64 {
    let mut bed = Bed::empty(name, size, pools, 1);
    let mut longest = 0;
    for i in 0..size {
        timed(&mut longest, || bed.register(i));
    }
    let order = shuffled(size, batch(size), 1);
    for i in &order {
        timed(&mut longest, || bed.renew(*i, 0));
        timed(&mut longest, || bed.renew(*i, 1));
        timed(&mut longest, || bed.resolve(*i % pools, 1));
        timed(&mut longest, || bed.resolve(*i % pools, 10));
    }
    for key in bed.owned() {
        timed(&mut longest, || bed.take_over(key, false));
    }
    for i in &order {
        timed(&mut longest, || bed.deregister(*i));
    }
    longest as f64 / 1e6
}
