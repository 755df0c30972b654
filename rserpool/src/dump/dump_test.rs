//! A registrar played by hand.

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::wire::{ElementId, ErrorCause, Life, PolicyParam, TransportUse};

const OWN: RegistrarId = RegistrarId(0xaa);
const REGISTRAR: RegistrarId = RegistrarId(0xbb);
const OTHER: RegistrarId = RegistrarId(0xcc);

fn transport(last: u8, port: u16) -> Transport {
    Transport::sctp(port, TransportUse::DATA, [IpAddr::V4(Ipv4Addr::new(10, 1, 1, last))])
}

fn element(id: u32, home: RegistrarId) -> PoolElement {
    let asap = Some(transport(3, 5000));
    PoolElement { id: ElementId(id), home, life: Life(90_000), user: transport(3, 4711), policy: PolicyParam::RoundRobin {}, asap }
}

fn handle(name: &str) -> PoolHandle {
    PoolHandle::new(name).unwrap()
}

fn sent(dump: &mut Dump) -> Vec<EnrpMessage> {
    core::iter::from_fn(|| dump.poll_message()).map(|bytes| EnrpMessage::decode(&bytes).unwrap().message).collect()
}

fn answer(dump: &mut Dump, message: &EnrpMessage) -> Result<(), DumpError> {
    dump.handle(&message.encode(EncodeOptions::default()).unwrap())
}

fn table(more: bool, pools: &[(&str, &[PoolElement])]) -> EnrpMessage {
    let pools = pools.iter().map(|(name, elements)| (handle(name), elements.to_vec())).collect();
    EnrpMessage::HandleTableResponse { sender: REGISTRAR, receiver: OWN, reject: false, more, pools }
}

fn list(servers: Vec<ServerInformation>) -> EnrpMessage {
    EnrpMessage::ListResponse { sender: REGISTRAR, receiver: OWN, reject: false, servers }
}

#[test]
fn a_table_in_parts_and_the_peers() {
    let mut dump = Dump::new(OWN, transport(9, 1234));
    let opening = sent(&mut dump);
    let [EnrpMessage::Presence { sender: OWN, reply_required: true, checksum: Some(0xffff), server: Some(own), .. }, rest @ ..] =
        &opening[..]
    else {
        panic!("{opening:?}");
    };
    assert_eq!(own.transport, transport(9, 1234));
    assert!(matches!(rest, [EnrpMessage::ListRequest { .. }, EnrpMessage::HandleTableRequest { own_only: false, .. }]), "{rest:?}");

    let server = Some(ServerInformation { id: REGISTRAR, transport: transport(1, 9901) });
    let presence = EnrpMessage::Presence { sender: REGISTRAR, receiver: OWN, reply_required: true, checksum: Some(0x1234), server };
    answer(&mut dump, &presence).unwrap();
    let peer = |id, last| ServerInformation { id, transport: transport(last, 9901) };
    answer(&mut dump, &list(vec![peer(OTHER, 2), peer(OWN, 9)])).unwrap();
    answer(&mut dump, &table(true, &[("a", &[element(1, REGISTRAR)]), ("b", &[element(2, OTHER)])])).unwrap();
    assert!(dump.take().is_none());
    let next = sent(&mut dump);
    assert!(matches!(next[..], [EnrpMessage::HandleTableRequest { receiver: REGISTRAR, own_only: false, .. }]), "{next:?}");
    // The second part goes on in the same pool, and repeats an element.
    answer(&mut dump, &table(false, &[("b", &[element(2, REGISTRAR), element(3, OTHER)])])).unwrap();

    let snapshot = dump.take().unwrap();
    assert_eq!((snapshot.registrar, snapshot.checksum), (REGISTRAR, Some(0x1234)));
    assert_eq!(snapshot.server, Some(transport(1, 9901)));
    assert_eq!(snapshot.peers, [peer(OTHER, 2)], "the dumping client is no peer");
    let elements: Vec<_> = snapshot.elements().map(|(handle, e)| (handle.to_string(), e.id.0, e.home)).collect();
    assert_eq!(elements, [("a".into(), 1, REGISTRAR), ("b".into(), 2, REGISTRAR), ("b".into(), 3, OTHER)]);
    let owners: Vec<_> = snapshot.owners().into_iter().collect();
    let sum = |elements: &[(&str, u32)]| {
        let mut sum = Checksum::default();
        elements.iter().for_each(|(name, id)| sum.add(&handle(name), ElementId(*id)));
        sum.value()
    };
    assert_eq!(owners, [(REGISTRAR, (2, sum(&[("a", 1), ("b", 2)]))), (OTHER, (1, sum(&[("b", 3)])))]);
}

