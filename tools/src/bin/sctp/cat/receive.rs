//! From streams to files.
#![allow(clippy::disallowed_methods, reason = "edge: reads the clock")]

use std::io;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::Result;
use sctp_user::AssocStats;
use sctp_user::socket::{RcvInfo, SctpStream};

use super::files::Outputs;
use super::{Counters, complain};
use crate::association::TICK;
use crate::path::{Change, PathWatch, paths};

/// How an association ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// Everything has arrived, in both directions.
    Gracefully,
    /// We were asked to stop.
    Stopped,
    /// It was aborted, or the peer is not to be reached any more.
    Lost(io::Error),
}

/// Receives from one association.
pub(super) struct Receiver<'a> {
    stream: &'a SctpStream,
    counters: &'a Counters,
    show: bool,
    watch: PathWatch,
    stats: AssocStats,
}

impl<'a> Receiver<'a> {
    pub(super) fn new(stream: &'a SctpStream, counters: &'a Counters, show: bool) -> Self {
        Self { stream, counters, show, watch: PathWatch::default(), stats: AssocStats::default() }
    }

    /// Receives until the end. `tick` is called now and then with what happened to the paths, and says whether to stop.
    pub(super) fn run(&mut self, outputs: &mut Outputs, mut tick: impl FnMut(&[Change]) -> bool) -> Result<Ended> {
        self.stream.set_read_timeout(Some(TICK))?;
        let mut last_tick: Option<Instant> = None;
        loop {
            if last_tick.is_none_or(|at| at.elapsed() >= TICK) {
                last_tick = Some(Instant::now());
                if tick(&self.look()?) {
                    return Ok(Ended::Stopped);
                }
            }
            match self.stream.recv() {
                Ok(Some((info, message))) => {
                    self.note(&info, message.len());
                    outputs.write(info.sid.0, &message)?;
                }
                Ok(None) => return Ok(Ended::Gracefully),
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                Err(err) => return Ok(Ended::Lost(err)),
            }
        }
    }

    /// Counters as they were at the last look.
    pub(super) fn stats(&self) -> AssocStats {
        self.stats
    }

    fn look(&mut self) -> io::Result<Vec<Change>> {
        // Gone between two looks: the next receive tells how.
        if let Ok(stats) = self.stream.stats() {
            self.stats = stats;
        }
        Ok(self.watch.look(&paths(self.stream)?))
    }

    fn note(&self, info: &RcvInfo, len: usize) {
        self.counters.received.fetch_add(u64::try_from(len).unwrap_or(u64::MAX), Ordering::Relaxed);
        if !info.more {
            self.counters.received_messages.fetch_add(1, Ordering::Relaxed);
        }
        if self.show {
            let order = if info.unordered { "unordered".into() } else { format!("number {}", info.ssn.0) };
            let part = if info.more { " of a longer message" } else { "" };
            complain(format_args!("stream {}, {order}, ppid {}: {len} bytes{part}", info.sid.0, info.ppid.0));
        }
    }
}
