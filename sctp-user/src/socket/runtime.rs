//! The engine: waits for sockets and timers, and drives the node under its lock.

use core::fmt;
use core::hint::cold_path;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::task::Waker;
use core::time::Duration;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, TryLockError};
use std::thread::Thread;

use mio::{Events, Poll};

use super::errno;
use super::handle::{Handle, Releases};
use super::lead::{Calls, LONG_NAP, Lead, Look, NAP, VISIT};
use super::lower::{Lower, TIMER, WAKE, WATCH};
use super::timer::Timer;
use crate::node::Node;
use crate::time::Time;
use crate::transport::clock::MonoClock;
use crate::transport::watch::AddressWatcher;

/// How long a waiter of a caller-driven runtime sleeps while another thread turns it, before it tries to turn it itself.
const HAND_OVER: Duration = Duration::from_millis(20);

/// How often the polling thread steps back for callers, at most, before it takes the lock.
const YIELDS: usize = 64;

/// What waits for events: everything that is not needed under the node's lock.
pub(super) struct Poller {
    poll: Poll,
    events: Events,
    timer: Timer,
    watcher: AddressWatcher,
}

/// A bound runtime without its node.
pub(super) struct Engine {
    pub(super) lower: Lower,
    pub(super) poller: Poller,
    pub(super) waker: mio::Waker,
    pub(super) clock: MonoClock,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("udp_port", &self.lower.udp_port()).finish_non_exhaustive()
    }
}

impl Engine {
    pub(super) fn new(mut lower: Lower, clock: MonoClock, bound: Option<IpAddr>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), WAKE)?;
        lower.register(poll.registry())?;
        let events = Events::with_capacity(64);
        let watcher = AddressWatcher::new(bound.into_iter().collect());
        watcher.register(poll.registry(), WATCH)?;
        let timer = Timer::register(poll.registry());
        let poller = Poller { poll, events, timer, watcher };
        Ok(Self { lower, poller, waker, clock })
    }
}

/// What the lock protects.
pub(super) struct State<N> {
    pub(super) node: N,
    pub(super) lower: Lower,
    /// When whoever polls will wake up by itself at the latest; [`Time::ZERO`] while nobody polls: then nobody needs to be woken.
    planned: Time,
    /// The deadline that a poller last went to sleep with. It is kept even if it moves away meanwhile: T3 starts and stops with each message, and one
    /// wake-up in vain costs less than waking the poller whenever it starts anew.
    due: Time,
    /// When somebody polled last.
    polled: Time,
    /// Whether input is left that no event will announce again.
    more: bool,
    /// The node has said that it has nothing to send, and nobody has touched it since.
    silent: bool,
    /// Threads that wait on the condition variable.
    waiters: usize,
    lead: Lead,
    /// Those that may wait.
    calls: Calls,
    /// Tasks that wait for the answer to a claim; woken whenever anything happens.
    pub(super) claimers: Vec<Waker>,
    /// The thread that polls has ended: nothing will ever happen again.
    pub(super) stopped: bool,
}

type Guard<'a, N> = MutexGuard<'a, State<N>>;

/// What a turn did.
#[derive(Clone, Copy, Debug)]
struct Turned {
    /// When.
    now: Time,
    /// Something changed for those who wait.
    acted: bool,
    /// All that came is a packet or two with nothing but user data and acknowledgements, and no timer expired.
    plain: bool,
}

/// What handles and the thread share.
pub(super) struct Shared<N> {
    state: Mutex<State<N>>,
    /// Callers that found the lock taken. The polling thread lets them pass: the mutex alone is not fair.
    queue: AtomicUsize,
    changed: Condvar,
    poller: Mutex<Poller>,
    waker: mio::Waker,
    /// The runtime's thread, once it runs.
    thread: OnceLock<Thread>,
    pub(super) clock: MonoClock,
    /// Claimed SCTP ports to give back at the next occasion.
    pub(super) releases: Arc<Releases>,
}

