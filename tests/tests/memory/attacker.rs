//! A peer, or a stranger, that tries to make a stack hold more than it may. The allocator counts what it achieves.
//!
//! The bounds are those of `docs/resources.md`; each test says which row it shows.

use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use sctp_user::wire::chunk::{CookieEcho, Data, ErrorChunk, GapBlock, Heartbeat, Init, InitParams};
use sctp_user::wire::{Cause, Chunk, Encode as _, Param};
use sctp_user::{AssocConfig, Event, Meta, Node as _, Ppid, SendError, SendOptions, Ssn, StackConfig, StreamId, Time, Train, Tsn, Vtag};
use testbed::alloc::{Memory, measure};
use testbed::puppet::{CHANNEL, Envelope, Puppet, Seen, encode, encode_params, names, only, raw_chunk, sack};

const KIB: i64 = 1024;
const MIB: i64 = 1024 * KIB;

/// Delivers a packet and takes nothing out of the stack.
fn hit(p: &mut Puppet, envelope: Envelope, chunks: &[u8]) {
    let packet = envelope.seal(chunks);
    let meta = Meta { src: envelope.src, dst: envelope.dst, channel: CHANNEL, ecn: None, ifindex: None };
    p.stack.handle_batch(p.now, &meta, Train::single(packet));
}

/// The same within the association.
fn strike(p: &mut Puppet, chunks: &[Chunk<'_>]) {
    hit(p, p.envelope(), &encode(chunks));
}

/// Takes all packets out of the stack and drops them; answers how many.
fn drain(p: &mut Puppet, buf: &mut Vec<u8>) -> usize {
    let mut n = 0;
    while p.stack.poll_transmit(p.now, 1, buf).is_some() {
        buf.clear();
        n += 1;
    }
    n
}

fn data(tsn: u32, sid: u16, ssn: u16, flags: [bool; 3], payload: &[u8]) -> Chunk<'_> {
    let [unordered, begin, end] = flags;
    let (tsn, sid, ssn) = (Tsn(tsn), StreamId(sid), Ssn(ssn));
    Chunk::Data(Data { immediate: false, unordered, begin, end, tsn, sid, ssn, ppid: Ppid(0), payload })
}

fn with_buffer(bytes: usize) -> AssocConfig {
    let mut cfg = AssocConfig::rfc();
    cfg.recv_buffer = bytes;
    cfg.max_message = bytes;
    cfg
}

/// What an attack on the receive buffer achieves: packets with these DATA chunks, acknowledged or not, until they are `n`.
fn flood<'a>(cfg: AssocConfig, n: u32, each: impl Fn(u32) -> Chunk<'a>) -> (Puppet, Memory) {
    let mut p = Puppet::new(cfg);
    p.streams = (u16::MAX, u16::MAX);
    p.open();
    let first = p.tsn;
    let mut buf = Vec::with_capacity(65_536);
    let ((), memory) = measure(|| {
        for i in 0..n {
            let Chunk::Data(d) = each(i) else { continue };
            strike(&mut p, &[Chunk::Data(Data { tsn: Tsn(first.wrapping_add(d.tsn.0)), ..d })]);
            drain(&mut p, &mut buf);
        }
    });
    (p, memory)
}

/// What the receive buffer may take of real memory: four times its size for gaps that are filled, the bookkeeping of the
/// smallest pieces, and queues that double.
fn buffer_bound(buffer: usize) -> i64 {
    i64::try_from(buffer).unwrap() * 8 + 64 * KIB
}

/// Attack class 10: many small messages that nobody reads (row "receive buffer").
#[test]
fn tiny_messages_close_the_window_before_they_fill_the_memory() {
    for buffer in [16 * 1024, 128 * 1024, 1 << 20] {
        let n = 100_000;
        let (p, m) = flood(with_buffer(buffer), n, |i| data(i, 0, u16::try_from(i % 65_536).unwrap(), [false, true, true], b"x"));
        println!("tiny messages, buffer {buffer}: {m:?}");
        assert!(m.kept <= buffer_bound(buffer), "{m:?}");
        assert!(p.stack.stats().assocs.no_room_chunks > 0, "it was refused at last");
    }
}

