//! The side that keeps no state: INIT and COOKIE ECHO (RFC 9260 sections 5.1 to 5.2).

use bytes::Bytes;
use std::net::IpAddr;
use std::sync::Arc;

use super::lookup::Key;
use super::{Reply, Stack, keys_of};
use crate::assoc::cookie::{CookieError, CookieJar, MAX_ADDRS, StateCookie};
use crate::assoc::fresh_tag;
use crate::assoc::offer::{self, INIT_PARAMS, Offer, Refusal};
use crate::assoc::path::source;
use crate::assoc::state::State;
use crate::assoc::{Association, Context, Control, Core, Extensions, Gate, Rejection, Terms, Verdict, verify_auth};
use crate::config::AssocConfig;
use crate::event::AssocId;
use crate::net::{Channel, Meta, Transmit, scope_of};
use crate::num::{Tsn, Vtag};
use crate::time::Time;
use crate::wire::chunk::{Abort, ErrorChunk, INIT_LEN, Init, InitParams, kind};
use crate::wire::cursor::Writer;
use crate::wire::packet::COMMON_HEADER_LEN;
use crate::wire::{Cause, Chunk, CommonHeader, Encode as _, Packet, Param, RawChunk};

/// An INIT and where it came from.
struct Incoming<'a> {
    now: Time,
    meta: &'a Meta,
    header: CommonHeader,
    init: &'a Init<'a>,
}

/// A genuine cookie that came back, and the packet that brought it.
struct Echo<'a> {
    meta: &'a Meta,
    header: CommonHeader,
    bytes: &'a Bytes,
    cookie: &'a StateCookie,
    /// The association with the address that it came from.
    source: Option<AssocId>,
}

/// What an INIT ACK is made of, besides the INIT.
struct Proposal {
    local_tag: Vtag,
    local_tsn: Tsn,
    local_tie_tag: Vtag,
    peer_tie_tag: Vtag,
}

impl Stack {
    /// An INIT, alone in its packet.
    pub(super) fn on_init(&mut self, now: Time, meta: &Meta, packet: &Packet<'_>, init: &Init<'_>) {
        let header = packet.header;
        self.counters.inits += 1;
        // Sections 8.5.1 A and 3.3.2: discarded silently.
        if header.vtag != Vtag::ZERO || init.tag == Vtag::ZERO {
            return;
        }
        let existing = self.concerned(meta, header, init);
        let listening = self.ports.by_port(header.dst_port).is_some_and(|(_, e)| e.listening && e.has(meta.dst));
        if existing.is_none() && !listening {
            if self.cfg.blackhole || self.is_foreign(meta, header.dst_port) {
                return;
            }
            self.answer(now, meta, header, init.tag, &Abort { t: false, causes: &[] });
            return;
        }
        let mut offer = match offer::evaluate(init) {
            Ok(offer) => offer,
            Err(Refusal(causes)) => {
                self.answer(now, meta, header, init.tag, &Abort { t: false, causes: &causes });
                return;
            }
        };
        let incoming = Incoming { now, meta, header, init };
        let proposal = match existing {
            None => Proposal {
                local_tag: fresh_tag(&mut *self.entropy),
                local_tsn: Tsn(self.entropy.u32()),
                local_tie_tag: Vtag::ZERO,
                peer_tie_tag: Vtag::ZERO,
            },
            Some(id) => {
                let Some(p) = self.propose_again(&incoming, id, &offer) else { return };
                p
            }
        };
        if self.init_ack_limit.allow(now, meta.src) {
            self.send_init_ack(&incoming, existing, &mut offer, &proposal);
        } else {
            self.counters.limited_answers += 1;
        }
    }

