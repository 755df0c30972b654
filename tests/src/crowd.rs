//! Two stacks with many associations between them, without a network: for measurements of memory and time.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;
use sctp_user::{
    AssocId, Channel, EndpointConfig, EndpointId, Event, Meta, Node, Ppid, SeededEntropy, SendOptions, Stack, StackConfig, StreamId, Time,
};

const CHANNEL: Channel = Channel::Udp { local: 9899, remote: 9899 };
const PORT: u16 = 7;

/// A client and a server; association number `n` is between 10.`n` and 11.`n`.
pub struct Crowd {
    /// The present.
    pub now: Time,
    /// The side that opens associations.
    pub client: Stack,
    /// The side that accepts them.
    pub server: Stack,
    /// The associations of the client, in the order in which they were opened.
    pub opened: Vec<AssocId>,
    /// The associations of the server.
    pub accepted: Vec<AssocId>,
    /// Packets carried so far.
    pub packets: u64,
    /// Messages read so far.
    pub messages: u64,
    endpoint: EndpointId,
    buf: Vec<u8>,
}

/// The peer of an address: 10.n and 11.n belong together.
fn partner(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(v4) => {
            let [net, a, b, c] = v4.octets();
            IpAddr::V4(Ipv4Addr::new(net ^ 1, a, b, c))
        }
        IpAddr::V6(_) => ip,
    }
}

impl Crowd {
    /// No association yet, room for `n`.
    ///
    /// # Panics
    /// If the endpoints cannot be opened.
    #[must_use]
    pub fn new(n: usize) -> Self {
        let mut cfg = StackConfig::default();
        cfg.max_associations = n;
        // All come from few prefixes.
        cfg.init_ack_per_second = u32::MAX;
        let mut client = Stack::new(cfg.clone(), Box::new(SeededEntropy::new(1)));
        let mut server = Stack::new(cfg, Box::new(SeededEntropy::new(2)));
        let open = |s: &mut Stack, port| s.open(EndpointConfig::new(port)).unwrap_or_else(|e| panic!("{e}"));
        let endpoint = open(&mut client, 0);
        let listener = open(&mut server, PORT);
        server.listen(listener, true);
        let (opened, accepted) = (Vec::with_capacity(n), Vec::with_capacity(n));
        let buf = Vec::with_capacity(2_000);
        Self { now: Time::ZERO, client, server, opened, accepted, packets: 0, messages: 0, endpoint, buf }
    }

    /// Opens `n` associations and carries what that takes.
    ///
    /// # Panics
    /// If the stack refuses one.
    pub fn open(&mut self, n: usize) {
        let first = u32::try_from(self.opened.len()).unwrap_or(u32::MAX);
        for number in first..first.saturating_add(u32::try_from(n).unwrap_or(0)) {
            let [_, a, b, c] = number.to_be_bytes();
            let peer = SocketAddr::new(Ipv4Addr::new(11, a, b, c).into(), PORT);
            let id = self.client.connect(self.now, self.endpoint, &[peer.into()], None).unwrap_or_else(|e| panic!("{e}"));
            self.opened.push(id);
            self.carry();
        }
    }

    /// Sends a message of `len` bytes on each association, one way or the other.
    ///
    /// # Panics
    /// If an association is gone or refuses.
    pub fn send_all(&mut self, len: usize, from_client: bool) {
        for at in 0..self.opened.len() {
            let (stack, ids) = if from_client { (&mut self.client, &self.opened) } else { (&mut self.server, &self.accepted) };
            let Some(mut assoc) = ids.get(at).and_then(|id| stack.assoc(*id)) else { panic!("association {at} is gone") };
            let sent = assoc.send(self.now, StreamId(0), Ppid(0), Bytes::from(vec![7; len]), SendOptions::ordered());
            sent.unwrap_or_else(|e| panic!("{e}"));
            self.carry();
        }
    }

    /// Carries packets until there are none, and reads what arrives.
    pub fn carry(&mut self) {
        loop {
            let there = Self::one_way(self.now, &mut self.client, &mut self.server, &mut self.buf);
            let back = Self::one_way(self.now, &mut self.server, &mut self.client, &mut self.buf);
            self.packets += there + back;
            Self::events(&mut self.client, None, &mut self.messages);
            Self::events(&mut self.server, Some(&mut self.accepted), &mut self.messages);
            if there + back == 0 {
                return;
            }
        }
    }

    fn one_way(now: Time, from: &mut Stack, to: &mut Stack, buf: &mut Vec<u8>) -> u64 {
        let mut n = 0;
        while let Some(t) = from.poll_transmit(now, 1, buf) {
            let meta = Meta { src: partner(t.dst.ip()), dst: t.dst.ip(), channel: CHANNEL, ecn: None, ifindex: None };
            to.handle_datagram(now, &meta, Bytes::copy_from_slice(buf));
            buf.clear();
            n += 1;
        }
        n
    }

    fn events(stack: &mut Stack, mut accepted: Option<&mut Vec<AssocId>>, messages: &mut u64) {
        while let Some((_, id, event)) = stack.poll_event() {
            match event {
                Event::Connected { .. } => {
                    if let Some(list) = &mut accepted {
                        list.push(id);
                    }
                }
                Event::Readable => {
                    while stack.assoc(id).and_then(|mut a| a.recv()).is_some() {
                        *messages += 1;
                    }
                }
                _ => {}
            }
        }
    }

    /// Lets time pass up to `end`, serving all deadlines. Answers how many times a stack was woken.
    pub fn run_until(&mut self, end: Time) -> u64 {
        let mut wakes = 0;
        loop {
            self.carry();
            let next = [self.client.poll_timeout(), self.server.poll_timeout()].into_iter().flatten().min();
            let Some(at) = next.filter(|t| *t <= end) else { break };
            self.now = self.now.max(at);
            for stack in [&mut self.client, &mut self.server] {
                if stack.poll_timeout().is_some_and(|t| t <= self.now) {
                    stack.handle_timeout(self.now);
                    wakes += 1;
                }
            }
        }
        self.now = end;
        wakes
    }
}
