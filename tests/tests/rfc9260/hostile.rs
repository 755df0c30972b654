//! Families of attacks (classes 1 to 3 and 5 of what broke other stacks, and RFC 5062): nothing a peer sends makes a stack panic,
//! answer more than it got, or forget an association for the wrong reason.

use core::time::Duration;
use std::fmt::Write as _;

use sctp_user::wire::chunk::{Abort, CookieEcho, Data, ErrorChunk, Heartbeat, Init, InitParams, kind};
use sctp_user::wire::{Chunk, Param};
use sctp_user::{AssocConfig, CloseReason, Event, Tsn, Vtag};
use testbed::puppet::{Envelope, PUPPET_PORT, Puppet, Seen, Sent, chunks, data, encode_params, ip, names, only, raw_chunk, raw_item};

const STATES: [&str; 8] = [
    "CLOSED",
    "COOKIE-WAIT",
    "COOKIE-ECHOED",
    "ESTABLISHED",
    "SHUTDOWN-PENDING",
    "SHUTDOWN-SENT",
    "SHUTDOWN-RECEIVED",
    "SHUTDOWN-ACK-SENT",
];

/// Chunk types of RFC 9260 and its extensions, and unknown ones of each action.
const KINDS: [u8; 28] =
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x3e, 0x40, 0x7e, 0x80, 0x81, 0x82, 0x84, 0xbe, 0xc0, 0xc1, 0xc2, 0xfe];

/// Types of parameters, known and of each action.
const PARAMS: [u16; 17] = [1, 5, 6, 7, 8, 9, 10, 11, 12, 0x3ffe, 0x7ffe, 0x8000, 0x8001, 0x8008, 0xbffe, 0xc006, 0xfffe];

/// Length of the fixed part of a chunk, header included.
fn minimum(kind: u8) -> usize {
    match kind {
        kind::DATA => 17,
        kind::INIT | kind::INIT_ACK => 20,
        kind::SACK => 16,
        kind::HEARTBEAT | kind::HEARTBEAT_ACK | kind::SHUTDOWN | kind::ECNE | kind::CWR => 8,
        _ => 4,
    }
}

/// A chunk with this length field over `body` bytes behind the header.
fn lying_chunk(kind: u8, flags: u8, len: usize, body: &[u8]) -> Vec<u8> {
    let mut chunk = vec![kind, flags];
    chunk.extend(u16::try_from(len).unwrap().to_be_bytes());
    chunk.extend(body);
    chunk
}

/// The same for a parameter or a cause.
fn lying_item(kind: u16, len: usize, body: &[u8]) -> Vec<u8> {
    let mut item = kind.to_be_bytes().to_vec();
    item.extend(u16::try_from(len).unwrap().to_be_bytes());
    item.extend(body);
    item
}

/// The association's tag, or any where there is none.
fn envelope(p: &Puppet) -> Envelope {
    let e = p.envelope();
    if e.vtag == 0 { e.tagged(0x1234_5678) } else { e }
}

fn give(p: &mut Puppet, envelope: Envelope, chunks: &[u8]) -> Vec<Sent> {
    p.give_bytes(envelope, envelope.seal(chunks))
}

/// At most one packet for one packet, and not longer than it by more than headers and a cookie.
fn is_modest(sent: &[Sent], received: usize) -> bool {
    sent.len() <= 1 && sent.iter().all(|s| s.bytes.len() <= received.max(400) + 64)
}

/// The association works: HEARTBEATs are answered where the state answers them, and the handshake goes on.
fn is_alive(p: &mut Puppet, state: &str) -> bool {
    match state {
        "CLOSED" => !p.give_init().cookie().is_empty(),
        "COOKIE-WAIT" => names(&p.give_init_ack()).concat() == ["COOKIE-ECHO"],
        "COOKIE-ECHOED" => {
            p.give(&[Chunk::CookieAck]);
            p.state() == "ESTABLISHED"
        }
        "SHUTDOWN-SENT" | "SHUTDOWN-ACK-SENT" => names(&p.give(&[Chunk::ShutdownAck])).concat() == ["SHUTDOWN-COMPLETE"],
        _ => names(&p.give(&[Chunk::Heartbeat(Heartbeat { tlvs: &[0, 1, 0, 8, 1, 2, 3, 4] })])).concat() == ["HEARTBEAT-ACK"],
    }
}