    /// An INIT for an association that exists (sections 5.2.1 and 5.2.2). Nothing of it changes.
    fn propose_again(&mut self, incoming: &Incoming<'_>, id: AssocId, offer: &Offer<'_>) -> Option<Proposal> {
        let Incoming { now, meta, header, init } = *incoming;
        // What is not believed, or too many, was no address of the association in the first place.
        let listed = self.peer_addresses(meta, meta.src, offer);
        let core = &mut self.assocs.get_mut(id)?.core;
        if core.state == State::ShutdownAckSent {
            // Section 9.2: the peer missed our SHUTDOWN ACK.
            core.push_control(Control::ShutdownAck);
            self.touch(id);
            return None;
        }
        // An address that the peer has only listed may be somebody else's: whoever sends from there takes nothing over.
        if core.paths.find(meta.src).and_then(|p| core.paths.get(p)).is_some_and(|p| !p.confirmed) {
            return None;
        }
        if core.state != State::CookieWait {
            let new: Vec<_> = listed.iter().filter(|a| core.paths.find(**a).is_none()).collect();
            if !new.is_empty() {
                let mut list = Vec::new();
                for a in new {
                    Param::Address(*a).encode(&mut Writer::new(&mut list));
                }
                let causes = Cause::RestartNewAddresses(&list).to_vec();
                self.answer(now, meta, header, init.tag, &Abort { t: false, causes: &causes });
                return None;
            }
        }
        let (local_tag, local_tsn) = (core.local_tag, core.local_tsn);
        if core.state == State::CookieWait {
            // Section 5.2.2: no Tie-Tags yet.
            return Some(Proposal { local_tag, local_tsn, local_tie_tag: Vtag::ZERO, peer_tie_tag: Vtag::ZERO });
        }
        let opening = core.state == State::CookieEchoed;
        let entropy = &mut *self.entropy;
        let (local_tie_tag, peer_tie_tag) = *core.tie_tags.get_or_insert_with(|| (fresh_tag(entropy), fresh_tag(entropy)));
        let (local_tag, local_tsn) = if opening { (local_tag, local_tsn) } else { (fresh_tag(entropy), Tsn(entropy.u32())) };
        Some(Proposal { local_tag, local_tsn, local_tie_tag, peer_tie_tag })
    }

    fn send_init_ack(&mut self, incoming: &Incoming<'_>, existing: Option<AssocId>, offer: &mut Offer<'_>, p: &Proposal) {
        let Incoming { now, meta, header, init } = *incoming;
        // Section 5.2.1: an association that exists says the same as in its own INIT.
        let own = existing.and_then(|id| self.assocs.get(id)).map(|a| Arc::clone(&a.core.cfg));
        let Some(cfg) = own.or_else(|| self.ports.by_port(header.dst_port).map(|(_, e)| Arc::clone(&e.assoc))) else { return };
        let Some((ep, _)) = self.ports.by_port(header.dst_port) else { return };
        if let Some(e) = self.ports.get_mut(ep) {
            e.told |= cfg.auth;
        }
        let cfg = self.fit(cfg, meta.channel);
        let mut own = source::listed(&cfg, &self.usable_addresses(ep, &cfg, meta.src, meta.channel), meta.src);
        own.retain(|a| offer.takes(*a, meta.src));
        let to = existing.and_then(|id| self.collision_answer(id, meta, offer)).unwrap_or(*meta);
        // The answer goes to the first one, and the cookie that comes back shows that it arrived there.
        let peer_addrs = self.peer_addresses(meta, to.src, offer);
        let local_terms = self.terms(existing, &cfg, to.channel).in_answer_to(&offer.terms, &cfg);
        let peer_terms = core::mem::take(&mut offer.terms).known_to(&local_terms);
        let cookie = StateCookie {
            created: now,
            life: CookieJar::granted_life(cfg.cookie_life, offer.preservative),
            local_port: header.dst_port,
            peer_port: header.src_port,
            local_addr: meta.dst,
            local_tag: p.local_tag,
            peer_tag: init.tag,
            local_tie_tag: p.local_tie_tag,
            peer_tie_tag: p.peer_tie_tag,
            local_tsn: p.local_tsn,
            peer_tsn: init.tsn,
            peer_rwnd: init.a_rwnd,
            outbound: cfg.outbound_streams.min(init.inbound),
            inbound: cfg.max_inbound_streams.min(init.outbound),
            local_terms,
            peer_terms,
            channel: to.channel,
            peer_addrs,
        };
        let sealed = self.cookies.seal(now, &mut *self.entropy, &cookie);
        let unrecognized = offer.unrecognized(cookie.local_terms.capabilities);
        let mut params = Vec::with_capacity(INIT_PARAMS + sealed.len());
        let mut w = Writer::new(&mut params);
        for t in crate::wire::tlv::TlvIter::new(unrecognized).map_while(Result::ok) {
            Param::Unrecognized(t.raw).encode(&mut w);
        }
        own.into_iter().for_each(|a| Param::Address(a).encode(&mut w));
        cookie.local_terms.write_params(&mut w);
        Param::StateCookie(&sealed).encode(&mut w);
        w.trim_padding();
        let ack = Chunk::InitAck(Init {
            tag: p.local_tag,
            a_rwnd: u32::try_from(cfg.recv_buffer).unwrap_or(u32::MAX),
            // Section 3.3.3: never more than the INIT's sender takes.
            outbound: cfg.outbound_streams.min(init.inbound),
            inbound: cfg.max_inbound_streams,
            tsn: p.local_tsn,
            params: InitParams::Wire(&params),
        });
        self.reply(&to, (header, init.tag), COMMON_HEADER_LEN + INIT_LEN + params.len(), &ack);
    }

