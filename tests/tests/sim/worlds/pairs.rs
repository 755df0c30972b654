//! Every extension with every other one, on and off on either side: a small world of two paths that lose a little, in which all is done
//! that either offers.

use std::time::Duration;

use sctp_user::sim::{LinkConfig, Loss};
use sctp_user::wire::chunk::{ChunkTypes, kind};
use sctp_user::{AssocConfig, KeyId, ResetDirection, StreamId};

use super::extensions::{Wish, ring};
use super::judge::judge_plan;
use super::plan::{Act, Plan, Side};

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
    let link = LinkConfig { loss: Loss::percent(2), ..LinkConfig::ideal(Duration::from_millis(20)) };
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
    plan.script.push((1_000, Act::Addresses { side: Side::Client, paths: vec![0] }));
    plan.script.push((4_000, Act::Addresses { side: Side::Client, paths: vec![0, 1] }));
    plan.script.sort_by_key(|(at, _)| *at);
    plan
}

#[test]
fn every_extension_lives_with_every_other_one() {
    let mut seed = 0;
    let mut delivered = 0;
    let mut live = |on: [&[Extension]; 2]| {
        seed += 1;
        let report = judge_plan(|| plan(seed, on), |_| {}).unwrap_or_else(|why| panic!("{on:?}: {why}"));
        delivered += report.delivered;
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
