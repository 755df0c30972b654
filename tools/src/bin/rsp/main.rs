//! `rsp`: pool elements, pool users, a registrar and a demo of Reliable Server Pooling, in one program.
#![forbid(unsafe_code)]

mod demo;
mod dump;
mod fractal;
mod pingpong;
mod pool;
mod server;
mod terminal;

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
#[command(name = "rsp", version, propagate_version = true, about = "Tools for Reliable Server Pooling (RFC 5351) over SCTP in user space", after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a registrar (the same program as `registrar`)
    #[command(after_help = cli::EXAMPLES)]
    Registrar(Box<cli::Options>),
    /// Offer a service as an element of a pool
    Server(server::Options),
    /// Send lines of standard input to an echo pool
    Terminal(terminal::Options),
    /// Send pings to a pool and see by the replies' numbers whether any was lost
    Pingpong(pingpong::Options),
    /// Ask a pool for an image and write it as PNG
    Fractal(fractal::Options),
    /// Show the pools, elements and peers that a registrar knows
    Dump(dump::Options),
    /// Watch a pool survive the loss of two servers
    Demo(demo::Options),
}

fn main() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(err) => return cli::usage_error("rsp", &err),
    };
    let (name, result) = match command {
        Command::Registrar(options) => ("registrar", registrar::run(&options)),
        Command::Server(options) => ("server", server::run(&options)),
        Command::Terminal(options) => ("terminal", terminal::run(&options)),
        Command::Pingpong(options) => ("pingpong", pingpong::run(&options)),
        Command::Fractal(options) => ("fractal", fractal::run(&options)),
        Command::Dump(options) => ("dump", dump::run(&options)),
        Command::Demo(options) => ("demo", demo::run(&options)),
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
