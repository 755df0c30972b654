//! What the processes on one encapsulation port say to each other over their local sockets.
//!
//! A frame is a length of four octets, which counts what follows it, a type octet and a body; all numbers are in network byte
//! order. The bytes come from another process, perhaps of another version, so the parser believes nothing: lengths must fit
//! exactly, numbers must be in range, and whatever is odd ends the link.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use bytes::{Buf, BufMut, Bytes, BytesMut, TryGetError};
use thiserror::Error;

use super::table::{ClaimError, MAX_MEMBERS, MemberId, Snapshot};
use crate::errors::{ErrorOrigin, MAX_QUOTE, NetError, NetErrorKind};
use crate::meta::{DatagramMeta, Ecn, Received};

/// Spoken by this code; another version is refused.
pub const VERSION: u8 = 1;
/// Largest frame: a table with every port claimed and every ephemeral port in quarantine fits.
pub const MAX_FRAME: usize = 256 << 10;
/// Largest train in a frame.
const MAX_TRAIN: usize = 65_535;

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MessageError {
    /// The body ends too early.
    #[error("message too short")]
    Short,
    /// Bytes are left over.
    #[error("message too long")]
    Long,
    /// A type that this version does not know.
    #[error("unknown message type {0}")]
    Type(u8),
    /// A field holds a value that it may not.
    #[error("bad {0}")]
    Value(&'static str),
}

impl From<TryGetError> for MessageError {
    fn from(_: TryGetError) -> Self {
        Self::Short
    }
}

/// Who reads the UDP sockets, and since when. The greater one prevails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reign {
    /// Rises with each take-over.
    pub generation: u64,
    /// The reader's number; of two in one generation the lower one prevails.
    pub reader: MemberId,
}

impl Reign {
    /// Whether a reader of this reign displaces one of the other.
    #[must_use]
    pub fn beats(self, other: Self) -> bool {
        (self.generation, std::cmp::Reverse(self.reader)) > (other.generation, std::cmp::Reverse(other.reader))
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// To a reader: take me on.
    Attach {
        /// 0 for a newcomer, else the number had before.
        id: MemberId,
        /// Where my own local socket is.
        slot: u16,
        /// The highest generation heard of.
        generation: u64,
        /// Whether I need the UDP sockets.
        sockets: bool,
        /// The SCTP ports that I hold.
        ports: Vec<u16>,
    },
    /// From the reader: taken on. If sockets were asked for, they come with the first octet.
    Welcome {
        /// Who reads.
        reign: Reign,
        /// The number of the new member.
        id: MemberId,
        /// All claims.
        table: Snapshot,
        /// Ports of the Attach that somebody else holds.
        refused: Vec<u16>,
    },
    /// Not me, ask there.
    Redirect {
        /// Who reads.
        reign: Reign,
        /// Where.
        slot: u16,
    },
    /// I read from now on: attach to me.
    Successor {
        /// My reign.
        reign: Reign,
        /// My local socket.
        slot: u16,
    },
    /// From the reader every 100 ms: I am here.
    Beat {
        /// My reign.
        reign: Reign,
    },
    /// To the reader: give me a port.
    Claim {
        /// Comes back in the answer.
        request: u32,
        /// 0 for an ephemeral one.
        port: u16,
    },
    /// The answer to a claim.
    Claimed {
        /// The request's.
        request: u32,
        /// The port that was given.
        result: Result<u16, ClaimError>,
    },
    /// To the reader: I do not need the port any more.
    Release {
        /// The port.
        port: u16,
    },
    /// From the reader, for the copies of the table: a port was claimed.
    Taken {
        /// By whom.
        id: MemberId,
        /// The port.
        port: u16,
    },
    /// A port was released.
    Freed {
        /// The port.
        port: u16,
    },
    /// A process came.
    Joined {
        /// Its number.
        id: MemberId,
        /// Its local socket.
        slot: u16,
    },
    /// A process left; its ports are free.
    Left {
        /// Its number.
        id: MemberId,
        /// Whether without saying goodbye.
        died: bool,
    },
    /// Nobody serves these ports any more: abort what is connected to them.
    Died {
        /// The ports.
        ports: Vec<u16>,
    },
    /// The whole table once more, for a member that was too slow for the changes.
    Table {
        /// All claims.
        table: Snapshot,
    },
    /// Datagrams for a port of the member.
    Train(Received),
    /// An ICMP error about a packet of the member.
    Error(NetError),
    /// I am going, all is well.
    Goodbye,
}

mod kind {
    pub(super) const ATTACH: u8 = 1;
    pub(super) const WELCOME: u8 = 2;
    pub(super) const REDIRECT: u8 = 3;
    pub(super) const SUCCESSOR: u8 = 4;
    pub(super) const BEAT: u8 = 5;
    pub(super) const CLAIM: u8 = 6;
    pub(super) const CLAIMED: u8 = 7;
    pub(super) const RELEASE: u8 = 8;
    pub(super) const TAKEN: u8 = 9;
    pub(super) const FREED: u8 = 10;
    pub(super) const JOINED: u8 = 11;
    pub(super) const LEFT: u8 = 12;
    pub(super) const DIED: u8 = 13;
    pub(super) const TABLE: u8 = 14;
    pub(super) const TRAIN: u8 = 15;
    pub(super) const ERROR: u8 = 16;
    pub(super) const GOODBYE: u8 = 17;
}

impl Message {
    /// The message as a frame.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u32(0);
        self.put(&mut out);
        finish(out, 0)
    }