/// Attack class 10: first fragments that never become messages (row "reassembly").
#[test]
fn fragments_that_never_become_messages_are_bounded() {
    for buffer in [16 * 1024, 1 << 20] {
        // Every second TSN, so that nothing joins; then what lies between, which would join to unfinished messages.
        let (_, m) = flood(with_buffer(buffer), 60_000, |i| data(2 * i + 1, 0, 0, [true, true, false], b"x"));
        println!("fragments, buffer {buffer}: {m:?}");
        assert!(m.kept <= buffer_bound(buffer), "{m:?}");
        let (_, m) = flood(with_buffer(buffer), 60_000, |i| data(i, 0, 0, [true, i == 0, false], b"x"));
        println!("one endless message, buffer {buffer}: {m:?}");
        assert!(m.kept <= 3 * buffer_bound(buffer), "{m:?}");
    }
}

/// Attack class 10: complete messages on every stream that wait for one that never comes (row "streams").
#[test]
fn messages_that_wait_for_their_turn_on_every_stream_are_bounded() {
    let buffer = 1 << 20;
    let mut cfg = with_buffer(buffer);
    cfg.max_inbound_streams = u16::MAX;
    let (p, m) = flood(cfg, 60_000, |i| data(i, u16::try_from(i).unwrap(), 1, [false, true, true], b"x"));
    println!("waiting on all streams: {m:?} {:?}", p.stack.stats().assocs.no_room_chunks);
    assert!(m.kept <= 4 * MIB, "a tree for all: {m:?}");
}

/// Attack class 10: a stream that is used once costs memory for ever (row "streams"): bounded by the streams that we accept.
#[test]
fn streams_that_were_used_once_are_bounded_by_their_number() {
    let mut cfg = with_buffer(1 << 20);
    cfg.max_inbound_streams = 2_048;
    let mut p = Puppet::new(cfg);
    p.streams = (u16::MAX, u16::MAX);
    p.open();
    let first = p.tsn;
    let mut buf = Vec::with_capacity(65_536);
    let ((), m) = measure(|| {
        for i in 0..20_000_u16 {
            strike(&mut p, &[data(first.wrapping_add(i.into()), i, 0, [false, true, true], b"x")]);
            drain(&mut p, &mut buf);
            while p.recv().is_some() {}
            while p.stack.poll_event().is_some() {}
        }
    });
    println!("streams used once: {m:?}");
    assert!(m.kept <= 2_048 * 128 + 64 * KIB, "{m:?}");
}

/// Attack class 10: holes, as many as can be, and the SACKs that report them (rows "out-of-order ranges", "SACKs owed").
#[test]
fn ranges_out_of_order_and_their_sacks_are_bounded() {
    let mut p = Puppet::established(with_buffer(8 << 20));
    let first = p.tsn;
    let ((), m) = measure(|| {
        // Nothing is taken out: every SACK that is owed stays owed.
        for i in 0..20_000_u32 {
            strike(&mut p, &[data(first.wrapping_add(2 + 2 * i), 0, 0, [true, true, true], b"x")]);
        }
    });
    println!("holes: {m:?}");
    assert!(m.kept <= MIB, "2048 ranges, 1024 SACKs, 16384 gap ack blocks: {m:?}");
    let snapshot = p.stack.assoc(p.id()).unwrap().snapshot(p.now).unwrap();
    assert_eq!(snapshot.receive.gaps, 2_048);
    let ((), m) = measure(|| {
        for _ in 0..100_000 {
            strike(&mut p, &[data(first.wrapping_add(2), 0, 0, [true, true, true], b"x")]);
        }
    });
    println!("duplicates: {m:?}");
    assert!(m.kept <= 256 * KIB, "{m:?}");
}

