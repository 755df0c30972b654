//! `rsp terminal`: lines of standard input to an echo pool, and what comes back.
#![allow(clippy::disallowed_methods, reason = "edge: reads standard input in a thread, and the clock")]

use std::collections::VecDeque;
use std::io::{self, BufRead, IsTerminal};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use registrar::report::say;
use registrar::signal::Stop;
use tools::service::echo;
use tools::service::session::{Heard, PoolSession};

use crate::pool::{PoolOptions, Role};

/// How often to look at standard input while nothing comes from the pool.
const TICK: Duration = Duration::from_millis(20);
/// How long answers may take after the end of the input.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// Most lines that may wait for their answers; further ones are read later.
const MAX_WAITING: usize = 1000;

const EXAMPLES: &str = "\
Examples:
  rsp terminal                            talk to the pool EchoPool (`rsp server --echo`)
  rsp terminal --pool Mine                to another pool
  seq 1000 | rsp terminal                 send lines of a file or another program
  rsp terminal --registrar 192.0.2.7      if announces do not come through

While it runs, start a second server and kill the first one.";

/// Flags of `rsp terminal`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    #[command(flatten)]
    pool: PoolOptions,
}

/// Runs until the end of standard input, or a signal.
pub(crate) fn run(options: &Options) -> Result<()> {
    options.pool.transport.init_log("error")?;
    let stop = Stop::for_program(&options.pool.child)?;
    let member = options.pool.start(echo::POOL_HANDLE, Role::User)?;
    let session = member.session()?;
    say(format_args!("element {:#010x} of pool {} serves", session.element(), member.pool()));
    if io::stdin().is_terminal() {
        say("type lines; Ctrl-D ends");
    }
    let lines = standard_input().context("cannot start a thread")?;
    Terminal { session, stop, waiting: VecDeque::new(), failovers: 0 }.talk(&lines)
}

/// The lines of standard input; it hangs up at the end.
fn standard_input() -> io::Result<Receiver<String>> {
    let (sender, lines) = mpsc::sync_channel(1);
    thread::Builder::new().name("stdin".into()).spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    })?;
    Ok(lines)
}

struct Terminal<S> {
    session: S,
    stop: Stop,
    /// Lines without an answer so far, which the next element gets again: at most [`MAX_WAITING`].
    waiting: VecDeque<String>,
    failovers: u32,
}

impl<S: PoolSession> Terminal<S> {
    fn talk(&mut self, lines: &Receiver<String>) -> Result<()> {
        let mut end: Option<Instant> = None;
        while !self.stop.is_requested() {
            match end {
                Some(_) if self.waiting.is_empty() => return Ok(()),
                Some(end) if end.elapsed() > ANSWER_PATIENCE => bail!("{} lines got no answer", self.waiting.len()),
                Some(_) => {}
                None => end = self.send_lines(lines)?,
            }
            match self.session.receive(TICK)? {
                Heard::Message(bytes) => self.answer(&bytes),
                Heard::Lost { reason } => {
                    self.failovers += 1;
                    say(format_args!("FAILOVER #{}: element {:#010x} is lost: {reason}", self.failovers, self.session.element()));
                }
                Heard::FailedOver { element, .. } => self.go_on(element)?,
                Heard::Nothing => {}
            }
        }
        Ok(())
    }

    /// Sends what was typed, and says when the input ended.
    fn send_lines(&mut self, lines: &Receiver<String>) -> Result<Option<Instant>> {
        while self.waiting.len() < MAX_WAITING {
            match lines.try_recv() {
                Ok(mut line) => {
                    // With its end, since SCTP has no messages without bytes.
                    line.push('\n');
                    self.session.send(line.as_bytes(), echo::PPID)?;
                    self.waiting.push_back(line);
                }
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Disconnected) => return Ok(Some(Instant::now())),
            }
        }
        Ok(None)
    }

    fn answer(&mut self, bytes: &[u8]) {
        let text = printable(String::from_utf8_lossy(bytes).trim_end_matches('\n'));
        say(format_args!("element {:#010x} > {text}", self.session.element()));
        // An element lost right after its answer may have left us another copy: only the oldest line is struck off.
        if self.waiting.front().is_some_and(|line| line.as_bytes() == bytes) {
            self.waiting.pop_front();
        }
    }

    /// The next element gets the lines that have no answer yet.
    fn go_on(&mut self, element: u32) -> Result<()> {
        say(format_args!("FAILOVER #{}: element {element:#010x} serves now", self.failovers));
        for line in &self.waiting {
            self.session.send(line.as_bytes(), echo::PPID)?;
        }
        Ok(())
    }
}

/// Bytes from the network must not steer the user's terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '.' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pool {
        heard: VecDeque<Heard>,
        sent: Vec<String>,
    }

    impl PoolSession for Pool {
        fn element(&self) -> u32 {
            1
        }
        fn receive(&mut self, _wait: Duration) -> io::Result<Heard> {
            self.heard.pop_front().ok_or_else(|| io::ErrorKind::ConnectionAborted.into())
        }
        fn send(&mut self, bytes: &[u8], _ppid: u32) -> io::Result<()> {
            self.sent.push(String::from_utf8_lossy(bytes).into_owned());
            Ok(())
        }
        fn force_failover(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn message(text: &str) -> Heard {
        Heard::Message(text.to_owned().into())
    }

    #[test]
    fn lines_without_an_answer_go_to_the_next_element() {
        let heard = [
            Heard::Nothing,
            message("one\n"),
            Heard::Lost { reason: "gone".into() },
            Heard::FailedOver { element: 2, resumed: false },
            message("\n"),
            message("three\n"),
        ];
        let session = Pool { heard: heard.into(), sent: Vec::new() };
        let mut terminal = Terminal { session, stop: Stop::default(), waiting: VecDeque::new(), failovers: 0 };
        let (sender, lines) = mpsc::channel();
        for line in ["one", "", "three"] {
            sender.send(line.to_owned()).unwrap();
        }
        drop(sender);
        terminal.talk(&lines).unwrap();
        assert_eq!(terminal.session.sent, ["one\n", "\n", "three\n", "\n", "three\n"]);
        assert_eq!(terminal.failovers, 1);
    }

    #[test]
    fn control_characters_are_not_printed() {
        assert_eq!(printable("a\u{1b}[2Jb\r"), "a.[2Jb.");
    }
}
