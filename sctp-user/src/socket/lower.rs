//! Everything below the node: transports, the capture, and the one train that could not be sent yet.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::IpAddr;
use std::path::Path;

use mio::event::Event;
use mio::{Registry, Token};

use crate::net::{Channel, Transmit};
use crate::node::Node;
use crate::pcap::{Interface, PcapWriter};
use crate::time::Time;
use crate::transport::announce::{Announcers, Listeners};
use crate::transport::clock::MonoClock;
use crate::transport::udp::{Input, UdpTransport};

/// Wakes the polling thread.
pub(super) const WAKE: Token = Token(0);
/// The host's addresses change.
pub(super) const WATCH: Token = Token(usize::MAX);
/// Tokens of the announce listeners: from here on.
const LISTENERS: usize = 1;
/// Tokens of the UDP transport: from here on.
const UDP: usize = 1024;
/// Most announce listeners.
pub(super) const MAX_LISTENERS: usize = UDP - LISTENERS;

/// Batches received before callers and timers get their turn.
const BUDGET: usize = 16;

pub(super) struct Lower {
    pub(super) udp: UdpTransport,
    listeners: Listeners,
    pub(super) announcers: Announcers,
    clock: MonoClock,
    capture: Option<Capture>,
    /// What the node wrote last; kept for its capacity.
    buf: Vec<u8>,
    /// The train in `buf` that the UDP socket had no room for; the node is not asked for more meanwhile.
    unsent: Option<Transmit>,
}

/// What a call of [`Lower::receive`] did.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Progress {
    /// Something reached the node.
    pub(super) any: bool,
    /// The budget is spent and more may be waiting.
    pub(super) more: bool,
}

impl Lower {
    pub(super) fn new(udp: UdpTransport, listeners: Listeners, announcers: Announcers, clock: MonoClock) -> Self {
        Self { udp, listeners, announcers, clock, capture: None, buf: Vec::new(), unsent: None }
    }

    /// Starts writing a capture. With `append` an existing file is kept, which other processes may be writing to.
    pub(super) fn capture(&mut self, path: &Path, append: bool) -> io::Result<()> {
        self.capture = Some(Capture::open(path, append)?);
        Ok(())
    }

    pub(super) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        self.listeners.register(registry, LISTENERS)?;
        self.udp.register(registry, UDP)
    }

    /// Remembers that a socket has something to do.
    pub(super) fn note_ready(&mut self, event: &Event) {
        let Token(token) = event.token();
        if token >= UDP {
            self.udp.note_ready(event);
        } else if token >= LISTENERS {
            self.listeners.note_ready(token - LISTENERS);
        }
    }

    /// Hands what has arrived to the node, and sends its answers after each batch.
    pub(super) fn receive<N: Node>(&mut self, node: &mut N, now: Time) -> Progress {
        let mut progress = Progress::default();
        let (clock, capture) = (self.clock, &mut self.capture);
        let announces_left = self.listeners.receive(|meta, train| {
            Capture::tap(capture, |c| c.writer.received(clock.wall_nanos(now), Interface::FIRST, meta, &train));
            node.handle_batch(now, meta, train);
            progress.any = true;
        });
        for _ in 0..BUDGET {
            let now = clock.now();
            let capture = &mut self.capture;
            let again = self.udp.receive(|input| {
                progress.any = true;
                match input {
                    Input::Packets(meta, train) => {
                        Capture::tap(capture, |c| c.writer.received(clock.wall_nanos(now), Interface::FIRST, meta, &train));
                        node.handle_batch(now, meta, train);
                    }
                    Input::Error(err) => node.handle_net_error(now, &err),
                    Input::PortsDied(ports) => node.handle_ports_died(now, ports),
                    Input::News => {}
                }
            });
            self.flush(node, now);
            if !again {
                progress.more = announces_left;
                return progress;
            }
        }
        progress.more = true;
        progress
    }

    /// Sends what the node has to say, until it falls silent or the socket has no room.
    pub(super) fn flush<N: Node>(&mut self, node: &mut N, now: Time) {
        if let Some(transmit) = self.unsent.take() {
            let buf = core::mem::take(&mut self.buf);
            let done = self.send(now, &transmit, &buf);
            self.buf = buf;
            if !done {
                self.unsent = Some(transmit);
                return;
            }
        }
        let mut buf = core::mem::take(&mut self.buf);
        loop {
            buf.clear();
            let Some(transmit) = node.poll_transmit(now, self.udp.max_segments(), &mut buf) else { break };
            if !self.send(now, &transmit, &buf) {
                self.unsent = Some(transmit);
                break;
            }
        }
        self.buf = buf;
    }

    /// Sends; `false` if there is no room. Any other failure is a packet lost on its way, which SCTP repairs.
    fn send(&mut self, now: Time, transmit: &Transmit, bytes: &[u8]) -> bool {
        let sent = match transmit.channel {
            Channel::Udp { .. } => self.udp.send(transmit, bytes),
            Channel::Datagram { .. } => self.announcers.send(transmit, bytes),
            Channel::Raw | Channel::Lower(_) => Err(io::ErrorKind::Unsupported.into()),
        };
        match sent {
            Err(err) if err.kind() == io::ErrorKind::WouldBlock && matches!(transmit.channel, Channel::Udp { .. }) => return false,
            Err(err) => tracing::debug!(dst = %transmit.dst, channel = ?transmit.channel, %err, "not sent"),
            Ok(()) => {
                let clock = self.clock;
                Capture::tap(&mut self.capture, |c| c.sent(clock.wall_nanos(now), transmit, bytes));
            }
        }
        true
    }

    /// When the transports want to be looked after, whether or not something arrives.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.udp.next_deadline(&self.clock)
    }
}

/// The capture file; given up at the first error, because a full disk must not stop the calls.
struct Capture {
    writer: PcapWriter<File>,
}

impl Capture {
    fn open(path: &Path, append: bool) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true);
        // Also in the other case every block must land at the end: a second runtime of the process may append.
        let file = if append {
            options.append(true).open(path)?
        } else {
            drop(File::create(path)?);
            options.append(true).open(path)?
        };
        Ok(Self { writer: PcapWriter::new(file, "sctp-user")? })
    }

    fn sent(&mut self, unix_nanos: u64, transmit: &Transmit, bytes: &[u8]) -> io::Result<()> {
        // What routing chooses is not known here, but on the loopback interface it is no secret.
        let src = transmit.src.or_else(|| Some(transmit.dst.ip()).filter(IpAddr::is_loopback));
        self.writer.sent(unix_nanos, Interface::FIRST, &Transmit { src, ..*transmit }, bytes)
    }

    fn tap(capture: &mut Option<Self>, write: impl FnOnce(&mut Self) -> io::Result<()>) {
        let Some(open) = capture.as_mut() else { return };
        if let Err(err) = write(open) {
            tracing::error!(%err, "the capture ends here");
            *capture = None;
        }
    }
}
