//! Section 5.1: the handshake without disturbance.

use core::time::Duration;

use sctp_user::wire::chunk::{CookieEcho, Init};
use sctp_user::wire::{Chunk, Param};
use sctp_user::{AssocConfig, SendError, SendOptions, StackConfig};
use testbed::puppet::{Envelope, Puppet, Seen, chunks, data, encode_params, ip, names, only, raw_item, sack};

fn echo(cookie: &[u8]) -> Chunk<'_> {
    Chunk::CookieEcho(CookieEcho { cookie })
}

/// RFC 9260 rows: 5.1-3, 5.1-4, 5.1-5, 5.1-12, 5.1.2-7.
#[test]
fn the_init_ack_goes_back_where_the_init_came_from() {
    let mut p = Puppet::at(AssocConfig::rfc(), &["10.0.0.1", "10.0.1.1"], &["10.0.0.2"]);
    p.tag = 0x0102_0304;
    // It lists other addresses: they do not count here.
    let params = encode_params(&[Param::Address(ip("10.0.0.8")), Param::Address(ip("10.0.0.9"))]);
    for (src, dst) in [("10.0.0.2", "10.0.0.1"), ("10.7.7.7", "10.0.1.1")] {
        let sent = p.give_in(p.envelope().tagged(0).from(src).to(dst), &[Chunk::Init(p.init_chunk(&params))]);
        let packet = only(&sent);
        assert_eq!((packet.dst, packet.src, packet.vtag), (ip(src), ip(dst), 0x0102_0304));
        let Seen::InitAck(ack) = packet.first() else { panic!("{packet:?}") };
        assert!(ack.tag != 0 && !ack.cookie().is_empty());
    }
}

/// RFC 9260 rows: 5.1-8.
#[test]
fn in_cookie_echoed_nothing_is_sent_but_the_cookie_echo() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-ECHOED");
    for n in 0..50 {
        p.try_send(n % 3, &[7; 900], SendOptions::ordered()).unwrap();
        assert!(p.collect().is_empty());
    }
    let sent = p.pass(Duration::from_secs(40));
    assert!(sent.len() >= 4, "{:?}", names(&sent));
    assert!(sent.iter().all(|s| s.names()[0] == "COOKIE-ECHO" && s.bytes.len() <= 1472), "{:?}", names(&sent));
    // Then all goes out.
    assert!(!p.give(&[Chunk::CookieAck]).is_empty());
}

/// RFC 9260 rows: 5.1-9, 5.1.5-6, 5.1.5-8.
#[test]
fn the_cookie_ack_is_the_first_chunk() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let cookie = p.give_init().cookie();
    let data = p.data(0, b"x");
    assert_eq!(names(&p.give(&[echo(&cookie), data])), [["COOKIE-ACK", "SACK"]]);
    // Once more, with DATA of the stack in its queue.
    p.try_send(0, b"y", SendOptions::ordered()).unwrap();
    let sent = p.give(&[echo(&cookie)]);
    assert_eq!(sent[0].names()[0], "COOKIE-ACK");
    assert!(sent.iter().skip(1).all(|s| !s.names().contains(&"COOKIE-ACK")), "{:?}", names(&sent));
}

/// RFC 9260 rows: 5.1-16, 5.1-17.
#[test]
fn what_is_not_accepted_is_answered_with_an_abort_and_its_cause() {
    // An INIT ACK without its mandatory parameter.
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-WAIT");
    let ack = Chunk::InitAck(p.init_chunk(&[]));
    let sent = p.give(&[ack]);
    assert_eq!(*only(&sent).first(), Seen::Abort { t: false, causes: vec![(2, vec![0, 0, 0, 1, 0, 7])] });
    // An invalid value.
    let mut p = Puppet::new(AssocConfig::rfc());
    let init = Chunk::Init(Init { inbound: 0, ..p.init_chunk(&[]) });
    let sent = p.give_in(p.envelope().tagged(0), &[init]);
    assert_eq!(*only(&sent).first(), Seen::Abort { t: false, causes: vec![(7, vec![])] });
    // No room.
    let mut stack = StackConfig::default();
    stack.max_associations = 1;
    let mut p = Puppet::with(stack, AssocConfig::rfc(), &["10.0.0.1"], &["10.0.0.2"]);
    p.open();
    (p.port, p.tag) = (p.port + 1, 99);
    let cookie = p.give_init().cookie();
    let sent = p.give(&[echo(&cookie)]);
    assert_eq!((only(&sent).vtag, sent[0].first()), (99, &Seen::Abort { t: false, causes: vec![(4, vec![])] }));
    assert_eq!(p.stack.association_count(), 1);
}

