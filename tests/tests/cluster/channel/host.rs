//! A host: its core is called, and what it wants is done.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use rserpool::asap::{self, Asap, AsapEvent, Ending, LinkId, RequestId};
use rserpool::registrar::enrp::EnrpEvent;
use rserpool::registrar::{self, AssocKey, CloseHow, ConnectToken, Registrar, RegistrarEvent, Service};
use rserpool::wire::{ASAP_PORT, ASAP_PPID, AsapMessage, ENRP_PORT, PoolHandle};
use sctp_user::Time;

use super::end::{Chunk, End, EndId, Name};
use super::{Arrival, Item, Net};
use crate::fabric::{Answer, CLIENT_PORT, Command, Fabric as _};

/// Most arrivals that a frozen process finds when it goes on; more were lost, which its peers' retransmissions mend.
const MAX_INBOX: usize = 100_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// The machine is off.
    Off,
    /// The machine runs, the process does not.
    Ended,
    Up,
    Frozen,
}

pub(super) enum Core {
    Registrar(Box<Registrar>),
    Client(Box<Asap>),
}

pub(super) struct Host {
    pub(super) addr: IpAddr,
    pub(super) state: State,
    /// Counts the processes that this host has had.
    pub(super) life: u32,
    pub(super) core: Option<Core>,
    /// How far its clock is ahead.
    pub(super) ahead: Duration,
    /// What has arrived while the process was frozen.
    pub(super) inbox: VecDeque<Arrival>,
    deadline: Option<Time>,
    next_key: u32,
    /// The resolutions of a client that have no answer.
    asked: BTreeMap<RequestId, PoolHandle>,
}

impl Host {
    pub(super) const fn new(addr: IpAddr, ahead: Duration) -> Self {
        Self {
            addr,
            state: State::Off,
            life: 0,
            core: None,
            ahead,
            inbox: VecDeque::new(),
            deadline: None,
            next_key: 0,
            asked: BTreeMap::new(),
        }
    }

    pub(super) fn local(&self, now: Time) -> Time {
        now + self.ahead
    }

    /// When its core wants to be called, by the world's clock.
    pub(super) fn wakes(&self) -> Option<Time> {
        let deadline = self.deadline.filter(|_| self.state == State::Up)?;
        Some(Time::ZERO + deadline.saturating_since(Time::ZERO + self.ahead))
    }

    pub(super) const fn is_registrar(&self) -> bool {
        matches!(self.core, Some(Core::Registrar(_)))
    }

    pub(super) const fn has_port(&self, port: u16) -> bool {
        match self.core {
            Some(Core::Registrar(_)) => matches!(port, ASAP_PORT | ENRP_PORT),
            Some(Core::Client(_)) => port == CLIENT_PORT,
            None => false,
        }
    }

    pub(super) const fn port(&self, service: Service) -> u16 {
        match service {
            Service::Asap => ASAP_PORT,
            Service::Enrp => ENRP_PORT,
        }
    }

    /// The name of an association that somebody else opened; a client names it itself.
    pub(super) fn new_name(&mut self) -> Option<Name> {
        self.next_key += 1;
        match self.core {
            Some(Core::Registrar(_)) => Some(Name::Assoc(AssocKey(self.next_key))),
            // A name that the client will never use: it is replaced when it accepts.
            Some(Core::Client(_)) => Some(Name::Assoc(AssocKey(self.next_key))),
            None => None,
        }
    }
}

impl Net {
    pub(super) fn note(&mut self, host: usize, what: &str, bytes: &[u8], line: impl FnOnce() -> String) {
        self.trace.note(self.now, host, what, bytes, line);
    }

    pub(super) fn boot(&mut self, host: usize, core: Core) {
        let h = &mut self.hosts[host];
        assert!(h.core.is_none(), "host {host} runs already");
        h.core = Some(core);
        h.state = State::Up;
        h.asked.clear();
        h.life += 1;
        self.note(host, "boots", &[], String::new);
        self.assess_around(host);
        self.pump(host);
    }

    /// The host's timer.
    pub(super) fn wake(&mut self, host: usize) {
        let local = self.hosts[host].local(self.now);
        match &mut self.hosts[host].core {
            Some(Core::Registrar(r)) => r.handle_timeout(local),
            Some(Core::Client(a)) => a.handle_timeout(local),
            None => {}
        }
        self.pump(host);
    }

