//! Section 9: abort and shutdown.

use core::time::Duration;

use sctp_user::wire::Chunk;
use sctp_user::wire::chunk::{Abort, ErrorChunk, Shutdown, ShutdownComplete};
use sctp_user::{AssocConfig, CloseReason, Event, SendOptions, Tsn};
use testbed::puppet::{Puppet, Seen, Sent, chunks, names, only, raw_item};

fn with(change: impl FnOnce(&mut AssocConfig)) -> AssocConfig {
    let mut cfg = AssocConfig::rfc();
    change(&mut cfg);
    cfg
}

/// RFC 9260 rows: 9.1-9.
#[test]
fn the_reason_of_an_abort_reaches_the_user() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let causes = raw_item(12, b"late");
    assert_eq!(names(&p.give(&[Chunk::Abort(Abort { t: false, causes: &causes })])).len(), 0);
    assert!(p.heard(|e| *e == Event::Lost { reason: CloseReason::PeerAborted(causes.clone().into()) }), "{:?}", p.events);
}

/// What the stack sends on its timers alone: the second of each packet, and its chunks.
fn schedule(p: &mut Puppet, d: Duration) -> Vec<(u64, Vec<&'static str>)> {
    let start = p.now;
    p.pass(d).iter().map(|s| ((s.at - start).as_secs(), s.names())).collect()
}

fn lost(p: &Puppet) -> Option<&CloseReason> {
    p.events.iter().find_map(|e| if let Event::Lost { reason } = e { Some(reason) } else { None })
}

/// A configuration whose T2 gives up before T5 does.
fn few_retransmissions() -> AssocConfig {
    with(|c| {
        c.assoc_max_retrans = 3;
        c.path_max_retrans = 3;
    })
}

/// RFC 9260 rows: 9-1.
#[test]
fn closing_an_endpoint_aborts_its_associations() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let (now, endpoint) = (p.now, p.endpoint);
    p.stack.close(now, endpoint);
    let sent = p.collect();
    assert_eq!((names(&sent), only(&sent).vtag), (vec![vec!["ABORT"]], p.tag));
    assert_eq!(p.stack.association_count(), 0);
}

/// RFC 9260 rows: 9.1-1, 9.1-3, 9.1-4, 9.1-5.
///
/// Pitfall 82.
#[test]
fn an_abort_of_the_user_goes_alone_with_its_reason_cut_to_a_packet() {
    let mut p = Puppet::established(AssocConfig::rfc());
    for _ in 0..10 {
        p.try_send(0, &[1; 1_000], SendOptions::ordered()).unwrap();
    }
    let sent = p.abort(&[b'x'; 5_000]);
    let Seen::Abort { t: false, causes } = only(&sent).first() else { panic!("{:?}", names(&sent)) };
    assert_eq!((names(&sent), causes[0].0), (vec![vec!["ABORT"]], 12));
    assert!(only(&sent).bytes.len() <= 1_200, "{}", only(&sent).bytes.len());
    // The peer's ABORT is not answered, and neither is what an ABORT carries.
    let mut p = Puppet::established(AssocConfig::rfc());
    let data = p.data(0, b"before");
    assert!(p.give(&[data, Chunk::Abort(Abort { t: false, causes: &[] })]).is_empty());
    assert_eq!(p.recv().unwrap().payload, "before");
}

/// RFC 9260 rows: 9.2-1, 9.2-2, 9.2-3.
///
/// Pitfall 76.
#[test]
fn shutdown_is_sent_again_with_the_cumulative_tsn_of_the_moment() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let cum = |sent: &[Sent]| chunks(sent).find_map(|c| if let Seen::Shutdown { cum } = c { Some(*cum) } else { None });
    let first = p.shutdown();
    assert_eq!((p.state(), cum(&first)), ("SHUTDOWN-SENT", Some(p.tsn.wrapping_sub(1))));
    assert_eq!(schedule(&mut p, Duration::from_secs(16)), [1, 3, 7, 15].map(|s| (s, vec!["SHUTDOWN"])));
    let data = p.data(0, b"late");
    p.give(&[data]);
    let again = p.pass(Duration::from_secs(16));
    assert_eq!(cum(&again), Some(p.tsn.wrapping_sub(1)), "the DATA is acknowledged by it");
    assert_ne!(cum(&first), cum(&again));
}

