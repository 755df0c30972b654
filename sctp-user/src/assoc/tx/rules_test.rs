//! The sender's rules one by one, and hostile SACKs.

use core::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::outstanding::{ChunkState, MAX_OUTSTANDING};
use super::tx_test::{FULL, P, PMDCS, T, at};
use crate::assoc::path::{Path, PathId};
use crate::cc::{AckInfo, CcSnapshot, CongestionControl, Loss, Pacing};
use crate::config::AssocConfig;
use crate::event::SendOptions;
use crate::net::Channel;
use crate::num::{Ppid, StreamId, Tsn};
use crate::time::Time;
use crate::wire::chunk::{Duplicates, GapBlock, Gaps, Sack};

/// A window that never changes, and maybe a pace.
#[derive(Debug)]
struct Fixed {
    window: usize,
    pacing: Option<Pacing>,
}

impl CongestionControl for Fixed {
    fn on_ack(&mut self, _ack: &AckInfo) {}
    fn on_loss(&mut self, _now: Time, _loss: Loss) {}
    fn on_idle(&mut self, _idle: Duration, _rto: Duration) {}
    fn on_mtu(&mut self, _pmdcs: usize) {}
    fn reset(&mut self) {}
    fn window(&self) -> usize {
        self.window
    }
    fn pacing(&self) -> Option<Pacing> {
        self.pacing
    }
    fn snapshot(&self) -> CcSnapshot {
        CcSnapshot { algorithm: "fixed", cwnd: self.window, ssthresh: self.window, partial_bytes_acked: 0 }
    }
}

fn fixed(window: usize) -> T {
    let mut t = T::new();
    t.path().cc = Box::new(Fixed { window, pacing: None });
    t
}

/// RFC 9260 rows: 6.1-3.
#[test]
fn a_zero_window_probe_needs_room_in_cwnd() {
    let probe = |cwnd| {
        let mut t = fixed(cwnd);
        t.tx.window.set(0);
        t.queue(1, 100);
        t.tx.on_t3(at(1000), P, &mut t.paths);
        t.flush(at(1000))
    };
    assert_eq!(probe(0), Vec::<Vec<u32>>::new());
    assert_eq!(probe(PMDCS), [[0]]);
}

/// RFC 9260 rows: 6.1-10.
#[test]
fn no_chunk_is_cut_to_what_is_left_of_a_window() {
    // Neither to the peer's window: the rest of a message waits until it fits, or is sent whole as a probe.
    let mut t = T::new();
    t.send_full(at(0), 1);
    t.sack_window(at(10), 1, &[], 1000).unwrap();
    t.queue(1, 3 * FULL);
    assert_eq!(t.flush(at(11)), Vec::<Vec<u32>>::new());
    t.tx.on_t3(at(1010), P, &mut t.paths);
    t.tx.begin_opportunity();
    assert_eq!(t.packet(at(1010)).unwrap().first().map(|c| c.len), Some(FULL));
    // Nor to cwnd.
    let mut t = fixed(PMDCS + 100);
    t.queue(1, 3 * FULL);
    t.tx.begin_opportunity();
    assert_eq!(t.packet(at(0)).unwrap().first().map(|c| c.len), Some(FULL));
    assert_eq!(t.packet(at(0)).unwrap().first().map(|c| c.len), Some(FULL), "100 bytes are left of cwnd");
}

#[test]
fn fragments_fit_the_whole_window_of_a_peer_with_a_small_one() {
    let mut t = T::new();
    t.tx = super::Tx::new(&AssocConfig { nagle: false, ..AssocConfig::rfc() }, Tsn(t.first), 10, 1000);
    t.queue(1, 2500);
    assert_eq!(t.flush(at(0)), [[0]], "no wait for a probe");
    t.sack_window(at(10), 1, &[], 1000).unwrap();
    assert_eq!(t.flush(at(10)), [[1]]);
    t.sack_window(at(20), 2, &[], 1000).unwrap();
    assert_eq!(t.flush(at(20)), [[2]]);
    t.sack_window(at(30), 3, &[], 1000).unwrap();
    assert!(t.tx.is_drained());
}

