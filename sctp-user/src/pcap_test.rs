//! What was written is read back by independent readers: the `pcap-file` crate, etherparse, and tshark where it is installed.
#![allow(clippy::disallowed_methods, reason = "edge: a test that runs tshark")]

use etherparse::IpNumber;
use std::net::SocketAddr;
use std::process::Command;

use bytes::Bytes;
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use pcap_file::DataLink;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::pcapng::{Block, PcapNgReader};

use super::*;

const UDP: Channel = Channel::Udp { local: 9899, remote: 40001 };

/// An SCTP packet with one HEARTBEAT of `info` bytes (a multiple of four) and a right checksum.
fn heartbeat(info: usize) -> Vec<u8> {
    let mut p = vec![0x0f, 0x17, 0x0f, 0x18, 1, 2, 3, 4, 0, 0, 0, 0];
    let len = u16::try_from(8 + info).unwrap();
    p.extend_from_slice(&[4, 0]);
    p.extend_from_slice(&len.to_be_bytes());
    p.extend_from_slice(&[0, 1]);
    p.extend_from_slice(&(len - 4).to_be_bytes());
    p.extend((0..info).map(|i| u8::try_from(i % 251).unwrap()));
    crate::wire::checksum::seal(&mut p);
    p
}

fn transmit(src: &str, dst: &str, channel: Channel, size: usize, segment_size: Option<usize>) -> Transmit {
    let port = match channel {
        Channel::Udp { remote, .. } | Channel::Datagram { remote, .. } => remote,
        _ => 0,
    };
    Transmit {
        src: Some(src.parse().unwrap()),
        dst: SocketAddr::new(dst.parse().unwrap(), port),
        channel,
        ecn: Some(Ecn::Ect0),
        size,
        segment_size,
        dscp: 46,
        flow_label: 0x12345,
        may_fragment: false,
    }
}

/// A file with every channel, both families, both directions, and a train.
fn sample() -> Vec<u8> {
    let mut w = PcapWriter::new(Vec::new(), "first").unwrap();
    let second = w.add_interface("second").unwrap();
    let one = heartbeat(40);
    let mut train = [heartbeat(100), heartbeat(100), heartbeat(24)].concat();
    w.sent(1_000_000_007, Interface::FIRST, &transmit("10.0.0.1", "10.0.0.2", UDP, train.len(), Some(120)), &train).unwrap();
    w.sent(2_000_000_000, second, &transmit("2001:db8::1", "2001:db8::2", UDP, one.len(), None), &one).unwrap();
    w.sent(3_000_000_000, second, &transmit("10.0.0.1", "10.0.0.2", Channel::Raw, one.len(), None), &one).unwrap();
    w.sent(4_000_000_000, second, &transmit("2001:db8::1", "2001:db8::2", Channel::Raw, one.len(), None), &one).unwrap();
    train.truncate(120);
    let meta = Meta { src: "10.0.0.2".parse().unwrap(), dst: "10.0.0.1".parse().unwrap(), channel: UDP, ecn: None, ifindex: None };
    w.received(0x1_0000_0000_0000, second, &meta, &Train::single(Bytes::from(train))).unwrap();
    let announce = Channel::Datagram { local: 45001, remote: 45001 };
    w.sent(5_000_000_000, second, &transmit("127.0.0.1", "239.0.0.1", announce, 5, None), b"hello").unwrap();
    w.into_inner()
}

