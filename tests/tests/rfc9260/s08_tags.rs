//! Sections 8.4 and 8.5: packets out of the blue, and verification tags.

use sctp_user::wire::chunk::{Abort, CookieEcho, ErrorChunk, Heartbeat, Shutdown, ShutdownComplete};
use sctp_user::wire::{Cause, Chunk, Encode as _};
use sctp_user::{AssocConfig, Tsn};
use testbed::puppet::{Puppet, Seen, data, encode, ip, names, only, raw_chunk, raw_item, sack};

/// States of a living association.
const STATES: [&str; 7] =
    ["COOKIE-WAIT", "COOKIE-ECHOED", "ESTABLISHED", "SHUTDOWN-PENDING", "SHUTDOWN-SENT", "SHUTDOWN-RECEIVED", "SHUTDOWN-ACK-SENT"];

/// RFC 9260 rows: 8.4-1.
#[test]
fn nothing_is_answered_to_or_from_an_address_that_is_not_unicast() {
    for src in ["224.0.0.1", "255.255.255.255", "0.0.0.0", "ff02::1", "::"] {
        let mut p = Puppet::new(AssocConfig::rfc());
        let init = Chunk::Init(p.init_chunk(&[]));
        assert!(p.give_in(p.envelope().tagged(0).from(src), &[init]).is_empty(), "{src}");
        assert!(p.give_in(p.envelope().tagged(7).from(src), &[Chunk::ShutdownAck]).is_empty(), "{src}");
    }
    for dst in ["224.0.0.1", "255.255.255.255", "ff02::1"] {
        let mut p = Puppet::new(AssocConfig::rfc());
        let init = Chunk::Init(p.init_chunk(&[]));
        assert!(p.give_in(p.envelope().tagged(7).to(dst), &[Chunk::ShutdownAck]).is_empty(), "{dst}");
        assert!(p.give_in(p.envelope().tagged(0).to(dst), &[init]).is_empty(), "{dst}");
    }
}

/// RFC 9260 rows: 8.4-3, 8.4-5.
#[test]
fn init_and_cookie_echo_out_of_the_blue_open_an_association() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let cookie = p.give_init().cookie();
    let data = p.data(0, b"x");
    assert_eq!(names(&p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie }), data])), [["COOKIE-ACK", "SACK"]]);
    assert_eq!(p.state(), "ESTABLISHED");
}

/// RFC 9260 rows: 8.4-4, 5.1-18, 8.5.1-4.
#[test]
fn an_abort_in_answer_to_an_init_has_its_tag_and_no_t_bit() {
    let mut p = Puppet::new(AssocConfig::rfc());
    p.stack.listen(p.endpoint, false);
    p.tag = 0x2222_1111;
    let sent = p.give_in(p.envelope().tagged(0), &[Chunk::Init(p.init_chunk(&[]))]);
    assert_eq!(only(&sent).vtag, 0x2222_1111);
    assert!(matches!(sent[0].first(), Seen::Abort { t: false, .. }), "{sent:?}");
    // In answer to an INIT ACK as well.
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-WAIT");
    let ack = Chunk::InitAck(p.init_chunk(&[]));
    let sent = p.give(&[ack]);
    assert_eq!(only(&sent).vtag, p.tag);
    assert!(matches!(sent[0].first(), Seen::Abort { t: false, .. }), "{sent:?}");
}

/// RFC 9260 rows: 8.4-8, 8.4-9.
#[test]
fn what_ends_or_follows_an_association_is_dropped_out_of_the_blue() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let stale = Cause::StaleCookie(5).to_vec();
    for silent in [
        Chunk::ShutdownComplete(ShutdownComplete { t: false }),
        Chunk::ShutdownComplete(ShutdownComplete { t: true }),
        Chunk::CookieAck,
        Chunk::Error(ErrorChunk { causes: &stale }),
    ] {
        assert!(p.give_in(p.envelope().tagged(9), &[silent]).is_empty(), "{silent:?}");
    }
    // Another ERROR is answered.
    let other = Cause::OutOfResource.to_vec();
    assert_eq!(names(&p.give_in(p.envelope().tagged(9), &[Chunk::Error(ErrorChunk { causes: &other })])), [["ABORT"]]);
}

