//! Sections 5.2.1 to 5.2.4: INIT and COOKIE ECHO where an association exists. Both open at once, one restarts, one is late.

use core::time::Duration;

use sctp_user::wire::chunk::{CookieEcho, Init, Shutdown};
use sctp_user::wire::{Chunk, Param};
use sctp_user::{AssocConfig, Event, SendOptions, Tsn, Vtag};
use testbed::puppet::{CHANNEL, Puppet, Seen, SeenInit, Sent, chunks, encode_params, ip, names, only, raw_item};

fn with(change: impl FnOnce(&mut AssocConfig)) -> AssocConfig {
    let mut cfg = AssocConfig::rfc();
    change(&mut cfg);
    cfg
}

/// A tag of the puppet's that the stack has not seen.
const NEW_TAG: u32 = 0x7a97_0099;

/// States of an association in which an INIT is unexpected (5.2.2).
const UNEXPECTED: [&str; 4] = ["ESTABLISHED", "SHUTDOWN-PENDING", "SHUTDOWN-SENT", "SHUTDOWN-RECEIVED"];

fn give_init(p: &mut Puppet, tag: u32, params: &[u8]) -> Vec<Sent> {
    let init = Init { tag: Vtag(tag), ..p.init_chunk(params) };
    p.give_in(p.envelope().tagged(0), &[Chunk::Init(init)])
}

/// With the tag that the stack knows.
fn give_init_again(p: &mut Puppet) -> Vec<Sent> {
    give_init(p, p.tag, &[])
}

fn init_ack(sent: &[Sent]) -> SeenInit {
    let Seen::InitAck(ack) = only(sent).first() else { panic!("{:?}", names(sent)) };
    ack.clone()
}

fn echo(p: &mut Puppet, tag: u32, cookie: &[u8]) -> Vec<Sent> {
    p.give_in(p.envelope().tagged(tag), &[Chunk::CookieEcho(CookieEcho { cookie })])
}

/// What must not change: state, tags, streams, what is buffered, what the user was told.
fn fingerprint(p: &mut Puppet) -> (&'static str, usize, usize, String) {
    let addrs = p.stack.assoc(p.id()).map(|a| format!("{:?}", a.peer_addrs()));
    let status = p.status().map(|s| (s.inbound_streams, s.outbound_streams, s.buffered, s.rto));
    (p.state(), p.events.len(), p.stack.association_count(), format!("{status:?} {addrs:?}"))
}

/// RFC 9260 rows: 5.2.1-1, 5.2.1-5, 5.2.1-11, 5.2.1-12, 5.2.1-14.
///
/// Pitfall 29.
#[test]
fn an_init_in_cookie_wait_is_answered_as_our_own_init_says() {
    let mut p = Puppet::new(with(|c| {
        c.outbound_streams = 9;
        c.max_inbound_streams = 11;
    }));
    let sent = p.connect();
    let Seen::Init(ours) = only(&sent).first().clone() else { panic!("{sent:?}") };
    let before = fingerprint(&mut p);
    let sent = give_init(&mut p, NEW_TAG, &[]);
    let ack = init_ack(&sent);
    assert_eq!((ack.tag, ack.tsn, ack.a_rwnd, ack.outbound, ack.inbound), (ours.tag, ours.tsn, ours.a_rwnd, ours.outbound, ours.inbound));
    assert_eq!((only(&sent).dst, only(&sent).vtag), (p.addrs[0], NEW_TAG));
    assert!(!ack.cookie().is_empty());
    assert_eq!(fingerprint(&mut p), before);
}

/// RFC 9260 rows: 5.2.1-13, 5.2.1-6, 5.2.1-15.
#[test]
fn an_init_in_cookie_echoed_is_answered_as_our_own_init_says_and_t1_runs_on() {
    for (state, resent) in [("COOKIE-WAIT", "INIT"), ("COOKIE-ECHOED", "COOKIE-ECHO")] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        let Some(Seen::Init(ours)) = p.log.iter().map(Sent::first).next().cloned() else { panic!("no INIT") };
        p.pass(Duration::from_millis(600));
        let before = fingerprint(&mut p);
        let ack = init_ack(&give_init(&mut p, NEW_TAG, &[]));
        assert_eq!((ack.tag, ack.tsn, ack.a_rwnd, ack.inbound), (ours.tag, ours.tsn, ours.a_rwnd, ours.inbound));
        assert_eq!(fingerprint(&mut p), before);
        assert_eq!(names(&p.pass(Duration::from_millis(400))), [[resent]], "T1 as if nothing had come");
        // The Tie-Tags are in its cookie: it is known as one of this association.
        assert_eq!(names(&echo(&mut p, ack.tag, &ack.cookie()))[0][0], "COOKIE-ACK");
        assert_eq!((p.state(), p.stack.association_count()), ("ESTABLISHED", 1));
    }
}