/// Packets are filled: behind the end of a long message stands the beginning of the next one.
#[test]
fn long_messages_leave_no_packet_part_filled() {
    let mut t = fixed(100 * PMDCS);
    t.queue(8, 2000);
    for _ in 0..4 {
        t.tx.begin_opportunity();
    }
    let packets: Vec<usize> =
        core::iter::from_fn(|| t.packet(at(0))).map(|p| p.iter().map(|c| (16 + c.len).next_multiple_of(4)).sum()).collect();
    let (last, others) = packets.split_last().unwrap();
    assert!(others.iter().all(|&bytes| bytes > PMDCS * 15 / 16), "{packets:?}");
    assert!(*last > 0 && packets.len() == 12, "{packets:?}");
    t.sack(at(10), u32::try_from(t.tx.out.len()).unwrap(), &[]);
    // A message that fits a chunk is not torn apart.
    t.queue(4, 1000);
    assert_eq!(t.flush(at(10)).len(), 4);
}

/// RFC 9260 rows: 6.1-19, 6.1-20, 6.1-22.
#[test]
fn t3_starts_with_the_first_packet_and_anew_with_the_earliest_chunk() {
    let mut t = T::new();
    t.send_full(at(0), 6);
    assert_eq!(t.path().t3, Some(at(1000)), "RTO.Initial; later packets do not restart it");
    t.sack(at(50), 1, &[(2, 2)]);
    assert_eq!(t.path().rto(), Duration::from_secs(1), "RTO.Min");
    assert_eq!(t.path().t3, Some(at(1050)), "the earliest was acknowledged (section 6.3.2 R3)");
    t.sack(at(60), 1, &[(2, 3)]);
    t.sack(at(70), 1, &[(2, 4)]);
    assert_eq!(t.path().t3, Some(at(1050)));
    assert_eq!(t.flush(at(80)), [[1]]);
    assert_eq!(t.path().t3, Some(at(1080)), "the earliest is sent again");
    t.sack(at(90), 6, &[]);
    assert_eq!(t.path().t3, None, "section 6.3.2 R2");
}

/// RFC 9260 rows: 6.1-23, 6.1-24.
#[test]
fn the_send_window_is_bounded() {
    let cfg = AssocConfig { nagle: false, send_buffer: 4 << 20, ..AssocConfig::rfc() };
    let mut t = T::with(&cfg, 1);
    t.path().cc = Box::new(Fixed { window: usize::MAX, pacing: None });
    t.queue(70_000, 1);
    while t.flush(at(0)) != Vec::<Vec<u32>>::new() {}
    assert_eq!(t.tx.out.len(), MAX_OUTSTANDING);
    assert_eq!(MAX_OUTSTANDING, 65_535);
    t.sack(at(10), 100, &[]);
    while t.flush(at(10)) != Vec::<Vec<u32>>::new() {}
    assert_eq!(t.tx.out.len(), MAX_OUTSTANDING, "it moves on");
}

/// RFC 9260 rows: 6.3.1-1, 6.3.1-2.
#[test]
fn the_round_trip_is_measured_once_in_a_round_trip() {
    let mut t = T::new();
    t.send_full(at(0), 4);
    t.sack(at(100), 1, &[]);
    assert_eq!(t.path().rtt.latest(), Some(Duration::from_millis(100)));
    t.queue(2, FULL);
    t.flush(at(110));
    // Sent at 0 as the first one: it does not measure again.
    t.sack(at(150), 4, &[]);
    assert_eq!(t.path().rtt.latest(), Some(Duration::from_millis(100)));
    t.sack(at(170), 5, &[]);
    assert_eq!(t.path().rtt.latest(), Some(Duration::from_millis(60)), "the next round trip");
}

