//! Floods: many hostile peers say as much as they can, for ten simulated seconds. What the registrar holds is bounded by its
//! limits, an input leads to few outputs, and well-behaved clients are answered at once, each time.
//!
//! Each test prints its figures; `cargo test -p rserpool --test registrar_floods -- --nocapture` shows them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use core::time::Duration;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use allocation_counter::measure;
use rserpool::handlespace::Limits;
use rserpool::registrar::config::{AnnounceTarget, RegistrarConfig};
use rserpool::registrar::{AssocKey, CloseHow, ConnectToken, Input, Output, Registrar, Service};
use rserpool::wire::{
    ASAP_PPID, AsapMessage, ENRP_PPID, ElementId, EncodeOptions, EnrpMessage, Life, PolicyParam, PoolElement, PoolHandle, RegistrarId,
    ServerInformation, Transport, TransportUse,
};
use sctp_user::{SeededEntropy, Time};

const SECONDS: u64 = 10;
/// How long an attempt to open an association to nobody takes to fail.
const CONNECT_FAILS_AFTER: Duration = Duration::from_secs(2);
/// Most outputs that one input or one timer may cause, beside the message to each subscriber or peer.
const MAX_OUTPUTS: usize = 300;

const ELEMENT_HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const USER_HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// The nth hostile host.
fn hostile(n: u32) -> IpAddr {
    IpAddr::from((0x0a80_0000 | (n & 0x007f_ffff)).to_be_bytes())
}

fn good() -> PoolHandle {
    PoolHandle::new("Good").unwrap()
}

fn element(id: u32, ip: IpAddr) -> PoolElement {
    PoolElement {
        id: ElementId(id),
        home: RegistrarId::UNDEFINED,
        life: Life(60_000),
        user: Transport::sctp(4711, TransportUse::DATA, [ip]),
        policy: PolicyParam::RoundRobin {},
        asap: None,
    }
}

fn asap(message: &AsapMessage) -> Vec<u8> {
    message.encode(EncodeOptions::default()).unwrap()
}

/// Limits of a registrar for a thousand elements, so that a flood reaches them soon.
fn config() -> RegistrarConfig {
    let mut cfg = RegistrarConfig::default();
    cfg.id = RegistrarId(1);
    cfg.limits = Limits { pools: 500, elements: 5_000, elements_per_pool: 2_000 };
    cfg.max_associations = 2_000;
    cfg.max_associations_per_peer = 500;
    cfg.max_elements_per_association = 200;
    cfg.max_elements_per_peer = 500;
    cfg.rates.max_prefixes = 2_000;
    let target = |port| AnnounceTarget { source: IpAddr::from([10, 0, 0, 3]), group: SocketAddr::from(([239, 0, 0, 50], port)) };
    cfg.announce.targets.push(target(3863));
    cfg.enrp.targets.push(target(9901));
    cfg
}

/// What came out of a flood.
#[derive(Default, Debug)]
struct Figures {
    inputs: u64,
    outputs: u64,
    /// Requests of the well-behaved, and how many of them were answered well.
    asked: u64,
    answered: u64,
    /// Most associations that the registrar was opening at one time.
    connecting: usize,
    /// Most elements at one time.
    elements: usize,
}

struct Flood {
    r: Registrar,
    now: Time,
    element: AssocKey,
    user: AssocKey,
    next: u32,
    connects: VecDeque<(Time, ConnectToken)>,
    /// What the well-behaved wait for.
    expected: Option<AssocKey>,
    figures: Figures,
}

impl Flood {
    fn new(cfg: RegistrarConfig) -> Self {
        cfg.validate().unwrap();
        let r = Registrar::new(cfg, Box::new(SeededEntropy::new(5)));
        let mut this = Self {
            r,
            now: Time::ZERO,
            element: AssocKey(0),
            user: AssocKey(0),
            next: 1,
            connects: VecDeque::new(),
            expected: None,
            figures: Figures::default(),
        };
        this.give(Input::Addresses(&[IpAddr::from([10, 0, 0, 3])]));
        // The registrar finds no mentor, and serves.
        this.pass(Duration::from_secs(3));
        this.element = this.connect(Service::Asap, ELEMENT_HOST.into());
        this.user = this.connect(Service::Asap, USER_HOST.into());
        this.ask(this.element, &AsapMessage::Registration { handle: good(), element: element(1, ELEMENT_HOST.into()) });
        assert_eq!(this.figures.answered, 1);
        this
    }

    fn connect(&mut self, service: Service, ip: IpAddr) -> AssocKey {
        let assoc = AssocKey(self.next);
        self.next += 1;
        self.give(Input::Connected { assoc, service, token: None, peer: &[SocketAddr::new(ip, 5000)] });
        assoc
    }

    fn give(&mut self, input: Input<'_>) {
        self.figures.inputs += 1;
        self.r.handle(self.now, input);
        self.drain();
    }

    fn say(&mut self, assoc: AssocKey, bytes: &[u8]) {
        self.give(Input::Message { assoc, ppid: ASAP_PPID, sid: 0, bytes });
    }

