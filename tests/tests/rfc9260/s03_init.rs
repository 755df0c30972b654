//! Sections 3.3.2 and 3.3.3: INIT and INIT ACK.

use std::collections::BTreeSet;

use sctp_user::wire::chunk::{Init, InitParams};
use sctp_user::wire::{Chunk, Param};
use sctp_user::{AssocConfig, Event, Tsn, Vtag};
use testbed::puppet::{Envelope, Puppet, Seen, SeenInit, Sent, encode, encode_params, ip, names, only, raw_chunk, raw_item};

/// States of an association in which no INIT ACK is expected.
const LATER: [&str; 6] = ["COOKIE-ECHOED", "ESTABLISHED", "SHUTDOWN-PENDING", "SHUTDOWN-SENT", "SHUTDOWN-RECEIVED", "SHUTDOWN-ACK-SENT"];

fn host_name() -> Vec<u8> {
    raw_item(11, b"example.org\0")
}

/// The INIT and the INIT ACK of a stack.
fn own_offers() -> [SeenInit; 2] {
    let mut p = Puppet::new(AssocConfig::rfc());
    let ack = p.give_init();
    let mut p = Puppet::new(AssocConfig::rfc());
    let sent = p.connect();
    let Seen::Init(init) = only(&sent).first() else { panic!("{sent:?}") };
    [init.clone(), ack]
}

fn is_abort(sent: &[Sent], vtag: u32) -> bool {
    matches!(sent, [one] if one.vtag == vtag && matches!(one.first(), Seen::Abort { t: false, .. }))
}

/// A change of the puppet's offer that makes it unacceptable.
type Spoil = for<'a> fn(Init<'a>) -> Init<'a>;

const SMALL_WINDOW: Spoil = |init| Init { a_rwnd: 1499, ..init };
const NO_OUTBOUND: Spoil = |init| Init { outbound: 0, ..init };
const NO_INBOUND: Spoil = |init| Init { inbound: 0, ..init };

/// An INIT that is unacceptable is answered with an ABORT under its tag, and nothing comes of it.
fn refuse_init(spoil: Spoil) {
    let mut p = Puppet::new(AssocConfig::rfc());
    p.tag = 0x1234_5678;
    let init = spoil(p.init_chunk(&[]));
    assert!(is_abort(&p.give_in(p.envelope().tagged(0), &[Chunk::Init(init)]), 0x1234_5678));
    assert_eq!(p.stack.association_count(), 0);
    // An association that exists does not notice.
    for state in ["COOKIE-WAIT", "COOKIE-ECHOED", "ESTABLISHED", "SHUTDOWN-PENDING", "SHUTDOWN-SENT", "SHUTDOWN-RECEIVED"] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        let init = Init { tag: Vtag(0x1234_5678), ..spoil(p.init_chunk(&[])) };
        let events = p.events.len();
        assert!(is_abort(&p.give_in(p.envelope().tagged(0), &[Chunk::Init(init)]), 0x1234_5678), "{state}");
        assert_eq!((p.state(), p.events.len()), (state, events));
    }
}

/// An INIT ACK that is unacceptable changes nothing where none is expected.
fn ignore_init_ack_later(spoil: Spoil) {
    for state in LATER {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        let params = encode_params(&[Param::StateCookie(b"late")]);
        let ack = spoil(p.init_chunk(&params));
        let events = p.events.len();
        assert!(p.give(&[Chunk::InitAck(ack)]).is_empty(), "{state}");
        assert_eq!((p.state(), p.events.len()), (state, events));
    }
}

/// The puppet's INIT ACK, spoiled, to a stack in COOKIE-WAIT; answers the puppet and what came back.
fn spoiled_init_ack(spoil: Spoil) -> (Puppet, Vec<Sent>) {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-WAIT");
    let params = encode_params(&[Param::StateCookie(b"cookie")]);
    let ack = spoil(p.init_chunk(&params));
    let sent = p.give(&[Chunk::InitAck(ack)]);
    (p, sent)
}

/// RFC 9260 rows: 3.3.2-1, 3.3.2-2, 3.3.2.1.4-1, 3.3.3-1, 3.3.3.1-1.
#[test]
fn own_offers_repeat_no_parameter_and_name_no_host() {
    for offer in own_offers() {
        let kinds: Vec<_> = offer.params.iter().map(|(kind, _)| *kind).filter(|kind| !matches!(kind, 5 | 6 | 8)).collect();
        assert_eq!(kinds.iter().collect::<BTreeSet<_>>().len(), kinds.len(), "{kinds:?}");
        assert!(!kinds.contains(&11));
    }
}

