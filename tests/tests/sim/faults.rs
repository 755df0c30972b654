//! Scripts of faults drawn at random, and shrunk when they find something: once all faults are over, everything is delivered.

use core::time::Duration;
use std::net::IpAddr;

use proptest::prelude::*;
use sctp_user::Time;
use sctp_user::sim::{Fault, HostId, LinkConfig, Loss, Pause};
use testbed::{Bed, Scenario, WireOracle, Workload};

/// Faults happen within this time of the start; then all is healed.
const STORM: u64 = 30_000;
/// Twice as late as the last fault can begin: whatever lasts longest is over by then.
const OVER: Time = Time::from_millis(2 * STORM);

/// A fault without the ids that exist only once the hosts do.
#[derive(Clone, Debug)]
enum Trouble {
    Partition(u64),
    OneWay(bool, u64),
    Freeze(bool, Pause, u64),
    ClockJump(bool, u64),
    Rebind(u16),
    Loss(bool, u32),
    Slow(bool, u64),
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let span = 1..20_000_u64;
    let packets = prop_oneof![(0..300_usize).prop_map(Pause::Queue), Just(Pause::Lose)];
    prop_oneof![
        span.clone().prop_map(Trouble::Partition),
        (any::<bool>(), span.clone()).prop_map(|(side, ms)| Trouble::OneWay(side, ms)),
        (any::<bool>(), packets, span.clone()).prop_map(|(side, packets, ms)| Trouble::Freeze(side, packets, ms)),
        (any::<bool>(), span).prop_map(|(side, ms)| Trouble::ClockJump(side, ms)),
        (40_000..60_000_u16).prop_map(Trouble::Rebind),
        (any::<bool>(), 0..60_u32).prop_map(|(side, percent)| Trouble::Loss(side, percent)),
        (any::<bool>(), 10_000..1_000_000_u64).prop_map(|(side, rate)| Trouble::Slow(side, rate)),
    ]
}

fn script(bed: &mut Bed, troubles: &[(u64, Trouble)]) {
    let hosts: [HostId; 2] = [bed.client.host(), bed.server.host()];
    let ips: [IpAddr; 2] = [bed.client_ip, bed.server_ip];
    let link = |side: bool, cfg: LinkConfig| {
        let (from, to) = if side { (ips[0], ips[1]) } else { (ips[1], ips[0]) };
        Fault::Link { from, to, cfg: Box::new(cfg) }
    };
    let heal = Fault::Heal { a: ips[0], b: ips[1] };
    for (at, trouble) in troubles {
        let at = Time::from_millis(*at);
        let after = |ms: u64| at + Duration::from_millis(ms);
        let (fault, end) = match trouble.clone() {
            Trouble::Partition(ms) => (Fault::Partition { a: ips[0], b: ips[1] }, Some((after(ms), heal.clone()))),
            Trouble::OneWay(side, ms) => {
                let (from, to) = if side { (ips[0], ips[1]) } else { (ips[1], ips[0]) };
                (Fault::Cut { from, to }, Some((after(ms), heal.clone())))
            }
            Trouble::Freeze(side, packets, ms) => {
                let host = hosts[usize::from(side)];
                (Fault::Pause { host, packets }, Some((after(ms), Fault::Resume { host })))
            }
            Trouble::ClockJump(side, ms) => (Fault::ClockJump { host: hosts[usize::from(side)], by: Duration::from_millis(ms) }, None),
            Trouble::Rebind(outer) => (Fault::Rebind { host: hosts[0], inner: 9899, outer }, None),
            Trouble::Loss(side, percent) => (link(side, LinkConfig { loss: Loss::percent(percent), ..LinkConfig::default() }), None),
            Trouble::Slow(side, rate) => (link(side, LinkConfig { rate: Some(rate), queue: 20_000, ..LinkConfig::default() }), None),
        };
        bed.world.at(at, fault);
        if let Some((when, what)) = end {
            bed.world.at(when, what);
        }
    }
    bed.world.at(OVER, heal);
    for side in [true, false] {
        bed.world.at(OVER, link(side, LinkConfig::default()));
        bed.world.at(OVER, Fault::Resume { host: hosts[usize::from(side)] });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(40)) })]

    #[test]
    fn everything_is_delivered_once_the_faults_are_over(
        seed in any::<u64>(),
        troubles in proptest::collection::vec((0..STORM, trouble()), 0..8),
    ) {
        let mut s = Scenario::rough(seed, 30);
        s.there = LinkConfig::default();
        s.back = LinkConfig::default();
        s.upload = Workload::mixed(&mut sctp_user::SeededEntropy::new(seed), 60, 10);
        let mut bed = s.build();
        script(&mut bed, &troubles);
        // A frozen host owes its SACKs for as long as it is frozen.
        let wire = WireOracle::watch(&mut bed.world, Duration::from_secs(3600));
        bed.connect();
        let result = bed.deliver(Duration::from_secs(3600));
        prop_assert!(result.is_ok(), "{}", result.unwrap_err());
        let closer = bed.server;
        if !bed.world.is_up(closer) {
            bed.world.run_until(OVER);
        }
        bed.world.with(closer, |n, now| n.shutdown(now));
        let result = bed.closed(Duration::from_secs(3600));
        prop_assert!(result.is_ok(), "{}", result.unwrap_err());
        let result = wire.check();
        prop_assert!(result.is_ok(), "{}", result.unwrap_err());
    }
}
