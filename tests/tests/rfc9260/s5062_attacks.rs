//! RFC 5062: attacks on SCTP, and what stands against them. Rules that are RFC 9260's as well are shown in the other modules.

use core::time::Duration;
use std::collections::BTreeSet;

use sctp_user::wire::chunk::{CookieEcho, Heartbeat};
use sctp_user::wire::{Chunk, Param};
use sctp_user::{AssocConfig, EndpointConfig, Event, SeededEntropy, Stack, StackConfig};
use testbed::puppet::{Puppet, Seen, chunks, encode, encode_params, names, only, raw_chunk, raw_item, sack};

/// RFC 9260 rows: 5062.2.3-3.
#[test]
fn a_port_that_nobody_asked_for_is_random() {
    let port = |seed| {
        let mut stack = Stack::new(StackConfig::default(), Box::new(SeededEntropy::new(seed)));
        let endpoint = stack.open(EndpointConfig::new(0)).unwrap();
        stack.local_port(endpoint).unwrap()
    };
    let ports: BTreeSet<_> = (0..64).map(port).collect();
    assert!(ports.len() > 60, "{ports:?}");
    assert!(ports.iter().all(|p| *p >= 49_152));
}

/// RFC 9260 rows: 5062.3.3-1, 5062.4.3-1.
#[test]
fn a_cookie_does_not_tell_the_tags_of_the_association_that_exists() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let (own, peer) = (p.peer_tag.to_be_bytes(), p.tag.to_be_bytes());
    p.tag += 77;
    let cookie = p.give_init().cookie();
    for tag in [own, peer] {
        assert!(!cookie.windows(4).any(|w| w == tag), "{cookie:02x?}");
    }
    // And yet the cookie is known for that of a restart.
    assert_eq!(names(&p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })])), [["COOKIE-ACK"]]);
    assert_eq!(p.events.iter().filter(|e| **e == Event::Restarted).count(), 1);
    // Used up: the same cookie is none of a restart once more, only a duplicate of the association that it made.
    p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
    assert_eq!(p.events.iter().filter(|e| **e == Event::Restarted).count(), 1);
}

/// RFC 9260 rows: 5062.5.3-3.
#[test]
fn who_acknowledges_what_was_not_sent_is_aborted() {
    let mut p = Puppet::established(AssocConfig::rfc());
    p.send(0, &[1; 100_000]);
    let sent = p.give(&[sack(p.cum.wrapping_add(1), p.a_rwnd, &[], &[])]);
    assert_eq!(only(&sent).names(), ["ABORT"]);
    assert_eq!(p.state(), "CLOSED");
}

/// RFC 9260 rows: 5062.6.3-1.
#[test]
fn a_cookie_lives_a_little_longer_on_request_and_not_for_ever() {
    let life = AssocConfig::rfc().cookie_life;
    let outlives = |wish: u32, age: Duration| {
        let mut p = Puppet::new(AssocConfig::rfc());
        p.params = encode_params(&[Param::CookiePreservative(wish)]);
        let cookie = p.give_init().cookie();
        p.now += age;
        names(&p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })])) == [["COOKIE-ACK"]]
    };
    assert!(outlives(0, life));
    assert!(!outlives(0, life + Duration::from_millis(1)));
    assert!(outlives(2_000, life + Duration::from_secs(2)));
    assert!(!outlives(u32::MAX, life + Duration::from_secs(61)), "not longer than a minute more");
}

/// RFC 9260 rows: 5062.7.3-1.
#[test]
fn a_cookie_does_not_open_an_association_between_other_ports() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let cookie = p.give_init().cookie();
    p.port += 1;
    assert!(p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]).is_empty());
    assert_eq!(p.stack.association_count(), 0);
}

/// RFC 9260 rows: 5062.8.3-1, 5062.8.3-2, 5062.10.3-1.
#[test]
fn one_packet_is_answered_by_one_packet_whatever_it_holds() {
    // As many unknown chunks as a packet takes, as many HEARTBEATs, and DATA on streams that there are not.
    let unknown = raw_chunk(0xc9, 0, &[1; 40]).repeat(30);
    let tlvs = raw_item(1, &[2; 40]);
    let heartbeats = encode(&vec![Chunk::Heartbeat(Heartbeat { tlvs: &tlvs }); 28]);
    for flood in [unknown, heartbeats] {
        let mut p = Puppet::established(AssocConfig::rfc());
        let data = encode(&[p.data(0, b"x")]);
        let sent = p.give_raw(&[data, flood].concat());
        assert_eq!(sent.len(), 1, "{:?}", names(&sent));
        assert!(sent[0].bytes.len() <= 1472);
        assert!(chunks(&sent).any(|c| matches!(c, Seen::Sack { .. })), "{:?}", names(&sent));
    }
    let mut p = Puppet::established(AssocConfig::rfc());
    let flood: Vec<_> = (0..60).map(|n| p.data(500 + n, b"x")).collect();
    let sent = p.give(&flood);
    assert_eq!(sent.len(), 1, "{:?}", names(&sent));
}