/// Attack class 10: a few bytes of data in packets full of junk, so that each byte would keep 64 KiB alive (row "receive
/// buffer").
#[test]
fn junk_around_data_is_not_kept() {
    let mut p = Puppet::established(with_buffer(128 * 1024));
    let first = p.tsn;
    let junk = raw_chunk(0xbf, 0, &vec![0; 60_000]);
    let mut buf = Vec::with_capacity(65_536);
    let ((), m) = measure(|| {
        for i in 0..200_u16 {
            let mut packet = encode(&[data(first.wrapping_add(i.into()), 0, i, [false, true, true], &[1; 300])]);
            packet.extend_from_slice(&junk);
            let envelope = p.envelope();
            hit(&mut p, envelope, &packet);
            drain(&mut p, &mut buf);
        }
    });
    println!("junk: {m:?}");
    assert!(m.kept <= 200 * (300 + 400), "{m:?}");
}

/// Attack class 10: HEARTBEATs faster than their answers leave (row "control chunks").
#[test]
fn heartbeats_that_cannot_be_answered_are_dropped() {
    let mut p = Puppet::established(AssocConfig::rfc());
    for len in [20, 1_000, 60_000] {
        let ((), m) = measure(|| {
            for i in 0..2_000_u32 {
                let mut info = vec![0; len];
                info[..4].copy_from_slice(&i.to_be_bytes());
                let tlvs = encode_params(&[Param::HeartbeatInfo(&info)]);
                strike(&mut p, &[Chunk::Heartbeat(Heartbeat { tlvs: &tlvs })]);
            }
        });
        println!("heartbeats of {len}: {m:?}");
        assert!(m.kept <= 128 * KIB, "{m:?}");
    }
    let dropped = p.stack.stats().assocs.dropped_controls;
    assert!(dropped > 5_000, "{dropped}");
    assert!(!p.give(&[]).is_empty() || p.state() == "ESTABLISHED");
    assert_eq!(p.state(), "ESTABLISHED");
}

/// Attack class 10: unknown chunks that ask for a report, each of them another (row "control chunks").
#[test]
fn complaints_that_do_not_leave_are_dropped() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let ((), m) = measure(|| {
        for i in 0..5_000_u32 {
            let envelope = p.envelope();
            let mut value = vec![0; 1_200];
            value[..4].copy_from_slice(&i.to_be_bytes());
            hit(&mut p, envelope, &raw_chunk(0xff, 0, &value));
        }
    });
    println!("complaints: {m:?}");
    assert!(m.kept <= 128 * KIB, "{m:?}");
}

/// Attack class 10: ERRORs and restarts for a program that takes no notifications (row "notifications").
#[test]
fn notifications_that_nobody_takes_are_bounded() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let cause = Cause::UserAbort(&[7; 1_000]).to_vec();
    let ((), m) = measure(|| {
        for _ in 0..5_000 {
            strike(&mut p, &[Chunk::Error(ErrorChunk { causes: &cause })]);
        }
    });
    println!("errors: {m:?}");
    assert!(m.kept <= 64 * KIB, "{m:?}");
    assert_eq!(p.stack.stats().assocs.dropped_events, 5_000 - 16);
    let mut told = 0;
    while let Some((_, _, event)) = p.stack.poll_event() {
        told += u32::from(matches!(event, Event::RemoteError(_)));
    }
    assert_eq!(told, 16);
    strike(&mut p, &[Chunk::Error(ErrorChunk { causes: &cause })]);
    assert!(p.stack.poll_event().is_some(), "with room again the next one is told");
}

fn stranger(n: u32) -> IpAddr {
    let [_, a, b, c] = n.to_be_bytes();
    Ipv4Addr::new(10, a, b, c).into()
}

