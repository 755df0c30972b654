//! Section 9: how associations end.

use core::time::Duration;

use sctp_user::wire::Chunk;
use sctp_user::wire::chunk::{Abort, Heartbeat, Shutdown, ShutdownComplete};
use sctp_user::{AssocConfig, CloseReason, Event, Node as _, Tsn};
use testbed::puppet::{Puppet, Seen, Sent, chunks, data, names, only, raw_item, sack};

fn seconds(log: &[Sent], name: &str) -> Vec<u64> {
    let at: Vec<_> = log.iter().filter(|s| s.names().contains(&name)).map(|s| s.at).collect();
    at.iter().map(|t| (*t - at[0]).as_secs()).collect()
}

fn t2(p: &Puppet) -> Duration {
    p.stack.poll_timeout().unwrap() - p.now
}

fn lost(p: &Puppet) -> Option<&CloseReason> {
    p.events.iter().find_map(|e| if let Event::Lost { reason } = e { Some(reason) } else { None })
}

/// RFC 9260 rows: 9-1.
#[test]
fn an_endpoint_that_leaves_aborts_its_associations() {
    let mut p = Puppet::established(AssocConfig::rfc());
    p.stack.close(p.now, p.endpoint);
    let sent = p.collect();
    assert!(matches!(only(&sent).first(), Seen::Abort { t: false, .. }), "{sent:?}");
    assert_eq!(p.stack.association_count(), 0);
}

/// RFC 9260 rows: 9.1-7, 9.1-8, 9.1-9.
#[test]
fn an_abort_removes_the_association_and_the_user_is_told_why() {
    for state in ["ESTABLISHED", "SHUTDOWN-PENDING", "SHUTDOWN-SENT", "SHUTDOWN-RECEIVED", "SHUTDOWN-ACK-SENT"] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        let causes = raw_item(12, b"tired");
        assert!(p.give(&[Chunk::Abort(Abort { t: false, causes: &causes })]).is_empty());
        assert_eq!((p.stack.association_count(), p.stack.poll_timeout()), (0, None), "{state}");
        let told = CloseReason::PeerAborted(causes[..9].to_vec().into());
        assert!(matches!(lost(&p), Some(CloseReason::PeerAborted(c)) if c.starts_with(&causes[..9])), "{told:?} {:?}", p.events);
    }
}

/// RFC 9260 rows: 9.2-1, 9.2-3.
#[test]
fn t2_starts_with_the_shutdown_and_lasts_the_rto() {
    let mut p = Puppet::established(AssocConfig::rfc());
    assert_eq!(names(&p.shutdown()), [["SHUTDOWN"]]);
    assert_eq!(p.state(), "SHUTDOWN-SENT");
    let rto = p.status().unwrap().rto;
    assert_eq!(t2(&p), rto);
    assert_eq!(names(&p.tick().unwrap()), [["SHUTDOWN"]]);
    assert_eq!(t2(&p), rto * 2, "and doubles");
}

/// RFC 9260 rows: 9.2-2.
#[test]
fn a_shutdown_that_is_sent_again_has_the_newest_cumulative_tsn() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "SHUTDOWN-SENT");
    let first = p.tsn.wrapping_sub(1);
    let sent = p.tick().unwrap();
    assert_eq!(*only(&sent).first(), Seen::Shutdown { cum: first });
    let data = p.data(0, b"x");
    p.give(&[data]);
    let sent = p.tick().unwrap();
    assert_eq!(*sent[0].first(), Seen::Shutdown { cum: first.wrapping_add(1) });
}

/// RFC 9260 rows: 9.2-4, 9.2-5, 9.2-6.
#[test]
fn an_unanswered_shutdown_is_given_up() {
    let mut cfg = AssocConfig::rfc();
    cfg.assoc_max_retrans = 4;
    let mut p = Puppet::in_state(cfg, "SHUTDOWN-SENT");
    p.pass(Duration::from_secs(600));
    assert_eq!(seconds(&p.log, "SHUTDOWN"), [0, 1, 3, 7, 15]);
    assert_eq!((lost(&p), p.stack.association_count()), (Some(&CloseReason::PeerUnreachable), 0));
}

