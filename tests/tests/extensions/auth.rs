//! RFC 4895: authenticated chunks.

use core::time::Duration;

use sctp_user::wire::chunk::{Abort, ChunkTypes, CookieEcho, Shutdown, kind};
use sctp_user::wire::{Chunk, Param};
use sctp_user::{AssocConfig, HmacId, KeyId, KeyRing, Tsn};
use testbed::puppet::{Puppet, Seen, SeenInit, Sent, Signer, encode, encode_params, names, only, raw_chunk};

/// Authentication with these chunk types to be authenticated.
fn cfg(chunks: &[u8]) -> AssocConfig {
    let mut cfg = AssocConfig::rfc();
    cfg.auth = true;
    cfg.auth_chunks = ChunkTypes::of(chunks);
    cfg
}

fn with_key(chunks: &[u8], id: u16, key: &[u8]) -> AssocConfig {
    let mut cfg = cfg(chunks);
    cfg.auth_keys = KeyRing::only(KeyId(id), key).unwrap();
    cfg
}

/// A puppet that wants `theirs` authenticated by one of `hmacs`.
fn puppet(cfg: AssocConfig, theirs: &[u8], hmacs: &[u16]) -> Puppet {
    let mut p = Puppet::new(cfg);
    p.params = Signer::params(0x55, theirs, hmacs);
    p
}

/// An association that the puppet opened, and the puppet's side of authentication with the null key.
fn opened(cfg: AssocConfig, theirs: &[u8], hmacs: &[u16]) -> (Puppet, Signer) {
    let mut p = puppet(cfg, theirs, hmacs);
    let ack = p.give_init();
    let signer = Signer::new(&p.params, &ack);
    let cookie = ack.cookie();
    p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
    assert_eq!(p.state(), "ESTABLISHED");
    (p, signer)
}

/// The same opened by the stack.
fn accepted(cfg: AssocConfig, theirs: &[u8], hmacs: &[u16]) -> (Puppet, Signer) {
    let mut p = puppet(cfg, theirs, hmacs);
    let sent = p.connect();
    let Seen::Init(init) = only(&sent).first().clone() else { panic!("{sent:?}") };
    let signer = Signer::new(&p.params, &init);
    p.give_init_ack();
    p.give(&[Chunk::CookieAck]);
    assert_eq!(p.state(), "ESTABLISHED");
    (p, signer)
}

fn init_of(sent: &[Sent]) -> SeenInit {
    match only(sent).first() {
        Seen::Init(init) | Seen::InitAck(init) => init.clone(),
        other => panic!("{other:?}"),
    }
}

