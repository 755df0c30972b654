//! What the stack asks for: addresses of its host that come and go.

use core::time::Duration;

use sctp_user::wire::chunk::{Abort, ErrorChunk, Heartbeat, kind};
use sctp_user::wire::{Cause, Chunk, Encode as _};
use sctp_user::{AddressError, CloseReason, Event};
use testbed::puppet::{Puppet, Seen, Sent, ip, names};

use super::{ADD, DELETE, PRIMARY, acknowledge, asconfs, closed_network, host, ips, open, open_with, own};

const A: &str = "10.0.0.1";
const B: &str = "10.1.0.1";
const C: &str = "10.2.0.1";
const Z: &str = "10.0.0.2";
const Y: &str = "10.1.0.2";

/// The initial TSN of the stack, with which its numbers begin.
fn first_serial(p: &Puppet) -> u32 {
    p.cum.wrapping_add(1)
}

/// What the stack sends of its own accord within a second, and in answer to a HEARTBEAT and DATA that come to `to`.
fn provoke(p: &mut Puppet, to: &str) -> Vec<Sent> {
    let info = [0, 1, 0, 8, 1, 2, 3, 4];
    let data = p.data(0, b"hello");
    let mut sent = p.give_in(p.envelope().to(to), &[Chunk::Heartbeat(Heartbeat { tlvs: &info }), data]);
    sent.extend(p.pass(Duration::from_millis(300)));
    sent
}

/// RFC 5061 rows: 5.1-1, 5.1-2, 5.1-3, 5.1-5, 5.3-3.
#[test]
fn an_address_is_added_and_used_once_acknowledged() {
    let mut p = open(&[A], &[Z]);
    let sent = host(&mut p, &[A, B]);
    let [asked] = &asconfs(&sent)[..] else { panic!("{:?}", names(&sent)) };
    assert_eq!((asked.serial, asked.address, asked.src), (first_serial(&p), ip(A), ip(A)));
    assert_eq!(asked.asked(), [(ADD, ip(B))]);
    // It is not ours to the peer yet: nothing leaves from there. But what comes there is not out of the blue.
    let sent = provoke(&mut p, B);
    assert!(sent.iter().all(|s| s.src != ip(B)), "{sent:?}");
    assert!(names(&sent).concat().contains(&"SACK") && !names(&sent).concat().contains(&"ABORT"), "{:?}", names(&sent));
    assert!(p.recv().is_some());
    acknowledge(&mut p, asked.serial, &[]);
    assert_eq!(own(&mut p), ips(&[A, B]));
    let sent = provoke(&mut p, B);
    assert!(sent.iter().any(|s| s.src == ip(B) && s.names().contains(&"HEARTBEAT-ACK")), "{sent:?}");
}

/// RFC 5061 rows: 5.3-30, 5.3-31, 5.3-32, 5.3-33.
#[test]
fn data_to_an_address_that_is_being_added_is_taken() {
    let mut p = open(&[A], &[Z]);
    host(&mut p, &[A, B]);
    let data = p.data(0, b"early");
    let sent = p.give_in(p.envelope().to(B), &[data]);
    assert_eq!(p.recv().unwrap().payload, "early");
    assert!(sent.iter().all(|s| s.src == ip(A) && s.names() == ["SACK"]), "{sent:?}");
}

/// RFC 5061 rows: 5.1-7, 5.1-12, 5.1-13, 5.1-14, 5.5-2.
#[test]
fn an_asconf_is_repeated_unchanged_elsewhere_and_backs_off() {
    let mut p = open(&[A, B], &[Z, Y]);
    let first = asconfs(&host(&mut p, &[A, B, C]));
    let [first] = &first[..] else { panic!("{first:?}") };
    // A change meanwhile does not change what is under way.
    host(&mut p, &[A, B, C, "10.3.0.1"]);
    let mut times = vec![p.now];
    let mut ways = vec![first.dst];
    while times.len() < 4 {
        for again in asconfs(&p.tick().unwrap()) {
            assert_eq!(again.raw, first.raw);
            times.push(p.now);
            ways.push(again.dst);
        }
    }
    assert_eq!(ways[..2], ips(&[Z, Y]), "{ways:?}");
    let waits: Vec<_> = times.windows(2).map(|w| w[1] - w[0]).collect();
    assert!(waits[2] > waits[0], "{waits:?}");
    let id = p.id();
    let paths = p.stack.assoc(id).unwrap().paths();
    assert!(paths.iter().all(|path| path.error_count > 0), "{paths:?}");
}

