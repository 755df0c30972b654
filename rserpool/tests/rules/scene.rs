//! A registrar whose peers and clients are played by the test.

use core::time::Duration;
use std::net::SocketAddr;

use rserpool::registrar::config::RegistrarConfig;
use rserpool::registrar::enrp::EnrpEvent;
use rserpool::registrar::{AssocKey, ConnectToken, Input, Output, Registrar, RegistrarEvent, Service};
use rserpool::wire::{
    ASAP_PPID, AsapMessage, ENRP_PPID, ElementId, EncodeOptions, EnrpMessage, PoolElement, RegistrarId, ServerInformation, Transport,
    TransportUse, UpdateAction,
};
use sctp_user::{SeededEntropy, Time};

use crate::bed::{ECHO, element, handle};

/// The registrar under test; peers have lower and higher identifiers.
pub(crate) const ME: RegistrarId = RegistrarId(50);
/// The group to which it sends its presences.
pub(crate) const GROUP: &str = "239.0.0.51:9901";
/// The checksum of a registrar that owns nothing.
pub(crate) const NOTHING: u16 = 0xffff;

/// What came out of the registrar, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Out {
    Asap(AssocKey, AsapMessage),
    Enrp(AssocKey, EnrpMessage),
    Connect(Service, ConnectToken, Vec<SocketAddr>),
    Close(AssocKey),
    Announce(Service, Vec<u8>),
}

/// Where a peer's ENRP endpoint is: it is called by its identifier.
pub(crate) fn place(id: u32) -> SocketAddr {
    SocketAddr::from(([10, 0, 1, u8::try_from(id).unwrap()], 9901))
}

pub(crate) fn server(id: u32) -> ServerInformation {
    ServerInformation { id: RegistrarId(id), transport: Transport::sctp(9901, TransportUse::DATA, [place(id).ip()]) }
}

/// A presence of a peer.
pub(crate) fn presence(id: u32, reply_required: bool, checksum: u16) -> EnrpMessage {
    EnrpMessage::Presence { sender: RegistrarId(id), receiver: ME, reply_required, checksum: Some(checksum), server: Some(server(id)) }
}

/// An element whose home is a peer.
pub(crate) fn owned(id: u32, home: u32) -> PoolElement {
    let host = u8::try_from(id).unwrap();
    let asap = Transport::sctp(50_000, TransportUse::DATA, [[10, 0, 0, host].into()]);
    PoolElement { home: RegistrarId(home), asap: Some(asap), ..element(id, host) }
}

/// A peer's update about an element.
pub(crate) fn update(from: u32, action: UpdateAction, element: PoolElement) -> EnrpMessage {
    let (sender, receiver) = (RegistrarId(from), RegistrarId::UNDEFINED);
    EnrpMessage::HandleUpdate { sender, receiver, action, takeover_suggested: false, handle: handle(ECHO), element }
}

pub(crate) fn table(from: u32, more: bool, elements: Vec<PoolElement>) -> EnrpMessage {
    let pools = if elements.is_empty() { vec![] } else { vec![(handle(ECHO), elements)] };
    EnrpMessage::HandleTableResponse { sender: RegistrarId(from), receiver: ME, reject: false, more, pools }
}

pub(crate) fn table_request(from: u32, own_only: bool) -> EnrpMessage {
    EnrpMessage::HandleTableRequest { sender: RegistrarId(from), receiver: ME, own_only }
}

pub(crate) fn list_request(from: u32) -> EnrpMessage {
    EnrpMessage::ListRequest { sender: RegistrarId(from), receiver: ME }
}

pub(crate) struct Scene {
    pub(crate) r: Registrar,
    pub(crate) now: Time,
    pub(crate) events: Vec<RegistrarEvent>,
    next: u32,
}

