//! Everything below the node: transports, announces, the capture, and the claims of SCTP ports.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::IpAddr;
use std::path::Path;

use mio::event::Event;
use mio::{Registry, Token};

use crate::net::{Channel, Train, Transmit};
use crate::node::Node;
use crate::pcap::{Interface, PcapWriter};
use crate::time::Time;
use crate::transport::announce::{Announcers, Listeners};
use crate::transport::clock::MonoClock;
use crate::transport::ports::LocalPorts;
use crate::transport::udp::{Sharing, UdpTransport};
use crate::transport::{Input, Sent, Transport};
use crate::wire::chunk::kind;
use crate::wire::packet::COMMON_HEADER_LEN;

/// Wakes the polling thread.
pub(super) const WAKE: Token = Token(0);
/// The host's addresses change.
pub(super) const WATCH: Token = Token(usize::MAX);
/// It is time for something.
pub(super) const TIMER: Token = Token(usize::MAX - 1);
/// Tokens of the announce listeners: from here on.
const LISTENERS: usize = 1;
/// Tokens of the transports: from here on, as many for each.
const TRANSPORTS: usize = 1024;
/// Most announce listeners.
pub(super) const MAX_LISTENERS: usize = TRANSPORTS - LISTENERS;

/// Batches received before callers and timers get their turn.
const BUDGET: usize = 16;

pub(super) struct Lower {
    udp: Option<UdpTransport>,
    /// The transports beside UDP, each for channels of its own.
    others: Vec<Box<dyn Transport>>,
    /// SCTP ports where no UDP port is shared.
    ports: LocalPorts,
    listeners: Listeners,
    pub(super) announcers: Announcers,
    clock: MonoClock,
    capture: Option<Capture>,
    /// What the node wrote last; kept for its capacity.
    buf: Vec<u8>,
}

/// What a call of [`Lower::receive`] did.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Progress {
    /// Something reached the node.
    pub(super) any: bool,
    /// The budget is spent and more may be waiting.
    pub(super) more: bool,
    /// Single packets with nothing but user data and acknowledgements, as far as their first chunks tell.
    plain: u32,
    /// Everything else.
    other: u32,
}

impl Progress {
    /// Whether no more came than a question or an answer: a packet with user data, perhaps behind one with the acknowledgement of
    /// what was sent before.
    pub(super) fn is_plain(&self) -> bool {
        (1..=2).contains(&self.plain) && self.other == 0
    }

    fn count(&mut self, input: &Input<'_>) {
        self.any = true;
        match input {
            Input::Packets(_, train) if is_plain(train) => self.plain += 1,
            _ => self.other += 1,
        }
    }
}

/// Whether the train is a single packet that begins with user data or an acknowledgement: control chunks come first.
fn is_plain(train: &Train) -> bool {
    let first = train.bytes.get(COMMON_HEADER_LEN);
    train.bytes.len() <= train.stride && first.is_some_and(|kind| matches!(*kind, kind::DATA | kind::SACK | kind::I_DATA))
}

impl Lower {
    pub(super) fn new(udp: Option<UdpTransport>, others: Vec<Box<dyn Transport>>, clock: MonoClock) -> Self {
        Self {
            udp,
            others,
            ports: LocalPorts::default(),
            listeners: Listeners::default(),
            announcers: Announcers::default(),
            clock,
            capture: None,
            buf: Vec::new(),
        }
    }

    pub(super) fn announces(&mut self, listeners: Listeners, announcers: Announcers) {
        (self.listeners, self.announcers) = (listeners, announcers);
    }

    /// Starts writing a capture. With `append` an existing file is kept, which other processes may be writing to.
    pub(super) fn capture(&mut self, path: &Path, append: bool) -> io::Result<()> {
        self.capture = Some(Capture::open(path, append)?);
        Ok(())
    }

