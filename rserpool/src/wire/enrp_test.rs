//! ENRP's vectors recorded from RSPLIB 3.5.10's encoder, in both directions, and messages that must be refused.

use super::*;

const PH: &str = "0009000c4563686f506f6f6c";
/// The element with its ASAP transport, as it travels between registrars.
const PE: &str = "000a005011223344aabbccdd00015f90 00040024 12670001 000100080a010102 0002001420010db8000000000000000000000005 \
     0008000c0000000200000007 00040010c3500000000100080a010102";
/// Sender and receiver.
const IDS: &str = "aabbccdd01020304";

const SENDER: RegistrarId = RegistrarId(0xaabb_ccdd);
const RECEIVER: RegistrarId = RegistrarId(0x0102_0304);
const TARGET: RegistrarId = RegistrarId(0x5566_7788);

fn hex(s: &str) -> Vec<u8> {
    let digits: Vec<u8> = s.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|d| u8::from_str_radix(core::str::from_utf8(d).unwrap(), 16).unwrap()).collect()
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn echo_pool() -> PoolHandle {
    PoolHandle::new("EchoPool").unwrap()
}

fn element() -> PoolElement {
    let addrs = ["10.1.1.2".parse().unwrap(), "2001:db8::5".parse().unwrap()];
    PoolElement {
        id: ElementId(0x1122_3344),
        home: SENDER,
        life: Life(90_000),
        user: Transport::sctp(4711, TransportUse::DATA_PLUS_CONTROL, addrs),
        policy: PolicyParam::WeightedRoundRobin { weight: 7 },
        asap: Some(Transport::sctp(50_000, TransportUse::DATA, ["10.1.1.2".parse().unwrap()])),
    }
}

fn server(id: RegistrarId, addrs: &[&str]) -> ServerInformation {
    let addrs = addrs.iter().map(|a| a.parse().unwrap());
    ServerInformation { id, transport: Transport::sctp(ENRP_PORT, TransportUse::DATA, addrs) }
}

/// RSPLIB counts the padding of the last parameter in the message length.
const RSPLIB: EncodeOptions = EncodeOptions { count_padding: true };

#[track_caller]
fn both_ways(bytes: &str, message: &EnrpMessage) {
    let bytes = hex(bytes);
    assert_eq!(hex_of(&message.encode(RSPLIB).unwrap()), hex_of(&bytes));
    let decoded = EnrpMessage::decode(&bytes).unwrap();
    assert_eq!(&decoded.message, message);
    assert!(decoded.reports.is_empty());
    assert_eq!(hex_of(&message.encode(decoded.options).unwrap()), hex_of(&bytes));
    assert_eq!((message.sender(), message.receiver()), (SENDER, RECEIVER));
    assert_eq!(EnrpMessage::sender_of(&bytes), Some(SENDER));
}

#[test]
fn presence() {
    let full = EnrpMessage::Presence {
        sender: SENDER,
        receiver: RECEIVER,
        reply_required: true,
        checksum: Some(0x9c8a),
        server: Some(server(SENDER, &["10.1.1.1", "2001:db8::1"])),
    };
    both_ways(
        &format!(
            "01010040 {IDS} 000f00069c8a0000 000b002caabbccdd 0004002426ad0000 000100080a010101 0002001420010db8000000000000000000000001"
        ),
        &full,
    );
    // Both parameters are a matter of the registrar, not of the codec (RFC 5353 section 2.1).
    let bare = EnrpMessage::Presence { sender: SENDER, receiver: RECEIVER, reply_required: false, checksum: None, server: None };
    both_ways(&format!("0100000c {IDS}"), &bare);
    let checksum =
        EnrpMessage::Presence { sender: SENDER, receiver: RECEIVER, reply_required: false, checksum: Some(0xffff), server: None };
    both_ways(&format!("01000014 {IDS} 000f0006ffff0000"), &checksum);
    // The RFC's length leaves the last padding out.
    assert_eq!(hex_of(&checksum.encode(EncodeOptions::default()).unwrap()), format!("01000012{IDS}000f0006ffff0000"));
}

#[test]
fn lists() {
    both_ways(&format!("0500000c {IDS}"), &EnrpMessage::ListRequest { sender: SENDER, receiver: RECEIVER });
    let servers = vec![server(RECEIVER, &["10.1.1.9"])];
    let one = EnrpMessage::ListResponse { sender: SENDER, receiver: RECEIVER, reject: false, servers };
    both_ways(&format!("06000024 {IDS} 000b0018010203040004001026ad0000000100080a010109"), &one);
    let none = EnrpMessage::ListResponse { sender: SENDER, receiver: RECEIVER, reject: true, servers: Vec::new() };
    both_ways(&format!("0601000c {IDS}"), &none);
}

