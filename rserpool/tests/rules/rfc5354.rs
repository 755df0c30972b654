//! Parameters and messages as bytes.

use std::net::IpAddr;

use rserpool::wire::{
    AsapMessage, CauseCode, DecodeErrorKind, ElementId, EncodeOptions, ErrorCause, OperationError, PolicyParam, PoolElement, Protocol,
    RegistrarId, Transport, TransportUse, param::kind,
};

use crate::bed::*;

/// A parameter as a test takes it apart: type, value, padding.
struct Raw<'a> {
    kind: u16,
    value: &'a [u8],
    padding: &'a [u8],
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The parameters in `bytes`, each with the padding that follows it.
fn split(mut bytes: &[u8]) -> Vec<Raw<'_>> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let len = usize::from(u16_at(bytes, 2));
        let padded = len.next_multiple_of(4).min(bytes.len());
        out.push(Raw { kind: u16_at(bytes, 0), value: &bytes[4..len], padding: &bytes[len..padded] });
        bytes = &bytes[padded..];
    }
    out
}

fn encode(m: &AsapMessage) -> Vec<u8> {
    m.encode(EncodeOptions::default()).unwrap()
}

fn at(addr: &str) -> IpAddr {
    addr.parse().unwrap()
}

/// RFC 5354 rows: 2-1.
#[test]
fn the_most_significant_byte_goes_first() {
    let bytes = encode(&AsapMessage::ServerAnnounce {
        registrar: RegistrarId(0x0102_0304),
        transports: vec![Transport::sctp(0x0506, TransportUse(0x0001), [at("7.8.9.10")])],
    });
    assert_eq!(bytes, [10, 0, 0, 24, 1, 2, 3, 4, 0, 4, 0, 16, 5, 6, 0, 1, 0, 1, 0, 8, 7, 8, 9, 10]);
}

/// Handles, cookies and causes of every length leave the parameters behind them at multiples of four.
///
/// RFC 5354 rows: 3-1, 3-2, 3-3.
#[test]
fn parameters_are_padded_with_at_most_three_zero_bytes() {
    for n in 1..=9 {
        let text = "x".repeat(n);
        let bytes = encode(&AsapMessage::RegistrationResponse {
            reject: true,
            handle: handle(&text),
            id: ElementId(0xffff_ffff),
            error: Some(OperationError { causes: [1, 2].map(|code| ErrorCause { code: CauseCode(code), data: vec![0xff; n] }).to_vec() }),
        });
        assert!(bytes.len().is_multiple_of(4), "{n}");
        let params = split(&bytes[4..]);
        assert_eq!(params.iter().map(|p| p.kind).collect::<Vec<_>>(), [kind::POOL_HANDLE, kind::ELEMENT_ID, kind::ERROR], "{n}");
        assert_eq!((params[0].value, params[1].value), (text.as_bytes(), &[0xff; 4][..]));
        let causes = split(params[2].value);
        assert_eq!(causes.iter().map(|c| (c.kind, c.value.len())).collect::<Vec<_>>(), [(1, n), (2, n)]);
        for p in params.iter().chain(&causes[..1]) {
            assert_eq!(p.padding, &[0, 0, 0][..(4 - p.value.len() % 4) % 4], "{n}: {}", p.kind);
        }
    }
}

/// RFC 5354 rows: 3-4, 4-3.
#[test]
fn what_the_padding_holds_does_not_matter() {
    let message = AsapMessage::KeepAliveAck { handle: handle("Echo1"), id: ElementId(7) };
    let mut bytes = encode(&message);
    assert_eq!(&bytes[13..16], [0; 3], "padding behind the handle");
    bytes[13..16].copy_from_slice(&[0xa5, 0x5a, 0xff]);
    assert_eq!(AsapMessage::decode(&bytes).unwrap().message, message);

    let message = AsapMessage::HandleResolution { subscribe: false, handle: handle("Echo1"), items: None };
    let mut bytes = encode(&message);
    assert_eq!(bytes.len(), 16);
    bytes[13..16].copy_from_slice(&[0xa5, 0x5a, 0xff]);
    assert_eq!(AsapMessage::decode(&bytes).unwrap().message, message);
}

