//! Who polls: the runtime's own thread, or a caller that waits anyway.
//!
//! A caller that waits for a packet is best woken by the packet itself. When another thread polls, each packet costs a hand-over: the
//! thread wakes up, then the caller. So a caller that finds nobody polling *leads*: it polls by itself until its answer has come.
//!
//! * In a caller-driven runtime there is no thread; whoever waits first leads, others sleep.
//! * A runtime with a thread begins with the thread polling. When something happened for which just one caller waited, and nobody waits
//!   in another way ([`Node::is_awaited`](crate::node::Node::is_awaited)), the thread *stands aside*: it lets go of the poller and wakes that caller, as it
//!   would have to anyway. If the caller waits again it leads. The same if nobody waits because callers come so often ([`Calls`]) that one of
//!   them will look in a moment.
//! * A leader that returns with its answer tells nobody: it is expected back soon. The thread looks after a [`NAP`], and as long as callers
//!   come, each time after a nap twice as long, up to a [`LONG_NAP`]. If no caller has begun to lead since its last look, and none leads
//!   now, it takes the poller back. So what a caller leaves behind (packets, timers, an acknowledgement that was to ride with an
//!   answer) is left alone for two naps at most.
//! * A caller that has nothing to wait for looks all the same whether something has come, if nobody has polled for [`VISIT`]. So a program
//!   that sends or receives one message after the other leads too, and the thread, which would only get into its way, stays aside.
//! * A thread that finds the same leader polling as at its last look need not look any more, for it would wake up in vain: it sleeps until
//!   that leader returns, and is woken by it.
//! * Callers that wait while another one leads sleep. Whoever returns wakes them, and one of them leads.
//! * Once tasks or descriptors wait, the thread is *recalled*: a leader is woken, lets go and sleeps like the others. So it is when it is time to
//!   read the list of the host's addresses, which is another one in another network namespace.
//!
//! All of this is decided under the lock of the state. The poller's own lock is taken and given back by leaders and by the
//! thread while they hold that of the state, so that who finds nobody leading finds it free. ([`Driven::turn`](super::Driven::turn) is the exception; there callers
//! that wait try again after a short time.)

use core::time::Duration;

use crate::time::Time;

/// When a thread that stands aside looks first after what callers leave.
pub(super) const NAP: Duration = Duration::from_millis(1);

/// How long it sleeps at most while callers come. A wake-up takes some five microseconds, and on a virtual machine, where timers are those of the
/// host, up to fifty: one per cent of this. Two of these are far below SACK.Delay and the shortest RTO.
pub(super) const LONG_NAP: Duration = Duration::from_millis(4);

/// After this time without a poll a caller polls first, though it need not wait: well before the thread comes to do it.
pub(super) const VISIT: Duration = Duration::from_micros(250);

/// What a thread that stands aside does after it has looked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Look {
    /// Polls again.
    TakeBack,
    /// Looks again after [`NAP`], or when it is told to.
    Nap,
    /// Looks again when it is told to.
    Sleep,
}

/// Who polls. Kept under the lock of the state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Lead {
    /// There is a thread.
    thread: bool,
    /// Callers may lead: the thread stands aside, or there is none.
    aside: bool,
    /// A caller leads.
    leading: bool,
    /// A caller has begun to lead since the thread looked last.
    came: bool,
    /// The thread sleeps until a leader returns.
    asleep: bool,
    /// The thread wants the poller back.
    recalled: bool,
}

impl Lead {
    /// Of a runtime with a thread that polls, or without a thread.
    pub(super) const fn new(thread: bool) -> Self {
        Self { thread, aside: !thread, leading: false, came: false, asleep: false, recalled: false }
    }

    /// Whether the runtime has a thread.
    pub(super) const fn has_thread(&self) -> bool {
        self.thread
    }

    /// Whether a caller that has to wait may lead.
    pub(super) const fn is_open(&self) -> bool {
        self.aside && !self.leading && !self.recalled
    }

    /// A caller leads.
    pub(super) const fn begin(&mut self) {
        (self.leading, self.came) = (true, true);
    }

    /// It has done a turn.
    pub(super) const fn end(&mut self) {
        self.leading = false;
    }

    /// A caller that has led returns, or will sleep. Whether the thread must be told.
    pub(super) const fn leave(&mut self) -> bool {
        core::mem::replace(&mut self.asleep, false) || self.recalled
    }

    /// Somebody waits who cannot lead. Whether the thread must be told, and a leader woken.
    pub(super) const fn recall(&mut self) -> bool {
        self.thread && self.aside && !core::mem::replace(&mut self.recalled, true)
    }