/// RFC 9260 rows: 9.2-18, 9.2-19, 9.2-20, 9.2-21.
#[test]
fn an_unanswered_shutdown_ack_is_given_up() {
    let mut cfg = AssocConfig::rfc();
    cfg.assoc_max_retrans = 4;
    let mut p = Puppet::in_state(cfg, "SHUTDOWN-ACK-SENT");
    p.pass(Duration::from_secs(600));
    assert_eq!(seconds(&p.log, "SHUTDOWN-ACK"), [0, 1, 3, 7, 15]);
    assert_eq!((lost(&p), p.stack.association_count()), (Some(&CloseReason::PeerUnreachable), 0));
}

/// RFC 9260 rows: 9.2-7.
#[test]
fn any_packet_of_the_peer_gives_it_more_time() {
    let mut cfg = AssocConfig::rfc();
    cfg.assoc_max_retrans = 1;
    let mut p = Puppet::in_state(cfg, "SHUTDOWN-SENT");
    let info = raw_item(1, b"alive");
    for n in 0..6 {
        let wait = t2(&p);
        assert_eq!(names(&p.tick().unwrap()), [["SHUTDOWN"]], "{n}");
        p.pass(wait / 4);
        let chunk = if n % 2 == 0 { Chunk::Heartbeat(Heartbeat { tlvs: &info }) } else { p.data(0, b"still sending") };
        p.give(&[chunk]);
        assert!(t2(&p) >= Duration::from_secs(1), "T2-shutdown starts anew");
    }
    assert_eq!(p.state(), "SHUTDOWN-SENT");
}

/// RFC 9260 rows: 9.2-8, 9.2-9.
#[test]
fn in_shutdown_received_the_user_cannot_shut_down_and_the_peer_is_answered() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "SHUTDOWN-RECEIVED");
    assert!(p.shutdown().is_empty());
    assert_eq!(p.state(), "SHUTDOWN-RECEIVED");
    // A second SHUTDOWN, which now acknowledges all.
    assert_eq!(names(&p.give(&[Chunk::Shutdown(p.shutdown_chunk())])), [["SHUTDOWN-ACK"]]);
    assert!(p.shutdown().is_empty());
    assert_eq!(p.state(), "SHUTDOWN-ACK-SENT");
    assert_eq!(names(&p.give(&[Chunk::Shutdown(p.shutdown_chunk())])), [["SHUTDOWN-ACK"]]);
}

/// RFC 9260 rows: 9.2-13, 6.2-16, 6.2-19.
#[test]
fn a_shutdown_alone_does_not_acknowledge_gaps_and_duplicates() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "SHUTDOWN-SENT");
    let first = p.tsn;
    let sent = p.give(&[Chunk::Data(data(first.wrapping_add(1), 0, 1, b"two"))]);
    let seen: Vec<_> = chunks(&sent).collect();
    assert!(seen.iter().any(|c| matches!(c, Seen::Shutdown { cum } if *cum == first.wrapping_sub(1))), "{seen:?}");
    assert!(seen.iter().any(|c| matches!(c, Seen::Sack { gaps, .. } if *gaps == [(2, 2)])), "{seen:?}");
    let sent = p.give(&[Chunk::Data(data(first.wrapping_add(1), 0, 1, b"two"))]);
    assert!(chunks(&sent).any(|c| matches!(c, Seen::Sack { dups, .. } if *dups == [first.wrapping_add(1)])), "{sent:?}");
    p.give(&[Chunk::Data(data(first, 0, 0, b"one"))]);
    assert_eq!((p.recv().unwrap().payload, p.recv().unwrap().payload), ("one".into(), "two".into()));
}

