//! A registrar under test, its clients played by the test.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use rserpool::registrar::config::RegistrarConfig;
use rserpool::registrar::{AssocKey, CloseHow, ConnectToken, Input, Output, Registrar, RegistrarEvent, RemovalReason, Service};
use rserpool::wire::{
    ASAP_PPID, AsapMessage, CauseCode, ElementId, EncodeOptions, Life, PolicyParam, PoolElement, PoolHandle, RegistrarId, Transport,
    TransportUse,
};
use sctp_user::{SeededEntropy, Time};

pub(crate) const REGISTRAR: RegistrarId = RegistrarId(0xaabb_ccdd);
pub(crate) const ECHO: &str = "EchoPool";

pub(crate) fn handle(name: &str) -> PoolHandle {
    PoolHandle::new(name).unwrap()
}

/// An element that serves on 10.0.0.`host`.
pub(crate) fn element(id: u32, host: u8) -> PoolElement {
    PoolElement {
        id: ElementId(id),
        home: RegistrarId::UNDEFINED,
        life: Life::INFINITE,
        user: Transport::sctp(4711, TransportUse::DATA, [IpAddr::from([10, 0, 0, host])]),
        policy: PolicyParam::RoundRobin {},
        asap: None,
    }
}

pub(crate) fn registration(pool: &str, element: PoolElement) -> AsapMessage {
    AsapMessage::Registration { handle: handle(pool), element }
}

pub(crate) fn accepted(pool: &str, id: u32) -> AsapMessage {
    AsapMessage::RegistrationResponse { reject: false, handle: handle(pool), id: ElementId(id), error: None }
}

pub(crate) fn resolution(pool: &str, items: Option<u32>) -> AsapMessage {
    AsapMessage::HandleResolution { subscribe: false, handle: handle(pool), items }
}

pub(crate) fn unknown_pool(pool: &str) -> AsapMessage {
    let error = Some(CauseCode::UNKNOWN_POOL_HANDLE.into());
    AsapMessage::HandleResolutionResponse { subscribed: false, handle: handle(pool), policy: None, elements: Vec::new(), error }
}

pub(crate) fn keep_alive(pool: &str, id: u32) -> AsapMessage {
    AsapMessage::KeepAlive { new_home: false, registrar: REGISTRAR, handle: handle(pool), id: Some(ElementId(id)) }
}

pub(crate) fn ack(pool: &str, id: u32) -> AsapMessage {
    AsapMessage::KeepAliveAck { handle: handle(pool), id: ElementId(id) }
}

pub(crate) fn unreachable(pool: &str, id: u32) -> AsapMessage {
    AsapMessage::Unreachable { handle: handle(pool), id: ElementId(id) }
}

/// What came out of the registrar, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Out {
    Said(AssocKey, AsapMessage),
    Connect(ConnectToken, Vec<SocketAddr>),
    Close(AssocKey, CloseHow),
    Announce(SocketAddr, Vec<u8>),
}

pub(crate) struct Bed {
    pub(crate) r: Registrar,
    pub(crate) now: Time,
    pub(crate) events: Vec<(Time, RegistrarEvent)>,
    next: u32,
}