/// Attack class 1. Pitfall 5.
#[test]
fn a_chunk_whose_length_does_not_fit_changes_nothing_in_any_state() {
    for state in STATES {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        let events = p.events.len();
        for kind in KINDS {
            for present in [0, 1, 3, 4, 5, 12, 16, 20, 32] {
                let body = vec![kind; present];
                // Shorter than a header, shorter than the fixed part, longer than the packet.
                let short = (0..minimum(kind)).filter(|len| *len != 16 || kind != kind::DATA);
                let long = [present + 5, present + 6, present + 8, present + 100, 0xffff];
                for len in short.chain(long) {
                    let fits = len >= minimum(kind) && len <= present + 4;
                    if fits {
                        continue;
                    }
                    let chunk = lying_chunk(kind, 0, len, &body);
                    for e in [envelope(&p), envelope(&p).tagged(p.peer_tag ^ 0x5555), envelope(&p).tagged(0)] {
                        let sent = give(&mut p, e, &chunk);
                        // A stranger may be told that there is nothing here.
                        let said: Vec<_> = names(&sent).concat();
                        let out_of_the_blue = state == "CLOSED" && (said.is_empty() || said == ["ABORT"]);
                        assert!(said.is_empty() || out_of_the_blue, "type {kind} length {len} of {present} in {state}: {said:?}");
                        assert_eq!((p.state(), p.events.len()), (state, events), "type {kind} length {len} of {present}");
                    }
                }
            }
        }
        assert!(is_alive(&mut p, state), "{state}");
    }
}

/// Whatever stands in a chunk of right length: no panic, modest answers, and under a wrong tag nothing at all.
///
/// Attack class 1. Attack class 3.
#[test]
fn a_chunk_of_any_contents_is_answered_modestly_and_under_a_wrong_tag_not_at_all() {
    for state in STATES {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        for kind in KINDS {
            for len in minimum(kind)..minimum(kind) + 24 {
                for fill in [0, 1, 0x7f, 0x80, 0xff] {
                    for flags in [0, 3, 0xff] {
                        // The last chunk's padding may be missing (3.2), or hold anything.
                        let padding = (fill as usize + len) % 2 * (len.next_multiple_of(4) - len);
                        let chunk = lying_chunk(kind, flags, len, &vec![fill; len - 4 + padding]);
                        let wrong = envelope(&p).tagged(p.peer_tag ^ 0x5555);
                        let before = (p.state(), p.events.len());
                        if state != "CLOSED" && kind != kind::INIT && kind != kind::SHUTDOWN_ACK {
                            assert!(give(&mut p, wrong, &chunk).is_empty(), "type {kind} in {state}");
                        }
                        assert_eq!((p.state(), p.events.len()), before, "type {kind} in {state}");
                        let right = envelope(&p).tagged(if kind == kind::INIT { 0 } else { envelope(&p).vtag });
                        let sent = give(&mut p, right, &chunk);
                        assert!(is_modest(&sent, chunk.len()), "type {kind} length {len} in {state}: {:?}", names(&sent));
                        if p.state() != state {
                            p = Puppet::in_state(AssocConfig::rfc(), state);
                        }
                    }
                }
            }
        }
    }
}

/// Attack class 1. Pitfall 15.
#[test]
fn an_init_with_any_parameter_of_any_length_leaves_associations_alone() {
    for state in STATES {
        for param in PARAMS {
            // Another stack for each: the answers of one are limited in a second.
            let mut p = Puppet::in_state(AssocConfig::rfc(), state);
            let events = p.events.len();
            for present in [0, 1, 2, 3, 4, 5, 8, 16, 19] {
                for len in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 19, 20, 21, 23, 24, 0xffff] {
                    let item = lying_item(param, len, &vec![0xa5; present]);
                    // Alone, and behind a good one.
                    for params in [item.clone(), [raw_item(9, &[0, 0, 0, 1]), item].concat()] {
                        let init = Init { tag: Vtag(0x6666), ..p.init_chunk(&params) };
                        let sent = p.give_in(p.envelope().tagged(0), &[Chunk::Init(init)]);
                        let said = names(&sent).concat();
                        let expected = ["INIT-ACK", "ABORT", "SHUTDOWN-ACK"];
                        assert!(said.len() == 1 && expected.contains(&said[0]), "parameter {param:#x} length {len} of {present}: {said:?}");
                        assert!(is_modest(&sent, 100));
                        assert_eq!((p.state(), p.events.len()), (state, events));
                    }
                }
            }
            assert!(is_alive(&mut p, state), "{state}");
        }
    }
}

