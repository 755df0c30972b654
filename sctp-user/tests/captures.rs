//! The codec against traffic of the SCTP of Linux and of RSPLIB: every packet is decoded and written again, byte by byte.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use etherparse::{SlicedPacket, TransportSlice};
use pcap_file::pcap::PcapReader;
use sctp_user::wire::chunk::{Chunk, InitParams, kind};
use sctp_user::wire::cursor::Writer;
use sctp_user::wire::param::{Param, Params};
use sctp_user::wire::{CommonHeader, Encode, Packet, PacketError, PacketWriter, RawChunk, checksum, dump};

const IPPROTO_SCTP: u8 = 132;
const UDP_PORT: u16 = 9899;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/captures")
}

fn captures() -> Vec<PathBuf> {
    let mut files: Vec<_> = ["linux-sctp", "rsplib"]
        .iter()
        .flat_map(|dir| fs::read_dir(data().join(dir)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "pcap"))
        .collect();
    files.sort();
    files
}

/// The SCTP packet of an Ethernet frame, plain or encapsulated in UDP.
fn sctp_of(frame: &[u8]) -> Option<Vec<u8>> {
    let packet = SlicedPacket::from_ethernet(frame).unwrap();
    let ip = packet.net.as_ref()?.ip_payload_ref()?;
    match &packet.transport {
        None if ip.ip_number.0 == IPPROTO_SCTP => {
            assert!(!ip.fragmented, "the captures hold no IP fragments");
            Some(ip.payload.to_vec())
        }
        Some(TransportSlice::Udp(udp)) if [udp.source_port(), udp.destination_port()].contains(&UDP_PORT) => Some(udp.payload().to_vec()),
        _ => None,
    }
}

/// The SCTP packets of a capture, in order.
fn packets(path: &Path) -> Vec<Vec<u8>> {
    let mut reader = PcapReader::new(fs::File::open(path).unwrap()).unwrap();
    let mut packets = Vec::new();
    while let Some(frame) = reader.next_packet() {
        packets.extend(sctp_of(&frame.unwrap().data));
    }
    packets
}

/// The name by which tshark's count goes.
fn tshark_name(kind: u8) -> String {
    dump::chunk_name(kind).replace('-', "_")
}

fn encoded(chunk: &Chunk<'_>) -> Vec<u8> {
    let mut buf = Vec::new();
    chunk.encode(&mut Writer::new(&mut buf));
    buf
}

/// What `raw` is when written again from its decoded form must be what came.
fn check_chunk(raw: &RawChunk<'_>, at: &str) {
    let chunk = raw.decode().unwrap_or_else(|e| panic!("{at}: {e}"));
    let again = encoded(&chunk);
    assert_eq!(&again[..raw.raw.len()], raw.raw, "{at}: {chunk:?}");
    assert!(again.len() - raw.raw.len() < 4);
    match chunk {
        Chunk::Init(init) | Chunk::InitAck(init) => {
            let wire = init.params().map(|p| p.unwrap_or_else(|e| panic!("{at}: {e}"))).collect::<Vec<_>>();
            let params: Vec<_> = wire.iter().map(|(p, _)| *p).collect();
            for (param, tlv) in &wire {
                let mut one = Vec::new();
                param.encode(&mut Writer::new(&mut one));
                assert_eq!(&one[..tlv.raw.len()], tlv.raw, "{at}: {param:?}");
            }
            // From the list: the same but for the final padding, which Linux counts into the length and we do not.
            let built = sctp_user::wire::chunk::Init { params: InitParams::List(&params), ..init };
            let built = encoded(&if raw.kind == kind::INIT { Chunk::Init(built) } else { Chunk::InitAck(built) });
            let InitParams::Wire(bytes) = init.params else { panic!("{at}: parameters are not from the wire") };
            assert_eq!(built[20..built.len().min(20 + bytes.len())], *bytes, "{at}");
            assert!(wire.iter().any(|(p, _)| matches!(p, Param::SupportedAddressTypes(_) | Param::StateCookie(_))), "{at}");
        }
        Chunk::Abort(abort) => assert!(abort.causes().all(|c| c.is_ok()), "{at}"),
        Chunk::Error(error) => assert!(error.causes().all(|c| c.is_ok()), "{at}"),
        Chunk::Heartbeat(hb) | Chunk::HeartbeatAck(hb) => assert!(Params::new(hb.tlvs).all(|p| p.is_ok()), "{at}"),
        Chunk::Sack(sack) => assert!(sack.gaps.iter().all(|g| g.start <= g.end && g.start > 1), "{at}"),
        _ => {}
    }
}

