//! Rules of the house that no lint knows.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};

/// Files that may touch clocks, sockets, threads or the randomness of the operating system. Everything else is sans-IO.
const EDGES: &[&str] = &[
    // SCTP: the operating system's randomness, real transports, the runtime and the socket layer.
    "sctp-user/src/entropy.rs",
    "sctp-user/src/transport/",
    "sctp-user/src/socket/",
    // Tests that run other programs or measure time.
    "sctp-user/src/pcap_test.rs",
    "tests/tests/",
    "tests/src/netns/",
    "tests/benches/",
    "rserpool/benches/",
    "sctp-user/tests/",
    "udp-encap/tests/",
    "rserpool/tests/",
    "registrar/tests/",
    "tools/tests/",
    "fuzz/tests/",
    "sctp-user/examples/",
    "rserpool/examples/",
    // UDP sockets, and the processes that share them.
    "udp-encap/src/",
    // Programs.
    "registrar/src/",
    "tools/src/",
    // The benchmark: measures time.
    "tools/bench/",
    // RSerPool on real sockets: the names of registrars are looked up in a thread.
    "rserpool/src/api/names.rs",
];

/// Longest file, in lines.
const MAX_LINES: usize = 900;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// All Rust files of the workspace, as paths from its root.
fn sources() -> Vec<(String, String)> {
    fn walk(dir: &Path, root: &Path, out: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    walk(&path, root, out);
                }
            } else if name.ends_with(".rs") {
                let relative = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                out.push((relative, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut out = Vec::new();
    walk(&root(), &root(), &mut out);
    out.sort();
    assert!(out.len() > 20, "the sources were not found");
    out
}

/// Without spaces and line breaks, so that no formatting hides an attribute.
fn dense(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

#[test]
fn only_the_edges_touch_the_operating_system() {
    let needle = ["allow(clippy::", "disallowed"].concat();
    let elsewhere: Vec<_> = sources()
        .into_iter()
        .filter(|(path, text)| dense(text).contains(&needle) && !EDGES.iter().any(|e| path == e || e.ends_with('/') && path.starts_with(e)))
        .map(|(path, _)| path)
        .collect();
    assert!(elsewhere.is_empty(), "sans-IO files that opt out of clippy's disallowed lists: {elsewhere:#?}");
}

#[test]
fn an_opt_out_gives_its_reason() {
    let needle = ["allow(clippy::", "disallowed"].concat();
    for (path, text) in sources() {
        let text = dense(&text);
        for (at, _) in text.match_indices(&needle) {
            let attribute = text[at..].split(']').next().unwrap();
            assert!(attribute.contains("reason=\"edge:"), "{path}: {attribute}");
        }
    }
}

#[test]
fn files_stay_short() {
    let long: Vec<_> =
        sources().into_iter().map(|(path, text)| (path, text.lines().count())).filter(|(_, lines)| *lines > MAX_LINES).collect();
    assert!(long.is_empty(), "files of more than {MAX_LINES} lines: {long:#?}");
}

#[test]
fn crates_forbid_unsafe_code() {
    // The socket calls that no safe interface offers are in `udp-encap`, each with its safety argument; the benchmark calls a
    // stack written in C.
    let roots: Vec<_> = sources()
        .into_iter()
        .filter(|(path, _)| path.ends_with("src/lib.rs") || path.ends_with("src/main.rs"))
        .filter(|(path, _)| !path.starts_with("udp-encap/") && !path.starts_with("tools/bench/"))
        .collect();
    assert!(roots.len() >= 5, "{roots:?}");
    let without: Vec<_> = roots.iter().filter(|(_, text)| !text.contains("#![forbid(unsafe_code)]")).map(|(path, _)| path).collect();
    assert!(without.is_empty(), "crate roots without #![forbid(unsafe_code)]: {without:#?}");
}
