use crate::endpoint::*;
use dcsctp::api::{
    DcSctpSocket, ErrorKind, Message, Options, PpId, SendError, SendOptions, Socket, SocketEvent, SocketState, SocketTime, StreamId,
};
use std::collections::VecDeque;
use std::time::Duration;

pub struct Dcsctp {
    s: Socket,
    out: VecDeque<Vec<u8>>,
    connected: bool,
    closed: bool,
}

fn t(d: Duration) -> SocketTime {
    SocketTime::zero() + d
}

impl Dcsctp {
    fn drain(&mut self) {
        while let Some(e) = self.s.poll_event() {
            match e {
                SocketEvent::SendPacket(p) => self.out.push_back(p),
                SocketEvent::OnConnected() => self.connected = true,
                SocketEvent::OnClosed() => self.closed = true,
                SocketEvent::OnAborted(k, m) => {
                    eprintln!("dcsctp aborted: {k:?} {m}");
                    self.closed = true;
                }
                SocketEvent::OnError(ErrorKind::ResourceExhaustion, _) => {}
                SocketEvent::OnError(k, m) => eprintln!("dcsctp error: {k:?} {m}"),
                _ => {}
            }
        }
    }
}

impl MemEndpoint for Dcsctp {
    type Datagram = Vec<u8>;
    const NAME: &'static str = "dcsctp";

    fn new(cfg: &Config, now: Duration) -> Self {
        let o = Options {
            mtu: cfg.mtu,
            max_message_size: 1 << 20,
            max_receiver_window_buffer_size: cfg.window,
            max_send_buffer_size: cfg.window,
            per_stream_send_queue_limit: cfg.window,
            announced_maximum_incoming_streams: cfg.streams.max(1),
            announced_maximum_outgoing_streams: cfg.streams.max(1),
            // ten attempts per chunk would abort the 5 % loss runs
            max_retransmissions: None,
            ..Options::default()
        };
        let mut s = Socket::new("b", &o);
        s.advance_time(t(now));
        Dcsctp { s, out: VecDeque::new(), connected: false, closed: false }
    }
    fn connect(&mut self, now: Duration) {
        self.s.advance_time(t(now));
        self.s.connect();
        self.drain();
    }
    fn is_established(&self) -> bool {
        self.connected && !self.closed
    }
    fn shutdown(&mut self, now: Duration) {
        self.s.advance_time(t(now));
        self.s.shutdown();
        self.drain();
    }
    fn is_closed(&self) -> bool {
        self.closed || (self.connected && self.s.state() == SocketState::Closed)
    }
    fn send(&mut self, now: Duration, stream: u16, ppid: u32, data: Vec<u8>, unordered: bool) -> Sent {
        self.s.advance_time(t(now));
        let r = self.s.send(Message::new(StreamId(stream), PpId(ppid), data), &SendOptions { unordered, ..Default::default() });
        match r {
            Ok(()) => {}
            // the message is gone with the error
            Err(SendError::ResourceExhaustion) => {
                self.drain();
                return Sent::Full(None);
            }
            Err(e) => panic!("dcsctp send: {e}"),
        }
        self.drain();
        Sent::Accepted
    }
    fn poll_transmit(&mut self, _now: Duration) -> Option<Vec<u8>> {
        self.out.pop_front()
    }
    fn handle_datagram(&mut self, now: Duration, d: Vec<u8>) {
        self.s.advance_time(t(now));
        self.s.handle_input(&d);
        self.drain();
    }
    fn poll_timeout(&mut self) -> Option<Duration> {
        let x = self.s.poll_timeout();
        if x == SocketTime::infinite_future() { None } else { Some(x - SocketTime::zero()) }
    }
    fn handle_timeout(&mut self, now: Duration) {
        self.s.advance_time(t(now));
        self.drain();
    }
    fn recv(&mut self, _now: Duration, sink: &mut dyn Sink) -> bool {
        match self.s.get_next_message() {
            Some(m) => {
                sink.piece(&m.payload);
                sink.end(m.stream_id.0, m.ppid.0);
                true
            }
            None => false,
        }
    }
    fn counters(&mut self) -> Counters {
        let m = self.s.get_metrics();
        Counters {
            rtx: m.as_ref().map(|m| m.rtx_packets_count as u64),
            t3: None,
            cwnd: m.map(|m| m.cwnd_bytes as u64),
            ..Counters::default()
        }
    }
}
