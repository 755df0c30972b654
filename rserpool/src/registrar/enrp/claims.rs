//! Who is an element's home, if more than one registrar says so.
//!
//! It happens: two halves of a partitioned network take each other over, an element moves while its old home still thinks
//! that it has it, a takeover hits a registrar that lives. The rule is that the element decides, by its home association:
//!
//! 1. A registrar *holds* an element if the element registered over an association that is still up, or acknowledged over
//!    it a keep-alive with the H flag. After a loss, an association that we opened to ask whether the element lives does
//!    not count: it may have gone to another home on purpose.
//! 2. Another registrar's word that the element is its own (an update, its table, a takeover of us) is a claim. Who does
//!    not hold the element gives it away at once, and says nothing.
//! 3. Who holds it asks it, by a keep-alive without H. If the association ends or no answer comes, the element is given
//!    away: it is not removed. If it answers, we tell everybody that we are its home, and now the other one is in our
//!    position.
//! 4. An element which answers both has two homes, against RFC 5353 section 1.1. So when the same registrar claims it
//!    again within half a minute, the arbitration of takeovers decides between the two, the winner with the H flag. With
//!    suggested takeovers, the identifiers that decide where an element is suggested to decide here, too, at once, if the other
//!    registrar names the element.
//! 5. An element that was taken over is claimed by us, but not held before it has acknowledged. If it is given away in
//!    between and acknowledges nevertheless, it has chosen us: we tell everybody.
//!
//! No step removes an element that lives, and each element ends with one home, which has an association with it.

use core::time::Duration;
use std::collections::VecDeque;

use sctp_user::Time;

use super::EnrpTimer;
use super::event::EnrpEvent;
use crate::handlespace::ElementKey;
use crate::registrar::Registrar;
use crate::registrar::changes::Change;
use crate::wire::{ElementId, PoolElement, PoolHandle, RegistrarId};

/// How long a successful defence counts.
const DEFENCE: Duration = Duration::from_secs(30);
/// So many elements are asked in one go, and then no more for [`PACE`]: what one association to a process with very many
/// elements takes in.
const BATCH: usize = 256;
const PACE: Duration = Duration::from_millis(10);

/// Another registrar says that an element is its own.
#[derive(Debug)]
pub(in crate::registrar) struct Claim {
    by: RegistrarId,
    /// What it says of the element; absent if it has taken over everything.
    element: Option<Box<PoolElement>>,
}

/// What a registrar that is an element's home, or wants to be, knows about that.
#[derive(Debug, Default)]
pub(in crate::registrar) struct Tenure {
    /// Whether we hold the element: it chose the association that it has with us.
    pub(in crate::registrar) held: bool,
    /// Whether keep-alives have the H flag: we want to be its home.
    pub(in crate::registrar) adopting: bool,
    claim: Option<Claim>,
    /// Who claimed it in vain, and when.
    defended: Option<(RegistrarId, Time)>,
    /// Whether it is in the queue.
    queued: bool,
}

impl Tenure {
    /// Of an element that has just registered.
    pub(in crate::registrar) fn registered() -> Self {
        Self { held: true, ..Self::default() }
    }
}

/// Elements to be asked, each at most once.
pub(super) type Queue = VecDeque<ElementKey>;

impl Registrar {
    /// Wants an element to have its home here (RFC 5353 section 3.5.2, step 2): it is asked as soon as its turn comes.
    pub(in crate::registrar) fn adopt(&mut self, now: Time, key: ElementKey) {
        self.watch_for_adoption(key);
        self.enqueue_question(now, key);
    }

    /// A peer suggests that we become the home of one of its elements. It remains the home until the element says otherwise.
    pub(super) fn pull(&mut self, now: Time, handle: &PoolHandle, id: ElementId) {
        let key = self.space.find(handle, id);
        if let Some(key) = key.filter(|key| !self.watched.contains_key(key)) {
            self.adopt(now, key);
        }
    }

    fn enqueue_question(&mut self, now: Time, key: ElementKey) {
        let Some(watched) = self.watched.get_mut(&key) else { return };
        if !core::mem::replace(&mut watched.tenure.queued, true) {
            self.enrp.questions.push_back(key);
            self.enrp_timer_unless_set(EnrpTimer::Ask, now);
        }
    }

    /// Asks as many elements as the pace and the number of associations being opened allow.
    pub(super) fn ask_next(&mut self, now: Time) {
        for _ in 0..BATCH {
            if self.reaching.len() >= self.cfg.enrp.max_adoption_connects {
                break;
            }
            let Some(key) = self.enrp.questions.pop_front() else { return };
            let Some(watched) = self.watched.get_mut(&key).filter(|w| w.tenure.queued) else { continue };
            watched.tenure.queued = false;
            if watched.tenure.claim.is_some() {
                self.ask_whose(now, key);
            } else {
                self.reach_for_adoption(now, key);
            }
        }
        if !self.enrp.questions.is_empty() {
            self.enrp_timer(EnrpTimer::Ask, Some(now + PACE));
        }
    }

