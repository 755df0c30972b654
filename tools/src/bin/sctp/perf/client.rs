//! The client of `sctp perf`: asks, and measures.
#![allow(clippy::disallowed_methods, reason = "edge: reads the clock")]

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use hdrhistogram::Histogram;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use registrar::report::say;
use registrar::signal::Stop;
use tools::peer::Peer;
use tools::transports::Role;

use super::Options;
use super::flow::{Flow, Heard, info};
use super::report::{Measured, Report};
use super::wire::{Control, DATA, Mode, Test};
use crate::association::{TICK, await_end};
use crate::path::{microseconds, paths};

/// How long the end of the association may take.
const END_PATIENCE: Duration = Duration::from_secs(30);
/// Longest round trip that is told apart from longer ones, in microseconds.
const LONGEST: u64 = 60_000_000;
/// Decimal digits of a round trip that are kept.
const DIGITS: u8 = 3;

/// Measures, and prints the result.
pub(super) fn run(options: &Options, peer: &Peer, stop: &Stop) -> Result<()> {
    let handle = options.transport.start(Role::Client)?;
    let test = options.test();
    let mut cfg = options.assoc.config();
    cfg.nagle = test.mode != Mode::Echo;
    let stream = options.assoc.connect(&handle, peer, cfg, stop)?;
    let mut flow = Flow::new(&stream, stop)?;
    let bar = Bar::new(&test, options.json);
    flow.tell(&Control::Test(test))?;
    let measured = match test.mode {
        Mode::ToServer => {
            flow.send_all(&test, |bytes| bar.show(bytes))?;
            let Heard::Control(Control::Counted(counted)) = flow.hear()? else { bail!("the server does not keep to our protocol") };
            Measured::Throughput(counted)
        }
        Mode::FromServer => Measured::Throughput(flow.count_all(|bytes| bar.show(bytes))?),
        Mode::Echo => Measured::Latency(round_trips(&mut flow, &test, &bar)?),
    };
    bar.finish();
    let report = Report { test, measured, stats: stream.stats()?, paths: paths(&stream)? };
    stream.shutdown()?;
    await_end(&stream, END_PATIENCE)?;
    if options.json {
        say(report.to_json());
    } else {
        say(report);
    }
    Ok(())
}

/// One message after the other, each when the one before has come back; in microseconds.
fn round_trips(flow: &mut Flow<'_>, test: &Test, bar: &Bar) -> Result<Histogram<u64>> {
    let mut histogram = Histogram::new_with_bounds(1, LONGEST, DIGITS).context("no histogram of these bounds")?;
    let message = Bytes::from(vec![0x55; usize::try_from(test.size)?]);
    let streams = u64::from(test.streams.min(flow.stream.status()?.outbound_streams).max(1));
    let begin = Instant::now();
    let (mut count, mut told) = (0_u64, Duration::ZERO);
    while begin.elapsed() < test.duration() {
        let sent = Instant::now();
        flow.send(message.clone(), &info(u16::try_from(count % streams)?, DATA, test.unordered))?;
        let Some((_, echo)) = flow.hear_whole()? else { bail!("the server ended the association too early") };
        if echo != message {
            bail!("the server does not send back what it got");
        }
        histogram.saturating_record(microseconds(sent.elapsed()).max(1));
        count += 1;
        if begin.elapsed() - told >= TICK {
            told = begin.elapsed();
            bar.show(count.saturating_mul(test.size.into()));
        }
    }
    Ok(histogram)
}

/// The time that has passed, and what came of it so far.
struct Bar {
    bar: ProgressBar,
    begin: Instant,
}

impl Bar {
    fn new(test: &Test, hidden: bool) -> Self {
        let begin = Instant::now();
        if hidden || !io::stderr().is_terminal() {
            return Self { bar: ProgressBar::hidden(), begin };
        }
        let bar = ProgressBar::new(microseconds(test.duration()));
        if let Ok(style) = ProgressStyle::with_template("{elapsed} [{wide_bar}] {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar, begin }
    }

    fn show(&self, bytes: u64) {
        let elapsed = microseconds(self.begin.elapsed()).max(1);
        self.bar.set_position(elapsed);
        let rate = u128::from(bytes) * 1_000_000 / u128::from(elapsed);
        self.bar.set_message(format!("{}/s", HumanBytes(u64::try_from(rate).unwrap_or(u64::MAX))));
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
