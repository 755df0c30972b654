//! Every ASAP and ENRP message of RSPLIB's, decoded into typed fields and built again from these alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;

use rserpool::registrar::Service;
use rserpool::wire::{ASAP_PORT, ASAP_PPID, AsapMessage, ENRP_PORT, ENRP_PPID, EnrpMessage};
use sctp_user::wire::{Chunk, Packet};

use crate::file::{self, Content};

/// A message as it was captured.
#[derive(Clone)]
pub(crate) struct Captured {
    pub(crate) service: Service,
    /// Whether it came as a datagram.
    pub(crate) announced: bool,
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    /// SCTP ports, source and destination; of a datagram, nothing.
    pub(crate) ports: (u16, u16),
    pub(crate) bytes: Vec<u8>,
}

/// A message of which not all fragments are there yet.
struct Partial {
    next_tsn: u32,
    bytes: Vec<u8>,
}

/// The messages of a capture in the order in which they were complete, each once.
pub(crate) fn messages(name: &str) -> Vec<Captured> {
    let mut messages = Vec::new();
    let mut partial: BTreeMap<(u32, u16), Partial> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for content in file::contents(name) {
        let frame = match content {
            Content::Udp(d) => {
                let service = match d.dst.port() {
                    ASAP_PORT => Service::Asap,
                    ENRP_PORT => Service::Enrp,
                    other => panic!("{name}: a datagram to port {other}"),
                };
                let (src, dst) = (d.src, d.dst.ip());
                messages.push(Captured { service, announced: true, src, dst, ports: (0, 0), bytes: d.payload });
                continue;
            }
            Content::Sctp(frame) => frame,
        };
        let packet = Packet::parse(&frame.sctp).unwrap();
        let ports = (packet.header.src_port, packet.header.dst_port);
        for chunk in packet.chunks() {
            let Chunk::Data(d) = chunk.unwrap().decode().unwrap() else { continue };
            let service = match d.ppid.0 {
                ASAP_PPID => Service::Asap,
                ENRP_PPID => Service::Enrp,
                _ => continue,
            };
            if !seen.insert((packet.header.vtag.0, d.tsn.0)) {
                continue;
            }
            // One message after the other within a stream; the tag tells the direction of the association.
            let key = (packet.header.vtag.0, d.sid.0);
            let mut so_far = match (d.begin, partial.remove(&key)) {
                (true, _) => Partial { next_tsn: d.tsn.0, bytes: Vec::new() },
                (false, Some(p)) if p.next_tsn == d.tsn.0 => p,
                (false, _) => panic!("{name}: a fragment without its beginning"),
            };
            so_far.bytes.extend_from_slice(d.payload);
            so_far.next_tsn = d.tsn.0.wrapping_add(1);
            if d.end {
                let bytes = so_far.bytes;
                messages.push(Captured { service, announced: false, src: frame.src, dst: frame.dst, ports, bytes });
            } else {
                partial.insert(key, so_far);
            }
        }
    }
    messages
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut s, b| {
        write!(s, "{b:02x}").unwrap();
        s
    })
}

fn rsplib() -> impl Iterator<Item = String> {
    file::names().into_iter().filter(|n| n.starts_with("rsplib/"))
}

/// Decodes a message and builds it again: its name if the bytes are the same, otherwise what is wrong.
fn both_ways(m: &Captured) -> Result<String, String> {
    let (name, again, reports) = match m.service {
        Service::Asap => {
            let d = AsapMessage::decode(&m.bytes).map_err(|e| e.to_string())?;
            (format!("ASAP {}", d.message.name()), d.message.encode(d.options).unwrap(), d.reports)
        }
        Service::Enrp => {
            let d = EnrpMessage::decode(&m.bytes).map_err(|e| e.to_string())?;
            (format!("ENRP {}", d.message.name()), d.message.encode(d.options).unwrap(), d.reports)
        }
    };
    if again == m.bytes && reports.is_empty() { Ok(name) } else { Err(format!("{name} became {}", hex(&again))) }
}

/// The messages that were made by hand to be wrong, and what we say to them. All others are what RSPLIB itself sent.
const HAND_MADE: [(&str, &str); 13] = [
    ("05000004", "missing parameter 0x0009 at offset 4"),
    ("7f000004", "unknown message type 0x7f at offset 0"),
    ("01000004", "missing parameter 0x0009 at offset 4"),
    ("050000180009000c4563686f506f6f6c7fff0008aabbccdd", "unknown parameter 0x7fff at offset 16"),
    ("050000180009000c4563686f506f6f6c3fff0008aabbccdd", "unknown parameter 0x3fff at offset 16"),
    ("050000180009000c4563686f506f6f6cbfff0008aabbccdd", "ASAP Handle Resolution became 050000100009000c4563686f506f6f6c"),
    ("050000180009000c4563686f506f6f6cffff0008aabbccdd", "ASAP Handle Resolution became 050000100009000c4563686f506f6f6c"),
    ("050000400009000c4563686f506f6f6c", "message cut short at offset 0"),
    ("05000010000900ff4563686f506f6f6c", "parameter with a length that does not fit at offset 4"),
    ("7f00000c1234567800000000", "unknown message type 0x7f at offset 0"),
    ("0500000812345678", "message cut short at offset 0"),
    ("050000ff1234567800000000", "message cut short at offset 0"),
    ("04000010123456780000000000000000", "missing parameter 0x0009 at offset 4"),
];

/// How many of each kind the captures hold besides, as an independent count says.
const COUNTS: [(&str, usize); 23] = [
    ("ASAP Cookie", 83),
    ("ASAP Cookie Echo", 5),
    ("ASAP Deregistration", 27),
    ("ASAP Deregistration Response", 27),
    ("ASAP Endpoint Keep-Alive", 60),
    ("ASAP Endpoint Keep-Alive Ack", 60),
    ("ASAP Endpoint Unreachable", 2),
    ("ASAP Error", 6),
    ("ASAP Handle Resolution", 54),
    ("ASAP Handle Resolution Response", 56),
    ("ASAP Registration", 57),
    ("ASAP Registration Response", 57),
    ("ASAP Server Announce", 214),
    ("ENRP Error", 5),
    ("ENRP Handle Table Request", 12),
    ("ENRP Handle Table Response", 12),
    ("ENRP Handle Update", 11),
    ("ENRP Init Takeover", 4),
    ("ENRP Init Takeover Ack", 2),
    ("ENRP List Request", 15),
    ("ENRP List Response", 14),
    ("ENRP Presence", 309),
    ("ENRP Takeover Server", 1),
];

#[test]
fn every_message_is_built_again_from_its_fields() {
    let mut wrong = Vec::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for capture in rsplib() {
        for m in messages(&capture) {
            match both_ways(&m) {
                Ok(name) => *seen.entry(name).or_default() += 1,
                Err(e) => wrong.push((capture.clone(), hex(&m.bytes), e)),
            }
        }
    }
    assert!(wrong.iter().all(|(capture, ..)| capture.ends_with("-errors")));
    let wrong: Vec<_> = wrong.iter().map(|(_, bytes, why)| (bytes.as_str(), why.as_str())).collect();
    assert_eq!(wrong, HAND_MADE);
    let seen: Vec<_> = seen.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    assert_eq!(seen, COUNTS);
}
