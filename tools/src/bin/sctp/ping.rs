//! `sctp ping`: round-trip times of HEARTBEATs (RFC 9260 section 8.3), on each path of an association.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use registrar::cli::milliseconds;
use registrar::report::say;
use registrar::signal::Stop;
use sctp_user::socket::SctpStream;
use sctp_user::{PathStatus, Time};
use serde_json::{Value, json};
use tools::peer::Peer;
use tools::transports::{Role, TransportOptions};

use crate::association::{AssocOptions, TICK, await_end};
use crate::path::{microseconds, paths, to_json};

/// How long the end of the association may take.
const END_PATIENCE: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  sctp ping 192.0.2.7:5000                   until Ctrl-C; a program must listen on that SCTP port
  sctp ping 192.0.2.7,198.51.100.7:5000      all addresses that we know; the peer lists the others
  sctp ping 192.0.2.7:5000 -c 10 -i 200      ten times, five a second
  sctp ping 192.0.2.7:5000 -c 10 --json      for programs: one JSON object a line

It fails if a path never answered.";

/// Flags of `sctp ping`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Whom to ask: ADDR:PORT, ADDR,ADDR,...:PORT or NAME:PORT
    #[arg(value_name = "PEER", value_parser = Peer::parse)]
    peer: Peer,
    /// Stop after so many HEARTBEATs on each path
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// Milliseconds between them
    #[arg(short, long, value_name = "MS", default_value = "1000", value_parser = milliseconds)]
    interval: Duration,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    assoc: AssocOptions,
    #[command(flatten)]
    transport: TransportOptions,
}

/// Asks until the count is reached or the user stops it.
pub(crate) fn run(options: &Options) -> Result<()> {
    options.transport.init_log("error")?;
    let stop = Stop::on_signals().context("cannot catch signals")?;
    let handle = options.transport.start(Role::Client)?;
    let stream = options.assoc.connect(&handle, &options.peer, options.assoc.config(), &stop)?;
    stream.set_nonblocking(true);
    let mut ping = Ping { options, stream: &stream, sequence: 0, asked: Vec::new(), tallies: BTreeMap::new() };
    ping.greet()?;
    let result = ping.go_on(&stop);
    ping.summarise();
    let silent: Vec<_> = ping.tallies.iter().filter(|(_, t)| t.answered == 0).map(|(addr, _)| addr.to_string()).collect();
    result?;
    stream.set_nonblocking(false);
    stream.shutdown().and_then(|()| stream.set_read_timeout(Some(TICK))).context("the association is gone")?;
    // A peer that is silent at the end was reported already.
    drop(await_end(&stream, END_PATIENCE));
    if silent.is_empty() { Ok(()) } else { bail!("no answer from {}", silent.join(", ")) }
}

struct Ping<'a> {
    options: &'a Options,
    stream: &'a SctpStream,
    sequence: u32,
    /// When each round was asked, the latest last; at most as many as can be answered.
    asked: Vec<(u32, Time)>,
    tallies: BTreeMap<IpAddr, Tally>,
}

/// Rounds whose answers are waited for: as many HEARTBEATs as the stack keeps outstanding on a path.
const MAX_ASKED: usize = 16;