    /// The frame of a train without its payload, which the caller sends right behind, uncopied.
    #[must_use]
    pub fn train_header(train: &Received) -> Bytes {
        let mut out = BytesMut::with_capacity(64);
        out.put_u32(0);
        put_train_header(&mut out, train);
        finish(out, train.bytes.len())
    }

    fn put(&self, out: &mut BytesMut) {
        match self {
            Self::Attach { id, slot, generation, sockets, ports } => {
                out.put_u8(kind::ATTACH);
                out.put_u8(VERSION);
                out.put_u32(*id);
                out.put_u16(*slot);
                out.put_u64(*generation);
                out.put_u8(u8::from(*sockets));
                put_ports(out, ports);
            }
            Self::Welcome { reign, id, table, refused } => {
                out.put_u8(kind::WELCOME);
                put_reign(out, *reign);
                out.put_u32(*id);
                put_table(out, table);
                put_ports(out, refused);
            }
            Self::Redirect { reign, slot } => {
                out.put_u8(kind::REDIRECT);
                put_reign(out, *reign);
                out.put_u16(*slot);
            }
            Self::Successor { reign, slot } => {
                out.put_u8(kind::SUCCESSOR);
                put_reign(out, *reign);
                out.put_u16(*slot);
            }
            Self::Beat { reign } => {
                out.put_u8(kind::BEAT);
                put_reign(out, *reign);
            }
            Self::Claim { request, port } => {
                out.put_u8(kind::CLAIM);
                out.put_u32(*request);
                out.put_u16(*port);
            }
            Self::Claimed { request, result } => {
                out.put_u8(kind::CLAIMED);
                out.put_u32(*request);
                // No port is 0, so a 0 in its place announces the error.
                match result {
                    Ok(port) => {
                        out.put_u16(*port);
                        out.put_u8(0);
                    }
                    Err(error) => {
                        out.put_u16(0);
                        out.put_u8(match error {
                            ClaimError::InUse => 1,
                            ClaimError::Exhausted => 2,
                            ClaimError::TimedOut => 3,
                        });
                    }
                }
            }
            Self::Release { port } => {
                out.put_u8(kind::RELEASE);
                out.put_u16(*port);
            }
            Self::Taken { id, port } => {
                out.put_u8(kind::TAKEN);
                out.put_u32(*id);
                out.put_u16(*port);
            }
            Self::Freed { port } => {
                out.put_u8(kind::FREED);
                out.put_u16(*port);
            }
            Self::Joined { id, slot } => {
                out.put_u8(kind::JOINED);
                out.put_u32(*id);
                out.put_u16(*slot);
            }
            Self::Left { id, died } => {
                out.put_u8(kind::LEFT);
                out.put_u32(*id);
                out.put_u8(u8::from(*died));
            }
            Self::Died { ports } => {
                out.put_u8(kind::DIED);
                put_ports(out, ports);
            }
            Self::Table { table } => {
                out.put_u8(kind::TABLE);
                put_table(out, table);
            }
            Self::Train(train) => {
                put_train_header(out, train);
                out.put_slice(&train.bytes);
            }
            Self::Error(error) => put_error(out, error),
            Self::Goodbye => out.put_u8(kind::GOODBYE),
        }
    }

