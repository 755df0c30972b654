//! Whose packet it is that came.

use core::hint::cold_path;
use std::net::IpAddr;

use bytes::Bytes;

use super::responder::key_of;
use super::{Stack, exchange_if_unallocated, keys_of};
use crate::assoc::state::State;
use crate::assoc::{Admission, Association, Context};
use crate::event::AssocId;
use crate::net::{Meta, Train};
use crate::node::Node as _;
use crate::num::Vtag;
use crate::time::Time;
use crate::wire::chunk::{Data, Sack, kind};
use crate::wire::{Chunk, Packet, PacketError, checksum};

/// Where packets came from.
pub(super) struct Source<'a> {
    /// With addresses in their usual form.
    meta: &'a Meta,
    /// Whether they may concern us at all.
    for_us: bool,
}

/// Events that an association may have while it is not touched.
const MAX_NEWS: usize = 4;

impl Stack {
    /// One packet. `packet` is kept alive by the messages that it carries.
    pub fn handle_datagram(&mut self, now: Time, meta: &Meta, packet: Bytes) {
        self.handle_batch(now, meta, Train::single(packet));
    }

    /// What is the same for all packets of a train. `meta` has its addresses in their usual form.
    pub(super) fn judge<'a>(&self, meta: &'a Meta) -> Source<'a> {
        // Section 8.4 rule 1, by both ends: whoever was meant, it was not us alone.
        let for_us = is_unicast(meta.src) && (is_unicast(meta.dst) || meta.dst.is_unspecified()) && !self.is_misplaced(meta);
        Source { meta, for_us }
    }

    /// A packet, but [`Self::touch`] is left to the caller for the association that is answered: packets that come one after the other
    /// with nothing but DATA and SACKs for it need that once.
    pub(super) fn take_in(&mut self, now: Time, &Source { meta, for_us }: &Source<'_>, packet: Bytes) -> Option<AssocId> {
        self.counters.packets_in += 1;
        self.counters.bytes_in += packet.len() as u64;
        let mut zero = false;
        if checksum::is_zero(&packet) {
            cold_path();
            zero = self.takes_zero_checksum(meta, &packet);
        }
        let parsed = match if zero { Packet::parse_unverified(&packet) } else { Packet::parse(&packet) } {
            Ok(parsed) if for_us => parsed,
            Ok(_) => {
                cold_path();
                return None;
            }
            Err(e) => {
                cold_path();
                self.counters.checksum_errors += u64::from(e == PacketError::Checksum);
                self.counters.bad_packets += 1;
                return None;
            }
        };
        self.route(now, meta, &packet, &parsed)
    }

    /// Whether a packet whose checksum is zero belongs to an association that has said that it takes them (RFC 9653 section 5.3).
    /// Nothing else is taken without a checksum, and none that begins an association.
    fn takes_zero_checksum(&mut self, meta: &Meta, packet: &[u8]) -> bool {
        if self.cfg.private(meta.channel).is_none_or(|p| p.error_detection.is_none()) {
            return false;
        }
        let Ok(parsed) = Packet::parse_unverified(packet) else { return false };
        let begins = |kind| matches!(kind, kind::INIT | kind::COOKIE_ECHO);
        let offered = |a: &&mut Association| a.core.local_terms.zero_checksum().is_some() && a.core.state != State::Closed;
        let found = self.lookup.get(&key_of(meta, parsed.header)).and_then(|id| self.assocs.get_mut(id)).filter(offered);
        let takes = !parsed.chunks().map_while(Result::ok).any(|c| begins(c.kind));
        match found {
            Some(a) if takes => {
                a.core.counters.rare().in_zero_checksums += 1;
                true
            }
            _ => false,
        }
    }

    /// Finds whose packet it is, by its first chunk and its addresses.
    fn route(&mut self, now: Time, meta: &Meta, bytes: &Bytes, packet: &Packet<'_>) -> Option<AssocId> {
        let mut chunks = packet.chunks();
        let Some(Ok(mut first)) = chunks.next() else { return None };
        // RFC 4895 section 6.3: whose packet it is, the chunks behind an AUTH chunk tell.
        let auth = (first.kind == kind::AUTH).then_some(first);
        if auth.is_some() {
            match chunks.next() {
                Some(Ok(second)) => first = second,
                Some(Err(_)) => return None,
                None => {}
            }
        }
        let mut found = self.lookup.of_packet(&key_of(meta, packet.header));
        // Most begin with one of these, which belong to an association, or to none; there is nothing to be told from what they hold.
        let plain = match first.kind {
            kind::DATA => Data::decode(&first).is_some(),
            kind::SACK => Sack::decode(&first).is_some(),
            _ => false,
        };
        match if plain { Ok(None) } else { first.decode().map(Some) } {
            // Section 6.10: an INIT that is not alone is discarded with its packet.
            Ok(Some(Chunk::Init(init))) => {
                if auth.is_none() && chunks.next().is_none() {
                    self.on_init(now, meta, packet, &init);
                }
                return None;
            }
            Ok(Some(Chunk::CookieEcho(echo))) => {
                self.on_cookie_echo(now, meta, bytes, packet, (auth, echo.cookie));
                return None;
            }
            // Section 8.5.1 A: tag 0 is for INIT alone.
            Ok(_) if packet.header.vtag == Vtag::ZERO => {
                self.counters.bad_tags += 1;
                return None;
            }
            Ok(Some(Chunk::InitAck(ack))) if found.is_none() => found = self.init_ack_from_elsewhere(now, meta, packet.header, &ack),
            Ok(_) => {}
            Err(_) => return None,
        }
        if found.is_none() && Self::may_name_association(&first) {
            found = self.by_asconf(meta, packet);
        }
        // The owner of an address that the peer only listed knows nothing of the association, and says so (section 8.4).
        let stranger = first.kind == kind::ABORT && first.flags & 1 != 0 && found.is_some_and(|id| !self.owns(id, meta.src));
        let holder = found.and_then(|id| self.assocs.get_mut(id).map(|a| (id, a)));
        let admission = holder.as_ref().map(|(_, a)| match a.core.state {
            State::Closed => Admission::OutOfTheBlue,
            _ if stranger => Admission::Discard,
            _ if !a.is_local(now, meta.dst) => Admission::OutOfTheBlue,
            _ => a.core.admit(packet.header, &first),
        });
        match (holder, admission) {
            (Some((id, a)), Some(Admission::Accept)) => {
                let opening = (a.core.state == State::CookieWait).then(|| keys_of(&a.core).collect::<Vec<_>>());
                if !plain {
                    exchange_if_unallocated(&mut a.core.control, &mut self.spare_control);
                }
                a.on_packet(&mut Context { now, entropy: &mut *self.entropy }, meta, bytes, packet);
                // What else may have been behind such a chunk: an end, or news, which are bounded one by one.
                let quiet = plain && a.core.state != State::Closed && a.core.events.len() <= MAX_NEWS;
                if let Some(before) = opening {
                    cold_path();
                    // An INIT ACK may have listed further addresses, or not listed what the user gave.
                    for key in before.iter().filter(|before| !keys_of(&a.core).any(|key| key == **before)) {
                        self.lookup.remove(key, id);
                    }
                    self.enter_addresses(id);
                }
                if quiet {
                    return Some(id);
                }
                cold_path();
                self.touch(id);
            }
            (Some(_), Some(Admission::Discard)) => self.counters.bad_tags += 1,
            _ => {
                cold_path();
                self.counters.out_of_blues += 1;
                self.out_of_the_blue(now, meta, packet);
            }
        }
        None
    }
}

/// Whether an answer could go there (RFC 9260 section 8.4 rule 1).
fn is_unicast(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !ip.is_multicast() && !ip.is_unspecified() && !broadcast
}