/// RFC 9260 rows: 5.2.1-2, 5.2.1-3, 5.2.1-4.
#[test]
fn an_answer_in_cookie_wait_goes_only_where_both_the_user_and_the_init_point() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-WAIT");
    // From an address that the user has not given, listing the one that the user gave.
    let listed = encode_params(&[Param::Address(ip("10.7.0.2")), Param::Address(ip("10.0.0.2"))]);
    let init = Init { tag: Vtag(NEW_TAG), ..p.init_chunk(&listed) };
    let sent = p.give_in(p.envelope().tagged(0).from("10.7.0.2"), &[Chunk::Init(init)]);
    assert_eq!((only(&sent).dst, only(&sent).vtag), (ip("10.0.0.2"), NEW_TAG));
    let ack = init_ack(&sent);
    assert_eq!(ack.tag, p.peer_tag, "a collision");
    // The cookie may come back from any address of the INIT, and there is one association in the end.
    let from = p.envelope().from("10.7.0.2");
    let cookie = ack.cookie();
    assert_eq!(names(&p.give_in(from, &[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]))[0][0], "COOKIE-ACK");
    assert_eq!((p.state(), p.stack.association_count()), ("ESTABLISHED", 1));
}

/// RFC 9260 rows: 5.2.1-7, 5.2.1-8, 5.2.1-9, 5.2.1-10.
///
/// Pitfall 30.
#[test]
fn an_init_in_cookie_echoed_must_not_add_an_address() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-ECHOED");
    let before = fingerprint(&mut p);
    let listed = encode_params(&[Param::Address(ip("10.0.0.2")), Param::Address(ip("10.8.0.2")), Param::Address(ip("2001:db8::8"))]);
    let sent = give_init(&mut p, NEW_TAG, &listed);
    let Seen::Abort { t: false, causes } = only(&sent).first() else { panic!("{sent:?}") };
    let added = [raw_item(5, &[10, 8, 0, 2]), raw_item(6, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8])].concat();
    assert_eq!((only(&sent).vtag, causes), (NEW_TAG, &vec![(11, added)]));
    assert_eq!(fingerprint(&mut p), before);
    p.give(&[Chunk::CookieAck]);
    assert_eq!(p.state(), "ESTABLISHED");
}

/// RFC 9260 rows: 5.2.2-1, 5.2.2-6, 5.2.2-8, 5.2.2-9, 5.2.2-10.
///
/// Pitfall 31. Attack class 5.
#[test]
fn an_unexpected_init_is_answered_and_leaves_the_association_alone() {
    for state in UNEXPECTED {
        let mut p = Puppet::in_state(with(|c| c.max_inbound_streams = 17), state);
        let before = fingerprint(&mut p);
        let deadline = sctp_user::Node::poll_timeout(&p.stack);
        let sent = give_init(&mut p, NEW_TAG, &[]);
        let ack = init_ack(&sent);
        assert_eq!(only(&sent).vtag, NEW_TAG);
        assert_eq!(ack.inbound, 17);
        assert_ne!(ack.tag, p.peer_tag, "a fresh tag");
        assert_eq!(fingerprint(&mut p), before, "{state}");
        assert_eq!(sctp_user::Node::poll_timeout(&p.stack), deadline, "{state}");
        // Our tag is what it was.
        p.give(&[Chunk::Abort(sctp_user::wire::chunk::Abort { t: false, causes: &[] })]);
        assert_eq!(p.state(), "CLOSED");
    }
}

/// RFC 9260 rows: 5.2.2-2, 5.2.2-3, 5.2.2-4.
///
/// Pitfall 32. Attack class 5.
#[test]
fn an_unexpected_init_must_not_add_an_address() {
    for state in UNEXPECTED {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        let before = fingerprint(&mut p);
        let listed = encode_params(&[Param::Address(ip("10.8.0.2"))]);
        let sent = give_init(&mut p, NEW_TAG, &listed);
        let Seen::Abort { t: false, causes } = only(&sent).first() else { panic!("{sent:?}") };
        assert_eq!((only(&sent).vtag, causes), (NEW_TAG, &vec![(11, raw_item(5, &[10, 8, 0, 2]))]));
        assert_eq!(fingerprint(&mut p), before, "{state}");
    }
}

