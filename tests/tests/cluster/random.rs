//! Random clusters on message channels, and with the whole SCTP below.

use std::fs;
use std::path::Path;

use crate::channel::Net;
use crate::config::groups;
use crate::fabric::Fabric;
use crate::plan::{Plan, Scale};
use crate::seeds;
use crate::stacks::Stacks;
use crate::story::{Report, Story};

/// Clusters of an ordinary run on channels, and with SCTP.
const FEW: u64 = 60;
const FEW_STACKS: u64 = 4;

const SCALE: Scale = Scale { registrars: [2, 7], elements: 200, users: 5, storm: 180 };
/// One without peers.
const ALONE: Scale = Scale { registrars: [1, 1], ..SCALE };

/// What a cluster runs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ground {
    Channels,
    Sctp,
}

impl Ground {
    pub(crate) fn fabric(self, plan: &Plan, record: Option<&Path>) -> Box<dyn Fabric> {
        match self {
            Self::Channels => {
                let mut net = Net::new(plan.seed, &plan.addrs, groups());
                if record.is_some() {
                    net.trace.record();
                }
                Box::new(net)
            }
            Self::Sctp => {
                let mut stacks = Stacks::new(plan, groups());
                if let Some(path) = record {
                    stacks.world.trace(fs::File::create(path).unwrap());
                    stacks.world.capture(fs::File::create(path.with_extension("pcapng")).unwrap()).unwrap();
                }
                Box::new(stacks)
            }
        }
    }
}

/// Lets the cluster of a seed live; tells how it went, with its trace's hash, or what was wrong.
fn live(ground: Ground, scale: Scale, seed: u64, record: bool) -> Result<(Report, u64), String> {
    let plan = Plan::new(seed, scale);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cluster-{ground:?}-{seed}.txt"));
    if record {
        println!("{plan:#?}\ntrace: {}", path.display());
    }
    let mut story = Story::new(&plan, ground.fabric(&plan, record.then_some(path.as_path())));
    story.run();
    let lines = story.fabric.recorded();
    if !lines.is_empty() {
        fs::write(&path, lines.join("\n")).unwrap();
    }
    if story.complaints.is_empty() { Ok((story.report, story.fabric.trace_hash())) } else { Err(story.complaints.join("\n")) }
}

fn run(test: &str, few: u64, ground: Ground, scale: Scale) {
    seeds::run(test, few, |seed, record| live(ground, scale, seed, record).map(|(report, _)| report));
}

/// Registrars that agree and take over (RFC 5353 sections 3.3 to 3.6).
#[test]
fn channels() {
    run("random::channels", FEW, Ground::Channels, SCALE);
}

/// Clusters in which registrars once did not agree: an element went back to a home that suited it less, and a registrar knew a dead
/// one only from its mentor's table.
#[test]
fn seeds_that_failed_once() {
    for seed in [2841, 2892, 3088] {
        live(Ground::Channels, SCALE, seed, false).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
}

/// The same with SCTP below.
#[test]
fn sctp() {
    run("random::sctp", FEW_STACKS, Ground::Sctp, SCALE);
}

/// A registrar without peers: its elements and users in all kinds of trouble.
#[test]
fn one_registrar() {
    run("random::one_registrar", FEW / 4, Ground::Channels, ALONE);
}

#[test]
fn one_registrar_on_stacks() {
    run("random::one_registrar_on_stacks", FEW_STACKS / 2, Ground::Sctp, ALONE);
}

#[test]
fn a_seed_gives_the_same_cluster_twice() {
    for ground in [Ground::Channels, Ground::Sctp] {
        let hash = |seed| live(ground, SCALE, seed, false).unwrap().1;
        assert_eq!([hash(1), hash(2)], [hash(1), hash(2)], "{ground:?}");
        assert_ne!(hash(1), hash(2));
    }
}
