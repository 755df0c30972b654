//! Section 4 and sections 5.1 to 5.1.2: the four-way handshake, its timers, streams and addresses.

use core::time::Duration;

use sctp_user::wire::chunk::{CookieEcho, Init, kind};
use sctp_user::wire::{Chunk, Param};
use sctp_user::{AssocConfig, CloseReason, Event, SendOptions};
use testbed::puppet::{Puppet, Seen, Sent, chunks, encode_params, ip, names, only, raw_item};

fn with(change: impl FnOnce(&mut AssocConfig)) -> AssocConfig {
    let mut cfg = AssocConfig::rfc();
    change(&mut cfg);
    cfg
}

fn lost(p: &Puppet) -> Vec<&CloseReason> {
    p.events.iter().filter_map(|e| if let Event::Lost { reason } = e { Some(reason) } else { None }).collect()
}

/// What the stack sends on its timers alone, with the time of each packet in milliseconds since now.
fn schedule(p: &mut Puppet, d: Duration) -> Vec<(u128, Vec<&'static str>)> {
    let start = p.now;
    p.pass(d).iter().map(|s| ((s.at - start).as_millis(), s.names())).collect()
}

/// T1 by the timer rules of section 6.3, with RTO.Initial 1 s, RTO.Max 60 s and eight retransmissions.
const T1: [u128; 8] = [1, 3, 7, 15, 31, 63, 123, 183];

/// RFC 9260 rows: 4-3, 4-4, 4-5, 5.1-13, 5.1.6-1.
///
/// Pitfall 21.
#[test]
fn an_unanswered_init_is_sent_again_until_the_limit() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let first = p.connect();
    let log = p.log.len();
    let sent = schedule(&mut p, Duration::from_secs(242));
    assert_eq!(sent, T1.map(|s| (s * 1_000, vec!["INIT"])));
    assert!(p.log[log..].iter().all(|s| s.bytes == first[0].bytes), "each is the first one again");
    assert!(lost(&p).is_empty());
    assert!(p.pass(Duration::from_secs(2)).is_empty());
    assert_eq!(lost(&p), [&CloseReason::ConnectTimeout]);
    assert_eq!(p.stack.association_count(), 0);
}

/// RFC 9260 rows: 4-6, 4-7, 4-8, 5.1.4-2, 5.1.4-3.
///
/// Pitfall 22.
#[test]
fn an_unanswered_cookie_echo_is_sent_again_until_the_limit() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-WAIT");
    let first = p.give_init_ack();
    assert_eq!(names(&first), [["COOKIE-ECHO"]]);
    let log = p.log.len();
    let sent = schedule(&mut p, Duration::from_secs(242));
    assert_eq!(sent, T1.map(|s| (s * 1_000, vec!["COOKIE-ECHO"])));
    assert!(p.log[log..].iter().all(|s| s.bytes == first[0].bytes));
    assert!(lost(&p).is_empty());
    assert!(p.pass(Duration::from_secs(2)).is_empty());
    assert_eq!(lost(&p), [&CloseReason::ConnectTimeout]);
    assert_eq!(p.stack.association_count(), 0);
}

/// RFC 9260 rows: 4-10, 4-12, 9.2-11, 9.2-26.
///
/// Pitfall 72.
#[test]
fn nothing_new_is_accepted_for_sending_once_a_shutdown_has_begun() {
    for state in ["SHUTDOWN-PENDING", "SHUTDOWN-SENT", "SHUTDOWN-RECEIVED", "SHUTDOWN-ACK-SENT"] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        let before = p.status().unwrap().buffered;
        assert!(p.try_send(0, b"too late", SendOptions::ordered()).is_err(), "{state}");
        assert_eq!(p.status().unwrap().buffered, before);
        assert!(p.collect().is_empty(), "{state}");
    }
}

/// RFC 9260 rows: 5-1, 5.1-8.
#[test]
fn no_data_and_nothing_else_leaves_before_the_handshake_is_complete() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-WAIT");
    p.try_send(0, b"early", SendOptions::ordered()).unwrap();
    assert!(p.collect().is_empty());
    // Data that waits rides behind the COOKIE ECHO and nowhere else.
    assert_eq!(names(&p.give_init_ack()), [["COOKIE-ECHO", "DATA"]]);
    p.try_send(0, b"later", SendOptions::ordered()).unwrap();
    assert!(p.collect().is_empty());
    let sent = p.pass(Duration::from_secs(30));
    assert!(!sent.is_empty() && sent.iter().all(|s| s.names()[0] == "COOKIE-ECHO"), "{:?}", names(&sent));
    assert!(names(&p.give(&[Chunk::CookieAck])).iter().flatten().all(|n| *n == "DATA"));
}

