//! Messages survive the wire, and whatever parses is written back octet for octet.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn any_reign() -> impl Strategy<Value = Reign> {
    (any::<u64>(), 1..=u32::MAX).prop_map(|(generation, reader)| Reign { generation, reader })
}

fn any_ip() -> impl Strategy<Value = IpAddr> {
    any::<IpAddr>().prop_map(|ip| ip.to_canonical())
}

fn any_addr() -> impl Strategy<Value = SocketAddr> {
    (any_ip(), any::<u16>(), any::<u32>()).prop_map(|(ip, port, scope)| match ip {
        IpAddr::V4(_) => SocketAddr::new(ip, port),
        IpAddr::V6(v6) => SocketAddr::V6(SocketAddrV6::new(v6, port, 0, scope)),
    })
}

fn any_ports() -> impl Strategy<Value = Vec<u16>> {
    vec(1..=u16::MAX, 0..20)
}

fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    (vec((1..=u32::MAX, 0..256u16, any_ports()), 0..5), vec((1..=u16::MAX, any::<u32>()), 0..5))
        .prop_map(|(members, quarantine)| Snapshot { members, quarantine })
}

fn any_claim() -> impl Strategy<Value = Result<u16, ClaimError>> {
    prop_oneof![
        (1..=u16::MAX).prop_map(Ok),
        Just(Err(ClaimError::InUse)),
        Just(Err(ClaimError::Exhausted)),
        Just(Err(ClaimError::TimedOut)),
    ]
}

fn any_train() -> impl Strategy<Value = Received> {
    (any_addr(), proptest::option::of(any_ip()), 1..=u32::MAX, 0..4u8, vec(any::<u8>(), 1..300), any::<u16>()).prop_map(
        |(src, dst_ip, ifindex, ecn, bytes, stride)| Received {
            meta: DatagramMeta { src, dst_ip, ifindex: Some(ifindex), ecn: Ecn::from_bits(ecn) },
            stride: usize::from(stride).clamp(1, bytes.len()),
            bytes: bytes.into(),
        },
    )
}

fn any_error() -> impl Strategy<Value = NetError> {
    let kind = prop_oneof![
        Just(NetErrorKind::PortUnreachable),
        (any::<u8>(), any::<u8>()).prop_map(|(icmp_type, code)| NetErrorKind::Unreachable { icmp_type, code }),
        any::<u32>().prop_map(|mtu| NetErrorKind::TooBig { mtu }),
    ];
    (kind, any::<bool>(), proptest::option::of(any_ip()), any_addr(), vec(any::<u8>(), 0..60)).prop_map(|(kind, icmp, src, dst, quoted)| {
        NetError { kind, origin: if icmp { ErrorOrigin::Icmp } else { ErrorOrigin::Local }, src, dst, quoted: quoted.into() }
    })
}

fn any_message() -> impl Strategy<Value = Message> {
    let id = || 1..=u32::MAX;
    let port = || 1..=u16::MAX;
    prop_oneof![
        (any::<u32>(), 0..256u16, any::<u64>(), any::<bool>(), any_ports())
            .prop_map(|(id, slot, generation, sockets, ports)| Message::Attach { id, slot, generation, sockets, ports }),
        (any_reign(), id(), any_snapshot(), any_ports())
            .prop_map(|(reign, id, table, refused)| { Message::Welcome { reign, id, table, refused } }),
        (any_reign(), 0..256u16).prop_map(|(reign, slot)| Message::Redirect { reign, slot }),
        (any_reign(), 0..256u16).prop_map(|(reign, slot)| Message::Successor { reign, slot }),
        any_reign().prop_map(|reign| Message::Beat { reign }),
        (any::<u32>(), any::<u16>()).prop_map(|(request, port)| Message::Claim { request, port }),
        (any::<u32>(), any_claim()).prop_map(|(request, result)| Message::Claimed { request, result }),
        port().prop_map(|port| Message::Release { port }),
        (id(), port()).prop_map(|(id, port)| Message::Taken { id, port }),
        port().prop_map(|port| Message::Freed { port }),
        (id(), 0..256u16).prop_map(|(id, slot)| Message::Joined { id, slot }),
        (id(), any::<bool>()).prop_map(|(id, died)| Message::Left { id, died }),
        any_ports().prop_map(|ports| Message::Died { ports }),
        any_snapshot().prop_map(|table| Message::Table { table }),
        any_train().prop_map(Message::Train),
        any_error().prop_map(Message::Error),
        Just(Message::Goodbye),
    ]
}

