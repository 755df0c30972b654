//! Goodput on simulated links: rate, round trip, loss and queue against what arrives. The table is a committed snapshot
//! (`tests/snapshots/goodput.txt`), so that a change of the sender shows; `UPDATE=1` writes it anew.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use std::{env, fs, thread};

use bytes::Bytes;
use sctp_user::sim::{Chance, HostConfig, LinkConfig, Loss, World};
use sctp_user::{
    AddrChange, AssocConfig, AssocId, Congestion, EndpointConfig, Entropy, Event, Meta, NetError, Node, PeerAddr, Ppid, SendOptions, Stack,
    StackConfig, StreamId, Time, Train, Transmit,
};

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots/goodput.txt");
/// User bytes of a message, one a packet: 1424 of 1480 bytes on the wire, IP and UDP header counted.
const MESSAGE: usize = 1424;
const PORT: u16 = 5000;

/// A link, the same in both directions, and how long it is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
    /// User bytes received, in thousandths of what the link carries.
    goodput: u64,
    /// User bytes received, in thousandths of the room for them in the packets sent.
    fill: u64,
    /// Packets dropped by the queue.
    overflow: u64,
    /// Packets back per hundred packets there.
    sacks: u64,
    /// Retransmission time-outs.
    timeouts: u64,
    /// DATA chunks sent again, per thousand.
    again: u64,
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
    let stats = world.with(client, |n, _| n.assoc.and_then(|id| n.stack.assoc(id)).unwrap().stats());
    Outcome {
        goodput: received * 1000 / (link.mbit * 125_000 * link.seconds),
        fill: received * 1000 / (there.offered * MESSAGE as u64),
        overflow: there.queue_full,
        sacks: back.offered * 100 / there.offered,
        timeouts: stats.t3_expireds,
        again: stats.rtx_chunks * 1000 / there.offered,
    }
}

/// The configuration of table W5: windows of 4 MiB, all else as the RFC says.
fn w5(congestion: Congestion) -> AssocConfig {
    let mut cfg = AssocConfig::rfc();
    // What is measured is the control of a link whose MTU is known.
    cfg.pmtu_discovery = false;
    cfg.recv_buffer = 4 << 20;
    cfg.send_buffer = 4 << 20;
    cfg.congestion = congestion;
    cfg
}

const RFC: Congestion = Congestion::Rfc9260;
const CUBIC: Congestion = Congestion::Cubic;

/// A fast long path with rare loss, where windows grow for long.
const LONG_FAT: Link = Link::new(100, 200, 1, 100, 40);
/// A short path with a small window, where CUBIC is to be as Reno.
const SHORT: Link = Link::new(10, 10, 100, 100, 60);

/// What is measured; the first six are those of table W5: 100 Mbit/s, queue of one
/// bandwidth-delay product.
const CELLS: &[(Link, Congestion)] = &[
    (Link::new(100, 50, 0, 100, 60), RFC),
    (Link::new(100, 50, 100, 100, 60), RFC),
    (Link::new(100, 50, 500, 100, 60), RFC),
    (Link::new(100, 10, 0, 100, 60), RFC),
    (Link::new(100, 10, 100, 100, 60), RFC),
    (Link::new(100, 10, 500, 100, 60), RFC),
    (Link::new(100, 50, 0, 100, 10), CUBIC),
    (Link::new(100, 50, 100, 100, 60), CUBIC),
    (Link::new(100, 50, 500, 100, 60), CUBIC),
    (Link::new(100, 10, 0, 100, 5), CUBIC),
    (Link::new(100, 10, 100, 100, 60), CUBIC),
    (Link::new(100, 10, 500, 100, 60), CUBIC),
    (LONG_FAT, RFC),
    (LONG_FAT, CUBIC),
    (SHORT, RFC),
    (SHORT, CUBIC),
    // Shallow and deep queues.
    (Link::new(20, 100, 0, 20, 30), RFC),
    (Link::new(20, 100, 0, 20, 30), CUBIC),
    (Link::new(20, 20, 0, 400, 15), RFC),
    (Link::new(20, 20, 0, 400, 15), CUBIC),
    // A modem and a data centre.
    (Link::new(1, 200, 0, 200, 60), RFC),
    (Link::new(1000, 1, 0, 100, 1), RFC),
];

/// The median of three seeds, or of one where nothing is random.
fn measure(link: Link, congestion: Congestion) -> Outcome {
    let seeds = if link.loss == 0 { 1 } else { 3 };
    let mut all: Vec<_> = (1..=seeds).map(|seed| run(link, &w5(congestion), seed)).collect();
    all.sort();
    all[all.len() / 2]
}

