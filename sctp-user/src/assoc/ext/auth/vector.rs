//! What one side says about authentication in its INIT or INIT ACK (RFC 4895 section 3).

use core::fmt;

use crate::config::{HmacId, may_be_authenticated};
use crate::entropy::Entropy;
use crate::wire::chunk::{ChunkTypes, kind as chunk};
use crate::wire::cursor::{Reader, Writer};
use crate::wire::param::{Param, kind};

/// Length of a Random Number in bytes (RFC 4895 section 6.1).
const RANDOM_LEN: usize = 32;
/// Most chunk types in CHUNKS (section 3.2): its length is at most 260.
const MAX_CHUNKS: usize = 256;
/// Most HMAC identifiers of a peer that are kept; there are four.
const MAX_HMACS: usize = 32;

/// The key vector of one side (RFC 4895 section 6.1): the parameters RANDOM, CHUNKS and HMAC-ALGO in this order, as they stand in INIT or
/// INIT ACK, but without padding. Empty if there are none. At most 364 bytes.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct KeyVector(
    /// With one more byte behind them, if there are any: which of [`USUAL`] are in CHUNKS.
    Box<[u8]>,
);

/// The types of nearly all chunks of a peer, about each of which it is asked. The first is bit 0.
const USUAL: [u8; 2] = [chunk::DATA, chunk::SACK];

impl KeyVector {
    /// Our own, with a fresh Random Number: these chunks are to be authenticated, by one of these algorithms.
    pub(crate) fn own(chunks: &ChunkTypes, hmacs: &[HmacId], entropy: &mut dyn Entropy) -> Self {
        let mut random = [0; RANDOM_LEN];
        entropy.fill_secret(&mut random);
        let mut all = Vec::with_capacity(64);
        push(&mut all, kind::RANDOM, random);
        // An empty list may be omitted (section 6.1).
        if !chunks.is_empty() {
            push(&mut all, kind::CHUNKS, chunks.iter());
        }
        push(&mut all, kind::HMAC_ALGO, hmacs.iter().flat_map(|h| h.number().to_be_bytes()));
        Self::of(all)
    }

    /// Takes in a parameter of the peer, and answers whether it told anything; of two of a type the first counts.
    ///
    /// # Errors
    /// The peer breaks the protocol: the association is to be aborted.
    pub(crate) fn read(&mut self, param: &Param<'_>) -> Result<bool, &'static str> {
        let (kind, value) = match param {
            Param::Random(v) if v.len() != RANDOM_LEN => return Err("RANDOM has not 32 bytes"),
            Param::Random(v) => (kind::RANDOM, v),
            Param::Chunks(v) if v.len() > MAX_CHUNKS => return Err("CHUNKS is too long"),
            Param::Chunks(v) => (kind::CHUNKS, v),
            Param::HmacAlgo(v) if v.len() % 2 != 0 || v.len() > 2 * MAX_HMACS => return Err("HMAC-ALGO is malformed"),
            Param::HmacAlgo(v) => (kind::HMAC_ALGO, v),
            _ => return Ok(false),
        };
        if self.get(kind).is_some() {
            return Ok(false);
        }
        let mut all = Vec::with_capacity(self.bytes().len() + 4 + value.len() + 1);
        let later = self.items().take_while(|(k, _)| *k < kind).fold(0, |at, (_, v)| at + 4 + v.len());
        let (before, behind) = self.bytes().split_at_checked(later).unwrap_or((self.bytes(), &[]));
        all.extend_from_slice(before);
        push(&mut all, kind, value.iter().copied());
        all.extend_from_slice(behind);
        *self = Self::of(all);
        Ok(true)
    }

    fn of(mut parameters: Vec<u8>) -> Self {
        let list = items(&parameters).find(|(k, _)| *k == kind::CHUNKS).map_or(&[][..], |(_, v)| v);
        let usual = (0..).zip(USUAL).filter(|(_, kind)| list.contains(kind)).fold(0, |bits, (at, _)| bits | 1 << at);
        parameters.push(usual);
        Self(parameters.into_boxed_slice())
    }

    fn items(&self) -> impl Iterator<Item = (u16, &[u8])> {
        items(self.bytes())
    }

    fn get(&self, kind: u16) -> Option<&[u8]> {
        self.items().find(|(k, _)| *k == kind).map(|(_, v)| v)
    }

    /// The bytes that go into the association shared key.
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.split_last().map_or(&[], |(_, parameters)| parameters)
    }

