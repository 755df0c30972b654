//! Lengths that do not fit, in every chunk, parameter and cause: an error or a shorter list, never a panic, never a loop.

use super::chunk::{Chunk, ChunkError, kind};
use super::cursor::padded;
use super::packet::{Packet, PacketError, RawChunk};
use super::param::{Param, kind as param};
use super::tlv::{Action, Tlv, TlvError, TlvIter};
use super::{Cause, Causes, Item as _, Params, cause, checksum, dump};

/// The shortest valid length of each chunk of RFC 9260, header included.
const MIN_LEN: [(u8, u16); 15] = [
    (kind::DATA, 16),
    (kind::INIT, 20),
    (kind::INIT_ACK, 20),
    (kind::SACK, 16),
    (kind::HEARTBEAT, 8),
    (kind::HEARTBEAT_ACK, 8),
    (kind::ABORT, 4),
    (kind::SHUTDOWN, 8),
    (kind::SHUTDOWN_ACK, 4),
    (kind::ERROR, 4),
    (kind::COOKIE_ECHO, 4),
    (kind::COOKIE_ACK, 4),
    (kind::ECNE, 8),
    (kind::CWR, 8),
    (kind::SHUTDOWN_COMPLETE, 4),
];

fn packet(body: &[u8]) -> Vec<u8> {
    let mut buf = vec![0x13, 0x89, 0x0f, 0x17, 1, 2, 3, 4, 0, 0, 0, 0];
    buf.extend_from_slice(body);
    checksum::seal(&mut buf);
    buf
}

/// A chunk that claims `len` bytes, in front of `available` bytes in all.
fn chunk(kind: u8, len: u16, available: usize, fill: u8) -> Vec<u8> {
    let mut buf = vec![fill; available.max(4)];
    buf[0] = kind;
    buf[1] = 0;
    buf[2..4].copy_from_slice(&len.to_be_bytes());
    buf
}

/// Walks everything that can be reached from `packet`, as a receiver would, and dumps it.
fn walk(packet: &[u8]) -> Vec<Result<Chunk<'_>, ChunkError>> {
    let parsed = Packet::parse(packet).unwrap();
    let mut seen = Vec::new();
    for raw in parsed.chunks() {
        let decoded = raw.and_then(|raw: RawChunk<'_>| raw.decode());
        match &decoded {
            Ok(Chunk::Init(c) | Chunk::InitAck(c)) => _ = c.params().count(),
            Ok(Chunk::Abort(c)) => _ = c.causes().count(),
            Ok(Chunk::Error(c)) => _ = c.causes().count(),
            Ok(Chunk::Sack(c)) => _ = c.gaps.iter().count() + c.dups.iter().count(),
            Ok(Chunk::Heartbeat(c) | Chunk::HeartbeatAck(c)) => assert!(c.info().is_some()),
            _ => {}
        }
        seen.push(decoded);
    }
    assert!(!dump::line(&parsed).to_string().contains('\n'));
    assert!(dump::tree(&parsed).to_string().lines().count() > seen.len());
    seen
}

