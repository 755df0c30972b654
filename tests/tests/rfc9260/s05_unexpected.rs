//! Section 5.2: chunks of the handshake that come when they are not expected.

use core::time::Duration;

use sctp_user::wire::chunk::{CookieEcho, ErrorChunk};
use sctp_user::wire::{Cause, Chunk, Encode as _, Param};
use sctp_user::{AssocConfig, CloseReason, Event, Node as _};
use testbed::puppet::{Puppet, Seen, SeenInit, Sent, chunks, encode_params, ip, names, only};

/// States after the handshake in which an INIT is answered.
const LATER: [&str; 4] = ["ESTABLISHED", "SHUTDOWN-PENDING", "SHUTDOWN-SENT", "SHUTDOWN-RECEIVED"];

fn echo(cookie: &[u8]) -> Chunk<'_> {
    Chunk::CookieEcho(CookieEcho { cookie })
}

/// An INIT from the puppet with `params`, its tag changed; answers what came back.
fn init(p: &mut Puppet, params: &[u8]) -> Vec<Sent> {
    p.tag = p.tag.rotate_left(1);
    let init = Chunk::Init(p.init_chunk(params));
    p.give_in(p.envelope().tagged(0), &[init])
}

fn init_ack(sent: &[Sent]) -> SeenInit {
    let Seen::InitAck(ack) = only(sent).first() else { panic!("no INIT ACK: {:?}", names(sent)) };
    ack.clone()
}

fn own_init(p: &Puppet) -> SeenInit {
    let Seen::Init(init) = p.log[0].first() else { panic!("no INIT: {:?}", names(&p.log)) };
    init.clone()
}

/// RFC 9260 rows: 5.2.1-1, 5.2.1-2, 5.2.1-4, 5.2.1-5, 5.2.1-11.
#[test]
fn in_cookie_wait_an_init_is_answered_as_the_own_init_said() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-WAIT");
    let own = own_init(&p);
    let sent = init(&mut p, &[]);
    let ack = init_ack(&sent);
    assert_eq!((ack.tag, ack.tsn, ack.a_rwnd, ack.outbound, ack.inbound), (own.tag, own.tsn, own.a_rwnd, own.outbound, own.inbound));
    assert!(!ack.cookie().is_empty());
    assert_eq!((sent[0].dst, sent[0].vtag), (p.addrs[0], p.tag));
}

/// RFC 9260 rows: 5.2.1-3.
#[test]
fn in_cookie_wait_an_init_from_an_address_that_the_user_did_not_give_is_another_matter() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-WAIT");
    let own = own_init(&p);
    let stranger = Chunk::Init(p.init_chunk(&[]));
    let sent = p.give_in(p.envelope().tagged(0).from("10.0.0.66"), &[stranger]);
    // Whatever it gets, it is not the answer that belongs to the association.
    assert!(sent.iter().all(|s| !matches!(s.first(), Seen::InitAck(ack) if ack.tag == own.tag)), "{sent:?}");
    assert_eq!(p.state(), "COOKIE-WAIT");
}

/// RFC 9260 rows: 5.2.1-6, 5.2.1-12, 5.2.1-13, 5.2.1-14.
#[test]
fn an_init_changes_nothing_while_the_association_opens() {
    for state in ["COOKIE-WAIT", "COOKIE-ECHOED"] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        let (own, due) = (own_init(&p), p.stack.poll_timeout());
        let ack = init_ack(&init(&mut p, &[]));
        assert_eq!((ack.tag, ack.tsn, ack.a_rwnd, ack.outbound, ack.inbound), (own.tag, own.tsn, own.a_rwnd, own.outbound, own.inbound));
        assert_eq!((p.state(), p.stack.association_count()), (state, 1));
        assert_eq!(p.stack.poll_timeout(), due, "T1 runs on");
        let expected = if state == "COOKIE-WAIT" { "INIT" } else { "COOKIE-ECHO" };
        assert_eq!(names(&p.tick().unwrap()), [[expected]]);
    }
}

