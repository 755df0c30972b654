//! Its registrars and ours as peers: they agree, and they take over from each other.

use std::time::Instant;

use serde_json::Value;

use crate::common::{Background, wait};
use crate::scene::{LIMIT, OURS, Scene, identifier};

/// Short for a test, long for a guest that is slow.
const ITS_TIMERS: &str = "-peerheartbeatcycle=1000 -peermaxtimelastheard=4000 -peermaxtimenoresponse=3000 -takeoverexpiryinterval=4000";
const OUR_TIMERS: [&str; 8] =
    ["--peer-heartbeat", "1000", "--max-time-last-heard", "4000", "--max-time-no-response", "3000", "--takeover-expiry", "4000"];
/// A group where nobody announces: whoever listens there knows the registrar that it was told, and no other one.
const SILENCE: &str = "239.0.0.99:3999";

/// Which implementation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Its,
    Ours,
}

/// A registrar at work.
struct Registrar {
    /// Its name in the guest, if it is there.
    host: Option<&'static str>,
    process: Option<Background>,
    id: String,
    addr: &'static str,
    asap: u16,
    enrp: u16,
}

impl Registrar {
    fn start(scene: &Scene, place: usize, kind: Kind, id: &str) -> Self {
        let (host, addr) = [("r1", "10.77.1.11"), ("r2", "10.77.1.12"), ("r3", "10.77.1.13")][place];
        if kind == Kind::Its {
            let ports = format!("-asap={addr}:3863 -enrp={addr}:9901");
            scene.start(host, host, "rspregistrar", &format!("{ports} -identifier={id} {ITS_TIMERS}"));
            scene.expect(host, "Registrar started");
            return Self { host: Some(host), process: None, id: id.into(), addr, asap: 3863, enrp: 9901 };
        }
        let (asap, enrp) = [(3863, 9901), (3864, 9902), (3865, 9903)][place];
        let ports = [asap.to_string(), enrp.to_string()];
        let process = scene.our_registrar(&[&["--identifier", id, "--asap", &ports[0], "--enrp", &ports[1]], &OUR_TIMERS[..]].concat());
        Self { host: None, process: Some(process), id: id.into(), addr: OURS, asap, enrp }
    }

    fn asap(&self) -> String {
        format!("{}:{}", self.addr, self.asap)
    }

    fn enrp(&self) -> String {
        format!("{}:{}", self.addr, self.enrp)
    }

    /// Ends it without a word to anyone: its host is cut off before.
    fn kill(mut self, scene: &Scene) {
        match self.host {
            Some(host) => {
                scene.sh(&format!("ip link set {host}-1 down"));
                scene.kill(host, "KILL");
            }
            None => drop(self.process.take()),
        }
    }
}

/// Elements of both kinds whose home is `registrar`, and who know no other one.
struct Elements {
    _ours: Background,
    ids: [String; 2],
}

impl Elements {
    fn start(scene: &Scene, registrar: &Registrar) -> Self {
        let options = format!("-pingpong -rereginterval=10000 -asapannounce=off -registrar={}", registrar.asap());
        scene.start("e1", "pe1", "rspserver", &options);
        let flags = ["--pingpong", "--rereg-interval", "10000", "--announce", SILENCE, "--log", "info", "--registrar"];
        let (ours, our_id) = scene.our_element(&[&flags[..], &[&registrar.asap()]].concat());
        let its_id = identifier(&scene.expect("e1", "Trying to register $"));
        Self { _ours: ours, ids: [its_id, our_id] }
    }
}

/// Waits until users of `registrar`, who know no other one, are served by each of `elements`.
fn resolves(scene: &Scene, registrar: &Registrar, elements: &[String]) {
    let deadline = Instant::now() + LIMIT;
    let mut missing: Vec<_> = elements.to_vec();
    while !missing.is_empty() {
        assert!(Instant::now() < deadline, "the registrar at {} does not resolve to {missing:?}", registrar.asap());
        let asap = registrar.asap();
        let mut user = scene.rsp(&["pingpong", "--count", "1", "--report", "--announce", SILENCE, "--registrar", &asap]);
        // There may be no such pool so far.
        wait(&mut user.child, LIMIT).expect("the user goes on");
        user.rest();
        missing.retain(|id| !user.seen.iter().any(|line| line.contains("event=reply") && line.contains(id.as_str())));
    }
}

fn owner<'a>(dump: &'a Value, id: &str) -> Option<&'a Value> {
    dump["owners"].as_array()?.iter().find(|owner| owner["registrar"] == *id)
}

