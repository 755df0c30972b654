//! Ping-pong on the loopback interface: elements that fail on purpose, and a user that counts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "edge: tests run programs"
)]

mod common;

use std::net::UdpSocket;
use std::time::Duration;

use common::{Background, RSP, command};
use registrar::report::Line;

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn numbers_go_on_while_elements_fail() {
    let port = || UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (udp, announce) = (port().to_string(), format!("239.0.0.50:{}", port()));
    let dir = tempfile::tempdir().unwrap();
    let start = |args: &[&str]| {
        let scope = ["--loopback-only", "--udp-port", &udp, "--announce", &announce];
        Background::spawn(command(dir.path(), &[&[RSP][..], args, &scope].concat()))
    };
    let mut registrar = start(&["registrar", "--announce-interval", "200"]);
    registrar.expect("is ready", LIMIT);
    // Two fail, and one is left for whoever has excluded these.
    let elements: Vec<_> = [&["--failure-after", "10"][..], &["--failure-after", "10"], &[]]
        .iter()
        .map(|flags| {
            let mut element = start(&[&["server", "--pingpong"][..], flags].concat());
            element.expect("has registered", LIMIT);
            element
        })
        .collect();
    let mut user = start(&["pingpong", "--interval", "20", "--count", "60", "--report"]);
    let summary = Line::parse(&user.expect("event=summary", LIMIT)).unwrap();
    assert!(common::wait(&mut user.child, LIMIT).expect("still running").success());
    let story = &user.seen;
    assert_eq!((summary.number("sent"), summary.number("answered"), summary.number("gaps")), (Some(60), Some(60), Some(0)), "{story:#?}");
    assert!((1..=2).contains(&summary.number("failovers").unwrap()), "{story:#?}");
    let failovers: Vec<_> = user.seen.iter().filter_map(|l| Line::parse(l)).filter(|l| l.event() == "failover").collect();
    assert!(failovers.iter().all(|line| line.get("resumed") == Some("true")), "{story:#?}");
    let replies: Vec<_> = user.seen.iter().filter_map(|l| Line::parse(l)).filter(|l| l.event() == "reply").collect();
    let numbers: Vec<_> = replies.iter().map(|line| line.number("reply").unwrap()).collect();
    assert_eq!(numbers, (1..=60).collect::<Vec<_>>());
    drop(elements);
}
