//! Sections 3.3.4 to 3.3.13: SACK and the control chunks.

use core::time::Duration;

use sctp_user::wire::Chunk;
use sctp_user::wire::chunk::{Abort, CookieEcho, GapBlock, Heartbeat, Shutdown, ShutdownComplete};
use sctp_user::{AssocConfig, CloseReason, Event, SendOptions, Tsn};
use testbed::puppet::{Puppet, Seen, chunks, data, encode, names, only, raw_chunk, raw_item, sack};

/// RFC 9260 rows: 3.3.4-1.
#[test]
fn a_sack_always_has_its_four_fields() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let data = p.data(0, b"one");
    let sent = p.give(&[data]);
    let sack = &only(&sent).chunks[0];
    assert_eq!(sack.raw.len(), 16);
    assert_eq!(sack.raw[..4], [3, 0, 0, 16]);
    assert_eq!(sack.raw[4..8], p.tsn.wrapping_sub(1).to_be_bytes());
    assert_eq!(sack.raw[12..16], [0; 4], "no blocks, no duplicates");
    // One that has fewer is no SACK: neither processed nor answered.
    p.send(0, b"outstanding");
    let cut = [&p.cum.to_be_bytes()[..], &[0, 0, 0x80, 0]].concat();
    assert!(p.give_raw(&raw_chunk(3, 0, &cut)).is_empty());
    assert!(p.status().unwrap().buffered > 0);
    p.ack();
    assert_eq!(p.status().unwrap().buffered, 0);
}

/// RFC 9260 rows: 3.3.4-2.
#[test]
fn gap_ack_blocks_do_not_touch() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let first = p.tsn;
    // A pattern of holes, in an order that merges blocks from both sides.
    for ahead in [3_u32, 7, 5, 9, 2, 8, 12, 6, 14, 13] {
        p.give(&[Chunk::Data(data(first.wrapping_add(ahead), 0, ahead.to_be_bytes()[3].into(), b"x"))]);
        let Some(Seen::Sack { cum, gaps, .. }) = chunks(&p.log).last().cloned() else { panic!("no SACK") };
        assert_eq!(cum, first.wrapping_sub(1));
        assert!(gaps.iter().all(|(start, end)| start <= end && *start > 1), "{gaps:?}");
        assert!(gaps.is_sorted_by(|a, b| a.1 + 1 < b.0), "{gaps:?}");
    }
    let Some(Seen::Sack { gaps, .. }) = chunks(&p.log).last() else { panic!("no SACK") };
    assert_eq!(*gaps, [(3, 4), (6, 10), (13, 15)]);
}

/// The arrivals of the worked example: 10 to 12, 14, 15, 17.
///
/// RFC 9260 rows: 3.3.4-3.
#[test]
fn a_sack_has_the_form_of_the_worked_example() {
    let mut cfg = AssocConfig::rfc();
    cfg.recv_buffer = 40_000;
    let mut p = Puppet::new(cfg);
    p.tsn = 10;
    p.open();
    for tsn in [10, 11, 12, 14, 15, 17] {
        p.give(&[Chunk::Data(data(tsn, 0, u16::try_from(tsn - 10).unwrap(), b"x"))]);
    }
    let last = p.log.last().unwrap();
    let raw = &only(core::slice::from_ref(last)).chunks[0].raw;
    let a_rwnd = &raw[8..12];
    let expected = [&[3, 0, 0, 24, 0, 0, 0, 12], a_rwnd, &[0, 2, 0, 0, 0, 2, 0, 3, 0, 5, 0, 5]].concat();
    assert_eq!(*raw, expected);
}

/// RFC 9260 rows: 3.3.5-1, 8.3-1.
#[test]
fn an_idle_association_is_probed() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let sent = p.pass(Duration::from_secs(40));
    let probes: Vec<_> = sent.iter().filter(|s| s.names().contains(&"HEARTBEAT")).collect();
    assert!(!probes.is_empty() && probes[0].dst == p.addrs[0], "{:?}", names(&sent));
}