    /// Whether a caller leads.
    pub(super) const fn is_led(&self) -> bool {
        self.leading
    }

    /// The thread lets callers lead.
    pub(super) const fn stand_aside(&mut self) {
        // The caller for whom it does has a nap's time to come.
        (self.aside, self.came, self.asleep) = (true, false, false);
    }

    /// The thread looks; `wanted` if somebody waits who cannot lead.
    pub(super) const fn look(&mut self, wanted: bool) -> Look {
        self.asleep = false;
        self.recalled |= wanted;
        let came = core::mem::replace(&mut self.came, false);
        if !self.leading && (self.recalled || !came) {
            (self.aside, self.recalled) = (false, false);
            Look::TakeBack
        } else if came || self.recalled {
            Look::Nap
        } else {
            self.asleep = true;
            Look::Sleep
        }
    }
}

/// How often callers come that may wait, whether or not they have to.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Calls {
    /// Since `began`.
    count: u32,
    began: Time,
    last: Time,
}

impl Calls {
    /// One comes.
    pub(super) const fn count(&mut self, now: Time) {
        (self.count, self.last) = (self.count.saturating_add(1), now);
    }

    /// Whether in the last [`NAP`] or longer there was one for each [`VISIT`], up to the end.
    pub(super) fn are_frequent(&mut self, now: Time) -> bool {
        let time = now.saturating_since(self.began);
        if time < NAP {
            return false;
        }
        let frequent = VISIT.saturating_mul(self.count) >= time && now.saturating_since(self.last) < VISIT;
        (self.count, self.began) = (0, now);
        frequent
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, VecDeque};

    use super::*;

    /// What a caller does.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
    enum Caller {
        Away,
        /// Holds the lock no more and polls.
        Leads,
        Sleeps,
        /// Was woken and has not looked yet.
        Woken,
    }

    /// What the thread does.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
    enum Thread {
        Polls,
        Naps,
        Sleeps,
    }

    /// A runtime with two callers, as far as the hand-over goes.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
    struct World {
        lead: Lead,
        callers: [Caller; 2],
        thread: Thread,
        /// The thread was told and has not looked yet.
        told: bool,
        /// A leader was woken by hand.
        kicked: bool,
        /// Tasks wait.
        awaited: bool,
    }

    impl World {
        fn start() -> Self {
            let lead = Lead::new(true);
            Self { lead, callers: [Caller::Away; 2], thread: Thread::Polls, told: false, kicked: false, awaited: false }
        }

        /// The caller has to wait: as `Shared::wait` does.
        fn wait(&mut self, i: usize, led: bool) {
            if self.lead.is_open() {
                self.lead.begin();
                self.callers[i] = Caller::Leads;
            } else {
                self.told |= led && self.lead.leave();
                self.callers[i] = Caller::Sleeps;
            }
        }

        fn end_turn(&mut self) {
            self.kicked = false;
            self.lead.end();
        }

        fn wake_sleepers(&mut self) {
            for caller in &mut self.callers {
                if *caller == Caller::Sleeps {
                    *caller = Caller::Woken;
                }
            }
        }

        fn leave(&mut self, i: usize, led: bool) {
            self.told |= led && self.lead.leave();
            self.callers[i] = Caller::Away;
            self.wake_sleepers();
        }

        /// Everything that can happen next.
        fn next(&self) -> Vec<Self> {
            let mut out = Vec::new();
            let mut add = |change: &dyn Fn(&mut Self)| {
                let mut world = *self;
                change(&mut world);
                out.push(world);
            };
            for i in 0..2 {
                match self.callers[i] {
                    Caller::Away => add(&|w| w.wait(i, false)),
                    Caller::Leads => {
                        // Its answer came; or another caller's; or it was woken for nothing.
                        add(&|w| {
                            w.end_turn();
                            w.leave(i, true);
                        });
                        add(&|w| {
                            w.end_turn();
                            w.wake_sleepers();
                            w.wait(i, true);
                        });
                        add(&|w| {
                            w.end_turn();
                            w.wait(i, true);
                        });
                        // It is time to read the list of addresses.
                        add(&|w| {
                            w.told |= w.lead.recall();
                            w.end_turn();
                            w.wait(i, true);
                        });
                    }
                    // Its time is over.
                    Caller::Sleeps => add(&|w| w.leave(i, false)),
                    Caller::Woken => {
                        add(&|w| w.leave(i, false));
                        add(&|w| w.wait(i, false));
                    }
                }
            }
            if self.thread == Thread::Polls {
                let lone = self.callers.iter().filter(|c| **c == Caller::Sleeps).count() <= 1;
                add(&|w| {
                    if lone && !w.awaited {
                        w.lead.stand_aside();
                        w.thread = Thread::Naps;
                    }
                    w.wake_sleepers();
                });
            } else if self.told || self.thread == Thread::Naps {
                add(&|w| {
                    w.told = false;
                    w.thread = match w.lead.look(w.awaited) {
                        Look::TakeBack => Thread::Polls,
                        Look::Nap => Thread::Naps,
                        Look::Sleep => Thread::Sleeps,
                    };
                });
            }
            if !self.awaited {
                add(&|w| {
                    w.awaited = true;
                    if w.lead.recall() {
                        w.told = true;
                        w.kicked = w.lead.is_led();
                    }
                });
            }
            out
        }

