//! The peer's side: doing what an ASCONF asks for, and answering (RFC 5061 section 5.2).

use std::net::IpAddr;

use bytes::Bytes;

use super::{Asconf, may_change};
use crate::assoc::core::{Context, Control, Core, Encoded};
use crate::assoc::path::{Path, source};
use crate::net::Meta;
use crate::num::Serial;
use crate::wire::Cause;
use crate::wire::chunk::{
    AddressRequest, Asconf as Chunk, AsconfAck, AsconfParam, AsconfResponse, AsconfResponses, Encode as _, Verbatim, kind,
};
use crate::wire::packet::COMMON_HEADER_LEN;
use crate::wire::tlv::{Action, Tlv};

/// Most answers that are kept: a peer that bundles ASCONFs may need them again.
pub(super) const MAX_ANSWERS: usize = 8;
/// Most requests of one ASCONF that are looked at; more do not fit a packet of ours either.
const MAX_REQUESTS: usize = 256;

/// Why a request is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Refusal {
    LastAddress,
    Shortage,
    SourceAddress,
    NotAuthorized,
    NoSuchAddress,
    Unrecognized,
}

impl Asconf {
    /// An ASCONF, which was authenticated if it had to be. `first` says that it is the first of its packet.
    pub(super) fn on_asconf(&mut self, core: &mut Core, ctx: &mut Context<'_>, meta: &Meta, asconf: &Chunk<'_>, first: bool) {
        if !may_change(core.state) {
            return;
        }
        core.counters.rare().in_asconfs += 1;
        if asconf.serial == self.done.next() {
            // Rules E1 and E1-ext: what came before in this packet may be asked for again.
            if first {
                self.answers.clear();
            }
            let answer = self.carry_out(core, ctx, meta, asconf);
            self.done = asconf.serial;
            if self.answers.len() >= MAX_ANSWERS {
                self.answers.pop_front();
            }
            self.answers.push_back((asconf.serial, answer));
        } else if asconf.serial.after(self.done) {
            // Rule E5: from nowhere.
            tracing::debug!(assoc = core.id.get(), serial = asconf.serial.0, "ASCONF out of order");
            return;
        }
        self.answer(core, meta, asconf.serial, first);
    }

    /// Sends the answer to ASCONF `serial` to where that came from, if it is still known (rules E2 and E6).
    fn answer(&self, core: &mut Core, meta: &Meta, serial: Serial, first: bool) {
        let Some(chunk) = self.answers.iter().find(|(s, _)| *s == serial).map(|(_, chunk)| chunk.clone()) else { return };
        let Some(path) = core.paths.find(meta.src) else {
            // It was added for nobody: the answer goes there all the same.
            core.counters.rare().out_asconf_acks += 1;
            core.say_aside(meta, &Verbatim(&chunk));
            return;
        };
        // An address that is not the peer's to know is no source.
        let own = core.local_addrs.contains(&meta.dst).then_some(meta.dst);
        let source = own.or_else(|| core.paths.get(path).and_then(|p| p.local));
        // Rule E7: all answers to one packet fit a packet.
        if !first {
            let same =
                |c: &&Control| matches!(c, Control::Encoded(c) if (c.kind, c.path, c.source) == (kind::ASCONF_ACK, Some(path), source));
            let before: usize = core.control.iter().filter(same).map(Control::bytes).sum();
            let room = core.paths.get(path).map_or(0, Path::max_packet).saturating_sub(COMMON_HEADER_LEN);
            if before + chunk.len() > room {
                return;
            }
        }
        core.counters.rare().out_asconf_acks += 1;
        core.push_control(Control::Encoded(Encoded { kind: kind::ASCONF_ACK, bytes: chunk, path: Some(path), source }));
    }