fn init<'a>(tag: u32, params: &'a [Param<'a>]) -> Chunk<'a> {
    Chunk::Init(Init { tag: Vtag(tag), a_rwnd: 100_000, outbound: 5, inbound: 5, tsn: Tsn(1), params: InitParams::List(params) })
}

/// Attack class 10: INITs from a million addresses (rows "half-open", "answers to strangers").
#[test]
fn a_flood_of_inits_leaves_nothing_behind() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let envelope = p.envelope().tagged(0);
    let mut buf = Vec::with_capacity(65_536);
    let mut flood = |drained: bool| {
        let ((), m) = measure(|| {
            for n in 0..50_000 {
                hit(&mut p, Envelope { src: stranger(n * 97), ..envelope }, &encode(&[init(n + 1, &[])]));
                if drained {
                    drain(&mut p, &mut buf);
                }
            }
        });
        m
    };
    let drained = flood(true);
    println!("INITs: {drained:?}");
    assert!(drained.kept <= 256 * KIB, "token buckets: {drained:?}");
    let waiting = flood(false);
    println!("INITs, not drained: {waiting:?}");
    assert!(waiting.kept <= MIB, "1024 answers: {waiting:?}");
    assert_eq!(p.stack.association_count(), 0);
    assert!(p.stack.stats().stack.dropped_answers > 1_000);
}

/// Rows "answers to strangers": as many a second as configured, and one that behaves is answered all the same.
#[test]
fn strangers_get_no_more_answers_a_second_than_configured() {
    let mut stack = StackConfig::default();
    (stack.ootb_per_second, stack.init_ack_per_second) = (50, 20);
    let mut p = Puppet::with(stack, AssocConfig::rfc(), &["10.0.0.1"], &["10.9.9.9"]);
    let mut buf = Vec::new();
    let envelope = p.envelope();
    let mut answers = |p: &mut Puppet, vtag, chunk: &[u8]| {
        let mut n = 0;
        for ms in 0..2_000_u64 {
            p.now = Time::from_millis(10_000 + ms);
            hit(p, Envelope { src: stranger(7), ..envelope.tagged(vtag) }, chunk);
            n += drain(p, &mut buf);
        }
        n
    };
    let n = answers(&mut p, 0, &encode(&[init(5, &[])]));
    assert!((55..=61).contains(&n), "{n} INIT ACKs in two seconds");
    let mut p2 = Puppet::with(p.stack.config().clone(), AssocConfig::rfc(), &["10.0.0.1"], &["10.9.9.9"]);
    let n = answers(&mut p2, 77, &encode(&[data(1, 0, 0, [false, true, true], b"x")]));
    assert!((145..=151).contains(&n), "{n} ABORTs in two seconds");
    assert!(p2.stack.stats().stack.limited_answers > 1_800);
    p2.now = Time::from_millis(20_000);
    p2.open();
}

/// A black hole says nothing to strangers, and serves those that it knows.
#[test]
fn a_black_hole_is_silent_to_strangers_only() {
    let mut stack = StackConfig::default();
    stack.blackhole = true;
    let mut p = Puppet::with(stack, AssocConfig::rfc(), &["10.0.0.1"], &["10.0.0.2"]);
    let envelope = p.envelope();
    assert!(p.give_in(envelope.tagged(9), &[data(1, 0, 0, [false, true, true], b"x")]).is_empty());
    assert!(p.give_in(Envelope { dst_port: 999, ..envelope.tagged(0) }, &[init(9, &[])]).is_empty());
    p.open();
    let chunk = p.data(0, b"hello");
    assert_eq!(names(&p.give(&[chunk])), [["SACK"]]);
}

