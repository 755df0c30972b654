//! I-DATA and the stream schedulers between two stacks (RFC 8260).

use core::time::Duration;

use sctp_user::sim::{Chance, LinkConfig, Loss};
use sctp_user::{AssocConfig, StreamScheduler};
use testbed::bed::unlimited;
use testbed::{Bed, Scenario, Workload};

const MIB: usize = 1 << 20;
const LIMIT: Duration = Duration::from_secs(3600);
const SCHEDULERS: [StreamScheduler; 6] = [
    StreamScheduler::FirstCome,
    StreamScheduler::RoundRobin,
    StreamScheduler::RoundRobinPacket,
    StreamScheduler::Priority,
    StreamScheduler::FairCapacity,
    StreamScheduler::WeightedFair,
];

fn interleaving() -> AssocConfig {
    let mut cfg = unlimited(AssocConfig::rfc());
    (cfg.interleaving, cfg.interleave_streams) = (true, true);
    cfg
}

/// Messages of these lengths each way, on as many streams.
fn scenario(seed: u64, lengths: &[usize]) -> Scenario {
    let plan = |key| {
        let mut w = Workload::steady(key, lengths.len(), 1);
        for (n, (m, len)) in w.messages.iter_mut().zip(lengths).enumerate() {
            m.len = *len;
            m.sid = u16::try_from(n % 10).unwrap();
            m.unordered = n % 3 == 2;
        }
        w
    };
    let mut s = Scenario::new(seed);
    s.assoc = interleaving();
    let link = LinkConfig { rate: Some(200_000_000), queue: MIB / 2, ..LinkConfig::default() };
    (s.there, s.back) = (link.clone(), link);
    (s.upload, s.download) = (plan(1), plan(2));
    s
}

fn delivered(mut s: Scenario, scheduler: StreamScheduler) -> Bed {
    s.assoc.scheduler = scheduler;
    s.assoc.stream_values = (0..10).map(|sid| (sid.into(), sid % 4)).collect();
    let mut bed = s.build();
    bed.connected();
    bed.deliver(LIMIT).unwrap();
    bed.world.with(bed.client, |n, now| n.shutdown(now));
    bed.closed(LIMIT).unwrap();
    bed
}

/// Messages larger than the receive buffer on several streams at once, over a link that loses, doubles and reorders: all of them
/// arrive, in parts of several streams in turn, with every scheduler.
#[test]
fn several_large_messages_at_once_over_a_bad_link() {
    for (seed, scheduler) in (0..).zip(SCHEDULERS) {
        let mut s = scenario(seed, &[300_000, 100, 400_000, 70_000, 300_000, 1, 1, 90_000, 400_000, 5_000]);
        s.assoc.recv_buffer = 64 << 10;
        for link in [&mut s.there, &mut s.back] {
            link.loss = Loss::percent(2);
            link.duplicate = Chance::percent(2);
            link.reorder = Chance::percent(5);
            link.reorder_by = Duration::from_millis(15);
        }
        let bed = delivered(s, scheduler);
        let parts = [bed.client(), bed.server()].map(|p| p.latest().unwrap().1.oracle.in_parts());
        assert!(parts.iter().all(|n| *n >= 2), "{scheduler:?} {parts:?}");
    }
}

/// The schedulers without I-DATA, at message boundaries; and I-DATA that one side does not want.
#[test]
fn schedulers_work_without_interleaving() {
    for (seed, scheduler) in (10..).zip(SCHEDULERS) {
        let mut s = scenario(seed, &[300_000, 100, 200_000, 70_000, 10, 1, 1, 90_000, 3_000, 5_000]);
        s.assoc.interleaving = false;
        delivered(s, scheduler);
    }
}
