//! Auditing the handlespace and putting right what differs (RFC 5353 section 3.6).
//!
//! Checksums are compared only when they come over an association: there, a presence is in order with the updates.

use core::time::Duration;

use sctp_user::Time;

use super::EnrpTimer;
use super::event::EnrpEvent;
use crate::registrar::{Registrar, RemovalReason};
use crate::wire::{ElementId, EnrpMessage, PoolElement, PoolHandle, RegistrarId};

/// The checksum of no elements.
pub(super) const OWNS_NOTHING: u16 = 0xffff;
/// A peer whose checksum no table explains is asked for its table once in this time (RSPLIB's sum is wrong from some
/// 14,000 elements on).
const LASTING_MISMATCH: Duration = Duration::from_secs(60);

/// What came of comparing checksums with a peer.
#[derive(Debug, Default)]
pub(super) struct Audit {
    /// The last mismatch: theirs, ours, and what their last table held.
    last: Option<(u16, u16, u64)>,
    /// How many complete tables in a row have led to it.
    repeats: u32,
    /// Whether a complete table has come since checksums were last compared.
    fresh: bool,
    /// Not to be asked for its table before.
    not_before: Time,
    /// A digest of the last complete table of what it owns.
    table: u64,
    /// Whether it said that it owned nothing the last time, too.
    empty_before: bool,
}

/// A table transfer to us.
#[derive(Debug)]
pub(super) struct Sync {
    /// Whether only elements that the peer owns were asked for.
    own_only: bool,
    digest: u64,
    elements: usize,
}

/// Something that differs if a table holds other elements, whatever their order.
fn digest(handle: &PoolHandle, id: ElementId) -> u64 {
    // FNV-1a: nothing hangs on it but how soon an oddity is noticed.
    let bytes = handle.as_bytes().iter().copied().chain(id.0.to_be_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

impl Registrar {
    /// A peer's checksum of what it owns has arrived (RFC 5353 section 3.6.1, steps 3 to 5).
    pub(super) fn audit(&mut self, now: Time, id: RegistrarId, theirs: u16) {
        let ours = self.space.checksum(id);
        let serving = self.enrp.is_serving();
        let Some(peer) = self.enrp.peers.get_mut(id) else { return };
        let audit = &mut peer.audit;
        if ours == theirs {
            (audit.last, audit.repeats, audit.fresh, audit.empty_before) = (None, 0, false, false);
            return;
        }
        // Who has just restarted with the same identifier owns nothing until it has learnt what it owned.
        let may_be_starting = theirs == OWNS_NOTHING && !audit.empty_before;
        audit.empty_before = theirs == OWNS_NOTHING;
        if !serving || peer.sync.is_some() || may_be_starting || now < audit.not_before {
            return;
        }
        let mismatch = Some((theirs, ours, audit.table));
        let fresh = core::mem::take(&mut audit.fresh);
        audit.repeats = match audit.last == mismatch {
            true => audit.repeats + u32::from(fresh && audit.repeats < u32::MAX),
            false => u32::from(fresh),
        };
        audit.last = mismatch;
        let lasting = audit.repeats >= 2;
        let first_time = audit.repeats == 2 && fresh;
        if lasting {
            audit.not_before = now + LASTING_MISMATCH;
        }
        self.event(EnrpEvent::Mismatch { id, theirs, ours, lasting });
        if !first_time {
            self.start_sync(now, id, true);
        }
    }

    /// Asks a peer for its table: all of it, or what it owns (RFC 5353 section 3.6.3, steps 1 and 2).
    pub(super) fn start_sync(&mut self, now: Time, id: RegistrarId, own_only: bool) {
        if own_only {
            self.space.mark_owned(id);
        }
        let Some(peer) = self.enrp.peers.get_mut(id) else { return };
        peer.sync = Some(Sync { own_only, digest: 0, elements: 0 });
        self.request_table(now, id, own_only);
    }

    fn request_table(&mut self, now: Time, id: RegistrarId, own_only: bool) {
        self.enrp_timer(EnrpTimer::Sync(id), Some(now + self.cfg.enrp.timers.max_time_no_response));
        self.tell(id, &EnrpMessage::HandleTableRequest { sender: self.id, receiver: id, own_only });
    }

    /// A peer does not go on with its table.
    pub(super) fn sync_timeout(&mut self, now: Time, id: RegistrarId) {
        self.abort_sync(now, id);
    }

    pub(super) fn abort_sync(&mut self, now: Time, id: RegistrarId) {
        self.enrp_timer(EnrpTimer::Sync(id), None);
        if self.enrp.peers.get_mut(id).is_some_and(|p| p.sync.take().is_some()) {
            self.mentor_lost(now, id);
        }
    }

    /// A part of a peer's table.
    pub(super) fn table_arrived(
        &mut self,
        now: Time,
        from: RegistrarId,
        reject: bool,
        more: bool,
        pools: Vec<(PoolHandle, Vec<PoolElement>)>,
    ) {
        let Some(mut sync) = self.enrp.peers.get_mut(from).and_then(|p| p.sync.take()) else { return };
        self.enrp_timer(EnrpTimer::Sync(from), None);
        let own_only = sync.own_only;
        let empty = pools.is_empty();
        for (handle, elements) in pools {
            for element in elements {
                sync.elements = sync.elements.saturating_add(1);
                sync.digest = sync.digest.wrapping_add(digest(&handle, element.id));
                self.learn(now, from, &handle, element, !own_only);
            }
        }
        // A peer that always has more, but never says what, or more than there can be, would keep us busy for ever.
        let endless = more && (empty || sync.elements > self.cfg.limits.elements.saturating_mul(2));
        if reject || endless {
            self.event(EnrpEvent::TableRefused { id: from });
            self.mentor_lost(now, from);
        } else if more {
            if let Some(peer) = self.enrp.peers.get_mut(from) {
                peer.sync = Some(sync);
            }
            self.request_table(now, from, own_only);
        } else {
            self.synchronised(now, from, &sync);
        }
    }

    /// The whole table is here: what the peer owned and no longer lists is gone (RFC 5353 section 3.6.3, step 5).
    fn synchronised(&mut self, now: Time, from: RegistrarId, sync: &Sync) {
        let mut removed = 0;
        if sync.own_only {
            while let Some(key) = self.space.pop_marked(from) {
                self.remove(now, key, RemovalReason::NotListed);
                removed += 1;
            }
            if let Some(peer) = self.enrp.peers.get_mut(from) {
                (peer.audit.table, peer.audit.fresh) = (sync.digest, true);
            }
        }
        self.event(EnrpEvent::Synchronised { id: from, elements: sync.elements, removed });
        if self.is_mentor(from) {
            self.serve_peers(now);
        }
    }
}