    /// Parses the type octet and the body of a frame.
    ///
    /// # Errors
    /// [`MessageError`] unless every octet is as [`Message::encode`] writes it.
    pub fn parse(mut body: Bytes) -> Result<Self, MessageError> {
        let b = &mut body;
        let message = match b.try_get_u8()? {
            kind::ATTACH => {
                if b.try_get_u8()? != VERSION {
                    return Err(MessageError::Value("version"));
                }
                Self::Attach { id: b.try_get_u32()?, slot: slot(b)?, generation: b.try_get_u64()?, sockets: flag(b)?, ports: ports(b)? }
            }
            kind::WELCOME => Self::Welcome { reign: reign(b)?, id: member(b)?, table: table(b)?, refused: ports(b)? },
            kind::REDIRECT => Self::Redirect { reign: reign(b)?, slot: slot(b)? },
            kind::SUCCESSOR => Self::Successor { reign: reign(b)?, slot: slot(b)? },
            kind::BEAT => Self::Beat { reign: reign(b)? },
            kind::CLAIM => Self::Claim { request: b.try_get_u32()?, port: b.try_get_u16()? },
            kind::CLAIMED => Self::Claimed { request: b.try_get_u32()?, result: claim_result(b)? },
            kind::RELEASE => Self::Release { port: port(b)? },
            kind::TAKEN => Self::Taken { id: member(b)?, port: port(b)? },
            kind::FREED => Self::Freed { port: port(b)? },
            kind::JOINED => Self::Joined { id: member(b)?, slot: slot(b)? },
            kind::LEFT => Self::Left { id: member(b)?, died: flag(b)? },
            kind::DIED => Self::Died { ports: ports(b)? },
            kind::TABLE => Self::Table { table: table(b)? },
            kind::TRAIN => Self::Train(train(b)?),
            kind::ERROR => Self::Error(error(b)?),
            kind::GOODBYE => Self::Goodbye,
            other => return Err(MessageError::Type(other)),
        };
        if body.has_remaining() { Err(MessageError::Long) } else { Ok(message) }
    }
}

/// Takes the next whole frame's type and body out of what was read so far; `None` if more bytes are needed.
///
/// # Errors
/// [`MessageError::Value`] if the length is beyond [`MAX_FRAME`] or 0.
pub fn next_frame(buffer: &mut BytesMut) -> Result<Option<Bytes>, MessageError> {
    let Some(length) = buffer.get(..4) else {
        return Ok(None);
    };
    let length =
        usize::try_from(length.iter().fold(0u32, |n, byte| (n << 8) | u32::from(*byte))).map_err(|_| MessageError::Value("length"))?;
    if length == 0 || length > MAX_FRAME {
        return Err(MessageError::Value("length"));
    }
    if buffer.len() < length.saturating_add(4) {
        return Ok(None);
    }
    buffer.advance(4);
    Ok(Some(buffer.split_to(length).freeze()))
}

/// Fills in the length, which counts `behind` further octets that are sent separately.
fn finish(mut out: BytesMut, behind: usize) -> Bytes {
    let length = out.len().saturating_sub(4).saturating_add(behind);
    debug_assert!(length <= MAX_FRAME);
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    if let Some(head) = out.get_mut(..4) {
        head.copy_from_slice(&length);
    }
    out.freeze()
}

