//! The registrar (ENRP server) of Reliable Server Pooling as a program: command line, log, signals, and the runtime
//! around the sans-IO core in [`rserpool`].
//!
//! It is a library with a ten-line `main.rs`, so that the tool `rsp` can offer the very same program; what `rsp` shares
//! with it (flags, log, signals) is public for that reason.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

pub mod cli;
pub mod log;
pub mod report;
mod run;
pub mod signal;

pub use run::run;

/// The program: reads `args` (the first one is the program's name), runs until a signal, and says how it went.
pub fn main_with<A: Into<OsString> + Clone>(args: impl IntoIterator<Item = A>) -> ExitCode {
    match cli::Cli::try_parse_from(args) {
        Ok(cli) => cli::finish("registrar", run(&cli.options)),
        Err(err) => cli::usage_error("registrar", &err),
    }
}