    /// A well-behaved client asks; the answer has to come at once.
    fn ask(&mut self, assoc: AssocKey, message: &AsapMessage) {
        self.figures.asked += 1;
        self.expected = Some(assoc);
        self.say(assoc, &asap(message));
        self.expected = None;
    }

    fn drain(&mut self) {
        let mut count = 0;
        let mut gone = Vec::new();
        while let Some(out) = self.r.poll_output() {
            count += 1;
            match out {
                Output::Send { assoc, bytes, .. } if assoc == self.element || assoc == self.user => {
                    match AsapMessage::decode(&bytes).unwrap().message {
                        AsapMessage::KeepAlive { handle, id, .. } => {
                            let ack = AsapMessage::KeepAliveAck { handle, id: id.unwrap() };
                            self.r.handle(self.now, Input::Message { assoc, ppid: ASAP_PPID, sid: 0, bytes: &asap(&ack) });
                        }
                        AsapMessage::RegistrationResponse { reject: false, .. } if self.expected == Some(assoc) => {
                            self.figures.answered += 1;
                        }
                        AsapMessage::HandleResolutionResponse { elements, error: None, .. }
                            if self.expected == Some(assoc) && elements.len() == 1 =>
                        {
                            self.figures.answered += 1;
                        }
                        other => panic!("{other}"),
                    }
                }
                Output::Connect { token, .. } => self.connects.push_back((self.now + CONNECT_FAILS_AFTER, token)),
                Output::Close { assoc, how: CloseHow::Abort } => gone.push(assoc),
                _ => {}
            }
        }
        assert!(count <= MAX_OUTPUTS, "{count} outputs at once");
        self.figures.outputs += count as u64;
        self.figures.elements = self.figures.elements.max(self.r.handlespace().element_count());
        self.figures.connecting = self.figures.connecting.max(self.connects.len());
        for assoc in gone {
            assert!(assoc != self.element && assoc != self.user, "a well-behaved client was thrown out");
            self.r.handle(self.now, Input::Lost { assoc, aborted: false });
        }
    }

    fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        loop {
            let failing = self.connects.front().map(|(t, _)| *t);
            let Some(due) = [self.r.poll_timeout(), failing].into_iter().flatten().min().filter(|t| *t <= until) else { break };
            self.now = self.now.max(due);
            if failing.is_some_and(|t| t <= self.now) {
                let (_, token) = self.connects.pop_front().unwrap();
                self.r.handle(self.now, Input::ConnectFailed { token });
            } else {
                self.r.handle_timeout(self.now);
            }
            self.drain();
        }
        self.now = until;
    }

    /// Ten seconds, in each millisecond of which `attack` strikes, while the user resolves each 10 ms and the element
    /// registers anew each 100 ms.
    fn run(&mut self, mut attack: impl FnMut(&mut Self, u64)) {
        for ms in 0..SECONDS * 1_000 {
            self.pass(Duration::from_millis(1));
            attack(self, ms);
            if ms % 10 == 0 {
                self.ask(self.user, &AsapMessage::HandleResolution { subscribe: false, handle: good(), items: None });
            }
            if ms % 100 == 0 {
                self.ask(self.element, &AsapMessage::Registration { handle: good(), element: element(1, ELEMENT_HOST.into()) });
            }
        }
        self.r.handlespace().audit().unwrap();
    }
}

/// Runs a flood; at its peak it may take so much memory.
#[track_caller]
fn flood(name: &str, cfg: RegistrarConfig, max_bytes: u64, attack: impl FnMut(&mut Flood, u64)) {
    let mut flood = Flood::new(cfg);
    let memory = measure(|| flood.run(attack));
    let Figures { inputs, outputs, asked, answered, connecting, elements } = flood.figures;
    println!(
        "{name}: {inputs} inputs and {outputs} outputs in {SECONDS} s; at most {} KiB of memory taken, {} KiB kept, {} associations, at \
         most {elements} elements and {connecting} connects at once; {answered} of {asked} good requests answered",
        memory.bytes_max / 1024,
        memory.bytes_current / 1024,
        flood.r.association_count(),
    );
    assert_eq!(answered, asked);
    assert!(memory.bytes_max <= max_bytes, "{} bytes", memory.bytes_max);
    assert!(flood.r.handlespace().find(&good(), ElementId(1)).is_some());
}

#[test]
fn announces() {
    flood("announces", config(), 2 << 20, |f, ms| {
        for n in 0..20 {
            let n = u32::try_from(ms).unwrap() * 20 + n;
            let registrar = RegistrarId(n + 10);
            let transports = vec![Transport::sctp(3863, TransportUse::DATA, [hostile(n)])];
            let bytes = asap(&AsapMessage::ServerAnnounce { registrar, transports });
            f.give(Input::Datagram { service: Service::Asap, src: SocketAddr::new(hostile(n), 3863), bytes: &bytes });
        }
    });
}

