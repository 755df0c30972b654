//! Against `dcsctp`, the SCTP of a widespread browser, in memory: the zero checksum of RFC 9653 over a lower layer, and stream resets.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dcsctp::api::{
    DcSctpSocket as _, Message as TheirMessage, Options, PpId, SendOptions as TheirSendOptions, Socket, SocketEvent, SocketTime,
    StreamId as TheirStream, ZERO_CHECKSUM_ALTERNATE_ERROR_DETECTION_METHOD_LOWER_LAYER_DTLS as DTLS,
    ZERO_CHECKSUM_ALTERNATE_ERROR_DETECTION_METHOD_NONE as NONE,
};
use sctp_user::wire::chunk::{Chunk, kind};
use sctp_user::wire::{Packet, Param, checksum};
use sctp_user::{
    AssocConfig, AssocId, Channel, EndpointConfig, EndpointId, Event, Meta, Node as _, PeerAddr, Ppid, PrivateChannel, ReconfigOutcome,
    ResetDirection, SeededEntropy, SendOptions, Stack, StackConfig, StreamId, Time, Train,
};

const PORT: u16 = 5000;
const CHANNEL: Channel = Channel::Lower(1);
/// SCTP over DTLS (RFC 9653 section 8).
const METHOD: u32 = 1;

fn ours() -> IpAddr {
    "240.0.1.1".parse().unwrap()
}

fn theirs() -> IpAddr {
    "240.0.1.2".parse().unwrap()
}

/// A packet with a checksum of zero whose right checksum is another.
fn is_zero(packet: &[u8]) -> bool {
    packet[8..12] == [0; 4] && !checksum::verify(packet)
}

struct Bench {
    now: Duration,
    stack: Stack,
    endpoint: EndpointId,
    peer: Socket,
    assoc: Option<AssocId>,
    events: Vec<Event>,
    theirs: Vec<SocketEvent>,
    /// Types of the first chunk of each packet, and whether its checksum was zero, of what we sent and of what we got.
    sent: Vec<(u8, bool)>,
    got: Vec<(u8, bool)>,
    /// Methods that our INIT or INIT ACK named.
    named: Vec<u32>,
    /// The checksum of the peer's packets that begin with this chunk is lost.
    strip: Option<u8>,
}

impl Bench {
    fn new(our_method: Option<u32>, on: bool, their_method: bool) -> Self {
        let mut cfg = StackConfig::default();
        let (local, remote) = (vec![ours()], vec![theirs()]);
        cfg.private_channels.push(PrivateChannel { channel: CHANNEL, local, remote, max_packet: Some(1200), error_detection: our_method });
        let mut stack = Stack::new(cfg, Box::new(SeededEntropy::new(5)));
        let mut assoc = AssocConfig::rfc();
        (assoc.zero_checksum, assoc.stream_reset, assoc.accept_stream_reset) = (on, true, true);
        let endpoint = stack.open(EndpointConfig::with(PORT, Arc::new(assoc))).unwrap();
        stack.listen(endpoint, true);
        let method = if their_method { DTLS } else { NONE };
        let options = Options { zero_checksum_alternate_error_detection_method: method, ..Options::default() };
        let peer = Socket::new("peer", &options);
        let now = Duration::from_secs(1);
        let (events, theirs, sent, got) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { now, stack, endpoint, peer, assoc: None, events, theirs, sent, got, named: Vec::new(), strip: None }
    }

    fn time(&self) -> Time {
        Time::from_millis(u64::try_from(self.now.as_millis()).unwrap())
    }

