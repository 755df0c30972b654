//! The role of a pool user: resolutions and reports (RFC 5352 sections 3.3 and 3.5).

use core::time::Duration;

use sctp_user::Time;

use super::cache::{Excluded, Listing};
use super::core::{Asap, AsapEvent, RequestId};
use super::error::ResolveError;
use super::request::RequestKind;
use crate::wire::{AsapMessage, ElementId, OperationError, PoolElement, PoolHandle, Transport};

/// Most requests without an answer; more fail at once.
const MAX_REQUESTS: usize = 4096;

/// Most reports that wait for a registrar; older ones are dropped.
const MAX_REPORTS: usize = 256;

/// As many elements as RSPLIB gives at most.
pub(super) const ALL: u32 = 128;

/// A resolution without an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Resolution {
    /// Who waits for it; nobody if it is for the cache.
    pub(super) request: Option<RequestId>,
    pub(super) handle: PoolHandle,
    /// How many elements the user wants.
    pub(super) items: usize,
    /// How many elements are asked for; `None` leaves it to the registrar.
    pub(super) asked: Option<u32>,
    /// Whether updates are asked for. Others' resolutions do not, since that would change what the updates list.
    pub(super) subscribe: bool,
}

impl Resolution {
    /// Asks for the whole pool, for the cache.
    pub(super) const fn of_all(handle: PoolHandle, subscribe: bool) -> Self {
        Self { request: None, handle, items: ALL as usize, asked: Some(ALL), subscribe }
    }
}

impl Asap {
    /// Asks for up to `items` elements of a pool. The answer comes as [`AsapEvent::Resolved`], and at once if the cache holds one
    /// that is younger than `stale` (stale_cache_value; zero asks the registrar in any case, as the policies intend).
    ///
    /// Elements that failed lately are left out. If no registrar can be found, an older answer will do.
    pub fn resolve(&mut self, now: Time, handle: &PoolHandle, items: usize, stale: Duration) -> RequestId {
        self.next_request += 1;
        let request = RequestId(self.next_request);
        let items = items.clamp(1, ALL as usize);
        if let Some(result) = self.look_up_cache(now, handle, items, stale) {
            self.event(AsapEvent::Resolved { request, result });
        } else if self.queue.len() >= MAX_REQUESTS {
            self.event(AsapEvent::Resolved { request, result: Err(ResolveError::TooManyRequests) });
        } else {
            let asked = stale.is_zero().then(|| u32::try_from(items).unwrap_or(ALL));
            self.request(
                now,
                RequestKind::Resolve(Resolution { request: Some(request), handle: handle.clone(), items, asked, subscribe: false }),
            );
            self.drive(now);
        }
        request
    }

    /// Forgets a resolution: no event will come.
    pub fn cancel(&mut self, request: RequestId) {
        // If it is in flight, its answer is still to come and takes its place in the order.
        if self.home.is_none() {
            self.queue.retain(|r| !matches!(&r.kind, RequestKind::Resolve(r) if r.request == Some(request)));
        }
    }

    /// An element failed: the registrar is told, and the element is not chosen for a while.
    ///
    /// `transport` is where it failed, which tells a later incarnation apart.
    pub fn report_unreachable(&mut self, now: Time, handle: &PoolHandle, id: ElementId, transport: Option<Transport>) {
        self.exclude(now, handle, id, transport);
        self.report_only(now, handle, id);
    }

    /// Tells the registrar that an element seems not to answer; it may still be chosen.
    ///
    /// A report is no request: it is sent once to the registrar that is the home then, or to the next one if there is none at
    /// present. What a registrar that is just failing was sent is not repeated, as a report counts once for each failure (RFC
    /// 5352 section 3.5).
    pub fn report_only(&mut self, now: Time, handle: &PoolHandle, id: ElementId) {
        if self.home.is_some() {
            self.send_home(&AsapMessage::Unreachable { handle: handle.clone(), id });
            return;
        }
        if self.reports.len() >= MAX_REPORTS {
            self.reports.pop_front();
        }
        self.reports.push_back((handle.clone(), id));
        self.drive(now);
    }

    /// Does not choose an element for a while, without telling anybody.
    pub fn exclude(&mut self, now: Time, handle: &PoolHandle, id: ElementId, transport: Option<Transport>) {
        self.cache.remove(handle, id);
        let span = self.cfg.exclusion;
        self.excluded.insert(now, handle, id, transport, span);
    }

    /// The elements of a pool that are not chosen at present.
    #[must_use]
    pub fn excluded(&self, now: Time, handle: &PoolHandle) -> Vec<(ElementId, Excluded)> {
        self.excluded.of(now, handle)
    }

