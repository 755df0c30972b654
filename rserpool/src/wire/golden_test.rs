//! Vectors recorded from RSPLIB 3.5.10's encoder, in both directions, and messages that must be refused.

use super::*;

const PH: &str = "0009000c4563686f506f6f6c";
const PE: &str =
    "000a004011223344aabbccdd00015f90 00040024 12670001 000100080a010102 0002001420010db8000000000000000000000005 0008000c0000000200000007";

fn hex(s: &str) -> Vec<u8> {
    let digits: Vec<u8> = s.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|d| u8::from_str_radix(core::str::from_utf8(d).unwrap(), 16).unwrap()).collect()
}

fn handle() -> PoolHandle {
    PoolHandle::new("EchoPool").unwrap()
}

const ID: ElementId = ElementId(0x1122_3344);
const REGISTRAR: RegistrarId = RegistrarId(0xaabb_ccdd);

fn element() -> PoolElement {
    PoolElement {
        id: ID,
        home: REGISTRAR,
        life: Life(90_000),
        user: Transport::sctp(4711, TransportUse::DATA_PLUS_CONTROL, ["10.1.1.2".parse().unwrap(), "2001:db8::5".parse().unwrap()]),
        policy: PolicyParam::WeightedRoundRobin { weight: 7 },
        asap: None,
    }
}

/// RSPLIB counts the padding of the last parameter in the message length.
const RSPLIB: EncodeOptions = EncodeOptions { count_padding: true };

