//! The kernel's side of recorded associations, played to our stack: it takes the place of the other end, and must come to the
//! same result.
//!
//! What cannot be known beforehand is put in place on the way: the tags, TSNs and the cookie that our stack chose stand where the
//! capture has those of the kernel that it replaces. Our application does what that kernel's did: it sends the same messages
//! and closes at the same time.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use sctp_user::wire::cause::Cause;
use sctp_user::wire::chunk::{CookieEcho, Duplicates, Gaps, Init, Sack, Shutdown};
use sctp_user::wire::param::Param;
use sctp_user::wire::tlv::Tlv;
use sctp_user::wire::{Chunk, CommonHeader, Packet, PacketWriter};
use sctp_user::{
    AddrChange, AssocId, Channel, CloseReason, EndpointConfig, EndpointId, Event, Meta, Node as _, PeerAddr, Ppid, SeededEntropy,
    SendOptions, Stack, StackConfig, StreamId, Time, Train, Tsn, Vtag,
};

use crate::file::{self, Frame};

/// A user message: stream, unordered, payload protocol identifier, bytes.
type Message = (u16, bool, u32, Vec<u8>);

/// One end of a recorded association.
#[derive(Clone, Default)]
struct End {
    addrs: BTreeSet<IpAddr>,
    port: u16,
    /// From its INIT or INIT ACK.
    tag: u32,
    tsn: u32,
    /// Its messages by the TSN of their first fragment, counted from its initial TSN.
    messages: BTreeMap<u32, Message>,
}

/// An association of a capture, with the frames that belong to it.
struct Recording {
    frames: Vec<Frame>,
    /// Who sent the INIT, and who answered.
    ends: [End; 2],
}

fn chunks(frame: &Frame) -> Vec<Chunk<'_>> {
    Packet::parse(&frame.sctp).unwrap().chunks().map(|raw| raw.unwrap().decode().unwrap()).collect()
}

fn header(frame: &Frame) -> CommonHeader {
    Packet::parse(&frame.sctp).unwrap().header
}

impl Recording {
    /// The association number `nth` of a capture, as the ports tell them apart.
    fn load(name: &str, nth: usize) -> Self {
        let mut by_ports: Vec<((u16, u16), Vec<Frame>)> = Vec::new();
        for frame in file::load(&format!("linux-sctp/{name}")) {
            let h = header(&frame);
            let ports = (h.src_port.min(h.dst_port), h.src_port.max(h.dst_port));
            match by_ports.iter_mut().find(|(p, _)| *p == ports) {
                Some((_, frames)) => frames.push(frame),
                None => by_ports.push((ports, vec![frame])),
            }
        }
        let (_, frames) = by_ports.remove(nth);
        let mut ends = [End::default(), End::default()];
        for frame in &frames {
            let h = header(frame);
            if let [Chunk::Init(init)] = chunks(frame).as_slice() {
                ends[0] = End { port: h.src_port, tag: init.tag.0, tsn: init.tsn.0, ..End::default() };
            }
            if let [Chunk::InitAck(ack)] = chunks(frame).as_slice() {
                ends[1] = End { port: h.src_port, tag: ack.tag.0, tsn: ack.tsn.0, ..End::default() };
            }
        }
        let mut this = Self { frames, ends };
        for side in 0..2 {
            this.learn(side);
        }
        this
    }

    fn is_from(&self, frame: &Frame, side: usize) -> bool {
        header(frame).src_port == self.ends[side].port
    }

    /// Addresses and messages of a side.
    fn learn(&mut self, side: usize) {
        let mut fragments = BTreeMap::new();
        let mut addrs = BTreeSet::new();
        for frame in self.frames.iter().filter(|f| self.is_from(f, side)) {
            addrs.insert(frame.src);
            for chunk in chunks(frame) {
                match chunk {
                    Chunk::Data(d) => drop(fragments.insert(d.tsn.0.wrapping_sub(self.ends[side].tsn), d)),
                    Chunk::Init(init) | Chunk::InitAck(init) => addrs.extend(init.params().filter_map(address_of)),
                    _ => {}
                }
            }
        }
        let mut messages: BTreeMap<u32, Message> = BTreeMap::new();
        let mut first = 0;
        for (n, (tsn, d)) in fragments.iter().enumerate() {
            assert_eq!(*tsn as usize, n, "a TSN is missing in the capture");
            if d.begin {
                first = *tsn;
                messages.insert(first, (d.sid.0, d.unordered, d.ppid.0, Vec::new()));
            }
            messages.get_mut(&first).unwrap().3.extend_from_slice(d.payload);
        }
        self.ends[side].addrs = addrs;
        self.ends[side].messages = messages;
    }
}

