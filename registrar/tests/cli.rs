//! The program `registrar`: help, bad input, and a clean stop.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "edge: tests run the program"
)]

use std::io::{BufRead, BufReader};
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
    for part in ["--asap", "--announce", "--loopback-only", "Examples:"] {
        assert!(text.contains(part), "{text}");
    }
    registrar(&["--version"]).success();
}

#[test]
fn bad_input_takes_one_line() {
    for args in [&["--nonsense"][..], &["--announce", "1.2.3.4:5"], &["--interface", "192.0.2.1", "--udp-port", &free_port()]] {
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