#[test]
fn a_registrar_without_elements() {
    let mut dump = Dump::new(OWN, transport(9, 1234));
    answer(&mut dump, &table(false, &[])).unwrap();
    assert!(dump.take().is_none(), "the peers are missing");
    answer(&mut dump, &list(Vec::new())).unwrap();
    assert_eq!(dump.take().unwrap().elements().count(), 0);
}

#[test]
fn refusals_and_errors_end_it() {
    let mut dump = Dump::new(OWN, transport(9, 1234));
    let refused = EnrpMessage::HandleTableResponse { sender: REGISTRAR, receiver: OWN, reject: true, more: false, pools: Vec::new() };
    assert_eq!(answer(&mut dump, &refused), Err(DumpError::Refused("handlespace")));
    let refused = EnrpMessage::ListResponse { sender: REGISTRAR, receiver: OWN, reject: true, servers: Vec::new() };
    assert_eq!(answer(&mut dump, &refused), Err(DumpError::Refused("peer list")));
    let error = OperationError { causes: vec![ErrorCause { code: crate::wire::CauseCode::INVALID_VALUES, data: Vec::new() }] };
    let message = EnrpMessage::Error { sender: REGISTRAR, receiver: OWN, error: error.clone() };
    assert_eq!(answer(&mut dump, &message), Err(DumpError::Error(error)));
    assert!(matches!(dump.handle(&[3, 0]), Err(DumpError::Wire(_))));
}

#[test]
fn a_registrar_that_starts_gets_nothing_from_us() {
    let mut dump = Dump::new(OWN, transport(9, 1234));
    sent(&mut dump);
    answer(&mut dump, &EnrpMessage::ListRequest { sender: REGISTRAR, receiver: OWN }).unwrap();
    answer(&mut dump, &EnrpMessage::HandleTableRequest { sender: REGISTRAR, receiver: OWN, own_only: false }).unwrap();
    let answers = sent(&mut dump);
    let refusals = [
        EnrpMessage::ListResponse { sender: OWN, receiver: REGISTRAR, reject: true, servers: Vec::new() },
        EnrpMessage::HandleTableResponse { sender: OWN, receiver: REGISTRAR, reject: true, more: false, pools: Vec::new() },
    ];
    assert_eq!(answers, refusals);
    // What is not fetched does not pile up.
    for _ in 0..1000 {
        answer(&mut dump, &EnrpMessage::ListRequest { sender: REGISTRAR, receiver: OWN }).unwrap();
    }
    assert_eq!(sent(&mut dump).len(), MAX_OUT);
}

#[test]
fn a_registrar_cannot_keep_us_busy_for_ever() {
    let mut dump = Dump::new(OWN, transport(9, 1234));
    assert_eq!(answer(&mut dump, &table(true, &[])), Err(DumpError::Endless));
    let part: Vec<_> = (1..=500).map(|id| element(id, REGISTRAR)).collect();
    let part = table(true, &[("a", &part)]).encode(EncodeOptions::default()).unwrap();
    let mut dump = Dump::new(OWN, transport(9, 1234));
    let parts = (0..).take_while(|_| dump.handle(&part).is_ok()).count();
    assert_eq!(parts, MAX_ELEMENTS / 500);
    assert_eq!(dump.snapshot.elements().count(), 500);
    let servers = vec![ServerInformation { id: OTHER, transport: transport(2, 9901) }; 1000];
    let lists = (0..).take_while(|_| answer(&mut dump, &list(servers.clone())).is_ok()).count();
    assert_eq!(lists, MAX_PEERS / 1000);
}
