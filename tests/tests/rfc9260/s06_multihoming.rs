//! Sections 5.4, 6.4 and 8.1 to 8.3 with several addresses: confirmation, choice and failure of paths.

use core::time::Duration;
use std::collections::VecDeque;
use std::net::IpAddr;

use sctp_user::wire::chunk::{CookieEcho, Heartbeat};
use sctp_user::wire::{Chunk, Param};
use sctp_user::{AssocConfig, Event, Node as _, PathChange};
use testbed::puppet::{Puppet, Seen, Sent, chunks, encode_params, ip, names, only, raw_item};

const HOST: [&str; 2] = ["10.0.0.1", "10.1.0.1"];
const PEER: [&str; 2] = ["10.0.0.2", "10.1.0.2"];

/// The life of the puppet's addresses: answers HEARTBEATs and acknowledges DATA where it is not dead. Answers all that the stack sent
/// meanwhile.
fn live(p: &mut Puppet, d: Duration, first: Vec<Sent>, dead: &[&str]) -> Vec<Sent> {
    let end = p.now + d;
    let mut todo = VecDeque::from(first);
    let mut log = Vec::new();
    loop {
        while let Some(sent) = todo.pop_front() {
            let back = p.envelope();
            if !dead.iter().any(|a| ip(a) == sent.dst) {
                todo.extend(p.answer_heartbeats(core::slice::from_ref(&sent)));
                if sent.names().contains(&"DATA") {
                    let envelope = testbed::puppet::Envelope { src: sent.dst, dst: sent.src, ..back };
                    todo.extend(p.give_in(envelope, &[p.sack()]));
                }
            }
            log.push(sent);
        }
        match p.stack.poll_timeout() {
            Some(t) if t <= end => todo.extend(p.tick().unwrap()),
            _ => break,
        }
    }
    p.now = end;
    log
}

/// An association over two paths, both confirmed.
fn two_paths(cfg: AssocConfig) -> Puppet {
    let mut p = Puppet::at(cfg, &HOST, &PEER);
    p.params = encode_params(&[Param::Address(ip(PEER[0])), Param::Address(ip(PEER[1]))]);
    let first = p.open();
    live(&mut p, Duration::from_secs(5), first, &[]);
    assert!(changes(&p, PEER[1]).contains(&PathChange::Confirmed), "{:?}", p.events);
    p
}

fn changes(p: &Puppet, addr: &str) -> Vec<PathChange> {
    let of = |e: &Event| match e {
        Event::PathState { addr: a, change } if *a == ip(addr) => Some(*change),
        _ => None,
    };
    p.events.iter().filter_map(of).collect()
}

fn to<'a>(sent: &'a [Sent], addr: &str) -> Vec<&'a Sent> {
    sent.iter().filter(|s| s.dst == ip(addr)).collect()
}

fn with_heartbeats(interval: u64) -> AssocConfig {
    let mut cfg = AssocConfig::rfc();
    cfg.hb_interval = Some(Duration::from_secs(interval));
    cfg.nat_keepalive = None;
    cfg
}

/// RFC 9260 rows: 5.4-1, 5062.6.3-2.
#[test]
fn addresses_are_confirmed_a_few_at_a_time() {
    for burst in [1, 3] {
        let mut cfg = AssocConfig::rfc();
        cfg.hb_max_burst = burst;
        let mut p = Puppet::at(cfg, &["10.0.0.1"], &["10.0.0.2"]);
        p.params = encode_params(&(10..20).map(|n| Param::Address([10, 0, 0, n].into())).collect::<Vec<_>>());
        let first = p.open();
        let begin = p.now;
        let sent = live(&mut p, Duration::from_secs(15), first, &[]);
        let probes: Vec<_> = sent.iter().filter(|s| s.names().contains(&"HEARTBEAT")).map(|s| s.at - begin).collect();
        assert!(probes.len() >= 10, "{probes:?}");
        for at in &probes {
            let within = probes.iter().filter(|t| **t >= *at && **t < *at + Duration::from_millis(999)).count();
            assert!(within <= burst, "{within} in one RTO: {probes:?}");
        }
    }
}

