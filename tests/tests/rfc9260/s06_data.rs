//! Section 6 but 6.4, 6.9: transfer of user data.

use core::time::Duration;

use sctp_user::wire::chunk::{Data, Heartbeat, kind};
use sctp_user::wire::{Chunk, Param};
use sctp_user::{AssocConfig, Ssn, Tsn};
use testbed::puppet::{Puppet, Seen, Sent, chunks, data, encode, encode_params, names, only, raw_chunk};

/// The largest UDP payload over IPv4 that the first path MTU, 1500 bytes, leaves room for.
const LARGEST: usize = 1472;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The TSNs of the DATA chunks, packet by packet, counted from the stack's first.
fn tsns(sent: &[Sent], first: u32) -> Vec<Vec<u32>> {
    let tsn = |c: &Seen| if let Seen::Data { tsn, .. } = c { Some(tsn.wrapping_sub(first)) } else { None };
    sent.iter().map(|p| p.chunks.iter().filter_map(|c| tsn(&c.body)).collect::<Vec<_>>()).filter(|p| !p.is_empty()).collect()
}

/// RFC 9260 rows: 6.2-1, 6.2-17.
#[test]
fn data_is_acknowledged_by_its_tsn() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let tsn = p.tsn;
    let data = p.data(0, b"first");
    let sent = p.give(&[data]);
    let Seen::Sack { cum, gaps, .. } = only(&sent).first() else { panic!("{:?}", names(&sent)) };
    assert_eq!((*cum, gaps.len()), (tsn, 0));
}

/// RFC 9260 rows: 6.1-17, 6.10-3.
#[test]
fn a_sack_that_waits_rides_before_outgoing_data() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let first = p.data(0, b"first");
    p.give(&[first]);
    let second = p.data(0, b"second");
    assert!(p.give(&[second]).is_empty(), "delayed");
    assert_eq!(names(&p.send(0, b"mine")), [["SACK", "DATA"]]);
    let later = p.pass(ms(500));
    assert!(!later.iter().any(|s| s.names().contains(&"SACK")), "nothing is left to acknowledge");
}

/// RFC 9260 rows: 6.2-16, 6.2-19.
#[test]
fn after_a_shutdown_data_out_of_order_is_acknowledged_by_a_sack() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "SHUTDOWN-SENT");
    let tsn = p.tsn;
    let sent = p.give(&[Chunk::Data(data(tsn + 1, 0, 1, b"second"))]);
    let sacks: Vec<_> =
        chunks(&sent).filter_map(|c| if let Seen::Sack { cum, gaps, .. } = c { Some((*cum, gaps.clone())) } else { None }).collect();
    assert_eq!(sacks, [(tsn - 1, vec![(2, 2)])]);
    let sent = p.give(&[Chunk::Data(data(tsn, 0, 0, b"first"))]);
    assert!(chunks(&sent).any(|c| matches!(c, Seen::Shutdown { cum } if *cum == tsn + 1)), "{:?}", names(&sent));
}

/// RFC 9260 rows: 6.2-33.
#[test]
fn data_without_user_data_aborts() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let tsn = p.tsn;
    let empty = raw_chunk(kind::DATA, 3, &[&tsn.to_be_bytes()[..], &[0; 8]].concat());
    let sent = p.give_raw(&empty);
    let Seen::Abort { causes, .. } = only(&sent).first() else { panic!("{:?}", names(&sent)) };
    assert_eq!(causes, &[(9, tsn.to_be_bytes().to_vec())], "No User Data");
    assert_eq!(p.state(), "CLOSED");
}