/// RFC 9260 rows: 5.2.1-7, 5.2.1-8, 5.2.1-9, 5.2.1-10.
#[test]
fn in_cookie_echoed_an_init_that_adds_an_address_is_refused() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-ECHOED");
    let due = p.stack.poll_timeout();
    let params = encode_params(&[Param::Address(ip("10.0.0.2")), Param::Address(ip("10.0.0.9"))]);
    let sent = init(&mut p, &params);
    let added = encode_params(&[Param::Address(ip("10.0.0.9"))]);
    assert_eq!(*only(&sent).first(), Seen::Abort { t: false, causes: vec![(11, added)] });
    assert_eq!(sent[0].vtag, p.tag);
    assert_eq!((p.state(), p.stack.poll_timeout()), ("COOKIE-ECHOED", due));
    p.give(&[Chunk::CookieAck]);
    assert_eq!(p.state(), "ESTABLISHED");
}

/// The tie tags are inside the signed cookie: what they do shows. A peer that restarts while we are in COOKIE-ECHOED is known by
/// its cookie as the one that we talk to.
///
/// RFC 9260 rows: 5.2.1-15, 5.2.4-7, 5.2.4-8.
#[test]
fn in_cookie_echoed_the_cookie_of_another_init_completes_the_association() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-ECHOED");
    let earlier = init_ack(&init(&mut p, &[])).cookie();
    let earlier_tag = p.tag;
    let cookie = init_ack(&init(&mut p, &[])).cookie();
    let sent = p.give(&[echo(&cookie)]);
    assert_eq!((names(&sent)[0][0], sent[0].vtag), ("COOKIE-ACK", p.tag), "the peer's tag is the new one");
    assert_ne!(p.tag, earlier_tag);
    assert_eq!(p.state(), "ESTABLISHED");
    // T1-cookie has stopped: no COOKIE ECHO is sent any more.
    let later = p.pass(Duration::from_secs(20));
    assert!(!names(&later).concat().contains(&"COOKIE-ECHO"), "{:?}", names(&later));
    // In ESTABLISHED the state stays.
    let sent = p.give(&[echo(&earlier)]);
    assert_eq!((names(&sent)[0][0], sent[0].vtag), ("COOKIE-ACK", earlier_tag));
    assert_eq!(p.state(), "ESTABLISHED");
}

/// RFC 9260 rows: 5.2.2-1, 5.2.2-2, 5.2.2-6, 5.2.2-8, 5.2.2-9.
#[test]
fn an_unexpected_init_is_answered_and_nothing_else_happens() {
    for state in LATER {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        let (before, due, events) = (p.status(), p.stack.poll_timeout(), p.events.len());
        let old = p.peer_tag;
        let sent = init(&mut p, &[]);
        let ack = init_ack(&sent);
        assert_eq!(sent[0].vtag, p.tag);
        assert!(ack.tag != 0 && ack.tag != old && !ack.cookie().is_empty());
        let cfg = AssocConfig::rfc();
        assert_eq!((ack.outbound, ack.inbound), (cfg.outbound_streams, cfg.max_inbound_streams));
        assert_eq!((p.status(), p.stack.poll_timeout(), p.events.len()), (before, due, events), "{state}");
    }
}

/// RFC 9260 rows: 5.2.2-3, 5.2.2-4, 5.2.2-10.
#[test]
fn an_unexpected_init_that_adds_an_address_is_refused() {
    for state in LATER {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        let before = p.status();
        let params = encode_params(&[Param::Address(ip("10.0.0.8")), Param::Address(ip("2001:db8::8"))]);
        let sent = init(&mut p, &params);
        assert_eq!(*only(&sent).first(), Seen::Abort { t: false, causes: vec![(11, params)] }, "{state}");
        assert_eq!(sent[0].vtag, p.tag);
        assert_eq!((p.status(), p.stack.association_count()), (before, 1));
    }
}

