//! Section 6: which states move data, bundling, fragments, windows, and delivery to the user.

use core::time::Duration;

use sctp_user::wire::Chunk;
use sctp_user::wire::chunk::Heartbeat;
use sctp_user::{AssocConfig, SendOptions};
use testbed::puppet::{Puppet, STACK_PORT, Seen, Sent, chunks, data, names, only, raw_chunk, raw_item, sack};

/// IPv4 and UDP header.
const BELOW: usize = 28;

fn payload_lengths(sent: &[Sent]) -> Vec<usize> {
    chunks(sent).filter_map(|c| if let Seen::Data { payload, .. } = c { Some(payload.len()) } else { None }).collect()
}

fn last_window(p: &Puppet) -> u32 {
    let of = |c: &Seen| if let Seen::Sack { a_rwnd, .. } = c { Some(*a_rwnd) } else { None };
    p.log.iter().rev().find_map(|s| s.chunks.iter().find_map(|c| of(&c.body))).unwrap()
}

/// RFC 9260 rows: 6-1.
#[test]
fn data_is_sent_in_three_states() {
    for (state, sends) in [
        ("COOKIE-WAIT", false),
        ("COOKIE-ECHOED", false),
        ("ESTABLISHED", true),
        ("SHUTDOWN-PENDING", true),
        ("SHUTDOWN-SENT", false),
        ("SHUTDOWN-RECEIVED", true),
        ("SHUTDOWN-ACK-SENT", false),
    ] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        if state == "ESTABLISHED" {
            p.send(0, b"x");
        } else {
            let _ = p.try_send(0, b"x", SendOptions::ordered());
        }
        p.collect();
        // What is outstanding is sent again.
        let again = p.pass(Duration::from_secs(3));
        let by_itself = again.iter().any(|s| s.names()[0] == "DATA");
        assert_eq!(by_itself, sends, "{state}: {:?}", names(&again));
    }
}

/// RFC 9260 rows: 6-2, 6-4.
#[test]
fn data_is_accepted_in_three_states_and_discarded_in_the_others() {
    for (state, accepts) in [
        ("COOKIE-WAIT", false),
        ("COOKIE-ECHOED", false),
        ("ESTABLISHED", true),
        ("SHUTDOWN-PENDING", true),
        ("SHUTDOWN-SENT", true),
        ("SHUTDOWN-RECEIVED", false),
        ("SHUTDOWN-ACK-SENT", false),
    ] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        let tsn = p.tsn;
        let data = p.data(0, b"x");
        let sent = p.give(&[data]);
        assert_eq!(p.recv().is_some(), accepts, "{state}");
        let acknowledged = chunks(&sent).any(|c| matches!(c, Seen::Sack { cum, .. } | Seen::Shutdown { cum } if *cum == tsn));
        assert_eq!(acknowledged, accepts, "{state}: {:?}", names(&sent));
        assert_eq!(p.state(), state);
    }
}

/// RFC 9260 rows: 6-5, 6-7.
#[test]
fn a_sack_counts_where_data_is_sent_and_is_discarded_elsewhere() {
    for state in ["ESTABLISHED", "SHUTDOWN-PENDING", "SHUTDOWN-RECEIVED"] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        if state == "ESTABLISHED" {
            p.send(0, b"x");
        }
        assert!(p.status().unwrap().buffered > 0);
        p.ack();
        assert_eq!(p.status().unwrap().buffered, 0, "{state}");
    }
    // Elsewhere not even one that acknowledges what was never sent does anything.
    for state in ["COOKIE-WAIT", "SHUTDOWN-SENT", "SHUTDOWN-ACK-SENT"] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        assert!(p.give(&[sack(p.cum.wrapping_add(5), 9_000, &[], &[])]).is_empty(), "{state}");
        assert_eq!(p.state(), state);
    }
}