    /// Whether nothing was said.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether chunks can be authenticated with this side: it gave a Random Number, and an algorithm that we have.
    pub(crate) fn is_usable(&self) -> bool {
        self.get(kind::RANDOM).is_some() && self.hmac().is_some()
    }

    fn hmacs(&self) -> impl Iterator<Item = u16> {
        self.get(kind::HMAC_ALGO).unwrap_or(&[]).chunks_exact(2).map(|n| n.iter().fold(0, |n, byte| n << 8 | u16::from(*byte)))
    }

    /// The first listed algorithm that we have (section 6.1).
    pub(crate) fn hmac(&self) -> Option<HmacId> {
        self.hmacs().find_map(HmacId::from_number)
    }

    /// Whether this side takes codes of an algorithm.
    pub(super) fn lists(&self, hmac: HmacId) -> bool {
        self.hmacs().any(|n| n == hmac.number())
    }

    /// Whether this side takes a chunk of this type only if it is authenticated. Types that must not be listed count as not listed
    /// (section 3.2).
    pub(crate) fn requires(&self, chunk: u8) -> bool {
        let listed = match USUAL.iter().position(|usual| *usual == chunk) {
            Some(at) => self.0.last().is_some_and(|bits| bits & 1 << at != 0),
            None => self.get(kind::CHUNKS).is_some_and(|list| list.contains(&chunk)),
        };
        listed && may_be_authenticated(chunk)
    }

    /// All chunk types that this side takes only if they are authenticated.
    pub(crate) fn required(&self) -> ChunkTypes {
        let list = self.get(kind::CHUNKS).unwrap_or(&[]);
        list.iter().filter(|kind| may_be_authenticated(**kind)).fold(ChunkTypes::default(), |set, kind| set.with(*kind))
    }

    /// Adds the parameters for an INIT or INIT ACK.
    pub(crate) fn push_params<'a>(&'a self, params: &mut Vec<Param<'a>>) {
        params.extend(self.items().filter_map(|(kind, value)| match kind {
            kind::RANDOM => Some(Param::Random(value)),
            kind::CHUNKS => Some(Param::Chunks(value)),
            kind::HMAC_ALGO => Some(Param::HmacAlgo(value)),
            _ => None,
        }));
    }
}