/// RFC 9260 rows: 5.2.2-5, 5.2.4-4.
#[test]
fn the_tie_tags_tell_a_restart_of_the_peer() {
    for state in LATER {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        let ack = init_ack(&init(&mut p, &[]));
        p.learn(&ack);
        let sent = p.give(&[echo(&ack.cookie())]);
        assert_eq!(names(&sent)[0][0], "COOKIE-ACK", "{state}");
        assert!(p.heard(|e| *e == Event::Restarted));
        assert!(!p.heard(|e| matches!(e, Event::Lost { .. })));
        assert_eq!(p.stack.association_count(), 1);
    }
}

/// RFC 9260 rows: 5.2.2-11.
#[test]
fn without_an_association_the_tie_tags_are_zero() {
    // Two INITs before any association: the second one's cookie comes when the first one's has opened it. With tie tags it would
    // count as a restart.
    let mut p = Puppet::new(AssocConfig::rfc());
    let first = init_ack(&init(&mut p, &[]));
    let second = init_ack(&init(&mut p, &[]));
    p.learn(&second);
    assert_eq!(names(&p.give(&[echo(&second.cookie())])), [["COOKIE-ACK"]]);
    p.learn(&first);
    assert!(p.give(&[echo(&first.cookie())]).is_empty());
    assert!(!p.heard(|e| *e == Event::Restarted));
}

/// RFC 9260 rows: 5.2.3-1.
#[test]
fn an_unexpected_init_ack_is_discarded() {
    for state in ["COOKIE-ECHOED", "ESTABLISHED", "SHUTDOWN-PENDING", "SHUTDOWN-SENT", "SHUTDOWN-RECEIVED", "SHUTDOWN-ACK-SENT"] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        let events = p.events.len();
        p.tag ^= 0x55;
        assert!(p.give_init_ack().is_empty(), "{state}");
        assert_eq!((p.state(), p.events.len()), (state, events));
    }
}

/// RFC 9260 rows: 5.2.4-1, 5.2.4-2.
#[test]
fn a_stale_cookie_for_another_association_of_the_same_peer_is_reported() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let ack = init_ack(&init(&mut p, &[]));
    p.now += AssocConfig::rfc().cookie_life + Duration::from_secs(1);
    p.learn(&ack);
    let data = p.data(0, b"x");
    let sent = p.give(&[echo(&ack.cookie()), data]);
    let stale: Vec<_> = chunks(&sent).filter(|c| matches!(c, Seen::Error { causes } if causes[0].0 == 3)).collect();
    assert_eq!(stale.len(), 1, "{:?}", names(&sent));
    assert!(!p.heard(|e| *e == Event::Restarted));
    assert!(p.recv().is_none());
}

/// RFC 9260 rows: 5.2.4-5.
#[test]
fn a_restart_begins_congestion_control_anew() {
    let first_flight = |p: &mut Puppet| {
        let sent = p.send(0, &[1; 200_000]);
        chunks(&sent).filter(|c| matches!(c, Seen::Data { .. })).count()
    };
    let mut p = Puppet::established(AssocConfig::rfc());
    let initial = first_flight(&mut p);
    for _ in 0..200 {
        p.ack();
    }
    let ack = init_ack(&init(&mut p, &[]));
    p.learn(&ack);
    p.give(&[echo(&ack.cookie())]);
    assert!(p.heard(|e| *e == Event::Restarted));
    assert_eq!(first_flight(&mut p), initial);
}

