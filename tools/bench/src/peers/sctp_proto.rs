use crate::endpoint::*;
use bytes::Bytes;
use sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload, PayloadProtocolIdentifier,
    ReliabilityType, ServerConfig, StreamEvent, TransportConfig,
};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub struct SctpProto {
    ep: Endpoint,
    assoc: Option<(AssociationHandle, Association)>,
    cfg: Config,
    transport: Arc<TransportConfig>,
    out: VecDeque<Bytes>,
    readable: VecDeque<u16>,
    connected: bool,
    lost: bool,
    opened: Vec<bool>,
    buf: Vec<u8>,
    /// Asked to shut down; done once nothing is queued, since the crate does not send what is
    /// still pending when shutdown() is called.
    closing: bool,
    shut: bool,
}

fn inst(now: Duration) -> Instant {
    static E: OnceLock<Instant> = OnceLock::new();
    *E.get_or_init(Instant::now) + now
}

fn addr() -> SocketAddr {
    "127.0.0.1:5000".parse().unwrap()
}

impl SctpProto {
    fn events(&mut self) {
        if let Some((_, a)) = &mut self.assoc {
            // `Drained` is queued by shutdown() itself; acting on it at once would drop the
            // association before the shutdown handshake ran, so it is left until the end.
            while a.poll_endpoint_event().is_some() {}
            while let Some(e) = a.poll() {
                match e {
                    Event::Connected => self.connected = true,
                    Event::HandshakeFailed { .. } | Event::AssociationLost { .. } => self.lost = true,
                    Event::Stream(StreamEvent::Readable { id }) => self.readable.push_back(id),
                    _ => {}
                }
            }
            while a.accept_stream().is_some() {}
        }
        if self.closing && !self.shut {
            self.try_shutdown();
        }
    }
    fn try_shutdown(&mut self) {
        if let Some((_, a)) = &mut self.assoc
            && a.stream_ids().into_iter().all(|i| a.stream(i).map_or(true, |s| s.buffered_amount().unwrap_or(0) == 0))
        {
            self.shut = true;
            let _ = a.shutdown();
        }
    }
    fn pull(&mut self, now: Duration) {
        while let Some(t) = self.ep.poll_transmit() {
            if let Payload::RawEncode(v) = t.payload {
                self.out.extend(v);
            }
        }
        if let Some((_, a)) = &mut self.assoc {
            while let Some(t) = a.poll_transmit(inst(now)) {
                if let Payload::RawEncode(v) = t.payload {
                    self.out.extend(v);
                }
            }
        }
    }
}

impl MemEndpoint for SctpProto {
    type Datagram = Bytes;
    const NAME: &'static str = "sctp-proto";

    fn new(cfg: &Config, _now: Duration) -> Self {
        let transport = Arc::new(
            TransportConfig::default()
                .with_max_receive_buffer_size(cfg.window as u32)
                .with_max_send_message_size(1 << 20)
                .with_max_receive_message_size(1 << 20),
        );
        let mut ec = EndpointConfig::new();
        ec.max_payload_size(cfg.mtu as u32 - 28);
        let sc = (!cfg.client).then(|| {
            let mut s = ServerConfig::new();
            s.transport = transport.clone();
            Arc::new(s)
        });
        SctpProto {
            ep: Endpoint::new(Arc::new(ec), sc),
            assoc: None,
            cfg: *cfg,
            transport,
            out: VecDeque::new(),
            readable: VecDeque::new(),
            connected: false,
            lost: false,
            opened: vec![false; cfg.streams.max(1) as usize],
            buf: Vec::new(),
            closing: false,
            shut: false,
        }
    }
    fn connect(&mut self, _now: Duration) {
        let mut cc = ClientConfig::new();
        cc.transport = self.transport.clone();
        self.assoc = Some(self.ep.connect(cc, addr()).expect("connect"));
    }
    fn is_established(&self) -> bool {
        self.connected && !self.lost
    }
    fn shutdown(&mut self, _now: Duration) {
        self.closing = true;
        self.try_shutdown();
    }
    fn is_closed(&self) -> bool {
        self.lost || self.assoc.as_ref().is_some_and(|(_, a)| self.connected && a.is_closed())
    }
    fn send(&mut self, _now: Duration, stream: u16, ppid: u32, data: Vec<u8>, unordered: bool) -> Sent {
        let limit = (self.cfg.window / self.opened.len()).max(4096);
        let (_, a) = self.assoc.as_mut().unwrap();
        if !self.opened[stream as usize] {
            self.opened[stream as usize] = true;
            let mut s = match a.open_stream(stream, PayloadProtocolIdentifier::Binary) {
                Ok(s) => s,
                Err(_) => a.stream(stream).unwrap(),
            };
            s.set_reliability_params(unordered, ReliabilityType::Reliable, 0).unwrap();
        }
        let mut s = a.stream(stream).unwrap();
        let have = s.buffered_amount().unwrap();
        if have > 0 && have + data.len() > limit {
            return Sent::Full(Some(data));
        }
        let _ = ppid;
        s.write_sctp(&Bytes::from(data), PayloadProtocolIdentifier::Binary).expect("write");
        Sent::Accepted
    }
    fn poll_transmit(&mut self, now: Duration) -> Option<Bytes> {
        if self.out.is_empty() {
            self.pull(now);
        }
        let d = self.out.pop_front();
        // The end that started the shutdown sends SHUTDOWN COMPLETE (type 14) but never enters
        // its closed state, so this is taken for the end.
        if d.as_ref().is_some_and(|d| d.len() > 12 && d[12] == 14) {
            self.lost = true;
        }
        d
    }
    fn handle_datagram(&mut self, now: Duration, d: Bytes) {
        match self.ep.handle(inst(now), addr(), None, None, d) {
            Some((h, DatagramEvent::NewAssociation(a))) => self.assoc = Some((h, a)),
            Some((_, DatagramEvent::AssociationEvent(e))) => {
                if let Some((_, a)) = &mut self.assoc {
                    a.handle_event(e);
                }
            }
            None => {}
        }
        self.events();
    }
    fn poll_timeout(&mut self) -> Option<Duration> {
        let (_, a) = self.assoc.as_ref()?;
        a.poll_timeout().map(|t| t - inst(Duration::ZERO))
    }
    fn handle_timeout(&mut self, now: Duration) {
        if let Some((_, a)) = &mut self.assoc {
            a.handle_timeout(inst(now));
        }
        self.events();
    }
    fn recv(&mut self, _now: Duration, sink: &mut dyn Sink) -> bool {
        while let Some(&id) = self.readable.front() {
            let (_, a) = self.assoc.as_mut().unwrap();
            if let Ok(mut s) = a.stream(id)
                && let Ok(Some(chunks)) = s.read_sctp()
            {
                let n = chunks.len();
                if self.buf.len() < n {
                    self.buf.resize(n, 0);
                }
                chunks.read(&mut self.buf[..n]).expect("read");
                sink.piece(&self.buf[..n]);
                sink.end(id, 0);
                return true;
            }
            self.readable.pop_front();
        }
        false
    }
}