    /// Delivers everything and lets `d` pass.
    fn run(&mut self, d: Duration) {
        let end = self.now + d;
        while self.now < end {
            let now = self.time();
            self.peer.advance_time(SocketTime::zero() + self.now);
            self.stack.handle_timeout(now);
            loop {
                let mut quiet = true;
                let mut buf = Vec::new();
                while self.stack.poll_transmit(now, 1, &mut buf).is_some() {
                    let packet = core::mem::take(&mut buf);
                    let first = Packet::parse_quoted(&packet).unwrap().chunks().next().unwrap().unwrap();
                    if let Chunk::Init(init) | Chunk::InitAck(init) = first.decode().unwrap() {
                        self.named.extend(init.params.iter().filter_map(|p| match p.unwrap().0 {
                            Param::ZeroChecksum(method) => Some(method),
                            _ => None,
                        }));
                    }
                    self.sent.push((first.kind, is_zero(&packet)));
                    self.peer.handle_input(&packet);
                    quiet = false;
                }
                while let Some(event) = self.peer.poll_event() {
                    let SocketEvent::SendPacket(mut packet) = event else {
                        self.theirs.push(event);
                        continue;
                    };
                    let first = Packet::parse_quoted(&packet).unwrap().chunks().next().unwrap().unwrap().kind;
                    if self.strip == Some(first) {
                        packet[8..12].fill(0);
                    }
                    self.got.push((first, is_zero(&packet)));
                    let meta = Meta { src: theirs(), dst: ours(), channel: CHANNEL, ecn: None, ifindex: None };
                    self.stack.handle_batch(now, &meta, Train::single(Bytes::from(packet)));
                    quiet = false;
                }
                while let Some((_, id, event)) = self.stack.poll_event() {
                    self.assoc = Some(id);
                    self.events.push(event);
                }
                if quiet {
                    break;
                }
            }
            self.now += Duration::from_millis(10);
        }
    }

    fn open(&mut self, by_us: bool) {
        if by_us {
            let peer = PeerAddr { addr: SocketAddr::new(theirs(), PORT), channel: Some(CHANNEL) };
            self.stack.connect(self.time(), self.endpoint, &[peer], None).unwrap();
        } else {
            self.peer.connect();
        }
        self.run(Duration::from_secs(1));
        assert!(self.events.iter().any(|e| matches!(e, Event::Connected { .. })), "{:?}", self.events);
    }

    /// Some messages each way, of several packets; answers whether all arrived.
    fn exchange(&mut self) {
        let (now, id) = (self.time(), self.assoc.unwrap());
        for n in 0..20_u8 {
            let payload = vec![n; 3_000];
            let mut assoc = self.stack.assoc(id).unwrap();
            assoc.send(now, StreamId(1), Ppid(7), payload.clone().into(), SendOptions::ordered()).unwrap();
            self.peer.send(TheirMessage::new(TheirStream(1), PpId(7), payload), &TheirSendOptions::default()).unwrap();
        }
        self.run(Duration::from_secs(3));
        for n in 0..20_u8 {
            let message = self.stack.assoc(id).unwrap().recv().unwrap();
            assert_eq!(message.payload, vec![n; 3_000]);
            let message = self.peer.get_next_message().unwrap();
            assert_eq!(message.payload, vec![n; 3_000]);
        }
    }
}

/// RFC 9653 rows: 5.2-1, 5.2-2, 5.2-3, 5.3-1.
#[test]
fn who_has_agreed_on_a_method_sends_no_checksums() {
    for by_us in [true, false] {
        let mut b = Bench::new(Some(METHOD), true, true);
        b.open(by_us);
        b.exchange();
        let must = |k: u8| matches!(k, kind::INIT | kind::COOKIE_ECHO);
        assert!(b.sent.iter().all(|(k, zero)| !(*zero && must(*k))), "never with an INIT or COOKIE ECHO: {:?}", b.sent);
        let free =
            |list: &[(u8, bool)]| list.iter().filter(|(k, _)| !must(*k) && *k != kind::INIT_ACK).map(|(_, z)| *z).collect::<Vec<_>>();
        assert!(free(&b.sent).len() > 30 && free(&b.sent).iter().all(|zero| *zero), "{:?}", b.sent);
        assert!(free(&b.got).iter().all(|zero| *zero), "{:?}", b.got);
        assert!(!b.named.is_empty() && b.named.iter().all(|m| *m == METHOD), "{:?}", b.named);
        assert!(b.peer.get_metrics().unwrap().uses_zero_checksum);
        let stats = b.stack.assoc(b.assoc.unwrap()).unwrap().stats();
        assert!(stats.out_zero_checksums > 30 && stats.in_zero_checksums > 30, "{stats:?}");
        assert_eq!(b.stack.stats().stack.checksum_errors, 0);
    }
}

/// RFC 9653 rows: 5.1-1, 5.2-4.
#[test]
fn without_a_method_on_both_sides_all_checksums_are_right() {
    for (ours, on, theirs) in [(None, true, true), (Some(METHOD), false, true), (Some(METHOD), true, false), (Some(2), true, true)] {
        for by_us in [true, false] {
            let mut b = Bench::new(ours, on, theirs);
            b.open(by_us);
            b.exchange();
            assert!(b.sent.iter().chain(&b.got).all(|(_, zero)| !zero), "{ours:?} {on} {theirs}");
        }
    }
}