/// Our stack in the place of one end of a recording.
struct Replay {
    recording: Recording,
    /// Whose place is ours.
    ours: usize,
    stack: Stack,
    endpoint: EndpointId,
    assoc: Option<AssocId>,
    start: Time,
    now: Time,
    /// From our first INIT or INIT ACK.
    tag: Option<u32>,
    tsn: u32,
    cookie: Vec<u8>,
    /// One more than the highest TSN that we sent, counted from our initial TSN.
    sent_tsns: u32,
    /// What the application did so far.
    sent: BTreeSet<u32>,
    closed: bool,
    aborted: bool,
    received: Vec<Message>,
    lost: Option<CloseReason>,
    failed: usize,
    /// Our answers to the kernel's HEARTBEATs, and the kernel's own.
    heartbeats: [BTreeSet<Vec<u8>>; 2],
    /// SACKs of the kernel for what we had not sent yet: it was sometimes faster than its replacement.
    early_sacks: usize,
    /// The last frame with such a SACK, which is played once more when we have sent more.
    owed: Option<Frame>,
    /// How much we had sent then.
    owed_at: u32,
}

impl Replay {
    fn new(name: &str, nth: usize, ours: usize) -> Self {
        let recording = Recording::load(name, nth);
        let mut stack_config = StackConfig::default();
        let first = &recording.frames[0];
        stack_config.default_channel = match first.udp {
            None => Channel::Raw,
            Some((local, remote)) if ours == 0 => Channel::Udp { local, remote },
            Some((remote, local)) => Channel::Udp { local, remote },
        };
        let mut stack = Stack::new(stack_config, Box::new(SeededEntropy::new(7)));
        let start = Time::from_millis(1_000_000);
        let me = &recording.ends[ours];
        stack.handle_addresses(start, AddrChange::Set(me.addrs.iter().copied().collect()));
        let endpoint = stack.open(EndpointConfig::new(me.port)).unwrap();
        stack.listen(endpoint, ours == 1);
        Self {
            recording,
            ours,
            stack,
            endpoint,
            assoc: None,
            start,
            now: start,
            tag: None,
            tsn: 0,
            cookie: Vec::new(),
            sent_tsns: 0,
            sent: BTreeSet::new(),
            closed: false,
            aborted: false,
            received: Vec::new(),
            lost: None,
            failed: 0,
            heartbeats: [BTreeSet::new(), BTreeSet::new()],
            early_sacks: 0,
            owed: None,
            owed_at: 0,
        }
    }

    fn kernel(&self) -> &End {
        &self.recording.ends[1 - self.ours]
    }

    /// The kernel acknowledges what it has, as soon as we have sent it.
    fn settle(&mut self) {
        self.pump();
        while self.sent_tsns > self.owed_at
            && let Some(frame) = self.owed.take()
        {
            self.feed(&frame);
            self.pump();
        }
    }

    /// Plays all frames, then lets half a minute pass.
    fn run(&mut self) {
        for frame in core::mem::take(&mut self.recording.frames) {
            self.pass(self.start + frame.at);
            if self.recording.is_from(&frame, self.ours) {
                self.imitate(&frame);
            } else {
                self.feed(&frame);
            }
            self.settle();
        }
        self.pass(self.now + Duration::from_secs(30));
    }

    /// Lets time pass and timers fire.
    fn pass(&mut self, until: Time) {
        while let Some(due) = self.stack.poll_timeout().filter(|t| *t <= until) {
            self.now = self.now.max(due);
            self.stack.handle_timeout(self.now);
            self.settle();
        }
        self.now = self.now.max(until);
    }

