//! Bad input: one clear line, a non-zero exit status.

use crate::common::text;
use crate::program::Place;

/// The one line of standard error.
fn complaint(place: &Place, words: &str) -> String {
    let output = place.run(words);
    assert!(!output.status.success(), "{words} succeeded");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.lines().count(), 1, "{words}: {stderr}");
    assert!(stderr.starts_with("sctp"), "{stderr}");
    stderr
}

#[test]
fn a_mistake_gets_one_line() {
    let place = Place::new();
    for (words, parts) in [
        ("nonsense", &["nonsense"][..]),
        ("cat", &["PEER"]),
        ("cat 127.0.0.1", &["ADDR:PORT"]),
        ("cat 127.0.0.1:5000 --listen 5000", &["--listen"]),
        ("cat --listen 5000 --in x --keep-listening", &["--keep-listening"]),
        ("cat 127.0.0.1:5000 --in /nonexistent/file", &["/nonexistent/file"]),
        ("cat --listen 5000 --out /nonexistent/file", &["/nonexistent/file"]),
        ("ping 127.0.0.1:9 --timeout 5000", &["127.0.0.1:9"]),
        ("ping 192.0.2.1:9 --timeout 300", &["192.0.2.1:9"]),
        ("ping no.such.host.invalid:9", &["no.such.host.invalid"]),
        ("perf", &["SERVER"]),
        ("perf 127.0.0.1:9 --size 2000000", &["--size", "1048576"]),
        ("dump /nonexistent/file", &["/nonexistent/file"]),
        ("dump /dev/null", &["/dev/null"]),
        ("cat --listen 5000 --pcap /nonexistent/file", &["/nonexistent/file"]),
    ] {
        let line = complaint(&place, words);
        for part in parts {
            assert!(line.contains(part), "{words}: {line}");
        }
    }
}

#[test]
fn a_udp_port_of_another_program() {
    let place = Place::new();
    let held = std::net::UdpSocket::bind(("0.0.0.0", place.udp.parse().unwrap())).unwrap();
    let line = complaint(&place, "cat --listen 5000");
    assert!(line.contains(&place.udp) && line.contains("--udp-port"), "{line}");
    drop(held);
}

#[test]
fn help_has_examples() {
    let place = Place::new();
    for command in ["", "cat", "ping", "perf", "dump"] {
        let help = place.succeed(&format!("{command} --help"));
        assert!(help.contains("Examples:\n") && help.contains(&format!("sctp {command}")), "{help}");
    }
    assert!(text(&place.run("")).contains("sctp cat"));
    assert!(place.succeed("--version").starts_with("sctp "));
}