impl Bed {
    /// A registrar with a keep-alive each 5 s on the dot.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut RegistrarConfig)) -> Self {
        let mut cfg = RegistrarConfig::default();
        cfg.id = REGISTRAR;
        cfg.keep_alive.spread_percent = 0;
        change(&mut cfg);
        cfg.validate().unwrap();
        let r = Registrar::new(cfg, Box::new(SeededEntropy::new(7)));
        Self { r, now: Time::ZERO, events: Vec::new(), next: 100 }
    }

    /// A client at 10.0.0.`host`, SCTP port 50000.
    pub(crate) fn client(&mut self, host: u8) -> AssocKey {
        self.client_at(&[&format!("10.0.0.{host}:50000")], None)
    }

    pub(crate) fn client_at(&mut self, peer: &[&str], token: Option<ConnectToken>) -> AssocKey {
        let assoc = AssocKey(self.next);
        self.next += 1;
        let peer: Vec<SocketAddr> = peer.iter().map(|p| p.parse().unwrap()).collect();
        self.r.handle(self.now, Input::Connected { assoc, service: Service::Asap, token, peer: &peer });
        assoc
    }

    pub(crate) fn lose(&mut self, assoc: AssocKey, aborted: bool) -> Vec<Out> {
        self.r.handle(self.now, Input::Lost { assoc, aborted });
        self.out()
    }

    /// Hands a message in; returns what came out.
    pub(crate) fn say(&mut self, assoc: AssocKey, message: &AsapMessage) -> Vec<Out> {
        self.say_bytes(assoc, &message.encode(EncodeOptions::default()).unwrap())
    }

    pub(crate) fn say_bytes(&mut self, assoc: AssocKey, bytes: &[u8]) -> Vec<Out> {
        self.r.handle(self.now, Input::Message { assoc, ppid: ASAP_PPID, sid: 0, bytes });
        self.out()
    }

    /// Says something that is answered by exactly one message.
    #[track_caller]
    pub(crate) fn ask(&mut self, assoc: AssocKey, message: &AsapMessage) -> AsapMessage {
        let mut out = self.say(assoc, message);
        match (out.pop(), out.is_empty()) {
            (Some(Out::Said(to, answer)), true) if to == assoc => answer,
            other => panic!("{other:?} {out:?}"),
        }
    }

    /// Registers an element of 10.0.0.`host` over a new association.
    #[track_caller]
    pub(crate) fn registered(&mut self, pool: &str, id: u32, host: u8) -> AssocKey {
        let assoc = self.client(host);
        assert_eq!(self.ask(assoc, &registration(pool, element(id, host))), accepted(pool, id));
        assoc
    }

    /// The identifiers that a resolution names.
    #[track_caller]
    pub(crate) fn resolve(&mut self, assoc: AssocKey, pool: &str, items: Option<u32>) -> Vec<u32> {
        match self.ask(assoc, &resolution(pool, items)) {
            AsapMessage::HandleResolutionResponse { elements, .. } => elements.iter().map(|e| e.id.0).collect(),
            other => panic!("{other}"),
        }
    }

    /// What has come out; events are put aside.
    pub(crate) fn out(&mut self) -> Vec<Out> {
        let mut out = Vec::new();
        while let Some(o) = self.r.poll_output() {
            out.push(match o {
                Output::Send { assoc, ppid, sid, bytes } => {
                    assert_eq!((ppid, sid), (ASAP_PPID, 0));
                    Out::Said(assoc, AsapMessage::decode(&bytes).unwrap().message)
                }
                Output::Connect { token, addrs, .. } => Out::Connect(token, addrs),
                Output::Close { assoc, how } => Out::Close(assoc, how),
                Output::Announce { target, bytes, .. } => Out::Announce(target.group, bytes.to_vec()),
                Output::Event(event) => {
                    assert!(!event.to_string().is_empty());
                    self.events.push((self.now, event));
                    continue;
                }
                other => panic!("{other:?}"),
            });
        }
        self.r.handlespace().audit().unwrap();
        out
    }

    /// Lets time pass; returns what came out, and when.
    pub(crate) fn pass(&mut self, span: Duration) -> Vec<(u64, Out)> {
        let until = self.now + span;
        let mut all = Vec::new();
        while let Some(t) = self.r.poll_timeout().filter(|t| *t <= until) {
            self.now = t.max(self.now);
            self.r.handle_timeout(self.now);
            let at = self.now.as_millis();
            all.extend(self.out().into_iter().map(|o| (at, o)));
            assert!(self.r.poll_timeout().is_none_or(|next| next > self.now), "a timer that does not move");
        }
        self.now = until;
        all
    }

    /// Lets time pass while nothing may come out.
    #[track_caller]
    pub(crate) fn pass_quietly(&mut self, ms: u64) {
        assert_eq!(self.pass(Duration::from_millis(ms)), []);
    }

    /// Who was removed so far, when (in ms) and why.
    pub(crate) fn removed(&self) -> Vec<(u64, u32, RemovalReason)> {
        let of = |(t, e): &(Time, RegistrarEvent)| match e {
            RegistrarEvent::Removed { id, why, .. } => Some((t.as_millis(), id.0, *why)),
            _ => None,
        };
        self.events.iter().filter_map(of).collect()
    }
}
