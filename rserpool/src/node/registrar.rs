//! A registrar on its SCTP stack.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;
use sctp_user::{
    AddrChange, AssocId, BindError, Channel, CloseReason, EndpointConfig, EndpointId, Entropy, Event, KeyRing, Meta, NetError, Node,
    PeerAddr, Ppid, SendError, SendOptions, Stack, StreamId, Time, Train, Transmit,
};

use crate::registrar::config::{AnnounceTarget, RegistrarConfig};
use crate::registrar::{AssocKey, CloseHow, ConnectToken, Input, Output, RefusalReason, Registrar, RegistrarEvent, Service};

/// Most bytes that wait for room in an association's send buffer; beyond, its peer is not worth waiting for.
const MAX_BACKLOG: usize = 1 << 20;
/// Most events kept for [`RegistrarNode::poll_event`]; the oldest ones are dropped.
const MAX_EVENTS: usize = 4096;
/// Most announces waiting to be sent: some rounds over all interfaces of a host.
const MAX_DATAGRAMS: usize = 256;

/// An association between the two.
#[derive(Debug)]
struct Link {
    id: AssocId,
    /// Whether it is up, or still being opened on the registrar's wish.
    token: Option<ConnectToken>,
    up: bool,
    /// The round-trip time that the registrar was told.
    rtt: Option<Duration>,
    /// Messages for which the send buffer had no room, at most [`MAX_BACKLOG`] bytes.
    backlog: VecDeque<Outgoing>,
    backlog_bytes: usize,
}

#[derive(Debug)]
struct Outgoing {
    ppid: u32,
    sid: u16,
    bytes: Bytes,
}

/// The endpoint of one of the services.
#[derive(Clone, Copy, Debug)]
struct Local {
    endpoint: EndpointId,
    port: u16,
}

impl Local {
    fn open(stack: &mut Stack, config: EndpointConfig) -> Result<Self, BindError> {
        let wanted = config.port;
        let endpoint = stack.open(config)?;
        stack.listen(endpoint, true);
        Ok(Self { endpoint, port: stack.local_port(endpoint).unwrap_or(wanted) })
    }
}

/// A host that is a registrar.
#[derive(Debug)]
pub struct RegistrarNode {
    stack: Stack,
    asap: Local,
    enrp: Local,
    /// Where presences are heard; every other datagram is an announce.
    enrp_group: SocketAddr,
    registrar: Registrar,
    links: BTreeMap<AssocKey, Link>,
    datagrams: VecDeque<(Service, AnnounceTarget, Bytes)>,
    events: VecDeque<RegistrarEvent>,
}

impl RegistrarNode {
    /// A registrar that serves ASAP and ENRP on two new endpoints of `stack`; the configuration's ports become theirs.
    ///
    /// # Errors
    /// An endpoint cannot be opened.
    pub fn new(
        mut stack: Stack,
        asap: EndpointConfig,
        enrp: EndpointConfig,
        mut cfg: RegistrarConfig,
        entropy: Box<dyn Entropy>,
    ) -> Result<Self, BindError> {
        let asap = Local::open(&mut stack, asap)?;
        let enrp = Local::open(&mut stack, enrp)?;
        cfg.asap_port = asap.port;
        cfg.enrp_port = enrp.port;
        Ok(Self {
            stack,
            asap,
            enrp,
            enrp_group: cfg.enrp_group,
            registrar: Registrar::new(cfg, entropy),
            links: BTreeMap::new(),
            datagrams: VecDeque::new(),
            events: VecDeque::new(),
        })
    }

    /// The SCTP port of a service.
    #[must_use]
    pub const fn port(&self, service: Service) -> u16 {
        self.local(service).port
    }

    const fn local(&self, service: Service) -> Local {
        match service {
            Service::Asap => self.asap,
            Service::Enrp => self.enrp,
        }
    }

    fn service_of(&self, endpoint: EndpointId) -> Option<Service> {
        [Service::Asap, Service::Enrp].into_iter().find(|s| self.local(*s).endpoint == endpoint)
    }

    /// The registrar, to look at.
    #[must_use]
    pub const fn registrar(&self) -> &Registrar {
        &self.registrar
    }

    /// The stack below.
    #[must_use]
    pub const fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Speaks only with who has one of these shared keys, see [`Stack::protect`]; again, with others, to change them.
    pub fn protect(&mut self, now: Time, keys: &KeyRing) {
        // It fails for messages that ask for a key which is gone; ours ask for none.
        let _ = self.stack.protect(now, keys);
    }