/// RFC 5061 rows: 5.1-12.
#[test]
fn without_an_answer_the_association_ends() {
    let mut p = open(&[A], &[Z]);
    host(&mut p, &[A, B]);
    let mut count = 1;
    while p.state() == "ESTABLISHED" {
        count += asconfs(&p.tick().unwrap()).len();
    }
    assert_eq!(count, 1 + 10, "Association.Max.Retrans");
    assert!(p.heard(|e| matches!(e, Event::Lost { reason: CloseReason::PeerUnreachable })));
}

/// RFC 5061 rows: 5.1-4, 5.1-6, 5.1-8, 5.1.1-1, 5.1.1-2.
#[test]
fn one_is_under_way_at_a_time_and_the_next_follows_the_answer() {
    let mut p = open(&[A], &[Z]);
    let first = asconfs(&host(&mut p, &[A, B]))[0].clone();
    // However much changes meanwhile, the next one asks for what is different in the end.
    for n in 0..100 {
        let other = format!("10.9.{n}.1");
        assert!(host(&mut p, &[A, B, &other]).is_empty());
    }
    assert!(host(&mut p, &[A, B, C]).is_empty());
    let next = asconfs(&acknowledge(&mut p, first.serial, &[]));
    let [next] = &next[..] else { panic!("{next:?}") };
    assert_eq!((next.serial, next.asked()), (first.serial.wrapping_add(1), vec![(ADD, ip(C))]));
    assert_eq!(asconfs(&acknowledge(&mut p, next.serial, &[])), []);
    assert_eq!(own(&mut p), ips(&[A, B, C]));
    assert!(asconfs(&p.pass(Duration::from_secs(100))).is_empty(), "T4 is stopped");
    let id = p.id();
    assert_eq!(p.stack.assoc(id).unwrap().paths()[0].error_count, 0);
}

/// RFC 5061 rows: 5.3-10, 5.3-11, 5.3-12, 5.3-17, 5.3-34.
#[test]
fn a_deleted_address_is_no_source_at_once_and_is_reached_for_a_moment() {
    let mut p = open(&[A, B], &[Z]);
    let rto = p.status().unwrap().rto;
    let asked = asconfs(&host(&mut p, &[B]));
    let [asked] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!((asked.asked(), asked.src, asked.address), (vec![(DELETE, ip(A))], ip(B), ip(B)));
    let sent = provoke(&mut p, A);
    assert!(sent.iter().all(|s| s.src == ip(B)), "{sent:?}");
    assert!(p.recv().is_some());
    acknowledge(&mut p, asked.serial, &[]);
    let sent = provoke(&mut p, A);
    assert!(sent.iter().all(|s| s.src == ip(B)), "{sent:?}");
    assert!(p.recv().is_some());
    p.pass(rto * 2);
    let data = p.data(0, b"late");
    let sent = p.give_in(p.envelope().to(A), &[data]);
    assert_eq!(names(&sent), [["ABORT"]], "out of the blue");
    assert!(p.recv().is_none());
}

/// RFC 5061 rows: 5.3-13, 5.3.1-1.
#[test]
fn an_abort_to_an_address_that_is_being_deleted_is_ignored() {
    let mut p = open(&[A, B], &[Z]);
    host(&mut p, &[B]);
    let abort = Chunk::Abort(Abort { t: false, causes: &[] });
    let reflected = Chunk::Abort(Abort { t: true, causes: &[] });
    p.give_in(p.envelope().to(A), &[abort]);
    p.give_in(p.envelope().to(A).tagged(p.tag), &[reflected]);
    assert_eq!(p.state(), "ESTABLISHED");
    p.give_in(p.envelope().to(B), &[abort]);
    assert_eq!(p.state(), "CLOSED");
}

/// RFC 5061 rows: 5.3-14, 5.3-15, 5.3-16.
#[test]
fn the_last_address_stays() {
    let mut p = open(&[A, B], &[Z]);
    let (id, now) = (p.id(), p.now);
    let mut assoc = p.stack.assoc(id).unwrap();
    assert_eq!(assoc.remove_address(now, ip(A)), Ok(()));
    assert_eq!(assoc.remove_address(now, ip(A)), Err(AddressError::NotOurs));
    assert_eq!(assoc.remove_address(now, ip(B)), Err(AddressError::LastAddress));
    // Nor if the host has none at all.
    let asked = asconfs(&p.collect());
    assert_eq!(host(&mut p, &[]), []);
    assert!(asconfs(&acknowledge(&mut p, asked[0].serial, &[])).is_empty());
    assert_eq!(own(&mut p), ips(&[B]));
}

