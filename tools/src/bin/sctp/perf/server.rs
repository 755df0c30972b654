//! The server of `sctp perf`: does what clients ask for.
#![allow(clippy::disallowed_methods, reason = "edge: a thread for each client")]

use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use registrar::report::say;
use registrar::signal::Stop;
use sctp_user::socket::SctpStream;
use tools::transports::Role;

use super::Options;
use super::flow::{Flow, Heard, info};
use super::wire::{Control, DATA, Mode};
use crate::association;

/// Most clients at once; further ones are refused.
const MAX_CLIENTS: usize = 64;
/// How long a client may take to end its association after the measurement.
const END_PATIENCE: Duration = Duration::from_secs(30);

/// Serves until a signal.
pub(super) fn run(options: &Options, port: u16, stop: &Stop) -> Result<()> {
    let handle = options.transport.start(Role::Server)?;
    let mut cfg = options.assoc.config();
    // An echo shall not wait for the next one.
    cfg.nagle = false;
    let listener = association::listen(&handle, port, cfg, 16)?;
    say(format_args!("SCTP port {} {}", listener.local_port()?, options.transport.describe(handle.udp_port()?)));
    let mut clients: Vec<JoinHandle<()>> = Vec::new();
    while let Some(stream) = association::accept(&listener, stop)? {
        clients.retain(|client| !client.is_finished());
        if clients.len() >= MAX_CLIENTS {
            // It is gone already if this fails.
            drop(stream.abort(b"too many clients"));
            continue;
        }
        let stop = stop.clone();
        let body = move || {
            if let Err(err) = serve(&stream, &stop) {
                say(format_args!("{err:#}"));
                drop(stream.abort(err.to_string().as_bytes()));
            }
        };
        clients.push(thread::Builder::new().name("client".into()).spawn(body).context("cannot start a thread")?);
    }
    for client in clients {
        // A thread that panicked has said so.
        drop(client.join());
    }
    Ok(())
}

fn serve(stream: &SctpStream, stop: &Stop) -> Result<()> {
    let mut flow = Flow::new(stream, stop)?;
    let test = match flow.hear()? {
        Heard::Control(Control::Test(test)) => test,
        // A ping, perhaps.
        Heard::End => return Ok(()),
        _ => bail!("a client does not keep to our protocol"),
    };
    let peer = stream.peer_addrs()?.first().map_or_else(String::new, ToString::to_string);
    say(format_args!("{peer}: {}, messages of {} bytes, for {} s", test.mode.name(), test.size, test.seconds));
    match test.mode {
        Mode::ToServer => {
            let counted = flow.count_all(|_| ())?;
            flow.tell(&Control::Counted(counted))?;
        }
        Mode::FromServer => {
            flow.send_all(&test, |_| ())?;
        }
        Mode::Echo => {
            while let Some((stream, bytes)) = flow.hear_whole()? {
                flow.send(bytes, &info(stream.0, DATA, test.unordered))?;
            }
            return association::await_end(stream, END_PATIENCE);
        }
    }
    match flow.hear()? {
        Heard::End => association::await_end(stream, END_PATIENCE),
        _ => bail!("{peer} does not keep to our protocol"),
    }
}
