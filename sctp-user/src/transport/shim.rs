//! Stands in for the shared port of udp-encap until that has landed: a private port behind the same face.
#![allow(missing_docs, dead_code, unused)]
use mio::{Interest, Registry, Token};
use std::collections::VecDeque;
use std::io;
use std::time::Instant;
use udp_encap::*;
#[derive(Debug)]
pub enum OpenError {
    OtherUser { port: u16 },
    Io(io::Error),
    X(String),
}
impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}
impl std::error::Error for OpenError {}
#[derive(Debug)]
pub enum ClaimError {
    InUse,
    Exhausted,
    TimedOut,
}
impl std::fmt::Display for ClaimError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}
impl std::error::Error for ClaimError {}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Private,
    Reader,
    Member,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request(u64);
pub struct ShareConfig {
    pub udp_port: u16,
    pub bind: Bind,
    pub share: bool,
    pub namespace: String,
}
impl Default for ShareConfig {
    fn default() -> Self {
        Self { udp_port: 9899, bind: Bind::Any, share: true, namespace: "x".into() }
    }
}
pub enum Incoming {
    Train(Received),
    Error(NetError),
    Claimed { request: Request, result: Result<u16, ClaimError> },
    PortsDied { ports: Vec<u16> },
    PortsLost { ports: Vec<u16> },
    RoleChanged { role: Role, generation: u64 },
    Writable,
    Busy,
}
pub struct SharedPort {
    udp: UdpEncap,
    batch: RecvBatch,
    base: usize,
    q: VecDeque<Incoming>,
    n: u64,
    claimed: std::collections::BTreeSet<u16>,
    next: u16,
}
impl SharedPort {
    pub fn open(cfg: &ShareConfig, _e: impl FnMut(&mut [u8]) + Send + 'static) -> Result<Self, OpenError> {
        Ok(Self {
            udp: UdpEncap::bind(cfg.bind, cfg.udp_port).map_err(OpenError::Io)?,
            batch: RecvBatch::new(),
            base: 0,
            q: VecDeque::new(),
            n: 0,
            claimed: Default::default(),
            next: 50000,
        })
    }
    pub fn udp_port(&self) -> u16 {
        self.udp.port()
    }
    pub fn role(&self) -> Role {
        Role::Private
    }
    pub fn caps(&self) -> Caps {
        self.udp.caps()
    }
    pub fn register(&mut self, r: Registry, base: Token) -> io::Result<()> {
        self.base = base.0;
        r.register(&mut self.udp, base, Interest::READABLE | Interest::WRITABLE)
    }
    pub fn owns(&self, t: Token) -> bool {
        t.0 >= self.base
    }
    pub fn handle_ready(&mut self, _t: Token, _n: Instant) {}
    pub fn handle_timeout(&mut self, _n: Instant) {}
    pub fn next_deadline(&self) -> Option<Instant> {
        None
    }
    pub fn recv(&mut self, _n: Instant) -> io::Result<Option<Incoming>> {
        if let Some(x) = self.q.pop_front() {
            return Ok(Some(x));
        }
        loop {
            if let Some(r) = self.batch.pop() {
                return Ok(Some(Incoming::Train(r)));
            }
            if let Some(e) = self.udp.take_error() {
                return Ok(Some(Incoming::Error(e)));
            }
            match self.udp.recv(&mut self.batch) {
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(e) => return Err(e),
            }
        }
    }
    pub fn send(&mut self, t: &Transmit, b: &[u8]) -> io::Result<()> {
        self.udp.send(t, b)
    }
    pub fn start_claim(&mut self, p: u16, _n: Instant) -> Request {
        self.n += 1;
        let r = Request(self.n);
        let p = if p == 0 {
            self.next += 1;
            self.next
        } else {
            p
        };
        let result = if self.claimed.insert(p) { Ok(p) } else { Err(ClaimError::InUse) };
        self.q.push_back(Incoming::Claimed { request: r, result });
        r
    }
    pub fn release(&mut self, p: u16, _n: Instant) {
        self.claimed.remove(&p);
    }
}
