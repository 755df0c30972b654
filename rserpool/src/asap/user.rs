//! The role of a pool user: resolutions and reports (RFC 5352 sections 3.3 and 3.5).

use core::time::Duration;

use sctp_user::Time;

use super::cache::Excluded;
use super::core::{Asap, AsapEvent, RequestId};
use super::error::ResolveError;
use super::request::RequestKind;
use crate::wire::{AsapMessage, ElementId, OperationError, PoolElement, PoolHandle, Transport};

/// Most requests without an answer; more fail at once.
const MAX_REQUESTS: usize = 4096;

/// Most reports that wait for a registrar; older ones are dropped.
const MAX_REPORTS: usize = 256;

/// As many elements as RSPLIB gives at most.
const ALL: u32 = 128;

/// A resolution without an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Resolution {
    pub(super) request: RequestId,
    pub(super) handle: PoolHandle,
    /// How many elements the user wants.
    items: usize,
    /// How many elements are asked for; `None` leaves it to the registrar.
    asked: Option<u32>,
}

impl Resolution {
    pub(super) fn message(&self) -> AsapMessage {
        AsapMessage::HandleResolution { subscribe: false, handle: self.handle.clone(), items: self.asked }
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
        if let Some(elements) = self.look_up_cache(now, handle, items, stale) {
            self.event(AsapEvent::Resolved { request, result: Ok(elements) });
        } else if self.queue.len() >= MAX_REQUESTS {
            self.event(AsapEvent::Resolved { request, result: Err(ResolveError::TooManyRequests) });
        } else {
            let asked = stale.is_zero().then(|| u32::try_from(items).unwrap_or(ALL));
            self.request(now, RequestKind::Resolve(Resolution { request, handle: handle.clone(), items, asked }));
            self.drive(now);
        }
        request
    }

    /// Forgets a resolution: no event will come.
    pub fn cancel(&mut self, request: RequestId) {
        // If it is in flight, its answer is still to come and takes its place in the order.
        if self.home.is_none() {
            self.queue.retain(|r| !matches!(&r.kind, RequestKind::Resolve(r) if r.request == request));
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

    fn look_up_cache(&mut self, now: Time, handle: &PoolHandle, items: usize, stale: Duration) -> Option<Vec<PoolElement>> {
        let elements = self.cache.select(now, handle, stale, &mut *self.entropy)?;
        let elements = self.usable(now, handle, elements, items);
        (!elements.is_empty()).then_some(elements)
    }

    fn usable(&self, now: Time, handle: &PoolHandle, mut elements: Vec<PoolElement>, items: usize) -> Vec<PoolElement> {
        elements.retain(|e| !self.excluded.contains(now, handle, e.id));
        elements.truncate(items);
        elements
    }

    pub(super) fn on_resolution_response(
        &mut self,
        now: Time,
        mut r: Resolution,
        elements: Vec<PoolElement>,
        error: Option<&OperationError>,
    ) {
        if let Some(error) = error {
            self.cache.store(now, &r.handle, &[]);
            self.excluded.learn(&r.handle, &[], true);
            let result = Err(ResolveError::of(&r.handle, error));
            self.event(AsapEvent::Resolved { request: r.request, result });
            return;
        }
        let complete = r.asked.is_some_and(|n| elements.len() < n as usize);
        self.excluded.learn(&r.handle, &elements, complete);
        self.cache.store(now, &r.handle, &elements);
        let none_at_all = elements.is_empty();
        let usable = self.usable(now, &r.handle, elements, r.items);
        let result = if !usable.is_empty() {
            Ok(usable)
        } else if none_at_all {
            Err(ResolveError::UnknownPoolHandle(r.handle))
        } else if complete || r.asked == Some(ALL) {
            Err(ResolveError::AllExcluded(r.handle))
        } else {
            // There may be others behind those that failed.
            r.asked = Some(ALL);
            self.request(now, RequestKind::Resolve(r));
            return;
        };
        self.event(AsapEvent::Resolved { request: r.request, result });
    }

    pub(super) fn resolution_failed(&mut self, now: Time, r: Resolution, error: ResolveError) {
        let result = self.look_up_cache(now, &r.handle, r.items, Duration::MAX).ok_or(error);
        self.event(AsapEvent::Resolved { request: r.request, result });
    }
}