/// RFC 9260 rows: 6-8, 6-9, 6.9-2, 6.9-10, 6.9-12.
#[test]
fn a_long_message_goes_in_pieces_that_fit_the_path() {
    for mtu in [576, 1280, 1500, 9000] {
        let mut cfg = AssocConfig::rfc();
        cfg.mtu = mtu;
        let mut p = Puppet::established(cfg);
        let first = p.cum.wrapping_add(1);
        let message: Vec<u8> = (0..60_000_u32).map(|n| n.to_be_bytes()[2] ^ n.to_be_bytes()[3]).collect();
        let mut sent = p.send(0, &message);
        for _ in 0..200 {
            sent.extend(p.ack());
        }
        assert!(sent.iter().all(|s| s.bytes.len() + BELOW <= mtu), "{mtu}");
        let mut whole = Vec::new();
        for (n, c) in (0..).zip(chunks(&sent).filter(|c| matches!(c, Seen::Data { .. }))) {
            let Seen::Data { tsn, payload, .. } = c else { panic!() };
            assert_eq!(*tsn, first.wrapping_add(n), "in sequence");
            whole.extend_from_slice(payload);
        }
        assert_eq!(whole, message, "{mtu}");
    }
}

/// RFC 9260 rows: 6.9-8, 6.9-9, 6.9-11, 6.10-1.
#[test]
fn headers_and_a_bundled_sack_are_counted() {
    let mut cfg = AssocConfig::rfc();
    cfg.mtu = 1000;
    let mut p = Puppet::established(cfg);
    let data = p.data(0, b"first");
    p.give(&[data]);
    // Full packets: nothing that is left could take another byte.
    let sent = p.send(0, &[1; 3_000]);
    assert_eq!(sent[0].bytes.len() + BELOW, 1000, "{:?}", payload_lengths(&sent));
    p.ack();
    // The same with a SACK that waits.
    let data = p.data(0, b"second");
    assert!(p.give(&[data]).is_empty());
    let sent = p.send(0, &[2; 3_000]);
    assert!(names(&sent).concat().contains(&"SACK"));
    assert!(sent.iter().all(|s| s.bytes.len() + BELOW <= 1000));
    // And with many gaps to tell: whatever the SACK takes, the packet stays within the MTU.
    p.ack();
    for n in 1..200 {
        p.give(&[Chunk::Data(testbed::puppet::data(p.tsn.wrapping_add(2 * n), 0, 1000 + u16::try_from(n).unwrap(), b"gap"))]);
    }
    let sent = p.send(0, &[3; 3_000]);
    assert!(sent.iter().all(|s| s.bytes.len() + BELOW <= 1000), "{:?}", names(&sent));
    assert!(p.log.iter().all(|s| s.bytes.len() + BELOW <= 1000));
}

/// RFC 9260 rows: 6-10, 6.10-3, 6.1-17.
#[test]
fn control_chunks_and_the_sack_that_waits_stand_before_data() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let (first, second) = (p.data(0, b"first"), p.data(0, b"second"));
    p.give(&[first]);
    assert!(p.give(&[second]).is_empty(), "its SACK is delayed");
    p.try_send(0, b"answer", SendOptions::ordered()).unwrap();
    let info = raw_item(1, b"hb");
    let sent = p.give(&[Chunk::Heartbeat(Heartbeat { tlvs: &info })]);
    assert_eq!(names(&sent), [["HEARTBEAT-ACK", "SACK", "DATA"]]);
    // Data of the user alone takes the SACK along, too.
    p.ack();
    let third = p.data(0, b"third");
    assert!(p.give(&[third]).is_empty());
    assert_eq!(names(&p.send(0, b"answer")), [["SACK", "DATA"]]);
}

/// RFC 9260 rows: 6-11, 6-12, 6.9-1, 6.9-15.
#[test]
fn bundled_and_fragmented_data_is_put_together_in_any_order() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let first = p.tsn;
    let piece = |n: u32, begin, end, payload| {
        let mut d = data(first.wrapping_add(n), 2, 0, payload);
        (d.begin, d.end) = (begin, end);
        Chunk::Data(d)
    };
    let pieces = [piece(0, true, false, b"a mes"), piece(1, false, false, b"sage in "), piece(2, false, true, b"pieces")];
    let other = Chunk::Data(data(first.wrapping_add(3), 5, 0, b"bundled"));
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [2, 0, 1]] {
        let mut p = Puppet::established(AssocConfig::rfc());
        for n in order {
            assert!(p.recv().is_none());
            p.give(&[pieces[n]]);
        }
        assert_eq!(p.recv().unwrap().payload, "a message in pieces", "{order:?}");
    }
    // All in one packet, with another message behind.
    p.give(&[pieces[0], pieces[1], pieces[2], other]);
    assert_eq!(p.recv().unwrap().payload, "a message in pieces");
    assert_eq!(p.recv().unwrap().payload, "bundled");
    assert!(p.recv().is_none());
}