impl<N: Node> Shared<N> {
    /// `thread`: one of the runtime's own will call [`Self::run`]; otherwise callers turn it.
    pub(super) fn new(engine: Engine, node: N, thread: bool) -> Self {
        let Engine { lower, poller, waker, clock } = engine;
        let mut state = State {
            node,
            lower,
            planned: Time::ZERO,
            due: Time::ZERO,
            polled: Time::ZERO,
            more: true,
            silent: false,
            waiters: 0,
            lead: Lead::new(thread),
            calls: Calls::default(),
            claimers: Vec::new(),
            stopped: false,
        };
        state.lower.set_addresses(poller.watcher.addresses());
        state.node.handle_addresses(clock.now(), poller.watcher.listable());
        Self {
            state: Mutex::new(state),
            queue: AtomicUsize::new(0),
            changed: Condvar::new(),
            poller: Mutex::new(poller),
            waker,
            thread: OnceLock::new(),
            clock,
            releases: Arc::default(),
        }
    }

    /// Locks the state; a poisoned lock and an ended thread answer ECONNABORTED.
    #[inline(always)] // Each call comes by here twice or thrice, and to hand the guard on costs more than the lock.
    pub(super) fn lock(&self) -> io::Result<Guard<'_, N>> {
        let state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::WouldBlock) => self.queue_up()?,
            Err(TryLockError::Poisoned(_)) => return Err(errno::aborted()),
        };
        if state.stopped {
            cold_path();
            return Err(errno::aborted());
        }
        Ok(state)
    }

    /// Waits for the lock.
    #[cold]
    #[inline(never)]
    fn queue_up(&self) -> io::Result<Guard<'_, N>> {
        self.queue.fetch_add(1, Ordering::Relaxed);
        let state = self.state.lock();
        self.queue.fetch_sub(1, Ordering::Relaxed);
        state.map_err(|_| errno::aborted())
    }

    /// Gives callers that wait for the lock a chance to get it first.
    fn let_callers_pass(&self) {
        for _ in 0..YIELDS {
            if self.queue.load(Ordering::Relaxed) == 0 {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// Lets `f` change the state, then sends what came of it and lets waiters look again.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut State<N>, Time) -> R) -> io::Result<R> {
        let _alarm = Alarm(self);
        let mut state = self.lock()?;
        let now = self.clock.now();
        let out = f(&mut state, now);
        self.settle(&mut state, now);
        self.notify(state);
        Ok(out)
    }

    /// Looks, and looks again whenever something happened, until `f` answers or `timeout` passes.
    pub(super) fn wait<T>(&self, timeout: Option<Duration>, f: impl FnMut(&mut State<N>, Time) -> Option<T>) -> io::Result<Option<T>> {
        self.wait_as(timeout, false, f, |_, _| false)
    }

    /// As [`Self::wait`] for an `f` that only reads: as long as it does not answer, it leaves nothing to send.
    ///
    /// If nothing but a plain packet or two came when the caller itself polled, which brought the answer, and `may_owe` agrees, what
    /// is to be sent because of it is left to the next call: an acknowledgement then rides with the user's answer. If there is a
    /// thread it comes to send it soon.
    pub(super) fn wait_reading<T>(
        &self,
        timeout: Option<Duration>,
        f: impl FnMut(&mut State<N>, Time) -> Option<T>,
        may_owe: impl Fn(&mut N, &T) -> bool,
    ) -> io::Result<Option<T>> {
        self.wait_as(timeout, true, f, may_owe)
    }

    fn wait_as<T>(
        &self,
        timeout: Option<Duration>,
        reads: bool,
        mut f: impl FnMut(&mut State<N>, Time) -> Option<T>,
        may_owe: impl Fn(&mut N, &T) -> bool,
    ) -> io::Result<Option<T>> {
        let _alarm = Alarm(self);
        let mut state = self.lock()?;
        let mut now = self.clock.now();
        state.calls.count(now);
        let until = timeout.map_or(Time::MAX, |t| now + t);
        let (mut led, mut plain) = (false, false);
        // Who finds what it wants at each call never waits, and would never lead.
        if state.lead.is_open()
            && state.lead.has_thread()
            && now.saturating_since(state.polled) >= VISIT
            && let Ok(poller) = self.poller.try_lock()
        {
            let (guard, turned) = self.lead(poller, state, now, now)?;
            (state, now, led) = (guard, turned.now, true);
        }
        let mut out;
        loop {
            out = f(&mut state, now);
            state.silent &= reads && out.is_none();
            if plain && out.as_ref().is_some_and(|out| may_owe(&mut state.node, out)) {
                break;
            }
            if !state.silent {
                self.settle(&mut state, now);
                if out.is_none() {
                    // Sending may be what it waits for.
                    out = f(&mut state, now);
                    if !reads || out.is_some() {
                        self.settle(&mut state, now);
                    }
                }
            }
            if out.is_some() {
                break;
            }
            if state.is_awaited() {
                cold_path();
                let woken = state.take_woken();
                if !woken.is_empty() {
                    drop(state);
                    wake_all(woken);
                    (state, plain) = (self.lock()?, false);
                    continue;
                }
            }
            if timeout.is_some() {
                now = self.clock.now();
            }
            if until <= now {
                cold_path();
                break;
            }
            let lead = if state.lead.is_open() { self.poller.try_lock() } else { Err(TryLockError::WouldBlock) };
            match lead {
                Ok(poller) => {
                    let (guard, turned) = self.lead(poller, state, now, until)?;
                    (state, now, plain, led) = (guard, turned.now, turned.plain, true);
                }
                Err(TryLockError::WouldBlock) => {
                    cold_path();
                    self.leave(&mut state, led);
                    state = self.sleep(state, until - now)?;
                    (now, plain, led) = (self.clock.now(), false, false);
                }
                Err(TryLockError::Poisoned(_)) => {
                    cold_path();
                    return Err(errno::aborted());
                }
            }
        }
        self.leave(&mut state, led);
        self.notify(state);
        Ok(out)
    }

    /// Polls in place of the thread, once, and no longer than `until`.
    fn lead<'a>(
        &'a self,
        mut poller: MutexGuard<'a, Poller>,
        mut state: Guard<'a, N>,
        now: Time,
        until: Time,
    ) -> io::Result<(Guard<'a, N>, Turned)> {
        state.lead.begin();
        let turned = self.turn(&mut poller, state, now, until);
        let (mut state, turned) = turned.inspect_err(|_| {
            // The thread, if there is one, shall find out for itself.
            if let Ok(mut state) = self.lock() {
                state.lead.end();
            }
            self.wake();
        })?;
        state.lead.end();
        if turned.acted && state.waiters > 0 {
            self.changed.notify_all();
        }
        Ok((state, turned))
    }

    /// A caller that waits does not lead any more, if it did.
    fn leave(&self, state: &mut State<N>, led: bool) {
        if led && state.lead.leave() {
            cold_path();
            self.tell_thread();
        }
    }

    fn sleep<'a>(&'a self, mut state: Guard<'a, N>, left: Duration) -> io::Result<Guard<'a, N>> {
        state.waiters += 1;
        // Some systems refuse far time-outs: an hour, then look again. Without a thread, who turns the runtime may just stop.
        let nap = left.min(if state.lead.has_thread() { Duration::from_secs(3600) } else { HAND_OVER });
        let (mut state, _) = self.changed.wait_timeout(state, nap).map_err(|_| errno::aborted())?;
        state.waiters -= 1;
        if state.stopped { Err(errno::aborted()) } else { Ok(state) }
    }

    /// Sends what the node has to say, and wakes whoever polls if it would sleep past the next deadline.
    fn settle(&self, state: &mut State<N>, now: Time) {
        self.releases.take(|port| state.lower.release(port));
        state.silent = state.lower.flush(&mut state.node, now);
        // Nobody polls most of the time when a caller leads: it looks at the deadlines when it polls again.
        if state.planned > Time::ZERO {
            self.plan_anew(state);
        }
    }

    /// Somebody polls, and shall not sleep past a deadline that is new.
    #[inline(never)]
    fn plan_anew(&self, state: &mut State<N>) {
        let next = state.next_deadline();
        if next < state.planned {
            state.planned = next;
            self.wake_poller();
        }
    }

    fn wake_poller(&self) {
        if let Err(err) = self.waker.wake() {
            tracing::error!(%err, "cannot wake the I/O thread");
        }
    }

    fn tell_thread(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Something changed: whoever waits looks again.
    #[inline]
    fn notify(&self, state: Guard<'_, N>) {
        if state.waiters > 0 {
            self.changed.notify_all();
        }
        if state.is_awaited() {
            self.notify_tasks(state);
        }
    }

    /// The same for who waits without a thread.
    #[inline(never)]
    fn notify_tasks(&self, mut state: Guard<'_, N>) {
        if state.node.is_awaited() && state.lead.recall() {
            self.wake();
        }
        let woken = state.take_woken();
        drop(state);
        if !woken.is_empty() {
            wake_all(woken);
        }
    }

    /// Waits until then at most for something to do, and does it. What is to be sent is left to the caller.
    fn turn<'a>(&'a self, poller: &mut Poller, mut state: Guard<'a, N>, now: Time, until: Time) -> io::Result<(Guard<'a, N>, Turned)> {
        state.plan(now, poller.watcher.next_deadline(), until);
        let timeout = match &*state {
            State { more: true, .. } => Some(Duration::ZERO),
            // What a caller waits for at most is seldom the same twice.
            State { planned, due, .. } if planned < due => Some(planned.saturating_since(now)),
            State { due, .. } => poller.timer.timeout(now, *due),
        };
        // What a thread sees of the host depends on its network namespace: a caller that leads may be in another one than the thread.
        let looks = !state.lead.is_led() || !state.lead.has_thread();
        drop(state);
        if let Err(err) = poller.poll.poll(&mut poller.events, timeout) {
            cold_path();
            if err.kind() != io::ErrorKind::Interrupted {
                return Err(err);
            }
            poller.events.clear();
        }
        let now = self.clock.now();
        let due = poller.watcher.next_deadline() <= now;
        let looked = if due && looks { poller.watcher.look(now) } else { None };
        self.let_callers_pass();
        let mut state = self.lock()?;
        if due && !looks && state.lead.recall() {
            cold_path();
            self.tell_thread();
        }
        // From here on nobody needs to wake us: the next turn asks for the deadline anew.
        (state.planned, state.silent, state.polled) = (Time::ZERO, false, now);
        let State { node, lower, more, .. } = &mut *state;
        for event in &poller.events {
            match event.token() {
                WATCH => {
                    cold_path();
                    poller.watcher.note_ready(now);
                }
                TIMER => {}
                _ => lower.note_ready(event),
            }
        }
        let mut turned = Turned { now, acted: false, plain: false };
        if let Some(changed) = looked {
            cold_path();
            lower.set_addresses(poller.watcher.addresses());
            if changed {
                node.handle_addresses(now, poller.watcher.listable());
                turned.acted = true;
            }
        }
        let progress = lower.receive(node, now);
        *more = progress.more;
        turned.plain = progress.is_plain() && !turned.acted;
        turned.acted |= progress.any;
        if node.poll_timeout().is_some_and(|at| at <= now) {
            cold_path();
            node.handle_timeout(now);
            (turned.acted, turned.plain) = (true, false);
        }
        Ok((state, turned))
    }

    /// The body of the I/O thread.
    pub(super) fn run(&self, stop: &AtomicBool) {
        // Also when the node panics: nobody may wait for ever for a thread that is gone.
        let _last_words = LastWords(self);
        self.thread.get_or_init(std::thread::current);
        while !stop.load(Ordering::Acquire) {
            match self.poll_until_aside(stop) {
                Ok(()) if self.stand_aside(stop) => {}
                Ok(()) => return,
                Err(err) => {
                    tracing::error!(%err, "the SCTP runtime has stopped");
                    return;
                }
            }
        }
    }

    /// Turns the runtime until a caller may lead.
    fn poll_until_aside(&self, stop: &AtomicBool) -> io::Result<()> {
        let mut poller = self.poller.lock().map_err(|_| errno::aborted())?;
        let mut state = self.lock()?;
        let mut now = self.clock.now();
        // What a caller left.
        self.settle(&mut state, now);
        while !stop.load(Ordering::Acquire) {
            let turned;
            (state, turned) = self.turn(&mut poller, state, now, Time::MAX)?;
            now = turned.now;
            self.settle(&mut state, now);
            if turned.acted {
                let lone = state.waiters == 1 || (state.waiters == 0 && state.calls.are_frequent(now));
                if lone && !state.is_awaited() {
                    state.lead.stand_aside();
                    drop(poller);
                    self.notify(state);
                    return Ok(());
                }
                self.notify(state);
                state = self.lock()?;
                now = self.clock.now();
            }
        }
        Ok(())
    }

    /// Sleeps while callers lead; whether to go on.
    fn stand_aside(&self, stop: &AtomicBool) -> bool {
        let (mut look, mut nap) = (Look::Nap, NAP);
        while !stop.load(Ordering::Acquire) {
            match look {
                Look::Nap => std::thread::park_timeout(nap),
                Look::Sleep => std::thread::park(),
                Look::TakeBack => return true,
            }
            let Ok(mut state) = self.lock() else { return false };
            let wanted = state.is_awaited();
            look = state.lead.look(wanted);
            nap = (nap * 2).min(LONG_NAP);
        }
        false
    }

    /// Wakes whoever polls, and the thread.
    pub(super) fn wake(&self) {
        // An error means that the poll is gone, and its thread with it.
        drop(self.waker.wake());
        self.tell_thread();
    }
}