/// RFC 5061 rows: 5.3-14, 5.3-15, 5.3.2-1, 5.5-5.
#[test]
fn the_only_address_is_changed_for_another_one() {
    let mut p = open(&[A], &[Z]);
    p.send(0, b"before");
    p.ack();
    let asked = asconfs(&host(&mut p, &[B]));
    let [asked] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!((asked.src, asked.address, asked.asked()), (ip(B), ip(A), vec![(ADD, ip(B)), (DELETE, ip(A))]));
    // Nothing but the ASCONF leaves until the peer knows the address, whatever happens.
    let mut sent = p.send(0, b"meanwhile");
    sent.extend(provoke(&mut p, B));
    sent.extend(p.pass(Duration::from_secs(20)));
    assert!(!sent.is_empty());
    assert!(sent.iter().all(|s| s.src == ip(B) && s.names() == ["ASCONF"]), "{sent:?}");
    let sent = acknowledge(&mut p, asked.serial, &[]);
    assert!(sent.iter().any(|s| s.names().contains(&"DATA")), "{:?}", names(&sent));
    assert!(sent.iter().all(|s| s.src == ip(B)));
    assert_eq!(own(&mut p), ips(&[B]));
}

#[test]
fn the_address_may_change_again_before_the_peer_has_answered() {
    let mut p = open(&[A], &[Z]);
    let first = asconfs(&host(&mut p, &[B]))[0].clone();
    host(&mut p, &[C]);
    // The same chunk, from the address that there is.
    let again = asconfs(&p.tick().unwrap());
    let [again] = &again[..] else { panic!("{again:?}") };
    assert_eq!((&again.raw, again.src), (&first.raw, ip(C)));
    let next = asconfs(&acknowledge(&mut p, first.serial, &[]));
    assert_eq!((next[0].src, next[0].asked()), (ip(C), vec![(ADD, ip(C)), (DELETE, ip(B))]));
    acknowledge(&mut p, next[0].serial, &[]);
    assert_eq!(own(&mut p), ips(&[C]));
}

/// RFC 5061 rows: 5.3-1, 5.3-2.
#[test]
fn an_asconf_ack_that_nothing_asked_for_ends_the_association() {
    for (outstanding, ahead, ends) in [(false, 0, true), (false, 1 << 30, true), (true, 1, true), (true, -1, false), (false, -1, false)] {
        let mut p = open(&[A], &[Z]);
        let serial = first_serial(&p).wrapping_add_signed(ahead);
        if outstanding {
            host(&mut p, &[A, B]);
        }
        let sent = acknowledge(&mut p, serial, &[]);
        assert_eq!(p.state(), if ends { "CLOSED" } else { "ESTABLISHED" }, "{outstanding} {ahead}");
        if ends {
            assert_eq!(names(&sent), [["ABORT"]]);
            let raw = &sent[0].chunks[0].raw;
            assert_eq!(raw[4..8], [0, 0xa3, 0, 4]);
        }
    }
}

/// RFC 5061 rows: 4.1.1-9, 5.1-10, 5.1-11, 5.1.1-7.
#[test]
fn a_peer_that_does_not_know_asconf_is_not_asked_again() {
    let mut p = open(&[A, B], &[Z]);
    let asked = asconfs(&host(&mut p, &[B, C]))[0].clone();
    let causes = Cause::UnrecognizedChunk(&asked.raw).to_vec();
    p.give(&[Chunk::Error(ErrorChunk { causes: &causes })]);
    let mut sent = p.pass(Duration::from_secs(100));
    sent.extend(host(&mut p, &[A, B, C]));
    assert!(asconfs(&sent).is_empty());
    assert_eq!(p.state(), "ESTABLISHED");
    assert!(own(&mut p).contains(&ip(A)), "as it was");
    assert!(p.heard(|e| matches!(e, Event::RemoteError(_))), "the user is told");
}

