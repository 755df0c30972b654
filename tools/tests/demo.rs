//! The demo: as an ordinary user, without any network or privilege, two at once, and with nothing left behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "edge: tests run processes"
)]

mod common;

use std::fs::File;
use std::path::Path;
use std::process::Output;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use common::{Background, Sandbox, command, has, is_root, run, skip, text};

/// The demo gives up by itself after less; on an idle machine it takes about 10 s.
const LIMIT: Duration = Duration::from_secs(150);

const AS_NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
const WITHOUT_PRIVILEGES: [&str; 4] = ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"];
const OWN_NETWORK: [&str; 3] = ["unshare", "-rn", "--"];

/// Demos of different tests take turns, so that each has the machine for itself.
static TURN: Mutex<()> = Mutex::new(());

fn take_turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a successful demo prints and writes.
fn check(output: &Output, dir: &Path) {
    let text = text(output);
    assert!(output.status.success(), "{}\n{text}", output.status);
    for part in ["has registered", "SIGKILL", "SIGSTOP", "the gap was", "equal the locally computed image", "demo.png", "demo-elements.png"]
    {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert_eq!(text.matches("the gap was").count(), 2, "{text}");
    check_takeover(&text);
    let plain = pixels(&dir.join("demo.png"));
    let tinted = pixels(&dir.join("demo-elements.png"));
    assert_eq!(plain.len(), tinted.len());
    assert_ne!(plain, tinted);
    assert!(plain.iter().any(|&b| b != plain[0]), "an image of one colour");
}

/// The elements' home registrar is killed, another one takes over, both elements that are left agree, and only then the second
/// one is frozen, so that the session moves on by an answer of a registrar that was not the home before.
fn check_takeover(text: &str) {
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("no {part:?} in\n{text}"));
    assert_eq!(text.matches("has learnt of 3 elements").count(), 2, "{text}");
    let killed = at("registrar 1, the home of 2 elements, is killed with SIGKILL");
    let taken = at("of registrar 1 after");
    let homes: Vec<usize> = text.match_indices("as its new home after").map(|(at, _)| at).collect();
    assert_eq!(homes.len(), 2, "{text}");
    assert!(killed < taken && taken < homes[0] && homes[1] < at("SIGSTOP"), "{text}");
    assert!(!text.contains("has registrar 1 as its new home"), "{text}");
}

fn pixels(path: &Path) -> Vec<u8> {
    let mut reader = png::Decoder::new(std::io::BufReader::new(File::open(path).unwrap())).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut bytes).unwrap();
    bytes
}

/// Processes that run the sandbox's copy of the tool.
fn survivors(sandbox: &Sandbox) -> Vec<String> {
    let program = sandbox.program();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ours = processes.filter(|entry| std::fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == program));
    ours.map(|entry| String::from_utf8_lossy(&std::fs::read(entry.path().join("cmdline")).unwrap_or_default()).replace('\0', " ")).collect()
}

/// Waits until nothing of the sandbox runs.
fn expect_no_survivors(sandbox: &Sandbox) {
    for _ in 0..500 {
        if survivors(sandbox).is_empty() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("still running: {:#?}", survivors(sandbox));
}

fn demo_with(prefix: &[&str]) {
    let _turn = take_turn();
    let sandbox = Sandbox::new();
    let program = sandbox.program().display().to_string();
    let mut words = prefix.to_vec();
    words.extend([program.as_str(), "demo"]);
    let output = run(command(sandbox.path(), &words), LIMIT);
    println!("{}", text(&output));
    check(&output, sandbox.path());
    assert_eq!(survivors(&sandbox), Vec::<String>::new());
}

#[test]
fn as_an_ordinary_user() {
    if !is_root() || !has("setpriv") {
        return skip("needs root and setpriv to become an ordinary user");
    }
    demo_with(&AS_NOBODY);
}

#[test]
fn without_network_and_privileges() {
    if !has("setpriv") || !has("unshare") || !has("ip") {
        return skip("needs setpriv, unshare and ip");
    }
    let probe = run(command(Path::new("/"), &[&OWN_NETWORK[..], &["true"]].concat()), LIMIT);
    if !probe.status.success() {
        return skip("this system allows no user and network namespaces");
    }
    let mut words = OWN_NETWORK.to_vec();
    words.extend(["sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]);
    words.extend(WITHOUT_PRIVILEGES);
    demo_with(&words);
}

#[test]
fn two_at_once() {
    let _turn = take_turn();
    let sandboxes = [Sandbox::new(), Sandbox::new()];
    let demos: Vec<_> = sandboxes
        .iter()
        .enumerate()
        .map(|(index, sandbox)| {
            let program = sandbox.program().display().to_string();
            // Two users where that is possible: they cannot share a UDP port.
            let mut words = if index == 1 && is_root() && has("setpriv") { AS_NOBODY.to_vec() } else { Vec::new() };
            words.extend([program.as_str(), "demo"]);
            let command = command(sandbox.path(), &words);
            thread::spawn(move || run(command, LIMIT))
        })
        .collect();
    for (demo, sandbox) in demos.into_iter().zip(&sandboxes) {
        check(&demo.join().unwrap(), sandbox.path());
        assert_eq!(survivors(sandbox), Vec::<String>::new());
    }
}

#[test]
fn nothing_survives_an_interruption() {
    if !Path::new("/proc/self/exe").exists() {
        return skip("needs /proc to see what still runs");
    }
    let _turn = take_turn();
    // Ctrl-C in the middle, and the demo itself killed, both once an element is frozen or dead.
    for (signal, after) in [(rustix::process::Signal::INT, "SIGKILL"), (rustix::process::Signal::KILL, "SIGSTOP")] {
        let sandbox = Sandbox::new();
        let program = sandbox.program().display().to_string();
        let mut demo = Background::spawn(command(sandbox.path(), &[&program, "demo"]));
        demo.expect(after, LIMIT);
        assert!(survivors(&sandbox).len() > 2, "{:#?}", survivors(&sandbox));
        let pid = rustix::process::Pid::from_raw(i32::try_from(demo.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
        let status = common::wait(&mut demo.child, Duration::from_secs(20)).expect("the demo goes on");
        assert!(!status.success());
        expect_no_survivors(&sandbox);
    }
}
