//! What a stack has sent, decoded into owned values that are easy to compare.

use std::net::IpAddr;

use bytes::Bytes;
use sctp_user::wire::chunk::{Init, Place};
use sctp_user::wire::tlv::TlvIter;
use sctp_user::wire::{Chunk, Packet, RawChunk, dump};
use sctp_user::{Time, Transmit};

/// A packet of the stack under test.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    /// When it was taken from the stack.
    pub at: Time,
    /// Its source address, the first address of the stack's host where the stack leaves it to routing.
    pub src: IpAddr,
    /// Its destination address.
    pub dst: IpAddr,
    /// SCTP source port.
    pub src_port: u16,
    /// SCTP destination port.
    pub dst_port: u16,
    /// Verification tag.
    pub vtag: u32,
    /// The chunks in order.
    pub chunks: Vec<SeenChunk>,
    /// How the stack wants it sent.
    pub transmit: Transmit,
    /// The whole packet.
    pub bytes: Bytes,
}

/// A chunk with its header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeenChunk {
    /// Chunk type.
    pub kind: u8,
    /// Chunk flags.
    pub flags: u8,
    /// Header and value without padding.
    pub raw: Vec<u8>,
    /// The decoded value.
    pub body: Seen,
}

/// A parameter or an error cause: its type and its value.
pub type Item = (u16, Vec<u8>);

/// The fixed fields of an INIT or INIT ACK and its parameters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeenInit {
    /// Initiate Tag.
    pub tag: u32,
    /// Advertised receiver window in bytes.
    pub a_rwnd: u32,
    /// Number of outbound streams.
    pub outbound: u16,
    /// Maximum number of inbound streams.
    pub inbound: u16,
    /// Initial TSN.
    pub tsn: u32,
    /// Parameters in order.
    pub params: Vec<Item>,
}

impl SeenInit {
    fn new(init: &Init<'_>, value: &[u8]) -> Self {
        let params = items(value.get(16..).unwrap_or(&[]));
        Self { tag: init.tag.0, a_rwnd: init.a_rwnd, outbound: init.outbound, inbound: init.inbound, tsn: init.tsn.0, params }
    }

    /// The value of the first parameter of type `kind`.
    #[must_use]
    pub fn param(&self, kind: u16) -> Option<&[u8]> {
        self.params.iter().find(|(k, _)| *k == kind).map(|(_, v)| v.as_slice())
    }

    /// The State Cookie of an INIT ACK.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn cookie(&self) -> Vec<u8> {
        self.param(7).map_or_else(|| panic!("no State Cookie in {self:?}"), <[u8]>::to_vec)
    }

    /// The addresses that it lists.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        let address = |(kind, value): &Item| match kind {
            5 => <[u8; 4]>::try_from(value.as_slice()).ok().map(IpAddr::from),
            6 => <[u8; 16]>::try_from(value.as_slice()).ok().map(IpAddr::from),
            _ => None,
        };
        self.params.iter().filter_map(address).collect()
    }
}

/// A decoded chunk; `flags` and bytes are in [`SeenChunk`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are those of the chunks")]
pub enum Seen {
    Data { tsn: u32, sid: u16, ssn: u16, ppid: u32, begin: bool, end: bool, unordered: bool, immediate: bool, payload: Vec<u8> },
    IData { tsn: u32, sid: u16, mid: u32, place: Place, end: bool, unordered: bool, immediate: bool, payload: Vec<u8> },
    Init(SeenInit),
    InitAck(SeenInit),
    Sack { cum: u32, a_rwnd: u32, gaps: Vec<(u16, u16)>, dups: Vec<u32> },
    Heartbeat { items: Vec<Item> },
    HeartbeatAck { items: Vec<Item> },
    Abort { t: bool, causes: Vec<Item> },
    Shutdown { cum: u32 },
    ShutdownAck,
    Error { causes: Vec<Item> },
    CookieEcho { cookie: Vec<u8> },
    CookieAck,
    Ecne(u32),
    Cwr(u32),
    ShutdownComplete { t: bool },
    ForwardTsn { cum: u32, skipped: Vec<(u16, u16)> },
    IForwardTsn { cum: u32, skipped: Vec<(u16, bool, u32)> },
    Unknown,
}

impl Sent {
    /// Decodes what the stack sent.
    ///
    /// # Panics
    /// If a stack sends what cannot be decoded.
    #[must_use]
    pub fn new(at: Time, default_src: IpAddr, transmit: Transmit, bytes: Bytes) -> Self {
        let packet = Packet::parse(&bytes).unwrap_or_else(|e| panic!("the stack sent a broken packet: {e}"));
        let chunks = packet.chunks().map(|c| SeenChunk::new(&c.unwrap_or_else(|e| panic!("the stack sent a broken chunk: {e}")))).collect();
        let header = packet.header;
        Self {
            at,
            src: transmit.src.unwrap_or(default_src),
            dst: transmit.dst.ip(),
            src_port: header.src_port,
            dst_port: header.dst_port,
            vtag: header.vtag.0,
            chunks,
            transmit,
            bytes,
        }
    }