/// Attack class 1.
#[test]
fn an_init_ack_with_any_parameter_of_any_length_goes_on_or_ends_the_attempt() {
    let mut seen = [0; 2];
    for param in PARAMS {
        for present in [0, 1, 3, 4, 5, 8, 16] {
            for len in [0, 1, 3, 4, 5, 7, 8, 9, 12, 20, 21, 0xffff] {
                let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-WAIT");
                let params = [raw_item(7, b"good"), lying_item(param, len, &vec![0xa5; present])].concat();
                let ack = p.init_chunk(&params);
                let sent = p.give(&[Chunk::InitAck(ack)]);
                match names(&sent).concat().first() {
                    Some(&"COOKIE-ECHO") => {
                        assert_eq!(p.state(), "COOKIE-ECHOED");
                        seen[0] += 1;
                    }
                    Some(&"ABORT") => {
                        assert!(p.heard(|e| matches!(e, Event::Lost { reason: CloseReason::ProtocolViolation(_) })));
                        assert_eq!(p.stack.association_count(), 0);
                        seen[1] += 1;
                    }
                    other => panic!("parameter {param:#x} length {len} of {present}: {other:?}"),
                }
            }
        }
    }
    assert!(seen.iter().all(|n| *n > 100), "{seen:?}");
}

/// Attack class 1.
#[test]
fn an_error_with_any_cause_of_any_length_ends_nothing() {
    for state in STATES {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        for code in (0..=16).chain([0xc1, 0xffff]) {
            for present in [0, 1, 2, 3, 4, 5, 8, 9, 16] {
                for len in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 20, 0xffff] {
                    let causes = lying_item(code, len, &vec![0xff; present]);
                    let before = p.events.len();
                    let sent = p.give_in(envelope(&p), &[Chunk::Error(ErrorChunk { causes: &causes })]);
                    let stale = code == 3 && len >= 8 && len <= present + 4;
                    if state == "COOKIE-ECHOED" && stale {
                        assert_eq!(names(&sent).concat(), ["INIT"]);
                        p = Puppet::in_state(AssocConfig::rfc(), state);
                        continue;
                    }
                    assert!(state == "CLOSED" || sent.is_empty(), "cause {code} length {len} of {present} in {state}");
                    assert_eq!(p.state(), state, "cause {code} length {len} of {present}");
                    assert!(p.events.len() <= before + 1);
                }
            }
        }
        assert!(is_alive(&mut p, state), "{state}");
    }
}

/// Attack class 1. Pitfall 69.
#[test]
fn an_abort_with_malformed_causes_is_no_abort() {
    for state in STATES {
        for code in [1, 3, 12, 0xffff] {
            for (len, present) in [(0, 0), (1, 0), (3, 4), (5, 0), (9, 4), (0xffff, 8)] {
                let mut p = Puppet::in_state(AssocConfig::rfc(), state);
                let causes = lying_item(code, len, &vec![0; present]);
                assert!(p.give_in(envelope(&p), &[Chunk::Abort(Abort { t: false, causes: &causes })]).is_empty());
                assert_eq!(p.state(), state, "cause {code} length {len} of {present}");
            }
        }
    }
}