/// RFC 9260 rows: 6.3.1-4, 6.3.1-5.
#[test]
fn what_was_sent_again_or_stands_behind_it_measures_nothing() {
    let mut t = T::new();
    t.send_full(at(0), 4);
    t.tx.on_t3(at(1000), P, &mut t.paths);
    assert_eq!(t.flush(at(1000)), [[0]]);
    t.sack(at(1010), 1, &[]);
    assert_eq!(t.path().rtt.latest(), None, "Karn's rule");
    // A chunk that measures loses its office when a lower TSN is sent again, on whatever path.
    let mut t = T::new();
    t.send_full(at(0), 1);
    t.sack(at(10), 1, &[]);
    t.send_full(at(20), 2);
    assert!(t.path().rtt_probe.is_some());
    let second = Path::new(&AssocConfig::rfc(), at(0), "10.0.1.1".parse().unwrap(), None, Channel::Udp { local: 1, remote: 2 });
    let other = t.paths.add(second).unwrap();
    t.paths.get_mut(other).unwrap().rtt_probe = Some(crate::assoc::path::RttProbe { index: 99, sent: at(30) });
    t.tx.on_t3(at(1020), P, &mut t.paths);
    t.flush(at(1020));
    assert_eq!(t.paths.get(other).unwrap().rtt_probe, None);
}

/// RFC 9260 rows: 7.2-4.
#[test]
fn headers_and_padding_count_against_cwnd() {
    let mut t = T::new();
    t.queue(1, 101);
    t.flush(at(0));
    assert_eq!(t.path().in_flight, 120, "16 + 101, padded");
}

/// RFC 9260 rows: 6.1-9, 7.1-1, 7.2.1-10, 7.2.1-11, 7.2.2-4.
#[test]
fn an_unused_window_decays_by_halves_down_to_four_packets() {
    for (idle, packets) in [(900, 64), (1100, 32), (2100, 16), (100_000, 4)] {
        let mut t = T::new();
        t.send_full(at(0), 64);
        let cwnd = t.path().cc.window();
        t.sack(at(50), 64, &[]);
        t.queue(80, FULL);
        for _ in 0..40 {
            t.tx.begin_opportunity();
        }
        // The time counts from the last transmission, at 0.
        let sent = t.flush(at(idle)).len();
        let expected = if packets == 4 { 4 * PMDCS } else { cwnd * packets / 64 };
        assert_eq!(sent, expected.div_ceil(PMDCS), "after {idle} ms");
        if packets < 64 {
            assert_eq!(t.path().cc.slow_start_threshold(), cwnd, "the window before");
        }
    }
}

/// RFC 9260 rows: 7.2.1-9.
#[test]
fn the_window_that_grows_is_the_one_of_the_path_that_the_data_went_to() {
    let mut t = T::new();
    t.queue(4, FULL);
    t.flush(at(0));
    let second = Path::new(&AssocConfig::rfc(), at(0), "10.0.1.1".parse().unwrap(), None, Channel::Udp { local: 1, remote: 2 });
    let other = t.paths.add(second).unwrap();
    t.paths.set_primary(other);
    let windows = |t: &T| [P, other].map(|id| t.paths.get(id).unwrap().cc.window());
    let [first, second] = windows(&t);
    t.sack(at(10), 2, &[]);
    assert_eq!(windows(&t), [first + PMDCS, second]);
}

