//! What decoding costs in memory: nothing for a view, a small multiple of the bytes for an owned message.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::hint::black_box;

use allocation_counter::measure;
use proptest::collection::vec;
use proptest::prelude::*;
use rserpool::wire::{
    AsapMessage, AsapView, CauseCode, ElementId, EncodeOptions, EnrpMessage, EnrpView, ErrorCause, Life, OperationError, PolicyParam,
    PoolElement, PoolHandle, RegistrarId, ServerInformation, Transport, TransportUse, UpdateAction,
};

fn handle() -> PoolHandle {
    PoolHandle::new("EchoPool").unwrap()
}

fn element(id: u32) -> PoolElement {
    let addrs = ["10.1.1.2".parse().unwrap(), "2001:db8::5".parse().unwrap()];
    PoolElement {
        id: ElementId(id),
        home: RegistrarId(7),
        life: Life(90_000),
        user: Transport::sctp(4711, TransportUse::DATA_PLUS_CONTROL, addrs),
        policy: PolicyParam::WeightedRoundRobin { weight: 7 },
        asap: Some(Transport::sctp(50_000, TransportUse::DATA, addrs)),
    }
}

fn server(id: u32) -> ServerInformation {
    let transport = Transport::sctp(9901, TransportUse::DATA, ["10.1.1.1".parse().unwrap(), "2001:db8::1".parse().unwrap()]);
    ServerInformation { id: RegistrarId(id), transport }
}

/// One message of each kind that matters; what repeats in it does so ten times.
fn asap() -> Vec<AsapMessage> {
    let elements: Vec<_> = (1..=10).map(element).collect();
    let error = OperationError {
        causes: vec![ErrorCause { code: CauseCode::INVALID_VALUES, data: vec![1; 20] }, CauseCode::LACK_OF_RESOURCES.into()],
    };
    vec![
        AsapMessage::Registration { handle: handle(), element: element(1) },
        AsapMessage::RegistrationResponse { reject: true, handle: handle(), id: ElementId(1), error: Some(error.clone()) },
        AsapMessage::HandleResolution { subscribe: true, handle: handle(), items: Some(10) },
        AsapMessage::HandleResolutionResponse {
            subscribed: true,
            handle: handle(),
            policy: Some(PolicyParam::WeightedRoundRobin { weight: 7 }),
            elements: elements.clone(),
            error: None,
        },
        AsapMessage::KeepAlive { new_home: true, registrar: RegistrarId(7), handle: handle(), id: Some(ElementId(1)) },
        AsapMessage::KeepAliveAck { handle: handle(), id: ElementId(1) },
        AsapMessage::ServerAnnounce { registrar: RegistrarId(7), transports: vec![server(1).transport; 10] },
        AsapMessage::Cookie(vec![5; 100].into()),
        AsapMessage::BusinessCard { handle: handle(), policy: None, elements },
        AsapMessage::Error(error),
    ]
}

fn enrp() -> Vec<EnrpMessage> {
    let (sender, receiver) = (RegistrarId(1), RegistrarId(2));
    vec![
        EnrpMessage::Presence { sender, receiver, reply_required: true, checksum: Some(1), server: Some(server(1)) },
        EnrpMessage::HandleTableRequest { sender, receiver, own_only: true },
        EnrpMessage::HandleTableResponse {
            sender,
            receiver,
            reject: false,
            more: true,
            pools: vec![(handle(), (1..=4).map(element).collect()), (handle(), (5..=10).map(element).collect())],
        },
        EnrpMessage::HandleUpdate {
            sender,
            receiver,
            action: UpdateAction::Add,
            takeover_suggested: false,
            handle: handle(),
            element: element(1),
        },
        EnrpMessage::ListResponse { sender, receiver, reject: false, servers: (1..=10).map(server).collect() },
        EnrpMessage::TakeoverServer { sender, receiver, target: RegistrarId(3) },
        EnrpMessage::Error { sender, receiver, error: CauseCode::INVALID_VALUES.into() },
    ]
}

/// Looks at every address of every element, so that nothing can be put off.
fn addresses_in(view: &AsapView<'_>) -> usize {
    match view {
        AsapView::Registration { element, .. } => element.user.addrs().chain(element.asap.iter().flat_map(|t| t.addrs())).count(),
        AsapView::HandleResolutionResponse { elements, .. } | AsapView::BusinessCard { elements, .. } => {
            elements.iter().map(|e| e.user.addrs().count() + e.asap.map_or(0, |t| t.addrs().count())).sum()
        }
        AsapView::ServerAnnounce { transports, .. } => transports.iter().map(|t| t.addrs().count()).sum(),
        _ => 0,
    }
}

fn addresses_of(view: &EnrpView<'_>) -> usize {
    match view {
        EnrpView::Presence { server, .. } => server.map_or(0, |s| s.transport.addrs().count()),
        EnrpView::HandleTableResponse { pools, .. } => {
            pools.iter().flat_map(|p| p.elements).map(|e| e.user.addrs().count() + e.asap.map_or(0, |t| t.addrs().count())).sum()
        }
        EnrpView::HandleUpdate { element, .. } => element.user.addrs().count(),
        EnrpView::ListResponse { servers, .. } => servers.iter().map(|s| s.transport.addrs().count()).sum(),
        _ => 0,
    }
}

