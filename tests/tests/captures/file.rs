//! SCTP packets out of capture files.

use core::time::Duration;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use pcap_file::pcap::PcapReader;

const IPPROTO_SCTP: u8 = 132;
const UDP_PORT: u16 = 9899;

/// An SCTP packet as it was captured.
#[derive(Clone)]
pub(crate) struct Frame {
    /// Since the first packet of the file.
    pub(crate) at: Duration,
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    /// UDP source and destination port if it is encapsulated.
    pub(crate) udp: Option<(u16, u16)>,
    pub(crate) sctp: Vec<u8>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sctp-user/tests/data/captures")
}

/// The names of all captures, in order; the programs of `rsplib` used the kernel's SCTP, too.
pub(crate) fn names() -> Vec<String> {
    let mut names = Vec::new();
    for group in ["linux-sctp", "rsplib"] {
        let entries = fs::read_dir(folder().join(group)).unwrap().map(|e| e.unwrap().path());
        let captures = entries.filter(|p| p.extension().is_some_and(|e| e == "pcap"));
        names.extend(captures.map(|p| format!("{group}/{}", p.file_stem().unwrap().to_str().unwrap())));
    }
    names.sort();
    names
}

/// A UDP datagram that is no SCTP packet in disguise: an announce.
pub(crate) struct Datagram {
    pub(crate) src: IpAddr,
    pub(crate) dst: SocketAddr,
    pub(crate) payload: Vec<u8>,
}

/// What a frame holds.
pub(crate) enum Content {
    Sctp(Frame),
    Udp(Datagram),
}

/// The SCTP packets of a capture, in order.
pub(crate) fn load(name: &str) -> Vec<Frame> {
    contents(name)
        .into_iter()
        .filter_map(|c| match c {
            Content::Sctp(frame) => Some(frame),
            Content::Udp(_) => None,
        })
        .collect()
}

/// The SCTP packets and announces of a capture, in order.
pub(crate) fn contents(name: &str) -> Vec<Content> {
    let path = folder().join(name).with_extension("pcap");
    let mut reader = PcapReader::new(fs::File::open(path).unwrap()).unwrap();
    let mut contents = Vec::new();
    let mut start = None;
    while let Some(packet) = reader.next_packet() {
        let packet = packet.unwrap();
        let start = *start.get_or_insert(packet.timestamp);
        contents.extend(content(packet.timestamp.saturating_sub(start), &packet.data));
    }
    contents
}

fn content(at: Duration, ethernet: &[u8]) -> Option<Content> {
    let packet = SlicedPacket::from_ethernet(ethernet).unwrap();
    let (src, dst): (IpAddr, IpAddr) = match packet.net.as_ref()? {
        NetSlice::Ipv4(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        NetSlice::Ipv6(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        NetSlice::Arp(_) => return None,
    };
    let payload = packet.net.as_ref()?.ip_payload_ref()?;
    let (udp, sctp) = match &packet.transport {
        None if payload.ip_number.0 == IPPROTO_SCTP => {
            assert!(!payload.fragmented, "the captures hold no IP fragments");
            (None, payload.payload)
        }
        Some(TransportSlice::Udp(udp)) if [udp.source_port(), udp.destination_port()].contains(&UDP_PORT) => {
            (Some((udp.source_port(), udp.destination_port())), udp.payload())
        }
        Some(TransportSlice::Udp(udp)) => {
            let dst = SocketAddr::new(dst, udp.destination_port());
            return Some(Content::Udp(Datagram { src, dst, payload: udp.payload().to_vec() }));
        }
        _ => return None,
    };
    Some(Content::Sctp(Frame { at, src, dst, udp, sctp: sctp.to_vec() }))
}
