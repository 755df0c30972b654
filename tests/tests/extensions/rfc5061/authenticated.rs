//! ASCONF with AUTH, as RFC 5061 wants it outside of closed networks.

use sctp_user::AssocConfig;
use sctp_user::wire::chunk::{AsconfAck, AsconfResponses, Chunk, CookieEcho, kind};
use sctp_user::{Event, Serial};
use testbed::puppet::{Puppet, Seen, Signer, encode, encode_params, ip, names, only};

use super::{ADD, DELETE, acks, asconf, asconfs, ask, host, ips, own, peers};

const A: &str = "10.0.0.1";
const B: &str = "10.1.0.1";
const Z: &str = "10.0.0.2";
const Y: &str = "10.1.0.2";
const LISTED: [u8; 3] = [kind::AUTH, kind::ASCONF, kind::ASCONF_ACK];

fn cfg() -> AssocConfig {
    let mut cfg = AssocConfig::rfc();
    (cfg.auth, cfg.add_ip, cfg.hb_interval) = (true, true, None);
    cfg
}

/// An association with both extensions that the puppet opened, and its side of authentication.
fn open() -> (Puppet, Signer) {
    let mut p = Puppet::new(cfg());
    p.params = Signer::params(0x55, &[kind::ASCONF, kind::ASCONF_ACK], &[1]);
    p.params.extend(encode_params(&[sctp_user::wire::Param::SupportedExtensions(&LISTED)]));
    let ack = p.give_init();
    let listed = ack.param(0x8008).unwrap();
    assert!(LISTED.iter().all(|k| listed.contains(k)), "{listed:?}");
    assert!([kind::ASCONF, kind::ASCONF_ACK].iter().all(|k| ack.param(0x8003).unwrap().contains(k)));
    let signer = Signer::new(&p.params, &ack);
    let cookie = ack.cookie();
    p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
    assert_eq!(p.state(), "ESTABLISHED");
    (p, signer)
}

/// RFC 5061 rows: 4.2.7-2.
#[test]
fn asconf_is_listed_with_auth_or_not_at_all() {
    for (auth, add_ip) in [(true, true), (false, true), (true, false)] {
        let mut cfg = cfg();
        (cfg.auth, cfg.add_ip) = (auth, add_ip);
        let mut p = Puppet::new(cfg);
        let sent = p.connect();
        let Seen::Init(init) = only(&sent).first() else { panic!() };
        let listed = init.param(0x8008).unwrap_or_default().to_vec();
        let there = LISTED.iter().filter(|k| listed.contains(k)).count();
        assert_eq!(there, if auth && add_ip { 3 } else { usize::from(auth) }, "{listed:?}");
    }
}

/// RFC 5061 rows: 4.1.1-1, 4.1.1-2, 4.1.2-1, 5.2-2.
#[test]
fn both_chunks_are_sent_behind_an_auth_chunk() {
    let (mut p, signer) = open();
    let serial = p.tsn;
    let sent = ask(&mut p, Z, &signer.seal(&asconf(serial, Z, &[(ADD, 1, Y)])));
    assert_eq!(acks(&sent), [(serial, vec![], ip(Z))]);
    let answer = sent.iter().find(|s| s.names().contains(&"ASCONF-ACK")).unwrap();
    assert_eq!(answer.names()[..2], ["AUTH", "ASCONF-ACK"]);
    assert!(signer.covers(answer).is_some());
    assert_eq!(peers(&mut p), ips(&[Z, Y]));
    let sent = host(&mut p, &[A, B]);
    let asked = asconfs(&sent)[0].clone();
    assert_eq!(sent[0].names(), ["AUTH", "ASCONF"]);
    assert!(signer.covers(&sent[0]).is_some());
    // Every transmission has a code of its own.
    let again = p.pass(core::time::Duration::from_millis(1_500));
    let again = again.iter().find(|s| s.names().contains(&"ASCONF")).unwrap();
    assert!(signer.covers(again).is_some());
    let ack = Chunk::AsconfAck(AsconfAck { serial: Serial(asked.serial), responses: AsconfResponses::List(&[]) });
    p.give_raw(&signer.seal(&encode(&[ack])));
    assert_eq!(own(&mut p), ips(&[A, B]));
}

