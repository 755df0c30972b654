//! One stack between an arbitrary user and an arbitrary peer: operations, packets and time in any order.
//!
//! The peer knows the tags when it wants to, the TSNs and the cookie; its packets are well formed or not. Whatever it does: no
//! panic, no timer that is due for ever, no endless stream of packets, no association that never ends, no memory beyond
//! the buffers. A twin of the stack, to which all happens but the packets with a wrong verification tag, does and says the same.

use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use sctp_user::wire::{Chunk, CommonHeader, Packet, PacketWriter, checksum};
use sctp_user::{
    AddrChange, AssocConfig, AssocId, Channel, EndpointConfig, EndpointId, Event, Meta, NetError, NetErrorKind, Node as _, PeerAddr, Ppid,
    Reliability, SeededEntropy, SendOptions, Stack, StackConfig, StreamId, StreamScheduler, Time, Train, Transmit, Vtag,
};

use crate::chunk::{FuzzChunk, FuzzInit, FuzzParam, Knowledge, reconfigure};

const MAX_OPS: usize = 300;
/// Packets that a stack may want to send at one moment, and timers that may fire within one step: more is a loop.
const MAX_AT_ONCE: usize = 20_000;
/// Chunks in a packet.
const MAX_CHUNKS: usize = 12;
/// Packets of the past that may come again.
const MAX_PAST: usize = 32;
const SEND_BUFFER: usize = 64 << 10;
/// What the two stacks and this harness may hold at one time, in bytes.
const MAX_MEMORY: u64 = 4 << 20;
/// A peer that says nothing for so long is found out: Association.Max.Retrans time-outs of a minute, several times over.
const SILENCE: Duration = Duration::from_secs(4 * 3_600);
const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const PORTS: (u16, u16) = (5_000, 5_001);
const CHANNEL: Channel = Channel::Udp { local: 9899, remote: 9899 };

#[derive(Arbitrary, Debug)]
struct Setup {
    seed: u64,
    peer_tag: u32,
    peer_tsn: u32,
    small_window: bool,
    mtu: u8,
    segments: u8,
    nagle: bool,
    /// Whether the stack opens the association, or waits.
    active: bool,
    /// Whether the handshake is over when the operations begin.
    established: bool,
}

#[derive(Arbitrary, Debug)]
enum Tag {
    Right,
    /// The one of the last INIT ACK.
    Offered,
    Zero,
    /// The peer's own, as with the T bit.
    Reflected,
    Wrong(u32),
}

#[derive(Arbitrary, Debug)]
enum Op {
    Connect,
    Send {
        sid: u8,
        len: u16,
        unordered: bool,
    },
    Read {
        some: u8,
    },
    Shutdown,
    Abort,
    Heartbeat,
    /// The user asks for other streams.
    Reconfig {
        what: u8,
    },
    Advance {
        ms: u16,
    },
    /// Time passes until the next timer fires.
    Fire,
    Packet {
        tag: Tag,
        from: u8,
        chunks: Vec<FuzzChunk>,
    },
    /// The right tag, then anything.
    Garbage {
        body: Vec<u8>,
    },
    /// A packet that came before comes again.
    Again {
        nth: u8,
    },
    /// The peer acknowledges all it has seen and goes on; a short cut into later states.
    Obey,
    NetError {
        kind: u8,
        mtu: u16,
        right_tag: bool,
    },
    Addresses {
        first: bool,
        second: bool,
    },
}

/// A stack with its user.
#[derive(Debug)]
struct Host {
    stack: Stack,
    endpoint: EndpointId,
    assocs: BTreeSet<AssocId>,
    lost: BTreeSet<AssocId>,
    messages: usize,
}

/// What a stack did in a step.
type Deeds = (Vec<(Transmit, Vec<u8>)>, Vec<(AssocId, Event)>);

struct World {
    setup: Setup,
    now: Time,
    host: Host,
    /// The same, but for packets with a wrong tag.
    twin: Host,
    known: Knowledge,
    local_tag: u32,
    offered_tag: u32,
    /// A wrong tag that was just used: an address that is no longer ours answers with it, out of the blue.
    reflected: Option<u32>,
    past: VecDeque<(IpAddr, Bytes)>,
}

/// Runs a setup and a list of operations made from `data`, then leaves the stack alone.
pub fn assoc_ops(data: &[u8]) {
    let memory = allocation_counter::measure(|| {
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
        world.silence();
    });
    assert!(memory.bytes_max <= MAX_MEMORY + 64 * data.len() as u64, "{} bytes at one time", memory.bytes_max);
}