/// Wakes tasks; the lock must not be held.
#[cold]
fn wake_all(woken: Vec<Waker>) {
    woken.into_iter().for_each(Waker::wake);
}

/// Tells all waiters when a caller panics inside the node. Made before the lock is taken, so that it is dropped after
/// the lock was poisoned.
struct Alarm<'a, N: Node>(&'a Shared<N>);

impl<N: Node> Drop for Alarm<'_, N> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.changed.notify_all();
            self.0.wake();
        }
    }
}

/// Tells all waiters when the I/O thread ends, for whatever reason.
struct LastWords<'a, N: Node>(&'a Shared<N>);

impl<N: Node> Drop for LastWords<'_, N> {
    fn drop(&mut self) {
        // Poisoned or not: tasks that wait get the error when they look again.
        let mut state = self.0.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.stopped = true;
        state.node.wake_everybody();
        let woken = state.take_woken();
        drop(state);
        self.0.changed.notify_all();
        wake_all(woken);
    }
}

impl<N: Node> State<N> {
    /// The tasks that are to be woken.
    fn take_woken(&mut self) -> Vec<Waker> {
        let mut woken = self.node.take_woken();
        if !self.claimers.is_empty() {
            woken.append(&mut self.claimers);
        }
        woken
    }

    /// Asks for an SCTP port; the next turn looks for the answer.
    pub(super) fn claim(&mut self, port: u16) -> u64 {
        self.more = true;
        self.lower.claim(port)
    }

