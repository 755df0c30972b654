//! The program `registrar`: help, bad input, and a clean stop.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "edge: tests run the program"
)]

use std::io::{BufRead, BufReader, Write as _};
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::Command as Program;
use rustix::process::{Pid, Signal, kill_process};

const PROGRAM: &str = env!("CARGO_BIN_EXE_registrar");
const LIMIT: Duration = Duration::from_secs(20);

fn registrar(args: &[&str]) -> assert_cmd::assert::Assert {
    Program::new(PROGRAM).args(args).timeout(LIMIT).assert()
}

fn free_port() -> String {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

#[test]
fn help_and_version() {
    let help = registrar(&["--help"]).success();
    let text = String::from_utf8_lossy(&help.get_output().stdout).into_owned();
    for part in [
        "--asap",
        "--announce",
        "--allow-element",
        "--resolution-rate",
        "--config",
        "Limits",
        "Access",
        "Elements and users:",
        "--loopback-only",
        "Examples:",
    ] {
        assert!(text.contains(part), "{text}");
    }
    registrar(&["--version"]).success();
}

#[test]
fn bad_input_takes_one_line() {
    for args in [
        &["--nonsense"][..],
        &["--config", "/nonexistent"],
        &["--allow-user", "10.0.0.0/99"],
        &["--announce", "1.2.3.4:5"],
        &["--interface", "192.0.2.1", "--udp-port", &free_port()],
    ] {
        let output = registrar(args).failure();
        let text = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        assert_eq!(text.lines().count(), 1, "{args:?}: {text}");
        assert!(text.starts_with("registrar: "), "{text}");
    }
}

#[test]
fn signals_stop_it_in_order() {
    for signal in [Signal::INT, Signal::TERM] {
        let (udp, announce) = (free_port(), format!("239.0.0.50:{}", free_port()));
        let mut command = Command::new(PROGRAM);
        command.args(["--loopback-only", "--udp-port", &udp, "--announce", &announce]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("is ready") && line.contains(&udp), "{line}");
        kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), signal).unwrap();
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                child.kill().unwrap();
                panic!("{signal:?} was ignored");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        assert!(status.success(), "{status}");
    }
}

/// A registrar with flags from a file tells what it has counted when it is asked, and at the end.
#[test]
fn statistics_on_request_and_at_the_end() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "loopback-only = true\nstats = true\nidentifier = \"0xbeef\"").unwrap();
    let (udp, announce) = (free_port(), format!("239.0.0.50:{}", free_port()));
    let mut command = Command::new(PROGRAM);
    command
        .args(["--udp-port", &udp, "--announce", &announce, "--config"])
        .arg(file.path())
        .stdin(Stdio::piped())
        .arg("--stop-on-eof")
        .stdout(Stdio::piped());
    // Should the test fail, the registrar ends with its standard input.
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let ready = lines.next().unwrap();
    assert!(ready.contains("0x0000beef is ready"), "{ready}");
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let is_last = |l: &String| l.starts_with("now: 0 pools, 0 elements");
    kill_process(pid, Signal::USR1).unwrap();
    let told: Vec<String> = lines.by_ref().take_while(|l| !is_last(l)).collect();
    assert!(told.iter().any(|l| l == "registrations: 0"), "{told:?}");
    kill_process(pid, Signal::INT).unwrap();
    assert!(lines.any(|l| is_last(&l)));
    assert!(child.wait().unwrap().success());
}