/// RFC 9260 rows: 3.3.5-2, 8.3-8.
#[test]
fn the_heartbeat_info_tells_when_it_was_sent_and_where() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let mut infos = Vec::new();
    for ms in [80_u64, 80] {
        let (id, now) = (p.id(), p.now);
        p.stack.assoc(id).unwrap().heartbeat(now);
        let sent = p.collect();
        let Seen::Heartbeat { items } = only(&sent).first() else { panic!("{sent:?}") };
        infos.push(items.clone());
        p.pass(Duration::from_millis(ms));
        assert!(p.answer_heartbeats(&sent).is_empty());
        // Only the time in the info can tell the round trip: nothing else is answered.
        assert_eq!(p.status().unwrap().srtt, Some(Duration::from_millis(80)));
    }
    assert_ne!(infos[0], infos[1], "another time");
    assert!(infos.iter().all(|i| i.len() == 1 && i[0].0 == 1), "{infos:?}");
}

/// RFC 9260 rows: 3.3.6-1, 3.3.6-2.
#[test]
fn a_heartbeat_is_answered_with_its_own_info() {
    let mut p = Puppet::established(AssocConfig::rfc());
    for len in [0, 1, 5, 60, 1000] {
        let tlvs = raw_item(1, &vec![0xa5; len]);
        let sent = p.give(&[Chunk::Heartbeat(Heartbeat { tlvs: &tlvs })]);
        assert_eq!(*only(&sent).first(), Seen::HeartbeatAck { items: vec![(1, vec![0xa5; len])] });
    }
}

/// RFC 9260 rows: 3.3.7-1, 9.1-1, 9.1-2, 9.1-3, 9.1-4.
#[test]
fn an_abort_goes_without_data_and_under_the_tag_of_the_peer() {
    let mut p = Puppet::established(AssocConfig::rfc());
    p.try_send(0, b"waits", SendOptions::ordered()).unwrap();
    let sent = p.abort(b"enough");
    let packet = only(&sent);
    assert_eq!((packet.names(), packet.vtag), (vec!["ABORT"], p.tag));
    assert_eq!(*packet.first(), Seen::Abort { t: false, causes: vec![(12, b"enough".to_vec())] });
}

/// RFC 9260 rows: 3.3.7-2.
#[test]
fn what_follows_an_abort_is_ignored() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let data = p.data(0, b"too late");
    let heartbeat = raw_item(1, b"hb");
    let sent = p.give(&[Chunk::Abort(Abort { t: false, causes: &[] }), data, Chunk::Heartbeat(Heartbeat { tlvs: &heartbeat })]);
    assert!(sent.is_empty());
    assert!(p.recv().is_none());
    assert!(p.heard(|e| matches!(e, Event::Lost { reason: CloseReason::PeerAborted(_) })));
    // What stands before it counts.
    let mut p = Puppet::established(AssocConfig::rfc());
    let data = p.data(0, b"in time");
    p.give(&[data, Chunk::Abort(Abort { t: false, causes: &[] })]);
    assert_eq!(p.recv().unwrap().payload, "in time");
    assert_eq!(p.state(), "CLOSED");
}

/// RFC 9260 rows: 3.3.7-3, 8.4-2.
#[test]
fn an_abort_that_is_malformed_or_finds_nobody_is_dropped_in_silence() {
    let mut p = Puppet::established(AssocConfig::rfc());
    for len in [0_u16, 3, 12, 400] {
        let [hi, lo] = len.to_be_bytes();
        assert!(p.give_raw(&[6, 0, hi, lo, 0, 0, 0, 0]).is_empty(), "length {len}");
        assert_eq!(p.state(), "ESTABLISHED", "length {len}");
    }
    let abort = |t| Chunk::Abort(Abort { t, causes: &[] });
    for t in [false, true] {
        assert!(p.give_in(p.envelope().from("10.0.0.99"), &[abort(t)]).is_empty());
    }
    assert_eq!(p.state(), "ESTABLISHED");
}

/// RFC 9260 rows: 3.3.7-4, 9.1-5.
#[test]
fn an_abort_is_never_answered() {
    for state in [
        "CLOSED",
        "COOKIE-WAIT",
        "COOKIE-ECHOED",
        "ESTABLISHED",
        "SHUTDOWN-PENDING",
        "SHUTDOWN-SENT",
        "SHUTDOWN-RECEIVED",
        "SHUTDOWN-ACK-SENT",
    ] {
        for (own, t) in [(true, false), (true, true), (false, false), (false, true)] {
            let mut p = Puppet::in_state(AssocConfig::rfc(), state);
            let vtag = if own { p.peer_tag } else { p.tag };
            let sent = p.give_in(p.envelope().tagged(vtag), &[Chunk::Abort(Abort { t, causes: &raw_item(12, b"why") })]);
            assert!(sent.is_empty(), "{state} {own} {t}: {:?}", names(&sent));
        }
    }
}

