use super::chunk::{
    Abort, Auth, Chunk, Data, Duplicates, Entries, ErrorChunk, ForwardTsn, GapBlock, Gaps, IForwardTsn, Init, InitParams, Sack, SkippedMid,
    SkippedSsn,
};
use super::packet::{CommonHeader, Packet, PacketWriter};
use super::param::Param;
use super::tlv::TlvIter;
use super::{Cause, Encode as _, checksum, dump};
use crate::num::{KeyId, Mid, Ppid, Ssn, StreamId, Tsn, Vtag};

fn packet(chunks: &[Chunk<'_>]) -> Vec<u8> {
    let mut buf = Vec::new();
    let mut w = PacketWriter::new(&mut buf, CommonHeader { src_port: 5001, dst_port: 3863, vtag: Vtag(0x1f) }, 9000);
    for c in chunks {
        w.push(c);
    }
    w.finish();
    buf
}

fn line(chunks: &[Chunk<'_>]) -> String {
    dump::line(&Packet::parse(&packet(chunks)).unwrap()).to_string()
}

fn init_chunk<'a>(params: &'a [Param<'a>]) -> Chunk<'a> {
    Chunk::Init(Init { tag: Vtag(0xabc), a_rwnd: 131_072, outbound: 10, inbound: 20, tsn: Tsn(7), params: InitParams::List(params) })
}

#[test]
fn handshake_on_one_line() {
    let unknown = [0x80, 8, 0, 6, 0xc0, 0xc1];
    let params = [
        Param::Address([10, 0, 0, 1].into()),
        Param::Address("fe80::1".parse().unwrap()),
        Param::SupportedAddressTypes(&[0, 5]),
        Param::Unknown(TlvIter::new(&unknown).next().unwrap().unwrap()),
    ];
    assert_eq!(
        line(&[init_chunk(&params)]),
        "5001 > 3863 tag=0000001f INIT tag=00000abc a_rwnd=131072 out=10 in=20 tsn=7 \
         [10.0.0.1] [fe80::1] [address-types 0005] [supported-extensions c0c1]"
    );
}

#[test]
fn auth_on_one_line() {
    let params = [Param::Random(&[1; 32]), Param::Chunks(&[0, 6]), Param::HmacAlgo(&[0, 1])];
    let shown = line(&[init_chunk(&params)]);
    assert!(shown.ends_with("[random 01010101010101010101010101010101..(32 bytes)] [chunks 0006] [hmac-algo 0001]"), "{shown}");
    let auth = Auth { key: KeyId(3), hmac: 1, mac: &[7; 20] };
    assert_eq!(
        line(&[Chunk::Auth(auth), Chunk::CookieAck]),
        "5001 > 3863 tag=0000001f AUTH key=3 hmac=1 mac=07070707070707070707070707070707..(20 bytes) | COOKIE-ACK"
    );
    let causes = Cause::UnsupportedHmac(7).to_vec();
    assert_eq!(line(&[Chunk::Error(ErrorChunk { causes: &causes })]), "5001 > 3863 tag=0000001f ERROR [unsupported HMAC identifier 7]");
}

#[test]
fn sack_and_data_on_one_line() {
    let gaps = [GapBlock { start: 2, end: 4 }];
    let dups = [Tsn(9), Tsn(10)];
    let sack = Sack { cum_tsn: Tsn(11), a_rwnd: 100, gaps: Gaps::List(&gaps), dups: Duplicates::List(&dups) };
    let data = Data {
        immediate: true,
        unordered: false,
        begin: true,
        end: false,
        tsn: Tsn(12),
        sid: StreamId(1),
        ssn: Ssn(2),
        ppid: Ppid(11),
        payload: b"xyz",
    };
    assert_eq!(
        line(&[Chunk::Sack(sack), Chunk::Data(data), Chunk::CookieAck]),
        "5001 > 3863 tag=0000001f SACK cum=11 a_rwnd=100 gaps=+2..+4 dups=9 10 | DATA IB tsn=12 sid=1 ssn=2 ppid=11 len=3 | COOKIE-ACK"
    );
}

#[test]
fn long_lists_are_cut_short() {
    let gaps = vec![GapBlock { start: 2, end: 4 }; 500];
    let text = line(&[Chunk::Sack(Sack { cum_tsn: Tsn(1), a_rwnd: 1, gaps: Gaps::List(&gaps), dups: Duplicates::List(&[]) })]);
    assert!(text.ends_with("+2..+4 (+484)"), "{text}");
    let params = vec![Param::EcnCapable; 40];
    assert!(line(&[init_chunk(&params)]).ends_with("[ecn-capable] [... and 24 more]"));
}

#[test]
fn what_is_skipped_is_listed() {
    let streams = [SkippedSsn { sid: StreamId(1), ssn: Ssn(9) }, SkippedSsn { sid: StreamId(2), ssn: Ssn(0) }];
    let text = line(&[Chunk::ForwardTsn(ForwardTsn { cum_tsn: Tsn(7), skipped: Entries::List(&streams) })]);
    assert!(text.ends_with("FORWARD-TSN cum=7 skipped=1:9 2:0"), "{text}");
    let streams = [SkippedMid { sid: StreamId(1), unordered: true, mid: Mid(70_000) }; 17];
    let text = line(&[Chunk::IForwardTsn(IForwardTsn { cum_tsn: Tsn(7), skipped: Entries::List(&streams) })]);
    assert!(text.starts_with("5001 > 3863 tag=0000001f I-FORWARD-TSN cum=7 skipped=1:70000U 1:70000U"), "{text}");
    assert!(text.ends_with(" (+1)"), "{text}");
    let none = Chunk::ForwardTsn(ForwardTsn { cum_tsn: Tsn(7), skipped: Entries::List(&[]) });
    assert!(line(&[none]).ends_with("FORWARD-TSN cum=7"));
}

/// A peer's text cannot break the line, start an escape sequence or grow the log.
#[test]
fn text_of_the_peer_is_escaped() {
    let evil = [b"bye\n\x1b[31m\"\xff".as_slice(), &[b'x'; 500]].concat();
    let causes = Cause::UserAbort(&evil).to_vec();
    let text = line(&[Chunk::Abort(Abort { t: true, causes: &causes })]);
    assert!(text.starts_with("5001 > 3863 tag=0000001f ABORT T [user abort \"bye\\n\\x1b[31m\\\"\\xffxxx"), "{text}");
    assert!(text.ends_with("xxx\"..(511 bytes)]"), "{text}");
}

#[test]
fn malformed_parts_are_named() {
    let mut buf = packet(&[Chunk::CookieAck, Chunk::Ecne(Tsn(1))]);
    buf[19] = 4; // the ECNE now lacks its TSN, and what was its TSN is a chunk of length 1
    checksum::seal(&mut buf);
    assert_eq!(
        dump::line(&Packet::parse(&buf).unwrap()).to_string(),
        "5001 > 3863 tag=0000001f COOKIE-ACK | ECNE malformed=too short or inconsistent | \
         MALFORMED(chunk type 0 at offset 20: chunk length does not fit)"
    );
}

#[test]
fn tree() {
    let causes = Cause::StaleCookie(5).to_vec();
    let buf = packet(&[Chunk::CookieAck, Chunk::Abort(Abort { t: false, causes: &causes })]);
    assert_eq!(
        dump::tree(&Packet::parse(&buf).unwrap()).to_string(),
        "SCTP port 5001 > 3863, tag 0000001f\n  \
         @12 COOKIE-ACK (type 11), flags 0x00, 4 bytes\n  \
         @16 ABORT (type 6), flags 0x00, 12 bytes\n      \
         - stale cookie by 5 us"
    );
}
