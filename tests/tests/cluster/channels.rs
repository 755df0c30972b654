//! Random clusters on message channels, and with the whole SCTP below.

use std::fs;
use std::path::Path;

use crate::channel::{DETECTION, Net};
use crate::config::groups;
use crate::plan::{Plan, Scale};
use crate::seeds;
use crate::stacks::{self, Stacks};
use crate::story::{Report, Story};

/// Clusters of an ordinary run.
const FEW: u64 = 60;

const SCALE: Scale = Scale { registrars: [2, 7], elements: 200, users: 5, storm: 180 };

fn live(seed: u64, scale: Scale, record: bool) -> Result<(Report, u64), String> {
    let plan = Plan::new(seed, scale);
    let mut net = Net::new(seed, &plan.addrs, groups());
    if record {
        println!("{plan:#?}");
        net.trace.record();
    }
    let mut story = Story::new(&plan, net, DETECTION[1]);
    story.run();
    if record {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cluster-{seed}.txt"));
        fs::write(&path, story.fabric.trace.lines().join("\n")).unwrap();
        println!("trace: {}", path.display());
    }
    if story.complaints.is_empty() { Ok((story.report, story.fabric.trace.hash())) } else { Err(story.complaints.join("\n")) }
}

/// Clusters of an ordinary run with SCTP.
const FEW_STACKS: u64 = 4;

/// SCTP costs a hundred times as much.
const STACKS: Scale = Scale { storm: 90, ..SCALE };

fn live_stacks(seed: u64, scale: Scale, record: bool) -> Result<(Report, u64), String> {
    let plan = Plan::new(seed, scale);
    let mut stacks = Stacks::new(seed, &plan.addrs, plan.registrar_hosts().len(), groups());
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("stacks-{seed}.txt"));
    if record {
        println!("{plan:#?}\ntrace: {}", path.display());
        stacks.world.trace(fs::File::create(&path).unwrap());
        stacks.world.capture(fs::File::create(path.with_extension("pcapng")).unwrap()).unwrap();
    }
    let mut story = Story::new(&plan, stacks, stacks::DETECTION);
    story.run();
    story.fabric.world.finish_recording().unwrap();
    if story.complaints.is_empty() { Ok((story.report, story.fabric.world.trace_hash())) } else { Err(story.complaints.join("\n")) }
}

/// A registrar without peers, with SCTP below.
#[test]
fn sctp_alone() {
    let scale = Scale { registrars: [1, 1], ..STACKS };
    seeds::run("sctp_alone", FEW_STACKS, |seed, record| live_stacks(seed, scale, record).map(|(report, _)| report));
}

/// Registrars that agree and take over.
#[test]
fn channels() {
    seeds::run("channels::channels", FEW, |seed, record| live(seed, SCALE, record).map(|(report, _)| report));
}

/// The same with SCTP below.
#[test]
fn sctp() {
    seeds::run("channels::sctp", FEW_STACKS, |seed, record| live_stacks(seed, STACKS, record).map(|(report, _)| report));
}

/// A registrar without peers: its elements and users in all kinds of trouble.
#[test]
fn channels_alone() {
    let scale = Scale { registrars: [1, 1], ..SCALE };
    seeds::run("channels_alone", FEW, |seed, record| live(seed, scale, record).map(|(report, _)| report));
}

#[test]
fn a_seed_gives_the_same_cluster_twice() {
    for seed in 0..3 {
        let scale = Scale { registrars: [1, 1], ..SCALE };
        assert_eq!(live(seed, scale, false).unwrap().1, live(seed, scale, false).unwrap().1, "seed {seed}");
    }
}
