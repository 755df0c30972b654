//! One stack with 100,000 associations: memory of each, and the time of packets, timers and heartbeats against a small stack.
//!
//! `cargo bench -p testbed --bench associations`; the page that it prints is `docs/associations.md`. Two stacks run in this one
//! process, so that each figure covers both ends; memory is what was asked of the allocator, divided by two.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "edge: a benchmark measures time")]

use core::time::Duration;
use std::time::Instant;

use testbed::alloc::{Memory, measure};
use testbed::crowd::Crowd;

/// What was measured with one number of associations.
struct Row {
    associations: usize,
    idle: i64,
    used: i64,
    open: Duration,
    message: Duration,
    heartbeats: Duration,
    packets: u64,
}

fn timed<R>(f: impl FnOnce() -> R) -> (R, Memory, Duration) {
    let start = Instant::now();
    let (result, memory) = measure(f);
    (result, memory, start.elapsed())
}

fn row(n: usize) -> Row {
    let (mut crowd, base) = measure(|| Crowd::new(n));
    let ((), opened, open) = timed(|| crowd.open(n));
    let ends = i64::try_from(2 * n).unwrap_or(i64::MAX);
    let ((), sent, message) = timed(|| {
        for from_client in [true, false] {
            crowd.send_all(1_000, from_client);
        }
    });
    // Two minutes: everything delayed is done, each end sends some four heartbeats and answers as many.
    let before = crowd.packets;
    let end = crowd.now + Duration::from_secs(120);
    let (_, rested, heartbeats) = timed(|| crowd.run_until(end));
    assert_eq!(crowd.server.stats().curr_estab, n as u64, "all are alive");
    let _ = base;
    Row {
        associations: n,
        idle: opened.kept / ends,
        used: (opened.kept + sent.kept + rested.kept) / ends,
        open,
        message,
        heartbeats,
        packets: crowd.packets - before,
    }
}

fn main() {
    println!("# Many associations\n");
    println!("What one stack with many associations costs: `cargo bench -p testbed --bench associations` prints this page.\n");
    println!("Two stacks talk to each other in one process without a network. Memory is counted by the allocator, for one end.");
    println!("Times are wall-clock on the machine of the day and cover both ends: an association opened (four packets), a message");
    println!("of 1,000 bytes sent, carried, read, and a packet of two idle minutes (HEARTBEATs, their ACKs, last SACKs), timers");
    println!("included.\n");
    println!("| associations | idle | after use | open | message | packet when idle |");
    println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
    for n in [100, 1_000, 10_000, 100_000] {
        let r = row(n);
        let each = |d: Duration, n: u64| format!("{:.1} us", d.as_secs_f64() * 1e6 / n.max(1) as f64);
        println!(
            "| {} | {} bytes | {} bytes | {} | {} | {} |",
            r.associations,
            r.idle,
            r.used,
            each(r.open, r.associations as u64),
            each(r.message, 2 * r.associations as u64),
            each(r.heartbeats, r.packets),
        );
    }
    println!("\nBounds: 2,768 bytes idle, 4,000 after use; `tests/tests/memory` holds them at 1,000 associations.");
}
