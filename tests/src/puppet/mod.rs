//! A scripted peer: the test is the peer, chunk by chunk, of one stack on simulated time.
//!
//! ```
//! use sctp_user::AssocConfig;
//! use sctp_user::wire::Chunk;
//! use testbed::puppet::{Puppet, names};
//!
//! let mut p = Puppet::established(AssocConfig::rfc());
//! let data = p.data(0, b"hello");
//! assert_eq!(names(&p.give(&[data])), [["SACK"]], "the first DATA is acknowledged at once");
//! assert_eq!(p.recv().map(|m| m.payload), Some("hello".into()));
//! assert_eq!(names(&p.give(&[Chunk::Shutdown(p.shutdown_chunk())])), [["SHUTDOWN-ACK"]]);
//! assert_eq!(p.state(), "SHUTDOWN-ACK-SENT");
//! ```

mod seen;
mod signer;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use sctp_user::wire::chunk::{CookieEcho, Data, Heartbeat, Init, InitParams, Sack, Shutdown};
use sctp_user::wire::chunk::{Duplicates, GapBlock, Gaps};
use sctp_user::wire::cursor::Writer;
use sctp_user::wire::{Chunk, CommonHeader, Encode as _, PacketWriter, Param, checksum};
use sctp_user::{
    AddrChange, AssocConfig, AssocId, AssocStatus, Channel, Ecn, EndpointConfig, EndpointId, Event, Message, Meta, Node as _, PeerAddr,
    Ppid, SeededEntropy, SendError, SendOptions, Ssn, Stack, StackConfig, StreamId, Time, Train, Tsn, Vtag,
};

pub use self::seen::{Item, Seen, SeenChunk, SeenInit, Sent, chunks, names, only};
pub use self::signer::Signer;

/// SCTP port of the stack under test.
pub const STACK_PORT: u16 = 7;
/// SCTP port of the puppet.
pub const PUPPET_PORT: u16 = 5000;
/// What carries packets.
pub const CHANNEL: Channel = Channel::Udp { local: 9899, remote: 9899 };

/// What stands around the chunks of a packet to the stack: all of it can be changed before [`Puppet::give_in`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Envelope {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// SCTP source port.
    pub src_port: u16,
    /// SCTP destination port.
    pub dst_port: u16,
    /// Verification tag.
    pub vtag: u32,
    /// What carries it.
    pub channel: Channel,
    /// Its ECN mark.
    pub ecn: Option<Ecn>,
}

/// One stack with one listening endpoint, and its peer in the hands of the test.
///
/// Every packet that the stack sends is taken at once and answered by the call that caused it; all are kept in `log`.
#[derive(Debug)]
pub struct Puppet {
    /// The stack under test.
    pub stack: Stack,
    /// Its endpoint.
    pub endpoint: EndpointId,
    /// The association: the last one that the stack opened or reported.
    pub id: Option<AssocId>,
    /// The simulated time.
    pub now: Time,
    /// Addresses of the stack's host.
    pub host: Vec<IpAddr>,
    /// Addresses of the puppet.
    pub addrs: Vec<IpAddr>,
    /// SCTP port of the puppet.
    pub port: u16,
    /// The puppet's tag: what the stack's packets must carry.
    pub tag: u32,
    /// The stack's tag, once heard; 0 before.
    pub peer_tag: u32,
    /// The TSN of the puppet's next DATA.
    pub tsn: u32,
    /// The window that the puppet advertises, in bytes.
    pub a_rwnd: u32,
    /// Outbound streams that the puppet asks for, and inbound streams that it accepts.
    pub streams: (u16, u16),
    /// Parameters that the puppet's INIT and INIT ACK carry (encoded, padded).
    pub params: Vec<u8>,
    /// The highest TSN of the stack up to which all DATA came.
    pub cum: u32,
    /// All that the stack has sent.
    pub log: Vec<Sent>,
    /// All that the stack has told its user, but the ids.
    pub events: Vec<Event>,
    beyond: BTreeSet<u32>,
    ssns: BTreeMap<u16, u16>,
}

impl Puppet {
    /// A listening stack at 10.0.0.1 and a puppet at 10.0.0.2; no association. Path MTU discovery is off, so that no probes stand
    /// between what a test looks at; [`Self::at`] leaves the configuration alone.
    #[must_use]
    pub fn new(mut cfg: AssocConfig) -> Self {
        cfg.pmtu_discovery = false;
        Self::at(cfg, &["10.0.0.1"], &["10.0.0.2"])
    }

