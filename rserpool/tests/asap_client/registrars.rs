//! Registrars that are lost, cut off, or begin anew, while one process has elements and users.

use core::time::Duration;

use rserpool::asap::{AsapConfig, AsapEvent, ElementKey, RequestId};
use rserpool::node::PoolNode;
use sctp_user::sim::{Fault, LinkConfig, Loss, NodeId};

use super::bed::{ASAP, Bed, host_addr, ms, pool, registrar_addr, seeds};

/// From the death of a registrar to the registration at another one: what SCTP needs to give up (HEARTBEATs once a second,
/// two retransmissions with back-off from an RTO of 200 ms to 5 s), the longest wait for an answer (T2), and a moment.
const FAILOVER: Duration = Duration::from_secs(10);

fn lossy(percent: u32) -> LinkConfig {
    LinkConfig { loss: Loss::percent(percent), ..LinkConfig::ideal(ms(5)) }
}

struct Process {
    host: NodeId<PoolNode>,
    elements: Vec<(ElementKey, u16)>,
}

impl Process {
    /// Six elements in three pools.
    fn new(bed: &mut Bed, cfg: AsapConfig) -> Self {
        let host = bed.host(2, cfg);
        let elements = (0..6u16).map(|i| {
            let port = 7_000 + i;
            (bed.register(host, &format!("Pool {}", i % 3), u32::from(i) + 1, port), port)
        });
        let elements = elements.collect();
        Self { host, elements }
    }

    fn all_registered(&self, bed: &Bed) -> bool {
        self.elements.iter().all(|(key, port)| bed.is_registered(self.host, key, *port))
    }

    /// Asks for every pool, twice.
    fn ask(&self, bed: &mut Bed) -> Vec<RequestId> {
        (0..6).map(|i| bed.resolve(self.host, &format!("Pool {}", i % 3))).collect()
    }

    /// Checks the answers to [`Self::ask`]: the elements of the pool that was asked for, and no others.
    fn check(&self, bed: &mut Bed, requests: &[RequestId]) {
        for (i, request) in requests.iter().enumerate() {
            let elements = bed.answer(self.host, *request).unwrap().unwrap();
            let mut ids: Vec<u32> = elements.iter().map(|e| e.id.0).collect();
            ids.sort_unstable();
            let first = u32::try_from(i % 3).unwrap() + 1;
            assert_eq!(ids, [first, first + 3], "pool {}", i % 3);
        }
    }
}

#[test]
fn elements_and_users_of_a_process_share_one_association() {
    let mut bed = Bed::new(1, 1, LinkConfig::ideal(ms(5)));
    let process = Process::new(&mut bed, AsapConfig::default());
    bed.run_until(ms(3_000), "registered", |bed| process.all_registered(bed));
    let requests = process.ask(&mut bed);
    bed.world.run_for(ms(50));
    process.check(&mut bed, &requests);
    // Keep-alives come for each, and the answers keep them all.
    bed.world.run_for(ms(60_000));
    assert!(process.all_registered(&bed));
    let at_registrar = bed.world.node(bed.registrars[0]).registrar().association_count();
    assert_eq!((at_registrar, bed.world.node(process.host).stack().association_count()), (1, 1));
    let one = process.elements[0].0.clone();
    bed.world.with(process.host, |n, now| n.deregister(now, &one));
    bed.world.run_for(ms(100));
    assert!(!bed.world.node(process.host).has_element(&one));
    assert_eq!(bed.world.node(bed.registrars[0]).registrar().handlespace().element_count(), 5);
}