/// RFC 5061 rows: 4.1.1-3, 4.1.2-2, 5.2-3.
/// Attack class 6, CVE-2014-3688: what is not authenticated leaves nothing behind.
#[test]
fn what_is_not_authenticated_is_dropped_in_silence_with_what_follows() {
    let (mut p, signer) = open();
    let serial = p.tsn;
    let asked = asconf(serial, Z, &[(ADD, 1, Y)]);
    let mut wrong = signer.seal(&asked);
    wrong[10] ^= 1;
    for chunks in [asked.clone(), wrong, signer.clone().with_key(0, b"another key").seal(&asked)] {
        let data = p.data(0, b"behind it");
        p.tsn = serial;
        // From where the peer is, from an address that it has yet to add, and by the tag alone.
        for from in [Z, Y] {
            let envelope = p.envelope().from(from);
            let sent = p.give_bytes(envelope, envelope.seal(&[chunks.clone(), encode(&[data])].concat()));
            assert!(sent.is_empty(), "{from}: {:?}", names(&sent));
        }
        assert!(p.recv().is_none());
    }
    assert_eq!(peers(&mut p), ips(&[Z]));
    let asked = asconfs(&host(&mut p, &[A, B]))[0].clone();
    let ack = Chunk::AsconfAck(AsconfAck { serial: Serial(asked.serial), responses: AsconfResponses::List(&[]) });
    let far = Chunk::AsconfAck(AsconfAck { serial: Serial(asked.serial.wrapping_add(1)), responses: AsconfResponses::List(&[]) });
    p.give(&[ack]);
    p.give(&[far]);
    assert_eq!((p.state(), own(&mut p).len()), ("ESTABLISHED", 1));
}

/// The only address of the peer has changed: the ASCONF comes from where nobody is known, and is checked like any other.
#[test]
fn a_peer_that_has_moved_proves_that_it_is_the_one() {
    let (mut p, signer) = open();
    let serial = p.tsn;
    let sent = ask(&mut p, Y, &signer.seal(&asconf(serial, Z, &[(ADD, 1, Y), (DELETE, 2, Z)])));
    assert_eq!(acks(&sent), [(serial, vec![], ip(Y))]);
    assert!(signer.covers(&sent[0]).is_some());
    assert_eq!(peers(&mut p), ips(&[Y]));
    // One that adds nothing gets an authenticated answer all the same.
    let sent = ask(&mut p, "10.9.9.9", &signer.seal(&asconf(serial + 1, Y, &[(DELETE, 1, "10.8.8.8")])));
    assert_eq!(acks(&sent), [(serial + 1, vec![], ip("10.9.9.9"))]);
    assert!(signer.covers(&sent[0]).is_some());
}

/// RFC 5061 rows: 6-3, 6-4, 6-5.
/// Rulings section 1 row 16: a peer without AUTH is without Add-IP.
#[test]
fn a_peer_that_lists_asconf_without_auth_gets_no_add_ip() {
    for stack_opens in [false, true] {
        let mut p = Puppet::new(cfg());
        p.params = encode_params(&[sctp_user::wire::Param::SupportedExtensions(&[kind::ASCONF, kind::ASCONF_ACK])]);
        if stack_opens {
            p.accept();
        } else {
            let ack = p.give_init();
            let listed = ack.param(0x8008).unwrap_or_default().to_vec();
            assert!(!listed.contains(&kind::ASCONF), "{listed:?}");
            let cookie = ack.cookie();
            p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
        }
        assert!(p.heard(|e| matches!(e, Event::Connected { .. })));
        assert!(asconfs(&host(&mut p, &[A, B])).is_empty());
        let serial = p.tsn;
        let sent = ask(&mut p, Z, &asconf(serial, Z, &[(ADD, 1, Y)]));
        assert!(acks(&sent).is_empty());
        assert_eq!(peers(&mut p), ips(&[Z]));
    }
}
