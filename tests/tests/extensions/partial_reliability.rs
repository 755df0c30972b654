//! RFC 3758 and RFC 7496: messages that are given up.

use core::time::Duration;

use sctp_user::wire::chunk::{CookieEcho, Entries, ForwardTsn, IData, Place, Shutdown, SkippedSsn, kind};
use sctp_user::wire::{Chunk, Param, param};
use sctp_user::{AssocConfig, Event, Mid, Ppid, PrPolicy, Reliability, SendOptions, Ssn, StreamId, Tsn};
use testbed::puppet::{Puppet, Seen, SeenInit, Sent, chunks, encode_params, ip, names, only, raw_chunk};

/// With the extension, and times that make short tests.
fn cfg() -> AssocConfig {
    let mut cfg = AssocConfig::rfc();
    cfg.partial_reliability = true;
    cfg.nagle = false;
    cfg
}

fn without() -> AssocConfig {
    let mut cfg = cfg();
    cfg.partial_reliability = false;
    cfg
}

/// A puppet that has the extension, and says so.
fn puppet(cfg: AssocConfig) -> Puppet {
    let mut p = Puppet::new(cfg);
    p.params = encode_params(&[Param::ForwardTsnSupported]);
    p
}

/// An association with the extension that the puppet opened. The puppet has sent its first DATA, which is always acknowledged at once.
fn opened() -> Puppet {
    let mut p = puppet(cfg());
    p.open();
    let first = p.data(9, b"first");
    assert_eq!(names(&p.give(&[first])), [["SACK"]]);
    p.recv().unwrap();
    p
}

fn send(p: &mut Puppet, sid: u16, len: usize, reliability: Reliability) -> Vec<Sent> {
    let mut opts = SendOptions::ordered();
    opts.reliability = reliability;
    p.try_send(sid, &vec![7; len], opts).unwrap();
    p.collect()
}

fn forward<'a>(tsn: u32, streams: &'a [SkippedSsn]) -> Chunk<'a> {
    Chunk::ForwardTsn(ForwardTsn { cum_tsn: Tsn(tsn), skipped: Entries::List(streams) })
}

/// The FORWARD TSNs among what was sent: how far they go beyond `base`, and what they skip.
fn forwards(base: u32, sent: &[Sent]) -> Vec<(u32, Vec<(u16, u16)>)> {
    let of = |c: &Seen| if let Seen::ForwardTsn { cum, skipped } = c { Some((cum.wrapping_sub(base), skipped.clone())) } else { None };
    chunks(sent).filter_map(of).collect()
}

fn given_up(p: &Puppet) -> Vec<(u16, bool)> {
    let of = |e: &Event| if let Event::SendFailed { message, sent, .. } = e { Some((message.sid.0, *sent)) } else { None };
    p.events.iter().filter_map(of).collect()
}

fn says_so(init: &SeenInit) -> bool {
    let listed = init.param(param::kind::SUPPORTED_EXTENSIONS).is_some_and(|types| types.contains(&kind::FORWARD_TSN));
    assert_eq!(listed, init.param(param::kind::FORWARD_TSN_SUPPORTED).is_some());
    listed
}

fn init_of(sent: &[Sent]) -> SeenInit {
    match only(sent).first() {
        Seen::Init(init) | Seen::InitAck(init) => init.clone(),
        other => panic!("{other:?}"),
    }
}

/// A -> INIT (with the parameter) -> Z, and back: both have it. Rows of section 3.3 say what follows when one has not.
///
/// RFC 3758 rows: 3.3.2-4, 3.3.2-6, 3.3.3-1.
#[test]
fn both_sides_say_that_they_have_it() {
    for theirs in [true, false] {
        for ours in [true, false] {
            let cfg = if ours { cfg() } else { without() };
            let mut p = if theirs { puppet(cfg.clone()) } else { Puppet::new(cfg.clone()) };
            assert_eq!(says_so(&p.give_init()), ours && theirs, "INIT ACK");
            p.open();
            assert_eq!(p.status().unwrap().extensions.partial_reliability, ours && theirs, "the user can see it");
            let mut p = if theirs { puppet(cfg.clone()) } else { Puppet::new(cfg) };
            assert_eq!(says_so(&init_of(&p.connect())), ours, "INIT");
            p.give_init_ack();
            p.give(&[Chunk::CookieAck]);
            assert_eq!(p.status().unwrap().extensions.partial_reliability, ours && theirs);
        }
    }
}

