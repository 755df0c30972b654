//! The lines to reach: what was wanted, what was measured, whether it holds. Ratios are of medians in one run, of CPU time unless said
//! otherwise; where our sockets have two ways, the slower counts; where a line covers several sizes, the worst counts.

use crate::results::{Results, figure};

/// Messages of a full packet and more.
const LARGE: [u32; 4] = [1_424, 16_384, 65_536, 262_144];
const CELLS: [&str; 6] = ["50 0", "50 1", "50 5", "10 0", "10 1", "10 5"];

enum Wanted {
    AtMost(f64),
    AtLeast(f64),
}
use Wanted::{AtLeast, AtMost};

struct Line {
    workload: &'static str,
    what: String,
    wanted: Wanted,
    /// `None`: not measured.
    figure: Option<f64>,
}

/// A Markdown table of all lines.
pub fn table(r: &Results) -> String {
    let mut lines = Vec::new();
    udp(r, &mut lines);
    memory(r, &mut lines);
    links(r, &mut lines);
    let mut text = "| workload | figure | wanted | measured | holds |\n| --- | --- | ---: | ---: | --- |\n".to_owned();
    for l in lines {
        let (wanted, holds) = match l.wanted {
            AtMost(x) => (format!("≤ {x}"), l.figure.map(|f| f <= x)),
            AtLeast(x) => (format!("≥ {x}"), l.figure.map(|f| f >= x)),
        };
        let holds = holds.map_or("not measured", |h| if h { "yes" } else { "**no**" });
        text += &format!("| {} | {} | {wanted} | {} | {holds} |\n", l.workload, l.what, l.figure.map_or("–".into(), figure));
    }
    text
}

/// The greatest of all, if all are there.
fn worst(all: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    all.reduce(|a, b| Some(a?.max(b?))).flatten()
}

fn least(all: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    all.reduce(|a, b| Some(a?.min(b?))).flatten()
}

fn ratio(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    Some(a? / b?)
}

fn bulk(size: u32) -> String {
    format!("size={size} streams=1 ordered win=1024K")
}

fn udp(r: &Results, lines: &mut Vec<Line>) {
    let cpu = |peer: &str, size| r.median("W1udp", peer, &bulk(size), "cpu_s/GB");
    let slower = |ways: [&str; 2], size| worst(ways.into_iter().map(|w| cpu(w, size)));
    let ours = |size| slower(["ours-threaded", "ours-driven"], size);
    let mut line = |workload, what: &str, wanted, figure| lines.push(Line { workload, what: what.into(), wanted, figure });
    let w = "bulk over UDP with GSO and GRO, 1424 B to 256 KiB";
    line(w, "of libusrsctp", AtMost(0.125), worst(LARGE.map(|s| ratio(ours(s), cpu("usrsctp", s))).into_iter()));
    line(
        w,
        "of sctp-proto behind the same driver",
        AtMost(0.6),
        worst(LARGE.map(|s| ratio(ours(s), cpu("sctp-proto-gso", s))).into_iter()),
    );
    line(w, "CPU s per GB", AtMost(1.5), worst(LARGE.map(ours).into_iter()));
    let w = "the same without offload";
    let bare = r.median("W0udp", "bare-udp-answered-plain", "size=1452", "cpu_s/GB");
    let of_bare = |ways: [&str; 2]| worst([1_424, 65_536].into_iter().map(|s| ratio(slower(ways, s), bare)));
    line(w, "of bare sendto and recvfrom, one answer for two", AtMost(1.9), of_bare(["ours-threaded-plain", "ours-driven-plain"]));
    line(w, "the same, `ack.per_batch`", AtMost(1.5), of_bare(["ours-threaded-plain-per-batch", "ours-driven-plain-per-batch"]));
    let w = "bulk over UDP, 64 B";
    line(w, "of dcsctp behind GSO", AtMost(0.7), ratio(ours(64), cpu("dcsctp-nolog-gso", 64)));
    let w = "ping-pong of 100 B over UDP, least of five";
    for (metric, what) in [("cpu_us/rt", "CPU, of a bare UDP echo"), ("p50_us", "median round trip, of a bare UDP echo")] {
        let of = |peer: &str| r.least("W2udp", peer, "size=100", metric);
        line(w, what, AtMost(1.3), ratio(worst(["ours-threaded", "ours-driven"].map(of).into_iter()), of("ideal")));
    }
}

