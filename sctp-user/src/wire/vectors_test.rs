//! Chunks, parameters and causes byte by byte, as RFC 9260 section 3 draws them.

use super::chunk::{
    Abort, Chunk, CookieEcho, Data, Duplicates, ErrorChunk, GapBlock, Gaps, Heartbeat, Init, InitParams, Sack, Shutdown, ShutdownComplete,
};
use super::cursor::Writer;
use super::packet::{CommonHeader, Packet, PacketWriter};
use super::param::Param;
use super::{Cause, Encode, checksum};
use crate::num::{Ppid, Ssn, StreamId, Tsn, Vtag};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|d| u8::from_str_radix(core::str::from_utf8(d).unwrap(), 16).unwrap()).collect()
}

/// The chunk has exactly these bytes, and these bytes are exactly that chunk.
fn chunk(chunk: &Chunk<'_>, bytes: &str) {
    let bytes = hex(bytes);
    let mut buf = Vec::new();
    chunk.encode(&mut Writer::new(&mut buf));
    assert_eq!(buf, bytes, "{chunk:?}");
    let packet = [&[0; 12][..], &bytes].concat();
    let decoded = Packet::parse_quoted(&packet).unwrap().chunks().next().unwrap().unwrap().decode().unwrap();
    assert_eq!(&decoded, chunk);
}

fn param(p: &Param<'_>, bytes: &str) {
    let mut buf = Vec::new();
    p.encode(&mut Writer::new(&mut buf));
    assert_eq!(buf, hex(bytes), "{p:?}");
}

fn cause(c: &Cause<'_>, bytes: &str) {
    let mut buf = Vec::new();
    c.encode(&mut Writer::new(&mut buf));
    assert_eq!(buf, hex(bytes), "{c:?}");
    assert!(buf.starts_with(&c.to_vec()) && buf.len() - c.to_vec().len() < 4);
}

/// RFC 9260 rows: 3-2, 3.3.1-1.
#[test]
fn data() {
    let mut d = Data {
        immediate: false,
        unordered: false,
        begin: true,
        end: true,
        tsn: Tsn(0x0102_0304),
        sid: StreamId(0x0506),
        ssn: Ssn(0x0708),
        ppid: Ppid(11),
        payload: b"hello",
    };
    chunk(&Chunk::Data(d), "00 03 0015 01020304 0506 0708 0000000b 68656c6c6f 000000");
    d.payload = b"";
    (d.begin, d.end, d.unordered) = (false, false, true);
    chunk(&Chunk::Data(d), "00 04 0010 01020304 0506 0708 0000000b");
    (d.immediate, d.unordered, d.begin) = (true, false, true);
    chunk(&Chunk::Data(d), "00 0a 0010 01020304 0506 0708 0000000b");
    (d.immediate, d.begin, d.end) = (false, false, true);
    chunk(&Chunk::Data(d), "00 01 0010 01020304 0506 0708 0000000b");
}

#[test]
fn init_and_init_ack() {
    let params = [Param::Address([10, 0, 0, 1].into()), Param::SupportedAddressTypes(&[0, 5])];
    let init = |params| Init { tag: Vtag(0xa1b2_c3d4), a_rwnd: 65536, outbound: 10, inbound: 2048, tsn: Tsn(1), params };
    // The last parameter's padding is on the wire, but the chunk length (0x22) does not count it; see section 3.2.
    chunk(
        &Chunk::Init(init(InitParams::List(&params))),
        "01 00 0022 a1b2c3d4 00010000 000a 0800 00000001 0005 0008 0a000001 000c 0006 0005 0000",
    );
    // Between parameters it counts.
    let params = [Param::StateCookie(&[0xcc]), Param::EcnCapable];
    chunk(&Chunk::InitAck(init(InitParams::List(&params))), "02 00 0020 a1b2c3d4 00010000 000a 0800 00000001 0007 0005 cc000000 8000 0004");
    chunk(&Chunk::Init(init(InitParams::List(&[]))), "01 00 0014 a1b2c3d4 00010000 000a 0800 00000001");
}

