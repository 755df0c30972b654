//! Socket nodes in pairs, on simulated time: what is handed out, to whom, and in which order.

use core::time::Duration;
use std::net::SocketAddr;

use bytes::Bytes;

use super::link::Owner;
use super::reading::MAX_INBOX;
use super::*;
use crate::config::{AssocConfig, HmacId, KeyRing, SharedKey, StreamScheduler};
use crate::entropy::SeededEntropy;
use crate::error::CloseReason;
use crate::net::Channel;
use crate::num::{KeyId, StreamId};
use crate::socket::info::{RcvInfo, Received};
use crate::socket::notification::{AuthIndication, EventKind, Notification};
use crate::socket::option::{
    AssocIdList, AssocSel, AutoClose, EventOption, ExplicitEor, GetOpt, InterleavingSupported, Linger, NoDelay, Place, RtoInfo, Scheduler,
    SchedulerValue, SetOpt, StreamSel, Subscription,
};
use crate::socket::option::{
    AuthActiveKey, AuthChunk, AuthDeactivateKey, AuthDeleteKey, AuthKey, HmacIdent, LocalAuthChunks, PeerAuthChunks,
};

const A: [u8; 4] = [10, 0, 0, 1];
const B: [u8; 4] = [10, 0, 0, 2];
const PORT: u16 = 7;

struct Host {
    node: SocketNode,
    ip: IpAddr,
    ep: EndpointId,
}

impl Host {
    fn new(ip: [u8; 4], port: u16, kind: Kind, cfg: AssocConfig) -> Self {
        let stack = Stack::new(StackConfig::default(), Box::new(SeededEntropy::new(u64::from(ip[3]))));
        let mut node = SocketNode::with_stack(stack).unwrap();
        node.handle_addresses(Time::ZERO, AddrChange::Set(vec![ip.into()]));
        let ep = node.open(EndpointConfig::with(port, Arc::new(cfg)), kind, PortReleaser::idle()).unwrap();
        node.listen(ep, 100);
        Self { node, ip: ip.into(), ep }
    }

    fn packets(&mut self, now: Time) -> Vec<Bytes> {
        let (mut out, mut buf) = (Vec::new(), Vec::new());
        while self.node.poll_transmit(now, 1, &mut buf).is_some() {
            out.push(core::mem::take(&mut buf).into());
        }
        out
    }

    fn take(&mut self, now: Time, from: IpAddr, packet: Bytes) {
        let channel = Channel::Udp { local: 9899, remote: 9899 };
        let meta = Meta { src: from, dst: self.ip, channel, ecn: None, ifindex: None };
        self.node.handle_batch(now, &meta, Train::single(packet));
    }

    fn set<O: SetOpt>(&mut self, now: Time, scope: impl Into<O::Scope>, value: O) -> io::Result<()> {
        value.set(&mut Place::socket(&mut self.node, now, self.ep), scope.into())
    }

    fn get<O: GetOpt>(&mut self, now: Time, scope: impl Into<O::Scope>) -> io::Result<O> {
        O::get(&mut Place::socket(&mut self.node, now, self.ep), scope.into())
    }

    /// Everything that a one-to-many socket has to say.
    fn all(&mut self, now: Time) -> Vec<Received> {
        core::iter::from_fn(|| self.node.recv_many(now, self.ep, usize::MAX)).collect()
    }
}

struct Pair {
    now: Time,
    a: Host,
    b: Host,
}

impl Pair {
    fn new(kind: Kind, cfg: AssocConfig) -> Self {
        Self { now: Time::from_millis(1), a: Host::new(A, 50_000, Kind::Many, cfg.clone()), b: Host::new(B, PORT, kind, cfg) }
    }

    /// Two one-to-many sockets with an association, whose news were read.
    fn up() -> (Self, AssocId, AssocId) {
        let mut p = Self::new(Kind::Many, AssocConfig::rfc());
        let a = p.connect();
        let up = p.b.all(p.now);
        let [Received::Notification(Notification::CommUp { assoc: b, incoming: true, .. })] = up[..] else { panic!("{up:?}") };
        assert_eq!(p.a.all(p.now).len(), 1);
        (p, a, b)
    }