/// RFC 9260 rows: 5.1-3, 5.1-4, 5.1-5, 5.1-12, 5.1.2-7.
#[test]
fn an_init_ack_goes_back_to_the_source_under_the_inits_tag_with_a_cookie() {
    let mut p = Puppet::at(AssocConfig::rfc(), &["10.0.0.1", "10.1.0.1"], &["10.0.0.2", "10.1.0.2"]);
    let listed = encode_params(&[Param::Address(ip("10.0.0.2")), Param::Address(ip("10.1.0.2"))]);
    let init = p.init_chunk(&listed);
    let sent = p.give_in(p.envelope().tagged(0).from("10.1.0.2").to("10.1.0.1"), &[Chunk::Init(init)]);
    let packet = only(&sent);
    assert_eq!((packet.src, packet.dst), (ip("10.1.0.1"), ip("10.1.0.2")));
    assert_eq!((packet.src_port, packet.dst_port, packet.vtag), (7, 5000, p.tag));
    let Seen::InitAck(ack) = packet.first() else { panic!("{packet:?}") };
    assert!(ack.tag != 0 && ack.tag != p.tag);
    assert!(!ack.cookie().is_empty());
}

/// RFC 9260 rows: 5.1-9, 5.1.5-6, 5.1.5-7, 5.1.5-8, 5.1-19.
///
/// Pitfall 36.
#[test]
fn data_behind_a_cookie_echo_is_taken_and_acknowledged_behind_the_cookie_ack() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let cookie = p.give_init().cookie();
    let data = p.data(0, b"rider");
    let sent = p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie }), data]);
    assert_eq!(names(&sent), [["COOKIE-ACK", "SACK"]]);
    assert!(chunks(&sent).any(|c| matches!(c, Seen::Sack { cum, .. } if *cum == p.tsn.wrapping_sub(1))));
    assert_eq!(p.recv().unwrap().payload, "rider");
    // The next one waits for a second packet or the timer.
    let next = p.data(0, b"next");
    assert!(p.give(&[next]).is_empty());
}

/// RFC 9260 rows: 5.1-20, 5.1-21.
#[test]
fn the_cumulative_tsn_begins_one_below_the_initial_tsn() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let initial = p.tsn;
    // The second DATA alone: all that is cumulative lies before the first.
    let [first, second] = [p.data(0, b"1"), p.data(0, b"2")];
    let sent = p.give(&[second]);
    assert!(matches!(only(&sent).first(), Seen::Sack { cum, gaps, .. } if *cum == initial.wrapping_sub(1) && gaps == &[(2, 2)]));
    p.give(&[first]);
    let third = p.data(0, b"3");
    assert!(p.give(&[third]).is_empty());
    assert_eq!(names(&p.pass(Duration::from_millis(200))), [["SACK"]]);
}

/// RFC 9260 rows: 5.1-16, 5.1-17, 5.1-18.
#[test]
fn a_set_up_that_is_refused_ends_in_an_abort_with_its_cause() {
    let abort = |sent: &[Sent], vtag: u32, code: u16| {
        let packet = only(sent);
        let Seen::Abort { t: false, causes } = packet.first() else { panic!("{packet:?}") };
        assert_eq!((packet.vtag, causes[0].0), (vtag, code));
        causes[0].1.clone()
    };
    // Invalid Mandatory Parameter.
    let mut p = Puppet::new(AssocConfig::rfc());
    let init = Init { inbound: 0, ..p.init_chunk(&[]) };
    abort(&p.give_in(p.envelope().tagged(0), &[Chunk::Init(init)]), p.tag, 7);
    // Missing Mandatory Parameter: the State Cookie, type 7.
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-WAIT");
    let ack = p.init_chunk(&[]);
    assert_eq!(abort(&p.give(&[Chunk::InitAck(ack)]), p.tag, 2), [0, 0, 0, 1, 0, 7]);
    assert_eq!(p.stack.association_count(), 0);
    // Out of Resource.
    let mut none = sctp_user::StackConfig::default();
    none.max_associations = 0;
    let mut p = Puppet::with(none, AssocConfig::rfc(), &["10.0.0.1"], &["10.0.0.2"]);
    let cookie = p.give_init().cookie();
    abort(&p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]), p.tag, 4);
    // Nobody listens.
    let mut p = Puppet::new(AssocConfig::rfc());
    p.stack.listen(p.endpoint, false);
    let init = p.init_chunk(&[]);
    let sent = p.give_in(p.envelope().tagged(0), &[Chunk::Init(init)]);
    assert!(only(&sent).vtag == p.tag && matches!(only(&sent).first(), Seen::Abort { t: false, .. }));
}