    /// The names of its chunks, as [`dump::chunk_name`] has them: "INIT-ACK".
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        self.chunks.iter().map(|c| dump::chunk_name(c.kind)).collect()
    }

    /// Its first chunk.
    ///
    /// # Panics
    /// If it has none.
    #[must_use]
    pub fn first(&self) -> &Seen {
        self.chunks.first().map_or_else(|| panic!("a packet without chunks"), |c| &c.body)
    }
}

impl SeenChunk {
    fn new(raw: &RawChunk<'_>) -> Self {
        let body = Seen::new(raw);
        Self { kind: raw.kind, flags: raw.flags, raw: raw.raw.to_vec(), body }
    }
}

impl Seen {
    fn new(raw: &RawChunk<'_>) -> Self {
        match raw.decode().unwrap_or_else(|e| panic!("the stack sent a broken chunk: {e}")) {
            Chunk::Data(d) => Self::Data {
                tsn: d.tsn.0,
                sid: d.sid.0,
                ssn: d.ssn.0,
                ppid: d.ppid.0,
                begin: d.begin,
                end: d.end,
                unordered: d.unordered,
                immediate: d.immediate,
                payload: d.payload.to_vec(),
            },
            Chunk::IData(d) => Self::IData {
                tsn: d.tsn.0,
                sid: d.sid.0,
                mid: d.mid.0,
                place: d.place,
                end: d.end,
                unordered: d.unordered,
                immediate: d.immediate,
                payload: d.payload.to_vec(),
            },
            Chunk::Init(i) => Self::Init(SeenInit::new(&i, raw.value)),
            Chunk::InitAck(i) => Self::InitAck(SeenInit::new(&i, raw.value)),
            Chunk::Sack(s) => Self::Sack {
                cum: s.cum_tsn.0,
                a_rwnd: s.a_rwnd,
                gaps: s.gaps.iter().map(|g| (g.start, g.end)).collect(),
                dups: s.dups.iter().map(|t| t.0).collect(),
            },
            Chunk::Heartbeat(_) => Self::Heartbeat { items: items(raw.value) },
            Chunk::HeartbeatAck(_) => Self::HeartbeatAck { items: items(raw.value) },
            Chunk::Abort(a) => Self::Abort { t: a.t, causes: items(raw.value) },
            Chunk::Shutdown(s) => Self::Shutdown { cum: s.cum_tsn.0 },
            Chunk::ShutdownAck => Self::ShutdownAck,
            Chunk::Error(_) => Self::Error { causes: items(raw.value) },
            Chunk::CookieEcho(c) => Self::CookieEcho { cookie: c.cookie.to_vec() },
            Chunk::CookieAck => Self::CookieAck,
            Chunk::Ecne(tsn) => Self::Ecne(tsn.0),
            Chunk::Cwr(tsn) => Self::Cwr(tsn.0),
            Chunk::ShutdownComplete(c) => Self::ShutdownComplete { t: c.t },
            Chunk::ForwardTsn(f) => Self::ForwardTsn { cum: f.cum_tsn.0, skipped: f.skipped.iter().map(|s| (s.sid.0, s.ssn.0)).collect() },
            Chunk::IForwardTsn(f) => {
                Self::IForwardTsn { cum: f.cum_tsn.0, skipped: f.skipped.iter().map(|s| (s.sid.0, s.unordered, s.mid.0)).collect() }
            }
            _ => Self::Unknown,
        }
    }
}

fn items(bytes: &[u8]) -> Vec<Item> {
    TlvIter::new(bytes).map(|t| t.map_or_else(|e| panic!("the stack sent a broken list: {e}"), |t| (t.kind, t.value.to_vec()))).collect()
}

/// The names of the chunks of several packets, packet by packet.
#[must_use]
pub fn names(sent: &[Sent]) -> Vec<Vec<&'static str>> {
    sent.iter().map(Sent::names).collect()
}

/// All chunks of several packets in order.
pub fn chunks(sent: &[Sent]) -> impl Iterator<Item = &Seen> {
    sent.iter().flat_map(|p| p.chunks.iter().map(|c| &c.body))
}

/// The only packet.
///
/// # Panics
/// If there is none or more than one.
#[must_use]
pub fn only(sent: &[Sent]) -> &Sent {
    match sent {
        [one] => one,
        other => panic!("one packet was expected: {:?}", names(other)),
    }
}
