//! `sctp cat`: netcat for SCTP.
//!
//! | file | what |
//! | --- | --- |
//! | [`files`] | which stream reads or writes which file |
//! | [`send`] | from files to streams |
//! | [`receive`] | from streams to files |
#![allow(clippy::disallowed_methods, reason = "edge: a thread for each file that is sent, and the clock")]

mod files;
mod receive;
mod send;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use registrar::signal::Stop;
use sctp_user::socket::SctpStream;
use sctp_user::{AssocConfig, AssocStats, Ppid};
use tools::peer::Peer;
use tools::transports::{Role, TransportOptions};

use self::files::{Inputs, Outputs, StreamFile};
use self::receive::{Ended, Receiver};
use self::send::{Manner, Sender};
use crate::association::{self, AssocOptions};

/// How long what was sent last may take to be acknowledged before we give up on a peer that is silent.
const CLOSE_PATIENCE: Duration = Duration::from_secs(60);

const EXAMPLES: &str = "\
Examples:
  sctp cat --listen 5000 > copy              wait for one peer, and write what it sends
  sctp cat 192.0.2.7:5000 < file             send a file; the association ends with it
  sctp cat 192.0.2.7,198.51.100.7:5000 < file
                                             a peer with two addresses: the transfer survives the loss of a path
  sctp cat --listen 5000                     talk: what one types
  sctp cat 192.0.2.7:5000                    the other one sees
  sctp cat 192.0.2.7:5000 --in 0=a --in 1=b  two files at once, each on its stream,
  sctp cat --listen 5000 --out 0=a --out 1=b and into two files
  sctp cat 192.0.2.7:5000 --lines --ppid 46  each line is a message, with a payload protocol identifier
  sctp cat --listen 5000 --keep-listening --out log
                                             from one peer after the other
  sctp cat 192.0.2.7:5000 --raw --no-udp     directly over IP, as the SCTP of kernels does (as root)
  sctp cat 192.0.2.7:5000 -v --pcap x.pcapng tell what happens to the paths, and write all packets for Wireshark

The association ends when all input was sent, unless there was none at all or --keep-open is given; then it ends with the peer.";

/// Flags of `sctp cat`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Whom to connect to: ADDR:PORT, ADDR,ADDR,...:PORT or NAME:PORT
    #[arg(value_name = "PEER", value_parser = Peer::parse, required_unless_present = "listen", conflicts_with = "listen")]
    peer: Option<Peer>,
    /// Wait for a peer on this SCTP port; 0 takes a free one, which -v tells
    #[arg(short, long, value_name = "PORT")]
    listen: Option<u16>,
    /// With --listen: receive from one peer after the other, until a signal
    #[arg(short, long, requires = "listen")]
    keep_listening: bool,
    /// File to send, on a stream of its own if several are given; `-` is standard input [default: -]
    #[arg(long = "in", value_name = "[STREAM=]FILE", value_parser = StreamFile::parse, conflicts_with = "keep_listening")]
    input: Vec<StreamFile>,
    /// File for what is received on a stream, or without STREAM on all others; `-` is standard output [default: -]
    #[arg(long = "out", value_name = "[STREAM=]FILE", value_parser = StreamFile::parse)]
    output: Vec<StreamFile>,
    /// Stream for input that names none
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    stream: u16,
    /// Send nothing, not even what comes on standard input
    #[arg(long, conflicts_with = "input")]
    receive_only: bool,
    /// Do not end the association when all input was sent, but with the peer
    #[arg(long)]
    keep_open: bool,
    /// Longest message in bytes: the input is cut into such pieces
    #[arg(short, long, value_name = "BYTES", default_value_t = 32_768, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    message_size: u32,
    /// Make each line of the input a message
    #[arg(long)]
    lines: bool,
    /// Payload protocol identifier of the messages
    #[arg(long, value_name = "N", default_value_t = 0)]
    ppid: u32,
    /// Let the peer have messages in the order of their arrival
    #[arg(short, long)]
    unordered: bool,
    /// Tell stream, payload protocol identifier and length of each message that is received
    #[arg(long)]
    show: bool,
    /// Tell what happens, and what the transfer came to
    #[arg(short, long)]
    verbose: bool,
    /// Show the progress
    #[arg(long)]
    progress: bool,
    #[command(flatten)]
    assoc: AssocOptions,
    #[command(flatten)]
    transport: TransportOptions,
}

/// Bytes and messages so far; shared by the threads.
#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    sent_messages: AtomicU64,
    received: AtomicU64,
    received_messages: AtomicU64,
}

impl Counters {
    fn bytes(&self) -> u64 {
        self.sent.load(Ordering::Relaxed) + self.received.load(Ordering::Relaxed)
    }
}

