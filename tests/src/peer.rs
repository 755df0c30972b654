//! A host with a stack and an application that sends a workload and judges what it receives.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use sctp_user::{
    AddrChange, Assoc, AssocConfig, AssocId, CloseReason, EndpointConfig, EndpointId, Entropy, Event, Meta, NetError, Node, PeerAddr, Ppid,
    SendError, SendOptions, Stack, StackConfig, StreamId, Time, Train, Transmit,
};

use crate::oracle::Oracle;
use crate::workload::{FIRST_PPID, Workload};

/// One association as its application sees it.
#[derive(Debug)]
pub struct Conn {
    /// When it came up.
    pub since: Time,
    /// What the peer sends.
    pub oracle: Oracle,
    /// How many messages of our workload the stack has taken.
    pub sent: usize,
    /// Those of them that the stack has reported as not (known to be) delivered.
    pub failed: BTreeSet<usize>,
    blocked: bool,
    closing: bool,
    /// How many messages of which parts had come the stack gave up.
    given_up: usize,
}

/// Stack and application. All that it does is in the log.
#[derive(Debug)]
pub struct Peer {
    /// The stack.
    pub stack: Stack,
    /// Its endpoint.
    pub endpoint: EndpointId,
    /// Associations that have been up, living or not, by id.
    pub conns: BTreeMap<AssocId, Conn>,
    /// All notifications but `Readable` and `Writable`.
    pub log: Vec<(Time, AssocId, Event)>,
    /// What must never happen.
    pub violations: Vec<String>,
    /// Whether the application reads.
    reading: bool,
    /// Whether parts of messages of several streams may come in turn.
    pub interleaved: bool,
    /// Whether the peer's streams may begin anew.
    pub renumbered: bool,
    /// Whether associations are shut down as soon as the workload has been given to the stack.
    close_when_sent: bool,
    outgoing: Arc<Workload>,
    incoming: Arc<Workload>,
}

impl Peer {
    /// A stack with one endpoint at SCTP port `port` that accepts associations; `plans` is what it sends and what it expects.
    ///
    /// # Panics
    /// If the port cannot be opened.
    #[must_use]
    pub fn new(stack: StackConfig, port: u16, cfg: &AssocConfig, entropy: Box<dyn Entropy>, plans: [Arc<Workload>; 2]) -> Self {
        let [outgoing, incoming] = plans;
        let mut stack = Stack::new(stack, entropy);
        let endpoint = EndpointConfig::with(port, Arc::new(cfg.clone()));
        let endpoint = stack.open(endpoint).unwrap_or_else(|e| panic!("{e}"));
        stack.listen(endpoint, true);
        Self {
            stack,
            endpoint,
            conns: BTreeMap::new(),
            log: Vec::new(),
            violations: Vec::new(),
            reading: true,
            interleaved: cfg.interleave_streams,
            renumbered: false,
            close_when_sent: false,
            outgoing,
            incoming,
        }
    }