/// RFC 9260 rows: 3.3.2-3, 3.3.2.1.4-2, 12.2.4.1-1, 5.1.2-2, 5.1.2-3.
#[test]
fn an_init_with_a_host_name_is_refused() {
    let mut p = Puppet::new(AssocConfig::rfc());
    p.tag = 99;
    let params = host_name();
    let sent = p.give_in(p.envelope().tagged(0).from("10.0.0.77"), &[Chunk::Init(p.init_chunk(&params))]);
    assert!(is_abort(&sent, 99), "{sent:?}");
    assert_eq!(sent[0].dst, ip("10.0.0.77"));
    assert_eq!(p.stack.association_count(), 0);
}

/// RFC 9260 rows: 3.3.3-2, 3.3.2.1.4-2.
#[test]
fn an_init_ack_with_a_host_name_is_refused() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-WAIT");
    p.params = host_name();
    let sent = p.give_init_ack();
    assert!(is_abort(&sent, p.tag), "{sent:?}");
    assert_eq!(p.state(), "CLOSED");
}

/// RFC 9260 rows: 3.3.2-4, 3.3.3-25.
#[test]
fn mandatory_fields_are_enough() {
    let mut p = Puppet::new(AssocConfig::rfc());
    p.give_init();
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-WAIT");
    let sent = p.give_init_ack();
    assert_eq!(names(&sent), [["COOKIE-ECHO"]]);
    assert_eq!(*sent[0].first(), Seen::CookieEcho { cookie: b"puppet's cookie".to_vec() });
}

/// RFC 9260 rows: 3.3.2-5, 3.3.3-3.
#[test]
fn flags_of_init_and_init_ack_are_zero_and_ignored() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let mut init = encode(&[Chunk::Init(p.init_chunk(&[]))]);
    init[1] = 0xff;
    let envelope = p.envelope().tagged(0);
    let sent = p.give_bytes(envelope, envelope.seal(&init));
    assert_eq!((sent[0].names(), sent[0].chunks[0].flags), (vec!["INIT-ACK"], 0));
    let sent = p.connect();
    assert_eq!((sent[0].names(), sent[0].chunks[0].flags), (vec!["INIT"], 0));
    let params = encode_params(&[Param::StateCookie(b"cookie")]);
    let mut ack = encode(&[Chunk::InitAck(p.init_chunk(&params))]);
    ack[1] = 0xff;
    assert_eq!(names(&p.give_raw(&ack)), [["COOKIE-ECHO"]]);
}

/// RFC 9260 rows: 3.3.2-7.
#[test]
fn an_init_with_tag_zero_is_dropped_in_silence() {
    let mut p = Puppet::new(AssocConfig::rfc());
    p.tag = 0;
    let init = Chunk::Init(p.init_chunk(&[]));
    assert!(p.give_in(p.envelope().tagged(0), &[init]).is_empty());
    assert_eq!(p.stack.association_count(), 0);
}

/// RFC 9260 rows: 3.3.2-8, 3.3.2-13, 3.3.2-17, 3.3.3-9, 3.3.3-14.
#[test]
fn own_offers_have_a_window_and_streams() {
    for offer in own_offers() {
        assert!(offer.a_rwnd >= 1500 && offer.outbound > 0 && offer.inbound > 0, "{offer:?}");
    }
    // Nor can the user ask for less.
    let smallest = || {
        let mut cfg = AssocConfig::rfc();
        cfg.recv_buffer = 1500;
        (cfg.outbound_streams, cfg.max_inbound_streams) = (1, 1);
        cfg
    };
    assert_eq!(smallest().validate(), Ok(()));
    let breaches: [fn(&mut AssocConfig); 3] = [|c| c.recv_buffer = 1499, |c| c.outbound_streams = 0, |c| c.max_inbound_streams = 0];
    for breach in breaches {
        let mut cfg = smallest();
        breach(&mut cfg);
        assert!(cfg.validate().is_err());
    }
}