#[test]
fn handle_tables() {
    for (flags, own_only) in [("00", false), ("01", true)] {
        let request = EnrpMessage::HandleTableRequest { sender: SENDER, receiver: RECEIVER, own_only };
        both_ways(&format!("02{flags}000c {IDS}"), &request);
    }
    let response = |reject, more, pools| EnrpMessage::HandleTableResponse { sender: SENDER, receiver: RECEIVER, reject, more, pools };
    let odd_element = PoolElement { id: ElementId(0xfffe_fdfc), ..element() };
    let odd = (PoolHandle::new("Odd").unwrap(), vec![odd_element]);
    let odd_pe = PE.replacen("11223344", "fffefdfc", 1);
    both_ways(&format!("03020064 {IDS} 000900074f646400 {odd_pe}"), &response(false, true, vec![odd.clone()]));
    let echo = (echo_pool(), vec![element()]);
    both_ways(&format!("03020068 {IDS} {PH} {PE}"), &response(false, true, vec![echo]));
    let two = vec![odd, (echo_pool(), vec![element(), element()])];
    both_ways(&format!("03000110 {IDS} 000900074f646400 {odd_pe} {PH} {PE} {PE}"), &response(false, false, two));
    both_ways(&format!("0301000c {IDS}"), &response(true, false, Vec::new()));
    both_ways(&format!("0300000c {IDS}"), &response(false, false, Vec::new()));
}

#[test]
fn handle_updates() {
    for (action, number) in [(UpdateAction::Add, "0000"), (UpdateAction::Delete, "0001")] {
        for (flags, takeover_suggested) in [("00", false), ("01", true)] {
            let handle = echo_pool();
            let update =
                EnrpMessage::HandleUpdate { sender: SENDER, receiver: RECEIVER, action, takeover_suggested, handle, element: element() };
            both_ways(&format!("04{flags}006c {IDS} {number}0000 {PH} {PE}"), &update);
        }
    }
    // What is reserved is ignored.
    assert!(EnrpMessage::decode(&hex(&format!("0400006c {IDS} 0000ffff {PH} {PE}"))).is_ok());
}

#[test]
fn takeovers() {
    let (sender, receiver, target) = (SENDER, RECEIVER, TARGET);
    both_ways(&format!("07000010 {IDS} 55667788"), &EnrpMessage::InitTakeover { sender, receiver, target });
    both_ways(&format!("08000010 {IDS} 55667788"), &EnrpMessage::InitTakeoverAck { sender, receiver, target });
    both_ways(&format!("09000010 {IDS} 55667788"), &EnrpMessage::TakeoverServer { sender, receiver, target });
}

#[test]
fn error() {
    let error = EnrpMessage::Error { sender: SENDER, receiver: RECEIVER, error: CauseCode::RSPLIB_INVALID_MESSAGE.into() };
    both_ways(&format!("0a000014 {IDS} 000c000800100004"), &error);
    // RSPLIB reads one cause; the RFC allows several.
    let causes = vec![
        ErrorCause { code: CauseCode::UNRECOGNIZED_PARAMETER, data: hex("c07700050100") },
        ErrorCause::from(CauseCode::LACK_OF_RESOURCES),
    ];
    let error = EnrpMessage::Error { sender: SENDER, receiver: RECEIVER, error: OperationError { causes } };
    both_ways(&format!("0a000020 {IDS} 000c0014 0001000a c077000501000000 00060004"), &error);
}

/// What a malformed message is answered with.
#[track_caller]
fn refused(bytes: &str, kind: DecodeErrorKind, cause: Option<&str>) {
    let bytes = hex(bytes);
    let error = EnrpMessage::decode(&bytes).unwrap_err();
    assert_eq!(error.kind, kind);
    assert!(!error.to_string().is_empty());
    let answer = error.to_report(&bytes).map(|error| EnrpMessage::Error { sender: SENDER, receiver: RECEIVER, error });
    let answer = answer.map(|m| hex_of(&m.encode(EncodeOptions::default()).unwrap()[12..]));
    assert_eq!(answer, cause.map(|c| hex_of(&hex(c))));
}

