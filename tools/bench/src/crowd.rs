//! W3 with many: two of our stacks with up to 100,000 associations between them, opened one after another and closed again.
//! What one costs shall not depend on how many there are.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use sctp_user::{
    AssocId, Channel, EndpointConfig, EndpointId, Event, Meta, Node, Ppid, SeededEntropy, SendOptions, Stack, StackConfig, StreamId, Time,
    Train,
};

use crate::work::{Usage, emit, heap_bytes};

const CHANNEL: Channel = Channel::Udp { local: 9899, remote: 9899 };
const PORT: u16 = 5000;
/// Time that passes with each association.
const STEP: Duration = Duration::from_micros(20);
/// What an association is left alone for after use, before its memory is counted: acknowledgements, a HEARTBEAT.
const REST: Duration = Duration::from_secs(60);
/// Associations that are closed at a time.
const AT_ONCE: usize = 100;

/// The host of association `n` is 10.`n` at the client and 11.`n` at the server.
fn address(net: u8, n: usize) -> IpAddr {
    let [_, a, b, c] = u32::try_from(n).expect("fewer than 2^24").to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(net, a, b, c))
}

/// The other end's address.
fn partner(ip: IpAddr) -> IpAddr {
    let IpAddr::V4(v4) = ip else { return ip };
    let [net, a, b, c] = v4.octets();
    IpAddr::V4(Ipv4Addr::new(net ^ 1, a, b, c))
}

struct Crowd {
    now: Time,
    client: Stack,
    server: Stack,
    endpoint: EndpointId,
    opened: Vec<AssocId>,
    accepted: Vec<AssocId>,
    lost: usize,
    packets: u64,
}

impl Crowd {
    fn new(n: usize) -> Self {
        let mut cfg = StackConfig::default();
        cfg.max_associations = n;
        // All come from few networks, which a server limits.
        cfg.init_ack_per_second = u32::MAX;
        let mut client = Stack::new(cfg.clone(), Box::new(SeededEntropy::new(1)));
        let mut server = Stack::new(cfg, Box::new(SeededEntropy::new(2)));
        let endpoint = client.open(EndpointConfig::new(0)).expect("a free port");
        let listener = server.open(EndpointConfig::new(PORT)).expect("the port is free");
        server.listen(listener, true);
        Self {
            now: Time::ZERO,
            client,
            server,
            endpoint,
            opened: Vec::with_capacity(n),
            accepted: Vec::with_capacity(n),
            lost: 0,
            packets: 0,
        }
    }

    fn open(&mut self, n: usize) {
        let peer = SocketAddr::new(address(11, n), PORT).into();
        self.client.connect(self.now, self.endpoint, &[peer], None).expect("room for one more");
        self.run();
    }

    /// Each end sends one message of 1 KiB, and reads the other's; then they rest.
    fn exchange_messages(&mut self) {
        let mut read = 0;
        for i in 0..self.opened.len() {
            for client in [true, false] {
                let (stack, id) = if client { (&mut self.client, self.opened[i]) } else { (&mut self.server, self.accepted[i]) };
                let message = Bytes::from(vec![7; 1024]);
                let mut a = stack.assoc(id).expect("it is open");
                a.send(self.now, StreamId(0), Ppid(1), message, SendOptions::ordered()).expect("there is room");
            }
            self.run();
            for (stack, id) in [(&mut self.client, self.opened[i]), (&mut self.server, self.accepted[i])] {
                read += usize::from(stack.assoc(id).and_then(|mut a| a.recv()).is_some());
            }
        }
        assert_eq!(read, 2 * self.opened.len(), "all came");
        let end = self.now + REST;
        while let Some(at) = [self.client.poll_timeout(), self.server.poll_timeout()].into_iter().flatten().min().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.run();
        }
    }

    fn close(&mut self, ids: &[AssocId]) {
        for id in ids {
            if let Some(mut a) = self.client.assoc(*id) {
                a.shutdown(self.now);
            }
        }
        self.run();
    }

    /// Until nobody has anything to say.
    fn run(&mut self) {
        while self.carry(true) + self.carry(false) > 0 {}
        self.now += STEP;
        for (stack, client) in [(&mut self.client, true), (&mut self.server, false)] {
            if stack.poll_timeout().is_some_and(|at| at <= self.now) {
                stack.handle_timeout(self.now);
            }
            while let Some((_, id, event)) = stack.poll_event() {
                match event {
                    Event::Connected { .. } if client => self.opened.push(id),
                    Event::Connected { .. } => self.accepted.push(id),
                    Event::Lost { .. } => self.lost += 1,
                    _ => {}
                }
            }
        }
    }

    fn carry(&mut self, from_client: bool) -> u64 {
        let (from, to) = if from_client { (&mut self.client, &mut self.server) } else { (&mut self.server, &mut self.client) };
        let mut packets = 0;
        let mut buf = Vec::new();
        while let Some(sent) = from.poll_transmit(self.now, 44, &mut buf) {
            let stride = sent.segment_size.unwrap_or(sent.size);
            packets += sent.size.div_ceil(stride.max(1)) as u64;
            let src = sent.src.unwrap_or_else(|| partner(sent.dst.ip()));
            let meta = Meta { src, dst: sent.dst.ip(), channel: CHANNEL, ecn: None, ifindex: None };
            to.handle_batch(self.now, &meta, Train { bytes: Bytes::from(std::mem::take(&mut buf)), stride });
        }
        self.packets += packets;
        packets
    }
}

/// Opens `n` associations, lets each carry a message each way, and closes them.
pub fn run(n: usize) {
    let params = format!("associations={n}");
    let e = |m: &str, x: f64| emit("crowd", "ours", &params, m, x);
    let heap = heap_bytes();
    let mut crowd = Crowd::new(n);
    let usage = Usage::now();
    (0..n).for_each(|i| crowd.open(i));
    let open = Usage::now().since(usage).cpu();
    assert_eq!(crowd.opened.len(), n, "all are open");
    e("open_us", open * 1e6 / n as f64);
    e("heap_bytes/end", heap_bytes().saturating_sub(heap) as f64 / (2 * n) as f64);
    crowd.exchange_messages();
    e("used_heap_bytes/end", heap_bytes().saturating_sub(heap) as f64 / (2 * n) as f64);
    let ids = std::mem::take(&mut crowd.opened);
    let usage = Usage::now();
    ids.chunks(AT_ONCE).for_each(|ids| crowd.close(ids));
    let close = Usage::now().since(usage).cpu();
    assert_eq!(crowd.lost, 2 * n, "all are closed");
    e("close_us", close * 1e6 / n as f64);
    e("open+close_us", (open + close) * 1e6 / n as f64);
    e("packets/assoc", crowd.packets as f64 / n as f64);
}