/// RFC 9260 rows: 3.3.3-5, 3.3.3-19, 3.3.3-15.
#[test]
fn an_init_ack_asks_for_no_more_streams_than_the_init_takes() {
    for mis in [1, 4, 100] {
        let mut p = Puppet::new(AssocConfig::rfc());
        p.streams = (10, mis);
        let ack = p.give_init();
        assert!(ack.tag != 0 && ack.inbound > 0);
        assert_eq!(ack.outbound, mis.min(AssocConfig::rfc().outbound_streams));
    }
}

/// RFC 9260 rows: 3.3.2-9, 3.3.2-10, 3.3.2-11.
#[test]
fn an_init_with_a_small_window_is_refused() {
    refuse_init(SMALL_WINDOW);
}

/// RFC 9260 rows: 3.3.2-14, 3.3.2-15, 3.3.2-16.
#[test]
fn an_init_without_outbound_streams_is_refused() {
    refuse_init(NO_OUTBOUND);
}

/// RFC 9260 rows: 3.3.2-18, 3.3.2-19, 3.3.2-20.
#[test]
fn an_init_without_inbound_streams_is_refused() {
    refuse_init(NO_INBOUND);
}

/// RFC 9260 rows: 3.3.3-10, 3.3.3-11, 3.3.3-12.
#[test]
fn an_init_ack_with_a_small_window_is_refused_and_changes_nothing() {
    let (mut p, sent) = spoiled_init_ack(SMALL_WINDOW);
    assert!(is_abort(&sent, p.tag), "{sent:?}");
    assert_eq!(p.state(), "COOKIE-WAIT");
    assert_eq!(names(&p.tick().unwrap()), [["INIT"]], "T1-init runs on");
    assert_eq!(names(&p.give_init_ack()), [["COOKIE-ECHO"]], "a better one is taken");
    ignore_init_ack_later(SMALL_WINDOW);
}

/// RFC 9260 rows: 3.3.3-16, 3.3.3-17, 3.3.3-18.
#[test]
fn an_init_ack_without_outbound_streams_ends_the_attempt() {
    let (mut p, sent) = spoiled_init_ack(NO_OUTBOUND);
    assert!(is_abort(&sent, p.tag), "{sent:?}");
    assert_eq!(p.state(), "CLOSED");
    assert!(p.heard(|e| matches!(e, Event::Lost { .. })));
    ignore_init_ack_later(NO_OUTBOUND);
}

/// RFC 9260 rows: 3.3.3-20, 3.3.3-21, 3.3.3-22.
#[test]
fn an_init_ack_without_inbound_streams_ends_the_attempt() {
    let (mut p, sent) = spoiled_init_ack(NO_INBOUND);
    assert!(is_abort(&sent, p.tag), "{sent:?}");
    assert_eq!(p.state(), "CLOSED");
    assert!(p.heard(|e| matches!(e, Event::Lost { .. })));
    ignore_init_ack_later(NO_INBOUND);
}

/// RFC 9260 rows: 3.3.3-6, 3.3.3-7, 3.3.3-8.
#[test]
fn an_init_ack_with_tag_zero_ends_the_attempt() {
    let (mut p, sent) = spoiled_init_ack(|init| Init { tag: Vtag(0), ..init });
    assert!(matches!(only(&sent).first(), Seen::Abort { t: true, .. }), "{sent:?}");
    assert_eq!(sent[0].vtag, p.peer_tag, "the tag of the packet is reflected");
    assert_eq!(p.state(), "CLOSED");
    ignore_init_ack_later(|init| Init { tag: Vtag(0), ..init });
}

/// RFC 9260 rows: 3.3.2-12, 3.3.3-13.
#[test]
fn the_receive_buffer_does_not_shrink_while_the_association_lives() {
    for stack_opens in [false, true] {
        let mut cfg = AssocConfig::rfc();
        cfg.recv_buffer = 20_000;
        let mut p = if stack_opens { Puppet::accepted(cfg) } else { Puppet::established(cfg) };
        let promised = p.log.iter().find_map(|s| match s.first() {
            Seen::Init(i) | Seen::InitAck(i) => Some(i.a_rwnd),
            _ => None,
        });
        for _ in 0..50 {
            for _ in 0..10 {
                let data = p.data(0, &[5; 1000]);
                p.give(&[data]);
            }
            while p.recv().is_some() {}
            p.collect();
        }
        let data = p.data(0, b"x");
        p.give(&[data]);
        assert_eq!(p.recv().unwrap().payload, "x");
        let data = p.data(0, b"y");
        p.recv();
        p.give(&[data]);
        p.pass(core::time::Duration::from_secs(1));
        let last = p.log.iter().rev().find_map(|s| if let Seen::Sack { a_rwnd, .. } = s.first() { Some(*a_rwnd) } else { None });
        // What is not read yet: the one byte of the last message and what holds it.
        assert!(last.unwrap() + 500 > promised.unwrap() && last <= promised, "{promised:?} {last:?}");
    }
}