/// RFC 9260 rows: 5.2.2-5, 5.2.2-11.
#[test]
fn tie_tags_tell_a_restart_from_a_stranger() {
    // With the Tie-Tags of the association: a restart.
    let mut p = Puppet::established(AssocConfig::rfc());
    let ack = init_ack(&give_init(&mut p, NEW_TAG, &[]));
    assert!(!echo(&mut p, ack.tag, &ack.cookie()).is_empty());
    assert!(p.heard(|e| *e == Event::Restarted));
    // Made while there was no association: zeros, which are nobody's tags.
    let mut p = Puppet::new(AssocConfig::rfc());
    let early = init_ack(&give_init(&mut p, NEW_TAG, &[]));
    p.open();
    let before = fingerprint(&mut p);
    assert!(echo(&mut p, early.tag, &early.cookie()).is_empty());
    assert_eq!(fingerprint(&mut p), before);
    // Made for the association before the last restart: no longer this one's.
    let mut p = Puppet::established(AssocConfig::rfc());
    let old = init_ack(&give_init(&mut p, NEW_TAG, &[]));
    let newer = init_ack(&give_init(&mut p, NEW_TAG + 1, &[]));
    echo(&mut p, newer.tag, &newer.cookie());
    let before = fingerprint(&mut p);
    assert!(echo(&mut p, old.tag, &old.cookie()).is_empty());
    assert_eq!(fingerprint(&mut p), before);
}

/// RFC 9260 rows: 5.2.4-3, 5.2.4-9, 5.2.4-10, 5.2.4-11.
#[test]
fn a_cookie_that_is_late_is_dropped_in_silence_and_timers_run_on() {
    for (state, resent) in [("COOKIE-ECHOED", "COOKIE-ECHO"), ("SHUTDOWN-SENT", "SHUTDOWN"), ("SHUTDOWN-PENDING", "DATA")] {
        let mut p = Puppet::new(AssocConfig::rfc());
        // Case C: an INIT was answered, and then forgotten when the stack opened by itself.
        let late = init_ack(&give_init_again(&mut p));
        // Neither tag is the association's, and no Tie-Tags: no case of the table.
        let none = init_ack(&give_init(&mut p, NEW_TAG, &[]));
        p.connect();
        p.give_init_ack();
        if state != "COOKIE-ECHOED" {
            p.give(&[Chunk::CookieAck]);
            if state == "SHUTDOWN-PENDING" {
                p.send(0, b"outstanding");
            }
            p.shutdown();
        }
        assert_eq!(p.state(), state);
        p.pass(Duration::from_millis(600));
        let before = fingerprint(&mut p);
        for ack in [&late, &none] {
            assert!(echo(&mut p, ack.tag, &ack.cookie()).is_empty(), "{state}");
            assert_eq!(fingerprint(&mut p), before);
        }
        assert_eq!(names(&p.pass(Duration::from_millis(400))), [[resent]]);
    }
}