/// Attack class 4 and 10: cookies that are not ours cost nothing but the time to see it (row "half-open").
#[test]
fn a_flood_of_false_cookies_leaves_nothing_behind() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let cookie = p.give_init().cookie();
    let envelope = p.envelope();
    let ((), m) = measure(|| {
        for n in 0..20_000_usize {
            let mut forged = cookie.clone();
            let at = n % forged.len();
            forged[at] ^= 1 + u8::try_from(n % 255).unwrap();
            hit(&mut p, envelope, &encode(&[Chunk::CookieEcho(CookieEcho { cookie: &forged })]));
        }
    });
    assert!(m.kept <= 4 * KIB, "{m:?}");
    assert_eq!(p.stack.association_count(), 0);
    assert_eq!(p.stack.stats().stack.bad_cookies, 20_000);
    // The true cookie, a thousand times: one association.
    for _ in 0..1_000 {
        hit(&mut p, envelope, &encode(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]));
    }
    assert_eq!(p.stack.association_count(), 1);
}

/// Opens an association from address `n`; answers whether the stack took it.
fn open_from(p: &mut Puppet, n: u32) -> bool {
    let envelope = Envelope { src: stranger(n), ..p.envelope() };
    let sent = take(p, envelope.tagged(0), &[init(n + 1, &[])]);
    let Seen::InitAck(ack) = only(&sent).first() else { panic!("{:?}", names(&sent)) };
    let (tag, cookie) = (ack.tag, ack.cookie());
    let sent = take(p, envelope.tagged(tag), &[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
    match names(&sent)[0][..] {
        ["COOKIE-ACK"] => true,
        ["ABORT"] => {
            assert!(sent[0].chunks[0].raw.windows(4).any(|w| w == [0, 4, 0, 4]), "Out of Resource");
            false
        }
        _ => panic!("{:?}", names(&sent)),
    }
}

/// Delivers a packet and takes the packets, but not the notifications, out of the stack.
fn take(p: &mut Puppet, envelope: Envelope, chunks: &[Chunk<'_>]) -> Vec<testbed::puppet::Sent> {
    hit(p, envelope, &encode(chunks));
    let mut out = Vec::new();
    let mut buf = Vec::new();
    while let Some(t) = p.stack.poll_transmit(p.now, 1, &mut buf) {
        out.push(testbed::puppet::Sent::new(p.now, envelope.dst, t, Bytes::from(std::mem::take(&mut buf))));
    }
    out
}

/// Attack class 10: peers that open associations faster than the program accepts them (row "pending accepts").
#[test]
fn associations_that_nobody_accepts_are_bounded_by_the_backlog() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let ep = p.endpoint;
    let mut cfg = p.stack.endpoint_config(ep).unwrap();
    cfg.backlog = 10;
    p.stack.reconfigure_endpoint(ep, cfg).unwrap();
    let opened = (0..50).filter(|n| open_from(&mut p, *n)).count();
    assert_eq!((opened, p.stack.association_count(), p.stack.stats().stack.refused), (10, 10, 40));
    for _ in 0..4 {
        assert!(matches!(p.stack.poll_event(), Some((_, _, Event::Connected { incoming: true, .. }))));
    }
    let opened = (100..150).filter(|n| open_from(&mut p, *n)).count();
    assert_eq!(opened, 4, "as many as were accepted");
    while let Some((_, id, _)) = p.stack.poll_event() {
        p.stack.forget(id);
    }
    let opened = (200..250).filter(|n| open_from(&mut p, *n)).count();
    assert_eq!(opened, 10, "what is forgotten does not count");
}

/// Row "associations".
#[test]
fn associations_are_bounded_by_the_stack() {
    let mut stack = StackConfig::default();
    stack.max_associations = 20;
    let mut p = Puppet::with(stack, AssocConfig::rfc(), &["10.0.0.1"], &["10.0.0.2"]);
    let opened = (0..50).filter(|n| open_from(&mut p, *n)).count();
    assert_eq!((opened, p.stack.association_count()), (20, 20));
}

/// Attack class 10: an INIT with as many addresses as fit a packet (row "addresses").
#[test]
fn addresses_beyond_the_bound_are_not_kept() {
    let all: Vec<_> = (0..2_000_u32).map(|n| Param::Address(stranger(0x10_0000 + n))).collect();
    let mut p = Puppet::new(AssocConfig::rfc());
    p.params = encode_params(&all);
    let ((), m) = measure(|| {
        p.open();
    });
    println!("addresses: {m:?}");
    let paths = p.stack.assoc(p.id()).unwrap().snapshot(p.now).unwrap().paths.len();
    assert!(paths <= 65, "{paths}");
}

/// Attack class 10: a peer that never opens its window (row "send buffer").
#[test]
fn a_peer_that_never_reads_fills_the_send_buffer_and_no_more() {
    let mut cfg = AssocConfig::rfc();
    (cfg.send_buffer, cfg.nagle) = (1 << 20, false);
    let mut p = Puppet::established(cfg);
    p.give(&[sack(p.cum, 0, &[], &[])]);
    let id = p.id();
    for len in [1, 100, 10_000] {
        let ((), m) = measure(|| {
            let mut refused = false;
            for _ in 0..200_000 {
                let mut a = p.stack.assoc(id).unwrap();
                let sent = a.send(p.now, StreamId(0), Ppid(0), Bytes::from(vec![1; len]), SendOptions::ordered());
                refused |= sent == Err(SendError::WouldBlock);
            }
            assert!(refused);
        });
        println!("send buffer, messages of {len}: {m:?}");
        assert!(m.kept <= 7 * MIB, "{m:?}");
    }
}

/// Attack class 9 and 10: SACKs with as many blocks and duplicates as fit (row "gap ack blocks received").
#[test]
fn huge_sacks_leave_nothing_behind() {
    let mut p = Puppet::established(AssocConfig::rfc());
    p.send(0, &[1; 1_000]);
    let gaps: Vec<_> = (0..8_000).map(|_| GapBlock { start: 0, end: 0 }).collect();
    let dups: Vec<_> = (0..8_000).map(Tsn).collect();
    let chunk = sack(p.cum.wrapping_sub(1), 100_000, &gaps, &dups);
    let mut buf = Vec::with_capacity(65_536);
    let ((), m) = measure(|| {
        for _ in 0..200 {
            strike(&mut p, std::slice::from_ref(&chunk));
            drain(&mut p, &mut buf);
        }
    });
    println!("huge SACKs: {m:?}");
    assert!(m.kept <= 256 * KIB, "{m:?}");
}

/// Attack class 14: the largest values that are allowed, and fifty years of silence: no timer, shift or counter overflows.
#[test]
fn fifty_years_of_back_off_at_the_largest_limits() {
    let day = Duration::from_secs(86_400);
    let mut cfg = AssocConfig::rfc();
    (cfg.rto_initial, cfg.rto_max, cfg.hb_interval, cfg.nat_keepalive, cfg.cookie_life) = (day, day, Some(day), None, day);
    (cfg.assoc_max_retrans, cfg.path_max_retrans, cfg.max_init_retransmits) = (u32::MAX, u32::MAX, u32::MAX);
    let mut p = Puppet::new(cfg.clone());
    p.a_rwnd = u32::MAX;
    p.params = encode_params(&[Param::CookiePreservative(u32::MAX)]);
    p.open();
    p.send(0, b"never acknowledged");
    for _ in 0..50 {
        p.pass(365 * day);
        p.log.clear();
    }
    assert_eq!(p.state(), "ESTABLISHED");
    let stats = p.stack.stats().assocs;
    assert!((18_000..19_000).contains(&stats.t3_expireds), "once a day: {stats:?}");
    let mut p = Puppet::new(cfg);
    p.connect();
    p.pass(50 * 365 * day);
    assert_eq!(p.state(), "COOKIE-WAIT");
    // A cookie that is stale by the largest figure asks for no more than can be granted.
    p.give_init_ack();
    assert_eq!(p.state(), "COOKIE-ECHOED");
    let stale = Cause::StaleCookie(u32::MAX).to_vec();
    let sent = p.give(&[Chunk::Error(ErrorChunk { causes: &stale })]);
    assert_eq!(names(&sent), [["INIT"]]);
}