/// Pitfall 87: the chunk and the parameter of an extension that was not agreed on are as unknown as any.
///
/// RFC 3758 rows: 3.3.1-1, 3.3.2-1, 3.3.2-2, 3.3.2-3.
#[test]
fn who_has_it_not_reports_parameter_and_chunk_as_unknown() {
    let mut p = puppet(without());
    let reported = p.give_init().params.into_iter().find(|(k, _)| *k == param::kind::UNRECOGNIZED);
    assert_eq!(reported.unwrap().1, [0xc0, 0, 0, 4]);
    let mut p = puppet(without());
    p.connect();
    let sent = p.give_init_ack();
    let Some(Seen::Error { causes }) = chunks(&sent).find(|c| matches!(c, Seen::Error { .. })) else { panic!("{sent:?}") };
    assert_eq!(causes, &[(8, vec![0xc0, 0, 0, 4])]);

    // One of the two has it.
    for cfg in [cfg(), without()] {
        let mut p = if cfg.partial_reliability { Puppet::new(cfg) } else { puppet(cfg) };
        p.open();
        p.data(0, b"lost");
        let next = p.tsn;
        let sent = p.give(&[forward(next, &[])]);
        let Seen::Error { causes } = only(&sent).first() else { panic!("{sent:?}") };
        assert_eq!((causes[0].0, &causes[0].1[..1]), (6, [kind::FORWARD_TSN].as_slice()));
        let data = p.data(0, b"here");
        let sent = p.give(&[data]);
        assert!(chunks(&sent).any(|c| matches!(c, Seen::Sack { gaps, .. } if gaps == &[(2, 2)])), "nothing was skipped: {sent:?}");
    }
}

/// RFC 3758 rows: 3.3.2-5, 3.3.3-2, 3.3.3-3, 3.3.3-4, 4.1-1. Nothing that has left is given up, whatever the user asked for.
#[test]
fn to_a_peer_without_it_no_forward_tsn_is_ever_sent() {
    // It says in its INIT ACK that it does not know the parameter, or just does not have it itself.
    for reports in [false, true] {
        let mut p = Puppet::new(cfg());
        if reports {
            p.params = encode_params(&[Param::Unrecognized(&[0xc0, 0, 0, 4])]);
        }
        p.accept();
        for reliability in [Reliability::Retransmissions(0), Reliability::Lifetime(Duration::from_millis(10))] {
            assert_eq!(names(&send(&mut p, 1, 100, reliability)), [["DATA"]]);
        }
        let sent = p.pass(Duration::from_secs(20));
        assert!(forwards(0, &sent).is_empty() && given_up(&p).is_empty());
        assert!(chunks(&sent).filter(|c| matches!(c, Seen::Data { .. })).count() >= 4, "they are sent again and again");
    }
}

/// Z -> DATA (lost) -> A, then after the timeout Z -> FORWARD TSN -> A.
///
/// RFC 3758 rows: 3.2-1, 3.4-1, 3.5-1, 3.5-8, 3.5-14.
/// RFC 8260 rows: 2.3.1-6, 2.3.1-9.
#[test]
fn a_message_whose_time_is_over_is_not_sent_again_and_the_peer_is_told() {
    let mut p = opened();
    let base = p.cum;
    assert_eq!(names(&send(&mut p, 1, 100, Reliability::Lifetime(Duration::from_millis(300)))), [["DATA"]]);
    let sent = p.pass(Duration::from_millis(1100));
    assert_eq!(names(&sent), [["FORWARD-TSN"]]);
    assert_eq!(forwards(base, &sent), [(1, vec![(1, 0)])]);
    assert_eq!(given_up(&p), [(1, true)]);
    // No answer: T3-rtx runs for it.
    assert_eq!(names(&p.pass(Duration::from_millis(2100))), [["FORWARD-TSN"]]);
    p.ack();
    assert!(p.pass(Duration::from_secs(10)).is_empty());
    assert_eq!(p.stack.assoc(p.id()).unwrap().abandoned(Some(StreamId(1)), Some(PrPolicy::Lifetime)).sent, 1);
}

