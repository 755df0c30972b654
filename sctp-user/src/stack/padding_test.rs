//! The padding chunk and parameter (RFC 4820).

use super::ladder::{PORT, Pair, cookie_of, kinds};
use bytes::Bytes;

use crate::num::{Tsn, Vtag};
use crate::wire::chunk::{Heartbeat, Init, InitParams, Pad, kind};
use crate::wire::cursor::Writer;
use crate::wire::tlv::TlvIter;
use crate::wire::{Chunk, CommonHeader, Encode, Packet, PacketWriter, Param};

/// A chunk that is written as it is.
struct Raw<'a>(&'a [u8]);

impl Encode for Raw<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.bytes(self.0);
    }
}

fn packet(header: CommonHeader, chunks: &[&[u8]]) -> Bytes {
    let mut buf = Vec::new();
    let mut w = PacketWriter::new(&mut buf, header, 1 << 16);
    chunks.iter().for_each(|c| w.push(&Raw(c)));
    w.finish();
    buf.into()
}

fn bytes(chunk: &impl Encode) -> Vec<u8> {
    let mut buf = Vec::new();
    chunk.encode(&mut Writer::new(&mut buf));
    buf
}

/// RFC 4820 rows: 3-1, 3-2, 3-3, 3-4, 3-5.
#[test]
fn padding_chunks_mean_nothing() {
    assert_eq!(bytes(&Pad { padding: &[7; 5] }), [0x84, 0, 0, 9, 7, 7, 7, 7, 7, 0, 0, 0]);
    let (mut p, _, b) = Pair::up();
    let core = &p.b.stack.assocs.get(b).unwrap().core;
    let header = CommonHeader { src_port: core.peer_port, dst_port: PORT, vtag: core.local_tag };
    let mut info = Vec::new();
    Writer::new(&mut info).tlv(1, |w| w.u32(9));
    let heartbeat = bytes(&Chunk::Heartbeat(Heartbeat { tlvs: &info }));
    // With any flags and any contents, before and between other chunks, several of them, and empty ones.
    let pad = [0x84, 0xff, 0, 12, 4, 0, 0, 3, 0xff, 0xff, 0xff, 0xff];
    let empty = [0x84, 1, 0, 4];
    let (now, ip) = (p.now, p.a.ip);
    p.b.take(now, ip, packet(header, &[&pad, &heartbeat, &empty, &pad, &heartbeat]));
    let answers = p.b.packets(now);
    assert_eq!(answers.iter().flat_map(kinds).collect::<Vec<_>>(), [kind::HEARTBEAT_ACK], "equal ones are answered once, and nothing else");
}

/// RFC 4820 rows: 4-3, 4-4, 4-5.
#[test]
fn padding_parameters_leave_no_trace() {
    let lengths = [0, 4, 400].map(|len| {
        let mut p = Pair::new();
        let mut pad = Vec::new();
        Writer::new(&mut pad).tlv(0x8005, |w| w.bytes(&vec![0x5a; len]));
        let unknown = TlvIter::new(&pad).next().unwrap().unwrap();
        let params = [Param::Unknown(unknown), Param::CookiePreservative(1_000)];
        let params = if len == 0 { &params[1..] } else { &params[..] };
        let init = Init { tag: Vtag(5), a_rwnd: 100_000, outbound: 5, inbound: 5, tsn: Tsn(1), params: InitParams::List(params) };
        let init = bytes(&Chunk::Init(init));
        p.b.take(p.now, p.a.ip, packet(CommonHeader { src_port: 9, dst_port: PORT, vtag: Vtag::ZERO }, &[&init]));
        let answers = p.b.packets(p.now);
        let parsed = Packet::parse(&answers[0]).unwrap();
        let Chunk::InitAck(ack) = parsed.chunks().next().unwrap().unwrap().decode().unwrap() else { panic!() };
        let cookie = cookie_of(&ack);
        assert!(!cookie.windows(4).any(|w| w == [0x5a; 4]));
        assert!(!ack.params().any(|p| matches!(p.unwrap().0, Param::Unrecognized(_))), "skipped in silence");
        (answers[0].len(), cookie.len())
    });
    assert_eq!(lengths, [lengths[0]; 3]);
}
