//! RFC 4895: authenticated chunks.

use core::time::Duration;

use sctp_user::wire::chunk::{Abort, ChunkTypes, CookieEcho, Init, Shutdown, kind};
use sctp_user::wire::{Chunk, Param};
use sctp_user::{AssocConfig, CloseReason, Event, HmacId, KeyId, KeyRing, KeyUse, SendError, SendOptions, Tsn, Vtag};
use testbed::puppet::{Puppet, Seen, SeenInit, Sent, Signer, encode, encode_params, names, only, raw_chunk};

/// Authentication with these chunk types to be authenticated.
fn cfg(chunks: &[u8]) -> AssocConfig {
    let mut cfg = AssocConfig::rfc();
    cfg.auth = true;
    cfg.partial_reliability = false;
    cfg.add_ip = false;
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

/// RFC 4895 rows: 3.1-1, 3.1-5, 3.2-5, 3.3-6, 6.1-1.
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
        assert!(init.param(0x8008).unwrap().contains(&15), "the supported extensions");
    }
}

/// RFC 4895 rows: 6.1-3, 6.1-4. Vulnerability class 7: a RANDOM of no bytes.
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

/// Vulnerability class 2: CVE-2026-68320, a list of chunk types that is longer than where it is put.
#[test]
fn cve_2026_68320_lists_of_chunk_types_of_any_length_are_kept_whole_or_refused() {
    let types: Vec<u8> = (0..=255).collect();
    for len in [1, 15, 16, 17, 20, 21, 100, 255, 256] {
        // The keys depend on every byte of the list, which has been in a cookie where the peer opened.
        for open in [opened, accepted] {
            let (mut p, signer) = open(cfg(&[]), &types[..len], &[1]);
            let sent = p.send(1, b"odd");
            assert_eq!(signer.covers(only(&sent)), Some(1), "{len}");
        }
    }
    let params = encode_params(&[Param::Random(&[1; 32]), Param::Chunks(&[9; 257]), Param::HmacAlgo(&[0, 1])]);
    let mut p = Puppet::new(cfg(&[]));
    let sent = p.give_in(p.envelope().tagged(0), &[Chunk::Init(p.init_chunk(&params))]);
    assert_eq!((causes(&sent)[0].0, p.stack.association_count()), (13, 0));
}

/// RFC 4895 rows: 6.2-3, 6.2-5, 6.2-7, 3.3-1, 6.1-6.
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

/// RFC 4895 rows: 6.2-1, 6.2-4, 5.1-7, 3.3-7, 5.1-1.
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

/// RFC 4895 rows: 6.3-1. Vulnerability class 7: CVE-2026-68300, a missing AUTH chunk is not a verified one.
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

/// RFC 4895 rows: 5.1-7, 6.3-2, 6.3-5, 6.3-7, 6.3-8. Vulnerability class 7: a wrong code, none, too short or too long; CVE-2020-6831.
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
    // Without a shared key of our own, only number 0 means anything.
    let (mut null, signer) = opened(cfg(&[kind::DATA]), &[], &[1]);
    let early = null.data(0, b"x");
    assert_eq!(names(&give_sealed(&mut null, &signer.with_key(3, b""), &[early])), [[""; 0]; 0]);
    let strong = good.with_hmac(3);
    let data = p.data(0, b"by SHA-256");
    give_sealed(&mut p, &strong, &[data]);
    assert_eq!(p.recv().unwrap().payload, "by SHA-256");
}

/// RFC 4895 rows: 6.3-3, 6.3-4, 4.1-1, 4.1-2, 4.1-3. Vulnerability class 7: CVE-2010-3705, an algorithm out of the list.
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
        // Length 6, and two zero bytes behind it that the chunk's length does not count.
        let [a, b] = hmac.to_be_bytes();
        assert_eq!(only(&sent).bytes[12..], [9, 0, 0, 10, 1, 5, 0, 6, a, b, 0, 0]);
        assert_eq!(p.recv(), None);
    }
    assert_eq!(names(&give_sealed(&mut p, &signer, &[data])), [["SACK"]]);
}

/// RFC 4895 rows: 6.3-9, 6.3-10.
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

