//! Two stacks on a network whose every fault the fuzzer chooses.
//!
//! Whatever it does: no panic, no timer that fires for ever, no endless stream of packets, bounded buffers. Unless packets were
//! forged, what an association delivers was sent, ordered messages in order and none twice; and unless an association was lost,
//! aborted or restarted, everything that was accepted for sending is delivered once the network heals.
//!
//! A blind attacker, who knows everything but the tags, sends what it likes from any address of either: nothing of the above
//! changes.
//!
//! A COOKIE ECHO that the network duplicates may open an association anew after the first one has ended, and then the DATA bundled
//! with it comes again: RFC 9260 has no remedy against it within the cookie's life, so nothing is said of two associations.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use sctp_user::wire::{Chunk, CommonHeader, Packet, PacketWriter, checksum};
use sctp_user::{
    AddrChange, AssocConfig, AssocId, Channel, CloseReason, EndpointConfig, EndpointId, Event, Meta, Node as _, PeerAddr, Ppid,
    SeededEntropy, SendError, SendOptions, Stack, StackConfig, StreamId, Time, Train, Vtag,
};

use crate::chunk::{FuzzChunk, Knowledge, reconfigure};

const MAX_OPS: usize = 200;
/// Packets in flight in one direction; the network drops what is beyond.
const MAX_IN_FLIGHT: usize = 256;
/// Packets that a stack may want to send at one moment, and timers that may fire within one step: more is a loop.
const MAX_AT_ONCE: usize = 20_000;
/// Longest time that one operation lets pass.
const MAX_ADVANCE_MS: u64 = 20_000;
/// How long the healed network runs: enough for any back-off (60 s) several times over; less if all has arrived.
const HEALED: Duration = Duration::from_secs(1_200);
const HEALED_IF_DONE: Duration = Duration::from_secs(90);
const STREAMS: u16 = 4;
const MAX_PATHS: usize = 3;
/// Chunks in a packet of the attacker.
const MAX_CHUNKS: usize = 8;
const PORT: u16 = 5001;

#[derive(Arbitrary, Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    A,
    B,
}

impl Side {
    const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// The address on a path; the second path is IPv6.
    fn ip(self, path: usize) -> IpAddr {
        let host = match self {
            Self::A => 1,
            Self::B => 2,
        };
        if path == 1 { [0xfd00, 0, 0, 0, 0, 0, 0, host].into() } else { [10, 0, u8::from(path > 0), host.to_be_bytes()[1]].into() }
    }

    /// The path that an address is on.
    fn path(self, ip: IpAddr) -> Option<usize> {
        (0..MAX_PATHS).find(|path| self.ip(*path) == ip)
    }
}

/// A packet on its way.
#[derive(Clone, Debug)]
struct Flying {
    src: IpAddr,
    dst: IpAddr,
    bytes: Bytes,
}

/// `from` names the sender whose packets in flight are meant; `nth` one of them, counted modulo their number.
#[derive(Arbitrary, Debug)]
enum Op {
    Connect(Side),
    Send {
        side: Side,
        sid: u8,
        len: u16,
        unordered: bool,
    },
    /// Everything in flight arrives, and what is sent in answer, until silence.
    Settle,
    Deliver {
        from: Side,
        nth: u8,
    },
    Drop {
        from: Side,
        nth: u8,
    },
    DropAll {
        from: Side,
    },
    Duplicate {
        from: Side,
        nth: u8,
    },
    /// Changes a byte and makes the checksum right again, as only an attacker who sees the traffic can.
    Forge {
        from: Side,
        nth: u8,
        at: u16,
        xor: u8,
    },
    /// Changes a byte; the checksum must find it.
    Damage {
        from: Side,
        nth: u8,
        at: u16,
        xor: u8,
    },
    Advance {
        ms: u16,
    },
    Read(Side),
    /// Whether messages are read as they come.
    Reading {
        side: Side,
        on: bool,
    },
    Shutdown(Side),
    Abort(Side),
    Heartbeat(Side),
    /// The user asks for other streams.
    Reconfig {
        side: Side,
        what: u8,
    },
    /// The process dies and starts anew with the same port.
    Restart(Side),
    /// A path goes down or up, for packets of this sender.
    Path {
        from: Side,
        path: u8,
        up: bool,
    },
    /// A host has some of its addresses from now on, or all.
    Addresses {
        side: Side,
        some: u8,
    },
    /// The attacker sends a packet to this side.
    Blind {
        to: Side,
        path: u8,
        tag: u32,
        chunks: Vec<FuzzChunk>,
    },
}