/// RFC 3758 rows: 4.1-3, 4.1-4, 4.1-5, 4.1-8. The TSN is assigned when a message leaves.
#[test]
fn what_expires_before_it_leaves_takes_no_tsn() {
    let mut p = opened();
    p.a_rwnd = 0;
    p.ack();
    // A probe of the closed window, and what waits behind it.
    send(&mut p, 0, 10, Reliability::Full);
    send(&mut p, 1, 10, Reliability::Lifetime(Duration::from_millis(100)));
    send(&mut p, 1, 10, Reliability::Full);
    let sent = p.pass(Duration::from_secs(2));
    p.a_rwnd = 100_000;
    let sent = [sent, p.ack()].concat();
    assert_eq!(given_up(&p), [(1, false)]);
    let data: Vec<_> = chunks(&sent)
        .filter_map(|c| if let Seen::Data { tsn, sid, ssn, .. } = c { Some((tsn.wrapping_sub(p.cum), *sid, *ssn)) } else { None })
        .collect();
    assert_eq!(data.last(), Some(&(0, 1, 0)), "the next TSN and the first sequence number of the stream: {data:?}");
    assert!(forwards(0, &sent).is_empty());
}

/// RFC 3758 rows: 4.1-2, 4.1-6, 4.1-7, 4.3-2, 4.3-3.
#[test]
fn a_lifetime_is_looked_at_before_each_retransmission() {
    let mut p = opened();
    send(&mut p, 1, 100, Reliability::Lifetime(Duration::from_millis(2_500)));
    assert_eq!(names(&p.pass(Duration::from_millis(1_100))), [["DATA"]], "as any message, as long as it lives");
    let sent = p.pass(Duration::from_millis(2_100));
    assert_eq!((names(&sent), given_up(&p)), (vec![vec!["FORWARD-TSN"]], vec![(1, true)]));
}

/// RFC 7496 rows: 3-1, 3.1-1, 3.1-2. Fast and timer-based retransmissions count alike, and congestion is reacted to as ever.
#[test]
fn retransmissions_are_counted_and_the_window_shrinks_all_the_same() {
    for limit in 0..3_u32 {
        let mut p = opened();
        send(&mut p, 1, 100, Reliability::Retransmissions(limit));
        let cwnd = p.status().unwrap().cwnd;
        let mut times = 1;
        let sent = p.pass(Duration::from_secs(14));
        times += chunks(&sent).filter(|c| matches!(c, Seen::Data { .. })).count();
        assert_eq!(times, 1 + limit as usize);
        assert!(!forwards(0, &sent).is_empty() && given_up(&p) == [(1, true)]);
        assert!(p.status().unwrap().cwnd < cwnd);
        let counts = p.stack.assoc(p.id()).unwrap().abandoned(None, Some(PrPolicy::Retransmissions));
        assert_eq!((counts.unsent, counts.sent), (0, 1));
    }
}

/// Three SACKs with a gap: Z gives the first message up. RFC 3758 rows: 3.5-6, 3.5-7, 3.5-17.
#[test]
fn a_forward_tsn_rides_ahead_of_data_and_fast_retransmission_counts() {
    let mut p = opened();
    let base = p.cum;
    send(&mut p, 1, 1000, Reliability::Retransmissions(0));
    for _ in 0..3 {
        send(&mut p, 2, 1000, Reliability::Full);
    }
    let queued: Vec<_> = (0..8).map(|_| send(&mut p, 2, 1000, Reliability::Full)).collect();
    assert!(queued.iter().any(Vec::is_empty), "the window is full");
    let mut sent = Vec::new();
    for n in 2..=4 {
        sent = p.give(&[gap(base, n, p.a_rwnd)]);
    }
    assert_eq!(given_up(&p), [(1, true)]);
    let first = sent.iter().find(|s| s.names().contains(&"FORWARD-TSN")).unwrap();
    assert_eq!(first.names()[..2], ["FORWARD-TSN", "DATA"]);
    assert_eq!(forwards(base, &sent), [(1, vec![(1, 0)])], "once");
}