/// RFC 9260 rows: 5.1-19, 5.1-20, 5.1.5-7.
#[test]
fn the_first_data_is_acknowledged_at_once_and_the_next_by_the_rules() {
    for behind_the_cookie in [true, false] {
        let mut p = Puppet::new(AssocConfig::rfc());
        let cookie = p.give_init().cookie();
        let data = p.data(0, b"first");
        if behind_the_cookie {
            assert_eq!(names(&p.give(&[echo(&cookie), data])), [["COOKIE-ACK", "SACK"]]);
        } else {
            p.give(&[echo(&cookie)]);
            assert_eq!(names(&p.give(&[data])), [["SACK"]]);
        }
        let (one, two) = (p.data(0, b"second"), p.data(0, b"third"));
        assert!(p.give(&[one]).is_empty(), "delayed");
        assert_eq!(names(&p.give(&[two])), [["SACK"]], "every second packet");
    }
}

/// RFC 9260 rows: 5.1-21.
#[test]
fn the_ack_point_starts_below_the_initial_tsn() {
    let mut p = Puppet::established(AssocConfig::rfc());
    // One below the initial TSN is acknowledged from the start ...
    assert!(p.give(&[p.sack()]).is_empty());
    assert_eq!(p.state(), "ESTABLISHED");
    let first = p.cum.wrapping_add(1);
    let sent = p.send(0, b"x");
    assert!(matches!(only(&sent).first(), Seen::Data { tsn, .. } if *tsn == first));
    // ... and the initial TSN only once it was sent.
    let mut p = Puppet::established(AssocConfig::rfc());
    assert_eq!(names(&p.give(&[sack(p.cum.wrapping_add(1), 9_000, &[], &[])])), [["ABORT"]]);
}

/// RFC 9260 rows: 5.1.1-1, 5.1.1-2, 5.1.1-3, 5.1.1-4, 6.5-1.
#[test]
fn streams_are_what_both_sides_can() {
    let mut cfg = AssocConfig::rfc();
    (cfg.outbound_streams, cfg.max_inbound_streams) = (10, 20);
    for (os, mis, outbound, inbound) in [(5, 6, 6, 5), (30, 40, 10, 20), (20, 10, 10, 20), (1, 1, 1, 1)] {
        for stack_opens in [false, true] {
            let mut p = Puppet::new(cfg.clone());
            p.streams = (os, mis);
            if stack_opens {
                p.accept();
                let Seen::Init(init) = p.log[0].first() else { panic!() };
                assert_eq!((init.outbound, init.inbound), (10, 20));
            } else {
                p.open();
                let Seen::InitAck(ack) = p.log[0].first() else { panic!() };
                assert_eq!(ack.inbound, 20);
            }
            let status = p.status().unwrap();
            assert_eq!((status.outbound_streams, status.inbound_streams), (outbound, inbound));
            assert_eq!(p.try_send(outbound, b"x", SendOptions::ordered()), Err(SendError::InvalidStream));
            let sent = p.send(outbound - 1, b"x");
            assert!(matches!(only(&sent).first(), Seen::Data { sid, .. } if *sid == outbound - 1));
        }
    }
}

/// RFC 9260 rows: 5.1.2-4, 5.1.2-5.
#[test]
fn the_addresses_of_the_peer_are_those_listed_and_the_source() {
    for stack_opens in [false, true] {
        let mut p = Puppet::new(AssocConfig::rfc());
        p.params = encode_params(&[Param::Address(ip("10.0.0.8")), Param::Address(ip("2001:db8::9"))]);
        if stack_opens {
            p.accept();
        } else {
            p.open();
        }
        let id = p.id();
        let known: Vec<_> = p.stack.assoc(id).unwrap().peer_addrs().iter().map(ToString::to_string).collect();
        assert_eq!(known, ["10.0.0.2:5000", "10.0.0.8:5000", "[2001:db8::9]:5000"]);
        p.send(0, &[1; 3000]);
        p.pass(Duration::from_secs(30));
        let reached = [ip("10.0.0.2"), ip("10.0.0.8"), ip("2001:db8::9")];
        assert!(p.log.iter().all(|s| reached.contains(&s.dst)));
    }
}

/// RFC 9260 rows: 5.1.2-8, 5.1.2-9.
#[test]
fn addresses_of_another_family_do_not_disturb() {
    for stack_opens in [false, true] {
        let mut p = Puppet::new(AssocConfig::rfc());
        p.params = encode_params(&[Param::Address(ip("2001:db8::9")), Param::Address(ip("10.0.0.8")), Param::Address(ip("10.0.0.9"))]);
        let sent = if stack_opens { p.accept() } else { p.open() };
        assert!(!names(&sent).concat().iter().any(|n| matches!(*n, "ERROR" | "ABORT")), "{:?}", names(&sent));
        let id = p.id();
        let known: Vec<_> = p.stack.assoc(id).unwrap().peer_addrs().iter().map(|a| a.ip().to_string()).collect();
        assert!(["10.0.0.2", "10.0.0.8", "10.0.0.9"].iter().all(|a| known.contains(&(*a).to_owned())), "{known:?}");
    }
}