static OUTCOMES: LazyLock<Vec<Outcome>> = LazyLock::new(|| {
    // The slow cells stand first: two threads share the work about evenly by turns.
    let half = |parity| CELLS.iter().skip(parity).step_by(2).map(|&(link, congestion)| measure(link, congestion)).collect::<Vec<_>>();
    let (even, odd) = thread::scope(|s| {
        let odd = s.spawn(|| half(1));
        (half(0), odd.join().unwrap())
    });
    (0..CELLS.len()).map(|n| if n % 2 == 0 { even[n / 2] } else { odd[n / 2] }).collect()
});

fn outcome(link: Link, congestion: Congestion) -> Outcome {
    OUTCOMES[CELLS.iter().position(|cell| *cell == (link, congestion)).unwrap()]
}

fn table() -> String {
    let mut out = String::from(
        "Goodput in the simulator: messages of 1424 bytes, windows of 4 MiB, medians of three seeds where packets are lost.\n\
         queue: in bandwidth-delay products; goodput: user bytes by what the link carries (at most 0.962); fill: user bytes\n\
         received by the room for them in the packets sent; drops: by the queue; SACKs: packets back per packet there; T3:\n\
         time-outs; again: part of the chunks that was sent again. `UPDATE=1 cargo test -p testbed --test sim goodput` writes it.\n\n\
         Mbit/s  RTT ms  loss %  queue  time s  control   goodput   fill  drops  SACKs  T3  again\n",
    );
    for ((link, congestion), o) in CELLS.iter().zip(&*OUTCOMES) {
        let Link { mbit, rtt_ms, loss, queue, seconds } = *link;
        let thousandths = |n: u64| format!("{}.{:03}", n / 1000, n % 1000);
        let hundredths = |n: u64| format!("{}.{:02}", n / 100, n % 100);
        writeln!(
            out,
            "{mbit:6}  {rtt_ms:6}  {:>6}  {:>5}  {seconds:6}  {:<8}  {:>7}  {:>5}  {:5}  {:>5}  {:2}  {:>5}",
            hundredths(u64::from(loss)),
            hundredths(queue),
            format!("{congestion:?}"),
            thousandths(o.goodput),
            thousandths(o.fill),
            o.overflow,
            hundredths(o.sacks),
            o.timeouts,
            thousandths(o.again),
        )
        .unwrap();
    }
    out
}

#[test]
fn goodput_is_as_recorded() {
    let found = table();
    if env::var_os("UPDATE").is_some() {
        fs::write(SNAPSHOT, &found).unwrap();
    }
    let recorded = fs::read_to_string(SNAPSHOT).unwrap_or_default();
    assert!(found == recorded, "goodput changed; if that is meant, UPDATE=1 records it. Recorded:\n{recorded}\nFound:\n{found}");
}

/// The links of table W5: nearly all of the link without loss, no time-out after the slow-start overshoot, and with loss what
/// libusrsctp reaches, at least (its goodput in thousandths).
#[test]
fn the_links_of_table_w5_are_used_as_well_as_others_do() {
    for (rtt, loss, least) in [(50, 0, 945), (50, 100, 30), (50, 500, 12), (10, 0, 960), (10, 100, 147), (10, 500, 53)] {
        let o = outcome(Link::new(100, rtt, loss, 100, 60), RFC);
        assert!(o.goodput * 100 >= least * if loss == 0 { 100 } else { 95 }, "RTT {rtt} ms, loss {loss}: {o:?}");
        assert!(o.fill * 1000 >= 980 * (1000 - u64::from(loss) / 10), "packets are filled: {o:?}");
        assert!(loss > 0 || o.timeouts == 0, "{o:?}");
        assert!(o.sacks >= 48, "{o:?}");
    }
}

#[test]
fn cubic_fills_a_long_fat_path_sooner_and_is_as_reno_on_a_short_one() {
    let (reno, cubic) = (outcome(LONG_FAT, RFC).goodput, outcome(LONG_FAT, CUBIC).goodput);
    assert!(cubic > reno * 3 / 2, "long and fat: {cubic} against {reno}");
    let (reno, cubic) = (outcome(SHORT, RFC).goodput, outcome(SHORT, CUBIC).goodput);
    assert!((reno * 9 / 10..=reno * 13 / 10).contains(&cubic), "short: {cubic} against {reno}");
}

#[test]
fn slow_start_with_l_two_is_faster() {
    let link = Link::new(100, 100, 0, 1000, 1);
    let goodput = |slow_start_l| {
        let mut cfg = w5(RFC);
        cfg.slow_start_l = slow_start_l;
        run(link, &cfg, 1).goodput
    };
    let (one, two) = (goodput(1), goodput(2));
    assert!(two * 4 > one * 5, "{two} against {one}");
}
