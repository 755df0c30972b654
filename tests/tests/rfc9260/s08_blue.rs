//! Sections 8.4 and 8.5: what is out of the blue, and which tags count.

use sctp_user::wire::chunk::{Abort, CookieEcho, ErrorChunk, Heartbeat, ShutdownComplete};
use sctp_user::wire::{Cause, Chunk, Encode as _};
use sctp_user::{AssocConfig, CloseReason, Event};
use testbed::puppet::{Envelope, Puppet, Seen, data, names, only};

const STATES: [&str; 7] =
    ["COOKIE-WAIT", "COOKIE-ECHOED", "ESTABLISHED", "SHUTDOWN-PENDING", "SHUTDOWN-SENT", "SHUTDOWN-RECEIVED", "SHUTDOWN-ACK-SENT"];

fn stranger(p: &Puppet) -> Envelope {
    p.envelope().tagged(0x0bad_0bad)
}

/// RFC 9260 rows: 8.4-1.
///
/// Pitfall 65.
#[test]
fn a_packet_from_or_to_an_address_that_is_not_unicast_is_dropped_in_silence() {
    for (from, to) in [
        ("224.0.0.1", "10.0.0.1"),
        ("255.255.255.255", "10.0.0.1"),
        ("0.0.0.0", "10.0.0.1"),
        ("ff02::1", "10.0.0.1"),
        ("10.0.0.2", "224.0.0.1"),
        ("10.0.0.2", "255.255.255.255"),
        ("10.0.0.2", "ff02::1"),
    ] {
        let mut p = Puppet::new(AssocConfig::rfc());
        let envelope = stranger(&p).from(from).to(to);
        assert!(p.give_in(envelope, &[Chunk::Data(data(1, 0, 0, b"x"))]).is_empty(), "{from} {to}");
        let init = p.init_chunk(&[]);
        assert!(p.give_in(envelope.tagged(0), &[Chunk::Init(init)]).is_empty(), "{from} {to}");
    }
}

/// RFC 9260 rows: 8.4-3, 8.4-4, 8.4-5.
///
/// Pitfall 67.
#[test]
fn init_and_cookie_echo_open_associations_where_somebody_listens() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let cookie = p.give_init().cookie();
    assert_eq!(names(&p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })])), [["COOKIE-ACK"]]);
    let mut p = Puppet::new(AssocConfig::rfc());
    p.stack.listen(p.endpoint, false);
    let init = p.init_chunk(&[]);
    for port in [7, 8] {
        let sent = p.give_in(Envelope { dst_port: port, ..p.envelope().tagged(0) }, &[Chunk::Init(init)]);
        assert_eq!((only(&sent).vtag, only(&sent).first()), (p.tag, &Seen::Abort { t: false, causes: vec![] }));
    }
}

/// RFC 9260 rows: 8.4-8, 8.4-9.
#[test]
fn some_chunks_out_of_the_blue_are_dropped_in_silence() {
    let stale = Cause::StaleCookie(1).to_vec();
    let silent = [
        Chunk::Abort(Abort { t: false, causes: &[] }),
        Chunk::ShutdownComplete(ShutdownComplete { t: false }),
        Chunk::CookieAck,
        Chunk::Error(ErrorChunk { causes: &stale }),
    ];
    let mut p = Puppet::new(AssocConfig::rfc());
    for chunk in silent {
        assert!(p.give_in(stranger(&p), &[chunk]).is_empty(), "{chunk:?}");
        // An ABORT anywhere in the packet silences.
        let sent = p.give_in(stranger(&p), &[Chunk::Data(data(1, 0, 0, b"x")), chunk]);
        assert!(sent.is_empty(), "{chunk:?}");
    }
}

/// RFC 9260 rows: 8.4-12, 8.4-13.
///
/// Pitfall 64.
#[test]
fn a_packet_out_of_the_blue_leaves_nothing_behind() {
    let mut p = Puppet::new(AssocConfig::rfc());
    for chunk in [
        Chunk::Data(data(1, 0, 0, b"x")),
        p.sack(),
        Chunk::Heartbeat(Heartbeat { tlvs: &[0, 1, 0, 8, 1, 2, 3, 4] }),
        Chunk::ShutdownAck,
        Chunk::Shutdown(p.shutdown_chunk()),
    ] {
        assert_eq!(p.give_in(stranger(&p), &[chunk]).len(), 1, "{chunk:?}");
        assert_eq!((p.stack.association_count(), p.events.len()), (0, 0));
        assert_eq!(sctp_user::Node::poll_timeout(&p.stack), None);
    }
}

/// RFC 9260 rows: 8.5-2, 8.5-3, 8.5-4.
///
/// Attack class 3.
#[test]
fn packets_under_a_wrong_tag_are_dropped_in_silence() {
    for state in STATES {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        let events = p.events.len();
        let causes = Cause::StaleCookie(1).to_vec();
        let ack = p.init_chunk(&[]);
        let fresh = p.data(0, b"x");
        let chunks = [
            fresh,
            p.sack(),
            Chunk::InitAck(ack),
            Chunk::CookieAck,
            Chunk::Heartbeat(Heartbeat { tlvs: &[0, 1, 0, 8, 1, 2, 3, 4] }),
            Chunk::Shutdown(p.shutdown_chunk()),
            Chunk::Error(ErrorChunk { causes: &causes }),
            Chunk::ShutdownComplete(ShutdownComplete { t: false }),
            Chunk::ShutdownComplete(ShutdownComplete { t: true }),
            Chunk::Abort(Abort { t: false, causes: &[] }),
            Chunk::Abort(Abort { t: true, causes: &[] }),
        ];
        for chunk in chunks {
            for tag in [p.peer_tag ^ 1, p.peer_tag.swap_bytes(), 0] {
                assert!(p.give_in(p.envelope().tagged(tag), &[chunk]).is_empty(), "{state} {chunk:?}");
                assert_eq!((p.state(), p.events.len()), (state, events), "{chunk:?}");
            }
        }
        assert!(p.recv().is_none());
    }
}