    /// What we say about extensions in an INIT ACK: while an association is being opened the same as in its own INIT (section 5.2.1).
    fn terms(&mut self, existing: Option<AssocId>, cfg: &AssocConfig, channel: Channel) -> Terms {
        let opening = existing.and_then(|id| self.assocs.get(id)).filter(|a| a.core.state.is_opening());
        match opening {
            Some(a) => a.core.local_terms.clone(),
            None => Terms::own(cfg, &self.cfg, Some(channel), &mut *self.entropy),
        }
    }

    /// The addresses of who sent an INIT: `first`, its source, and what it lists and can be believed, as many as are kept.
    fn peer_addresses(&self, meta: &Meta, first: IpAddr, offer: &Offer<'_>) -> Vec<IpAddr> {
        let mut list = Vec::with_capacity(1);
        let believed = offer.addrs.iter().filter(|a| meta.channel.has_addresses() && self.is_believed(**a, meta.src));
        for a in [first, meta.src].iter().chain(believed) {
            if list.len() < MAX_ADDRS && !list.contains(a) {
                list.push(*a);
            }
        }
        list
    }

    /// The association that an INIT concerns (section 5.1.2 D): its source or an address that it lists leads there.
    fn concerned(&self, meta: &Meta, header: CommonHeader, init: &Init<'_>) -> Option<AssocId> {
        let listed = init.params().map_while(Result::ok).filter_map(|(p, _)| match p {
            Param::Address(a) => Some(a.to_canonical()),
            _ => None,
        });
        core::iter::once(meta.src).chain(listed.take(MAX_ADDRS)).find_map(|peer| {
            // An address that a peer has only listed makes nobody else's INIT a restart of its association.
            let id = self.lookup.get(&key_of(&Meta { src: peer, ..*meta }, header))?;
            (self.owns(id, peer) && self.assocs.get(id).is_some_and(|a| a.core.is_local(meta.dst))).then_some(id)
        })
    }

    /// Where the INIT ACK of a collision goes if the INIT came from an address that our user did not give: to one that
    /// the user gave and the INIT lists (section 5.2.1 rules 1 and 2).
    fn collision_answer(&self, id: AssocId, meta: &Meta, offer: &Offer<'_>) -> Option<Meta> {
        let core = &self.assocs.get(id)?.core;
        if core.state != State::CookieWait || core.paths.find(meta.src).is_some() {
            return None;
        }
        let path = offer.addrs.iter().find_map(|a| core.paths.get(core.paths.find(*a)?))?;
        let dst = source::for_attempt(&core.local_addrs, path.local, path.addr, 0).unwrap_or(meta.dst);
        Some(Meta { src: path.addr, dst, channel: path.channel, ..*meta })
    }

    /// An INIT ACK from an address that nobody knows, for an association that one of its addresses leads to
    /// (section 5.1.2 D). The tag shows that the sender has seen our INIT; its address becomes one of the peer's.
    pub(super) fn init_ack_from_elsewhere(&mut self, now: Time, meta: &Meta, header: CommonHeader, ack: &Init<'_>) -> Option<AssocId> {
        let id = self.concerned(meta, header, ack)?;
        let core = &mut self.assocs.get_mut(id)?.core;
        if core.state != State::CookieWait || header.vtag != core.local_tag {
            return None;
        }
        core.add_peer_addrs(now, &[meta.src], meta.channel);
        self.enter_addresses(id);
        Some(id)
    }

