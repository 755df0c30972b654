//! RFC 5061: ASCONF and ASCONF-ACK, with the option for closed networks, where they need no AUTH.

mod answers;
mod attacks;
mod authenticated;
mod lookup;
mod requests;

use std::net::IpAddr;

use sctp_user::wire::chunk::{AddressRequest, Asconf, AsconfAck, AsconfParam, AsconfParams, AsconfResponse, AsconfResponses, Chunk, kind};
use sctp_user::wire::{Packet, Param};
use sctp_user::{AddrChange, AssocConfig, Event, Node as _, PathChange, Serial};
use testbed::puppet::{Puppet, Sent, encode_params, ip};

pub(super) const ADD: AddressRequest = AddressRequest::Add;
pub(super) const DELETE: AddressRequest = AddressRequest::Delete;
pub(super) const PRIMARY: AddressRequest = AddressRequest::SetPrimary;

/// The chunk types that a peer with Add-IP lists, and no AUTH.
const LISTED: [u8; 2] = [kind::ASCONF, kind::ASCONF_ACK];

pub(super) fn closed_network() -> AssocConfig {
    let mut cfg = AssocConfig::rfc();
    (cfg.add_ip, cfg.add_ip_without_auth) = (true, true);
    (cfg.pmtu_discovery, cfg.hb_interval) = (false, None);
    cfg
}

/// An association that the puppet opened, both with Add-IP.
pub(super) fn open(host: &[&str], puppet: &[&str]) -> Puppet {
    open_with(closed_network(), host, puppet)
}

pub(super) fn open_with(cfg: AssocConfig, host: &[&str], puppet: &[&str]) -> Puppet {
    let mut p = Puppet::at(cfg, host, puppet);
    let listed = puppet.iter().skip(1).map(|a| Param::Address(ip(a)));
    p.params = encode_params(&listed.chain([Param::SupportedExtensions(&LISTED)]).collect::<Vec<_>>());
    let mut first = p.open();
    // Each HB.Max.Burst one path is confirmed.
    for _ in 0..puppet.len() {
        p.answer_heartbeats(&first);
        first = p.pass(core::time::Duration::from_millis(1_500));
    }
    p.answer_heartbeats(&first);
    p.events.clear();
    p
}

/// An ASCONF as it was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct SentAsconf {
    pub(super) serial: u32,
    pub(super) address: IpAddr,
    pub(super) requests: Vec<(AddressRequest, u32, IpAddr)>,
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) raw: Vec<u8>,
}

impl SentAsconf {
    /// What was asked for, without the numbers.
    pub(super) fn asked(&self) -> Vec<(AddressRequest, IpAddr)> {
        self.requests.iter().map(|(r, _, a)| (*r, *a)).collect()
    }
}

pub(super) fn asconfs(sent: &[Sent]) -> Vec<SentAsconf> {
    let mut all = Vec::new();
    for s in sent {
        let packet = Packet::parse(&s.bytes).unwrap();
        for raw in packet.chunks().map(Result::unwrap) {
            let Ok(Chunk::Asconf(c)) = raw.decode() else { continue };
            let requests = c.params.iter().flatten().map(|(p, _)| match p {
                AsconfParam::Request { request, correlation, addr } => (request, correlation, addr),
                AsconfParam::Unknown(t) => panic!("{t:?}"),
            });
            let raw = raw.raw.to_vec();
            all.push(SentAsconf { serial: c.serial.0, address: c.address, requests: requests.collect(), src: s.src, dst: s.dst, raw });
        }
    }
    all
}

/// Number of an ASCONF-ACK, what each of its errors answers with its first cause code, and where it goes.
type SentAck = (u32, Vec<(u32, u16)>, IpAddr);

/// The ASCONF-ACKs in `sent`.
pub(super) fn acks(sent: &[Sent]) -> Vec<SentAck> {
    let mut all = Vec::new();
    for s in sent {
        let packet = Packet::parse(&s.bytes).unwrap();
        for raw in packet.chunks().map(Result::unwrap) {
            let Ok(Chunk::AsconfAck(c)) = raw.decode() else { continue };
            let errors = c.responses.iter().flatten().map(|(r, _)| match r {
                AsconfResponse::Error { correlation, causes } => (correlation, u16::from_be_bytes([causes[0], causes[1]])),
                r => panic!("{r:?}"),
            });
            all.push((c.serial.0, errors.collect(), s.dst));
        }
    }
    all
}

/// An ASCONF of the puppet.
pub(super) fn asconf(serial: u32, address: &str, requests: &[(AddressRequest, u32, &str)]) -> Vec<u8> {
    let params: Vec<_> = requests
        .iter()
        .map(|(request, correlation, addr)| AsconfParam::Request { request: *request, correlation: *correlation, addr: ip(addr) })
        .collect();
    let chunk = Chunk::Asconf(Asconf { serial: Serial(serial), address: ip(address), params: AsconfParams::List(&params) });
    testbed::puppet::encode(&[chunk])
}

/// Gives an ASCONF from one of the puppet's addresses; answers what the stack then sends.
pub(super) fn ask(p: &mut Puppet, from: &str, chunks: &[u8]) -> Vec<Sent> {
    let envelope = p.envelope().from(from);
    p.give_bytes(envelope, envelope.seal(chunks))
}

/// The puppet acknowledges an ASCONF with these errors.
pub(super) fn acknowledge(p: &mut Puppet, serial: u32, errors: &[(u32, &[u8])]) -> Vec<Sent> {
    let responses: Vec<_> =
        errors.iter().map(|(correlation, causes)| AsconfResponse::Error { correlation: *correlation, causes }).collect();
    let envelope = p.envelope();
    p.give_in(envelope, &[Chunk::AsconfAck(AsconfAck { serial: Serial(serial), responses: AsconfResponses::List(&responses) })])
}

/// The host has these addresses from now on.
pub(super) fn host(p: &mut Puppet, addrs: &[&str]) -> Vec<Sent> {
    let now = p.now;
    p.stack.handle_addresses(now, AddrChange::Set(addrs.iter().map(|a| ip(a)).collect()));
    p.collect()
}

pub(super) fn changes(p: &Puppet, addr: &str) -> Vec<PathChange> {
    let of = |e: &Event| match e {
        Event::PathState { addr: a, change } if *a == ip(addr) => Some(*change),
        _ => None,
    };
    p.events.iter().filter_map(of).collect()
}

/// The peer's addresses as the stack knows them, the primary one first.
pub(super) fn peers(p: &mut Puppet) -> Vec<IpAddr> {
    let id = p.id();
    p.stack.assoc(id).map(|a| a.peer_addrs().iter().map(|a| a.ip()).collect()).unwrap_or_default()
}

/// The stack's own addresses as its peer knows them.
pub(super) fn own(p: &mut Puppet) -> Vec<IpAddr> {
    let id = p.id();
    p.stack.assoc(id).map(|a| a.local_addrs().iter().map(|a| a.ip()).collect()).unwrap_or_default()
}

pub(super) fn ips(list: &[&str]) -> Vec<IpAddr> {
    list.iter().map(|a| ip(a)).collect()
}
