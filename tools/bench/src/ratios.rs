//! After a run: every case of the lines to reach, and what keeps the rows over UDP honest.

use std::io::stdin;

use crate::lines;
use crate::results::Results;

/// Reads lines of `work::emit` on standard input and prints the tables.
pub fn print() {
    let r = Results::read(stdin().lock());
    println!("\n## Lines to reach, case by case\n\n{}", lines::cases(&r));
    if !r.workloads().iter().any(|w| w == "W1udp") {
        return;
    }
    println!("SACKs per DATA packet in order, least of all runs (0.48 at least, but for per-batch):\n");
    println!("| parameters | peer | SACKs per DATA packet | retransmissions, most |\n| --- | --- | ---: | ---: |");
    for (row, sacks) in r.column("W1udp", "sacks/data") {
        let rtx = r.cell("W1udp", row, "tx_rtx").and_then(|v| v.last().copied()).unwrap_or_default();
        println!("| {row} | {:.3} | {rtx} |", sacks[0]);
    }
}
