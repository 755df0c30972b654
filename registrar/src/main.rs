//! The registrar as a program of its own; `rsp registrar` is the same one.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    registrar::main_with(std::env::args_os())
}