impl Scene {
    /// A registrar that knows of nobody, and serves.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut RegistrarConfig)) -> Self {
        let mut cfg = RegistrarConfig::default();
        cfg.id = ME;
        cfg.keep_alive.spread_percent = 0;
        change(&mut cfg);
        cfg.validate().unwrap();
        let r = Registrar::new(cfg, Box::new(SeededEntropy::new(7)));
        let mut scene = Self { r, now: Time::ZERO, events: Vec::new(), next: 100 };
        let addrs = ["10.0.1.50".parse().unwrap()];
        scene.r.handle(scene.now, Input::Addresses(&addrs));
        scene
    }

    fn connected(&mut self, service: Service, peer: SocketAddr, token: Option<ConnectToken>) -> AssocKey {
        let assoc = AssocKey(self.next);
        self.next += 1;
        self.r.handle(self.now, Input::Connected { assoc, service, token, peer: &[peer] });
        assoc
    }

    /// An association at the ENRP port.
    pub(crate) fn link(&mut self, id: u32, token: Option<ConnectToken>) -> AssocKey {
        self.connected(Service::Enrp, place(id), token)
    }

    /// An association with an element or a user at 10.0.0.`host`.
    pub(crate) fn client(&mut self, host: u8) -> AssocKey {
        self.client_for(host, None)
    }

    pub(crate) fn client_for(&mut self, host: u8, token: Option<ConnectToken>) -> AssocKey {
        self.connected(Service::Asap, SocketAddr::from(([10, 0, 0, host], 50_000)), token)
    }

    /// A peer that has introduced itself and owns nothing.
    pub(crate) fn peer(&mut self, id: u32) -> AssocKey {
        let assoc = self.link(id, None);
        self.say(assoc, &presence(id, false, NOTHING));
        self.say(assoc, &EnrpMessage::ListResponse { sender: RegistrarId(id), receiver: ME, reject: false, servers: vec![] });
        assoc
    }

    /// A peer that owns these elements.
    pub(crate) fn peer_with(&mut self, id: u32, elements: &[u32]) -> AssocKey {
        let assoc = self.peer(id);
        for e in elements {
            self.say(assoc, &update(id, UpdateAction::Add, owned(*e, id)));
        }
        assoc
    }

    /// Registers an element over a new association.
    pub(crate) fn registered(&mut self, id: u32) -> AssocKey {
        let host = u8::try_from(id).unwrap();
        let assoc = self.client(host);
        let out = self.ask(assoc, &AsapMessage::Registration { handle: handle(ECHO), element: element(id, host) });
        let accepted = AsapMessage::RegistrationResponse { reject: false, handle: handle(ECHO), id: ElementId(id), error: None };
        assert!(out.contains(&Out::Asap(assoc, accepted)), "{out:?}");
        assoc
    }

    /// Hands a peer's message in; returns what came out.
    pub(crate) fn say(&mut self, assoc: AssocKey, message: &EnrpMessage) -> Vec<Out> {
        self.say_bytes(assoc, &message.encode(EncodeOptions::default()).unwrap())
    }

    pub(crate) fn say_bytes(&mut self, assoc: AssocKey, bytes: &[u8]) -> Vec<Out> {
        self.r.handle(self.now, Input::Message { assoc, ppid: ENRP_PPID, sid: 0, bytes });
        self.out()
    }

    /// Hands a client's message in; returns what came out.
    pub(crate) fn ask(&mut self, assoc: AssocKey, message: &AsapMessage) -> Vec<Out> {
        let bytes = message.encode(EncodeOptions::default()).unwrap();
        self.r.handle(self.now, Input::Message { assoc, ppid: ASAP_PPID, sid: 0, bytes: &bytes });
        self.out()
    }

    /// The messages to a peer among what comes out of this.
    pub(crate) fn answers(&mut self, assoc: AssocKey, message: &EnrpMessage) -> Vec<EnrpMessage> {
        to(assoc, self.say(assoc, message))
    }

    pub(crate) fn out(&mut self) -> Vec<Out> {
        let mut out = Vec::new();
        while let Some(o) = self.r.poll_output() {
            out.push(match o {
                Output::Send { assoc, ppid: ASAP_PPID, bytes, .. } => Out::Asap(assoc, AsapMessage::decode(&bytes).unwrap().message),
                Output::Send { assoc, ppid, bytes, .. } => {
                    assert_eq!(ppid, ENRP_PPID);
                    Out::Enrp(assoc, EnrpMessage::decode(&bytes).unwrap().message)
                }
                Output::Connect { service, token, addrs } => Out::Connect(service, token, addrs),
                Output::Close { assoc, .. } => Out::Close(assoc),
                Output::Announce { service, bytes, .. } => Out::Announce(service, bytes.to_vec()),
                Output::Event(event) => {
                    self.events.push(event);
                    continue;
                }
                other => panic!("{other:?}"),
            });
        }
        self.r.handlespace().audit().unwrap();
        out
    }

    /// Lets time pass; returns what came out, and when.
    pub(crate) fn pass(&mut self, ms: u64) -> Vec<(u64, Out)> {
        let until = self.now + Duration::from_millis(ms);
        let mut all = Vec::new();
        while let Some(t) = self.r.poll_timeout().filter(|t| *t <= until) {
            self.now = t.max(self.now);
            self.r.handle_timeout(self.now);
            let at = self.now.as_millis();
            all.extend(self.out().into_iter().map(|o| (at, o)));
        }
        self.now = until;
        all
    }

    /// Lets time pass while these peers stay alive by a presence each second, whatever they own by now.
    pub(crate) fn pass_with(&mut self, ms: u64, alive: &[(u32, AssocKey)]) -> Vec<(u64, Out)> {
        let mut all = Vec::new();
        for passed in (0..ms).step_by(1_000) {
            all.extend(self.pass((ms - passed).min(1_000)));
            for (id, assoc) in alive {
                let checksum = self.r.handlespace().checksum(RegistrarId(*id));
                let at = self.now.as_millis();
                all.extend(self.say(*assoc, &presence(*id, false, checksum)).into_iter().map(|o| (at, o)));
            }
        }
        all
    }

    /// What the handlespace knows of an element.
    pub(crate) fn known(&self, id: u32) -> Option<PoolElement> {
        let space = self.r.handlespace();
        let key = space.find(&handle(ECHO), ElementId(id))?;
        Some(space.element(key).unwrap().info())
    }

    pub(crate) fn home_of(&self, id: u32) -> Option<u32> {
        self.known(id).map(|e| e.home.0)
    }

    pub(crate) fn serves(&self) -> bool {
        self.events.iter().any(|e| matches!(e, RegistrarEvent::Enrp(EnrpEvent::Serving { .. })))
    }
}

/// The messages to a peer.
pub(crate) fn to(assoc: AssocKey, out: Vec<Out>) -> Vec<EnrpMessage> {
    let of = |o| match o {
        Out::Enrp(a, m) if a == assoc => Some(m),
        _ => None,
    };
    out.into_iter().filter_map(of).collect()
}

/// Without the times.
pub(crate) fn untimed(out: Vec<(u64, Out)>) -> Vec<Out> {
    out.into_iter().map(|(_, o)| o).collect()
}