    /// What happened, for logs and statistics.
    pub fn poll_event(&mut self) -> Option<RegistrarEvent> {
        self.events.pop_front()
    }

    /// Stops serving: no new associations, the present ones are shut down.
    pub fn stop(&mut self, now: Time) {
        for local in [self.asap, self.enrp] {
            self.stack.listen(local.endpoint, false);
        }
        self.registrar.stop();
        self.pump(now);
    }

    /// Whether all associations are gone, after [`RegistrarNode::stop`].
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.links.is_empty()
    }

    /// Carries events up and outputs down until both are quiet; tells whether there were any.
    fn pump(&mut self, now: Time) -> bool {
        let mut any = false;
        loop {
            if let Some(output) = self.registrar.poll_output() {
                self.perform(now, output);
            } else if let Some((endpoint, id, event)) = self.stack.poll_event() {
                if let Some(service) = self.service_of(endpoint) {
                    self.take_event(now, service, id, event);
                }
            } else {
                return any;
            }
            any = true;
        }
    }

    fn take_event(&mut self, now: Time, service: Service, id: AssocId, event: Event) {
        let assoc = AssocKey(id.get());
        match event {
            Event::Connected { .. } => {
                let peer = self.stack.assoc(id).map(|a| a.peer_addrs()).unwrap_or_default();
                let link = self.links.entry(assoc).or_insert_with(|| Link::new(id, None));
                link.up = true;
                let token = link.token;
                self.registrar.handle(now, Input::Connected { assoc, service, token, peer: &peer });
            }
            Event::Restarted => self.registrar.handle(now, Input::Restarted { assoc }),
            Event::Readable => self.receive(now, assoc, id),
            Event::Writable => self.flush(now, assoc),
            Event::Lost { reason } => {
                self.receive(now, assoc, id);
                match self.links.remove(&assoc) {
                    Some(Link { up: false, token: Some(token), .. }) => self.registrar.handle(now, Input::ConnectFailed { token }),
                    _ => self.registrar.handle(now, Input::Lost { assoc, aborted: is_dead(&reason) }),
                }
            }
            // What could not be delivered belongs to an association whose end follows; a shutdown ends in `Lost`.
            _ => {}
        }
    }

    fn receive(&mut self, now: Time, assoc: AssocKey, id: AssocId) {
        let rtt = self.stack.assoc(id).and_then(|a| a.status().srtt);
        if let (Some(rtt), Some(link)) = (rtt, self.links.get_mut(&assoc))
            && link.rtt.replace(rtt) != Some(rtt)
        {
            self.registrar.handle(now, Input::PathRtt { assoc, rtt });
        }
        while let Some(m) = self.stack.assoc(id).and_then(|mut a| a.recv()) {
            self.registrar.handle(now, Input::Message { assoc, ppid: m.ppid.0, sid: m.sid.0, bytes: &m.payload });
        }
    }

    fn perform(&mut self, now: Time, output: Output) {
        match output {
            Output::Send { assoc, ppid, sid, bytes } => self.send(now, assoc, Outgoing { ppid, sid, bytes }),
            Output::Connect { token, service, addrs } => self.connect(now, service, token, &addrs),
            Output::Close { assoc, how } => self.close(now, assoc, how),
            Output::Announce { service, target, bytes } => {
                if self.datagrams.len() < MAX_DATAGRAMS {
                    self.datagrams.push_back((service, target, bytes));
                }
            }
            Output::Event(event) => self.note(event),
        }
    }

    fn note(&mut self, event: RegistrarEvent) {
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    fn connect(&mut self, now: Time, service: Service, token: ConnectToken, addrs: &[SocketAddr]) {
        let peer: Vec<PeerAddr> = addrs.iter().copied().map(PeerAddr::from).collect();
        match self.stack.connect(now, self.local(service).endpoint, &peer, None) {
            Ok(id) => {
                self.links.insert(AssocKey(id.get()), Link::new(id, Some(token)));
            }
            Err(_) => self.registrar.handle(now, Input::ConnectFailed { token }),
        }
    }

    fn close(&mut self, now: Time, assoc: AssocKey, how: CloseHow) {
        let Some(link) = self.links.get(&assoc) else { return };
        let Some(mut a) = self.stack.assoc(link.id) else { return };
        match how {
            CloseHow::Shutdown => a.shutdown(now),
            CloseHow::Abort => a.abort(now, b"registrar"),
        }
    }

    fn send(&mut self, now: Time, assoc: AssocKey, message: Outgoing) {
        let Some(link) = self.links.get_mut(&assoc) else { return };
        link.backlog_bytes = link.backlog_bytes.saturating_add(message.bytes.len());
        link.backlog.push_back(message);
        self.flush(now, assoc);
        if self.links.get(&assoc).is_some_and(|l| l.backlog_bytes > MAX_BACKLOG) {
            self.note(RegistrarEvent::Limited { assoc, what: RefusalReason::Backlog });
            self.close(now, assoc, CloseHow::Abort);
        }
    }

    /// Hands what waits to the association, as much as it takes.
    fn flush(&mut self, now: Time, assoc: AssocKey) {
        let Some(link) = self.links.get_mut(&assoc) else { return };
        while let Some(m) = link.backlog.pop_front() {
            let sent = match self.stack.assoc(link.id) {
                Some(mut a) => a.send(now, StreamId(m.sid), Ppid(m.ppid), m.bytes.clone(), SendOptions::ordered()),
                None => Err(SendError::Closed),
            };
            if sent == Err(SendError::WouldBlock) {
                link.backlog.push_front(m);
                return;
            }
            // Other errors: the association is going down, and says so itself.
            link.backlog_bytes = link.backlog_bytes.saturating_sub(m.bytes.len());
        }
    }
}

