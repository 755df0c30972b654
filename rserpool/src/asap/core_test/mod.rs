//! The core against a scripted registrar.

mod elements;
mod home;
mod hunt;
mod requests;
mod rules;
mod subscriptions;
mod users;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sctp_user::{SeededEntropy, Time};

use super::*;
use crate::wire::{
    AsapMessage, CauseCode, ElementId, EncodeOptions, Life, OperationError, PolicyParam, PoolElement, PoolHandle, RegistrarId, Transport,
    TransportUse,
};

const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9));

fn ms(n: u64) -> Time {
    Time::from_millis(n)
}

fn pool() -> PoolHandle {
    PoolHandle::new("EchoPool").unwrap()
}

fn registrar_at(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 3863))
}

fn announce(n: u8) -> Vec<u8> {
    AsapMessage::ServerAnnounce { registrar: RegistrarId(n.into()), transports: Vec::new() }.encode(EncodeOptions::default()).unwrap()
}

fn element(id: u32) -> PoolElement {
    PoolElement {
        id: ElementId(id),
        home: RegistrarId(1),
        life: Life(90_000),
        user: Transport::sctp(4711, TransportUse::DATA_PLUS_CONTROL, [LOCAL]),
        policy: PolicyParam::RoundRobin {},
        asap: None,
    }
}

fn resolved(elements: Vec<PoolElement>) -> AsapMessage {
    AsapMessage::HandleResolutionResponse {
        subscribed: false,
        handle: pool(),
        policy: Some(PolicyParam::RoundRobin {}),
        elements,
        error: None,
    }
}

/// What a registrar answers that does all that is asked of it.
fn answer_to(message: &AsapMessage) -> AsapMessage {
    match message.clone() {
        AsapMessage::Registration { handle, element } => {
            AsapMessage::RegistrationResponse { reject: false, handle, id: element.id, error: None }
        }
        AsapMessage::Deregistration { handle, id } => AsapMessage::DeregistrationResponse { handle, id, error: None },
        AsapMessage::HandleResolution { subscribe, handle, .. } => AsapMessage::HandleResolutionResponse {
            subscribed: subscribe,
            handle,
            policy: Some(PolicyParam::RoundRobin {}),
            elements: vec![element(5)],
            error: None,
        },
        other => panic!("no request: {other:?}"),
    }
}

/// The core with what it has done.
struct Bench {
    asap: Asap,
    now: Time,
    connects: Vec<(LinkId, SocketAddr)>,
    sent: Vec<(LinkId, AsapMessage)>,
    closed: Vec<(LinkId, Ending)>,
    lookups: Vec<String>,
    events: Vec<AsapEvent>,
}

impl Bench {
    fn new() -> Self {
        Self::with(AsapConfig::default())
    }

    fn with(cfg: AsapConfig) -> Self {
        let asap = Asap::new(cfg, Box::new(SeededEntropy::new(7)));
        Self { asap, now: ms(0), connects: vec![], sent: vec![], closed: vec![], lookups: vec![], events: vec![] }
    }

    fn drain(&mut self) {
        while let Some(output) = self.asap.poll_output() {
            match output {
                Output::Connect { link, peer } => self.connects.push((link, peer[0])),
                Output::Send { link, bytes } => self.sent.push((link, AsapMessage::decode(&bytes).unwrap().message)),
                Output::Close { link, how } => self.closed.push((link, how)),
                Output::LookUp { name } => self.lookups.push(name),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    fn hear(&mut self, n: u8) {
        self.asap.handle(self.now, Input::Announce { src: registrar_at(n), bytes: &announce(n) });
        self.drain();
    }

    fn up(&mut self, link: LinkId) {
        self.asap.handle(self.now, Input::Connected { link, local: vec![LOCAL] });
        self.drain();
    }

    fn lost(&mut self, link: LinkId) {
        self.asap.handle(self.now, Input::Lost { link });
        self.drain();
    }

    fn say(&mut self, link: LinkId, message: &AsapMessage) {
        let bytes = message.encode(EncodeOptions::default()).unwrap();
        self.asap.handle(self.now, Input::Message { link, bytes: &bytes });
        self.drain();
    }

    /// Lets time pass, timers firing on the way.
    fn run_until(&mut self, until: Time) {
        let mut rounds = 0;
        while let Some(at) = self.asap.poll_timeout().filter(|t| *t <= until) {
            rounds += 1;
            assert!(rounds < 10_000, "timers spin at {}", self.now);
            self.now = self.now.max(at);
            self.asap.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    /// A core that has a home registrar and an element that is registered with it.
    fn registered() -> (Self, LinkId, ElementKey) {
        let mut b = Self::new();
        let key = b.asap.register(b.now, ElementSpec::new(pool(), 5000)).unwrap();
        b.hear(1);
        let home = b.connects[0].0;
        b.up(home);
        b.accept_registration(home, &key);
        assert_eq!(b.asap.element_state(&key), Some(ElementState::Registered));
        b.sent.clear();
        b.events.clear();
        (b, home, key)
    }

    fn accept_registration(&mut self, home: LinkId, key: &ElementKey) {
        self.say(home, &AsapMessage::RegistrationResponse { reject: false, handle: key.handle.clone(), id: key.id, error: None });
    }

    fn messages(&mut self) -> Vec<AsapMessage> {
        self.sent.drain(..).map(|(_, m)| m).collect()
    }
}