fn put_reign(out: &mut BytesMut, reign: Reign) {
    out.put_u64(reign.generation);
    out.put_u32(reign.reader);
}

fn reign(b: &mut Bytes) -> Result<Reign, MessageError> {
    Ok(Reign { generation: b.try_get_u64()?, reader: member(b)? })
}

fn member(b: &mut Bytes) -> Result<MemberId, MessageError> {
    match b.try_get_u32()? {
        0 => Err(MessageError::Value("member")),
        id => Ok(id),
    }
}

fn slot(b: &mut Bytes) -> Result<u16, MessageError> {
    let slot = b.try_get_u16()?;
    if usize::from(slot) < MAX_SLOTS { Ok(slot) } else { Err(MessageError::Value("slot")) }
}

/// Names of local sockets: one a member and a few for those that are coming.
pub const MAX_SLOTS: usize = 256;

fn port(b: &mut Bytes) -> Result<u16, MessageError> {
    match b.try_get_u16()? {
        0 => Err(MessageError::Value("port")),
        port => Ok(port),
    }
}

fn flag(b: &mut Bytes) -> Result<bool, MessageError> {
    match b.try_get_u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(MessageError::Value("flag")),
    }
}

fn claim_result(b: &mut Bytes) -> Result<Result<u16, ClaimError>, MessageError> {
    Ok(match (b.try_get_u16()?, b.try_get_u8()?) {
        (port, 0) if port != 0 => Ok(port),
        (0, 1) => Err(ClaimError::InUse),
        (0, 2) => Err(ClaimError::Exhausted),
        (0, 3) => Err(ClaimError::TimedOut),
        _ => return Err(MessageError::Value("claim result")),
    })
}

fn put_ports(out: &mut BytesMut, ports: &[u16]) {
    // A list of all ports but 0 has 65,535 entries and no more.
    out.put_u16(u16::try_from(ports.len()).unwrap_or(u16::MAX));
    for port in ports.iter().take(usize::from(u16::MAX)) {
        out.put_u16(*port);
    }
}

fn ports(b: &mut Bytes) -> Result<Vec<u16>, MessageError> {
    let count = usize::from(b.try_get_u16()?);
    if b.remaining() < count.saturating_mul(2) {
        return Err(MessageError::Short);
    }
    (0..count).map(|_| port(b)).collect()
}

fn put_table(out: &mut BytesMut, table: &Snapshot) {
    out.put_u16(u16::try_from(table.members.len()).unwrap_or(u16::MAX));
    for (id, slot, ports) in &table.members {
        out.put_u32(*id);
        out.put_u16(*slot);
        put_ports(out, ports);
    }
    out.put_u16(u16::try_from(table.quarantine.len()).unwrap_or(u16::MAX));
    for (port, left) in &table.quarantine {
        out.put_u16(*port);
        out.put_u32(*left);
    }
}

fn table(b: &mut Bytes) -> Result<Snapshot, MessageError> {
    let count = usize::from(b.try_get_u16()?);
    if count > MAX_MEMBERS {
        return Err(MessageError::Value("number of members"));
    }
    let mut members = Vec::new();
    for _ in 0..count {
        members.push((member(b)?, slot(b)?, ports(b)?));
    }
    let count = usize::from(b.try_get_u16()?);
    if b.remaining() < count.saturating_mul(6) {
        return Err(MessageError::Short);
    }
    let quarantine = (0..count).map(|_| Ok((port(b)?, b.try_get_u32()?))).collect::<Result<_, MessageError>>()?;
    Ok(Snapshot { members, quarantine })
}

fn put_ip(out: &mut BytesMut, ip: Option<IpAddr>) {
    match ip {
        None => out.put_u8(0),
        Some(IpAddr::V4(v4)) => {
            out.put_u8(4);
            out.put_slice(&v4.octets());
        }
        Some(IpAddr::V6(v6)) => {
            out.put_u8(6);
            out.put_slice(&v6.octets());
        }
    }
}