#[test]
fn reads_back_block_by_block() {
    let file = sample();
    let mut reader = PcapNgReader::new(&file[..]).unwrap();
    let mut packets = Vec::new();
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(p) = block.unwrap().into_owned() {
            packets.push(p);
        }
    }
    let names: Vec<_> = reader
        .interfaces()
        .iter()
        .map(|i| {
            assert_eq!(i.linktype, DataLink::RAW);
            assert!(i.options.contains(&InterfaceDescriptionOption::IfTsResol(9)));
            i.options.iter().find_map(|o| if let InterfaceDescriptionOption::IfName(n) = o { Some(n.to_string()) } else { None }).unwrap()
        })
        .collect();
    assert_eq!(names, ["first", "second"]);
    assert_eq!(packets.len(), 8);
    let first = &packets[0];
    // The reader takes every count for nanoseconds, whatever the resolution says; the resolution was checked above.
    assert_eq!(first.timestamp.as_nanos(), 1_000_000_007);
    assert_eq!(first.options, [EnhancedPacketOption::Flags(2)]);
    let received = &packets[6];
    assert_eq!(received.timestamp.as_nanos(), 0x1_0000_0000_0000);
    assert_eq!(received.options, [EnhancedPacketOption::Flags(1)]);
    assert_eq!(packets.iter().map(|p| p.interface_id).collect::<Vec<_>>(), [0, 0, 0, 1, 1, 1, 1, 1]);
}

/// Checks lengths and checksums of one packet and returns its UDP ports and what is in it.
fn dissect(data: &[u8]) -> (Option<(u16, u16)>, Vec<u8>) {
    let p = SlicedPacket::from_ip(data).unwrap();
    let payload = match p.net.as_ref().unwrap() {
        NetSlice::Ipv4(ip) => {
            let h = ip.header().to_header();
            assert_eq!(h.header_checksum, h.calc_header_checksum());
            assert_eq!(usize::from(h.total_len), data.len());
            ip.payload().clone()
        }
        NetSlice::Ipv6(ip) => {
            assert_eq!(usize::from(ip.header().payload_length()), data.len() - 40);
            ip.payload().clone()
        }
        NetSlice::Arp(_) => panic!("ARP"),
    };
    if let Some(TransportSlice::Udp(udp)) = &p.transport {
        let h = udp.to_header();
        let sum = match p.net.as_ref().unwrap() {
            NetSlice::Ipv4(ip) => h.calc_checksum_ipv4(&ip.header().to_header(), udp.payload()).unwrap(),
            NetSlice::Ipv6(ip) => h.calc_checksum_ipv6(&ip.header().to_header(), udp.payload()).unwrap(),
            NetSlice::Arp(_) => panic!("ARP"),
        };
        assert_eq!(h.checksum, sum);
        assert_ne!(sum, 0);
        return (Some((h.source_port, h.destination_port)), udp.payload().to_vec());
    }
    assert_eq!(payload.ip_number, IpNumber::SCTP);
    (None, payload.payload.to_vec())
}

#[test]
fn headers_and_checksums_are_right() {
    let file = sample();
    let mut reader = PcapNgReader::new(&file[..]).unwrap();
    let mut got = Vec::new();
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(p) = block.unwrap() {
            got.push(dissect(&p.data));
        }
    }
    let out = Some((9899, 40001));
    let expected = [
        (out, heartbeat(100)),
        (out, heartbeat(100)),
        (out, heartbeat(24)),
        (out, heartbeat(40)),
        (None, heartbeat(40)),
        (None, heartbeat(40)),
        (Some((40001, 9899)), heartbeat(100)),
        (Some((45001, 45001)), b"hello".to_vec()),
    ];
    assert_eq!(got, expected);
}

#[test]
fn marks_survive() {
    let file = sample();
    let mut reader = PcapNgReader::new(&file[..]).unwrap();
    let mut marks = Vec::new();
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(p) = block.unwrap() {
            marks.push(match SlicedPacket::from_ip(&p.data).unwrap().net.unwrap() {
                NetSlice::Ipv4(ip) => (ip.header().dcp().value(), ip.header().ecn().value()),
                NetSlice::Ipv6(ip) => {
                    assert_eq!(ip.header().flow_label().value(), 0x12345);
                    (ip.header().dscp().value(), ip.header().ecn().value())
                }
                NetSlice::Arp(_) => panic!("ARP"),
            });
        }
    }
    assert_eq!(marks, [(46, 2), (46, 2), (46, 2), (46, 2), (46, 2), (46, 2), (0, 0), (46, 2)]);
}