/// RFC 9260 rows: 7.2.4-7, 7.2.4-8.
#[test]
fn cwnd_grows_before_it_shrinks_and_shrinks_once() {
    let mut t = T::new();
    t.queue(30, FULL);
    t.flush(at(0));
    // Full, so it grows with what this SACK acknowledges, then chunk 1 is missed for the third time.
    let start = t.path().cc.window();
    t.sack(at(10), 1, &[]);
    assert_eq!(t.path().cc.window(), start + PMDCS);
    t.flush(at(10));
    t.flush(at(10));
    let in_flight = t.path().in_flight;
    assert!(in_flight >= t.path().cc.window());
    t.sack(at(20), 1, &[(2, 2)]);
    t.flush(at(20));
    t.sack(at(21), 1, &[(2, 3)]);
    t.flush(at(21));
    let grown = t.path().cc.window();
    assert!(t.path().in_flight >= grown, "full");
    t.sack(at(22), 1, &[(2, 4)]);
    let halved = ((grown + PMDCS) / 2).max(4 * PMDCS);
    assert_eq!(t.path().cc.window(), halved);
    assert!(t.tx.recovery.is_some());
    // A second loss in the same recovery.
    t.flush(at(23));
    for n in 6..9 {
        t.sack(at(30), 1, &[(2, 4), (6, n)]);
    }
    assert!(t.tx.out.get(6).is_some_and(|c| c.misses == 0 && c.fast), "chunk 5 was missed three times");
    assert_eq!(t.path().cc.window(), halved);
}

/// RFC 9260 rows: 6.7-3.
#[test]
fn what_is_cumulatively_acknowledged_is_gone() {
    let mut t = T::new();
    t.send_full(at(0), 5);
    let buffered = t.tx.buffered();
    t.sack(at(10), 3, &[]);
    assert_eq!((t.tx.out.len(), t.tx.buffered()), (2, buffered - 3 * FULL));
    t.tx.on_t3(at(1010), P, &mut t.paths);
    assert_eq!(t.flush(at(1010)), [[3]], "the third and all before are never sent again");
}

#[test]
fn a_full_window_asks_for_one_immediate_sack_a_round_trip() {
    let mut t = fixed(10 * PMDCS);
    t.queue(200, FULL);
    let mut bits = 0;
    for _ in 0..3 {
        t.tx.begin_opportunity();
    }
    bits += core::iter::from_fn(|| t.packet(at(0))).flatten().filter(|c| c.i).count();
    assert_eq!(bits, 1, "the window is full");
    t.tx.end_opportunities(at(0), &mut t.paths);
    let mut acked = 0;
    for round in 1..=10_u64 {
        for step in 0..5 {
            acked += 2;
            t.sack(at(100 * round + step), acked, &[]);
            t.tx.begin_opportunity();
            bits += core::iter::from_fn(|| t.packet(at(100 * round + step))).flatten().filter(|c| c.i).count();
        }
    }
    assert!((8..=12).contains(&bits), "{bits} in ten round trips of ten packets");
}

#[test]
fn a_control_that_paces_spreads_packets_over_time() {
    let mut t = T::new();
    // A packet each ten milliseconds, two at once.
    let pacing = Pacing { rate: 100 * PMDCS as u64, burst: 2 * PMDCS };
    t.path().cc = Box::new(Fixed { window: 1 << 20, pacing: Some(pacing) });
    t.queue(10, FULL);
    let mut left = t.flush(at(1000)).len();
    assert!((2..=3).contains(&left), "{left}");
    let mut releases = Vec::new();
    while let Some(at) = t.tx.release() {
        releases.push(at);
        t.tx.on_release(at);
        left += t.flush(at).len();
    }
    assert_eq!(left, 10);
    assert!(releases.windows(2).all(|w| w[1] - w[0] == Duration::from_millis(10)), "{releases:?}");
    assert_eq!(t.tx.release(), None, "nothing waits");
}

#[test]
fn without_queued_data_a_closed_window_backs_nothing_off() {
    let mut t = T::new();
    t.send_full(at(0), 1);
    t.sack_window(at(10), 1, &[], 0).unwrap();
    assert_eq!(t.path().t3, Some(at(1010)));
    assert!(!t.tx.on_t3(at(1010), P, &mut t.paths).count_error);
    assert_eq!((t.path().rto(), t.path().t3), (Duration::from_secs(1), None));
    t.queue(1, 10);
    assert_eq!(t.flush(at(5000)), [[1]], "a probe, long after the first RTO");
}

