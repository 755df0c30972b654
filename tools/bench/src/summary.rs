//! Tables of what was measured, from repeated runs.

use std::io::stdin;

use crate::results::Results;

/// Turns the lines of `work::emit` on standard input into a Markdown table for each workload.
pub fn print() {
    let results = Results::read(stdin().lock());
    for w in results.workloads() {
        println!("\n## {w}\n\n{}", results.table(w).unwrap_or_default());
    }
}