    pub(super) fn arrive(&mut self, host: usize, life: u32, what: Arrival) {
        let h = &mut self.hosts[host];
        match h.state {
            State::Frozen if h.inbox.len() < MAX_INBOX => h.inbox.push_back(what),
            State::Frozen => {}
            // What was on its way to a former life finds the machine, but not the process.
            State::Up | State::Ended | State::Off if h.state != State::Up || h.life != life => {
                if let Arrival::Chunk { from, to, chunk } = what {
                    self.take_chunk(from, to, chunk);
                }
            }
            _ => match what {
                Arrival::Established { from } => self.established(from),
                Arrival::Up { end } => self.up(end),
                Arrival::Chunk { from, to, chunk } => self.take_chunk(from, to, chunk),
                Arrival::Abort { end, bare } => self.aborted(end, bare),
                Arrival::ShutdownComplete { end } => self.shutdown_complete(end),
                Arrival::Datagram { service, src, bytes } => self.tell_datagram(host, service, src, &bytes),
            },
        }
    }

    // ---- to the cores ------------------------------------------------------------------------------------------

    fn call_registrar(&mut self, host: usize, input: registrar::Input<'_>) {
        let local = self.hosts[host].local(self.now);
        if let Some(Core::Registrar(r)) = &mut self.hosts[host].core {
            r.handle(local, input);
        }
        self.pump(host);
    }

    fn call_client(&mut self, host: usize, input: asap::Input<'_>) {
        let local = self.hosts[host].local(self.now);
        if let Some(Core::Client(a)) = &mut self.hosts[host].core {
            a.handle(local, input);
        }
        self.pump(host);
    }

    fn peer_of(&self, id: EndId) -> Option<(usize, Name, u16, Option<ConnectToken>, SocketAddr)> {
        let end = self.ends.get(&id)?;
        let peer = SocketAddr::new(self.hosts[end.place.peer].addr, end.place.peer_port);
        Some((end.place.host, end.name, end.place.port, end.token, peer))
    }

    pub(super) fn tell_connected(&mut self, id: EndId) {
        let Some((host, name, port, token, peer)) = self.peer_of(id) else { return };
        self.note(host, "connected", &[], || format!("{name:?} with {peer}"));
        match name {
            Name::Assoc(assoc) => {
                let service = if port == ENRP_PORT { Service::Enrp } else { Service::Asap };
                self.call_registrar(host, registrar::Input::Connected { assoc, service, token, peer: &[peer] });
            }
            Name::Link(link) => {
                let local = vec![self.hosts[host].addr];
                self.call_client(host, asap::Input::Connected { link, local });
            }
        }
    }

    /// Somebody opened an association to this end's host.
    pub(super) fn tell_passive(&mut self, id: EndId) {
        let Some((host, _, _, _, peer)) = self.peer_of(id) else { return };
        if self.hosts[host].is_registrar() {
            return self.tell_connected(id);
        }
        let (local, addr) = (self.hosts[host].local(self.now), self.hosts[host].addr);
        let Some(Core::Client(asap)) = &mut self.hosts[host].core else { return };
        let Some(link) = asap.accept(local, vec![addr]) else {
            self.abort(id);
            return;
        };
        self.note(host, "visited", &[], || format!("{link:?} by {peer}"));
        self.rename(host, id, Name::Link(link));
        self.pump(host);
    }

    pub(super) fn tell_restarted(&mut self, id: EndId) {
        let Some((host, name, ..)) = self.peer_of(id) else { return };
        self.note(host, "restarted", &[], || format!("{name:?}"));
        match name {
            Name::Assoc(assoc) => self.call_registrar(host, registrar::Input::Restarted { assoc }),
            // A registrar that restarted knows nothing of us, but wants to speak with us (`node/pool/registrar.rs` does the same).
            Name::Link(link) => {
                self.tell_passive(id);
                self.call_client(host, asap::Input::Lost { link });
            }
        }
    }

    pub(super) fn tell_failed(&mut self, host: usize, life: u32, name: Name, token: Option<ConnectToken>) {
        if self.hosts[host].life != life {
            return;
        }
        self.note(host, "failed", &[], || format!("{name:?}"));
        match (name, token) {
            (Name::Assoc(_), Some(token)) => self.call_registrar(host, registrar::Input::ConnectFailed { token }),
            (Name::Assoc(_), None) => {}
            (Name::Link(link), _) => self.call_client(host, asap::Input::Lost { link }),
        }
    }

    pub(super) fn tell_lost(&mut self, host: usize, life: u32, name: Name, aborted: bool) {
        if self.hosts[host].life != life {
            return;
        }
        self.note(host, "lost", &[u8::from(aborted)], || format!("{name:?}{}", if aborted { " (denied)" } else { "" }));
        match name {
            Name::Assoc(assoc) => self.call_registrar(host, registrar::Input::Lost { assoc, aborted }),
            Name::Link(link) => self.call_client(host, asap::Input::Lost { link }),
        }
    }

