//! A link does what its configuration says, no more and no less.

use core::time::Duration;

use super::link::{Dropped, Link};
use super::{Chance, LinkConfig, Loss};
use crate::entropy::SeededEntropy;
use crate::time::Time;

const MS: Duration = Duration::from_millis(1);

fn run(cfg: LinkConfig, packets: usize, gap: Duration) -> (Link, Vec<(Time, usize)>) {
    let mut link = Link::new(cfg);
    let mut rng = SeededEntropy::new(7);
    let mut arrivals = Vec::new();
    let mut now = Time::ZERO;
    for i in 0..packets {
        if let Ok(list) = link.offer(now, 1000, false, None, &mut rng) {
            arrivals.extend(list.iter().map(|a| (a.at, i)));
        }
        now += gap;
    }
    (link, arrivals)
}

#[test]
fn an_ideal_link_only_delays() {
    let (link, arrivals) = run(LinkConfig::ideal(5 * MS), 100, MS);
    assert!(arrivals.iter().enumerate().all(|(i, (at, n))| *n == i && *at == Time::from_millis(5 + i as u64)));
    assert_eq!((link.stats.offered, link.stats.carried), (100, 100));
}

#[test]
fn jitter_spreads_but_keeps_the_order() {
    let (_, arrivals) = run(LinkConfig { jitter: 20 * MS, ..LinkConfig::ideal(5 * MS) }, 1000, MS);
    assert_eq!(arrivals.len(), 1000);
    assert!(arrivals.is_sorted_by_key(|(at, n)| (*at, *n)));
    let late = arrivals.iter().filter(|(at, n)| *at > Time::from_millis(*n as u64 + 15)).count();
    assert!(late > 300, "{late}");
    assert!(arrivals.iter().all(|(at, n)| *at <= Time::from_millis(*n as u64 + 25)));
}

#[test]
fn reordering_lets_others_overtake() {
    let cfg = LinkConfig { reorder: Chance::percent(10), reorder_by: 50 * MS, ..LinkConfig::ideal(5 * MS) };
    let (link, mut arrivals) = run(cfg, 1000, MS);
    assert!((60..140).contains(&link.stats.reordered), "{:?}", link.stats);
    arrivals.sort();
    assert!(!arrivals.is_sorted_by_key(|(_, n)| *n));
    assert_eq!(arrivals.len(), 1000);
}

#[test]
fn uniform_loss_and_duplication_have_their_rate() {
    let cfg = LinkConfig { loss: Loss::percent(20), duplicate: Chance::percent(5), ..LinkConfig::ideal(MS) };
    let (link, arrivals) = run(cfg, 10_000, MS);
    assert!((1_850..2_150).contains(&link.stats.lost), "{:?}", link.stats);
    assert!((320..480).contains(&link.stats.duplicated), "{:?}", link.stats);
    assert_eq!(arrivals.len() as u64, 10_000 - link.stats.lost + link.stats.duplicated);
}

#[test]
fn bursts_lose_neighbours() {
    let loss = Loss::Bursts { enter: Chance::percent(1), leave: Chance::percent(20), good: Chance::NEVER, bad: Chance::ALWAYS };
    let (link, arrivals) = run(LinkConfig { loss, ..LinkConfig::ideal(MS) }, 20_000, MS);
    // In the long run 1 / 21 of all packets meet the bad state.
    assert!((650..1_300).contains(&link.stats.lost), "{:?}", link.stats);
    let gaps: Vec<usize> = arrivals.windows(2).map(|w| w[1].1 - w[0].1 - 1).filter(|g| *g > 0).collect();
    let mean = gaps.iter().sum::<usize>() as u64 * 10 / gaps.len() as u64;
    assert!((35..70).contains(&mean), "mean burst {mean} / 10");
}

#[test]
fn the_rate_spaces_packets_and_the_queue_drops_its_tail() {
    // 1000 bytes at 1 Mbit/s take 8 ms; the queue holds 5 of them.
    let cfg = LinkConfig { rate: Some(1_000_000), queue: 5_000, ..LinkConfig::ideal(Duration::ZERO) };
    let (link, arrivals) = run(cfg.clone(), 10, Duration::ZERO);
    assert_eq!(arrivals, (0..5).map(|i| (Time::from_millis(8 * (i as u64 + 1)), i)).collect::<Vec<_>>());
    assert_eq!(link.stats.queue_full, 5);
    let (link, arrivals) = run(cfg, 100, 8 * MS);
    assert_eq!((arrivals.len(), link.stats.queue_full), (100, 0));
}

#[test]
fn big_packets_need_fragments() {
    let mut link = Link::new(LinkConfig::ideal(MS));
    let mut rng = SeededEntropy::new(1);
    assert!(link.offer(Time::ZERO, 1500, false, None, &mut rng).is_ok());
    assert_eq!(link.offer(Time::ZERO, 1501, false, None, &mut rng), Err(Dropped::TooBig));
    assert!(link.offer(Time::ZERO, 1501, true, None, &mut rng).is_ok());
    link.cut = true;
    assert_eq!(link.offer(Time::ZERO, 100, false, None, &mut rng), Err(Dropped::Cut));
    assert_eq!((link.stats.too_big, link.stats.cut), (1, 1));
}

#[test]
fn chances_are_clamped() {
    let mut rng = SeededEntropy::new(1);
    assert_eq!(Chance::percent(u32::MAX), Chance::ALWAYS);
    assert!((0..1000).all(|_| Chance::ALWAYS.draw(&mut rng)));
    assert!(!(0..1000).any(|_| Chance::NEVER.draw(&mut rng)));
}