/// RFC 9260 rows: 5.1.1-1, 5.1.1-2, 5.1.1-3, 5.1.1-4.
///
/// Pitfall 20.
#[test]
fn both_sides_use_the_streams_that_the_other_takes() {
    let cfg = with(|c| {
        c.outbound_streams = 8;
        c.max_inbound_streams = 6;
    });
    for opened_by_us in [false, true] {
        let mut p = Puppet::new(cfg.clone());
        p.streams = (20, 3);
        let told = if opened_by_us {
            let sent = p.connect();
            let Seen::Init(init) = only(&sent).first() else { panic!("{sent:?}") };
            let told = (init.outbound, init.inbound);
            p.give_init_ack();
            p.give(&[Chunk::CookieAck]);
            told
        } else {
            let ack = p.give_init();
            let cookie = ack.cookie();
            p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
            (ack.outbound, ack.inbound)
        };
        assert_eq!(told, if opened_by_us { (8, 6) } else { (3, 6) });
        let status = p.status().unwrap();
        assert_eq!((status.outbound_streams, status.inbound_streams), (3, 6));
        assert!(p.try_send(2, b"last", SendOptions::ordered()).is_ok());
        assert!(p.try_send(3, b"none", SendOptions::ordered()).is_err());
        // The puppet may use 0 to 5 of the 20 that it asked for.
        let [last, beyond] = [p.data(5, b"last"), p.data(6, b"beyond")];
        assert!(!names(&p.give(&[last])).iter().flatten().any(|n| *n == "ERROR"));
        let sent = p.give(&[beyond]);
        assert!(chunks(&sent).any(|c| matches!(c, Seen::Error { causes } if causes == &[(1, vec![0, 6, 0, 0])])), "{sent:?}");
        assert_eq!(p.state(), "ESTABLISHED");
    }
}

/// RFC 9260 rows: 5.1.2-4, 5.1.2-5.
///
/// Pitfall 19.
#[test]
fn the_peers_addresses_are_the_source_and_what_it_lists() {
    for opened_by_us in [false, true] {
        let mut p = Puppet::at(AssocConfig::rfc(), &["10.0.0.1"], &["10.0.0.2"]);
        p.params = encode_params(&[Param::Address(ip("10.1.0.2")), Param::Address(ip("10.2.0.2"))]);
        if opened_by_us {
            p.accept()
        } else {
            p.open()
        };
        let mut known: Vec<_> = p.stack.assoc(p.id()).unwrap().peer_addrs().iter().map(std::net::SocketAddr::ip).collect();
        known.sort();
        assert_eq!(known, [ip("10.0.0.2"), ip("10.1.0.2"), ip("10.2.0.2")]);
        p.send(0, b"data");
        let sent = p.pass(Duration::from_secs(100));
        assert!(p.log.iter().chain(&sent).all(|s| known.contains(&s.dst)));
    }
}

/// RFC 9260 rows: 5.1.2-6.
#[test]
fn an_init_or_init_ack_belongs_to_where_any_of_its_addresses_leads() {
    // INIT from a new address that lists a known one: it adds an address.
    let mut p = Puppet::established(AssocConfig::rfc());
    let listed = encode_params(&[Param::Address(ip("10.0.0.2"))]);
    let init = p.init_chunk(&listed);
    let sent = p.give_in(p.envelope().tagged(0).from("10.5.0.2"), &[Chunk::Init(init)]);
    let Seen::Abort { causes, .. } = only(&sent).first() else { panic!("{sent:?}") };
    assert_eq!(causes, &[(11, raw_item(5, &[10, 5, 0, 2]))]);
    assert_eq!((p.state(), p.stack.association_count()), ("ESTABLISHED", 1));
    // INIT ACK from another address than the INIT went to, listing that one.
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-WAIT");
    let params = encode_params(&[Param::StateCookie(b"cookie"), Param::Address(ip("10.0.0.2"))]);
    let ack = p.init_chunk(&params);
    assert_eq!(names(&p.give_in(p.envelope().from("10.5.0.2"), &[Chunk::InitAck(ack)])), [["COOKIE-ECHO"]]);
    assert_eq!(p.state(), "COOKIE-ECHOED");
    let known: Vec<_> = p.stack.assoc(p.id()).unwrap().peer_addrs().iter().map(std::net::SocketAddr::ip).collect();
    assert!(known.contains(&ip("10.5.0.2")) && known.contains(&ip("10.0.0.2")));
    p.give_in(p.envelope().from("10.5.0.2"), &[Chunk::CookieAck]);
    assert_eq!(p.state(), "ESTABLISHED");
    // Without the right tag it has seen no INIT of ours.
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-WAIT");
    let ack = p.init_chunk(&params);
    let stranger = p.envelope().from("10.5.0.2").tagged(p.peer_tag ^ 1);
    p.give_in(stranger, &[Chunk::InitAck(ack)]);
    assert_eq!(p.state(), "COOKIE-WAIT");
}

