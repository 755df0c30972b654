//! Addresses that come and go while associations live (RFC 5061): finding an association whose peer has moved, and telling peers of ours.

use std::net::IpAddr;

use super::lookup::{Key, Lookup, TagKey};
use super::{Assoc, Stack};
use crate::assoc::state::State;
use crate::assoc::{Association, Core, Goal};
use crate::error::AddressError;
use crate::event::{AssocId, EndpointId, Event, PathChange};
use crate::net::Meta;
use crate::time::Time;
use crate::wire::chunk::{Chunk, kind};
use crate::wire::{Packet, RawChunk};

/// Most addresses that are remembered of those that the host had once.
const MAX_DEPARTED: usize = 256;

impl Stack {
    /// The association that a packet from an unknown address changes (section 5.2 rules D2 and D2-ext, rulings section 1 row 10): an ASCONF,
    /// with nothing but AUTH before it, names another address of its sender; else the tag tells.
    pub(super) fn by_asconf(&self, meta: &Meta, packet: &Packet<'_>) -> Option<AssocId> {
        let ports = (packet.header.dst_port, packet.header.src_port);
        let asconfs = packet.chunks().map_while(Result::ok).skip_while(|c| c.kind == kind::AUTH).take_while(|c| c.kind == kind::ASCONF);
        asconfs.filter_map(|c| Some((c.decode().ok()?, c))).find_map(|(chunk, _)| {
            let Chunk::Asconf(asconf) = chunk else { return None };
            let address = asconf.address.to_canonical();
            let named =
                (!address.is_unspecified()).then(|| self.lookup.get(&Key::new(ports, address, meta.ifindex.unwrap_or(0)))).flatten();
            // A peer that repeats itself from yet another address, since our answer was lost, may name one that it has deleted by that.
            let found = named.or_else(|| self.lookup.by_tag(&TagKey { ports, tag: packet.header.vtag }));
            found.filter(|id| self.assocs.get(*id).is_some_and(|a| a.core.local_tag == packet.header.vtag && a.ext.asconf.is_some()))
        })
    }

    /// Whether a packet may hold an ASCONF that names its association.
    pub(super) fn may_name_association(first: &RawChunk<'_>) -> bool {
        matches!(first.kind, kind::AUTH | kind::ASCONF)
    }

    /// The lookup table follows what became of the peer's addresses.
    pub(super) fn follow(lookup: &mut Lookup, core: &Core, event: &Event) {
        let Event::PathState { addr, change } = event else { return };
        let id = core.id;
        let key = Key::new((core.local_port, core.peer_port), *addr, core.paths.link());
        match change {
            PathChange::Added => {
                lookup.insert(key, id);
            }
            PathChange::Removed => lookup.remove(&key, id),
            _ => {}
        }
    }

    /// What an association is known by whose peer has moved, if it may.
    pub(super) fn tag_key(a: &Association) -> Option<TagKey> {
        let core = &a.core;
        a.ext.asconf.as_ref().map(|_| TagKey { ports: (core.local_port, core.peer_port), tag: core.local_tag })
    }

    /// The host's own addresses are `new` from now on. Peers of endpoints that use them all are told (RFC 6458 section 8.1.23).
    pub(super) fn change_host(&mut self, now: Time, new: Vec<IpAddr>) {
        let new: Vec<_> = new.into_iter().map(|a| a.to_canonical()).collect();
        let old = core::mem::replace(&mut self.host, new);
        let gained: Vec<_> = self.host.iter().copied().filter(|a| !old.contains(a)).collect();
        let lost: Vec<_> = old.into_iter().filter(|a| !self.host.contains(a)).collect();
        if gained.is_empty() && lost.is_empty() {
            return;
        }
        // What went while there was no other address to say so from is told with the next change.
        self.departed.retain(|a| !self.host.contains(a) && !lost.contains(a));
        self.departed.extend(lost);
        let excess = self.departed.len().saturating_sub(MAX_DEPARTED);
        self.departed.drain(..excess);
        let lost = self.departed.clone();
        for id in self.assocs.ids() {
            let follows = |a: &Association| a.core.cfg.auto_asconf && self.ports.get(a.core.ep).is_some_and(|e| e.bind.is_empty());
            if self.assocs.get(id).is_some_and(follows) {
                // What cannot be told now is told by the next change, or never: the address is dead or unused.
                let _ = self.shift(now, id, &gained, &lost);
            }
        }
    }

    /// The addresses that an endpoint uses have changed: the peers of its associations are told.
    pub(super) fn change_bound(&mut self, now: Time, ep: EndpointId, old: &[IpAddr], new: &[IpAddr]) {
        let gained: Vec<_> = new.iter().copied().filter(|a| !old.contains(a)).collect();
        let lost: Vec<_> = old.iter().copied().filter(|a| !new.contains(a)).collect();
        for id in self.assocs.ids() {
            if self.assocs.get(id).is_some_and(|a| a.core.ep == ep) {
                let _ = self.shift(now, id, &gained, &lost);
            }
        }
    }