    /// Has our application do what made the replaced kernel send this frame.
    fn imitate(&mut self, frame: &Frame) {
        let end = &self.recording.ends[self.ours];
        for chunk in chunks(frame) {
            match chunk {
                Chunk::Init(_) if self.assoc.is_none() => {
                    let peer = SocketAddr::new(frame.dst, self.kernel().port);
                    self.assoc = Some(self.stack.connect(self.now, self.endpoint, &[PeerAddr::from(peer)], None).unwrap());
                }
                Chunk::Data(d) => {
                    let tsn = d.tsn.0.wrapping_sub(end.tsn);
                    if let Some((sid, unordered, ppid, payload)) = end.messages.get(&tsn)
                        && self.sent.insert(tsn)
                    {
                        let opts = if *unordered { SendOptions::unordered() } else { SendOptions::ordered() };
                        let mut assoc = self.stack.assoc(self.assoc.unwrap()).unwrap();
                        assoc.send(self.now, StreamId(*sid), Ppid(*ppid), Bytes::copy_from_slice(payload), opts).unwrap();
                    }
                }
                Chunk::Shutdown(_) if !self.closed => {
                    self.closed = true;
                    self.stack.assoc(self.assoc.unwrap()).unwrap().shutdown(self.now);
                }
                Chunk::Abort(_) => {
                    self.aborted = true;
                    self.stack.assoc(self.assoc.unwrap()).unwrap().abort(self.now, b"as in the capture");
                }
                _ => {}
            }
        }
    }

    /// Gives our stack a frame of the kernel, with our tag, TSNs and cookie in it.
    fn feed(&mut self, frame: &Frame) {
        let mut bytes = Vec::new();
        let mut h = header(frame);
        let reflected = |c: &Chunk<'_>| matches!(c, Chunk::ShutdownComplete(c) if c.t) || matches!(c, Chunk::Abort(c) if c.t);
        if h.vtag.0 != 0 && !chunks(frame).iter().any(reflected) {
            assert_eq!(h.vtag.0, self.recording.ends[self.ours].tag, "the kernel sends with the tag that it was given");
            h.vtag = Vtag(self.tag.unwrap());
        }
        let mut w = PacketWriter::new(&mut bytes, h, 65_535);
        let base = self.recording.ends[self.ours].tsn;
        for chunk in chunks(frame) {
            match chunk {
                Chunk::Sack(s) => {
                    let (cum_tsn, early) = self.rebase(base, s.cum_tsn);
                    let came = |end: u16| cum_tsn.0.wrapping_sub(self.tsn).wrapping_add(1).wrapping_add(u32::from(end)) <= self.sent_tsns;
                    let gaps: Vec<_> = s.gaps.iter().filter(|g| !early && came(g.end)).collect();
                    if early {
                        self.early_sacks += 1;
                        self.owed_at = self.sent_tsns;
                        self.owed = Some(frame.clone());
                    }
                    let dups: Vec<_> = s.dups.iter().map(|t| self.rebase(base, t).0).collect();
                    w.push(&Chunk::Sack(Sack { cum_tsn, gaps: Gaps::List(&gaps), dups: Duplicates::List(&dups), ..s }));
                }
                Chunk::Shutdown(s) => w.push(&Chunk::Shutdown(Shutdown { cum_tsn: self.rebase(base, s.cum_tsn).0 })),
                Chunk::CookieEcho(_) => w.push(&Chunk::CookieEcho(CookieEcho { cookie: &self.cookie })),
                Chunk::Heartbeat(hb) => {
                    self.heartbeats[1].insert(hb.tlvs.to_vec());
                    w.push(&chunk);
                }
                _ => w.push(&chunk),
            }
        }
        w.finish();
        let channel = match frame.udp {
            None => Channel::Raw,
            Some((remote, local)) => Channel::Udp { local, remote },
        };
        let meta = Meta { src: frame.src, dst: frame.dst, channel, ecn: None, ifindex: None };
        self.stack.handle_batch(self.now, &meta, Train::single(bytes.into()));
    }

    /// A TSN of the capture as ours; the highest that we sent, and true, if it is beyond that.
    fn rebase(&self, base: u32, tsn: Tsn) -> (Tsn, bool) {
        // One before the first is the lowest that can be acknowledged.
        let acked = tsn.0.wrapping_sub(base).wrapping_add(1);
        let known = acked.min(self.sent_tsns);
        (Tsn(self.tsn.wrapping_add(known).wrapping_sub(1)), acked > known)
    }

    /// Takes what our stack sends and tells.
    fn pump(&mut self) {
        let mut buf = Vec::new();
        loop {
            buf.clear();
            let Some(t) = self.stack.poll_transmit(self.now, 1, &mut buf) else { break };
            assert!(self.kernel().addrs.contains(&t.dst.ip()), "{} is no address of the kernel", t.dst);
            self.note(&buf);
        }
        while let Some((_, id, event)) = self.stack.poll_event() {
            match event {
                Event::Connected { .. } => {
                    assert!(self.assoc.is_none_or(|a| a == id));
                    self.assoc = Some(id);
                }
                Event::Lost { reason } => {
                    self.read();
                    assert_eq!(self.lost.replace(reason), None);
                }
                Event::SendFailed { .. } => self.failed += 1,
                Event::Restarted | Event::RemoteError(_) => panic!("{event:?}"),
                _ => {}
            }
        }
        self.read();
    }

