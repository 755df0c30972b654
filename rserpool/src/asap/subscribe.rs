//! Pools whose changes are followed: the S and A flags of RFC 5352 sections 2.2.5 and 2.2.6.
//!
//! A subscription is one with the home registrar for as long as that association lasts, and only for a pool that exists. So it
//! is asked for again at each new home, and every now and then as long as the registrar does not grant it: then what it
//! answers is the update.

use core::time::Duration;

use sctp_user::Time;

use super::cache::Listing;
use super::core::{Asap, AsapEvent};
use super::error::ResolveError;
use super::request::RequestKind;
use super::user::Resolution;
use crate::wire::{OperationError, PoolHandle};

/// Most pools that are followed by one process.
pub const MAX_SUBSCRIPTIONS: usize = 256;

/// The pause before a subscription that was not granted is asked for again.
const PAUSE: Duration = Duration::from_secs(5);

/// A pool that is followed, or was until a moment ago.
#[derive(Debug)]
pub(super) struct Subscription {
    /// How many in this process want it. If nobody does, it is kept until the home changes, since updates come nevertheless.
    users: usize,
    /// A resolution that asks for it waits for its answer.
    asked: bool,
    /// The home has granted it: updates will come by themselves.
    granted: bool,
    /// The home was asked for it: what it says about the pool may be an update.
    known_at_home: bool,
    /// Not to be asked for before.
    not_before: Time,
}

impl Subscription {
    const fn is_wanted(&self) -> bool {
        self.users > 0
    }
}

impl Asap {
    /// Follows a pool: each change comes as [`AsapEvent::PoolChanged`], and [`Asap::resolve`] with a stale value above zero is
    /// answered from the cache, which the registrar keeps fresh.
    ///
    /// # Errors
    /// There are [`MAX_SUBSCRIPTIONS`] of them.
    pub fn subscribe(&mut self, now: Time, handle: &PoolHandle) -> Result<(), ResolveError> {
        if let Some(s) = self.subscriptions.get_mut(handle) {
            s.users = s.users.saturating_add(1);
        } else if self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
            return Err(ResolveError::TooManyRequests);
        } else {
            let s = Subscription { users: 1, asked: false, granted: false, known_at_home: false, not_before: now };
            self.subscriptions.insert(handle.clone(), s);
        }
        self.drive(now);
        Ok(())
    }

    /// Follows a pool no longer, if this was called as often as [`Asap::subscribe`].
    pub fn unsubscribe(&mut self, handle: &PoolHandle) {
        let Some(s) = self.subscriptions.get_mut(handle) else { return };
        s.users = s.users.saturating_sub(1);
        if s.users == 0 && !s.known_at_home && !s.asked {
            self.subscriptions.remove(handle);
        }
    }

    /// Whether the registrar keeps what the cache knows about a pool fresh.
    pub(super) fn is_followed(&self, handle: &PoolHandle) -> bool {
        self.subscriptions.get(handle).is_some_and(|s| s.granted)
    }

    /// Whether the home may speak of a pool without being asked.
    pub(super) fn may_be_update(&self, handle: &PoolHandle) -> bool {
        self.subscriptions.get(handle).is_some_and(|s| s.known_at_home)
    }

    /// Whether changes of a pool are wanted.
    pub(super) fn follows(&self, handle: &PoolHandle) -> bool {
        self.subscriptions.get(handle).is_some_and(Subscription::is_wanted)
    }

    pub(super) fn follows_any(&self) -> bool {
        self.subscriptions.values().any(Subscription::is_wanted)
    }

    /// Asks for what is wanted and neither granted nor asked for.
    pub(super) fn follow_due(&mut self, now: Time) {
        let due = |s: &Subscription| s.is_wanted() && !s.granted && !s.asked && s.not_before <= now;
        let handles: Vec<PoolHandle> = self.subscriptions.iter().filter(|(_, s)| due(s)).map(|(h, _)| h.clone()).collect();
        for handle in handles {
            if let Some(s) = self.subscriptions.get_mut(&handle) {
                s.asked = true;
            }
            self.request(now, RequestKind::Resolve(Resolution::of_all(handle, true)));
        }
    }

    /// When the next subscription is to be asked for, provided that there is a home.
    pub(super) fn follow_deadline(&self) -> Option<Time> {
        self.subscriptions.values().filter(|s| s.is_wanted() && !s.granted && !s.asked).map(|s| s.not_before).min()
    }

    /// The home is asked for a subscription.
    pub(super) fn follow_asked(&mut self, handle: &PoolHandle) {
        if let Some(s) = self.subscriptions.get_mut(handle) {
            s.known_at_home = true;
        }
    }

    /// A resolution that asked for a subscription has ended.
    pub(super) fn follow_answered(&mut self, now: Time, handle: &PoolHandle, granted: bool) {
        let Some(s) = self.subscriptions.get_mut(handle) else { return };
        (s.asked, s.granted, s.not_before) = (false, granted, now + PAUSE);
    }

    /// The home has spoken of a pool that is followed: in its answer to the subscription, or by itself.
    pub(super) fn on_update(&mut self, now: Time, handle: PoolHandle, listing: Listing, error: Option<&OperationError>) {
        let Some(s) = self.subscriptions.get_mut(&handle) else { return };
        if error.is_some() {
            // Section 2.2.5: updates come for a pool that exists.
            s.granted = false;
            s.not_before = now + PAUSE;
        }
        self.excluded.learn(&handle, &listing.elements, false);
        self.cache.store(now, &handle, &listing);
        if self.follows(&handle) {
            let result = match error {
                Some(error) => Err(ResolveError::of(&handle, error)),
                None if listing.elements.is_empty() => Err(ResolveError::UnknownPoolHandle(handle.clone())),
                None => Ok(listing.elements),
            };
            self.event(AsapEvent::PoolChanged { handle, result });
        }
    }

    /// The home is left: nobody keeps the cache fresh now, so its age counts from now on.
    pub(super) fn follows_end(&mut self, now: Time) {
        self.subscriptions.retain(|_, s| s.is_wanted() || s.asked);
        for (handle, s) in &mut self.subscriptions {
            if s.granted {
                self.cache.touch(now, handle);
            }
            (s.granted, s.known_at_home, s.not_before) = (false, false, now);
        }
    }
}
