//! Section 4: what the state diagram adds.

use core::time::Duration;

use sctp_user::wire::Chunk;
use sctp_user::wire::chunk::{CookieEcho, Shutdown};
use sctp_user::{AssocConfig, CloseReason, Event, SendError, SendOptions, Tsn};
use testbed::puppet::{Puppet, Seen, Sent, chunks, names, only, sack};

/// The times, in seconds after the first, at which packets with a chunk of this name went out.
fn times(log: &[Sent], name: &str) -> Vec<u64> {
    let at: Vec<_> = log.iter().filter(|s| s.names().contains(&name)).map(|s| s.at).collect();
    at.iter().map(|t| (*t - at[0]).as_secs()).collect()
}

fn lost(p: &Puppet) -> Vec<&CloseReason> {
    p.events.iter().filter_map(|e| if let Event::Lost { reason } = e { Some(reason) } else { None }).collect()
}

/// RFC 9260 rows: 4-3, 4-4, 4-5, 5.1-13, 5.1.6-1.
#[test]
fn the_init_is_sent_again_with_back_off_and_then_given_up() {
    for limit in [0, 2, 8] {
        let mut cfg = AssocConfig::rfc();
        cfg.max_init_retransmits = limit;
        let mut p = Puppet::in_state(cfg, "COOKIE-WAIT");
        p.pass(Duration::from_secs(600));
        // RTO.Initial, then twice as long each time, up to RTO.Max.
        let expected = [0, 1, 3, 7, 15, 31, 63, 123, 183];
        assert_eq!(times(&p.log, "INIT"), expected[..=usize::try_from(limit).unwrap()]);
        assert!(p.log.windows(2).all(|two| two[0].bytes == two[1].bytes), "the same INIT");
        assert_eq!(lost(&p), [&CloseReason::ConnectTimeout]);
        assert_eq!(p.state(), "CLOSED");
    }
}

/// RFC 9260 rows: 4-6, 4-7, 4-8, 5.1.4-2, 5.1.4-3.
#[test]
fn the_cookie_echo_is_sent_again_with_back_off_and_then_given_up() {
    for limit in [0, 2, 8] {
        let mut cfg = AssocConfig::rfc();
        cfg.max_init_retransmits = limit;
        let mut p = Puppet::in_state(cfg, "COOKIE-ECHOED");
        p.pass(Duration::from_secs(600));
        let expected = [0, 1, 3, 7, 15, 31, 63, 123, 183];
        assert_eq!(times(&p.log, "COOKIE-ECHO"), expected[..=usize::try_from(limit).unwrap()]);
        let cookies: Vec<_> = chunks(&p.log).filter(|c| matches!(c, Seen::CookieEcho { .. })).collect();
        assert!(cookies.windows(2).all(|two| two[0] == two[1]), "the same cookie");
        assert_eq!(lost(&p), [&CloseReason::ConnectTimeout]);
        assert_eq!(p.state(), "CLOSED");
    }
}

/// RFC 9260 rows: 4-2, 5.1.5-4, 5.1.5-5.
#[test]
fn a_cookie_that_is_too_old_is_reported_and_its_packet_discarded() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let cookie = p.give_init().cookie();
    p.now += AssocConfig::rfc().cookie_life + Duration::from_millis(250);
    let data = p.data(0, b"too late");
    let sent = p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie }), data]);
    assert_eq!((only(&sent).names(), sent[0].vtag), (vec!["ERROR"], p.tag));
    let Seen::Error { causes } = sent[0].first() else { panic!("{sent:?}") };
    assert_eq!(causes[..], [(3, 250_000_u32.to_be_bytes().to_vec())], "by how many microseconds");
    assert_eq!(p.stack.association_count(), 0);
    assert!(p.recv().is_none());
    // One that is just in time is taken.
    let mut p = Puppet::new(AssocConfig::rfc());
    let cookie = p.give_init().cookie();
    p.now += AssocConfig::rfc().cookie_life;
    assert_eq!(names(&p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })])), [["COOKIE-ACK"]]);
}

/// RFC 9260 rows: 4-9, 9.2-12.
#[test]
fn data_in_shutdown_sent_is_answered_with_a_shutdown_at_once() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let data = p.data(0, b"first");
    p.give(&[data]);
    p.shutdown();
    let t2 = |p: &mut Puppet| {
        use sctp_user::Node as _;
        p.stack.poll_timeout().unwrap() - p.now
    };
    let rto = t2(&mut p);
    for _ in 0..3 {
        p.pass(rto / 2);
        let data = p.data(0, b"more");
        let sent = p.give(&[data]);
        let shutdown = chunks(&sent).find_map(|c| if let Seen::Shutdown { cum } = c { Some(*cum) } else { None });
        assert_eq!(shutdown, Some(p.tsn.wrapping_sub(1)), "{:?}", names(&sent));
        assert_eq!(t2(&mut p), rto, "T2-shutdown starts anew");
    }
    assert_eq!(p.state(), "SHUTDOWN-SENT");
}

/// RFC 9260 rows: 4-10, 4-12, 9.2-11, 9.2-26.
#[test]
fn who_shuts_down_takes_no_more_data_from_the_user() {
    for state in ["SHUTDOWN-PENDING", "SHUTDOWN-SENT", "SHUTDOWN-RECEIVED", "SHUTDOWN-ACK-SENT"] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        assert_eq!(p.try_send(0, b"more", SendOptions::ordered()), Err(SendError::Closed), "{state}");
        assert!(p.collect().is_empty());
    }
}

/// RFC 9260 rows: 4-11, 9.2-10, 9.2-17.
#[test]
fn in_shutdown_received_what_was_accepted_is_sent_and_sent_again() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let before = p.cum;
    p.send(0, &[3; 20_000]);
    assert!(p.give(&[Chunk::Shutdown(Shutdown { cum_tsn: Tsn(before) })]).is_empty());
    let first = before.wrapping_add(1);
    // The first DATA is lost once; the rest comes in pieces as the window allows.
    let again = p.tick().unwrap();
    assert!(chunks(&again).any(|c| matches!(c, Seen::Data { tsn, .. } if *tsn == first)), "{:?}", names(&again));
    let mut bytes = 0;
    for _ in 0..40 {
        assert_eq!(p.state(), "SHUTDOWN-RECEIVED");
        if p.ack().iter().any(|s| s.names() == ["SHUTDOWN-ACK"]) {
            break;
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    for c in chunks(&p.log) {
        if let Seen::Data { tsn, payload, .. } = c
            && seen.insert(*tsn)
        {
            bytes += payload.len();
        }
    }
    assert_eq!(bytes, 20_000);
    assert_eq!(p.state(), "SHUTDOWN-ACK-SENT");
    // And that is sent again as T2-shutdown says.
    assert_eq!(names(&p.tick().unwrap()), [["SHUTDOWN-ACK"]]);
}

/// RFC 9260 rows: 5-1.
#[test]
fn no_data_moves_before_the_handshake_is_complete() {
    for state in ["COOKIE-WAIT", "COOKIE-ECHOED"] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        p.try_send(0, b"early", SendOptions::ordered()).unwrap();
        assert!(p.collect().is_empty(), "{state}");
        // A peer that does not wait is not acknowledged either.
        let data = p.data(0, b"early");
        assert!(p.give(&[data]).is_empty(), "{state}");
        assert!(p.recv().is_none());
        assert!(p.give(&[sack(p.cum, 9000, &[], &[])]).is_empty(), "{state}");
        assert_eq!(p.state(), state);
    }
}