/// RFC 9260 rows: 3.3.7-5, 8.4-10, 8.4-11.
#[test]
fn an_abort_under_a_reflected_tag_says_so() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let sent = p.give_in(p.envelope().tagged(4711), &[sack(1, 1500, &[], &[])]);
    assert_eq!(only(&sent).vtag, 4711);
    assert_eq!((only(&sent).names(), sent[0].chunks[0].flags), (vec!["ABORT"], 1));
}

/// RFC 9260 rows: 3.3.8-1, 3.3.13-1.
#[test]
fn a_graceful_close_begins_with_a_shutdown_and_ends_with_a_shutdown_complete() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let data = p.data(0, b"x");
    p.give(&[data]);
    let sent = p.shutdown();
    assert_eq!(*only(&sent).first(), Seen::Shutdown { cum: p.tsn.wrapping_sub(1) });
    let sent = p.give(&[Chunk::ShutdownAck]);
    assert_eq!(*only(&sent).first(), Seen::ShutdownComplete { t: false });
    assert_eq!(p.state(), "CLOSED");
    assert!(p.heard(|e| *e == Event::Lost { reason: CloseReason::Shutdown }));
}

/// RFC 9260 rows: 3.3.8-2.
#[test]
fn a_shutdown_does_not_take_back_gap_ack_blocks() {
    let mut p = three_outstanding();
    let before = p.cum.wrapping_sub(3);
    let sent = p.give(&[sack(before, p.a_rwnd, &[GapBlock { start: 2, end: 3 }], &[])]);
    assert!(sent.is_empty(), "{:?}", names(&sent));
    let sent = p.give(&[Chunk::Shutdown(Shutdown { cum_tsn: Tsn(before) })]);
    assert!(sent.is_empty(), "{:?}", names(&sent));
    assert_eq!(p.state(), "SHUTDOWN-RECEIVED");
    let again: Vec<_> = (0..3).flat_map(|_| p.tick().unwrap()).collect();
    let tsns: Vec<_> =
        chunks(&again).filter_map(|c| if let Seen::Data { tsn, .. } = c { Some(tsn.wrapping_sub(before)) } else { None }).collect();
    assert!(!tsns.is_empty() && tsns.iter().all(|t| *t == 1), "only what was never acknowledged is sent again: {tsns:?}");
}

/// Three DATA of the stack in flight, sent one by one.
fn three_outstanding() -> Puppet {
    let mut cfg = AssocConfig::rfc();
    cfg.nagle = false;
    let mut p = Puppet::established(cfg);
    for payload in [b"one", b"two", b"six"] {
        assert_eq!(names(&p.send(0, payload)), [["DATA"]]);
    }
    p
}

/// RFC 9260 rows: 3.3.9-1.
#[test]
fn a_shutdown_is_acknowledged_once_all_data_is_through() {
    let mut p = three_outstanding();
    let before = p.cum.wrapping_sub(3);
    assert!(p.give(&[Chunk::Shutdown(Shutdown { cum_tsn: Tsn(before) })]).is_empty());
    assert!(p.give(&[sack(p.cum.wrapping_sub(1), p.a_rwnd, &[], &[])]).is_empty());
    assert_eq!(names(&p.ack()), [["SHUTDOWN-ACK"]]);
    assert_eq!(p.state(), "SHUTDOWN-ACK-SENT");
    p.give(&[Chunk::ShutdownComplete(ShutdownComplete { t: false })]);
    assert_eq!(p.state(), "CLOSED");
}

/// RFC 9260 rows: 3.3.11-2, 5.1.4-1.
#[test]
fn the_cookie_goes_back_byte_for_byte() {
    for len in [1_usize, 2, 3, 4, 100, 1001] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-WAIT");
        let cookie: Vec<u8> = (0..len).map(|n| n.to_be_bytes()[7] ^ 0x5a).collect();
        let params = testbed::puppet::encode_params(&[sctp_user::wire::Param::StateCookie(&cookie)]);
        let sent = p.give(&[Chunk::InitAck(p.init_chunk(&params))]);
        assert_eq!(*only(&sent).first(), Seen::CookieEcho { cookie });
    }
}

