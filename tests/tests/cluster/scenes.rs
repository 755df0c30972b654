//! One trouble at a time, each on message channels and with the whole SCTP below.

use core::time::Duration;
use std::collections::BTreeSet;

use rserpool::wire::RegistrarId;
use sctp_user::Time;

use crate::fabric::{End, Weather};
use crate::plan::{Act, Plan};
use crate::random::Ground;
use crate::story::Story;

/// A new cluster agrees after so long: mentors were sought, homes found.
const START: Duration = Duration::from_secs(12);

struct Scene<'a> {
    story: Story<'a>,
    ground: Ground,
}

/// Plays a scene on both grounds. It begins when all agree, and at its end all agree again within the bound.
fn play(plan: &Plan, scene: impl Fn(&mut Scene<'_>)) {
    for ground in [Ground::Channels, Ground::Sctp] {
        let mut s = Scene { story: Story::new(plan, ground.fabric(plan, None)), ground };
        s.pass(START);
        s.agree("at the beginning");
        scene(&mut s);
        let now = s.story.fabric.now();
        s.story.calm();
        s.story.settle(now);
        s.agree("at the end");
        assert!(s.story.complaints.is_empty(), "{ground:?}: {}", s.story.complaints.join("\n"));
        assert!(s.story.report.resolutions > 20, "{ground:?}: users resolve: {:?}", s.story.report);
    }
}

impl Scene<'_> {
    fn pass(&mut self, span: Duration) {
        let until = self.story.fabric.now() + span;
        self.story.run_until(until);
    }

    fn pass_secs(&mut self, secs: u64) {
        self.pass(Duration::from_secs(secs));
    }

    fn act(&mut self, act: &Act) {
        self.story.act(act);
    }

    fn agree(&self, when: &str) {
        assert_eq!(self.story.disagreement(), None, "{:?} {when}", self.ground);
    }

    /// The host of the home of a client's elements.
    fn home_of(&self, client: usize) -> usize {
        let home = self.story.fabric.client(client).and_then(|c| c.home());
        home.and_then(|id| self.story.history.host_of(id)).unwrap_or_else(|| panic!("{:?}: h{client} has no home", self.ground))
    }

    fn id_of(&self, host: usize) -> RegistrarId {
        self.story.fabric.registrar(host).unwrap_or_else(|| panic!("h{host} is no registrar")).id()
    }

    fn elements_at(&self, host: usize) -> usize {
        crate::view::elements(self.story.fabric.registrar(host).unwrap()).len()
    }

    fn registrars(&self) -> BTreeSet<RegistrarId> {
        self.story.history.running().into_iter().map(|(_, id)| id).collect()
    }
}

/// A home dies under elements and users: another registrar takes over, and the elements stay known all the time (RFC 5353
/// section 3.5).
#[test]
fn a_home_that_dies_is_taken_over() {
    for end in [End::Process, End::Machine] {
        play(&Plan::quiet(3, 0, &[3, 3, 3, 3], 2), |s| {
            let home = s.home_of(3);
            let others: Vec<usize> = (0..3).filter(|h| *h != home).collect();
            s.act(&Act::Kill { host: home, end });
            for _ in 0..60 {
                s.pass(Duration::from_millis(500));
                for host in &others {
                    assert_eq!(s.elements_at(*host), 12, "{:?}: h{host} lost elements", s.ground);
                }
            }
            s.agree("after the takeover");
            assert!(s.home_of(3) != home);
        });
    }
}

/// Two registrars cannot speak to each other, and both to all elements: each takes the other one over, and in the end each element
/// has one home again.
#[test]
fn registrars_apart_that_see_the_same_elements() {
    play(&Plan::quiet(2, 0, &[4, 4, 4], 2), |s| {
        s.act(&Act::Cut { from: vec![0], to: vec![1], both: true });
        s.pass_secs(45);
        for host in [0, 1] {
            assert_eq!(s.elements_at(host), 12, "{:?}: living elements were removed at h{host}", s.ground);
        }
        s.act(&Act::Heal);
    });
}

/// All registrars end and start anew, with other identifiers: the elements find them and register.
#[test]
fn all_registrars_restart() {
    for end in [End::Process, End::Machine] {
        play(&Plan::quiet(3, 0, &[3, 3, 3], 1), |s| {
            for host in 0..3 {
                s.act(&Act::Kill { host, end });
            }
            s.pass_secs(20);
            for host in 0..3 {
                s.act(&Act::Registrar { host, id: RegistrarId(0x50 + u32::try_from(host).unwrap()) });
            }
        });
    }
}

/// A registrar stands still for longer than it takes to be given up, and goes on as if nothing had been.
#[test]
fn a_registrar_frozen_for_twenty_seconds() {
    for leap in [Duration::ZERO, Duration::from_secs(20)] {
        play(&Plan::quiet(3, 0, &[3, 3, 3, 3], 2), |s| {
            let home = s.home_of(4);
            s.act(&Act::Freeze { host: home });
            s.pass_secs(20);
            s.act(&Act::Resume { host: home, leap });
        });
    }
}

/// Two registrars have the same identifier: one of them takes another one, and both keep their elements.
#[test]
fn duplicate_registrar_identifiers() {
    play(&Plan::quiet(3, 1, &[3, 3, 3], 1), |s| {
        let id = s.id_of(0);
        s.act(&Act::Registrar { host: 3, id });
        s.pass_secs(30);
        assert_eq!(s.registrars().len(), 4, "{:?}: {:?}", s.ground, s.registrars());
        s.agree("with four names");
    });
}

/// Multicast is dead from the start: static peers and registrars do.
#[test]
fn without_multicast() {
    let plan = Plan { multicast: false, ..Plan::quiet(3, 0, &[3, 3, 3], 2) };
    play(&plan, |s| {
        s.act(&Act::Weather(Weather { multicast_loss: 1_000, ..Weather::FAIR }));
        let home = s.home_of(3);
        s.act(&Act::Kill { host: home, end: End::Machine });
        s.pass_secs(60);
        s.agree("after the takeover");
        s.act(&Act::Registrar { host: home, id: RegistrarId(99) });
    });
}

/// Elements with their home are cut off from the rest, which takes them over as far as it can; then all are together again.
#[test]
fn an_island_of_elements_and_their_home() {
    for secs in [4, 15, 60] {
        play(&Plan::quiet(3, 0, &[3, 3, 3, 3], 2), |s| {
            let home = s.home_of(3);
            let mut island: Vec<usize> = (3..7).filter(|c| s.home_of(*c) == home).collect();
            island.push(home);
            let rest = (0..9).filter(|h| !island.contains(h)).collect();
            s.act(&Act::Cut { from: island, to: rest, both: true });
            s.pass_secs(secs);
            s.act(&Act::Heal);
        });
    }
}

/// One direction of the way between two registrars is dead, while a third one sees both.
#[test]
fn a_way_that_is_dead_in_one_direction() {
    play(&Plan::quiet(3, 0, &[3, 3, 3], 1), |s| {
        s.act(&Act::Cut { from: vec![0], to: vec![1], both: false });
        s.pass_secs(60);
        s.act(&Act::Heal);
    });
}

/// The scenes begin as they should, for what they show would show little else.
#[test]
fn a_quiet_cluster_agrees_soon() {
    play(&Plan::quiet(7, 0, &[8; 10], 1), |s| {
        let early = Time::ZERO + START;
        assert!(s.story.fabric.now() == early);
        let homes: BTreeSet<usize> = (7..17).map(|c| s.home_of(c)).collect();
        assert!(homes.len() > 1, "{:?}: clients spread over the registrars: {homes:?}", s.ground);
    });
}