    /// Forgets what is known about a pool (RFC 5352 section 6.4).
    pub fn purge(&mut self, handle: &PoolHandle) {
        self.cache.purge(handle);
    }

    /// Asks the registrar for a pool, so that the cache knows it (RFC 5352 section 6.3), unless it does.
    pub fn populate(&mut self, now: Time, handle: &PoolHandle) {
        if !self.cache.holds(handle) && self.queue.len() < MAX_REQUESTS {
            self.request(now, RequestKind::Resolve(Resolution::of_all(handle.clone(), false)));
            self.drive(now);
        }
    }

    /// Those among `elements` of a pool that have not failed lately, as far as this process knows.
    #[must_use]
    pub fn without_failed(&self, now: Time, handle: &PoolHandle, elements: Vec<PoolElement>) -> Vec<PoolElement> {
        self.usable(now, handle, elements, usize::MAX)
    }

    /// What the cache has for a resolution, if it is fresh enough.
    fn look_up_cache(
        &mut self,
        now: Time,
        handle: &PoolHandle,
        items: usize,
        stale: Duration,
    ) -> Option<Result<Vec<PoolElement>, ResolveError>> {
        let stale = if self.is_followed(handle) && !stale.is_zero() { Duration::MAX } else { stale };
        if self.cache.is_negative(now, handle, stale.min(self.cfg.negative)) {
            return Some(Err(ResolveError::UnknownPoolHandle(handle.clone())));
        }
        let elements = self.cache.select(now, handle, stale, self.cfg.cache_increment, &mut *self.entropy)?;
        let elements = self.usable(now, handle, elements, items);
        (!elements.is_empty()).then_some(Ok(elements))
    }

    fn usable(&self, now: Time, handle: &PoolHandle, mut elements: Vec<PoolElement>, items: usize) -> Vec<PoolElement> {
        elements.retain(|e| !self.excluded.contains(now, handle, e.id));
        elements.truncate(items);
        elements
    }

    pub(super) fn resolution_of(&mut self, r: &Resolution) -> AsapMessage {
        if r.subscribe {
            self.follow_asked(&r.handle);
        }
        AsapMessage::HandleResolution { subscribe: r.subscribe, handle: r.handle.clone(), items: r.asked }
    }

    pub(super) fn on_resolution_response(&mut self, now: Time, mut r: Resolution, listing: Listing, error: Option<&OperationError>) {
        if let Some(error) = error {
            let error = ResolveError::of(&r.handle, error);
            if matches!(error, ResolveError::UnknownPoolHandle(_)) {
                self.cache.store(now, &r.handle, &Listing::none());
                self.excluded.learn(&r.handle, &[], true);
            }
            self.tell(r, Err(error));
            return;
        }
        let complete = r.asked.is_some_and(|n| listing.elements.len() < n as usize);
        self.excluded.learn(&r.handle, &listing.elements, complete);
        self.cache.store(now, &r.handle, &listing);
        let elements = listing.elements;
        let none_at_all = elements.is_empty();
        // If the registrar was asked for more than is wanted, the policy is applied here; else it was applied there.
        let elements = match r.asked {
            None => self.cache.select(now, &r.handle, Duration::MAX, self.cfg.cache_increment, &mut *self.entropy).unwrap_or(elements),
            Some(_) => elements,
        };
        let usable = self.usable(now, &r.handle, elements, r.items);
        let result = if !usable.is_empty() {
            Ok(usable)
        } else if none_at_all {
            Err(ResolveError::UnknownPoolHandle(r.handle.clone()))
        } else if complete || r.asked == Some(ALL) {
            Err(ResolveError::AllExcluded(r.handle.clone()))
        } else {
            // There may be others behind those that failed.
            r.asked = Some(ALL);
            self.request(now, RequestKind::Resolve(r));
            return;
        };
        self.tell(r, result);
    }

    pub(super) fn resolution_failed(&mut self, now: Time, r: Resolution, error: ResolveError) {
        if r.subscribe {
            // It is asked for again in a while.
            self.follow_answered(now, &r.handle, false);
            return;
        }
        let result = self.look_up_cache(now, &r.handle, r.items, Duration::MAX).unwrap_or(Err(error));
        self.tell(r, result);
    }

    /// A resolution has ended: tells who wanted it, if anybody did.
    fn tell(&mut self, r: Resolution, result: Result<Vec<PoolElement>, ResolveError>) {
        if let Some(request) = r.request {
            self.event(AsapEvent::Resolved { request, result });
        }
    }
}
