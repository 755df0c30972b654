//! RFC 8260: I-DATA and stream schedulers, on the wire.

use sctp_user::wire::chunk::{CookieEcho, IData, Place, kind};
use sctp_user::wire::{Chunk, Param};
use sctp_user::{AssocConfig, CloseReason, Event, Fsn, Mid, Ppid, SendOptions, StreamId, StreamScheduler, Tsn};
use testbed::puppet::{Puppet, Seen, SeenInit, Sent, chunks, encode, encode_params, names, only};

fn cfg() -> AssocConfig {
    let mut cfg = AssocConfig::rfc();
    (cfg.interleaving, cfg.interleave_streams, cfg.nagle) = (true, true, false);
    cfg
}

/// A puppet that lists these chunk types as supported extensions.
fn puppet(cfg: AssocConfig, listed: &[u8]) -> Puppet {
    let mut p = Puppet::new(cfg);
    p.params = encode_params(&[Param::SupportedExtensions(listed)]);
    p
}

/// An association that the puppet opened.
fn opened(cfg: AssocConfig, listed: &[u8]) -> Puppet {
    let mut p = puppet(cfg, listed);
    let cookie = p.give_init().cookie();
    p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
    assert_eq!(p.state(), "ESTABLISHED");
    p
}

/// The same opened by the stack.
fn accepted(cfg: AssocConfig, listed: &[u8]) -> Puppet {
    let mut p = puppet(cfg, listed);
    p.connect();
    p.give_init_ack();
    p.give(&[Chunk::CookieAck]);
    assert_eq!(p.state(), "ESTABLISHED");
    p
}

fn listed(init: &SeenInit) -> Vec<u8> {
    init.param(0x8008).unwrap_or_default().to_vec()
}

fn init_of(sent: &[Sent]) -> SeenInit {
    match only(sent).first() {
        Seen::Init(init) | Seen::InitAck(init) => init.clone(),
        other => panic!("{other:?}"),
    }
}

/// The puppet's next I-DATA, a whole message.
fn i_data<'a>(p: &mut Puppet, sid: u16, mid: u32, payload: &'a [u8]) -> IData<'a> {
    let tsn = Tsn(p.tsn);
    p.tsn = p.tsn.wrapping_add(1);
    let place = Place::First(Ppid(7));
    IData { immediate: false, unordered: false, end: true, tsn, sid: StreamId(sid), mid: Mid(mid), place, payload }
}

fn aborts_with_a_protocol_violation(p: &mut Puppet, sent: &[Sent]) {
    let Seen::Abort { t: false, causes } = only(sent).first() else { panic!("{sent:?}") };
    assert_eq!(causes[0].0, 13);
    assert!(p.heard(|e| matches!(e, Event::Lost { reason: CloseReason::ProtocolViolation(_) })));
}

/// RFC 8260 rows: 2.2.1-5, 2.2.1-6, 2.2.1-7.
#[test]
fn i_data_is_offered_only_if_the_user_wants_it_and_takes_interleaved_parts() {
    let off = AssocConfig::rfc();
    assert!(!off.interleaving);
    for (cfg, offered) in [(cfg(), true), (off, false)] {
        assert_eq!(listed(&init_of(&Puppet::new(cfg.clone()).connect())).contains(&kind::I_DATA), offered);
        for theirs in [&[kind::I_DATA][..], &[kind::RE_CONFIG]] {
            let ack = puppet(cfg.clone(), theirs).give_init();
            assert_eq!(listed(&ack).contains(&kind::I_DATA), offered && theirs == [kind::I_DATA]);
        }
    }
    for change in [|cfg: &mut AssocConfig| cfg.interleave_streams = false, |cfg: &mut AssocConfig| cfg.partial_delivery = false] {
        let mut cfg = cfg();
        change(&mut cfg);
        assert_eq!(cfg.validate().unwrap_err().field, "interleaving");
        // On a running association neither.
        let mut p = opened(self::cfg(), &[kind::I_DATA]);
        let (id, now) = (p.id(), p.now);
        assert_eq!(p.stack.assoc(id).unwrap().reconfigure(now, change).unwrap_err().field, "interleaving");
    }
}

