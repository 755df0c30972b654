//! What is counted: two stacks in memory that hand trains to each other. Everything is fixed, the time, the seeds and the
//! sizes, so that a run executes the same instructions as the one before.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use sctp_user::{
    AssocConfig, AssocId, Channel, EndpointConfig, EndpointId, Event, Meta, Node, PeerAddr, Ppid, SeededEntropy, SendOptions, Stack,
    StackConfig, StreamId, Time, Train,
};

const PORT: u16 = 5000;
const CHANNEL: Channel = Channel::Udp { local: 9899, remote: 9899 };
/// The link's MTU: SCTP packets of 1452 bytes below UDP and IPv4, 1424 bytes of user data in a full one.
const MTU: usize = 1_480;
/// Send buffer and receive window, in bytes.
const WINDOW: usize = 1 << 20;
/// Most packets in a train: what a UDP socket with segmentation offload takes.
const TRAIN: usize = 44;
/// Time that passes from one exchange of trains to the next.
const STEP: Duration = Duration::from_micros(50);
/// Exchanges without progress after which the run is stuck.
const PATIENCE: usize = 100;

/// A workload by its name in `instructions.toml`.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Messages (or round trips, or associations) that are counted; a fourth as many go before.
    pub(crate) count: usize,
}

pub(crate) enum Kind {
    /// Messages of a size in bytes one way, over so many streams in turn.
    Bulk { size: usize, streams: u16 },
    /// A message there and one back.
    PingPong { size: usize },
    /// An association opened and closed.
    Associations,
}

pub(crate) const ALL: &[Workload] = &[
    Workload { name: "bulk-64", kind: Kind::Bulk { size: 64, streams: 1 }, count: 40_000 },
    Workload { name: "bulk-1424", kind: Kind::Bulk { size: 1_424, streams: 1 }, count: 10_000 },
    Workload { name: "bulk-65536", kind: Kind::Bulk { size: 65_536, streams: 1 }, count: 300 },
    Workload { name: "streams-1000", kind: Kind::Bulk { size: 1_024, streams: 1_000 }, count: 10_000 },
    Workload { name: "ping-pong-100", kind: Kind::PingPong { size: 100 }, count: 4_000 },
    Workload { name: "association", kind: Kind::Associations, count: 400 },
];

impl Workload {
    /// Runs it: first what warms it up, then what is counted, in [`measured`].
    pub(crate) fn run(&self) {
        let warm_up = self.count / 4;
        match self.kind {
            Kind::Bulk { size, streams } => {
                let mut pair = Pair::new(streams);
                pair.open();
                let message = Bytes::from(vec![7; size]);
                let mut bulk = |count| pair.bulk(&message, streams, count);
                bulk(warm_up);
                measured(|| bulk(self.count));
            }
            Kind::PingPong { size } => {
                let mut pair = Pair::new(1);
                pair.open();
                let message = Bytes::from(vec![7; size]);
                let mut rounds = |count| (0..count).for_each(|_| pair.round_trip(&message));
                rounds(warm_up);
                measured(|| rounds(self.count));
            }
            Kind::Associations => {
                let mut pair = Pair::new(1);
                let mut associations = |count| {
                    for _ in 0..count {
                        pair.open();
                        pair.close();
                    }
                };
                associations(warm_up);
                measured(|| associations(self.count));
            }
        }
    }
}

/// Callgrind counts what is executed in here, by the name.
#[inline(never)]
fn measured(work: impl FnOnce()) {
    work();
}

/// One host.
struct Host {
    stack: Stack,
    endpoint: EndpointId,
    assoc: Option<AssocId>,
    lost: bool,
    /// How packets from here look to the other host.
    meta: Meta,
}

impl Host {
    fn new(client: bool, streams: u16) -> Self {
        let mut assoc = AssocConfig::rfc();
        (assoc.mtu, assoc.max_mtu) = (MTU, MTU);
        (assoc.recv_buffer, assoc.send_buffer) = (WINDOW, WINDOW);
        (assoc.outbound_streams, assoc.max_inbound_streams) = (streams, streams);
        let mut stack = Stack::new(StackConfig::default(), Box::new(SeededEntropy::new(u64::from(client))));
        #[expect(clippy::expect_used, reason = "nothing else has ports")]
        let endpoint = stack.open(EndpointConfig::with(PORT, Arc::new(assoc))).expect("the port is free");
        stack.listen(endpoint, !client);
        let ip = |client| IpAddr::from(Ipv4Addr::new(10, 0, 0, if client { 1 } else { 2 }));
        let meta = Meta { src: ip(client), dst: ip(!client), channel: CHANNEL, ecn: None, ifindex: None };
        Self { stack, endpoint, assoc: None, lost: false, meta }
    }

