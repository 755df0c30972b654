//! What users may ask of an association beyond sending and closing (RFC 6458), between two stacks.

use super::ladder::{A, PORT, Pair, ip, kinds};
use bytes::Bytes;

use super::*;
use crate::config::EndpointConfig;
use crate::error::SendError;
use crate::event::{PathState, Reliability, SendOptions};
use crate::num::{Ppid, StreamId};

fn open_with(change: impl FnOnce(&mut AssocConfig)) -> (Pair, AssocId, AssocId) {
    let mut cfg = AssocConfig::rfc();
    change(&mut cfg);
    let mut p = Pair::with(cfg);
    let a = p.connect();
    p.settle();
    let b = p.b.events.first().unwrap().0;
    (p, a, b)
}

fn send(p: &mut Pair, id: AssocId, sid: u16, payload: &[u8], opts: SendOptions) -> Result<(), SendError> {
    let now = p.now;
    p.a.stack.assoc(id).unwrap().send(now, StreamId(sid), Ppid(1), Bytes::copy_from_slice(payload), opts)
}

fn received(p: &mut Pair, id: AssocId) -> Vec<(u16, Bytes, bool)> {
    let Some(mut assoc) = p.b.stack.assoc(id) else { return Vec::new() };
    core::iter::from_fn(|| assoc.recv()).map(|m| (m.sid.0, m.payload, m.more)).collect()
}

const PART: SendOptions = SendOptions {
    unordered: false,
    sack_immediately: false,
    context: 0,
    unfinished: true,
    cork: false,
    path: None,
    auth_key: None,
    reliability: Reliability::Full,
};

/// RFC 6458 section 8.1.26: the parts are one message, and other streams are not kept waiting for its end.
#[test]
fn a_message_sent_in_parts_arrives_whole() {
    let (mut p, a, b) = Pair::up();
    send(&mut p, a, 1, b"one ", PART).unwrap();
    send(&mut p, a, 1, b"two ", PART).unwrap();
    send(&mut p, a, 2, b"other", SendOptions::ordered()).unwrap();
    p.settle();
    assert_eq!(received(&mut p, b), [(2, Bytes::from_static(b"other"), false)]);
    send(&mut p, a, 1, b"three", SendOptions::unordered()).unwrap();
    send(&mut p, a, 1, b"next", SendOptions::ordered()).unwrap();
    p.settle();
    let all = received(&mut p, b);
    assert_eq!(all, [(1, Bytes::from_static(b"one two three"), false), (1, Bytes::from_static(b"next"), false)]);
}

/// A message larger than the send buffer: its beginning leaves when the buffer is full.
#[test]
fn a_message_larger_than_the_send_buffer_goes_in_parts() {
    let (mut p, a, b) = open_with(|c| (c.send_buffer, c.recv_buffer) = (8_000, 1 << 20));
    let part = vec![7; 3_000];
    let mut refused = 0;
    for n in 0..100 {
        let opts = if n == 99 { SendOptions::ordered() } else { PART };
        while send(&mut p, a, 0, &part, opts) == Err(SendError::WouldBlock) {
            refused += 1;
            assert!(refused < 1_000, "what is buffered leaves");
            p.pass(Duration::from_millis(200));
        }
    }
    p.pass(Duration::from_secs(2));
    let all = received(&mut p, b);
    assert_eq!(all.iter().map(|(_, bytes, _)| bytes.len()).sum::<usize>(), 300_000);
    assert!(refused > 10 && all.iter().filter(|(_, _, more)| !more).count() == 1, "{refused} refused, {} parts", all.len());
}

/// At the end of the association a message without an end is given back if nothing of it left; else the peer is told by ABORT.
#[test]
fn a_shutdown_with_an_unfinished_message() {
    let (mut p, a, _) = Pair::up();
    send(&mut p, a, 1, b"never ", PART).unwrap();
    send(&mut p, a, 1, b"ended", SendOptions { context: 9, ..PART }).unwrap();
    let now = p.now;
    p.a.stack.assoc(a).unwrap().shutdown(now);
    p.settle();
    assert!(p.a.has(|e| matches!(e, Event::SendFailed { message, context: 9, sent: false } if message.payload == "ended")));
    assert!(p.b.has(|e| *e == Event::Lost { reason: CloseReason::Shutdown }));

    let (mut p, a, _) = Pair::up();
    send(&mut p, a, 1, &vec![1; 100_000], PART).unwrap();
    p.settle();
    let now = p.now;
    p.a.stack.assoc(a).unwrap().shutdown(now);
    p.settle();
    assert!(p.b.has(|e| matches!(e, Event::Lost { reason: CloseReason::PeerAborted(_) })));
}