    /// The same with the addresses of both, the first of each in use.
    #[must_use]
    pub fn at(cfg: AssocConfig, host: &[&str], puppet: &[&str]) -> Self {
        Self::with(StackConfig::default(), cfg, host, puppet)
    }

    /// The same with the stack's configuration.
    ///
    /// # Panics
    /// If an address is none or the RFC forbids the configuration.
    #[must_use]
    pub fn with(stack: StackConfig, cfg: AssocConfig, host: &[&str], puppet: &[&str]) -> Self {
        let ips = |list: &[&str]| list.iter().map(|a| ip(a)).collect::<Vec<_>>();
        let (now, host, addrs) = (Time::from_millis(1), ips(host), ips(puppet));
        let mut stack = Stack::new(stack, Box::new(SeededEntropy::new(1)));
        stack.handle_addresses(now, AddrChange::Set(host.clone()));
        let endpoint = EndpointConfig::with(STACK_PORT, Arc::new(cfg));
        let endpoint = stack.open(endpoint).unwrap_or_else(|e| panic!("{e}"));
        stack.listen(endpoint, true);
        let (tag, tsn) = (0x7a97_0001, 0x1000);
        Self {
            stack,
            endpoint,
            id: None,
            now,
            host,
            addrs,
            port: PUPPET_PORT,
            tag,
            peer_tag: 0,
            tsn,
            a_rwnd: 1 << 20,
            streams: (10, 10),
            params: Vec::new(),
            cum: 0,
            log: Vec::new(),
            events: Vec::new(),
            beyond: BTreeSet::new(),
            ssns: BTreeMap::new(),
        }
    }

    /// An ESTABLISHED association that the puppet opened.
    #[must_use]
    pub fn established(cfg: AssocConfig) -> Self {
        let mut p = Self::new(cfg);
        p.open();
        p
    }

    /// An ESTABLISHED association that the stack opened.
    #[must_use]
    pub fn accepted(cfg: AssocConfig) -> Self {
        let mut p = Self::new(cfg);
        p.accept();
        p
    }

    /// An association in the state with this name (RFC 9260 section 4), such as "SHUTDOWN-SENT".
    ///
    /// The stack opened it if the state is "COOKIE-WAIT" or "COOKIE-ECHOED", and the puppet otherwise. In "SHUTDOWN-PENDING" and
    /// "SHUTDOWN-RECEIVED" one DATA of the stack is outstanding. "CLOSED" has no association.
    ///
    /// # Panics
    /// If the stack does not get there.
    #[must_use]
    pub fn in_state(cfg: AssocConfig, state: &str) -> Self {
        let mut p = Self::new(cfg);
        match state {
            "CLOSED" => {}
            "COOKIE-WAIT" => {
                p.connect();
            }
            "COOKIE-ECHOED" => {
                p.connect();
                p.give_init_ack();
            }
            _ => {
                p.open();
            }
        }
        if matches!(state, "SHUTDOWN-PENDING" | "SHUTDOWN-RECEIVED") {
            p.send(0, b"outstanding");
        }
        if matches!(state, "SHUTDOWN-PENDING" | "SHUTDOWN-SENT") {
            p.shutdown();
        }
        if matches!(state, "SHUTDOWN-RECEIVED" | "SHUTDOWN-ACK-SENT") {
            // It acknowledges what the puppet had before: not the DATA that is outstanding.
            let before = if state == "SHUTDOWN-RECEIVED" { p.cum.wrapping_sub(1) } else { p.cum };
            p.give(&[Chunk::Shutdown(Shutdown { cum_tsn: Tsn(before) })]);
        }
        assert_eq!(p.state(), state);
        p
    }

    /// Opens an association from the puppet's side: the whole handshake. Answers the packet with the COOKIE ACK and what came with it.
    ///
    /// # Panics
    /// If the stack does not answer as it should.
    pub fn open(&mut self) -> Vec<Sent> {
        let cookie = self.give_init().cookie();
        let done = self.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
        assert_eq!(self.state(), "ESTABLISHED");
        done
    }

    /// Lets the stack open an association and answers it: the whole handshake.
    ///
    /// # Panics
    /// If the stack does not answer as it should.
    pub fn accept(&mut self) -> Vec<Sent> {
        self.connect();
        self.give_init_ack();
        let sent = self.give(&[Chunk::CookieAck]);
        assert_eq!(self.state(), "ESTABLISHED");
        sent
    }

