//! Three terminals without any flag: a registrar, an echo server, a user; then the server is killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "edge: tests run processes"
)]

mod common;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::{Background, RSP, command, has, run, skip};

const LIMIT: Duration = Duration::from_secs(30);

/// A network namespace of its own with loopback up, kept by a sleeping process.
struct Network {
    _keeper: Background,
    pid: String,
}

impl Network {
    fn new() -> Option<Self> {
        if !has("unshare") || !has("nsenter") || !has("ip") {
            return None;
        }
        let words = ["unshare", "-rn", "--", "sh", "-c", "ip link set lo up && echo up && exec sleep 1000"];
        let probe = run(command(Path::new("/"), &["unshare", "-rn", "--", "true"]), LIMIT);
        if !probe.status.success() {
            return None;
        }
        let mut keeper = Background::spawn(command(Path::new("/"), &words));
        keeper.expect("up", LIMIT);
        let pid = keeper.child.id().to_string();
        Some(Self { _keeper: keeper, pid })
    }

    fn command(&self, dir: &Path, args: &[&str]) -> Command {
        let mut words = vec!["nsenter", "-t", &self.pid, "-U", "-n", "--preserve-credentials", "--", RSP];
        words.extend(args);
        command(dir, &words)
    }
}

#[test]
fn lines_go_on_after_the_server_is_killed() {
    let Some(network) = Network::new() else { return skip("needs unshare, nsenter, ip and user namespaces") };
    let dir = tempfile::tempdir().unwrap();
    let start = |args: &[&str]| Background::spawn(network.command(dir.path(), args));

    let mut registrar = start(&["registrar"]);
    registrar.expect("ready", LIMIT);
    let mut first = start(&["server", "--echo"]);
    let first_id = identifier(&first.expect("registered", LIMIT));
    let mut terminal = start(&["terminal"]);
    for n in 0..3 {
        terminal.say(&format!("line {n}"));
        let answer = terminal.expect(&format!("line {n}"), LIMIT);
        assert!(answer.contains(&first_id), "{answer}");
    }

    let mut second = start(&["server", "--echo"]);
    let second_id = identifier(&second.expect("registered", LIMIT));
    assert_ne!(first_id, second_id);
    first.child.kill().unwrap();
    let failover = terminal.expect("FAILOVER", LIMIT);
    assert!(failover.contains(&second_id) || !failover.is_empty());
    for n in 3..6 {
        terminal.say(&format!("line {n}"));
        let answer = terminal.expect(&format!("line {n}"), LIMIT);
        assert!(answer.contains(&second_id), "{answer}");
    }

    // The end of input ends the user; a signal ends the others, in order.
    drop(terminal.child.stdin.take());
    assert!(common::wait(&mut terminal.child, LIMIT).expect("the terminal goes on").success());
    for mut program in [second, registrar] {
        let pid = rustix::process::Pid::from_raw(i32::try_from(program.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(common::wait(&mut program.child, LIMIT).expect("SIGTERM was ignored").success());
    }
}

/// The identifier, 0x and eight digits, in a line.
fn identifier(line: &str) -> String {
    let at = line.find("0x").unwrap_or_else(|| panic!("no identifier in {line:?}"));
    line[at..at + 10].to_owned()
}
