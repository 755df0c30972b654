//! What the two sides say about extensions in INIT and INIT ACK.

use std::net::IpAddr;

use arrayvec::ArrayVec;

use super::zero_checksum::ZeroChecksum;
use super::{Ecn, KeyParams, KeyVector, idata};
use crate::assoc::cookie::{decode_addr, encode_addr};
use crate::config::{AssocConfig, StackConfig};
use crate::entropy::Entropy;
use crate::net::Channel;
use crate::wire::Encode as _;
use crate::wire::chunk::kind;
use crate::wire::cursor::{Reader, Writer};
use crate::wire::param::Param;

/// Most chunk types that we list in the Supported Extensions parameter.
const MAX_LISTED: usize = 8;

/// Extensions by name: what we want and can, what the peer said, or what both agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Capabilities {
    /// Explicit congestion notification (RFC 4960 Appendix A).
    pub ecn: bool,
    /// Authentication (RFC 4895).
    pub auth: bool,
    /// Dynamic address reconfiguration (RFC 5061).
    pub asconf: bool,
    /// Partial reliability (RFC 3758).
    pub partial_reliability: bool,
    /// Stream reconfiguration (RFC 6525).
    pub reconfig: bool,
    /// User message interleaving (RFC 8260).
    pub interleaving: bool,
    /// The I-FORWARD-TSN chunk: partial reliability together with interleaving (RFC 8260 section 2.3.1).
    pub i_forward_tsn: bool,
}

impl Capabilities {
    /// What both have.
    #[must_use]
    pub const fn both(self, other: Self) -> Self {
        Self {
            ecn: self.ecn && other.ecn,
            auth: self.auth && other.auth,
            asconf: self.asconf && other.asconf,
            partial_reliability: self.partial_reliability && other.partial_reliability,
            reconfig: self.reconfig && other.reconfig,
            interleaving: self.interleaving && other.interleaving,
            i_forward_tsn: self.i_forward_tsn && other.i_forward_tsn,
        }
    }

    /// Of what both have, what can be used together: partial reliability with interleaving only if both have the chunk for it.
    pub(crate) const fn usable(self) -> Self {
        let partial_reliability = self.partial_reliability && (!self.interleaving || self.i_forward_tsn);
        Self { partial_reliability, ..self }
    }

    /// The chunk types of extensions, for the Supported Extensions parameter (RFC 5061 section 4.2.7).
    fn chunk_types(self) -> ArrayVec<u8, MAX_LISTED> {
        let types = [
            (self.auth, kind::AUTH),
            (self.asconf, kind::ASCONF),
            (self.asconf, kind::ASCONF_ACK),
            (self.partial_reliability, kind::FORWARD_TSN),
            (self.reconfig, kind::RE_CONFIG),
            (self.interleaving, kind::I_DATA),
            (self.i_forward_tsn, kind::I_FORWARD_TSN),
        ];
        types.into_iter().filter(|(has, _)| *has).map(|(_, kind)| kind).collect()
    }

    /// A bit for each, in the order of the fields, the first one lowest.
    fn bits(self) -> u16 {
        let Self { ecn, auth, asconf, partial_reliability, reconfig, interleaving, i_forward_tsn } = self;
        let all = [ecn, auth, asconf, partial_reliability, reconfig, interleaving, i_forward_tsn];
        all.into_iter().rev().fold(0, |bits, has| bits << 1 | u16::from(has))
    }

    /// The reverse of [`Self::bits`].
    const fn of_bits(bits: u16) -> Self {
        Self {
            ecn: bits & 1 != 0,
            auth: bits & 1 << 1 != 0,
            asconf: bits & 1 << 2 != 0,
            partial_reliability: bits & 1 << 3 != 0,
            reconfig: bits & 1 << 4 != 0,
            interleaving: bits & 1 << 5 != 0,
            i_forward_tsn: bits & 1 << 6 != 0,
        }
    }
}

/// What one side says about extensions in its INIT or INIT ACK. Both sides' travel in the cookie.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Terms {
    /// Extensions that it has.
    pub capabilities: Capabilities,
    /// What few say; `None` if nothing of it is said.
    rare: Option<Box<Rare>>,
    /// What it says about authentication.
    pub(crate) auth: KeyVector,
}