/// RFC 5354 rows: 4-1, 4-2.
#[test]
fn messages_are_padded_with_zero_bytes_that_their_length_does_not_count() {
    for n in 1..=9 {
        let bytes = encode(&AsapMessage::HandleResolution { subscribe: false, handle: handle(&"x".repeat(n)), items: None });
        let len = usize::from(u16_at(&bytes, 2));
        assert_eq!((len, bytes.len()), (8 + n, (8 + n).next_multiple_of(4)));
        assert!(bytes[len..].iter().all(|b| *b == 0));
    }
}

fn others() -> [Protocol; 4] {
    [Protocol::Tcp, Protocol::Udp, Protocol::UdpLite, Protocol::Dccp { service: 9 }]
}

/// An element that serves over another protocol is asked for signs of life where its SCTP association ends, also when that
/// has to be opened anew, and never at the port where it serves.
///
/// RFC 5354 rows: 3.3-1, 3.5-1, 3.6-1, 3.7-1.
#[test]
fn ports_of_other_protocols_get_no_control_messages() {
    for protocol in others() {
        let mut bed = Bed::new();
        let pe = bed.client(1);
        let user = Transport::single(protocol.clone(), "10.0.0.1:80".parse().unwrap());
        assert_eq!(bed.ask(pe, &registration(ECHO, PoolElement { user, ..element(1, 1) })), accepted(ECHO, 1));
        assert_eq!(bed.pass(core::time::Duration::from_secs(5)), [(5_000, Out::Said(pe, keep_alive(ECHO, 1)))], "{protocol}");
        bed.say(pe, &ack(ECHO, 1));
        let out = bed.lose(pe, false);
        let [Out::Connect(_, addrs)] = &out[..] else { panic!("{protocol}: {out:?}") };
        assert_eq!(addrs[..], ["10.0.0.1:50000".parse().unwrap()], "{protocol}");
    }
}

/// Where SCTP has the transport's use, these have a reserved field, which makes no difference.
///
/// RFC 5354 rows: 3.3-2, 3.5-2, 3.6-2, 3.7-2.
#[test]
fn other_protocols_are_for_data_only() {
    for protocol in others() {
        let mut bed = Bed::new();
        for (id, usage) in [(1, TransportUse::DATA_PLUS_CONTROL), (2, TransportUse::DATA), (3, TransportUse(0xffff))] {
            let pe = bed.client(1);
            let user = Transport { usage, ..Transport::single(protocol.clone(), "10.0.0.1:80".parse().unwrap()) };
            assert_eq!(bed.ask(pe, &registration(ECHO, PoolElement { user, ..element(id, 1) })), accepted(ECHO, id), "{protocol}");
        }
    }
}

/// RFC 5354 rows: 3.4-1.
#[test]
fn the_use_of_an_sctp_transport_is_one_of_two() {
    let mut bed = Bed::new();
    let pe = bed.client(1);
    let with = |usage| PoolElement { user: Transport { usage, ..element(1, 1).user }, ..element(1, 1) };
    for usage in [2, 0x0100, 0xffff] {
        let e = with(TransportUse(usage));
        let cause = ErrorCause { code: CauseCode::INVALID_VALUES, data: e.user.to_param() };
        let refused = AsapMessage::RegistrationResponse { reject: true, handle: handle(ECHO), id: ElementId(1), error: Some(cause.into()) };
        assert_eq!(bed.ask(pe, &registration(ECHO, e)), refused);
    }
    assert_eq!(bed.ask(pe, &registration(ECHO, with(TransportUse::DATA_PLUS_CONTROL))), accepted(ECHO, 1));
    assert_eq!(bed.lose(pe, true), []);
    let pe = bed.client(1);
    assert_eq!(bed.ask(pe, &registration(ECHO, with(TransportUse::DATA))), accepted(ECHO, 1));
}

fn transport(kind: u16, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(4 + body.len()).unwrap();
    [&kind.to_be_bytes()[..], &len.to_be_bytes(), body].concat()
}

fn announce(transport: &[u8]) -> Vec<u8> {
    let len = u16::try_from(8 + transport.len()).unwrap();
    [&[10, 0][..], &len.to_be_bytes(), &[0, 0, 0, 1], transport].concat()
}