fn presence(n: u32) -> Vec<u8> {
    let sender = RegistrarId(n + 10);
    let transport = Transport::sctp(9901, TransportUse::DATA, [hostile(n)]);
    let server = Some(ServerInformation { id: sender, transport });
    let presence = EnrpMessage::Presence { sender, receiver: RegistrarId::UNDEFINED, reply_required: true, checksum: Some(7), server };
    presence.encode(EncodeOptions::default()).unwrap()
}

#[test]
fn presences_by_multicast() {
    flood("presences by multicast", config(), 2 << 20, |f, ms| {
        for n in 0..20 {
            let n = u32::try_from(ms).unwrap() * 20 + n;
            f.give(Input::Datagram { service: Service::Enrp, src: SocketAddr::new(hostile(n), 9901), bytes: &presence(n) });
        }
    });
}

/// Presences that claim to be the registrar's own: it takes a new identifier, but not with each of them.
#[test]
fn presences_in_the_name_of_the_registrar() {
    let mut ids = std::collections::BTreeSet::new();
    flood("presences in the registrar's own name", config(), 2 << 20, |f, ms| {
        for n in 0..20 {
            let n = u32::try_from(ms).unwrap() * 20 + n;
            let sender = f.r.id();
            ids.insert(sender);
            let transport = Transport::sctp(9901, TransportUse::DATA, [hostile(n)]);
            let server = Some(ServerInformation { id: sender, transport });
            let presence =
                EnrpMessage::Presence { sender, receiver: RegistrarId::UNDEFINED, reply_required: false, checksum: Some(7), server };
            let bytes = presence.encode(EncodeOptions::default()).unwrap();
            f.give(Input::Datagram { service: Service::Enrp, src: SocketAddr::new(hostile(n), 9901), bytes: &bytes });
        }
    });
    // One change in each 5 s.
    assert!((2..=3).contains(&ids.len()), "{} identifiers", ids.len());
}

/// Many associations at the ENRP port, over each of which one identifier after the other is forged.
#[test]
fn presences_over_associations() {
    let mut links = Vec::new();
    flood("presences over associations", config(), 4 << 20, |f, ms| {
        if ms < 1_000 {
            links.push(f.connect(Service::Enrp, hostile(u32::try_from(ms).unwrap() / 10)));
        }
        for n in 0..20 {
            let n = u32::try_from(ms).unwrap() * 20 + n;
            let assoc = links[n as usize % links.len()];
            f.give(Input::Message { assoc, ppid: ENRP_PPID, sid: 0, bytes: &presence(n) });
        }
    });
}

/// Hostile peers that come back over new associations as soon as they are refused.
#[test]
fn resolutions() {
    let unknown: Vec<_> = (0..100)
        .map(|n| asap(&AsapMessage::HandleResolution { subscribe: true, handle: PoolHandle::new(format!("p{n}")).unwrap(), items: None }))
        .collect();
    flood("resolutions", config(), 4 << 20, |f, ms| {
        let assoc = f.connect(Service::Asap, hostile(u32::try_from(ms).unwrap() % 50));
        for bytes in &unknown {
            f.say(assoc, bytes);
        }
        f.say(assoc, &asap(&AsapMessage::HandleResolution { subscribe: true, handle: good(), items: Some(u32::MAX) }));
        if ms % 2 == 0 {
            f.give(Input::Lost { assoc, aborted: false });
        }
    });
}

/// One host reports the good element, and others that do not exist, over as many associations as it gets.
#[test]
fn reports() {
    flood("reports", config(), 4 << 20, |f, ms| {
        let assoc = f.connect(Service::Asap, hostile(u32::try_from(ms).unwrap() % 2));
        for id in 0..50 {
            f.say(assoc, &asap(&AsapMessage::Unreachable { handle: good(), id: ElementId(id) }));
        }
    });
}

/// Hosts that register whatever they can: new pools, new elements, over and over.
#[test]
fn registrations() {
    flood("registrations", config(), 8 << 20, |f, ms| {
        let host = u32::try_from(ms).unwrap() % 5;
        let assoc = f.connect(Service::Asap, hostile(host));
        for n in 0..20 {
            let n = u32::try_from(ms).unwrap() * 20 + n;
            let handle = if n % 3 == 0 { good() } else { PoolHandle::new(format!("pool {}", n % 700)).unwrap() };
            let element = PoolElement { life: Life(1_000 + n % 1_000), ..element(n + 100, hostile(host)) };
            // Of the good element's pool they take part only with an identifier that is taken.
            let element = if n % 3 == 0 { PoolElement { id: ElementId(1), ..element } } else { element };
            f.say(assoc, &asap(&AsapMessage::Registration { handle, element }));
        }
    });
}

/// What nobody can understand.
#[test]
fn nonsense() {
    flood("nonsense", config(), 4 << 20, |f, ms| {
        let assoc = f.connect(Service::Asap, hostile(u32::try_from(ms).unwrap() % 100));
        for n in 0..50_u8 {
            f.say(assoc, &[n, 0, 0, 8, 0xff, n, 0, 4]);
            f.say(assoc, &[0x7f, 0, 0, 4]);
        }
    });
}