/// What few sides say: most associations shall not carry room for it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Rare {
    adaptation: Option<u32>,
    zero_checksum: Option<u32>,
    primary: Option<IpAddr>,
}

impl Terms {
    /// Terms with these capabilities.
    #[must_use]
    pub fn with(capabilities: Capabilities) -> Self {
        Self { capabilities, rare: None, auth: KeyVector::default() }
    }

    /// Adaptation layer indication.
    #[must_use]
    pub fn adaptation(&self) -> Option<u32> {
        self.rare.as_ref()?.adaptation
    }

    /// The error detection method by which it takes checksums of zero (RFC 9653).
    #[must_use]
    pub fn zero_checksum(&self) -> Option<u32> {
        self.rare.as_ref()?.zero_checksum
    }

    /// The address that it would like to be the primary path; the peer's only.
    #[must_use]
    pub fn primary(&self) -> Option<IpAddr> {
        self.rare.as_ref()?.primary
    }

    /// What an association with this configuration says, as far as the transport can: `channel` is the only one that it uses, if that
    /// is settled. Randomness is drawn only if an extension needs it.
    pub(crate) fn own(cfg: &AssocConfig, stack: &StackConfig, channel: Option<Channel>, entropy: &mut dyn Entropy) -> Self {
        let terms = Self::with(Capabilities {
            ecn: Ecn::offer(cfg, stack),
            auth: cfg.auth,
            // RFC 5061 section 4.2.7: not without authentication.
            asconf: cfg.add_ip && (cfg.auth || cfg.add_ip_without_auth),
            partial_reliability: cfg.partial_reliability,
            reconfig: cfg.stream_reset,
            interleaving: idata::offer(cfg),
            i_forward_tsn: cfg.partial_reliability && idata::offer(cfg),
        });
        let auth = if cfg.auth { KeyVector::own(&cfg.required_chunks(), &cfg.auth_hmacs, entropy) } else { KeyVector::default() };
        let rare = Rare { adaptation: cfg.adaptation, zero_checksum: ZeroChecksum::offer(cfg, stack, channel), primary: None };
        Self { auth, rare: rare.boxed(), ..terms }
    }

    /// What we say in an INIT ACK to a peer that said `peer`: nothing that it does not have, but for what we want authenticated.
    pub(crate) fn in_answer_to(self, peer: &Self, cfg: &AssocConfig) -> Self {
        // That ASCONF is to be authenticated need not be said to a peer from which none is taken.
        let idle = !peer.capabilities.auth && cfg.auth_chunks.is_empty();
        let auth = if idle { KeyVector::default() } else { self.auth };
        let mut both = self.capabilities.both(peer.capabilities);
        // Who asks for authenticated changes of addresses gets none from a peer that cannot (rulings section 1 row 16).
        both.asconf &= both.auth || cfg.add_ip_without_auth;
        // Either direction of zero checksums is a matter of its own.
        Self { auth, rare: self.rare, ..Self::with(both) }
    }

    /// What of a peer's terms is kept by who said `ours`.
    pub(crate) fn known_to(self, ours: &Self) -> Self {
        if ours.auth.is_empty() { Self { auth: KeyVector::default(), ..self } } else { self }
    }

    /// Writes the parameters for an INIT or INIT ACK that say so.
    pub(crate) fn write_params(&self, w: &mut Writer<'_>) {
        if self.capabilities.ecn {
            Param::EcnCapable.encode(w);
        }
        if let Some(method) = self.zero_checksum() {
            Param::ZeroChecksum(method).encode(w);
        }
        if self.capabilities.partial_reliability {
            Param::ForwardTsnSupported.encode(w);
        }
        if let Some(n) = self.adaptation() {
            Param::Adaptation(n).encode(w);
        }
        if let Some(addr) = self.primary() {
            Param::SetPrimary { correlation: 0, addr }.encode(w);
        }
        let listed = self.capabilities.chunk_types();
        if !listed.is_empty() {
            Param::SupportedExtensions(&listed).encode(w);
        }
        self.auth.write_params(w);
    }

