//! I-DATA and the stream schedulers between two stacks (RFC 8260).

use core::cell::RefCell;
use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;

use sctp_user::sim::{Chance, HostId, LinkConfig, Loss};
use sctp_user::{AssocConfig, AssocStatus, StreamScheduler, Time};
use testbed::bed::{SERVER_PORT, unlimited};
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

/// The time when a link of this rate has sent all that was given to it before `until`; `sent` has times and lengths of IP packets.
fn busy_until(sent: &[(Time, usize)], rate: u64, until: Time) -> Time {
    let before = sent.iter().take_while(|(at, _)| *at < until);
    before.fold(Time::ZERO, |busy, (at, len)| busy.max(*at) + drain(*len, rate)).max(until)
}

/// How long a link of this rate takes for so many bytes.
fn drain(len: usize, rate: u64) -> Duration {
    Duration::from_nanos(len as u64 * 8 * 1_000_000_000 / rate)
}

/// What the message of 100 bytes waited for.
#[derive(Clone, Copy, Debug)]
struct Wait {
    /// What the queue of the bottleneck took to drain when it was given to the stack.
    queue: Duration,
    /// When it was read.
    arrival: Time,
    /// How late it may be at most.
    bound: Time,
}

/// Sends messages of 1 MiB on `large` streams, and one of 100 bytes on another stream `after` the start, through a bottleneck.
fn overtake(cfg: AssocConfig, large: u16, after: Duration) -> Wait {
    const RATE: u64 = 10_000_000;
    const MTU: usize = 1500;
    let mut s = Scenario::new(u64::from(large));
    s.assoc = cfg;
    (s.assoc.send_buffer, s.assoc.recv_buffer, s.assoc.pmtu_discovery) = (8 * MIB, 8 * MIB, false);
    // Nagle's rule would hold back what comes when all else has left.
    s.assoc.nagle = false;
    let link = LinkConfig { rate: Some(RATE), queue: 8 * MIB, ..LinkConfig::default() };
    (s.there, s.back) = (link.clone(), link.clone());
    s.upload = Workload::steady(1, usize::from(large) + 1, MIB);
    for (n, m) in (0..).zip(&mut s.upload.messages) {
        m.sid = n;
    }
    let last = s.upload.messages.last_mut().unwrap();
    (last.len, last.at) = (100, after);
    let mut bed = s.build();
    let sent = Rc::new(RefCell::new(Vec::new()));
    let (log, host) = (Rc::clone(&sent), HostId::from(bed.client));
    bed.world.tap(move |seen| {
        if seen.sent && seen.host == host {
            log.borrow_mut().push((seen.now, seen.payload.len() + 28));
        }
    });
    bed.connected();
    let client = bed.client;
    let since = bed.client().latest().unwrap().1.since;
    let at = bed.world_time(bed.client, since) + after;
    let (server, index, until) = (bed.server, usize::from(large), bed.world.now() + LIMIT);
    assert!(bed.world.run_until_idle_or(until, |w| w.node(server).latest().is_some_and(|(_, c)| c.oracle.has(index))));
    let arrival = bed.world.now();
    let sent = sent.borrow().clone();
    let busy = busy_until(&sent, RATE, at);
    // One packet of each active stream, and the one that it is in itself.
    let packets = drain((usize::from(large) + 1) * MTU, RATE);
    assert!(bed.world.node(client).violations.is_empty());
    Wait { queue: busy - at, arrival, bound: busy + packets + link.delay }
}

/// Done-when 4 of the extensions: with interleaving on, a message of 1 MiB delays a message of 100 bytes on another stream by no more
/// than what the queue of the bottleneck already holds, plus one packet of each active stream; also several of 1 MiB. This holds for
/// all schedulers but first come, first served, and without interleaving for none.
#[test]
fn a_large_message_does_not_hold_up_a_small_one() {
    for large in [1, 3] {
        for after in (100..560).step_by(37).map(Duration::from_millis) {
            for scheduler in SCHEDULERS {
                let mut cfg = interleaving();
                cfg.scheduler = scheduler;
                let wait = overtake(cfg, large, after);
                assert!(wait.queue > drain(5_000, 10_000_000), "the bottleneck is busy: {wait:?}");
                let holds = scheduler != StreamScheduler::FirstCome;
                assert_eq!(wait.arrival <= wait.bound, holds, "{scheduler:?} {large} {wait:?}");
            }
        }
        for scheduler in SCHEDULERS {
            let mut cfg = interleaving();
            (cfg.scheduler, cfg.interleaving) = (scheduler, false);
            let wait = overtake(cfg, large, Duration::from_millis(300));
            assert!(wait.arrival > wait.bound + Duration::from_millis(200), "{scheduler:?} {wait:?}");
        }
    }
}

/// A stream of higher priority overtakes all others, and waits for the queue of the bottleneck alone.
#[test]
fn a_higher_priority_waits_for_nobody() {
    let mut cfg = interleaving();
    cfg.scheduler = StreamScheduler::Priority;
    cfg.stream_values = (0..3).map(|sid| (sid.into(), 1)).collect();
    let wait = overtake(cfg, 3, Duration::from_millis(400));
    assert!(wait.arrival + drain(3 * 1500, 10_000_000) <= wait.bound, "{wait:?}");
}

/// RFC 8260 rows: 2-1. One host has associations with DATA and with I-DATA at the same time.
#[test]
fn both_kinds_of_association_live_side_by_side() {
    let mut bed = scenario(77, &[100_000, 50_000, 10, 70_000, 10]).build();
    bed.connected();
    let other = bed.add_client([10, 0, 0, 77].into());
    let server_ip = bed.server_ip;
    bed.world.with(other, |n, _| {
        let mut endpoint = n.stack.endpoint_config(n.endpoint).unwrap();
        Arc::make_mut(&mut endpoint.assoc).interleaving = false;
        n.stack.reconfigure_endpoint(n.endpoint, endpoint).unwrap();
    });
    let id = bed.world.with(other, |n, now| n.connect(now, server_ip, SERVER_PORT));
    bed.deliver(LIMIT).unwrap();
    let until = bed.world.now() + LIMIT;
    assert!(bed.world.run_until_idle_or(until, |w| w.node(other).complete()));
    assert_eq!(bed.world.node(other).violations, [""; 0]);
    let interleaves = |status: AssocStatus| status.extensions.interleaving;
    assert!(!bed.world.with(other, |n, _| interleaves(n.stack.assoc(id).unwrap().status())));
    let client = bed.client().latest().unwrap().0;
    assert!(bed.world.with(bed.client, |n, _| interleaves(n.stack.assoc(client).unwrap().status())));
    bed.check().unwrap();
}