/// RFC 9260 rows: 5.2.4-4, 5.2.4-5.
///
/// Pitfall 33. Attack class 5.
#[test]
fn a_restart_begins_everything_anew_but_is_the_same_association() {
    let cfg = with(|c| c.initial_window = None);
    let mut p = Puppet::established(cfg);
    let id = p.id();
    // Past the initial window, and something unread.
    for _ in 0..20 {
        p.send(0, &[7; 2_000]);
        p.ack();
    }
    let data = p.data(3, b"unread");
    p.give(&[data]);
    p.send(1, b"outstanding");
    let (tag, streams) = (p.peer_tag, p.streams);
    p.tag = NEW_TAG;
    p.tsn = 0x9999;
    p.streams = (2, 2);
    let ack = p.give_init();
    assert_ne!(ack.tag, tag);
    p.events.clear();
    let cookie = ack.cookie();
    assert_eq!(names(&p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]))[0], ["COOKIE-ACK"]);
    assert_eq!((p.id(), p.state(), p.stack.association_count()), (id, "ESTABLISHED", 1));
    assert!(p.heard(|e| *e == Event::Restarted));
    assert!(p.heard(|e| matches!(e, Event::SendFailed { message, .. } if message.payload == "outstanding")));
    assert!(!p.heard(|e| matches!(e, Event::Lost { .. } | Event::Connected { .. })), "{:?}", p.events);
    assert_ne!(streams, p.streams);
    let status = p.status().unwrap();
    assert_eq!((status.inbound_streams, status.outbound_streams, status.buffered, status.srtt), (2, 2, 0, None));
    // What had been received whole stays readable.
    assert_eq!(p.recv().unwrap().payload, "unread");
    // Sequence numbers and the congestion window are those of a new association.
    p.try_send(0, &[1; 20_000], SendOptions::ordered()).unwrap();
    let sent = p.collect();
    let first = sent[0].first();
    assert!(matches!(first, Seen::Data { tsn, ssn: 0, .. } if *tsn == ack.tsn), "{first:?}");
    let burst: usize = sent.iter().map(|s| s.bytes.len()).sum();
    assert!(burst <= 4_404 + 1_500, "{burst} bytes at once");
}

/// RFC 9260 rows: 5.2.4-6.
///
/// Pitfall 35.
#[test]
fn a_restart_in_shutdown_ack_sent_is_told_that_we_are_shutting_down() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let ack = init_ack(&give_init(&mut p, NEW_TAG, &[]));
    p.give(&[Chunk::Shutdown(p.shutdown_chunk())]);
    assert_eq!(p.state(), "SHUTDOWN-ACK-SENT");
    let sent = echo(&mut p, ack.tag, &ack.cookie());
    assert_eq!(names(&sent), [["SHUTDOWN-ACK", "ERROR"]]);
    assert!(chunks(&sent).any(|c| *c == Seen::Error { causes: vec![(10, vec![])] }));
    assert_eq!((p.state(), p.stack.association_count()), ("SHUTDOWN-ACK-SENT", 1));
    assert!(!p.heard(|e| *e == Event::Restarted));
}

/// RFC 9260 rows: 5.2.4-7, 5.2.4-8.
#[test]
fn a_collision_takes_the_peers_new_tag_and_stops_t1() {
    for state in ["COOKIE-WAIT", "COOKIE-ECHOED", "ESTABLISHED"] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-WAIT");
        let ack = init_ack(&give_init(&mut p, NEW_TAG, &[]));
        if state != "COOKIE-WAIT" {
            p.give_init_ack();
        }
        if state == "ESTABLISHED" {
            p.give(&[Chunk::CookieAck]);
        }
        assert_eq!(p.state(), state);
        let sent = echo(&mut p, ack.tag, &ack.cookie());
        assert_eq!((names(&sent)[0][0], sent[0].vtag), ("COOKIE-ACK", NEW_TAG));
        assert_eq!(p.state(), "ESTABLISHED");
        assert!(!names(&p.pass(Duration::from_secs(5))).iter().flatten().any(|n| ["INIT", "COOKIE-ECHO"].contains(n)), "T1 has stopped");
        assert_eq!(p.send(0, b"x")[0].vtag, NEW_TAG);
        assert_eq!(p.events.iter().filter(|e| matches!(e, Event::Connected { .. })).count(), 1);
    }
}

/// A restart that uses fewer of its addresses is one; the others are no longer the association's.
///
/// Attack class 5.
#[test]
fn a_restart_with_fewer_addresses_keeps_only_these() {
    let mut p = Puppet::at(AssocConfig::rfc(), &["10.0.0.1"], &["10.0.0.2", "10.1.0.2"]);
    p.params = encode_params(&[Param::Address(ip("10.0.0.2")), Param::Address(ip("10.1.0.2"))]);
    p.open();
    let ack = init_ack(&give_init(&mut p, NEW_TAG, &encode_params(&[Param::Address(ip("10.0.0.2"))])));
    echo(&mut p, ack.tag, &ack.cookie());
    let addrs: Vec<_> = p.stack.assoc(p.id()).unwrap().peer_addrs().iter().map(std::net::SocketAddr::ip).collect();
    assert_eq!(addrs, [ip("10.0.0.2")]);
}

