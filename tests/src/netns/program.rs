//! A program that runs beside a test, is spoken to by lines, and is killed with it.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

/// Longest wait for anything: much longer than it takes, on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often the end of a process is looked for.
const LOOK: Duration = Duration::from_millis(10);

/// A running program whose output lines are collected; killed when dropped.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Lines that nobody has asked for yet.
    news: Vec<String>,
}

impl Program {
    /// Starts `command`. Lines of its standard output are kept for [`Self::await_line`]; of those that contain `@` what stands
    /// before it is cut off, as a test harness may print there. Its standard error is ours.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(name: impl Into<String>, mut command: Command) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (tx, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in output.into_iter().flat_map(|o| BufReader::new(o).lines()).map_while(Result::ok) {
                let said = line.split_once('@').map_or(line.as_str(), |(_, said)| said).to_owned();
                if tx.send(said).is_err() {
                    return;
                }
            }
        });
        Ok(Self { name: name.into(), child, input, lines, news: Vec::new() })
    }

    /// Writes a line to its standard input.
    ///
    /// # Errors
    /// It has ended.
    pub fn say(&mut self, line: &str) -> io::Result<()> {
        let Some(input) = &mut self.input else { return Err(io::ErrorKind::BrokenPipe.into()) };
        writeln!(input, "{line}")?;
        input.flush()
    }

    /// Ends its standard input.
    pub fn end_input(&mut self) {
        self.input = None;
    }

    /// The first line not yet asked for that begins with `start`; waits for it at most [`PATIENCE`].
    ///
    /// # Errors
    /// There was none: the error shows what was said instead.
    pub fn await_line(&mut self, start: &str) -> io::Result<String> {
        self.await_line_for(start, PATIENCE)
    }

    /// As [`Self::await_line`], with another limit.
    ///
    /// # Errors
    /// As [`Self::await_line`].
    pub fn await_line_for(&mut self, start: &str, limit: Duration) -> io::Result<String> {
        if let Some(at) = self.news.iter().position(|line| line.starts_with(start)) {
            return Ok(self.news.remove(at));
        }
        let until = Instant::now() + limit;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                return Err(io::Error::other(format!("{}: no {start:?}, but {:?}", self.name, self.news)));
            };
            if line.starts_with(start) {
                return Ok(line);
            }
            self.news.push(line);
        }
    }

    /// Says `line` and waits for the answer, which begins with the line's first word.
    ///
    /// # Errors
    /// As [`Self::await_line`].
    pub fn ask(&mut self, line: &str) -> io::Result<String> {
        self.say(line)?;
        self.await_line(line.split_whitespace().next().unwrap_or_default())
    }

    /// What it said without being asked.
    pub fn news(&mut self) -> &[String] {
        self.news.extend(self.lines.try_iter());
        &self.news
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        Ok(kill_process(pid.ok_or_else(|| io::Error::other("no pid"))?, signal)?)
    }

    /// Waits for its end, at most [`PATIENCE`].
    ///
    /// # Errors
    /// It still runs.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(LOOK);
        }
        self.news();
        Err(io::Error::other(format!("{} still runs; it said {:?}", self.name, self.news)))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Also one that is stopped; an error means that it is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
