//! `decode(encode(x)) == x` for every chunk, parameter and error cause.

use core::net::IpAddr;

use proptest::prelude::*;

use super::chunk::{
    Abort, AddressRequest, Asconf, AsconfAck, AsconfParam, AsconfParams, AsconfResponse, AsconfResponses, Chunk, CookieEcho, Data,
    Duplicates, Entries, ErrorChunk, ForwardTsn, GapBlock, Gaps, Heartbeat, IData, IForwardTsn, Init, InitParams, Pad, Place, Sack,
    Shutdown, ShutdownComplete, SkippedMid, SkippedSsn, kind as chunk_kind,
};
use super::cursor::{Reader, Writer, padded};
use super::packet::{CommonHeader, Packet, PacketError, PacketWriter};
use super::param::{Param, Params, kind};
use super::tlv::{Tlv, TlvIter};
use super::{Cause, Causes, Encode as _, checksum};
use crate::num::{Fsn, Mid, Ppid, Serial, Ssn, StreamId, Tsn, Vtag};

const HEADER: CommonHeader = CommonHeader { src_port: 5001, dst_port: 3863, vtag: Vtag(0x1f2e_3d4c) };

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..max)
}

fn packet(chunks: &[Chunk<'_>]) -> Vec<u8> {
    let mut buf = vec![0xee; 3]; // packets are built behind others in one buffer, at any alignment
    let mut w = PacketWriter::new(&mut buf, HEADER, 1 << 20);
    for c in chunks {
        w.push(c);
    }
    let len = w.finish();
    buf.split_off(buf.len() - len)
}

/// Encodes `chunk` into a packet of its own, decodes that, compares, and checks the form: length field, padding, checksum.
fn round_trip(chunk: &Chunk<'_>) -> Result<(), TestCaseError> {
    let buf = packet(core::slice::from_ref(chunk));
    prop_assert!(buf.len().is_multiple_of(4));
    prop_assert!(checksum::verify(&buf));
    let parsed = Packet::parse(&buf).unwrap();
    prop_assert_eq!(parsed.header, HEADER);
    let chunks: Vec<_> = parsed.chunks().collect();
    prop_assert_eq!(chunks.len(), 1);
    let raw = chunks[0].unwrap();
    prop_assert_eq!(padded(raw.raw.len()), buf.len() - 12);
    prop_assert!(buf[12 + raw.raw.len()..].iter().all(|b| *b == 0), "padding is zero");
    prop_assert_eq!(&raw.decode().unwrap(), chunk);
    Ok(())
}

fn item(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut buf = Vec::new();
    let mut w = Writer::new(&mut buf);
    w.u16(kind);
    w.u16(u16::try_from(value.len() + 4).unwrap());
    w.bytes(value);
    buf
}

fn tlv(raw: &[u8]) -> Tlv<'_> {
    TlvIter::new(raw).next().unwrap().unwrap()
}

/// Every parameter, each made from the same arbitrary values.
fn all_params<'a>(v: &'a [u8], v4: [u8; 4], v6: [u8; 16], ms: u32, unknown: &'a [u8]) -> Vec<Param<'a>> {
    vec![
        Param::HeartbeatInfo(v),
        Param::Address(IpAddr::from(v4)),
        Param::Address(IpAddr::from(v6)),
        Param::StateCookie(v),
        Param::Unrecognized(v),
        Param::CookiePreservative(ms),
        Param::HostName(v),
        Param::SupportedAddressTypes(v),
        Param::EcnCapable,
        Param::Unknown(tlv(unknown)),
    ]
}

fn all_causes<'a>(v: &'a [u8], types: &'a [u8], n: u32, sid: u16, unknown: &'a [u8]) -> Vec<Cause<'a>> {
    vec![
        Cause::InvalidStream(StreamId(sid)),
        Cause::MissingParams(types),
        Cause::StaleCookie(n),
        Cause::OutOfResource,
        Cause::UnresolvableAddress(v),
        Cause::UnrecognizedChunk(v),
        Cause::InvalidMandatoryParam,
        Cause::UnrecognizedParams(v),
        Cause::NoUserData(Tsn(n)),
        Cause::CookieWhileShuttingDown,
        Cause::RestartNewAddresses(v),
        Cause::UserAbort(v),
        Cause::ProtocolViolation(v),
        Cause::Unknown(tlv(unknown)),
    ]
}