    /// Lets the stack open an association with all addresses of the puppet; answers its INIT.
    ///
    /// # Panics
    /// If the stack refuses.
    pub fn connect(&mut self) -> Vec<Sent> {
        let addrs: Vec<_> = self.addrs.iter().map(|a| PeerAddr::from(SocketAddr::new(*a, self.port))).collect();
        let id = self.stack.connect(self.now, self.endpoint, &addrs, None).unwrap_or_else(|e| panic!("{e}"));
        self.id = Some(id);
        self.collect()
    }

    /// Sends the puppet's INIT; answers the INIT ACK, from which the stack's tag is taken.
    ///
    /// # Panics
    /// If the answer is anything else.
    pub fn give_init(&mut self) -> SeenInit {
        let params = self.params.clone();
        let sent = self.give_in(self.envelope().tagged(0), &[Chunk::Init(self.init_chunk(&params))]);
        let Seen::InitAck(ack) = only(&sent).first() else { panic!("no INIT ACK: {:?}", names(&sent)) };
        self.learn(ack);
        ack.clone()
    }

    /// Answers an INIT of the stack with the puppet's INIT ACK, whose cookie is `b"puppet's cookie"`.
    pub fn give_init_ack(&mut self) -> Vec<Sent> {
        let mut params = self.params.clone();
        Param::StateCookie(b"puppet's cookie").encode(&mut Writer::new(&mut params));
        self.give(&[Chunk::InitAck(self.init_chunk(&params))])
    }