/// RFC 9260 rows: 9.2-4, 9.2-5, 9.2-6.
#[test]
fn shutdown_is_given_up_after_the_retransmissions() {
    let mut p = Puppet::established(few_retransmissions());
    p.shutdown();
    assert_eq!(schedule(&mut p, Duration::from_secs(14)).len(), 3);
    assert_eq!(p.state(), "SHUTDOWN-SENT");
    assert!(p.pass(Duration::from_secs(2)).is_empty());
    assert_eq!((lost(&p), p.stack.association_count()), (Some(&CloseReason::PeerUnreachable), 0));
}

/// RFC 9260 rows: 9.2-7.
#[test]
fn any_packet_of_the_peer_clears_the_count_of_shutdowns_and_restarts_t2() {
    for what in ["DATA", "SACK", "ERROR"] {
        let mut p = Puppet::established(few_retransmissions());
        p.shutdown();
        for round in 0..4 {
            p.pass(Duration::from_millis(6_900));
            let causes = raw_item(4, b"");
            let chunk = match what {
                "DATA" => p.data(0, b"more"),
                "SACK" => p.sack(),
                _ => Chunk::Error(ErrorChunk { causes: &causes }),
            };
            p.give(&[chunk]);
            assert_eq!(p.state(), "SHUTDOWN-SENT", "{what} in round {round}");
        }
        let wait = p.status().unwrap().rto.as_secs();
        assert!(schedule(&mut p, Duration::from_secs(wait - 1)).is_empty(), "T2 began anew");
        assert_eq!(schedule(&mut p, Duration::from_secs(1)).len(), 1);
    }
}

/// RFC 9260 rows: 9.2-8.
#[test]
fn a_shutdown_of_the_user_changes_nothing_once_the_peer_has_begun_one() {
    for state in ["SHUTDOWN-RECEIVED", "SHUTDOWN-ACK-SENT"] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        assert!(p.shutdown().is_empty());
        assert_eq!(p.state(), state);
    }
}

/// RFC 9260 rows: 4-11, 9.2-10, 9.2-17, 9.2-25.
///
/// Pitfall 74. Pitfall 75.
#[test]
fn after_a_shutdown_of_the_peer_what_is_outstanding_is_still_delivered() {
    let mut p = Puppet::established(AssocConfig::rfc());
    for n in 0..30 {
        p.try_send(0, &[n; 1_000], SendOptions::ordered()).unwrap();
    }
    p.collect();
    let first = p.cum;
    let none =
        Tsn(p.log.iter().flat_map(|s| &s.chunks).find_map(|c| if let Seen::Data { tsn, .. } = c.body { Some(tsn) } else { None }).unwrap()
            - 1);
    p.give(&[Chunk::Shutdown(Shutdown { cum_tsn: none })]);
    assert_eq!(p.state(), "SHUTDOWN-RECEIVED");
    // DATA of the peer is dropped: it has promised to send none.
    let data = p.data(0, b"broken promise");
    assert!(p.give(&[data]).is_empty() && p.recv().is_none());
    // Nothing is acknowledged for a while: T3 sends again.
    assert!(names(&p.pass(Duration::from_secs(1))).iter().flatten().all(|n| *n == "DATA"));
    for _ in 0..40 {
        p.ack();
        if p.state() != "SHUTDOWN-RECEIVED" {
            break;
        }
    }
    assert!(p.cum.wrapping_sub(first) > 20, "what was only queued came too");
    assert_eq!(p.state(), "SHUTDOWN-ACK-SENT");
    assert_eq!(p.log.last().unwrap().names(), ["SHUTDOWN-ACK"]);
    let rto = p.status().unwrap().rto.as_secs();
    assert_eq!(schedule(&mut p, Duration::from_secs(rto)), [(rto, vec!["SHUTDOWN-ACK"])], "T2 runs");
}

/// Pitfall 71.
#[test]
fn a_shutdown_of_the_user_waits_until_all_is_acknowledged() {
    let mut p = Puppet::established(AssocConfig::rfc());
    for n in 0..30 {
        p.try_send(0, &[n; 1_000], SendOptions::ordered()).unwrap();
    }
    p.shutdown();
    let mut rounds = 0;
    while p.state() == "SHUTDOWN-PENDING" {
        assert!(!p.log.iter().any(|s| s.names().contains(&"SHUTDOWN")));
        p.ack();
        rounds += 1;
        assert!(rounds < 40);
    }
    assert!(rounds > 2);
    assert_eq!((p.state(), p.log.last().unwrap().names()), ("SHUTDOWN-SENT", vec!["SHUTDOWN"]));
}