/// RFC 8260 rows: 2.2.1-1, 2.2.1-2, 2.2.1-3, 2.2.1-4.
#[test]
fn one_kind_of_chunk_is_used_and_no_other() {
    for open in [opened, accepted] {
        for (cfg, theirs, interleaves) in [
            (cfg(), &[kind::I_DATA][..], true),
            (cfg(), &[], false),
            (cfg(), &[kind::RE_CONFIG, kind::I_FORWARD_TSN], false),
            (AssocConfig::rfc(), &[kind::I_DATA], false),
        ] {
            let mut p = open(cfg, theirs);
            assert_eq!(p.status().unwrap().extensions.interleaving, interleaves);
            let mut sent = p.send(0, b"short");
            p.ack();
            sent.extend(p.send(1, &[7; 3_000]));
            let id = p.id();
            p.try_send(2, b"unordered", SendOptions::unordered()).unwrap();
            sent.extend(p.collect());
            let (wanted, other) = if interleaves { ("I-DATA", "DATA") } else { ("DATA", "I-DATA") };
            let all = names(&sent).concat();
            assert!(all.iter().filter(|n| **n == wanted).count() >= 3 && !all.contains(&other), "{id:?} {all:?}");
        }
    }
}

/// RFC 8260 rows: 2.1-1, 2.1-4, 2.1-8, 2.2.2-1, 2.2.2-2.
#[test]
fn what_a_fragment_says_of_itself() {
    let mut p = opened(cfg(), &[kind::I_DATA]);
    let mut first = None;
    for (n, unordered) in [false, false, true, true].into_iter().enumerate() {
        let opts = if unordered { SendOptions::unordered() } else { SendOptions::ordered() };
        p.try_send(3, &[7; 4_000], opts).unwrap();
        let sent = p.collect();
        let mid = u32::try_from(n % 2).unwrap();
        let list: Vec<_> = sent.iter().flat_map(|s| &s.chunks).filter(|c| c.kind == kind::I_DATA).collect();
        assert_eq!(list.len(), 3);
        for (fsn, c) in (0..).zip(list) {
            let Seen::IData { tsn, sid, mid: m, place, end, unordered: u, payload, .. } = &c.body else { panic!("{c:?}") };
            let first = *first.get_or_insert(*tsn);
            assert_eq!((*sid, *m, place.fsn(), *end, *u), (3, mid, Fsn(fsn), fsn == 2, unordered));
            assert_eq!(tsn.wrapping_sub(first), u32::try_from(n).unwrap() * 3 + fsn, "TSNs are in sequence");
            assert_eq!(place.is_first(), fsn == 0);
            // Type, flags with reserved bits, length; behind the TSN the stream, and 16 reserved bits.
            assert_eq!((c.flags & 0xf0, &c.raw[10..12]), (0, &[0, 0][..]));
            assert_eq!(c.raw.len(), 20 + payload.len());
        }
        p.ack();
    }
}

/// RFC 8260 rows: 2.2.2-3, 2.2.2-5, 2.2.2-6. Figure 2 of RFC 8260.
#[test]
fn messages_of_several_streams_are_interleaved() {
    let mut p = opened(cfg(), &[kind::I_DATA]);
    // The window is closed until all is there.
    p.a_rwnd = 0;
    p.send(5, &[5; 100]);
    p.ack();
    for (sid, len) in [(0, 4_000), (1, 10), (1, 10), (1, 10), (2, 4_000), (0, 2_000)] {
        p.try_send(sid, &vec![u8::try_from(sid).unwrap(); len], SendOptions::ordered()).unwrap();
    }
    p.a_rwnd = 100_000;
    let mut sent = p.ack();
    while let Some(more) = Some(p.ack()).filter(|s| !s.is_empty()) {
        sent.extend(more);
    }
    let order: Vec<_> = chunks(&sent)
        .filter_map(|c| if let Seen::IData { sid, mid, place, end, .. } = c { Some((*sid, *mid, place.fsn().0, *end)) } else { None })
        .collect();
    // At most one message of each stream is under way.
    let mut open = std::collections::BTreeMap::new();
    for (sid, mid, fsn, end) in &order {
        let expected = open.remove(sid).unwrap_or((*mid, 0));
        assert_eq!((*mid, *fsn), expected, "{order:?}");
        if !end {
            open.insert(*sid, (*mid, fsn + 1));
        }
    }
    assert!(open.is_empty());
    let figure = [(0, 0, 0), (1, 0, 0), (2, 0, 0), (0, 0, 1), (1, 1, 0), (2, 0, 1), (0, 0, 2), (1, 2, 0), (2, 0, 2)];
    assert_eq!(order.iter().map(|(sid, mid, fsn, _)| (*sid, *mid, *fsn)).take(9).collect::<Vec<_>>(), figure);
}