fn ip(b: &mut Bytes) -> Result<Option<IpAddr>, MessageError> {
    Ok(match b.try_get_u8()? {
        0 => None,
        4 => Some(IpAddr::V4(Ipv4Addr::from_bits(b.try_get_u32()?))),
        6 => {
            let v6 = Ipv6Addr::from_bits(b.try_get_u128()?);
            if v6.to_ipv4_mapped().is_some() {
                return Err(MessageError::Value("mapped address"));
            }
            Some(IpAddr::V6(v6))
        }
        _ => return Err(MessageError::Value("address family")),
    })
}

fn put_addr(out: &mut BytesMut, addr: SocketAddr) {
    put_ip(out, Some(addr.ip()));
    out.put_u16(addr.port());
    if let SocketAddr::V6(v6) = addr {
        out.put_u32(v6.scope_id());
    }
}

fn addr(b: &mut Bytes) -> Result<SocketAddr, MessageError> {
    let ip = ip(b)?.ok_or(MessageError::Value("address family"))?;
    let port = b.try_get_u16()?;
    Ok(match ip {
        IpAddr::V4(_) => SocketAddr::new(ip, port),
        IpAddr::V6(v6) => SocketAddr::V6(SocketAddrV6::new(v6, port, 0, b.try_get_u32()?)),
    })
}

fn put_train_header(out: &mut BytesMut, train: &Received) {
    out.put_u8(kind::TRAIN);
    put_addr(out, train.meta.src);
    put_ip(out, train.meta.dst_ip);
    out.put_u32(train.meta.ifindex.unwrap_or(0));
    out.put_u8(train.meta.ecn.map_or(0, |mark| mark as u8));
    out.put_u16(u16::try_from(train.stride).unwrap_or(u16::MAX));
}

fn train(b: &mut Bytes) -> Result<Received, MessageError> {
    let meta = DatagramMeta {
        src: addr(b)?,
        dst_ip: ip(b)?,
        ifindex: Some(b.try_get_u32()?).filter(|index| *index != 0),
        ecn: match b.try_get_u8()? {
            bits @ 0..=3 => Ecn::from_bits(bits),
            _ => return Err(MessageError::Value("ECN mark")),
        },
    };
    let stride = usize::from(b.try_get_u16()?);
    let bytes = b.split_off(0);
    if bytes.is_empty() || bytes.len() > MAX_TRAIN || stride == 0 || stride > bytes.len() {
        return Err(MessageError::Value("train"));
    }
    Ok(Received { meta, bytes, stride })
}

fn put_error(out: &mut BytesMut, error: &NetError) {
    out.put_u8(kind::ERROR);
    match error.kind {
        NetErrorKind::PortUnreachable => out.put_u8(0),
        NetErrorKind::Unreachable { icmp_type, code } => {
            out.put_u8(1);
            out.put_u8(icmp_type);
            out.put_u8(code);
        }
        NetErrorKind::TooBig { mtu } => {
            out.put_u8(2);
            out.put_u32(mtu);
        }
    }
    out.put_u8(u8::from(error.origin == ErrorOrigin::Icmp));
    put_ip(out, error.src);
    put_addr(out, error.dst);
    out.put_slice(error.quoted.get(..MAX_QUOTE).unwrap_or(&error.quoted));
}

fn error(b: &mut Bytes) -> Result<NetError, MessageError> {
    let kind = match b.try_get_u8()? {
        0 => NetErrorKind::PortUnreachable,
        1 => NetErrorKind::Unreachable { icmp_type: b.try_get_u8()?, code: b.try_get_u8()? },
        2 => NetErrorKind::TooBig { mtu: b.try_get_u32()? },
        _ => return Err(MessageError::Value("kind of error")),
    };
    let origin = if flag(b)? { ErrorOrigin::Icmp } else { ErrorOrigin::Local };
    let (src, dst) = (ip(b)?, addr(b)?);
    let quoted = b.split_off(0);
    if quoted.len() > MAX_QUOTE {
        return Err(MessageError::Long);
    }
    Ok(NetError { kind, origin, src, dst, quoted })
}

#[cfg(test)]
#[path = "message_test.rs"]
mod message_test;