    /// Appends it to a cookie: shorter than as parameters, for each 64 bytes of a cookie are hashed twice.
    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        let (adaptation, zero_checksum, primary) = (self.adaptation(), self.zero_checksum(), self.primary());
        let said = |is_some: bool, bit: u16| if is_some { bit } else { 0 };
        w.u16(
            self.capabilities.bits()
                | said(adaptation.is_some(), ADAPTATION)
                | said(zero_checksum.is_some(), ZERO_CHECKSUM)
                | said(primary.is_some(), PRIMARY),
        );
        for n in adaptation.iter().chain(&zero_checksum) {
            w.u32(*n);
        }
        if let Some(addr) = primary {
            encode_addr(w, addr);
        }
        self.auth.encode(w);
    }

    /// The reverse of [`Self::encode`].
    pub(crate) fn decode(r: &mut Reader<'_>) -> Option<Self> {
        let bits = r.u16()?;
        let rare = Rare {
            adaptation: if bits & ADAPTATION != 0 { Some(r.u32()?) } else { None },
            zero_checksum: if bits & ZERO_CHECKSUM != 0 { Some(r.u32()?) } else { None },
            primary: if bits & PRIMARY != 0 { Some(decode_addr(r)?) } else { None },
        };
        let auth = KeyVector::decode(r)?;
        let capabilities = Capabilities { auth: auth.is_usable(), ..Capabilities::of_bits(bits) };
        Some(Self { capabilities, rare: rare.boxed(), auth })
    }
}

/// Which of what few say is in a cookie: bits beside those of the capabilities.
const ADAPTATION: u16 = 1 << 8;
const ZERO_CHECKSUM: u16 = 1 << 9;
const PRIMARY: u16 = 1 << 10;

impl Rare {
    fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

/// A peer's terms, while the parameters of its INIT or INIT ACK are read.
#[derive(Default, Debug)]
pub(crate) struct TermsReader<'a> {
    capabilities: Capabilities,
    rare: Rare,
    auth: KeyParams<'a>,
}

impl<'a> TermsReader<'a> {
    /// Takes in a parameter; those of other matters are left alone.
    ///
    /// # Errors
    /// The peer breaks the protocol: the association is to be aborted.
    pub(crate) fn read(&mut self, param: &Param<'a>) -> Result<(), &'static str> {
        self.auth.read(param)?;
        let c = &mut self.capabilities;
        match param {
            Param::EcnCapable => c.ecn = true,
            Param::ZeroChecksum(method) => {
                self.rare.zero_checksum.get_or_insert(*method);
            }
            Param::ForwardTsnSupported => c.partial_reliability = true,
            Param::Adaptation(n) => self.rare.adaptation = Some(*n),
            Param::SetPrimary { addr, .. } => {
                self.rare.primary.get_or_insert(*addr);
            }
            Param::SupportedExtensions(types) => {
                let has = |kind: u8| types.contains(&kind);
                c.asconf |= has(kind::ASCONF) && has(kind::ASCONF_ACK);
                c.partial_reliability |= has(kind::FORWARD_TSN);
                c.reconfig |= has(kind::RE_CONFIG);
                c.interleaving |= has(kind::I_DATA);
                c.i_forward_tsn |= has(kind::I_FORWARD_TSN);
            }
            _ => {}
        }
        Ok(())
    }

    /// What all of them said.
    pub(crate) fn terms(self) -> Terms {
        let auth = self.auth.vector();
        // Whether it is listed among the extensions matters not: without these parameters there are no keys.
        let capabilities = Capabilities { auth: auth.is_usable(), ..self.capabilities };
        Terms { capabilities, rare: self.rare.boxed(), auth }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::HmacId;
    use crate::entropy::SeededEntropy;
    use crate::wire::chunk::ChunkTypes;

    proptest! {
        #[test]
        fn a_cookie_brings_back_what_was_said(bits: [bool; 7]) {
            let [ecn, auth, asconf, partial_reliability, reconfig, interleaving, i_forward_tsn] = bits;
            let mut terms = Terms::with(Capabilities { ecn, auth, asconf, partial_reliability, reconfig, interleaving, i_forward_tsn });
            if auth {
                terms.auth = KeyVector::own(&ChunkTypes::of(&[0, 6]), &[HmacId::Sha1], &mut SeededEntropy::new(1));
            }
            let mut bytes = Vec::new();
            terms.encode(&mut Writer::new(&mut bytes));
            prop_assert_eq!(Terms::decode(&mut Reader::new(&bytes)), Some(terms));
        }
    }
}