/// RFC 8260 rows: 2.2.2-4.
#[test]
fn windows_are_observed() {
    let user_data =
        |sent: &[Sent]| chunks(sent).map(|c| if let Seen::IData { payload, .. } = c { payload.len() } else { 0 }).sum::<usize>();
    let on_the_wire = |sent: &[Sent]| sent.iter().flat_map(|s| &s.chunks).map(|c| c.raw.len().next_multiple_of(4)).sum::<usize>();
    for window in [1_500, 3_000, 100_000] {
        let mut p = opened(cfg(), &[kind::I_DATA]);
        p.a_rwnd = window;
        p.send(0, b"x");
        p.ack();
        let mut sent = Vec::new();
        for sid in 0..5 {
            sent.extend(p.send(sid, &[7; 4_000]));
        }
        assert!(!sent.is_empty() && user_data(&sent) <= window as usize, "{window}: {}", user_data(&sent));
        // The initial congestion window may be exceeded by less than a packet (RFC 9260 section 6.1 B).
        assert!(on_the_wire(&sent) < 4_404 + 1_500, "{}", on_the_wire(&sent));
    }
}

/// RFC 8260 rows: 2.2.3-3. Pitfall 93.
#[test]
fn data_where_i_data_was_agreed_on_ends_in_an_abort() {
    for open in [opened, accepted] {
        let mut p = open(cfg(), &[kind::I_DATA]);
        let data = p.data(0, b"x");
        let sent = p.give(&[data]);
        aborts_with_a_protocol_violation(&mut p, &sent);
    }
}

/// RFC 8260 rows: 2.2.3-4. Attack class 8: I-DATA without negotiation, also where we would have liked it.
#[test]
fn i_data_that_was_not_agreed_on_ends_in_an_abort() {
    for (cfg, theirs) in [(AssocConfig::rfc(), &[kind::I_DATA][..]), (cfg(), &[]), (AssocConfig::rfc(), &[])] {
        for open in [opened, accepted] {
            let mut p = open(cfg.clone(), theirs);
            let data = i_data(&mut p, 0, 0, b"x");
            let sent = p.give(&[Chunk::IData(data)]);
            aborts_with_a_protocol_violation(&mut p, &sent);
        }
    }
}

/// RFC 8260 rows: 2.1-2, 2.1-5.
#[test]
fn reserved_bits_mean_nothing() {
    let mut p = opened(cfg(), &[kind::I_DATA]);
    let data = i_data(&mut p, 0, 0, b"text");
    let mut bytes = encode(&[Chunk::IData(data)]);
    bytes[1] |= 0xf0;
    bytes[10..12].copy_from_slice(&[0xff, 0xff]);
    p.give_raw(&bytes);
    let m = p.recv().unwrap();
    assert_eq!((m.sid, m.ppid, m.payload), (StreamId(0), Ppid(7), "text".into()));
}

/// RFC 8260 rows: 2.1-3.
#[test]
fn the_i_bit_is_answered_at_once() {
    let mut p = opened(cfg(), &[kind::I_DATA]);
    let data = i_data(&mut p, 0, 0, b"the first is answered at once");
    p.give(&[Chunk::IData(data)]);
    for (mid, immediate) in [(1, false), (2, true)] {
        p.pass(core::time::Duration::from_secs(1));
        let data = IData { immediate, ..i_data(&mut p, 0, mid, b"x") };
        let sent = p.give(&[Chunk::IData(data)]);
        assert_eq!(names(&sent).concat().contains(&"SACK"), immediate);
    }
}

