//! Runs over many seeds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::story::Report;

/// More failures than these are not told.
const ENOUGH: usize = 5;

pub(crate) fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|v| v.parse().ok())
}

/// Lets `live` judge `SEEDS` clusters, or `few`; with `CLUSTER_SEED` only that one, recorded.
pub(crate) fn run(test: &str, few: u64, live: impl Fn(u64, bool) -> Result<Report, String> + Sync) {
    let safe = |seed, record| catch_unwind(AssertUnwindSafe(|| live(seed, record))).unwrap_or_else(|_| Err("panic".into()));
    if let Some(seed) = env("CLUSTER_SEED") {
        println!("{:?}", safe(seed, true).unwrap_or_else(|why| panic!("seed {seed}: {why}")));
        return;
    }
    let (seeds, next) = (env("SEEDS").unwrap_or(few), AtomicU64::new(env("FIRST_SEED").unwrap_or(0)));
    let end = next.load(Ordering::Relaxed) + seeds;
    let (sum, failures) = (Mutex::new(Report::default()), Mutex::new(Vec::new()));
    let enough = env("ENOUGH").map_or(ENOUGH, |n| usize::try_from(n).unwrap());
    let work = || {
        while failures.lock().unwrap().len() < enough {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return;
            }
            match safe(seed, false) {
                Ok(report) => sum.lock().unwrap().add(&report),
                Err(why) => failures.lock().unwrap().push(format!(
                    "seed {seed}: {why}\nreplay: CLUSTER_SEED={seed} cargo test -p testbed --test cluster {test} -- --nocapture"
                )),
            }
        }
    };
    std::thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(work);
        }
    });
    let (sum, failures) = (sum.into_inner().unwrap(), failures.into_inner().unwrap());
    println!("{test}: {sum:?}");
    assert!(failures.is_empty(), "{} clusters failed:\n{}", failures.len(), failures.join("\n\n"));
}