#[derive(Arbitrary, Debug)]
struct Setup {
    seed: u64,
    /// Receive buffer and MTU, in steps.
    small_window: bool,
    mtu: u8,
    segments: u8,
    paths: u8,
}

impl Setup {
    fn ips(&self, side: Side) -> Vec<IpAddr> {
        (0..=usize::from(self.paths) % MAX_PATHS).map(|path| side.ip(path)).collect()
    }
}

/// An association at one host, over all lives of its process.
type Key = (u64, AssocId);

/// A message as it was accepted for sending: stream, whether unordered, length.
type Sent = (u16, bool, usize);

/// What one host sent and got, by numbers that are in every message.
#[derive(Debug)]
struct Peer {
    stack: Stack,
    endpoint: EndpointId,
    assocs: BTreeSet<AssocId>,
    /// Counts the lives of the process.
    life: u64,
    reading: bool,
    /// What was accepted for sending.
    sent: BTreeMap<u64, Sent>,
    /// What of it the other end has not got.
    pending: BTreeSet<u64>,
    delivered: BTreeSet<(Key, u64)>,
    /// The last number delivered in order, by association and stream.
    last: BTreeMap<(Key, u16), u64>,
    /// What came of messages that come in parts, by association and stream.
    begun: BTreeMap<(Key, u16), Vec<u8>>,
}

struct World {
    now: Time,
    peers: [Peer; 2],
    /// By sender.
    in_flight: [VecDeque<Flying>; 2],
    /// By sender and path.
    down: [[bool; MAX_PATHS]; 2],
    /// Tags that are in use, which the attacker cannot guess.
    tags: BTreeSet<u32>,
    /// What the attacker knows.
    known: Knowledge,
    config: Arc<AssocConfig>,
    setup: Setup,
    next_number: u64,
    generation: u64,
    /// Packets were made up: nothing can be said of messages.
    forged: bool,
    /// An association ended other than by a shutdown that both sides saw through: messages may be missing.
    disturbed: bool,
}

/// Runs a setup and a list of operations made from `data`, then lets the network heal.
pub fn two_peers(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(setup) = Setup::arbitrary(&mut u) else { return };
    let mut world = World::new(setup);
    for _ in 0..MAX_OPS {
        if u.is_empty() {
            break;
        }
        let Ok(op) = Op::arbitrary(&mut u) else { break };
        world.apply(&op);
    }
    world.heal();
}

fn peer(seed: u64, config: &Arc<AssocConfig>, addrs: Vec<IpAddr>) -> Peer {
    let mut stack = Stack::new(StackConfig::default(), Box::new(SeededEntropy::new(seed)));
    let mut endpoint = EndpointConfig::new(PORT);
    endpoint.assoc = Arc::clone(config);
    let endpoint = stack.open(endpoint).unwrap_or_else(|e| panic!("{e}"));
    stack.listen(endpoint, true);
    stack.handle_addresses(Time::from_millis(1_000), AddrChange::Set(addrs));
    Peer {
        stack,
        endpoint,
        assocs: BTreeSet::new(),
        life: 0,
        reading: true,
        sent: BTreeMap::new(),
        pending: BTreeSet::new(),
        delivered: BTreeSet::new(),
        last: BTreeMap::new(),
        begun: BTreeMap::new(),
    }
}

