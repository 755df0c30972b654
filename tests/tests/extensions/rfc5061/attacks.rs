//! Attack class 6 of other stacks' history: ASCONF.

use sctp_user::wire::chunk::kind;
use sctp_user::{AssocConfig, Event};
use testbed::puppet::{Puppet, encode_params, ip, names, raw_chunk, raw_item};

use super::{ADD, DELETE, PRIMARY, acks, asconf, ask, closed_network, open, peers};

const A: &str = "10.0.0.1";
const Z: &str = "10.0.0.2";
const Y: &str = "10.1.0.2";

/// Every way to be too short or too long, in the association and from an unknown address (CVE-2026-53225, CVE-2014-3673, CVE-2012-3549,
/// usrsctp 790a7a25 and 54f46950): nothing is done, nothing is answered, and the association lives.
#[test]
fn malformed_asconfs_are_dropped() {
    let good = asconf(0x1000, Z, &[(ADD, 1, Y), (DELETE, 2, "10.2.0.2"), (PRIMARY, 3, Z)]);
    let six = asconf(0x1000, "fd00::2", &[(ADD, 1, "fd00::3")]);
    for from in [Z, "10.77.0.2"] {
        let mut p = open(&[A], &[Z]);
        for chunk in [&good, &six] {
            // Cut short, with a length that says so, or not.
            for len in 4..chunk.len() {
                let mut cut = chunk[..len].to_vec();
                let whole = [8, 16, 28, 32, 44, 48, 60].contains(&len) && len >= 16;
                cut[2..4].copy_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
                cut.resize(len.next_multiple_of(4), 0);
                if !(whole && len % 16 == 0) {
                    let sent = ask(&mut p, from, &cut);
                    assert!(acks(&sent).is_empty() || peers(&mut p).len() <= 4, "{len}");
                }
            }
            // Any length of any item wrong.
            for at in (4..chunk.len()).step_by(4) {
                for value in [0_u16, 1, 3, 4, 5, 7, 0xffff] {
                    let mut bad = chunk.clone();
                    bad[at + 2..at + 4].copy_from_slice(&value.to_be_bytes());
                    ask(&mut p, from, &bad);
                    assert_eq!(p.state(), "ESTABLISHED");
                }
            }
        }
    }
}

/// RFC 5061 rows: 4.1.1-5, 4.1.1-6, 4.1.1-7.
#[test]
fn a_host_name_is_no_address() {
    let name = raw_item(11, b"host.example");
    let address = raw_item(5, &[10, 0, 0, 2]);
    let request = raw_item(0xc001, &[&[0, 0, 0, 1][..], &name].concat());
    for value in [[&[0, 0, 0x10, 0][..], &name].concat(), [&[0, 0, 0x10, 0][..], &address, &request].concat(), vec![0, 0, 0x10, 0]] {
        let mut p = open(&[A], &[Z]);
        assert_eq!(p.tsn, 0x1000);
        let sent = ask(&mut p, Z, &raw_chunk(kind::ASCONF, 0, &value));
        assert!(sent.is_empty(), "{:?}", names(&sent));
        // The number is not used up.
        let sent = ask(&mut p, Z, &asconf(0x1000, Z, &[(ADD, 1, Y)]));
        assert_eq!(acks(&sent).len(), 1);
    }
}

/// CVE-2026-99128: an ASCONF without anything in it ends nowhere else but in its answer.
#[test]
fn an_empty_asconf_is_answered_once() {
    let mut p = open(&[A], &[Z]);
    let serial = p.tsn;
    let sent = ask(&mut p, Z, &raw_chunk(kind::ASCONF, 0, &[]));
    assert!(sent.is_empty());
    let sent = ask(&mut p, Z, &asconf(serial, Z, &[]));
    assert_eq!(acks(&sent), [(serial, vec![], ip(Z))]);
}

/// CVE-2014-3688: floods of ASCONFs cost no memory: neither old nor new nor unauthenticated ones are queued.
#[test]
fn floods_leave_nothing_behind() {
    let mut p = open(&[A], &[Z]);
    for (serial, round) in (p.tsn..).zip(0..500) {
        let addr = format!("10.50.{}.2", round % 200);
        ask(&mut p, Z, &asconf(serial, Z, &[(ADD, 1, &addr), (PRIMARY, 2, &addr), (DELETE, 3, &addr)]));
        ask(&mut p, Z, &asconf(serial.wrapping_add(round + 2), Z, &[(ADD, 1, Y)]));
    }
    assert_eq!(peers(&mut p), [ip(Z)]);
    let waiting = p.events.iter().filter(|e| matches!(e, Event::PathState { .. })).count();
    assert!(waiting >= 500, "a user who reads is told: {waiting}");
    // One who does not read is not told for ever.
    let id = p.id();
    let stats = p.stack.assoc(id).unwrap().stats();
    assert_eq!((stats.in_asconfs, stats.dropped_controls), (1_000, 0));
}

/// CVE-2015-3212, CVE-2024-0639: addresses of the host that come and go while associations come and go.
#[test]
fn the_hosts_addresses_may_change_at_any_moment() {
    let mut p = Puppet::at(closed_network(), &[A], &[Z]);
    p.params = encode_params(&[sctp_user::wire::Param::SupportedExtensions(&[kind::ASCONF, kind::ASCONF_ACK])]);
    for n in 0..20_u8 {
        super::host(&mut p, &[A, &format!("10.60.{n}.1")]);
        p.connect();
        super::host(&mut p, &[A]);
        p.give_init_ack();
        super::host(&mut p, &[A, &format!("10.61.{n}.1")]);
        p.give(&[sctp_user::wire::Chunk::CookieAck]);
        super::host(&mut p, &[A]);
        let id = p.id();
        p.abort(b"next");
        super::host(&mut p, &[&format!("10.62.{n}.1"), A]);
        p.stack.forget(id);
        super::host(&mut p, &[A]);
    }
    assert_eq!(p.stack.association_count(), 0);
}

/// RFC 5061 section 4.1.1: without AUTH, and without the option for closed networks, nobody has Add-IP.
#[test]
fn a_peer_without_auth_is_without_add_ip() {
    let mut cfg = AssocConfig::rfc();
    (cfg.add_ip, cfg.auth) = (true, true);
    let mut p = Puppet::new(cfg);
    p.params = encode_params(&[sctp_user::wire::Param::SupportedExtensions(&[kind::ASCONF, kind::ASCONF_ACK])]);
    p.open();
    let serial = p.tsn;
    let sent = ask(&mut p, Z, &asconf(serial, Z, &[(ADD, 1, Y)]));
    assert!(acks(&sent).is_empty());
    assert_eq!(peers(&mut p), [ip(Z)]);
}