    /// Whether tasks or descriptors wait, which only a thread of the runtime serves at any time.
    fn is_awaited(&self) -> bool {
        self.node.is_awaited() || !self.claimers.is_empty()
    }

    /// Until when to poll: to the next deadline, or that of the watcher, but no longer than `until`.
    fn plan(&mut self, now: Time, watcher: Time, until: Time) {
        let kept = if self.due > now { self.due } else { Time::MAX };
        self.due = self.next_deadline().min(watcher).min(kept);
        self.planned = self.due.min(until);
    }

    fn next_deadline(&self) -> Time {
        let node = self.node.poll_timeout().unwrap_or(Time::MAX);
        node.min(self.lower.next_deadline().unwrap_or(Time::MAX))
    }
}

/// A caller-driven runtime: no thread of its own, it acts while [`Driven::turn`] or a blocking call on a handle runs.
///
/// A program that does not turn it does not answer its peers; after 300 ms other programs stop waiting for it to read a
/// shared port. The acknowledgement of a message that a blocking call received and returned leaves with the next call on any handle, or the next
/// [`Driven::turn`]: it rides with an answer, if there is one. RFC 9260 section 6.2 allows no more than 500 ms, so a program that
/// works longer on a message should call [`Driven::turn`] with a time of zero first.
pub struct Driven<N: Node> {
    shared: Arc<Shared<N>>,
}