#[test]
fn every_chunk_with_every_short_length() {
    for (kind, min) in MIN_LEN {
        for len in 0..=min + 3 {
            for available in [4, usize::from(len), padded(usize::from(len)), 64] {
                for fill in [0, 1, 0xff] {
                    let buf = packet(&chunk(kind, len, available, fill));
                    let seen = walk(&buf);
                    let first = seen.first().unwrap();
                    if len < 4 || usize::from(len) > available.max(4) || len < min {
                        let e = first.unwrap_err();
                        assert_eq!((e.kind, e.offset), (kind, 12), "type {kind} length {len} of {available}");
                        assert!(seen.len() == 1 || len >= 4, "nothing behind a length that cannot be trusted");
                    } else if !matches!(kind, kind::HEARTBEAT | kind::HEARTBEAT_ACK | kind::SACK) {
                        assert!(first.is_ok(), "type {kind} length {len} of {available}: {first:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn every_chunk_type_beyond_the_packet() {
    for kind in 0..=u8::MAX {
        for len in [0, 1, 3, 4, 5, 20, 21, 24, 25, 0x7fff, 0xfffc, 0xffff] {
            let buf = packet(&chunk(kind, len, 24, 0));
            let seen = walk(&buf);
            if !(4..=24).contains(&len) {
                assert!(seen[0].is_err() && seen.len() == 1, "type {kind} length {len}");
            }
        }
    }
}

#[test]
fn chunks_before_a_broken_one_are_kept() {
    let good = chunk(kind::COOKIE_ACK, 4, 4, 0);
    for (tail, offset) in [(chunk(kind::DATA, 17, 16, 0), 16), (chunk(kind::DATA, 0, 16, 0), 16), (vec![0, 3], 16), (vec![7], 16)] {
        let buf = packet(&[good.as_slice(), &tail].concat());
        let seen = walk(&buf);
        assert_eq!(seen[0], Ok(Chunk::CookieAck));
        assert_eq!(seen[1].unwrap_err().offset, offset);
        assert_eq!(seen.len(), 2);
    }
}

/// The padding of the last chunk may be missing; that of another one may not be taken for a chunk.
#[test]
fn odd_padding() {
    for len in 4..=11_u16 {
        let cookie = chunk(kind::COOKIE_ECHO, len, usize::from(len), 5);
        let unpadded = packet(&cookie);
        if unpadded.len() >= 16 {
            assert_eq!(walk(&unpadded).len(), 1);
        }
        let mut padded_one = cookie.clone();
        padded_one.resize(padded(cookie.len()), 0xaa); // a receiver ignores what the padding holds
        padded_one.extend(chunk(kind::COOKIE_ACK, 4, 4, 0));
        assert_eq!(walk(&packet(&padded_one)).last(), Some(&Ok(Chunk::CookieAck)));
        for missing in 1..=padded(cookie.len()) - cookie.len() {
            let mut short = cookie.clone();
            short.resize(padded(cookie.len()) - missing, 0);
            assert_eq!(walk(&packet(&short)).len(), 1, "cookie chunk of {len} bytes without {missing} of its padding");
        }
    }
}

#[test]
fn packets_too_short() {
    for len in 0..16 {
        let mut buf = vec![1; len];
        checksum::seal(&mut buf);
        assert_eq!(Packet::parse(&buf).unwrap_err(), PacketError::TooShort(len));
        assert_eq!(Packet::parse_quoted(&buf).is_some(), len >= 8);
        assert!(!checksum::verify(&buf[..len.min(11)]));
    }
}

#[test]
fn ports_of_zero() {
    for zero in [0, 2] {
        let mut buf = packet(&chunk(kind::COOKIE_ACK, 4, 4, 0));
        buf[zero] = 0;
        buf[zero + 1] = 0;
        checksum::seal(&mut buf);
        assert_eq!(Packet::parse(&buf).unwrap_err(), PacketError::PortZero);
    }
}

#[test]
fn sack_whose_counts_lie() {
    for (gaps, dups, extra) in [(1_u16, 0_u16, 3_usize), (0, 1, 0), (0xffff, 0, 8), (0, 0xffff, 8), (2, 2, 15), (0x8000, 0x8000, 400)] {
        let mut body = vec![0; 8];
        body.extend(gaps.to_be_bytes());
        body.extend(dups.to_be_bytes());
        body.resize(12 + extra, 0);
        let mut c = vec![kind::SACK, 0];
        c.extend(u16::try_from(body.len() + 4).unwrap().to_be_bytes());
        c.extend(body);
        assert!(walk(&packet(&c))[0].is_err(), "{gaps} gaps and {dups} duplicates in {extra} bytes");
    }
}

#[test]
fn heartbeat_without_usable_info() {
    for value in [&[][..], &[0, 1, 0, 3], &[0, 1, 0, 9, 1, 2, 3, 4], &[0, 1, 0, 0], &[0, 2, 0, 4], &[0, 1, 0], &[0, 2, 0, 0, 0, 1, 0, 4]] {
        let mut c = vec![kind::HEARTBEAT, 0];
        c.extend(u16::try_from(value.len() + 4).unwrap().to_be_bytes());
        c.extend(value);
        assert!(walk(&packet(&c))[0].is_err(), "{value:?}");
        c[0] = kind::HEARTBEAT_ACK;
        assert!(walk(&packet(&c))[0].is_err(), "{value:?}");
    }
}

/// Every parameter and cause with each length around its own, whole and cut short, alone and behind a good one.
#[test]
fn items_with_every_length() {
    let kinds: [u16; 13] = [0, 1, 5, 6, 7, 8, 9, 11, 12, 13, 0x8000, 0xc000, 0xffff];
    for kind in (0..=15_u16).chain(kinds) {
        for len in 0..=24_u16 {
            for available in 0..=28_usize {
                let mut list = vec![0, 13, 0, 4]; // a good item
                let mut bad = vec![0; available];
                for (b, v) in bad.iter_mut().zip([kind.to_be_bytes(), len.to_be_bytes()].concat()) {
                    *b = v;
                }
                list.extend(&bad);
                let items: Vec<_> = TlvIter::new(&list).collect();
                assert!(items[0].is_ok());
                let whole = available >= 4 && len >= 4 && usize::from(len) <= available;
                if available > 0 {
                    assert_eq!(items[1].is_ok(), whole, "type {kind} length {len} of {available}");
                    if !whole {
                        assert_eq!(items[1], Err(TlvError { offset: 4 }));
                        assert_eq!(items.len(), 2);
                    }
                }
                assert!(Params::new(&list).count() <= items.len());
                assert_eq!(Causes::new(&list).count(), items.len());
            }
        }
    }
}

fn tlv(kind: u16, value: &[u8]) -> Tlv<'_> {
    Tlv { kind, value, raw: value }
}

#[test]
fn params_of_fixed_length_take_no_other() {
    for (kind, right) in [(param::IPV4, 4), (param::IPV6, 16), (param::COOKIE_PRESERVATIVE, 4)] {
        for len in 0..24 {
            assert_eq!(Param::decode(tlv(kind, &vec![0; len])).is_some(), len == right, "type {kind} with {len} bytes of value");
        }
    }
    // The error tells where, and nothing behind it is read.
    let list = [0, 12, 0, 6, 0, 5, 0, 0, 0, 5, 0, 5, 1, 0, 0, 0, 0, 5, 0, 8, 1, 2, 3, 4];
    let got: Vec<_> = Params::new(&list).map(|r| r.map(|(p, _)| p)).collect();
    assert_eq!(got, [Ok(Param::SupportedAddressTypes(&[0, 5])), Err(TlvError { offset: 8 })]);
}

/// A cause too short for its code is kept as bytes: nothing is read past its end (CVE-2026-64551 was such a read).
#[test]
fn short_causes_stay_unknown() {
    for (code, need) in
        [(cause::code::INVALID_STREAM, 2), (cause::code::MISSING_PARAM, 4), (cause::code::STALE_COOKIE, 4), (cause::code::NO_USER_DATA, 4)]
    {
        for len in 0..need {
            let value = vec![0; len];
            assert_eq!(Cause::decode(tlv(code, &value)), Cause::Unknown(tlv(code, &value)));
        }
        assert!(!matches!(Cause::decode(tlv(code, &vec![0; need])), Cause::Unknown(_)));
    }
    for count in [2_u32, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, u32::MAX] {
        let value = [&count.to_be_bytes()[..], &[0, 7]].concat();
        assert_eq!(Cause::decode(tlv(cause::code::MISSING_PARAM, &value)), Cause::Unknown(tlv(cause::code::MISSING_PARAM, &value)));
    }
}

#[test]
fn actions_by_the_highest_bits() {
    for (bits, action, continues, reports) in [
        (0_u8, Action::Stop, false, false),
        (1, Action::StopAndReport, false, true),
        (2, Action::Skip, true, false),
        (3, Action::SkipAndReport, true, true),
    ] {
        for low in [0, 1, 0x3f] {
            let of_chunk = Action::of_chunk(bits << 6 | low);
            assert_eq!(of_chunk, action);
            assert_eq!(Action::of_param(u16::from(bits) << 14 | u16::from(low)), action);
            assert_eq!((of_chunk.continues(), of_chunk.reports()), (continues, reports));
        }
    }
}

/// 64 KiB of the smallest items: linear work, and the dump stays short.
#[test]
fn as_many_items_as_a_packet_can_hold() {
    let n = 16_000;
    let value = [0x80, 0xff, 0, 4].repeat(n);
    let mut init = vec![kind::INIT, 0];
    init.extend(u16::try_from(20 + value.len()).unwrap().to_be_bytes());
    init.extend([0; 16]);
    init.extend(&value);
    let buf = packet(&init);
    let seen = walk(&buf);
    let Ok(Chunk::Init(c)) = &seen[0] else { panic!("not an INIT") };
    assert_eq!(c.params().count(), n);
    assert!(dump::line(&Packet::parse(&buf).unwrap()).to_string().len() < 2000);

    let acks = packet(&[kind::COOKIE_ACK, 0, 0, 4].repeat(n));
    assert_eq!(walk(&acks).len(), n);
}
