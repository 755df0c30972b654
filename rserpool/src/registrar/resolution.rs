//! Handle resolution (RFC 5352 section 3.3).

use sctp_user::Time;

use super::{AssocKey, RefusalReason, Registrar, RegistrarEvent};
use crate::handlespace::ElementKey;
use crate::wire::{AsapMessage, CauseCode, PoolElement, PoolHandle, Scope};

/// Most elements in one answer, whatever is asked for: what RSPLIB takes.
const MAX_ITEMS: usize = 128;
/// How far a resolution looks for elements that its asker can reach.
const MAX_LOOK: usize = 1024;
/// Room for elements in one answer, in bytes.
const MAX_BYTES: usize = 60_000;

/// The answer to a request that cannot be served.
pub(super) fn refusal(handle: PoolHandle, code: CauseCode) -> AsapMessage {
    AsapMessage::HandleResolutionResponse { subscribed: false, handle, policy: None, elements: Vec::new(), error: Some(code.into()) }
}

impl Registrar {
    /// Answers with as many elements as asked for, by the pool's policy (RFC 5352 section 3.3). Who wants updates gets them if
    /// the answer names elements and there is room for the subscription (section 2.2.6, A flag).
    pub(super) fn resolve(&mut self, now: Time, assoc: AssocKey, handle: PoolHandle, items: Option<u32>, subscribe: bool) {
        let Some(client) = self.clients.get(&assoc) else { return };
        let reach = client.reach();
        if let Some(addr) = client.addr().filter(|a| !self.cfg.access.allows_user(*a)) {
            let why = RefusalReason::UserNotAllowed;
            self.refused(now, why, RegistrarEvent::Denied { assoc: Some(assoc), addr, why });
            self.send(now, assoc, &refusal(handle, CauseCode::SECURITY));
            return;
        }
        let (mut answer, elements) = self.answer(&handle, items, reach, false);
        if elements > 0 {
            self.stats.resolutions += 1;
        } else {
            self.stats.unknown_pools += 1;
        }
        if subscribe && elements > 0 {
            let accepted = self.subscribe(assoc, &handle, items);
            if let AsapMessage::HandleResolutionResponse { subscribed, .. } = &mut answer {
                *subscribed = accepted;
            }
            if !accepted {
                self.limited(now, assoc, RefusalReason::Subscriptions);
            }
        }
        self.event(RegistrarEvent::Resolved { handle, assoc, elements });
        self.send(now, assoc, &answer);
    }

    /// What a resolution by somebody of this reach is answered now, and how many elements it names. So many are wanted; 0, or
    /// nothing, leaves it to us.
    pub(super) fn answer(&mut self, handle: &PoolHandle, items: Option<u32>, reach: Scope, subscribed: bool) -> (AsapMessage, usize) {
        let wanted = match items {
            None | Some(0) => self.cfg.max_items.unwrap_or(MAX_ITEMS),
            Some(n) => usize::try_from(n).unwrap_or(MAX_ITEMS),
        };
        let elements = self.choose(handle, wanted.min(MAX_ITEMS), reach);
        let (handle, count) = (handle.clone(), elements.len());
        let answer = match elements.first().map(|e| e.policy.clone()) {
            // RSPLIB insists on the policy, which the RFC allows to leave out for round robin.
            Some(policy) => AsapMessage::HandleResolutionResponse { subscribed, handle, policy: Some(policy), elements, error: None },
            None => refusal(handle, CauseCode::UNKNOWN_POOL_HANDLE),
        };
        (answer, count)
    }

    /// Up to `n` elements that somebody of this reach can use.
    fn choose(&mut self, handle: &PoolHandle, n: usize, reach: Scope) -> Vec<PoolElement> {
        let mut keys = Vec::new();
        self.space.select(handle, n, self.cfg.max_increment, self.entropy.as_mut(), &mut keys);
        let mut room = MAX_BYTES;
        let mut out: Vec<PoolElement> = keys.iter().filter_map(|k| self.usable(*k, reach, &mut room)).collect();
        if out.len() < keys.len() {
            // Some are out of reach: look further, which does not count as use.
            let mut more = Vec::new();
            self.space.select(handle, MAX_LOOK, Some(0), self.entropy.as_mut(), &mut more);
            let others = more.iter().filter(|k| !keys.contains(k)).filter_map(|k| self.usable(*k, reach, &mut room));
            let missing = n.saturating_sub(out.len());
            let others: Vec<PoolElement> = others.take(missing).collect();
            out.extend(others);
        }
        out
    }

    /// The element as it is shown to somebody of this reach, if there is an address and room for it.
    fn usable(&self, key: ElementKey, reach: Scope, room: &mut usize) -> Option<PoolElement> {
        let mut info = self.space.element(key)?.info();
        let had_addresses = !info.user.addrs.is_empty();
        info.user.addrs.retain(|a| Scope::of(*a) >= reach);
        if had_addresses && info.user.addrs.is_empty() {
            return None;
        }
        // Where registrars reach it is none of the users' business.
        info.asap = None;
        *room = room.checked_sub(info.encoded_len())?;
        Some(info)
    }
}
