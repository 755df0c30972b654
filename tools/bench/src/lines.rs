//! The lines to reach: what was wanted, what was measured, whether it holds. Ratios are of medians in one run, of CPU time unless said
//! otherwise; where our sockets have two ways, the slower counts; where a line covers several cases, the worst counts.

use crate::results::{Results, figure};

/// Messages of a full packet and more.
const LARGE: [u32; 4] = [1_424, 16_384, 65_536, 262_144];
const CELLS: [&str; 6] = ["50 0", "50 1", "50 5", "10 0", "10 1", "10 5"];

#[derive(Clone, Copy)]
enum Wanted {
    AtMost(f64),
    AtLeast(f64),
}
use Wanted::{AtLeast, AtMost};

impl Wanted {
    fn show(self) -> String {
        match self {
            AtMost(x) => format!("≤ {x}"),
            AtLeast(x) => format!("≥ {x}"),
        }
    }

    fn holds(self, figure: Option<f64>) -> &'static str {
        match (self, figure) {
            (_, None) => "not measured",
            (AtMost(x), Some(f)) if f <= x => "yes",
            (AtLeast(x), Some(f)) if f >= x => "yes",
            _ => "**no**",
        }
    }

    fn worse(self, a: f64, b: f64) -> f64 {
        match self {
            AtMost(_) => a.max(b),
            AtLeast(_) => a.min(b),
        }
    }
}