/// RFC 9260 rows: 6.5-2.
#[test]
fn data_on_a_stream_that_there_is_not_is_acknowledged_reported_and_dropped() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let tsn = p.tsn;
    let inbound = p.status().unwrap().inbound_streams;
    let bad = p.data(inbound, b"nobody reads this");
    let sent = p.give(&[bad]);
    let errors: Vec<_> =
        chunks(&sent).filter_map(|c| if let Seen::Error { causes } = c { causes.first().cloned() } else { None }).collect();
    assert_eq!(errors, [(1, [&inbound.to_be_bytes()[..], &[0, 0]].concat())], "Invalid Stream Identifier");
    assert!(chunks(&sent).any(|c| matches!(c, Seen::Sack { cum, .. } if *cum == tsn)), "{:?}", names(&sent));
    assert_eq!(p.recv(), None);
    assert_eq!(p.state(), "ESTABLISHED");
}

/// RFC 9260 rows: 6.6-1, 6.6-2.
#[test]
fn messages_of_a_stream_wait_for_their_turn_and_other_streams_do_not() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let tsn = p.tsn;
    p.give(&[Chunk::Data(data(tsn + 2, 0, 2, b"c"))]);
    p.give(&[Chunk::Data(data(tsn + 1, 0, 1, b"b"))]);
    assert_eq!(p.recv(), None);
    p.give(&[Chunk::Data(data(tsn + 3, 1, 0, b"other stream"))]);
    assert_eq!(p.recv().map(|m| m.payload), Some("other stream".into()));
    assert_eq!(p.recv(), None);
    p.give(&[Chunk::Data(data(tsn, 0, 0, b"a"))]);
    let read: Vec<_> = core::iter::from_fn(|| p.recv()).map(|m| (m.ssn, m.payload)).collect();
    assert_eq!(read, [(Ssn(0), "a".into()), (Ssn(1), "b".into()), (Ssn(2), "c".into())]);
}

/// RFC 9260 rows: 6.7-2.
#[test]
fn the_sack_goes_where_the_last_data_came_from() {
    let mut p = Puppet::at(AssocConfig::rfc(), &["10.0.0.1"], &["10.0.0.2", "10.0.0.3"]);
    p.params = encode_params(&[Param::Address("10.0.0.3".parse().unwrap())]);
    let mut heartbeats = p.open();
    heartbeats.extend(p.pass(Duration::from_secs(1)));
    p.answer_heartbeats(&heartbeats);
    for (n, from) in [(1_u16, "10.0.0.3"), (2, "10.0.0.2"), (3, "10.0.0.3")] {
        // With a gap each packet is answered.
        let chunk = Chunk::Data(data(p.tsn + u32::from(n), 0, n, b"x"));
        let sent = p.give_in(p.envelope().from(from), &[chunk]);
        let sack = sent.iter().find(|s| s.names().contains(&"SACK")).unwrap();
        assert_eq!(sack.dst.to_string(), from);
    }
}

/// CRC32c bit by bit (RFC 9260 appendix A).
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32| (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
    !bytes.iter().fold(u32::MAX, |crc, b| (0..8).fold(crc ^ u32::from(*b), |crc, _| step(crc)))
}

/// RFC 9260 rows: 6.8-1, 6.8-2.
#[test]
fn every_packet_carries_its_crc32c() {
    let mut p = Puppet::accepted(AssocConfig::rfc());
    for len in [1, 2, 3, 4, 1000, 5000] {
        p.send(0, &vec![7; len]);
        p.ack();
    }
    let first = p.data(0, b"x");
    p.give(&[first]);
    p.shutdown();
    assert!(p.log.len() > 8);
    for sent in &p.log {
        let mut bytes = sent.bytes.to_vec();
        let carried = u32::from_le_bytes(bytes[8..12].try_into().unwrap());
        bytes[8..12].fill(0);
        assert_eq!(carried, crc32c(&bytes), "{:?}", sent.names());
    }
}