/// RFC 4895 rows: 3.2-1, 3.2-2, 3.2-3, 3.3-2, 3.3-3.
#[test]
fn parameters_are_padded_with_zero_bytes() {
    let mut short = cfg(&[kind::DATA, kind::ABORT, kind::ERROR]);
    short.auth_hmacs = vec![HmacId::Sha1];
    let mut p = Puppet::new(short);
    let sent = p.connect();
    let chunks = [0x80, 3, 0, 7, 0, 6, 9, 0];
    let hmacs = [0x80, 4, 0, 6, 0, 1];
    let found = |what: &[u8]| only(&sent).bytes.windows(what.len()).any(|w| w == what);
    assert!(found(&chunks) && found(&hmacs), "{:?}", only(&sent).bytes);
    // The last parameter of a chunk is padded behind the chunk.
    assert_eq!(only(&sent).bytes.len() % 4, 0);
    assert!(only(&sent).bytes.ends_with(&[0, 1, 0, 0]));
}

/// RFC 4895 rows: 3.2-4, 3.3-4, 3.3-5, 4.1-4, 4.1-5.
#[test]
fn what_parameters_are_padded_with_does_not_matter() {
    let mut p = Puppet::new(cfg(&[]));
    let random = encode_params(&[Param::Random(&[3; 32])]);
    p.params = [random.as_slice(), &[0x80, 3, 0, 5, kind::DATA, 7, 7, 7], &[0x80, 4, 0, 6, 0, 1, 7, 7]].concat();
    let ack = p.give_init();
    let signer = Signer::new(&p.params, &ack);
    let cookie = ack.cookie();
    p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
    let sent = p.send(0, b"x");
    assert_eq!((names(&sent), signer.covers(only(&sent))), (vec![vec!["AUTH", "DATA"]], Some(1)));
    // An ERROR of the peer's about our algorithm, padded within the chunk's length or behind it.
    for value in [&[1, 5, 0, 6, 0, 3][..], &[1, 5, 0, 6, 0, 3, 7, 7]] {
        p.events.clear();
        p.give_raw(&[raw_chunk(kind::ERROR, 0, value), encode(&[p.sack()])].concat());
        assert!(p.heard(|e| matches!(e, Event::RemoteError(causes) if causes[..6] == [1, 5, 0, 6, 0, 3])), "{:?}", p.events);
    }
}

/// RFC 4895 rows: 5.1-2, 5.1-3.
#[test]
fn flags_of_an_auth_chunk_are_zero_and_mean_nothing() {
    let (mut p, signer) = opened(cfg(&[kind::DATA]), &[kind::DATA], &[1]);
    let sent = p.send(0, b"x");
    assert_eq!(only(&sent).chunks[0].flags, 0);
    for flags in [0, 1, 0xff] {
        let data = p.data(0, b"flags");
        let packet = signer.seal_flagged(flags, &encode(&[data]));
        p.give_raw(&packet);
        assert_eq!(p.recv().unwrap().payload, "flags");
    }
}

