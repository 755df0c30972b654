//! `sctp perf` and `sctp ping` on loopback.

use serde_json::Value;

use crate::common::Background;
use crate::program::{LIMIT, Place};

/// A server of `sctp perf`, and its port.
fn serve(place: &Place) -> (Background, String) {
    let mut server = place.spawn("perf --listen 0");
    let line = server.expect("SCTP port", LIMIT);
    let port = line.split(' ').nth(2).unwrap().to_owned();
    (server, port)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn throughput_and_latency() {
    let place = Place::new();
    let (mut server, port) = serve(&place);
    let perf = |words: &str| -> Value {
        let out = place.succeed(&format!("perf 127.0.0.1:{port} --duration 1 --json {words}"));
        serde_json::from_str(&out).unwrap()
    };
    for (words, mode) in [("", "to-server"), ("--reverse --size 100000 --unordered --streams 3", "from-server")] {
        let json = perf(words);
        assert_eq!(json["mode"], mode);
        assert_eq!(number(&json["bytes"]), number(&json["messages"]) * number(&json["size"]));
        assert!(number(&json["messages"]) > 0 && number(&json["bits_per_second"]) > 0, "{json}");
        assert!(!json["paths"].as_array().unwrap().is_empty());
    }
    let json = perf("--latency --size 100");
    let us = |name: &str| number(&json["latency_us"][name]);
    assert!(number(&json["messages"]) > 0 && us("min") <= us("p50") && us("p50") <= us("p999") && us("p999") <= us("max"), "{json}");
    // For humans.
    let text = place.succeed(&format!("perf 127.0.0.1:{port} --duration 1"));
    assert!(text.contains("Mbit/s") && text.contains("path 127.0.0.1: active, primary"), "{text}");
    for mode in ["to-server", "from-server", "latency"] {
        server.expect(mode, LIMIT);
    }
}

#[test]
fn a_server_sends_strangers_away() {
    let place = Place::new();
    let (mut server, port) = serve(&place);
    place.write("file", b"this is not what it wants");
    assert!(!place.run(&format!("cat 127.0.0.1:{port} --in file --keep-open")).status.success());
    server.expect("does not speak our protocol", LIMIT);
    // And goes on to serve.
    place.succeed(&format!("perf 127.0.0.1:{port} --duration 1"));
}

#[test]
fn each_path_is_asked() {
    let place = Place::new();
    let (_server, port) = serve(&place);
    let out = place.succeed(&format!("ping 127.0.0.1:{port} --count 3 --interval 100 --json"));
    let events: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let paths = events[0]["paths"].as_array().unwrap();
    assert!(events[0]["event"] == "connected" && !paths.is_empty(), "{out}");
    let answers =
        |addr: &Value| events.iter().filter(|e| e["event"] == "answer" && e["path"]["address"] == *addr && e["rtt_us"].is_u64()).count();
    for path in paths {
        assert_eq!(answers(&path["address"]), 3, "{out}");
    }
    let summaries: Vec<_> = events.iter().filter(|e| e["event"] == "summary").collect();
    assert_eq!(summaries.len(), paths.len());
    for summary in summaries {
        assert_eq!((number(&summary["statistics"]["sent"]), number(&summary["statistics"]["answered"])), (3, 3), "{out}");
        assert!(number(&summary["statistics"]["min_us"]) <= number(&summary["statistics"]["max_us"]));
    }
    // For humans.
    let text = place.succeed(&format!("ping 127.0.0.1:{port} --count 1"));
    assert!(text.contains("127.0.0.1: seq=1 time=") && text.contains("1 sent, 1 answered, 0 % lost"), "{text}");
}