proptest! {
    // Each case tries every prefix of a message.
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn round_trip_and_no_prefix_parses(message in any_message()) {
        let frame = message.encode();
        let mut buffer = BytesMut::from(&frame[..]);
        let body = next_frame(&mut buffer).unwrap().unwrap();
        prop_assert!(buffer.is_empty());
        prop_assert_eq!(&Message::parse(body.clone()).unwrap(), &message);
        // Two kinds end in a field that takes what there is.
        if !matches!(message, Message::Train(_) | Message::Error(_)) {
            for end in 0..body.len() {
                prop_assert!(Message::parse(body.slice(..end)).is_err());
            }
            let mut longer = BytesMut::from(&body[..]);
            longer.put_u8(0);
            prop_assert_eq!(Message::parse(longer.freeze()), Err(MessageError::Long));
        }
    }

    #[test]
    fn whatever_parses_is_written_back_alike(bytes in vec(any::<u8>(), 0..80), kind in 0..20u8) {
        let mut body = vec![kind];
        body.extend(bytes);
        if let Ok(message) = Message::parse(Bytes::from(body.clone())) {
            prop_assert_eq!(&message.encode()[4..], &body[..]);
        }
    }

    #[test]
    fn a_stream_cut_anywhere_gives_the_same_messages(messages in vec(any_message(), 1..6), cut in 1..40usize) {
        let stream: Vec<u8> = messages.iter().flat_map(|m| m.encode().to_vec()).collect();
        let (mut buffer, mut seen) = (BytesMut::new(), Vec::new());
        for piece in stream.chunks(cut) {
            buffer.extend_from_slice(piece);
            while let Some(body) = next_frame(&mut buffer).unwrap() {
                seen.push(Message::parse(body).unwrap());
            }
        }
        prop_assert_eq!(seen, messages);
    }
}

#[test]
fn a_train_goes_out_uncopied_as_the_same_bytes() {
    let train = Received {
        meta: DatagramMeta { src: "[fe80::1%3]:9899".parse().unwrap(), dst_ip: None, ifindex: Some(3), ecn: Some(Ecn::Ce) },
        bytes: Bytes::from_static(b"0123456789"),
        stride: 4,
    };
    let mut pieces = Message::train_header(&train).to_vec();
    pieces.extend_from_slice(&train.bytes);
    assert_eq!(pieces, Message::Train(train).encode());
}

#[test]
fn the_fullest_table_fits_a_frame() {
    let ports: Vec<u16> = (1..=u16::MAX).collect();
    let mut members = vec![(1, 0, ports)];
    members.extend((2..=250).map(|id| (id, 1, Vec::new())));
    let table = Snapshot { members, quarantine: (49_152..=65_535u16).map(|port| (port, 120_000)).collect() };
    let message = Message::Welcome { reign: Reign { generation: 1, reader: 1 }, id: 250, table, refused: Vec::new() };
    assert!(message.encode().len() <= MAX_FRAME);
}

#[test]
fn lengths_out_of_range_end_the_link() {
    for length in [0u32, 1 + u32::try_from(MAX_FRAME).unwrap(), u32::MAX] {
        let mut buffer = BytesMut::from(&length.to_be_bytes()[..]);
        assert_eq!(next_frame(&mut buffer), Err(MessageError::Value("length")));
    }
}

#[test]
fn a_later_generation_or_a_lower_number_prevails() {
    let reign = |generation, reader| Reign { generation, reader };
    assert!(reign(2, 9).beats(reign(1, 1)));
    assert!(reign(2, 1).beats(reign(2, 2)));
    assert!(!reign(2, 2).beats(reign(2, 2)));
    assert!(!reign(2, 3).beats(reign(2, 2)));
}