/// A shutdown that the user has asked for outlives the peer's restart.
#[test]
fn a_shutdown_outlives_a_restart() {
    for state in ["SHUTDOWN-PENDING", "SHUTDOWN-SENT"] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        p.tag = NEW_TAG;
        let cookie = p.give_init().cookie();
        let sent = p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
        assert_eq!(names(&sent), [["COOKIE-ACK", "SHUTDOWN"]], "{state}");
        assert!(p.try_send(0, b"no", SendOptions::ordered()).is_err());
        assert!(chunks(&sent).any(|c| matches!(c, Seen::Shutdown { cum } if *cum == p.tsn.wrapping_sub(1))));
        p.give(&[Chunk::ShutdownAck]);
        assert_eq!(p.state(), "CLOSED");
    }
}

/// Who was told that the send buffer is full is told when a restart has emptied it.
#[test]
fn a_restart_says_that_there_is_room_again() {
    let mut p = Puppet::established(with(|c| {
        c.send_buffer = 4_000;
        c.max_message = 4_000;
    }));
    while p.try_send(0, &[0; 1_000], SendOptions::ordered()).is_ok() {}
    p.collect();
    p.tag = NEW_TAG;
    let cookie = p.give_init().cookie();
    p.events.clear();
    p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
    assert!(p.heard(|e| *e == Event::Writable), "{:?}", p.events);
    assert!(p.try_send(0, &[0; 1_000], SendOptions::ordered()).is_ok());
}

/// The INIT ACK in a collision or to a restart speaks for the association, not for the endpoint, whose configuration may differ.
#[test]
fn an_init_ack_for_an_association_has_its_own_configuration() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let own = with(|c| {
        c.outbound_streams = 5;
        c.max_inbound_streams = 4;
        c.recv_buffer = 77_777;
    });
    let peer = sctp_user::PeerAddr::from(std::net::SocketAddr::new(p.addrs[0], p.port));
    p.id = Some(p.stack.connect(p.now, p.endpoint, &[peer], Some(own.into())).unwrap());
    p.collect();
    let says = |p: &mut Puppet| {
        let ack = init_ack(&give_init(p, NEW_TAG, &[]));
        (ack.outbound, ack.inbound, ack.a_rwnd)
    };
    assert_eq!(says(&mut p), (5, 4, 77_777));
    p.give_init_ack();
    assert_eq!(says(&mut p), (5, 4, 77_777));
    p.give(&[Chunk::CookieAck]);
    assert_eq!(says(&mut p), (5, 4, 77_777));
}

/// The address that a collision's cookie came from is as good as one that the user gave: HEARTBEATs and DATA go there.
#[test]
fn a_collision_from_cookie_wait_confirms_the_path() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-WAIT");
    let ack = init_ack(&give_init_again(&mut p));
    echo(&mut p, ack.tag, &ack.cookie());
    let sent = p.send(0, b"data");
    assert_eq!((names(&sent), only(&sent).dst), (vec![vec!["DATA"]], p.addrs[0]));
    p.ack();
    let sent = p.pass(Duration::from_secs(50));
    assert!(names(&sent).iter().flatten().any(|n| *n == "HEARTBEAT"), "{:?}", names(&sent));
}

/// Resent behind the COOKIE ECHO, DATA has T1-cookie and no T3: its RTO is doubled once a retry, not twice.
#[test]
fn t3_does_not_run_beside_t1_cookie() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-WAIT");
    p.try_send(0, b"early", SendOptions::ordered()).unwrap();
    let start = p.now;
    p.give_init_ack();
    let sent = p.pass(Duration::from_secs(16));
    let at: Vec<_> = sent.iter().map(|s| (s.at - start).as_secs()).collect();
    assert_eq!(at, [1, 3, 7, 15]);
    assert!(sent.iter().all(|s| s.names() == ["COOKIE-ECHO", "DATA"]), "{:?}", names(&sent));
    p.give(&[Chunk::CookieAck]);
    assert_eq!(p.status().unwrap().rto, Duration::from_secs(16));
}