    pub(super) fn tell_message(&mut self, id: EndId, ppid: u32, sid: u16, bytes: &Bytes) {
        let Some((host, name, _, _, peer)) = self.peer_of(id) else { return };
        self.messages += 1;
        self.note(host, "receives", bytes, || format!("{} from {peer}", describe(ppid, bytes)));
        match name {
            Name::Assoc(assoc) => self.call_registrar(host, registrar::Input::Message { assoc, ppid, sid, bytes }),
            Name::Link(link) if ppid == ASAP_PPID => self.call_client(host, asap::Input::Message { link, bytes }),
            Name::Link(_) => {}
        }
    }

    pub(super) fn tell_datagram(&mut self, host: usize, service: Service, src: SocketAddr, bytes: &Bytes) {
        self.note(host, "hears", bytes, || format!("{service:?} datagram of {src}"));
        if self.hosts[host].is_registrar() {
            self.call_registrar(host, registrar::Input::Datagram { service, src, bytes });
        } else {
            self.call_client(host, asap::Input::Announce { src, bytes });
        }
    }

    pub(super) fn tell_client(&mut self, host: usize, command: Command) {
        self.note(host, "told", &[], || format!("{command:?}"));
        let h = &mut self.hosts[host];
        let now = h.local(self.now);
        let Some(Core::Client(a)) = &mut h.core else { return };
        if h.state != State::Up {
            return;
        }
        match command {
            Command::Register(spec) => drop(a.register(now, spec)),
            Command::Update(key, policy) => a.update(now, &key, policy),
            Command::Deregister(key) => a.deregister(now, &key),
            Command::Resolve(handle, items) => {
                let request = a.resolve(now, &handle, items, Duration::ZERO);
                h.asked.insert(request, handle);
            }
            Command::Report(key) => a.report_unreachable(now, &key.handle, key.id, None),
        }
        self.pump(host);
    }

    // ---- from the cores ----------------------------------------------------------------------------------------

    /// Does what a core wants until it wants nothing more.
    fn pump(&mut self, host: usize) {
        loop {
            match &mut self.hosts[host].core {
                Some(Core::Registrar(r)) => match r.poll_output() {
                    Some(output) => self.registrar_wants(host, output),
                    None => break,
                },
                Some(Core::Client(a)) => match a.poll_output() {
                    Some(output) => self.client_wants(host, output),
                    None => break,
                },
                None => break,
            }
        }
        let h = &mut self.hosts[host];
        h.deadline = match &h.core {
            Some(Core::Registrar(r)) => r.poll_timeout(),
            Some(Core::Client(a)) => a.poll_timeout(),
            None => None,
        };
    }

    fn registrar_wants(&mut self, host: usize, output: registrar::Output) {
        match output {
            registrar::Output::Send { assoc, ppid, sid, bytes } => {
                if let Some(id) = self.names.get(&(host, Name::Assoc(assoc))).copied() {
                    self.overhear(host, id, ppid, &bytes);
                    self.send(id, Chunk::Data { ppid, sid, bytes });
                }
            }
            registrar::Output::Connect { service, token, addrs } => {
                self.hosts[host].next_key += 1;
                let name = Name::Assoc(AssocKey(self.hosts[host].next_key));
                let port = self.hosts[host].port(service);
                self.note(host, "connects", &[], || format!("{name:?} {service:?} to {addrs:?}"));
                if !self.connect(host, port, name, Some(token), &addrs) {
                    let life = self.hosts[host].life;
                    self.schedule(self.now, Item::ConnectFailed { host, life, name, token: Some(token) });
                }
            }
            registrar::Output::Close { assoc, how } => {
                let name = Name::Assoc(assoc);
                self.note(host, "closes", &[], || format!("{name:?} {how:?}"));
                let Some(id) = self.names.get(&(host, name)).copied() else { return };
                match how {
                    CloseHow::Shutdown => self.shutdown(id),
                    CloseHow::Abort => {
                        self.abort(id);
                        // Its node hears the end of the association that it has aborted.
                        let life = self.hosts[host].life;
                        self.schedule(self.now, Item::Lost { host, life, name });
                    }
                }
            }
            registrar::Output::Announce { service, target, bytes } => self.multicast(host, service, target.group, &bytes),
            registrar::Output::Event(RegistrarEvent::Resolved { .. }) => {}
            registrar::Output::Event(event) => {
                let id = self.registrar(host).map(Registrar::id);
                self.takeovers += usize::from(matches!(event, RegistrarEvent::Enrp(EnrpEvent::TakenOver { by, .. }) if Some(by) == id));
                self.note(host, "event", &[], || event.to_string());
            }
            other => unreachable!("no host can do {other:?}"),
        }
    }

