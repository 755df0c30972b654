//! Packets and chunks that nobody asked for: unknown, out of the blue, under a wrong tag.

use bytes::Bytes;

use super::ladder::{PORT, Pair, answer_to, ip, kinds, packet};
use super::*;
use crate::num::{Ppid, StreamId, Tsn, Vtag};
use crate::wire::chunk::{Abort, Data, Shutdown, ShutdownComplete};
use crate::wire::{Cause, Chunk, CommonHeader, Encode, Packet, PacketWriter};

#[test]
fn unknown_chunks_follow_their_action_bits() {
    for (kind, reported, goes_on) in [(0x3f, false, false), (0x7f, true, false), (0xbf, false, true), (0xff, true, true)] {
        let (mut p, _, b) = Pair::up();
        let core = &p.b.stack.assocs.get(b).unwrap().core;
        let (tag, tsn) = (core.local_tag, core.rx.as_ref().unwrap().cum_tsn().next());
        let raw = [kind, 0, 0, 5, 9, 0, 0, 0];
        let data = Data {
            immediate: false,
            unordered: false,
            begin: true,
            end: true,
            tsn,
            sid: StreamId(0),
            ssn: crate::num::Ssn(0),
            ppid: Ppid(0),
            payload: b"x",
        };
        let mut buf = Vec::new();
        let mut w = PacketWriter::new(&mut buf, CommonHeader { src_port: 50_000, dst_port: PORT, vtag: tag }, 1400);
        w.push(&Raw(&raw));
        w.push(&Chunk::Data(data));
        w.finish();
        let got = answer_to(&mut p, Bytes::from(buf));
        let kinds: Vec<u8> = got.iter().flat_map(kinds).collect();
        assert_eq!(kinds.contains(&9), reported, "type {kind:#x}");
        assert_eq!(p.b.stack.assoc(b).unwrap().recv().is_some(), goes_on, "type {kind:#x}");
        if reported && goes_on {
            assert_eq!(kinds, [9, 3], "the ERROR precedes the SACK in one packet");
            assert_eq!(got.len(), 1);
        }
    }
}

struct Raw<'a>(&'a [u8]);

impl Encode for Raw<'_> {
    fn encode(&self, w: &mut crate::wire::cursor::Writer<'_>) {
        w.bytes(self.0);
    }
}

#[test]
fn out_of_the_blue() {
    let mut p = Pair::new();
    let tag = Vtag(77);
    let data = Data {
        immediate: false,
        unordered: false,
        begin: true,
        end: true,
        tsn: Tsn(1),
        sid: StreamId(0),
        ssn: crate::num::Ssn(0),
        ppid: Ppid(0),
        payload: b"x",
    };
    let reply = answer_to(&mut p, packet(9, PORT, tag, &[Chunk::Data(data)]));
    let parsed = Packet::parse(&reply[0]).unwrap();
    assert_eq!((kinds(&reply[0]), parsed.header.vtag), (vec![6], tag));
    assert_eq!(parsed.chunks().next().unwrap().unwrap().flags, 1, "T bit");
    let reply = answer_to(&mut p, packet(9, PORT, tag, &[Chunk::ShutdownAck]));
    let parsed = Packet::parse(&reply[0]).unwrap();
    assert_eq!((kinds(&reply[0]), parsed.header.vtag), (vec![14], tag));
    assert_eq!(parsed.chunks().next().unwrap().unwrap().flags, 1, "T bit");
    let stale = Cause::StaleCookie(5).to_vec();
    for silent in [
        Chunk::Abort(Abort { t: false, causes: &[] }),
        Chunk::ShutdownComplete(ShutdownComplete { t: false }),
        Chunk::CookieAck,
        Chunk::Error(crate::wire::chunk::ErrorChunk { causes: &stale }),
    ] {
        assert!(answer_to(&mut p, packet(9, PORT, tag, &[silent])).is_empty(), "{silent:?}");
    }
    // Not from a unicast address.
    let reply = {
        p.b.take(p.now, ip("224.0.0.1"), packet(9, PORT, tag, &[Chunk::Data(data)]));
        p.b.packets(p.now)
    };
    assert!(reply.is_empty());
}

#[test]
fn verification_tags() {
    let (mut p, a, b) = Pair::up();
    let core = &p.b.stack.assocs.get(b).unwrap().core;
    let (own, peer) = (core.local_tag, core.peer_tag);
    let wrong = Vtag(own.0 ^ 1);
    let abort = |t| Chunk::Abort(Abort { t, causes: &[] });
    for (tag, t) in [(wrong, false), (wrong, true), (own, true), (peer, false)] {
        assert!(answer_to(&mut p, packet(50_000, PORT, tag, &[abort(t)])).is_empty());
        assert_eq!(p.b.state(b), "ESTABLISHED", "{tag:?} {t}");
    }
    assert!(answer_to(&mut p, packet(50_000, PORT, wrong, &[Chunk::Shutdown(Shutdown { cum_tsn: Tsn(0) })])).is_empty());
    assert_eq!(p.b.state(b), "ESTABLISHED");
    // An ABORT behind another chunk cannot use the reflected tag.
    answer_to(&mut p, packet(50_000, PORT, own, &[Chunk::CookieAck, abort(true)]));
    assert_eq!(p.b.state(b), "ESTABLISHED");
    answer_to(&mut p, packet(50_000, PORT, peer, &[abort(true)]));
    assert_eq!(p.b.state(b), "gone");
    assert!(p.b.has(|e| matches!(e, Event::Lost { reason: CloseReason::PeerAborted(_) })));
    assert_eq!(p.a.state(a), "ESTABLISHED");
}