#[test]
fn what_is_corked_waits_for_a_full_packet_or_for_the_last() {
    let (mut p, a, b) = open_with(|c| c.nagle = false);
    let cork = SendOptions { cork: true, ..SendOptions::default() };
    for _ in 0..3 {
        send(&mut p, a, 0, &[1; 100], cork).unwrap();
    }
    let now = p.now;
    assert!(p.a.packets(now).is_empty(), "more is to follow");
    send(&mut p, a, 0, &[2; 100], SendOptions::ordered()).unwrap();
    let packets = p.a.packets(now);
    assert_eq!(packets.iter().map(kinds).collect::<Vec<_>>(), [vec![0; 4]], "all in one packet");
    packets.into_iter().for_each(|x| p.b.take(now, ip(A), x));
    p.settle();
    assert_eq!(received(&mut p, b).len(), 4);
    // Full packets do not wait, and neither does the rest at the end.
    for _ in 0..20 {
        send(&mut p, a, 0, &[3; 100], cork).unwrap();
    }
    p.settle();
    let now_there = received(&mut p, b).len();
    assert!((1..20).contains(&now_there), "{now_there}");
    let now = p.now;
    p.a.stack.assoc(a).unwrap().shutdown(now);
    p.settle();
    assert_eq!(received(&mut p, b).len(), 20 - now_there);
}

/// RFC 6458 section 8.1.8.
#[test]
fn an_idle_association_is_shut_down() {
    let (mut p, a, b) = open_with(|c| c.autoclose = Some(Duration::from_secs(10)));
    for _ in 0..3 {
        p.pass(Duration::from_secs(8));
        send(&mut p, a, 0, b"busy", SendOptions::ordered()).unwrap();
    }
    p.pass(Duration::from_secs(8));
    assert_eq!((p.a.state(a), p.b.state(b)), ("ESTABLISHED", "ESTABLISHED"), "user data went 8 s ago");
    p.pass(Duration::from_secs(3));
    assert!(p.a.has(|e| *e == Event::Lost { reason: CloseReason::Shutdown }));
    assert!(p.b.has(|e| *e == Event::Lost { reason: CloseReason::Shutdown }));
    assert_eq!(received(&mut p, b).len(), 3);
}

#[test]
fn autoclose_can_be_switched_while_the_association_lives() {
    let (mut p, a, _) = open_with(|c| c.autoclose = Some(Duration::from_secs(10)));
    for id_of in [0, 1] {
        let now = p.now;
        let (stack, id) = if id_of == 0 { (&mut p.a.stack, a) } else { (&mut p.b.stack, p.b.events[0].0) };
        stack.assoc(id).unwrap().reconfigure(now, |c| c.autoclose = None).unwrap();
    }
    p.pass(Duration::from_secs(60));
    assert_eq!(p.a.state(a), "ESTABLISHED");
    let now = p.now;
    p.a.stack.assoc(a).unwrap().reconfigure(now, |c| c.autoclose = Some(Duration::from_secs(1))).unwrap();
    p.pass(Duration::from_secs(2));
    assert_eq!(p.a.state(a), "gone");
}

/// RFC 6458 section 6.1.9: told at once when nothing is under way, then each time that everything is acknowledged.
#[test]
fn the_sender_says_when_it_is_dry() {
    let (mut p, a, _) = Pair::up();
    let dry = |p: &Pair| p.a.events.iter().filter(|(_, e)| *e == Event::SenderDry).count();
    send(&mut p, a, 0, b"nobody asked", SendOptions::ordered()).unwrap();
    p.pass(Duration::from_secs(1));
    assert_eq!(dry(&p), 0);
    let now = p.now;
    p.a.stack.assoc(a).unwrap().notify_when_dry(now, true);
    p.settle();
    assert_eq!(dry(&p), 1);
    for n in 1..4 {
        send(&mut p, a, 0, b"x", SendOptions::ordered()).unwrap();
        assert_eq!(dry(&p), n);
        p.pass(Duration::from_secs(1));
        assert_eq!(dry(&p), n + 1, "once a message");
    }
}

