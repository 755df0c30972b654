//! Partial reliability end to end (RFC 3758, RFC 7496): what may be given up is delivered or reported, all else is delivered.

use core::time::Duration;

use sctp_user::sim::Loss;
use sctp_user::{Reliability, SeededEntropy};
use testbed::bed::unlimited;
use testbed::{Bed, Scenario, WireOracle, Workload};

const LIMIT: Duration = Duration::from_secs(7200);

/// Messages of all policies both ways over rough links.
fn rough(seed: u64) -> Scenario {
    let mut s = Scenario::rough(seed, 60);
    s.assoc.partial_reliability = true;
    let mut rng = SeededEntropy::new(seed);
    s.upload = s.upload.partly_reliable(&mut rng);
    s.download = s.download.partly_reliable(&mut rng);
    s
}

/// Each message that one side sent and the other has not got was reported, and could be given up.
fn nothing_is_lost_without_a_word(bed: &Bed, plans: &[Workload; 2]) {
    for (from, to, plan) in [(bed.client(), bed.server(), &plans[0]), (bed.server(), bed.client(), &plans[1])] {
        let (sent, received) = (from.latest().unwrap().1, to.latest().unwrap().1);
        for missing in received.oracle.missing() {
            assert!(plan.messages[missing].reliability != Reliability::Full, "message {missing} is reliable");
            assert!(sent.failed.contains(&missing), "message {missing} is lost without a word: {:?}", plan.messages[missing]);
        }
    }
}

fn given_up(bed: &Bed) -> usize {
    [bed.client(), bed.server()].iter().map(|p| p.latest().unwrap().1.failed.len()).sum()
}

/// By DATA and, every other time, by I-DATA. RFC 3758 rows: 3.6-1.
#[test]
fn what_is_not_delivered_is_reported_over_rough_links() {
    let mut total = 0;
    for seed in 0..30 {
        let mut s = rough(seed);
        let interleaved = seed % 2 == 1;
        (s.assoc.interleaving, s.assoc.interleave_streams) = (interleaved, interleaved);
        let plans = [s.upload.clone(), s.download.clone()];
        let delay = s.assoc.sack_delay;
        let mut bed = s.build();
        let wire = WireOracle::watch(&mut bed.world, delay);
        for node in [bed.client, bed.server] {
            bed.world.with(node, |n, _| n.interleaved = interleaved);
        }
        bed.connected_within(LIMIT);
        bed.deliver(LIMIT).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        for node in [bed.client, bed.server] {
            bed.world.with(node, |n, now| n.close_when_sent(now));
        }
        bed.closed(LIMIT).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        bed.check().unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        wire.check().unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        nothing_is_lost_without_a_word(&bed, &plans);
        total += given_up(&bed);
    }
    assert!(total > 100, "only {total} messages were given up");
}

/// All ordered on one stream, each sent once: what arrives keeps its order, and the stream never waits longer than a round trip or two.
#[test]
fn a_stream_of_which_each_message_is_sent_once_never_stalls() {
    let mut s = Scenario::new(5);
    s.assoc = unlimited(s.assoc);
    s.assoc.partial_reliability = true;
    s.there.loss = Loss::percent(10);
    s.there.delay = Duration::from_millis(20);
    s.back.delay = Duration::from_millis(20);
    s.upload = Workload::steady(1, 1000, 500);
    for (n, m) in s.upload.messages.iter_mut().enumerate() {
        m.at = Duration::from_millis(10 * n as u64);
        m.reliability = Reliability::Retransmissions(0);
    }
    let mut bed = s.build();
    bed.connected();
    bed.world.run_for(Duration::from_secs(12));
    bed.check().unwrap();
    let (server, client) = (bed.server().latest().unwrap().1, bed.client().latest().unwrap().1);
    let (got, lost) = (server.oracle.delivered(), client.failed.len());
    assert_eq!((client.sent, got + lost >= 1000), (1000, true), "{got} and {lost}");
    assert!((820..960).contains(&got), "{got} of 1000 at ten percent loss");
    assert_eq!(bed.client().stack.stats().assocs.rtx_chunks, 0, "none was sent twice");
}

/// A link that is too narrow: with a lifetime, what arrives is fresh, and the queue does not grow old.
#[test]
fn with_a_lifetime_what_arrives_is_fresh() {
    let mut s = Scenario::new(6);
    s.assoc.partial_reliability = true;
    s.there.rate = Some(400_000);
    s.there.queue = 20_000;
    s.upload = Workload::steady(1, 1000, 1000);
    for (n, m) in s.upload.messages.iter_mut().enumerate() {
        // Twice as much as the link carries.
        m.at = Duration::from_millis(10 * n as u64);
        m.reliability = Reliability::Lifetime(Duration::from_millis(200));
    }
    let mut bed = s.build();
    bed.connected();
    bed.world.run_for(Duration::from_secs(12));
    bed.check().unwrap();
    let stats = bed.client().stack.stats().assocs;
    let got = bed.server().latest().unwrap().1.oracle.delivered();
    assert!((300..600).contains(&got), "{got} of 1000: about what the link carries");
    assert!(stats.abandoned_unsent > 300, "most of the others never left: {stats:?}");
    assert_eq!(bed.client().latest().unwrap().1.sent, 1000, "the sender was never held up");
}

/// A peer that has it not gets all, whatever the policy.
#[test]
fn without_agreement_all_that_left_arrives() {
    for seed in 0..4 {
        let mut s = rough(seed);
        s.assoc.partial_reliability = false;
        for plan in [&mut s.upload, &mut s.download] {
            for m in &mut plan.messages {
                m.reliability = Reliability::Retransmissions(0);
            }
        }
        let mut bed = s.build();
        bed.connected_within(LIMIT);
        let all = |bed: &Bed| [bed.client(), bed.server()].iter().map(|p| p.delivered()).sum::<usize>() == 120;
        let until = bed.world.now() + LIMIT;
        while !all(&bed) && bed.world.now() < until {
            bed.world.run_for(Duration::from_secs(1));
        }
        assert!(all(&bed), "seed {seed}");
        assert_eq!(given_up(&bed), 0);
        bed.check().unwrap();
    }
}