/// RFC 9260 rows: 4-9, 9.2-12, 9.2-13.
///
/// Pitfall 73.
#[test]
fn data_in_shutdown_sent_is_answered_at_once_with_shutdown() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "SHUTDOWN-SENT");
    let data = p.data(0, b"one");
    let sent = p.give(&[data]);
    assert!(names(&sent).iter().flatten().any(|n| *n == "SHUTDOWN"));
    assert!(chunks(&sent).any(|c| matches!(c, Seen::Shutdown { cum } if *cum == p.tsn.wrapping_sub(1))));
    // A gap: SHUTDOWN cannot tell of it, a SACK does. A duplicate likewise.
    let _lost = p.data(0, b"two");
    let third = p.data(0, b"three");
    let sent = p.give(&[third]);
    assert!(names(&sent).iter().flatten().any(|n| *n == "SHUTDOWN"));
    assert!(chunks(&sent).any(|c| matches!(c, Seen::Sack { gaps, .. } if gaps == &[(2, 2)])));
    let sent = p.give(&[third]);
    assert!(chunks(&sent).any(|c| matches!(c, Seen::Sack { dups, .. } if dups.len() == 1)));
    // T2 began anew.
    p.pass(Duration::from_millis(700));
    let again = p.data(0, b"four");
    p.give(&[again]);
    assert!(p.pass(Duration::from_millis(900)).is_empty());
    assert_eq!(names(&p.pass(Duration::from_millis(200)))[0][0], "SHUTDOWN");
}

/// RFC 9260 rows: 9.2-14, 9.2-15, 9.2-16.
#[test]
fn a_shutdown_that_takes_five_times_rto_max_ends_in_an_abort() {
    for rto_max in [10, 60] {
        let mut p = Puppet::established(with(|c| c.rto_max = Duration::from_secs(rto_max)));
        p.shutdown();
        // The peer goes on sending DATA: T2 alone would never end.
        let mut rest = rto_max * 5;
        while rest > 1 {
            p.pass(Duration::from_secs(1));
            rest -= 1;
            let data = p.data(0, b"and another thing");
            p.give(&[data]);
            p.recv();
            assert_eq!(p.state(), "SHUTDOWN-SENT", "{rest} s before the end");
        }
        let sent = p.pass(Duration::from_secs(1));
        assert_eq!((sent.last().unwrap().names(), sent.last().unwrap().vtag), (vec!["ABORT"], p.tag));
        assert_eq!(lost(&p), Some(&CloseReason::ShutdownTimeout));
    }
}

/// RFC 9260 rows: 9.2-18, 9.2-19, 9.2-20, 9.2-21.
#[test]
fn shutdown_ack_is_sent_again_and_given_up_after_the_retransmissions() {
    let mut p = Puppet::established(few_retransmissions());
    p.give(&[Chunk::Shutdown(p.shutdown_chunk())]);
    assert_eq!(schedule(&mut p, Duration::from_secs(14)), [1, 3, 7].map(|s| (s, vec!["SHUTDOWN-ACK"])));
    assert_eq!(p.state(), "SHUTDOWN-ACK-SENT");
    assert!(p.pass(Duration::from_secs(2)).is_empty());
    assert_eq!((lost(&p), p.stack.association_count()), (Some(&CloseReason::PeerUnreachable), 0));
}

/// RFC 9260 rows: 9.2-22, 9.2-28, 9.2-31.
///
/// Pitfall 78.
#[test]
fn a_shutdown_ack_is_answered_with_shutdown_complete_and_that_is_all() {
    for state in ["SHUTDOWN-SENT", "SHUTDOWN-ACK-SENT"] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        let sent = p.give(&[Chunk::ShutdownAck]);
        assert_eq!((names(&sent), only(&sent).vtag), (vec![vec!["SHUTDOWN-COMPLETE"]], p.tag));
        assert_eq!((p.stack.association_count(), lost(&p)), (0, Some(&CloseReason::Shutdown)));
        assert_eq!(sctp_user::Node::poll_timeout(&p.stack), None, "no timer runs");
        // It was lost: whoever asks again gets it again, by the tag of its packet and alone.
        let sent = p.give_in(p.envelope().tagged(77), &[Chunk::ShutdownAck]);
        assert_eq!((names(&sent), only(&sent).vtag), (vec![vec!["SHUTDOWN-COMPLETE"]], 77));
    }
}

