//! The processes that the demo starts: none of them outlives it.
//!
//! A child ends with the demo in three ways: the demo kills it; its standard input, a pipe held by the demo, ends; and on Linux
//! the kernel kills it with its parent, which reaches a frozen one too.
#![allow(clippy::disallowed_methods, reason = "edge: processes, and threads that read their output")]

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use registrar::report::Line;
use rustix::process::{Pid, Signal, kill_process};

/// How long children that were asked to stop may take to sign off.
const PATIENCE: Duration = Duration::from_secs(2);

/// Index of a child, in the order of their start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ChildId(usize);

/// What a child did.
#[derive(Debug)]
pub(super) enum Event {
    /// It reported something.
    Line(ChildId, Line),
    /// It wrote to its standard error.
    Said(ChildId, String),
    /// It closed its standard output: it has ended or is about to.
    Closed(ChildId),
}

struct Child {
    name: String,
    process: std::process::Child,
    /// Its end stops the child.
    stdin: Option<ChildStdin>,
    frozen: bool,
    /// Killed or frozen on purpose.
    hit: bool,
    said: Option<String>,
}

/// All children; dropping it ends them.
pub(super) struct Family {
    program: PathBuf,
    children: Vec<Child>,
    sender: Sender<Event>,
    events: Receiver<Event>,
    /// Events that came before anybody wanted them.
    put_off: Vec<(ChildId, Line)>,
}

impl Family {
    /// No children yet; they will run this very program.
    pub(super) fn new() -> Result<Self> {
        let program = std::env::current_exe().context("cannot find the file of this program")?;
        let (sender, events) = mpsc::channel();
        Ok(Self { program, children: Vec::new(), sender, events, put_off: Vec::new() })
    }

    /// Starts `rsp ARGS`.
    pub(super) fn spawn(&mut self, name: &str, args: &[String]) -> Result<ChildId> {
        let id = ChildId(self.children.len());
        let mut command = Command::new(&self.program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C reaches the demo alone, which then ends its children in order.
        command.process_group(0);
        let mut process = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let stdin = process.stdin.take();
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        // From here on the child is looked after, whatever fails.
        self.children.push(Child { name: name.into(), process, stdin, frozen: false, hit: false, said: None });
        if let Some(stdout) = stdout {
            self.follow(stdout, move |line| Line::parse(&line).map(|line| Event::Line(id, line)), Some(Event::Closed(id)))?;
        }
        if let Some(stderr) = stderr {
            self.follow(stderr, move |line| Some(Event::Said(id, line)), None)?;
        }
        Ok(id)
    }

    fn follow(
        &self,
        output: impl Read + Send + 'static,
        event: impl Fn(String) -> Option<Event> + Send + 'static,
        last: Option<Event>,
    ) -> Result<()> {
        let sender = self.sender.clone();
        thread::Builder::new().name("follow".into()).spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            for event in lines.filter_map(event).chain(last) {
                if sender.send(event).is_err() {
                    return;
                }
            }
        })?;
        Ok(())
    }

    /// The next event, if one comes within `timeout`.
    pub(super) fn next(&mut self, timeout: Duration) -> Option<Event> {
        let event = self.events.recv_timeout(timeout).ok()?;
        if let Event::Said(id, text) = &event
            && let Some(child) = self.children.get_mut(id.0)
        {
            child.said = Some(text.clone());
        }
        Some(event)
    }

    /// Keeps what `id` reported for [`Family::take_put_off`].
    pub(super) fn put_off(&mut self, id: ChildId, line: Line) {
        self.put_off.push((id, line));
    }

    /// What `id` reported as `event` before anybody waited for it.
    pub(super) fn take_put_off(&mut self, id: ChildId, event: &str) -> Option<Line> {
        let index = self.put_off.iter().position(|(from, line)| *from == id && line.event() == event)?;
        Some(self.put_off.swap_remove(index).1)
    }

    /// What the child is called.
    pub(super) fn name(&self, id: ChildId) -> &str {
        self.children.get(id.0).map_or("?", |child| &child.name)
    }

    /// Why the child ended, in the words of its last message.
    pub(super) fn obituary(&mut self, id: ChildId) -> String {
        // Its last words may still be on their way.
        while self.next(Duration::from_millis(100)).is_some() {}
        let Some(child) = self.children.get_mut(id.0) else { return String::new() };
        let status = match child.process.try_wait() {
            Ok(Some(status)) => describe(status),
            Ok(None) => "still running".into(),
            Err(err) => err.to_string(),
        };
        match &child.said {
            Some(text) => format!("{} ended ({status}): {text}", child.name),
            None => format!("{} ended ({status})", child.name),
        }
    }

    /// Whether the child was killed or frozen on purpose.
    pub(super) fn is_hit(&self, id: ChildId) -> bool {
        self.children.get(id.0).is_some_and(|child| child.hit)
    }

    /// Kills the child.
    pub(super) fn kill(&mut self, id: ChildId) -> Result<()> {
        self.signal(id, Signal::KILL)
    }

    /// Freezes the child.
    pub(super) fn freeze(&mut self, id: ChildId) -> Result<()> {
        self.signal(id, Signal::STOP)?;
        if let Some(child) = self.children.get_mut(id.0) {
            child.frozen = true;
        }
        Ok(())
    }

    /// Sends a signal: the child was not waited for yet, so its process id is still its own.
    fn signal(&mut self, id: ChildId, signal: Signal) -> Result<()> {
        let child = self.children.get_mut(id.0).context("no such child")?;
        child.hit = true;
        let pid = i32::try_from(child.process.id()).ok().and_then(Pid::from_raw).context("no process id")?;
        kill_process(pid, signal).with_context(|| format!("cannot signal {}", child.name))
    }

    /// Ends all children: those that can, sign off; the others are killed.
    pub(super) fn end(&mut self) {
        // In reverse order, so that the registrar is still there to hear the elements sign off.
        let deadline = Instant::now() + PATIENCE;
        for child in self.children.iter_mut().rev() {
            drop(child.stdin.take());
            if child.frozen {
                drop(child.process.kill());
            }
            while matches!(child.process.try_wait(), Ok(None)) && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(5));
            }
            drop(child.process.kill());
            drop(child.process.wait());
        }
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        self.end();
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown status".into(),
    }
}