#[test]
fn params() {
    param(&Param::HeartbeatInfo(&[1, 2, 3]), "0001 0007 010203 00");
    param(&Param::Address([192, 0, 2, 1].into()), "0005 0008 c0000201");
    param(&Param::Address("2001:db8::1".parse().unwrap()), "0006 0014 20010db8000000000000000000000001");
    param(&Param::StateCookie(&[1, 2, 3, 4]), "0007 0008 01020304");
    param(&Param::Unrecognized(&[0xc0, 1, 0, 5, 9]), "0008 0009 c001 0005 09 000000");
    param(&Param::CookiePreservative(1000), "0009 0008 000003e8");
    param(&Param::HostName(b"a\0"), "000b 0006 6100 0000");
    param(&Param::SupportedAddressTypes(&[0, 5, 0, 6]), "000c 0008 0005 0006");
    param(&Param::EcnCapable, "8000 0004");
}

#[test]
fn sack() {
    let gaps = [GapBlock { start: 2, end: 3 }, GapBlock { start: 5, end: 5 }];
    let dups = [Tsn(0x0a0b_0c0d)];
    chunk(
        &Chunk::Sack(Sack { cum_tsn: Tsn(12), a_rwnd: 4660, gaps: Gaps::List(&gaps), dups: Duplicates::List(&dups) }),
        "03 00 001c 0000000c 00001234 0002 0001 0002 0003 0005 0005 0a0b0c0d",
    );
    chunk(
        &Chunk::Sack(Sack { cum_tsn: Tsn(u32::MAX), a_rwnd: 0, gaps: Gaps::List(&[]), dups: Duplicates::List(&[]) }),
        "03 00 0010 ffffffff 00000000 0000 0000",
    );
}

#[test]
fn control_chunks() {
    let tlvs = hex("0001 0006 beef 0000");
    chunk(&Chunk::Heartbeat(Heartbeat { tlvs: &tlvs[..6] }), "04 00 000a 0001 0006 beef 0000");
    chunk(&Chunk::HeartbeatAck(Heartbeat { tlvs: &tlvs }), "05 00 000c 0001 0006 beef 0000");
    let why = hex("000c 0007 627965");
    chunk(&Chunk::Abort(Abort { t: false, causes: &why }), "06 00 000b 000c 0007 627965 00");
    chunk(&Chunk::Abort(Abort { t: true, causes: &[] }), "06 01 0004");
    chunk(&Chunk::Shutdown(Shutdown { cum_tsn: Tsn(0x1122_3344) }), "07 00 0008 11223344");
    chunk(&Chunk::ShutdownAck, "08 00 0004");
    let stale = hex("0003 0008 000f4240");
    chunk(&Chunk::Error(ErrorChunk { causes: &stale }), "09 00 000c 0003 0008 000f4240");
    chunk(&Chunk::CookieEcho(CookieEcho { cookie: &[1, 2, 3] }), "0a 00 0007 010203 00");
    chunk(&Chunk::CookieAck, "0b 00 0004");
    chunk(&Chunk::Ecne(Tsn(5)), "0c 00 0008 00000005");
    chunk(&Chunk::Cwr(Tsn(6)), "0d 00 0008 00000006");
    chunk(&Chunk::ShutdownComplete(ShutdownComplete { t: false }), "0e 00 0004");
    chunk(&Chunk::ShutdownComplete(ShutdownComplete { t: true }), "0e 01 0004");
}

#[test]
fn causes() {
    cause(&Cause::InvalidStream(StreamId(9)), "0001 0008 0009 0000");
    cause(&Cause::MissingParams(&[0, 7]), "0002 000a 00000001 0007 0000");
    cause(&Cause::MissingParams(&[0, 7, 0, 5]), "0002 000c 00000002 0007 0005");
    cause(&Cause::StaleCookie(1_000_000), "0003 0008 000f4240");
    cause(&Cause::OutOfResource, "0004 0004");
    cause(&Cause::UnresolvableAddress(&[0, 11, 0, 5, 97]), "0005 0009 000b 0005 61 000000");
    cause(&Cause::UnrecognizedChunk(&[0xff, 0, 0, 4]), "0006 0008 ff 00 0004");
    cause(&Cause::InvalidMandatoryParam, "0007 0004");
    cause(&Cause::UnrecognizedParams(&[0xc0, 1, 0, 4]), "0008 0008 c001 0004");
    cause(&Cause::NoUserData(Tsn(77)), "0009 0008 0000004d");
    cause(&Cause::CookieWhileShuttingDown, "000a 0004");
    cause(&Cause::RestartNewAddresses(&[0, 5, 0, 8, 10, 0, 0, 1]), "000b 000c 0005 0008 0a000001");
    cause(&Cause::UserAbort(b"bye"), "000c 0007 627965 00");
    cause(&Cause::ProtocolViolation(b""), "000d 0004");
}