/// Attack class 2.
#[test]
fn the_largest_init_of_unknown_parameters_gets_an_answer_of_one_packet() {
    // The longest lists that a peer may give for authentication are kept in the cookie.
    let auth = [raw_item(0x8002, &[7; 32]), raw_item(0x8003, &[9; 256]), raw_item(0x8004, &[[0, 1]; 32].concat())].concat();
    for (param, first) in [(0xc0ff, &[][..]), (0xc0ff, &auth[..]), (0x40ff, &[][..]), (0x40ff, &auth[..])] {
        for size in [0, 4, 1_000, 60_000] {
            let mut params = first.to_vec();
            while params.len() + size + 4 <= 64_000 {
                params.extend(raw_item(param, &vec![7; size]));
                if size == 0 && params.len() > 20_000 {
                    break;
                }
            }
            let mut p = Puppet::new(AssocConfig::rfc());
            let init = p.init_chunk(&params);
            let sent = p.give_in(p.envelope().tagged(0), &[Chunk::Init(init)]);
            assert_eq!(names(&sent), [["INIT-ACK"]], "{param:#x} {size}");
            assert!(only(&sent).bytes.len() <= 1_200, "{}", only(&sent).bytes.len());
            // The INIT ACK: the ERROR behind the COOKIE ECHO.
            let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-WAIT");
            let params = [raw_item(7, b"good"), params].concat();
            let ack = p.init_chunk(&params);
            let sent = p.give(&[Chunk::InitAck(ack)]);
            assert!(sent.len() == 1 && sent[0].bytes.len() <= 1_200, "{:?}", names(&sent));
        }
    }
}

/// Attack class 2.
#[test]
fn refusals_are_cut_to_one_packet() {
    // A host name of 60,000 bytes.
    let long = raw_item(11, &vec![b'a'; 60_000]);
    let mut p = Puppet::new(AssocConfig::rfc());
    let init = p.init_chunk(&long);
    let sent = p.give_in(p.envelope().tagged(0), &[Chunk::Init(init)]);
    assert!(matches!(only(&sent).first(), Seen::Abort { .. }) && sent[0].bytes.len() <= 1_200);
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-WAIT");
    let ack = p.init_chunk(&long);
    let sent = p.give(&[Chunk::InitAck(ack)]);
    assert!(matches!(only(&sent).first(), Seen::Abort { .. }) && sent[0].bytes.len() <= 1_200);
    // A restart that adds 1,000 addresses.
    let listed: Vec<_> = (0..1_000_u32).map(|n| Param::Address((0x0b00_0000 + n).to_be_bytes().into())).collect();
    let listed = encode_params(&listed);
    let mut p = Puppet::established(AssocConfig::rfc());
    let init = p.init_chunk(&listed);
    let sent = p.give_in(p.envelope().tagged(0), &[Chunk::Init(init)]);
    assert!(matches!(only(&sent).first(), Seen::Abort { .. }) && sent[0].bytes.len() <= 1_200, "{}", sent[0].bytes.len());
    assert_eq!(p.state(), "ESTABLISHED");
    // An unknown chunk of 60,000 bytes.
    let sent = p.give_raw(&raw_chunk(0xfe, 0, &vec![9; 60_000]));
    let Seen::Error { causes } = only(&sent).first() else { panic!("{sent:?}") };
    let limit = p.status().unwrap().mtu - 20 - 8;
    assert!(
        causes[0].1.starts_with(&[0xfe, 0]) && sent[0].bytes.len() <= limit && sent[0].bytes.len() > limit - 8,
        "{}",
        sent[0].bytes.len()
    );
}

/// RFC 5062 sections 8 and 10: one packet for one packet. Pitfall 16. Attack class 2.
#[test]
fn unknown_chunks_of_one_packet_share_one_error() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let three = [raw_chunk(0xfe, 1, b"one"), raw_chunk(0xfd, 2, b"three"), raw_chunk(0xfc, 3, b"")].concat();
    let sent = p.give_raw(&[three, raw_chunk(0x7e, 0, b""), raw_chunk(0xfb, 0, b"not looked at")].concat());
    let Seen::Error { causes } = only(&sent).first() else { panic!("{sent:?}") };
    let echoed: Vec<_> = causes.iter().map(|(code, chunk)| (*code, chunk.as_slice())).collect();
    let expected: [(u16, &[u8]); 4] =
        [(6, &[0xfe, 1, 0, 7, b'o', b'n', b'e']), (6, b"\xfd\x02\0\x09three"), (6, &[0xfc, 3, 0, 4]), (6, &[0x7e, 0, 0, 4])];
    assert_eq!((names(&sent), echoed), (vec![vec!["ERROR"]], expected.to_vec()));
    // More than an ERROR in one packet can hold: it holds what it can.
    p.pass(Duration::from_secs(2));
    let many = raw_chunk(0xfe, 0, &[0; 60]).repeat(90);
    let sent = p.give_raw(&many);
    assert_eq!(names(&sent), [["ERROR"]]);
    let limit = p.status().unwrap().mtu - 20 - 8;
    assert!(sent[0].bytes.len() <= limit && sent[0].bytes.len() > limit - 72, "{}", sent[0].bytes.len());
}