#[test]
fn a_loss_from_before_the_window_closed_is_an_error() {
    let mut t = T::new();
    t.send_full(at(0), 3);
    t.sack_window(at(10), 1, &[], 0).unwrap();
    assert!(t.tx.on_t3(at(1010), P, &mut t.paths).count_error, "no probe: it was sent into an open window");
    assert_eq!(t.path().cc.window(), PMDCS);
    t.flush(at(1010));
    t.sack_window(at(1020), 1, &[], 0).unwrap();
    assert!(!t.tx.on_t3(at(3010), P, &mut t.paths).count_error, "sent again into a closed one");
}

/// Attack class 9: acknowledgements of parts of what is outstanding, again and again, make nobody faster.
#[test]
fn splitting_acknowledgements_does_not_pay() {
    let cfg = AssocConfig { nagle: false, ..AssocConfig::rfc() };
    let grown = |step: u32| {
        let mut t = T::with(&cfg, 100);
        t.path().cc.on_mtu(PMDCS);
        t.queue(4000, 50);
        let (mut acked, start) = (0, t.path().cc.window());
        t.flush(at(0));
        t.flush(at(0));
        while acked < 60 {
            acked += step;
            t.sack(at(10), acked, &[]);
        }
        t.path().cc.window() - start
    };
    assert!(grown(1) <= 60 * 68, "no more than the bytes acknowledged");
    assert!(grown(60) <= PMDCS, "nor than one PMDCS for one SACK");
}

/// Attack class 9: a peer that takes back and gives again its gap acknowledgements costs work, but gains nothing: a chunk lets
/// the window grow once.
#[test]
fn a_peer_that_reneges_all_the_time_gains_nothing() {
    let mut t = T::new();
    t.queue(400, FULL);
    t.flush(at(0));
    let start = t.path().cc.window();
    for n in 1..100 {
        t.sack(at(n), 0, &[(1, 2)]);
        t.flush(at(n));
        t.sack(at(n), 0, &[]);
        t.flush(at(n));
        t.path().t3 = None;
    }
    assert!(t.path().cc.window() <= start + PMDCS, "{} from {start}", t.path().cc.window());
    assert!(t.path().in_flight <= t.tx.out.len() * PMDCS && t.path().outstanding == t.tx.out.len());
    t.sack(at(200), 0, &[]);
    let all = u32::try_from(t.tx.out.len()).unwrap();
    let sent = t.tx.out.len();
    let s = t.sack(at(300), all, &[]);
    assert_eq!(s.newly_acked_bytes, (sent - 2) * PMDCS, "all but the two that were acknowledged before");
    assert_eq!((t.path().t3, t.path().in_flight), (None, 0), "the timer stops all the same");
}

/// Attack class 9: the largest SACK there can be, its blocks overlapping, reversed and in the worst order.
#[test]
fn a_sack_full_of_overlapping_blocks_is_merged() {
    let cfg = AssocConfig { nagle: false, send_buffer: 4 << 20, ..AssocConfig::rfc() };
    for first in [1_u32, u32::MAX - 30_000] {
        let mut t = T::with(&cfg, first);
        t.path().cc = Box::new(Fixed { window: usize::MAX, pacing: None });
        t.queue(65_535, 1);
        while t.flush(at(0)) != Vec::<Vec<u32>>::new() {}
        let mut blocks = Vec::new();
        for n in (2..16_000_u16).rev() {
            blocks.push(GapBlock { start: n, end: 65_535 - n });
            blocks.push(GapBlock { start: 65_535 - n, end: n });
        }
        let sack = Sack { cum_tsn: Tsn(first).prev(), a_rwnd: 1 << 20, gaps: Gaps::List(&blocks), dups: Duplicates::List(&[]) };
        let summary = t.tx.on_sack(at(10), &sack, &mut t.paths).unwrap();
        assert_eq!(summary.newly_acked_bytes, 65_532 * 20, "from 2 to 65533");
        assert_eq!(t.tx.out.acked().len(), 1);
        // Just beyond what was sent.
        let beyond = [GapBlock { start: 2, end: 65_535 }, GapBlock { start: 1, end: 1 }];
        t.sack(at(11), 1, &[]);
        let sack = Sack { cum_tsn: Tsn(first), a_rwnd: 1 << 20, gaps: Gaps::List(&beyond), dups: Duplicates::List(&[]) };
        assert!(t.tx.on_sack(at(12), &sack, &mut t.paths).is_err());
    }
}