/// Waits until all of `registrars` list the same elements with the same owners, of whom each has `counts`, and all checksums are
/// the same: those that a registrar says and those that come out of what the others list.
///
/// A client that dumps counts as a peer for some seconds, which keeps RSPLIB from taking over: so this comes last.
fn agree(scene: &Scene, registrars: &[&Registrar], elements: u64) -> Vec<Value> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let dumps: Vec<_> = registrars.iter().map(|r| scene.dump_until(&r.enrp(), |dump| !dump.is_null())).collect();
        let total = |dump: &Value| dump["owners"].as_array().unwrap().iter().map(|owner| owner["elements"].as_u64().unwrap()).sum::<u64>();
        let same = dumps.iter().all(|dump| dump["owners"] == dumps[0]["owners"] && total(dump) == elements);
        // Who owns nothing is not in the list, and says 0xffff.
        let said =
            |dump: &Value| owner(dump, dump["registrar"].as_str().unwrap()).map_or("0xffff".into(), |owner| owner["checksum"].clone());
        if same && dumps.iter().all(|dump| dump["checksum"] == said(dump)) {
            return dumps;
        }
        assert!(Instant::now() < deadline, "no agreement: {dumps:#?}");
    }
}

fn lists_as_peer(dump: &Value, id: &str) -> bool {
    dump["peers"].as_array().unwrap().iter().any(|peer| peer["registrar"] == *id)
}

/// Two registrars, each with an element, the second one started when the first one has its own already.
fn peers_with_equal_checksums(kinds: [Kind; 2]) {
    let Some(scene) = Scene::new("r1:11 r2:12 pe1:21") else { return };
    let first = Registrar::start(&scene, 0, kinds[0], "0x00000100");
    let elements = Elements::start(&scene, &first);
    let second = Registrar::start(&scene, 1, kinds[1], "0x00000200");
    let (_server, third) = scene.our_element(&["--pingpong", "--announce", SILENCE, "--registrar", &second.asap()]);
    let all = [&elements.ids[..], &[third]].concat();
    resolves(&scene, &first, &all);
    resolves(&scene, &second, &all);
    let dumps = agree(&scene, &[&first, &second], 3);
    assert_eq!(owner(&dumps[0], &first.id).unwrap()["elements"], 2);
    assert_eq!(owner(&dumps[0], &second.id).unwrap()["elements"], 1);
    assert!(lists_as_peer(&dumps[0], &second.id) && lists_as_peer(&dumps[1], &first.id), "{dumps:#?}");
}

#[test]
fn our_registrar_joins_its_registrar() {
    peers_with_equal_checksums([Kind::Its, Kind::Ours]);
}

#[test]
fn its_registrar_joins_our_registrar() {
    peers_with_equal_checksums([Kind::Ours, Kind::Its]);
}

/// Registrars of these kinds and identifiers; the one at `victim` is the home of two elements, and dies.
fn takeover(registrars: &[(Kind, &str)], victim: usize) {
    let Some(scene) = Scene::new("r1:11 r2:12 r3:13 pe1:21") else { return };
    let mut alive: Vec<_> = registrars.iter().enumerate().map(|(place, (kind, id))| Registrar::start(&scene, place, *kind, id)).collect();
    let elements = Elements::start(&scene, &alive[victim]);
    for registrar in &alive {
        resolves(&scene, registrar, &elements.ids);
    }
    let dead = alive.remove(victim);
    let dead_id = dead.id.clone();
    dead.kill(&scene);
    // Its element hears of its new home by a keep-alive.
    let homes: Vec<_> = alive.iter().map(|registrar| format!("Home registrar is ${}", &registrar.id[2..])).collect();
    let news = scene.expect_one("e1", &homes);
    println!("{news}");
    for registrar in &alive {
        resolves(&scene, registrar, &elements.ids);
    }
    let dumps = agree(&scene, &alive.iter().collect::<Vec<_>>(), 2);
    for dump in &dumps {
        assert!(owner(dump, &dead_id).is_none(), "elements of the dead registrar: {dump:#}");
    }
    for registrar in &alive {
        resolves(&scene, registrar, &elements.ids);
    }
}

#[test]
fn our_registrar_takes_over_alone() {
    takeover(&[(Kind::Its, "0x00000100"), (Kind::Ours, "0x00000200")], 0);
}

/// Two of its, one of ours, between them by its identifier: the lower one of the survivors takes over.
const TWO_OF_ITS: [(Kind, &str); 3] = [(Kind::Its, "0x00000100"), (Kind::Ours, "0x00000200"), (Kind::Its, "0x00000300")];
const TWO_OF_OURS: [(Kind, &str); 3] = [(Kind::Ours, "0x00000100"), (Kind::Its, "0x00000200"), (Kind::Ours, "0x00000300")];

#[test]
fn of_two_of_its_and_one_of_ours_the_first_dies() {
    takeover(&TWO_OF_ITS, 0);
}

#[test]
fn of_two_of_its_and_one_of_ours_ours_dies() {
    takeover(&TWO_OF_ITS, 1);
}

#[test]
fn of_two_of_its_and_one_of_ours_the_last_dies() {
    takeover(&TWO_OF_ITS, 2);
}

#[test]
fn of_one_of_its_and_two_of_ours_the_first_dies() {
    takeover(&TWO_OF_OURS, 0);
}

#[test]
fn of_one_of_its_and_two_of_ours_its_dies() {
    takeover(&TWO_OF_OURS, 1);
}

#[test]
fn of_one_of_its_and_two_of_ours_the_last_dies() {
    takeover(&TWO_OF_OURS, 2);
}
