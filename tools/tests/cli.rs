//! Bad input: one clear line, a non-zero exit status, in a bounded time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "edge: tests run processes"
)]

mod common;

use std::process::Output;
use std::time::Duration;

use common::{RSP, command, run};

/// Generous: the programs themselves give up after 5 s.
const LIMIT: Duration = Duration::from_secs(20);

fn rsp(args: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let mut words = vec![RSP];
    words.extend(args);
    run(command(dir.path(), &words), LIMIT)
}

/// A UDP port that is free at this moment.
fn free_port() -> u16 {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// The one line of standard error.
fn complaint(args: &[&str]) -> String {
    let output = rsp(args);
    assert!(!output.status.success(), "{args:?} succeeded");
    assert!(output.status.code().is_some(), "{args:?}: {}", output.status);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
    assert!(stderr.starts_with("rsp"), "{stderr}");
    stderr
}

#[test]
fn a_wrong_flag() {
    let line = complaint(&["server", "--ecco"]);
    assert!(line.contains("--ecco") && line.contains("--echo"), "{line}");
    assert!(complaint(&["fractal", "--size", "12"]).contains("--size"));
    assert!(complaint(&["registrar", "--identifier", "0"]).contains("identifier"));
    assert!(complaint(&["nonsense"]).contains("nonsense"));
    assert!(complaint(&["terminal", "--udp-port", "0"]).contains("--udp-port"));
}

#[test]
fn no_command_shows_how_to_use_it() {
    let output = rsp(&[]);
    assert!(!output.status.success());
    assert!(common::text(&output).contains("rsp demo"), "{}", common::text(&output));
}

#[test]
fn help_and_version() {
    for args in [&["--help"][..], &["--version"], &["demo", "--help"], &["registrar", "--version"], &["server", "--help"]] {
        let output = rsp(args);
        assert!(output.status.success(), "{args:?}: {}", common::text(&output));
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn no_registrar_to_be_found() {
    let (udp, announce) = (free_port().to_string(), format!("239.0.0.50:{}", free_port()));
    for program in [&["terminal"][..], &["fractal"], &["server", "--echo"]] {
        let mut args = program.to_vec();
        args.extend(["--udp-port", &udp, "--announce", &announce]);
        let line = complaint(&args);
        assert!(line.contains("no registrar") && line.contains("--registrar"), "{args:?}: {line}");
    }
    let line = complaint(&["terminal", "--udp-port", &udp, "--registrar", "127.0.0.1:9"]);
    assert!(line.contains("registrar") && line.contains("127.0.0.1:9"), "{line}");
    let line = complaint(&["terminal", "--registrar", "10.0.0.1,somewhere"]);
    assert!(line.contains("NAME[:PORT]"), "{line}");
}

#[test]
fn a_pool_that_does_not_exist() {
    let (udp, announce) = (free_port().to_string(), format!("239.0.0.50:{}", free_port()));
    let dir = tempfile::tempdir().unwrap();
    let words = [RSP, "registrar", "--loopback-only", "--udp-port", &udp, "--announce", &announce, "--report"];
    let mut registrar = common::Background::spawn(command(dir.path(), &words));
    registrar.expect("event=ready", LIMIT);
    for program in [&["terminal"][..], &["fractal"]] {
        let mut args = program.to_vec();
        args.extend(["--loopback-only", "--udp-port", &udp, "--announce", &announce, "--pool", "NoSuchPool"]);
        let line = complaint(&args);
        assert!(line.contains("NoSuchPool"), "{line}");
    }
}

#[test]
fn a_port_that_cannot_be_bound() {
    let held = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    let line = complaint(&["registrar", "--udp-port", &port]);
    assert!(line.contains(&port) && line.contains("--udp-port"), "{line}");
    let line = complaint(&["server", "--echo", "--udp-port", &port]);
    assert!(line.contains(&port) && line.contains("--udp-port"), "{line}");
    let udp = free_port().to_string();
    let line = complaint(&["registrar", "--udp-port", &udp, "--interface", "192.0.2.1"]);
    assert!(line.contains("192.0.2.1"), "{line}");
}

#[test]
fn files_that_cannot_be_written() {
    let line = complaint(&["demo", "--out", "/nonexistent/directory"]);
    assert!(line.contains("/nonexistent/directory"), "{line}");
    let udp = free_port().to_string();
    let line = complaint(&["registrar", "--udp-port", &udp, "--pcap", "/nonexistent/file.pcapng"]);
    assert!(line.contains("/nonexistent/file.pcapng"), "{line}");
}
