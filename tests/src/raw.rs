//! What chunks of the extensions say, read by the oracle itself: it shall not believe the codecs that it judges.

use std::collections::BTreeSet;

use sctp_user::wire::chunk::Init;
use sctp_user::wire::chunk::InitParams;
use sctp_user::wire::param::Params;
use sctp_user::wire::{Packet, RawChunk};

/// AUTH (RFC 4895 section 5.1).
pub(crate) const AUTH: u8 = 0x0f;
/// DATA (RFC 9260 section 3.3.1).
pub(crate) const DATA: u8 = 0;
/// I-DATA (RFC 8260 section 2.1).
pub(crate) const I_DATA: u8 = 0x40;
/// FORWARD TSN (RFC 3758 section 3.2).
pub(crate) const FORWARD_TSN: u8 = 0xc0;
/// I-FORWARD-TSN (RFC 8260 section 2.3.1).
pub(crate) const I_FORWARD_TSN: u8 = 0xc2;
/// What only who has listed it may be sent (RFC 5061 section 4.2.7): AUTH, I-DATA, ASCONF-ACK, RE-CONFIG, FORWARD TSN, ASCONF,
/// I-FORWARD-TSN.
const OF_EXTENSIONS: [u8; 7] = [AUTH, I_DATA, 0x80, 0x82, FORWARD_TSN, 0xc1, I_FORWARD_TSN];

/// The Forward-TSN-Supported parameter (RFC 3758 section 3.1), Supported Extensions (RFC 5061 section 4.2.7), RANDOM and CHUNKS (RFC
/// 4895 sections 3.1 and 3.2).
const FORWARD_TSN_SUPPORTED: u16 = 0xc000;
const SUPPORTED_EXTENSIONS: u16 = 0x8008;
const RANDOM: u16 = 0x8002;
const CHUNKS: u16 = 0x8003;

/// Whether a chunk type belongs to an extension that both sides must have.
pub(crate) fn of_extension(kind: u8) -> bool {
    OF_EXTENSIONS.contains(&kind)
}

/// A DATA or I-DATA chunk.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Fragment<'a> {
    pub(crate) tsn: u32,
    interleaved: bool,
    /// U, B and E bit.
    flags: u8,
    sid: u16,
    /// Stream sequence number, or message identifier; the former has no meaning if unordered.
    number: u32,
    /// Payload protocol identifier, or fragment sequence number.
    ppid: u32,
    pub(crate) payload: &'a [u8],
}

impl<'a> Fragment<'a> {
    /// Reads a chunk, if it is one.
    pub(crate) fn of(raw: &RawChunk<'a>) -> Option<Self> {
        let (word, unordered) = (|at: usize| raw.value.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes), raw.flags & 4 != 0);
        let half = |at: usize| raw.value.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes);
        let (tsn, sid, flags) = (word(0), half(4), raw.flags & 7);
        match raw.kind {
            DATA => {
                let number = if unordered { 0 } else { u32::from(half(6)?) };
                Some(Self { tsn: tsn?, interleaved: false, flags, sid: sid?, number, ppid: word(8)?, payload: raw.value.get(12..)? })
            }
            I_DATA => Some(Self {
                tsn: tsn?,
                interleaved: true,
                flags,
                sid: sid?,
                number: word(8)?,
                ppid: word(12)?,
                payload: raw.value.get(16..)?,
            }),
            _ => None,
        }
    }

    /// The fragments of a packet.
    pub(crate) fn all(packet: &Packet<'a>) -> Vec<Self> {
        packet.chunks().map_while(Result::ok).filter_map(|raw| Self::of(&raw)).collect()
    }
}

/// The New Cumulative TSN of a FORWARD TSN or I-FORWARD-TSN.
pub(crate) fn forward_point(raw: &RawChunk<'_>) -> Option<u32> {
    let is = matches!(raw.kind, FORWARD_TSN | I_FORWARD_TSN);
    is.then(|| raw.value.get(..4)?.try_into().ok().map(u32::from_be_bytes)).flatten()
}

/// What an INIT or INIT ACK says about extensions.
#[derive(Clone, Default, Debug)]
pub(crate) struct Terms {
    /// Chunk types of extensions that it may be sent.
    pub(crate) takes: BTreeSet<u8>,
    /// Chunk types that it takes behind an AUTH chunk only.
    pub(crate) wants_authenticated: BTreeSet<u8>,
}

impl Terms {
    /// Reads them.
    pub(crate) fn of(init: &Init<'_>) -> Self {
        let mut terms = Self::default();
        let InitParams::Wire(params) = init.params else { return terms };
        for tlv in Params::new(params).map_while(Result::ok).map(|(_, tlv)| tlv) {
            match tlv.kind {
                SUPPORTED_EXTENSIONS => terms.takes.extend(tlv.value),
                FORWARD_TSN_SUPPORTED => drop(terms.takes.insert(FORWARD_TSN)),
                RANDOM => drop(terms.takes.insert(AUTH)),
                CHUNKS => terms.wants_authenticated.extend(tlv.value),
                _ => {}
            }
        }
        terms
    }

    /// Adds what another one says.
    pub(crate) fn extend(&mut self, other: Self) {
        self.takes.extend(other.takes);
        self.wants_authenticated.extend(other.wants_authenticated);
    }
}