    /// Has the peer of an association told that `gained` are addresses of ours, and `lost` no more.
    fn shift(&mut self, now: Time, id: AssocId, gained: &[IpAddr], lost: &[IpAddr]) -> Result<(), AddressError> {
        let a = self.assocs.get(id).ok_or(AddressError::Closed)?;
        let core = &a.core;
        let asconf = a.ext.asconf.as_ref().ok_or(AddressError::Unsupported)?;
        // What a NAT of fixed addresses shows to the world is not known to change.
        if matches!(core.state, State::Closed | State::ShutdownAckSent) || core.cfg.advertise.is_some() {
            return Err(AddressError::Unsupported);
        }
        let path = core.paths.get(core.paths.primary()).ok_or(AddressError::Closed)?;
        let (peer, channel) = (path.addr, path.channel);
        let cfg = core.cfg.clone();
        let present = asconf.aimed_at().unwrap_or(&core.local_addrs).to_vec();
        let usable = self.usable_addresses(core.ep, &cfg, peer, channel);
        let goal = if usable.is_empty() {
            self.goal_behind_nat(id, &present, lost)
        } else {
            let stays = present.iter().filter(|a| !lost.contains(a));
            let comes = gained.iter().filter(|a| usable.contains(a) && !present.contains(a));
            let mut all: Vec<_> = stays.chain(comes).copied().collect();
            all.truncate(crate::assoc::cookie::MAX_ADDRS);
            (!all.is_empty()).then_some(Goal::Addresses(all))
        };
        let goal = goal.ok_or(AddressError::LastAddress)?;
        self.with_assoc(now, id, |a, ctx| {
            if let Some(asconf) = &mut a.ext.asconf {
                asconf.aim(&mut a.core, ctx, goal);
            }
        });
        self.touch(id);
        Ok(())
    }

    /// Behind a NAT the peer is told of nothing but a new address in place of one that is gone (rulings section 1 row 13).
    fn goal_behind_nat(&self, id: AssocId, present: &[IpAddr], lost: &[IpAddr]) -> Option<Goal> {
        let core = &self.assocs.get(id)?.core;
        let path = core.paths.get(core.paths.primary())?;
        if !path.channel.has_addresses() || present.iter().any(|a| !lost.contains(a)) {
            return None;
        }
        let own = self.own_addresses(core.ep, path.channel);
        crate::assoc::path::source::nearest(&own, path.addr).map(Goal::BehindNat)
    }
}

impl Assoc<'_> {
    /// Tells the peer of one more address of this host (RFC 5061). It is a source of packets, and the peer may send to it, once the peer
    /// has acknowledged that.
    ///
    /// # Errors
    /// The peer does not have Add-IP, the association is gone, or the peer could not use the address.
    pub fn add_address(&mut self, now: Time, addr: IpAddr) -> Result<(), AddressError> {
        let addr = addr.to_canonical();
        let core = self.core().ok_or(AddressError::Closed)?;
        let known = core.paths.get(core.paths.primary()).is_some_and(|p| crate::assoc::path::source::in_scope(addr, p.addr));
        if !known || !self.stack.has_address(addr) {
            return Err(AddressError::NotOurs);
        }
        self.stack.shift(now, self.id, &[addr], &[])
    }

    /// Tells the peer that an address is none of ours any more (RFC 5061). Nothing leaves from it from now on; what the peer still sends
    /// there is taken until it has acknowledged, and a moment longer.
    ///
    /// # Errors
    /// The peer does not have Add-IP, the association is gone or does not use the address, or it is the last one.
    pub fn remove_address(&mut self, now: Time, addr: IpAddr) -> Result<(), AddressError> {
        let addr = addr.to_canonical();
        let asconf = self.stack.assocs.get(self.id).ok_or(AddressError::Closed)?.ext.asconf.as_ref();
        let core = self.core().ok_or(AddressError::Closed)?;
        if !asconf.ok_or(AddressError::Unsupported)?.aimed_at().unwrap_or(&core.local_addrs).contains(&addr) {
            return Err(AddressError::NotOurs);
        }
        self.stack.shift(now, self.id, &[], &[addr])
    }

    /// Asks the peer to send to our address `addr` (RFC 5061 section 5.4): advice that it may follow.
    ///
    /// # Errors
    /// The peer does not have Add-IP, the association is gone or does not use the address.
    pub fn set_peer_primary(&mut self, now: Time, addr: IpAddr) -> Result<(), AddressError> {
        let addr = addr.to_canonical();
        let a = self.stack.assocs.get(self.id).ok_or(AddressError::Closed)?;
        let asconf = a.ext.asconf.as_ref().ok_or(AddressError::Unsupported)?;
        if !asconf.aimed_at().unwrap_or(&a.core.local_addrs).contains(&addr) {
            return Err(AddressError::NotOurs);
        }
        self.stack.with_assoc(now, self.id, |a, ctx| {
            if let Some(asconf) = &mut a.ext.asconf {
                asconf.ask_primary(&mut a.core, ctx, addr);
            }
        });
        self.stack.touch(self.id);
        Ok(())
    }

    /// Whether the peer can be told of other addresses of ours (RFC 5061).
    #[must_use]
    pub fn has_add_ip(&self) -> bool {
        self.stack.assocs.get(self.id).is_some_and(|a| a.ext.asconf.is_some())
    }

    /// The adaptation layer indication of the peer (RFC 5061 section 4.2.6), if it sent one.
    #[must_use]
    pub fn adaptation(&self) -> Option<u32> {
        self.core().and_then(|c| c.peer_terms.adaptation())
    }
}
