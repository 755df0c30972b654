//! A pool of its and of our elements: who serves is what the policy says.

use std::collections::BTreeMap;

use registrar::report::Line;

use crate::common::{self, Background};
use crate::scene::{LIMIT, OURS, Scene, identifier};

/// Two elements of each kind at our registrar, policies as RSPLIB writes them.
struct Pool {
    service: &'static str,
    scene: Scene,
    registrar: Background,
    ours: Vec<Background>,
    /// In the order of the policies.
    elements: Vec<String>,
}

impl Pool {
    fn new(service: &'static str, policies: [&str; 4]) -> Option<Self> {
        let scene = Scene::new("pe1:21 pe2:22")?;
        let registrar = scene.our_registrar(&[]);
        let mut pool = Self { service, scene, registrar, ours: Vec::new(), elements: Vec::new() };
        for (n, policy) in policies.into_iter().enumerate() {
            if n % 2 == 0 {
                let options = format!("-{service} -registrar={OURS}:3863 -policy={policy}");
                pool.scene.start(&format!("e{n}"), &format!("pe{}", 1 + n / 2), "rspserver", &options);
            } else {
                pool.ours.push(pool.scene.our_element(&[&format!("--{service}"), "--registrar", OURS, "--policy", policy]).0);
            }
            pool.elements.push(identifier(&pool.registrar.expect("registered in", LIMIT)));
        }
        Some(pool)
    }

    fn user(&self, args: &[&str]) -> Background {
        self.scene.rsp(&[&[self.service, "--report", "--registrar", OURS][..], args].concat())
    }

    /// How many of `users` each element serves, in the order of the policies; `at_once` of them at a time.
    fn shares(&self, users: usize, at_once: usize) -> Vec<usize> {
        let mut served: BTreeMap<String, usize> = BTreeMap::new();
        for _ in 0..users / at_once {
            let users: Vec<_> = (0..at_once).map(|_| self.user(&["--count", "1"])).collect();
            for mut user in users {
                *served.entry(element(&user.expect("event=reply", LIMIT))).or_default() += 1;
                assert!(common::wait(&mut user.child, LIMIT).expect("the user goes on").success());
            }
        }
        println!("{served:?}");
        self.elements.iter().map(|id| served.get(id).copied().unwrap_or(0)).collect()
    }
}

/// The element that a user's report tells of.
fn element(report: &str) -> String {
    Line::parse(report).unwrap().get("element").unwrap().to_owned()
}

#[test]
fn round_robin() {
    let Some(pool) = Pool::new("pingpong", ["RoundRobin"; 4]) else { return };
    assert_eq!(pool.shares(16, 1), [4, 4, 4, 4]);
}

#[test]
fn weighted_round_robin() {
    let policies = ["WeightedRoundRobin:1", "WeightedRoundRobin:2", "WeightedRoundRobin:3", "WeightedRoundRobin:2"];
    let Some(pool) = Pool::new("pingpong", policies) else { return };
    assert_eq!(pool.shares(24, 1), [3, 6, 9, 6]);
}

#[test]
fn random() {
    let Some(pool) = Pool::new("pingpong", ["Random"; 4]) else { return };
    let shares = pool.shares(120, 6);
    // 30 are expected, with a standard deviation of 4.7; five of these are exceeded once in a million runs.
    assert!(shares.iter().all(|share| (7..=53).contains(share)), "{shares:?}");
    assert_eq!(shares.iter().sum::<usize>(), 120);
}

#[test]
fn least_used() {
    // Of RSPLIB's services only this one tells its load.
    let Some(pool) = Pool::new("fractal", ["LeastUsed"; 4]) else { return };
    // Points inside the set, so that every one takes long: all of these sessions go on to the end of the test.
    let endless = ["--size", "1000x1000", "--iterations", "1000000", "--area", "0,0,0.01,0.01", "--progress-timeout", "600000"];
    let mut users = Vec::new();
    let mut served: BTreeMap<String, usize> = BTreeMap::new();
    for n in 1..=8_u64 {
        let mut user = pool.user(&endless);
        *served.entry(element(&user.expect("event=serving", LIMIT))).or_default() += 1;
        users.push(user);
        // Every element has four threads, so each session is a quarter of a load; users see it when it is registered.
        pool.scene.dump_until(OURS, |dump| {
            let elements = dump["pools"][0]["elements"].as_array().unwrap();
            let quarters = |element: &serde_json::Value| (element["policy"]["values"]["load"].as_u64().unwrap() + (1 << 29)) >> 30;
            elements.iter().map(quarters).sum::<u64>() == n
        });
    }
    println!("{served:?}");
    // The one with the fewest sessions serves next, so they never differ by more than one.
    assert_eq!(pool.elements.iter().map(|id| served.get(id).copied().unwrap_or(0)).collect::<Vec<_>>(), [2; 4]);
}