/// A SACK of `base`, with what follows from the second chunk to the `to`-th.
fn gap(base: u32, to: u16, a_rwnd: u32) -> Chunk<'static> {
    use sctp_user::wire::chunk::{Duplicates, GapBlock, Gaps, Sack};
    let blocks: &'static [GapBlock] = Box::leak(Box::new([GapBlock { start: 2, end: to }]));
    Chunk::Sack(Sack { cum_tsn: Tsn(base), a_rwnd, gaps: Gaps::List(blocks), dups: Duplicates::List(&[]) })
}

/// RFC 3758 rows: 3.5-9. The second address is never confirmed: nothing but HEARTBEATs goes there.
#[test]
fn a_forward_tsn_goes_to_a_confirmed_address() {
    let mut cfg = cfg();
    cfg.pmtu_discovery = false;
    let mut p = Puppet::at(cfg, &["10.0.0.1"], &["10.0.0.2", "10.0.1.2"]);
    p.params = encode_params(&[Param::ForwardTsnSupported, Param::Address(ip("10.0.1.2"))]);
    p.open();
    send(&mut p, 1, 100, Reliability::Retransmissions(0));
    let sent = p.pass(Duration::from_secs(12));
    let told: Vec<_> = sent.iter().filter(|s| s.names().contains(&"FORWARD-TSN")).map(|s| s.dst).collect();
    assert!(told.len() >= 3 && told.iter().all(|dst| *dst == ip("10.0.0.2")), "{told:?}");
    assert!(sent.iter().any(|s| s.dst == ip("10.0.1.2")), "the other one is probed");
}

/// RFC 3758 rows: 3.5-16.
#[test]
fn a_reliable_message_is_never_skipped() {
    let mut p = opened();
    send(&mut p, 1, 100, Reliability::Full);
    send(&mut p, 1, 100, Reliability::Priority(9));
    let sent = p.pass(Duration::from_secs(60));
    assert!(forwards(0, &sent).is_empty() && given_up(&p).is_empty());
}

/// Pitfall 92: SHUTDOWN waits until the peer knows what it need not wait for, and no longer.
#[test]
fn given_up_data_does_not_hold_up_a_shutdown() {
    let mut p = opened();
    send(&mut p, 1, 100, Reliability::Retransmissions(0));
    assert!(p.shutdown().is_empty());
    assert_eq!(p.state(), "SHUTDOWN-PENDING");
    assert_eq!(names(&p.pass(Duration::from_millis(1_100))), [["FORWARD-TSN"]]);
    assert_eq!(names(&p.ack()), [["SHUTDOWN"]]);
    // Nothing had left: at once.
    let mut p = opened();
    p.a_rwnd = 0;
    p.ack();
    assert!(send(&mut p, 1, 10, Reliability::Lifetime(Duration::from_millis(100))).is_empty());
    assert!(p.shutdown().is_empty());
    assert_eq!(names(&p.pass(Duration::from_millis(1_100))), [["SHUTDOWN"]]);
    assert_eq!(given_up(&p), [(1, false)]);
}

/// The puppet has begun a shutdown: Z still tells what it gave up.
#[test]
fn in_shutdown_received_a_forward_tsn_goes_before_the_shutdown_ack() {
    let mut p = opened();
    let base = p.cum;
    send(&mut p, 1, 100, Reliability::Retransmissions(0));
    assert!(p.give(&[Chunk::Shutdown(Shutdown { cum_tsn: Tsn(base) })]).is_empty());
    assert_eq!(names(&p.pass(Duration::from_millis(1_100))), [["FORWARD-TSN"]]);
    assert_eq!(names(&p.give(&[Chunk::Shutdown(p.shutdown_chunk())])), [["SHUTDOWN-ACK"]]);
}