    fn read(&mut self) {
        let Some(id) = self.assoc else { return };
        while let Some(m) = self.stack.assoc(id).and_then(|mut a| a.recv()) {
            self.received.push((m.sid.0, m.unordered, m.ppid.0, m.payload.to_vec()));
        }
    }

    /// Looks at a packet that our stack sends.
    fn note(&mut self, sctp: &[u8]) {
        for raw in Packet::parse(sctp).unwrap().chunks() {
            match raw.unwrap().decode().unwrap() {
                // A repeated INIT brings another answer; the kernel took the first.
                Chunk::Init(Init { tag, tsn, .. }) if self.tag.is_none() => (self.tag, self.tsn) = (Some(tag.0), tsn.0),
                Chunk::InitAck(ack) if self.tag.is_none() => {
                    (self.tag, self.tsn) = (Some(ack.tag.0), ack.tsn.0);
                    self.cookie = ack.params().find_map(cookie_of).unwrap();
                }
                Chunk::Data(d) => self.sent_tsns = self.sent_tsns.max(d.tsn.0.wrapping_sub(self.tsn).wrapping_add(1)),
                Chunk::HeartbeatAck(hb) => drop(self.heartbeats[0].insert(hb.tlvs.to_vec())),
                Chunk::Abort(abort) => {
                    let causes: Vec<_> = abort.causes().collect();
                    assert!(self.aborted, "our stack aborts: {causes:?}");
                }
                // The kernel offers what we may not know yet (PR-SCTP and the like) and wishes to be told.
                Chunk::Error(error) => {
                    let unknown = |c: &Cause<'_>| matches!(c, Cause::UnrecognizedParams(p) if p[0] >= 0xc0);
                    assert!(error.causes().all(|c| unknown(&c.unwrap())), "our stack reports {:?}", error.causes().collect::<Vec<_>>());
                }
                _ => {}
            }
        }
    }

    /// What must hold after a graceful end.
    fn check(&self, name: &str) {
        let ours = &self.recording.ends[self.ours];
        assert_eq!(self.failed, 0, "{name}");
        assert_eq!(self.sent.len(), ours.messages.len(), "{name}");
        self.check_received(name);
        // All that the kernel asked is answered, with its own words.
        assert_eq!(self.heartbeats[0], self.heartbeats[1], "{name}");
    }

    /// Everything that the kernel sent has come, once, in order where it was sent so.
    fn check_received(&self, name: &str) {
        let all: Vec<_> = self.kernel().messages.values().cloned().collect();
        let streams: BTreeSet<u16> = all.iter().map(|m| m.0).collect();
        for sid in streams {
            let of = |list: &[Message]| list.iter().filter(|m| m.0 == sid && !m.1).cloned().collect::<Vec<_>>();
            assert_eq!(of(&self.received).len(), of(&all).len(), "{name} stream {sid}");
            assert!(of(&self.received) == of(&all), "{name} stream {sid}");
        }
        let unordered = |list: &[Message]| {
            let mut list: Vec<_> = list.iter().filter(|m| m.1).cloned().collect();
            list.sort();
            list
        };
        assert!(unordered(&self.received) == unordered(&all), "{name}");
        assert_eq!(self.received.len(), all.len(), "{name}");
    }
}

/// A parameter of an INIT as it is iterated over.
type Item<'a, E> = Result<(Param<'a>, Tlv<'a>), E>;

fn address_of<E>(item: Item<'_, E>) -> Option<IpAddr> {
    match item {
        Ok((Param::Address(ip), _)) => Some(ip),
        _ => None,
    }
}

fn cookie_of<E>(item: Item<'_, E>) -> Option<Vec<u8>> {
    match item {
        Ok((Param::StateCookie(cookie), _)) => Some(cookie.to_vec()),
        _ => None,
    }
}