/// RFC 5352 sections 3.1, 3.3 and 3.7: what had no answer is asked of the next registrar, and all elements register there.
#[test]
fn the_home_dies_with_requests_in_flight() {
    for seed in seeds() {
        let mut bed = Bed::new(seed, 3, lossy(if seed % 2 == 0 { 0 } else { 3 }));
        let process = Process::new(&mut bed, AsapConfig::default());
        bed.run_until(ms(10_000), "registered", |bed| process.all_registered(bed));
        let first = bed.home(process.host).unwrap();
        let requests = process.ask(&mut bed);
        bed.kill(bed.registrars[usize::from(first) - 1]);
        bed.run_until(FAILOVER, "registered again", |bed| process.all_registered(bed));
        assert_ne!(bed.home(process.host), Some(first), "seed {seed}");
        bed.run_until(ms(5_000), "answers", |bed| bed.world.node(process.host).asap().is_idle());
        // The registrars do not know each other here, so what the second one answers is what it has been told by then; every
        // request has an answer all the same, and those asked now have the right ones.
        for request in requests {
            assert!(bed.answer(process.host, request).is_some(), "seed {seed}");
        }
        // Two answers lost in a row would be another registrar's turn: here that is not wanted any more.
        for n in 1..=3 {
            bed.world.set_links(host_addr(2), registrar_addr(n), LinkConfig::ideal(ms(5)));
        }
        bed.world.run_for(ms(10_000));
        let again = process.ask(&mut bed);
        bed.run_until(ms(5_000), "answers", |bed| bed.world.node(process.host).asap().is_idle());
        process.check(&mut bed, &again);
        assert_eq!(bed.world.node(process.host).stack().association_count(), 1, "seed {seed}");
    }
}

/// A registrar that begins anew knows nothing: elements register with it again, by whatever means they notice.
#[test]
fn the_only_registrar_begins_anew() {
    for seed in seeds() {
        let mut bed = Bed::new(seed, 1, lossy(if seed % 2 == 0 { 0 } else { 3 }));
        let process = Process::new(&mut bed, AsapConfig::default());
        bed.run_until(ms(10_000), "registered", |bed| process.all_registered(bed));
        bed.kill(bed.registrars[0]);
        bed.world.run_for(ms(300 * seed));
        bed.restart(1);
        bed.run_until(FAILOVER + ms(4_000), "registered again", |bed| process.all_registered(bed));
    }
}

/// Both sides notice at different times that they do not hear each other, and both may want a new association at the same time,
/// between the same two ports.
#[test]
fn the_only_registrar_is_cut_off_for_a_while() {
    for seed in seeds() {
        let mut bed = Bed::new(seed, 1, lossy(if seed % 3 == 0 { 0 } else { 2 }));
        let process = Process::new(&mut bed, AsapConfig::default());
        bed.run_until(ms(10_000), "registered", |bed| process.all_registered(bed));
        let (a, b) = (host_addr(2), registrar_addr(1));
        let one_way = seed % 4 == 3;
        bed.world.apply(if one_way { Fault::Cut { from: b, to: a } } else { Fault::Partition { a, b } });
        bed.world.run_for(ms(500 + 1_300 * (seed % 16)));
        bed.world.apply(Fault::Heal { a, b });
        bed.run_until(FAILOVER + ms(5_000), "registered again", |bed| process.all_registered(bed));
        bed.world.run_for(ms(20_000));
        assert!(process.all_registered(&bed), "seed {seed}: and it stays so");
        let requests = process.ask(&mut bed);
        bed.run_until(ms(5_000), "answers", |bed| bed.world.node(process.host).asap().is_idle());
        process.check(&mut bed, &requests);
    }
}

/// A registrar that is cut off is left for another one; when it is back, it does not get its elements back by that.
#[test]
fn the_home_is_cut_off_and_comes_back() {
    for seed in seeds() {
        let mut bed = Bed::new(seed, 2, LinkConfig::ideal(ms(5)));
        let process = Process::new(&mut bed, AsapConfig::default());
        bed.run_until(ms(10_000), "registered", |bed| process.all_registered(bed));
        let first = bed.home(process.host).unwrap();
        let (a, b) = (host_addr(2), registrar_addr(first));
        bed.world.apply(Fault::Partition { a, b });
        let requests = process.ask(&mut bed);
        bed.run_until(FAILOVER, "registered elsewhere", |bed| bed.home(process.host) != Some(first) && process.all_registered(bed));
        bed.world.apply(Fault::Heal { a, b });
        bed.world.run_for(ms(60_000));
        let second = bed.home(process.host).unwrap();
        assert!(second != first && process.all_registered(&bed), "seed {seed}");
        assert!(requests.iter().all(|r| bed.answer(process.host, *r).is_some()));
    }
}