/// RFC 9260 rows: 8.4-10, 8.4-11, 8.4-12, 8.4-13, 8.5.1-5.
#[test]
fn anything_else_out_of_the_blue_is_aborted_under_its_own_tag() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let info = raw_item(1, b"hb");
    let init_ack = p.init_chunk(&[]);
    for chunk in [
        Chunk::Data(data(1, 0, 0, b"x")),
        Chunk::InitAck(init_ack),
        sack(1, 2000, &[], &[]),
        Chunk::Heartbeat(Heartbeat { tlvs: &info }),
        Chunk::HeartbeatAck(Heartbeat { tlvs: &info }),
        Chunk::Shutdown(Shutdown { cum_tsn: Tsn(1) }),
        Chunk::Error(ErrorChunk { causes: &[] }),
        Chunk::Cwr(Tsn(1)),
    ] {
        let sent = p.give_in(p.envelope().tagged(0x77aa_1234), &[chunk]);
        assert_eq!(only(&sent).vtag, 0x77aa_1234, "{chunk:?}");
        assert_eq!(*sent[0].first(), Seen::Abort { t: true, causes: vec![] }, "{chunk:?}");
    }
    assert_eq!((p.stack.association_count(), p.events.len()), (0, 0));
}

/// RFC 9260 rows: 6-3, 6-6.
#[test]
fn data_and_sack_without_an_association_are_out_of_the_blue() {
    let mut p = Puppet::new(AssocConfig::rfc());
    for chunk in [Chunk::Data(data(1, 0, 0, b"x")), sack(1, 2000, &[], &[])] {
        let sent = p.give_in(p.envelope().tagged(3), &[chunk]);
        assert_eq!((only(&sent).names(), sent[0].vtag, sent[0].chunks[0].flags), (vec!["ABORT"], 3, 1));
    }
}

/// RFC 9260 rows: 8.5-2, 8.5-3, 8.5-4.
#[test]
fn a_packet_under_another_tag_is_dropped_in_silence() {
    for state in STATES {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        let (before, events) = (p.status().unwrap(), p.events.len());
        let (info, params, tsn) = (raw_item(1, b"hb"), raw_item(7, b"cookie"), p.tsn);
        let stale = Cause::StaleCookie(5).to_vec();
        let chunks = [
            Chunk::Data(data(tsn, 0, 0, b"x")),
            Chunk::InitAck(p.init_chunk(&params)),
            p.sack(),
            Chunk::Heartbeat(Heartbeat { tlvs: &info }),
            Chunk::Abort(Abort { t: false, causes: &[] }),
            Chunk::Shutdown(p.shutdown_chunk()),
            Chunk::Error(ErrorChunk { causes: &stale }),
            Chunk::CookieAck,
            Chunk::ShutdownComplete(ShutdownComplete { t: false }),
        ];
        for wrong in [p.peer_tag ^ 1, p.peer_tag ^ 0x8000_0000, 0] {
            for chunk in chunks {
                assert!(p.give_in(p.envelope().tagged(wrong), &[chunk]).is_empty(), "{state}: {chunk:?}");
            }
        }
        assert_eq!((p.status().unwrap().state, p.status().unwrap().buffered), (state, before.buffered));
        assert_eq!(p.events.len(), events);
        assert!(p.recv().is_none());
    }
}

/// RFC 9260 rows: 8.5.1-6, 8.5.1-7, 9.1-6.
#[test]
fn an_abort_counts_under_our_tag_or_reflected_under_the_tag_of_the_peer() {
    for state in &STATES[2..] {
        for (own, t) in [(true, false), (false, true), (true, true), (false, false)] {
            let mut p = Puppet::in_state(AssocConfig::rfc(), state);
            let vtag = if own { p.peer_tag } else { p.tag };
            p.give_in(p.envelope().tagged(vtag), &[Chunk::Abort(Abort { t, causes: &[] })]);
            let taken = own != t;
            assert_eq!(p.state() == "CLOSED", taken, "{state}: own tag {own}, T bit {t}");
        }
    }
}

/// RFC 9260 rows: 8.5.1-8, 8.5.1-9, 8.5.1-10.
#[test]
fn a_shutdown_complete_has_the_t_bit_only_without_an_association() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "SHUTDOWN-SENT");
    let sent = p.give(&[Chunk::ShutdownAck]);
    assert_eq!((only(&sent).vtag, sent[0].first()), (p.tag, &Seen::ShutdownComplete { t: false }));
    // The association is gone: now the tag of the packet is reflected.
    let sent = p.give(&[Chunk::ShutdownAck]);
    assert_eq!((only(&sent).vtag, sent[0].first()), (p.peer_tag, &Seen::ShutdownComplete { t: true }));
}