/// RFC 4895 rows: 6.1-8, 6.1-2.
#[test]
fn the_algorithms_of_an_endpoint_stay() {
    let mut p = Puppet::new(cfg(&[]));
    let set = |p: &mut Puppet, hmacs: &[HmacId]| {
        let mut endpoint = p.stack.endpoint_config(p.endpoint).unwrap();
        let mut assoc = AssocConfig::clone(&endpoint.assoc);
        assoc.auth_hmacs = hmacs.to_vec();
        endpoint.assoc = assoc.into();
        p.stack.reconfigure_endpoint(p.endpoint, endpoint)
    };
    // Before anybody was told.
    set(&mut p, &[HmacId::Sha1]).unwrap();
    p.params = Signer::params(1, &[], &[1]);
    let ack = p.give_init();
    assert_eq!((ack.param(0x8004).unwrap(), ack.param(0x8002).unwrap().len()), (&[0, 1][..], 32));
    assert_eq!(set(&mut p, &[HmacId::Sha256, HmacId::Sha1]).unwrap_err().field, "auth_hmacs");
    let cookie = ack.cookie();
    p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
    let (id, now) = (p.id(), p.now);
    let refused = p.stack.assoc(id).unwrap().reconfigure(now, |cfg| cfg.auth_hmacs = vec![HmacId::Sha256, HmacId::Sha1]);
    assert_eq!(refused.unwrap_err().field, "auth_hmacs");
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

/// The puppet's INIT of a restart, under another tag, with another Random Number; answers the INIT ACK.
fn restart_init(p: &mut Puppet, tag: u32, params: &[u8]) -> SeenInit {
    let init = Init { tag: Vtag(tag), ..p.init_chunk(params) };
    let sent = p.give_in(p.envelope().tagged(0), &[Chunk::Init(init)]);
    init_of(&sent)
}

/// RFC 4895 rows: 6.3-11. Ruling 15: a restart needs the old key if COOKIE ECHO must be authenticated.
#[test]
fn only_who_knows_the_old_key_restarts_the_association() {
    let mut p = puppet(with_key(&[kind::COOKIE_ECHO, kind::DATA], 2, b"key"), &[kind::DATA], &[1]);
    let ack = p.give_init();
    let cookie = ack.cookie();
    let old = Signer::new(&p.params, &ack).with_key(2, b"key");
    p.give_raw(&old.seal(&encode(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })])));
    let params = Signer::params(0x66, &[kind::DATA], &[3, 1]);
    let ack = restart_init(&mut p, 0x7a97_0099, &params);
    let new = Signer::new(&params, &ack).with_key(2, b"key");
    let cookie = ack.cookie();
    let echo = encode(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
    let envelope = p.envelope().tagged(ack.tag);
    for bad in [echo.clone(), new.seal(&echo), old.clone().with_key(0, b"").seal(&echo)] {
        assert_eq!(names(&p.give_bytes(envelope, envelope.seal(&bad))), [[""; 0]; 0]);
        assert!(!p.heard(|e| *e == Event::Restarted));
    }
    // What stands behind the COOKIE ECHO is covered by the same code.
    let data = encode(&[p.data(0, b"after the restart")]);
    let sent = p.give_bytes(envelope, envelope.seal(&old.seal(&[echo, data].concat())));
    assert!(p.heard(|e| *e == Event::Restarted));
    assert_eq!(names(&sent)[0][0], "COOKIE-ACK");
    assert_eq!(p.recv().unwrap().payload, "after the restart");
    p.learn(&ack);
    // From now on the new key counts, in both directions.
    let data = p.data(0, b"new");
    assert_eq!(names(&give_sealed(&mut p, &old, &[data])), [[""; 0]; 0]);
    assert_eq!(p.recv(), None);
    give_sealed(&mut p, &new, &[data]);
    assert_eq!(p.recv().unwrap().payload, "new");
    let sent = p.send(0, b"ours");
    assert_eq!(new.with_hmac(3).covers(sent.last().unwrap()), Some(1), "{:?}", names(&sent));
}