    pub(super) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        self.listeners.register(registry, LISTENERS)?;
        for (i, transport) in self.transports_mut().enumerate() {
            transport.register(registry, TRANSPORTS * (i + 1))?;
        }
        Ok(())
    }

    fn transports(&self) -> impl Iterator<Item = &dyn Transport> {
        let udp = self.udp.iter().map(|t| -> &dyn Transport { t });
        udp.chain(self.others.iter().map(|t| -> &dyn Transport { &**t }))
    }

    fn transports_mut(&mut self) -> impl Iterator<Item = &mut dyn Transport> {
        each(&mut self.udp, &mut self.others)
    }

    /// Remembers that a socket has something to do.
    pub(super) fn note_ready(&mut self, event: &Event) {
        let Token(token) = event.token();
        match (token / TRANSPORTS).checked_sub(1) {
            Some(i) => {
                if let Some(transport) = self.transports_mut().nth(i) {
                    transport.note_ready(event);
                }
            }
            None if token >= LISTENERS => self.listeners.note_ready(token - LISTENERS),
            None => {}
        }
    }

    /// Hands what has arrived to the node, and sends its answers after each batch but the last one.
    pub(super) fn receive<N: Node>(&mut self, node: &mut N, now: Time) -> Progress {
        let mut progress = Progress::default();
        let (clock, capture) = (self.clock, &mut self.capture);
        let announces_left = self.listeners.receive(|meta, train| {
            Capture::tap(capture, |c| c.writer.received(clock.wall_nanos(now), Interface::FIRST, meta, &train));
            node.handle_batch(now, meta, train);
            (progress.any, progress.other) = (true, 1);
        });
        let mut now = now;
        for _ in 0..BUDGET {
            let capture = &mut self.capture;
            let mut again = false;
            each(&mut self.udp, &mut self.others).for_each(|transport| {
                again |= transport.receive(now, &mut |input| {
                    progress.count(&input);
                    match input {
                        Input::Packets(meta, train) => {
                            Capture::tap(capture, |c| c.writer.received(clock.wall_nanos(now), Interface::FIRST, meta, &train));
                            node.handle_batch(now, meta, train);
                        }
                        news => tell(node, now, news),
                    }
                });
            });
            if !again {
                progress.more = announces_left;
                return progress;
            }
            self.flush(node, now);
            now = clock.now();
        }
        progress.more = true;
        progress
    }

    /// Sends what the node has to say, until it falls silent or a socket has no room for more; whether it fell silent.
    pub(super) fn flush<N: Node>(&mut self, node: &mut N, now: Time) -> bool {
        let Self { udp, others, announcers, clock, capture, buf, .. } = self;
        let mut sent = |t: &Transmit, bytes: &[u8]| Capture::tap(capture, |c| c.sent(clock.wall_nanos(now), t, bytes));
        let (mut full, mut segments) = (false, 1);
        each(udp, others).for_each(|transport| {
            transport.flush(&mut sent);
            full |= transport.is_full();
            segments = segments.max(transport.max_segments());
        });
        while !full {
            buf.clear();
            let next = node.poll_transmit(now, segments, buf);
            let Some(t) = &next else { return true };
            // Sent, or kept until there is room; then the node may not be asked for more at present.
            let carried = each(udp, others).find_map(|transport| {
                transport.carries(t.channel).then(|| {
                    transport.send(t, buf, &mut sent);
                    transport.is_full()
                })
            });
            full = carried.unwrap_or_else(|| {
                announce(announcers, t, buf, &mut sent);
                false
            });
        }
        false
    }

    /// The host's own addresses are these now.
    pub(super) fn set_addresses(&mut self, addrs: &[IpAddr]) {
        for transport in self.transports_mut() {
            transport.set_addresses(addrs);
        }
    }

    /// When the transports want to be looked after, whether or not something arrives.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.transports().filter_map(Transport::next_deadline).min()
    }

    /// Whether every transport reads and sets ECN marks.
    pub(super) fn ecn_marks(&self) -> bool {
        self.transports().all(Transport::ecn_marks)
    }

    /// The UDP port that is bound, 0 without one.
    pub(super) fn udp_port(&self) -> u16 {
        self.udp.as_ref().map_or(0, UdpTransport::local_port)
    }

    /// How the UDP port is shared, if it is.
    pub(super) fn sharing(&self) -> Option<Sharing> {
        self.udp.as_ref().and_then(UdpTransport::sharing)
    }

    /// Asks for an SCTP port, 0 for a free one; the answer is fetched by the ticket.
    pub(super) fn claim(&mut self, port: u16) -> u64 {
        match &mut self.udp {
            Some(udp) => udp.claim(port),
            None => self.ports.claim(port),
        }
    }

    /// The answer to a claim, if it has come.
    pub(super) fn take_claim(&mut self, ticket: u64) -> Option<io::Result<u16>> {
        match &mut self.udp {
            Some(udp) => udp.take_claim(ticket),
            None => self.ports.take_claim(ticket),
        }
    }

    /// Nobody waits for the answer any more.
    pub(super) fn forget_claim(&mut self, ticket: u64) {
        match &mut self.udp {
            Some(udp) => udp.forget_claim(ticket),
            None => self.ports.forget_claim(ticket),
        }
    }

    /// Gives an SCTP port back.
    pub(super) fn release(&mut self, port: u16) {
        match &mut self.udp {
            Some(udp) => udp.release(port),
            None => self.ports.release(port),
        }
    }
}

/// Tells the node what is no packet.
#[cold]
fn tell<N: Node>(node: &mut N, now: Time, news: Input<'_>) {
    match news {
        Input::Error(err) => node.handle_net_error(now, &err),
        Input::PortsDied(ports) => node.handle_ports_died(now, ports),
        Input::Packets(..) | Input::News => {}
    }
}

/// Sends what no transport carries, if it is an announce.
#[cold]
fn announce(announcers: &Announcers, t: &Transmit, bytes: &[u8], sent: Sent<'_>) {
    if !matches!(t.channel, Channel::Datagram { .. }) {
        tracing::debug!(dst = %t.dst, channel = ?t.channel, "not sent: there is no such transport");
        return;
    }
    match announcers.send(t, bytes) {
        Ok(()) => sent(t, bytes),
        Err(err) => tracing::debug!(dst = %t.dst, %err, "announce not sent"),
    }
}

/// All transports, UDP first; a function of the fields, so that the capture can be written to meanwhile.
fn each<'a>(udp: &'a mut Option<UdpTransport>, others: &'a mut [Box<dyn Transport>]) -> impl Iterator<Item = &'a mut dyn Transport> {
    let udp = udp.iter_mut().map(|t| -> &mut dyn Transport { t });
    udp.chain(others.iter_mut().map(|t| -> &mut dyn Transport { &mut **t }))
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