/// Packets of two stacks that open towards each other at once, in any order, with losses.
///
/// Attack class 5.
#[test]
fn both_open_at_once_in_every_interleaving() {
    use sctp_user::{EndpointConfig, Meta, Node as _, PeerAddr, SeededEntropy, Stack, StackConfig, Time, Train};
    use std::collections::VecDeque;

    const PORT: u16 = 7;
    let addr = ["10.0.0.1", "10.0.0.2"].map(ip);
    // Each bit says which of the two queues delivers next; where it is empty, the other one.
    for order in 0..1_u32 << 12 {
        let mut now = Time::from_millis(1);
        let mut stacks = [1, 2].map(|seed| Stack::new(StackConfig::default(), Box::new(SeededEntropy::new(seed + u64::from(order) * 2))));
        let eps = stacks.each_mut().map(|s| {
            let ep = s.open(EndpointConfig::with(PORT, std::sync::Arc::new(AssocConfig::rfc()))).unwrap();
            s.listen(ep, true);
            ep
        });
        for n in 0..2 {
            let peer = PeerAddr::from(std::net::SocketAddr::new(addr[1 - n], PORT));
            // Half of the runs: the second opens only after the first INIT has come.
            if n == 0 || order & 1 == 0 {
                stacks[n].connect(now, eps[n], &[peer], None).unwrap();
            }
        }
        let mut wire: [VecDeque<bytes::Bytes>; 2] = Default::default();
        let mut opened = order & 1 == 0;
        for step in 0..200 {
            for n in 0..2 {
                let mut buf = Vec::new();
                while stacks[n].poll_transmit(now, 1, &mut buf).is_some() {
                    wire[n].push_back(core::mem::take(&mut buf).into());
                }
                while stacks[n].poll_event().is_some() {}
            }
            let pick = usize::from(order >> (step % 12) & 1 == 1);
            let from = if wire[pick].is_empty() { 1 - pick } else { pick };
            let Some(packet) = wire[from].pop_front() else {
                let both: Vec<_> = (0..2).map(|n| stacks[n].find(eps[n], std::net::SocketAddr::new(addr[1 - n], PORT))).collect();
                let up = (0..2).all(|n| both[n].is_some_and(|id| stacks[n].assoc(id).unwrap().status().state == "ESTABLISHED"));
                if up {
                    break;
                }
                now = stacks.iter().filter_map(|s| s.poll_timeout()).min().unwrap().max(now);
                for s in &mut stacks {
                    s.handle_timeout(now);
                }
                continue;
            };
            // Some orders lose a packet.
            if order >> 8 & 7 == 7 && step == (order & 7) as usize {
                continue;
            }
            let meta = Meta { src: addr[from], dst: addr[1 - from], channel: CHANNEL, ecn: None, ifindex: None };
            stacks[1 - from].handle_batch(now, &meta, Train::single(packet));
            if !opened {
                opened = true;
                let peer = PeerAddr::from(std::net::SocketAddr::new(addr[0], PORT));
                let _ = stacks[1].connect(now, eps[1], &[peer], None);
            }
        }
        for n in 0..2 {
            assert_eq!(stacks[n].association_count(), 1, "order {order:b}");
            let id = stacks[n].find(eps[n], std::net::SocketAddr::new(addr[1 - n], PORT)).unwrap();
            assert_eq!(stacks[n].assoc(id).unwrap().status().state, "ESTABLISHED", "order {order:b}");
        }
    }
}

/// The TSN of a SHUTDOWN lies in what is acknowledged already, whatever else the association has been through.
#[test]
fn a_restart_after_a_shutdown_of_the_peer_opens_it_again() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "SHUTDOWN-RECEIVED");
    p.tag = NEW_TAG;
    let cookie = p.give_init().cookie();
    p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
    assert_eq!(p.state(), "ESTABLISHED");
    assert_eq!(names(&p.send(0, b"again")), [["DATA"]]);
    p.give(&[Chunk::Shutdown(Shutdown { cum_tsn: Tsn(p.cum) })]);
    assert_eq!(p.state(), "SHUTDOWN-ACK-SENT");
}

/// What a peer lists and cannot be its address from here (loopback, multicast) is no address of the association: that it lists it
/// again in its restart adds nothing.
///
/// Attack class 5.
#[test]
fn a_restart_that_lists_what_was_not_believed_before_is_a_restart() {
    let listed = encode_params(&[Param::Address(ip("127.0.0.1")), Param::Address(ip("10.0.0.2")), Param::Address(ip("fe80::1"))]);
    let mut p = Puppet::new(AssocConfig::rfc());
    p.params = listed.clone();
    p.open();
    let ack = init_ack(&give_init(&mut p, NEW_TAG, &listed));
    assert!(!echo(&mut p, ack.tag, &ack.cookie()).is_empty());
    assert!(p.heard(|e| *e == Event::Restarted));
}
