//! The lines to reach over UDP, as ratios of medians (ping-pong: of minima) within one run.

use std::io::stdin;

use crate::results::Results;

/// One row: what was measured of ours (the slower of the two ways counts) against another, and the line.
fn row(what: &str, ways: [Option<f64>; 2], other: (&str, Option<f64>), line: f64) {
    let [Some(threaded), Some(driven), Some(theirs)] = [ways[0], ways[1], other.1] else {
        println!("| {what} | – | – | {} | – | {line} | – |", other.0);
        return;
    };
    let ratio = threaded.max(driven) / theirs;
    let holds = if ratio <= line { "yes" } else { "NO" };
    println!("| {what} | {threaded:.3} | {driven:.3} | {} {theirs:.3} | {ratio:.3} | {line} | {holds} |", other.0);
}

/// Reads lines of `work::emit` on standard input and prints the table.
pub fn print() {
    let r = Results::read(stdin().lock());
    println!("\n## Lines to reach over UDP\n");
    println!("| workload, metric | ours, threaded | ours, caller-driven | against | ratio of the slower | line | holds |");
    println!("| --- | ---: | ---: | --- | ---: | ---: | --- |");
    let bulk = |size: u32| format!("size={size} streams=1 ordered win=1024K");
    for size in [1424, 16384, 65536, 262_144] {
        let p = bulk(size);
        let of = |peer: &str| r.median("W1udp", peer, &p, "cpu_s/GB");
        let ours = [of("ours-threaded"), of("ours-driven")];
        let what = format!("bulk {size} B, CPU s/GB");
        row(&what, ours, ("libusrsctp", of("usrsctp")), 0.125);
        row(&what, ours, ("sctp-proto-gso", of("sctp-proto-gso")), 0.6);
        row(&what, ours, ("one second", Some(1.0)), 1.5);
    }
    let answered = r.median("W0udp", "bare-udp-answered-plain", "size=1452", "cpu_s/GB");
    for size in [1424, 65536] {
        let p = bulk(size);
        let of = |peer: &str| r.median("W1udp", peer, &p, "cpu_s/GB");
        let bare = ("sendto/recvfrom, answered", answered);
        row(&format!("bulk {size} B, no offload"), [of("ours-threaded-plain"), of("ours-driven-plain")], bare, 1.9);
        let batch = [of("ours-threaded-plain-per-batch"), of("ours-driven-plain-per-batch")];
        row(&format!("bulk {size} B, no offload, ack_per_batch"), batch, bare, 1.5);
    }
    let of = |peer: &str| r.median("W1udp", peer, &bulk(64), "cpu_ns/msg");
    row("bulk 64 B, CPU ns/message", [of("ours-threaded"), of("ours-driven")], ("dcsctp-nolog-gso", of("dcsctp-nolog-gso")), 0.7);
    for metric in ["cpu_us/rt", "p50_us"] {
        let of = |peer: &str| r.least("W2udp", peer, "size=100", metric);
        let bare = ("bare UDP echo", of("ideal"));
        row(&format!("ping-pong 100 B, {metric}"), [of("ours-threaded"), of("ours-driven")], bare, 1.3);
        let nodelay = [of("ours-threaded-nodelay"), of("ours-driven-nodelay")];
        row(&format!("ping-pong 100 B, no Nagle, no I bit, {metric}"), nodelay, bare, 1.3);
    }
    println!("\nSACKs per DATA packet in order, least of all runs (0.48 at least, but for ack_per_batch):\n");
    println!("| parameters | peer | SACKs per DATA packet | retransmissions, most |\n| --- | --- | ---: | ---: |");
    for (row, sacks) in r.column("W1udp", "sacks/data") {
        let rtx = r.cell("W1udp", row, "tx_rtx").and_then(|v| v.last().copied()).unwrap_or_default();
        println!("| {row} | {:.3} | {rtx} |", sacks[0]);
    }
}