/// RFC 9260 rows: 9.2-14, 9.2-15, 9.2-16.
#[test]
fn a_shutdown_that_does_not_end_is_aborted_after_five_times_rto_max() {
    let mut cfg = AssocConfig::rfc();
    cfg.rto_max = Duration::from_secs(8);
    let mut p = Puppet::in_state(cfg, "SHUTDOWN-SENT");
    let begin = p.now;
    // The peer sends without end.
    while p.now - begin < Duration::from_secs(60) && p.state() == "SHUTDOWN-SENT" {
        p.pass(Duration::from_millis(500));
        if p.state() == "SHUTDOWN-SENT" {
            let data = p.data(0, b"more and more");
            p.give(&[data]);
            while p.recv().is_some() {}
        }
    }
    let abort = p.log.iter().find(|s| s.names() == ["ABORT"]).unwrap();
    assert_eq!((abort.at - begin, abort.vtag), (Duration::from_secs(40), p.tag));
    assert_eq!(lost(&p), Some(&CloseReason::ShutdownTimeout));
}

/// RFC 9260 rows: 9.2-22, 9.2-24, 9.2-31.
#[test]
fn the_last_chunk_stops_the_timers_and_removes_the_association() {
    for (state, chunk, answer) in [
        ("SHUTDOWN-SENT", Chunk::ShutdownAck, vec![vec!["SHUTDOWN-COMPLETE"]]),
        ("SHUTDOWN-ACK-SENT", Chunk::ShutdownAck, vec![vec!["SHUTDOWN-COMPLETE"]]),
        ("SHUTDOWN-ACK-SENT", Chunk::ShutdownComplete(ShutdownComplete { t: false }), vec![]),
    ] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        assert_eq!(names(&p.give(&[chunk])), answer, "{state} {chunk:?}");
        assert_eq!((p.stack.association_count(), p.stack.poll_timeout()), (0, None));
        assert_eq!(lost(&p), Some(&CloseReason::Shutdown));
    }
}

/// RFC 9260 rows: 9.2-25.
#[test]
fn a_shutdown_waits_for_what_is_outstanding() {
    let mut p = Puppet::established(AssocConfig::rfc());
    p.send(0, &[1; 3_000]);
    assert!(p.shutdown().is_empty());
    assert_eq!(p.state(), "SHUTDOWN-PENDING");
    let sent = p.give(&[sack(p.cum.wrapping_sub(1), p.a_rwnd, &[], &[])]);
    assert!(!names(&sent).concat().contains(&"SHUTDOWN"), "{:?}", names(&sent));
    let sent = p.ack();
    assert!(names(&sent).concat().contains(&"SHUTDOWN"), "{:?}", names(&sent));
    assert_eq!(p.state(), "SHUTDOWN-SENT");
}

/// RFC 9260 rows: 9.2-27.
#[test]
fn an_init_in_shutdown_ack_sent_is_answered_with_the_shutdown_ack() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "SHUTDOWN-ACK-SENT");
    p.tag += 1;
    let sent = p.give_in(p.envelope().tagged(0), &[Chunk::Init(p.init_chunk(&[]))]);
    assert_eq!((only(&sent).names(), sent[0].vtag), (vec!["SHUTDOWN-ACK"], p.tag - 1));
    assert_eq!(p.state(), "SHUTDOWN-ACK-SENT");
}

/// RFC 9260 rows: 9.2-30.
#[test]
fn simultaneous_shutdown() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "SHUTDOWN-SENT");
    p.pass(Duration::from_millis(700));
    assert_eq!(names(&p.give(&[Chunk::Shutdown(Shutdown { cum_tsn: Tsn(p.cum) })])), [["SHUTDOWN-ACK"]]);
    assert_eq!((p.state(), t2(&p)), ("SHUTDOWN-ACK-SENT", p.status().unwrap().rto));
}