/// The datagram of an announce: from the UDP port that has the number of the service's port, for listeners take it for that.
const fn announce(port: u16, target: AnnounceTarget, size: usize) -> Transmit {
    Transmit {
        src: Some(target.source),
        dst: target.group,
        channel: Channel::Datagram { local: port, remote: target.group.port() },
        ecn: None,
        size,
        segment_size: None,
        dscp: 0,
        flow_label: 0,
        may_fragment: false,
    }
}

impl Link {
    const fn new(id: AssocId, token: Option<ConnectToken>) -> Self {
        Self { id, token, up: false, rtt: None, backlog: VecDeque::new(), backlog_bytes: 0 }
    }
}

/// Whether the end of an association tells that the peer's process is dead: the port's owner says so, or an ABORT came
/// from nobody. Such an out-of-the-blue ABORT has no cause; one that a living user asked for has.
fn is_dead(reason: &CloseReason) -> bool {
    match reason {
        CloseReason::LocalPeerDied | CloseReason::NetworkUnreachable => true,
        CloseReason::PeerAborted(causes) => causes.is_empty(),
        _ => false,
    }
}

impl Node for RegistrarNode {
    fn handle_batch(&mut self, now: Time, meta: &Meta, train: Train) {
        if let Channel::Datagram { local, remote } = meta.channel {
            let src = SocketAddr::new(meta.src, remote);
            let service = if SocketAddr::new(meta.dst, local) == self.enrp_group { Service::Enrp } else { Service::Asap };
            for bytes in train.packets() {
                self.registrar.handle(now, Input::Datagram { service, src, bytes: &bytes });
            }
        } else {
            self.stack.handle_batch(now, meta, train);
        }
        self.pump(now);
    }

    fn handle_net_error(&mut self, now: Time, err: &NetError) {
        self.stack.handle_net_error(now, err);
        self.pump(now);
    }

    fn handle_timeout(&mut self, now: Time) {
        self.stack.handle_timeout(now);
        self.pump(now);
        if self.registrar.poll_timeout().is_some_and(|t| t <= now) {
            self.registrar.handle_timeout(now);
            self.pump(now);
        }
    }

    fn poll_transmit(&mut self, now: Time, max_segments: usize, buf: &mut Vec<u8>) -> Option<Transmit> {
        loop {
            if let Some((service, target, bytes)) = self.datagrams.pop_front() {
                buf.extend_from_slice(&bytes);
                return Some(announce(self.port(service), target, bytes.len()));
            }
            let packet = self.stack.poll_transmit(now, max_segments, buf);
            if packet.is_some() || !self.pump(now) {
                return packet;
            }
        }
    }

    fn poll_timeout(&self) -> Option<Time> {
        [self.stack.poll_timeout(), self.registrar.poll_timeout()].into_iter().flatten().min()
    }

    fn handle_addresses(&mut self, now: Time, change: AddrChange) {
        if let AddrChange::Set(addrs) = &change {
            self.registrar.handle(now, Input::Addresses(addrs));
        }
        self.stack.handle_addresses(now, change);
        self.pump(now);
    }

    fn handle_ports_died(&mut self, now: Time, ports: &[u16]) {
        self.stack.handle_ports_died(now, ports);
        self.pump(now);
    }
}
