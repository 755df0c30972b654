//! Explicit congestion notification (RFC 4960 Appendix A, RFC 3168): negotiation, marks and echoes, and what queues look like.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use sctp_user::num::Tsn;
use sctp_user::sim::{LinkConfig, LinkStats, Loss};
use sctp_user::wire::chunk::GapBlock;
use sctp_user::wire::{Chunk, Param};
use sctp_user::{AssocConfig, AssocStats, Ecn, StackConfig, Time};
use testbed::bed::{Bed, Scenario};
use testbed::puppet::{Envelope, Puppet, Seen, SeenInit, Sent, chunks, encode_params, names, only, sack};
use testbed::wire_oracle::WireOracle;
use testbed::workload::Workload;

const ECN_CAPABLE: u16 = 0x8000;
/// What is sent over the bottleneck, in messages of 1400 bytes.
const MESSAGES: usize = 8000;

fn with_ecn() -> AssocConfig {
    let mut cfg = AssocConfig::rfc();
    cfg.ecn = true;
    cfg
}

/// A puppet of a stack with `cfg` on a transport that reads and sets marks; the puppet's INIT and INIT ACK offer ECN.
fn puppet(cfg: AssocConfig) -> Puppet {
    let mut stack = StackConfig::default();
    stack.ecn_marks = true;
    let mut p = Puppet::with(stack, cfg, &["10.0.0.1"], &["10.0.0.2"]);
    p.params = encode_params(&[Param::EcnCapable]);
    p
}

fn negotiated() -> Puppet {
    let mut p = puppet(with_ecn());
    p.open();
    p
}

fn stats(p: &mut Puppet) -> AssocStats {
    let id = p.id();
    p.stack.assoc(id).unwrap().stats()
}

fn init(sent: &[Sent]) -> &SeenInit {
    match only(sent).first() {
        Seen::Init(init) => init,
        other => panic!("{other:?}"),
    }
}

/// Delivers the puppet's next DATA in a packet with a congestion mark; answers its TSN and what the stack sends.
fn marked_data(p: &mut Puppet) -> (u32, Vec<Sent>) {
    let (tsn, data) = (p.tsn, p.data(0, b"marked"));
    let envelope = Envelope { ecn: Some(Ecn::Ce), ..p.envelope() };
    (tsn, p.give_in(envelope, &[data]))
}

/// Queues a window of messages that fill packets; answers the packets that go at once.
fn window(p: &mut Puppet) -> Vec<Sent> {
    (0..40).flat_map(|_| p.send(0, &[7; 1424])).collect()
}

/// An association with a wide window that is full; answers the last TSN acknowledged, too.
fn in_full_flow() -> (Puppet, u32) {
    let mut p = negotiated();
    let mut acked = tsn(&p.send(0, &[7; 1424])[0]) - 1;
    for _ in 0..400 {
        p.send(0, &[7; 1424]);
    }
    for _ in 0..25 {
        acked += 1;
        p.give(&[sack(acked, 1 << 20, &[], &[])]);
    }
    assert!(p.status().unwrap().cwnd > 20_000 && p.cum - acked > 10, "{:?}", p.status());
    (p, acked)
}

fn echoes(sent: &[Sent]) -> Vec<u32> {
    chunks(sent).filter_map(|c| if let Seen::Ecne(tsn) = c { Some(*tsn) } else { None }).collect()
}

fn answers(sent: &[Sent]) -> Vec<u32> {
    chunks(sent).filter_map(|c| if let Seen::Cwr(tsn) = c { Some(*tsn) } else { None }).collect()
}

/// The lowest TSN in a packet.
fn tsn(sent: &Sent) -> u32 {
    let data = sent.chunks.iter().find_map(|c| if let Seen::Data { tsn, .. } = c.body { Some(tsn) } else { None });
    data.unwrap()
}

#[test]
fn is_offered_only_if_wanted_and_if_the_transport_can() {
    for (wanted, marks) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut stack = StackConfig::default();
        stack.ecn_marks = marks;
        let mut cfg = AssocConfig::rfc();
        assert!(!cfg.ecn, "off by default");
        cfg.ecn = wanted;
        let mut p = Puppet::with(stack, cfg, &["10.0.0.1"], &["10.0.0.2"]);
        p.params = encode_params(&[Param::EcnCapable]);
        assert_eq!(p.give_init().param(ECN_CAPABLE).is_some(), wanted && marks, "INIT ACK");
        let sent = p.connect();
        assert_eq!(init(&sent).param(ECN_CAPABLE).is_some(), wanted && marks, "INIT");
    }
    let mut p = puppet(with_ecn());
    p.params.clear();
    assert_eq!(p.give_init().param(ECN_CAPABLE), None, "an INIT ACK offers it to those who have it");
}

