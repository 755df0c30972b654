//! What a kernel has authenticated: recorded traffic whose handshake is in the recording.

use std::fs;
use std::path::Path;

use etherparse::LaxSlicedPacket;
use pcap_file::pcap::PcapReader;

use super::*;
use crate::wire::Packet;

/// The SCTP packets of a recording.
fn packets(file: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/captures/linux-sctp").join(file);
    let mut reader = PcapReader::new(fs::File::open(path).unwrap()).unwrap();
    let mut all = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let packet = packet.unwrap();
        let frame = LaxSlicedPacket::from_ethernet(&packet.data).unwrap();
        if let Some(payload) = frame.net.as_ref().and_then(etherparse::LaxNetSlice::ip_payload_ref).filter(|p| p.ip_number.0 == 132) {
            all.push(payload.payload.to_vec());
        }
    }
    all
}

/// What the packets of an association authenticate, by the null key: codes that are right, and codes.
fn check(file: &str) -> (usize, usize) {
    let (mut vectors, mut right, mut all) = (Vec::new(), 0, 0);
    for bytes in packets(file) {
        let packet = Packet::parse(&bytes).unwrap();
        for raw in packet.chunks().map(Result::unwrap) {
            match raw.decode().unwrap() {
                Chunk::Init(init) | Chunk::InitAck(init) => {
                    let mut params = KeyParams::default();
                    init.params().for_each(|p| assert!(params.read(&p.unwrap().0).is_ok()));
                    let vector = params.vector();
                    assert!(vector.is_usable());
                    vectors.push(vector);
                }
                Chunk::Auth(_) => {
                    // Either side's vector may be "ours": both take SHA-1.
                    all += 1;
                    let [a, b] = vectors.as_slice() else { panic!("{file}: no handshake") };
                    right += usize::from(verify_once(&KeyRing::default(), (a, b), &bytes, &raw).is_ok());
                    // A bit of what is covered, or of the code itself, makes it wrong.
                    for at in [raw.offset + 2, raw.offset + 9, bytes.len() - 1] {
                        let mut bytes = bytes.clone();
                        bytes[at] ^= 0x10;
                        let packet = Packet::parse_quoted(&bytes).unwrap();
                        let damaged = packet.chunks().filter_map(Result::ok).find(|c| c.kind == kind::AUTH);
                        assert!(damaged.is_none_or(|raw| verify_once(&KeyRing::default(), (b, a), &bytes, &raw).is_err()));
                    }
                }
                _ => {}
            }
        }
    }
    (right, all)
}

/// RFC 4895 rows: 6.2-6.
#[test]
fn the_codes_of_a_kernel_are_right() {
    assert_eq!(check("auth-data.pcap"), (15, 15));
    let (right, all) = check("asconf-addip.pcap");
    assert!(all > 0 && right == all, "{right} of {all}");
}