    fn connect(&mut self) -> AssocId {
        let peer = SocketAddr::new(self.b.ip, PORT);
        let id = self.a.node.connect(self.now, self.a.ep, &[peer.into()], None).unwrap();
        self.settle();
        id
    }

    fn settle(&mut self) {
        for _ in 0..10_000 {
            let (from_a, from_b) = (self.a.packets(self.now), self.b.packets(self.now));
            if from_a.is_empty() && from_b.is_empty() {
                return;
            }
            from_a.into_iter().for_each(|x| self.b.take(self.now, self.a.ip, x));
            from_b.into_iter().for_each(|x| self.a.take(self.now, self.b.ip, x));
        }
        panic!("no end");
    }

    fn pass(&mut self, d: Duration) {
        let end = self.now + d;
        loop {
            self.settle();
            let next = [self.a.node.poll_timeout(), self.b.node.poll_timeout()].into_iter().flatten().min();
            let Some(at) = next.filter(|t| *t <= end) else { break };
            self.now = at.max(self.now);
            self.a.node.handle_timeout(self.now);
            self.b.node.handle_timeout(self.now);
        }
        self.now = end;
    }

    fn send(&mut self, id: AssocId, payload: &[u8], info: SndInfo) -> Option<io::Result<()>> {
        let out = self.a.node.send(self.now, id, &info, &mut Bytes::copy_from_slice(payload));
        self.settle();
        out
    }
}

fn messages(all: &[Received]) -> Vec<(RcvInfo, Bytes)> {
    let message = |r: &Received| if let Received::Message(info, bytes) = r { Some((*info, bytes.clone())) } else { None };
    all.iter().filter_map(message).collect()
}