/// RFC 5061 rows: 5.3-6, 5.3-7, 5.3-8, 5.3-9.
#[test]
fn what_a_peer_does_not_understand_is_not_asked_again() {
    let mut p = open(&[A, B], &[Z]);
    let asked = asconfs(&host(&mut p, &[A, B, C]))[0].clone();
    let causes = Cause::UnrecognizedParams(&asked.raw[16..]).to_vec();
    acknowledge(&mut p, asked.serial, &[(asked.requests[0].1, &causes)]);
    assert_eq!(own(&mut p), ips(&[A, B]));
    assert!(asconfs(&host(&mut p, &[A, B, "10.3.0.1"])).is_empty());
    // But another kind of request is.
    let (id, now) = (p.id(), p.now);
    p.stack.assoc(id).unwrap().set_peer_primary(now, ip(B)).unwrap();
    let asked = asconfs(&p.collect())[0].clone();
    assert_eq!(asked.asked(), [(PRIMARY, ip(B))]);
    acknowledge(&mut p, asked.serial, &[(asked.requests[0].1, &causes)]);
    p.stack.assoc(id).unwrap().set_peer_primary(now, ip(A)).unwrap();
    assert!(asconfs(&p.collect()).is_empty());
}

/// RFC 5061 rows: 5.1-9.
#[test]
fn every_response_is_taken_in() {
    let refusal = Cause::NotAuthorized(&[]).to_vec();
    // What is not mentioned was done, unless something before it failed.
    for (failed, known) in [(vec![], 3), (vec![0], 1), (vec![1], 2), (vec![2], 3)] {
        let mut p = open(&[A], &[Z]);
        let asked = asconfs(&host(&mut p, &[A, B, C, "10.3.0.1"]))[0].clone();
        assert_eq!(asked.requests.len(), 3);
        let errors: Vec<_> = failed.iter().map(|n: &usize| (asked.requests[*n].1, &refusal[..])).collect();
        let sent = acknowledge(&mut p, asked.serial, &errors);
        assert_eq!(own(&mut p).len(), known + usize::from(failed.is_empty()), "{failed:?}");
        // What failed only because of what was before it is tried again, what was refused is not.
        let again: usize = asconfs(&sent).iter().map(|a| a.requests.len()).sum();
        assert_eq!(again, failed.first().map_or(0, |n| 2 - n), "{failed:?}");
    }
}

/// RFC 5061 rows: 5.1.1-5.
#[test]
fn nothing_is_asked_or_answered_outside_of_the_states_for_it() {
    let mut p = Puppet::at(closed_network(), &[A], &[Z]);
    p.params = testbed::puppet::encode_params(&[sctp_user::wire::Param::SupportedExtensions(&[kind::ASCONF, kind::ASCONF_ACK])]);
    p.connect();
    assert!(asconfs(&host(&mut p, &[A, B])).is_empty(), "COOKIE-WAIT");
    p.give_init_ack();
    assert!(asconfs(&host(&mut p, &[A, B, C])).is_empty(), "COOKIE-ECHOED");
    let asked = asconfs(&p.give(&[Chunk::CookieAck]));
    assert_eq!(asked[0].asked(), [(ADD, ip(C))], "what changed meanwhile is told");
    acknowledge(&mut p, asked[0].serial, &[]);
    for (state, may) in [("SHUTDOWN-SENT", true), ("SHUTDOWN-ACK-SENT", false)] {
        let mut p = open(&[A], &[Z]);
        match state {
            "SHUTDOWN-SENT" => drop(p.shutdown()),
            _ => drop(p.give(&[Chunk::Shutdown(p.shutdown_chunk())])),
        }
        assert_eq!(p.state(), state);
        assert_eq!(asconfs(&host(&mut p, &[A, B])).len(), usize::from(may), "{state}");
        let sent = p.give_raw(&super::asconf(p.tsn, Z, &[(ADD, 1, Y)]));
        assert_eq!(super::acks(&sent).len(), usize::from(may), "{state}");
    }
}

/// RFC 5061 rows: 5.1.1-6.
#[test]
fn requests_that_do_not_fit_a_packet_follow_later() {
    let mut cfg = closed_network();
    cfg.mtu = 576;
    let mut p = open_with(cfg, &[A], &[Z]);
    let many: Vec<_> = (0..60).map(|n| format!("10.7.{n}.1")).collect();
    let all: Vec<_> = core::iter::once(A).chain(many.iter().map(String::as_str)).collect();
    let mut sent = host(&mut p, &all);
    let mut rounds = 0;
    while let Some(asked) = asconfs(&sent).first().cloned() {
        assert!(sent.iter().all(|s| s.bytes.len() <= 576 - 28), "{sent:?}");
        sent = acknowledge(&mut p, asked.serial, &[]);
        rounds += 1;
    }
    assert!(rounds > 1);
    assert_eq!(own(&mut p).len(), 61);
}