/// RFC 9260 rows: 3.3.11-3, 5.1.3-7, 12.4-6, 5062.9.3-1.
#[test]
fn cookie_and_init_ack_are_small() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let ack = p.give_init();
    // 32 bytes of MAC, an address of 17, and the numbers of both sides.
    assert!(ack.cookie().len() <= 160, "{}", ack.cookie().len());
    assert!(p.log[0].bytes.len() <= 12 + 20 + 4 + 160 + 24, "{}", p.log[0].bytes.len());
    // With a peer that can authenticate chunks both Random Numbers of 32 bytes are added, and both lists; ours goes by the INIT ACK, too.
    let mut r = Puppet::new(AssocConfig::rfc());
    r.params = [raw_item(0x8002, &[7; 32]), raw_item(0x8004, &[0, 1])].concat();
    let keyed = r.give_init();
    assert!(keyed.cookie().len() <= 160 + 42 + 50, "{}", keyed.cookie().len());
    assert!(r.log[0].bytes.len() <= 12 + 20 + 4 + 160 + 42 + 50 + 24 + 60, "{}", r.log[0].bytes.len());
    // It grows with the addresses of the peer by their length and not more.
    let mut q = Puppet::new(AssocConfig::rfc());
    q.params = (1..=10).flat_map(|n| raw_item(5, &[10, 1, 1, n])).collect();
    assert!(q.give_init().cookie().len() <= ack.cookie().len() + 10 * 17);
}

/// RFC 9260 rows: 5.2.4-9, 5.2.4-3.
#[test]
fn a_cookie_of_another_association_is_dropped_in_silence() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let first = p.give_init().cookie();
    p.tag += 1;
    p.open();
    // Its tags are neither those of the association nor tied to them.
    assert!(p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &first })]).is_empty());
    assert_eq!(p.state(), "ESTABLISHED");
    let data = encode(&[p.data(0, b"alive")]);
    assert_eq!(names(&p.give_raw(&data)), [["SACK"]]);
}
/// RFC 9260 rows: 3.3.5-3, 5062.2.3-2, 5062.6.3-3.
#[test]
fn a_verifying_heartbeat_has_a_nonce_that_nobody_guesses() {
    let mut p = Puppet::at(AssocConfig::rfc(), &["10.0.0.1"], &["10.0.0.2", "10.0.0.3"]);
    p.params = testbed::puppet::encode_params(&[sctp_user::wire::Param::Address(p.addrs[1])]);
    let mut sent = p.open();
    sent.extend(p.pass(Duration::from_secs(5)));
    let infos: Vec<_> = sent
        .iter()
        .filter(|s| s.dst == p.addrs[1])
        .flat_map(|s| s.chunks.iter().filter_map(|c| if let Seen::Heartbeat { items } = &c.body { Some(items[0].1.clone()) } else { None }))
        .collect();
    assert!(infos.len() >= 2, "{:?}", names(&sent));
    // Of 64 random bits some 32 differ; the other fields (path, time) differ in few.
    let differ: u32 = infos[0].iter().zip(&infos[1]).map(|(a, b)| (a ^ b).count_ones()).sum();
    assert!(differ >= 16 && infos[0].len() >= 16, "{infos:?}");
    let probes = || sent.iter().filter(|s| s.dst == p.addrs[1]);
    assert!(probes().all(|s| s.bytes.len() < 100), "small, so that nobody gets more than was sent for it");
    // An answer with another nonce confirms nothing, the true one does.
    let confirmed = |p: &Puppet| p.heard(|e| matches!(e, Event::PathState { addr, .. } if *addr == p.addrs[1]));
    let mut forged = infos.last().unwrap().clone();
    forged[4] ^= 1;
    for (info, believed) in [(&forged, false), (infos.last().unwrap(), true)] {
        let tlvs = raw_item(1, info);
        p.give_in(p.envelope().from("10.0.0.3"), &[Chunk::HeartbeatAck(Heartbeat { tlvs: &tlvs })]);
        p.pass(Duration::from_millis(1));
        assert_eq!(confirmed(&p), believed);
    }
}