/// Whether each of the 32 bits is seen set and clear.
fn any_bits(values: &BTreeSet<u32>) -> bool {
    values.iter().fold(0, |bits, v| bits | v) == u32::MAX && values.iter().fold(u32::MAX, |bits, v| bits & v) == 0
}

/// RFC 9260 rows: 3.3.2-21, 3.3.3-23, 5.1-2, 5.3.1-1, 5.2.2-7.
#[test]
fn tags_and_initial_tsns_are_random() {
    let (mut acks, mut inits) = (Vec::new(), Vec::new());
    for n in 1..=64 {
        let mut p = Puppet::new(AssocConfig::rfc());
        for _ in 0..n {
            acks.push(p.give_init());
        }
        // One after the other from the same stack.
        p.port += 1;
        let sent = p.connect();
        let Seen::Init(init) = only(&sent).first() else { panic!("{sent:?}") };
        inits.push(init.clone());
    }
    for offers in [&acks[2016..], &inits] {
        let (tags, tsns): (BTreeSet<_>, BTreeSet<_>) = offers.iter().map(|o| (o.tag, o.tsn)).unzip();
        assert_eq!((tags.len(), tsns.len()), (64, 64));
        assert!(any_bits(&tags) && any_bits(&tsns) && !tags.contains(&0));
        assert!(tags.is_disjoint(&tsns));
    }
}

/// RFC 9260 rows: 3.3.2.1-1, 3.3.3.1-2.
#[test]
fn parameters_stand_behind_the_fixed_fields() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let ack = p.give_init();
    let raw = &p.log[0].chunks[0].raw;
    assert_eq!(raw[4..8], ack.tag.to_be_bytes());
    assert_eq!(raw[16..20], ack.tsn.to_be_bytes());
    let first = ack.params.first().unwrap();
    assert_eq!(raw[20..22], first.0.to_be_bytes());
    let sent = p.connect();
    let Seen::Init(init) = only(&sent).first() else { panic!("{sent:?}") };
    let raw = &sent[0].chunks[0].raw;
    assert_eq!((&raw[4..8], &raw[16..20]), (&init.tag.to_be_bytes()[..], &init.tsn.to_be_bytes()[..]));
    // A chunk that has no room for the fixed fields is none.
    let mut p = Puppet::new(AssocConfig::rfc());
    let envelope = p.envelope().tagged(0);
    assert!(p.give_bytes(envelope, envelope.seal(&raw_chunk(1, 0, &[1; 12]))).is_empty());
}

/// RFC 9260 rows: 3.3.2.1.2-3, 3.3.3-26, 5.1.2-1.
#[test]
fn without_listed_addresses_the_source_is_the_only_one() {
    let mut p = Puppet::new(AssocConfig::rfc());
    p.addrs = vec![ip("10.0.0.33")];
    p.open();
    let mut q = Puppet::new(AssocConfig::rfc());
    q.accept();
    for (p, peer) in [(&mut p, "10.0.0.33:5000"), (&mut q, "10.0.0.2:5000")] {
        let id = p.id();
        assert_eq!(p.stack.assoc(id).unwrap().peer_addrs(), [peer.parse().unwrap()]);
    }
}

/// RFC 9260 rows: 3.3.2.1.5-1, 3.3.2.1.5-2.
#[test]
fn host_names_are_no_supported_address_type() {
    for offer in own_offers() {
        if let Some(types) = offer.param(12) {
            assert!(types.as_chunks::<2>().0.iter().all(|t| *t == [0, 5] || *t == [0, 6]), "{types:?}");
        }
    }
    assert!(own_offers()[0].param(12).is_some());
    let mut p = Puppet::new(AssocConfig::rfc());
    p.params = raw_item(12, &[0, 11, 0, 5, 0, 6]);
    p.give_init();
}