/// Pitfall 90: too short, with half a stream, or with a length beyond the packet: it moves nothing.
#[test]
fn a_malformed_forward_tsn_moves_nothing() {
    let p = opened();
    let tsn = p.tsn.to_be_bytes();
    for value in [&[][..], &tsn[..3], &[&tsn[..], &[0]].concat(), &[&tsn[..], &[0, 1, 0]].concat()] {
        let mut p = opened();
        p.give_raw(&raw_chunk(kind::FORWARD_TSN, 0, value));
        let data = p.data(0, b"next");
        let sent = p.give(&[data]);
        assert!(!chunks(&sent).any(|c| matches!(c, Seen::Abort { .. })));
        assert_eq!(p.recv().unwrap().payload, b"next".as_slice(), "{value:?}");
    }
    let mut p = opened();
    let mut long = raw_chunk(kind::FORWARD_TSN, 0, &tsn);
    long[3] = 80;
    p.give_raw(&long);
    let data = p.data(0, b"next");
    p.give(&[data]);
    assert!(p.recv().is_some());
    assert_eq!(p.state(), "ESTABLISHED");
}

/// A FORWARD TSN with a stale TSN, twice in a packet, with DATA, and in states in which no DATA is taken.
#[test]
fn forward_tsns_in_odd_places_do_no_harm() {
    let mut p = opened();
    p.data(0, b"lost");
    let tsn = p.tsn.wrapping_sub(1);
    let streams = [SkippedSsn { sid: StreamId(0), ssn: Ssn(0) }];
    let data = p.data(0, b"second");
    let sent = p.give(&[forward(tsn, &streams), forward(tsn, &streams), data, forward(tsn.wrapping_sub(9), &[])]);
    assert_eq!(names(&sent), [["SACK"]], "one packet, one SACK");
    assert_eq!(p.recv().unwrap().payload, b"second".as_slice());
    for state in ["COOKIE-WAIT", "COOKIE-ECHOED", "SHUTDOWN-RECEIVED", "SHUTDOWN-ACK-SENT"] {
        let mut p = Puppet::in_state(cfg(), state);
        let tsn = p.tsn.wrapping_add(3);
        p.give(&[forward(tsn, &[])]);
        assert_eq!(p.state(), state);
    }
}

/// In SHUTDOWN-SENT it is answered as DATA is: by SACK and SHUTDOWN (RFC 9260 section 9.2).
#[test]
fn in_shutdown_sent_a_forward_tsn_is_answered_at_once() {
    let mut p = opened();
    p.shutdown();
    assert_eq!(p.state(), "SHUTDOWN-SENT");
    p.data(0, b"lost");
    let tsn = p.tsn.wrapping_sub(1);
    let sent = p.give(&[forward(tsn, &[])]);
    assert!(names(&sent).concat().contains(&"SACK") && names(&sent).concat().contains(&"SHUTDOWN"), "{:?}", names(&sent));
}

/// With I-DATA, and a puppet that lists these chunk types.
fn interleaved(types: &[u8]) -> Puppet {
    let mut cfg = cfg();
    (cfg.interleaving, cfg.interleave_streams) = (true, true);
    let mut p = Puppet::new(cfg);
    p.params = encode_params(&[Param::ForwardTsnSupported, Param::SupportedExtensions(types)]);
    p.open();
    p
}

const ALL: [u8; 3] = [kind::I_DATA, kind::FORWARD_TSN, kind::I_FORWARD_TSN];

/// Pitfall 96. RFC 8260 rows: 2.3.1-1, 2.3.1-2, 2.3.1-4, 2.3.1-7, 2.3.1-8.
#[test]
fn with_interleaving_i_forward_tsn_takes_its_place() {
    let mut p = interleaved(&ALL);
    let mut opts = SendOptions::unordered();
    opts.reliability = Reliability::Retransmissions(0);
    p.try_send(1, b"unordered", opts).unwrap();
    assert_eq!(names(&p.collect()), [["I-DATA"]]);
    send(&mut p, 1, 100, Reliability::Retransmissions(0));
    let sent = p.pass(Duration::from_millis(1_100));
    assert_eq!(names(&sent), [["I-FORWARD-TSN"]]);
    let chunk = &sent[0].chunks[0];
    let Seen::IForwardTsn { skipped, .. } = &chunk.body else { panic!("{chunk:?}") };
    assert_eq!(skipped, &[(1, false, 0), (1, true, 0)], "unordered messages are listed, too");
    assert_eq!((chunk.flags, &chunk.raw[10..12], &chunk.raw[18..20]), (0, [0, 0].as_slice(), [0, 1].as_slice()));
    assert_eq!(given_up(&p), [(1, true), (1, true)]);
}

