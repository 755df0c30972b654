//! What `cat`, `ping` and `perf` have in common: the parameters of associations, opening them and waiting for them.
#![allow(clippy::disallowed_methods, reason = "edge: waits for peers and signals, and reads the clock")]

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use registrar::cli::milliseconds;
use registrar::signal::Stop;
use sctp_user::socket::{Handle, SctpListener, SctpStream, SocketNode};
use sctp_user::{AssocConfig, Congestion, EndpointConfig};
use tools::peer::Peer;

/// How often a call that waits looks for a request to stop.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// Timers and thresholds of an association.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Profile {
    /// As RFC 9260 section 16 has them
    Rfc,
    /// As signalling networks have them: a dead path is left in less than a second
    Signalling,
    /// As sessions of a pool have them: a dead peer is noticed within seconds
    Session,
}

/// Flags for the parameters of associations.
#[derive(Clone, Debug, Args)]
pub(crate) struct AssocOptions {
    /// Timers and thresholds
    #[arg(long, value_enum, default_value_t = Profile::Rfc)]
    profile: Profile,
    /// Outbound streams to ask for
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) streams: u16,
    /// Send and receive buffers, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20, value_parser = clap::value_parser!(u32).range(4096..=1 << 29))]
    buffer: u32,
    /// Use the congestion control CUBIC (RFC 9438) instead of the one of RFC 9260
    #[arg(long)]
    cubic: bool,
    /// Give up if the association is not up within so many milliseconds
    #[arg(long, value_name = "MS", default_value = "10000", value_parser = milliseconds)]
    timeout: Duration,
}

impl AssocOptions {
    /// The configuration that the flags say.
    pub(crate) fn config(&self) -> AssocConfig {
        let mut cfg = match self.profile {
            Profile::Rfc => AssocConfig::rfc(),
            Profile::Signalling => AssocConfig::signalling(),
            Profile::Session => AssocConfig::session(),
        };
        // Whatever the buffer is, long messages pass it in parts.
        cfg.partial_delivery = true;
        cfg.outbound_streams = self.streams;
        cfg.send_buffer = usize::try_from(self.buffer).unwrap_or(usize::MAX);
        cfg.recv_buffer = cfg.send_buffer;
        if self.cubic {
            cfg.congestion = Congestion::Cubic;
        }
        cfg
    }

    /// Opens an association.
    pub(crate) fn connect(&self, handle: &Handle<SocketNode>, peer: &Peer, cfg: AssocConfig, stop: &Stop) -> Result<SctpStream> {
        let endpoint = EndpointConfig::with(0, Arc::new(cfg));
        let stream =
            SctpStream::connect_nonblocking(handle, &peer.addresses(), endpoint).with_context(|| format!("cannot reach {peer}"))?;
        let end = Instant::now() + self.timeout;
        loop {
            let left = end.saturating_duration_since(Instant::now()).min(TICK);
            match wait_for_outcome(&stream, left)? {
                Some(outcome) => {
                    outcome.map_err(|err| explain_connect(peer, &err))?;
                    break;
                }
                None if stop.is_requested() => bail!("stopped before the association with {peer} was up"),
                None if Instant::now() >= end => {
                    bail!(
                        "no answer from {peer} within {} ms: check the address, and that both sides use one UDP port",
                        self.timeout.as_millis()
                    )
                }
                None => {}
            }
        }
        stream.set_nonblocking(false);
        Ok(stream)
    }
}

/// Waits, at most so long, until the association is up or has failed.
fn wait_for_outcome(stream: &SctpStream, wait: Duration) -> io::Result<Option<io::Result<()>>> {
    let id = stream.id();
    let opening = |state: &str| matches!(state, "COOKIE-WAIT" | "COOKIE-ECHOED");
    stream.handle().wait(Some(wait), |node, _| {
        let state = node.stack_mut().assoc(id).map(|assoc| assoc.status().state);
        (!state.is_some_and(opening)).then_some(())
    })?;
    stream.connect_outcome()
}

fn explain_connect(peer: &Peer, err: &io::Error) -> anyhow::Error {
    match err.kind() {
        io::ErrorKind::ConnectionRefused => anyhow!("{peer} refuses: no program listens on this SCTP port"),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            anyhow!("{peer} cannot be reached ({err}): no SCTP there, or another UDP port: see --udp-port")
        }
        _ => anyhow!("no association with {peer}: {err}"),
    }
}

/// Listens on an SCTP port; `backlog` associations wait to be accepted.
pub(crate) fn listen(handle: &Handle<SocketNode>, port: u16, cfg: AssocConfig, backlog: u32) -> Result<SctpListener> {
    let listener = SctpListener::bind_with(handle, EndpointConfig::with(port, Arc::new(cfg)), backlog)
        .with_context(|| format!("cannot listen on SCTP port {port}"))?;
    listener.set_read_timeout(Some(TICK))?;
    Ok(listener)
}

/// The next association; `None` if the program is to stop.
pub(crate) fn accept(listener: &SctpListener, stop: &Stop) -> Result<Option<SctpStream>> {
    while !stop.is_requested() {
        match listener.accept() {
            Ok((stream, _)) => return Ok(Some(stream)),
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
            Err(err) => return Err(err).context("cannot accept associations"),
        }
    }
    Ok(None)
}

/// Waits until an association that is being shut down is gone, so that the peer, too, sees it end in order.
pub(crate) fn await_end(stream: &SctpStream, patience: Duration) -> Result<()> {
    let id = stream.id();
    let gone = |state: &str| state == "CLOSED";
    let ended = stream.handle().wait(Some(patience), |node, _| {
        let state = node.stack_mut().assoc(id).map(|assoc| assoc.status().state);
        state.is_none_or(gone).then_some(())
    })?;
    if ended.is_none() {
        bail!("the peer did not confirm the end of the association");
    }
    // What it says at the end is how it ended.
    while stream.recv().context("the association did not end in order")?.is_some() {}
    Ok(())
}