        fn check(&self) {
            let leaders = self.callers.iter().filter(|c| **c == Caller::Leads).count();
            assert_eq!(leaders, usize::from(self.lead.is_led()), "{self:?}");
            assert!(leaders + usize::from(self.thread == Thread::Polls) <= 1, "two poll: {self:?}");
            // Nobody is left alone: somebody polls, or will look in a moment.
            let looks = self.thread == Thread::Naps || self.told || self.callers.contains(&Caller::Woken);
            assert!(leaders == 1 || self.thread == Thread::Polls || looks, "nobody polls: {self:?}");
            // A thread that sleeps is woken by the leader's return, which only it may wait for.
            assert!(self.thread != Thread::Sleeps || self.told || leaders == 1, "the thread sleeps for ever: {self:?}");
            // Tasks do not wait for a leader that waits itself.
            let comes = self.thread == Thread::Polls || self.told || self.thread == Thread::Naps;
            assert!(!self.awaited || comes, "the thread does not come: {self:?}");
            assert!(!self.awaited || leaders == 0 || self.kicked || self.thread != Thread::Sleeps, "{self:?}");
        }
    }

    /// All that two callers, a thread and tasks can do in any order.
    fn reachable() -> BTreeSet<World> {
        let (mut seen, mut open) = (BTreeSet::from([World::start()]), VecDeque::from([World::start()]));
        while let Some(world) = open.pop_front() {
            open.extend(world.next().into_iter().filter(|w| seen.insert(*w)));
        }
        seen
    }

    #[test]
    fn somebody_always_polls_or_looks_soon() {
        let worlds = reachable();
        assert!(worlds.len() > 50, "{}", worlds.len());
        worlds.iter().for_each(World::check);
        assert!(worlds.iter().any(|w| w.thread == Thread::Sleeps && w.callers[0] == Caller::Leads));
        assert!(worlds.iter().any(|w| w.lead.is_led() && w.callers.contains(&Caller::Sleeps)));
    }

    #[test]
    fn what_a_caller_leaves_is_left_alone_for_two_naps() {
        // From any state in which the thread naps and callers are away and stay away.
        for world in reachable() {
            if world.thread != Thread::Naps || world.callers != [Caller::Away; 2] {
                continue;
            }
            let mut lead = world.lead;
            assert!(lead.look(false) == Look::TakeBack || lead.look(false) == Look::TakeBack, "{world:?}");
        }
    }

    #[test]
    fn the_thread_comes_back_for_tasks_once_a_leader_lets_go() {
        for world in reachable().into_iter().filter(|w| w.awaited && w.thread != Thread::Polls && !w.lead.is_led()) {
            let mut lead = world.lead;
            assert_eq!(lead.look(true), Look::TakeBack, "{world:?}");
        }
    }

    #[test]
    fn calls_are_frequent_as_long_as_they_come() {
        let at = |micros| Time::ZERO + Duration::from_micros(micros);
        let mut calls = Calls::default();
        (0..10).for_each(|i| calls.count(at(i * 100)));
        assert!(!calls.are_frequent(at(900)), "not known yet");
        assert!(calls.are_frequent(at(1_000)));
        assert!(!calls.are_frequent(at(2_000)), "none since");
        (20..24).for_each(|i| calls.count(at(i * 100)));
        assert!(!calls.are_frequent(at(3_000)), "they have ended");
        (30..60).for_each(|i| calls.count(at(i * 100)));
        calls.count(at(100_000));
        assert!(!calls.are_frequent(at(100_001)), "one after a long time");
    }

    #[test]
    fn without_a_thread_callers_take_turns() {
        let mut lead = Lead::new(false);
        assert!(lead.is_open());
        lead.begin();
        assert!(!lead.is_open() && !lead.recall(), "there is nobody to recall");
        lead.end();
        assert!(lead.is_open() && !lead.leave());
    }
}
