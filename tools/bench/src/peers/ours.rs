//! Our own stack, as it is shipped but for the windows that the harness asks for.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sctp_user::{
    AssocConfig, AssocId, Channel, EndpointConfig, EndpointId, Event, Meta, Node, PeerAddr, Ppid, SeededEntropy, SendOptions, Stack,
    StackConfig, StreamId, Time,
};

use crate::endpoint::{Config, Counters, MemEndpoint, Sent, Sink};

const PORT: u16 = 5000;
const CHANNEL: Channel = Channel::Udp { local: 9899, remote: 9899 };
/// Most packets in a train: what a UDP socket with segmentation offload takes.
const TRAIN: usize = 44;
/// IPv4 and UDP, which count in the stack's MTU and not in the harness's.
const BELOW: usize = 28;

pub struct Ours {
    stack: Stack,
    endpoint: EndpointId,
    assoc: Option<AssocId>,
    up: bool,
    closed: bool,
    meta: Meta,
    /// The packets of the train polled last that were not taken yet.
    train: VecDeque<Bytes>,
    /// Where the next train goes.
    buf: Vec<u8>,
    /// Length of the longest train so far.
    longest: usize,
    /// What the association counted, for after its end.
    counters: Counters,
}

fn t(d: Duration) -> Time {
    Time::ZERO + d
}

fn ip(client: bool) -> IpAddr {
    IpAddr::from(Ipv4Addr::new(10, 0, 0, if client { 1 } else { 2 }))
}

impl Ours {
    fn events(&mut self) {
        while let Some((_, id, event)) = self.stack.poll_event() {
            match event {
                Event::Connected { .. } => (self.assoc, self.up) = (Some(id), true),
                Event::Lost { .. } => self.closed = true,
                _ => {}
            }
        }
    }
}

impl MemEndpoint for Ours {
    type Datagram = Bytes;
    const NAME: &'static str = "ours";

    fn new(cfg: &Config, _now: Duration) -> Self {
        let mut assoc = AssocConfig::rfc();
        // The interface's MTU: the search for the path MTU ends there.
        (assoc.mtu, assoc.max_mtu) = (cfg.mtu + BELOW, cfg.mtu + BELOW);
        (assoc.recv_buffer, assoc.send_buffer) = (cfg.window, cfg.window);
        (assoc.outbound_streams, assoc.max_inbound_streams) = (cfg.streams, cfg.streams);
        assoc.nagle = !cfg.nodelay;
        let seed = cfg.id * 2 + u64::from(cfg.client);
        let mut stack = Stack::new(StackConfig::default(), Box::new(SeededEntropy::new(seed)));
        let endpoint = stack.open(EndpointConfig::with(PORT, Arc::new(assoc))).expect("the port is free");
        stack.listen(endpoint, !cfg.client);
        let meta = Meta { src: ip(!cfg.client), dst: ip(cfg.client), channel: CHANNEL, ecn: None, ifindex: None };
        Self {
            stack,
            endpoint,
            assoc: None,
            up: false,
            closed: false,
            meta,
            train: VecDeque::new(),
            buf: Vec::new(),
            longest: 1 << 11,
            counters: Counters::default(),
        }
    }

    fn connect(&mut self, now: Duration) {
        let peer = PeerAddr::from(SocketAddr::new(self.meta.src, PORT));
        self.assoc = Some(self.stack.connect(t(now), self.endpoint, &[peer], None).expect("one address"));
    }

    fn is_established(&self) -> bool {
        self.up && !self.closed
    }

    fn shutdown(&mut self, now: Duration) {
        if let Some(mut a) = self.assoc.and_then(|id| self.stack.assoc(id)) {
            a.shutdown(t(now));
        }
    }

    fn is_closed(&self) -> bool {
        self.closed
    }

    fn send(&mut self, now: Duration, stream: u16, ppid: u32, data: Vec<u8>, unordered: bool) -> Sent {
        let Some(mut a) = self.assoc.and_then(|id| self.stack.assoc(id)) else { return Sent::Full(Some(data)) };
        let how = if unordered { SendOptions::unordered() } else { SendOptions::ordered() };
        match a.send(t(now), StreamId(stream), Ppid(ppid), Bytes::from(data), how) {
            Ok(()) => Sent::Accepted,
            Err(_) => Sent::Full(None),
        }
    }

    fn poll_transmit(&mut self, now: Duration) -> Option<Bytes> {
        if self.train.is_empty() {
            // As a driver that keeps its buffer: no train grows it, and it is there still if nothing is to be sent.
            if self.buf.capacity() == 0 {
                self.buf.reserve(self.longest);
            }
            let sent = self.stack.poll_transmit(t(now), TRAIN, &mut self.buf)?;
            self.longest = self.longest.max(sent.size);
            let bytes = Bytes::from(core::mem::take(&mut self.buf));
            let Some(stride) = sent.segment_size else { return Some(bytes) };
            self.train.extend((0..sent.size).step_by(stride).map(|at| bytes.slice(at..sent.size.min(at + stride))));
        }
        self.train.pop_front()
    }

    fn handle_datagram(&mut self, now: Duration, d: Bytes) {
        self.stack.handle_datagram(t(now), &self.meta, d);
        self.events();
    }

    fn poll_timeout(&mut self) -> Option<Duration> {
        self.stack.poll_timeout().map(|at| at - Time::ZERO)
    }

    fn handle_timeout(&mut self, now: Duration) {
        self.stack.handle_timeout(t(now));
        self.events();
    }

    fn recv(&mut self, _now: Duration, sink: &mut dyn Sink) -> bool {
        let Some(message) = self.assoc.and_then(|id| self.stack.assoc(id)).and_then(|mut a| a.recv()) else { return false };
        sink.piece(&message.payload);
        sink.end(message.sid.0, message.ppid.0);
        true
    }

    fn counters(&mut self) -> Counters {
        if let Some(a) = self.assoc.and_then(|id| self.stack.assoc(id)) {
            let (stats, status) = (a.stats(), a.status());
            self.counters = Counters {
                rtx: Some(stats.rtx_chunks),
                t3: Some(stats.t3_expireds),
                cwnd: Some(status.cwnd as u64),
                data_in: Some(stats.in_data_packs),
                sacks_out: Some(stats.out_sacks),
            };
        }
        self.counters
    }
}
