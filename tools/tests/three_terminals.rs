//! Three terminals without any flag: a registrar, an echo server, a user; then the server is killed. The same with shared keys.
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

const OLD: &str = "1:00112233445566778899aabbccddeeff";
const NEW: &str = "2:ffeeddccbbaa99887766554433221100";
const WRONG: &str = "1:00112233445566778899aabbccddeefe";

/// Writes a key file as one changes it: a new one takes the name.
fn write_keys(path: &Path, lines: &[&str]) {
    use std::os::unix::fs::PermissionsExt as _;
    let new = path.with_extension("new");
    std::fs::write(&new, lines.join("\n")).unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// RFC 4895: registrar, element and user speak only with who has the key, which changes while they do.
#[test]
fn shared_keys_keep_strangers_out_and_change_while_all_goes_on() {
    let Some(network) = Network::new() else { return skip("needs unshare, nsenter, ip and user namespaces") };
    let dir = tempfile::tempdir().unwrap();
    let files = ["registrar", "server", "terminal", "stranger"].map(|name| dir.path().join(name));
    let [at_registrar, at_server, at_terminal, at_stranger] = files.each_ref().map(|path| path.to_str().unwrap());
    files.iter().take(3).for_each(|path| write_keys(path, &[OLD]));
    write_keys(&files[3], &[WRONG]);
    let start = |args: &[&str]| Background::spawn(network.command(dir.path(), args));

    let mut registrar = start(&["registrar", "--key-file", at_registrar]);
    registrar.expect("ready", LIMIT);
    let mut server = start(&["server", "--echo", "--key-file", at_server, "--log", "rsp=info,registrar=info"]);
    server.expect("registered", LIMIT);
    let mut terminal = start(&["terminal", "--key-file", at_terminal, "--log", "rsp=info,registrar=info"]);
    terminal.say("with the first key");
    terminal.expect("> with the first key", LIMIT);

    // Who has no key, or another one, has no part in it; who has it in the environment has.
    let strangers = [&["terminal"][..], &["terminal", "--key-file", at_stranger], &["server", "--echo", "--key-file", at_stranger]];
    // Each looks for a registrar for some seconds.
    std::thread::scope(|s| {
        for command in strangers.map(|words| network.command(dir.path(), words)) {
            s.spawn(move || {
                let output = run(command, LIMIT);
                let told = common::text(&output);
                assert!(!output.status.success() && told.contains("no registrar") && !told.contains(&WRONG[2..]), "{told}");
            });
        }
    });
    let ask = |key: &str| {
        let mut command = network.command(dir.path(), &["dump", "127.0.0.1", "--timeout", "3000"]);
        command.env("RSP_KEY", key);
        run(command, LIMIT)
    };
    assert!(common::text(&ask(OLD)).contains("EchoPool"));
    assert!(!ask(WRONG).status.success());

    // A new key: all have it, all send with it, nobody takes the old one any more.
    for (stage, lines) in [[OLD, NEW].as_slice(), &[NEW, OLD], &[NEW]].iter().enumerate() {
        files.iter().take(3).for_each(|path| write_keys(path, lines));
        for program in [&mut registrar, &mut server] {
            program.expect("keys have changed", LIMIT);
        }
        let text = format!("stage {stage}");
        terminal.expect("keys have changed", LIMIT);
        terminal.say(&text);
        terminal.expect(&format!("> {text}"), LIMIT);
    }
    assert!(!terminal.seen.iter().any(|line| line.contains("FAILOVER")), "{:#?}", terminal.seen);
    assert!(!ask(OLD).status.success());
    assert!(common::text(&ask(NEW)).contains("EchoPool"));

    // What cannot be read is told, and what was in use stays.
    write_keys(&files[0], &["nonsense"]);
    registrar.expect("stay as they are", LIMIT);
    assert!(common::text(&ask(NEW)).contains("EchoPool"));
}

/// The identifier, 0x and eight digits, in a line.
fn identifier(line: &str) -> String {
    let at = line.find("0x").unwrap_or_else(|| panic!("no identifier in {line:?}"));
    line[at..at + 10].to_owned()
}
