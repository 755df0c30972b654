//! Random worlds, with oracles for all that an association promises.
//!
//! `SEEDS=10000` runs that many. A seed that fails prints the command that replays it alone, with a capture and a trace.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "edge: a test with threads and files")]

mod extensions;
mod judge;
mod pairs;
mod plan;
mod run;

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use self::judge::{Report, judge};
use self::plan::Plan;

/// Worlds of an ordinary run.
const FEW: u64 = 200;
/// More failures than these are not told.
const ENOUGH: usize = 5;

fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|v| v.parse().ok())
}

/// The world of a seed; a panic inside counts as a complaint.
fn live(seed: u64) -> Result<Report, String> {
    catch_unwind(AssertUnwindSafe(|| judge(seed, |_| {}))).unwrap_or_else(|_| Err("panic".into()))
}

/// The world of a seed once more, recorded.
fn record(seed: u64) -> (PathBuf, Result<Report, String>) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("world-{seed}.pcapng"));
    let result = catch_unwind(AssertUnwindSafe(|| {
        judge(seed, |running| {
            running.world.capture(File::create(&path).unwrap()).unwrap();
            running.world.trace(File::create(path.with_extension("txt")).unwrap());
        })
    }));
    (path, result.unwrap_or_else(|_| Err("panic".into())))
}

fn complain(seed: u64, why: &str) -> String {
    let (path, _) = record(seed);
    format!(
        "seed {seed}: {why}\nreplay: WORLD_SEED={seed} cargo test -p testbed --test sim worlds -- --nocapture\ncapture: {} (and .txt)",
        path.display()
    )
}

/// What all worlds of a run told.
#[derive(Default, Debug)]
struct Sum {
    worlds: usize,
    delivered: usize,
    graceful: usize,
    given_up: usize,
    restarted: usize,
    peak: u64,
    idle_stack: i64,
}

impl Sum {
    fn add(&mut self, report: &Report) {
        self.worlds += 1;
        self.delivered += report.delivered;
        self.graceful += usize::from(report.graceful);
        self.given_up += report.given_up;
        self.restarted += usize::from(report.restarted);
        self.peak = self.peak.max(report.peak);
        self.idle_stack = self.idle_stack.max(report.idle_stack);
    }
}

#[test]
fn random_worlds_keep_their_promises() {
    if let Some(seed) = env("WORLD_SEED") {
        println!("{:?}", Plan::new(seed));
        let (path, result) = record(seed);
        println!("capture: {} (and .txt)", path.display());
        println!("{:?}", result.unwrap_or_else(|why| panic!("seed {seed}: {why}")));
        return;
    }
    let (seeds, next) = (env("SEEDS").unwrap_or(FEW), AtomicU64::new(env("FIRST_SEED").unwrap_or(0)));
    let end = next.load(Ordering::Relaxed) + seeds;
    let (sum, failures) = (Mutex::new(Sum::default()), Mutex::new(Vec::new()));
    let work = || {
        while failures.lock().unwrap().len() < ENOUGH {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return;
            }
            match live(seed) {
                Ok(report) => sum.lock().unwrap().add(&report),
                Err(why) => failures.lock().unwrap().push(complain(seed, &why)),
            }
        }
    };
    std::thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(work);
        }
    });
    let (sum, failures) = (sum.into_inner().unwrap(), failures.into_inner().unwrap());
    println!("{sum:?}");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    // The plans are such that most worlds end well; else they would prove little.
    assert!(sum.graceful * 10 >= sum.worlds * 5, "{sum:?}");
}