/// Attack class 8: what is wrong with fragments ends in an ABORT, and nothing worse.
#[test]
fn impossible_fragments_end_in_an_abort() {
    let bad: [fn(IData<'_>) -> IData<'_>; 4] = [
        |d| IData { place: Place::Later(Fsn(0)), ..d },
        |d| IData { mid: Mid(u32::MAX), ..d },
        |d| IData { mid: Mid(1), place: Place::Later(Fsn(1)), ..d },
        |d| IData { payload: &[], ..d },
    ];
    for (n, make) in bad.into_iter().enumerate() {
        let mut p = opened(cfg(), &[kind::I_DATA]);
        let first = i_data(&mut p, 0, 0, b"whole");
        let second = IData { end: false, ..i_data(&mut p, 0, 1, b"begun") };
        let third = IData { place: Place::Later(Fsn(1)), ..i_data(&mut p, 0, 1, b"end") };
        p.give(&[Chunk::IData(first), Chunk::IData(IData { end: n != 2, ..second }), Chunk::IData(third)][..if n == 2 { 3 } else { 1 }]);
        let wrong = make(i_data(&mut p, 0, 1, b"x"));
        let sent = p.give(&[Chunk::IData(wrong)]);
        assert!(sent.iter().any(|s| matches!(s.first(), Seen::Abort { .. })), "{n}: {sent:?}");
        assert_eq!(p.state(), "CLOSED");
    }
}

/// RFC 8260 section 3.3: a packet has chunks of one stream, also where they would fit together, with I-DATA and without.
#[test]
fn round_robin_by_packets_keeps_streams_apart() {
    for interleaving in [true, false] {
        let mut cfg = cfg();
        (cfg.scheduler, cfg.interleaving) = (StreamScheduler::RoundRobinPacket, interleaving);
        let mut p = opened(cfg, &[kind::I_DATA]);
        p.a_rwnd = 0;
        p.send(5, &[5; 100]);
        p.ack();
        for sid in [0, 1, 2, 0, 1, 2, 2] {
            p.try_send(sid, &[1; 100], SendOptions::ordered()).unwrap();
        }
        p.a_rwnd = 100_000;
        let sent = p.ack();
        let streams: Vec<Vec<u16>> = sent
            .iter()
            .map(|s| {
                let of = |c: &Seen| if let Seen::IData { sid, .. } | Seen::Data { sid, .. } = c { Some(*sid) } else { None };
                s.chunks.iter().filter_map(|c| of(&c.body)).collect()
            })
            .collect();
        assert_eq!(streams, [vec![0, 0], vec![1, 1], vec![2, 2, 2]]);
    }
}

/// RFC 8260 section 4.3.2: the scheduler and its values change while messages wait.
#[test]
fn the_scheduler_changes_while_running() {
    for interleaving in [true, false] {
        let mut cfg = cfg();
        cfg.interleaving = interleaving;
        let mut p = opened(cfg, &[kind::I_DATA]);
        p.a_rwnd = 0;
        p.send(5, &[5; 100]);
        p.ack();
        for sid in [0, 1, 2, 0, 1, 2] {
            p.try_send(sid, &[1; 1_000], SendOptions::ordered()).unwrap();
        }
        let (id, now) = (p.id(), p.now);
        let change = |cfg: &mut AssocConfig| {
            cfg.scheduler = StreamScheduler::Priority;
            cfg.stream_values = [(StreamId(0), 9), (StreamId(2), 1), (StreamId(1), 4)].into();
        };
        p.stack.assoc(id).unwrap().reconfigure(now, change).unwrap();
        p.a_rwnd = 100_000;
        let mut sent = p.ack();
        while let Some(more) = Some(p.ack()).filter(|s| !s.is_empty()) {
            sent.extend(more);
        }
        let streams: Vec<u16> = chunks(&sent)
            .filter_map(|c| if let Seen::IData { sid, .. } | Seen::Data { sid, .. } = c { Some(*sid) } else { None })
            .collect();
        assert_eq!(streams, [2, 2, 1, 1, 0, 0]);
    }
}