/// The highest bits of type 0x8000 say: skip it, and do not report it.
#[test]
fn who_has_no_ecn_skips_the_parameter_in_silence() {
    let mut p = puppet(AssocConfig::rfc());
    let ack = p.give_init();
    assert_eq!((ack.param(ECN_CAPABLE), ack.param(0x0008)), (None, None));
    p.connect();
    let sent = p.give_init_ack();
    assert_eq!(names(&sent), [["COOKIE-ECHO"]], "no ERROR about it");
}

#[test]
fn without_agreement_nothing_is_marked_echoed_or_believed() {
    for offered in [true, false] {
        // Either side lacks it.
        let mut p = puppet(if offered { AssocConfig::rfc() } else { with_ecn() });
        if !offered {
            p.params.clear();
        }
        p.open();
        let sent = window(&mut p);
        assert!(sent.iter().all(|s| s.transmit.ecn.is_none()));
        let cwnd = p.status().unwrap().cwnd;
        let sent = p.give(&[Chunk::Ecne(Tsn(tsn(&sent[0])))]);
        assert!(sent.is_empty() && p.status().unwrap().cwnd == cwnd, "{:?}", names(&sent));
        assert!(p.give(&[Chunk::Cwr(Tsn(1))]).is_empty());
        let (_, sent) = marked_data(&mut p);
        assert_eq!(echoes(&sent), []);
        assert_eq!(stats(&mut p).in_ecnes + stats(&mut p).in_cwrs, 0);
    }
}

#[test]
fn a_mark_is_echoed_with_each_sack_until_a_cwr_covers_it() {
    let mut p = negotiated();
    let (first, sent) = marked_data(&mut p);
    // The very first DATA is acknowledged at once; ECNE goes before the SACK.
    assert_eq!((names(&sent), echoes(&sent)), (vec![vec!["ECNE", "SACK"]], vec![first]));
    for _ in 0..3 {
        let two = [p.data(0, b"a"), p.data(0, b"b")];
        let mut sent = p.give(&two[..1]);
        sent.extend(p.give(&two[1..]));
        assert_eq!(echoes(&sent), [first], "though these had no mark");
    }
    let (second, _) = marked_data(&mut p);
    let next = p.data(0, b"c");
    assert_eq!(echoes(&p.give(&[Chunk::Cwr(Tsn(first.wrapping_sub(1))), next])), [first], "an older CWR covers nothing");
    let two = [p.data(0, b"d"), p.data(0, b"e")];
    let mut sent = p.give(&[Chunk::Cwr(Tsn(second)), two[0]]);
    sent.extend(p.give(&two[1..]));
    assert_eq!(names(&sent), [["SACK"]]);
    let counted = stats(&mut p);
    assert_eq!((counted.in_marked_packs, counted.out_ecnes, counted.in_cwrs), (2, 5, 2));
}

#[test]
fn an_echo_names_the_lowest_marked_tsn() {
    let mut p = negotiated();
    let lost = p.data(0, b"late");
    let Chunk::Data(late) = lost else { panic!() };
    let (_, sent) = marked_data(&mut p);
    assert_eq!(echoes(&sent), [late.tsn.0 + 1]);
    let envelope = Envelope { ecn: Some(Ecn::Ce), ..p.envelope() };
    let both = [p.data(0, b"later"), lost];
    assert_eq!(echoes(&p.give_in(envelope, &both)), [late.tsn.0], "the lowest of its packet, too");
}

#[test]
fn new_data_alone_is_sent_as_ecn_capable() {
    let mut p = negotiated();
    let sent = window(&mut p);
    assert!(sent.len() >= 3 && sent.iter().all(|s| s.transmit.ecn == Some(Ecn::Ect0)));
    // Acknowledgements, HEARTBEATs and retransmissions are not.
    let (_, acks) = marked_data(&mut p);
    assert!(!acks.is_empty() && acks.iter().all(|s| s.transmit.ecn.is_none()));
    let mut again = Vec::new();
    while again.is_empty() {
        again = p.tick().unwrap();
    }
    assert_eq!((tsn(&again[0]), again[0].transmit.ecn), (tsn(&sent[0]), None));
}

