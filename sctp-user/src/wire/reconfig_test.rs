//! RE-CONFIG: round trips, lengths that do not fit, and how it is shown.

use proptest::prelude::*;

use super::chunk::{Chunk, Reconfig, ReconfigParam, ReconfigParams, ReconfigResult, StreamList, kind};
use super::packet::{CommonHeader, Packet, PacketWriter};
use super::{checksum, dump};
use crate::num::{StreamId, Tsn, Vtag};

fn packet(params: &[ReconfigParam<'_>]) -> Vec<u8> {
    let mut buf = Vec::new();
    let mut w = PacketWriter::new(&mut buf, CommonHeader { src_port: 1, dst_port: 2, vtag: Vtag(3) }, 1 << 20);
    w.push(&Reconfig { params: ReconfigParams::List(params) });
    w.finish();
    buf
}

/// Every kind of parameter, from the same arbitrary values.
fn all<'a>(numbers: [u32; 4], count: u16, streams: &'a [StreamId], tsns: bool) -> Vec<ReconfigParam<'a>> {
    let [request, response, a, b] = numbers;
    let next_tsns = tsns.then_some((Tsn(a), Tsn(b)));
    vec![
        ReconfigParam::OutgoingReset { request, response, last_tsn: Tsn(a), streams: StreamList::List(streams) },
        ReconfigParam::IncomingReset { request, streams: StreamList::List(streams) },
        ReconfigParam::TsnReset { request },
        ReconfigParam::Response { response, result: ReconfigResult(b), next_tsns },
        ReconfigParam::AddOutgoing { request, count },
        ReconfigParam::AddIncoming { request, count },
    ]
}

proptest! {
    /// RFC 6525 rows: 4.4-2, 4.5-2, 4.6-1, 4.6-2.
    #[test]
    fn every_parameter_comes_back(numbers: [u32; 4], count: u16, ids in proptest::collection::vec(any::<u16>(), 0..40), tsns: bool) {
        let streams: Vec<_> = ids.into_iter().map(StreamId).collect();
        let list = all(numbers, count, &streams, tsns);
        let buf = packet(&list);
        prop_assert!(buf.len().is_multiple_of(4));
        let raw = Packet::parse(&buf).unwrap().chunks().next().unwrap().unwrap();
        let Chunk::Reconfig(got) = raw.decode().unwrap() else { panic!("not a RE-CONFIG") };
        prop_assert_eq!(got, Reconfig { params: ReconfigParams::List(&list) });
        prop_assert_eq!(got.params().map(Result::unwrap).collect::<Vec<_>>(), list.clone());
        // RFC 9260 section 3.2: padding behind the last parameter is not counted; between two it is (CVE-2021-3894, CVE-2022-0322).
        for pair in list.chunks(2) {
            let buf = packet(pair);
            let raw = Packet::parse(&buf).unwrap().chunks().next().unwrap().unwrap();
            let lens = [16 + 2 * streams.len(), 8 + 2 * streams.len(), 8, if tsns { 20 } else { 12 }, 12, 12];
            let at = list.iter().position(|p| *p == pair[0]).unwrap();
            prop_assert_eq!(raw.raw.len(), 4 + lens[at].next_multiple_of(4) + lens[at + 1]);
        }
    }
}

/// RFC 6525 sections 4.1 to 4.6: the lengths that a parameter MUST have; anything else ends the list with an error.
/// RFC 6525 rows: 4.1-1, 4.2-1, 4.3-1, 4.4-1, 4.5-1.
#[test]
fn lengths_that_a_parameter_must_not_have_are_refused() {
    let allowed = |kind: u16, len: usize| match kind {
        13 => len >= 16 && len.is_multiple_of(2),
        14 => len >= 8 && len.is_multiple_of(2),
        15 => len == 8,
        16 => len == 12 || len == 20,
        _ => len == 12,
    };
    for kind in 13..=18_u16 {
        for len in 0..40_usize {
            let mut value = kind.to_be_bytes().to_vec();
            value.extend(u16::try_from(len).unwrap().to_be_bytes());
            value.resize(len.max(4), 9);
            let mut body = vec![kind::RE_CONFIG, 0];
            body.extend(u16::try_from(value.len() + 4).unwrap().to_be_bytes());
            body.extend(&value);
            body.resize(body.len().next_multiple_of(4), 0);
            let mut buf = vec![0, 1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0];
            buf.extend(body);
            checksum::seal(&mut buf);
            let parsed = Packet::parse(&buf).unwrap();
            let Chunk::Reconfig(got) = parsed.chunks().next().unwrap().unwrap().decode().unwrap() else { panic!("not a RE-CONFIG") };
            let params: Vec<_> = got.params().collect();
            assert_eq!(params.len(), 1, "type {kind}, length {len}");
            assert_eq!(params[0].is_ok(), allowed(kind, len), "type {kind}, length {len}");
            assert!(dump::tree(&parsed).to_string().contains("RE-CONFIG"));
        }
    }
}

#[test]
fn it_is_shown_by_its_fields() {
    let streams = [StreamId(3), StreamId(9)];
    let list = [
        ReconfigParam::OutgoingReset { request: 5, response: 4, last_tsn: Tsn(77), streams: StreamList::List(&streams) },
        ReconfigParam::IncomingReset { request: 6, streams: StreamList::List(&[]) },
    ];
    let buf = packet(&list);
    assert_eq!(
        dump::line(&Packet::parse(&buf).unwrap()).to_string(),
        "1 > 2 tag=00000003 RE-CONFIG [outgoing-reset 5 for 4 after TSN 77 of streams 3 9] [incoming-reset 6 of all streams]"
    );
    let done = ReconfigParam::Response { response: 5, result: ReconfigResult::PERFORMED, next_tsns: Some((Tsn(1), Tsn(2))) };
    let buf = packet(&[done]);
    assert!(dump::line(&Packet::parse(&buf).unwrap()).to_string().ends_with("[response to 5: performed, next TSNs 1 and 2]"));
}
