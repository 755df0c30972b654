//! Measures SCTP stacks side by side; `README.md` says how.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "edge: a program that measures time")]

mod crowd;
mod duel;
mod endpoint;
mod io;
mod limits;
mod lines;
mod link;
mod mem;
mod peers;
mod plot;
mod ratios;
mod report;
mod results;
mod sockets;
mod summary;
mod udp;
mod work;

use std::collections::BTreeMap;

use endpoint::Config;

/// `--name value` pairs.
struct Args(BTreeMap<String, String>);

impl Args {
    fn parse(args: &[String]) -> Self {
        Self(args.chunks(2).map(|pair| (pair[0].trim_start_matches("--").to_owned(), pair.get(1).cloned().unwrap_or_default())).collect())
    }

    fn get<T: std::str::FromStr>(&self, name: &str, default: T) -> T {
        self.0.get(name).map_or(default, |v| v.parse().unwrap_or_else(|_| panic!("bad --{name}")))
    }

    fn str(&self, name: &str, default: &str) -> String {
        self.0.get(name).cloned().unwrap_or_else(|| default.to_owned())
    }
}

fn bulk(a: &Args) -> mem::Bulk {
    let size: usize = a.get("size", 1024);
    mem::Bulk {
        size,
        count: a.get::<u64>("bytes", 100_000_000) / size as u64,
        streams: a.get("streams", 1),
        unordered: a.get::<u8>("unordered", 0) == 1,
        limit_s: a.get("limit", f64::MAX),
    }
}

fn sim(a: &Args) -> link::Sim {
    link::Sim {
        mbit: a.get("mbit", 100.0),
        rtt_ms: a.get("rtt", 50.0),
        loss: a.get::<f64>("loss", 1.0) / 100.0,
        seconds: a.get("seconds", 60.0),
        queue: a.get("queue", 0),
        seed: a.get("seed", 1),
        spread_ms: a.get("spread", 0.0),
        size: a.get("size", 1424),
        trace_ms: a.get("trace", 0),
    }
}

fn process(a: &Args) -> udp::Proc {
    udp::Proc {
        server: a.str("role", "server") == "server",
        workload: a.str("workload", "bulk"),
        size: a.get("size", 1024),
        count: a.get("count", 1000),
        streams: a.get("streams", 1),
        unordered: a.get::<u8>("unordered", 0) == 1,
        lport: a.get("lport", 9899),
        rport: a.get("rport", 9900),
        mode: a.str("io", "plain").parse().expect("--io"),
    }
}

fn program(a: &Args) -> sockets::Program {
    let udp::Proc { server, workload, size, count, streams, unordered, lport, rport, .. } = process(a);
    let is = |name: &str, default: &str| a.str(name, default) == "on";
    let (threaded, offload, sack_per_batch) = (is("threaded", "off"), is("offload", "on"), is("sack-per-batch", "off"));
    let (mtu, window) = (a.get("mtu", 1452), a.get("window", 1 << 20));
    let size = if workload == "pingpong" { a.get("size", 100) } else { size };
    sockets::Program {
        server,
        workload,
        size,
        count,
        streams,
        unordered,
        lport,
        rport,
        mtu,
        window,
        threaded,
        offload,
        sack_per_batch,
        nodelay: is("nodelay", "off"),
    }
}

fn main() {
    let all: Vec<String> = std::env::args().skip(1).collect();
    let command = all.first().cloned().unwrap_or_default();
    let a = Args::parse(all.get(1..).unwrap_or_default());
    let cfg = Config { mtu: a.get("mtu", 1452), window: a.get("window", 1 << 20), streams: 2, client: false, id: 0, nodelay: false };
    let peer = a.str("peer", "ours");
    let peer = peer.as_str();
    work::prepare();
    match command.as_str() {
        "bulk" => {
            let w = bulk(&a);
            with_peer!(peer, P => mem::bulk::<P>(&a.str("table", "W1mem"), &cfg, &w));
        }
        "pingpong" => with_peer!(peer, P => mem::pingpong::<P>(&cfg, a.get("count", 200_000), 100)),
        "assoc" => with_peer!(peer, P => mem::assoc::<P>(&cfg, a.get("count", 20_000))),
        "crowd" => crowd::run(a.get("count", 10_000)),
        "idle" => with_peer!(peer, P => mem::idle::<P>(&cfg, a.get("n", 1000), a.get::<u8>("touch", 0) == 1)),
        "sim" => with_peer!(peer, P => link::run::<P>(&cfg, &sim(&a))),
        "report" => report::write(std::path::Path::new(&a.str("docs", "../../docs"))),
        "proc" => {
            let w = process(&a);
            with_peer!(peer, P => udp::run::<P>(&cfg, &w));
        }
        "sockets" => sockets::run(&program(&a)),
        "duel" => duel::duel(&a),
        "raw" => {
            let mode = a.str("io", "plain").parse().expect("--io");
            limits::raw(mode, a.get("size", 1452), a.get("bytes", 200_000_000), a.get("port", 9950), a.str("answers", "off") == "on");
        }
        "table" => summary::print(),
        "ratios" => ratios::print(),
        _ => {
            let commands = "bulk|pingpong|assoc|crowd|idle|sim|proc|sockets|duel|raw|table|ratios|report";
            eprintln!("sctp-bench {commands} [--peer NAME] ...: see README.md");
            std::process::exit(2);
        }
    }
}