#[test]
fn the_window_is_halved_once_for_each_window_of_data_and_every_echo_is_answered() {
    let (mut p, acked) = in_full_flow();
    let (cwnd, highest) = (p.status().unwrap().cwnd, p.cum);
    let marked = acked + 1;
    let echo = Chunk::Ecne(Tsn(marked));
    p.give(&[echo]);
    let halved = p.status().unwrap().cwnd;
    assert_eq!(halved, cwnd / 2);
    // Neither a repeated echo nor the one of another packet of that window changes more, nor does the window grow meanwhile.
    p.give(&[echo]);
    p.give(&[Chunk::Ecne(Tsn(highest))]);
    p.give(&[sack(marked, 1 << 20, &[], &[])]);
    assert_eq!((p.status().unwrap().cwnd, stats(&mut p).ecn_reductions), (halved, 1));
    let sent = p.ack();
    assert_eq!((names(&sent)[0][0], answers(&sent)), ("CWR", vec![highest]), "before the DATA, one covers all");
    // That CWR was lost: the echo comes again and is answered again.
    let sent = [p.give(&[echo]), p.ack()].concat();
    assert_eq!((answers(&sent), stats(&mut p).ecn_reductions), (vec![marked], 1));
    // What was sent since then is another window.
    let latest = p.cum;
    p.give(&[Chunk::Ecne(Tsn(latest))]);
    assert_eq!(stats(&mut p).ecn_reductions, 2);
    assert_eq!(stats(&mut p).out_cwrs, 2);
}

#[test]
fn a_mark_and_a_loss_in_one_window_halve_it_once() {
    let (mut p, acked) = in_full_flow();
    let cwnd = p.status().unwrap().cwnd;
    // The first packet under way is lost, the second marked.
    p.give(&[Chunk::Ecne(Tsn(acked + 2))]);
    for end in 2..=4 {
        p.give(&[sack(acked, 1 << 20, &[GapBlock { start: 2, end }], &[])]);
    }
    let counted = stats(&mut p);
    assert_eq!((counted.fast_recoveries, counted.ecn_reductions), (1, 1), "{counted:?}");
    assert_eq!(p.status().unwrap().cwnd, cwnd / 2);
}

#[test]
fn an_echo_of_what_was_never_sent_changes_nothing() {
    let mut p = negotiated();
    let sent = window(&mut p);
    let cwnd = p.status().unwrap().cwnd;
    for bad in [tsn(&sent[0]).wrapping_sub(1), p.cum + 1, p.cum.wrapping_add(1 << 31)] {
        p.give(&[Chunk::Ecne(Tsn(bad))]);
    }
    assert_eq!((p.status().unwrap().cwnd, stats(&mut p).ecn_reductions), (cwnd, 0));
    assert_eq!(answers(&p.ack()), []);
}

#[test]
fn a_restart_negotiates_anew() {
    for stays in [true, false] {
        let mut p = negotiated();
        let (_, sent) = marked_data(&mut p);
        assert_eq!(echoes(&sent).len(), 1);
        if !stays {
            p.params.clear();
        }
        (p.tag, p.tsn) = (p.tag + 1, 77_000);
        p.open();
        let data = p.data(0, b"first of a new life");
        assert_eq!(echoes(&p.give(&[data])), [], "the old life's mark is forgotten");
        assert_eq!(p.send(0, b"x")[0].transmit.ecn.is_some(), stays);
    }
}

#[test]
fn both_opening_at_once_negotiate_all_the_same() {
    for offered in [true, false] {
        let mut p = puppet(with_ecn());
        if !offered {
            p.params.clear();
        }
        p.connect();
        // Our INIT was lost, the peer's INIT meets us in COOKIE-WAIT.
        p.open();
        assert_eq!(p.send(0, b"x")[0].transmit.ecn.is_some(), offered);
        let (_, sent) = marked_data(&mut p);
        assert_eq!(!echoes(&sent).is_empty(), offered);
    }
}

