//! The counters agree with each other and with the wire, and the snapshot prints.

use core::time::Duration;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use sctp_user::sim::Loss;
use sctp_user::wire::{Chunk, Packet};
use sctp_user::{AssocConfig, SeededEntropy, StackStats};
use testbed::bed::unlimited;
use testbed::{Bed, Scenario, Workload};

const MINUTE: Duration = Duration::from_secs(60);

/// What a tap saw leave one host.
#[derive(Default)]
struct Sent {
    packets: u64,
    bytes: u64,
    data: u64,
    tsns: BTreeSet<u32>,
    sacks: u64,
    gaps: u64,
    heartbeats: u64,
    control: u64,
}

impl Sent {
    fn take(&mut self, packet: &[u8]) {
        self.packets += 1;
        self.bytes += packet.len() as u64;
        for chunk in Packet::parse(packet).unwrap().chunks() {
            match chunk.unwrap().decode().unwrap() {
                Chunk::Data(d) => {
                    self.data += 1;
                    self.tsns.insert(d.tsn.0);
                    continue;
                }
                Chunk::Sack(s) => {
                    self.sacks += 1;
                    self.gaps += s.gaps.len() as u64;
                }
                Chunk::Heartbeat(_) => self.heartbeats += 1,
                _ => {}
            }
            self.control += 1;
        }
    }
}

/// Counts what the client sends, packets as they leave the host.
fn tap(bed: &mut Bed) -> Rc<RefCell<Sent>> {
    let sent = Rc::new(RefCell::new(Sent::default()));
    let (writer, ip) = (Rc::clone(&sent), bed.client_ip);
    bed.world.tap(move |seen| {
        if seen.src == ip && seen.sent {
            writer.borrow_mut().take(seen.payload);
        }
    });
    sent
}

fn both(bed: &Bed) -> (StackStats, StackStats) {
    (bed.client().stack.stats(), bed.server().stack.stats())
}

#[test]
fn without_loss_what_one_side_counts_as_sent_the_other_counts_as_received() {
    let mut s = Scenario::new(1);
    // Probes that are too large for a link would be lost.
    s.assoc.pmtu_discovery = false;
    s.upload = Workload::mixed(&mut SeededEntropy::new(5), 200, 10);
    s.download = Workload::mixed(&mut SeededEntropy::new(6), 200, 10);
    // No probe of the path MTU is lost on the way.
    s.assoc.max_mtu = 1500;
    let (messages, total) = (s.upload.messages.clone(), s.upload.total() as u64);
    let mut bed = s.build();
    let sent = tap(&mut bed);
    bed.connected();
    let (c, _) = both(&bed);
    assert_eq!((c.curr_estab, c.associations, c.stack.active_estabs, c.stack.passive_estabs), (1, 1, 1, 0));
    bed.deliver(10 * MINUTE).unwrap();
    bed.world.with(bed.client, |n, now| n.close_when_sent(now));
    bed.closed(MINUTE).unwrap();
    let (c, s) = both(&bed);
    assert_eq!((c.curr_estab, c.associations, c.stack.shutdowns, c.stack.aborteds), (0, 0, 1, 0), "sums outlive the association");
    assert_eq!((s.curr_estab, s.stack.passive_estabs, s.stack.shutdowns), (0, 1, 1));
    assert_eq!((s.stack.inits, s.stack.cookies, s.stack.bad_cookies), (1, 1, 0));
    for (out, inn) in [(&c, &s), (&s, &c)] {
        assert_eq!((out.stack.packets_out, out.stack.bytes_out), (inn.stack.packets_in, inn.stack.bytes_in));
        let (o, i) = (&out.assocs, &inn.assocs);
        assert_eq!((o.out_order_chunks, o.out_unorder_chunks), (i.in_order_chunks, i.in_unorder_chunks));
        assert_eq!((o.out_user_bytes, o.out_sacks, o.out_gap_blocks), (i.in_user_bytes, i.in_sacks, i.in_gap_blocks));
        assert_eq!((o.frag_usr_msgs, o.out_data_packs, o.out_heartbeats), (i.reasm_usr_msgs, i.in_data_packs, i.in_heartbeats));
        assert_eq!((o.rtx_chunks, o.t3_expireds, i.duplicate_chunks, i.in_duplicate_reports), (0, 0, 0, 0));
    }
    assert_eq!(c.assocs.out_user_bytes, total);
    assert!(c.assocs.frag_usr_msgs > 0 && c.assocs.out_unorder_chunks > 0, "{:?}", c.assocs);
    assert!(c.assocs.frag_usr_msgs < messages.len() as u64);
    let wire = sent.borrow();
    assert_eq!((c.stack.packets_out, c.stack.bytes_out), (wire.packets, wire.bytes));
    assert_eq!(c.assocs.out_order_chunks + c.assocs.out_unorder_chunks, wire.tsns.len() as u64);
    assert_eq!((c.assocs.out_sacks, c.assocs.out_gap_blocks, c.assocs.out_heartbeats), (wire.sacks, wire.gaps, wire.heartbeats));
}

