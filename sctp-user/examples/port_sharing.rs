//! Three processes share one UDP port; the one that reads it is killed, then its successor is stopped.
//!
//! `cargo run --release --example port_sharing`
#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "edge: real processes, sockets, threads and clocks"
)]

#[path = "../tests/port_sharing/member.rs"]
mod member;
#[path = "../tests/port_sharing/stage.rs"]
mod stage;

use std::io;
use std::process::Command;
use std::time::Instant;

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [udp, sctp] = &args[..] {
        let port = |arg: &String| arg.parse::<u16>().map_err(io::Error::other);
        return member::run(port(udp)?, port(sctp)?);
    }
    let myself = std::env::current_exe()?;
    let command = |udp: u16, sctp: u16| {
        let mut command = Command::new(&myself);
        command.args([udp.to_string(), sctp.to_string()]);
        command
    };
    let start = Instant::now();
    let counts = stage::perform(command, |line| println!("{:7.3} s  {line}", start.elapsed().as_secs_f64()))?;
    let lost: u64 = counts.iter().map(|c| c.wrong).sum();
    println!("{lost} messages lost or out of order among those that lived");
    if lost == 0 { Ok(()) } else { Err(io::Error::other("messages were lost")) }
}