    /// A peer says that an element of ours is its own.
    pub(super) fn claimed(&mut self, now: Time, key: ElementKey, element: PoolElement) {
        let by = element.home;
        self.weigh(now, key, Claim { by, element: Some(Box::new(element)) });
    }

    /// A peer has taken over all that is ours.
    pub(super) fn claimed_unseen(&mut self, now: Time, key: ElementKey, by: RegistrarId) {
        self.weigh(now, key, Claim { by, element: None });
    }

    fn weigh(&mut self, now: Time, key: ElementKey, claim: Claim) {
        let Some(watched) = self.watched.get_mut(&key) else {
            self.take_as_said(now, key, claim);
            return;
        };
        let tenure = &watched.tenure;
        if tenure.adopting {
            // Rule 5: what has been asked may yet be answered.
            self.take_as_said(now, key, claim);
            return;
        }
        if !tenure.held {
            self.give_away(now, key, claim);
            return;
        }
        let again = tenure.defended.is_some_and(|(who, t)| who == claim.by && now.saturating_since(t) < DEFENCE);
        let decided = again || self.cfg.enrp.suggest_takeovers && claim.element.is_some();
        if decided && !self.goes_before(key, claim.by) {
            self.give_away(now, key, claim);
            return;
        }
        if let Some(watched) = self.watched.get_mut(&key) {
            watched.tenure.claim = Some(claim);
            watched.tenure.adopting = decided;
        }
        self.enqueue_question(now, key);
    }

    /// Whether we are the home of an element rather than another registrar, if both can be. Who suggests takeovers has suggested
    /// this one, or would: deciding otherwise, the two would hand the element to each other for ever.
    fn goes_before(&self, key: ElementKey, other: RegistrarId) -> bool {
        match self.space.element(key).map(|e| e.id().0) {
            Some(id) if self.cfg.enrp.suggest_takeovers => self.id.0 ^ id > other.0 ^ id,
            _ => self.cfg.enrp.arbitration.prefers(self.id, other),
        }
    }

    /// The space says what the claim says; whether we are still interested is another matter.
    fn take_as_said(&mut self, now: Time, key: ElementKey, claim: Claim) {
        if !self.know_home(now, claim.by) {
            return;
        }
        let handle = self.space.element(key).map(|e| e.handle().clone());
        match (claim.element, handle) {
            (Some(element), Some(handle)) => {
                self.take_in(now, claim.by, &handle, &element);
            }
            _ => self.space.set_home(key, claim.by),
        }
    }

    /// The element is another registrar's.
    fn give_away(&mut self, now: Time, key: ElementKey, claim: Claim) {
        let to = claim.by;
        self.stop_reaching(key);
        if let Some(contender) = self.unwatch(key) {
            self.resumptions.push_back((contender, true));
        }
        self.take_as_said(now, key, claim);
        if let Some((handle, id)) = self.space.element(key).map(|e| (e.handle().clone(), e.id())) {
            self.event(EnrpEvent::Moved { handle, id, to });
        }
    }

    /// An element that we wanted to remove because it does not answer us: if another registrar claims it, it is that one's.
    /// If it never was ours, we only lose interest. `true` if that settles it.
    pub(in crate::registrar) fn settled_otherwise(&mut self, now: Time, key: ElementKey) -> bool {
        let Some(watched) = self.watched.get_mut(&key) else { return false };
        if let Some(claim) = watched.tenure.claim.take() {
            self.give_away(now, key, claim);
            return true;
        }
        if self.space.element(key).is_none_or(|e| e.home() == self.id) {
            return false;
        }
        self.stop_reaching(key);
        if let Some(contender) = self.unwatch(key) {
            self.resumptions.push_back((contender, true));
        }
        true
    }

    /// The element has answered us.
    pub(in crate::registrar) fn confirmed(&mut self, now: Time, key: ElementKey) {
        let Some(watched) = self.watched.get_mut(&key) else { return };
        let tenure = &mut watched.tenure;
        let adopted = core::mem::take(&mut tenure.adopting);
        let claim = tenure.claim.take();
        if adopted {
            tenure.held = true;
        }
        if let Some(claim) = &claim {
            tenure.defended = Some((claim.by, now));
        }
        if adopted || claim.is_some() {
            self.space.set_home(key, self.id);
            if let Some((handle, id)) = self.space.element(key).map(|e| (e.handle().clone(), e.id())) {
                self.event(EnrpEvent::Adopted { handle, id });
            }
            self.element_changed(now, key, Change::Added);
        }
    }

    /// Who claimed an element says that it is gone. Its home says what is so.
    pub(super) fn claim_withdrawn(&mut self, key: ElementKey, by: RegistrarId) {
        if let Some(watched) = self.watched.get_mut(&key) {
            watched.tenure.claim = watched.tenure.claim.take().filter(|c| c.by != by);
        }
    }
}