/// Attack class 2.
#[test]
fn complaints_are_limited_in_a_second() {
    let mut p = Puppet::established(AssocConfig::rfc());
    for round in 0..3 {
        let mut errors = 0;
        for n in 0..1_000_u16 {
            let sent = if n % 2 == 0 {
                p.give_raw(&raw_chunk(0xfe, 0, b"?"))
            } else {
                p.give(&[Chunk::Data(data(p.tsn.wrapping_add(u32::from(n)), 9_999, 0, b"x"))])
            };
            errors += names(&sent).concat().iter().filter(|name| **name == "ERROR").count();
        }
        assert!(errors > 50 && errors <= 100, "{errors} in round {round}");
        p.pass(Duration::from_secs(1));
    }
    assert_eq!(p.state(), "ESTABLISHED");
}

/// A chunk that is unknown to us must not be reported out of the handshake, nor to one who does not know our tag.
///
/// Attack class 3.
#[test]
fn strangers_get_no_reports() {
    for state in STATES.into_iter().skip(1) {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        let envelope = p.envelope().tagged(p.peer_tag ^ 1);
        for kind in [0xfe, 0x7e] {
            assert!(give(&mut p, envelope, &raw_chunk(kind, 0, b"?")).is_empty(), "{state}");
        }
    }
}

/// Pitfall 1. Pitfall 6. Pitfall 12. Attack class 3.
#[test]
fn init_and_init_ack_that_are_bundled_or_tagged_are_not_taken() {
    for state in STATES {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        let events = p.events.len();
        let init = Init { tag: Vtag(0x6666), ..p.init_chunk(&[]) };
        for second in [Chunk::CookieAck, Chunk::Init(init), Chunk::Data(data(p.tsn, 0, 0, b"x"))] {
            assert!(p.give_in(p.envelope().tagged(0), &[Chunk::Init(init), second]).is_empty(), "{state}");
            // As a later chunk it means nothing either.
            let sent = p.give_in(envelope(&p), &[Chunk::CookieAck, Chunk::Init(init)]);
            assert!(sent.is_empty() || state == "COOKIE-ECHOED", "{state} {:?}", names(&sent));
            if state == "COOKIE-ECHOED" {
                p = Puppet::in_state(AssocConfig::rfc(), state);
            }
        }
        assert!(p.give_in(p.envelope().tagged(0x77), &[Chunk::Init(init)]).is_empty());
        if state == "COOKIE-WAIT" {
            let params = encode_params(&[Param::StateCookie(b"cookie")]);
            let ack = p.init_chunk(&params);
            let extra = p.data(0, b"too early");
            assert!(p.give(&[Chunk::InitAck(ack), extra]).is_empty());
        }
        assert_eq!(p.state(), state);
        if state != "COOKIE-ECHOED" {
            assert_eq!(p.events.len(), events, "{state}");
        }
    }
}