#[test]
fn each_block_is_written_whole() {
    struct Blocks(Vec<Vec<u8>>);
    impl Write for Blocks {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0.push(buf.to_vec());
            Ok(buf.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut w = PcapWriter::new(Blocks(Vec::new()), "x").unwrap();
    let p = heartbeat(8);
    for _ in 0..3 {
        w.sent(1, Interface::FIRST, &transmit("10.0.0.1", "10.0.0.2", UDP, p.len(), None), &p).unwrap();
    }
    let writes = w.into_inner().0;
    assert_eq!(writes.len(), 4);
    // Any prefix of the writes is a readable file.
    let file = writes[..3].concat();
    let mut reader = PcapNgReader::new(&file[..]).unwrap();
    let mut blocks = 0;
    while let Some(b) = reader.next_block() {
        b.unwrap();
        blocks += 1;
    }
    assert_eq!(blocks, 3);
}

#[test]
fn refuses_what_ip_cannot_carry() {
    let mut w = PcapWriter::new(Vec::new(), "x").unwrap();
    let p = vec![0; 65_536];
    let e = w.sent(1, Interface::FIRST, &transmit("10.0.0.1", "10.0.0.2", UDP, p.len(), None), &p).unwrap_err();
    assert_eq!(e.kind(), io::ErrorKind::InvalidInput);
    let p = vec![0; 65_535];
    assert!(w.sent(1, Interface::FIRST, &transmit("10.0.0.1", "10.0.0.2", Channel::Raw, p.len(), None), &p).is_err());
}

#[test]
fn an_unknown_source_takes_the_family_of_the_destination() {
    let mut w = PcapWriter::new(Vec::new(), "x").unwrap();
    let p = heartbeat(8);
    let mut t = transmit("10.0.0.1", "2001:db8::2", UDP, p.len(), None);
    t.src = None;
    w.sent(1, Interface::FIRST, &t, &p).unwrap();
    let file = w.into_inner();
    let mut reader = PcapNgReader::new(&file[..]).unwrap();
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(b) = block.unwrap() {
            assert_eq!(dissect(&b.data), (Some((9899, 40001)), p.clone()));
        }
    }
}

#[test]
fn tshark_finds_nothing_wrong() {
    if Command::new("tshark").arg("--version").output().is_err() {
        assert_ne!(std::env::var("REQUIRE").as_deref(), Ok("all"), "tshark is not installed");
        println!("SKIP: tshark is not installed");
        return;
    }
    let path = std::env::temp_dir().join(format!("sctp-user-pcap-test-{}.pcapng", std::process::id()));
    std::fs::write(&path, sample()).unwrap();
    let run = Command::new("tshark")
        .args(["-r", path.to_str().unwrap(), "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"])
        .args(["-o", "sctp.checksum:crc-32c", "-d", "udp.port==9899,sctp", "-T", "fields", "-E", "separator=;"])
        .args(["-e", "frame.interface_name", "-e", "sctp.chunk_type", "-e", "ip.checksum.status", "-e", "udp.checksum.status"])
        .args(["-e", "sctp.checksum.status", "-e", "_ws.malformed", "-e", "udp.srcport", "-e", "frame.packet_flags_direction"])
        .output()
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    let text = String::from_utf8(run.stdout).unwrap();
    // tshark 4: status 1 is "good"; no value is "no such header"; direction 1 is in, 2 is out.
    let expected = [
        "first;4;1;1;1;;9899;2",
        "first;4;1;1;1;;9899;2",
        "first;4;1;1;1;;9899;2",
        "second;4;;1;1;;9899;2",
        "second;4;1;;1;;;2",
        "second;4;;;1;;;2",
        "second;4;1;1;1;;40001;1",
        "second;;1;1;;;45001;2",
    ];
    let got: Vec<_> = text.lines().map(|l| l.replace("0x00000001", "1").replace("0x00000002", "2")).collect();
    assert_eq!(got, expected, "{}", String::from_utf8_lossy(&run.stderr));
}