/// RFC 9260 rows: 5.2.4-6.
#[test]
fn in_shutdown_ack_sent_a_peer_that_restarts_is_told_to_wait() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let (tag, peer_tag) = (p.tag, p.peer_tag);
    let ack = init_ack(&init(&mut p, &[]));
    p.tag = tag;
    p.give(&[Chunk::Shutdown(p.shutdown_chunk())]);
    assert_eq!(p.state(), "SHUTDOWN-ACK-SENT");
    let sent = p.give_in(p.envelope().tagged(ack.tag), &[echo(&ack.cookie())]);
    let seen: Vec<_> = chunks(&sent).collect();
    assert!(seen.contains(&&Seen::ShutdownAck), "{seen:?}");
    assert!(seen.iter().any(|c| matches!(c, Seen::Error { causes } if causes[0].0 == 10)), "{seen:?}");
    assert_eq!((p.state(), p.peer_tag), ("SHUTDOWN-ACK-SENT", peer_tag));
    assert!(!p.heard(|e| *e == Event::Restarted));
}

/// RFC 9260 rows: 5.2.4-9, 5.2.4-10, 5.2.4-11.
#[test]
fn a_cookie_that_comes_late_is_discarded() {
    let mut p = Puppet::new(AssocConfig::rfc());
    // The stack answers an INIT, then opens by itself with a new tag.
    let late = p.give_init();
    p.connect();
    p.give_init_ack();
    assert_eq!(p.state(), "COOKIE-ECHOED");
    let due = p.stack.poll_timeout();
    assert!(p.give_in(p.envelope().tagged(late.tag), &[echo(&late.cookie())]).is_empty());
    assert_eq!((p.state(), p.stack.poll_timeout(), p.stack.association_count()), ("COOKIE-ECHOED", due, 1));
}

/// RFC 9260 rows: 5.2.4-12, 5.2.4-13, 5.1.5-9.
#[test]
fn a_cookie_with_both_tags_completes_the_association() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-WAIT");
    let own = own_init(&p);
    let ack = Chunk::Init(p.init_chunk(&[]));
    let cookie = init_ack(&p.give_in(p.envelope().tagged(0), &[ack])).cookie();
    p.give_init_ack();
    assert_eq!(p.state(), "COOKIE-ECHOED");
    let sent = p.give_in(p.envelope().tagged(own.tag), &[echo(&cookie)]);
    assert_eq!((names(&sent)[0][0], p.state()), ("COOKIE-ACK", "ESTABLISHED"));
    let later = p.pass(Duration::from_secs(20));
    assert!(!names(&later).concat().contains(&"COOKIE-ECHO"), "T1-cookie has stopped");
    // A duplicate is answered as often as it comes, however old the cookie is.
    p.now += AssocConfig::rfc().cookie_life * 2;
    p.collect();
    let sent = p.give_in(p.envelope().tagged(own.tag), &[echo(&cookie)]);
    assert_eq!((names(&sent)[0][0], p.state()), ("COOKIE-ACK", "ESTABLISHED"));
}

/// RFC 9260 rows: 5.2.6-1, 5.2.6-2.
#[test]
fn a_stale_cookie_error_counts_only_in_cookie_echoed() {
    let causes = Cause::StaleCookie(2_000_000).to_vec();
    let error = Chunk::Error(ErrorChunk { causes: &causes });
    for state in ["COOKIE-WAIT", "ESTABLISHED", "SHUTDOWN-PENDING", "SHUTDOWN-SENT", "SHUTDOWN-RECEIVED", "SHUTDOWN-ACK-SENT"] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        let events = p.events.len();
        assert!(p.give(&[error]).is_empty(), "{state}");
        assert_eq!((p.state(), p.events.len()), (state, events));
    }
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-ECHOED");
    let sent = p.give(&[error]);
    let Seen::Init(init) = only(&sent).first() else { panic!("{:?}", names(&sent)) };
    assert!(init.param(9).is_some(), "it asks for a longer life");
    assert_eq!(p.state(), "COOKIE-WAIT");
    assert!(!p.heard(|e| matches!(e, Event::Lost { reason: CloseReason::ConnectTimeout })));
}