/// One measurement that a line speaks of.
struct Case {
    /// Message size, round-trip time and the like; empty if the line has one case.
    name: String,
    /// Of each of our ways; `None`: not measured.
    ours: Vec<(&'static str, Option<f64>)>,
    /// What ours is divided by; nothing if the line is on our own figure.
    other: Option<(&'static str, Option<f64>)>,
}

struct Line {
    workload: &'static str,
    what: String,
    wanted: Wanted,
    cases: Vec<Case>,
}

impl Line {
    /// Of the way that is worst.
    fn figure_of(&self, case: &Case) -> Option<f64> {
        let ours = case.ours.iter().map(|(_, value)| *value).reduce(|a, b| Some(self.wanted.worse(a?, b?))).flatten()?;
        match case.other {
            Some((_, theirs)) => Some(ours / theirs?),
            None => Some(ours),
        }
    }

    /// Of the worst case, if all were measured.
    fn figure(&self) -> Option<f64> {
        self.cases.iter().map(|c| self.figure_of(c)).reduce(|a, b| Some(self.wanted.worse(a?, b?))).flatten()
    }
}

fn all(r: &Results) -> Vec<Line> {
    let mut lines = Vec::new();
    udp(r, &mut lines);
    memory(r, &mut lines);
    links(r, &mut lines);
    lines
}

/// A Markdown table of all lines, a row each.
pub fn table(r: &Results) -> String {
    let mut text = "| workload | figure | wanted | measured | holds |\n| --- | --- | ---: | ---: | --- |\n".to_owned();
    for l in all(r) {
        let measured = l.figure();
        let (wanted, holds) = (l.wanted.show(), l.wanted.holds(measured));
        text += &format!("| {} | {} | {wanted} | {} | {holds} |\n", l.workload, l.what, show(measured));
    }
    text
}

/// A Markdown table of every case that was measured.
pub fn cases(r: &Results) -> String {
    let mut text =
        "| workload | case | ours | against | figure | wanted | holds |\n| --- | --- | --- | --- | ---: | ---: | --- |\n".to_owned();
    for l in all(r) {
        for c in &l.cases {
            let Some(measured) = l.figure_of(c) else { continue };
            let ours: Vec<_> = c.ours.iter().map(|(way, value)| format!("{way} {}", show(*value))).collect();
            let other = c.other.map_or("–".into(), |(peer, value)| format!("{peer} {}", show(value)));
            let (ours, wanted, holds) = (ours.join(", "), l.wanted.show(), l.wanted.holds(Some(measured)));
            text +=
                &format!("| {}: {} | {} | {ours} | {other} | {} | {wanted} | {holds} |\n", l.workload, l.what, c.name, figure(measured));
        }
    }
    text
}

fn show(value: Option<f64>) -> String {
    value.map_or("–".into(), figure)
}

fn bulk(size: u32) -> String {
    format!("size={size} streams=1 ordered win=1024K")
}

/// Ours against one peer, without a choice of ways.
fn against(name: impl Into<String>, ours: Option<f64>, other: (&'static str, Option<f64>)) -> Case {
    Case { name: name.into(), ours: vec![("ours", ours)], other: Some(other) }
}

/// Our own figure.
fn own(name: impl Into<String>, ours: Option<f64>) -> Case {
    Case { name: name.into(), ours: vec![("ours", ours)], other: None }
}

fn udp(r: &Results, lines: &mut Vec<Line>) {
    let mut line = |workload, what: &str, wanted, cases| lines.push(Line { workload, what: what.into(), wanted, cases });
    let cpu = |peer: &str, size| r.median("W1udp", peer, &bulk(size), "cpu_s/GB");
    let both = |ways: [&'static str; 2], size| ways.map(|way| (way, cpu(way, size))).to_vec();
    const WAYS: [&str; 2] = ["ours-threaded", "ours-driven"];
    let large = |other: Option<&'static str>| {
        let case = |size: u32| Case { name: format!("{size} B"), ours: both(WAYS, size), other: other.map(|peer| (peer, cpu(peer, size))) };
        LARGE.map(case).into()
    };
    let w = "bulk over UDP with GSO and GRO, 1424 B to 256 KiB";
    line(w, "of libusrsctp", AtMost(0.125), large(Some("usrsctp")));
    line(w, "of sctp-proto behind the same driver", AtMost(0.6), large(Some("sctp-proto-gso")));
    line(w, "CPU s per GB", AtMost(1.5), large(None));
    let w = "the same without offload";
    let bare = "bare-udp-answered-plain";
    let floor = r.median("W0udp", bare, "size=1452", "cpu_s/GB");
    let plain = |ways| {
        let case = |size: u32| Case { name: format!("{size} B"), ours: both(ways, size), other: Some((bare, floor)) };
        [1_424, 65_536].map(case).into()
    };
    line(w, "of bare sendto and recvfrom, one answer for two", AtMost(1.9), plain(["ours-threaded-plain", "ours-driven-plain"]));
    line(w, "the same, `ack.per_batch`", AtMost(1.5), plain(["ours-threaded-plain-per-batch", "ours-driven-plain-per-batch"]));
    let dcsctp = "dcsctp-nolog-gso";
    let case = Case { name: String::new(), ours: both(WAYS, 64), other: Some((dcsctp, cpu(dcsctp, 64))) };
    line("bulk over UDP, 64 B", "of dcsctp behind GSO", AtMost(0.7), vec![case]);
    let w = "ping-pong of 100 B over UDP, least of five";
    for (metric, what) in [("cpu_us/rt", "CPU, of a bare UDP echo"), ("p50_us", "median round trip, of a bare UDP echo")] {
        let of = |peer: &'static str| (peer, r.least("W2udp", peer, "size=100", metric));
        line(w, what, AtMost(1.3), vec![Case { name: String::new(), ours: WAYS.map(of).into(), other: Some(of("ideal")) }]);
    }
}

fn memory(r: &Results, lines: &mut Vec<Line>) {
    let mut line = |workload, what: &str, wanted, cases| lines.push(Line { workload, what: what.into(), wanted, cases });
    let cpu = |peer: &str, size| r.median("W1mem", peer, &bulk(size), "cpu_s/GB");
    let large = |peer: &'static str| LARGE.map(|s| against(format!("{s} B"), cpu("ours", s), (peer, cpu(peer, s)))).into();
    let w = "in memory, 1424 B to 256 KiB";
    line(w, "of sctp-proto", AtMost(0.7), large("sctp-proto"));
    line(w, "of one copy and one CRC a side", AtMost(3.5), large("ideal"));
    let dcsctp = "dcsctp-nolog";
    line("in memory, 64 B", "of dcsctp", AtMost(0.6), vec![against("", cpu("ours", 64), (dcsctp, cpu(dcsctp, 64)))]);
    let w = "association set-up and close, in memory";
    let assoc = |peer: &str| r.median("W3mem", peer, "", "cpu_us/assoc");
    line(w, "of libusrsctp", AtMost(0.2), vec![against("", assoc("ours"), ("usrsctp", assoc("usrsctp")))]);
    let many = |n: u32| r.median("crowd", "ours", &format!("associations={n}"), "open+close_us");
    line(w, "each of 100,000, of each of 1,000", AtMost(2.0), vec![against("", many(100_000), ("1,000", many(1_000)))]);
    let w = "idle association";
    let heap = |metric| vec![own("", r.median("crowd", "ours", "associations=10000", metric))];
    line(w, "bytes, fresh, of 10,000 in one stack", AtMost(3_072.0), heap("heap_bytes/end"));
    line(w, "bytes, after use, of 10,000 in one stack", AtMost(4_608.0), heap("used_heap_bytes/end"));
    let w = "1,000 streams, 1 KiB";
    // Both of one section, measured in turn.
    let streams = |peer: &str, n: u16| r.median("W6mem", peer, &format!("size=1024 streams={n} ordered win=1024K"), "cpu_s/GB");
    let many = |peer: &str| streams(peer, 1_000);
    line(w, "of our own with one", AtMost(1.5), vec![against("", many("ours"), ("one stream", streams("ours", 1)))]);
    line(w, "of libusrsctp", AtMost(0.4), vec![against("", many("ours"), ("usrsctp", many("usrsctp")))]);
}

fn links(r: &Results, lines: &mut Vec<Line>) {
    let mut line = |workload, what: String, wanted, cases| lines.push(Line { workload, what, wanted, cases });
    let w5 = |peer: &str, cell: &str, metric: &str| {
        let (rtt, loss) = cell.split_once(' ').unwrap_or_default();
        r.median("W5sim", peer, &format!("100Mbit rtt={rtt}ms loss={loss}% win=4096K"), metric)
    };
    let w = "table W5: 100 Mbit/s, queue of one BDP";
    let goodput = |peer: &str, cell: &str| w5(peer, cell, "goodput_share");
    line(w, "goodput at 50 ms without loss, share of the link".into(), AtLeast(0.945), vec![own("", goodput("ours", "50 0"))]);
    line(w, "goodput at 10 ms without loss, share of the link".into(), AtLeast(0.96), vec![own("", goodput("ours", "10 0"))]);
    let t3 = ["50 0", "10 0"].map(|c| own(c, w5("ours", c, "t3")));
    line(w, "expiries of T3 without loss".into(), AtMost(0.0), t3.into());
    let cells = CELLS.map(|c| against(c, goodput("ours", c), ("usrsctp", goodput("usrsctp", c))));
    line(w, "goodput in the worst cell, of libusrsctp".into(), AtLeast(0.95), cells.into());
    for rtt in [10, 50] {
        let lost = |peer: &str| r.mean("queue", peer, &format!("100Mbit rtt={rtt}ms loss=0% queue=20 win=4096K"), "lost_ppm");
        let what = format!("packets lost at {rtt} ms, of libusrsctp");
        let case = against("", lost("ours"), ("usrsctp", lost("usrsctp")));
        line("queue of 20 packets, mean of 100 starts", what, AtMost(1.0), vec![case]);
    }
    for mtu in [1_500, 9_000] {
        let rate = |peer: &str| r.median("lab", &format!("kernel to {peer}"), &format!("100Mbit rtt=50ms mtu={mtu} 149 MB"), "Mbit/s");
        let what = format!("packets of {mtu} bytes: rate of what it sends to a kernel");
        let case = against("", rate("ours"), ("kernel", rate("kernel")));
        line("the Linux kernel sends to us, 100 Mbit/s, 50 ms", what, AtLeast(0.95), vec![case]);
    }
}
