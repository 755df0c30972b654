//! What one side says about authentication in its INIT or INIT ACK (RFC 4895 section 3).

use core::fmt;

use arrayvec::ArrayVec;

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
        let listed: ArrayVec<u8, MAX_CHUNKS> = chunks.iter().collect();
        let numbers: ArrayVec<u8, { 2 * MAX_HMACS }> = hmacs.iter().take(MAX_HMACS).flat_map(|h| h.number().to_be_bytes()).collect();
        // An empty list may be omitted (section 6.1).
        let chunks = Some(&*listed).filter(|list| !list.is_empty());
        KeyParams { random: Some(&random), chunks, hmac_algo: Some(&numbers) }.vector()
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

    /// Writes the parameters for an INIT or INIT ACK.
    pub(crate) fn write_params(&self, w: &mut Writer<'_>) {
        for (kind, value) in self.items() {
            w.tlv(kind, |w| w.bytes(value));
        }
    }

    /// Appends it to a cookie.
    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        w.u16(u16::try_from(self.bytes().len()).unwrap_or(0));
        w.bytes(self.bytes());
    }

    /// The reverse of [`Self::encode`].
    pub(crate) fn decode(r: &mut Reader<'_>) -> Option<Self> {
        let len = r.u16()?;
        let bytes = r.take(usize::from(len))?;
        let mut params = KeyParams::default();
        for (kind, value) in items(bytes) {
            params.take(kind, value).ok()?;
        }
        Some(params.vector()).filter(|v| v.bytes() == bytes)
    }
}

/// The parameters of a key vector, as they come in an INIT or INIT ACK in any order.
#[derive(Default, Debug)]
pub(crate) struct KeyParams<'a> {
    random: Option<&'a [u8]>,
    chunks: Option<&'a [u8]>,
    hmac_algo: Option<&'a [u8]>,
}

impl<'a> KeyParams<'a> {
    /// Takes in a parameter of the peer; of two of a type the first counts, and those of other matters are left alone.
    ///
    /// # Errors
    /// The peer breaks the protocol: the association is to be aborted.
    pub(crate) fn read(&mut self, param: &Param<'a>) -> Result<(), &'static str> {
        match param {
            Param::Random(v) => self.take(kind::RANDOM, v),
            Param::Chunks(v) => self.take(kind::CHUNKS, v),
            Param::HmacAlgo(v) => self.take(kind::HMAC_ALGO, v),
            _ => Ok(()),
        }
    }

    fn take(&mut self, kind: u16, value: &'a [u8]) -> Result<(), &'static str> {
        let field = match kind {
            kind::RANDOM if value.len() != RANDOM_LEN => return Err("RANDOM has not 32 bytes"),
            kind::RANDOM => &mut self.random,
            kind::CHUNKS if value.len() > MAX_CHUNKS => return Err("CHUNKS is too long"),
            kind::CHUNKS => &mut self.chunks,
            kind::HMAC_ALGO if !value.len().is_multiple_of(2) || value.len() > 2 * MAX_HMACS => return Err("HMAC-ALGO is malformed"),
            kind::HMAC_ALGO => &mut self.hmac_algo,
            _ => return Err("no parameter of a key vector"),
        };
        field.get_or_insert(value);
        Ok(())
    }

    /// The key vector that they are, in one allocation of the right size.
    pub(crate) fn vector(&self) -> KeyVector {
        let all = [(kind::RANDOM, self.random), (kind::CHUNKS, self.chunks), (kind::HMAC_ALGO, self.hmac_algo)];
        let all = || all.iter().filter_map(|(kind, value)| Some((*kind, (*value)?)));
        let len: usize = all().map(|(_, value)| 4 + value.len()).sum();
        if len == 0 {
            return KeyVector::default();
        }
        let mut bytes = Vec::with_capacity(len + 1);
        let mut w = Writer::new(&mut bytes);
        for (kind, value) in all() {
            w.u16(kind);
            w.u16(u16::try_from(4 + value.len()).unwrap_or(u16::MAX));
            w.bytes(value);
        }
        let list = self.chunks.unwrap_or(&[]);
        w.u8((0..).zip(USUAL).filter(|(_, kind)| list.contains(kind)).fold(0, |bits, (at, _)| bits | 1 << at));
        KeyVector(bytes.into_boxed_slice())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;
    use crate::wire::chunk::kind as chunk;
    use crate::wire::param::Params;

    const RANDOM: [u8; 32] = [7; 32];

    /// RFC 4895 rows: 6.1-9.
    #[test]
    fn parameters_are_put_in_order_without_padding() {
        let hmacs = [0, 3, 0, 1];
        let list =
            [Param::HmacAlgo(&hmacs), Param::Chunks(&[0, 6, 10]), Param::Random(&RANDOM), Param::Random(&[8; 32]), Param::EcnCapable];
        let mut params = KeyParams::default();
        assert!(!params.vector().is_usable() && params.vector().is_empty());
        list.iter().for_each(|p| assert!(params.read(p).is_ok()));
        let v = params.vector();
        let expected = [&[0x80, 2, 0, 36], RANDOM.as_slice(), &[0x80, 3, 0, 7, 0, 6, 10], &[0x80, 4, 0, 8], &hmacs].concat();
        assert_eq!(v.bytes(), expected);
        assert!(v.is_usable() && v.lists(HmacId::Sha1) && v.hmac() == Some(HmacId::Sha256));
        let mut bytes = Vec::new();
        v.write_params(&mut Writer::new(&mut bytes));
        let params: Vec<_> = Params::new(&bytes).map(|p| p.unwrap().0).collect();
        assert_eq!(params, [Param::Random(&RANDOM), Param::Chunks(&[0, 6, 10]), Param::HmacAlgo(&hmacs)]);
        let mut bytes = Vec::new();
        v.encode(&mut Writer::new(&mut bytes));
        assert_eq!(KeyVector::decode(&mut Reader::new(&bytes)), Some(v));
    }

    /// Vulnerability class 7: lengths that a peer chose, and a RANDOM without bytes.
    #[test]
    fn what_is_malformed_is_refused() {
        let bad = |p: Param<'_>| KeyParams::default().read(&p).unwrap_err();
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
            let mut params = KeyParams::default();
            list.iter().for_each(|p| params.read(p).unwrap());
            assert!(!params.vector().is_empty() && !params.vector().is_usable(), "{list:?}");
        }
    }

    /// RFC 4895 rows: 3.2-7.
    #[test]
    fn types_that_must_not_be_listed_are_ignored() {
        let mut params = KeyParams::default();
        params.read(&Param::Chunks(&[chunk::INIT, chunk::INIT_ACK, chunk::SHUTDOWN_COMPLETE, chunk::AUTH, chunk::ABORT])).unwrap();
        let v = params.vector();
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