impl World {
    fn new(setup: Setup) -> Self {
        let mut config = AssocConfig::rfc();
        config.outbound_streams = STREAMS;
        config.max_inbound_streams = STREAMS;
        config.mtu = 576 + usize::from(setup.mtu) * 8;
        config.send_buffer = 64 << 10;
        config.max_message = 64 << 10;
        // Only interleaved messages come in parts.
        config.interleaving = setup.seed & 2 != 0;
        (config.partial_delivery, config.interleave_streams) = (config.interleaving, config.interleaving);
        config.add_ip = setup.seed & 1 != 0;
        config.add_ip_without_auth = true;
        let willing = setup.seed & 2 != 0;
        (config.accept_stream_reset, config.accept_association_reset, config.accept_added_streams) = (willing, willing, willing);
        config.recv_buffer = if setup.small_window { 4_000 } else { 256 << 10 };
        crate::auth::configure(&mut config, setup.seed);
        config.validate().unwrap_or_else(|e| panic!("{e}"));
        let config = Arc::new(config);
        Self {
            now: Time::from_millis(1_000),
            peers: [peer(setup.seed, &config, setup.ips(Side::A)), peer(setup.seed ^ 0xb, &config, setup.ips(Side::B))],
            in_flight: [VecDeque::new(), VecDeque::new()],
            down: [[false; MAX_PATHS]; 2],
            tags: BTreeSet::from([0]),
            known: Knowledge { peer_tag: 1, ..Knowledge::default() },
            config,
            setup,
            next_number: 1,
            generation: 0,
            forged: false,
            disturbed: false,
        }
    }

    fn peer(&mut self, side: Side) -> &mut Peer {
        let [a, b] = &mut self.peers;
        match side {
            Side::A => a,
            Side::B => b,
        }
    }

    fn flight(&mut self, from: Side) -> &mut VecDeque<Flying> {
        let [a, b] = &mut self.in_flight;
        match from {
            Side::A => a,
            Side::B => b,
        }
    }

