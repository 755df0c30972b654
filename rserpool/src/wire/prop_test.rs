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

fn message() -> impl Strategy<Value = AsapMessage> {
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

proptest! {
    #[test]
    fn round_trip(message in message(), count_padding: bool) {
        let bytes = message.encode(EncodeOptions { count_padding }).unwrap();
        prop_assert_eq!(bytes.len() % 4, 0);
        let decoded = AsapMessage::decode(&bytes).unwrap();
        prop_assert_eq!(&decoded.message, &message);
        prop_assert_eq!(decoded.message.encode(decoded.options).unwrap(), bytes);
        prop_assert!(!message.to_string().contains('\n'));
    }

    /// Bytes that differ a little from a message: decoded without panic, and what is accepted survives another round.
    #[test]
    fn damaged(message in message(), at: prop::sample::Index, value: u8, cut: prop::sample::Index) {
        let mut bytes = message.encode(EncodeOptions::default()).unwrap();
        let i = at.index(bytes.len());
        bytes[i] = value;
        bytes.truncate(cut.index(bytes.len() + 1).max(1));
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
    fn noise(bytes in vec(any::<u8>(), 0..200)) {
        let _ = AsapMessage::decode(&bytes);
    }
}
