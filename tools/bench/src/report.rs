//! Writes what was measured into `docs/performance.md`, between its marks, and draws its plots.

use std::fs;
use std::io::stdin;
use std::path::Path;
use std::process::Command;

use crate::results::Results;
use crate::{lines, plot};

const BEGIN: &str = "<!-- begin ";
const END: &str = "<!-- end -->";

/// Ours first; the names for the legend.
const MEMORY: [(&str, &str); 6] = [
    ("ours", "ours"),
    ("ideal", "one copy, one CRC a side"),
    ("sctp-proto", "sctp-proto"),
    ("dcsctp-nolog", "dcsctp without its log"),
    ("usrsctp", "libusrsctp"),
    ("dcsctp", "dcsctp"),
];
const UDP: [(&str, &str); 7] = [
    ("ours-threaded", "ours, background thread"),
    ("ours-driven", "ours, caller-driven"),
    ("sctp-proto-gso", "sctp-proto, GSO driver"),
    ("dcsctp-nolog-gso", "dcsctp, GSO driver"),
    ("usrsctp", "libusrsctp"),
    ("ours-threaded-plain", "ours, thread, no offload"),
    ("ours-driven-plain", "ours, driven, no offload"),
];

/// Reads lines of `work::emit` on standard input. Between `<!-- begin NAME -->` and `<!-- end -->` the page gets the table of the
/// workload NAME, or the `lines` to reach, or the `machine`; what was not measured is left as it is.
pub fn write(docs: &Path) {
    let results = Results::read(stdin().lock());
    let path = docs.join("performance.md");
    let page = fs::read_to_string(&path).expect("docs/performance.md");
    let filled = fill(&page, |name| match name {
        "lines" => Some(lines::table(&results)),
        "machine" => Some(machine()),
        workload => results.table(workload),
    });
    fs::write(&path, filled).expect("docs/performance.md");
    let memory = plot::bulk(&results, "W1mem", "Bulk in memory", &MEMORY, &docs.join("performance-memory.svg"));
    let udp = plot::bulk(&results, "W1udp", "Bulk over UDP loopback, two processes", &UDP, &docs.join("performance-udp.svg"));
    memory.and(udp).expect("the plots");
}

fn fill(page: &str, content: impl Fn(&str) -> Option<String>) -> String {
    let mut filled = String::new();
    let mut rest = page;
    while let Some(at) = rest.find(BEGIN) {
        let name = rest[at + BEGIN.len()..].split(' ').next().unwrap_or_default();
        let head = at + rest[at..].find('\n').expect("a mark ends its line") + 1;
        let end = head + rest[head..].find(END).expect("a mark has an end");
        filled += &rest[..head];
        filled += &content(name).map_or_else(|| rest[head..end].to_owned(), |text| format!("\n{}\n\n", text.trim()));
        filled += END;
        rest = &rest[end + END.len()..];
    }
    filled + rest
}

/// What it was measured on.
fn machine() -> String {
    let output = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output();
        output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default()
    };
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|l| l.starts_with(name)).unwrap_or_default();
        line.split_once([':', '=']).map(|(_, v)| v.trim().trim_matches('"').to_owned()).unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "- {cores} cores of {}, a virtual machine that others use, too; Linux {}, {}\n- {}; libusrsctp {}; dcsctp 0.1.16, sctp-proto 0.10.8\n- measured on {}",
        field("/proc/cpuinfo", "model name"),
        output("uname", &["-r"]),
        field("/etc/os-release", "PRETTY_NAME"),
        output("rustc", &["--version"]),
        output("dpkg-query", &["-W", "-f", "${Version}", "libusrsctp-dev"]),
        output("date", &["-u", "+%F"]),
    )
}