    /// What a registrar answers to resolutions is judged when it is said.
    fn overhear(&mut self, host: usize, id: EndId, ppid: u32, bytes: &Bytes) {
        if ppid == ASAP_PPID
            && let Ok(decoded) = AsapMessage::decode(bytes)
            && let AsapMessage::HandleResolutionResponse { handle, elements, .. } = decoded.message
            && let Some(end) = self.ends.get(&id)
        {
            let user = end.place.peer;
            self.registrar_answers.push(Answer { at: self.now, registrar: Some(host), user, handle, elements });
        }
    }

    fn client_wants(&mut self, host: usize, output: asap::Output) {
        match output {
            asap::Output::Connect { link, peer } => {
                self.note(host, "connects", &[], || format!("{link:?} to {peer:?}"));
                if self.adopt_visit(host, link, &peer) {
                    return;
                }
                if !self.connect(host, CLIENT_PORT, Name::Link(link), None, &peer) {
                    let life = self.hosts[host].life;
                    self.schedule(self.now, Item::ConnectFailed { host, life, name: Name::Link(link), token: None });
                }
            }
            asap::Output::Send { link, bytes } => {
                if let Some(id) = self.names.get(&(host, Name::Link(link))).copied() {
                    self.send(id, Chunk::Data { ppid: ASAP_PPID, sid: 0, bytes });
                }
            }
            asap::Output::Close { link, how } => self.client_closes(host, link, how),
            asap::Output::Event(AsapEvent::Resolved { request, result }) => {
                let handle = self.hosts[host].asked.remove(&request);
                if let (Some(handle), Ok(elements)) = (handle, result) {
                    let at = self.now;
                    self.user_answers.push(Answer { at, registrar: None, user: host, handle, elements });
                }
            }
            asap::Output::LookUp { name } => unreachable!("no name is configured: {name}"),
            asap::Output::Event(event) => self.note(host, "event", &[], || format!("{event:?}")),
        }
    }

    /// A registrar that is wanted has opened an association to us by itself: that one will do (`node/pool/registrar.rs` does the
    /// same).
    fn adopt_visit(&mut self, host: usize, link: LinkId, peer: &[SocketAddr]) -> bool {
        let Some(id) = peer.iter().find_map(|a| self.end_to(host, CLIENT_PORT, *a)) else { return false };
        let Some(&End { name: Name::Link(visit), .. }) = self.ends.get(&id) else { return false };
        if self.client(host).is_none_or(|a| !a.is_visit(visit)) {
            return false;
        }
        self.rename(host, id, Name::Link(link));
        self.note(host, "adopts", &[], || format!("{visit:?} as {link:?}"));
        let (life, local) = (self.hosts[host].life, vec![self.hosts[host].addr]);
        self.schedule(self.now, Item::Adopted { host, life, visit, link, local });
        true
    }

    pub(super) fn tell_adopted(&mut self, host: usize, life: u32, visit: LinkId, link: LinkId, local: Vec<IpAddr>) {
        if self.hosts[host].life == life {
            self.call_client(host, asap::Input::Lost { link: visit });
            self.call_client(host, asap::Input::Connected { link, local });
        }
    }

    fn rename(&mut self, host: usize, id: EndId, name: Name) {
        if let Some(end) = self.ends.get_mut(&id) {
            self.names.remove(&(host, end.name));
            end.name = name;
            self.names.insert((host, name), id);
        }
    }

    /// The client hears nothing more of it.
    fn client_closes(&mut self, host: usize, link: LinkId, how: Ending) {
        self.note(host, "closes", &[], || format!("{link:?} {how:?}"));
        let Some(id) = self.names.get(&(host, Name::Link(link))).copied() else { return };
        match how {
            Ending::Graceful => {
                // A name that the client does not know: what is still to be told is told to nobody.
                self.rename(host, id, Name::Link(LinkId(u64::MAX - id.0)));
                self.shutdown(id);
            }
            Ending::Abort => drop(self.abort(id)),
        }
    }
}

/// A message in a few words.
fn describe(ppid: u32, bytes: &[u8]) -> String {
    if ppid != ASAP_PPID {
        return crate::describe::enrp(bytes);
    }
    match AsapMessage::decode(bytes) {
        Ok(decoded) => decoded.message.to_string(),
        Err(error) => format!("malformed ASAP: {error}"),
    }
}
