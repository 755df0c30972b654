//! `sctp dump`: the SCTP packets of a capture file, one line each or as trees.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use registrar::report::say;
use sctp_user::wire::Packet;
use sctp_user::wire::dump::{line, tree};
use tools::frames::{Frames, find_sctp};

const EXAMPLES: &str = "\
Examples:
  sctp dump trace.pcapng                     a line for each packet
  sctp dump trace.pcap --tree                with every field
  sctp dump trace.pcap --udp-port 9900       SCTP in UDP on another port; packets without UDP are found as well

Reads pcap and pcapng files of this program's --pcap, of tcpdump and of Wireshark.";

/// Flags of `sctp dump`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The capture, in pcap or pcapng format
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// UDP port of encapsulated SCTP, on either side; may be repeated
    #[arg(long, value_name = "PORT", env = "SCTP_UDP_PORT", default_value = "9899", value_delimiter = ',')]
    udp_port: Vec<u16>,
    /// Show every field
    #[arg(long)]
    tree: bool,
}

/// Prints the packets.
pub(crate) fn run(options: &Options) -> Result<()> {
    let path = options.file.display();
    let file = File::open(&options.file).with_context(|| format!("cannot read {path}"))?;
    let frames = Frames::read(BufReader::new(file)).with_context(|| format!("cannot read {path}"))?;
    let mut first = None;
    for frame in frames {
        let frame = frame.with_context(|| format!("cannot read {path}"))?;
        let Some(found) = find_sctp(&frame, &options.udp_port) else { continue };
        let since = frame.time.saturating_sub(*first.get_or_insert(frame.time));
        let udp = found.udp.map_or_else(String::new, |(from, to)| format!(" (UDP {from} > {to})"));
        let head = format!("{}.{:06} {} > {}{udp}", since.as_secs(), since.subsec_micros(), found.src, found.dst);
        match Packet::parse(found.payload) {
            Ok(packet) if options.tree => say(format_args!("{head}\n{}", tree(&packet))),
            Ok(packet) => say(format_args!("{head} {}", line(&packet))),
            Err(err) => say(format_args!("{head} [{err}]")),
        }
    }
    Ok(())
}
