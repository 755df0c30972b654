//! Goodput on simulated links: rate, round trip, loss and queue against what arrives. The table is a committed snapshot
//! (`tests/snapshots/goodput.txt`), so that a change of the sender shows; `UPDATE=1` writes it anew.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs};

use bytes::Bytes;
use sctp_user::sim::{Chance, HostConfig, LinkConfig, Loss, World};
use sctp_user::{
    AddrChange, AssocConfig, AssocId, EndpointConfig, Entropy, Event, Meta, NetError, Node, PeerAddr, Ppid, SendOptions, Stack,
    StackConfig, StreamId, Time, Train, Transmit,
};

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots/goodput.txt");
/// User bytes of a message, one a packet: 1424 of 1480 bytes on the wire, IP and UDP header counted.
const MESSAGE: usize = 1424;
const PORT: u16 = 5000;

/// A link, the same in both directions, and how long it is used.
#[derive(Clone, Copy, Debug)]
struct Link {
    mbit: u64,
    rtt_ms: u64,
    /// Random loss in both directions, per ten thousand packets.
    loss: u32,
    /// Queue in per cent of the bandwidth-delay product.
    queue: u64,
    seconds: u64,
}

impl Link {
    const fn new(mbit: u64, rtt_ms: u64, loss: u32, queue: u64, seconds: u64) -> Self {
        Self { mbit, rtt_ms, loss, queue, seconds }
    }

    fn config(self) -> LinkConfig {
        let rate = self.mbit * 1_000_000;
        let bdp = rate / 8 * self.rtt_ms / 1000;
        LinkConfig {
            delay: Duration::from_micros(self.rtt_ms * 500),
            loss: if self.loss == 0 { Loss::None } else { Loss::Uniform(Chance::ppm(self.loss * 100)) },
            rate: Some(rate),
            queue: usize::try_from(bdp * self.queue / 100).unwrap().max(3000),
            ..LinkConfig::default()
        }
    }
}

/// Sends without end on one side, counts on the other.
struct Bulk {
    stack: Stack,
    assoc: Option<AssocId>,
    message: Bytes,
    sends: bool,
    blocked: bool,
    received: u64,
    lost: bool,
}

impl Bulk {
    fn new(cfg: &AssocConfig, entropy: Box<dyn Entropy>, server: Option<IpAddr>) -> Self {
        let mut stack = Stack::new(StackConfig::default(), entropy);
        let endpoint = stack.open(EndpointConfig::with(PORT, Arc::new(cfg.clone()))).unwrap();
        stack.listen(endpoint, true);
        if let Some(ip) = server {
            stack.connect(Time::ZERO, endpoint, &[PeerAddr::from(SocketAddr::new(ip, PORT))], None).unwrap();
        }
        let message = Bytes::from(vec![0x5a; MESSAGE]);
        Self { stack, assoc: None, message, sends: server.is_some(), blocked: false, received: 0, lost: false }
    }

    fn pump(&mut self, now: Time) {
        while let Some((_, id, event)) = self.stack.poll_event() {
            match event {
                Event::Connected { .. } => self.assoc = Some(id),
                Event::Writable => self.blocked = false,
                Event::Lost { .. } => self.lost = true,
                _ => {}
            }
        }
        let Some(mut assoc) = self.assoc.and_then(|id| self.stack.assoc(id)) else { return };
        while let Some(message) = assoc.recv() {
            assert_eq!(message.payload.len(), MESSAGE);
            self.received += MESSAGE as u64;
        }
        while self.sends && !self.blocked {
            let sent = assoc.send(now, StreamId(0), Ppid(0), self.message.clone(), SendOptions::ordered());
            self.blocked = sent.is_err();
        }
    }
}

impl Node for Bulk {
    fn handle_batch(&mut self, now: Time, meta: &Meta, train: Train) {
        self.stack.handle_batch(now, meta, train);
        self.pump(now);
    }

    fn handle_net_error(&mut self, now: Time, err: &NetError) {
        self.stack.handle_net_error(now, err);
    }

    fn handle_timeout(&mut self, now: Time) {
        self.stack.handle_timeout(now);
        self.pump(now);
    }

    fn poll_transmit(&mut self, now: Time, max_segments: usize, buf: &mut Vec<u8>) -> Option<Transmit> {
        self.stack.poll_transmit(now, max_segments, buf)
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.stack.poll_timeout()
    }

    fn handle_addresses(&mut self, now: Time, change: AddrChange) {
        self.stack.handle_addresses(now, change);
    }
}

/// What came out of a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Outcome {
    /// User bytes received, in ten thousandths of what the link carries.
    goodput: u64,
    /// User bytes received, in ten thousandths of the room for them in the packets sent.
    fill: u64,
    /// Packets dropped by the queue.
    overflow: u64,
    /// Packets back per hundred packets there.
    sacks: u64,
}

fn run(link: Link, cfg: &AssocConfig, seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
    world.set_links(a, b, link.config());
    let node = Bulk::new(cfg, world.fork_entropy(), Some(b));
    let client = world.add(HostConfig::new("client", a), node);
    let node = Bulk::new(cfg, world.fork_entropy(), None);
    let server = world.add(HostConfig::new("server", b), node);
    world.with(client, |n, now| n.pump(now));
    world.run_until(Time::ZERO + Duration::from_secs(link.seconds));
    assert!(!world.node(client).lost, "association lost on {link:?}");
    let received = world.node(server).received;
    let (there, back) = (world.link_stats(a, b), world.link_stats(b, a));
    Outcome {
        goodput: received * 10_000 / (link.mbit * 125_000 * link.seconds),
        fill: received * 10_000 / (there.offered * MESSAGE as u64),
        overflow: there.queue_full,
        sacks: back.offered * 100 / there.offered,
    }
}

/// The configuration of table W5: windows of 4 MiB, all else as the RFC says.
fn w5() -> AssocConfig {
    let mut cfg = AssocConfig::rfc();
    cfg.recv_buffer = 4 << 20;
    cfg.send_buffer = 4 << 20;
    cfg
}

#[test]
fn probe() {
    for (rtt, loss) in [(50, 0), (50, 100), (50, 500), (10, 0), (10, 100), (10, 500)] {
        let link = Link::new(100, rtt, loss, 100, 60);
        let t = std::time::Instant::now();
        let mut all: Vec<_> = (1..=if loss == 0 { 1 } else { 3 }).map(|seed| run(link, &w5(), seed)).collect();
        all.sort();
        println!("{link:?} {:?} {:?} {:?}", all[all.len() / 2], all.iter().map(|o| o.goodput).collect::<Vec<_>>(), t.elapsed());
    }
}
