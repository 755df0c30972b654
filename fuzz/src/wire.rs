//! The codec of RFC 9260.

use sctp_user::wire::cursor::Writer;
use sctp_user::wire::packet::RawChunk;
use sctp_user::wire::{Cause, Causes, Chunk, Encode, Item as _, Packet, Param, Params, checksum, dump};

/// A packet with a right checksum, otherwise arbitrary: every chunk, parameter and cause is decoded, and the whole is printed.
pub fn packet(data: &[u8]) {
    let _ = Packet::parse(data);
    if let Some(quoted) = Packet::parse_quoted(data) {
        visit(&quoted);
    }
    let mut sealed = data.to_vec();
    checksum::seal(&mut sealed);
    if let Ok(packet) = Packet::parse(&sealed) {
        visit(&packet);
        assert!(!dump::line(&packet).to_string().contains('\n'));
        let _ = dump::tree(&packet).to_string();
    }
}

fn visit(packet: &Packet<'_>) {
    let mut end = 12;
    let mut broken = false;
    for raw in packet.chunks() {
        assert!(!broken, "nothing follows an error");
        let raw = match raw {
            Ok(raw) => raw,
            Err(e) => {
                assert!(e.offset >= end);
                broken = true;
                continue;
            }
        };
        assert!(raw.offset >= end && raw.raw.len() == raw.value.len() + 4);
        end = raw.offset + raw.raw.len();
        match raw.decode() {
            Ok(Chunk::Init(c) | Chunk::InitAck(c)) => params(c.params()),
            Ok(Chunk::Abort(c)) => causes(c.causes()),
            Ok(Chunk::Error(c)) => causes(c.causes()),
            Ok(Chunk::Heartbeat(c) | Chunk::HeartbeatAck(c)) => assert!(c.info().is_some()),
            Ok(Chunk::Sack(c)) => {
                assert_eq!((c.gaps.iter().count(), c.dups.iter().count()), (c.gaps.len(), c.dups.len()));
            }
            Ok(_) => {}
            Err(e) => assert_eq!((e.kind, e.offset), (raw.kind, raw.offset)),
        }
    }
}

fn params(list: Params<'_>) {
    for (param, tlv) in list.flatten() {
        let mut bytes = Vec::new();
        param.encode(&mut Writer::new(&mut bytes));
        let again: Vec<Param<'_>> = Params::new(&bytes).flatten().map(|(p, _)| p).collect();
        assert_eq!(again, [param]);
        assert_eq!(Param::decode(tlv), Some(param));
    }
}

fn causes(list: Causes<'_>) {
    for cause in list.flatten() {
        let bytes = cause.to_vec();
        assert_eq!(Causes::new(&bytes).flatten().collect::<Vec<Cause<'_>>>(), [cause]);
    }
}

/// A chunk that can be decoded is the same after encoding and decoding, and its encoded form does not change any more.
pub fn chunk_roundtrip(data: &[u8]) {
    let body = [&[0; 12], data].concat();
    let Some(Ok(raw)) = first(&body) else { return };
    let Ok(chunk) = raw.decode() else { return };
    let once = encoded(&chunk);
    let Some(Ok(raw_again)) = first(&once) else { panic!("encoded chunk cannot be read: {chunk:?}") };
    let again = raw_again.decode();
    assert_eq!(again, Ok(chunk), "{raw:?}");
    assert_eq!(encoded(&chunk), once);
    assert!(once.len().is_multiple_of(4));
}

fn first(packet: &[u8]) -> Option<Result<RawChunk<'_>, sctp_user::wire::ChunkError>> {
    Packet::parse_quoted(packet)?.chunks().next()
}

/// Behind an empty common header.
fn encoded(chunk: &Chunk<'_>) -> Vec<u8> {
    let mut bytes = vec![0; 12];
    chunk.encode(&mut Writer::new(&mut bytes));
    bytes
}