/// RFC 9260 rows: 6.8-3, 6.8-4.
#[test]
fn a_packet_with_a_wrong_checksum_does_nothing() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let before = p.stack.stats().stack.checksum_errors;
    let chunk = p.data(0, b"damaged");
    let good = p.envelope().seal(&encode(&[chunk]));
    for at in 0..good.len() {
        let mut bad = good.to_vec();
        bad[at] ^= 1;
        assert!(p.give_bytes(p.envelope(), bad.into()).is_empty(), "byte {at}");
    }
    // An ABORT with a wrong checksum is no ABORT.
    let mut abort = p.envelope().seal(&raw_chunk(kind::ABORT, 0, &[])).to_vec();
    abort[8] ^= 0x80;
    p.give_bytes(p.envelope(), abort.into());
    assert_eq!((p.recv(), p.state()), (None, "ESTABLISHED"));
    assert_eq!(p.stack.stats().stack.checksum_errors - before, good.len() as u64 + 1);
    assert_eq!(names(&p.give_bytes(p.envelope(), good)), [["SACK"]]);
}

/// RFC 9260 rows: 6.10-1, 6.10-5.
#[test]
fn packets_hold_whole_chunks_and_fit_the_path() {
    let mut cfg = AssocConfig::rfc();
    cfg.nagle = false;
    let mut p = Puppet::established(cfg);
    let first = p.cum.wrapping_add(1);
    // While the window is shut, messages of all sizes gather.
    for n in 0..200_usize {
        p.send(u16::try_from(n % 10).unwrap(), &vec![1; 1 + n * 37 % 3000]);
    }
    let mut delivered = p.log.len();
    while delivered > 0 {
        delivered = p.ack().len();
    }
    let all = p.log.clone();
    assert!(tsns(&all, first).iter().any(|packet| packet.len() > 3), "some are bundled");
    // Probes of the path MTU are longer than it on purpose.
    for sent in all.iter().filter(|s| !s.names().contains(&"PAD")) {
        assert!(sent.bytes.len() <= LARGEST, "{} bytes", sent.bytes.len());
        let whole: usize = sent.chunks.iter().map(|c| c.raw.len().next_multiple_of(4)).sum();
        assert_eq!(sent.bytes.len(), 12 + whole);
    }
    let mut all: Vec<_> = tsns(&all, first).concat();
    all.dedup();
    assert!(all.is_sorted(), "in the order of their TSNs");
}

/// RFC 9260 rows: 6.10-6.
#[test]
fn chunks_are_processed_in_their_order() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let info = |n: u8| [0, 1, 0, 5, n, 0, 0, 0];
    let (a, b, c) = (info(1), info(2), info(3));
    let sent = p.give(&[&a, &b, &c].map(|tlvs| Chunk::Heartbeat(Heartbeat { tlvs })));
    let answers: Vec<u8> =
        chunks(&sent).filter_map(|c| if let Seen::HeartbeatAck { items } = c { Some(items[0].1[0]) } else { None }).collect();
    assert_eq!(answers, [1, 2, 3]);
    // DATA behind a SHUTDOWN ACK that closes nothing is read; DATA behind an ABORT is not.
    let (first, second) = (p.data(0, b"before"), p.data(0, b"behind"));
    p.give_raw(&[encode(&[first]), raw_chunk(kind::ABORT, 0, &[]), encode(&[second])].concat());
    assert_eq!(p.recv().map(|m| m.payload), Some("before".into()));
    assert_eq!(p.recv(), None);
}

/// RFC 9260 rows: 6.10-7.
#[test]
fn a_chunk_that_is_cut_off_is_dropped() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let tsn = p.tsn;
    let whole = Chunk::Data(data(tsn, 0, 0, b"whole"));
    let cut = Chunk::Data(Data { tsn: Tsn(tsn + 1), ..data(tsn + 1, 0, 1, b"this chunk says that it is longer than the packet") });
    let mut bytes = encode(&[whole, cut]);
    bytes.truncate(bytes.len() - 20);
    let sent = p.give_raw(&bytes);
    let Seen::Sack { cum, gaps, .. } = only(&sent).first() else { panic!("{:?}", names(&sent)) };
    assert_eq!((*cum, gaps.len()), (tsn, 0));
    assert_eq!(p.recv().map(|m| m.payload), Some("whole".into()));
    assert_eq!(p.recv(), None);
}
