//! The common header and the packet around chunks (RFC 9260 section 3).

use core::hint::cold_path;

use thiserror::Error;

use super::checksum::{self, ChecksumMode};
use super::chunk::{AUTH_HEADER_LEN, Auth, Chunk, ChunkError, ChunkTypes, Encode, kind};
use super::cursor::{Reader, Writer, padded};
use super::tlv::Action;
use crate::num::{KeyId, Vtag};

/// Length of the common header in bytes.
pub const COMMON_HEADER_LEN: usize = 12;
/// Length of a chunk header in bytes.
pub const CHUNK_HEADER_LEN: usize = 4;

/// The common header (RFC 9260 section 3.1); its checksum is computed when a packet is sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CommonHeader {
    /// Sender's SCTP port.
    pub src_port: u16,
    /// Receiver's SCTP port.
    pub dst_port: u16,
    /// Verification tag.
    pub vtag: Vtag,
}

/// Why a packet is dropped before any chunk is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum PacketError {
    /// Shorter than a common header and one chunk header.
    #[error("packet of {0} bytes is too short")]
    TooShort(usize),
    /// The CRC32c is wrong.
    #[error("wrong checksum")]
    Checksum,
    /// A port number is zero (RFC 9260 section 3.1).
    #[error("port zero")]
    PortZero,
}

/// A received packet: the header is valid, chunks are decoded one by one as they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The common header.
    pub header: CommonHeader,
    body: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Checks length, checksum and ports of `bytes`.
    ///
    /// # Errors
    /// What makes the packet worthless; it is to be dropped silently (RFC 9260 section 6.8).
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PacketError> {
        if bytes.len() < COMMON_HEADER_LEN + CHUNK_HEADER_LEN {
            return Err(PacketError::TooShort(bytes.len()));
        }
        if !checksum::verify(bytes) {
            return Err(PacketError::Checksum);
        }
        Self::parse_unverified(bytes)
    }

    /// The same without a look at the checksum: for packets on which it is zero by agreement (RFC 9653).
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_unverified(bytes: &'a [u8]) -> Result<Self, PacketError> {
        if bytes.len() < COMMON_HEADER_LEN + CHUNK_HEADER_LEN {
            return Err(PacketError::TooShort(bytes.len()));
        }
        let (header, body) = Self::split(bytes).ok_or(PacketError::TooShort(bytes.len()))?;
        if header.src_port == 0 || header.dst_port == 0 {
            return Err(PacketError::PortZero);
        }
        Ok(Self { header, body })
    }

    /// Header and body of `bytes` without any check: for packets quoted by ICMP, which are cut off. Eight bytes are enough
    /// (RFC 792): they hold all of the header that is looked at.
    #[must_use]
    pub fn parse_quoted(bytes: &'a [u8]) -> Option<Self> {
        let (header, body) = Self::split(bytes)?;
        Some(Self { header, body })
    }

    fn split(bytes: &'a [u8]) -> Option<(CommonHeader, &'a [u8])> {
        let mut r = Reader::new(bytes);
        let header = CommonHeader { src_port: r.u16()?, dst_port: r.u16()?, vtag: Vtag(r.u32()?) };
        Some((header, r.rest().get(4..).unwrap_or(&[])))
    }

    /// The type of the first chunk, whether or not the chunk is whole.
    #[must_use]
    pub fn first_kind(&self) -> Option<u8> {
        self.body.first().copied()
    }

    /// The chunks in order.
    #[must_use]
    pub const fn chunks(&self) -> Chunks<'a> {
        Chunks { rest: self.body, offset: COMMON_HEADER_LEN }
    }
}

/// A chunk as it stands in the packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawChunk<'a> {
    /// Chunk type.
    pub kind: u8,
    /// Chunk flags.
    pub flags: u8,
    /// Its value: what the length covers behind the header.
    pub value: &'a [u8],
    /// Header and value without padding, for error causes.
    pub raw: &'a [u8],
    /// Offset in the packet, in bytes.
    pub offset: usize,
}