/// One of the stream schedulers.
fn scheduler(seed: u64) -> StreamScheduler {
    match seed / 4 % 6 {
        0 => StreamScheduler::FirstCome,
        1 => StreamScheduler::RoundRobinPacket,
        2 => StreamScheduler::Priority,
        3 => StreamScheduler::FairCapacity,
        4 => StreamScheduler::WeightedFair,
        _ => StreamScheduler::RoundRobin,
    }
}

impl Host {
    fn new(setup: &Setup) -> Self {
        let mut config = AssocConfig::rfc();
        config.outbound_streams = 4;
        config.max_inbound_streams = 4;
        config.mtu = 576 + usize::from(setup.mtu) * 8;
        config.send_buffer = SEND_BUFFER;
        config.recv_buffer = if setup.small_window { 4_000 } else { 64 << 10 };
        config.max_message = 64 << 10;
        config.nagle = setup.nagle;
        config.interleaving = setup.seed & 2 != 0;
        config.interleave_streams = config.interleaving;
        config.scheduler = scheduler(setup.seed);
        config.add_ip = setup.seed & 1 != 0;
        config.add_ip_without_auth = true;
        let willing = setup.seed & 2 != 0;
        (config.accept_stream_reset, config.accept_association_reset, config.accept_added_streams) = (willing, willing, willing);
        crate::auth::configure(&mut config, setup.seed);
        let mut stack = Stack::new(StackConfig::default(), Box::new(SeededEntropy::new(setup.seed)));
        let endpoint = stack.open(EndpointConfig::with(PORTS.0, Arc::new(config))).unwrap_or_else(|e| panic!("{e}"));
        stack.listen(endpoint, true);
        Self { stack, endpoint, assocs: BTreeSet::new(), lost: BTreeSet::new(), messages: 0 }
    }

    fn connect(&mut self, now: Time) {
        let to = PeerAddr::from(SocketAddr::new(peer_ip(0), PORTS.1));
        if let Ok(id) = self.stack.connect(now, self.endpoint, &[to], None) {
            self.assocs.insert(id);
        }
    }

    fn each(&mut self, mut f: impl FnMut(&mut sctp_user::Assoc<'_>)) {
        for id in &self.assocs {
            if let Some(mut assoc) = self.stack.assoc(*id) {
                f(&mut assoc);
            }
        }
    }

    fn read(&mut self, most: usize) {
        let mut left = most;
        for id in self.assocs.clone() {
            while left > 0
                && let Some(_message) = self.stack.assoc(id).and_then(|mut a| a.recv())
            {
                self.messages += 1;
                left -= 1;
            }
        }
    }

    /// Takes all that the stack wants to send and to tell.
    fn deeds(&mut self, now: Time, segments: usize) -> Deeds {
        let (mut sent, mut told) = (Vec::new(), Vec::new());
        loop {
            assert!(sent.len() < MAX_AT_ONCE, "the stack sends for ever");
            let mut buf = Vec::new();
            let Some(transmit) = self.stack.poll_transmit(now, segments, &mut buf) else { break };
            assert_eq!(transmit.size, buf.len());
            sent.push((transmit, buf));
        }
        while let Some((_, id, event)) = self.stack.poll_event() {
            assert!(told.len() < MAX_AT_ONCE, "the stack has events without end");
            assert!(!self.lost.contains(&id), "{event:?} behind the end of {id:?}");
            match &event {
                Event::Connected { .. } => drop(self.assocs.insert(id)),
                Event::Lost { .. } => {
                    self.lost.insert(id);
                    while self.stack.assoc(id).and_then(|mut a| a.recv()).is_some() {}
                    self.assocs.remove(&id);
                }
                _ => {}
            }
            told.push((id, event));
        }
        (sent, told)
    }
}

fn peer_ip(n: u8) -> IpAddr {
    [10, 0, 1, 1 + n % 3].into()
}

impl World {
    fn new(setup: Setup) -> Self {
        let known = Knowledge {
            next_tsn: setup.peer_tsn,
            peer_tag: setup.peer_tag.max(1),
            peer_tsn: setup.peer_tsn,
            asconf: setup.peer_tsn,
            request: setup.peer_tsn,
            ..Knowledge::default()
        };
        let mut this = Self {
            host: Host::new(&setup),
            twin: Host::new(&setup),
            now: Time::from_millis(1_000),
            known,
            local_tag: 0,
            offered_tag: 0,
            reflected: None,
            past: VecDeque::new(),
            setup,
        };
        this.both(|h, now| h.stack.handle_addresses(now, AddrChange::Set(vec![OURS])));
        if this.setup.active {
            this.both(Host::connect);
        }
        if this.setup.established {
            this.handshake();
        }
        this
    }