    /// Starts an association.
    ///
    /// # Panics
    /// If the stack refuses.
    pub fn connect(&mut self, now: Time, ip: IpAddr, port: u16) -> AssocId {
        let peer = PeerAddr::from(SocketAddr::new(ip, port));
        self.stack.connect(now, self.endpoint, &[peer], None).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Stops or resumes reading.
    pub fn set_reading(&mut self, now: Time, on: bool) {
        self.reading = on;
        self.pump(now);
    }

    /// Shuts associations down gracefully as soon as the workload has been given to the stack.
    pub fn close_when_sent(&mut self, now: Time) {
        self.close_when_sent = true;
        self.pump(now);
    }

    /// Shuts all associations down gracefully; nothing more is sent.
    pub fn shutdown(&mut self, now: Time) {
        self.outgoing = Arc::new(Workload::none());
        self.each(|a| a.shutdown(now));
        self.pump(now);
    }

    /// Aborts all associations.
    pub fn abort(&mut self, now: Time, reason: &[u8]) {
        self.each(|a| a.abort(now, reason));
        self.pump(now);
    }

    fn each(&mut self, mut f: impl FnMut(&mut Assoc<'_>)) {
        for id in self.conns.keys() {
            if let Some(mut a) = self.stack.assoc(*id) {
                f(&mut a);
            }
        }
    }

    /// The association that came up last.
    #[must_use]
    pub fn latest(&self) -> Option<(AssocId, &Conn)> {
        self.conns.iter().max_by_key(|(id, c)| (c.since, **id)).map(|(id, c)| (*id, c))
    }

    /// Whether the latest association has delivered everything.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.latest().is_some_and(|(_, c)| c.oracle.complete())
    }

    /// Messages received, on all associations.
    #[must_use]
    pub fn delivered(&self) -> usize {
        self.conns.values().map(|c| c.oracle.delivered()).sum()
    }

    /// Why associations ended, in the order in which they did.
    #[must_use]
    pub fn losses(&self) -> Vec<(Time, CloseReason)> {
        self.log.iter().filter_map(|(t, _, e)| if let Event::Lost { reason } = e { Some((*t, reason.clone())) } else { None }).collect()
    }

    /// Whether a notification has come.
    #[must_use]
    pub fn heard(&self, what: impl Fn(&Event) -> bool) -> bool {
        self.log.iter().any(|(_, _, e)| what(e))
    }

    fn pump(&mut self, now: Time) -> bool {
        let mut progress = false;
        loop {
            let mut again = false;
            while let Some((_, id, event)) = self.stack.poll_event() {
                again = true;
                self.notice(now, id, event);
            }
            for id in self.conns.keys().copied().collect::<Vec<_>>() {
                again |= self.reading && self.read(id);
                again |= self.write(now, id);
            }
            if !again {
                break;
            }
            progress = true;
        }
        // Messages are read apart from events, so the reader may have seen it first.
        let unexplained = self.conns.iter().filter(|(_, c)| c.oracle.cut_off() > c.given_up);
        self.violations.extend(unexplained.map(|(id, _)| format!("a message in parts on {id:?} breaks off without a word")));
        progress
    }

    fn notice(&mut self, now: Time, id: AssocId, event: Event) {
        match &event {
            Event::Connected { .. } => self.begin(now, id),
            // All begins anew, also for the application: see RFC 9260 section 11.2.4 (RESTART).
            Event::Restarted => {
                self.read(id);
                self.begin(now, id);
            }
            Event::Readable => {
                self.read_if_reading(id);
                return;
            }
            Event::Writable => {
                if let Some(c) = self.conns.get_mut(&id) {
                    c.blocked = false;
                }
                return;
            }
            Event::PartialDeliveryAborted { .. } => {
                if let Some(c) = self.conns.get_mut(&id) {
                    c.given_up += 1;
                }
            }
            Event::SendFailed { context, .. } => {
                if let Some(c) = self.conns.get_mut(&id) {
                    c.failed.insert(*context as usize);
                }
            }
            Event::Lost { .. } => {
                self.read(id);
            }
            _ => {}
        }
        self.log.push((now, id, event));
    }

    fn begin(&mut self, now: Time, id: AssocId) {
        let mut oracle = Oracle::new(self.incoming.clone());
        if self.interleaved {
            oracle = oracle.interleaved();
        }
        if self.renumbered {
            oracle = oracle.renumbered();
        }
        let conn = Conn { since: now, oracle, sent: 0, failed: BTreeSet::new(), blocked: false, closing: false, given_up: 0 };
        self.conns.insert(id, conn);
    }

    fn read_if_reading(&mut self, id: AssocId) {
        if self.reading {
            self.read(id);
        }
    }

    fn read(&mut self, id: AssocId) -> bool {
        let mut any = false;
        while let Some(message) = self.stack.assoc(id).and_then(|mut a| a.recv()) {
            any = true;
            match self.conns.get_mut(&id) {
                None => self.violations.push(format!("a message on {id:?}, which never came up")),
                Some(c) => {
                    if let Err(why) = c.oracle.accept(&message) {
                        self.violations.push(why);
                    }
                }
            }
        }
        any
    }

    fn write(&mut self, now: Time, id: AssocId) -> bool {
        let Some(c) = self.conns.get_mut(&id) else { return false };
        let Some(mut assoc) = self.stack.assoc(id) else { return false };
        let before = c.sent;
        while !c.blocked
            && let Some(m) = self.outgoing.messages.get(c.sent)
            && c.since + m.at <= now
        {
            let mut opts = if m.unordered { SendOptions::unordered() } else { SendOptions::ordered() };
            opts.context = u32::try_from(c.sent).unwrap_or(u32::MAX);
            opts.reliability = m.reliability;
            let ppid = Ppid(FIRST_PPID.saturating_add(opts.context));
            match assoc.send(now, StreamId(m.sid), ppid, self.outgoing.payload(c.sent), opts) {
                Ok(()) => c.sent += 1,
                Err(SendError::WouldBlock) => c.blocked = true,
                Err(SendError::Closed) => break,
                Err(e) => {
                    self.violations.push(format!("message {} refused: {e}", c.sent));
                    break;
                }
            }
        }
        if self.close_when_sent && !c.closing && c.sent == self.outgoing.messages.len() {
            c.closing = true;
            assoc.shutdown(now);
        }
        c.sent > before
    }

    /// When the application wants to send next.
    fn next_message(&self) -> Option<Time> {
        let due = |c: &Conn| Some(c.since + self.outgoing.messages.get(c.sent)?.at);
        self.conns.iter().filter(|(id, c)| !c.blocked && !self.ended(**id)).filter_map(|(_, c)| due(c)).min()
    }

    fn ended(&self, id: AssocId) -> bool {
        self.log.iter().any(|(_, i, e)| *i == id && matches!(e, Event::Lost { .. } | Event::ShutdownReceived))
    }
}

impl Node for Peer {
    fn handle_batch(&mut self, now: Time, meta: &Meta, train: Train) {
        self.stack.handle_batch(now, meta, train);
        self.pump(now);
    }

    fn handle_net_error(&mut self, now: Time, err: &NetError) {
        self.stack.handle_net_error(now, err);
        self.pump(now);
    }

    fn handle_timeout(&mut self, now: Time) {
        if self.stack.poll_timeout().is_some_and(|t| t <= now) {
            self.stack.handle_timeout(now);
        }
        self.pump(now);
    }

    fn poll_transmit(&mut self, now: Time, max_segments: usize, buf: &mut Vec<u8>) -> Option<Transmit> {
        loop {
            let transmit = self.stack.poll_transmit(now, max_segments, buf);
            // Sending may make room in the send buffer.
            if transmit.is_some() || !self.pump(now) {
                return transmit;
            }
        }
    }

    fn poll_timeout(&self) -> Option<Time> {
        [self.stack.poll_timeout(), self.next_message()].into_iter().flatten().min()
    }

    fn handle_addresses(&mut self, now: Time, change: AddrChange) {
        self.stack.handle_addresses(now, change);
        self.pump(now);
    }

    fn handle_ports_died(&mut self, now: Time, ports: &[u16]) {
        self.stack.handle_ports_died(now, ports);
        self.pump(now);
    }
}
