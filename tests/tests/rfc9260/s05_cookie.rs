//! Sections 5.1.3 and 5.1.5, 5.2.4 (staleness) and 5.2.6: cookies that come back wrong, late, or not at all.

use core::time::Duration;

use sctp_user::wire::chunk::{CookieEcho, ErrorChunk};
use sctp_user::wire::{Cause, Chunk, Encode as _, Param};
use sctp_user::{AssocConfig, CloseReason, Event};
use testbed::puppet::{Puppet, Seen, chunks, encode_params, names, only};

fn stale(micros: u32) -> Vec<u8> {
    Cause::StaleCookie(micros).to_vec()
}

/// RFC 9260 rows: 4-2, 5.1.5-4, 5.1.5-5.
///
/// Pitfall 25.
#[test]
fn an_expired_cookie_is_told_to_be_stale_by_how_much() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let cookie = p.give_init().cookie();
    p.pass(Duration::from_millis(60_250));
    let data = p.data(0, b"rider");
    let sent = p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie }), data]);
    assert_eq!(only(&sent).vtag, p.tag);
    let Seen::Error { causes } = only(&sent).first() else { panic!("{sent:?}") };
    assert_eq!(causes, &[(3, 250_000_u32.to_be_bytes().to_vec())]);
    assert_eq!(p.stack.association_count(), 0);
    assert!(p.events.is_empty());
}

/// RFC 9260 rows: 5.1.5-1.
#[test]
fn a_cookie_of_a_key_that_is_forgotten_is_dropped_in_silence() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let old = p.give_init().cookie();
    for _ in 0..4 {
        p.pass(Duration::from_secs(130));
        p.give_init();
    }
    assert!(p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &old })]).is_empty());
    assert_eq!(p.stack.association_count(), 0);
}

/// RFC 9260 rows: 5.1.5-2.
///
/// Pitfall 24.
#[test]
fn a_forged_cookie_takes_its_packet_with_it() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let cookie = p.give_init().cookie();
    let mut forged = cookie.clone();
    forged[0] ^= 1;
    let data = p.data(0, b"rider");
    for bad in [&forged[..], &cookie[..cookie.len() - 1], &cookie[1..], b"", b"garbage"] {
        assert!(p.give(&[Chunk::CookieEcho(CookieEcho { cookie: bad }), data]).is_empty());
    }
    assert_eq!((p.stack.association_count(), p.events.len()), (0, 0));
    // The same with an association.
    p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
    let events = p.events.len();
    assert!(p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &forged }), data]).is_empty());
    assert_eq!((p.state(), p.events.len()), ("ESTABLISHED", events));
}

/// RFC 9260 rows: 5.1.5-3, 8.5.1-14.
///
/// Pitfall 23.
#[test]
fn a_cookie_under_another_tag_or_from_other_ports_or_addresses_is_dropped_in_silence() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let cookie = p.give_init().cookie();
    let echo = Chunk::CookieEcho(CookieEcho { cookie: &cookie });
    let right = p.envelope();
    let mut wrong = vec![right.tagged(right.vtag ^ 1), right.tagged(0), right.from("10.0.0.3"), right.to("10.0.0.9")];
    wrong.push(testbed::puppet::Envelope { src_port: 5001, ..right });
    for envelope in wrong {
        assert!(p.give_in(envelope, &[echo]).is_empty(), "{envelope:?}");
    }
    assert_eq!((p.stack.association_count(), p.events.len()), (0, 0));
    // It is still good for who it was made for.
    assert_eq!(names(&p.give(&[echo])), [["COOKIE-ACK"]]);
}

/// RFC 9260 rows: 5.1.5-9, 5.2.4-12, 5.2.4-13.
///
/// Pitfall 27. Attack class 4.
#[test]
fn a_duplicate_cookie_echo_is_answered_and_nothing_starts_anew() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let cookie = p.give_init().cookie();
    let echo = Chunk::CookieEcho(CookieEcho { cookie: &cookie });
    p.give(&[echo]);
    p.send(0, b"data");
    let (events, buffered) = (p.events.len(), p.status().unwrap().buffered);
    assert_eq!(names(&p.give(&[echo])), [["COOKIE-ACK"]]);
    assert_eq!((p.events.len(), p.status().unwrap().buffered), (events, buffered));
    assert_eq!(p.stack.association_count(), 1);
    // One that is stale by now is none the less this association's own (5.2.4).
    p.ack();
    p.pass(Duration::from_secs(20));
    p.ack();
    p.pass(Duration::from_secs(20));
    p.ack();
    p.pass(Duration::from_secs(25));
    p.log.clear();
    assert!(p.give(&[echo]).iter().any(|s| s.names() == ["COOKIE-ACK"]));
    // In COOKIE-ECHOED it establishes: the puppet answers with its own opening, under the tags that both know.
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-ECHOED");
    let ack = p.give_init();
    let cookie = ack.cookie();
    assert_eq!(names(&p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })])), [["COOKIE-ACK"]]);
    assert_eq!(p.state(), "ESTABLISHED");
    assert!(p.pass(Duration::from_secs(5)).is_empty(), "T1-cookie has stopped");
}