/// 8 Mbit/s, 40 ms, a queue of 80 kB that marks above 20 kB.
fn bottleneck(seed: u64, ecn: bool) -> Scenario {
    let mut s = Scenario::new(seed);
    s.assoc.ecn = ecn;
    s.assoc.send_buffer = 4 << 20;
    s.upload = Workload::steady(seed, MESSAGES, 1400);
    s.there = LinkConfig { rate: Some(8_000_000), queue: 80_000, mark_above: Some(20_000), ..LinkConfig::ideal(Duration::from_millis(20)) };
    s.back = LinkConfig::ideal(Duration::from_millis(20));
    s
}

struct Outcome {
    link: LinkStats,
    sender: AssocStats,
    receiver: AssocStats,
    took: Duration,
    ect: u64,
}

fn run(s: Scenario) -> Outcome {
    let mut bed: Bed = s.build();
    let oracle = WireOracle::watch(&mut bed.world, Duration::from_millis(200));
    let ect = Rc::new(Cell::new(0));
    let count = Rc::clone(&ect);
    bed.world.tap(move |seen| count.set(count.get() + u64::from(seen.sent && seen.ecn.is_some())));
    bed.connect();
    bed.deliver(Duration::from_secs(600)).unwrap();
    oracle.check().unwrap();
    let (client, server) = (bed.client, bed.server);
    let stats = |p: &mut testbed::peer::Peer| {
        let id = p.latest().unwrap().0;
        p.stack.assoc(id).unwrap().stats()
    };
    Outcome {
        link: bed.world.link_stats(bed.client_ip, bed.server_ip),
        took: bed.world.now() - Time::ZERO,
        ect: ect.get(),
        sender: bed.world.with(client, |p, _| stats(p)),
        receiver: bed.world.with(server, |p, _| stats(p)),
    }
}

#[test]
fn a_queue_that_marks_loses_nothing_and_stays_short() {
    for seed in 1..=3 {
        let (on, off) = (run(bottleneck(seed, true)), run(bottleneck(seed, false)));
        assert!(off.link.queue_full > 0 && off.link.marked == 0 && off.sender.rtx_chunks > 0, "{:?}", off.link);
        assert_eq!((on.link.queue_full, on.sender.rtx_chunks, on.sender.t3_expireds), (0, 0, 0), "{:?}", on.link);
        assert!(on.link.marked > 0 && on.link.queue_peak < off.link.queue_peak, "{} {}", on.link.queue_peak, off.link.queue_peak);
        assert_eq!(on.receiver.in_marked_packs, on.link.marked);
        // At most one reduction for each echo; the link stays busy all the same.
        assert!((2..=on.sender.in_ecnes).contains(&on.sender.ecn_reductions));
        assert!(on.sender.out_cwrs >= on.sender.ecn_reductions);
        assert!(on.took * 10 < off.took * 11, "{:?} {:?}", on.took, off.took);
    }
}

#[test]
fn a_path_that_wipes_marks_out_falls_back_to_losses() {
    let mut s = bottleneck(4, true);
    s.there.bleaches = true;
    let o = run(s);
    assert!(o.ect > 0 && o.link.queue_full > 0 && o.link.marked == 0);
    assert_eq!((o.receiver.in_marked_packs, o.sender.in_ecnes, o.sender.ecn_reductions), (0, 0, 0));
}

#[test]
fn one_side_alone_sends_nothing_as_ecn_capable() {
    for client in [true, false] {
        let mut s = bottleneck(5, !client);
        s.client_ecn = Some(client);
        let o = run(s);
        assert_eq!((o.ect, o.link.marked, o.sender.in_ecnes), (0, 0, 0));
        assert!(o.link.queue_full > 0);
    }
}

#[test]
fn echoes_and_answers_survive_loss() {
    for seed in 1..=4 {
        let mut s = bottleneck(seed, true);
        s.upload = Workload::steady(seed, 2000, 1400);
        (s.there.loss, s.back.loss) = (Loss::percent(2), Loss::percent(10));
        s.train = if seed % 2 == 0 { 16 } else { 1 };
        let o = run(s);
        assert!(o.ect > 0, "{:?}", o.link);
    }
}

#[test]
fn a_link_marks_what_waits_too_long() {
    let mut s = bottleneck(6, true);
    s.there.mark_above = Some(0);
    s.upload = Workload::steady(6, 200, 1400);
    let o = run(s);
    assert_eq!(o.link.marked, o.ect, "each packet waits at least for itself");
    assert_eq!(o.sender.rtx_chunks, 0);
}