#[test]
fn malformed_messages() {
    use DecodeErrorKind as K;
    use param::kind;
    let invalid = Some("000c0008 00030004");
    refused("", K::Truncated, invalid);
    refused("05000004", K::Truncated, invalid);
    refused("05000008 aabbccdd", K::Truncated, invalid);
    refused(&format!("01000040 {IDS}"), K::Truncated, invalid);
    refused(&format!("07000004 {IDS} 55667788"), K::Truncated, invalid);
    refused(&format!("0700000c {IDS}"), K::Truncated, invalid);
    refused(&format!("0400000c {IDS}"), K::Truncated, invalid);
    refused(&format!("04000010 {IDS} 00000000"), K::Missing(kind::POOL_HANDLE), invalid);
    refused(&format!("0400001c {IDS} 00000000 {PH}"), K::Missing(kind::POOL_ELEMENT), invalid);
    refused(&format!("0400006c {IDS} 00020000 {PH} {PE}"), K::UnknownAction(2), invalid);
    refused(
        &format!("040000bc {IDS} 00000000 {PH} {PE} {PE}"),
        K::Unexpected(kind::POOL_ELEMENT),
        Some(&format!("000c0058 00030054 {PE}")),
    );
    refused(
        &format!("040000c8 {IDS} 00000000 {PH} {PE} {PH} {PE}"),
        K::Unexpected(kind::POOL_HANDLE),
        Some(&format!("000c0014 00030010 {PH}")),
    );
    refused(&format!("0300005c {IDS} {PE}"), K::Missing(kind::POOL_HANDLE), invalid);
    refused(&format!("03000018 {IDS} {PH}"), K::Missing(kind::POOL_ELEMENT), invalid);
    refused(&format!("03000074 {IDS} {PH} {PE} {PH}"), K::Missing(kind::POOL_ELEMENT), invalid);
    refused(&format!("03000074 {IDS} {PH} {PH} {PE}"), K::Missing(kind::POOL_ELEMENT), invalid);
    refused(&format!("0a00000c {IDS}"), K::Missing(kind::ERROR), invalid);
    refused(&format!("05000018 {IDS} {PH}"), K::Unexpected(kind::POOL_HANDLE), Some(&format!("000c0014 00030010 {PH}")));
    refused(&format!("01000018 {IDS} 000f0008ffff0000 00000000"), K::Invalid(kind::CHECKSUM), Some("000c0010 0003000c 000f0008ffff0000"));
    refused("7f000004", K::UnknownMessage(0x7f), Some("000c000c 00020008 7f000004"));
    refused("0b000004", K::UnknownMessage(0x0b), None);
    refused("00000004", K::UnknownMessage(0), None);
}

#[test]
fn server_information_is_checked() {
    use DecodeErrorKind as K;
    use param::kind;
    let list = |server: &str| {
        let mut bytes = hex(&format!("06000000 {IDS} {server}"));
        let len = u16::try_from(bytes.len()).unwrap();
        bytes[2..4].copy_from_slice(&len.to_be_bytes());
        EnrpMessage::decode(&bytes).map_err(|e| e.kind)
    };
    assert_eq!(list("000b0004"), Err(K::Invalid(kind::SERVER_INFORMATION)));
    assert_eq!(list("000b0008 01020304"), Err(K::Missing(kind::SCTP)));
    assert_eq!(list("000b0018 01020304 0005001026ad0000000100080a010109"), Err(K::Unexpected(kind::TCP)));
    assert_eq!(list("000b0010 01020304 0004000826ad0000"), Err(K::Invalid(kind::SCTP)), "no address");
    // A static peer that was not heard yet has no identifier.
    assert!(list("000b0018 00000000 0004001026ad0000000100080a010109").is_ok());
    // Loopback addresses are a matter of the registrar, not of the codec.
    assert!(list("000b0018 01020304 0004001026ad0000000100087f000001").is_ok());
}

#[test]
fn unknown_parameters() {
    use DecodeErrorKind as K;
    refused(&format!("05000014 {IDS} 7fff0008aabbccdd"), K::UnknownParameter(0x7fff), Some("000c0010 0001000c 7fff0008aabbccdd"));
    refused(&format!("05000014 {IDS} 3fff0008aabbccdd"), K::UnknownParameter(0x3fff), None);
    let request = EnrpMessage::ListRequest { sender: SENDER, receiver: RECEIVER };
    let skip = EnrpMessage::decode(&hex(&format!("05000014 {IDS} bfff0007aabbcc00"))).unwrap();
    assert_eq!((skip.message, skip.reports.len()), (request.clone(), 0));
    let report = EnrpMessage::decode(&hex(&format!("05000014 {IDS} ffff0008aabbccdd"))).unwrap();
    assert_eq!((report.message, report.reports), (request, vec![hex("ffff0008aabbccdd")]));
}

#[test]
fn one_line_each() {
    let m = EnrpMessage::HandleUpdate {
        sender: SENDER,
        receiver: RECEIVER,
        action: UpdateAction::Delete,
        takeover_suggested: false,
        handle: echo_pool(),
        element: element(),
    };
    assert_eq!(
        m.to_string(),
        "ENRP Handle Update from 0xaabbccdd to 0x01020304 delete \"EchoPool\" PE 0x11223344 home 0xaabbccdd life 90000 \
         SCTP port 4711 at 10.1.1.2,2001:db8::5 +control WeightedRoundRobin(weight 7) asap SCTP port 50000 at 10.1.1.2"
    );
    let server = Some(server(SENDER, &["10.1.1.1"]));
    let m = EnrpMessage::Presence { sender: SENDER, receiver: RECEIVER, reply_required: true, checksum: Some(0x9c8a), server };
    assert_eq!(
        m.to_string(),
        "ENRP Presence [R] from 0xaabbccdd to 0x01020304 checksum 0x9c8a; registrar 0xaabbccdd SCTP port 9901 at 10.1.1.1"
    );
}
