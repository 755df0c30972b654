//! What the parameters of an INIT or INIT ACK say (RFC 9260 sections 3.2.1, 3.3.2 and 3.3.3), the same for both sides.

use core::time::Duration;
use std::net::IpAddr;

use super::cookie::MAX_ADDRS;
use super::ext::{Capabilities, Terms, TermsReader};
use crate::wire::Encode as _;
use crate::wire::cause::Cause;
use crate::wire::chunk::Init;
use crate::wire::cursor::padded;
use crate::wire::param::{self, Param};
use crate::wire::tlv::{Action, Tlv};

/// The most bytes by which unrecognized parameters are reported back, with what wraps each of them: an answer must stay within one packet.
const MAX_REPORT: usize = 512;
/// Room in bytes for the parameters of an INIT, or of an INIT ACK without the cookie, that lists a few addresses.
pub(crate) const INIT_PARAMS: usize = 160;
/// The header of an Unrecognized Parameter.
const WRAP: usize = 4;
/// The least window in bytes that an INIT or INIT ACK may advertise.
pub(crate) const MIN_WINDOW: u32 = 1500;

/// The peer's parameters, judged.
#[derive(Debug, Default)]
pub(crate) struct Offer<'a> {
    /// Addresses that the peer listed, at most [`MAX_ADDRS`].
    pub(crate) addrs: Vec<IpAddr>,
    /// The address types that the peer says it supports, as a list of 16-bit numbers; without one it supports all.
    supported: Option<&'a [u8]>,
    /// The State Cookie of an INIT ACK.
    pub(crate) cookie: Option<&'a [u8]>,
    /// The longer life that an INIT wishes for its cookie.
    pub(crate) preservative: Duration,
    /// What the peer says about extensions.
    pub(crate) terms: Terms,
    /// Parameters to report as not recognized, each with header, padded between each other.
    unrecognized: Vec<u8>,
    /// How many these are.
    reports: usize,
    /// Whether there is a Forward-TSN-Supported parameter.
    forward_tsn: bool,
}

/// An INIT or INIT ACK is refused: the error causes for the ABORT.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) Vec<u8>);

/// Why a window below [`MIN_WINDOW`] is refused.
pub(crate) const fn small_window() -> Cause<'static> {
    Cause::ProtocolViolation(b"a_rwnd below 1500")
}

/// Judges the fixed fields of an INIT or INIT ACK and its parameters.
pub(crate) fn evaluate<'a>(init: &Init<'a>) -> Result<Offer<'a>, Refusal> {
    if init.outbound == 0 || init.inbound == 0 {
        return Err(Refusal(Cause::InvalidMandatoryParam.to_vec()));
    }
    if init.a_rwnd < MIN_WINDOW {
        return Err(Refusal(small_window().to_vec()));
    }
    let mut offer = Offer::default();
    let mut terms = TermsReader::default();
    for item in init.params() {
        let Ok((param, tlv)) = item else {
            return Err(Refusal(Cause::ProtocolViolation(b"malformed parameter").to_vec()));
        };
        offer.forward_tsn |= param == Param::ForwardTsnSupported;
        match param {
            Param::Address(a) => offer.add(a),
            Param::StateCookie(c) => offer.cookie = offer.cookie.or(Some(c)),
            Param::CookiePreservative(ms) => offer.preservative = Duration::from_millis(ms.into()),
            Param::HostName(_) => {
                let name = tlv.raw.get(..MAX_REPORT).unwrap_or(tlv.raw);
                return Err(Refusal(Cause::UnresolvableAddress(name).to_vec()));
            }
            Param::SupportedAddressTypes(list) => offer.supported = offer.supported.or(Some(list)),
            Param::Unrecognized(_) | Param::HeartbeatInfo(_) => {}
            // Where they are not wanted, they are as if they were unknown: to be skipped in silence.
            Param::EcnCapable
            | Param::ZeroChecksum(_)
            | Param::Random(_)
            | Param::Chunks(_)
            | Param::HmacAlgo(_)
            | Param::SupportedExtensions(_)
            | Param::ForwardTsnSupported
            | Param::Adaptation(_)
            | Param::SetPrimary { .. } => {
                terms.read(&param).map_err(|what| Refusal(Cause::ProtocolViolation(what.as_bytes()).to_vec()))?;
            }
            // What has its place in an ASCONF alone is ignored here (RFC 5061 section 4.2).
            Param::Unknown(Tlv {
                kind: param::kind::ADD_IP | param::kind::DELETE_IP | param::kind::ERROR_CAUSE | param::kind::SUCCESS,
                ..
            }) => {}
            Param::Unknown(_) => {
                let action = Action::of_param(tlv.kind);
                if action.reports() {
                    offer.report(tlv.raw);
                }
                if !action.continues() {
                    break;
                }
            }
        }
    }
    offer.terms = terms.terms();
    Ok(offer)
}

impl Offer<'_> {
    fn add(&mut self, a: IpAddr) {
        let a = a.to_canonical();
        let usable = !a.is_unspecified() && !a.is_multicast() && !matches!(a, IpAddr::V4(v4) if v4.is_broadcast());
        // More addresses than we keep are as if they were not listed.
        if usable && self.addrs.len() < MAX_ADDRS && !self.addrs.contains(&a) {
            self.addrs.push(a);
        }
    }

    /// Whether the peer, heard from `source`, can use an address such as `a`: its family is listed as supported, or used, or
    /// listed with an address (section 5.1.2). Other types in the list, such as host names, mean nothing.
    pub(crate) fn takes(&self, a: IpAddr, source: IpAddr) -> bool {
        let kind = if a.is_ipv4() { param::kind::IPV4 } else { param::kind::IPV6 };
        let named = self.supported.is_none_or(|list| list.chunks_exact(2).any(|t| t == kind.to_be_bytes()));
        named || core::iter::once(&source).chain(&self.addrs).any(|used| used.is_ipv4() == a.is_ipv4())
    }

    /// The parameters to report as not recognized by who has these extensions: the others that want to be reported are as unknown as any
    /// (RFC 3758 section 3.3.2).
    pub(crate) fn unrecognized(&mut self, ours: Capabilities) -> &[u8] {
        if core::mem::take(&mut self.forward_tsn) && !ours.partial_reliability {
            self.report(&Param::ForwardTsnSupported.to_vec());
        }
        &self.unrecognized
    }

    fn report(&mut self, raw: &[u8]) {
        if self.unrecognized.len() + padded(raw.len()) + (self.reports + 1) * WRAP <= MAX_REPORT {
            self.reports += 1;
            self.unrecognized.extend_from_slice(raw);
            let len = padded(self.unrecognized.len());
            self.unrecognized.resize(len, 0);
        }
    }
}