    fn handshake(&mut self) {
        let mut params = crate::auth::params(self.setup.seed);
        params.push(FuzzParam::Raw { kind: 0x8008, value: vec![0xc1, 0x80, 0x40, 0xc0, 0xc2] });
        let plain = || FuzzInit { known: true, tag: 0, tsn: 0, rwnd: 100_000, streams: (4, 4), cookie: true, params: params.clone() };
        if self.setup.active {
            self.packet(&Tag::Right, 0, &[FuzzChunk::InitAck(plain())]);
            self.packet(&Tag::Right, 0, &[FuzzChunk::CookieAck]);
        } else {
            self.packet(&Tag::Zero, 0, &[FuzzChunk::Init(plain())]);
            self.packet(&Tag::Offered, 0, &[FuzzChunk::CookieEcho { genuine: true, cookie: Vec::new() }]);
        }
    }

    /// Does the same with the stack and its twin.
    fn both(&mut self, mut f: impl FnMut(&mut Host, Time)) {
        f(&mut self.host, self.now);
        f(&mut self.twin, self.now);
        self.observe();
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Connect => self.both(Host::connect),
            Op::Send { sid, len, unordered } => {
                let mut opts = if *unordered { SendOptions::unordered() } else { SendOptions::ordered() };
                opts.reliability = match len % 8 {
                    0 => Reliability::Lifetime(Duration::from_millis(u64::from(*len))),
                    1 => Reliability::Retransmissions(u32::from(*sid % 3)),
                    2 => Reliability::Priority(u32::from(*sid)),
                    _ => Reliability::Full,
                };
                let payload = Bytes::from(vec![*sid; usize::from(*len)]);
                self.both(|h, now| {
                    h.each(|a| {
                        let _ = a.send(now, StreamId(u16::from(*sid % 5)), Ppid(7), payload.clone(), opts);
                    });
                });
            }
            Op::Read { some } => self.both(|h, _| h.read(usize::from(*some))),
            Op::Shutdown => self.both(|h, now| h.each(|a| a.shutdown(now))),
            Op::Abort => self.both(|h, now| h.each(|a| a.abort(now, b"fuzz"))),
            Op::Reconfig { what } => self.both(|h, now| h.each(|a| reconfigure(a, now, *what))),
            Op::Heartbeat => self.both(|h, now| {
                h.each(|a| {
                    a.heartbeat(now);
                    crate::auth::change_keys(a, now);
                });
            }),
            Op::Advance { ms } => self.advance(self.now + Duration::from_millis(u64::from(*ms))),
            Op::Fire => {
                if let Some(next) = self.host.stack.poll_timeout() {
                    self.advance(next.max(self.now));
                }
            }
            Op::Packet { tag, from, chunks } => self.packet(tag, *from, chunks),
            Op::Garbage { body } => {
                let mut bytes = self.header(self.local_tag);
                bytes.extend(body.iter().take(1_500));
                checksum::seal(&mut bytes);
                self.arrive(peer_ip(0), bytes.into());
            }
            Op::Again { nth } => {
                if let Some((src, packet)) = usize::from(*nth).checked_rem(self.past.len()).and_then(|n| self.past.get(n).cloned()) {
                    self.arrive(src, packet);
                }
            }
            Op::Obey => self.obey(),
            Op::NetError { kind, mtu, right_tag } => self.net_error(*kind, *mtu, *right_tag),
            Op::Addresses { first, second } => {
                let all = [(*first, OURS), (*second, [10, 0, 0, 2].into())];
                let addrs: Vec<_> = all.iter().filter(|(up, _)| *up).map(|(_, ip)| *ip).collect();
                self.both(|h, now| h.stack.handle_addresses(now, AddrChange::Set(addrs.clone())));
            }
        }
    }

    /// A common header from the peer, without checksum.
    fn header(&self, tag: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let header = CommonHeader { src_port: PORTS.1, dst_port: PORTS.0, vtag: Vtag(tag) };
        PacketWriter::new(&mut bytes, header, 65_535).finish();
        bytes
    }