/// RFC 5061 rows: 5.4-1.
#[test]
fn the_peer_is_asked_for_a_primary_path_that_is_ours() {
    let mut p = open(&[A, B], &[Z]);
    let (id, now) = (p.id(), p.now);
    assert_eq!(p.stack.assoc(id).unwrap().set_peer_primary(now, ip(C)), Err(AddressError::NotOurs));
    p.stack.assoc(id).unwrap().set_peer_primary(now, ip(B)).unwrap();
    let asked = asconfs(&p.collect())[0].clone();
    assert_eq!(asked.asked(), [(PRIMARY, ip(B))]);
    acknowledge(&mut p, asked.serial, &[]);
}

/// Rulings section 1 row 12: a list that would make the handshake's packets long is completed by ASCONF.
#[test]
fn what_the_init_does_not_list_is_added_later() {
    for has in [true, false] {
        let mut cfg = closed_network();
        cfg.brief_listing = true;
        let many: Vec<_> = (0..64).map(|n| format!("fd00:{n:x}::1")).collect();
        let all: Vec<_> = many.iter().map(String::as_str).collect();
        let mut p = Puppet::at(cfg, &all, &["fd00::2"]);
        if has {
            p.params = testbed::puppet::encode_params(&[sctp_user::wire::Param::SupportedExtensions(&[kind::ASCONF, kind::ASCONF_ACK])]);
        }
        let init = p.connect();
        let Seen::Init(seen) = init[0].first() else { panic!() };
        assert_eq!(seen.addresses().len(), 24);
        assert!(init[0].bytes.len() < 700);
        p.give_init_ack();
        let mut sent = p.give(&[Chunk::CookieAck]);
        let mut added = 0;
        while let Some(asked) = asconfs(&sent).first().cloned() {
            added += asked.requests.len();
            sent = acknowledge(&mut p, asked.serial, &[]);
        }
        assert_eq!((added, own(&mut p).len()), if has { (40, 64) } else { (0, 24) });
    }
}

/// RFC 5061 rows: 6-2.
/// (Elsewhere addresses are named.) Rulings section 1 row 13: behind a NAT the peer is asked to take the address that it sees.
#[test]
fn behind_a_nat_all_addresses_are_wildcards() {
    let mut p = open(&[A], &["192.0.2.2"]);
    let asked = asconfs(&host(&mut p, &[B]));
    let [asked] = &asked[..] else { panic!("{asked:?}") };
    let any = ip("0.0.0.0");
    assert_eq!((asked.src, asked.address, asked.asked()), (ip(B), any, vec![(ADD, any), (DELETE, any)]));
    acknowledge(&mut p, asked.serial, &[]);
    assert_eq!(own(&mut p), ips(&[B]));
    // One that comes beside it is of no interest.
    assert!(asconfs(&host(&mut p, &[B, C])).is_empty());
}

#[test]
fn what_needs_add_ip_says_so_without_it() {
    let mut p = Puppet::established(closed_network());
    let (id, now) = (p.id(), p.now);
    let mut assoc = p.stack.assoc(id).unwrap();
    assert!(!assoc.has_add_ip());
    assert_eq!(assoc.set_peer_primary(now, ip(A)), Err(AddressError::Unsupported));
    assert_eq!(assoc.remove_address(now, ip(A)), Err(AddressError::Unsupported));
}

/// A COOKIE ECHO that comes again tells the peer nothing new: the address that it has not acknowledged is still to be added.
#[test]
fn an_old_cookie_does_not_make_an_address_known() {
    let mut p = Puppet::at(closed_network(), &[A], &[Z]);
    p.params = testbed::puppet::encode_params(&[sctp_user::wire::Param::SupportedExtensions(&[kind::ASCONF, kind::ASCONF_ACK])]);
    let cookie = p.give_init().cookie();
    let echo = Chunk::CookieEcho(sctp_user::wire::chunk::CookieEcho { cookie: &cookie });
    p.give(&[echo]);
    let asked = asconfs(&host(&mut p, &[A, B]))[0].clone();
    p.give(&[echo]);
    assert_eq!(own(&mut p), ips(&[A]));
    acknowledge(&mut p, asked.serial, &[]);
    assert_eq!(own(&mut p), ips(&[A, B]));
}

