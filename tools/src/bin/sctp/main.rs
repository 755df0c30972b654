//! `sctp`: files, pings and measurements over SCTP, and a look into captures, in one program.
#![forbid(unsafe_code)]

mod association;
mod cat;
mod dump;
mod path;
mod perf;
mod ping;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use registrar::cli;

const EXAMPLES: &str = "\
Examples:
  sctp cat --listen 5000 > copy             two terminals, or two hosts: the one waits,
  sctp cat 192.0.2.7:5000 < file            the other one sends
  sctp ping 192.0.2.7,198.51.100.7:5000     round trips on each path of a host with two addresses
  sctp perf --listen 5001                   how fast is it? The one waits,
  sctp perf 192.0.2.7:5001                  the other one measures
  sctp dump trace.pcapng                    what the packets of a capture say

`sctp COMMAND --help` tells more.";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "sctp", version, propagate_version = true, about = "Tools for SCTP (RFC 9260) in user space", after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send standard input or files to a peer, and write what comes from it
    Cat(cat::Options),
    /// Measure the round-trip time of each path to a peer
    Ping(ping::Options),
    /// Measure throughput or latency
    Perf(perf::Options),
    /// Print the SCTP packets of a capture file
    Dump(dump::Options),
}

fn main() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(err) => return cli::usage_error("sctp", &err),
    };
    let (name, result) = match command {
        Command::Cat(options) => ("cat", cat::run(&options)),
        Command::Ping(options) => ("ping", ping::run(&options)),
        Command::Perf(options) => ("perf", perf::run(&options)),
        Command::Dump(options) => ("dump", dump::run(&options)),
    };
    cli::finish(&format!("sctp {name}"), result)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