    fn packet(&mut self, tag: &Tag, from: u8, chunks: &[FuzzChunk]) {
        let vtag = match *tag {
            Tag::Right => self.local_tag,
            Tag::Offered => self.offered_tag,
            Tag::Zero => 0,
            Tag::Reflected => self.known.peer_tag,
            Tag::Wrong(tag) => tag,
        };
        let mut bytes = Vec::new();
        let header = CommonHeader { src_port: PORTS.1, dst_port: PORTS.0, vtag: Vtag(vtag) };
        let mut w = PacketWriter::new(&mut bytes, header, 65_535);
        for chunk in chunks.iter().take(MAX_CHUNKS) {
            chunk.write(&mut self.known, &mut w);
        }
        w.finish();
        let src = peer_ip(from);
        let wrong = !([0, self.local_tag, self.offered_tag, self.known.peer_tag].contains(&vtag));
        // What is out of the blue is answered; nothing is said of that.
        let alive = self.host.assocs.len() == 1 && from.is_multiple_of(3) && self.local_tag != 0;
        if wrong && alive && !chunks.first().is_none_or(FuzzChunk::is_about_others) {
            let (now, meta) = (self.now, meta(src));
            self.host.stack.handle_batch(now, &meta, Train::single(bytes.into()));
            self.reflected = Some(vtag);
            self.observe();
            self.reflected = None;
        } else {
            self.arrive(src, bytes.into());
        }
    }

    /// A packet of the peer reaches both.
    fn arrive(&mut self, src: IpAddr, packet: Bytes) {
        let meta = meta(src);
        self.both(|h, now| h.stack.handle_batch(now, &meta, Train::single(packet.clone())));
        self.past.push_back((src, packet));
        if self.past.len() > MAX_PAST {
            self.past.pop_front();
        }
    }

    fn obey(&mut self) {
        let rwnd = 60_000;
        self.packet(&Tag::Right, 0, &[FuzzChunk::SackAll { rwnd }]);
        self.packet(&Tag::Right, 0, &[FuzzChunk::HeartbeatAck { genuine: true, info: Vec::new() }]);
    }

    fn net_error(&mut self, kind: u8, mtu: u16, right_tag: bool) {
        let kind = match kind % 4 {
            0 => NetErrorKind::Unreachable,
            1 => NetErrorKind::PortUnreachable,
            2 => NetErrorKind::ProtocolUnreachable,
            _ => NetErrorKind::TooBig { mtu: u32::from(mtu) },
        };
        // It quotes what we sent: our port first, and the peer's tag.
        let tag = if right_tag { self.known.peer_tag } else { self.known.peer_tag.wrapping_add(1) };
        let mut quoted = Vec::new();
        let header = CommonHeader { src_port: PORTS.0, dst_port: PORTS.1, vtag: Vtag(tag) };
        PacketWriter::new(&mut quoted, header, 65_535).finish();
        let err = NetError { kind, dst: peer_ip(0), channel: CHANNEL, quoted: quoted.into() };
        self.both(|h, now| h.stack.handle_net_error(now, &err));
    }

    /// Compares what stack and twin do, and learns from it as the peer would.
    fn observe(&mut self) {
        let segments = usize::from(self.setup.segments % 8) + 1;
        let mut deeds = self.host.deeds(self.now, segments);
        let tag = |bytes: &[u8]| Packet::parse_quoted(bytes).map(|p| p.header.vtag.0);
        deeds.0.retain(|(_, bytes)| self.reflected.is_none() || tag(bytes) != self.reflected);
        let same = self.twin.deeds(self.now, segments);
        assert!(deeds == same, "a packet with a wrong tag has made a difference:\n{deeds:?}\ninstead of\n{same:?}");
        assert_eq!(self.host.stack.poll_timeout(), self.twin.stack.poll_timeout());
        for (transmit, bytes) in &deeds.0 {
            for packet in bytes.chunks(transmit.segment_size.unwrap_or(bytes.len()).max(1)) {
                self.learn(packet);
            }
        }
        for id in &self.host.assocs {
            let buffered = self.host.stack.assoc(*id).map_or(0, |a| a.status().buffered);
            assert!(buffered <= 2 * SEND_BUFFER, "{buffered} bytes in a send buffer of {SEND_BUFFER}");
        }
    }

