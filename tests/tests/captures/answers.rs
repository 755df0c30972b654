//! What RSPLIB's registrar was asked in the recordings of errors, put to ours: the answers are the same, or those of the RFC.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, SocketAddr};

use rserpool::registrar::config::RegistrarConfig;
use rserpool::registrar::{AssocKey, Input, Output, Registrar, Service};
use rserpool::wire::{ASAP_PPID, AsapMessage, ENRP_PPID, RegistrarId};
use sctp_user::{SeededEntropy, Time};

use crate::rserpool_messages::{Captured, hex, messages};

/// A request with RSPLIB's answer and ours, in hexadecimal; empty if there was none.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Exchange {
    request: String,
    theirs: String,
    ours: String,
}

/// All addresses of the host with this address in the laboratory.
fn addresses(ip: IpAddr) -> Vec<IpAddr> {
    let IpAddr::V4(v4) = ip else { panic!("{ip}") };
    let host = v4.octets()[3];
    let six = format!("{host}");
    vec![
        IpAddr::from([10, 77, 1, host]),
        IpAddr::from([10, 77, 2, host]),
        format!("fd77:1::{six}").parse().unwrap(),
        format!("fd77:2::{six}").parse().unwrap(),
    ]
}

/// The registrar's identifier: it is in everything that it announces.
fn registrar_id(captured: &[Captured]) -> RegistrarId {
    let announce = captured.iter().find(|m| m.announced && m.service == Service::Asap).unwrap();
    match AsapMessage::decode(&announce.bytes).unwrap().message {
        AsapMessage::ServerAnnounce { registrar, .. } => registrar,
        other => panic!("{other}"),
    }
}

/// Plays what clients and peers sent to `registrar` in a capture to our registrar, and pairs the answers.
fn play(name: &str, registrar: IpAddr) -> Vec<Exchange> {
    let captured = messages(name);
    let mut config = RegistrarConfig::default();
    config.id = registrar_id(&captured);
    config.count_padding = true;
    config.announce.targets.clear();
    let mut ours = Registrar::new(config, Box::new(SeededEntropy::new(1)));
    let host = addresses(registrar);
    ours.handle(Time::ZERO, Input::Addresses(&host));
    let mut now = Time::from_millis(10_000);
    ours.handle_timeout(now);
    let mut assocs: BTreeMap<(Service, IpAddr, u16), AssocKey> = BTreeMap::new();
    let mut exchanges = Vec::new();
    let requests = captured.iter().enumerate().filter(|(_, m)| !m.announced && m.dst == registrar);
    for (at, m) in requests {
        now = Time::from_millis(now.as_millis() + 1);
        let next = AssocKey(u32::try_from(assocs.len()).unwrap() + 1);
        let key = (m.service, m.src, m.ports.0);
        let fresh = !assocs.contains_key(&key);
        let assoc = *assocs.entry(key).or_insert(next);
        if fresh {
            let peer: Vec<SocketAddr> = addresses(m.src).into_iter().map(|ip| SocketAddr::new(ip, m.ports.0)).collect();
            ours.handle(now, Input::Connected { assoc, service: m.service, token: None, peer: &peer });
        }
        said_to(&mut ours, assoc);
        let ppid = if m.service == Service::Asap { ASAP_PPID } else { ENRP_PPID };
        ours.handle(now, Input::Message { assoc, ppid, sid: 0, bytes: &m.bytes });
        ours.handle_timeout(now);
        let answers = said_to(&mut ours, assoc);
        let theirs = captured.iter().skip(at).find(|a| a.src == registrar && a.dst == m.src && a.ports == (m.ports.1, m.ports.0));
        let theirs = theirs.map_or(String::new(), |a| hex(&a.bytes));
        exchanges.push(Exchange { request: hex(&m.bytes), theirs, ours: answers.iter().map(|a| hex(a)).collect::<Vec<_>>().join(" ") });
    }
    exchanges
}

/// What comes out of the registrar for an association; other things are dropped.
fn said_to(registrar: &mut Registrar, to: AssocKey) -> Vec<Vec<u8>> {
    let mut said = Vec::new();
    while let Some(out) = registrar.poll_output() {
        if let Output::Send { assoc, bytes, .. } = out
            && assoc == to
        {
            said.push(bytes.to_vec());
        }
    }
    said
}

/// The rows of a table in `docs/deviations.md`: request, RSPLIB's answer, ours.
fn documented(title: &str) -> Vec<Exchange> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/deviations.md")).unwrap();
    let (_, section) = page.split_once(&format!("### {title}\n")).unwrap();
    let rows = section.lines().take_while(|l| !l.starts_with('#')).filter(|l| l.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(|c| c.trim().replace('`', "").replace("none", "")).collect();
        Exchange { request: cells[1].clone(), theirs: cells[2].clone(), ours: cells[3].clone() }
    })
    .collect()
}

/// Where our answers differ from RSPLIB's, they do so as documented.
#[track_caller]
fn judge(exchanges: Vec<Exchange>, expected: usize, title: &str) {
    assert_eq!(exchanges.len(), expected);
    let mut differing: Vec<_> = exchanges.into_iter().filter(|e| e.ours != e.theirs).collect();
    // What was asked twice was answered twice.
    let mut seen = BTreeSet::new();
    differing.retain(|e| seen.insert(e.request.clone()));
    for e in &differing {
        println!("| `{}` | `{}` | `{}` |", e.request, e.theirs, e.ours);
    }
    assert_eq!(differing, documented(title));
}

#[test]
fn asap_requests_are_answered_as_by_rsplib_or_by_the_rfc() {
    judge(play("rsplib/asap-errors", "10.77.1.11".parse().unwrap()), 20, "Wrong ASAP messages");
}

#[test]
fn enrp_requests_are_answered_as_by_rsplib_or_by_the_rfc() {
    judge(play("rsplib/enrp-errors", "10.77.1.11".parse().unwrap()), 13, "Wrong ENRP messages");
}
