//! Running the built programs, within bounds, as ordinary users and in networks of their own.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "edge: tests run processes; each test binary uses a part"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// The tool under test.
pub const RSP: &str = env!("CARGO_BIN_EXE_rsp");

/// Says why a test does not run; with `REQUIRE=all` that is a failure.
pub fn skip(reason: &str) {
    assert_ne!(std::env::var("REQUIRE").as_deref(), Ok("all"), "skipped with REQUIRE=all: {reason}");
    println!("SKIP: {reason}");
}

/// Whether this process is root's.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether `program` is installed.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// A copy of the tool in a directory that every user can read and write to.
pub struct Sandbox {
    dir: tempfile::TempDir,
}

impl Sandbox {
    pub fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let sandbox = Self { dir };
        // Another process copies: a descriptor open for writing, inherited by a fork of another thread, would forbid to run it.
        assert!(Command::new("cp").arg(RSP).arg(sandbox.program()).status().unwrap().success());
        std::fs::set_permissions(sandbox.program(), std::fs::Permissions::from_mode(0o755)).unwrap();
        sandbox
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn program(&self) -> PathBuf {
        self.dir.path().join("rsp")
    }
}

/// `words` as a command, in `dir`, with nothing of our environment but the path.
pub fn command(dir: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(dir).env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("TMPDIR", dir);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs `command` to its end, at most for `limit`.
pub fn run(mut command: Command, limit: Duration) -> Output {
    let begin = Instant::now();
    // A group of its own, so that nothing survives a time-out.
    let mut child = command.process_group(0).spawn().unwrap();
    let stdout = collect(child.stdout.take().unwrap());
    let stderr = collect(child.stderr.take().unwrap());
    let status = wait(&mut child, limit);
    let output = |rx: Receiver<Vec<u8>>| rx.recv_timeout(Duration::from_secs(10)).expect("output still open after the end");
    let Some(status) = status else {
        let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        rustix::process::kill_process_group(pid, rustix::process::Signal::KILL).unwrap();
        child.wait().unwrap();
        panic!(
            "still running after {:?}: {command:?}\n{}{}",
            begin.elapsed(),
            String::from_utf8_lossy(&output(stdout)),
            String::from_utf8_lossy(&output(stderr))
        );
    };
    Output { status, stdout: output(stdout), stderr: output(stderr) }
}

fn collect(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (tx, rx) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        drop(tx.send(bytes));
    });
    rx
}

/// Waits for the end of `child`, at most for `limit`.
pub fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(10));
    }
    None
}

/// A program that runs beside the test; it is killed when dropped.
pub struct Background {
    pub child: Child,
    lines: Receiver<String>,
    /// All lines seen so far.
    pub seen: Vec<String>,
}

impl Background {
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let (tx, lines) = mpsc::channel();
        let outputs: [Box<dyn Read + Send>; 2] = [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for output in outputs {
            let tx = tx.clone();
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if tx.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits for a line that contains `text`.
    pub fn expect(&mut self, text: &str, limit: Duration) -> String {
        let deadline = Instant::now() + limit;
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.seen.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
        panic!("no {text:?} within {limit:?}; seen: {:#?}", self.seen);
    }

    /// Reads what is left, once it has ended.
    pub fn rest(&mut self) {
        self.seen.extend(self.lines.iter());
    }

    /// Writes a line to its standard input.
    pub fn say(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Standard output and error together, for messages.
pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
