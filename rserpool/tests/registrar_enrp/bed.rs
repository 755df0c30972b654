//! Registrars and elements on the bus.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rserpool::registrar::config::{AnnounceTarget, RegistrarConfig};
use rserpool::registrar::{AssocKey, ConnectToken, Input, Output, Registrar, RegistrarEvent, Service};
use rserpool::wire::{ASAP_PORT, ENRP_PORT, ElementId, RegistrarId};
use sctp_user::{SeededEntropy, Time};

use super::bus::{Arrival, Bus, End, Host};
use super::element::{Element, PORT};

pub(crate) fn place(n: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], port))
}

pub(crate) struct Bed {
    pub(crate) now: Time,
    pub(crate) bus: Bus,
    pub(crate) registrars: BTreeMap<Host, Registrar>,
    pub(crate) elements: BTreeMap<Host, Element>,
    addrs: BTreeMap<Host, IpAddr>,
    pub(crate) events: Vec<(Time, Host, RegistrarEvent)>,
    seed: u64,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let (bus, registrars, elements) = (Bus::default(), BTreeMap::new(), BTreeMap::new());
        Self { now: Time::ZERO, bus, registrars, elements, addrs: BTreeMap::new(), events: Vec::new(), seed: 1 }
    }

    /// A registrar at 10.0.0.`n` with identifier `n`, that finds others by multicast.
    pub(crate) fn registrar(&mut self, n: u8) -> Host {
        self.registrar_with(n, |_| {})
    }

    pub(crate) fn registrar_with(&mut self, n: u8, change: impl FnOnce(&mut RegistrarConfig)) -> Host {
        let addr = IpAddr::from([10, 0, 0, n]);
        let mut cfg = RegistrarConfig::default();
        cfg.id = RegistrarId(n.into());
        cfg.enrp.targets = vec![AnnounceTarget { source: addr, group: cfg.enrp_group }];
        change(&mut cfg);
        cfg.validate().unwrap();
        // A host's number is its address' last byte; what came back has another one.
        let host = self.addrs.len() + 1;
        if !cfg.enrp.targets.is_empty() {
            self.bus.group.insert(host);
        }
        self.seed += 1;
        let mut r = Registrar::new(cfg, Box::new(SeededEntropy::new(self.seed)));
        r.handle(self.now, Input::Addresses(&[addr]));
        self.bus.hosts.insert(addr, host);
        self.bus.listen(SocketAddr::new(addr, ASAP_PORT));
        self.bus.listen(SocketAddr::new(addr, ENRP_PORT));
        self.addrs.insert(host, addr);
        self.registrars.insert(host, r);
        host
    }

    /// An element at 10.0.1.`n` with identifier `n`, that goes to these registrars, one after the other.
    pub(crate) fn element(&mut self, pool: &str, n: u8, registrars: &[u8]) -> Host {
        let addr = IpAddr::from([10, 0, 1, n]);
        let host = self.addrs.len() + 1;
        let registrars = registrars.iter().map(|n| place(*n, ASAP_PORT)).collect();
        let mut element = Element::new(host, addr, pool, n.into(), registrars);
        self.bus.hosts.insert(addr, host);
        self.bus.listen(SocketAddr::new(addr, PORT));
        self.addrs.insert(host, addr);
        element.timeout(self.now, &mut self.bus);
        self.elements.insert(host, element);
        host
    }

    pub(crate) fn r(&self, host: Host) -> &Registrar {
        &self.registrars[&host]
    }

    fn drain(&mut self, host: Host) {
        let Some(r) = self.registrars.get_mut(&host) else { return };
        let mut outputs = Vec::new();
        while let Some(output) = r.poll_output() {
            outputs.push(output);
        }
        r.handlespace().audit().unwrap();
        for output in outputs {
            self.perform(host, output);
        }
    }

    fn perform(&mut self, host: Host, output: Output) {
        let addr = self.addrs[&host];
        match output {
            Output::Send { assoc, ppid, bytes, .. } => self.bus.send(self.now, End { host, key: assoc.0 }, ppid, bytes),
            Output::Connect { service, token, addrs } => {
                let port = match service {
                    Service::Asap => ASAP_PORT,
                    Service::Enrp => ENRP_PORT,
                };
                self.bus.connect(self.now, host, SocketAddr::new(addr, port), token.0, &addrs);
            }
            Output::Close { assoc, .. } => self.bus.close(self.now, End { host, key: assoc.0 }),
            Output::Announce { service: Service::Enrp, bytes, .. } => {
                self.bus.multicast(self.now, host, SocketAddr::new(addr, ENRP_PORT), &bytes);
            }
            Output::Event(event) => {
                assert!(!event.to_string().is_empty());
                if std::env::var("TRACE").is_ok() {
                    println!("{:>8} {host}: {event}", self.now.as_millis());
                }
                self.events.push((self.now, host, event));
            }
            _ => {}
        }
    }

    fn arrive(&mut self, host: Host, arrival: Arrival) {
        if let Some(element) = self.elements.get_mut(&host) {
            element.take(self.now, &mut self.bus, arrival);
            return;
        }
        let Some(r) = self.registrars.get_mut(&host) else { return };
        let now = self.now;
        match arrival {
            Arrival::Connected { key, token, local, peer } => {
                let service = if local == ENRP_PORT { Service::Enrp } else { Service::Asap };
                r.handle(now, Input::Connected { assoc: AssocKey(key), service, token: token.map(ConnectToken), peer: &[peer] });
            }
            Arrival::Failed { token } => r.handle(now, Input::ConnectFailed { token: ConnectToken(token) }),
            Arrival::Message { key, ppid, bytes } => r.handle(now, Input::Message { assoc: AssocKey(key), ppid, sid: 0, bytes: &bytes }),
            Arrival::Lost { key, aborted } => r.handle(now, Input::Lost { assoc: AssocKey(key), aborted }),
            Arrival::Datagram { src, bytes } => r.handle(now, Input::Datagram { service: Service::Enrp, src, bytes: &bytes }),
        }
        self.drain(host);
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        loop {
            let timers = self.registrars.values().filter_map(Registrar::poll_timeout);
            let all = timers.chain(self.elements.values().filter_map(Element::next)).chain(self.bus.next());
            let Some(t) = all.min().map(|t| t.max(self.now)).filter(|t| *t <= until) else { break };
            self.now = t;
            while let Some((host, arrival)) = self.bus.pop(self.now) {
                self.arrive(host, arrival);
            }
            for element in self.elements.values_mut() {
                element.timeout(self.now, &mut self.bus);
            }
            let due: Vec<Host> =
                self.registrars.iter().filter(|(_, r)| r.poll_timeout().is_some_and(|t| t <= self.now)).map(|(h, _)| *h).collect();
            for host in due {
                self.registrars.get_mut(&host).unwrap().handle_timeout(self.now);
                self.drain(host);
                assert!(self.r(host).poll_timeout().is_none_or(|t| t > self.now), "a timer that does not move");
            }
        }
        self.now = until;
    }

    /// The process dies, and who had an association with it learns of it.
    pub(crate) fn kill(&mut self, host: Host) {
        self.remove(host, true);
    }

    /// The host is gone without a word.
    pub(crate) fn vanish(&mut self, host: Host) {
        self.remove(host, false);
    }

    fn remove(&mut self, host: Host, noticed: bool) {
        self.bus.kill(self.now, host, noticed);
        self.registrars.remove(&host);
        self.elements.remove(&host);
    }

    pub(crate) fn cut(&mut self, a: &[Host], b: &[Host], cut: bool) {
        for x in a {
            for y in b {
                self.bus.set_cut(self.now, *x, *y, cut);
            }
        }
    }

    /// All elements that a registrar knows, with their homes.
    pub(crate) fn view(&self, host: Host) -> Vec<(ElementId, RegistrarId)> {
        let space = self.r(host).handlespace();
        let mut all: Vec<_> = space.pools().flat_map(|p| space.members(p.handle())).map(|e| (e.id(), e.home())).collect();
        all.sort();
        all
    }

    /// All registrars know the same, each element has one home that lives and an association with it, and each
    /// registrar's checksum is what the others think.
    #[track_caller]
    pub(crate) fn agree(&self) {
        let living: Vec<RegistrarId> = self.registrars.values().map(Registrar::id).collect();
        let first = self.view(*self.registrars.keys().next().unwrap());
        let mut expected: Vec<ElementId> = self.elements.values().filter(|e| e.alive).map(|e| e.id).collect();
        expected.sort();
        for (host, r) in &self.registrars {
            let view = self.view(*host);
            assert_eq!(view, first, "registrar {host} differs at {} ms", self.now.as_millis());
            assert_eq!(view.iter().map(|(id, _)| *id).collect::<Vec<_>>(), expected, "registrar {host}");
            for (id, home) in view {
                assert!(living.contains(&home), "PE {id} has its home at {home}, who is dead");
            }
            for other in self.registrars.values() {
                let (theirs, ours) = (other.handlespace().checksum(other.id()), r.handlespace().checksum(other.id()));
                assert_eq!(theirs, ours, "checksum of {} at {host}", other.id());
            }
        }
        for element in self.elements.values().filter(|e| e.alive) {
            assert!(element.end().is_some(), "PE {} has no home", element.id);
        }
    }

    pub(crate) fn seed(&mut self, seed: u64) {
        self.seed = seed.wrapping_mul(1000);
    }

    /// How often each element was pulled to another home.
    pub(crate) fn moves(&self) -> Vec<u32> {
        self.elements.values().map(|e| e.moves).collect()
    }

    pub(crate) fn home(&self, host: Host, id: u32) -> Option<u32> {
        self.view(host).into_iter().find(|(e, _)| e.0 == id).map(|(_, home)| home.0)
    }

    /// How many events there are of a kind, at one registrar or at all.
    pub(crate) fn count(&self, host: Option<Host>, kind: impl Fn(&RegistrarEvent) -> bool) -> usize {
        self.events.iter().filter(|(_, h, e)| host.is_none_or(|x| x == *h) && kind(e)).count()
    }
}