/// No registrar at all for longer than anybody waits: it is told once, and everything comes back by itself.
#[test]
fn all_registrars_are_gone_for_minutes() {
    let mut bed = Bed::new(5, 2, LinkConfig::ideal(ms(5)));
    let process = Process::new(&mut bed, AsapConfig::default());
    bed.run_until(ms(10_000), "registered", |bed| process.all_registered(bed));
    for n in 0..2 {
        bed.kill(bed.registrars[n]);
    }
    let requests = process.ask(&mut bed);
    bed.world.run_for(ms(180_000));
    assert!(requests.iter().all(|r| matches!(bed.answer(process.host, *r), Some(Err(_)))), "the users were told");
    let failed = bed.world.with(process.host, |n, _| {
        std::iter::from_fn(|| n.poll_event()).filter(|e| matches!(e, AsapEvent::RegistrationFailed { .. })).count()
    });
    assert_eq!(failed, process.elements.len(), "once for each element");
    bed.restart(2);
    // Registrations are tried at least once a minute (RETRAN-MAX).
    bed.run_until(ms(75_000), "registered again", |bed| process.all_registered(bed));
}

/// Names are looked up by whoever drives the node; the addresses of a name are tried until one serves.
#[test]
fn a_registrar_known_by_name_only() {
    let mut bed = Bed::new(6, 1, LinkConfig::ideal(ms(5)));
    let mut cfg = AsapConfig::default();
    cfg.registrar_names = vec!["registrars.example:3863".into()];
    let host = bed.deaf_host(2, cfg);
    let key = bed.register(host, "Pool", 1, 7_000);
    let name = bed.world.with(host, |n, _| n.poll_lookup());
    assert_eq!(name.as_deref(), Some("registrars.example:3863"));
    let addrs = [9, 8, 1].map(|n| (registrar_addr(n), ASAP).into()).to_vec();
    bed.world.with(host, |n, now| n.looked_up(now, "registrars.example:3863", addrs));
    // Who the registrar is, its first keep-alive tells.
    bed.run_until(ms(10_000), "registered", |bed| bed.is_registered(host, &key, 7_000));
    assert_eq!(bed.world.with(host, |n, _| n.poll_lookup()), None);
}

/// RFC 5352 sections 2.2.5 and 2.2.6, with our registrar: a change of a pool is known without asking.
#[test]
fn a_followed_pool_is_known_without_asking() {
    let mut bed = Bed::new(7, 1, LinkConfig::ideal(ms(5)));
    let user = bed.host(3, AsapConfig::default());
    bed.world.with(user, |n, now| n.subscribe(now, &pool("Pool 0")).unwrap());
    let process = Process::new(&mut bed, AsapConfig::default());
    bed.run_until(ms(3_000), "registered", |bed| process.all_registered(bed));
    // The pool did not exist when it was first asked for; subscriptions are for pools that do.
    bed.world.run_for(ms(6_000));
    let minute = Duration::from_secs(60);
    let known = |bed: &mut Bed| {
        let before = bed.world.node(bed.registrars[0]).registrar().association_count();
        let request = bed.world.with(user, |n, now| n.resolve(now, &pool("Pool 0"), 10, minute));
        let answer = bed.answer(user, request).expect("at once, from the cache");
        assert_eq!(before, 2);
        let mut ids: Vec<u32> = answer.unwrap().iter().map(|e| e.id.0).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(known(&mut bed), [1, 4]);
    let gone = process.elements[0].0.clone();
    bed.world.with(process.host, |n, now| n.deregister(now, &gone));
    // A registrar collects the changes of a second.
    bed.world.run_for(ms(1_100));
    assert_eq!(known(&mut bed), [4]);
    bed.register(process.host, "Pool 0", 9, 7_009);
    bed.world.run_for(ms(1_100));
    assert_eq!(known(&mut bed), [4, 9]);
    // Neither do its own resolutions change that.
    let one = bed.world.with(user, |n, now| n.resolve(now, &pool("Pool 0"), 1, Duration::ZERO));
    bed.world.run_for(ms(100));
    assert_eq!(bed.answer(user, one).unwrap().unwrap().len(), 1);
    bed.register(process.host, "Pool 0", 10, 7_010);
    bed.world.run_for(ms(1_100));
    assert_eq!(known(&mut bed), [4, 9, 10]);
}