#[test]
fn with_loss_every_retransmission_and_duplicate_is_counted() {
    for seed in 1..6 {
        let mut s = Scenario::new(seed);
        s.assoc = unlimited(AssocConfig::rfc());
        s.upload = Workload::steady(seed, 400, 3_000);
        (s.there.loss, s.back.loss) = (Loss::percent(8), Loss::percent(8));
        let mut bed = s.build();
        bed.connected_within(10 * MINUTE);
        let (before, _) = both(&bed);
        let sent = tap(&mut bed);
        bed.deliver(100 * MINUTE).unwrap();
        bed.world.run_for(MINUTE);
        let (c, s) = both(&bed);
        let (o, i) = (&c.assocs, &s.assocs);
        assert_eq!(o.out_order_chunks, i.in_order_chunks, "each chunk was taken in once");
        assert!(o.rtx_chunks > 0 && o.fast_rtx_chunks > 0 && o.fast_recoveries > 0, "{o:?}");
        assert!(o.rtx_chunks >= i.duplicate_chunks, "seed {seed}");
        assert!(i.out_gap_blocks > 0 && o.in_gap_blocks > 0 && o.in_gap_blocks <= i.out_gap_blocks);
        assert!(o.in_sctp_packs < i.out_sctp_packs && i.in_sctp_packs < o.out_sctp_packs, "packets were lost");
        let wire = sent.borrow();
        let first = before.assocs.out_order_chunks;
        assert_eq!(o.out_order_chunks - first + o.rtx_chunks, wire.data);
        assert_eq!(o.out_sctp_packs - before.assocs.out_sctp_packs, wire.packets);
        assert_eq!(o.out_ctrl_chunks - before.assocs.out_ctrl_chunks, wire.control);
        let (id, _) = bed.client().latest().unwrap();
        let client = bed.client;
        let paths = bed.world.with(client, |n, now| n.stack.assoc(id).unwrap().snapshot(now).unwrap().paths);
        let sum = |f: fn(&sctp_user::PathStats) -> u64| paths.iter().map(|p| f(&p.stats)).sum::<u64>();
        assert_eq!((sum(|p| p.rtx_chunks), sum(|p| p.out_packs), sum(|p| p.in_packs)), (o.rtx_chunks, o.out_sctp_packs, o.in_sctp_packs));
        assert_eq!((sum(|p| p.t3_expireds), sum(|p| p.out_heartbeats)), (o.t3_expireds, o.out_heartbeats));
    }
}

#[test]
fn bad_packets_and_strangers_are_counted() {
    let mut s = Scenario::new(3);
    s.upload = Workload::steady(3, 300, 1_000);
    s.there.bit_errors = sctp_user::sim::Chance::percent(20);
    let mut bed = s.build();
    bed.connected();
    bed.deliver(10 * MINUTE).unwrap();
    let (_, s) = both(&bed);
    assert!(s.stack.checksum_errors > 10 && s.stack.bad_packets >= s.stack.checksum_errors, "{:?}", s.stack);
    bed.restart_client();
    bed.world.run_for(5 * MINUTE);
    let (c, s) = both(&bed);
    assert!(c.stack.out_of_blues > 0, "the new client knows nothing of the association");
    assert_eq!((s.stack.aborteds, s.curr_estab), (1, 0));
}

/// Every line that a telephone exchange's operator looks for is on the page, and nothing that must stay secret.
#[test]
fn the_snapshot_is_a_page_for_people() {
    let mut s = Scenario::new(4);
    s.upload = Workload::steady(4, 4_000, 1_000);
    let mut bed = s.build();
    bed.connected();
    bed.world.with(bed.server, |n, now| n.set_reading(now, false));
    bed.world.run_for(Duration::from_secs(2));
    let (id, _) = bed.client().latest().unwrap();
    let client = bed.client;
    let page = bed.world.with(client, |n, now| n.stack.assoc(id).unwrap().snapshot(now)).unwrap();
    let text = page.to_string();
    let subjects = ["association ", "addresses", "streams", "peer", "send", "receive", "timers", "path 0", "counters", "deviations"];
    let mut lines = text.lines();
    for subject in subjects {
        assert!(lines.any(|l| l.trim_start().starts_with(subject)), "{subject} in\n{text}");
    }
    let expected = [
        "ESTABLISHED, opened by us, port 5000 to 5001",
        "addresses   10.0.0.1",
        "streams     10 out, 10 in",
        "10.0.0.1 to 10.0.0.2 over UDP 9899 to 9899: active",
        ", primary",
        "T3 in ",
        "RTO ",
        "window 1048576, 0 gaps",
        "a chunk may be fast retransmitted again",
    ];
    for part in expected {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
    assert!(page.send.peer_window < 1_500, "the reader sleeps: {text}");
    assert!(page.send.buffered > 500_000 && page.send.messages > 500, "{text}");
    assert_eq!(page.paths.len(), 1);
    let server = bed.server;
    let (id, _) = bed.server().latest().unwrap();
    let other = bed.world.with(server, |n, now| n.stack.assoc(id).unwrap().snapshot(now)).unwrap();
    assert!(other.receive.held > 1_000_000 && other.receive.messages > 1_000 && other.receive.memory > other.receive.held, "{other}");
}
