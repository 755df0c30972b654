//! What the operations of a handlespace cost, as multiples of one random insertion into a `BTreeMap<u64, u64>` of the same
//! size in the same run; which memory an element takes; how long the longest single operation is.
//!
//! ```sh
//! cargo bench -p rserpool --bench handlespace                                     # everything: half an hour
//! cargo bench -p rserpool --bench handlespace -- --size 1000 --policy LeastUsed   # part of it
//! ```
//!
//! Elements have random identifiers, one address for users and one for registrars, an association of their own, a life and
//! a timer. A batch takes a quarter of them, at most 50,000, in random order. Time is CPU time. Of three runs the table has
//! the median, and for the longest operation the best one.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "a benchmark")]

mod bed;
mod longest;
mod report;
mod unit;

use rserpool::handlespace::policy::{NUMBERS, Policies};
use rserpool::wire::PolicyParam;

use bed::{Bed, Costs};
use report::Row;

/// What is measured.
struct Options {
    sizes: Vec<usize>,
    pools: Vec<usize>,
    policies: Vec<u32>,
    runs: usize,
}

impl Options {
    /// Of the command line; what is not understood (cargo adds something) is passed by.
    fn parse() -> Self {
        let mut options = Self { sizes: vec![1_000, 100_000, 1_000_000], pools: vec![1, 1_000], policies: NUMBERS.to_vec(), runs: 3 };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--size" => options.sizes = args.next().iter().filter_map(|n| n.parse().ok()).collect(),
                "--pools" => options.pools = args.next().iter().filter_map(|n| n.parse().ok()).collect(),
                "--runs" => options.runs = args.next().and_then(|n| n.parse().ok()).unwrap_or(3),
                "--policy" => {
                    let name = args.next().unwrap_or_default();
                    options.policies.retain(|n| name_of(*n).eq_ignore_ascii_case(&name));
                    assert!(!options.policies.is_empty(), "no policy {name:?}: one of {:?}", PolicyParam::NAMES);
                }
                _ => {}
            }
        }
        options
    }
}

fn name_of(number: u32) -> &'static str {
    PolicyParam::NAMES.iter().copied().find(|name| bed::values(name, 0).number() == number).unwrap_or("?")
}

fn main() {
    let options = Options::parse();
    assert!(options.policies.iter().all(|n| Policies::standard().contains(*n)));
    let mut misses = 0;
    for size in &options.sizes {
        for pools in &options.pools {
            report::head(*size, *pools);
            for policy in &options.policies {
                let name = name_of(*policy);
                let runs: Vec<(Costs, f64)> = (0..options.runs).map(|run| measure(name, *size, *pools, run)).collect();
                let memory = Bed::memory(name, *size, *pools);
                let longest = (0..options.runs).map(|_| longest::of(name, *size, *pools)).min_by(f64::total_cmp);
                let row = Row::of(name, (*size, *pools), &runs, memory, longest.unwrap_or(0.0));
                misses += row.print();
            }
        }
    }
    println!("\n{misses} figures miss their limits");
}

/// One run: the unit is measured before and after.
fn measure(name: &'static str, size: usize, pools: usize, run: usize) -> (Costs, f64) {
    let before = unit::random_insertion(size, run as u64);
    let costs = Bed::new(name, size, pools, run as u64).costs();
    (costs, f64::midpoint(before, unit::random_insertion(size, run as u64 + 100)))
}