/// sinit_max_init_timeo of RFC 6458 section 5.3.1.
#[test]
fn the_time_outs_of_init_are_bounded_alone() {
    let (mut p, _, _) = Pair::up();
    let silent = SocketAddr::new(ip("10.0.0.9"), PORT);
    let cfg = AssocConfig { max_init_timeout: Some(Duration::from_millis(1_500)), max_init_retransmits: 4, ..AssocConfig::rfc() };
    let (now, ep) = (p.now, p.a.ep);
    let id = p.a.stack.connect(now, ep, &[silent.into()], Some(Arc::new(cfg))).unwrap();
    // 1 s, then 1.5 s in place of 2, 4, 8 and 16.
    p.pass(Duration::from_millis(6_900));
    assert_eq!(p.a.state(id), "COOKIE-WAIT");
    p.pass(Duration::from_millis(200));
    assert!(p.a.has(|e| *e == Event::Lost { reason: CloseReason::ConnectTimeout }));
}

#[test]
fn options_of_a_path_are_checked_and_kept() {
    let (mut p, a, _) = Pair::up();
    let (now, addr) = (p.now, p.b.ip);
    let mut assoc = p.a.stack.assoc(a).unwrap();
    let old = assoc.path_options(addr).unwrap();
    assert_eq!((old.mtu, old.dscp, old.flow_label), (None, 0, 0));
    for bad in [PathOptions { mtu: Some(100), ..old }, PathOptions { dscp: 64, ..old }, PathOptions { flow_label: 1 << 20, ..old }] {
        assert_eq!(assoc.set_path_options(now, addr, bad), Err(crate::PathError::OutOfRange));
    }
    let new = PathOptions { mtu: Some(800), dscp: 46, flow_label: 5, ..old };
    assoc.set_path_options(now, addr, new).unwrap();
    assert_eq!(assoc.path_options(addr).unwrap(), new);
    assoc.reconfigure(now, |c| c.rto_max = Duration::from_secs(20)).unwrap();
    assert_eq!(assoc.path_options(addr).unwrap(), new, "not touched by other changes");
    assert_eq!((assoc.paths()[0].mtu, assoc.paths()[0].state), (800, PathState::Active));
    assoc.send(now, StreamId(0), Ppid(0), Bytes::from(vec![1; 3_000]), SendOptions::ordered()).unwrap();
    let mut buf = Vec::new();
    let sent = p.a.stack.poll_transmit(now, 1, &mut buf).unwrap();
    assert_eq!((sent.dscp, sent.flow_label), (46, 5));
    assert!(sent.size <= 800 - 28 && sent.size > 700, "{}", sent.size);
    let mut assoc = p.a.stack.assoc(a).unwrap();
    assoc.set_path_options(now, addr, old).unwrap();
    assert_eq!(assoc.path_options(addr).unwrap(), old);
}

/// RFC 6458 section 5.3.5: TSNs of what was received.
#[test]
fn messages_tell_their_tsns() {
    let (mut p, a, b) = Pair::up();
    send(&mut p, a, 0, b"first", SendOptions::ordered()).unwrap();
    send(&mut p, a, 0, &[1; 5_000], SendOptions::ordered()).unwrap();
    send(&mut p, a, 0, b"last", SendOptions::ordered()).unwrap();
    p.pass(Duration::from_secs(1));
    let mut assoc = p.b.stack.assoc(b).unwrap();
    let tsns: Vec<_> = core::iter::from_fn(|| assoc.recv()).map(|m| m.tsn).collect();
    assert_eq!(tsns[1], tsns[0].next());
    assert!(tsns[2].after(tsns[1].next()), "several chunks between");
    assert_eq!(assoc.cumulative_tsn(), Some(tsns[2]));
}

