//! Two processes over UDP loopback: start a server and a client, read their RESULT lines.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Args;
use crate::work::emit;

fn parse(l: &str) -> HashMap<String, f64> {
    l.split_whitespace().filter_map(|t| t.split_once('=')).filter_map(|(k, v)| v.parse().ok().map(|v| (k.to_string(), v))).collect()
}

/// Keeps this process and those that it starts on these processors, such as `0,1`.
fn pin(cpus: &str) {
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for cpu in cpus.split(',').filter_map(|c| c.parse().ok()) {
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    let done = unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) };
    assert_eq!(done, 0, "no such processors: {cpus}");
}

/// `--bin` runs another program with the same command line (usrsctp_peer).
pub fn duel(a: &Args) {
    if let Some(cpus) = a.0.get("cpus") {
        pin(cpus);
    }
    let own = std::env::current_exe().unwrap();
    let bin = a.0.get("bin").cloned();
    let peer = a.str("peer", "?");
    let label = a.str("label", &peer);
    let workload = a.str("workload", "bulk");
    let size: u64 = a.get("size", 1024);
    let count = match a.0.get("bytes") {
        Some(b) => b.parse::<u64>().unwrap() / size,
        None => a.get("count", 1000),
    };
    let base: u16 = a.get("port", 9800);
    let build = |role: &str, l: u16, r: u16| {
        let mut c = match &bin {
            Some(b) => Command::new(b),
            None => {
                let mut c = Command::new(&own);
                c.arg(if peer == "ours" { "sockets" } else { "proc" });
                c
            }
        };
        c.args([
            "--role",
            role,
            "--lport",
            &l.to_string(),
            "--rport",
            &r.to_string(),
            "--count",
            &count.to_string(),
            "--size",
            &size.to_string(),
            "--workload",
            &workload,
        ]);
        for k in ["peer", "window", "streams", "unordered", "io", "csum", "mtu", "threaded", "offload", "sack-per-batch", "nodelay"] {
            if let Some(v) = a.0.get(k) {
                c.args([&format!("--{k}"), v]);
            }
        }
        c.stdout(Stdio::piped()).stdin(Stdio::piped());
        c
    };
    let mut s = build("server", base, base + 1).spawn().expect("server");
    let mut so = BufReader::new(s.stdout.take().unwrap()).lines();
    while let Some(Ok(l)) = so.next() {
        if l == "READY" {
            break;
        }
    }
    std::thread::sleep(Duration::from_millis(100));
    let mut c = build("client", base + 1, base).spawn().expect("client");
    let limit: u64 = a.get("limit", 120);
    let (sp, cp) = (s.id(), c.id());
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(limit));
        for p in [sp, cp] {
            unsafe { libc::kill(p as i32, libc::SIGKILL) };
        }
    });
    let mut co = BufReader::new(c.stdout.take().unwrap()).lines();
    let find = |it: &mut dyn Iterator<Item = std::io::Result<String>>| {
        for l in it.map_while(Result::ok) {
            if l.starts_with("RESULT") {
                return parse(&l);
            }
        }
        HashMap::new()
    };
    let rc = find(&mut co);
    let rs = find(&mut so);
    drop(c.stdin.take());
    drop(s.stdin.take());
    let _ = (c.wait(), s.wait());
    let streams: u32 = a.get("streams", 1);
    let unordered: u8 = a.get("unordered", 0);
    let params = match workload.as_str() {
        "bulk" => format!(
            "size={size} streams={streams} {} win={}K",
            if unordered == 1 { "unordered" } else { "ordered" },
            a.get::<u64>("window", 1 << 20) >> 10
        ),
        "idle" => format!("n={count}"),
        _ => format!("size={size}"),
    };
    let w = match workload.as_str() {
        "bulk" if streams > 1 => "W6udp",
        "bulk" => "W1udp",
        "pingpong" => "W2udp",
        "assoc" => "W3udp",
        _ => "W4udp",
    };
    let e = |m: &str, x: f64| emit(w, &label, &params, m, x);
    let ok = rc.get("ok") == Some(&1.0) && (rs.get("ok") == Some(&1.0) || workload == "assoc");
    e("ok", ok as u8 as f64);
    if !ok {
        eprintln!("# {label} {params}: failed {rc:?} {rs:?}");
        return;
    }
    let g = |m: &HashMap<String, f64>, k: &str| m.get(k).copied().unwrap_or(0.0);
    let cpu = |m| g(m, "user") + g(m, "sys");
    let total = cpu(&rc) + cpu(&rs);
    match workload.as_str() {
        "bulk" => {
            let bytes = g(&rs, "bytes");
            e("MB/s", bytes / 1e6 / g(&rs, "wall"));
            e("msg/s", g(&rs, "msgs") / g(&rs, "wall"));
            e("cpu_s/GB", total * 1e9 / bytes);
            e("tx_cpu_s/GB", cpu(&rc) * 1e9 / bytes);
            e("rx_cpu_s/GB", cpu(&rs) * 1e9 / bytes);
            e("user_s/GB", (g(&rc, "user") + g(&rs, "user")) * 1e9 / bytes);
            e("cpu_ns/msg", total * 1e9 / count as f64);
            honest(&e, &rc, &rs);
        }
        "pingpong" => {
            e("rt/s", count as f64 / g(&rc, "wall"));
            e("p50_us", g(&rc, "p50"));
            e("p99_us", g(&rc, "p99"));
            e("cpu_us/rt", total * 1e6 / count as f64);
            honest(&e, &rc, &rs);
        }
        "assoc" => {
            e("assoc/s", g(&rc, "msgs") / g(&rc, "wall"));
            e("cpu_us/assoc", total * 1e6 / g(&rc, "msgs"));
        }
        _ => {
            e("rss_bytes/end client", g(&rc, "rss_per"));
            e("rss_bytes/end server", g(&rs, "rss_per"));
        }
    }
}

/// What each row tells beside its speed: acknowledgements not saved, nothing lost.
fn honest(emit: &dyn Fn(&str, f64), client: &HashMap<String, f64>, server: &HashMap<String, f64>) {
    for key in ["outpkts", "rtx", "t3", "outtrain", "cwnd", "syscalls"] {
        if let Some(value) = client.get(key) {
            emit(&format!("tx_{key}"), *value);
        }
    }
    if let Some(refused) = server.get("noroom") {
        emit("rx_noroom", *refused);
    }
    if let (Some(data), Some(sacks)) = (server.get("indata"), server.get("outsacks")) {
        emit("sacks/data", sacks / data.max(1.0));
    }
}