/// RFC 8260 rows: 2-2, 2.3.1-3, 2.3.1-5.
#[test]
fn an_i_forward_tsn_skips_messages_whatever_its_reserved_bits() {
    let mut p = interleaved(&ALL);
    let tsn = p.tsn;
    let place = Place::First(Ppid(0));
    let next = IData {
        immediate: false,
        unordered: false,
        end: true,
        tsn: Tsn(tsn.wrapping_add(1)),
        sid: StreamId(2),
        mid: Mid(1),
        place,
        payload: b"next",
    };
    p.give(&[Chunk::IData(next)]);
    assert!(p.recv().is_none());
    let value = [tsn.to_be_bytes().as_slice(), &[0, 2, 0xff, 0xfe], &[0, 0, 0, 0]].concat();
    let sent = p.give_raw(&raw_chunk(kind::I_FORWARD_TSN, 0xff, &value));
    assert_eq!(names(&sent), [["SACK"]]);
    assert_eq!(p.recv().unwrap().payload, b"next".as_slice());
}

/// A peer that has not listed the chunk sends it all the same, as Linux does: it is understood, but never sent.
#[test]
fn without_the_chunk_for_it_nothing_that_has_left_is_given_up() {
    let mut p = interleaved(&ALL[..2]);
    assert!(!p.status().unwrap().extensions.partial_reliability);
    send(&mut p, 1, 100, Reliability::Retransmissions(0));
    let sent = p.pass(Duration::from_secs(8));
    assert!(names(&sent).iter().all(|n| n == &["I-DATA"]) && given_up(&p).is_empty(), "{:?}", names(&sent));
    let sent = p.give_raw(&raw_chunk(kind::I_FORWARD_TSN, 0, &p.tsn.to_be_bytes()));
    assert!(!chunks(&sent).any(|c| matches!(c, Seen::Error { .. } | Seen::Abort { .. })), "{:?}", names(&sent));
}

/// RFC 8260 rows: 2.3.1-10.
#[test]
fn the_chunk_of_the_other_kind_of_user_data_is_a_violation() {
    let mut p = interleaved(&ALL);
    let tsn = p.tsn;
    let sent = p.give(&[forward(tsn, &[])]);
    assert!(matches!(only(&sent).first(), Seen::Abort { causes, .. } if causes[0].0 == 13));
    let mut p = opened();
    let sent = p.give_raw(&raw_chunk(kind::I_FORWARD_TSN, 0, &p.tsn.to_be_bytes()));
    assert!(matches!(only(&sent).first(), Seen::Abort { causes, .. } if causes[0].0 == 13));
}

/// What rode behind a COOKIE ECHO and is given up is told of once the association is there, never before.
#[test]
fn nothing_is_told_before_the_association_is_there() {
    let mut p = puppet(cfg());
    p.connect();
    let mut opts = SendOptions::ordered();
    opts.reliability = Reliability::Retransmissions(0);
    p.try_send(1, b"early", opts).unwrap();
    assert_eq!(names(&p.give_init_ack()), [["COOKIE-ECHO", "DATA"]]);
    let sent = p.pass(Duration::from_millis(1_500));
    assert!(forwards(0, &sent).is_empty() && names(&sent).iter().all(|n| n[0] == "COOKIE-ECHO"), "{:?}", names(&sent));
    let sent = p.give(&[Chunk::CookieAck]);
    assert_eq!(forwards(0, &sent).len(), 1);
}

/// At a restart both begin anew: what was given up before is forgotten.
#[test]
fn a_restart_ends_all_of_it() {
    let mut p = opened();
    send(&mut p, 1, 100, Reliability::Retransmissions(0));
    assert_eq!(names(&p.pass(Duration::from_millis(1_100))), [["FORWARD-TSN"]]);
    p.tag = p.tag.wrapping_add(1);
    let cookie = p.give_init().cookie();
    p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
    assert!(p.heard(|e| matches!(e, Event::Restarted)));
    let sent = p.pass(Duration::from_secs(5));
    assert!(forwards(0, &sent).is_empty());
    assert_eq!(given_up(&p), [(1, true)], "told once");
}