/// Copies until the association ends.
pub(crate) fn run(options: &Options) -> Result<()> {
    options.transport.init_log("error")?;
    let stop = Stop::on_signals().context("cannot catch signals")?;
    let inputs = options.inputs()?;
    let mut outputs = Outputs::create(&options.output)?;
    let role = if options.listen.is_some() { Role::Server } else { Role::Client };
    let handle = options.transport.start(role)?;
    let Some(port) = options.listen else {
        let peer = options.peer.as_ref().context("no peer is named")?;
        let stream = options.assoc.connect(&handle, peer, options.config(), &stop)?;
        return options.copy(stream, inputs, &mut outputs, &stop);
    };
    let listener = association::listen(&handle, port, options.config(), 1)?;
    options.tell(format_args!("listening {} on SCTP port {}", options.transport.describe(handle.udp_port()?), listener.local_port()?));
    if !options.keep_listening {
        let Some(stream) = association::accept(&listener, &stop)? else { bail!("stopped before a peer came") };
        drop(listener);
        return options.copy(stream, inputs, &mut outputs, &stop);
    }
    while let Some(stream) = association::accept(&listener, &stop)? {
        // The next peer is not to suffer for the last one.
        if let Err(err) = options.copy(stream, Inputs::none(), &mut outputs, &stop) {
            complain(format_args!("sctp cat: {err:#}"));
        }
    }
    Ok(())
}

impl Options {
    fn config(&self) -> AssocConfig {
        let mut cfg = self.assoc.config();
        let highest = self.input.iter().filter_map(|file| file.stream).chain([self.stream]).max().unwrap_or(0);
        cfg.outbound_streams = cfg.outbound_streams.max(highest.saturating_add(1));
        if self.lines {
            // A line shall not wait for the next one.
            cfg.nagle = false;
        }
        cfg
    }

    fn inputs(&self) -> Result<Inputs> {
        if self.receive_only || self.keep_listening {
            return Ok(Inputs::none());
        }
        Inputs::open(&self.input, self.stream)
    }

    fn tell(&self, what: impl Display) {
        if self.verbose {
            complain(what);
        }
    }

    /// Copies both ways until the association ends.
    fn copy(&self, stream: SctpStream, inputs: Inputs, outputs: &mut Outputs, stop: &Stop) -> Result<()> {
        let begin = Instant::now();
        let stream = Arc::new(stream);
        // One that has ended already can be read to its end, but has no addresses any more.
        self.tell(format_args!("association up with {}", list(&stream.peer_addrs().unwrap_or_default())));
        let counters = Arc::new(Counters::default());
        let bar = self.bar(&inputs);
        let manner = Manner {
            size: usize::try_from(self.message_size).unwrap_or(usize::MAX),
            lines: self.lines,
            ppid: Ppid(self.ppid),
            unordered: self.unordered,
            shut_down: !self.keep_open,
        };
        let sender = Sender::start(&stream, inputs, manner, &counters)?;
        let mut receiver = Receiver::new(&stream, &counters, self.show);
        let ended = receiver.run(outputs, |changes| {
            bar.set_position(counters.bytes());
            changes.iter().for_each(|change| bar.suspend(|| self.tell(change)));
            stop.is_requested()
        });
        bar.finish_and_clear();
        // The peer is told if we cannot go on; if it is gone already there is nobody to tell.
        let give_up = |why: &str| drop(stream.abort(why.as_bytes()));
        match ended.inspect_err(|err| give_up(&err.to_string()))? {
            Ended::Gracefully => {}
            Ended::Stopped => {
                give_up("stopped by its user");
                bail!("stopped by a signal");
            }
            Ended::Lost(err) => {
                // A file that cannot be read ends the association, and is what the user wants to hear of.
                sender.finish()?;
                return Err(err).with_context(|| format!("the association was lost after {} bytes", counters.bytes()));
            }
        }
        sender.finish()?;
        self.tell(Report { counters: &counters, stats: receiver.stats(), took: begin.elapsed() });
        association::await_end(&stream, CLOSE_PATIENCE)
    }

    /// A progress bar if one is wanted and somebody watches.
    fn bar(&self, inputs: &Inputs) -> ProgressBar {
        if !self.progress || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let template = "{bytes} of {total_bytes} [{wide_bar}] {bytes_per_sec}, {eta} to go";
        let (bar, template) = match inputs.total() {
            Some(total) if total > 0 => (ProgressBar::new(total), template),
            _ => (ProgressBar::no_length(), "{spinner} {bytes} in {elapsed}, {bytes_per_sec}"),
        };
        match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style.progress_chars("=> ")),
            Err(_) => bar,
        }
    }
}

/// Writes a line to standard error; nobody reading it is no reason to stop.
fn complain(what: impl Display) {
    // In one call, so that lines of two programs do not mix.
    drop(io::stderr().write_all(format!("{what}\n").as_bytes()));
}

fn list(addrs: &[std::net::SocketAddr]) -> String {
    addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What the transfer came to.
struct Report<'a> {
    counters: &'a Counters,
    stats: AssocStats,
    took: Duration,
}

impl Display for Report<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let c = self.counters;
        write!(
            f,
            "sent {} bytes in {} messages, received {} bytes in {} messages, in {}.{:03} s; {} chunks sent again",
            load(&c.sent),
            load(&c.sent_messages),
            load(&c.received),
            load(&c.received_messages),
            self.took.as_secs(),
            self.took.subsec_millis(),
            self.stats.rtx_chunks
        )
    }
}