#[test]
fn options_reach_the_associations_that_they_are_set_for() {
    let (mut p, a, _) = Pair::up();
    let now = p.now;
    let quick = RtoInfo { min: Duration::from_millis(100), ..RtoInfo::UNCHANGED };
    p.a.set(now, AssocSel::Current, quick).unwrap();
    assert_eq!(p.a.get::<RtoInfo>(now, a).unwrap().min, Duration::from_millis(100));
    assert_eq!(p.a.get::<RtoInfo>(now, AssocSel::Future).unwrap().min, Duration::from_secs(1));
    p.a.set(now, AssocSel::Future, RtoInfo { min: Duration::from_millis(300), ..RtoInfo::UNCHANGED }).unwrap();
    assert_eq!(p.a.get::<RtoInfo>(now, a).unwrap().min, Duration::from_millis(100));
    p.a.set(now, AssocSel::All, RtoInfo { max: Duration::from_secs(9), ..RtoInfo::UNCHANGED }).unwrap();
    for (sel, min) in [(AssocSel::Future, 300), (AssocSel::Assoc(a), 100)] {
        let got = p.a.get::<RtoInfo>(now, sel).unwrap();
        assert_eq!((got.min, got.max), (Duration::from_millis(min), Duration::from_secs(9)));
    }
    for sel in [AssocSel::Current, AssocSel::All] {
        assert_eq!(p.a.get::<RtoInfo>(now, sel).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
    let bad = RtoInfo { min: Duration::from_secs(10), ..RtoInfo::UNCHANGED };
    assert_eq!(p.a.set(now, a, bad).unwrap_err().kind(), io::ErrorKind::InvalidInput, "above RTO.Max");
    // What belongs to the whole socket.
    assert!(!p.a.get::<NoDelay>(now, ()).unwrap().0);
    p.a.set(now, (), NoDelay(true)).unwrap();
    assert!(p.a.get::<NoDelay>(now, ()).unwrap().0 && !p.a.node.stack.assoc(a).unwrap().config().nagle);
    assert_eq!(p.a.get::<AssocIdList>(now, ()).unwrap().0, [a]);
}

/// RFC 6458 section 6.2.2: per association and per kind.
#[test]
fn only_what_was_subscribed_to_is_told() {
    let (mut p, a, b) = Pair::up();
    let now = p.now;
    p.b.set(now, b, EventOption { kind: EventKind::Shutdown, on: false }).unwrap();
    p.b.set(now, AssocSel::Future, EventOption { kind: EventKind::AssocChange, on: false }).unwrap();
    assert!(!p.b.get::<Subscription>(now, b).unwrap().0.has(EventKind::Shutdown));
    assert!(p.b.get::<Subscription>(now, b).unwrap().0.has(EventKind::AssocChange));
    p.send(a, b"last", SndInfo::default().eof()).unwrap().unwrap();
    let all = p.b.all(p.now);
    assert!(matches!(
        &all[..],
        [Received::Message(..), Received::Notification(Notification::CommLost { reason: CloseReason::Shutdown, .. })]
    ));
    // The next one comes and goes unannounced, and is forgotten when its message was read.
    let a = p.connect();
    p.send(a, b"one", SndInfo::default().eof()).unwrap().unwrap();
    assert_eq!(p.b.node.links.len(), 1);
    let all = p.b.all(p.now);
    assert_eq!(messages(&all).len(), 1);
    assert!(
        all.iter().all(|r| !matches!(r, Received::Notification(Notification::CommUp { .. } | Notification::CommLost { .. }))),
        "{all:?}"
    );
    assert_eq!(p.b.node.links.len(), 0);
    assert_eq!(p.b.node.sockets[&p.b.ep].links, 0);
}

#[test]
fn the_sender_is_dry_only_for_those_who_ask() {
    let (mut p, a, _) = Pair::up();
    p.send(a, b"x", SndInfo::default()).unwrap().unwrap();
    p.pass(Duration::from_secs(1));
    assert_eq!(p.a.all(p.now), []);
    let now = p.now;
    p.a.set(now, a, EventOption { kind: EventKind::SenderDry, on: true }).unwrap();
    let dry = [Received::Notification(Notification::SenderDry { assoc: a })];
    assert_eq!(p.a.all(p.now), dry, "at once");
    p.send(a, b"x", SndInfo::default()).unwrap().unwrap();
    p.pass(Duration::from_secs(1));
    assert_eq!(p.a.all(p.now), dry);
    p.a.set(now, a, EventOption { kind: EventKind::SenderDry, on: false }).unwrap();
    p.send(a, b"x", SndInfo::default()).unwrap().unwrap();
    p.pass(Duration::from_secs(1));
    assert_eq!(p.a.all(p.now), []);
    // Associations to come have it from the beginning.
    p.a.set(now, AssocSel::Future, EventOption { kind: EventKind::SenderDry, on: true }).unwrap();
    p.send(a, b"", SndInfo::default().eof()).unwrap().unwrap();
    p.a.all(p.now);
    p.b.all(p.now);
    let a = p.connect();
    p.send(a, b"x", SndInfo::default()).unwrap().unwrap();
    p.pass(Duration::from_secs(1));
    assert!(p.a.all(p.now).contains(&Received::Notification(Notification::SenderDry { assoc: a })));
}

/// RFC 6458 section 6.1.11: what failed comes back with its context.
#[test]
fn failed_messages_come_back_with_their_context() {
    let (mut p, a, _) = Pair::up();
    for n in 0..3_u32 {
        let info = SndInfo::stream(1).ppid(n + 10).context(n).unordered();
        p.a.node.send(p.now, a, &info, &mut Bytes::from(vec![1; 100])).unwrap().unwrap();
        // The first one leaves, Nagle holds the others back.
        p.a.packets(p.now);
    }
    p.a.node.abort(p.now, a, b"").unwrap();
    let all = p.a.all(p.now);
    let failed: Vec<_> = all
        .iter()
        .filter_map(|r| match r {
            Received::Notification(Notification::SendFailed { info, sent, message, .. }) => {
                assert!(message.payload.len() == 100 && info.unordered && info.sid.0 == 1 && info.ppid.0 == info.context + 10);
                Some((info.context, *sent))
            }
            _ => None,
        })
        .collect();
    assert_eq!(failed, [(0, true), (1, false), (2, false)]);
}

/// RFC 6458 section 5.3.4, SCTP_SENDALL and SCTP_ABORT.
#[test]
fn one_message_for_all_associations() {
    let mut p = Pair::new(Kind::Many, AssocConfig::rfc());
    p.connect();
    // Another association between the same hosts, from another endpoint of B to A.
    let ep = p.b.node.open(EndpointConfig::new(8), Kind::Many, PortReleaser::idle()).unwrap();
    let peer = SocketAddr::new(p.a.ip, 50_000);
    p.b.node.connect(p.now, ep, &[peer.into()], None).unwrap();
    p.settle();
    assert_eq!(p.a.node.living(p.a.ep).len(), 2);
    p.a.node.send_all(p.now, p.a.ep, &SndInfo::default(), &Bytes::from_static(b"all")).unwrap();
    p.settle();
    assert_eq!(messages(&p.b.all(p.now)).len(), 1);
    let other: Vec<_> = core::iter::from_fn(|| p.b.node.recv_many(p.now, ep, usize::MAX)).collect();
    assert_eq!(messages(&other).len(), 1);
    // An abort takes the message as its reason.
    let [first, _] = p.a.node.living(p.a.ep)[..] else { panic!() };
    p.send(first, b"enough", SndInfo::default().abort()).unwrap().unwrap();
    let all = p.b.all(p.now);
    let Some(Received::Notification(Notification::CommLost { reason: CloseReason::PeerAborted(causes), .. })) = all.last() else {
        panic!("{all:?}")
    };
    assert!(causes.ends_with(b"enough"));
}

/// RFC 8260 section 4.3: what is offered is for associations to come, and needs level 2 of interleaving; the scheduler changes at once.
#[test]
fn interleaving_and_schedulers_are_options() {
    let mut p = Pair::new(Kind::Many, AssocConfig::rfc());
    let (now, future) = (p.now, AssocSel::Future);
    let refused = p.a.set(now, future, InterleavingSupported(true)).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    let plain = p.connect();
    for host in [&mut p.a, &mut p.b] {
        host.set(now, (), FragmentInterleave::Complete).unwrap();
        host.set(now, future, InterleavingSupported(true)).unwrap();
        assert_eq!(host.get::<InterleavingSupported>(now, future).unwrap(), InterleavingSupported(true));
        // Not back, while interleaving is on.
        host.set(now, (), FragmentInterleave::None).unwrap_err();
        assert_eq!(host.get::<FragmentInterleave>(now, ()).unwrap(), FragmentInterleave::Complete);
    }
    let cfg = p.a.node.stack.endpoint_config(p.a.ep).unwrap().assoc;
    let ep = p.a.node.open(EndpointConfig::with(9, cfg), Kind::Many, PortReleaser::idle()).unwrap();
    let peer = SocketAddr::new(p.b.ip, PORT);
    let other = p.a.node.connect(now, ep, &[peer.into()], None).unwrap();
    p.settle();
    let interleaves =
        |p: &mut Pair, ep, id: AssocId| InterleavingSupported::get(&mut Place::socket(&mut p.a.node, now, ep), id.into()).unwrap().0;
    let first = p.a.ep;
    assert_eq!((interleaves(&mut p, first, plain), interleaves(&mut p, ep, other)), (false, true));
    p.a.set(now, plain, InterleavingSupported(true)).unwrap_err();
    p.a.set(now, AssocSel::All, InterleavingSupported(false)).unwrap_err();

    assert_eq!(p.a.get::<Scheduler>(now, plain).unwrap(), Scheduler::default());
    p.a.set(now, AssocSel::All, Scheduler(StreamScheduler::Priority)).unwrap();
    let sel = StreamSel::from((AssocSel::All, StreamId(3)));
    p.a.set(now, sel, SchedulerValue(7)).unwrap();
    assert_eq!(p.a.get::<Scheduler>(now, plain).unwrap().0, StreamScheduler::Priority);
    assert_eq!(p.a.get::<SchedulerValue>(now, (plain, StreamId(3))).unwrap(), SchedulerValue(7));
    assert_eq!(p.a.get::<SchedulerValue>(now, StreamId(3)).unwrap(), SchedulerValue(7));
    assert_eq!(p.a.get::<SchedulerValue>(now, (plain, StreamId(4))).unwrap(), SchedulerValue(0));
    // CVE-2014-8612: a stream that there is not.
    p.a.set(now, (plain, StreamId(u16::MAX)), SchedulerValue(7)).unwrap_err();
    p.a.get::<SchedulerValue>(now, (plain, StreamId(10))).unwrap_err();
}

/// RFC 6458 section 8.1.20: at level 0 nothing comes between the parts of a message; at level 1 other associations do.
#[test]
fn levels_of_interleaving_between_associations() {
    for level in [FragmentInterleave::None, FragmentInterleave::Associations] {
        let cfg = AssocConfig { recv_buffer: 20_000, partial_delivery_point: Some(10_000), ..AssocConfig::rfc() };
        let mut p = Pair::new(Kind::Many, cfg);
        let a = p.connect();
        let ep = p.a.node.open(EndpointConfig::new(8), Kind::Many, PortReleaser::idle()).unwrap();
        let peer = SocketAddr::new(p.b.ip, PORT);
        let other = p.a.node.connect(p.now, ep, &[peer.into()], None).unwrap();
        p.settle();
        let now = p.now;
        p.b.all(now);
        p.b.set(now, (), level).unwrap();
        assert_eq!(p.b.get::<FragmentInterleave>(now, ()).unwrap(), level);
        p.send(a, &[1; 100_000], SndInfo::default()).unwrap().unwrap();
        let first = p.b.node.recv_many(p.now, p.b.ep, usize::MAX).unwrap();
        assert!(matches!(&first, Received::Message(info, _) if info.more && info.offset == 0));
        p.send(other, b"other", SndInfo::default()).unwrap().unwrap();
        let (mut got, mut order) = (0, Vec::new());
        for _ in 0..1_000 {
            for (info, bytes) in messages(&p.b.all(p.now)) {
                if bytes == "other" {
                    order.push("other");
                } else {
                    got += bytes.len();
                    order.extend((!info.more).then_some("end"));
                }
            }
            p.pass(Duration::from_millis(300));
        }
        let Received::Message(_, head) = first else { unreachable!() };
        assert_eq!(got + head.len(), 100_000);
        let expected = if level == FragmentInterleave::None { ["end", "other"] } else { ["other", "end"] };
        assert_eq!(order, expected, "{level:?}");
    }
}

/// Level 2: other streams of the same association too.
#[test]
fn level_two_lets_other_streams_pass() {
    for level in [FragmentInterleave::Associations, FragmentInterleave::Complete] {
        let cfg = AssocConfig { partial_delivery_point: Some(1_000), nagle: false, ..AssocConfig::rfc() };
        let mut p = Pair::new(Kind::Many, cfg);
        let a = p.connect();
        p.b.set(p.now, (), level).unwrap();
        p.b.all(p.now);
        p.a.node.send(p.now, a, &SndInfo::stream(1), &mut Bytes::from(vec![1; 4_000])).unwrap().unwrap();
        p.a.node.send(p.now, a, &SndInfo::stream(2), &mut Bytes::from_static(b"other")).unwrap().unwrap();
        let packets = p.a.packets(p.now);
        assert!(packets.len() > 2);
        // The second one is lost.
        p.b.take(p.now, p.a.ip, packets[0].clone());
        let first = messages(&p.b.all(p.now));
        assert!(matches!(&first[..], [(info, _)] if info.more && info.sid.0 == 1));
        packets[2..].iter().for_each(|x| p.b.take(p.now, p.a.ip, x.clone()));
        let sids = |all: &[Received]| messages(all).iter().map(|(info, _)| (info.sid.0, info.more)).collect::<Vec<_>>();
        let before = sids(&p.b.all(p.now));
        p.pass(Duration::from_secs(5));
        let after = sids(&p.b.all(p.now));
        match level {
            FragmentInterleave::Complete => assert_eq!((&before[..], &after[..]), (&[(2, false)][..], &[(1, false)][..])),
            _ => assert_eq!((&before[..], &after[..]), (&[][..], &[(1, false), (2, false)][..])),
        }
    }
}

/// What is read into a small buffer comes in pieces, in turn with other associations.
#[test]
fn a_message_is_cut_to_the_room_that_there_is() {
    let (mut p, a, b) = Pair::up();
    p.send(a, b"0123456789", SndInfo::stream(3)).unwrap().unwrap();
    p.send(a, b"next", SndInfo::default()).unwrap().unwrap();
    let mut pieces = Vec::new();
    for _ in 0..3 {
        let Some(Received::Message(info, bytes)) = p.b.node.recv_many(p.now, p.b.ep, 4) else { panic!() };
        pieces.push((info.offset, bytes, info.more));
    }
    let piece = |at, bytes: &'static [u8], more| (at, Bytes::from_static(bytes), more);
    assert_eq!(pieces, [piece(0, b"0123", true), piece(4, b"4567", true), piece(8, b"89", false)]);
    let next = p.b.node.next_of_many(p.b.ep).unwrap();
    assert_eq!((next.assoc, next.len, next.complete, next.notification), (b, 4, true, false));
    assert_eq!(messages(&p.b.all(p.now)).len(), 1);
    assert_eq!(p.b.node.next_of_many(p.b.ep), None);
}

#[test]
fn explicit_ends_of_records() {
    let (mut p, a, _) = Pair::up();
    let now = p.now;
    p.a.set(now, (), ExplicitEor(true)).unwrap();
    p.send(a, b"one ", SndInfo::stream(2)).unwrap().unwrap();
    p.send(a, b"record", SndInfo::stream(2).eor()).unwrap().unwrap();
    p.a.set(now, (), ExplicitEor(false)).unwrap();
    p.send(a, b"another", SndInfo::stream(2)).unwrap().unwrap();
    p.pass(Duration::from_secs(1));
    let all: Vec<_> = messages(&p.b.all(p.now)).into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(all, ["one record", "another"]);
}

#[test]
fn without_linger_the_associations_of_a_dropped_socket_are_aborted() {
    for linger in [Some(Duration::ZERO), Some(Duration::from_secs(1)), None] {
        let (mut p, _, _) = Pair::up();
        let now = p.now;
        p.a.set(now, (), Linger(linger)).unwrap();
        p.a.node.abandon(now, p.a.ep);
        p.settle();
        let all = p.b.all(p.now);
        let Some(Received::Notification(Notification::CommLost { reason, .. })) = all.last() else { panic!("{all:?}") };
        assert_eq!(matches!(reason, CloseReason::PeerAborted(_)), linger == Some(Duration::ZERO), "{reason:?}");
        assert!(p.a.node.links.is_empty() && p.a.node.sockets.is_empty());
    }
}

#[test]
fn autoclose_is_for_one_to_many_sockets() {
    let (mut p, _, _) = Pair::up();
    let now = p.now;
    p.a.set(now, (), AutoClose(Duration::from_secs(5))).unwrap();
    p.pass(Duration::from_secs(4));
    assert_eq!((p.a.all(p.now).len(), p.b.all(p.now).len()), (0, 0));
    p.pass(Duration::from_secs(2));
    assert!(matches!(p.a.all(p.now)[..], [Received::Notification(Notification::CommLost { reason: CloseReason::Shutdown, .. })]));
    let mut listener = Host::new(B, PORT, Kind::Listener, AssocConfig::rfc());
    assert_eq!(
        listener.set(now, (), AutoClose(Duration::from_secs(5))).unwrap_err().raw_os_error(),
        Some(rustix::io::Errno::OPNOTSUPP.raw_os_error())
    );
}

/// A one-to-one socket: its notifications come in their place among the messages, if they are wanted.
#[test]
fn an_accepted_stream_inherits_what_its_listener_subscribed_to() {
    let mut p = Pair::new(Kind::Listener, AssocConfig::rfc());
    let now = p.now;
    p.b.set(now, (), Subscription(Events::USUAL)).unwrap();
    let a = p.connect();
    let b = p.b.node.accept(p.b.ep).unwrap();
    assert_eq!(p.b.node.links[&b].owner, Owner::Stream);
    p.send(a, b"one", SndInfo::default()).unwrap().unwrap();
    p.send(a, b"two", SndInfo::default().eof()).unwrap().unwrap();
    let mut seen = Vec::new();
    loop {
        assert_eq!(p.b.node.next_of_stream(b).is_none(), seen.len() == 5);
        match p.b.node.recv_stream_any(p.now, b, usize::MAX).unwrap().unwrap() {
            Some(Received::Message(_, bytes)) => seen.push(String::from_utf8(bytes.to_vec()).unwrap()),
            Some(Received::Notification(note)) => seen.push(format!("{:?}", note.kind().unwrap())),
            None => break,
        }
    }
    assert_eq!(seen, ["AssocChange", "one", "two", "Shutdown", "AssocChange"]);
    assert!(matches!(p.b.node.recv_stream(p.now, b), Some(Ok(None))), "and so it stays");
}

/// A peer that shouts at a program that does not read.
#[test]
fn an_inbox_that_nobody_reads_is_bounded_and_says_what_it_lost() {
    let (mut p, a, _) = Pair::up();
    for _ in 0..MAX_INBOX + 10 {
        let note = Notification::PathState { assoc: a, addr: B.into(), change: crate::event::PathChange::Available };
        p.a.node.push_note(note);
    }
    let all = p.a.all(p.now);
    assert_eq!(all.len(), MAX_INBOX + 1);
    assert_eq!(all.last().unwrap(), &Received::Notification(Notification::Stopped { assoc: a }));
    p.a.node.push_note(Notification::Restarted { assoc: a });
    assert_eq!(p.a.all(p.now).len(), 1);
}

#[test]
fn notifications_that_a_stream_does_not_read_are_bounded() {
    let mut p = Pair::new(Kind::Listener, AssocConfig::rfc());
    p.b.set(p.now, (), Subscription(Events::USUAL)).unwrap();
    let a = p.connect();
    let b = p.b.node.accept(p.b.ep).unwrap();
    for _ in 0..1_000 {
        p.b.node.push_note(Notification::RemoteError { assoc: b, causes: Bytes::new() });
    }
    p.send(a, b"x", SndInfo::default()).unwrap().unwrap();
    let mut notes = Vec::new();
    loop {
        match p.b.node.recv_stream_any(p.now, b, usize::MAX).unwrap().unwrap().unwrap() {
            Received::Notification(note) => notes.push(note),
            Received::Message(_, bytes) => break assert_eq!(bytes, "x"),
        }
    }
    assert_eq!(notes.len(), 257);
    assert_eq!(notes.last().unwrap(), &Notification::Stopped { assoc: b });
}

#[test]
fn addresses_are_added_and_removed_for_associations_to_come() {
    let mut node = SocketNode::with_stack(Stack::new(StackConfig::default(), Box::new(SeededEntropy::new(1)))).unwrap();
    let ips: Vec<IpAddr> = (1..5).map(|n| IpAddr::from([10, 0, 0, n])).collect();
    node.handle_addresses(Time::ZERO, AddrChange::Set(ips.clone()));
    let mut cfg = EndpointConfig::new(7);
    cfg.bind = vec![[192, 0, 2, 1].into()];
    let open = |node: &mut SocketNode, cfg: &EndpointConfig| node.open(cfg.clone(), Kind::Many, PortReleaser::idle());
    assert_eq!(open(&mut node, &cfg).unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    cfg.bind = vec![ips[0]];
    let ep = open(&mut node, &cfg).unwrap();
    node.bindx(Time::ZERO, ep, &ips[1..3], true).unwrap();
    node.bindx(Time::ZERO, ep, &ips[..1], false).unwrap();
    assert_eq!(node.bound(ep).unwrap(), ips[1..3]);
    let kind = |r: io::Result<()>| r.unwrap_err().kind();
    assert_eq!(kind(node.bindx(Time::ZERO, ep, &[[192, 0, 2, 1].into()], true)), io::ErrorKind::AddrNotAvailable);
    assert_eq!(kind(node.bindx(Time::ZERO, ep, &ips[..1], false)), io::ErrorKind::AddrNotAvailable);
    assert_eq!(kind(node.bindx(Time::ZERO, ep, &ips[1..3], false)), io::ErrorKind::InvalidInput, "one must stay");
    assert_eq!(node.bound(ep).unwrap(), ips[1..3], "refused means unchanged");
    let all = open(&mut node, &EndpointConfig::new(8)).unwrap();
    assert_eq!(kind(node.bindx(Time::ZERO, all, &ips[..1], true)), io::ErrorKind::InvalidInput, "bound to all");
    assert_eq!(node.bound(all).unwrap(), ips);
}

/// RFC 4895 rows: 3.2-6. RFC 6458 sections 6.1.8, 8.1.17, 8.1.18, 8.2.3, 8.2.4 and 8.3.2 to 8.3.5.
#[test]
fn keys_and_chunks_of_authentication_are_options() {
    let mut cfg = AssocConfig::rfc();
    (cfg.auth, cfg.add_ip) = (true, false);
    let mut p = Pair::new(Kind::Many, cfg);
    let now = p.now;
    // The attack class of CVE-2008-3526 and its like: lengths and numbers that a program chose.
    for kind in [1, 2, 14, 15] {
        assert_eq!(p.a.set(now, (), AuthChunk(kind)).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
    assert!(p.a.set(now, (), HmacIdent(vec![HmacId::Sha256])).is_err() && p.a.set(now, (), HmacIdent(Vec::new())).is_err());
    assert!(p.a.set(now, AssocSel::Future, AuthKey { id: KeyId(1), key: SharedKey::new(&[0; 70_000]) }).is_err());
    p.a.set(now, (), HmacIdent(vec![HmacId::Sha1])).unwrap();
    assert_eq!(p.a.get::<HmacIdent>(now, ()).unwrap().0, [HmacId::Sha1]);
    p.a.set(now, (), AuthChunk(0)).unwrap();
    p.b.set(now, (), AuthChunk(6)).unwrap();
    assert_eq!(p.a.get::<LocalAuthChunks>(now, AssocSel::Future).unwrap().0.iter().collect::<Vec<_>>(), [0]);
    for host in [&mut p.a, &mut p.b] {
        host.set(now, AssocSel::All, EventOption { kind: EventKind::Authentication, on: true }).unwrap();
        host.set(now, AssocSel::Future, AuthKey { id: KeyId(1), key: SharedKey::new(b"one") }).unwrap();
    }
    let id = p.connect();
    let up = p.b.all(now);
    let [Received::Notification(Notification::CommUp { assoc: b, .. })] = up[..] else { panic!("{up:?}") };
    p.a.all(now);
    assert_eq!(p.a.get::<PeerAuthChunks>(now, id).unwrap().0.iter().collect::<Vec<_>>(), [6]);
    assert_eq!(p.b.get::<PeerAuthChunks>(now, b).unwrap().0.iter().collect::<Vec<_>>(), [0]);
    assert_eq!(p.a.set(now, id, AuthActiveKey(KeyId(9))).unwrap_err().to_string(), "there is no shared key 9");
    assert_eq!(p.b.set(now, b, AuthDeleteKey(KeyId(0))).unwrap_err().to_string(), "shared key 0 is the active one");
    p.b.set(now, b, AuthActiveKey(KeyId(1))).unwrap();
    assert_eq!(p.b.get::<AuthActiveKey>(now, b).unwrap(), AuthActiveKey(KeyId(1)));
    assert_eq!(p.b.get::<AuthActiveKey>(now, AssocSel::Future).unwrap(), AuthActiveKey(KeyId(0)));
    p.b.set(now, b, AuthDeactivateKey(KeyId(0))).unwrap();
    p.b.set(now, b, AuthDeleteKey(KeyId(0))).unwrap();
    let note = |assoc, key: u16, what| Received::Notification(Notification::Authentication { assoc, key: Some(KeyId(key)), what });
    assert_eq!(p.b.all(now), [note(b, 0, AuthIndication::FreeKey)]);
    // The peer hears of the new key with the first packet.
    p.b.node.send(now, b, &SndInfo::default(), &mut Bytes::from_static(b"x")).unwrap().unwrap();
    p.settle();
    let told = p.a.all(now);
    assert!(matches!(&told[..], [Received::Notification(_), Received::Message(..)]) && told[0] == note(id, 1, AuthIndication::NewKey));
    let refused = p.b.node.send(now, b, &SndInfo::default().auth_key(KeyId(0)), &mut Bytes::from_static(b"x")).unwrap();
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn that_a_peer_has_no_authentication_is_told_to_who_asks() {
    let (mut with, mut without) = (AssocConfig::rfc(), AssocConfig::rfc());
    (with.auth, without.auth) = (true, false);
    with.auth_keys = KeyRing::default();
    let mut p = Pair { now: Time::from_millis(1), a: Host::new(A, 50_000, Kind::Many, with), b: Host::new(B, PORT, Kind::Many, without) };
    p.a.set(p.now, AssocSel::All, EventOption { kind: EventKind::Authentication, on: true }).unwrap();
    p.b.set(p.now, AssocSel::All, EventOption { kind: EventKind::Authentication, on: true }).unwrap();
    let id = p.connect();
    let none = Notification::Authentication { assoc: id, key: None, what: AuthIndication::NoAuth };
    assert_eq!(p.a.all(p.now).pop(), Some(Received::Notification(none)));
    assert_eq!(p.b.all(p.now).len(), 1);
}