proptest! {
    #[test]
    fn data(flags: [bool; 4], tsn: u32, sid: u16, ssn: u16, ppid: u32, payload in bytes(600)) {
        let [immediate, unordered, begin, end] = flags;
        let (tsn, sid, ssn, ppid) = (Tsn(tsn), StreamId(sid), Ssn(ssn), Ppid(ppid));
        round_trip(&Chunk::Data(Data { immediate, unordered, begin, end, tsn, sid, ssn, ppid, payload: &payload }))?;
    }

    #[test]
    fn i_data(flags: [bool; 4], tsn: u32, sid: u16, mid: u32, number: u32, payload in bytes(600)) {
        let [immediate, unordered, begin, end] = flags;
        let (tsn, sid, mid) = (Tsn(tsn), StreamId(sid), Mid(mid));
        let place = if begin { Place::First(Ppid(number)) } else { Place::Later(Fsn(number)) };
        round_trip(&Chunk::IData(IData { immediate, unordered, end, tsn, sid, mid, place, payload: &payload }))?;
    }

    #[test]
    fn init(tag: u32, a_rwnd: u32, streams: (u16, u16), tsn: u32, v in bytes(70), v4: [u8; 4], v6: [u8; 16], ms: u32, pick in 0_usize..1024) {
        let unknown = item(0x8765, &v);
        let mut params = all_params(&v, v4, v6, ms, &unknown);
        let mut n = 0;
        params.retain(|_| { n += 1; pick >> (n - 1) & 1 == 1 });
        let init = |params| Init { tag: Vtag(tag), a_rwnd, outbound: streams.0, inbound: streams.1, tsn: Tsn(tsn), params };
        let sent = init(InitParams::List(&params));
        round_trip(&Chunk::Init(sent))?;
        round_trip(&Chunk::InitAck(sent))?;

        // The parameters come out one by one as they went in, and the length does not cover the last one's padding.
        let buf = packet(&[Chunk::Init(sent)]);
        let raw = Packet::parse(&buf).unwrap().chunks().next().unwrap().unwrap();
        let Chunk::Init(got) = raw.decode().unwrap() else { panic!("not an INIT") };
        let decoded: Vec<_> = got.params().map(|p| p.unwrap()).collect();
        prop_assert_eq!(decoded.iter().map(|(p, _)| *p).collect::<Vec<_>>(), params.clone());
        let last = decoded.last().map_or(&[] as &[u8], |(_, tlv)| tlv.raw);
        prop_assert!(raw.raw.ends_with(last));
        // A peer may count the padding in (RFC 9260 section 3.2, note).
        let InitParams::Wire(wire) = got.params else { panic!("not from the wire") };
        let mut with_padding = wire.to_vec();
        with_padding.resize(padded(wire.len()), 0);
        prop_assert_eq!(Params::new(&with_padding).map(|p| p.unwrap().0).collect::<Vec<_>>(), params);
    }

    #[test]
    fn sack(cum: u32, a_rwnd: u32, gaps in proptest::collection::vec(any::<(u16, u16)>(), 0..50), dups in proptest::collection::vec(any::<u32>(), 0..50)) {
        let gaps: Vec<_> = gaps.into_iter().map(|(start, end)| GapBlock { start, end }).collect();
        let dups: Vec<_> = dups.into_iter().map(Tsn).collect();
        let sack = Sack { cum_tsn: Tsn(cum), a_rwnd, gaps: Gaps::List(&gaps), dups: Duplicates::List(&dups) };
        round_trip(&Chunk::Sack(sack))?;
    }

    #[test]
    fn heartbeat(info in bytes(80), more in bytes(20)) {
        let mut tlvs = item(kind::HEARTBEAT_INFO, &info);
        round_trip(&Chunk::Heartbeat(Heartbeat { tlvs: &tlvs }))?;
        round_trip(&Chunk::HeartbeatAck(Heartbeat { tlvs: &tlvs }))?;
        prop_assert_eq!(Heartbeat { tlvs: &tlvs }.info(), Some(info.as_slice()));
        // A parameter of a later standard beside it goes back unchanged, too.
        tlvs.resize(padded(tlvs.len()), 0);
        tlvs.extend(item(0xc123, &more));
        round_trip(&Chunk::HeartbeatAck(Heartbeat { tlvs: &tlvs }))?;
        prop_assert_eq!(Heartbeat { tlvs: &tlvs }.info(), Some(info.as_slice()));
    }

    #[test]
    fn abort_and_error(t: bool, v in bytes(60), types in proptest::collection::vec(any::<u16>(), 0..9), n: u32, sid: u16) {
        let types: Vec<u8> = types.iter().flat_map(|t| t.to_be_bytes()).collect();
        let unknown = item(0x4242, &v);
        let causes = all_causes(&v, &types, n, sid, &unknown);
        let mut all = Vec::new();
        for cause in &causes {
            let one = cause.to_vec();
            prop_assert_eq!(Causes::new(&one).collect::<Vec<_>>(), vec![Ok(*cause)]);
            round_trip(&Chunk::Abort(Abort { t, causes: &one }))?;
            round_trip(&Chunk::Error(ErrorChunk { causes: &one }))?;
            cause.encode(&mut Writer::new(&mut all));
        }
        let error = ErrorChunk { causes: &all };
        round_trip(&Chunk::Error(error))?;
        prop_assert_eq!(error.causes().map(Result::unwrap).collect::<Vec<_>>(), causes);
    }

    #[test]
    fn small_ones(t: bool, tsn: u32, cookie in bytes(300)) {
        let tsn = Tsn(tsn);
        round_trip(&Chunk::Shutdown(Shutdown { cum_tsn: tsn }))?;
        round_trip(&Chunk::ShutdownAck)?;
        round_trip(&Chunk::ShutdownComplete(ShutdownComplete { t }))?;
        round_trip(&Chunk::CookieEcho(CookieEcho { cookie: &cookie }))?;
        round_trip(&Chunk::CookieAck)?;
        round_trip(&Chunk::Ecne(tsn))?;
        round_trip(&Chunk::Cwr(tsn))?;
        round_trip(&Chunk::Pad(Pad { padding: &cookie }))?;
    }

    #[test]
    fn asconf(serial: u32, v4: [u8; 4], v6: [u8; 16], ids: [u32; 4], unknown in bytes(20), causes in bytes(40)) {
        let (v4, v6, unknown) = (IpAddr::from(v4), IpAddr::from(v6), item(0x8123, &unknown));
        let request = |request, correlation, addr| AsconfParam::Request { request, correlation, addr };
        let params = [
            request(AddressRequest::Add, ids[0], v4),
            request(AddressRequest::Delete, ids[1], v6),
            request(AddressRequest::SetPrimary, ids[2], v4),
            AsconfParam::Unknown(tlv(&unknown)),
        ];
        let responses = [
            AsconfResponse::Success { correlation: ids[0] },
            AsconfResponse::Error { correlation: ids[1], causes: &causes },
            AsconfResponse::Unknown(tlv(&unknown)),
        ];
        for n in 0..=params.len() {
            for address in [v4, v6] {
                round_trip(&Chunk::Asconf(Asconf { serial: Serial(serial), address, params: AsconfParams::List(&params[..n]) }))?;
            }
            let responses = AsconfResponses::List(&responses[..n.min(3)]);
            round_trip(&Chunk::AsconfAck(AsconfAck { serial: Serial(serial), responses }))?;
        }
    }

    #[test]
    fn forward_tsn(tsn: u32, streams in prop::collection::vec((any::<u16>(), any::<u16>(), any::<u32>(), any::<bool>()), 0..40)) {
        let ssns: Vec<_> = streams.iter().map(|&(sid, ssn, ..)| SkippedSsn { sid: StreamId(sid), ssn: Ssn(ssn) }).collect();
        round_trip(&Chunk::ForwardTsn(ForwardTsn { cum_tsn: Tsn(tsn), skipped: Entries::List(&ssns) }))?;
        let mids: Vec<_> =
            streams.iter().map(|&(sid, _, mid, unordered)| SkippedMid { sid: StreamId(sid), unordered, mid: Mid(mid) }).collect();
        round_trip(&Chunk::IForwardTsn(IForwardTsn { cum_tsn: Tsn(tsn), skipped: Entries::List(&mids) }))?;
    }

    #[test]
    fn unknown_chunks_keep_their_bytes(kind in 16_u8.., flags: u8, value in bytes(100)) {
        let known = [
            chunk_kind::PAD,
            chunk_kind::RE_CONFIG,
            chunk_kind::I_DATA,
            chunk_kind::ASCONF,
            chunk_kind::ASCONF_ACK,
            chunk_kind::FORWARD_TSN,
            chunk_kind::I_FORWARD_TSN,
        ];
        prop_assume!(!known.contains(&kind));
        let mut buf = Vec::new();
        Writer::new(&mut buf).chunk(kind, flags, |w| w.bytes(&value));
        let sent = packet(&[]);
        let whole = [sent.as_slice(), &buf].concat();
        let quoted = Packet::parse_quoted(&whole).unwrap();
        let raw = quoted.chunks().next().unwrap().unwrap();
        prop_assert_eq!((raw.kind, raw.flags, raw.value), (kind, flags, value.as_slice()));
        let decoded = raw.decode().unwrap();
        prop_assert_eq!(decoded, Chunk::Unknown(raw));
        round_trip(&decoded)?;
    }

    #[test]
    fn single_params(v in bytes(70), v4: [u8; 4], v6: [u8; 16], ms: u32, kind in 13_u16..0x8000) {
        let unknown = item(kind, &v);
        for p in all_params(&v, v4, v6, ms, &unknown) {
            let mut buf = Vec::new();
            p.encode(&mut Writer::new(&mut buf));
            prop_assert!(buf.len().is_multiple_of(4));
            prop_assert_eq!(Params::new(&buf).map(|r| r.unwrap().0).collect::<Vec<_>>(), vec![p]);
        }
    }

    #[test]
    fn several_chunks_in_one_packet(payload in bytes(40), cookie in bytes(40), tsn: u32) {
        let data = Data {
            immediate: false, unordered: true, begin: true, end: true,
            tsn: Tsn(tsn), sid: StreamId(1), ssn: Ssn(2), ppid: Ppid(3), payload: &payload,
        };
        let chunks = [Chunk::CookieEcho(CookieEcho { cookie: &cookie }), Chunk::Data(data), Chunk::Data(data), Chunk::CookieAck];
        let buf = packet(&chunks);
        let decoded: Vec<_> = Packet::parse(&buf).unwrap().chunks().map(|c| c.unwrap().decode().unwrap()).collect();
        prop_assert_eq!(&decoded, &chunks);
    }

    /// CRC32c finds every error burst of up to 32 bits.
    #[test]
    fn a_damaged_packet_is_refused(payload in bytes(200), at: usize, burst in 1_u32..) {
        let mut buf = packet(&[Chunk::CookieEcho(CookieEcho { cookie: &payload })]);
        let at = at % (buf.len() - 3);
        for (b, e) in buf[at..].iter_mut().zip(burst.to_be_bytes()) {
            *b ^= e;
        }
        prop_assert_eq!(Packet::parse(&buf).unwrap_err(), PacketError::Checksum);
    }

    #[test]
    fn cursor(a: u8, b: u16, c: u32, d: u64, v in bytes(20)) {
        let mut buf = vec![9, 9];
        let mut w = Writer::new(&mut buf);
        w.u8(a);
        w.u16(b);
        w.u32(c);
        w.u64(d);
        w.bytes(&v);
        w.pad4();
        prop_assert_eq!(w.len(), padded(15 + v.len()));
        let mut r = Reader::new(&buf);
        prop_assert_eq!(r.take(2), Some([9_u8, 9].as_slice()));
        prop_assert_eq!((r.u8(), r.u16(), r.u32(), r.u64()), (Some(a), Some(b), Some(c), Some(d)));
        prop_assert_eq!(r.take(v.len()), Some(v.as_slice()));
        let left = r.len();
        prop_assert!(left < 4 && r.take(left + 1).is_none() && r.len() == left);
    }
}