fn give_sealed(p: &mut Puppet, signer: &Signer, chunks: &[Chunk<'_>]) -> Vec<Sent> {
    p.give_raw(&signer.seal(&encode(chunks)))
}

fn causes(sent: &[Sent]) -> Vec<(u16, Vec<u8>)> {
    match only(sent).first() {
        Seen::Abort { causes, .. } | Seen::Error { causes } => causes.clone(),
        other => panic!("{other:?}"),
    }
}

/// RFC 4895 rows: 3.1-1, 3.1-5, 3.2-4, 3.3-3, 6.1-1.
#[test]
fn init_and_init_ack_have_the_three_parameters_once() {
    let mut p = Puppet::new(cfg(&[kind::DATA, kind::ABORT, kind::HEARTBEAT]));
    let ours = init_of(&p.connect());
    let again = p.pass(Duration::from_secs(1));
    assert_eq!(init_of(&again), ours, "a retransmission is equal, the Random Number too");
    let mut q = puppet(cfg(&[kind::DATA, kind::ABORT, kind::HEARTBEAT]), &[], &[1]);
    for init in [ours, q.give_init()] {
        for (kind, value) in [(0x8003, vec![0, 4, 6]), (0x8004, vec![0, 3, 0, 1])] {
            assert_eq!(init.params.iter().filter(|(k, _)| *k == kind).collect::<Vec<_>>(), [&(kind, value)]);
        }
        let random: Vec<_> = init.params.iter().filter(|(k, _)| *k == 0x8002).collect();
        assert!(matches!(random[..], [(_, value)] if value.len() == 32 && value.iter().any(|b| *b != 0)), "{random:?}");
        assert_eq!(init.param(0x8008).unwrap(), [15], "the supported extensions");
    }
}

/// RFC 4895 rows: 6.1-3, 6.1-4, 6.1-5. Vulnerability class 7: a RANDOM of no bytes.
#[test]
fn a_random_number_that_has_not_32_bytes_ends_in_an_abort() {
    for len in [0, 31, 33, 200] {
        let params = encode_params(&[Param::Random(&vec![1; len]), Param::HmacAlgo(&[0, 1])]);
        let mut p = Puppet::new(cfg(&[]));
        let sent = p.give_in(p.envelope().tagged(0), &[Chunk::Init(p.init_chunk(&params))]);
        assert_eq!(causes(&sent)[0].0, 13, "Protocol Violation");
        assert_eq!(p.stack.association_count(), 0);
        let mut p = Puppet::new(cfg(&[]));
        p.params = params;
        p.connect();
        let sent = p.give_init_ack();
        assert_eq!((causes(&sent)[0].0, p.state()), (13, "CLOSED"));
    }
}

/// RFC 4895 rows: 6.2-1, 6.2-3, 6.2-4, 6.2-5, 6.2-8.
#[test]
fn what_the_peer_wants_authenticated_stands_behind_an_auth_chunk() {
    for open in [opened, accepted] {
        for (hmacs, used) in [(&[1_u16][..], 1), (&[3, 1], 3), (&[1, 3], 1), (&[77, 3, 1], 3)] {
            let (mut p, signer) = open(cfg(&[]), &[kind::DATA], hmacs);
            let signer = signer.with_hmac(used);
            let sent = p.send(1, b"odd");
            assert_eq!(names(&sent), [["AUTH", "DATA"]]);
            assert_eq!(signer.covers(only(&sent)), Some(1), "{hmacs:?}, padding included");
            // A SACK need not be, and goes before.
            let data = p.data(0, b"x");
            p.give(&[data]);
            p.ack();
            let data = p.data(0, b"y");
            p.give(&[data]);
            let sent = p.send(0, b"more");
            assert_eq!(names(&sent), [["SACK", "AUTH", "DATA"]]);
            assert_eq!(signer.covers(only(&sent)), Some(1));
        }
    }
}

/// RFC 4895 rows: 6.2-1.
#[test]
fn control_chunks_are_authenticated_too() {
    let all = [kind::SACK, kind::HEARTBEAT, kind::HEARTBEAT_ACK, kind::SHUTDOWN, kind::ABORT, kind::SHUTDOWN_COMPLETE, kind::COOKIE_ACK];
    let mut p = puppet(cfg(&[]), &all, &[1]);
    let ack = p.give_init();
    let signer = Signer::new(&p.params, &ack);
    let cookie = ack.cookie();
    let sent = p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
    assert_eq!((names(&sent), signer.covers(only(&sent))), (vec![vec!["AUTH", "COOKIE-ACK"]], Some(1)));
    let data = p.data(0, b"x");
    let sent = p.give(&[data]);
    assert_eq!((names(&sent), signer.covers(only(&sent))), (vec![vec!["AUTH", "SACK"]], Some(1)));
    let sent = p.pass(Duration::from_secs(60));
    assert!(
        !sent.is_empty() && sent.iter().all(|s| s.names() == ["AUTH", "HEARTBEAT"] && signer.covers(s) == Some(1)),
        "{:?}",
        names(&sent)
    );
    let sent = p.abort(b"enough");
    assert_eq!((names(&sent), signer.covers(only(&sent))), (vec![vec!["AUTH", "ABORT"]], Some(1)));
    // SHUTDOWN COMPLETE is alone in its packet, whatever the peer lists.
    let (mut p, _) = opened(cfg(&[]), &all, &[1]);
    p.shutdown();
    assert_eq!(names(&p.give(&[Chunk::ShutdownAck])), [["SHUTDOWN-COMPLETE"]]);
}

/// RFC 4895 rows: 6.3-1, 6.3-9. Vulnerability class 7: CVE-2026-68300, a missing AUTH chunk is not a verified one.
#[test]
fn what_must_be_authenticated_and_is_not_is_dropped_in_silence() {
    let (mut p, _) = opened(cfg(&[kind::DATA]), &[], &[1]);
    let data = p.data(0, b"secret");
    assert_eq!(names(&p.give(&[data])), [[""; 0]; 0]);
    assert_eq!(p.recv(), None);
    // Others of the packet are processed.
    let sent = p.give(&[data, Chunk::Shutdown(Shutdown { cum_tsn: Tsn(p.cum) })]);
    assert_eq!(names(&sent), [["SHUTDOWN-ACK"]]);
    let (mut p, signer) = opened(cfg(&[kind::DATA]), &[], &[1]);
    let data = p.data(0, b"secret");
    // In front of the AUTH chunk it is not authenticated, either.
    let packet = [encode(&[data]), signer.seal(&encode(&[p.sack()]))].concat();
    assert_eq!(names(&p.give_raw(&packet)), [[""; 0]; 0]);
    assert_eq!(names(&give_sealed(&mut p, &signer, &[data])), [["SACK"]]);
    assert_eq!(p.recv().unwrap().payload, "secret");
}

/// RFC 4895 rows: 6.3-4, 6.3-5, 6.3-6, 6.3-8, 6.3-10. Vulnerability class 7: a wrong code, none, too short or too long; CVE-2020-6831.
#[test]
fn what_stands_behind_a_wrong_auth_chunk_is_dropped_in_silence() {
    let (mut p, signer) = opened(with_key(&[kind::DATA], 7, b"a shared key"), &[], &[3, 1]);
    let good = signer.with_key(7, b"a shared key");
    let data = p.data(0, b"secret");
    let chunks = encode(&[data]);
    let sealed = good.seal(&chunks);
    let mut wrong = vec![
        good.clone().with_key(7, b"another key").seal(&chunks),
        good.clone().with_key(6, b"a shared key").seal(&chunks),
        good.clone().with_key(0, b"").seal(&chunks),
        [raw_chunk(kind::AUTH, 0, &[0, 7, 0, 1]), chunks.clone()].concat(),
        [raw_chunk(kind::AUTH, 0, &[]), chunks.clone()].concat(),
        [raw_chunk(kind::AUTH, 0, &sealed[4..27]), chunks.clone()].concat(),
        [raw_chunk(kind::AUTH, 0, &[&sealed[4..28], &[0; 40]].concat()), chunks.clone()].concat(),
        // A code may not be followed by another.
        [good.seal(&[]), sealed.clone()].concat(),
        good.seal(&sealed),
    ];
    wrong.extend((8..sealed.len()).step_by(5).map(|at| {
        let mut bytes = sealed.clone();
        bytes[at] ^= 1;
        bytes
    }));
    for packet in wrong {
        assert_eq!(names(&p.give_raw(&packet)), [[""; 0]; 0], "{packet:?}");
        assert_eq!(p.recv(), None);
    }
    assert_eq!(names(&p.give_raw(&sealed)), [["SACK"]]);
    assert_eq!(p.recv().unwrap().payload, "secret");
    let strong = good.with_hmac(3);
    let data = p.data(0, b"by SHA-256");
    give_sealed(&mut p, &strong, &[data]);
    assert_eq!(p.recv().unwrap().payload, "by SHA-256");
}

/// RFC 4895 rows: 6.3-2, 6.3-3, 4.1-1. Vulnerability class 7: CVE-2010-3705, an algorithm out of the list.
#[test]
fn an_algorithm_that_was_not_offered_is_told_to_the_peer() {
    let mut only_sha1 = cfg(&[kind::DATA]);
    only_sha1.auth_hmacs = vec![HmacId::Sha1];
    let (mut p, signer) = opened(only_sha1, &[], &[1]);
    let data = p.data(0, b"secret");
    for hmac in [0, 2, 3, 4, 0xffff_u16] {
        let packet = signer.clone().with_hmac(hmac).seal(&encode(&[data]));
        let sent = p.give_raw(&packet);
        assert_eq!(causes(&sent), [(0x0105, hmac.to_be_bytes().to_vec())]);
        assert_eq!(p.recv(), None);
    }
    assert_eq!(names(&give_sealed(&mut p, &signer, &[data])), [["SACK"]]);
}

/// RFC 4895 rows: 6.3-11, 6.3-12, 6.3-13.
#[test]
fn a_cookie_echo_that_must_be_authenticated_opens_an_association_only_if_it_is() {
    for hmac in [1, 3] {
        let mut p = puppet(with_key(&[kind::COOKIE_ECHO, kind::DATA], 2, b"key"), &[], &[1]);
        let ack = p.give_init();
        let cookie = ack.cookie();
        let signer = Signer::new(&p.params, &ack).with_key(2, b"key").with_hmac(hmac);
        let echo = encode(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
        let data = encode(&[p.data(0, b"with it")]);
        let chunks = [echo.clone(), data.clone()].concat();
        for bad in [
            echo.clone(),
            chunks.clone(),
            [echo.clone(), signer.seal(&data)].concat(),
            signer.clone().with_key(2, b"no").seal(&chunks),
            signer.clone().with_key(0, b"").seal(&chunks),
            [raw_chunk(kind::AUTH, 0, &[0, 2, 0, 1]), chunks.clone()].concat(),
        ] {
            assert_eq!(names(&p.give_raw(&bad)), [[""; 0]; 0]);
            assert_eq!(p.stack.association_count(), 0);
        }
        assert_eq!(p.stack.stats().stack.unauthenticated_cookies, 6);
        let sent = p.give_raw(&signer.seal(&chunks));
        assert_eq!(names(&sent), [["COOKIE-ACK", "SACK"]]);
        assert_eq!(p.recv().unwrap().payload, "with it");
        // Again, as if the COOKIE ACK were lost: by the association's keys.
        assert_eq!(names(&p.give_raw(&echo)), [[""; 0]; 0]);
        assert_eq!(names(&p.give_raw(&signer.seal(&echo))), [["COOKIE-ACK"]]);
    }
}

/// Vulnerability classes 4 and 7: CVE-2014-0101, AUTH before a COOKIE ECHO where authentication was not negotiated.
#[test]
fn auth_that_was_not_negotiated_stops_the_packet() {
    // Either side lacks it, or the peer's offer is incomplete.
    let half = encode_params(&[Param::Random(&[1; 32]), Param::SupportedExtensions(&[15])]);
    let mut without = AssocConfig::rfc();
    without.auth = false;
    for (cfg, params) in [(without, Signer::params(1, &[0], &[1])), (cfg(&[]), Vec::new()), (cfg(&[]), half)] {
        let mut p = Puppet::new(cfg);
        p.params = params;
        let ack = p.give_init();
        let cookie = ack.cookie();
        let signer = Signer::new(&p.params, &ack);
        let echo = encode(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
        assert_eq!(names(&p.give_raw(&signer.seal(&echo))), [[""; 0]; 0]);
        assert_eq!(names(&p.give_raw(&[raw_chunk(kind::AUTH, 0, &[]), echo.clone()].concat())), [[""; 0]; 0]);
        assert_eq!(p.stack.association_count(), 0);
        assert_eq!(names(&p.give_raw(&echo)), [["COOKIE-ACK"]]);
        let data = encode(&[p.data(0, b"x")]);
        assert_eq!(names(&p.give_raw(&signer.seal(&data))), [[""; 0]; 0]);
        assert_eq!(names(&p.give_raw(&data)), [["SACK"]]);
        assert_eq!(names(&p.send(0, b"plain")), [["DATA"]]);
    }
}

/// Vulnerability class 7: that the peer has no authentication, or that somebody took it out of its INIT, opens no way around it.
#[test]
fn a_peer_without_authentication_gets_nothing_in_that_must_be_authenticated() {
    let mut p = Puppet::new(cfg(&[kind::COOKIE_ECHO]));
    let cookie = p.give_init().cookie();
    assert_eq!(names(&p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })])), [[""; 0]; 0]);
    assert_eq!(p.stack.association_count(), 0);
    for accept in [false, true] {
        let mut p = Puppet::new(cfg(&[kind::DATA, kind::ABORT]));
        if accept {
            p.accept()
        } else {
            p.open()
        };
        let data = p.data(0, b"x");
        assert_eq!(names(&p.give(&[data, Chunk::Abort(Abort { t: false, causes: &[] })])), [[""; 0]; 0]);
        assert_eq!((p.recv(), p.state()), (None, "ESTABLISHED"));
    }
}