/// RFC 9260 rows: 5.1.2-10, 5.1.2-11.
#[test]
fn a_family_in_use_counts_as_supported() {
    let mut p = Puppet::new(AssocConfig::rfc());
    // It lists IPv6 alone, and comes from, and names, IPv4 addresses.
    p.params = [raw_item(12, &[0, 6]), encode_params(&[Param::Address(ip("10.0.0.8"))])].concat();
    let sent = p.open();
    assert_eq!(names(&sent)[0][0], "COOKIE-ACK");
    assert!(!names(&p.log).concat().iter().any(|n| matches!(*n, "ERROR" | "ABORT")));
    let id = p.id();
    assert_eq!(p.stack.assoc(id).unwrap().peer_addrs().len(), 2);
}

/// RFC 9260 rows: 5.1.5-3.
#[test]
fn a_cookie_counts_only_under_its_ports_tag_and_addresses() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let cookie = p.give_init().cookie();
    let other = sctp_user::EndpointConfig::new(8);
    let endpoint = p.stack.open(other).unwrap();
    p.stack.listen(endpoint, true);
    let right = p.envelope();
    for wrong in [
        Envelope { src_port: 5001, ..right },
        Envelope { dst_port: 8, ..right },
        right.tagged(right.vtag ^ 1),
        right.tagged(0),
        right.from("10.0.0.3"),
        right.to("10.0.7.1"),
    ] {
        assert!(p.give_in(wrong, &[echo(&cookie)]).is_empty(), "{wrong:?}");
    }
    assert_eq!(p.stack.association_count(), 0);
    assert_eq!(names(&p.give_in(right, &[echo(&cookie)])), [["COOKIE-ACK"]]);
}

/// RFC 9260 rows: 5.1.3-5, 5.1.5-1.
#[test]
fn the_key_changes_and_what_is_signed_with_a_forgotten_one_is_dropped_in_silence() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let cookie = p.give_init().cookie();
    // Hours later the key is forgotten: no ERROR, which a key that is still known would bring.
    for _ in 0..12 {
        p.now += Duration::from_secs(3600);
        p.give_init();
    }
    assert!(p.give(&[echo(&cookie)]).is_empty());
    assert_eq!(p.stack.association_count(), 0);
}

/// What a cookie holds of us is what the INIT ACK tells anyway: two stacks that differ in nothing else but what their users do
/// make cookies of the same length, and the keys and the messages of others are not in them.
///
/// RFC 9260 rows: 5.1.3-6.
#[test]
fn a_cookie_tells_nothing_of_other_associations() {
    let mut idle = Puppet::new(AssocConfig::rfc());
    let mut busy = Puppet::new(AssocConfig::rfc());
    busy.open();
    busy.send(0, b"a secret that nobody else may read");
    let secret = b"a secret that nobody else may read";
    let other_tag = busy.peer_tag.to_be_bytes();
    (busy.port, busy.tag) = (busy.port + 1, busy.tag + 1);
    let (one, two) = (idle.give_init().cookie(), busy.give_init().cookie());
    assert_eq!(one.len(), two.len());
    assert!(!two.windows(secret.len()).any(|w| w == secret));
    assert!(!two.windows(4).any(|w| w == other_tag));
}

/// RFC 9260 rows: 5.3.1-2, 5.3.1-3.
#[test]
fn tags_stay_while_an_association_lives_and_are_new_in_the_next() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let mut tags = Vec::new();
    for round in 0..8 {
        p.open();
        let own = p.peer_tag;
        assert!(!tags.contains(&own));
        tags.push(own);
        for n in 0..50 {
            let sent = p.send(0, b"x");
            assert!(sent.iter().all(|s| s.vtag == p.tag), "{n}");
            p.ack();
            let data = Chunk::Data(data(p.tsn, 1, n, b"y"));
            p.tsn = p.tsn.wrapping_add(1);
            p.give(&[data]);
            p.recv();
        }
        assert_eq!(p.peer_tag, own);
        if round % 2 == 0 {
            p.abort(b"");
        } else {
            p.shutdown();
            p.give(&[Chunk::ShutdownAck]);
        }
        assert_eq!(p.state(), "CLOSED");
    }
    assert!(chunks(&p.log).count() > 400);
}