    fn take(&mut self, from: Side, nth: u8) -> Option<Flying> {
        let flight = self.flight(from);
        let n = flight.len();
        flight.remove(usize::from(nth).checked_rem(n)?)
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Connect(side) => self.connect(side),
            Op::Send { side, sid, len, unordered } => self.send(side, u16::from(sid) % (STREAMS + 1), len, unordered),
            Op::Settle => self.settle(),
            Op::Deliver { from, nth } => {
                if let Some(packet) = self.take(from, nth) {
                    self.arrive(from, packet);
                }
            }
            Op::Drop { from, nth } => drop(self.take(from, nth)),
            Op::DropAll { from } => self.flight(from).clear(),
            Op::Duplicate { from, nth } => {
                if let Some(packet) = self.take(from, nth) {
                    self.flight(from).push_back(packet.clone());
                    self.arrive(from, packet);
                }
            }
            Op::Forge { from, nth, at, xor } => {
                if let Some(packet) = self.take(from, nth) {
                    self.forged |= xor != 0;
                    let mut bytes = flip(&packet.bytes, at, xor);
                    checksum::seal(&mut bytes);
                    self.arrive(from, Flying { bytes: bytes.into(), ..packet });
                }
            }
            Op::Damage { from, nth, at, xor } => {
                if let Some(packet) = self.take(from, nth) {
                    // Under `cfg(fuzzing)` checksums are not looked at.
                    self.forged |= cfg!(fuzzing) && xor != 0;
                    let bytes = flip(&packet.bytes, at, xor).into();
                    self.arrive(from, Flying { bytes, ..packet });
                }
            }
            Op::Advance { ms } => self.advance(Duration::from_millis(u64::from(ms) % MAX_ADVANCE_MS)),
            Op::Read(side) => self.read(side),
            Op::Reading { side, on } => self.peer(side).reading = on,
            Op::Shutdown(side) => self.each(side, |stack, now, id| stack.assoc(id).map(|mut a| a.shutdown(now))),
            Op::Abort(side) => {
                self.disturbed = true;
                self.each(side, |stack, now, id| stack.assoc(id).map(|mut a| a.abort(now, b"fuzz")));
            }
            Op::Reconfig { side, what } => self.each(side, |stack, now, id| stack.assoc(id).map(|mut a| reconfigure(&mut a, now, what))),
            Op::Heartbeat(side) => self.each(side, |stack, now, id| {
                let mut assoc = stack.assoc(id)?;
                assoc.heartbeat(now);
                crate::auth::change_keys(&mut assoc, now);
                Some(())
            }),
            Op::Restart(side) => self.restart(side),
            Op::Path { from, path, up } => {
                let [a, b] = &mut self.down;
                let paths = if from == Side::A { a } else { b };
                if let Some(down) = paths.get_mut(usize::from(path) % MAX_PATHS) {
                    *down = !up;
                }
            }
            Op::Addresses { side, some } => {
                let all = self.setup.ips(side);
                let kept = |(n, ip): (usize, &IpAddr)| (some >> (n % 8) & 1 != 0).then_some(*ip);
                let addrs: Vec<_> = all.iter().enumerate().filter_map(kept).collect();
                let now = self.now;
                self.peer(side).stack.handle_addresses(now, AddrChange::Set(if addrs.is_empty() { all } else { addrs }));
            }
            Op::Blind { to, path, tag, ref chunks } => self.attack(to, usize::from(path), tag, chunks),
        }
        self.pump();
    }

    /// Calls `f` for each association of `side`.
    fn each(&mut self, side: Side, f: impl Fn(&mut Stack, Time, AssocId) -> Option<()>) {
        let now = self.now;
        let peer = self.peer(side);
        for id in peer.assocs.clone() {
            let _ = f(&mut peer.stack, now, id);
        }
    }

    fn connect(&mut self, side: Side) {
        let now = self.now;
        let to: Vec<_> = self.setup.ips(side.other()).into_iter().map(|ip| PeerAddr::from(SocketAddr::new(ip, PORT))).collect();
        let peer = self.peer(side);
        if let Ok(id) = peer.stack.connect(now, peer.endpoint, &to, None) {
            peer.assocs.insert(id);
        }
    }

    fn restart(&mut self, side: Side) {
        self.disturbed = true;
        self.generation += 1;
        let fresh = peer(self.setup.seed.wrapping_add(self.generation << 8), &self.config, self.setup.ips(side));
        let life = self.generation;
        let peer = self.peer(side);
        // The books go on: what the old process sent may still arrive.
        (peer.stack, peer.endpoint, peer.assocs, peer.life) = (fresh.stack, fresh.endpoint, fresh.assocs, life);
    }

    fn send(&mut self, side: Side, sid: u16, len: u16, unordered: bool) {
        let (now, number) = (self.now, self.next_number);
        self.next_number += 1;
        let len = usize::from(len).max(8);
        let payload = message(number, len);
        let options = if unordered { SendOptions::unordered() } else { SendOptions::ordered() };
        let peer = self.peer(side);
        let Some(id) = peer.assocs.last().copied() else { return };
        let Some(mut assoc) = peer.stack.assoc(id) else { return };
        match assoc.send(now, StreamId(sid), Ppid(7), payload, options) {
            Ok(()) => {
                peer.sent.insert(number, (sid, unordered, len));
                peer.pending.insert(number);
            }
            Err(SendError::WouldBlock | SendError::Closed) => {}
            Err(SendError::InvalidStream) => {}
            Err(e) => panic!("{len} bytes on stream {sid}: {e}"),
        }
    }

    /// A packet of `from` reaches the other host, unless its path is down.
    fn arrive(&mut self, from: Side, packet: Flying) {
        let down = self.down.get(from as usize).zip(from.other().path(packet.dst)).and_then(|(paths, n)| paths.get(n));
        if down.copied().unwrap_or(true) {
            return;
        }
        self.hand_over(from.other(), packet);
    }

    fn hand_over(&mut self, to: Side, packet: Flying) {
        let now = self.now;
        let channel = Channel::Udp { local: 9899, remote: 9899 };
        let meta = Meta { src: packet.src, dst: packet.dst, channel, ecn: None, ifindex: None };
        self.peer(to).stack.handle_batch(now, &meta, Train::single(packet.bytes));
    }

    /// Somebody who has not seen the tags sends a packet in the name of the other side. Without a tag goes only the INIT.
    fn attack(&mut self, to: Side, path: usize, tag: u32, chunks: &[FuzzChunk]) {
        let init = matches!(chunks, [FuzzChunk::Init(_)]);
        if !init && self.tags.contains(&tag) {
            return;
        }
        let mut bytes = Vec::new();
        let vtag = Vtag(if init { 0 } else { tag });
        let mut w = PacketWriter::new(&mut bytes, CommonHeader { src_port: PORT, dst_port: PORT, vtag }, 65_535);
        for chunk in chunks.iter().take(MAX_CHUNKS) {
            chunk.write(&mut self.known, &mut w);
        }
        w.finish();
        let path = path % MAX_PATHS;
        let packet = Flying { src: to.other().ip(path), dst: to.ip(path), bytes: bytes.into() };
        self.hand_over(to, packet);
    }

    /// The attacker sees all but the tags.
    fn eavesdrop(&mut self, packet: &[u8]) {
        let Ok(packet) = Packet::parse(packet) else { return };
        self.tags.insert(packet.header.vtag.0);
        for chunk in packet.chunks().flatten().flat_map(|raw| raw.decode()) {
            match chunk {
                Chunk::Init(init) | Chunk::InitAck(init) => drop(self.tags.insert(init.tag.0)),
                Chunk::Data(d) => (self.known.highest, self.known.next_tsn) = (d.tsn.0, d.tsn.0.wrapping_add(1)),
                Chunk::Heartbeat(hb) => self.known.heartbeat = hb.tlvs.to_vec(),
                _ => {}
            }
        }
    }

    /// Takes what both stacks want to send and to tell.
    fn pump(&mut self) {
        for side in [Side::A, Side::B] {
            self.transmit(side);
            self.events(side);
            if self.peer(side).reading {
                self.read(side);
                self.transmit(side);
            }
        }
    }

    fn transmit(&mut self, side: Side) {
        let (now, segments) = (self.now, usize::from(self.setup.segments % 8) + 1);
        // Probes of the path MTU may be that long.
        let mtu = self.config.mtu.max(self.config.max_mtu);
        for n in 0.. {
            assert!(n < MAX_AT_ONCE, "{side:?} sends for ever");
            let mut buf = Vec::new();
            let Some(transmit) = self.peer(side).stack.poll_transmit(now, segments, &mut buf) else { break };
            assert_eq!(transmit.size, buf.len());
            // An attacker may make a host answer whom it likes.
            let (dst, first) = (transmit.dst.ip(), side.ip(0));
            let src = transmit.src.unwrap_or_else(|| side.other().path(dst).map_or(first, |path| side.ip(path)));
            let stride = transmit.segment_size.unwrap_or(buf.len());
            for packet in buf.chunks(stride) {
                // The least common denominator: an answer that reflects what came may be as long as that.
                assert!(self.forged || packet.len() <= mtu, "packet of {} bytes with an MTU of {mtu}", packet.len());
                assert!(checksum::verify(packet));
                self.eavesdrop(packet);
                let flight = self.flight(side);
                flight.push_back(Flying { src, dst, bytes: Bytes::copy_from_slice(packet) });
                if flight.len() > MAX_IN_FLIGHT {
                    flight.pop_front();
                }
            }
        }
    }

    fn events(&mut self, side: Side) {
        for n in 0.. {
            assert!(n < MAX_AT_ONCE, "{side:?} has events without end");
            let Some((_, id, event)) = self.peer(side).stack.poll_event() else { break };
            match event {
                Event::Connected { .. } => drop(self.peer(side).assocs.insert(id)),
                Event::Restarted => self.disturbed = true,
                Event::Lost { reason } => {
                    self.disturbed |= reason != CloseReason::Shutdown;
                    self.read(side);
                    self.peer(side).assocs.remove(&id);
                }
                Event::SendFailed { message, .. } => {
                    if let Some(number) = number_of(&message.payload) {
                        self.disturbed |= self.peer(side).pending.contains(&number);
                    }
                }
                _ => {}
            }
        }
    }

    fn read(&mut self, side: Side) {
        for id in self.peer(side).assocs.clone() {
            while let Some(mut m) = self.peer(side).stack.assoc(id).and_then(|mut a| a.recv()) {
                if self.forged {
                    continue;
                }
                if !m.is_whole() {
                    let peer = self.peer(side);
                    let begun = peer.begun.entry(((peer.life, id), m.sid.0)).or_default();
                    if m.offset == 0 {
                        begun.clear();
                    }
                    assert_eq!(begun.len() as u64, m.offset, "another message between the parts of one");
                    begun.extend_from_slice(&m.payload);
                    if m.more {
                        continue;
                    }
                    m.payload = core::mem::take(begun).into();
                }
                let number = number_of(&m.payload).unwrap_or_else(|| panic!("{} bytes that nobody sent", m.payload.len()));
                assert_eq!(m.payload, message(number, m.payload.len()), "message {number} changed");
                assert_eq!(m.ppid, Ppid(7));
                let sender = self.peer(side.other());
                sender.pending.remove(&number);
                assert_eq!(
                    sender.sent.get(&number),
                    Some(&(m.sid.0, m.unordered, m.payload.len())),
                    "message {number} is not as it was sent"
                );
                let peer = self.peer(side);
                let key = (peer.life, id);
                assert!(peer.delivered.insert((key, number)), "message {number} twice");
                if !m.unordered
                    && let Some(before) = peer.last.insert((key, m.sid.0), number)
                {
                    assert!(before < number, "{number} after {before} on stream {}", m.sid);
                }
            }
        }
    }

    /// Lets time pass, timers fire, and packets stay where they are.
    fn advance(&mut self, by: Duration) {
        let until = self.now + by;
        for n in 0.. {
            assert!(n < MAX_AT_ONCE, "timers fire for ever at {}", self.now);
            let Some(next) = self.next_deadline().filter(|t| *t <= until) else { break };
            self.fire(next);
        }
        self.now = until;
    }

    fn next_deadline(&self) -> Option<Time> {
        self.peers.iter().filter_map(|p| p.stack.poll_timeout()).min()
    }

    fn fire(&mut self, at: Time) {
        self.now = at.max(self.now);
        let now = self.now;
        for side in [Side::A, Side::B] {
            let stack = &mut self.peer(side).stack;
            if stack.poll_timeout().is_some_and(|t| t <= now) {
                stack.handle_timeout(now);
            }
        }
        self.pump();
    }

    /// Delivers until nothing is in flight.
    fn settle(&mut self) {
        for n in 0.. {
            assert!(self.forged || n < MAX_AT_ONCE, "the two talk for ever");
            if n >= MAX_AT_ONCE {
                return;
            }
            let mut quiet = true;
            for from in [Side::A, Side::B] {
                if let Some(packet) = self.flight(from).pop_front() {
                    quiet = false;
                    self.arrive(from, packet);
                    self.pump();
                }
            }
            if quiet {
                return;
            }
        }
    }

    /// From now on nothing is lost and everybody reads: what was accepted arrives, unless an association ended before.
    fn heal(&mut self) {
        for side in [Side::A, Side::B] {
            self.peer(side).reading = true;
        }
        self.down = [[false; MAX_PATHS]; 2];
        let (until, enough) = (self.now + HEALED, self.now + HEALED_IF_DONE);
        self.pump();
        self.settle();
        for n in 0.. {
            if self.forged && n >= MAX_AT_ONCE {
                return;
            }
            assert!(n < MAX_AT_ONCE, "timers fire for ever at {}", self.now);
            let done = self.peers.iter().all(|p| p.pending.is_empty());
            let until = if done { enough } else { until };
            let Some(next) = self.next_deadline().filter(|t| *t <= until) else { break };
            self.fire(next);
            self.settle();
        }
        for side in [Side::A, Side::B] {
            self.read(side);
            let peer = self.peer(side);
            for id in peer.assocs.clone() {
                let buffered = peer.stack.assoc(id).map_or(0, |a| a.status().buffered);
                assert!(buffered <= 128 << 10, "{buffered} bytes in a send buffer of 64 KiB");
            }
        }
        if !self.forged && !self.disturbed {
            let left: Vec<_> = self.peers.iter().map(|p| p.pending.iter().collect::<Vec<_>>()).collect();
            assert!(left.iter().all(Vec::is_empty), "not delivered: {left:?}");
        }
    }
}

