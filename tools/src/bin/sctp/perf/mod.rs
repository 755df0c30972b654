//! `sctp perf`: throughput and latency between two hosts.
//!
//! | file | what |
//! | --- | --- |
//! | [`wire`] | what client and server tell each other |
//! | [`flow`] | sending and counting messages |
//! | [`server`] | does what clients ask for |
//! | [`client`] | asks, and measures |
//! | [`report`] | what it came to, for humans and programs |

mod client;
mod flow;
mod report;
mod server;
mod wire;

use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use registrar::signal::Stop;
use tools::peer::Peer;
use tools::transports::TransportOptions;

use self::wire::{MAX_SECONDS, MAX_SIZE, Mode, Test};
use crate::association::AssocOptions;

const EXAMPLES: &str = "\
Examples:
  sctp perf --listen 5001                    the server: serves one client after the other, or several at once
  sctp perf 192.0.2.7:5001                   how much it receives from us in ten seconds
  sctp perf 192.0.2.7:5001 --reverse         how much we receive from it
  sctp perf 192.0.2.7:5001 --latency         round trips of small messages
  sctp perf 192.0.2.7:5001 --size 65536 --streams 8 --unordered --duration 30
  sctp perf 192.0.2.7:5001 --json | jq .bits_per_second";

/// Flags of `sctp perf`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The server: ADDR:PORT, ADDR,ADDR,...:PORT or NAME:PORT
    #[arg(value_name = "SERVER", value_parser = Peer::parse, required_unless_present = "listen", conflicts_with = "listen")]
    peer: Option<Peer>,
    /// Be the server, on this SCTP port, until a signal
    #[arg(short, long, value_name = "PORT")]
    listen: Option<u16>,
    /// Length of the messages in bytes [default: 1400, with --latency 64]
    #[arg(short, long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_SIZE)))]
    size: Option<u32>,
    /// Seconds to measure
    #[arg(short, long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_SECONDS)))]
    duration: u32,
    /// Send the messages unordered
    #[arg(short, long)]
    unordered: bool,
    /// The server sends, we receive
    #[arg(short, long)]
    reverse: bool,
    /// Measure round trips, one message at a time, instead of throughput
    #[arg(long, conflicts_with = "reverse")]
    latency: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    assoc: AssocOptions,
    #[command(flatten)]
    transport: TransportOptions,
}

/// Serves, or measures.
pub(crate) fn run(options: &Options) -> Result<()> {
    options.transport.init_log("error")?;
    let stop = Stop::on_signals().context("cannot catch signals")?;
    match (options.listen, &options.peer) {
        (Some(port), _) => server::run(options, port, &stop),
        (None, Some(peer)) => client::run(options, peer, &stop),
        (None, None) => Ok(()),
    }
}

impl Options {
    /// What is to be measured.
    fn test(&self) -> Test {
        let mode = match (self.latency, self.reverse) {
            (true, _) => Mode::Echo,
            (_, true) => Mode::FromServer,
            _ => Mode::ToServer,
        };
        let size = self.size.unwrap_or(if self.latency { 64 } else { 1400 });
        Test { mode, size, seconds: self.duration, streams: self.assoc.streams, unordered: self.unordered }
    }
}

impl Test {
    fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }
}