    /// The fixed fields of the puppet's INIT or INIT ACK with encoded `params`.
    #[must_use]
    pub const fn init_chunk<'a>(&self, params: &'a [u8]) -> Init<'a> {
        let (outbound, inbound) = self.streams;
        Init { tag: Vtag(self.tag), a_rwnd: self.a_rwnd, outbound, inbound, tsn: Tsn(self.tsn), params: InitParams::Wire(params) }
    }

    /// The next DATA of the puppet in order on stream `sid`: TSN and stream sequence number go on with each call.
    pub fn data<'a>(&mut self, sid: u16, payload: &'a [u8]) -> Chunk<'a> {
        let ssn = self.ssns.entry(sid).or_default();
        let data = data(self.tsn, sid, *ssn, payload);
        *ssn = ssn.wrapping_add(1);
        self.tsn = self.tsn.wrapping_add(1);
        Chunk::Data(data)
    }

    /// A SACK of all that came in order.
    #[must_use]
    pub const fn sack(&self) -> Chunk<'static> {
        sack(self.cum, self.a_rwnd, &[], &[])
    }

    /// Acknowledges all that came in order.
    pub fn ack(&mut self) -> Vec<Sent> {
        self.give(&[self.sack()])
    }

    /// A SHUTDOWN that acknowledges all that came in order.
    #[must_use]
    pub const fn shutdown_chunk(&self) -> Shutdown {
        Shutdown { cum_tsn: Tsn(self.cum) }
    }

    /// From the puppet's first address to the stack's first one with the ports and the tag of the association.
    ///
    /// # Panics
    /// If one has no address.
    #[must_use]
    pub fn envelope(&self) -> Envelope {
        let first = |list: &[IpAddr]| list.first().copied().unwrap_or_else(|| panic!("no address"));
        Envelope {
            src: first(&self.addrs),
            dst: first(&self.host),
            src_port: self.port,
            dst_port: STACK_PORT,
            vtag: self.peer_tag,
            channel: CHANNEL,
            ecn: None,
        }
    }

    /// Delivers a packet with these chunks; answers what the stack then sends.
    pub fn give(&mut self, chunks: &[Chunk<'_>]) -> Vec<Sent> {
        self.give_in(self.envelope(), chunks)
    }

    /// The same with all that stands around the chunks.
    pub fn give_in(&mut self, envelope: Envelope, chunks: &[Chunk<'_>]) -> Vec<Sent> {
        self.give_bytes(envelope, envelope.seal(&encode(chunks)))
    }

    /// Delivers a packet whose chunks are raw bytes.
    pub fn give_raw(&mut self, chunks: &[u8]) -> Vec<Sent> {
        let envelope = self.envelope();
        self.give_bytes(envelope, envelope.seal(chunks))
    }

    /// Delivers any bytes; answers what the stack then sends.
    pub fn give_bytes(&mut self, envelope: Envelope, packet: Bytes) -> Vec<Sent> {
        let Envelope { src, dst, channel, ecn, .. } = envelope;
        let meta = Meta { src, dst, channel, ecn, ifindex: None };
        self.stack.handle_batch(self.now, &meta, Train::single(packet));
        self.collect()
    }

    /// Answers the HEARTBEATs in `sent` from the addresses that they went to; answers what the stack then sends.
    pub fn answer_heartbeats(&mut self, sent: &[Sent]) -> Vec<Sent> {
        let mut out = Vec::new();
        for packet in sent {
            for chunk in packet.chunks.iter().filter(|c| c.kind == sctp_user::wire::chunk::kind::HEARTBEAT) {
                let ack = Chunk::HeartbeatAck(Heartbeat { tlvs: chunk.raw.get(4..).unwrap_or(&[]) });
                out.extend(self.give_in(Envelope { src: packet.dst, dst: packet.src, ..self.envelope() }, &[ack]));
            }
        }
        out
    }

    /// Takes all that the stack has to send and to tell now.
    pub fn collect(&mut self) -> Vec<Sent> {
        let mut out = Vec::new();
        let default_src = self.envelope().dst;
        loop {
            let mut buf = Vec::new();
            while let Some(transmit) = self.stack.poll_transmit(self.now, 1, &mut buf) {
                let sent = Sent::new(self.now, default_src, transmit, Bytes::from(core::mem::take(&mut buf)));
                self.note(&sent);
                out.push(sent);
                assert!(out.len() < 10_000, "the stack sends without end");
            }
            let mut quiet = true;
            while let Some((_, id, event)) = self.stack.poll_event() {
                quiet = false;
                self.id = Some(id);
                self.events.push(event);
            }
            if quiet {
                break;
            }
        }
        self.log.extend(out.iter().cloned());
        out
    }

    /// Learns tag and TSNs from what the stack sends.
    fn note(&mut self, sent: &Sent) {
        for chunk in &sent.chunks {
            match &chunk.body {
                // An INIT ACK counts only where the puppet goes on with it: see `give_init`.
                Seen::Init(init) => self.learn(init),
                Seen::Data { tsn, .. } | Seen::IData { tsn, .. } if tsn.wrapping_sub(self.cum).cast_signed() > 0 => {
                    self.beyond.insert(*tsn);
                    while self.beyond.remove(&self.cum.wrapping_add(1)) {
                        self.cum = self.cum.wrapping_add(1);
                    }
                }
                _ => {}
            }
        }
    }

    /// Takes tag and initial TSN of the stack from its INIT or INIT ACK.
    pub fn learn(&mut self, init: &SeenInit) {
        self.peer_tag = init.tag;
        self.cum = init.tsn.wrapping_sub(1);
        self.beyond.clear();
    }

    /// Goes to the stack's next deadline and serves it; `None` if there is none.
    pub fn tick(&mut self) -> Option<Vec<Sent>> {
        self.now = self.stack.poll_timeout()?.max(self.now);
        self.stack.handle_timeout(self.now);
        Some(self.collect())
    }

    /// Lets time pass, serving every deadline in it; answers what the stack sends meanwhile.
    pub fn pass(&mut self, d: Duration) -> Vec<Sent> {
        let end = self.now + d;
        let mut out = Vec::new();
        while self.stack.poll_timeout().is_some_and(|t| t <= end) {
            out.extend(self.tick().unwrap_or_default());
        }
        self.now = end;
        out
    }

    /// The association's id.
    ///
    /// # Panics
    /// If there has been none.
    #[must_use]
    pub fn id(&self) -> AssocId {
        self.id.unwrap_or_else(|| panic!("no association"))
    }

    /// The name of the association's state, "CLOSED" if there is none.
    pub fn state(&mut self) -> &'static str {
        self.status().map_or("CLOSED", |s| s.state)
    }

    /// The association's snapshot.
    pub fn status(&mut self) -> Option<AssocStatus> {
        self.stack.assoc(self.id?).map(|a| a.status())
    }

    /// The user of the stack sends an ordered message; answers what the stack then sends.
    ///
    /// # Panics
    /// If the stack refuses.
    pub fn send(&mut self, sid: u16, payload: &[u8]) -> Vec<Sent> {
        self.try_send(sid, payload, SendOptions::ordered()).unwrap_or_else(|e| panic!("{e}"));
        self.collect()
    }

    /// The user of the stack hands in a message; what the stack sends is left in it.
    ///
    /// # Errors
    /// As the stack says.
    pub fn try_send(&mut self, sid: u16, payload: &[u8], opts: SendOptions) -> Result<(), SendError> {
        let (id, now) = (self.id(), self.now);
        let mut assoc = self.stack.assoc(id).ok_or(SendError::Closed)?;
        assoc.send(now, StreamId(sid), Ppid(0), Bytes::copy_from_slice(payload), opts)
    }

    /// The user of the stack reads a message.
    pub fn recv(&mut self) -> Option<Message> {
        self.stack.assoc(self.id?)?.recv()
    }

    /// The user of the stack closes gracefully; answers what the stack then sends.
    pub fn shutdown(&mut self) -> Vec<Sent> {
        let (id, now) = (self.id(), self.now);
        if let Some(mut a) = self.stack.assoc(id) {
            a.shutdown(now);
        }
        self.collect()
    }

    /// The user of the stack aborts; answers what the stack then sends.
    pub fn abort(&mut self, reason: &[u8]) -> Vec<Sent> {
        let (id, now) = (self.id(), self.now);
        if let Some(mut a) = self.stack.assoc(id) {
            a.abort(now, reason);
        }
        self.collect()
    }

    /// Whether the user has been told.
    #[must_use]
    pub fn heard(&self, what: impl Fn(&Event) -> bool) -> bool {
        self.events.iter().any(what)
    }
}