    /// Does what is asked for, in order (rules V1 to V3); the answer, encoded. Success is not mentioned.
    fn carry_out(&mut self, core: &mut Core, ctx: &mut Context<'_>, meta: &Meta, asconf: &Chunk<'_>) -> Bytes {
        let mut failures: Vec<(u32, Vec<u8>)> = Vec::new();
        // Rule F11: once an addition failed for want of room, later changes fail too.
        let mut full = false;
        for (param, tlv) in asconf.params.iter().flatten().take(MAX_REQUESTS) {
            let (correlation, outcome) = match param {
                AsconfParam::Request { request, correlation, .. } if full && request != AddressRequest::SetPrimary => {
                    (correlation, Err(Refusal::Shortage))
                }
                AsconfParam::Request { request, correlation, addr } => {
                    let outcome = self.change(core, ctx, meta, request, addr.to_canonical());
                    (correlation, outcome)
                }
                AsconfParam::Unknown(tlv) if Action::of_param(tlv.kind).reports() => (opaque(tlv), Err(Refusal::Unrecognized)),
                AsconfParam::Unknown(_) => (0, Ok(())),
            };
            if let Err(refusal) = outcome {
                full |= refusal == Refusal::Shortage;
                failures.push((correlation, refusal.causes(tlv)));
            }
            if matches!(param, AsconfParam::Unknown(tlv) if !Action::of_param(tlv.kind).continues()) {
                break;
            }
        }
        let responses: Vec<_> =
            failures.iter().map(|(correlation, causes)| AsconfResponse::Error { correlation: *correlation, causes }).collect();
        AsconfAck { serial: asconf.serial, responses: AsconfResponses::List(&responses) }.to_vec().into()
    }

    fn change(
        &mut self,
        core: &mut Core,
        ctx: &mut Context<'_>,
        meta: &Meta,
        request: AddressRequest,
        addr: IpAddr,
    ) -> Result<(), Refusal> {
        // Sections 4.2.1 to 4.2.4: a wildcard is the source of the packet, or everything but it.
        let wildcard = addr.is_unspecified();
        match request {
            AddressRequest::Add => add(core, ctx, meta, if wildcard { meta.src } else { addr }),
            AddressRequest::Delete if wildcard => delete_others(core, ctx, meta),
            AddressRequest::Delete => delete(core, ctx, meta, addr),
            AddressRequest::SetPrimary => {
                let addr = if wildcard { meta.src } else { addr };
                if core.paths.find(addr).is_none() {
                    return Err(Refusal::NoSuchAddress);
                }
                // Advice that is followed as soon as the address is confirmed (section 5.4).
                self.work.get_or_insert_default().wish = Some(addr);
                self.settle_wish(core);
                Ok(())
            }
        }
    }
}

fn add(core: &mut Core, ctx: &mut Context<'_>, meta: &Meta, addr: IpAddr) -> Result<(), Refusal> {
    let known = core.paths.get(core.paths.primary()).map_or(meta.src, |p| p.addr);
    if !meta.channel.has_addresses() || !(source::believed(addr, known, &core.local_addrs) || addr == meta.src) {
        return Err(Refusal::NotAuthorized);
    }
    core.add_path(ctx.now, addr, meta.channel).map_err(|_| Refusal::Shortage)
}

fn delete(core: &mut Core, ctx: &mut Context<'_>, meta: &Meta, addr: IpAddr) -> Result<(), Refusal> {
    if core.paths.find(addr).is_none() {
        // What is not there is gone already.
        return Ok(());
    }
    // Rules F7 and F8.
    if core.paths.len() == 1 {
        return Err(Refusal::LastAddress);
    }
    if addr == meta.src {
        return Err(Refusal::SourceAddress);
    }
    core.remove_path(ctx.now, addr);
    Ok(())
}

fn delete_others(core: &mut Core, ctx: &mut Context<'_>, meta: &Meta) -> Result<(), Refusal> {
    if core.paths.find(meta.src).is_none() {
        return Err(Refusal::LastAddress);
    }
    let others: Vec<_> = core.peer_ips().filter(|a| *a != meta.src).collect();
    for addr in others {
        core.remove_path(ctx.now, addr);
    }
    Ok(())
}

impl Refusal {
    /// The error causes for a request (sections 4.3.1 to 4.3.5).
    fn causes(self, tlv: Tlv<'_>) -> Vec<u8> {
        let raw = tlv.raw;
        match self {
            Self::LastAddress => Cause::DeleteLastAddress(raw),
            Self::Shortage => Cause::ResourceShortage(raw),
            Self::SourceAddress => Cause::DeleteSourceAddress(raw),
            Self::NotAuthorized => Cause::NotAuthorized(raw),
            Self::NoSuchAddress => Cause::UnresolvableAddress(raw.get(8..).unwrap_or(raw)),
            Self::Unrecognized => Cause::UnrecognizedParams(raw),
        }
        .to_vec()
    }
}

/// What an unknown request is known by: its first four bytes, where the known ones have it.
fn opaque(tlv: Tlv<'_>) -> u32 {
    tlv.value.first_chunk::<4>().map_or(0, |b| u32::from_be_bytes(*b))
}
