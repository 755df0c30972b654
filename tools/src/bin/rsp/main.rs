//! `rsp`: pool elements, pool users, a registrar and a demo of Reliable Server Pooling, in one program.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use registrar::cli;

const EXAMPLES: &str = "\
Examples:
  rsp demo                   watch a pool survive the loss of two servers
  rsp registrar              three terminals: a registrar,
  rsp server --echo          a server (or two, or three) ...
  rsp terminal               ... and a user: type lines, kill the server, go on typing

`rsp COMMAND --help` tells more.";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "rsp", version, about = "Tools for Reliable Server Pooling (RFC 5351) over SCTP in user space", after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a registrar (the same program as `registrar`)
    #[command(after_help = cli::EXAMPLES)]
    Registrar(cli::Options),
}

fn main() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(err) => return cli::usage_error("rsp", &err),
    };
    let (name, result) = match command {
        Command::Registrar(options) => ("registrar", registrar::run(&options)),
    };
    cli::finish(&format!("rsp {name}"), result)
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