/// Flag bits without meaning and reserved fields are ignored on receipt (RFC 9260 section 3.2).
#[test]
fn reserved_bits_are_ignored() {
    for (bytes, expected) in [
        ("0b ff 0004", Chunk::CookieAck),
        ("08 ff 0004", Chunk::ShutdownAck),
        ("0e fe 0004", Chunk::ShutdownComplete(ShutdownComplete { t: false })),
        ("06 fe 0004", Chunk::Abort(Abort { t: false, causes: &[] })),
        ("07 ff 0008 00000001", Chunk::Shutdown(Shutdown { cum_tsn: Tsn(1) })),
        // Later standards may lengthen chunks; what is behind the known fields does not hurt.
        ("0b 00 0008 01020304", Chunk::CookieAck),
        ("07 00 000c 00000001 ffffffff", Chunk::Shutdown(Shutdown { cum_tsn: Tsn(1) })),
    ] {
        let packet = [vec![0; 12], hex(bytes)].concat();
        assert_eq!(Packet::parse_quoted(&packet).unwrap().chunks().next().unwrap().unwrap().decode(), Ok(expected));
    }
}

/// CRC32c of well-known inputs (RFC 3720 Appendix B.4), and its place and byte order in a packet.
#[test]
fn checksum_vectors() {
    // `crc32c` takes bytes 8 to 11 for zero, so of these inputs only the one that is zero there can be asked for.
    assert_eq!(checksum::crc32c(&[0; 32]), 0x8a91_36aa);
    assert_eq!(slow_crc32c(&[0xff; 32]), 0x62a8_ab43);
    assert_eq!(slow_crc32c(b"123456789"), 0xe306_9283);
    let mut packet = hex("1389 0f17 01020304 00000000 0b 00 0004");
    checksum::seal(&mut packet);
    assert_eq!(
        u32::from_le_bytes([packet[8], packet[9], packet[10], packet[11]]),
        slow_crc32c(&hex("1389 0f17 01020304 00000000 0b 00 0004"))
    );
    assert!(checksum::verify(&packet));
    packet[8..12].reverse();
    assert!(!checksum::verify(&packet), "most significant byte first is wrong");
}

/// The definition, one bit at a time, with the reflected polynomial 0x82f63b78.
fn slow_crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

#[test]
fn checksum_of_every_length_agrees_with_the_definition() {
    let bytes: Vec<u8> = (0..300_u32).map(|i| u8::try_from(i * 7 % 251).unwrap()).collect();
    for len in 12..bytes.len() {
        let mut packet = bytes[..len].to_vec();
        checksum::seal(&mut packet);
        let mut zeroed = bytes[..len].to_vec();
        zeroed[8..12].fill(0);
        assert_eq!(packet[8..12], slow_crc32c(&zeroed).to_le_bytes());
    }
}

#[test]
fn a_whole_packet() {
    let mut buf = Vec::new();
    let mut w = PacketWriter::new(&mut buf, CommonHeader { src_port: 9899, dst_port: 3863, vtag: Vtag(0xdead_beef) }, 1500);
    w.push(&Chunk::CookieAck);
    w.push(&Shutdown { cum_tsn: Tsn(3) });
    let len = w.finish();
    assert_eq!(len, 24);
    let crc = slow_crc32c(&hex("26ab 0f17 deadbeef 00000000 0b000004 07000008 00000003"));
    assert_eq!(buf[..8], hex("26ab 0f17 deadbeef"));
    assert_eq!(buf[8..12], crc.to_le_bytes());
    assert_eq!(buf[12..], hex("0b000004 07000008 00000003"));
}