/// SCTP_ADDR_OVER of RFC 6458 section 5.3.4: to the address that the user named, as long as it works.
#[test]
fn a_message_goes_where_its_user_wants() {
    let addrs: Vec<IpAddr> = ["10.0.0.2", "10.0.1.2"].into_iter().map(ip).collect();
    let mut a = Stack::new(StackConfig::default(), Box::new(crate::entropy::SeededEntropy::new(1)));
    let mut b = Stack::new(StackConfig::default(), Box::new(crate::entropy::SeededEntropy::new(2)));
    let mut now = Time::from_millis(1);
    b.handle_addresses(now, AddrChange::Set(addrs.clone()));
    let listener = b.open(EndpointConfig::new(PORT)).unwrap();
    b.listen(listener, true);
    let ep = a.open(EndpointConfig::new(0)).unwrap();
    let peers: Vec<PeerAddr> = addrs.iter().map(|ip| SocketAddr::new(*ip, PORT).into()).collect();
    let id = a.connect(now, ep, &peers, None).unwrap();
    // Answers where new data went.
    let settle = |a: &mut Stack, b: &mut Stack, now: Time, dead: Option<IpAddr>| {
        let mut went = Vec::new();
        loop {
            let mut buf = Vec::new();
            if let Some(t) = a.poll_transmit(now, 1, &mut buf) {
                if kinds(&Bytes::from(buf.clone())).contains(&0) {
                    went.push(t.dst.ip());
                }
                if Some(t.dst.ip()) != dead {
                    let meta = Meta { src: ip(A), dst: t.dst.ip(), channel: t.channel, ecn: None, ifindex: None };
                    b.handle_datagram(now, &meta, buf.into());
                }
            } else if let Some(t) = b.poll_transmit(now, 1, &mut buf) {
                let meta = Meta { src: t.src.unwrap(), dst: ip(A), channel: t.channel, ecn: None, ifindex: None };
                a.handle_datagram(now, &meta, buf.into());
            } else {
                return went;
            }
        }
    };
    settle(&mut a, &mut b, now, None);
    assert_eq!(a.assoc(id).unwrap().paths().iter().map(|p| p.addr).collect::<Vec<_>>(), addrs);
    let send = |a: &mut Stack, now: Time, path| {
        let opts = SendOptions { path, ..SendOptions::ordered() };
        a.assoc(id).unwrap().send(now, StreamId(0), Ppid(0), Bytes::from_static(b"x"), opts).unwrap();
    };
    for path in [None, Some(addrs[1]), Some(addrs[0])] {
        send(&mut a, now, path);
        assert_eq!(settle(&mut a, &mut b, now, None), [path.unwrap_or(addrs[0])]);
        now += Duration::from_secs(1);
        a.handle_timeout(now);
        b.handle_timeout(now);
        settle(&mut a, &mut b, now, None);
    }
    // Both in one send: packets part where their ways do.
    for path in [None, Some(addrs[1]), None] {
        send(&mut a, now, path);
    }
    let mut went = settle(&mut a, &mut b, now, None);
    while let Some(at) = b.poll_timeout().filter(|_| went.len() < 3) {
        now = at.max(now);
        b.handle_timeout(now);
        a.handle_timeout(now);
        went.extend(settle(&mut a, &mut b, now, None));
    }
    assert_eq!(went, [addrs[0], addrs[1], addrs[0]]);
    // The second address dies: the message goes there, is lost, and goes to the first; the next one goes there at once.
    send(&mut a, now, Some(addrs[1]));
    let mut went = settle(&mut a, &mut b, now, Some(addrs[1]));
    while a.assoc(id).unwrap().paths()[1].state == PathState::Active {
        now = a.poll_timeout().unwrap().max(now);
        a.handle_timeout(now);
        b.handle_timeout(now);
        went.extend(settle(&mut a, &mut b, now, Some(addrs[1])));
    }
    assert_eq!(went, [addrs[1], addrs[0]]);
    send(&mut a, now, Some(addrs[1]));
    assert_eq!(settle(&mut a, &mut b, now, Some(addrs[1])), [addrs[0]]);
}
