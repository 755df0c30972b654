//! An independent judge: tshark dissects a message of every kind that we can send.

use core::time::Duration;
use std::fs::File;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use etherparse::{IpNumber, PacketBuilder};
use pcap_file::DataLink;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use rserpool::wire::{
    ASAP_PORT, ASAP_PPID, AsapMessage, CauseCode, ENRP_PORT, ENRP_PPID, ElementId, EncodeOptions, EnrpMessage, ErrorCause, Life,
    OperationError, PolicyParam, PoolElement, PoolHandle, Protocol, RegistrarId, ServerInformation, Transport, TransportUse, UpdateAction,
};
use sctp_user::wire::chunk::Data;
use sctp_user::wire::{CommonHeader, PacketWriter};
use sctp_user::{Ppid, Ssn, StreamId, Tsn, Vtag};

const ID: ElementId = ElementId(0x1122_3344);
const SENDER: RegistrarId = RegistrarId(0xaabb_ccdd);
const RECEIVER: RegistrarId = RegistrarId(0x0102_0304);
const TARGET: RegistrarId = RegistrarId(0x5566_7788);

/// A packet to be dissected, and what tshark has to find in it.
struct Probe {
    what: String,
    packet: Vec<u8>,
    /// The protocol, the message type, and the values of some fields, in hexadecimal or as tshark prints them.
    finds: Vec<(&'static str, String)>,
}

fn handle() -> PoolHandle {
    // Not a multiple of four: padding between the parameters.
    PoolHandle::new("Pool of seven").unwrap()
}

fn addresses() -> [IpAddr; 2] {
    ["10.1.1.2".parse().unwrap(), "2001:db8::5".parse().unwrap()]
}

fn sctp() -> Transport {
    Transport::sctp(4711, TransportUse::DATA_PLUS_CONTROL, addresses())
}

fn element(user: Transport, policy: PolicyParam) -> PoolElement {
    PoolElement { id: ID, home: SENDER, life: Life(90_000), user, policy, asap: None }
}

fn plain() -> PoolElement {
    element(sctp(), PolicyParam::RoundRobin {})
}

fn policies() -> impl Iterator<Item = PolicyParam> {
    PolicyParam::NAMES.iter().map(|name| (0..=4).find_map(|n| PolicyParam::from_name(name, &[7, 8, 9, 10][..n])).unwrap())
}

/// Every transport that a pool element may be reached by, with its parameter type.
fn transports() -> Vec<(Transport, u16)> {
    let addr = "10.1.1.2:80".parse().unwrap();
    vec![
        (Transport::single(Protocol::Dccp { service: 0x6563_686f }, addr), 3),
        (sctp(), 4),
        (Transport::single(Protocol::Tcp, addr), 5),
        (Transport::single(Protocol::Udp, addr), 6),
        (Transport::single(Protocol::UdpLite, addr), 7),
    ]
}

/// Every cause of the RFC's with the data that belongs to it.
fn causes() -> impl Iterator<Item = ErrorCause> {
    (0..=10).map(|n| {
        let data = match n {
            1 => vec![0x40, 0x77, 0, 6, 1, 2],
            2 => vec![0x7f, 0, 0, 4],
            3 => vec![0, 9, 0, 4],
            5 => PolicyParam::WeightedRoundRobin { weight: 7 }.to_param(),
            7 => sctp().to_param(),
            _ => Vec::new(),
        };
        ErrorCause { code: CauseCode(n), data }
    })
}

fn asap_messages() -> Vec<(AsapMessage, Vec<(&'static str, String)>)> {
    let error = || Some(OperationError::from(CauseCode::LACK_OF_RESOURCES));
    let cookie = bytes::Bytes::from_static(b"abcde");
    let hex_id = || ("asap.pe_identifier", format!("0x{:08x}", ID.0));
    let elements = vec![plain(), plain()];
    let policy = Some(PolicyParam::RoundRobin {});
    let mut all = vec![
        (AsapMessage::Deregistration { handle: handle(), id: ID }, vec![hex_id()]),
        (
            AsapMessage::RegistrationResponse { reject: true, handle: handle(), id: ID, error: error() },
            vec![hex_id(), ("asap.r_bit", "1".into())],
        ),
        (AsapMessage::DeregistrationResponse { handle: handle(), id: ID, error: error() }, vec![("asap.cause_code", "0x0006".into())]),
        (AsapMessage::HandleResolution { subscribe: true, handle: handle(), items: Some(77) }, vec![("asap.hropt_items", "77".into())]),
        (
            AsapMessage::HandleResolutionResponse {
                subscribed: true,
                handle: handle(),
                policy: policy.clone(),
                elements: elements.clone(),
                error: None,
            },
            vec![("asap.pool_element_pe_identifier", format!("0x{0:08x},0x{0:08x}", ID.0))],
        ),
        (
            AsapMessage::KeepAlive { new_home: true, registrar: SENDER, handle: handle(), id: Some(ID) },
            vec![hex_id(), ("asap.h_bit", "1".into()), ("asap.server_identifier", format!("0x{:08x}", SENDER.0))],
        ),
        (AsapMessage::KeepAliveAck { handle: handle(), id: ID }, vec![hex_id()]),
        (AsapMessage::Unreachable { handle: handle(), id: ID }, vec![hex_id()]),
        (AsapMessage::ServerAnnounce { registrar: SENDER, transports: vec![] }, vec![]),
        (
            AsapMessage::ServerAnnounce { registrar: SENDER, transports: vec![sctp()] },
            vec![("asap.sctp_transport_port", "4711".into()), ("asap.ipv4_address", "10.1.1.2".into())],
        ),
        (AsapMessage::Cookie(cookie.clone()), vec![("asap.cookie", "6162636465".into())]),
        (AsapMessage::CookieEcho(cookie), vec![("asap.cookie", "6162636465".into())]),
        (AsapMessage::BusinessCard { handle: handle(), policy, elements }, vec![]),
    ];
    for (transport, kind) in transports() {
        let parameters = if kind == 4 {
            "0x0009,0x000a,0x0004,0x0001,0x0002,0x0008".into()
        } else {
            format!("0x0009,0x000a,0x{kind:04x},0x0001,0x0008")
        };
        let message = AsapMessage::Registration { handle: handle(), element: element(transport, PolicyParam::RoundRobin {}) };
        all.push((message, vec![("asap.parameter_type", parameters)]));
    }
    for policy in policies() {
        let number = format!("0x{:08x}", policy.number());
        let message = AsapMessage::Registration { handle: handle(), element: element(sctp(), policy) };
        all.push((message, vec![("asap.pool_member_selection_policy_type", number)]));
    }
    for cause in causes() {
        let code = format!("0x{:04x}", cause.code.0);
        all.push((AsapMessage::Error(cause.into()), vec![("asap.cause_code", code)]));
    }
    all
}

fn enrp_messages() -> Vec<(EnrpMessage, Vec<(&'static str, String)>)> {
    let (sender, receiver, target) = (SENDER, RECEIVER, TARGET);
    let server = |id| ServerInformation { id, transport: Transport::sctp(ENRP_PORT, TransportUse::DATA, addresses()) };
    let full = || PoolElement { asap: Some(sctp()), ..plain() };
    let target_id = || ("enrp.target_servers_id", format!("0x{:08x}", TARGET.0));
    let mut all = vec![
        (
            EnrpMessage::Presence { sender, receiver, reply_required: true, checksum: Some(0x9c8a), server: Some(server(sender)) },
            vec![("enrp.pe_checksum", "0x9c8a".into()), ("enrp.r_bit", "1".into())],
        ),
        (EnrpMessage::HandleTableRequest { sender, receiver, own_only: true }, vec![("enrp.w_bit", "1".into())]),
        (
            EnrpMessage::HandleTableResponse { sender, receiver, reject: true, more: false, pools: vec![] },
            vec![("enrp.r_bit", "1".into()), ("enrp.m_bit", "0".into())],
        ),
        (
            EnrpMessage::HandleTableResponse {
                sender,
                receiver,
                reject: false,
                more: true,
                pools: vec![(handle(), vec![full(), full()]), (handle(), vec![full()])],
            },
            vec![("enrp.m_bit", "1".into()), ("enrp.pool_element_pe_identifier", format!("0x{0:08x},0x{0:08x},0x{0:08x}", ID.0))],
        ),
        (EnrpMessage::ListRequest { sender, receiver }, vec![]),
        (EnrpMessage::ListResponse { sender, receiver, reject: true, servers: vec![] }, vec![("enrp.r_bit", "1".into())]),
        (
            EnrpMessage::ListResponse { sender, receiver, reject: false, servers: vec![server(TARGET), server(SENDER)] },
            vec![("enrp.server_information_server_identifier", format!("0x{:08x},0x{:08x}", TARGET.0, SENDER.0))],
        ),
        (EnrpMessage::InitTakeover { sender, receiver, target }, vec![target_id()]),
        (EnrpMessage::InitTakeoverAck { sender, receiver, target }, vec![target_id()]),
        (EnrpMessage::TakeoverServer { sender, receiver, target }, vec![target_id()]),
    ];
    for (action, number) in [(UpdateAction::Add, "0"), (UpdateAction::Delete, "1")] {
        let message = EnrpMessage::HandleUpdate { sender, receiver, action, takeover_suggested: true, handle: handle(), element: full() };
        all.push((message, vec![("enrp.update_action", number.into()), ("enrp.t_bit", "1".into())]));
    }
    for policy in policies() {
        let number = format!("0x{:08x}", policy.number());
        let element = PoolElement { policy, ..full() };
        let action = UpdateAction::Add;
        let message = EnrpMessage::HandleUpdate { sender, receiver, action, takeover_suggested: false, handle: handle(), element };
        all.push((message, vec![("enrp.pool_member_selection_policy_type", number)]));
    }
    for cause in causes() {
        let code = format!("0x{:04x}", cause.code.0);
        all.push((EnrpMessage::Error { sender, receiver, error: cause.into() }, vec![("enrp.cause_code", code)]));
    }
    all
}

/// An IPv4 packet with a message in a DATA chunk.
fn in_sctp(port: u16, ppid: u32, tsn: usize, message: &[u8]) -> Vec<u8> {
    let mut sctp = Vec::new();
    let header = CommonHeader { src_port: port, dst_port: port, vtag: Vtag(0x1234_5678) };
    let mut w = PacketWriter::new(&mut sctp, header, 60_000);
    w.push(&Data {
        immediate: false,
        unordered: false,
        begin: true,
        end: true,
        tsn: Tsn(u32::try_from(tsn).unwrap()),
        sid: StreamId(0),
        ssn: Ssn(u16::try_from(tsn).unwrap()),
        ppid: Ppid(ppid),
        payload: message,
    });
    w.finish();
    let mut packet = Vec::new();
    PacketBuilder::ipv4([10, 1, 1, 1], [10, 1, 1, 2], 64).write(&mut packet, IpNumber::SCTP, &sctp).unwrap();
    packet
}

/// An IPv4 packet with an announce in a UDP datagram.
fn in_udp(port: u16, message: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4([10, 1, 1, 1], [239, 0, 0, 50], 64).udp(port, port).write(&mut packet, message).unwrap();
    packet
}

/// Each message once by SCTP with the RFC's length and once with RSPLIB's, and what is announced by UDP, too.
fn probes() -> Vec<Probe> {
    let mut probes: Vec<Probe> = Vec::new();
    for count_padding in [false, true] {
        let options = EncodeOptions { count_padding };
        for (message, mut finds) in asap_messages() {
            let bytes = message.encode(options).unwrap();
            finds.push(("asap.message_type", message.number().to_string()));
            if let AsapMessage::ServerAnnounce { .. } = message {
                probes.push(Probe { what: message.to_string(), packet: in_udp(ASAP_PORT, &bytes), finds: finds.clone() });
            }
            let packet = in_sctp(ASAP_PORT, ASAP_PPID, probes.len(), &bytes);
            probes.push(Probe { what: message.to_string(), packet, finds });
        }
        for (message, mut finds) in enrp_messages() {
            let bytes = message.encode(options).unwrap();
            finds.push(("enrp.message_type", message.number().to_string()));
            finds.push(("enrp.sender_servers_id", format!("0x{:08x}", SENDER.0)));
            if let EnrpMessage::Presence { .. } = message {
                probes.push(Probe { what: message.to_string(), packet: in_udp(ENRP_PORT, &bytes), finds: finds.clone() });
            }
            let packet = in_sctp(ENRP_PORT, ENRP_PPID, probes.len(), &bytes);
            probes.push(Probe { what: message.to_string(), packet, finds });
        }
    }
    probes
}

/// The fields that are asked for, in this order, behind the frame's number, "malformed" and the severity of remarks.
const FIELDS: [&str; 26] = [
    "asap.message_type",
    "asap.parameter_type",
    "asap.pe_identifier",
    "asap.pool_element_pe_identifier",
    "asap.pool_member_selection_policy_type",
    "asap.cause_code",
    "asap.cookie",
    "asap.hropt_items",
    "asap.h_bit",
    "asap.r_bit",
    "asap.server_identifier",
    "asap.sctp_transport_port",
    "asap.ipv4_address",
    "enrp.message_type",
    "enrp.sender_servers_id",
    "enrp.target_servers_id",
    "enrp.pe_checksum",
    "enrp.r_bit",
    "enrp.w_bit",
    "enrp.m_bit",
    "enrp.t_bit",
    "enrp.update_action",
    "enrp.pool_element_pe_identifier",
    "enrp.pool_member_selection_policy_type",
    "enrp.cause_code",
    "enrp.server_information_server_identifier",
];

#[test]
fn tshark_dissects_every_message() {
    if Command::new("tshark").arg("--version").output().is_err() {
        assert_ne!(std::env::var("REQUIRE").as_deref(), Ok("all"), "tshark is not installed");
        println!("SKIP: tshark is not installed");
        return;
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rserpool.pcap");
    let probes = probes();
    let header = PcapHeader { datalink: DataLink::RAW, ..PcapHeader::default() };
    let mut writer = PcapWriter::with_header(File::create(&path).unwrap(), header).unwrap();
    for (n, probe) in probes.iter().enumerate() {
        let at = Duration::from_millis(u64::try_from(n).unwrap());
        writer.write_packet(&PcapPacket::new(at, u32::try_from(probe.packet.len()).unwrap(), &probe.packet)).unwrap();
    }
    writer.into_writer().flush().unwrap();

    let mut command = Command::new("tshark");
    command.args(["-r", path.to_str().unwrap(), "-o", "sctp.checksum:crc-32c", "-T", "fields", "-e", "frame.number"]);
    command.args(["-e", "_ws.malformed", "-e", "_ws.expert.severity"]);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    let run = command.output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let text = String::from_utf8(run.stdout).unwrap();
    assert_eq!(text.lines().count(), probes.len());
    for (line, probe) in text.lines().zip(&probes) {
        let cells: Vec<_> = line.split('\t').collect();
        assert_eq!(cells[1], "", "malformed: {}: {line}", probe.what);
        let severity = cells[2].split(',').filter_map(|s| s.parse::<u32>().ok()).max().unwrap_or(0);
        assert!(severity < 0x60_0000, "tshark warns: {}: {line}", probe.what);
        for (field, value) in &probe.finds {
            let at = FIELDS.iter().position(|f| f == field).unwrap_or_else(|| panic!("{field} was not asked for"));
            let found = cells[at + 3];
            // The message that an error quotes is dissected as well, behind the error.
            let found = if field.ends_with("message_type") { found.split(',').next().unwrap() } else { found };
            assert_eq!(found, value, "{field}: {}", probe.what);
        }
    }
    let mut types: Vec<_> = probes.iter().flat_map(|p| &p.finds).filter(|(f, _)| f.ends_with("message_type")).collect();
    types.sort();
    types.dedup();
    assert_eq!(types.len(), 14 + 10, "every type of both protocols");
}