/// RFC 6525 between two implementations: outgoing resets of either side.
#[test]
fn streams_begin_anew_with_another_implementation() {
    let mut b = Bench::new(Some(METHOD), true, true);
    b.open(true);
    b.exchange();
    let (now, id) = (b.time(), b.assoc.unwrap());
    b.events.clear();
    b.theirs.clear();
    b.stack.assoc(id).unwrap().reset_streams(now, ResetDirection::Outgoing, &[StreamId(1)]).unwrap();
    b.run(Duration::from_secs(1));
    let done = |outgoing: bool| Event::StreamsReset {
        incoming: !outgoing,
        outgoing,
        streams: vec![StreamId(1)],
        outcome: ReconfigOutcome::Performed,
    };
    assert!(b.events.contains(&done(true)), "{:?}", b.events);
    let told = |e: &SocketEvent| matches!(e, SocketEvent::OnIncomingStreamReset(list) if list[..] == [TheirStream(1)]);
    assert!(b.theirs.iter().any(told), "{:?}", b.theirs.len());
    b.peer.reset_streams(&[TheirStream(1)]).unwrap();
    b.run(Duration::from_secs(1));
    assert!(b.events.contains(&done(false)), "{:?}", b.events);
    let performed = |e: &SocketEvent| matches!(e, SocketEvent::OnStreamsResetPerformed(list) if list[..] == [TheirStream(1)]);
    assert!(b.theirs.iter().any(performed));
    b.exchange();
}

/// RFC 9653 rows: 5.1-2.
#[test]
fn the_reserved_method_is_never_named() {
    for by_us in [true, false] {
        let mut b = Bench::new(Some(0), true, true);
        b.open(by_us);
        b.exchange();
        assert!(b.named.is_empty(), "{:?}", b.named);
        assert!(b.sent.iter().chain(&b.got).all(|(_, zero)| !zero));
    }
}

/// RFC 9653 rows: 5.2-6, 5.3-2, 5.3-3, 5.3-4.
#[test]
fn packets_without_a_checksum_are_taken_from_who_may_send_them_alone() {
    // What begins an association needs its checksum.
    for begins in [kind::INIT, kind::COOKIE_ECHO] {
        let mut b = Bench::new(Some(METHOD), true, true);
        b.strip = Some(begins);
        b.peer.connect();
        b.run(Duration::from_millis(500));
        assert!(b.events.is_empty(), "{:?}", b.events);
        assert!(b.stack.stats().stack.checksum_errors > 0);
    }
    // Who has not offered takes nothing without a checksum, and everything with one.
    for (method, on) in [(None, true), (Some(METHOD), false)] {
        let mut b = Bench::new(method, on, true);
        b.open(true);
        b.strip = Some(kind::DATA);
        b.peer.send(TheirMessage::new(TheirStream(1), PpId(7), vec![1; 10]), &TheirSendOptions::default()).unwrap();
        b.run(Duration::from_millis(300));
        assert!(b.stack.assoc(b.assoc.unwrap()).unwrap().recv().is_none());
        let errors = b.stack.stats().stack.checksum_errors;
        assert!(errors > 0);
        b.strip = None;
        b.run(Duration::from_secs(2));
        assert!(b.stack.assoc(b.assoc.unwrap()).unwrap().recv().is_some());
        assert_eq!(b.stack.stats().stack.checksum_errors, errors);
    }
    // Out of the blue: silence without a checksum, an answer with one to a packet that has one.
    let mut b = Bench::new(Some(METHOD), true, true);
    let mut packet = vec![0x13, 0x88, 0x13, 0x88, 0, 0, 0, 9, 0, 0, 0, 0, kind::SHUTDOWN_ACK, 0, 0, 4];
    let meta = Meta { src: theirs(), dst: ours(), channel: CHANNEL, ecn: None, ifindex: None };
    let mut buf = Vec::new();
    b.stack.handle_batch(b.time(), &meta, Train::single(Bytes::from(packet.clone())));
    assert!(b.stack.poll_transmit(b.time(), 1, &mut buf).is_none());
    checksum::seal(&mut packet);
    b.stack.handle_batch(b.time(), &meta, Train::single(Bytes::from(packet)));
    assert!(b.stack.poll_transmit(b.time(), 1, &mut buf).is_some());
    assert!(checksum::verify(&buf) && !checksum::is_zero(&buf));
}
