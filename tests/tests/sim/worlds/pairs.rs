//! Every extension with every other one, on and off on either side: a small world of two paths that lose a little, in which all is done
//! that either offers.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use sctp_user::sim::{LinkConfig, Loss, Seen};
use sctp_user::wire::Packet;
use sctp_user::wire::chunk::{ChunkTypes, kind};
use sctp_user::{AssocConfig, KeyId, Reliability, ResetDirection, StreamId};
use testbed::Planned;

use super::extensions::{Wish, ring};
use super::judge::judge_plan;
use super::plan::{Act, Plan, Side};
use super::run::Running;

/// An extension by its switch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Extension {
    Auth,
    AddIp,
    PartialReliability,
    StreamReset,
    Interleaving,
    Ecn,
}

impl Extension {
    /// The chunks that show it at work.
    const fn shown_by(self) -> &'static [u8] {
        match self {
            Self::Auth => &[kind::AUTH],
            Self::AddIp => &[kind::ASCONF, kind::ASCONF_ACK],
            Self::PartialReliability => &[kind::FORWARD_TSN, kind::I_FORWARD_TSN],
            Self::StreamReset => &[kind::RE_CONFIG],
            Self::Interleaving => &[kind::I_DATA],
            Self::Ecn => &[kind::ECNE, kind::CWR],
        }
    }

    const ALL: [Self; 6] = [Self::Auth, Self::AddIp, Self::PartialReliability, Self::StreamReset, Self::Interleaving, Self::Ecn];

    fn switch_on(self, cfg: &mut AssocConfig) {
        match self {
            Self::Auth => cfg.auth = true,
            // On its own it is for closed networks.
            Self::AddIp => (cfg.add_ip, cfg.add_ip_without_auth) = (true, true),
            Self::PartialReliability => cfg.partial_reliability = true,
            Self::StreamReset => cfg.stream_reset = true,
            Self::Interleaving => (cfg.interleaving, cfg.partial_delivery, cfg.interleave_streams) = (true, true, true),
            Self::Ecn => cfg.ecn = true,
        }
    }
}

/// A side with these extensions and no others.
fn config(on: &[Extension]) -> AssocConfig {
    let mut cfg = AssocConfig::rfc();
    (cfg.auth, cfg.add_ip, cfg.partial_reliability, cfg.stream_reset, cfg.interleaving, cfg.ecn) =
        (false, false, false, false, false, false);
    (cfg.accept_stream_reset, cfg.accept_association_reset, cfg.accept_added_streams) = (true, true, true);
    cfg.outbound_streams = 12;
    for extension in on {
        extension.switch_on(&mut cfg);
    }
    cfg
}