impl Envelope {
    /// With another verification tag.
    #[must_use]
    pub const fn tagged(self, vtag: u32) -> Self {
        Self { vtag, ..self }
    }

    /// From another source address.
    ///
    /// # Panics
    /// If it is no address.
    #[must_use]
    pub fn from(self, src: &str) -> Self {
        Self { src: ip(src), ..self }
    }

    /// To another destination address.
    ///
    /// # Panics
    /// If it is no address.
    #[must_use]
    pub fn to(self, dst: &str) -> Self {
        Self { dst: ip(dst), ..self }
    }

    /// A packet with its checksum around encoded chunks.
    #[must_use]
    pub fn seal(&self, chunks: &[u8]) -> Bytes {
        let mut packet = Vec::new();
        let header = CommonHeader { src_port: self.src_port, dst_port: self.dst_port, vtag: Vtag(self.vtag) };
        PacketWriter::new(&mut packet, header, usize::MAX).finish();
        packet.extend_from_slice(chunks);
        checksum::seal(&mut packet);
        Bytes::from(packet)
    }
}

/// An IP address.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn ip(s: &str) -> IpAddr {
    s.parse().unwrap_or_else(|e| panic!("{s}: {e}"))
}

/// Chunks as bytes, padded.
#[must_use]
pub fn encode(chunks: &[Chunk<'_>]) -> Vec<u8> {
    let mut buf = Vec::new();
    for chunk in chunks {
        chunk.encode(&mut Writer::new(&mut buf));
    }
    buf
}

/// Parameters as bytes, padded.
#[must_use]
pub fn encode_params(params: &[Param<'_>]) -> Vec<u8> {
    let mut buf = Vec::new();
    for param in params {
        param.encode(&mut Writer::new(&mut buf));
    }
    buf
}

/// A chunk of any type, flags and value as bytes, padded.
#[must_use]
pub fn raw_chunk(kind: u8, flags: u8, value: &[u8]) -> Vec<u8> {
    let mut buf = Vec::new();
    Writer::new(&mut buf).chunk(kind, flags, |w| w.bytes(value));
    buf
}

/// A parameter or an error cause of any type and value as bytes, padded.
#[must_use]
pub fn raw_item(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut buf = Vec::new();
    Writer::new(&mut buf).tlv(kind, |w| w.bytes(value));
    buf
}

/// A DATA with a whole ordered message.
#[must_use]
pub const fn data(tsn: u32, sid: u16, ssn: u16, payload: &[u8]) -> Data<'_> {
    Data {
        immediate: false,
        unordered: false,
        begin: true,
        end: true,
        tsn: Tsn(tsn),
        sid: StreamId(sid),
        ssn: Ssn(ssn),
        ppid: Ppid(0),
        payload,
    }
}

/// A SACK.
#[must_use]
pub const fn sack<'a>(cum: u32, a_rwnd: u32, gaps: &'a [GapBlock], dups: &'a [Tsn]) -> Chunk<'a> {
    Chunk::Sack(Sack { cum_tsn: Tsn(cum), a_rwnd, gaps: Gaps::List(gaps), dups: Duplicates::List(dups) })
}
