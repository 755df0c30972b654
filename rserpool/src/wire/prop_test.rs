//! Whatever is encoded is decoded to the same, and no bytes whatsoever disturb the decoder.

use std::net::IpAddr;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

fn transport() -> impl Strategy<Value = Transport> {
    let one = |p: Protocol| {
        (any::<u16>(), any::<IpAddr>()).prop_map(move |(port, addr)| Transport {
            protocol: p.clone(),
            port,
            usage: TransportUse::DATA,
            addrs: vec![addr],
        })
    };
    prop_oneof![
        (any::<u16>(), any::<u16>(), vec(any::<IpAddr>(), 1..=MAX_ADDRESSES)).prop_map(|(port, usage, addrs)| Transport {
            protocol: Protocol::Sctp,
            port,
            usage: TransportUse(usage),
            addrs
        }),
        one(Protocol::Tcp),
        one(Protocol::Udp),
        one(Protocol::UdpLite),
        (any::<u32>()).prop_flat_map(move |service| one(Protocol::Dccp { service })),
        vec(any::<u8>(), 0..20).prop_map(|v| Transport {
            protocol: Protocol::Opaque(v),
            port: 0,
            usage: TransportUse::DATA,
            addrs: Vec::new()
        }),
    ]
}

fn sctp_transport() -> impl Strategy<Value = Transport> {
    (any::<u16>(), vec(any::<IpAddr>(), 1..4)).prop_map(|(port, addrs)| Transport {
        protocol: Protocol::Sctp,
        port,
        usage: TransportUse::DATA,
        addrs,
    })
}

fn policy() -> impl Strategy<Value = PolicyParam> {
    prop_oneof![
        (0..PolicyParam::NAMES.len(), any::<[u32; 4]>())
            .prop_map(|(i, v)| { (0..=4).find_map(|n| PolicyParam::from_name(PolicyParam::NAMES[i], &v[..n])).unwrap() }),
        vec(any::<u8>(), 0..9).prop_map(|values| PolicyParam::Other { number: 0x7000_0000, values }),
    ]
}

fn element() -> impl Strategy<Value = PoolElement> {
    (any::<[u32; 3]>(), transport(), policy(), option::of(sctp_transport())).prop_map(|([id, home, life], user, policy, asap)| {
        PoolElement { id: ElementId(id), home: RegistrarId(home), life: Life(life), user, policy, asap }
    })
}

fn handle() -> impl Strategy<Value = PoolHandle> {
    vec(any::<u8>(), 1..=32).prop_map(|b| PoolHandle::new(b).unwrap())
}

fn error() -> impl Strategy<Value = OperationError> {
    vec((any::<u16>(), vec(any::<u8>(), 0..12)), 1..3).prop_map(|causes| OperationError {
        causes: causes.into_iter().map(|(code, data)| ErrorCause { code: CauseCode(code), data }).collect(),
    })
}

fn server() -> impl Strategy<Value = ServerInformation> {
    (any::<u32>(), sctp_transport()).prop_map(|(id, transport)| ServerInformation { id: RegistrarId(id), transport })
}

fn asap() -> impl Strategy<Value = AsapMessage> {
    let id = || any::<u32>().prop_map(ElementId);
    prop_oneof![
        (handle(), element()).prop_map(|(handle, element)| AsapMessage::Registration { handle, element }),
        (handle(), id()).prop_map(|(handle, id)| AsapMessage::Deregistration { handle, id }),
        (any::<bool>(), handle(), id(), option::of(error())).prop_map(|(reject, handle, id, error)| AsapMessage::RegistrationResponse {
            reject,
            handle,
            id,
            error
        }),
        (handle(), id(), option::of(error())).prop_map(|(handle, id, error)| AsapMessage::DeregistrationResponse { handle, id, error }),
        (any::<bool>(), handle(), option::of(any::<u32>())).prop_map(|(subscribe, handle, items)| AsapMessage::HandleResolution {
            subscribe,
            handle,
            items
        }),
        (any::<bool>(), handle(), option::of(policy()), vec(element(), 0..4), option::of(error())).prop_map(
            |(subscribed, handle, policy, elements, error)| AsapMessage::HandleResolutionResponse {
                subscribed,
                handle,
                policy,
                elements,
                error
            }
        ),
        (any::<bool>(), any::<u32>(), handle(), option::of(id()))
            .prop_map(|(new_home, r, handle, id)| { AsapMessage::KeepAlive { new_home, registrar: RegistrarId(r), handle, id } }),
        (handle(), id()).prop_map(|(handle, id)| AsapMessage::KeepAliveAck { handle, id }),
        (handle(), id()).prop_map(|(handle, id)| AsapMessage::Unreachable { handle, id }),
        (any::<u32>(), vec(sctp_transport(), 0..3))
            .prop_map(|(r, transports)| AsapMessage::ServerAnnounce { registrar: RegistrarId(r), transports }),
        vec(any::<u8>(), 0..64).prop_map(|b| AsapMessage::Cookie(b.into())),
        vec(any::<u8>(), 0..64).prop_map(|b| AsapMessage::CookieEcho(b.into())),
        (handle(), option::of(policy()), vec(element(), 0..3)).prop_map(|(handle, policy, elements)| AsapMessage::BusinessCard {
            handle,
            policy,
            elements
        }),
        error().prop_map(AsapMessage::Error),
    ]
}