impl<N: Node> fmt::Debug for Driven<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Driven")
    }
}

impl<N: Node> Driven<N> {
    pub(super) fn new(engine: Engine, node: N) -> Self {
        Self { shared: Arc::new(Shared::new(engine, node, false)) }
    }

    /// Waits for something to do, at most `max_wait` (without limit if `None`), and does it.
    ///
    /// # Errors
    /// The operating system cannot wait, or a thread panicked inside the node.
    pub fn turn(&mut self, max_wait: Option<Duration>) -> io::Result<()> {
        let shared = &*self.shared;
        let mut poller = shared.poller.lock().map_err(|_| errno::aborted())?;
        let mut state = shared.lock()?;
        let now = shared.clock.now();
        // What a caller left.
        shared.settle(&mut state, now);
        let until = max_wait.map_or(Time::MAX, |w| now + w);
        let (mut state, turned) = shared.turn(&mut poller, state, now, until)?;
        shared.settle(&mut state, turned.now);
        // Also if nothing happened: callers that wait are to turn it from here on.
        drop(poller);
        shared.notify(state);
        Ok(())
    }

    /// A handle. Its blocking calls turn the runtime themselves.
    #[must_use]
    pub fn handle(&self) -> Handle<N> {
        Handle::driven(Arc::clone(&self.shared))
    }
}