    /// A COOKIE ECHO as the first chunk of a packet.
    pub(super) fn on_cookie_echo(
        &mut self,
        now: Time,
        meta: &Meta,
        bytes: &Bytes,
        packet: &Packet<'_>,
        (auth, echo): (Option<RawChunk<'_>>, &[u8]),
    ) {
        let header = packet.header;
        self.counters.cookies += 1;
        let source = self.lookup.get(&key_of(meta, header));
        let matches = |c: &StateCookie| {
            c.local_port == header.dst_port
                && c.peer_port == header.src_port
                && c.local_tag == header.vtag
                && (c.local_addr == meta.dst || self.is_own(header.dst_port, meta))
                && c.peer_addrs.contains(&meta.src)
        };
        let (mut cookie, stale) = match self.cookies.open(now, echo) {
            Ok(c) if matches(&c) => (c, None),
            Err((CookieError::Stale(by), Some(c))) if matches(&c) => (*c, Some(by)),
            _ => {
                self.counters.bad_cookies += 1;
                return;
            }
        };
        let Some(gate) = self.authenticate_cookie(now, &Echo { meta, header, bytes, cookie: &cookie, source }, auth) else {
            self.counters.unauthenticated_cookies += 1;
            return;
        };
        // Section 5.2.4: a duplicate of the association's own cookie never counts as stale.
        let own = source.and_then(|id| self.assocs.get(id)).is_some_and(|a| a.core.judge(&cookie) == Verdict::Duplicate);
        if let Some(by) = stale.filter(|_| !own) {
            let causes = Cause::StaleCookie(u32::try_from(by.as_micros()).unwrap_or(u32::MAX)).to_vec();
            self.counters.bad_cookies += 1;
            self.answer(now, meta, header, cookie.peer_tag, &ErrorChunk { causes: &causes });
            return;
        }
        let existing = match source {
            Some(id) => self.unless_only_listed(id, meta, header, &cookie),
            None => self.elsewhere(header, meta, &cookie),
        };
        let id = match existing {
            Some(id) => {
                let Some(a) = self.assocs.get(id) else { return };
                let (before, tag) = (keys_of(&a.core).collect::<Vec<_>>(), Self::tag_key(a));
                let duplicate = a.core.judge(&cookie) == Verdict::Duplicate;
                let go_on = self.with_assoc(now, id, |a, ctx| a.on_cookie(ctx, &cookie)).unwrap_or(false);
                if let Some((a, link)) = self.assocs.get_mut(id).zip(link_of(meta)) {
                    a.core.paths.set_link(link);
                }
                // A restarted peer may have fewer addresses: the others are nobody's now.
                for key in before {
                    self.lookup.remove(&key, id);
                }
                if let Some(tag) = tag {
                    self.lookup.remove_tag(&tag, id);
                }
                // What the INIT ACK told; since then it may have changed.
                if !duplicate {
                    self.know_own_addresses(id);
                }
                self.enter_addresses(id);
                if !go_on {
                    self.touch(id);
                    return;
                }
                id
            }
            None => {
                let Some(id) = self.open_from_cookie(now, meta, header, &mut cookie) else { return };
                id
            }
        };
        // DATA may ride behind the COOKIE ECHO (section 5.1).
        let skip = if auth.is_some() { 2 } else { 1 };
        self.with_assoc(now, id, |a, ctx| a.on_rest(ctx, meta, bytes, packet, (skip, gate)));
        self.touch(id);
    }

    /// Whether a COOKIE ECHO is as authentic as it must be (RFC 4895 section 6.3), and what that means for the chunks behind it. With an
    /// association its keys count, so that only who knows the old one restarts it; else what the cookie says, and the endpoint's keys.
    fn authenticate_cookie(&mut self, now: Time, echo: &Echo<'_>, auth: Option<RawChunk<'_>>) -> Option<Gate> {
        let Echo { meta, header, bytes, cookie, source } = *echo;
        let holder = source.or_else(|| self.elsewhere(header, meta, cookie));
        let existing = holder.and_then(|id| self.assocs.get(id)).map(|a| &a.core);
        // While both sides are opening, the peer may have drawn its Random Number after it answered our INIT: it goes by the rules of
        // tags (section 6.1).
        let settled = existing.filter(|core| match core.judge(cookie) {
            Verdict::Collision => !core.state.is_opening(),
            Verdict::Discard => core.paths.find(meta.src).and_then(|id| core.paths.get(id)).is_some_and(|p| p.confirmed),
            _ => true,
        });
        let (ours, theirs) = settled.map_or((&cookie.local_terms, &cookie.peer_terms), |core| (&core.local_terms, &core.peer_terms));
        let Some(raw) = auth else { return (!ours.auth.requires(kind::COOKIE_ECHO)).then_some(Gate::Open) };
        if !(ours.auth.is_usable() && theirs.auth.is_usable()) {
            // An unknown chunk, whose type says "stop".
            return None;
        }
        let cfg = existing.map(|core| &core.cfg).or_else(|| self.ports.by_port(header.dst_port).map(|(_, e)| &e.assoc))?;
        match verify_auth(&cfg.auth_keys, (&ours.auth, &theirs.auth), bytes, &raw) {
            Ok(()) => Some(Gate::Authenticated),
            Err(Rejection::UnsupportedHmac(number)) => {
                let causes = Cause::UnsupportedHmac(number).to_vec();
                self.answer(now, meta, header, cookie.peer_tag, &ErrorChunk { causes: &causes });
                None
            }
            Err(Rejection::Forged) => None,
        }
    }

    /// Whether `ip` is known to belong to the peer of an association, and not only listed by it.
    pub(super) fn owns(&self, id: AssocId, ip: IpAddr) -> bool {
        let core = self.assocs.get(id).map(|a| &a.core);
        core.and_then(|c| c.paths.get(c.paths.find(ip)?)).is_some_and(|p| p.confirmed)
    }

    /// The association that a valid cookie concerns. One that has only listed the cookie's address loses that address to
    /// whoever brought the cookie from there.
    fn unless_only_listed(&mut self, id: AssocId, meta: &Meta, header: CommonHeader, c: &StateCookie) -> Option<AssocId> {
        let strange = self.assocs.get(id).is_none_or(|a| a.core.judge(c) == Verdict::Discard);
        if strange && !self.owns(id, meta.src) {
            self.lookup.remove(&key_of(meta, header), id);
            return None;
        }
        Some(id)
    }

    /// The association whose tags a valid cookie from an unknown address has, by the other addresses that the cookie lists.
    fn elsewhere(&self, header: CommonHeader, meta: &Meta, c: &StateCookie) -> Option<AssocId> {
        c.peer_addrs.iter().find_map(|peer| {
            let id = self.lookup.get(&key_of(&Meta { src: *peer, ..*meta }, header))?;
            let known = self.assocs.get(id).is_some_and(|a| a.core.judge(c) != Verdict::Discard);
            known.then_some(id)
        })
    }

    fn open_from_cookie(&mut self, now: Time, meta: &Meta, header: CommonHeader, cookie: &mut StateCookie) -> Option<AssocId> {
        let (ep, e) = self.ports.by_port(header.dst_port).filter(|(_, e)| e.listening)?;
        let cfg = self.fit(Arc::clone(&e.assoc), cookie.channel);
        if e.pending >= e.backlog || self.assocs.len() >= self.cfg.max_associations {
            self.counters.refused += 1;
            let causes = Cause::OutOfResource.to_vec();
            self.answer(now, meta, header, cookie.peer_tag, &Abort { t: false, causes: &causes });
            return None;
        }
        let id = self.insert(now, |id, ctx| {
            let mut core = Core::from_cookie((id, ep), cfg, cookie, now);
            core.unnoticed = true;
            core.paths.set_link(link_of(meta).unwrap_or(0));
            core.established(ctx);
            core.lead_control(Control::CookieAck);
            core
        })?;
        self.know_own_addresses(id);
        if let Some(e) = self.ports.get_mut(ep) {
            e.pending += 1;
        }
        Some(id)
    }

    /// Adds an association to the tables.
    pub(super) fn insert(&mut self, now: Time, make: impl FnOnce(AssocId, &mut Context<'_>) -> Core) -> Option<AssocId> {
        let mut ctx = Context { now, entropy: &mut *self.entropy };
        let stack = &self.cfg;
        let id = self.assocs.insert_with(|id| {
            // At its place from the beginning: it is large, and is not moved.
            let mut a = Box::new(Association { core: make(id, &mut ctx), ext: Extensions::default() });
            let core = &mut a.core;
            if !core.incoming {
                let channel = core.paths.get(core.paths.primary()).filter(|_| core.trial.is_none()).map(|p| p.channel);
                core.local_terms = Terms::own(&core.cfg, stack, channel, ctx.entropy);
            }
            a.ext = Extensions::negotiate(core);
            a
        })?;
        self.enter_addresses(id);
        Some(id)
    }

    /// The configuration that an association from `cfg` or else its endpoint gets.
    pub(super) fn assoc_config(&self, ep: crate::event::EndpointId, cfg: Option<Arc<AssocConfig>>) -> Option<Arc<AssocConfig>> {
        cfg.or_else(|| self.ports.get(ep).map(|e| Arc::clone(&e.assoc)))
    }

    pub(super) fn push_reply(&mut self, transmit: Transmit, packet: Vec<u8>) {
        if self.replies.len() < super::MAX_REPLIES {
            self.replies.push_back(Reply::new(transmit, packet));
        } else {
            self.counters.dropped_answers += 1;
        }
    }
}

/// The interface that a packet from a link-local address came in by.
fn link_of(meta: &Meta) -> Option<u32> {
    Some(scope_of(meta.src, meta.ifindex?)).filter(|link| *link != 0)
}

pub(super) fn key_of(meta: &Meta, header: CommonHeader) -> Key {
    Key::new((header.dst_port, header.src_port), meta.src, meta.ifindex.unwrap_or(0))
}