    /// What the stack sends can be read, and tells what the next packets may refer to.
    fn learn(&mut self, packet: &[u8]) {
        assert!(checksum::verify(packet));
        let packet = Packet::parse_quoted(packet).unwrap_or_else(|| panic!("a packet without a header"));
        for raw in packet.chunks() {
            match raw.and_then(|raw| raw.decode()).unwrap_or_else(|e| panic!("{e}")) {
                Chunk::Init(init) => {
                    self.local_tag = init.tag.0;
                    self.known.highest = init.tsn.0.wrapping_sub(1);
                }
                Chunk::InitAck(ack) => {
                    self.offered_tag = ack.tag.0;
                    self.known.cookie = ack.params().flatten().find_map(|(p, _)| cookie_of(p)).unwrap_or_default();
                    self.known.highest = ack.tsn.0.wrapping_sub(1);
                }
                Chunk::CookieAck => self.local_tag = self.offered_tag,
                Chunk::Data(d) if d.tsn.0.wrapping_sub(self.known.highest) < 1 << 31 => self.known.highest = d.tsn.0,
                Chunk::Sack(s) => self.known.next_tsn = s.cum_tsn.0.wrapping_add(1),
                Chunk::Heartbeat(hb) => self.known.heartbeat = hb.tlvs.to_vec(),
                Chunk::Asconf(c) => self.known.asked = c.serial.0,
                Chunk::Reconfig(c) => {
                    for param in c.params() {
                        self.known.requested = param.unwrap_or_else(|e| panic!("{e}")).request().unwrap_or(self.known.requested);
                    }
                }
                _ => {}
            }
        }
    }

    /// Lets time pass and timers fire.
    fn advance(&mut self, until: Time) {
        for n in 0.. {
            assert!(n < MAX_AT_ONCE, "timers fire for ever at {}", self.now);
            let Some(next) = self.host.stack.poll_timeout().filter(|t| *t <= until) else { break };
            self.now = next.max(self.now);
            self.both(|h, now| {
                if h.stack.poll_timeout().is_some_and(|t| t <= now) {
                    h.stack.handle_timeout(now);
                }
            });
        }
        self.now = until;
    }

    /// The peer is never heard again: all that it was asked for comes to an end.
    fn silence(&mut self) {
        let end = self.now + SILENCE;
        self.both(|h, _| h.read(usize::MAX));
        // In steps, so that the clock does not seem to jump.
        self.advance(end);
        self.both(|h, _| h.read(usize::MAX));
        let left = self.host.stack.association_count();
        assert_eq!(left, 0, "associations with a silent peer live on: {:?}", self.host.stack);
        assert_eq!(self.host.stack.poll_timeout(), None, "a timer without an association");
    }
}

fn cookie_of(param: sctp_user::wire::Param<'_>) -> Option<Vec<u8>> {
    match param {
        sctp_user::wire::Param::StateCookie(cookie) => Some(cookie.to_vec()),
        _ => None,
    }
}

const fn meta(src: IpAddr) -> Meta {
    Meta { src, dst: OURS, channel: CHANNEL, ecn: None, ifindex: None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    fn world(active: bool) -> World {
        let (peer_tag, peer_tsn) = (77, 1_000);
        World::new(Setup {
            seed: 1,
            peer_tag,
            peer_tsn,
            small_window: false,
            mtu: 100,
            segments: 0,
            nagle: true,
            active,
            established: true,
        })
    }

    #[test]
    fn the_handshake_reaches_an_association_that_carries_messages() {
        for active in [true, false] {
            let mut w = world(active);
            assert_eq!(w.host.assocs.len(), 1);
            let next = || FuzzChunk::NextData { sid: 1, ssn: 0, unordered: true, len: 9 };
            w.apply(&Op::Packet { tag: Tag::Right, from: 0, chunks: vec![next(), next()] });
            w.apply(&Op::Packet { tag: Tag::Wrong(5), from: 0, chunks: vec![next()] });
            w.apply(&Op::Read { some: 9 });
            assert_eq!(w.host.messages, 2);
            w.apply(&Op::Send { sid: 1, len: 3_000, unordered: false });
            w.apply(&Op::Obey);
            let id = *w.host.assocs.first().unwrap();
            assert_eq!(w.host.stack.assoc(id).unwrap().status().buffered, 0);
            w.silence();
            assert!(w.host.assocs.is_empty());
        }
    }

    #[test]
    #[should_panic(expected = "made a difference")]
    fn a_difference_between_the_twins_is_noticed() {
        let mut w = world(true);
        let now = w.now;
        w.host.each(|a| a.heartbeat(now));
        w.observe();
    }
}