/// Plays one side of an association, number `nth` of a capture; `end` is how it must end for us, and `messages` how many come
/// and go.
fn play(name: &str, nth: usize, ours: usize, end: &CloseReason, messages: (usize, usize)) -> Replay {
    let mut replay = Replay::new(name, nth, ours);
    replay.run();
    let (received, sent, early) = (replay.received.len(), replay.sent.len(), replay.early_sacks);
    let side = ["initiator", "responder"][ours];
    println!("{name} {nth}, we are the {side}: {received} in, {sent} out, {early} SACKs too early");
    assert_eq!(replay.lost.as_ref(), Some(end), "{name} {nth} {side}");
    assert_eq!((received, sent), messages, "{name} {nth} {side}");
    if *end == CloseReason::Shutdown {
        replay.check(&format!("{name} {nth} {side}"));
    }
    replay
}

const OK: &CloseReason = &CloseReason::Shutdown;
const INITIATOR: usize = 0;
const RESPONDER: usize = 1;

/// Messages of 20,000 bytes and less in fragments, several small ones in one packet, ordered and unordered, both ways.
#[test]
fn fragments_and_bundles() {
    play("data-fragmentation", 0, INITIATOR, OK, (26, 26));
    play("data-fragmentation", 0, RESPONDER, OK, (26, 26));
}

/// 15 % of the initiator's DATA was lost before the capture: gap ack blocks, retransmissions in any order, and a SHUTDOWN COMPLETE
/// with the T bit.
#[test]
fn loss_and_gaps() {
    play("loss-sack-gaps", 0, INITIATOR, OK, (0, 120));
    play("loss-sack-gaps", 0, RESPONDER, OK, (120, 0));
}

/// Half of the packets overtaken, a fifth of them twice, the INIT too.
#[test]
fn duplicates_and_reordering() {
    play("duplicates-reordering", 0, INITIATOR, OK, (0, 60));
    play("duplicates-reordering", 0, RESPONDER, OK, (60, 0));
}

/// SHUTDOWN with data outstanding from either side, and two SHUTDOWNs that cross.
#[test]
fn shutdowns() {
    play("shutdowns", 0, INITIATOR, OK, (0, 20));
    play("shutdowns", 0, RESPONDER, OK, (20, 0));
    play("shutdowns", 1, INITIATOR, OK, (10, 2));
    play("shutdowns", 1, RESPONDER, OK, (2, 10));
    play("shutdowns", 2, INITIATOR, OK, (0, 0));
    play("shutdowns", 2, RESPONDER, OK, (0, 0));
}

/// An INIT with addresses of both families, an association over IPv6.
#[test]
fn dual_stack() {
    play("handshake-dual-stack", 0, INITIATOR, OK, (3, 3));
    play("handshake-dual-stack", 0, RESPONDER, OK, (3, 3));
}

/// Two addresses each, and HEARTBEATs on both paths; and a primary path that is down for eight seconds.
#[test]
fn two_paths() {
    play("handshake-multihomed", 0, INITIATOR, OK, (5, 5));
    play("handshake-multihomed", 0, RESPONDER, OK, (5, 5));
    play("path-failover", 0, INITIATOR, OK, (40, 40));
    play("path-failover", 0, RESPONDER, OK, (40, 40));
}

/// RFC 6951 as the kernel does it.
#[test]
fn in_udp() {
    play("udp-encapsulation", 0, INITIATOR, OK, (4, 4));
    play("udp-encapsulation", 0, RESPONDER, OK, (4, 4));
    play("udp-encapsulation-learned", 0, INITIATOR, OK, (3, 3));
    play("udp-encapsulation-learned", 0, RESPONDER, OK, (3, 3));
}

/// The responder does not read for six seconds, then aborts. As its peer we keep what it has no room for; as the responder we
/// have room for more than it had.
#[test]
fn a_closed_window() {
    let user_abort = Bytes::from_static(&[0, 12, 0, 4]);
    let replay = play("zero-window", 0, INITIATOR, &CloseReason::PeerAborted(user_abort), (0, 11));
    assert!(replay.failed > 0, "what was not acknowledged is told");
    let replay = play("zero-window", 0, RESPONDER, &CloseReason::Aborted, (11, 0));
    replay.check_received("zero-window");
}

/// The user of one side aborts.
#[test]
fn aborts() {
    let user_abort = || CloseReason::PeerAborted(Bytes::from_static(&[0, 12, 0, 4]));
    play("aborts", 0, INITIATOR, &CloseReason::Aborted, (1, 1));
    play("aborts", 0, RESPONDER, &user_abort(), (1, 1));
    play("aborts", 2, INITIATOR, &user_abort(), (0, 1));
    play("aborts", 2, RESPONDER, &CloseReason::Aborted, (1, 0));
}