impl<'a> RawChunk<'a> {
    /// Decodes the value by the type.
    ///
    /// # Errors
    /// The value is shorter than the type demands or inconsistent.
    pub fn decode(&self) -> Result<Chunk<'a>, ChunkError> {
        Chunk::decode(self)
    }

    /// What to do if the type is unknown.
    #[must_use]
    pub const fn action(&self) -> Action {
        Action::of_chunk(self.kind)
    }
}

/// Iterates over the chunks of a packet; ends after the first error.
#[derive(Clone, Copy, Debug)]
pub struct Chunks<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<RawChunk<'a>, ChunkError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let offset = self.offset;
        let parsed = (|| {
            let mut r = Reader::new(self.rest);
            let (kind, flags) = (r.u8()?, r.u8()?);
            let len = usize::from(r.u16()?);
            let value = r.take(len.checked_sub(CHUNK_HEADER_LEN)?)?;
            let raw = self.rest.get(..len)?;
            Some((RawChunk { kind, flags, value, raw, offset }, len))
        })();
        let Some((chunk, len)) = parsed else {
            cold_path();
            let kind = self.rest.first().copied().unwrap_or(0);
            self.rest = &[];
            return Some(Err(ChunkError { kind, offset, what: "chunk length does not fit" }));
        };
        self.rest = self.rest.get(padded(len)..).unwrap_or(&[]);
        self.offset = offset.saturating_add(padded(len));
        Some(Ok(chunk))
    }
}

/// Which chunks of a packet are to be authenticated, and how (RFC 4895 section 6.2).
#[derive(Clone, Copy, Debug)]
pub struct AuthPlan {
    /// The chunk types that the peer wants authenticated.
    pub types: ChunkTypes,
    /// The shared key, unless DATA asks for another.
    pub key: KeyId,
    /// The HMAC identifier.
    pub hmac: u16,
    /// Length of its codes in bytes.
    pub mac_len: usize,
}

/// An [`AuthPlan`] and what came of it.
#[derive(Clone, Copy, Debug)]
struct Guard {
    plan: AuthPlan,
    /// The key that DATA asked for.
    key: Option<KeyId>,
    /// Where the AUTH chunk stands, in bytes from the packet's beginning.
    at: Option<usize>,
}

impl Guard {
    fn key(&self) -> KeyId {
        self.key.unwrap_or(self.plan.key)
    }

    const fn len(&self) -> usize {
        padded(AUTH_HEADER_LEN + self.plan.mac_len)
    }
}

/// Builds one packet at the end of a buffer, never longer than `max` bytes.
#[derive(Debug)]
pub struct PacketWriter<'a> {
    buf: &'a mut Vec<u8>,
    start: usize,
    max: usize,
    guard: Option<Guard>,
    checksum: ChecksumMode,
    /// Whether a chunk is in it with which a packet must have its checksum (RFC 9653 section 5.2).
    checked: bool,
}

impl<'a> PacketWriter<'a> {
    /// Begins a packet of at most `max` bytes (common header included) behind what `buf` holds.
    pub fn new(buf: &'a mut Vec<u8>, header: CommonHeader, max: usize) -> Self {
        let start = buf.len();
        let mut bytes = [0; COMMON_HEADER_LEN];
        bytes[..2].copy_from_slice(&header.src_port.to_be_bytes());
        bytes[2..4].copy_from_slice(&header.dst_port.to_be_bytes());
        bytes[4..8].copy_from_slice(&header.vtag.0.to_be_bytes());
        buf.extend_from_slice(&bytes);
        Self { buf, start, max, guard: None, checksum: ChecksumMode::Crc32c, checked: false }
    }

    /// An AUTH chunk goes before the first chunk that must be authenticated; there is always room for it, until it is there. The packet
    /// is then to be finished by [`Self::finish_with`].
    pub fn authenticate(&mut self, plan: Option<AuthPlan>) {
        self.guard = plan.map(|plan| Guard { plan, key: None, at: None });
    }

    /// What the checksum is to be; CRC32c unless this says otherwise.
    pub const fn set_checksum(&mut self, mode: ChecksumMode) {
        self.checksum = mode;
    }

    /// Whether the checksum will be zero, with the chunks that there are.
    #[must_use]
    pub fn has_zero_checksum(&self) -> bool {
        self.checksum == ChecksumMode::Zero && !self.checked
    }

