//! Arbitrary ASAP and ENRP messages out of a small world: few pools, elements, registrars and hosts, so that they meet.

use std::net::{IpAddr, SocketAddr};

use arbitrary::Arbitrary;
use rserpool::wire::{
    AsapMessage, CauseCode, ElementId, EncodeOptions, EnrpMessage, ErrorCause, Life, OperationError, PolicyParam, PoolElement, PoolHandle,
    Protocol, RegistrarId, ServerInformation, Transport, TransportUse, UpdateAction,
};

/// A host of the small world.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Host(pub(crate) u8);

impl Host {
    pub(crate) fn ip(self) -> IpAddr {
        match self.0 % 8 {
            0 => IpAddr::from([127, 0, 0, 1]),
            1 => "2001:db8::1".parse().unwrap_or(IpAddr::from([10, 0, 0, 99])),
            n => IpAddr::from([10, 0, 0, n]),
        }
    }

    pub(crate) fn at(self, port: Port) -> SocketAddr {
        SocketAddr::new(self.ip(), port.number())
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Port(u8);

impl Port {
    pub(crate) fn number(self) -> u16 {
        4000 + u16::from(self.0 % 4)
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Registrar(u8);

impl Registrar {
    /// 0 is nobody, 1 the registrar under test, the others are its peers.
    pub(crate) fn id(self) -> RegistrarId {
        RegistrarId(u32::from(self.0 % 6))
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Pool(u8);

impl Pool {
    fn handle(self) -> Option<PoolHandle> {
        let name: &[u8] = match self.0 % 16 {
            0..=6 => b"EchoPool",
            7..=10 => b"odd",
            11 => b"a",
            12 => b"\x00",
            13 => &[b'x'; 32],
            14 => &[b'x'; 33],
            _ => b"another",
        };
        PoolHandle::with_max(name, 64).ok()
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Id(u8);

impl Id {
    fn id(self) -> ElementId {
        ElementId(u32::from(self.0 % 8))
    }
}

#[derive(Arbitrary, Clone, Debug)]
enum FuzzTransport {
    Sctp { hosts: Vec<Host>, port: Port, control: bool },
    Single { kind: u8, host: Host, port: Port },
    Opaque(u8),
}

impl FuzzTransport {
    fn build(&self) -> Transport {
        match self {
            Self::Sctp { hosts, port, control } => {
                let usage = if *control { TransportUse::DATA_PLUS_CONTROL } else { TransportUse::DATA };
                let hosts = hosts.iter().take(3).map(|h| h.ip());
                // A transport without an address cannot be encoded to something that is decoded.
                let first = if hosts.len() == 0 { Some(IpAddr::from([10, 0, 0, 2])) } else { None };
                Transport::sctp(port.number(), usage, hosts.chain(first))
            }
            Self::Single { kind, host, port } => {
                let protocol = match kind % 4 {
                    0 => Protocol::Tcp,
                    1 => Protocol::Udp,
                    2 => Protocol::UdpLite,
                    _ => Protocol::Dccp { service: 7 },
                };
                Transport::single(protocol, host.at(*port))
            }
            Self::Opaque(n) => Transport {
                protocol: Protocol::Opaque(vec![*n; usize::from(n % 8)]),
                port: 0,
                usage: TransportUse::DATA,
                addrs: Vec::new(),
            },
        }
    }
}

#[derive(Arbitrary, Clone, Debug)]
pub(crate) struct FuzzElement {
    id: Id,
    home: Registrar,
    life: u8,
    user: FuzzTransport,
    policy: u8,
    values: [u32; 2],
    asap: Option<(Host, Port)>,
}

impl FuzzElement {
    fn build(&self) -> PoolElement {
        let [a, b] = self.values;
        let names = PolicyParam::NAMES;
        let policy = match self.policy {
            // Most pools have one of the two simplest.
            0..=99 => PolicyParam::RoundRobin {},
            100..=149 => PolicyParam::LeastUsed { load: a },
            n => {
                let name = names.get(usize::from(n) % names.len()).copied().unwrap_or("RoundRobin");
                let values = [a, b, 3, 4];
                let built = (0..=4).find_map(|n| PolicyParam::from_name(name, values.get(..n)?));
                built.unwrap_or(PolicyParam::Other { number: 0x7000_0000, values: vec![0; 4] })
            }
        };
        let life = match self.life % 4 {
            0 => Life(0),
            1 => Life(u32::from(self.life) * 100),
            2 => Life(60_000),
            _ => Life::INFINITE,
        };
        PoolElement {
            id: self.id.id(),
            home: self.home.id(),
            life,
            user: self.user.build(),
            policy,
            asap: self.asap.map(|(host, port)| Transport::sctp(port.number(), TransportUse::DATA, [host.ip()])),
        }
    }
}

#[derive(Arbitrary, Clone, Debug)]
pub(crate) struct FuzzError {
    code: u8,
    len: u8,
    two: bool,
}

impl FuzzError {
    fn build(&self) -> OperationError {
        let cause = ErrorCause { code: CauseCode(u16::from(self.code % 20)), data: vec![1; usize::from(self.len % 16)] };
        OperationError { causes: vec![cause; 1 + usize::from(self.two)] }
    }
}

/// An ASAP message.
#[derive(Arbitrary, Clone, Debug)]
pub(crate) enum FuzzAsap {
    Registration(Pool, FuzzElement),
    Deregistration(Pool, Id),
    RegistrationResponse(bool, Pool, Id, Option<FuzzError>),
    DeregistrationResponse(Pool, Id, Option<FuzzError>),
    Resolution(bool, Pool, Option<u32>),
    ResolutionResponse(Pool, Vec<FuzzElement>, Option<FuzzError>),
    KeepAlive(bool, Registrar, Pool, Option<Id>),
    KeepAliveAck(Pool, Id),
    Unreachable(Pool, Id),
    Announce(Registrar, Option<(Host, Port)>),
    Cookie(u8, bool),
    BusinessCard(Pool, Vec<FuzzElement>),
    Error(FuzzError),
}

/// Most elements of a list: more of the same does not lead anywhere new.
const MAX_LIST: usize = 6;

impl FuzzAsap {
    pub(crate) fn build(&self) -> Option<AsapMessage> {
        let list = |elements: &[FuzzElement]| elements.iter().take(MAX_LIST).map(FuzzElement::build).collect::<Vec<_>>();
        Some(match self {
            Self::Registration(pool, element) => AsapMessage::Registration { handle: pool.handle()?, element: element.build() },
            Self::Deregistration(pool, id) => AsapMessage::Deregistration { handle: pool.handle()?, id: id.id() },
            Self::RegistrationResponse(reject, pool, id, error) => AsapMessage::RegistrationResponse {
                reject: *reject,
                handle: pool.handle()?,
                id: id.id(),
                error: error.as_ref().map(FuzzError::build),
            },
            Self::DeregistrationResponse(pool, id, error) => {
                AsapMessage::DeregistrationResponse { handle: pool.handle()?, id: id.id(), error: error.as_ref().map(FuzzError::build) }
            }
            Self::Resolution(subscribe, pool, items) => {
                AsapMessage::HandleResolution { subscribe: *subscribe, handle: pool.handle()?, items: *items }
            }
            Self::ResolutionResponse(pool, elements, error) => AsapMessage::HandleResolutionResponse {
                subscribed: false,
                handle: pool.handle()?,
                policy: elements.first().map(|e| e.build().policy),
                elements: list(elements),
                error: error.as_ref().map(FuzzError::build),
            },
            Self::KeepAlive(new_home, registrar, pool, id) => {
                AsapMessage::KeepAlive { new_home: *new_home, registrar: registrar.id(), handle: pool.handle()?, id: id.map(Id::id) }
            }
            Self::KeepAliveAck(pool, id) => AsapMessage::KeepAliveAck { handle: pool.handle()?, id: id.id() },
            Self::Unreachable(pool, id) => AsapMessage::Unreachable { handle: pool.handle()?, id: id.id() },
            Self::Announce(registrar, at) => AsapMessage::ServerAnnounce {
                registrar: registrar.id(),
                transports: at.iter().map(|(host, port)| Transport::sctp(port.number(), TransportUse::DATA, [host.ip()])).collect(),
            },
            Self::Cookie(len, false) => AsapMessage::Cookie(vec![9; usize::from(*len)].into()),
            Self::Cookie(len, true) => AsapMessage::CookieEcho(vec![9; usize::from(*len)].into()),
            Self::BusinessCard(pool, elements) => {
                AsapMessage::BusinessCard { handle: pool.handle()?, policy: None, elements: list(elements) }
            }
            Self::Error(error) => AsapMessage::Error(error.build()),
        })
    }
}

/// An ENRP message, without its sender and receiver.
#[derive(Arbitrary, Clone, Debug)]
pub(crate) enum FuzzEnrp {
    Presence { reply: bool, checksum: Option<u16>, server: Option<(Registrar, Host, Port)> },
    TableRequest { own: bool },
    TableResponse { reject: bool, more: bool, pools: Vec<(Pool, FuzzElement, Vec<FuzzElement>)> },
    Update { delete: bool, suggest: bool, pool: Pool, element: FuzzElement },
    ListRequest,
    ListResponse { reject: bool, servers: Vec<(Registrar, Host, Port)> },
    InitTakeover(Registrar),
    InitTakeoverAck(Registrar),
    TakeoverServer(Registrar),
    Error(FuzzError),
}

fn server(&(id, host, port): &(Registrar, Host, Port)) -> ServerInformation {
    ServerInformation { id: id.id(), transport: Transport::sctp(port.number(), TransportUse::DATA, [host.ip()]) }
}

impl FuzzEnrp {
    pub(crate) fn build(&self, sender: RegistrarId, receiver: RegistrarId) -> Option<EnrpMessage> {
        Some(match self {
            Self::Presence { reply, checksum, server: at } => {
                EnrpMessage::Presence { sender, receiver, reply_required: *reply, checksum: *checksum, server: at.as_ref().map(server) }
            }
            Self::TableRequest { own } => EnrpMessage::HandleTableRequest { sender, receiver, own_only: *own },
            Self::TableResponse { reject, more, pools } => {
                let pools = pools.iter().take(MAX_LIST).map(|(pool, first, rest)| {
                    let elements = core::iter::once(first).chain(rest.iter().take(MAX_LIST)).map(FuzzElement::build).collect();
                    Some((pool.handle()?, elements))
                });
                EnrpMessage::HandleTableResponse { sender, receiver, reject: *reject, more: *more, pools: pools.collect::<Option<_>>()? }
            }
            Self::Update { delete, suggest, pool, element } => EnrpMessage::HandleUpdate {
                sender,
                receiver,
                action: if *delete { UpdateAction::Delete } else { UpdateAction::Add },
                takeover_suggested: *suggest,
                handle: pool.handle()?,
                element: element.build(),
            },
            Self::ListRequest => EnrpMessage::ListRequest { sender, receiver },
            Self::ListResponse { reject, servers } => {
                let servers = servers.iter().take(MAX_LIST).map(server).collect();
                EnrpMessage::ListResponse { sender, receiver, reject: *reject, servers }
            }
            Self::InitTakeover(target) => EnrpMessage::InitTakeover { sender, receiver, target: target.id() },
            Self::InitTakeoverAck(target) => EnrpMessage::InitTakeoverAck { sender, receiver, target: target.id() },
            Self::TakeoverServer(target) => EnrpMessage::TakeoverServer { sender, receiver, target: target.id() },
            Self::Error(error) => EnrpMessage::Error { sender, receiver, error: error.build() },
        })
    }
}

/// What is sent: a message of either protocol, damaged or not, or just bytes.
#[derive(Arbitrary, Clone, Debug)]
pub(crate) enum Sent {
    Asap(FuzzAsap),
    Enrp(Registrar, Registrar, FuzzEnrp),
    DamagedAsap(FuzzAsap, u16, u8),
    DamagedEnrp(Registrar, Registrar, FuzzEnrp, u16, u8),
    Noise(Vec<u8>),
}

impl Sent {
    /// The bytes; nothing if no such message can be built.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let options = EncodeOptions::default();
        let asap = |m: &FuzzAsap| m.build().and_then(|m| m.encode(options).ok()).unwrap_or_default();
        let enrp = |from: &Registrar, to: &Registrar, m: &FuzzEnrp| {
            m.build(from.id(), to.id()).and_then(|m| m.encode(options).ok()).unwrap_or_default()
        };
        let damaged = |mut bytes: Vec<u8>, at: u16, value: u8| {
            let len = bytes.len().max(1);
            if let Some(b) = bytes.get_mut(usize::from(at) % len) {
                *b = value;
            }
            bytes
        };
        match self {
            Self::Asap(m) => asap(m),
            Self::Enrp(from, to, m) => enrp(from, to, m),
            Self::DamagedAsap(m, at, value) => damaged(asap(m), *at, *value),
            Self::DamagedEnrp(from, to, m, at, value) => damaged(enrp(from, to, m), *at, *value),
            Self::Noise(bytes) => bytes.clone(),
        }
    }

    /// Whether it is ENRP's.
    pub(crate) const fn is_enrp(&self) -> bool {
        matches!(self, Self::Enrp(..) | Self::DamagedEnrp(..))
    }
}