/// A message that tells its number and can be checked.
fn message(number: u64, len: usize) -> Bytes {
    let mut bytes = number.to_be_bytes().to_vec();
    let fill = bytes.last().copied().unwrap_or(0);
    bytes.resize(len, fill);
    bytes.into()
}

fn number_of(payload: &[u8]) -> Option<u64> {
    payload.first_chunk::<8>().map(|b| u64::from_be_bytes(*b))
}

fn flip(packet: &[u8], at: u16, xor: u8) -> Vec<u8> {
    let mut bytes = packet.to_vec();
    let at = usize::from(at) % bytes.len().max(1);
    if let Some(b) = bytes.get_mut(at) {
        *b ^= xor;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> World {
        World::new(Setup { seed: 1, small_window: false, mtu: 115, segments: 3, paths: 0 })
    }

    fn send(side: Side, len: u16) -> Op {
        Op::Send { side, sid: 1, len, unordered: false }
    }

    /// The harness reaches what it claims to check: an association, loss, retransmission, delivery in both directions.
    #[test]
    fn messages_get_through_a_lossy_network() {
        let mut w = world();
        for op in [Op::Connect(Side::A), Op::Settle, send(Side::A, 5000), send(Side::B, 20)] {
            w.apply(&op);
        }
        assert_eq!(w.peers.each_ref().map(|p| p.assocs.len()), [1, 1]);
        w.apply(&Op::DropAll { from: Side::A });
        w.apply(&Op::Settle);
        assert_eq!(w.peers.each_ref().map(|p| p.delivered.len()), [1, 0]);
        w.heal();
        assert_eq!(w.peers.each_ref().map(|p| p.delivered.len()), [1, 1]);
        assert!(!w.disturbed && !w.forged);
    }

    #[test]
    #[should_panic(expected = "not delivered")]
    fn a_missing_message_is_noticed() {
        let mut w = world();
        for op in [Op::Connect(Side::A), Op::Settle, send(Side::A, 100)] {
            w.apply(&op);
        }
        w.peer(Side::A).pending.insert(99);
        w.heal();
    }

    #[test]
    #[should_panic(expected = "twice")]
    fn a_message_delivered_twice_is_noticed() {
        let mut w = world();
        for op in [Op::Connect(Side::A), Op::Settle, Op::Reading { side: Side::B, on: false }, send(Side::A, 100), Op::Settle] {
            w.apply(&op);
        }
        let id = w.peer(Side::B).assocs.first().copied().unwrap();
        w.peer(Side::B).delivered.insert(((0, id), 1));
        w.apply(&Op::Read(Side::B));
    }
}