/// RFC 9260 rows: 6.2-25, 6.2-26, 6.2-27.
#[test]
fn the_window_opens_only_when_the_user_reads() {
    let mut cfg = AssocConfig::rfc();
    cfg.recv_buffer = 30_000;
    let mut p = Puppet::established(cfg);
    let mut windows = Vec::new();
    // Fragments first: held for reassembly, out of the user's reach.
    for n in 0..4 {
        let mut d = data(p.tsn, 0, 0, &[7; 1000]);
        (d.begin, d.end, d.immediate) = (n == 0, n == 3, true);
        p.tsn = p.tsn.wrapping_add(1);
        p.give(&[Chunk::Data(d)]);
        windows.push(last_window(&p));
    }
    assert!(windows.is_sorted_by(|a, b| a > b), "{windows:?}");
    assert!(windows[0] - windows[3] >= 3_000);
    // A duplicate changes nothing, reading does.
    p.give(&[Chunk::Data(data(p.tsn.wrapping_sub(1), 0, 0, &[7; 1000]))]);
    assert_eq!(last_window(&p), windows[3]);
    assert_eq!(p.recv().unwrap().payload.len(), 4000);
    let mut d = data(p.tsn, 1, 0, b"now");
    d.immediate = true;
    p.give(&[Chunk::Data(d)]);
    assert!(last_window(&p) > windows[3] + 3_500, "{} {windows:?}", last_window(&p));
}

/// RFC 9260 rows: 6.2-28.
#[test]
fn what_was_acknowledged_cumulatively_is_kept_and_never_asked_for_again() {
    let mut cfg = AssocConfig::rfc();
    cfg.recv_buffer = 5_000;
    let mut p = Puppet::established(cfg);
    let first = p.tsn;
    // More than the window has room for, and nobody reads.
    for n in 0..20 {
        p.give(&[Chunk::Data(data(first.wrapping_add(n), 0, u16::try_from(n).unwrap(), &[u8::try_from(n).unwrap(); 1000]))]);
    }
    let cums: Vec<_> = chunks(&p.log)
        .filter_map(|c| if let Seen::Sack { cum, .. } = c { Some(cum.wrapping_sub(first).cast_signed()) } else { None })
        .collect();
    assert!(cums.is_sorted(), "{cums:?}");
    let last = *cums.last().unwrap();
    assert!((3..19).contains(&last), "{cums:?}");
    for n in 0..=last {
        assert_eq!(p.recv().unwrap().payload[0], u8::try_from(n).unwrap());
    }
    assert!(p.recv().is_none(), "what was not acknowledged was dropped");
}

/// RFC 9260 rows: 6.2-33.
#[test]
fn data_without_user_data_is_aborted() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let empty = [&p.tsn.to_be_bytes()[..], &[0; 8]].concat();
    let sent = p.give_raw(&raw_chunk(0, 3, &empty));
    let tsn = p.tsn.to_be_bytes().to_vec();
    assert_eq!(*only(&sent).first(), Seen::Abort { t: false, causes: vec![(9, tsn)] });
    assert_eq!(p.state(), "CLOSED");
}

/// RFC 9260 rows: 6.5-2.
#[test]
fn data_on_a_stream_that_does_not_exist_is_acknowledged_reported_and_discarded() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let streams = p.status().unwrap().inbound_streams;
    let tsn = p.tsn;
    let data = p.data(streams, b"nowhere");
    let sent = p.give(&[data]);
    let seen: Vec<_> = chunks(&sent).collect();
    let [hi, lo] = streams.to_be_bytes();
    assert!(seen.contains(&&Seen::Error { causes: vec![(1, vec![hi, lo, 0, 0])] }), "{seen:?}");
    assert!(seen.iter().any(|c| matches!(c, Seen::Sack { cum, .. } if *cum == tsn)), "{seen:?}");
    assert!(p.recv().is_none());
    assert_eq!(p.state(), "ESTABLISHED");
}