    /// Length so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buf.len() - self.start
    }

    /// Whether there is no chunk yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() <= COMMON_HEADER_LEN
    }

    /// Most bytes of the whole packet.
    #[must_use]
    pub const fn max(&self) -> usize {
        self.max
    }

    /// Bytes that are kept free for an AUTH chunk.
    #[must_use]
    pub fn reserved(&self) -> usize {
        self.guard.as_ref().filter(|g| g.at.is_none()).map_or(0, Guard::len)
    }

    /// How many bytes of chunks still fit.
    #[must_use]
    pub fn room(&self) -> usize {
        self.max.saturating_sub(self.len() + self.reserved())
    }

    /// Whether a chunk of `len` bytes (header included, padding not) fits.
    #[must_use]
    pub fn fits(&self, len: usize) -> bool {
        padded(len) <= self.room()
    }

    /// Bytes that the next chunk takes besides its own if it is of type `kind`: those of an AUTH chunk.
    #[must_use]
    pub fn reserved_for(&self, kind: u8) -> usize {
        self.guard.as_ref().filter(|g| g.at.is_none() && g.plan.types.has(kind)).map_or(0, Guard::len)
    }

    /// How many bytes of chunks of type `kind` still fit: those that need no authentication may take the place of the AUTH chunk.
    #[must_use]
    pub fn room_for(&self, kind: u8) -> usize {
        self.max.saturating_sub(self.len() + self.reserved_for(kind))
    }

    /// Whether a chunk of type `kind` and `len` bytes (header included, padding not) fits.
    #[must_use]
    pub fn fits_chunk(&self, kind: u8, len: usize) -> bool {
        padded(len) <= self.room_for(kind)
    }

    /// Whether a chunk of type `kind` may be added that is to be authenticated by `key`, or by the usual key: what is authenticated by
    /// different keys is not bundled (RFC 6458 section 5.3.8). It must be added next.
    pub fn takes_key(&mut self, kind: u8, key: Option<KeyId>) -> bool {
        let Some(g) = self.guard.as_mut().filter(|g| g.plan.types.has(kind)) else { return true };
        if g.at.is_none() {
            g.key = key;
        }
        g.key() == key.unwrap_or(g.plan.key)
    }

    /// Appends a chunk, whether it fits or not: callers ask [`Self::fits`] where it matters.
    pub fn push(&mut self, chunk: &impl Encode) {
        let at = self.buf.len();
        chunk.encode(&mut Writer::new(self.buf));
        let kind = self.buf.get(at).copied();
        self.checked |= matches!(kind, Some(kind::INIT | kind::COOKIE_ECHO | kind::ASCONF));
        if let Some(g) = self.guard.as_mut().filter(|g| g.at.is_none() && kind.is_some_and(|kind| g.plan.types.has(kind))) {
            cold_path();
            g.at = Some(at - self.start);
            let zeros = vec![0; g.plan.mac_len];
            let mut auth = Vec::with_capacity(g.len());
            Auth { key: g.key(), hmac: g.plan.hmac, mac: &zeros }.encode(&mut Writer::new(&mut auth));
            self.buf.splice(at..at, auth);
        }
    }

    /// Seals the packet with its checksum and answers its length.
    pub fn finish(self) -> usize {
        self.finish_with(|_, _| {})
    }

    /// The same after `sign` was called with the key and the bytes from the AUTH chunk to the end, if there is one.
    pub fn finish_with(self, sign: impl FnOnce(KeyId, &mut [u8])) -> usize {
        let len = self.buf.len() - self.start;
        let zero = self.has_zero_checksum();
        if let Some(packet) = self.buf.get_mut(self.start..) {
            if let Some(g) = self.guard
                && let Some(covered) = g.at.and_then(|at| packet.get_mut(at..))
            {
                cold_path();
                sign(g.key(), covered);
            }
            if !zero {
                checksum::seal(packet);
            }
        }
        len
    }

    /// Gives the packet up: the buffer is as before.
    pub fn discard(self) {
        self.buf.truncate(self.start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::chunk::ErrorChunk;

    const HEADER: CommonHeader = CommonHeader { src_port: 1, dst_port: 2, vtag: Vtag(3) };

    /// RFC 9653 rows: 5.2-5.
    #[test]
    fn a_zero_checksum_goes_with_no_chunk_that_must_have_one() {
        for (kind, zero) in
            [(kind::INIT, false), (kind::COOKIE_ECHO, false), (kind::ASCONF, false), (kind::INIT_ACK, true), (kind::DATA, true)]
        {
            let mut buf = Vec::new();
            let mut w = PacketWriter::new(&mut buf, HEADER, 1400);
            w.set_checksum(ChecksumMode::Zero);
            w.push(&ErrorChunk { causes: &[] });
            assert!(w.has_zero_checksum());
            let raw = [kind, 0, 0, 4];
            w.push(&Chunk::Unknown(RawChunk { kind, flags: 0, value: &[], raw: &raw, offset: 12 }));
            assert_eq!(w.has_zero_checksum(), zero, "type {kind}");
            w.finish();
            assert_eq!((checksum::is_zero(&buf), Packet::parse(&buf).is_ok()), (zero, !zero), "type {kind}");
            assert!(Packet::parse_unverified(&buf).is_ok());
        }
    }

    fn plan(types: &[u8]) -> Option<AuthPlan> {
        Some(AuthPlan { types: ChunkTypes::of(types), key: KeyId(5), hmac: 1, mac_len: 20 })
    }

    fn kinds(packet: &[u8]) -> Vec<u8> {
        Packet::parse(packet).unwrap().chunks().map(|c| c.unwrap().kind).collect()
    }

    #[test]
    fn an_auth_chunk_goes_before_the_first_chunk_that_needs_it() {
        let mut buf = vec![9];
        let mut w = PacketWriter::new(&mut buf, HEADER, 100);
        w.authenticate(plan(&[kind::ERROR, kind::SHUTDOWN_ACK]));
        assert_eq!((w.room(), w.reserved()), (100 - 12 - 28, 28));
        assert_eq!((w.room_for(kind::DATA), w.room_for(kind::ERROR)), (100 - 12, 100 - 12 - 28));
        assert!(w.fits_chunk(kind::DATA, 88) && !w.fits_chunk(kind::DATA, 89) && !w.fits_chunk(kind::ERROR, 61));
        w.push(&Chunk::CookieAck);
        w.push(&ErrorChunk { causes: &[1, 2, 3, 4, 5] });
        assert_eq!((w.room(), w.reserved(), w.len()), (100 - 12 - 4 - 28 - 12, 0, 56));
        w.push(&Chunk::ShutdownAck);
        let mut signed = (KeyId(0), 0);
        let len = w.finish_with(|key, covered| {
            signed = (key, covered.len());
            covered[8..28].fill(7);
        });
        assert_eq!((signed, len), ((KeyId(5), 28 + 12 + 4), 60));
        assert_eq!(kinds(&buf[1..]), [kind::COOKIE_ACK, kind::AUTH, kind::ERROR, kind::SHUTDOWN_ACK]);
    }

    #[test]
    fn a_packet_without_such_a_chunk_has_no_auth_chunk() {
        let mut buf = Vec::new();
        let mut w = PacketWriter::new(&mut buf, HEADER, 100);
        w.authenticate(plan(&[kind::DATA]));
        w.push(&Chunk::CookieAck);
        w.finish_with(|_, _| panic!("nothing to sign"));
        assert_eq!(kinds(&buf), [kind::COOKIE_ACK]);
    }

    #[test]
    fn chunks_of_different_keys_do_not_share_a_packet() {
        let mut buf = Vec::new();
        let mut w = PacketWriter::new(&mut buf, HEADER, 100);
        w.authenticate(plan(&[kind::ERROR]));
        assert!(w.takes_key(kind::DATA, Some(KeyId(9))), "DATA is not authenticated");
        assert!(w.takes_key(kind::ERROR, Some(KeyId(9))));
        w.push(&ErrorChunk { causes: &[] });
        assert!(w.takes_key(kind::ERROR, Some(KeyId(9))));
        assert!(!w.takes_key(kind::ERROR, None));
        assert!(!w.takes_key(kind::ERROR, Some(KeyId(5))));
        w.finish_with(|key, _| assert_eq!(key, KeyId(9)));
    }
}