/// RFC 5354 rows: 3.4-2.
#[test]
fn an_sctp_transport_has_at_least_one_address_of_either_family() {
    let v4 = [0, 1, 0, 8, 10, 0, 0, 1];
    let v6 = [&[0, 2, 0, 20][..], &[0xfd; 16]].concat();
    let head = [0, 80, 0, 0];
    let decode = |addrs: &[u8]| AsapMessage::decode(&announce(&transport(kind::SCTP, &[&head, addrs].concat())));
    let none = decode(&[]).unwrap_err();
    assert_eq!((none.offset, none.kind), (8, DecodeErrorKind::Invalid(kind::SCTP)));
    let AsapMessage::ServerAnnounce { transports, .. } = decode(&[&v6[..], &v4].concat()).unwrap().message else { panic!() };
    assert_eq!(transports[0].addrs, [IpAddr::from([0xfd; 16]), at("10.0.0.1")]);
    // And it goes out as it came.
    assert_eq!(
        split(&encode(&AsapMessage::ServerAnnounce { registrar: RegistrarId(1), transports })[8..])[0].value[4..],
        [&v6[..], &v4].concat()
    );
}

/// RFC 5354 rows: 3.8-1.
#[test]
fn a_policy_is_a_number_and_what_belongs_to_it() {
    for name in PolicyParam::NAMES {
        let policy = (0..=4).find_map(|n| PolicyParam::from_name(name, &[0x0102_0304, 5, 6, 7][..n])).unwrap();
        let bytes = policy.to_param();
        let params = split(&bytes);
        assert_eq!((params.len(), params[0].kind), (1, kind::POLICY), "{name}");
        let (number, values) = params[0].value.split_at(4);
        assert_eq!(number, policy.number().to_be_bytes(), "{name}");
        assert_eq!(values, policy.values().iter().flat_map(|(_, v)| v.to_be_bytes()).collect::<Vec<_>>(), "{name}");
    }
    // One that is not known is carried as it is.
    let mut bytes = encode(&registration(ECHO, PoolElement { policy: PolicyParam::Priority { priority: 9 }, ..element(1, 1) }));
    let end = bytes.len();
    bytes[end - 8..].copy_from_slice(&[0xc0, 0, 0, 1, 1, 2, 3, 4]);
    let AsapMessage::Registration { element, .. } = AsapMessage::decode(&bytes).unwrap().message else { panic!() };
    assert_eq!(element.policy, PolicyParam::Other { number: 0xc000_0001, values: vec![1, 2, 3, 4] });
}

/// An element of a registration with these parameters behind its fixed fields.
fn registration_of(params: &[&[u8]]) -> Vec<u8> {
    let element = [&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9][..], &params.concat()].concat();
    let body = [transport(kind::POOL_HANDLE, b"Echo"), transport(kind::POOL_ELEMENT, &element)].concat();
    let len = u16::try_from(4 + body.len()).unwrap();
    [&[1, 0][..], &len.to_be_bytes(), &body].concat()
}

/// RFC 5354 rows: 3.10-1, 3.10-2.
#[test]
fn an_element_has_one_user_transport_and_an_asap_transport_of_sctp() {
    let addr = [0, 80, 0, 0, 0, 1, 0, 8, 10, 0, 0, 1];
    let [sctp, tcp] = [kind::SCTP, kind::TCP].map(|k| transport(k, &addr));
    let policy = transport(kind::POLICY, &[0, 0, 0, 1]);
    let decode = |params: &[&[u8]]| match AsapMessage::decode(&registration_of(params)) {
        Ok(decoded) => match decoded.message {
            AsapMessage::Registration { element, .. } => Ok((element.user.protocol, element.asap.map(|t| t.protocol))),
            other => panic!("{other}"),
        },
        Err(e) => Err(e.kind),
    };
    assert_eq!(decode(&[&tcp, &policy]), Ok((Protocol::Tcp, None)));
    assert_eq!(decode(&[&tcp, &policy, &sctp]), Ok((Protocol::Tcp, Some(Protocol::Sctp))));
    assert_eq!(decode(&[&sctp, &policy, &sctp]), Ok((Protocol::Sctp, Some(Protocol::Sctp))));
    assert_eq!(decode(&[&policy]), Err(DecodeErrorKind::Missing(kind::SCTP)));
    for two in [[&sctp, &tcp], [&tcp, &tcp]] {
        assert_eq!(decode(&[two[0], two[1], &policy]), Err(DecodeErrorKind::Unexpected(kind::TCP)), "a second one");
        assert_eq!(decode(&[two[0], &policy, two[1]]), Err(DecodeErrorKind::Unexpected(kind::TCP)), "no SCTP");
    }
    assert_eq!(decode(&[&sctp, &policy, &sctp, &sctp]), Err(DecodeErrorKind::Unexpected(kind::SCTP)));
}