/// Rulings section 1 row 21: with a restart numbers begin anew, by the new initial TSNs, and the old tag leads nowhere.
#[test]
fn a_restart_begins_with_new_numbers() {
    let mut p = open(&[A], &[Z]);
    let (old_tag, serial) = (p.peer_tag, p.tsn);
    super::ask(&mut p, Z, &super::asconf(serial, Z, &[(ADD, 1, Y)]));
    let first = asconfs(&host(&mut p, &[A, B]))[0].clone();
    (p.tag, p.tsn) = (p.tag + 1, 0x9000);
    p.open();
    assert!(p.heard(|e| matches!(e, Event::Restarted)));
    let sent = super::ask(&mut p, Z, &super::asconf(0x9000, Z, &[(ADD, 1, "10.7.0.2")]));
    assert_eq!(super::acks(&sent).len(), 1);
    let next = asconfs(&host(&mut p, &[A, B, C]));
    assert_eq!(next[0].serial, first_serial(&p));
    assert_ne!(next[0].serial, first.serial);
    let envelope = p.envelope().from("10.77.0.2").tagged(old_tag);
    let sent = p.give_bytes(envelope, envelope.seal(&super::asconf(0x9001, "0.0.0.0", &[(ADD, 1, "0.0.0.0")])));
    assert_eq!(names(&sent), [["ABORT"]]);
}

/// A peer that does not find the association of our new address says so: it has not had the ASCONF that adds it. Nothing is lost yet.
#[test]
fn a_stranger_to_the_peer_is_not_sent_away() {
    let mut p = open(&[A], &[Z]);
    let asked = asconfs(&host(&mut p, &[B]))[0].clone();
    let reflected = Chunk::Abort(Abort { t: true, causes: &[] });
    p.give_in(p.envelope().to(B).tagged(p.tag), &[reflected]);
    assert_eq!(p.state(), "ESTABLISHED");
    acknowledge(&mut p, asked.serial, &[]);
    p.give_in(p.envelope().to(B).tagged(p.tag), &[reflected]);
    assert_eq!(p.state(), "CLOSED");
}

/// RFC 5061 section 5.3 rule F6, though the address that goes comes back before the peer has answered.
#[test]
fn an_asconf_never_leaves_from_what_it_deletes() {
    let mut p = open(&[A], &[Z]);
    let first = asconfs(&host(&mut p, &[B]))[0].clone();
    host(&mut p, &[A]);
    let sent = p.pass(Duration::from_secs(20));
    assert!(sent.iter().all(|s| s.src != ip(A)), "{sent:?}");
    host(&mut p, &[A, C]);
    let again = asconfs(&p.pass(Duration::from_secs(20)));
    assert!(again.iter().all(|a| a.src == ip(C) && a.raw == first.raw), "{again:?}");
    let sent = acknowledge(&mut p, first.serial, &[]);
    let next = asconfs(&sent);
    assert_eq!(next.len(), 1, "{} {:?} {:?}", p.state(), names(&sent), p.events);
    assert_eq!(next[0].asked(), [(ADD, ip(A)), (ADD, ip(C)), (DELETE, ip(B))]);
}

/// An address of the peer that none of ours reaches gets nothing, from wherever routing would have it leave.
#[test]
fn a_path_without_a_source_is_left_alone() {
    let mut p = open(&[A], &[Z]);
    let serial = p.tsn;
    let mut sent = super::ask(&mut p, Z, &super::asconf(serial, Z, &[(ADD, 1, "fd00::2")]));
    sent.extend(p.pass(Duration::from_secs(100)));
    assert!(sent.iter().all(|s| s.dst != ip("fd00::2")), "{sent:?}");
    let asked = asconfs(&host(&mut p, &[A, "fd00::1"]))[0].clone();
    let mut sent = acknowledge(&mut p, asked.serial, &[]);
    sent.extend(p.pass(Duration::from_secs(2)));
    assert!(sent.iter().any(|s| s.dst == ip("fd00::2") && s.src == ip("fd00::1") && s.names() == ["HEARTBEAT"]), "{sent:?}");
}

/// A system that gives a host another address may take the old one away first: for a moment there is none.
#[test]
fn the_only_address_may_be_gone_before_there_is_another() {
    let mut p = open(&[A], &[Z]);
    assert!(asconfs(&host(&mut p, &[])).is_empty());
    let asked = asconfs(&host(&mut p, &[B]))[0].clone();
    assert_eq!((asked.src, asked.asked()), (ip(B), vec![(ADD, ip(B)), (DELETE, ip(A))]));
    acknowledge(&mut p, asked.serial, &[]);
    assert_eq!(own(&mut p), ips(&[B]));
}