    fn send(&mut self, now: Time, sid: u16, message: &Bytes) -> bool {
        let assoc = self.assoc.and_then(|id| self.stack.assoc(id));
        assoc.is_some_and(|mut a| a.send(now, StreamId(sid), Ppid(42), message.clone(), SendOptions::ordered()).is_ok())
    }

    /// Reads all messages, of the size expected.
    fn read(&mut self, size: usize) -> usize {
        let mut messages = 0;
        while let Some(m) = self.assoc.and_then(|id| self.stack.assoc(id)).and_then(|mut a| a.recv()) {
            assert_eq!(m.payload.len(), size, "a whole message");
            messages += 1;
        }
        messages
    }

    fn events(&mut self) {
        while let Some((_, id, event)) = self.stack.poll_event() {
            match event {
                Event::Connected { .. } => (self.assoc, self.lost) = (Some(id), false),
                Event::Lost { .. } => (self.assoc, self.lost) = (None, true),
                _ => {}
            }
        }
    }
}

/// Two hosts and the time.
struct Pair {
    client: Host,
    server: Host,
    now: Time,
}

impl Pair {
    fn new(streams: u16) -> Self {
        Self { client: Host::new(true, streams), server: Host::new(false, streams), now: Time::ZERO }
    }

    /// What each has to say goes to the other, first the client's, and time passes. Whether there was anything.
    fn exchange(&mut self) -> bool {
        let there = deliver(self.now, &mut self.client, &mut self.server);
        let back = deliver(self.now, &mut self.server, &mut self.client);
        self.now += STEP;
        for host in [&mut self.client, &mut self.server] {
            if host.stack.poll_timeout().is_some_and(|at| at <= self.now) {
                host.stack.handle_timeout(self.now);
            }
        }
        there || back
    }

    /// Exchanges until `done`; when there is nothing to exchange, until the next timer.
    fn until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let mut idle = 0;
        while !done(self) {
            if self.exchange() {
                idle = 0;
            } else {
                idle += 1;
                assert!(idle < PATIENCE, "nothing moves");
                let next = [&self.client, &self.server].into_iter().filter_map(|h| h.stack.poll_timeout()).min();
                self.now = next.map_or(self.now, |at| at.max(self.now));
            }
        }
    }

    fn open(&mut self) {
        let peer = PeerAddr::from(SocketAddr::new(self.client.meta.dst, PORT));
        #[expect(clippy::expect_used, reason = "the one before is closed")]
        let id = self.client.stack.connect(self.now, self.client.endpoint, &[peer], None).expect("an association");
        (self.client.lost, self.server.lost) = (false, false);
        let _ = id;
        self.until(|pair| pair.client.assoc.is_some() && pair.server.assoc.is_some());
    }

    fn close(&mut self) {
        if let Some(mut a) = self.client.assoc.and_then(|id| self.client.stack.assoc(id)) {
            a.shutdown(self.now);
        }
        self.until(|pair| pair.client.lost && pair.server.lost);
    }

    fn bulk(&mut self, message: &Bytes, streams: u16, count: usize) {
        let (mut sent, mut received) = (0, 0);
        self.until(|pair| {
            received += pair.server.read(message.len());
            while sent < count && pair.client.send(pair.now, u16::try_from(sent % usize::from(streams)).unwrap_or(0), message) {
                sent += 1;
            }
            received == count
        });
    }

    fn round_trip(&mut self, message: &Bytes) {
        assert!(self.client.send(self.now, 0, message), "there is room");
        self.until(|pair| {
            if pair.server.read(message.len()) == 1 {
                assert!(pair.server.send(pair.now, 0, message), "there is room");
            }
            pair.client.read(message.len()) == 1
        });
    }
}

/// Carries everything that `from` has to send. Whether there was anything.
fn deliver(now: Time, from: &mut Host, to: &mut Host) -> bool {
    let mut any = false;
    loop {
        let mut buf = Vec::with_capacity(TRAIN * MTU);
        let Some(sent) = from.stack.poll_transmit(now, TRAIN, &mut buf) else { break };
        any = true;
        let train = Train { bytes: Bytes::from(buf), stride: sent.segment_size.unwrap_or(sent.size) };
        to.stack.handle_batch(now, &from.meta, train);
    }
    from.events();
    to.events();
    any
}