fn memory(r: &Results, lines: &mut Vec<Line>) {
    let cpu = |peer: &str, size| r.median("W1mem", peer, &bulk(size), "cpu_s/GB");
    let mut line = |workload, what: &str, wanted, figure| lines.push(Line { workload, what: what.into(), wanted, figure });
    let w = "in memory, 1424 B to 256 KiB";
    line(w, "of sctp-proto", AtMost(0.7), worst(LARGE.map(|s| ratio(cpu("ours", s), cpu("sctp-proto", s))).into_iter()));
    line(w, "of one copy and one CRC a side", AtMost(3.5), worst(LARGE.map(|s| ratio(cpu("ours", s), cpu("ideal", s))).into_iter()));
    line("in memory, 64 B", "of dcsctp", AtMost(0.6), ratio(cpu("ours", 64), cpu("dcsctp-nolog", 64)));
    let w = "association set-up and close, in memory";
    let assoc = |peer: &str| r.median("W3mem", peer, "", "cpu_us/assoc");
    line(w, "of libusrsctp", AtMost(0.2), ratio(assoc("ours"), assoc("usrsctp")));
    let many = |n: u32| r.median("crowd", "ours", &format!("associations={n}"), "open+close_us");
    line(w, "each of 100,000, of each of 1,000", AtMost(2.0), ratio(many(100_000), many(1_000)));
    let w = "idle association";
    let heap = |metric| r.median("crowd", "ours", "associations=10000", metric);
    line(w, "bytes, fresh, of 10,000 in one stack", AtMost(3_072.0), heap("heap_bytes/end"));
    line(w, "bytes, after use, of 10,000 in one stack", AtMost(4_608.0), heap("used_heap_bytes/end"));
    let w = "1,000 streams, 1 KiB";
    let streams = |peer: &str| r.median("W6mem", peer, "size=1024 streams=1000 ordered win=1024K", "cpu_s/GB");
    line(w, "of our own with one", AtMost(1.5), ratio(streams("ours"), cpu("ours", 1_024)));
    line(w, "of libusrsctp", AtMost(0.4), ratio(streams("ours"), streams("usrsctp")));
}

fn links(r: &Results, lines: &mut Vec<Line>) {
    let mut line = |workload, what: String, wanted, figure| lines.push(Line { workload, what, wanted, figure });
    let w5 = |peer: &str, cell: &str, metric: &str| {
        let (rtt, loss) = cell.split_once(' ').unwrap_or_default();
        r.median("W5sim", peer, &format!("100Mbit rtt={rtt}ms loss={loss}% win=4096K"), metric)
    };
    let w = "table W5: 100 Mbit/s, queue of one BDP";
    let goodput = |peer: &str, cell: &str| w5(peer, cell, "goodput_share");
    line(w, "goodput at 50 ms without loss, share of the link".into(), AtLeast(0.945), goodput("ours", "50 0"));
    line(w, "goodput at 10 ms without loss, share of the link".into(), AtLeast(0.96), goodput("ours", "10 0"));
    let t3 = worst(["50 0", "10 0"].map(|c| w5("ours", c, "t3")).into_iter());
    line(w, "expiries of T3 without loss".into(), AtMost(0.0), t3);
    let cells = CELLS.map(|c| ratio(goodput("ours", c), goodput("usrsctp", c)));
    line(w, "goodput in the worst cell, of libusrsctp".into(), AtLeast(0.95), least(cells.into_iter()));
    for rtt in [10, 50] {
        let lost = |peer: &str| r.mean("queue", peer, &format!("100Mbit rtt={rtt}ms loss=0% queue=20 win=4096K"), "lost_ppm");
        line(
            "queue of 20 packets, mean of 100 starts",
            format!("packets lost at {rtt} ms, of libusrsctp"),
            AtMost(1.0),
            ratio(lost("ours"), lost("usrsctp")),
        );
    }
    for mtu in [1_500, 9_000] {
        let rate = |peer: &str| r.median("lab", &format!("kernel to {peer}"), &format!("100Mbit rtt=50ms mtu={mtu} 149 MB"), "Mbit/s");
        let what = format!("packets of {mtu} bytes: rate of what it sends to a kernel");
        line("the Linux kernel sends to us, 100 Mbit/s, 50 ms", what, AtLeast(0.95), ratio(rate("ours"), rate("kernel")));
    }
}