#[track_caller]
fn both_ways(bytes: &str, message: &AsapMessage) {
    let bytes = hex(bytes);
    assert_eq!(hex_of(&message.encode(RSPLIB).unwrap()), hex_of(&bytes));
    let decoded = AsapMessage::decode(&bytes).unwrap();
    assert_eq!(&decoded.message, message);
    assert!(decoded.reports.is_empty());
    assert_eq!(hex_of(&message.encode(decoded.options).unwrap()), hex_of(&bytes));
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn registration() {
    let m = AsapMessage::Registration { handle: handle(), element: element() };
    both_ways(&format!("01000050 {PH} {PE}"), &m);
}

#[test]
fn element_with_asap_transport() {
    let asap = Transport::sctp(50_000, TransportUse::DATA, ["10.1.1.2".parse().unwrap()]);
    let m = AsapMessage::Registration { handle: handle(), element: PoolElement { asap: Some(asap), ..element() } };
    let pe = PE.replacen("000a0040", "000a0050", 1);
    both_ways(&format!("01000060 {PH} {pe} 00040010c3500000000100080a010102"), &m);
}

#[test]
fn registration_response() {
    let ok = AsapMessage::RegistrationResponse { reject: false, handle: handle(), id: ID, error: None };
    both_ways(&format!("03000018 {PH} 000e000811223344"), &ok);
    let error = Some(CauseCode::INCONSISTENT_POLICY.into());
    let reject = AsapMessage::RegistrationResponse { reject: true, handle: handle(), id: ID, error };
    both_ways(&format!("03010020 {PH} 000e000811223344 000c000800050004"), &reject);
}

#[test]
fn deregistration() {
    both_ways(&format!("02000018 {PH} 000e000811223344"), &AsapMessage::Deregistration { handle: handle(), id: ID });
    let response = AsapMessage::DeregistrationResponse { handle: handle(), id: ID, error: None };
    both_ways(&format!("04000018 {PH} 000e000811223344"), &response);
}

#[test]
fn handle_resolution() {
    let plain = AsapMessage::HandleResolution { subscribe: false, handle: handle(), items: None };
    both_ways(&format!("05000010 {PH}"), &plain);
    let one = AsapMessage::HandleResolution { subscribe: false, handle: handle(), items: Some(1) };
    both_ways(&format!("05000018 {PH} 803f000800000001"), &one);
}

#[test]
fn handle_resolution_response() {
    let found = AsapMessage::HandleResolutionResponse {
        subscribed: false,
        handle: handle(),
        policy: Some(PolicyParam::WeightedRoundRobin { weight: 7 }),
        elements: vec![element()],
        error: None,
    };
    both_ways(&format!("0600005c {PH} 0008000c0000000200000007 {PE}"), &found);
    let unknown = AsapMessage::HandleResolutionResponse {
        subscribed: false,
        handle: handle(),
        policy: None,
        elements: Vec::new(),
        error: Some(CauseCode::UNKNOWN_POOL_HANDLE.into()),
    };
    both_ways(&format!("06000018 {PH} 000c000800090004"), &unknown);
}

#[test]
fn keep_alive() {
    let ka = AsapMessage::KeepAlive { new_home: true, registrar: REGISTRAR, handle: handle(), id: Some(ID) };
    both_ways(&format!("0701001caabbccdd {PH} 000e000811223344"), &ka);
    both_ways(&format!("08000018 {PH} 000e000811223344"), &AsapMessage::KeepAliveAck { handle: handle(), id: ID });
    both_ways(&format!("09000018 {PH} 000e000811223344"), &AsapMessage::Unreachable { handle: handle(), id: ID });
}

#[test]
fn announce() {
    both_ways("0a000008aabbccdd", &AsapMessage::ServerAnnounce { registrar: REGISTRAR, transports: Vec::new() });
}

#[test]
fn cookies() {
    let cookie = bytes::Bytes::from_static(b"abcde");
    both_ways("0b000010 000d00096162636465000000", &AsapMessage::Cookie(cookie.clone()));
    both_ways("0c000010 000d00096162636465000000", &AsapMessage::CookieEcho(cookie.clone()));
    // The RFC's length leaves the last padding out.
    let rfc = AsapMessage::Cookie(cookie).encode(EncodeOptions::default()).unwrap();
    assert_eq!(hex_of(&rfc), "0b00000d000d00096162636465000000");
    assert!(!AsapMessage::decode(&rfc).unwrap().options.count_padding);
    // Without the padding it is understood as well.
    assert!(AsapMessage::decode(&rfc[..13]).is_ok());
}

#[test]
fn error() {
    let cause = ErrorCause { code: CauseCode::UNRECOGNIZED_PARAMETER, data: hex("407700060102") };
    both_ways("0e000014 000c000e 0001000a 4077000601020000", &AsapMessage::Error(cause.into()));
}

#[test]
fn unreserved_transports() {
    let tail = "0008000800000001";
    for (protocol, kind) in [(Protocol::Tcp, "0005"), (Protocol::Udp, "0006"), (Protocol::UdpLite, "0007")] {
        let user = Transport::single(protocol, "10.1.1.2:80".parse().unwrap());
        let e = PoolElement { user, policy: PolicyParam::RoundRobin {}, ..element() };
        let bytes = format!("01000038 {PH} 000a002811223344aabbccdd00015f90 {kind}001000500000000100080a010102 {tail}");
        both_ways(&bytes, &AsapMessage::Registration { handle: handle(), element: e });
    }
    let user = Transport::single(Protocol::Dccp { service: 0x6563_686f }, "10.1.1.2:80".parse().unwrap());
    let e = PoolElement { user, policy: PolicyParam::RoundRobin {}, ..element() };
    let bytes = format!("0100003c {PH} 000a002c11223344aabbccdd00015f90 00030014005000006563686f000100080a010102 {tail}");
    both_ways(&bytes, &AsapMessage::Registration { handle: handle(), element: e });
}

#[test]
fn policies_on_the_wire() {
    let values = [9, 8, 7, 6];
    for name in PolicyParam::NAMES {
        let policy = (0..=4).find_map(|n| PolicyParam::from_name(name, &values[..n])).unwrap();
        let e = PoolElement { policy: policy.clone(), ..element() };
        let bytes = AsapMessage::Registration { handle: handle(), element: e.clone() }.encode(RSPLIB).unwrap();
        let AsapMessage::Registration { element, .. } = AsapMessage::decode(&bytes).unwrap().message else { panic!() };
        assert_eq!(element, e);
        // A policy parameter may be longer than what we know of it, but not shorter.
        let mut long = policy.to_param();
        long.extend_from_slice(&[0; 4]);
        long[3] += 4;
        let Ok(d) = AsapMessage::decode(&hr_response(&long)) else { panic!("{name}") };
        assert!(matches!(d.message, AsapMessage::HandleResolutionResponse { policy: Some(p), .. } if p == policy));
        if !policy.values().is_empty() {
            let mut short = policy.to_param();
            short.truncate(short.len() - 4);
            short[3] -= 4;
            assert_eq!(AsapMessage::decode(&hr_response(&short)).unwrap_err().kind, DecodeErrorKind::Invalid(param::kind::POLICY));
        }
    }
}

fn hr_response(params: &[u8]) -> Vec<u8> {
    let mut bytes = hex(&format!("06000000 {PH}"));
    bytes.extend_from_slice(params);
    let len = u16::try_from(bytes.len()).unwrap();
    bytes[2..4].copy_from_slice(&len.to_be_bytes());
    bytes
}

#[test]
fn policy_without_codec_is_kept() {
    let m = AsapMessage::decode(&hr_response(&hex("0008000c b000300400000001"))).unwrap().message;
    let other = PolicyParam::Other { number: 0xb000_3004, values: vec![0, 0, 0, 1] };
    assert!(matches!(m, AsapMessage::HandleResolutionResponse { policy: Some(p), .. } if p == other));
}

/// What a malformed request is answered with; the requests are those of the recorded hand-made ones.
#[track_caller]
fn refused(bytes: &str, kind: DecodeErrorKind, answer: Option<&str>) {
    let bytes = hex(bytes);
    let error = AsapMessage::decode(&bytes).unwrap_err();
    assert_eq!(error.kind, kind);
    let report = error.to_report(&bytes).map(|e| AsapMessage::Error(e).encode(EncodeOptions::default()).unwrap());
    assert_eq!(report.map(|b| hex_of(&b)), answer.map(|a| hex_of(&hex(a))));
}

#[test]
fn malformed_requests() {
    use DecodeErrorKind as K;
    use param::kind;
    let invalid = Some("0e00000c 000c0008 00030004");
    refused("05000004", K::Missing(kind::POOL_HANDLE), invalid);
    refused("01000004", K::Missing(kind::POOL_HANDLE), invalid);
    refused("05000040 0009000c4563686f506f6f6c", K::Truncated, invalid);
    refused("05000003", K::Truncated, invalid);
    refused("050000", K::Truncated, invalid);
    refused("", K::Truncated, invalid);
    refused("05000010 000900ff4563686f506f6f6c", K::BadLength, invalid);
    refused("05000010 000900034563686f506f6f6c", K::BadLength, invalid);
    refused("05000008 00090004", K::Invalid(kind::POOL_HANDLE), Some("0e000010 000c000c 00030008 00090004"));
    refused(&format!("0500001c {PH} {PH}"), K::Unexpected(kind::POOL_HANDLE), Some(&format!("0e000018 000c0014 00030010 {PH}")));
    refused(&format!("02000010 {PH}"), K::Missing(kind::ELEMENT_ID), invalid);
    refused("7f000004", K::UnknownMessage(0x7f), Some("0e000010 000c000c 00020008 7f000004"));
    refused("3f000004", K::UnknownMessage(0x3f), None);
    refused("ff000004", K::UnknownMessage(0xff), None);
    refused("00000004", K::UnknownMessage(0), None);
}

#[test]
fn unknown_parameters() {
    use DecodeErrorKind as K;
    refused(&format!("05000018 {PH} 7fff0008aabbccdd"), K::UnknownParameter(0x7fff), Some("0e000014 000c0010 0001000c 7fff0008aabbccdd"));
    refused(&format!("05000018 {PH} 3fff0008aabbccdd"), K::UnknownParameter(0x3fff), None);
    let resolution = AsapMessage::HandleResolution { subscribe: false, handle: handle(), items: None };
    let skip = AsapMessage::decode(&hex(&format!("05000018 bfff0007aabbcc00 {PH}"))).unwrap();
    assert_eq!((skip.message, skip.reports.len()), (resolution.clone(), 0));
    let report = AsapMessage::decode(&hex(&format!("05000018 {PH} ffff0008aabbccdd"))).unwrap();
    assert_eq!((report.message, report.reports), (resolution, vec![hex("ffff0008aabbccdd")]));
}

#[test]
fn transports_are_checked() {
    use DecodeErrorKind as K;
    use param::kind;
    let registration = |transport: &str| {
        let mut pe = hex("000a000011223344aabbccdd00015f90");
        pe.extend(hex(transport));
        pe.extend(hex("0008000800000001"));
        let len = u16::try_from(pe.len()).unwrap();
        pe[2..4].copy_from_slice(&len.to_be_bytes());
        let mut bytes = hex(&format!("01000000 {PH}"));
        bytes.extend(pe);
        let len = u16::try_from(bytes.len()).unwrap();
        bytes[2..4].copy_from_slice(&len.to_be_bytes());
        AsapMessage::decode(&bytes).map_err(|e| e.kind)
    };
    assert_eq!(registration("0004000812670000"), Err(K::Invalid(kind::SCTP)), "no address");
    assert_eq!(registration("00040006 12670000"), Err(K::Invalid(kind::SCTP)), "cut");
    assert_eq!(registration("00040011 12670000 000100090a01010200 000000"), Err(K::Invalid(kind::IPV4)));
    assert_eq!(registration("00050018 12670000 000100080a010102 000100080a010103"), Err(K::Invalid(kind::TCP)), "two");
    let addresses = |n: usize| {
        let len = 8 + 8 * n;
        format!("0004{len:04x}12670000{}", "000100080a010102".repeat(n))
    };
    assert!(registration(&addresses(64)).is_ok());
    assert_eq!(registration(&addresses(65)), Err(K::Invalid(kind::SCTP)));
    assert!(registration("0010000aaabbccddeeff0000").is_ok(), "opaque");
    // Loopback addresses are a matter of the registrar, not of the codec.
    assert!(registration("0004001012670001000100087f000001").is_ok());
}

#[test]
fn too_long_to_encode() {
    let m = AsapMessage::Cookie(vec![0; 65_528].into());
    assert_eq!(m.encode(RSPLIB), Err(EncodeError { len: 65_536 }));
    assert!(m.encode(EncodeOptions::default()).is_err());
    assert!(AsapMessage::Cookie(vec![0; 65_527].into()).encode(EncodeOptions::default()).is_ok());
}

#[test]
fn one_line_each() {
    let m = AsapMessage::Registration { handle: handle(), element: element() };
    assert_eq!(
        m.to_string(),
        "ASAP Registration \"EchoPool\" PE 0x11223344 home 0xaabbccdd life 90000 \
         SCTP port 4711 at 10.1.1.2,2001:db8::5 +control WeightedRoundRobin(weight 7)"
    );
    let m = AsapMessage::Error(CauseCode::UNKNOWN_POOL_HANDLE.into());
    assert_eq!(m.to_string(), "ASAP Error: unknown pool handle");
}

/// Messages captured from RSPLIB: understood, and written again to the same bytes.
#[test]
fn captured_messages() {
    let (mut understood, mut refused) = (0, Vec::new());
    for line in include_str!("testdata/asap-captured.txt").lines().filter(|l| !l.starts_with('#')) {
        let bytes = hex(line);
        match AsapMessage::decode(&bytes) {
            Ok(d) => {
                understood += 1;
                let with_unknown = line.contains("bfff0008") || line.contains("ffff0008");
                assert_eq!(hex_of(&d.message.encode(d.options).unwrap()) == line, !with_unknown, "{line}");
            }
            Err(_) => refused.push(line),
        }
    }
    // Exactly those that were made by hand to be refused.
    let handle = "0009000c4563686f506f6f6c";
    let expected = [
        "05000004".to_owned(),
        "7f000004".to_owned(),
        "01000004".to_owned(),
        format!("05000018{handle}7fff0008aabbccdd"),
        format!("05000018{handle}3fff0008aabbccdd"),
        format!("05000040{handle}"),
        "05000010000900ff4563686f506f6f6c".to_owned(),
    ];
    assert_eq!(refused, expected);
    assert_eq!(understood, 197);
}