/// Vulnerability class 5: CVE-2014-5077 and CVE-2015-1421, the keys at an INIT collision.
#[test]
fn at_a_collision_the_random_numbers_follow_the_tags() {
    for state in ["COOKIE-WAIT", "COOKIE-ECHOED"] {
        let mut p = puppet(with_key(&[kind::COOKIE_ECHO, kind::DATA], 2, b"key"), &[kind::DATA], &[1]);
        let sent = p.connect();
        let ours = init_of(&sent);
        if state == "COOKIE-ECHOED" {
            p.give_init_ack();
        }
        // The puppet opens too. Its Random Number is a new one, as is its tag, if it has answered our INIT before and kept no state.
        let params = Signer::params(0x77, &[kind::DATA], &[1]);
        p.tag = 0x7a97_0077;
        let ack = restart_init(&mut p, 0x7a97_0077, &params);
        assert_eq!((ack.tag, ack.param(0x8002), ack.param(0x8003)), (ours.tag, ours.param(0x8002), ours.param(0x8003)), "{state}");
        let signer = Signer::new(&params, &ack).with_key(2, b"key");
        let cookie = ack.cookie();
        let echo = encode(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
        assert_eq!(names(&p.give_raw(&echo)), [[""; 0]; 0]);
        assert_eq!(names(&p.give_raw(&signer.clone().with_key(2, b"wrong").seal(&echo))), [[""; 0]; 0]);
        assert_eq!(p.state(), state);
        assert_eq!(names(&p.give_raw(&signer.seal(&echo)))[0][0], "COOKIE-ACK");
        assert_eq!(p.state(), "ESTABLISHED");
        let data = p.data(0, b"hello");
        give_sealed(&mut p, &signer, &[data]);
        assert_eq!(p.recv().unwrap().payload, "hello");
        let sent = p.send(0, b"hello");
        assert!(sent.iter().any(|s| signer.covers(s) == Some(1)), "{:?}", names(&sent));
    }
}

/// RFC 4895 rows: 6.3-12, 6.3-13, 6.3-14, 6.3-15.
#[test]
fn out_of_the_blue_the_auth_chunk_does_not_count() {
    let signer = Signer::new(&Signer::params(1, &[], &[1]), &puppet(cfg(&[]), &[], &[1]).give_init());
    for (chunk, answer) in [
        (Chunk::ShutdownAck, vec![vec!["SHUTDOWN-COMPLETE"]]),
        (Chunk::Abort(Abort { t: false, causes: &[] }), vec![]),
        (Chunk::CookieAck, vec![]),
        (Chunk::Shutdown(Shutdown { cum_tsn: Tsn(1) }), vec![vec!["ABORT"]]),
    ] {
        let mut p = Puppet::new(cfg(&[]));
        let envelope = p.envelope().tagged(77);
        let bytes = envelope.seal(&signer.seal(&encode(&[chunk])));
        let sent = p.give_bytes(envelope, bytes);
        assert_eq!(names(&sent), answer);
        assert!(sent.iter().all(|s| s.vtag == 77));
    }
    // Nor for an INIT, which stands alone, nor if there is nothing else.
    let mut p = Puppet::new(cfg(&[]));
    let envelope = p.envelope().tagged(0);
    let init = encode(&[Chunk::Init(p.init_chunk(&[]))]);
    assert_eq!(names(&p.give_bytes(envelope, envelope.seal(&signer.seal(&init)))), [[""; 0]; 0]);
    let envelope = p.envelope().tagged(77);
    assert_eq!(names(&p.give_bytes(envelope, envelope.seal(&signer.seal(&[])))), [[""; 0]; 0]);
    // An association is found by what stands behind it, and the tag rules go by that.
    let (mut p, signer) = opened(cfg(&[kind::ABORT]), &[], &[1]);
    let sealed = signer.seal(&encode(&[Chunk::Abort(Abort { t: true, causes: &[] })]));
    let envelope = p.envelope().tagged(p.tag);
    p.give_bytes(envelope, envelope.seal(&sealed));
    assert_eq!(p.state(), "CLOSED");
}

/// RFC 4895 rows: 6.3-1. Ruling 15: with ABORT in the list, a peer that is gone is noticed by timers.
#[test]
fn an_abort_that_must_be_authenticated_ends_nothing_unless_it_is() {
    let (mut p, signer) = opened(cfg(&[kind::ABORT]), &[], &[1]);
    let abort = Chunk::Abort(Abort { t: false, causes: &[] });
    p.give(&[abort]);
    let envelope = p.envelope().tagged(p.tag);
    p.give_in(envelope, &[Chunk::Abort(Abort { t: true, causes: &[] })]);
    p.give_raw(&signer.clone().with_key(0, b"x").seal(&encode(&[abort])));
    assert_eq!(p.state(), "ESTABLISHED");
    give_sealed(&mut p, &signer, &[abort]);
    assert!(p.heard(|e| matches!(e, Event::Lost { reason: CloseReason::PeerAborted(_) })));
    // Before there is a key nobody can authenticate an ABORT: T1 decides.
    let mut p = puppet(cfg(&[kind::ABORT]), &[], &[1]);
    p.connect();
    p.give_in(p.envelope().tagged(p.peer_tag), &[Chunk::Abort(Abort { t: true, causes: &[] }), abort]);
    p.give(&[abort]);
    assert_eq!(p.state(), "COOKIE-WAIT");
    p.pass(Duration::from_secs(600));
    assert!(p.heard(|e| matches!(e, Event::Lost { reason: CloseReason::ConnectTimeout })));
}

fn change_keys(p: &mut Puppet, change: impl Fn(&mut KeyRing)) {
    let (id, now) = (p.id(), p.now);
    p.stack.assoc(id).unwrap().reconfigure(now, |cfg| change(&mut cfg.auth_keys)).unwrap();
    p.collect();
}

fn keys_told(p: &mut Puppet) -> Vec<(u16, KeyUse)> {
    let told = p.events.iter().filter_map(|e| if let Event::Authentication { key, what } = e { Some((key.0, *what)) } else { None });
    let told = told.collect();
    p.events.clear();
    told
}

/// RFC 4895 rows: 6.2-2, 6.3-6.
#[test]
fn keys_are_changed_while_data_flows() {
    let (mut p, null) = opened(cfg(&[kind::DATA]), &[kind::DATA], &[1]);
    let one = null.clone().with_key(1, b"first");
    let sent = p.send(0, b"by the null key");
    assert_eq!(null.covers(only(&sent)), Some(1));
    change_keys(&mut p, |keys| keys.set(KeyId(1), b"first").unwrap());
    // Both keys are taken now.
    for (signer, text) in [(&null, "by the null key"), (&one, "by the first"), (&one, "again")] {
        let data = p.data(0, text.as_bytes());
        give_sealed(&mut p, signer, &[data]);
        assert_eq!(p.recv().unwrap().payload, text);
    }
    assert_eq!(keys_told(&mut p), [(1, KeyUse::NewKey)]);
    change_keys(&mut p, |keys| {
        keys.activate(KeyId(1)).unwrap();
        keys.deactivate(KeyId(0)).unwrap();
    });
    assert_eq!(keys_told(&mut p), [(0, KeyUse::FreeKey)]);
    // What is sent again is authenticated by the key that is active now.
    let again = p.pass(Duration::from_secs(1));
    assert_eq!((names(&again), one.covers(only(&again))), (vec![vec!["AUTH", "DATA"]], Some(1)));
    p.ack();
    let sent = p.send(0, b"by the first key");
    assert_eq!(one.covers(only(&sent)), Some(1));
    // Deactivated is not deleted.
    let data = p.data(0, b"late");
    give_sealed(&mut p, &null, &[data]);
    assert_eq!(p.recv().unwrap().payload, "late");
    change_keys(&mut p, |keys| keys.delete(KeyId(0)).unwrap());
    let data = p.data(0, b"too late");
    assert_eq!(names(&give_sealed(&mut p, &null, &[data])), [[""; 0]; 0]);
    // The number of a key may be given to another one.
    change_keys(&mut p, |keys| keys.set(KeyId(1), b"second").unwrap());
    assert_eq!(names(&give_sealed(&mut p, &one, &[data])), [[""; 0]; 0]);
    give_sealed(&mut p, &one.with_key(1, b"second"), &[data]);
    assert_eq!(p.recv().unwrap().payload, "too late");
}

/// RFC 6458 section 5.3.8: a message may be authenticated by a key of its own, and is not bundled with those of other keys.
#[test]
fn messages_of_different_keys_do_not_share_a_packet() {
    let mut at_once = cfg(&[]);
    at_once.nagle = false;
    let (mut p, null) = opened(at_once, &[kind::DATA], &[1]);
    let one = null.clone().with_key(1, b"first");
    change_keys(&mut p, |keys| keys.set(KeyId(1), b"first").unwrap());
    let by = |key| {
        let mut opts = SendOptions::ordered();
        opts.auth_key = key;
        opts
    };
    assert_eq!(p.try_send(0, b"x", by(Some(KeyId(2)))), Err(SendError::NoSuchKey));
    for key in [None, None, Some(KeyId(1)), Some(KeyId(1)), Some(KeyId(0)), None] {
        p.try_send(0, b"x", by(key)).unwrap();
    }
    let sent = p.collect();
    assert_eq!(names(&sent), [vec!["AUTH", "DATA", "DATA"], vec!["AUTH", "DATA", "DATA"], vec!["AUTH", "DATA", "DATA"]]);
    assert_eq!([&null, &one, &null].map(|s| s.hmac), [1; 3]);
    let covered: Vec<_> = sent.iter().zip([&null, &one, &null]).map(|(packet, signer)| signer.covers(packet)).collect();
    assert_eq!(covered, [Some(2); 3]);
    // Such a key is needed until the message is acknowledged, and sent again with it.
    change_keys(&mut p, |keys| keys.deactivate(KeyId(1)).unwrap());
    assert_eq!(keys_told(&mut p), []);
    assert_eq!(p.try_send(0, b"x", by(Some(KeyId(1)))), Err(SendError::NoSuchKey));
    let (id, now) = (p.id(), p.now);
    let refused = p.stack.assoc(id).unwrap().reconfigure(now, |cfg| cfg.auth_keys.delete(KeyId(1)).unwrap());
    assert_eq!(refused.unwrap_err().field, "auth_keys");
    let again = p.pass(Duration::from_millis(1_100));
    assert!(again.iter().any(|s| one.covers(s).is_some()) || again.iter().all(|s| null.covers(s).is_some()), "{:?}", names(&again));
    p.ack();
    p.pass(Duration::from_secs(8));
    p.ack();
    assert_eq!(keys_told(&mut p), [(1, KeyUse::FreeKey)]);
    change_keys(&mut p, |keys| keys.delete(KeyId(1)).unwrap());
}

/// An AUTH chunk takes its place in a packet: chunks are cut so that it fits, and probes of the path MTU have it too.
#[test]
fn packets_with_an_auth_chunk_stay_within_the_path_mtu() {
    for (hmac, len) in [(1, 28), (3, 40)] {
        let (mut p, signer) = opened(cfg(&[]), &[kind::DATA], &[hmac]);
        let signer = signer.with_hmac(hmac);
        let room = p.status().unwrap().fragmentation_point;
        let (mut plain, _) = opened(cfg(&[]), &[], &[hmac]);
        assert_eq!(plain.status().unwrap().fragmentation_point, room + len);
        let sent = p.send(0, &vec![1; room]);
        assert_eq!((names(&sent), signer.covers(only(&sent))), (vec![vec!["AUTH", "DATA"]], Some(1)));
        let full = only(&sent).bytes.len();
        assert!((1500 - 20 - 8 - 3..=1500 - 20 - 8).contains(&full), "{full}");
        p.ack();
        let sent = p.send(0, &vec![1; 100_000]);
        assert!(sent.iter().all(|s| s.bytes.len() <= full && signer.covers(s) == Some(1)), "{:?}", names(&sent));
    }
    let mut on = cfg(&[]);
    on.pmtu_discovery = true;
    let mut p = Puppet::at(on, &["10.0.0.1"], &["10.0.0.2"]);
    p.params = Signer::params(0x55, &[kind::HEARTBEAT], &[1]);
    let ack = p.give_init();
    let signer = Signer::new(&p.params, &ack);
    let cookie = ack.cookie();
    p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
    // The search begins with the first full packet.
    p.send(0, &[0; 5_000]);
    p.ack();
    let sent = p.pass(Duration::from_secs(1));
    let probe = p.log.iter().chain(&sent).find(|s| s.names().contains(&"PAD")).unwrap();
    assert_eq!((probe.names(), signer.covers(probe)), (vec!["AUTH", "HEARTBEAT", "PAD"], Some(2)));
}

/// RFC 4895 rows: 6.3-16. No key of the users' is in the cookie, nor anywhere else that is shown.
#[test]
fn no_shared_key_leaves_the_host() {
    let secret = b"a secret that is long enough to be found";
    let mut p = puppet(with_key(&[kind::DATA], 9, secret), &[kind::DATA], &[1]);
    let cookie = p.give_init().cookie();
    p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
    p.send(0, b"hello");
    let found = |bytes: &[u8]| secret.windows(8).any(|w| bytes.windows(8).any(|b| b == w));
    assert!(!p.log.iter().any(|s| found(&s.bytes)));
    let shown = format!("{:?} {:?}", p.stack, p.stack.endpoint_config(p.endpoint));
    assert!(shown.contains("9 active") && !found(shown.as_bytes()));
}

/// Whatever subset of chunk types the peer wants authenticated, packets are full, not longer than the path MTU, and nothing is stuck.
#[test]
fn every_list_of_chunk_types_lets_data_through() {
    let types = [kind::DATA, kind::SACK, kind::HEARTBEAT, kind::ERROR, kind::SHUTDOWN];
    for bits in 0..1_u32 << types.len() {
        let list: Vec<u8> = types.iter().enumerate().filter(|(at, _)| bits >> at & 1 != 0).map(|(_, kind)| *kind).collect();
        let (mut p, signer) = opened(cfg(&[]), &list, &[3, 1]);
        let signer = signer.with_hmac(3);
        let data = p.data(0, b"to be acknowledged beside our own");
        p.give(&[data]);
        let data = p.data(0, b"to be acknowledged beside our own");
        p.give(&[data]);
        p.give_raw(&raw_chunk(0xff, 0, b"to be complained about"));
        p.send(0, &[1; 20_000]);
        for _ in 0..20 {
            p.ack();
        }
        assert_eq!(p.status().unwrap().buffered, 0, "{list:?}");
        for sent in &p.log {
            assert!(sent.bytes.len() <= 1500 - 28, "{list:?}");
            let needs = sent.chunks.iter().any(|c| list.contains(&c.kind));
            assert_eq!(signer.covers(sent).is_some(), needs, "{list:?}: {:?}", sent.names());
            let first = sent.chunks.iter().position(|c| list.contains(&c.kind)).unwrap_or(0);
            assert!(!needs || sent.chunks[first - 1].kind == kind::AUTH, "{list:?}: {:?}", sent.names());
        }
        assert!(p.log.iter().any(|s| s.bytes.len() > 1500 - 28 - 4), "{list:?}: no full packet");
    }
}