/// RFC 9260 rows: 8.5.1-4, 8.5.1-5, 9.1-2.
#[test]
fn an_abort_carries_the_peers_tag_or_reflects_the_packets() {
    for state in STATES {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        let sent = p.abort(b"why");
        if state == "COOKIE-WAIT" {
            assert!(sent.is_empty(), "the tag is not known yet");
        } else {
            assert_eq!((only(&sent).vtag, only(&sent).chunks[0].flags), (p.tag, 0), "{state}");
        }
        let late = p.give_in(p.envelope(), &[Chunk::Data(data(1, 0, 0, b"x"))]);
        assert_eq!((only(&late).vtag, only(&late).chunks[0].flags), (p.peer_tag, 1));
    }
}

/// RFC 9260 rows: 8.5.1-6, 8.5.1-7, 9.1-6, 9.1-7, 9.1-8.
///
/// Pitfall 69. Attack class 3.
#[test]
fn an_abort_counts_only_under_the_right_tag_for_its_t_bit() {
    for state in STATES {
        for t in [false, true] {
            let mut p = Puppet::in_state(AssocConfig::rfc(), state);
            let (own, peers) = (p.peer_tag, if state == "COOKIE-WAIT" { 0x0bad_0bad } else { p.tag });
            let (right, wrong) = if t { (peers, own) } else { (own, peers) };
            let abort = [Chunk::Abort(Abort { t, causes: &[] })];
            for tag in [wrong, 0x0bad_0bad, 0] {
                assert!(p.give_in(p.envelope().tagged(tag), &abort).is_empty());
                assert_eq!(p.state(), state, "T {t}");
            }
            // Before the INIT ACK no tag can be reflected.
            if t && state == "COOKIE-WAIT" {
                continue;
            }
            assert!(p.give_in(p.envelope().tagged(right), &abort).is_empty(), "an ABORT is never answered");
            assert_eq!((p.state(), p.stack.association_count()), ("CLOSED", 0));
            assert!(p.heard(|e| matches!(e, Event::Lost { .. })));
            // Behind other chunks its T bit gets it around nothing.
            let mut p = Puppet::in_state(AssocConfig::rfc(), state);
            if t {
                p.give(&[Chunk::CookieAck, abort[0]]);
                assert_ne!(p.state(), "CLOSED", "{state}");
            }
        }
    }
}

/// RFC 9260 rows: 8.5.1-8, 8.5.1-9, 8.5.1-10.
#[test]
fn a_shutdown_complete_carries_the_peers_tag_as_long_as_there_is_an_association() {
    for state in ["SHUTDOWN-SENT", "SHUTDOWN-ACK-SENT"] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        let sent = p.give(&[Chunk::ShutdownAck]);
        assert_eq!((only(&sent).vtag, only(&sent).first()), (p.tag, &Seen::ShutdownComplete { t: false }));
        // It was lost: the next SHUTDOWN ACK is out of the blue.
        let sent = p.give(&[Chunk::ShutdownAck]);
        assert_eq!((only(&sent).vtag, only(&sent).first()), (p.peer_tag, &Seen::ShutdownComplete { t: true }));
    }
}

/// RFC 9260 rows: 8.5.1-12, 9.2-24.
///
/// Pitfall 70.
#[test]
fn a_shutdown_complete_counts_only_in_shutdown_ack_sent_and_under_the_right_tag() {
    for t in [false, true] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), "SHUTDOWN-ACK-SENT");
        let (right, wrong) = if t { (p.tag, p.peer_tag) } else { (p.peer_tag, p.tag) };
        let complete = Chunk::ShutdownComplete(ShutdownComplete { t });
        for tag in [wrong, 0x0bad_0bad, 0] {
            assert!(p.give_in(p.envelope().tagged(tag), &[complete]).is_empty());
            assert_eq!(p.state(), "SHUTDOWN-ACK-SENT");
        }
        // Never bundled.
        let sack = p.sack();
        p.give_in(p.envelope().tagged(right), &[complete, sack]);
        assert_eq!(p.state(), "SHUTDOWN-ACK-SENT");
        assert!(p.give_in(p.envelope().tagged(right), &[complete]).is_empty());
        assert_eq!(p.state(), "CLOSED");
        assert!(p.heard(|e| *e == Event::Lost { reason: CloseReason::Shutdown }));
        assert_eq!(sctp_user::Node::poll_timeout(&p.stack), None, "T2 has stopped");
    }
}

/// RFC 9260 rows: 8.5.1-15, 9.2-29.
///
/// Pitfall 66. Pitfall 79.
#[test]
fn shutdown_and_shutdown_ack_mean_nothing_to_an_association_that_is_not_up() {
    for (state, resent) in [("COOKIE-WAIT", "INIT"), ("COOKIE-ECHOED", "COOKIE-ECHO")] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        assert!(p.give(&[Chunk::Shutdown(p.shutdown_chunk())]).is_empty());
        // A SHUTDOWN ACK of an association before this one, under whatever tag.
        let sent = p.give_in(stranger(&p), &[Chunk::ShutdownAck]);
        assert_eq!((only(&sent).vtag, only(&sent).first()), (0x0bad_0bad, &Seen::ShutdownComplete { t: true }));
        assert_eq!(p.state(), state);
        assert_eq!(names(&p.pass(core::time::Duration::from_secs(1))), [[resent]], "T1 runs on");
    }
}
