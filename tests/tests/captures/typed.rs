//! Every chunk of RFC 9260 and its extensions, their parameters and causes: bytes to typed fields, and from these fields alone to the
//! same bytes.

use std::collections::BTreeMap;

use sctp_user::StreamId;
use sctp_user::wire::cause::Cause;
use sctp_user::wire::chunk::{
    Abort, Asconf, AsconfAck, AsconfParam, AsconfParams, AsconfResponse, AsconfResponses, Duplicates, Entries, ErrorChunk, ForwardTsn,
    Gaps, Heartbeat, IForwardTsn, Init, InitParams, Reconfig, ReconfigParam, ReconfigParams, Sack, StreamList, kind,
};
use sctp_user::wire::cursor::Writer;
use sctp_user::wire::param::{self, Param, Params};
use sctp_user::wire::{Chunk, Encode, Packet, RawChunk, checksum, dump};

use crate::file;

/// The last chunk type that RFC 9260 defines (with the two that it reserves for ECN).
const LAST_CHUNK: u8 = 14;
/// The chunk types of extensions that the kernel lists: AUTH, RE-CONFIG, FORWARD TSN, ASCONF, ASCONF-ACK, I-DATA, I-FORWARD-TSN.
const LISTED: [u8; 7] = [kind::AUTH, kind::RE_CONFIG, kind::FORWARD_TSN, kind::ASCONF, kind::ASCONF_ACK, kind::I_DATA, kind::I_FORWARD_TSN];

/// How often each kind of thing was built again.
type Tally = BTreeMap<String, usize>;

fn count(tally: &mut Tally, what: impl Into<String>) {
    *tally.entry(what.into()).or_default() += 1;
}

fn bytes_of(encode: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&mut Writer::new(&mut bytes));
    bytes
}

/// The name of a variant: the word before its fields.
fn name(value: &impl core::fmt::Debug) -> String {
    format!("{value:?}").split(['(', ' ', '{']).next().unwrap_or_default().to_owned()
}

/// A list of numbers, and not just bytes.
fn numbers(bytes: &[u8]) -> Vec<u16> {
    let numbers: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|b| u16::from_be_bytes(*b)).collect();
    let again: Vec<u8> = numbers.iter().flat_map(|n| n.to_be_bytes()).collect();
    assert_eq!(again, bytes);
    numbers
}

/// The parameters in `wire`, each of which must be its typed form.
fn params<'a>(wire: &'a [u8], tally: &mut Tally) -> Vec<Param<'a>> {
    let mut list = Vec::new();
    for item in Params::new(wire) {
        let (param, tlv) = item.unwrap();
        match param {
            Param::Unknown(tlv) => panic!("{tlv:?} is not decoded"),
            Param::SupportedAddressTypes(types) => {
                let numbers = numbers(types);
                assert!(numbers.iter().all(|n| [param::kind::IPV4, param::kind::IPV6].contains(n)), "{numbers:?}");
                count(tally, "parameter SupportedAddressTypes");
            }
            Param::HmacAlgo(identifiers) => {
                for id in numbers(identifiers) {
                    count(tally, format!("HMAC identifier {id}"));
                }
                count(tally, "parameter HmacAlgo");
            }
            Param::Chunks(types) | Param::SupportedExtensions(types) => {
                assert!(types.iter().all(|t| LISTED.contains(t) || *t <= LAST_CHUNK), "{types:?}");
                for t in types {
                    count(tally, format!("{} listed as {}", dump::chunk_name(*t), name(&param)));
                }
                count(tally, format!("parameter {}", name(&param)));
            }
            Param::Random(random) => {
                assert_eq!(random.len(), 32);
                count(tally, "parameter Random");
            }
            Param::Address(ip) => count(tally, if ip.is_ipv4() { "parameter IPv4 address" } else { "parameter IPv6 address" }),
            _ => count(tally, format!("parameter {}", name(&param))),
        }
        let again = bytes_of(|w| param.encode(w));
        assert_eq!(&again[..tlv.raw.len()], tlv.raw, "{param:?}");
        list.push(param);
    }
    list
}

/// The causes of an ABORT or ERROR, written again; the last one's padding is left to the chunk.
fn causes(list: impl Iterator<Item = Cause<'static>>, tally: &mut Tally) -> Vec<u8> {
    let mut list = list.peekable();
    let mut out = Vec::new();
    while let Some(cause) = list.next() {
        match cause {
            Cause::Unknown(tlv) => panic!("{tlv:?} is not decoded"),
            _ => count(tally, format!("cause {}", name(&cause))),
        }
        let more = list.peek().is_some();
        out.extend(if more { bytes_of(|w| cause.encode(w)) } else { cause.to_vec() });
    }
    out
}