/// RFC 9260 rows: 9.2-27.
///
/// Pitfall 34.
#[test]
fn an_init_in_shutdown_ack_sent_asks_for_the_shutdown_ack_again() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "SHUTDOWN-ACK-SENT");
    let before = (p.events.len(), p.stack.association_count());
    let init = p.init_chunk(&[]);
    let sent = p.give_in(p.envelope().tagged(0), &[Chunk::Init(init)]);
    assert_eq!((names(&sent), only(&sent).vtag), (vec![vec!["SHUTDOWN-ACK"]], p.tag));
    assert_eq!((p.state(), p.events.len(), p.stack.association_count()), ("SHUTDOWN-ACK-SENT", before.0, before.1));
}

/// RFC 9260 rows: 9.2-30.
///
/// Pitfall 77.
#[test]
fn both_shut_down_at_once() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "SHUTDOWN-SENT");
    p.pass(Duration::from_millis(600));
    assert_eq!(names(&p.give(&[Chunk::Shutdown(p.shutdown_chunk())])), [["SHUTDOWN-ACK"]]);
    assert_eq!(p.state(), "SHUTDOWN-ACK-SENT");
    assert!(p.pass(Duration::from_millis(900)).is_empty(), "T2 began anew");
    assert_eq!(names(&p.pass(Duration::from_millis(100))), [["SHUTDOWN-ACK"]]);
    // Both sent SHUTDOWN ACK: each answers the other's.
    assert_eq!(names(&p.give(&[Chunk::ShutdownAck])), [["SHUTDOWN-COMPLETE"]]);
    assert_eq!(p.state(), "CLOSED");
}

/// Pitfall 81.
#[test]
fn shutdown_and_sack_share_a_packet_in_either_order() {
    for order in [false, true] {
        let mut p = Puppet::established(AssocConfig::rfc());
        p.send(0, b"data");
        let (shutdown, sack) = (Chunk::Shutdown(p.shutdown_chunk()), p.sack());
        let sent = if order { p.give(&[shutdown, sack]) } else { p.give(&[sack, shutdown]) };
        assert_eq!(names(&sent), [["SHUTDOWN-ACK"]]);
        assert_eq!(p.state(), "SHUTDOWN-ACK-SENT");
    }
}

/// Pitfall 80.
#[test]
fn a_shutdown_ack_where_no_shutdown_was_sent_means_nothing() {
    for state in ["ESTABLISHED", "SHUTDOWN-PENDING", "SHUTDOWN-RECEIVED"] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        assert!(p.give(&[Chunk::ShutdownAck]).is_empty());
        assert_eq!(p.state(), state);
    }
}

/// The peer has gone for good when our SHUTDOWN ACK is answered with an ABORT that reflects: only its SHUTDOWN COMPLETE was lost.
///
/// Pitfall 83.
#[test]
fn a_lost_shutdown_complete_still_ends_in_a_graceful_close() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "SHUTDOWN-ACK-SENT");
    let complete = Chunk::ShutdownComplete(ShutdownComplete { t: true });
    assert_eq!(names(&p.pass(Duration::from_secs(1))), [["SHUTDOWN-ACK"]]);
    p.give_in(p.envelope().tagged(p.tag), &[complete]);
    assert_eq!((p.state(), lost(&p)), ("CLOSED", Some(&CloseReason::Shutdown)));
    // Its next packet, if any, is out of the blue.
    let data = p.data(0, b"ghost");
    assert!(matches!(only(&p.give(&[data])).first(), Seen::Abort { t: true, .. }));
}

/// Both directions have data outstanding when the user closes: each message arrives or is reported.
#[test]
fn a_shutdown_with_data_outstanding_in_both_directions_loses_nothing() {
    let mut p = Puppet::established(AssocConfig::rfc());
    for n in 0..5 {
        p.try_send(0, &[n; 1_000], SendOptions::ordered()).unwrap();
    }
    p.shutdown();
    for _ in 0..3 {
        let data = p.data(0, b"crossing");
        p.give(&[data]);
    }
    while p.state() == "SHUTDOWN-PENDING" {
        p.ack();
    }
    assert_eq!(p.state(), "SHUTDOWN-SENT");
    let data = p.data(0, b"crossing");
    p.give(&[data]);
    let read: Vec<_> = core::iter::from_fn(|| p.recv()).collect();
    assert_eq!(read.len(), 4);
    p.give(&[Chunk::ShutdownAck]);
    assert_eq!(lost(&p), Some(&CloseReason::Shutdown));
    assert!(!p.heard(|e| matches!(e, Event::SendFailed { .. })));
}