/// RFC 9260 rows: 5.2.4-1, 5.2.4-2.
#[test]
fn an_expired_cookie_of_a_restart_is_stale_too() {
    let mut p = Puppet::established(AssocConfig::rfc());
    p.tag ^= 0xff;
    let restart = p.give_init();
    p.tag ^= 0xff;
    for _ in 0..5 {
        p.pass(Duration::from_secs(13));
        let probe = p.log.clone();
        p.answer_heartbeats(&probe);
    }
    let cookie = restart.cookie();
    let data = p.data(0, b"rider");
    let events = p.events.len();
    let sent = p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie }), data]);
    let Seen::Error { causes } = only(&sent).first() else { panic!("{sent:?}") };
    assert_eq!((only(&sent).vtag, causes[0].0), (p.tag ^ 0xff, 3));
    assert_eq!((p.state(), p.events.len()), ("ESTABLISHED", events));
}

/// RFC 9260 rows: 5.2.6-1, 5.2.6-2.
///
/// Pitfall 26.
#[test]
fn a_stale_cookie_error_counts_only_in_cookie_echoed() {
    for state in ["CLOSED", "COOKIE-WAIT", "ESTABLISHED", "SHUTDOWN-PENDING", "SHUTDOWN-SENT", "SHUTDOWN-RECEIVED", "SHUTDOWN-ACK-SENT"] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        let events = p.events.len();
        let envelope = if state == "CLOSED" { p.envelope().tagged(99) } else { p.envelope() };
        assert!(p.give_in(envelope, &[Chunk::Error(ErrorChunk { causes: &stale(5_000) })]).is_empty(), "{state}");
        assert_eq!((p.state(), p.events.len()), (state, events));
    }
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-ECHOED");
    assert_eq!(names(&p.give(&[Chunk::Error(ErrorChunk { causes: &stale(5_000) })])), [["INIT"]]);
    assert_eq!(p.state(), "COOKIE-WAIT");
}

/// RFC 9260 rows: 5.2.6-3, 5.2.6-4.
#[test]
fn the_cookie_preservative_is_the_round_trip_and_at_most_a_second() {
    for round_trip in [0, 40, 900] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-ECHOED");
        p.pass(Duration::from_millis(round_trip));
        // How stale the cookie was says nothing about the path.
        let sent = p.give(&[Chunk::Error(ErrorChunk { causes: &stale(500_000_000) })]);
        let Seen::Init(init) = only(&sent).first() else { panic!("{sent:?}") };
        let ms = u64::from(u32::from_be_bytes(init.param(9).unwrap().try_into().unwrap()));
        assert!(ms >= round_trip && ms <= round_trip + 1_000, "{ms} ms for {round_trip} ms");
    }
}

#[test]
fn a_preservative_lengthens_the_life_of_the_cookie_within_a_bound() {
    for (wish, life) in [(5_000, 65), (u32::MAX, 120)] {
        for (age, accepted) in [(life * 1_000 - 100, true), (life * 1_000 + 100, false)] {
            let mut p = Puppet::new(AssocConfig::rfc());
            p.params = encode_params(&[Param::CookiePreservative(wish)]);
            let cookie = p.give_init().cookie();
            p.pass(Duration::from_millis(age));
            let sent = p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
            assert_eq!(only(&sent).names(), if accepted { ["COOKIE-ACK"] } else { ["ERROR"] });
        }
    }
}

/// Attack class 4.
#[test]
fn a_peer_that_finds_every_cookie_stale_is_given_up_after_the_retries() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-ECHOED");
    let mut inits = 0;
    while p.state() != "CLOSED" {
        let sent = p.give(&[Chunk::Error(ErrorChunk { causes: &stale(1) })]);
        inits += names(&sent).iter().flatten().filter(|n| **n == "INIT").count();
        p.give_init_ack();
        assert!(inits < 50);
    }
    assert!(inits <= 8, "{inits}");
    assert!(p.heard(|e| matches!(e, Event::Lost { reason: CloseReason::ConnectTimeout })), "{:?}", p.events);
}

/// A cookie is worth an association as long as it lives, but no more than one at a time; the peer that has forgotten says so.
///
/// Attack class 4.
#[test]
fn a_cookie_that_is_played_again_after_the_close_leads_to_nothing_that_lasts() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let cookie = p.give_init().cookie();
    let echo = Chunk::CookieEcho(CookieEcho { cookie: &cookie });
    p.give(&[echo]);
    p.give(&[Chunk::Shutdown(p.shutdown_chunk())]);
    p.give(&[Chunk::ShutdownComplete(sctp_user::wire::chunk::ShutdownComplete { t: false })]);
    assert_eq!(p.stack.association_count(), 0);
    let sent = p.give(&[echo]);
    assert!(chunks(&sent).any(|c| *c == Seen::CookieAck));
    assert_eq!(p.stack.association_count(), 1);
    // To the puppet the COOKIE ACK is out of the blue and dropped (8.4); the first DATA is answered with an ABORT.
    p.send(0, b"anybody?");
    p.give_in(p.envelope().tagged(p.tag), &[Chunk::Abort(sctp_user::wire::chunk::Abort { t: true, causes: &[] })]);
    assert_eq!(p.stack.association_count(), 0);
    // And after its life it leads to nothing at all.
    p.pass(Duration::from_secs(61));
    assert_eq!(names(&p.give(&[echo])), [["ERROR"]]);
    assert_eq!(p.stack.association_count(), 0);
}