/// Builds a chunk from its fields alone; the padding of its end is part of the answer.
fn rebuilt(raw: &RawChunk<'static>, tally: &mut Tally) -> Vec<u8> {
    let chunk = raw.decode().unwrap();
    let label = dump::chunk_name(raw.kind);
    count(tally, format!("chunk {label}"));
    let encoded = |chunk: &Chunk<'_>| bytes_of(|w| chunk.encode(w));
    match chunk {
        Chunk::Init(init) | Chunk::InitAck(init) => {
            let InitParams::Wire(wire) = init.params else { panic!("a decoded INIT has parameters from the wire") };
            let list = params(wire, tally);
            let built = Init { params: InitParams::List(&list), ..init };
            let mut bytes = encoded(&if matches!(chunk, Chunk::Init(_)) { Chunk::Init(built) } else { Chunk::InitAck(built) });
            // One more field that Linux has: whether the padding of the last parameter counts, which RFC 9260 section 3.2
            // denies.
            let counted = raw.raw.len() - usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
            if counted > 0 {
                assert!(counted < 4);
                count(tally, format!("{label} that counts its padding"));
                let len = u16::try_from(raw.raw.len()).unwrap();
                bytes[2..4].copy_from_slice(&len.to_be_bytes());
            }
            bytes
        }
        Chunk::Sack(sack) => {
            let (gaps, dups): (Vec<_>, Vec<_>) = (sack.gaps.iter().collect(), sack.dups.iter().collect());
            for _ in &gaps {
                count(tally, "gap ack block");
            }
            for _ in &dups {
                count(tally, "duplicate TSN");
            }
            encoded(&Chunk::Sack(Sack { gaps: Gaps::List(&gaps), dups: Duplicates::List(&dups), ..sack }))
        }
        Chunk::Heartbeat(hb) | Chunk::HeartbeatAck(hb) => {
            let list = params(hb.tlvs, tally);
            let tlvs = bytes_of(|w| list.iter().for_each(|p| p.encode(w)));
            let built = Heartbeat { tlvs: &tlvs };
            encoded(&if matches!(chunk, Chunk::Heartbeat(_)) { Chunk::Heartbeat(built) } else { Chunk::HeartbeatAck(built) })
        }
        Chunk::Abort(abort) => {
            let causes = causes(abort.causes().map(Result::unwrap), tally);
            encoded(&Chunk::Abort(Abort { t: abort.t, causes: &causes }))
        }
        Chunk::Error(error) => {
            let causes = causes(error.causes().map(Result::unwrap), tally);
            encoded(&Chunk::Error(ErrorChunk { causes: &causes }))
        }
        Chunk::Auth(auth) => {
            // SHA-1 is all that the kernel uses unless it is told otherwise.
            assert_eq!((auth.hmac, auth.mac.len()), (1, 20));
            encoded(&chunk)
        }
        Chunk::Asconf(asconf) => {
            let list: Vec<_> = asconf.params.iter().flatten().map(|(param, _)| param).collect();
            for param in &list {
                let AsconfParam::Request { request, .. } = param else { panic!("{param:?} is not decoded") };
                count(tally, format!("ASCONF request {request:?}"));
            }
            encoded(&Chunk::Asconf(Asconf { params: AsconfParams::List(&list), ..asconf }))
        }
        Chunk::AsconfAck(ack) => {
            let list: Vec<_> = ack.responses.iter().flatten().map(|(response, _)| response).collect();
            for response in &list {
                assert!(!matches!(response, AsconfResponse::Unknown(_)), "{response:?} is not decoded");
                count(tally, format!("ASCONF-ACK response {}", name(response)));
            }
            encoded(&Chunk::AsconfAck(AsconfAck { responses: AsconfResponses::List(&list), ..ack }))
        }
        Chunk::Reconfig(reconfig) => reconfigured(&reconfig, tally),
        Chunk::ForwardTsn(forward) => {
            let list: Vec<_> = forward.skipped.iter().collect();
            for _ in &list {
                count(tally, "stream of a FORWARD-TSN");
            }
            encoded(&Chunk::ForwardTsn(ForwardTsn { skipped: Entries::List(&list), ..forward }))
        }
        Chunk::IForwardTsn(forward) => {
            let list: Vec<_> = forward.skipped.iter().collect();
            for skipped in &list {
                count(tally, format!("stream of an I-FORWARD-TSN, unordered {}", skipped.unordered));
            }
            encoded(&Chunk::IForwardTsn(IForwardTsn { skipped: Entries::List(&list), ..forward }))
        }
        Chunk::Unknown(raw) => panic!("{raw:?} is not decoded"),
        // What is left has no list inside: its struct holds nothing but its fields.
        _ => encoded(&chunk),
    }
}