proptest! {
    /// Attack class 9: SACKs of any content, also far off the window, timeouts and sends in any order, over two paths: the books
    /// stay right, and nothing is sent that the windows forbid.
    #[test]
    fn the_books_stay_right_whatever_the_peer_says(
        first: u32,
        steps in prop::collection::vec((any::<u8>(), any::<u32>(), prop::collection::vec((any::<u16>(), any::<u16>()), 0..6), any::<u32>()), 1..80),
    ) {
        let cfg = AssocConfig { nagle: false, ..AssocConfig::rfc() };
        let mut t = T::with(&cfg, first);
        let second = Path::new(&cfg, at(0), "10.0.1.1".parse().unwrap(), None, Channel::Udp { local: 1, remote: 2 });
        let other = t.paths.add(second).unwrap();
        let mut now = 0;
        for (kind, cum, blocks, a_rwnd) in steps {
            now += u64::from(kind);
            match kind % 8 {
                0 => {
                    let to = if cum % 2 == 0 { P } else { other };
                    t.paths.set_primary(to);
                }
                1 => {
                    for id in [P, other] {
                        if t.paths.get(id).is_some_and(|p| p.t3.is_some()) {
                            t.tx.on_t3(at(now), id, &mut t.paths);
                        }
                    }
                }
                2 | 3 => {
                    let len = usize::from(kind) * 20 + 1;
                    for _ in 0..4 {
                        let _ = t.tx.enqueue(Time::ZERO, StreamId(0), Ppid(0), &mut Bytes::from(vec![1; len]), SendOptions::ordered());
                    }
                }
                _ => {
                    // Mostly within what is outstanding.
                    let out = u32::try_from(t.tx.out.len()).unwrap();
                    let near = kind % 8 != 7;
                    let cum_tsn = if near { t.tx.out.cum().plus(cum % (out / 2 + 2)) } else { Tsn(cum) };
                    let fit = |v: u16| if near { v % (u16::try_from(out).unwrap() + 2) } else { v };
                    let list: Vec<_> = blocks.iter().map(|&(start, end)| GapBlock { start: fit(start), end: fit(end) }).collect();
                    let sack = Sack { cum_tsn, a_rwnd: a_rwnd % 40_000, gaps: Gaps::List(&list), dups: Duplicates::List(&[]) };
                    let _ = t.tx.on_sack(at(now), &sack, &mut t.paths);
                }
            }
            t.flush(at(now));
            check(&t, other)?;
        }
    }
}

fn check(t: &T, other: PathId) -> Result<(), TestCaseError> {
    let mut flight_payload = 0;
    for id in [P, other] {
        let path = t.paths.get(id).unwrap();
        let mine = || t.tx.out.iter().filter(move |c| c.path == id);
        let in_flight: usize = mine().filter(|c| c.state == ChunkState::InFlight).map(|c| c.wire_len()).sum();
        prop_assert_eq!(path.in_flight, in_flight);
        prop_assert_eq!(path.outstanding, mine().filter(|c| c.state != ChunkState::Acked).count());
        prop_assert!(path.in_flight == 0 || path.t3.is_some(), "data in flight without a timer");
        flight_payload += mine().filter(|c| c.state == ChunkState::InFlight).map(|c| c.fragment.len).sum::<usize>();
    }
    prop_assert_eq!(t.tx.out.flight_payload(), flight_payload);
    prop_assert_eq!(t.tx.out.payload(), t.tx.out.iter().map(|c| c.fragment.len).sum::<usize>());
    Ok(())
}
