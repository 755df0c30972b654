//! The interface that a sans-IO stack implements to take part.
//!
//! One value is one end of one association. All times are offsets from the driver's epoch, so
//! that a driver can run on the real clock or on a virtual one.

use std::time::Duration;

/// What every stack is configured with.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Largest SCTP packet (common header included, UDP and IP headers excluded).
    pub mtu: usize,
    /// Advertised receive window and send-buffer limit, in bytes.
    pub window: usize,
    /// Outbound and inbound streams wanted.
    pub streams: u16,
    /// This end starts the association.
    pub client: bool,
    /// Distinguishes the two ends and the runs; used for names and ports only.
    pub id: u64,
    /// Disable Nagle / delayed bundling where the stack has such a switch (ping-pong).
    pub nodelay: bool,
}

pub enum Sent {
    Accepted,
    /// The send buffer is full; try again after the peer acknowledged something. The message
    /// comes back where the stack's API gives it back; else the driver makes it anew.
    Full(Option<Vec<u8>>),
}

/// What a sender tells of itself; `None` where a stack does not.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counters {
    /// DATA chunks sent again.
    pub rtx: Option<u64>,
    /// Expiries of T3-rtx.
    pub t3: Option<u64>,
    /// Congestion window now, in bytes.
    pub cwnd: Option<u64>,
    /// Packets with DATA that came in.
    pub data_in: Option<u64>,
    /// SACK chunks sent.
    pub sacks_out: Option<u64>,
}

/// Receives the messages a stack delivers. A message may come in several pieces.
pub trait Sink {
    fn piece(&mut self, bytes: &[u8]);
    fn end(&mut self, stream: u16, ppid: u32);
}

pub trait MemEndpoint: Sized {
    /// The stack's own datagram type, so that no adapter pays for a conversion.
    type Datagram: AsRef<[u8]> + Send + 'static;
    const NAME: &'static str;

    fn new(cfg: &Config, now: Duration) -> Self;
    fn connect(&mut self, now: Duration);
    fn is_established(&self) -> bool;
    /// Start the graceful shutdown.
    fn shutdown(&mut self, now: Duration);
    fn is_closed(&self) -> bool;
    /// Hand one user message over. The application owns `data`, so a stack that can keep it does.
    fn send(&mut self, now: Duration, stream: u16, ppid: u32, data: Vec<u8>, unordered: bool) -> Sent;
    fn poll_transmit(&mut self, now: Duration) -> Option<Self::Datagram>;
    fn handle_datagram(&mut self, now: Duration, d: Self::Datagram);
    fn poll_timeout(&mut self) -> Option<Duration>;
    fn handle_timeout(&mut self, now: Duration);
    /// Deliver at most one message into `sink`; false when none is ready.
    fn recv(&mut self, now: Duration, sink: &mut dyn Sink) -> bool;
    /// How the sending went.
    fn counters(&mut self) -> Counters {
        Counters::default()
    }
}