impl fmt::Debug for KeyVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyVector")
            .field("chunks", &self.required())
            .field("hmacs", &self.hmacs().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Parameters without padding.
fn items(parameters: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut r = Reader::new(parameters);
    core::iter::from_fn(move || {
        let (kind, len) = (r.u16()?, r.u16()?);
        Some((kind, r.take(usize::from(len).checked_sub(4)?)?))
    })
}

/// Appends a parameter without padding; what is read and what we say is shorter than 64 KiB.
fn push(all: &mut Vec<u8>, kind: u16, value: impl IntoIterator<Item = u8>) {
    let at = all.len();
    let mut w = Writer::new(all);
    w.u16(kind);
    w.u16(0);
    all.extend(value);
    let len = u16::try_from(all.len() - at).unwrap_or(u16::MAX);
    if let Some(field) = all.get_mut(at + 2..at + 4) {
        field.copy_from_slice(&len.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;
    use crate::wire::chunk::kind as chunk;

    const RANDOM: [u8; 32] = [7; 32];

    /// RFC 4895 rows: 6.1-9.
    #[test]
    fn parameters_are_put_in_order_without_padding() {
        let hmacs = [0, 3, 0, 1];
        let list =
            [Param::HmacAlgo(&hmacs), Param::Chunks(&[0, 6, 10]), Param::Random(&RANDOM), Param::Random(&[8; 32]), Param::EcnCapable];
        let mut v = KeyVector::default();
        assert!(!v.is_usable() && v.is_empty());
        list.iter().for_each(|p| assert!(v.read(p).is_ok()));
        let expected = [&[0x80, 2, 0, 36], RANDOM.as_slice(), &[0x80, 3, 0, 7, 0, 6, 10], &[0x80, 4, 0, 8], &hmacs].concat();
        assert_eq!(v.bytes(), expected);
        assert!(v.is_usable() && v.lists(HmacId::Sha1) && v.hmac() == Some(HmacId::Sha256));
        let mut params = Vec::new();
        v.push_params(&mut params);
        assert_eq!(params, [Param::Random(&RANDOM), Param::Chunks(&[0, 6, 10]), Param::HmacAlgo(&hmacs)]);
    }

    /// Vulnerability class 7: lengths that a peer chose, and a RANDOM without bytes.
    #[test]
    fn what_is_malformed_is_refused() {
        let bad = |p: Param<'_>| KeyVector::default().read(&p).unwrap_err();
        for len in [0, 1, 31, 33, 65_000] {
            assert_eq!(bad(Param::Random(&vec![1; len])), "RANDOM has not 32 bytes");
        }
        assert_eq!(bad(Param::Chunks(&[1; 257])), "CHUNKS is too long");
        assert_eq!(bad(Param::HmacAlgo(&[0, 1, 0])), "HMAC-ALGO is malformed");
        assert_eq!(bad(Param::HmacAlgo(&[0; 66])), "HMAC-ALGO is malformed");
    }

    /// Vulnerability class 7 (CVE-2026-23125 and its like): without RANDOM or a known algorithm there is no authentication at all.
    #[test]
    fn an_incomplete_offer_is_no_offer() {
        for list in
            [&[Param::Random(&RANDOM)][..], &[Param::HmacAlgo(&[0, 1])], &[Param::Random(&RANDOM), Param::HmacAlgo(&[0, 2, 0xff, 0xff])]]
        {
            let mut v = KeyVector::default();
            list.iter().for_each(|p| assert!(v.read(p).unwrap()));
            assert!(!v.is_usable(), "{list:?}");
        }
    }

    /// RFC 4895 rows: 3.2-7.
    #[test]
    fn types_that_must_not_be_listed_are_ignored() {
        let mut v = KeyVector::default();
        v.read(&Param::Chunks(&[chunk::INIT, chunk::INIT_ACK, chunk::SHUTDOWN_COMPLETE, chunk::AUTH, chunk::ABORT])).unwrap();
        assert_eq!(v.required(), ChunkTypes::of(&[chunk::ABORT]));
        assert!(v.requires(chunk::ABORT) && !v.requires(chunk::INIT) && !v.requires(chunk::AUTH) && !v.requires(chunk::DATA));
    }

    /// RFC 4895 rows: 6.1-2, 6.1-5.
    #[test]
    fn our_own_has_32_random_bytes_and_sha_1() {
        let mut entropy = SeededEntropy::new(3);
        let own = KeyVector::own(&ChunkTypes::of(&[0]), &[HmacId::Sha256, HmacId::Sha1], &mut entropy);
        assert_eq!((own.get(kind::RANDOM).unwrap().len(), own.get(kind::CHUNKS)), (32, Some(&[0][..])));
        assert_eq!(own.hmacs().collect::<Vec<_>>(), [3, 1]);
        let other = KeyVector::own(&ChunkTypes::default(), &[HmacId::Sha1], &mut entropy);
        assert_ne!(own.get(kind::RANDOM), other.get(kind::RANDOM));
        assert_eq!(other.get(kind::CHUNKS), None);
    }
}