#[test]
fn every_packet_is_decoded_and_written_again() {
    let mut total = 0;
    for path in captures() {
        for (i, packet) in packets(&path).iter().enumerate() {
            let at = format!("{} SCTP packet {}", path.display(), i + 1);
            let parsed = Packet::parse(packet).unwrap_or_else(|e| panic!("{at}: {e}"));
            let mut again = Vec::new();
            let CommonHeader { src_port, dst_port, vtag } = parsed.header;
            let mut writer = PacketWriter::new(&mut again, CommonHeader { src_port, dst_port, vtag }, 65_535);
            for raw in parsed.chunks() {
                let raw = raw.unwrap_or_else(|e| panic!("{at}: {e}"));
                check_chunk(&raw, &at);
                writer.push(&raw.decode().unwrap());
            }
            let len = writer.finish();
            assert_eq!((len, &again), (packet.len(), packet), "{at}");
            assert!(!dump::line(&parsed).to_string().contains("alformed"), "{at}: {}", dump::line(&parsed));
            total += 1;
        }
    }
    println!("{total} packets");
    assert!(total > 3000, "only {total} packets");
}

/// tshark is the judge of how many chunks of which type there are.
#[test]
fn chunks_are_those_that_tshark_sees() {
    let expected = fs::read_to_string(data().join("chunks.txt")).unwrap();
    let mut files = 0;
    for line in expected.lines().filter(|l| !l.starts_with('#')) {
        let (file, counts) = line.split_once(':').unwrap();
        let expected: BTreeMap<String, usize> =
            counts.split(',').filter_map(|c| c.trim().rsplit_once(' ')).map(|(name, n)| (name.to_owned(), n.parse().unwrap())).collect();
        let mut seen = BTreeMap::new();
        for packet in packets(&data().join(file)) {
            for chunk in Packet::parse(&packet).unwrap().chunks() {
                *seen.entry(tshark_name(chunk.unwrap().kind)).or_insert(0_usize) += 1;
            }
        }
        assert_eq!(seen, expected, "{file}");
        files += 1;
    }
    assert_eq!(files, captures().len());
}

/// One flipped bit anywhere in a genuine packet is found by the checksum.
#[test]
fn flipped_bits_are_found() {
    for path in captures() {
        for packet in packets(&path).iter().take(12) {
            for bit in (0..packet.len() * 8).step_by(5) {
                let mut bad = packet.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Packet::parse(&bad).unwrap_err(), PacketError::Checksum);
            }
        }
    }
}

/// Genuine packets cut off anywhere, as ICMP quotes them, and damaged with a right checksum, as an attacker makes them.
#[test]
fn damaged_packets_do_no_harm() {
    let mut decoded = 0_usize;
    for path in captures() {
        for packet in packets(&path).iter().take(20) {
            for len in 0..packet.len().min(200) {
                if let Some(quoted) = Packet::parse_quoted(&packet[..len]) {
                    decoded += quoted.chunks().flatten().filter_map(|raw| raw.decode().ok()).count();
                }
            }
            for at in 12..packet.len().min(120) {
                for value in [0, 1, 3, 0x7f, 0xff] {
                    let mut bad = packet.clone();
                    bad[at] = value;
                    checksum::seal(&mut bad);
                    let parsed = Packet::parse(&bad).unwrap();
                    decoded += dump::tree(&parsed).to_string().lines().count();
                }
            }
        }
    }
    assert!(decoded > 100_000, "only {decoded} chunks and lines");
}