/// RFC 9260 rows: 3.3.3-24.
#[test]
fn an_init_ack_may_be_longer_than_a_packet_of_1500_bytes() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "COOKIE-WAIT");
    let cookie: Vec<u8> = (0..4000_u32).map(|n| n.to_be_bytes()[3]).collect();
    let params = encode_params(&[Param::StateCookie(&cookie)]);
    let sent = p.give(&[Chunk::InitAck(p.init_chunk(&params))]);
    assert_eq!(*only(&sent).first(), Seen::CookieEcho { cookie });
    assert!(sent[0].transmit.may_fragment, "longer than the path MTU: IP has to fragment it");
    p.give(&[Chunk::CookieAck]);
    assert_eq!(p.state(), "ESTABLISHED");
}

/// RFC 9260 rows: 3.3.3.1.1-1, 4-1, 5.1.3-1, 5.1.3-2, 5.1.5-2.
#[test]
fn the_cookie_alone_creates_the_association_and_no_byte_of_it_can_change() {
    let mut p = Puppet::new(AssocConfig::rfc());
    p.streams = (3, 4);
    let ack = p.give_init();
    let cookie = ack.cookie();
    for at in 0..cookie.len() {
        let mut forged = cookie.clone();
        forged[at] ^= 0x10;
        assert!(p.give_raw(&raw_chunk(10, 0, &forged)).is_empty(), "byte {at}");
        assert_eq!(p.stack.association_count(), 0, "byte {at}");
    }
    assert_eq!(names(&p.give_raw(&raw_chunk(10, 0, &cookie))), [["COOKIE-ACK"]]);
    assert!(p.heard(|e| *e == Event::Connected { inbound: 3, outbound: 4, incoming: true }), "{:?}", p.events);
    // Both TSNs came with it.
    let data = p.data(0, b"x");
    let before = p.tsn.wrapping_sub(1);
    let sent = p.give(&[data]);
    assert!(matches!(only(&sent).first(), Seen::Sack { cum, .. } if *cum == before), "{sent:?}");
    let sent = p.send(0, b"y");
    assert!(matches!(only(&sent).first(), Seen::Data { tsn, .. } if *tsn == ack.tsn), "{sent:?}");
}

/// RFC 9260 rows: 12.3-3, 8.5.1-2, 8.5.1-3.
#[test]
fn an_init_that_is_bundled_or_tagged_is_dropped_with_all_chunks() {
    let init = |p: &Puppet| {
        Chunk::Init(Init { tag: Vtag(5), a_rwnd: 9000, outbound: 1, inbound: 1, tsn: Tsn(p.tsn), params: InitParams::List(&[]) })
    };
    let mut p = Puppet::established(AssocConfig::rfc());
    let first = init(&p);
    let before = p.tsn;
    let data = p.data(0, b"x");
    for (vtag, bundle) in
        [(0, vec![first, data]), (0, vec![data, first]), (p.peer_tag, vec![first]), (p.peer_tag, vec![first, data]), (0, vec![data])]
    {
        assert!(p.give_in(p.envelope().tagged(vtag), &bundle).is_empty(), "{bundle:?}");
        assert!(p.recv().is_none());
    }
    assert_eq!(p.tsn, before + 1);
    assert_eq!(p.state(), "ESTABLISHED");
}
/// RFC 9260 rows: 3.3.2.1.2-1, 3.3.2.1.2-2.
#[test]
fn mapped_addresses_are_listed_as_ipv4() {
    let mut p = Puppet::at(AssocConfig::rfc(), &["::ffff:10.0.0.1", "::ffff:10.0.1.1"], &["10.0.0.2", "10.0.1.2"]);
    let Envelope { src, .. } = p.envelope();
    let envelope = Envelope { src, dst: ip("10.0.0.1"), ..p.envelope() };
    let sent = p.give_in(envelope.tagged(0), &[Chunk::Init(p.init_chunk(&[]))]);
    let Seen::InitAck(ack) = only(&sent).first() else { panic!("{sent:?}") };
    let mut listed = ack.addresses();
    let sent = p.connect();
    let Seen::Init(init) = only(&sent).first() else { panic!("{sent:?}") };
    listed.extend(init.addresses());
    assert!(listed.contains(&ip("10.0.1.1")), "{listed:?}");
    assert!(listed.iter().all(std::net::IpAddr::is_ipv4), "{listed:?}");
}