/// RFC 5062 section 2: who lists an address does not own it. Attack class 5.
#[test]
fn an_address_that_an_attacker_has_listed_is_free_for_its_owner() {
    let victim = "10.66.0.2";
    let mut p = Puppet::new(AssocConfig::rfc());
    p.params = encode_params(&[Param::Address(ip(victim))]);
    p.open();
    let camper = p.id();
    // The victim comes, with the same port.
    let init = Init { tag: Vtag(0x4242), ..p.init_chunk(&[]) };
    let from = p.envelope().tagged(0).from(victim);
    let sent = p.give_in(from, &[Chunk::Init(init)]);
    let Seen::InitAck(ack) = only(&sent).first() else { panic!("{:?}", names(&sent)) };
    let cookie = ack.cookie();
    let sent = p.give_in(from.tagged(ack.tag), &[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
    assert!(names(&sent).concat().contains(&"COOKIE-ACK"));
    assert_eq!(p.stack.association_count(), 2);
    let owner = p.stack.find(p.endpoint, std::net::SocketAddr::new(ip(victim), PUPPET_PORT));
    assert!(owner.is_some() && owner != Some(camper));
}

/// RFC 5062 sections 5 and 6: a victim's address gets no DATA before it has answered for itself, whatever the attacker
/// acknowledges or does not. Attack class 5.
#[test]
fn a_listed_address_is_sent_no_data_before_it_is_confirmed() {
    let victim = ip("10.66.0.2");
    let mut p = Puppet::new(AssocConfig::rfc());
    p.params = encode_params(&[Param::Address(victim)]);
    p.open();
    p.send(0, b"a large transfer");
    p.pass(Duration::from_secs(400));
    let to_victim: Vec<_> = p.log.iter().filter(|s| s.dst == victim).collect();
    assert!(to_victim.iter().flat_map(|s| s.names()).all(|n| n == "HEARTBEAT"));
    assert!(to_victim.iter().all(|s| s.bytes.len() <= 100));
    // It guesses a TSN that it cannot have seen: the end.
    let mut p = Puppet::established(AssocConfig::rfc());
    p.cum = p.cum.wrapping_add(1);
    assert_eq!(names(&p.ack()), [["ABORT"]]);
}

/// RFC 5062 section 7: a cookie is good for its ports only. Attack class 4.
#[test]
fn an_association_cannot_be_redirected_to_other_ports() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let other = sctp_user::EndpointConfig::with(8, AssocConfig::rfc().into());
    let endpoint = p.stack.open(other).unwrap();
    p.stack.listen(endpoint, true);
    let cookie = p.give_init().cookie();
    let echo = [Chunk::CookieEcho(CookieEcho { cookie: &cookie })];
    for (src_port, dst_port) in [(PUPPET_PORT + 1, 7), (PUPPET_PORT, 8), (PUPPET_PORT + 1, 8)] {
        assert!(p.give_in(Envelope { src_port, dst_port, ..p.envelope() }, &echo).is_empty());
    }
    assert_eq!(p.stack.association_count(), 0);
}

/// RFC 5062 section 9: what an INIT gets is not much longer than itself.
#[test]
fn an_init_ack_is_small() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let init = p.init_chunk(&[]);
    let sent = p.give_in(p.envelope().tagged(0), &[Chunk::Init(init)]);
    assert!(only(&sent).bytes.len() <= 256, "{}", only(&sent).bytes.len());
}

/// Attack class 3. Answers to strangers come from a bucket, however many ask.
#[test]
fn answers_to_strangers_are_limited() {
    let mut stack = sctp_user::StackConfig::default();
    (stack.ootb_per_second, stack.init_ack_per_second) = (10, 20);
    let mut p = Puppet::with(stack, AssocConfig::rfc(), &["10.0.0.1"], &["10.0.0.2"]);
    let e = p.envelope().tagged(5);
    let init = Chunk::Init(Init { tag: Vtag(1), a_rwnd: 2_000, outbound: 1, inbound: 1, tsn: Tsn(1), params: InitParams::Wire(&[]) });
    let stray = Chunk::Data(Data { payload: b"x", ..data(1, 0, 0, b"x") });
    let mut said = String::new();
    for _ in 0..1_000 {
        for sent in [p.give_in(e, &[stray]), p.give_in(e.tagged(0), &[init]), p.give_in(e, &[Chunk::ShutdownAck])] {
            names(&sent).concat().iter().for_each(|n| write!(said, "{n} ").unwrap());
        }
    }
    let count = |what: &str| said.split(' ').filter(|n| *n == what).count();
    assert_eq!((count("ABORT") + count("SHUTDOWN-COMPLETE"), count("INIT-ACK")), (10, 20));
    p.pass(Duration::from_secs(1));
    assert_eq!(p.give_in(e, &[stray]).len(), 1);
    assert!(chunks(&p.log).count() > 0);
}