#[test]
fn a_view_allocates_nothing() {
    let mut addresses = 0;
    for message in asap() {
        let bytes = message.encode(EncodeOptions::default()).unwrap();
        let cost = measure(|| addresses += black_box(addresses_in(&AsapView::decode(&bytes).unwrap().message)));
        assert_eq!(cost.count_total, 0, "{}", message.name());
        // A malformed one neither.
        let cost = measure(|| assert!(AsapView::decode(bytes.get(..bytes.len() - 4).unwrap()).is_err()));
        assert_eq!(cost.count_total, 0, "{}", message.name());
    }
    for message in enrp() {
        let bytes = message.encode(EncodeOptions::default()).unwrap();
        let cost = measure(|| addresses += black_box(addresses_of(&EnrpView::decode(&bytes).unwrap().message)));
        assert_eq!(cost.count_total, 0, "{}", message.name());
    }
    // 4 in a registration, 40 each in a response and a card, 20 in an announce; 2, 40, 2 and 20 in ENRP's.
    assert_eq!(addresses, 4 + 40 + 40 + 20 + 2 + 40 + 2 + 20);
}

#[test]
fn a_view_with_reports_allocates_nothing() {
    let mut bytes =
        AsapMessage::HandleResolution { subscribe: false, handle: handle(), items: None }.encode(EncodeOptions::default()).unwrap();
    for n in 0..20 {
        bytes.extend_from_slice(&[0xff, 0xf0, 0, 8, n, n, n, n]);
    }
    let len = u16::try_from(bytes.len()).unwrap();
    bytes.splice(2..4, len.to_be_bytes());
    let mut reports = 0;
    let cost = measure(|| reports = AsapView::decode(&bytes).unwrap().reports.iter().map(<[u8]>::len).sum());
    assert_eq!((cost.count_total, reports), (0, 8 * 8));
}

#[test]
fn encoding_into_a_used_buffer_allocates_nothing() {
    let mut out = Vec::with_capacity(4096);
    for message in asap() {
        out.clear();
        assert_eq!(measure(|| message.encode_into(EncodeOptions::default(), &mut out).unwrap()).count_total, 0, "{}", message.name());
    }
    for message in enrp() {
        out.clear();
        assert_eq!(measure(|| message.encode_into(EncodeOptions::default(), &mut out).unwrap()).count_total, 0, "{}", message.name());
    }
}

/// How much memory an owned message may take at most, for `len` bytes that came.
fn bound(len: usize) -> u64 {
    // The worst are error causes without data: 4 bytes become 32, in a list that grows by doubling.
    (32 * len + 1024) as u64
}

/// As many of the smallest items as fit into one message, which is where memory per byte is highest.
#[test]
fn the_worst_messages_take_a_small_multiple() {
    let body = |head: &[u8], item: &[u8]| {
        let mut bytes = head.to_vec();
        while bytes.len() + item.len() <= 65_532 {
            bytes.extend_from_slice(item);
        }
        let len = u16::try_from(bytes.len()).unwrap();
        bytes.splice(2..4, len.to_be_bytes());
        bytes
    };
    let mut causes = body(b"\x0e\0\0\0\0\x0c\xff\xf8", b"\0\x06\0\x04");
    let len = u16::try_from(causes.len() - 4).unwrap();
    causes.splice(6..8, len.to_be_bytes());
    // An element with an opaque transport of no bytes, and the policy round robin.
    let element = b"\0\x0a\0\x1c\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\x10\0\x04\0\x08\0\x08\0\0\0\x01";
    let elements = body(b"\x06\0\0\0\0\x09\0\x05a\0\0\0", element);
    let announce = body(b"\x0a\0\0\0\0\0\0\x01", b"\0\x05\0\x10\0\x50\0\0\0\x01\0\x08\x0a\x01\x01\x02");
    for bytes in [causes, elements, announce] {
        let cost = measure(|| drop(black_box(AsapMessage::decode(&bytes).unwrap())));
        println!("{} bytes of type {:02x} take {} bytes of memory", bytes.len(), bytes[0], cost.bytes_max);
        assert!(cost.bytes_max <= bound(bytes.len()), "{} for {} bytes", cost.bytes_max, bytes.len());
    }
    let pool = [b"\0\x09\0\x05a\0\0\0".as_slice(), element].concat();
    let tables = body(b"\x03\0\0\0\0\0\0\x01\0\0\0\x02", &pool);
    let server = b"\0\x0b\0\x18\0\0\0\x01\0\x04\0\x10\x26\xad\0\0\0\x01\0\x08\x0a\x01\x01\x09";
    for bytes in [tables, body(b"\x06\0\0\0\0\0\0\x01\0\0\0\x02", server)] {
        let cost = measure(|| drop(black_box(EnrpMessage::decode(&bytes).unwrap())));
        println!("{} bytes of type {:02x} take {} bytes of memory", bytes.len(), bytes[0], cost.bytes_max);
        assert!(cost.bytes_max <= bound(bytes.len()), "{} for {} bytes", cost.bytes_max, bytes.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Messages in which some bytes were changed, so that lengths and types are anything.
    #[test]
    fn no_input_takes_more_than_a_small_multiple(
        which in 0..17_usize,
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let (asap, enrp) = (asap(), enrp());
        let mut bytes = asap.get(which).map_or_else(
            || enrp.get(which - asap.len()).unwrap().encode(EncodeOptions::default()).unwrap(),
            |m| m.encode(EncodeOptions::default()).unwrap(),
        );
        for (at, value) in changes {
            *at.get_mut(&mut bytes) = value;
        }
        let cost = measure(|| drop(black_box((AsapMessage::decode(&bytes), EnrpMessage::decode(&bytes)))));
        prop_assert!(cost.bytes_max <= bound(bytes.len()), "{} for {} bytes", cost.bytes_max, bytes.len());
    }
}