/// The world of a seed, made calm, with these extensions on each side.
fn plan(seed: u64, on: [&[Extension]; 2]) -> Plan {
    let mut plan = Plan::new(seed);
    plan.routes.truncate(1);
    let mut other = plan.routes[0].clone();
    plan.routes[0].ips = [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
    other.ips = [[10, 1, 0, 1].into(), [10, 1, 0, 2].into()];
    plan.routes.push(other);
    // Bursts are marked.
    let link = LinkConfig {
        loss: Loss::percent(2),
        rate: Some(20_000_000),
        mark_above: Some(2_000),
        ..LinkConfig::ideal(Duration::from_millis(20))
    };
    plan.routes.iter_mut().for_each(|route| route.links = [link.clone(), link.clone()]);
    plan.present = [vec![0, 1], vec![0, 1]];
    (plan.sizes, plan.patient, plan.mesh, plan.interleaves, plan.renumbers) = (false, true, false, true, true);
    plan.configs = on.map(config);
    if plan.configs.iter().all(|cfg| cfg.auth) {
        let types = [kind::DATA, kind::I_DATA, kind::FORWARD_TSN, kind::RE_CONFIG, kind::ABORT];
        for cfg in &mut plan.configs {
            cfg.auth_chunks = ChunkTypes::of(&types);
            cfg.auth_keys = ring(KeyId(1));
        }
    }
    let wishes = [
        Wish::Key(KeyId(2)),
        Wish::ResetStreams(ResetDirection::Both, vec![]),
        Wish::AddStreams(1, 2),
        Wish::ResetStreams(ResetDirection::Outgoing, vec![StreamId(0)]),
        Wish::PeerPrimary(1),
        Wish::ResetAssociation,
        Wish::Key(KeyId(700)),
    ];
    plan.script.clear();
    for (at, wish) in (300..).step_by(700).zip(wishes) {
        for (side, later) in [(Side::Client, 0), (Side::Server, 350)] {
            plan.script.push((at + later, Act::Wish { side, wish: wish.clone() }));
        }
    }
    for work in &mut plan.work {
        work.messages.extend(steady());
        work.messages.sort_by_key(|m| m.at);
    }
    // What is sent meanwhile is lost, and then given up if it may be.
    for path in 0..2 {
        plan.script.push((2_500, Act::Cut { path, from: Side::BOTH.to_vec() }));
        plan.script.push((2_900, Act::Heal { path }));
    }
    plan.script.push((1_000, Act::Addresses { side: Side::Client, paths: vec![0] }));
    plan.script.push((4_000, Act::Addresses { side: Side::Client, paths: vec![0, 1] }));
    plan.script.sort_by_key(|(at, _)| *at);
    plan
}

/// Messages for six seconds: some long, so that there are bursts, most of them not to be sent twice.
fn steady() -> impl Iterator<Item = Planned> {
    (0..120_u16).map(|n| {
        let long = n % 20 == 0;
        Planned {
            at: Duration::from_millis(50) * u32::from(n),
            sid: n % 4,
            unordered: n % 3 == 0,
            len: if long { 20_000 } else { 700 },
            reliability: if long { Reliability::Full } else { Reliability::Retransmissions(0) },
        }
    })
}

/// How many chunks of each type were sent.
type Kinds = Rc<RefCell<[usize; 256]>>;

fn count(running: &mut Running, kinds: &Kinds) {
    let kinds = Rc::clone(kinds);
    running.world.tap(move |seen: &Seen<'_>| {
        if let (true, Ok(packet)) = (seen.sent, Packet::parse(seen.payload)) {
            for chunk in packet.chunks().map_while(Result::ok) {
                kinds.borrow_mut()[usize::from(chunk.kind)] += 1;
            }
        }
    });
}

#[test]
fn every_extension_lives_with_every_other_one() {
    let mut seed = 0;
    let mut delivered = 0;
    let mut live = |on: [&[Extension]; 2]| {
        seed += 1;
        let kinds: Kinds = Rc::new(RefCell::new([0; 256]));
        let report = judge_plan(|| plan(seed, on), |running| count(running, &kinds)).unwrap_or_else(|why| panic!("{on:?}: {why}"));
        delivered += report.delivered;
        // What both have was really at work, and nothing else.
        for extension in Extension::ALL {
            let shown: usize = extension.shown_by().iter().map(|kind| kinds.borrow()[usize::from(*kind)]).sum();
            let agreed = on.iter().all(|side| side.contains(&extension));
            assert_eq!(shown > 0, agreed, "{on:?}: {extension:?}, {shown} chunks");
        }
    };
    for (n, a) in Extension::ALL.into_iter().enumerate() {
        for b in Extension::ALL.into_iter().skip(n + 1) {
            // Both have both; one side lacks one of them, or both; each side has one.
            for on in [[&[a, b][..], &[a, b]], [&[a, b], &[a]], [&[b], &[a, b]], [&[a, b], &[]], [&[a], &[b]]] {
                live(on);
            }
        }
        live([&[a], &[a]]);
    }
    live([&Extension::ALL, &Extension::ALL]);
    live([&[], &Extension::ALL]);
    live([&Extension::ALL, &[]]);
    assert!(delivered > 1_000, "{delivered}");
}