/// RFC 9260 rows: 6.6-1, 6.6-2.
#[test]
fn ordered_messages_are_delivered_by_their_sequence_numbers() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let first = p.tsn;
    let message = |n: u32, sid, ssn, payload| Chunk::Data(data(first.wrapping_add(n), sid, ssn, payload));
    // TSNs in order of sending: 0 and 2 on stream 1, 1 on stream 2, 3 on stream 1.
    p.give(&[message(3, 1, 2, b"third")]);
    p.give(&[message(2, 1, 1, b"second")]);
    assert!(p.recv().is_none());
    p.give(&[message(1, 2, 0, b"other stream")]);
    assert_eq!(p.recv().unwrap().payload, "other stream", "another stream does not wait");
    assert!(p.recv().is_none());
    p.give(&[message(0, 1, 0, b"first")]);
    for expected in ["first", "second", "third"] {
        assert_eq!(p.recv().unwrap().payload, expected);
    }
    // TSNs in order, sequence numbers not: the number decides.
    p.give(&[message(4, 1, 4, b"fifth")]);
    assert!(p.recv().is_none());
    p.give(&[message(5, 1, 3, b"fourth")]);
    assert_eq!((p.recv().unwrap().payload, p.recv().unwrap().payload), ("fourth".into(), "fifth".into()));
}

/// RFC 9260 rows: 6.7-2, 6.4-3.
#[test]
fn the_sack_goes_where_the_last_data_came_from() {
    let mut p = Puppet::at(AssocConfig::rfc(), &["10.0.0.1"], &["10.0.0.2", "10.0.0.3"]);
    p.params = testbed::puppet::encode_params(&[sctp_user::wire::Param::Address(p.addrs[1])]);
    let mut sent = p.open();
    for _ in 0..3 {
        sent.extend(p.pass(Duration::from_millis(500)));
    }
    p.answer_heartbeats(&sent);
    for (n, src) in ["10.0.0.2", "10.0.0.2", "10.0.0.3", "10.0.0.3", "10.0.0.3", "10.0.0.2"].iter().enumerate() {
        let mut d = data(p.tsn, 0, u16::try_from(n).unwrap(), b"x");
        d.immediate = true;
        p.tsn = p.tsn.wrapping_add(1);
        let sent = p.give_in(p.envelope().from(src), &[Chunk::Data(d)]);
        let sack = sent.iter().find(|s| s.names().contains(&"SACK")).unwrap();
        assert_eq!((sack.dst.to_string().as_str(), sack.src_port), (*src, STACK_PORT), "{n}");
    }
}

/// RFC 9260 rows: 6.10-5.
#[test]
fn packets_hold_whole_chunks() {
    let mut p = Puppet::established(AssocConfig::rfc());
    for n in 1..40_usize {
        p.try_send(0, &vec![1; n * 97 % 1900 + 1], SendOptions::ordered()).unwrap();
    }
    p.collect();
    for _ in 0..60 {
        p.ack();
    }
    p.shutdown();
    p.give(&[Chunk::ShutdownAck]);
    // The puppet decodes each packet strictly; here the lengths say it again.
    for s in &p.log {
        let chunks: usize = s.chunks.iter().map(|c| c.raw.len().next_multiple_of(4)).sum();
        assert_eq!(s.bytes.len(), 12 + chunks, "{:?}", s.names());
        assert!(s.chunks.iter().all(|c| c.raw.len() == usize::from(u16::from_be_bytes([c.raw[2], c.raw[3]]))));
    }
}

/// RFC 9260 rows: 7.2.4-1, 6.7-1.
#[test]
fn while_there_is_a_hole_each_packet_with_data_is_answered() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let first = p.tsn;
    let message = |n: u32| Chunk::Data(data(first.wrapping_add(n), 0, u16::try_from(n).unwrap(), b"x"));
    p.give(&[message(0)]);
    for n in 2..10 {
        assert_eq!(names(&p.give(&[message(n)])), [["SACK"]], "{n}");
    }
    assert_eq!(names(&p.give(&[message(1)])), [["SACK"]], "the hole is filled");
    assert!(p.give(&[message(10)]).is_empty(), "delayed again");
}