fn enrp() -> impl Strategy<Value = EnrpMessage> {
    let id = || any::<u32>().prop_map(RegistrarId);
    let ids = || (id(), id());
    let action = prop_oneof![Just(UpdateAction::Add), Just(UpdateAction::Delete)];
    prop_oneof![
        (ids(), any::<bool>(), any::<Option<u16>>(), option::of(server())).prop_map(
            |((sender, receiver), reply_required, checksum, server)| EnrpMessage::Presence {
                sender,
                receiver,
                reply_required,
                checksum,
                server
            }
        ),
        (ids(), any::<bool>()).prop_map(|((sender, receiver), own_only)| EnrpMessage::HandleTableRequest { sender, receiver, own_only }),
        (ids(), any::<[bool; 2]>(), vec((handle(), vec(element(), 1..4)), 0..4)).prop_map(|((sender, receiver), [reject, more], pools)| {
            EnrpMessage::HandleTableResponse { sender, receiver, reject, more, pools }
        }),
        (ids(), action, any::<bool>(), handle(), element()).prop_map(
            |((sender, receiver), action, takeover_suggested, handle, element)| EnrpMessage::HandleUpdate {
                sender,
                receiver,
                action,
                takeover_suggested,
                handle,
                element
            }
        ),
        ids().prop_map(|(sender, receiver)| EnrpMessage::ListRequest { sender, receiver }),
        (ids(), any::<bool>(), vec(server(), 0..4)).prop_map(|((sender, receiver), reject, servers)| EnrpMessage::ListResponse {
            sender,
            receiver,
            reject,
            servers
        }),
        (ids(), id()).prop_map(|((sender, receiver), target)| EnrpMessage::InitTakeover { sender, receiver, target }),
        (ids(), id()).prop_map(|((sender, receiver), target)| EnrpMessage::InitTakeoverAck { sender, receiver, target }),
        (ids(), id()).prop_map(|((sender, receiver), target)| EnrpMessage::TakeoverServer { sender, receiver, target }),
        (ids(), error()).prop_map(|((sender, receiver), error)| EnrpMessage::Error { sender, receiver, error }),
    ]
}

/// Changes one byte and cuts the end off.
fn damage(mut bytes: Vec<u8>, at: prop::sample::Index, value: u8, cut: prop::sample::Index) -> Vec<u8> {
    let i = at.index(bytes.len());
    bytes[i] = value;
    bytes.truncate(cut.index(bytes.len() + 1).max(1));
    bytes
}

/// Puts an unknown parameter of this type between two parameters, or behind the last one. Only fit for messages
/// without fixed fields.
fn with_unknown(message: &[u8], kind: u16, place: prop::sample::Index, value: &[u8]) -> Vec<u8> {
    let mut places = vec![4];
    let mut rest = &message[4..];
    while let [_, _, high, low, ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low])).next_multiple_of(4);
        rest = rest.get(len..).unwrap_or_default();
        places.push(message.len() - rest.len());
    }
    let mut param = Vec::new();
    param::ParamWriter::new(&mut param).param(kind, |w| w.bytes(value));
    param.resize(param.len().next_multiple_of(4), 0);
    let mut out = message.to_vec();
    let place = *place.get(&places);
    out.splice(place..place, param);
    let len = u16::try_from(out.len()).unwrap();
    out[2..4].copy_from_slice(&len.to_be_bytes());
    out
}

