//! Section 8.1 to 8.3 where one path is enough: failure of the peer, and HEARTBEATs.

use core::time::Duration;

use sctp_user::wire::Chunk;
use sctp_user::wire::chunk::{GapBlock, Heartbeat};
use sctp_user::{AssocConfig, CloseReason, Event};
use testbed::puppet::{Puppet, Seen, Sent, chunks, names, only, raw_item, sack};

fn lost(p: &Puppet) -> Option<&CloseReason> {
    p.events.iter().find_map(|e| if let Event::Lost { reason } = e { Some(reason) } else { None })
}

fn limited(assoc_max_retrans: u32) -> AssocConfig {
    let mut cfg = AssocConfig::rfc();
    (cfg.assoc_max_retrans, cfg.path_max_retrans) = (assoc_max_retrans, assoc_max_retrans);
    cfg
}

fn data_packets(sent: &[Sent]) -> usize {
    sent.iter().filter(|s| s.names().contains(&"DATA")).count()
}

/// RFC 9260 rows: 8.1-3, 8.1-4, 8.1-5.
#[test]
fn a_peer_that_acknowledges_nothing_is_given_up() {
    for limit in [0, 3, 10] {
        let mut cfg = limited(limit);
        cfg.hb_interval = None;
        cfg.nat_keepalive = None;
        let mut p = Puppet::established(cfg);
        p.send(0, b"does anybody hear");
        let sent = p.pass(Duration::from_secs(1000));
        assert_eq!(data_packets(&sent), usize::try_from(limit).unwrap(), "retransmissions");
        assert_eq!((p.state(), lost(&p)), ("CLOSED", Some(&CloseReason::PeerUnreachable)));
        assert!(p.heard(|e| matches!(e, Event::SendFailed { message, .. } if message.payload == "does anybody hear")));
        assert!(p.pass(Duration::from_secs(1000)).is_empty());
    }
}

/// RFC 9260 rows: 8.1-1.
#[test]
fn unanswered_heartbeats_count_with_the_retransmissions() {
    let mut p = Puppet::established(limited(3));
    let sent = p.pass(Duration::from_secs(3600));
    let heartbeats = sent.iter().filter(|s| s.names() == ["HEARTBEAT"]).count();
    assert_eq!(heartbeats, 4, "{:?}", names(&sent));
    assert_eq!(lost(&p), Some(&CloseReason::PeerUnreachable));
}

/// RFC 9260 rows: 8.1-6.
#[test]
fn each_acknowledged_data_clears_the_count() {
    for by_gap in [false, true] {
        let mut cfg = limited(2);
        cfg.nagle = false;
        cfg.hb_interval = None;
        cfg.nat_keepalive = None;
        let mut p = Puppet::established(cfg);
        let before = p.cum;
        for _ in 0..5 {
            p.send(0, b"one of several");
        }
        for n in 0..4_u32 {
            // Two time-outs, and then one acknowledgement: a third time-out would be one too many.
            p.tick();
            p.tick();
            assert_eq!(p.state(), "ESTABLISHED", "{n}");
            if by_gap {
                let end = u16::try_from(n + 2).unwrap();
                p.give(&[sack(before, p.a_rwnd, &[GapBlock { start: 2, end }], &[])]);
            } else {
                p.give(&[sack(before.wrapping_add(n + 1), p.a_rwnd, &[], &[])]);
            }
        }
        assert_eq!(lost(&p), None);
    }
}

/// RFC 9260 rows: 8.1-7, 8.3-13.
#[test]
fn a_heartbeat_ack_clears_the_count() {
    let mut cfg = limited(2);
    cfg.hb_interval = None;
    cfg.nat_keepalive = None;
    let mut p = Puppet::established(cfg);
    p.send(0, b"never acknowledged");
    for n in 0..5 {
        p.tick();
        p.tick();
        assert_eq!(p.state(), "ESTABLISHED", "{n}");
        let (id, now) = (p.id(), p.now);
        p.stack.assoc(id).unwrap().heartbeat(now);
        let sent = p.collect();
        p.answer_heartbeats(&sent);
    }
    for _ in 0..3 {
        p.tick();
    }
    assert_eq!(lost(&p), Some(&CloseReason::PeerUnreachable), "without an answer it is over");
}

/// RFC 9260 rows: 8.3-2.
#[test]
fn heartbeats_are_answered_between_the_cookie_echo_and_the_shutdown() {
    for (state, answers) in [
        ("COOKIE-WAIT", false),
        ("COOKIE-ECHOED", true),
        ("ESTABLISHED", true),
        ("SHUTDOWN-PENDING", true),
        ("SHUTDOWN-RECEIVED", true),
        ("SHUTDOWN-SENT", false),
        ("SHUTDOWN-ACK-SENT", false),
    ] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        let tlvs = raw_item(1, b"who is there");
        let sent = p.give(&[Chunk::Heartbeat(Heartbeat { tlvs: &tlvs })]);
        let answered = chunks(&sent).any(|c| *c == Seen::HeartbeatAck { items: vec![(1, b"who is there".to_vec())] });
        assert_eq!(answered, answers, "{state}: {:?}", names(&sent));
        assert_eq!(p.state(), state);
    }
}

/// RFC 9260 rows: 8.3-14.
#[test]
fn a_heartbeat_ack_measures_the_round_trip() {
    let mut p = Puppet::established(AssocConfig::rfc());
    assert_eq!(p.status().unwrap().srtt, None);
    let (id, now) = (p.id(), p.now);
    p.stack.assoc(id).unwrap().heartbeat(now);
    let sent = p.collect();
    p.pass(Duration::from_millis(123));
    p.answer_heartbeats(&sent);
    assert_eq!(p.status().unwrap().srtt, Some(Duration::from_millis(123)));
    // The answer to no HEARTBEAT of ours measures nothing.
    let tlvs = raw_item(1, &[0; 20]);
    p.give(&[Chunk::HeartbeatAck(Heartbeat { tlvs: &tlvs })]);
    assert_eq!(p.status().unwrap().srtt, Some(Duration::from_millis(123)));
}

/// RFC 9260 rows: 8.3-15, 8.3-16.
#[test]
fn an_idle_address_is_probed_each_interval_plus_rto_with_jitter() {
    let mut cfg = AssocConfig::rfc();
    cfg.nat_keepalive = None;
    let mut p = Puppet::established(cfg);
    let mut waits = Vec::new();
    for _ in 0..40 {
        let before = p.now;
        let sent = loop {
            let sent = p.tick().unwrap();
            if !sent.is_empty() {
                break sent;
            }
        };
        assert_eq!(only(&sent).names(), ["HEARTBEAT"]);
        p.answer_heartbeats(&sent);
        waits.push(p.now - before);
    }
    // RTO 1 s, HB.interval 30 s: 31 s, half a second more or less.
    let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
    assert!(*least >= Duration::from_millis(30_500) && *most <= Duration::from_millis(31_500), "{least:?} {most:?}");
    assert!(*most - *least > Duration::from_millis(500), "jitter: {least:?} {most:?}");
    // Unanswered, the RTO in it doubles, seen first by the HEARTBEAT after the next.
    let mut waits = Vec::new();
    for _ in 0..5 {
        let before = p.now;
        while p.tick().unwrap().is_empty() {}
        waits.push((p.now - before).as_millis());
    }
    for (wait, rto) in waits[1..].iter().zip([1_000, 2_000, 4_000, 8_000_u128]) {
        assert!((30_000 + rto / 2..=30_000 + rto * 3 / 2).contains(wait), "{waits:?}");
    }
}