/// RFC 9260 rows: 8.5.1-12, 8.5.1-13, 9.2-23.
#[test]
fn a_shutdown_complete_counts_only_in_shutdown_ack_sent_and_under_the_right_tag() {
    for state in STATES {
        for (own, t) in [(true, false), (false, true), (true, true), (false, false)] {
            let mut p = Puppet::in_state(AssocConfig::rfc(), state);
            let vtag = if own { p.peer_tag } else { p.tag };
            let sent = p.give_in(p.envelope().tagged(vtag), &[Chunk::ShutdownComplete(ShutdownComplete { t })]);
            assert!(sent.is_empty());
            let taken = state == "SHUTDOWN-ACK-SENT" && own != t;
            assert_eq!(p.state(), if taken { "CLOSED" } else { state }, "own tag {own}, T bit {t}");
        }
    }
}

/// RFC 9260 rows: 8.5.1-14.
#[test]
fn a_cookie_echo_has_the_tag_of_the_init_ack() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-WAIT");
    p.tag = 0xfeed_f00d;
    let sent = p.give_init_ack();
    assert_eq!((only(&sent).names(), sent[0].vtag), (vec!["COOKIE-ECHO"], 0xfeed_f00d));
}

/// RFC 9260 rows: 8.5.1-15, 9.2-28, 9.2-29.
#[test]
fn shutdown_ack_and_shutdown_find_no_association_that_is_only_opening() {
    for state in ["COOKIE-WAIT", "COOKIE-ECHOED"] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        for vtag in [p.peer_tag, 4711] {
            let sent = p.give_in(p.envelope().tagged(vtag), &[Chunk::ShutdownAck]);
            assert_eq!((only(&sent).vtag, sent[0].names()), (vtag, vec!["SHUTDOWN-COMPLETE"]));
            assert_eq!(*sent[0].first(), Seen::ShutdownComplete { t: true });
        }
        assert!(p.give(&[Chunk::Shutdown(p.shutdown_chunk())]).is_empty());
        assert_eq!(p.state(), state);
        // T1 runs on.
        assert!(!p.tick().unwrap().is_empty());
    }
}

/// RFC 9260 rows: 6.8-1, 6.8-2.
#[test]
fn every_packet_has_the_checksum_of_its_bytes() {
    let mut p = Puppet::established(AssocConfig::rfc());
    p.send(0, &[1; 3000]);
    p.ack();
    p.shutdown();
    p.give(&[Chunk::ShutdownAck]);
    p.give(&[Chunk::ShutdownAck]);
    assert!(p.log.len() > 6);
    for sent in &p.log {
        let mut bytes = sent.bytes.to_vec();
        let carried = u32::from_le_bytes(bytes[8..12].try_into().unwrap());
        bytes[8..12].fill(0);
        assert_eq!(carried, slow_crc32c(&bytes), "{:?}", sent.names());
    }
}

/// The definition, bit by bit.
fn slow_crc32c(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(u32::MAX, |crc, b| (0..8).fold(crc ^ u32::from(*b), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 }))
}

/// RFC 9260 rows: 6.8-3, 6.8-4.
#[test]
fn a_packet_with_a_wrong_checksum_does_nothing() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let data = p.data(0, b"x");
    let envelope = p.envelope();
    let good = envelope.seal(&encode(&[data, Chunk::Abort(Abort { t: false, causes: &[] })]));
    for at in 0..good.len() {
        let mut bad = good.to_vec();
        bad[at] ^= 4;
        assert!(p.give_bytes(envelope, bad.into()).is_empty(), "byte {at}");
    }
    assert_eq!(p.state(), "ESTABLISHED");
    assert!(p.recv().is_none());
    p.give_bytes(envelope, good);
    assert_eq!(p.state(), "CLOSED");
}

/// RFC 9260 rows: 6.10-6, 6.10-7.
#[test]
fn chunks_are_processed_in_order_and_one_that_is_cut_off_is_dropped() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let (one, two, three) = (p.data(0, b"one!"), p.data(0, b"two!"), p.data(0, b"cut!"));
    let whole = encode(&[one, two, three]);
    for cut in [1, 3, 4, 10, 19] {
        p.give_raw(&whole[..whole.len() - cut]);
    }
    assert_eq!((p.recv().unwrap().payload, p.recv().unwrap().payload), ("one!".into(), "two!".into()));
    assert!(p.recv().is_none());
    p.give_raw(&[whole, raw_chunk(6, 0, &[])].concat());
    assert_eq!(p.recv().unwrap().payload, "cut!", "it stands before the ABORT");
    assert_eq!(p.state(), "CLOSED");
    assert_eq!(p.log.iter().filter(|s| s.dst != ip("10.0.0.2")).count(), 0);
}
