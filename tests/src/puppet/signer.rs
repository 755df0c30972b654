//! Authentication in the hands of the puppet (RFC 4895), made without the stack's own code.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sctp_user::wire::Param;
use sha1::Sha1;
use sha2::Sha256;

use super::{SeenInit, Sent, encode_params};

/// Type of the AUTH chunk.
const AUTH: u8 = 15;

/// What the puppet needs to authenticate what it sends, and to check what the stack sends.
#[derive(Clone, Debug)]
pub struct Signer {
    /// The endpoint pair shared key.
    pub key: Vec<u8>,
    /// Its number.
    pub id: u16,
    /// The HMAC identifier: 1 or 3.
    pub hmac: u16,
    puppet: Vec<u8>,
    stack: Vec<u8>,
}

impl Signer {
    /// The puppet's parameters for its INIT or INIT ACK, with a Random Number of these bytes.
    #[must_use]
    pub fn params(random: u8, chunks: &[u8], hmacs: &[u16]) -> Vec<u8> {
        let hmacs: Vec<u8> = hmacs.iter().flat_map(|h| h.to_be_bytes()).collect();
        let random = [random; 32];
        let mut list = vec![Param::Random(&random), Param::HmacAlgo(&hmacs)];
        if !chunks.is_empty() {
            list.push(Param::Chunks(chunks));
        }
        encode_params(&list)
    }

    /// After the puppet has sent `params` in its INIT or INIT ACK, and heard `stack`: the null key and SHA-1.
    #[must_use]
    pub fn new(params: &[u8], stack: &SeenInit) -> Self {
        let own = sctp_user::wire::tlv::TlvIter::new(params).map_while(Result::ok).map(|t| (t.kind, t.value.to_vec()));
        let puppet = vector(&own.collect::<Vec<_>>());
        Self { key: Vec::new(), id: 0, hmac: 1, puppet, stack: vector(&stack.params) }
    }

    /// With a shared key and its number.
    #[must_use]
    pub fn with_key(self, id: u16, key: &[u8]) -> Self {
        Self { id, key: key.to_vec(), ..self }
    }

    /// With another algorithm.
    #[must_use]
    pub fn with_hmac(self, hmac: u16) -> Self {
        Self { hmac, ..self }
    }

    /// The chunks behind an AUTH chunk.
    ///
    /// # Panics
    /// If the algorithm is none.
    #[must_use]
    pub fn seal(&self, chunks: &[u8]) -> Vec<u8> {
        self.seal_flagged(0, chunks)
    }

    /// The same with flags in the AUTH chunk.
    ///
    /// # Panics
    /// If the algorithm is none.
    #[must_use]
    pub fn seal_flagged(&self, flags: u8, chunks: &[u8]) -> Vec<u8> {
        let mut all = self.head(flags);
        let code = self.code(&[all.as_slice(), &vec![0; self.mac_len()], chunks].concat());
        all.extend(code);
        all.extend(chunks);
        all
    }

    fn head(&self, flags: u8) -> Vec<u8> {
        let len = u8::try_from(8 + self.mac_len()).unwrap_or(0);
        let [a, b] = self.id.to_be_bytes();
        let [c, d] = self.hmac.to_be_bytes();
        vec![AUTH, flags, 0, len, a, b, c, d]
    }

    const fn mac_len(&self) -> usize {
        if self.hmac == 3 { 32 } else { 20 }
    }

    fn code(&self, covered: &[u8]) -> Vec<u8> {
        // Both vectors begin with the same type: as numbers, the longer one is the larger.
        let (a, b) = (&self.puppet, &self.stack);
        let (small, large) = if (a.len(), a) <= (b.len(), b) { (a, b) } else { (b, a) };
        let key = [self.key.as_slice(), small, large].concat();
        if self.hmac == 3 {
            Hmac::<Sha256>::new_from_slice(&key).map(|m| m.chain_update(covered).finalize().into_bytes().to_vec())
        } else {
            Hmac::<Sha1>::new_from_slice(&key).map(|m| m.chain_update(covered).finalize().into_bytes().to_vec())
        }
        .unwrap_or_else(|e| panic!("{e}"))
    }

    /// How many chunks of a packet of the stack stand behind an AUTH chunk that is right by this key; `None` if there is no such chunk
    /// or it is wrong.
    #[must_use]
    pub fn covers(&self, sent: &Sent) -> Option<usize> {
        let at = sent.chunks.iter().position(|c| c.kind == AUTH)?;
        let offset: usize = 12 + sent.chunks.iter().take(at).map(|c| c.raw.len().next_multiple_of(4)).sum::<usize>();
        let covered = sent.bytes.get(offset..)?;
        let tail = covered.get(8 + self.mac_len()..)?;
        let right = self.seal(tail) == covered && sent.chunks.iter().filter(|c| c.kind == AUTH).count() == 1;
        right.then_some(sent.chunks.len() - at - 1)
    }
}

/// RANDOM, CHUNKS and HMAC-ALGO with their headers and without padding.
fn vector(params: &[super::Item]) -> Vec<u8> {
    let mut out = Vec::new();
    for kind in [0x8002, 0x8003, 0x8004_u16] {
        if let Some((_, value)) = params.iter().find(|(k, _)| *k == kind) {
            out.extend(kind.to_be_bytes());
            out.extend(u16::try_from(value.len() + 4).unwrap_or(0).to_be_bytes());
            out.extend(value);
        }
    }
    out
}