/// RFC 9260 rows: 5.4-2, 5062.2.3-1, 5062.5.3-2.
#[test]
fn an_unconfirmed_address_gets_nothing_but_heartbeats() {
    let mut p = Puppet::at(AssocConfig::rfc(), &HOST, &PEER);
    p.params = encode_params(&[Param::Address(ip(PEER[1]))]);
    let mut first = p.open();
    // Nothing is acknowledged anywhere: retransmissions would like another path.
    first.extend(p.send(0, &[1; 5_000]));
    let sent = live(&mut p, Duration::from_secs(40), first, &PEER);
    assert!(to(&sent, PEER[1]).len() > 3);
    assert!(to(&sent, PEER[1]).iter().all(|s| s.names() == ["HEARTBEAT"]), "{:?}", names(&sent));
}

/// RFC 9260 rows: 5.4-3.
#[test]
fn a_cookie_ack_to_an_unconfirmed_address_has_a_heartbeat_with_it() {
    let mut p = Puppet::at(AssocConfig::rfc(), &HOST, &PEER);
    p.params = encode_params(&[Param::Address(ip(PEER[0])), Param::Address(ip(PEER[1]))]);
    let cookie = p.give_init().cookie();
    let envelope = p.envelope().from(PEER[1]);
    let sent = p.give_in(envelope, &[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
    for s in to(&sent, PEER[1]) {
        assert_eq!(s.names(), ["COOKIE-ACK", "HEARTBEAT"]);
        let Seen::Heartbeat { items } = &s.chunks[1].body else { panic!() };
        assert!(items[0].1.len() >= 16, "a nonce of 64 bits, path and time");
    }
    assert_eq!(names(&sent).concat().iter().filter(|n| **n == "COOKIE-ACK").count(), 1);
}

/// RFC 9260 rows: 5.4-5, 5.4-6, 5.4-7.
#[test]
fn the_cookie_echo_goes_to_no_unconfirmed_address() {
    let mut p = Puppet::at(AssocConfig::rfc(), &HOST, &PEER[..1]);
    p.connect();
    p.params = encode_params(&[Param::Address(ip(PEER[0])), Param::Address(ip(PEER[1])), Param::Address(ip("10.2.0.2"))]);
    let mut sent = p.give_init_ack();
    sent.extend(p.pass(Duration::from_secs(100)));
    assert!(sent.iter().filter(|s| s.names()[0] == "COOKIE-ECHO").count() > 4);
    assert!(sent.iter().all(|s| s.dst == ip(PEER[0])), "{sent:?}");
}

/// RFC 9260 rows: 5.1-14, 5.1-15.
#[test]
fn init_and_cookie_echo_are_sent_again_to_all_addresses() {
    let mut p = Puppet::at(AssocConfig::rfc(), &HOST, &["10.0.0.2", "10.1.0.2", "10.2.0.2"]);
    let mut sent = p.connect();
    for _ in 0..5 {
        sent.extend(p.tick().unwrap());
    }
    let order: Vec<_> = sent.iter().map(|s| (s.names()[0], s.dst.to_string())).collect();
    let expected = ["10.0.0.2", "10.1.0.2", "10.2.0.2", "10.0.0.2", "10.1.0.2", "10.2.0.2"].map(|a| ("INIT", a.to_owned()));
    assert_eq!(order, expected);
    let listed: Vec<_> = p.addrs.iter().map(|a| Param::Address(*a)).collect();
    p.params = encode_params(&listed);
    let mut sent = p.give_init_ack();
    for _ in 0..5 {
        sent.extend(p.tick().unwrap());
    }
    assert!(sent.iter().all(|s| s.names()[0] == "COOKIE-ECHO"));
    assert!(p.addrs.iter().all(|a| sent.iter().filter(|s| s.dst == *a).count() == 2), "{sent:?}");
}

/// RFC 9260 rows: 6.4-1.
#[test]
fn data_goes_to_the_primary_path() {
    let mut p = two_paths(AssocConfig::rfc());
    for n in 0..20 {
        let first = p.send(n % 4, &[1; 2_000]);
        let sent = live(&mut p, Duration::from_secs(3), first, &[]);
        assert!(sent.iter().filter(|s| s.names().contains(&"DATA")).all(|s| s.dst == ip(PEER[0]) && s.src == ip(HOST[0])));
    }
    let (id, now) = (p.id(), p.now);
    p.stack.assoc(id).unwrap().set_primary(now, ip(PEER[1])).unwrap();
    let sent = p.send(0, b"elsewhere");
    assert_eq!((only(&sent).dst, sent[0].names()), (ip(PEER[1]), vec!["DATA"]));
}

/// RFC 9260 rows: 6.4-2.
#[test]
fn answers_go_to_where_the_question_came_from() {
    let mut p = two_paths(AssocConfig::rfc());
    let tlvs = raw_item(1, b"here?");
    for (src, dst) in [(PEER[0], HOST[0]), (PEER[1], HOST[1]), (PEER[1], HOST[0]), (PEER[0], HOST[1])] {
        let sent = p.give_in(p.envelope().from(src).to(dst), &[Chunk::Heartbeat(Heartbeat { tlvs: &tlvs })]);
        assert_eq!((only(&sent).dst, sent[0].src, sent[0].names()), (ip(src), ip(dst), vec!["HEARTBEAT-ACK"]));
    }
    let sent = p.give_in(p.envelope().from(PEER[1]).to(HOST[1]).tagged(0), &[Chunk::Init(p.init_chunk(&[]))]);
    assert_eq!((only(&sent).dst, sent[0].names()), (ip(PEER[1]), vec!["INIT-ACK"]));
}

/// RFC 9260 rows: 6.4.1-1, 8.2-1, 8.2-2, 8.2-3, 8.2-6.
#[test]
fn a_path_that_fails_becomes_inactive_and_one_other_takes_over() {
    let mut cfg = with_heartbeats(5);
    cfg.path_max_retrans = 2;
    cfg.pf_max_retrans = None;
    let mut p = Puppet::at(cfg, &HOST, &["10.0.0.2", "10.1.0.2", "10.2.0.2"]);
    p.params = encode_params(&[Param::Address(ip("10.1.0.2")), Param::Address(ip("10.2.0.2"))]);
    let first = p.open();
    live(&mut p, Duration::from_secs(10), first, &[]);
    let mut used: Vec<IpAddr> = Vec::new();
    for n in 0..40 {
        let first = p.send(0, &[n; 200]);
        let sent = live(&mut p, Duration::from_secs(1), first, &[PEER[0]]);
        if changes(&p, PEER[0]).contains(&PathChange::Unreachable) {
            used.extend(sent.iter().filter(|s| s.names().contains(&"DATA")).map(|s| s.dst));
        }
    }
    assert_eq!(changes(&p, PEER[0]).iter().filter(|c| **c == PathChange::Unreachable).count(), 1);
    assert!(!changes(&p, PEER[1]).contains(&PathChange::Unreachable), "each address has its own counter");
    used.sort_unstable();
    used.dedup();
    assert_eq!(used.len(), 1, "one alternate: {used:?}");
    assert_ne!(used[0], ip(PEER[0]));
    assert_eq!((p.state(), p.status().unwrap().buffered), ("ESTABLISHED", 0), "nothing is lost");
}

/// RFC 9260 rows: 8.1-2, 8.3-3, 8.3-4, 8.3-5, 8.3-6.
#[test]
fn an_idle_path_that_fails_does_not_end_the_association() {
    let mut cfg = with_heartbeats(5);
    (cfg.path_max_retrans, cfg.assoc_max_retrans) = (3, 2);
    let mut p = two_paths(cfg);
    let sent = live(&mut p, Duration::from_secs(3_600), Vec::new(), &[PEER[1]]);
    assert_eq!(p.state(), "ESTABLISHED");
    assert_eq!(changes(&p, PEER[1]).iter().filter(|c| **c == PathChange::Unreachable).count(), 1);
    let late = p.now.as_millis() - 600_000;
    let still = to(&sent, PEER[1]).iter().filter(|s| s.at.as_millis() > late).count();
    assert!(still >= 3, "HEARTBEATs go on: {still}");
    // The path in use had its answers all the time.
    assert!(!changes(&p, PEER[0]).contains(&PathChange::Unreachable));
}

/// RFC 9260 rows: 8.2-4, 8.2-5, 8.3-9, 8.3-11, 8.3-12.
#[test]
fn a_heartbeat_ack_brings_a_path_back() {
    let mut cfg = with_heartbeats(5);
    cfg.path_max_retrans = 3;
    cfg.pf_max_retrans = None;
    let mut p = two_paths(cfg);
    for round in 1..4 {
        live(&mut p, Duration::from_secs(600), Vec::new(), &[PEER[1]]);
        let unreachable = changes(&p, PEER[1]).iter().filter(|c| **c == PathChange::Unreachable).count();
        assert_eq!((changes(&p, PEER[1]).last(), unreachable), (Some(&PathChange::Unreachable), round));
        live(&mut p, Duration::from_secs(200), Vec::new(), &[]);
        assert_eq!(changes(&p, PEER[1]).last(), Some(&PathChange::Available), "{:?}", p.events);
        // Its counter begins at zero: as many errors as the limit do not make it inactive.
        let mut errors = 0;
        let begin = p.now;
        while errors < 3 && p.now - begin < Duration::from_secs(600) {
            let sent = live(&mut p, Duration::from_millis(100), Vec::new(), &[PEER[1]]);
            errors += to(&sent, PEER[1]).len();
        }
        assert_eq!((errors, changes(&p, PEER[1]).last()), (3, Some(&PathChange::Available)));
        live(&mut p, Duration::from_secs(200), Vec::new(), &[]);
    }
}

/// RFC 9260 rows: 8.2-4.
#[test]
fn an_acknowledged_tsn_clears_the_count_of_its_path() {
    let mut cfg = with_heartbeats(3_000);
    (cfg.path_max_retrans, cfg.pf_max_retrans, cfg.assoc_max_retrans) = (2, None, 100);
    let mut p = two_paths(cfg);
    for n in 0..10 {
        // Two of its packets are lost, the third attempt is acknowledged: never more than two errors in a row.
        let first = p.send(0, &[n; 100]);
        live(&mut p, Duration::from_millis(100), first, &[PEER[0]]);
        p.tick();
        let (now, id) = (p.now, p.id());
        assert!(p.stack.assoc(id).is_some() && now > sctp_user::Time::ZERO);
        p.ack();
        let first = p.send(0, &[n; 100]);
        live(&mut p, Duration::from_millis(100), first, &[]);
        assert!(!changes(&p, PEER[0]).contains(&PathChange::Unreachable), "{n}");
    }
}

/// RFC 9260 rows: 8.3-7.
#[test]
fn the_counter_of_an_inactive_path_does_not_grow() {
    let mut cfg = with_heartbeats(5);
    cfg.path_max_retrans = 3;
    let mut p = two_paths(cfg);
    let errors = |p: &mut Puppet| {
        let id = p.id();
        let paths = p.stack.assoc(id).unwrap().paths();
        paths.iter().find(|q| q.addr == ip(PEER[1])).map(|q| q.error_count).unwrap()
    };
    live(&mut p, Duration::from_secs(1_000), Vec::new(), &[PEER[1]]);
    assert_eq!(errors(&mut p), 4);
    live(&mut p, Duration::from_secs(10_000), Vec::new(), &[PEER[1]]);
    assert_eq!(errors(&mut p), 4);
    assert!(chunks(&p.log).filter(|c| matches!(c, Seen::Heartbeat { .. })).count() > 100);
}