impl Ping<'_> {
    fn greet(&self) -> Result<()> {
        let all = paths(self.stream)?;
        if self.options.json {
            let all: Vec<_> = all.iter().map(to_json).collect();
            say(json!({ "event": "connected", "paths": all }));
        } else {
            let all: Vec<_> = all.iter().map(|p| p.addr.to_string()).collect();
            say(format_args!("association with {}, paths: {}", self.options.peer, all.join(", ")));
        }
        Ok(())
    }

    fn go_on(&mut self, stop: &Stop) -> Result<()> {
        loop {
            self.sequence += 1;
            let began = self.ask()?;
            let last = self.options.count == Some(self.sequence);
            // After the last one only as long as something is missing.
            while !self.listen(began, last)? {
                if stop.is_requested() {
                    return Ok(());
                }
            }
            if last {
                return Ok(());
            }
        }
    }

    /// Sends a HEARTBEAT on each path; answers when.
    fn ask(&mut self) -> Result<Time> {
        let id = self.stream.id();
        let (now, addrs) = self.stream.handle().with(|node, now| {
            let mut assoc = node.stack_mut().assoc(id);
            let addrs: Vec<_> = assoc.iter().flat_map(|a| a.paths()).map(|p| p.addr).collect();
            for addr in &addrs {
                // An address that has gone this very moment is not asked.
                let _ = assoc.as_mut().map(|a| a.request_heartbeat(now, *addr));
            }
            (now, addrs)
        })?;
        if addrs.is_empty() {
            bail!("the association is gone");
        }
        for addr in addrs {
            self.tallies.entry(addr).or_default().sent += 1;
        }
        if self.asked.len() == MAX_ASKED {
            self.asked.remove(0);
        }
        self.asked.push((self.sequence, now));
        Ok(now)
    }

    /// Waits for an answer, at most until the next round or a look at the signals is due. Answers whether the round is over.
    fn listen(&mut self, began: Time, last: bool) -> Result<bool> {
        let id = self.stream.id();
        let spent = self.stream.handle().clock().now().saturating_since(began);
        let left = self.options.interval.saturating_sub(spent);
        let tallies = &self.tallies;
        let news = self.stream.handle().wait(Some(left.min(TICK)), |node, _| {
            let Some(assoc) = node.stack_mut().assoc(id) else { return Some(Vec::new()) };
            let is_new =
                |p: &PathStatus| p.answer.is_some_and(|a| tallies.get(&p.addr).is_none_or(|t| t.heard.is_none_or(|at| at < a.sent)));
            let news: Vec<_> = assoc.paths().into_iter().filter(is_new).collect();
            (!news.is_empty()).then_some(news)
        })?;
        // What the peer's program sends is not for us.
        while let Ok(Some(_)) = self.stream.recv() {}
        match news {
            Some(news) if news.is_empty() => bail!("the peer ended the association"),
            Some(news) => news.iter().for_each(|path| self.note(path)),
            None => {}
        }
        let complete = last && self.tallies.values().all(|t| t.answered == t.sent);
        if complete || left.is_zero() {
            self.complain_of_silence();
            return Ok(true);
        }
        Ok(false)
    }

    fn note(&mut self, path: &PathStatus) {
        let (Some(answer), Some(tally)) = (path.answer, self.tallies.get_mut(&path.addr)) else { return };
        tally.heard = Some(answer.sent);
        // Of the rounds asked before it was sent, the last one: others, such as the stack itself, may ask too.
        let round = self.asked.iter().rev().find(|(n, at)| *at <= answer.sent && Some(*n) > tally.last);
        let Some((sequence, _)) = round else { return };
        tally.last = Some(*sequence);
        tally.add(answer.rtt);
        self.print(path.addr, *sequence, Some(answer.rtt), path);
    }

    fn complain_of_silence(&self) {
        // The association may be gone: its end is told elsewhere.
        let all = paths(self.stream).unwrap_or_default();
        for path in &all {
            if self.tallies.get(&path.addr).is_some_and(|t| t.last != Some(self.sequence)) {
                self.print(path.addr, self.sequence, None, path);
            }
        }
    }

    fn print(&self, addr: IpAddr, sequence: u32, rtt: Option<Duration>, path: &PathStatus) {
        if self.options.json {
            say(json!({ "event": "answer", "seq": sequence, "rtt_us": rtt.map(microseconds), "path": to_json(path) }));
            return;
        }
        let role = if path.primary { ", primary" } else { "" };
        match rtt {
            Some(rtt) => say(format_args!("{addr}: seq={sequence} time={} ({}{role})", Millis(rtt), path.state)),
            None => say(format_args!("{addr}: seq={sequence} no answer yet ({}{role})", path.state)),
        }
    }

    fn summarise(&self) {
        for (addr, tally) in &self.tallies {
            if self.options.json {
                say(json!({ "event": "summary", "address": addr.to_string(), "statistics": tally.to_json() }));
            } else {
                say(format_args!("--- {addr}: {tally}"));
            }
        }
    }
}

/// What is known of one path.
#[derive(Debug, Default)]
struct Tally {
    sent: u32,
    answered: u32,
    /// When the HEARTBEAT was sent whose answer came last.
    heard: Option<Time>,
    /// The round that was answered last.
    last: Option<u32>,
    min: Option<Duration>,
    max: Duration,
    sum: Duration,
}

impl Tally {
    fn add(&mut self, rtt: Duration) {
        self.answered += 1;
        self.sum += rtt;
        self.min = Some(self.min.map_or(rtt, |min| min.min(rtt)));
        self.max = self.max.max(rtt);
    }

    fn mean(&self) -> Duration {
        self.sum.checked_div(self.answered).unwrap_or_default()
    }

    fn to_json(&self) -> Value {
        let us = |d: Duration| (self.answered > 0).then(|| microseconds(d));
        json!({
            "sent": self.sent,
            "answered": self.answered,
            "min_us": us(self.min.unwrap_or_default()),
            "mean_us": us(self.mean()),
            "max_us": us(self.max),
        })
    }
}

impl Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost = self.sent - self.answered.min(self.sent);
        let percent = u64::from(lost) * 100 / u64::from(self.sent.max(1));
        write!(f, "{} sent, {} answered, {percent} % lost", self.sent, self.answered)?;
        match self.min {
            Some(min) => write!(f, "; min {}, mean {}, max {}", Millis(min), Millis(self.mean()), Millis(self.max)),
            None => Ok(()),
        }
    }
}

/// A duration in milliseconds with three decimals.
struct Millis(Duration);

impl Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = self.0.as_micros();
        write!(f, "{}.{:03} ms", us / 1000, us % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_adds_up() {
        let mut tally = Tally { sent: 3, ..Tally::default() };
        assert_eq!(tally.to_string(), "3 sent, 0 answered, 100 % lost");
        assert_eq!(tally.to_json()["mean_us"], Value::Null);
        tally.add(Duration::from_micros(1500));
        tally.add(Duration::from_micros(500));
        assert_eq!(tally.to_string(), "3 sent, 2 answered, 33 % lost; min 0.500 ms, mean 1.000 ms, max 1.500 ms");
        assert_eq!(tally.to_json(), json!({ "sent": 3, "answered": 2, "min_us": 500, "mean_us": 1000, "max_us": 1500 }));
    }
}