/// RFC 9260 rows: 5.1.2-8, 5.1.2-9.
#[test]
fn addresses_of_a_family_that_we_do_not_have_are_no_error() {
    for opened_by_us in [false, true] {
        let mut p = Puppet::new(AssocConfig::rfc());
        p.params = encode_params(&[Param::Address(ip("2001:db8::2")), Param::Address(ip("10.1.0.2")), Param::Address(ip("10.2.0.2"))]);
        if opened_by_us {
            p.accept()
        } else {
            p.open()
        };
        let known: Vec<_> = p.stack.assoc(p.id()).unwrap().peer_addrs().iter().map(std::net::SocketAddr::ip).collect();
        assert!(["10.0.0.2", "10.1.0.2", "10.2.0.2"].iter().all(|a| known.contains(&ip(a))), "{known:?}");
        let bad = [kind::ERROR, kind::ABORT];
        assert!(p.log.iter().flat_map(|s| &s.chunks).all(|c| !bad.contains(&c.kind)));
    }
}

/// RFC 9260 rows: 5.1.2-10, 5.1.2-11.
///
/// Pitfall 18.
#[test]
fn a_family_in_use_counts_as_supported_whatever_the_peer_lists() {
    let lists: [&[u8]; 5] = [&[0, 6], &[0, 5], &[0, 11], &[], &[0, 5, 0, 6, 0, 99]];
    for (host, puppet) in [("10.0.0.1", "10.0.0.2"), ("2001:db8::1", "2001:db8::2")] {
        for list in lists {
            let mut p = Puppet::at(AssocConfig::rfc(), &[host], &[puppet]);
            p.params = encode_params(&[Param::SupportedAddressTypes(list)]);
            assert_eq!(names(&p.open()), [["COOKIE-ACK"]], "{list:?}");
            assert_eq!(p.log[0].names(), ["INIT-ACK"]);
            assert_eq!(names(&p.send(0, b"works")), [["DATA"]]);
        }
    }
}

/// RFC 9260 rows: 5.3.1-2, 5.3.1-3.
#[test]
fn tags_stay_for_the_life_of_an_association_and_the_next_has_others() {
    let mut p = Puppet::accepted(AssocConfig::rfc());
    let ours = p.peer_tag;
    p.send(0, b"one");
    p.ack();
    assert!(p.log.iter().filter(|s| s.names() != ["INIT"]).all(|s| s.vtag == p.tag));
    p.shutdown();
    p.give(&[Chunk::ShutdownAck]);
    assert_eq!(p.state(), "CLOSED");
    p.accept();
    assert_ne!(p.peer_tag, ours);
}

/// Section 3.3.2.1.5: who does not support a family is not told addresses of it, unless it uses one itself.
#[test]
fn an_init_ack_lists_only_addresses_that_the_peer_can_use() {
    let host = ["10.0.0.1", "10.1.0.1", "2001:db8::1", "2001:db8:1::1"];
    let told = |p: &mut Puppet, params: &[Param<'_>]| {
        p.params = encode_params(params);
        let mut v4_v6 = [0, 0];
        for a in p.give_init().addresses() {
            v4_v6[usize::from(a.is_ipv6())] += 1;
        }
        v4_v6
    };
    let mut p = Puppet::at(AssocConfig::rfc(), &host, &["10.0.0.2"]);
    assert_eq!(told(&mut p, &[]), [2, 2]);
    assert_eq!(told(&mut p, &[Param::SupportedAddressTypes(&[0, 5, 0, 6])]), [2, 2]);
    assert_eq!(told(&mut p, &[Param::SupportedAddressTypes(&[0, 5])]), [2, 0]);
    assert_eq!(told(&mut p, &[Param::SupportedAddressTypes(&[0, 6])]), [2, 2], "it came by IPv4");
    assert_eq!(told(&mut p, &[Param::SupportedAddressTypes(&[0, 5]), Param::Address(ip("2001:db8::2"))]), [2, 2]);
    assert_eq!(told(&mut p, &[Param::SupportedAddressTypes(&[0, 11])]), [2, 0]);
    let mut p = Puppet::at(AssocConfig::rfc(), &host, &["2001:db8::2"]);
    p.host = vec![ip("2001:db8::1")];
    assert_eq!(told(&mut p, &[Param::SupportedAddressTypes(&[0, 6])]), [0, 2]);
}