proptest! {
    #[test]
    fn asap_round_trip(message in asap(), count_padding: bool) {
        let bytes = message.encode(EncodeOptions { count_padding }).unwrap();
        prop_assert_eq!(bytes.len() % 4, 0);
        let decoded = AsapMessage::decode(&bytes).unwrap();
        prop_assert_eq!(&decoded.message, &message);
        prop_assert_eq!(decoded.message.encode(decoded.options).unwrap(), bytes);
        prop_assert!(!message.to_string().contains('\n'));
    }

    #[test]
    fn enrp_round_trip(message in enrp(), count_padding: bool) {
        let mut bytes = b"before".to_vec();
        message.encode_into(EncodeOptions { count_padding }, &mut bytes).unwrap();
        let bytes = &bytes[6..];
        prop_assert_eq!(bytes.len() % 4, 0);
        let decoded = EnrpMessage::decode(bytes).unwrap();
        prop_assert_eq!(&decoded.message, &message);
        prop_assert_eq!(decoded.message.encode(decoded.options).unwrap(), bytes);
        prop_assert_eq!(EnrpMessage::sender_of(bytes), Some(message.sender()));
        prop_assert!(!message.to_string().contains('\n'));
    }

    /// What is said about a parameter's length is what is written.
    #[test]
    fn lengths(element in element(), server in server()) {
        let mut out = Vec::new();
        let mut w = param::ParamWriter::new(&mut out);
        element.encode(&mut w);
        w.pad4();
        let after_element = w.len();
        server.encode(&mut w);
        w.pad4();
        prop_assert_eq!((element.encoded_len(), element.encoded_len() + server.encoded_len()), (after_element, w.len()));
    }

    /// Bytes that differ a little from a message: decoded without panic, and what is accepted survives another round.
    #[test]
    fn damaged_asap(message in asap(), at: prop::sample::Index, value: u8, cut: prop::sample::Index) {
        let bytes = damage(message.encode(EncodeOptions::default()).unwrap(), at, value, cut);
        match AsapMessage::decode(&bytes) {
            Ok(d) => {
                let again = d.message.encode(d.options).unwrap();
                prop_assert_eq!(AsapMessage::decode(&again).unwrap().message, d.message);
            }
            Err(e) => {
                prop_assert!(e.offset <= bytes.len());
                if let Some(report) = e.to_report(&bytes) {
                    prop_assert!(AsapMessage::Error(report).encode(EncodeOptions::default()).is_ok());
                }
            }
        }
    }

    #[test]
    fn damaged_enrp(message in enrp(), at: prop::sample::Index, value: u8, cut: prop::sample::Index) {
        let bytes = damage(message.encode(EncodeOptions::default()).unwrap(), at, value, cut);
        match EnrpMessage::decode(&bytes) {
            Ok(d) => {
                let again = d.message.encode(d.options).unwrap();
                prop_assert_eq!(EnrpMessage::decode(&again).unwrap().message, d.message);
            }
            Err(e) => {
                prop_assert!(e.offset <= bytes.len());
                if let Some(error) = e.to_report(&bytes) {
                    let answer = EnrpMessage::Error { sender: RegistrarId(1), receiver: RegistrarId(2), error };
                    prop_assert!(answer.encode(EncodeOptions::default()).is_ok());
                }
            }
        }
    }

    /// An unknown parameter stops, or is skipped, and is reported, by the two highest bits of its type, wherever it
    /// stands (RFC 5354 section 3).
    #[test]
    fn unknown_parameters_anywhere(
        m in asap().prop_filter("no fixed field", |m| !matches!(m, AsapMessage::KeepAlive { .. } | AsapMessage::ServerAnnounce { .. })),
        kind in any::<u16>().prop_filter("unknown", |k| k & 0x3fff > 0x003f),
        place: prop::sample::Index,
        value in vec(any::<u8>(), 0..8),
    ) {
        let bytes = with_unknown(&m.encode(EncodeOptions { count_padding: true }).unwrap(), kind, place, &value);
        let quoted = |code| {
            let mut data = Vec::new();
            param::ParamWriter::new(&mut data).param(kind, |w| w.bytes(&value));
            OperationError::from(ErrorCause { code, data })
        };
        match (kind >> 14, AsapMessage::decode(&bytes)) {
            (action @ (2 | 3), Ok(d)) => {
                prop_assert_eq!(d.message, m);
                let told = quoted(CauseCode::UNRECOGNIZED_PARAMETER).causes.remove(0).data;
                prop_assert_eq!(d.reports, if action == 3 { vec![told] } else { vec![] });
            }
            (action @ (0 | 1), Err(e)) => {
                prop_assert_eq!(e.kind, DecodeErrorKind::UnknownParameter(kind));
                let report = (action == 1).then(|| quoted(CauseCode::UNRECOGNIZED_PARAMETER));
                prop_assert_eq!(e.to_report(&bytes), report);
            }
            (action, other) => prop_assert!(false, "action {}: {:?}", action, other),
        }
    }

    #[test]
    fn noise(bytes in vec(any::<u8>(), 0..200)) {
        let _ = AsapMessage::decode(&bytes);
        let _ = EnrpMessage::decode(&bytes);
    }
}