/// Builds a RE-CONFIG from its requests and responses alone.
fn reconfigured(reconfig: &Reconfig<'_>, tally: &mut Tally) -> Vec<u8> {
    let list: Vec<_> = reconfig.params().map(Result::unwrap).collect();
    let streams: Vec<Vec<StreamId>> = list
        .iter()
        .map(|param| match param {
            ReconfigParam::OutgoingReset { streams, .. } | ReconfigParam::IncomingReset { streams, .. } => streams.iter().collect(),
            _ => Vec::new(),
        })
        .collect();
    let built: Vec<_> = list
        .iter()
        .zip(&streams)
        .map(|(param, ids)| {
            count(tally, format!("RE-CONFIG {}", name(param)));
            for _ in ids {
                count(tally, "stream of a reset");
            }
            match *param {
                ReconfigParam::OutgoingReset { request, response, last_tsn, .. } => {
                    ReconfigParam::OutgoingReset { request, response, last_tsn, streams: StreamList::List(ids) }
                }
                ReconfigParam::IncomingReset { request, .. } => ReconfigParam::IncomingReset { request, streams: StreamList::List(ids) },
                ReconfigParam::Unknown(tlv) => panic!("{tlv:?} is not decoded"),
                fields => fields,
            }
        })
        .collect();
    bytes_of(|w| Chunk::Reconfig(Reconfig { params: ReconfigParams::List(&built) }).encode(w))
}

/// Builds every packet of a capture anew.
fn rebuild(name: &str, tally: &mut Tally) {
    for (n, frame) in file::load(name).into_iter().enumerate() {
        let sctp: &'static [u8] = frame.sctp.leak();
        let packet = Packet::parse(sctp).unwrap();
        let mut again = Vec::new();
        let mut w = Writer::new(&mut again);
        w.u16(packet.header.src_port);
        w.u16(packet.header.dst_port);
        w.u32(packet.header.vtag.0);
        w.u32(0);
        for raw in packet.chunks() {
            again.extend(rebuilt(&raw.unwrap(), tally));
        }
        checksum::seal(&mut again);
        assert_eq!(again, sctp, "{name}, SCTP packet {}", n + 1);
        let carrier = match (frame.udp, frame.src.is_ipv4()) {
            (None, true) => "packet over IPv4",
            (None, false) => "packet over IPv6",
            (Some(_), true) => "packet in UDP over IPv4",
            (Some(_), false) => "packet in UDP over IPv6",
        };
        count(tally, carrier);
    }
}

/// What the captures of the kernel hold, so that nothing is passed over in silence.
const EXPECTED: &str = "\
2 ASCONF listed as Chunks
2 ASCONF listed as SupportedExtensions
1 ASCONF request Add
1 ASCONF request Delete
1 ASCONF request SetPrimary
2 ASCONF-ACK listed as Chunks
2 ASCONF-ACK listed as SupportedExtensions
4 AUTH listed as SupportedExtensions
2 DATA listed as Chunks
4 HMAC identifier 1
4 I-DATA listed as SupportedExtensions
1 RE-CONFIG AddIncoming
2 RE-CONFIG AddOutgoing
1 RE-CONFIG IncomingReset
3 RE-CONFIG OutgoingReset
6 RE-CONFIG Response
1 RE-CONFIG TsnReset
2 RE-CONFIG listed as SupportedExtensions
1 cause StaleCookie
7 cause UserAbort
83 chunk ABORT
3 chunk ASCONF
3 chunk ASCONF-ACK
21 chunk AUTH
189 chunk COOKIE-ACK
190 chunk COOKIE-ECHO
1480 chunk DATA
1 chunk ERROR
7 chunk FORWARD-TSN
146 chunk HEARTBEAT
67 chunk HEARTBEAT-ACK
79 chunk I-DATA
7 chunk I-FORWARD-TSN
199 chunk INIT
192 chunk INIT-ACK
18 chunk PAD
14 chunk RE-CONFIG
1382 chunk SACK
158 chunk SHUTDOWN
153 chunk SHUTDOWN-ACK
152 chunk SHUTDOWN-COMPLETE
29 duplicate TSN
247 gap ack block
48 packet in UDP over IPv4
3851 packet over IPv4
228 packet over IPv6
4 parameter Chunks
1 parameter CookiePreservative
391 parameter EcnCapable
391 parameter ForwardTsnSupported
213 parameter HeartbeatInfo
4 parameter HmacAlgo
654 parameter IPv4 address
336 parameter IPv6 address
4 parameter Random
192 parameter StateCookie
199 parameter SupportedAddressTypes
10 parameter SupportedExtensions
9 stream of a FORWARD-TSN
4 stream of a reset
6 stream of an I-FORWARD-TSN, unordered false
1 stream of an I-FORWARD-TSN, unordered true
";

#[test]
fn every_chunk_of_the_kernel_is_built_again_from_its_fields() {
    let mut tally = Tally::new();
    let names = file::names();
    for name in &names {
        rebuild(name, &mut tally);
    }
    let found: String = tally.iter().map(|(what, n)| format!("{n} {what}\n")).collect();
    assert_eq!(names.len(), 38);
    assert_eq!(found, EXPECTED, "found:\n{found}");
}