/// A SACK with more entries than 16 bits of length can cover names as many as it carries.
#[test]
fn an_oversized_sack_stays_consistent() {
    let gaps = vec![GapBlock { start: 2, end: 3 }; 20_000];
    let dups = vec![Tsn(1); 70_000];
    let buf = packet(&[Chunk::Sack(Sack { cum_tsn: Tsn(1), a_rwnd: 0, gaps: Gaps::List(&gaps), dups: Duplicates::List(&dups) })]);
    let raw = Packet::parse(&buf).unwrap().chunks().next().unwrap().unwrap();
    let Chunk::Sack(sack) = raw.decode().unwrap() else { panic!("not a SACK") };
    assert_eq!(sack.gaps.len() + sack.dups.len(), Sack::MAX_ENTRIES);
    assert!(sack.gaps.iter().eq(gaps.iter().copied().take(sack.gaps.len())));
}

/// Values too long for a 16-bit length are cut off, and the packet can still be read.
#[test]
fn an_oversized_value_is_cut_off() {
    let long = vec![7; 100_000];
    let buf = packet(&[Chunk::CookieEcho(CookieEcho { cookie: &long }), Chunk::CookieAck]);
    let chunks: Vec<_> = Packet::parse(&buf).unwrap().chunks().map(|c| c.unwrap().decode().unwrap()).collect();
    assert_eq!(chunks, [Chunk::CookieEcho(CookieEcho { cookie: &long[..65_531] }), Chunk::CookieAck]);
    let cause = Cause::UnrecognizedChunk(&long).to_vec();
    assert_eq!(Causes::new(&cause).collect::<Vec<_>>(), [Ok(Cause::UnrecognizedChunk(&long[..65_531]))]);
}

#[test]
fn packet_writer_counts_and_discards() {
    let mut buf = b"before".to_vec();
    let mut w = PacketWriter::new(&mut buf, HEADER, 12 + 20);
    assert!(w.is_empty() && w.len() == 12 && w.room() == 20 && w.fits(20) && w.fits(17) && !w.fits(21));
    w.push(&Chunk::CookieEcho(CookieEcho { cookie: &[1; 5] }));
    assert!(!w.is_empty() && w.len() == 12 + 12 && w.room() == 8 && w.fits(5) && !w.fits(9));
    w.discard();
    assert_eq!(buf, b"before");
}
