//! Three processes, one UDP port: whoever reads it may be killed or stopped, the others lose nothing.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    unreachable_pub,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "edge: real processes, sockets, threads and clocks"
)]

mod member;
mod stage;

use std::process::Command;

/// Tells this very program to be one of the processes: `UDP port`:`SCTP port`.
const ROLE: &str = "SCTP_USER_SHARING_MEMBER";

/// Not a test: what the child processes run.
#[test]
fn member() {
    if let Ok(role) = std::env::var(ROLE) {
        let (udp, sctp) = role.split_once(':').unwrap();
        member::run(udp.parse().unwrap(), sctp.parse().unwrap()).unwrap();
    }
}

#[test]
fn the_reader_of_a_shared_port_may_be_killed_and_stopped() {
    let myself = std::env::current_exe().unwrap();
    let command = |udp: u16, sctp: u16| {
        let mut command = Command::new(&myself);
        command.args(["member", "--exact", "--nocapture"]).env(ROLE, format!("{udp}:{sctp}"));
        command
    };
    let counts = stage::perform(command, |line| println!("{line}")).unwrap();
    assert!(counts.len() >= 2 + 2 + 6);
    for count in counts {
        assert_eq!(count.wrong, 0, "nothing is lost, doubled or out of order");
    }
}
